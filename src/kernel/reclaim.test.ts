// Reclaim and swap: which pages leave a full node, who drives them out, and where they come back.
import { describe, expect, test } from 'vitest';
import { type Played, play } from '../../test/support/play.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { stock } from '../designs/stock.ts';
import type { Design } from '../hooks/design.ts';
import type { Machine } from '../machine/machine.ts';
import { ZONE_MOVABLE } from '../mm/gfp.ts';
import { LRU_ACTIVE_ANON, LRU_INACTIVE_ANON, LRU_INACTIVE_FILE } from '../mm/lru.ts';
import { scanControl } from '../mm/reclaim.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import type { Kernel } from './kernel.ts';

const MIB = 1024 ** 2;
const range = (startMib: number, sizeMib: number) => ({
  start: startMib * MIB,
  size: sizeMib * MIB,
});

/** A node for the kernel and two small ones, the second a device. */
const tight = (): Machine =>
  machineFrom({
    name: 'tight',
    arch: 'x86_64',
    nodes: [
      { id: 0, cpus: '0-1', ranges: [range(0, 64)] },
      { id: 1, cpus: '2', ranges: [range(8192, 16)] },
      { id: 2, ranges: [range(16384, 16)], memoryZone: 'movable', device: 'gpu0' },
    ],
    distances: [
      [10, 20, 40],
      [20, 10, 60],
      [40, 60, 10],
    ],
    devices: [{ name: 'gpu0', kind: 'device', homeNode: 0 }],
  });

const event = (k: Kernel, name: keyof typeof EVENT): number => k.mem.stat.event(EVENT[name]);

/** Pages of `R0` by node, those in swap under -2. */
function whereIs(more: Played['more']): Record<string, number> {
  return more('T0 where R0').counts as Record<string, number>;
}

const ON_NODE_1 = `
  sys swapon 8000 -> 0
  T0 mmap R0 6000 anon
  T0 mbind R0 0 6000 bind 1`;

describe('a full node with swap', () => {
  test('[RCL1] the pages that came first leave first, and all the others stay', () => {
    const { more } = play(`${ON_NODE_1}\nT0 touch R0 -> touched 6000`, { machine: tight() });
    const list = more('T0 where R0').where as [string | number, number][];
    expect(list).toHaveLength(2);
    expect(list[0]?.[0]).toBe('ENOENT');
    expect(list[1]?.[0]).toBe(1);
    expect(list[1]?.[1]).toBeGreaterThan(3500);
  });

  test('[RCL2] without swap nothing leaves, and the task dies', () => {
    play('T0 mmap R0 6000 anon\nT0 mbind R0 0 6000 bind 1\nT0 touch R0 -> KILLED', {
      machine: tight(),
    });
  });

  test('[RCL4] when every slot is in use, the task dies', () => {
    const { kernel: k } = play(
      'sys swapon 500\nT0 mmap R0 6000 anon\nT0 mbind R0 0 6000 bind 1\nT0 touch R0 -> KILLED',
      { machine: tight() },
    );
    expect(k.mem.swap.nrFree).toBe(500);
  });

  test('[RCL3] a page used since the last look is kept, used twice active, else it goes', () => {
    const { kernel: k, more } = play(`${ON_NODE_1}\nT0 touch R0 0 100`, { machine: tight() });
    const { vmscan } = k.reclaim as NonNullable<Kernel['reclaim']>;
    const look = (): void => {
      const reclaimIdx = ZONE_MOVABLE;
      const sc = scanControl({ nrToReclaim: 1000, reclaimIdx, order: 0, isKswapd: true });
      vmscan.shrinkNode(1, { ...sc, priority: 0 });
    };
    look();
    expect(whereIs(more)).toMatchObject({ 1: 100 });
    more('T0 touch R0 20 10');
    more('T0 touch R0 100 50');
    look();
    expect(more('T0 where R0 0 100').where).toEqual([
      ['ENOENT', 20],
      [1, 10],
      ['ENOENT', 70],
    ]);
    expect(k.mem.lru.count(1, LRU_ACTIVE_ANON)).toBe(10);
  });

  test('[RCL5] [RCL6] the daemon of the node does it, and of no other node', () => {
    const { kernel: k } = play(`${ON_NODE_1}\nT0 touch R0`, { machine: tight() });
    expect(event(k, 'pgsteal_kswapd')).toBeGreaterThan(1500);
    expect(event(k, 'pgsteal_direct')).toBe(0);
    const { zones } = k.mem;
    const z = zones.ofNode(1)[0] as number;
    expect(zones.free[z]).toBeGreaterThan(zones.wmarkMin[z] as number);
  });

  test('[RCL7] without a daemon the request does it, on the nodes of its mask', () => {
    const noDaemon: Design = { ...stock, answers: { kswapdRuns: () => false } };
    const { kernel: k } = play(
      `sys swapon 8000
      T0 mmap R1 2000 anon
      T0 mbind R1 0 2000 bind 0
      T0 touch R1
      ${ON_NODE_1}
      T0 touch R0 -> touched 6000
      T0 where R1 -> nodes 0:2000`,
      { machine: tight(), design: noDaemon },
    );
    expect(event(k, 'pgsteal_kswapd')).toBe(0);
    expect(event(k, 'pgsteal_direct')).toBeGreaterThan(1500);
  });

  test('[RCL7] a design may keep requests from driving pages off a node: then the task dies', () => {
    const closed: Design = {
      ...stock,
      answers: { kswapdRuns: (nid) => nid !== 1, directReclaim: (nid) => nid !== 1 },
    };
    play(`${ON_NODE_1}\nT0 touch R0 -> KILLED`, { machine: tight(), design: closed });
  });

  test('[RCL7] a cpuset keeps reclaim on its own nodes', () => {
    const { more } = play(
      `sys swapon 8000
      sys mkdir /sys/fs/cgroup/a
      sys write /sys/fs/cgroup/a/cpuset.mems 1
      fork T0 T1
      sys move T1 /sys/fs/cgroup/a
      T0 mmap R1 1000 anon
      T0 mbind R1 0 1000 bind 2
      T0 touch R1
      T1 mmap R0 6000 anon
      T1 touch R0 -> touched 6000
      T0 where R1 -> nodes 2:1000`,
      { machine: tight() },
    );
    expect(more('T1 where R0').counts).not.toHaveProperty('0');
  });
});

