// Pages that parts of the kernel ask for: how far each kind of request may go, and whose they are.
// Machine: nodes 0 and 1 with CPUs, node 2 a device in ZONE_MOVABLE.
import { expect, test } from 'vitest';
import { bootDevice, type PlayInput, play } from '../../test/support/play.ts';
import { checkAll } from '../checkers/index.ts';
import { findDesign } from '../designs/index.ts';
import { ATTEMPT, DecisionLog } from '../mm/decision_log.ts';
import type { Kernel } from './kernel.ts';

const MOST = 1_000_000;

const run = (text: string, input: PlayInput = {}) => {
  const played = play(text, input);
  expect(checkAll(played.kernel)).toEqual([]);
  return played;
};

/**
 * Holds the largest zone of a node to where requests have left it: refused at `mark` free pages,
 * and less than a batch below, since the lists of a CPU are filled by batches.
 */
function expectLeft(kernel: Kernel, node: number, mark: (min: number) => number): void {
  const { zones } = kernel.mem;
  const own = [...zones.nid.keys()].filter((z) => zones.nid[z] === node);
  const size = (z: number): number => zones.managed[z] as number;
  const z = own.reduce((most, other) => (size(other) > size(most) ? other : most));
  const left = mark(zones.wmarkMin[z] as number);
  expect(zones.free[z]).toBeLessThanOrEqual(left);
  expect(zones.free[z]).toBeGreaterThan(left - (zones.pcpBatch[z] as number));
}

const halfOff = (min: number): number => min - (min >> 1);
const quarterOff = (n: number): number => n - (n >> 2);

test('[KRQ1] a request follows the policy of the task that called, or starts at the node it names', () => {
  run(`
    T0 set_mempolicy preferred 1
    T0 alloc_pages drv 10 GFP_KERNEL -> nodes 1:10
    T0 alloc_pages drv 10 GFP_KERNEL node=0 -> nodes 0:10
    T0 set_mempolicy interleave 0,1
    T0 alloc_pages drv 10 GFP_KERNEL order=1 -> nodes 0:10 1:10
    T0 alloc_pages drv 4 GFP_USER node=2 -> nodes 0:4
    T0 alloc_pages drv 4 GFP_USER|__GFP_THISNODE node=2 -> ENOMEM`);
});

test('[KRQ2] nobody moves the pages, and they come back when they are given back', () => {
  const { kernel, more } = run('T0 touch R0 0 0');
  const nrFree = () => kernel.mem.zones.free.reduce((sum, n) => sum + n, 0);
  const before = nrFree();
  expect(more('T0 alloc_pages drv 100 GFP_KERNEL order=4 node=1')).toMatchObject({ given: 100 });
  const frames = kernel.kernelPages.get('drv')?.map(({ f }) => f);
  more('sys write /proc/sys/vm/compact_memory 1');
  expect(kernel.kernelPages.get('drv')?.map(({ f }) => f)).toEqual(frames);
  expect(checkAll(kernel)).toEqual([]);
  expect(nrFree()).toBe(before - 1600);
  expect(more('T0 free_pages drv')).toEqual({ ret: 0, freed: 100 });
  expect(nrFree()).toBe(before);
  expect(more('T0 free_pages drv')).toEqual({ ret: 'ENOENT' });
});

test('[KRQ3] GFP_ATOMIC goes below min: by half, since it is high, and by a quarter of the rest, since it cannot wait', () => {
  const { kernel } = run(`
    T0 alloc_pages drv ${MOST} GFP_KERNEL|__GFP_RETRY_MAYFAIL|__GFP_THISNODE node=1 -> ENOMEM
    T0 alloc_pages drv ${MOST} GFP_ATOMIC|__GFP_THISNODE node=1 -> ENOMEM`);
  expectLeft(kernel, 1, (min) => quarterOff(halfOff(min)));
});

