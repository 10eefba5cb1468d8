// Reclaim of transparent huge pages: which go whole, which in pieces, and how they come back.
import { describe, expect, test } from 'vitest';
import { type PlayInput, play } from '../../test/support/play.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { checkAll } from '../checkers/index.ts';
import { stock } from '../designs/stock.ts';
import type { Design } from '../hooks/design.ts';
import { LRU_INACTIVE_ANON, LRU_INACTIVE_FILE, LRU_UNEVICTABLE } from '../mm/lru.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import type { Kernel } from './kernel.ts';

const MIB = 1024 ** 2;
const range = (startMib: number, sizeMib: number) => ({
  start: startMib * MIB,
  size: sizeMib * MIB,
});

/** A node for the kernel, and two small ones. */
const tight = () =>
  machineFrom({
    name: 'tight',
    arch: 'x86_64',
    nodes: [
      { id: 0, cpus: '0-1', ranges: [range(0, 64)] },
      { id: 1, cpus: '2', ranges: [range(8192, 16)] },
      { id: 2, ranges: [range(16384, 16)], memoryZone: 'movable', isKmem: true },
    ],
    distances: [
      [10, 20, 40],
      [20, 10, 60],
      [40, 60, 10],
    ],
  });

/** Plays a text with huge pages and swap; no judge may find anything afterwards. */
function run(text: string, input: PlayInput = {}, nrSlots = 9000) {
  const first = `sys write /sys/kernel/mm/transparent_hugepage/enabled always
    sys swapon ${nrSlots}`;
  const played = play(`${first}\n${text}`, { machine: tight(), ...input });
  expect(checkAll(played.kernel)).toEqual([]);
  return played;
}

/** Runs further lines, each of which names its pages. */
const runAll = (more: (line: string) => unknown, lines: string): void => {
  for (const line of lines.split('\n')) more(line);
};

const event = (k: Kernel, name: keyof typeof EVENT): number => k.mem.stat.event(EVENT[name]);

describe('huge pages on lists', () => {
  test('[LRU2] [LRU4] one is on a list once and counts for 512, also when swap comes late', () => {
    const { kernel: k } = play(
      `sys write /sys/kernel/mm/transparent_hugepage/enabled always
      T0 mmap R0 1024 anon
      T0 touch R0
      sys swapon 100`,
      { machine: tight() },
    );
    expect(k.mem.lru.count(0, LRU_INACTIVE_ANON)).toBe(1024 + 1);
    expect(checkAll(k)).toEqual([]);
  });

  test('[LRU6] the small pages of one that is split take its place, the first to be looked at first', () => {
    const { kernel: k } = run(`
      T0 mmap R0 1536 anon
      T0 touch R0
      T0 madvise R0 520 1 free`);
    const { lru } = k.mem;
    const order: number[] = [];
    for (let f = lru.tail(0, LRU_INACTIVE_ANON); f !== -1; f = lru.prev[f] as number) order.push(f);
    const at = order.findIndex((f) => lru.nrPagesOf(f) === 512);
    const small = order.slice(at + 1, at + 1 + 511);
    expect(small.every((f) => lru.nrPagesOf(f) === 1)).toBe(true);
    expect(small).toEqual([...small].sort((a, b) => a - b));
    expect(lru.count(0, LRU_INACTIVE_FILE)).toBe(1);
  });

  test('[LCK1] only an entry that maps one whole locks it, and split pages are locked by theirs', () => {
    const { kernel: k, more } = run(`
      T0 mmap R0 1024 anon
      T0 touch R0
      T0 mlock R0 0 1024`);
    expect(k.mem.lru.count(0, LRU_UNEVICTABLE)).toBe(1024);
    more('T0 munlock R0 0 100');
    expect(k.mem.lru.count(0, LRU_UNEVICTABLE)).toBe(512);
    more('T0 madvise R0 0 100 pageout');
    expect(k.mem.lru.count(0, LRU_UNEVICTABLE)).toBe(512 + 412);
    expect(checkAll(k)).toEqual([]);
  });
});