describe('pages that come back', () => {
  const OUT = `${ON_NODE_1}
    T0 touch R0 0 100
    T0 madvise R0 0 100 pageout -> 0`;

  test('[RCL8] a page that was on the device comes back where the policy says now', () => {
    const { more } = play(
      `sys swapon 1000
      T0 mmap R0 100 anon
      T0 mbind R0 0 100 bind 2
      T0 touch R0
      T0 where R0 -> nodes 2:100
      T0 madvise R0 0 100 pageout
      T0 mbind R0 0 50 bind 1 -> 0
      T0 mbind R0 50 50 default none -> 0
      T0 read R0 -> read 100
      T0 where R0 -> nodes 0:50 1:50`,
      { machine: tight() },
    );
    expect(whereIs(more)).toEqual({ 0: 50, 1: 50 });
  });

  test('[SWP1] a page of one owner comes alone and leaves its slot', () => {
    const { kernel: k, more } = play(OUT, { machine: tight() });
    expect(k.mem.swap.nrFree).toBe(7900);
    more('T0 read R0 10 1');
    expect(whereIs(more)).toMatchObject({ 1: 1 });
    expect([k.mem.swap.nrFree, k.mem.swap.nrCached]).toEqual([7901, 0]);
  });

  test('[RCL9] [SWP2] pages of two owners come with those around them, by one policy', () => {
    const { kernel: k, more } = play(
      `${OUT}
      fork T0 T1
      T1 mbind R0 0 100 bind 2
      T1 read R0 10 1 -> 0`,
      { machine: tight() },
    );
    expect(k.mem.swap.nrCached).toBe(8);
    more('T0 read R0 0 20');
    expect(more('T0 where R0 0 20').where).toEqual([
      [1, 7],
      [2, 8],
      [1, 5],
    ]);
    more('T0 touch R0 10 1');
    expect(more('T0 where R0 10 1').counts).toEqual({ 1: 1 });
    expect(more('T1 where R0 10 1').counts).toEqual({ 2: 1 });
  });

  test('[SWP3] shared memory goes and comes, with the slots around it', () => {
    const { kernel: k, more } = play(
      `sys swapon 1000
      T0 mmap R0 64 shared
      T0 mbind R0 0 64 bind 1
      T0 touch R0
      T0 madvise R0 0 64 pageout
      T0 mbind R0 0 64 bind 2
      T0 read R0 0 1
      T0 where R0 0 1 -> nodes 2:1`,
      { machine: tight() },
    );
    expect(k.mem.swap.nrCached).toBeGreaterThan(0);
    more('T0 munmap R0');
    expect([k.mem.swap.nrFree, k.mem.swap.nrCached]).toEqual([1000, 0]);
  });

  test('[SWP1] a task that ends gives its slots back, the other keeps its own', () => {
    const { kernel: k, more } = play(`${OUT}\nfork T0 T1`, { machine: tight() });
    more('T0 exit');
    expect(k.mem.swap.nrFree).toBe(7900);
    more('T1 exit');
    expect(k.mem.swap.nrFree).toBe(8000);
  });
});

