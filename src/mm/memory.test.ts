// Memory after boot: zones, frames, what boot took, node states.
import { describe, expect, test } from 'vitest';
import { machineOf, machineShape } from '../../test/support/machines.ts';
import { check } from '../../test/support/property.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { type Frame, nodeId } from '../base/ids.ts';
import { checkBuddyShape } from '../checkers/buddy_shape.ts';
import { checkFrames } from '../checkers/frames.ts';
import { allocatorGate } from '../designs/allocator_gate.ts';
import { DESIGNS } from '../designs/index.ts';
import { stock } from '../designs/stock.ts';
import { Kernel } from '../kernel/kernel.ts';
import { type NodeSpec, nodeSizeBytes } from '../machine/machine.ts';
import { findPreset, presets } from '../machine/presets/index.ts';
import type { MachineFile } from '../machine/schema.ts';
import { ZONE_MOVABLE, ZONE_NORMAL } from './gfp.ts';
import { Memory } from './memory.ts';
import { NodeStates } from './node_states.ts';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

const preset = (name: string) => findPreset(name) as NonNullable<ReturnType<typeof findPreset>>;

const machine = (file: Omit<MachineFile, 'name'>) => machineFrom({ name: 'm', ...file });

/** Rows of zones that hold memory: those of hot-plugged nodes may be empty. */
const filled = (mem: Memory): number[] =>
  Array.from({ length: mem.zones.nr }, (_, z) => z).filter((z) => mem.zones.present[z] !== 0);

const zonesOf = (mem: Memory): string[] =>
  filled(mem).map((z) => `${mem.zones.nid[z]} ${mem.zoneName(z)}`);

describe('zones', () => {
  test('[BOOT1] on x86 boot memory is cut at 16 MiB and 4 GiB, plugged memory is Movable', () => {
    const m = machine({
      arch: 'x86_64',
      nodes: [
        { id: 0, cpus: '0', memory: '5GiB' },
        { id: 1, memory: '1GiB' },
        { id: 2, memory: '1GiB', memoryZone: 'movable' },
      ],
    });
    const mem = new Memory(m, stock);
    expect(zonesOf(mem)).toEqual(['0 DMA', '0 DMA32', '0 Normal', '1 Normal', '2 Movable']);
    expect(filled(mem).map((z) => (mem.zones.present[z] as number) * 4096)).toEqual(
      [16 * MIB, 3 * GIB - 16 * MIB, 2 * GIB, GIB, GIB].map(Number),
    );
  });

  test('[BOOT1] on POWER all boot memory is Normal, on arm64 below 4 GiB it is DMA', () => {
    expect(zonesOf(new Memory(preset('thread'), stock))).toEqual([
      '0 Normal',
      '1 Normal',
      '2 Movable',
      '3 Movable',
      '4 Movable',
    ]);
    const arm = machine({ arch: 'arm64', nodes: [{ id: 0, cpus: '0', memory: '4GiB' }] });
    expect(zonesOf(new Memory(arm, stock))).toEqual(['0 DMA', '0 Normal']);
  });

  test('[BOOT2] boot keeps 64 bytes a page and, on the first node, the kernel; the rest is free', () => {
    const mem = new Memory(preset('thread'), stock);
    const pages = (4 * GIB) / 65_536;
    const frameTable = (pages * 64) / 65_536;
    const image = (32 * MIB) / 65_536;
    const { managed, free, present } = mem.zones;
    const of = (column: Int32Array) => filled(mem).map((z) => column[z]);
    expect(of(present)).toEqual([pages, pages, pages, pages, pages]);
    expect(of(managed)).toEqual([
      pages - frameTable - image,
      pages - frameTable,
      pages,
      pages,
      pages,
    ]);
    expect([...free]).toEqual([...managed]);
    expect([...mem.freeAtStart]).toEqual([...managed]);
  });

  test('[ZON1] [ZON2] [MEM1] hold for every zone of any machine, and no frame is lost', () => {
    check(machineShape(), 120, (shape) => {
      const k = new Kernel(machineOf(shape), stock);
      const { zones, segments } = k.mem;
      for (let z = 0; z < zones.nr; z++) {
        expect(zones.present[z]).toBeLessThanOrEqual(zones.spanned[z] as number);
        expect(zones.managed[z]).toBeLessThanOrEqual(zones.present[z] as number);
        expect(zones.free[z]).toBeLessThanOrEqual(zones.managed[z] as number);
      }
      const size = 2 ** k.mem.maxOrder;
      for (const s of segments) {
        expect(s.startFrame % size).toBe(s.startPfn % size);
        expect(k.mem.pfnOf(s.startFrame as Frame)).toBe(s.startPfn);
        expect(k.mem.pfnOf((s.startFrame + s.nrPages - 1) as Frame)).toBe(
          s.startPfn + s.nrPages - 1,
        );
      }
      const pagesOf = (nodes: readonly NodeSpec[]) =>
        nodes.reduce((n, node) => n + nodeSizeBytes(node) / k.mem.pageBytes, 0);
      const isOffline = (n: NodeSpec) => n.memoryZone === 'movable' && n.offlineAtStart === true;
      const { nodes } = k.machine;
      expect(segments.reduce((n, s) => n + s.nrPages, 0)).toBe(pagesOf(nodes));
      const present = zones.present.reduce((a, b) => a + b, 0);
      expect(present).toBe(pagesOf(nodes.filter((n) => !isOffline(n))));
      expect(checkBuddyShape(k)).toEqual([]);
      expect(checkFrames(k)).toEqual([]);
    });
  });

  test('[BOOT3] a snapshot of a real kernel is taken over: pages, free pages, marks', () => {
    const row = {
      nid: 1,
      type: ZONE_NORMAL,
      startPfn: 0x1003,
      spannedPages: 9000,
      presentPages: 5000,
      managedPages: 4800,
      freePages: 4321,
      wmarkMin: 11,
      wmarkLow: 22,
      wmarkHigh: 33,
    };
    const movable = { ...row, nid: 2, type: ZONE_MOVABLE, startPfn: 0x9000, freePages: 4800 };
    const m = machine({
      arch: 'x86_64',
      nodes: [
        { id: 1, cpus: '0', memory: '64MiB' },
        { id: 2, memory: '64MiB' },
      ],
    });
    const k = new Kernel(m, stock, { zones: [movable, row] });
    const { zones } = k.mem;
    expect(zonesOf(k.mem)).toEqual(['1 Normal', '2 Movable']);
    expect([zones.spanned[0], zones.present[0], zones.managed[0]]).toEqual([9000, 5000, 4800]);
    expect([...zones.free]).toEqual([4321, 4800]);
    expect([zones.wmarkMin[0], zones.wmarkLow[0], zones.wmarkHigh[0]]).toEqual([11, 22, 33]);
    expect(checkFrames(k)).toEqual([]);
    expect(checkBuddyShape(k)).toEqual([]);
  });
});

