// Faults at the end of a node: a range that is touched at once stops where single touches stop.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { check } from '../../test/support/property.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { DESIGNS } from '../designs/index.ts';
import { stock } from '../designs/stock.ts';
import type { OpResult } from '../scenario/ops.ts';
import { parseOpLine } from '../scenario/parser.ts';
import { Runner } from '../scenario/runner.ts';
import { stateHash } from './state_hash.ts';

const machine = machineFrom({
  name: 'small',
  arch: 'x86_64',
  nodes: [
    { id: 0, cpus: '0', memory: '64MiB' },
    { id: 1, cpus: '1', memory: '16MiB' },
    { id: 2, memory: '128MiB', memoryZone: 'movable', device: 'gpu' },
  ],
  distances: [
    [10, 20, 40],
    [20, 10, 40],
    [40, 40, 10],
  ],
  devices: [{ name: 'gpu', kind: 'device', homeNode: 0 }],
});

const NAMES = { tasks: { T0: 0 }, regions: { R0: 0, R1: 1 } };

/** A node filled but for some pages, a policy, and touches across the node's end. */
const ends = fc.record({
  design: fc.nat(DESIGNS.length - 1),
  node: fc.nat(2),
  left: fc.integer({ min: 0, max: 700 }),
  hasSwap: fc.boolean(),
  policy: fc.constantFrom(
    'preferred NODE',
    'preferred_many NODE',
    'bind 0,1,2',
    'bind NODE',
    'interleave 0,NODE',
  ),
  counts: fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 4 }),
});

test('[FLT3] a range touched at once stops at the mark of a node like single touches do', () => {
  let nrSpilled = 0;
  check(ends, 20, ({ design, node, left, hasSwap, policy, counts }) => {
    const make = () => new Runner(machine, DESIGNS[design] ?? stock, NAMES);
    const [whole, single] = [make(), make()];
    // The batch of a zone of a GiB, so that a refill can go past a mark.
    for (const { kernel } of [whole, single]) kernel.mem.zones.pcpBatch.fill(63);
    const both = (line: string): void => {
      for (const runner of [whole, single]) run(runner, line);
    };
    const nid = policy.includes('NODE') ? node : 0;
    const free = whole.kernel.mem.zones;
    let nrFree = 0;
    for (let z = 0; z < free.nr; z++) {
      if (free.nid[z] === nid) nrFree += (free.free[z] as number) - (free.wmarkLow[z] as number);
    }
    const nrHog = Math.max(nrFree - left, 1);
    both(`T0 mmap R0 ${nrHog} anon`);
    both(`T0 mbind R0 0 ${nrHog} preferred ${nid}`);
    both(`T0 touch R0 0 ${nrHog}`);
    if (hasSwap) both('sys swapon 16MiB');
    both('T0 mmap R1 2000 anon');
    both(`T0 mbind R1 0 2000 ${policy.replace('NODE', String(nid))}`);
    let at = 0;
    for (const count of counts) {
      const atOnce = run(whole, `T0 touch R1 ${at} ${count}`);
      let last: OpResult = { ret: 0 };
      let done = 0;
      for (; done < count && last.ret === 0; done++) {
        last = run(single, `T0 touch R1 ${at + done} 1`);
      }
      expect(last.ret).toBe(atOnce.ret);
      if (atOnce.ret !== 0) break;
      at += count;
    }
    expect(stateHash(single.kernel)).toBe(stateHash(whole.kernel));
    if (at === 0) return;
    const where = run(whole, `T0 where R1 0 ${at}`)['counts'] ?? {};
    if (Object.keys(where).length > 1) nrSpilled++;
  });
  expect(nrSpilled).toBeGreaterThan(2);
});

const run = (runner: Runner, line: string): OpResult =>
  runner.run(parseOpLine(line, { file: 'test', line: 1 }));

test('[EXH2] lists of a device node are emptied by no reclaim, since it holds no slab', () => {
  const runner = new Runner(machine, stock, NAMES);
  const { zones, pcp } = runner.kernel.mem;
  zones.pcpBatch.fill(63);
  const z = zones.nid.lastIndexOf(2);
  const nrFill = zones.free[z] as number;
  for (const line of [
    `T0 mmap R0 ${nrFill} anon`,
    `T0 mbind R0 0 ${nrFill} preferred_many 2`,
    `T0 touch R0 0 ${nrFill}`,
    'T0 mmap R1 100 anon',
    'T0 touch R1 0 100',
  ]) {
    expect(run(runner, line).ret).toBe(0);
  }
  const listed = pcp.countOf(z);
  expect(listed).toBeGreaterThan(0);
  expect(zones.free[z]).toBeLessThanOrEqual(zones.wmarkMin[z] as number);
  expect(run(runner, 'T0 move_pages R1 0 100 2').ret).toBe('ENOMEM');
  expect(pcp.countOf(z)).toBe(listed);
  expect(run(runner, 'T0 where R1 0 100')['counts']).toEqual({ 0: 100 });
});
