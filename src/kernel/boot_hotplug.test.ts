// Boot memory that goes offline and comes back. Machine: nodes 0 and 1 with a CPU and 512 MiB of
// boot memory, four blocks each; node 2 an odd 320 MiB of it, the last block half full; node 3 a
// plugged device.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type PlayInput, play } from '../../test/support/play.ts';
import { check } from '../../test/support/property.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { checkAll } from '../checkers/index.ts';
import { ZONE_DMA32, ZONE_MOVABLE } from '../mm/gfp.ts';
import type { Kernel } from './kernel.ts';

const MIB = 1024 ** 2;
/** Pages of a block. */
const BLOCK = 32_768;
const MEMORY = '/sys/devices/system/memory';

const range = (startMib: number, sizeMib: number) => ({
  start: startMib * MIB,
  size: sizeMib * MIB,
});

const machine = machineFrom({
  name: 'boot-blocks',
  arch: 'x86_64',
  nodes: [
    { id: 0, cpus: '0', ranges: [range(0, 512)] },
    { id: 1, cpus: '1', ranges: [range(512, 512)] },
    { id: 2, ranges: [range(1024, 320)] },
    { id: 3, ranges: [range(8192, 256)], memoryZone: 'movable', device: 'gpu0' },
  ],
  distances: [
    [10, 20, 30, 40],
    [20, 10, 30, 60],
    [30, 30, 10, 60],
    [40, 60, 60, 10],
  ],
  devices: [{ name: 'gpu0', kind: 'device', homeNode: 0 }],
});

const run = (text: string, input: PlayInput = {}) => {
  const played = play(text, { machine, ...input });
  expect(checkAll(played.kernel)).toEqual([]);
  return played;
};

const zone = ({ mem: { zones } }: Kernel, nid: number, type: number) => {
  const z = zones.find(nid, type) as number;
  const { present, spanned, startPfn } = zones;
  return { present: present[z], spanned: spanned[z], startPfn: startPfn[z] };
};

const errorsOf = (result: object | undefined) => (result as { errors: unknown }).errors;

test('[HOT16] the first block of a node and those of its frame table stay, the others go', () => {
  const { steps, kernel } = run(`
    sys offline_node 1 -> EBUSY; blocks 4; changed 2; already 0
    sys offline_node 0 -> EINVAL; blocks 4; changed 2
    sys offline_node 2 -> EBUSY; blocks 3; changed 1
    sys offline_node 1 -> EBUSY; changed 0; already 2
  `);
  expect(errorsOf(steps[0]?.result)).toEqual({ block3: 'EBUSY', block0: 'EBUSY' });
  expect(errorsOf(steps[1]?.result)).toEqual({ block3: 'EBUSY', block0: 'EINVAL' });
  expect(errorsOf(steps[2]?.result)).toEqual({ block2: 'EINVAL', block0: 'EBUSY' });
  expect(kernel.states.memory.toArray()).toEqual([0, 1, 2, 3]);
  expect(kernel.uevents.map(({ devpath }) => devpath.replace(/.*memory/, ''))).toEqual([
    '6',
    '5',
    '2',
    '1',
    '9',
  ]);
});

test('[HOT16] the table of a large node reaches over its last blocks', () => {
  const nodes = machine.nodes.map((node) =>
    node.id === 1 ? { ...node, ranges: [{ startBytes: 2 ** 32, sizeBytes: 9216 * MIB }] } : node,
  );
  const { steps } = run('sys offline_node 1 3 -> EBUSY; blocks 72; changed 3', {
    machine: { ...machine, nodes },
  });
  expect(errorsOf(steps[0]?.result)).toEqual({ block71: 'EBUSY', block70: 'EBUSY' });
});

test('[HOT17] holes in its middle leave the span of a zone, and blocks come back to it', () => {
  const gone = run(
    'sys offline_node 1\nsys read /proc/sys/vm/min_free_kbytes -> value 4106',
  ).kernel;
  const startPfn = 4 * BLOCK;
  expect(zone(gone, 1, ZONE_DMA32)).toEqual({ present: 2 * BLOCK, spanned: 4 * BLOCK, startPfn });
  const back = run('sys offline_node 1\nsys online_node 1 -> 0; changed 2; already 2').kernel;
  expect(zone(back, 1, ZONE_DMA32)).toEqual({ present: 4 * BLOCK, spanned: 4 * BLOCK, startPfn });
  const before = run('sys free').kernel.mem.zones;
  // The marks of the moment go into the new ones (HOT5), so they come back but for a page.
  for (const [z, high] of before.wmarkHigh.entries()) {
    expect(Math.abs((back.mem.zones.wmarkHigh[z] as number) - high)).toBeLessThanOrEqual(1);
  }
  expect([...back.mem.zones.free]).toEqual([...before.free]);
});