describe('node states', () => {
  test('[NOD1] every node named is possible; on x86 those with CPUs or memory are online', () => {
    const nodes: MachineFile['nodes'] = [
      { id: 0, cpus: '0', memory: '1GiB' },
      { id: 3 },
      { id: 8, memory: '64MiB', memoryZone: 'movable', offlineAtStart: true },
      { id: 1023, cpus: '1' },
    ];
    const x86 = new Memory(machine({ arch: 'x86_64', nodes }), stock).states;
    expect(String(x86.possible)).toBe('0,3,8,1023');
    expect(String(x86.online)).toBe('0,8,1023');
    expect(String(x86.memory)).toBe('0');
    const arm = new Memory(machine({ arch: 'arm64', nodes }), stock).states;
    expect(String(arm.online)).toBe('0,3,8,1023');
    expect(String(arm.cpu)).toBe('0,1023');
  });

  test('[NOD2] nodes with only Movable memory have memory, but none the kernel itself can use', () => {
    const { states } = new Memory(preset('thread'), stock);
    expect(String(states.memory)).toBe('0-4');
    expect(String(states.normalMemory)).toBe('0-1');
    expect(String(states.cpu)).toBe('0-1');
    expect(String(states.device)).toBe('2-4');
  });

  test('[NOD3] device nodes are N_COHERENT_DEVICE when the design says so and memory is online', () => {
    expect(String(new Memory(preset('thread'), stock).states.coherentDevice)).toBe('');
    for (const design of DESIGNS) {
      const { states } = new Memory(preset('gh200'), design);
      const marks = design.answers.coherentDevice?.(nodeId(1), states) === true;
      expect(String(states.coherentDevice), design.id).toBe(marks ? '1' : '');
      expect(String(states.systemMemory), design.id).toBe(marks ? '0' : String(states.memory));
    }
  });

  test('[NOD3] memory that goes takes all three states with it', () => {
    const states = new NodeStates();
    states.setMemory(nodeId(2), true, true);
    expect([states.memory, states.normalMemory, states.coherentDevice].join()).toBe('2,2,2');
    states.clearMemory(nodeId(2));
    expect([states.memory, states.normalMemory, states.coherentDevice].join()).toBe(',,');
  });
});

test('[WMK2] low memory is what the boot CPU can fall back to: isolated boot memory is not in it', () => {
  const m = machine({
    arch: 'ppc64',
    nodes: [
      { id: 0, cpus: '0', memory: '4GiB' },
      { id: 1, memory: '4GiB', device: 'gpu0' },
    ],
    devices: [{ name: 'gpu0', kind: 'device', homeNode: 0 }],
  });
  const free = (id: string): number =>
    new Memory(m, DESIGNS.find((d) => d.id === id) ?? stock).minFreeKb;
  expect(free('allocator-gate')).toBe(free('stock'));
  expect(free('zonelist')).toBe(free('limited-node'));
  expect(free('stock') / free('zonelist')).toBeCloseTo(Math.SQRT2, 2);
});

test('every preset boots under every design, with all its memory accounted for', () => {
  for (const [name, make] of presets) {
    for (const design of DESIGNS) {
      const k = new Kernel(make(), design);
      expect(checkBuddyShape(k), `${name} ${design.id}`).toEqual([]);
    }
  }
});

test('[NOD3] the system memory of the gate is memory without devices', () => {
  const { states } = new Memory(preset('thread'), allocatorGate);
  expect(String(states.systemMemory)).toBe('0-1');
});
