// What every design must be, whatever it does; and what a design does that is not in use: nothing.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { machineOf, machineShape } from '../../test/support/machines.ts';
import { bench, bootDevice, play } from '../../test/support/play.ts';
import { check, share } from '../../test/support/property.ts';
import {
  expectNoFindings,
  isMovedByCpuset,
  scenarioFor,
  type Workload,
} from '../../test/support/workloads.ts';
import { nodeId } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import { breaches } from '../checkers/promise.ts';
import type { Design } from '../hooks/design.ts';
import { MASK_CPUSET, MASK_NONE, MASK_REQUEST } from '../hooks/design.ts';
import { MPOL_BIND, MPOL_PREFERRED } from '../hooks/policy_modes.ts';
import { stateHash } from '../kernel/state_hash.ts';
import type { Machine } from '../machine/machine.ts';
import { Memory } from '../mm/memory.ts';
import { NodeStates } from '../mm/node_states.ts';
import { FAMILIES } from '../scenario/generate_weights.ts';
import { Runner } from '../scenario/runner.ts';
import { allocatorGate } from './allocator_gate.ts';
import { DESIGNS, findDesign, MAIN_DESIGNS, THREAD_DESIGNS } from './index.ts';
import { stock } from './stock.ts';

const workload = fc.record({
  seed: fc.nat(1_000_000),
  family: fc.constantFrom(...FAMILIES),
  nrOps: fc.integer({ min: 1, max: 60 }),
});

/** Hash of the state after every step. */
function hashes(machine: Machine, design: Design, w: Workload): string[] {
  const scenario = scenarioFor(machine, w);
  const runner = new Runner(machine, design, scenario);
  return scenario.ops.map((op) => {
    runner.run(op);
    return stateHash(runner.kernel);
  });
}

/** A node without memory has a directory for huge pages, unless directories go by the pool. */
function lacksMemory(machine: Machine): boolean {
  const { cpu, normalMemory } = new Memory(machine, stock).states;
  return !cpu.isSubsetOf(normalMemory);
}

describe('a design that is not in use', () => {
  const withoutDevices = machineShape({ kinds: ['boot', 'movable'] });
  test.each(DESIGNS)(
    '[DES5] $id on a machine without devices is stock Linux, step by step',
    (design) => {
      check(fc.tuple(withoutDevices, workload), share(105, DESIGNS.length), ([shape, w]) => {
        const machine = machineOf(shape);
        if (design.answers.hugetlbNodes && w.family === 'hugetlb' && lacksMemory(machine)) return;
        expect(hashes(machine, design, w)).toEqual(hashes(machine, stock, w));
      });
    },
  );

  test('[DES5] a design that answers nothing is stock Linux on any machine', () => {
    const silent: Design = { ...stock, id: 'silent' };
    const skeleton = findDesign('_skeleton');
    check(fc.tuple(machineShape(), workload), 25, ([shape, w]) => {
      const machine = machineOf(shape);
      const usual = hashes(machine, stock, w);
      expect(hashes(machine, silent, w)).toEqual(usual);
      const asksForPools = skeleton.answers.hugetlbNodes !== undefined && w.family === 'hugetlb';
      if (asksForPools && lacksMemory(machine)) return;
      expect(hashes(machine, skeleton, w)).toEqual(usual);
    });
  });
});

describe.each(DESIGNS)('$id', (design) => {
  test('[DES7] has a name of its own, a source, and says what it changes where', () => {
    expect(DESIGNS.filter((d) => d.id === design.id)).toHaveLength(1);
    expect(design.id).toMatch(/^_?[a-z0-9-]+$/);
    for (const text of [design.title, design.summary, design.promise.text]) {
      expect(text.length).toBeGreaterThan(10);
    }
    expect(design.sources.length).toBeGreaterThan(0);
    for (const source of design.sources) expect(source.date).toMatch(/^\d{4}-\d\d-\d\d$/);
    for (const point of design.decisionPoints) {
      expect(design.answers[point.answer]).toBeDefined();
      expect(point.kernelFunction).toMatch(/^[a-z]+\/\S+\.c: \w+/);
    }
    const named = new Set(design.decisionPoints.map((point) => point.answer));
    if (design.id !== '_skeleton')
      expect([...named]).toEqual(expect.arrayContaining(Object.keys(design.answers)));
    expect(findDesign(design.id)).toBe(design);
  });

  test('[DES8] does not keep a cpuset from moving pages onto the device it holds, if it can hold it', () => {
    const { kernel, last } = play(
      `
      sys mkdir /sys/fs/cgroup/a
      sys write /sys/fs/cgroup/a/cpuset.mems 2
      T0 mmap R0 4 anon
      T0 touch R0
      sys move T0 /sys/fs/cgroup/a
      T0 where R0
    `,
      { machine: bench(), design },
    );
    const { states } = kernel;
    const isOfCpusets = states.memory.has(2);
    expect(last['counts']).toEqual({ [isOfCpusets ? 2 : 0]: 4 });
    const isolates = !design.promise.isolated(states).isEmpty();
    const found = breaches(kernel).map((b) => `${b.purpose}/${b.from}/${b.nid}`);
    // An agent promises nothing of a task that somebody takes out of its cpusets.
    const isBroken = isolates && isOfCpusets && design.agent === undefined;
    expect(found).toEqual(isBroken ? ['migration target/cpuset/2'] : []);
  });

  test('[DES7] isolates nothing but devices, and answers the same whenever it is asked', () => {
    check(machineShape(), share(210, DESIGNS.length), (shape) => {
      const { states } = new Runner(machineOf(shape), design, { tasks: {}, regions: {} }).kernel;
      const isolated = design.promise.isolated(states);
      expect(isolated.isSubsetOf(states.device)).toBe(true);
      expect(isolated.equals(design.promise.isolated(states))).toBe(true);
      const gated = design.answers.zoneGate?.gated(states) ?? Nodemask.EMPTY;
      expect(gated.isSubsetOf(states.device)).toBe(true);
      for (const nid of states.memory) {
        expect(design.answers.fallbackListHolds?.(nid, nid, states) ?? true).toBe(true);
      }
    });
  });

  test('[PRM1] [PRM3] keeps its promise where device memory is Movable, but for what cpusets move', () => {
    const kinds = ['boot', 'movable', 'device', 'device offline'] as const;
    check(fc.tuple(machineShape({ kinds }), workload), share(105, DESIGNS.length), ([shape, w]) => {
      const machine = machineOf(shape);
      expectNoFindings({ machine, design, isExpected: isMovedByCpuset }, w);
    });
  });

  test('[PRM1] keeps it where device memory is boot memory, for tasks that do not name it', () => {
    const { kernel } = play(
      `
      T0 mmap R0 3000 anon
      T0 touch R0
      T0 set_mempolicy interleave 0,1
      fork T0 T1
      T1 touch R0
      T0 mmap R1 64 shared
      T0 touch R1
      T1 read R1
      T1 migrate_pages 0 1
      T1 set_mempolicy bind 1
      T1 madvise R0 0 100 dontneed
      T1 touch R0
    `,
      { machine: bootDevice(), design },
    );
    expect(breaches(kernel)).toEqual([]);
  });
});

