// Compaction: what it makes of memory in pieces, for whom, and what it leaves alone.
import { describe, expect, test } from 'vitest';
import { type PlayInput, play } from '../../test/support/play.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { checkAll } from '../checkers/index.ts';
import { allocatorGate } from '../designs/allocator_gate.ts';
import { byPage } from '../designs/by_page.ts';
import { markedAreas } from '../designs/marked_areas.ts';
import { privateNode } from '../designs/private_node.ts';
import { makePrivateNodeV4 } from '../designs/private_node_v4.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import type { Kernel } from './kernel.ts';
import { pteFrame } from './page_table.ts';

const THP = '/sys/kernel/mm/transparent_hugepage';
const POOL2 = '/sys/devices/system/node/node2/hugepages/hugepages-2048kB/nr_hugepages';
const COMPACT2 = '/sys/devices/system/node/node2/compact';

/** A node with a CPU, and a device of 32 MiB. */
const machine = machineFrom({
  name: 'pieces',
  arch: 'x86_64',
  nodes: [
    { id: 0, cpus: '0', memory: '64MiB' },
    { id: 2, memory: '32MiB', memoryZone: 'movable', device: 'gpu0' },
  ],
  distances: [
    [10, 20],
    [20, 10],
  ],
  devices: [{ name: 'gpu0', kind: 'device', homeNode: 0 }],
});

/**
 * Node 2, 8192 pages, is filled but for 4 MiB, and every second page moves away: half of the node
 * is free, and not two pages in a row. Then huge pages may be asked for.
 */
const IN_PIECES = `
  sys write ${THP}/defrag madvise
  sys write ${THP}/enabled madvise
  T0 cpu 0
  T0 mmap R0 7168 anon
  T0 mbind R0 0 7168 bind 2
  T0 touch R0
  T0 move_pages R0 0 7168 0,2
  T0 mmap R1 4096 anon
  T0 mbind R1 0 4096 bind 2
  T0 madvise R1 0 4096 hugepage
`;

/** Plays a text on memory in pieces; no judge may find anything afterwards. */
function run(text: string, input: PlayInput = {}) {
  const played = play(`${IN_PIECES}\n${text}`, { machine, ...input });
  expect(checkAll(played.kernel)).toEqual([]);
  return played;
}

const event = (k: Kernel, name: keyof typeof EVENT): number => k.mem.stat.event(EVENT[name]);

const zoneOf2 = (k: Kernel): number => k.mem.zones.ofNode(2).at(-1) as number;

/** Free blocks of 2 MiB and more on node 2, in pages. */
function inBlocks(k: Kernel): number {
  const { buddy } = k.mem;
  return (buddy.countFree(zoneOf2(k), 9) << 9) + (buddy.countFree(zoneOf2(k), 10) << 10);
}

describe('for a request', () => {
  test('[CPT1] [CPT2] [CPT6] a huge page that is advised gets a block, pages stay on their node', () => {
    const { kernel: k } = run(`
      T0 touch R1 0 2048 -> 0
      T0 where R1 0 2048 -> nodes 2:2048
      T0 where R0 -> nodes 0:3584 2:3584
    `);
    expect(event(k, 'thp_fault_alloc')).toBe(4);
    expect(event(k, 'thp_fault_fallback')).toBe(0);
    expect(event(k, 'compact_success')).toBeGreaterThan(0);
    const moved = k.moves.rows().filter(({ cause }) => cause === 'compaction');
    expect(moved.every(({ from, to }) => from === 2 && to === 2)).toBe(true);
  });

  test('[CPT6] without advice nothing is compacted, and small pages are given', () => {
    const { kernel: k } = run(`
      sys write ${THP}/enabled always
      T0 mmap R2 2048 anon
      T0 mbind R2 0 2048 bind 2
      T0 touch R2 -> 0
    `);
    expect(event(k, 'compact_stall')).toBe(0);
    expect(event(k, 'thp_fault_fallback')).toBeGreaterThan(0);
  });

  test('[CPT3] a zone with too few free pages is not tried', () => {
    const { kernel: k } = run(`
      T0 touch R1 0 1024 -> 0
      T0 mmap R2 2500 anon
      T0 mbind R2 0 2500 bind 2
      T0 touch R2
      T0 touch R1 1024 512 -> 0
    `);
    expect(event(k, 'compact_stall')).toBe(0);
    expect(event(k, 'thp_fault_fallback')).toBe(1);
  });

  test('[CPT4] memory that a design keeps the request off is compacted for it all the same', () => {
    const { kernel: k } = run(
      `
      T0 touch R1 0 1024 -> 0
      T0 mmap R2 3800 anon
      T0 touch R2
      T0 mmap R3 2048 anon
      T0 madvise R3 0 2048 hugepage
      T0 touch R3 0 1 -> 0
      T0 where R3 0 1 -> nodes 0:1
    `,
      { design: allocatorGate },
    );
    const moved = k.moves.rows().filter(({ cause }) => cause === 'compaction');
    expect(moved.reduce((n, { from, nrPages }) => n + (from === 2 ? nrPages : 0), 0)).not.toBe(0);
  });

  test('[CPT5] after a failure the next requests are put off, twice as many each time', () => {
    const { kernel: k } = run(`
      T0 pin R0 0 7168
      T0 touch R1 0 4096 -> 0
    `);
    const state = k.compaction.core.state.of(zoneOf2(k));
    expect(state.deferShift).toBeGreaterThan(0);
    expect(event(k, 'thp_fault_fallback')).toBeGreaterThan(0);
  });

  test('[CPT2] [CPT7] pinned pages stay where they are', () => {
    const { kernel: k } = run('T0 pin R0 1 1\nT0 touch R1 0 1024');
    const [task] = k.tasks;
    const vma = task?.mm.vmas.find((one) => one.endVpn - one.startVpn === 7168);
    const before = k.pins[0]?.frames[0];
    expect(pteFrame(task?.mm.pageTable.get((vma?.startVpn ?? 0) + 1) ?? 0)).toBe(before);
  });

  test('[CPT6] a pool of huge pages grows until there are too few pages to move others to', () => {
    const { kernel: k, last } = run(`sys write ${POOL2} 30`);
    expect(last['note']).toContain('neither compaction nor reclaim');
    expect(k.huge.nrOf[2]).toBeGreaterThan(4);
    expect(k.huge.nrOf[2]).toBeLessThanOrEqual(8);
  });
});