describe('huge pages and swap', () => {
  test('[RCL11] a full node sends them out whole, and they come back as small pages', () => {
    const { kernel: k, more } = run(`
      T0 mmap R0 6144 anon
      T0 mbind R0 0 6144 bind 1
      T0 touch R0 -> touched 6144`);
    const nrOut = event(k, 'thp_swpout');
    expect(nrOut).toBeGreaterThan(3);
    expect(event(k, 'pswpout')).toBeGreaterThanOrEqual(nrOut * 512);
    expect(event(k, 'thp_split_pmd')).toBeGreaterThanOrEqual(nrOut);
    expect(more('T0 where R0 0 512').where).toEqual([['ENOENT', 512]]);
    more('T0 touch R0 5 10');
    expect(more('T0 where R0 0 512').where).toEqual([
      ['ENOENT', 5],
      [1, 10],
      ['ENOENT', 497],
    ]);
  });

  test('[RCL11] [SWP4] without a whole cluster of slots it is split, and goes page by page', () => {
    const { kernel: k } = run(
      `T0 mmap R0 1024 anon
      T0 touch R0
      T0 madvise R0 0 1024 pageout
      T0 where R0 -> nodes ENOENT:1022 0:2`,
      {},
      1022,
    );
    // The header of the area and the end of its last cluster leave no cluster but the second.
    expect(event(k, 'thp_swpout')).toBe(0);
    expect(event(k, 'thp_swpout_fallback')).toBe(2);
    expect(event(k, 'pswpout')).toBe(1022);
  });

  test('[SWP4] a cluster is free again when its last slot is', () => {
    const { kernel: k, more } = run(
      `T0 mmap R0 512 anon
      T0 mmap R1 512 anon
      T0 mmap R2 512 anon
      T0 touch R0
      T0 madvise R0 0 512 pageout`,
      {},
      1023,
    );
    expect(event(k, 'thp_swpout')).toBe(1);
    runAll(more, 'T0 touch R0 1 511\nT0 touch R1 0 512\nT0 madvise R1 0 512 pageout');
    expect(event(k, 'thp_swpout')).toBe(1);
    runAll(more, 'T0 touch R0 0 1\nT0 munmap R1 0 512');
    runAll(more, 'T0 touch R2 0 512\nT0 madvise R2 0 512 pageout');
    expect(event(k, 'thp_swpout')).toBe(2);
    expect(checkAll(k)).toEqual([]);
  });

  test('[RCL11] one that no entry maps whole is split, what is unused of it is written too', () => {
    const { kernel: k } = run(`
      T0 mmap R0 512 anon
      T0 touch R0
      T0 madvise R0 0 12 dontneed
      T0 where R0 -> nodes EFAULT:12 0:500
      sys mkdir /sys/fs/cgroup/a
      sys write /sys/fs/cgroup/cgroup.subtree_control +memory
      T0 madvise R0 12 500 pageout
      T0 where R0 -> nodes EFAULT:12 ENOENT:500`);
    expect(event(k, 'thp_split_page')).toBe(1);
    expect(event(k, 'thp_swpout')).toBe(0);
  });

  test('[RCL11] what two tasks map goes from both, and each has it back by itself', () => {
    const { kernel: k, more } = run(`
      T0 mmap R0 2048 anon
      T0 mbind R0 0 2048 bind 1
      T0 touch R0
      fork T0 T1
      T1 mmap R1 6000 anon
      T1 mbind R1 0 6000 bind 1
      T1 touch R1`);
    expect(event(k, 'thp_swpout')).toBeGreaterThan(2);
    const gone = (task: string) => more(`${task} where R0 0 512`).where;
    expect(gone('T0')).toEqual([['ENOENT', 512]]);
    expect(gone('T1')).toEqual([['ENOENT', 512]]);
    more('T1 touch R0 0 512');
    expect(gone('T0')).not.toEqual(gone('T1'));
    expect(checkAll(k)).toEqual([]);
  });

  test('[RCL11] one given up whole goes for nothing, unless it was written to since', () => {
    const { kernel: k } = run(`
      T0 mmap R0 1024 anon
      T0 touch R0
      T0 madvise R0 0 1024 free
      T0 touch R0 700 1
      T0 madvise R0 0 1024 pageout
      T0 where R0 -> nodes EFAULT:512 0:512`);
    expect(event(k, 'pglazyfree')).toBe(1024);
    expect(event(k, 'pglazyfreed')).toBe(512);
    expect(event(k, 'pswpout')).toBe(0);
  });

  test('[RCL13] advice splits one that it names in part, and leaves what others map too', () => {
    const { kernel: k, more } = run(`
      T0 mmap R0 1024 anon
      T0 touch R0
      T0 madvise R0 0 100 pageout
      T0 where R0 -> nodes ENOENT:100 0:924
      fork T0 T1
      T0 madvise R0 512 512 pageout
      T0 where R0 512 512 -> nodes 0:512`);
    expect(event(k, 'thp_split_page')).toBe(1);
    runAll(more, 'T1 exit\nT0 madvise R0 512 512 pageout');
    expect(event(k, 'thp_swpout')).toBe(1);
  });

  test('[RCL12] what is unused of huge pages is given back once reclaim looks hard', () => {
    const { kernel: k } = run(`
      T0 mmap R0 1024 anon
      T0 touch R0
      T0 madvise R0 0 500 dontneed
      T0 mmap R1 9000 anon
      T0 mbind R1 0 9000 bind 1
      T0 touch R1 0 3000`);
    expect(k.thp.splitQueue.size).toBe(1);
    const slab = { owners: k.reclaim, queue: k.thp.splitQueue };
    for (let priority = 12; priority > 0; priority--) {
      slab.owners?.shrinkSlab(0, null, priority);
      expect(slab.queue.size).toBe(1);
    }
    slab.owners?.shrinkSlab(1, null, 0);
    expect(slab.queue.size).toBe(0);
    expect(checkAll(k)).toEqual([]);
  });

  test('[THP12] pages in a swap area come back to be collapsed', () => {
    const { kernel: k } = run(`
      T0 mmap R0 512 anon
      T0 touch R0
      T0 madvise R0 0 500 pageout
      T0 madvise R0 0 512 collapse -> 0
      T0 where R0 -> nodes 0:512`);
    expect(event(k, 'thp_collapse_alloc')).toBe(1);
    expect(k.mem.swap.nrFree).toBe(9000);
  });
});