describe('the gate', () => {
  test('[DES2] [ALC7] admits requests for that very node and those with a mask of their own', () => {
    const { zoneGate } = allocatorGate.answers;
    const admitted = [true, false].flatMap((thisNode) =>
      ([MASK_NONE, MASK_REQUEST, MASK_CPUSET] as const).map((mask) =>
        zoneGate?.admits(thisNode, mask, false),
      ),
    );
    expect(admitted).toEqual([true, true, true, false, true, false]);
  });

  test('[DES2] a cpuset that holds the device does not open it', () => {
    const { last } = play(
      `
      sys mkdir /sys/fs/cgroup/a
      sys write /sys/fs/cgroup/a/cpuset.mems 0,2
      sys move T0 /sys/fs/cgroup/a
      T0 mmap R0 4 anon
      T0 touch R0
      T0 where R0 -> nodes 0:4
      T0 move_pages R0 0 2 2 -> 0
      T0 where R0
    `,
      { machine: bench(), design: allocatorGate },
    );
    expect(last['counts']).toEqual({ 0: 2, 2: 2 });
  });
});

describe('where policies start', () => {
  const view = new NodeStates();
  view.memory = Nodemask.of(0, 1, 2);
  view.coherentDevice = Nodemask.of(2);
  const start = (id: string, mode: number, nodes: Nodemask, nid: number): number | undefined =>
    findDesign(id).answers.policyNode?.({ mode, nodes, nid: nodeId(nid) }, view);

  test.each(['zonelist', 'limited-node'])(
    '[DES3] %s: from the first node if it is a device',
    (id) => {
      expect(start(id, MPOL_BIND, Nodemask.of(2), 0)).toBe(2);
      expect(start(id, MPOL_BIND, Nodemask.of(0, 2), 1)).toBe(1);
      expect(start(id, MPOL_BIND, Nodemask.of(0, 2), 0)).toBe(0);
      expect(start(id, MPOL_BIND, Nodemask.of(1), 0)).toBe(0);
      expect(start(id, MPOL_PREFERRED, Nodemask.of(2), 0)).toBe(0);
    },
  );
});

describe('the list of designs', () => {
  test('[DES7] a comparison runs those that answer differently where a page is allocated', () => {
    const differ = [
      'zoneGate',
      'fallbackListHolds',
      'memremapPages',
      'vmaAllocFolio',
      'cmpAndMergePage',
    ] as const;
    const answers = (d: Design) => differ.map((key) => d.answers[key] !== undefined).join();
    const gated = ['marked-areas', 'by-page'];
    const others = DESIGNS.filter((d) => gated.includes(d.id));
    expect(THREAD_DESIGNS.map((d) => d.id)).toEqual([
      'stock',
      'allocator-gate',
      'zonelist',
      'limited-node',
    ]);
    for (const design of others) {
      expect(answers(design)).not.toBe(answers(allocatorGate));
      const { zoneGate } = design.answers;
      if (zoneGate === undefined) continue;
      expect(zoneGate.refusal).toBe(allocatorGate.answers.zoneGate?.refusal);
    }
  });

  test('[DES7] an unknown id is refused with the ids there are', () => {
    expect(() => findDesign('nonesuch')).toThrow(/no design is called "nonesuch".*stock.*zonelist/);
  });

  test('[DES1] stock promises nothing', () => {
    const { states } = new Runner(bench(), stock, { tasks: {}, regions: {} }).kernel;
    expect(stock.promise.isolated(states).isEmpty()).toBe(true);
    expect(Object.keys(stock.answers)).toEqual([]);
  });

  test.each(MAIN_DESIGNS)(
    '[DES1] [PRM1] $id: who outgrows RAM is on the device where nothing is promised',
    (design) => {
      const text = 'T0 mmap R0 81000 anon\nT0 touch R0';
      const { kernel } = play(text, { design });
      const unasked = kernel.placements.rows().filter((row) => row.nid === 2 && !row.isAsked);
      const promises = !design.promise.isolated(kernel.states).isEmpty();
      expect(unasked.length > 0).toBe(!promises);
      expect(promises).toBe(!['stock', 'memory-tiers'].includes(design.id));
    },
  );
});