describe('daemons and programs', () => {
  test('[CPT9] a node is compacted by its file, whoever fills it', () => {
    const { kernel: k } = run(`sys write ${COMPACT2} anything -> 0`);
    expect(inBlocks(k)).toBeGreaterThan(3000);
    expect(event(k, 'compact_stall')).toBe(0);
  });

  test('[CPT9] compact_memory is for all nodes; settings have bounds', () => {
    const { kernel: k } = run(`
      sys write /proc/sys/vm/compact_memory 2 -> 0
      sys write /proc/sys/vm/compact_memory x -> 0
      sys write /proc/sys/vm/compaction_proactiveness 101 -> EINVAL
      sys write /proc/sys/vm/compact_unevictable_allowed 2 -> EINVAL
      sys write /proc/sys/vm/extfrag_threshold 1001 -> EINVAL
      sys read /proc/sys/vm/extfrag_threshold -> value 500
    `);
    expect(inBlocks(k)).toBeGreaterThan(3000);
  });

  test('[CPT9] locked pages move, unless compact_unevictable_allowed is 0', () => {
    const lock = 'T0 mlock R0 0 7168';
    const { kernel: free } = run(`${lock}\nsys write ${COMPACT2} 1`);
    expect(inBlocks(free)).toBeGreaterThan(3000);
    const kept = `${lock}\nsys write /proc/sys/vm/compact_unevictable_allowed 0`;
    const { kernel: k } = run(`${kept}\nsys write ${COMPACT2} 1`);
    expect(inBlocks(k)).toBeLessThan(1025);
  });

  test('[CPT8] kcompactd looks every half second and compacts what is too fragmented', () => {
    const { kernel: k } = run('T0 touch R1 0 1024\nsys sleep 400');
    expect(inBlocks(k)).toBe(0);
    const { kernel: later } = run('T0 touch R1 0 1024\nsys sleep 600');
    expect(inBlocks(later)).toBeGreaterThan(0);
    const off =
      'T0 touch R1 0 1024\nsys write /proc/sys/vm/compaction_proactiveness 0\nsys sleep 5000';
    expect(inBlocks(run(off).kernel)).toBe(0);
  });

  test('[CPT8] deferred faults leave it to kcompactd, which runs after the operation', () => {
    const { kernel: k } = run(`
      sys write /proc/sys/vm/compaction_proactiveness 0
      sys write ${THP}/defrag defer
      sys write ${THP}/enabled always
      T0 mmap R2 12288 anon
      T0 mbind R2 0 12288 bind 2
      ${Array.from({ length: 24 }, (_, i) => `T0 touch R2 ${i * 512} 1`).join('\n')}
    `);
    expect(event(k, 'compact_daemon_wake')).toBeGreaterThan(0);
    expect(event(k, 'thp_fault_alloc')).toBeGreaterThan(0);
  });
});

describe('designs', () => {
  const compact = `sys write ${COMPACT2} 1`;

  test('[CPT10] private nodes are compacted only where their driver lets it in', () => {
    expect(inBlocks(run(compact, { design: privateNode }).kernel)).toBeLessThan(1025);
    const ops = ['MIGRATION', 'MEMPOLICY'] as const;
    const without = makePrivateNodeV4('v4', ops);
    expect(inBlocks(run(compact, { design: without }).kernel)).toBeLessThan(1025);
    const opted = makePrivateNodeV4('v4-compaction', [...ops, 'COMPACTION']);
    expect(inBlocks(run(compact, { design: opted }).kernel)).toBeGreaterThan(3000);
  });

  test('[CPT10] a mark on the area keeps its pages out, as the node does by page', () => {
    expect(inBlocks(run(compact).kernel)).toBeGreaterThan(3000);
    expect(inBlocks(run(compact, { design: markedAreas }).kernel)).toBeLessThan(1025);
    expect(inBlocks(run(compact, { design: byPage }).kernel)).toBeLessThan(1025);
  });
});