describe('as Debian 6.1 did it on two nodes', () => {
  test('[RCL9] [SWP3] shared memory comes back in aligned windows of eight slots', () => {
    const { more } = play(
      `sys swapon 4000
      T0 mmap R0 512 shared
      T0 mbind R0 0 512 bind 1
      T0 touch R0
      T0 madvise R0 0 512 pageout
      T0 mbind R0 0 512 bind 0
      T0 read R0 0 1
      T0 mbind R0 0 512 bind 1
      T0 read R0 0 64`,
      { machine: tight() },
    );
    expect(more('T0 where R0').where).toEqual([
      [0, 8],
      [1, 56],
      ['ENOENT', 448],
    ]);
    more('T0 read R0 200 1');
    more('T0 read R0 300 1');
    more('T0 touch R0 0 512');
    expect(more('T0 where R0').where).toEqual([
      [0, 8],
      [1, 504],
    ]);
  });

  test('[RCL8] [RCL9] forked pages come back by the policy of whoever reads them first', () => {
    const { more } = play(
      `sys swapon 4000
      T0 mmap R0 512 anon
      T0 mbind R0 0 512 bind 1
      T0 touch R0
      T0 madvise R0 0 512 pageout
      fork T0 T1
      T1 mbind R0 0 512 bind 0
      T1 read R0 100 1
      T0 read R0 90 30
      T1 read R0 90 30
      T0 touch R0 100 5
      T1 touch R0
      T0 touch R0
      T1 where R0 -> nodes 0:512`,
      { machine: tight() },
    );
    expect(more('T0 where R0').where).toEqual([
      [0, 87],
      [1, 10],
      [0, 3],
      [1, 21],
      [0, 391],
    ]);
  });

  test('[RCL8] interleave, preference and the place of the CPU hold for pages that come back', () => {
    play(
      `sys swapon 4000
      T0 mmap R0 1000 anon
      T0 touch R0
      T0 madvise R0 0 1000 pageout
      T0 mbind R0 0 500 interleave 0,1
      T0 set_mempolicy preferred 1
      T0 read R0
      T0 where R0 -> nodes 0:250 1:750
      T0 madvise R0 0 1000 pageout
      T0 cpu 2
      T0 set_mempolicy default none
      T0 touch R0 500 500
      T0 where R0 500 500 -> nodes 1:500`,
      { machine: tight() },
    );
  });
});

describe('advice', () => {
  test('[RCL10] [VMA3] pageout and cold without swap do nothing', () => {
    const { kernel: k } = play(`
      T0 mmap R0 100 anon
      T0 touch R0
      T0 madvise R0 0 100 pageout -> 0
      T0 madvise R0 0 100 cold -> 0
      T0 where R0 -> nodes 0:100`);
    expect(k.mem.lru.isInUse).toBe(false);
  });

  test('[RCL2] pages given up go for nothing when their node is full, unless written to again', () => {
    const { kernel: k, more } = play(
      `T0 mmap R0 3500 anon
      T0 mbind R0 0 3500 bind 1
      T0 touch R0
      T0 madvise R0 0 1000 free -> 0
      T0 touch R0 0 10
      T0 mmap R1 1200 anon
      T0 mbind R1 0 1200 bind 1
      T0 touch R1 -> touched 1200`,
      { machine: tight() },
    );
    expect(event(k, 'pglazyfreed')).toBeGreaterThan(500);
    expect(more('T0 where R0 0 10').counts).toEqual({ 1: 10 });
    expect(k.mem.lru.count(1, LRU_INACTIVE_FILE)).toBeLessThan(500);
  });

  test('[LRU1] cold moves active pages to the inactive list', () => {
    const { kernel: k, more } = play(`sys swapon 10\nT0 mmap R0 4 anon\nT0 touch R0`);
    const f = k.mem.lru.head(0, LRU_INACTIVE_ANON);
    k.mem.lru.move(f, 0x2, 0);
    more('T0 madvise R0 0 4 cold');
    expect(k.mem.lru.count(0, LRU_ACTIVE_ANON)).toBe(0);
  });

  test('[VMA3] locked areas are refused', () => {
    play(`
      sys swapon 10
      T0 mmap R0 4 anon-locked
      T0 madvise R0 0 4 pageout -> EINVAL
      T0 madvise R0 0 4 cold -> EINVAL`);
  });
});

test('[SWP1] areas are filled by priority, those of one priority in turn', () => {
  const { kernel: k } = play(
    `sys swapon 100
    sys swapon 40 7
    sys swapon 40 7
    T0 mmap R0 60 anon
    T0 touch R0
    T0 madvise R0 0 60 pageout`,
    { machine: tight() },
  );
  expect(k.mem.swap.areas.map((a) => [a.priority, a.nrFree])).toEqual([
    [7, 10],
    [7, 10],
    [-2, 100],
  ]);
});

test('[SCT4] swappiness is kept and shown; EINVAL beyond 200', () => {
  play(`
    sys read /proc/sys/vm/swappiness -> value 60
    sys write /proc/sys/vm/swappiness 201 -> EINVAL
    sys write /proc/sys/vm/swappiness 100 -> 0
    sys read /proc/sys/vm/swappiness -> value 100`);
});