describe('huge pages and slower memory', () => {
  const demoting = `sys write /sys/kernel/mm/numa/demotion_enabled 1
      T0 mmap R0 4096 anon
      T0 mbind R0 0 4096 preferred 1`;

  test('[TIR8] one goes down whole where there is a block', () => {
    const { kernel: k, more } = run(`${demoting}
      T0 touch R0
      T0 mmap R1 1500 anon
      T0 mbind R1 0 1500 bind 1
      T0 touch R1`);
    const counts = more('T0 where R0').counts as Record<string, number>;
    expect(counts['2']).toBeGreaterThanOrEqual(512);
    expect(event(k, 'pgdemote_kswapd') % 512).toBe(0);
    expect(event(k, 'thp_migration_success')).toBe(event(k, 'pgdemote_kswapd') / 512);
  });

  test('[TIR8] where there is none it is split, and its pages go one by one', () => {
    const inPieces: Design = { ...stock, answers: {} };
    const { kernel: k } = run(
      `sys write /sys/kernel/mm/transparent_hugepage/enabled never
      T0 mmap R2 3500 anon
      T0 mbind R2 0 3500 bind 2
      T0 touch R2
      T0 mmap R3 3500 anon
      T0 move_pages R2 0 1 0
      ${Array.from({ length: 8 }, (_, i) => `T0 munmap R2 ${100 + 400 * i} 200`).join('\n')}
      sys write /sys/kernel/mm/transparent_hugepage/enabled always
      ${demoting}
      T0 touch R0
      T0 mmap R1 1500 anon
      T0 mbind R1 0 1500 bind 1
      T0 touch R1`,
      { design: inPieces },
    );
    expect(event(k, 'thp_migration_split')).toBeGreaterThan(0);
    expect(event(k, 'pgdemote_kswapd')).toBeGreaterThan(0);
  });
});