test('[KRQ3] one that can wait stops at half of min, one that frees memory at nothing', () => {
  const high = run(`
    T0 alloc_pages drv ${MOST} GFP_KERNEL|__GFP_HIGH|__GFP_THISNODE|__GFP_RETRY_MAYFAIL node=1 -> ENOMEM`);
  expectLeft(high.kernel, 1, halfOff);
  const all = run(`
    T0 alloc_pages drv ${MOST} GFP_KERNEL|__GFP_MEMALLOC|__GFP_THISNODE|__GFP_NORETRY node=1 -> ENOMEM`);
  expectLeft(all.kernel, 1, () => 0);
  const not = run(`
    T0 alloc_pages drv ${MOST} GFP_KERNEL|__GFP_MEMALLOC|__GFP_NOMEMALLOC|__GFP_THISNODE node=1 -> ENOMEM`);
  expectLeft(not.kernel, 1, (min) => min);
});

test('[KRQ4] who must not fail kills, and takes what is left without a look at the marks', () => {
  const { kernel, more } = run(`
    fork T0 T1
    T1 mmap R0 2000 anon
    T1 mbind R0 0 2000 bind 2
    T1 touch R0
    T0 swrite /proc/self/oom_score_adj -1000
    T0 alloc_pages drv ${MOST} GFP_KERNEL|__GFP_RETRY_MAYFAIL -> ENOMEM`);
  const log = new DecisionLog();
  kernel.allocator.log = log;
  expect(more('T0 alloc_pages drv 1 GFP_KERNEL|__GFP_NOFAIL')).toMatchObject({ given: 1 });
  expect(kernel.kills.map((kill) => kill.victim)).toEqual(['T1']);
  const attempts = [...log.records()].map(({ attempt, isGiven }) => [attempt, isGiven]);
  expect(attempts.at(-1)).toEqual([ATTEMPT.RESERVES, true]);
  expect(checkAll(kernel)).toEqual([]);
});

test('[KRQ5] one that may not kill either takes of the reserves, and is tried again for ever', () => {
  const { kernel } = run(`
    T0 alloc_pages drv ${MOST} GFP_KERNEL|__GFP_NOFAIL|__GFP_THISNODE node=1 -> LIVELOCK`);
  expectLeft(kernel, 1, halfOff);
  expect(kernel.kills).toEqual([]);
});

test('[KRQ4] without leave to reclaim it fails all the same', () => {
  run(`T0 alloc_pages drv ${MOST} GFP_NOWAIT|__GFP_NOFAIL|__GFP_THISNODE node=1 -> ENOMEM`);
});

test('[KRQ6] pages count for the memory cgroup where asked; urgent ones beyond its limit', () => {
  run(`
    sys mkdir /sys/fs/cgroup/a
    sys write /sys/fs/cgroup/cgroup.subtree_control +memory
    sys write /sys/fs/cgroup/a/memory.max 1M
    sys move T0 /sys/fs/cgroup/a
    T0 swrite /proc/self/oom_score_adj -1000
    T0 alloc_pages drv 100 GFP_KERNEL order=2
    sys read /sys/fs/cgroup/a/memory.current -> value 0
    T0 alloc_pages acct 60 GFP_KERNEL_ACCOUNT order=2
    sys read /sys/fs/cgroup/a/memory.current -> value 983040
    T0 alloc_pages more 10 GFP_KERNEL_ACCOUNT order=2 -> ENOMEM
    T0 alloc_pages forced 10 GFP_ATOMIC|__GFP_ACCOUNT order=2 -> given 10
    T0 free_pages acct
    T0 free_pages more
    T0 free_pages forced
    sys read /sys/fs/cgroup/a/memory.current -> value 0`);
});

test.each(['allocator-gate', 'zonelist', 'limited-node', 'driver', 'private-node'])(
  '[KRQ7] no kernel page comes to memory that %s keeps apart, however little is left',
  (id) => {
    const { last } = run(`T0 alloc_pages drv ${MOST} GFP_KERNEL|__GFP_RETRY_MAYFAIL -> ENOMEM`, {
      design: findDesign(id),
      machine: bootDevice(),
    });
    expect(last.counts).not.toHaveProperty('2');
  },
);