test('[HOT17] users leave what goes for another node; what lies in the first block stays', () => {
  run(`
    T0 cpu 1
    T0 mmap R0 40000 anon
    T0 touch R0 -> 0
    sys offline_node 1 -> EBUSY; changed 2
    T0 where R0 0 30000 -> nodes 1:30000
    T0 where R0 34000 6000 -> nodes 0:6000
    T0 munmap R0 0 40000
    sys online_node 1 -> 0
  `);
});

test('[HOT18] online_movable gives a boot node its ZONE_MOVABLE', () => {
  const { kernel } = run(`
    sys read ${MEMORY}/memory5/valid_zones -> value DMA32
    sys offline_node 1
    sys read ${MEMORY}/memory5/valid_zones -> value "DMA32 Movable"
    sys online_node 1 MOVABLE -> 0; changed 2
    sys read ${MEMORY}/memory5/valid_zones -> value Movable
    T0 mmap R0 100 anon
    T0 mbind R0 0 100 bind 1
    T0 touch R0
    sys offline_node 1 1 -> EBUSY; changed 1
    T0 where R0 -> nodes 1:100
  `);
  const expected = { present: BLOCK, spanned: BLOCK, startPfn: 5 * BLOCK };
  expect(zone(kernel, 1, ZONE_MOVABLE)).toEqual(expected);
  expect(kernel.mem.lists.fallback[1]?.zones[0]).toBe(kernel.mem.zones.find(1, ZONE_MOVABLE));
});

test('[HOT19] the files of a block answer as those of 6.1', () => {
  run(`
    sys write ${MEMORY}/memory5/state offline -> 0
    sys read ${MEMORY}/memory5/state -> value offline
    sys write ${MEMORY}/memory5/state offline -> EINVAL
    sys write ${MEMORY}/memory5/online 0 -> 0
    sys write ${MEMORY}/memory5/online 2 -> EINVAL
    sys write ${MEMORY}/memory5/state none -> EINVAL
    sys write /sys/devices/system/node/node1/memory5/online 1 -> 0
    sys read ${MEMORY}/memory5/online -> value 1
    sys write ${MEMORY}/memory0/state offline -> EINVAL
    sys write ${MEMORY}/memory4/state offline -> EBUSY
    sys write ${MEMORY}/memory11/state offline -> ENOENT
    sys write ${MEMORY}/memory64/state offline -> 0
    sys write ${MEMORY}/memory64/state online_kernel -> 0
    sys read ${MEMORY}/memory64/valid_zones -> value Normal
  `);
});

/** Something that happens: boot memory switched, or pages used. */
const happening = fc.oneof(
  fc.record({
    node: fc.constantFrom(0, 1, 2, 3),
    verb: fc.constantFrom('offline_node', 'online_node', 'online_node'),
    zone: fc.constantFrom('KERNEL', 'MOVABLE', ''),
    blocks: fc.constantFrom('', ' 1'),
  }),
  fc.record({
    region: fc.constantFrom('R0', 'R1'),
    mode: fc.constantFrom('bind', 'preferred', 'interleave'),
    nodes: fc.constantFrom('1', '0,1', '1,2', '3'),
    does: fc.constantFrom('touch', 'move_pages', 'munmap'),
  }),
);

const lineOf = (what: typeof happening extends fc.Arbitrary<infer T> ? T : never): string => {
  if ('verb' in what) {
    const type = what.verb === 'online_node' && what.zone !== '' ? ` ${what.zone}` : '';
    return `sys ${what.verb} ${what.node}${type}${what.blocks}`;
  }
  const { region, mode, nodes, does } = what;
  if (does === 'munmap') return `T0 munmap ${region} 0 20`;
  if (does === 'move_pages') return `T0 move_pages ${region} 0 90 ${nodes.split(',')[0]}`;
  return `T0 mbind ${region} 0 2000 ${mode} ${nodes}\nT0 touch ${region} 0 1500`;
};

test('[HOT11] no frame is lost and no rule is broken, however boot memory comes and goes', () => {
  check(fc.array(happening, { minLength: 2, maxLength: 12 }), 12, (list) => {
    // Pages of node 1 that reach into its second block, then room in front of them.
    const first = `T0 mmap R0 2000 anon\nT0 mmap R1 2000 shared\nT0 mmap R2 36000 anon
      T0 mbind R2 0 36000 bind 1\nT0 touch R2\nT0 munmap R2 0 30000`;
    run([first, ...list.map(lineOf)].join('\n'));
  });
});
