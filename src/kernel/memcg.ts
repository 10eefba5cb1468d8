// Memory cgroups of a kernel: who pays for a page, what happens when its group may have no more,
// and what writing a limit does.
// Models   linux@v6.1 mm/memcontrol.c: charge_memcg, try_charge_memcg, mem_cgroup_oom,
//          mem_cgroup_handle_over_high, mem_cgroup_swapin_charge_folio, memory_max_write,
//          memory_high_write, memory_reclaim, mem_cgroup_get_oom_group, mem_cgroup_css_alloc,
//          mem_cgroup_css_offline.
// Omits    charges of slab, kernel stacks and sockets, so that a group has less here than on a real
//          kernel: some 40 pages for each task that was forked in it. Pages that a CPU has charged
//          ahead. Throttling above memory.high takes no time. Version 1.
// Holds    MCG3 a page counts for the group of the task that makes it; one that comes back from
//          swap for the group that it counted for. MCG4 what moves stays counted for whom it is,
//          without a look at limits. MCG5 only what reclaim in the group cannot free is refused or
//          killed for.
import { EAGAIN } from '../base/errno.ts';
import type { Frame, ZoneIndex } from '../base/ids.ts';
import {
  __GFP_ACCOUNT,
  __GFP_DIRECT_RECLAIM,
  __GFP_HIGH,
  __GFP_NOFAIL,
  __GFP_NORETRY,
  __GFP_RETRY_MAYFAIL,
} from '../mm/gfp.ts';
import { FAILURE } from '../mm/internal.ts';
import { type MemCgroup, MemCgroups } from '../mm/memcg.ts';
import { KIND_KERNEL } from '../mm/memmap.ts';
import { PAGE_ALLOC_COSTLY_ORDER } from '../mm/pcp.ts';
import { MAX_RECLAIM_RETRIES } from '../mm/reclaim.ts';
import type { Cpuset } from './cpuset.ts';
import type { Kernel } from './kernel.ts';
import { outOfGroup } from './oom.ts';
import type { Purpose } from './placement_count.ts';
import type { Task } from './task.ts';

/** Pages above memory.high after which a task frees as many (MEMCG_CHARGE_BATCH). */
const CHARGE_BATCH = 64;
/** What is counted: users' pages and page tables; neither targets of a move nor pages of pools. */
const CHARGED: ReadonlySet<Purpose> = new Set([
  'page fault',
  'copy on write',
  'shared page',
  'page cache',
  'swap in',
  'page table',
]);

const isCharged = (why: Purpose, gfp: number): boolean =>
  CHARGED.has(why) || (why === 'kernel page' && (gfp & __GFP_ACCOUNT) !== 0);

/** A control group gets a memory cgroup; the first one of a run switches the accounts on. */
export function newMemCgroup(k: Kernel, parent: MemCgroup | null): MemCgroup {
  const { mem, allocator } = k;
  k.memcg ??= new MemCgroups(mem.map.nrFrames);
  const group = k.memcg.newGroup(parent);
  mem.lru.prepareGroups(k.memcg.groups.length, k.memcg.owner);
  mem.swap.memcg = k.memcg;
  allocator.memcg = k.memcg;
  return group;
}

/** The memory cgroup that counts for a control group: its own, or the nearest above. */
export const memcgOf = (group: Cpuset): MemCgroup | null =>
  group.memcg ?? (group.parent === null ? null : memcgOf(group.parent));

function payerOf(k: Kernel, task: Task): MemCgroup | null {
  const payer = k.memcg?.payer;
  return payer === undefined ? memcgOf(task.group) : payer;
}

/** How many pages in a row a task may ask for, so that the last of them is still within limits. */
export function wantWithin(k: Kernel, task: Task, want: number, why: Purpose): number {
  if (k.memcg === null || want === 1 || !CHARGED.has(why)) return want;
  const group = payerOf(k, task);
  if (group === null) return want;
  let room = k.memcg.room(group);
  for (let g: MemCgroup | null = group; g !== null; g = g.parent) {
    if (g.high < Number.POSITIVE_INFINITY) {
      room = Math.min(room, Math.max(g.high - g.used, CHARGE_BATCH - task.nrOverHigh));
    }
  }
  return Math.max(1, Math.min(want, room));
}

/**
 * Counts blocks of 2^order frames, just given and in allocator.out, for whom they are.
 * @returns how many: all, or none when the first found no room; then it is free again, and
 *   allocator.failure says why.
 */
export function chargeGiven(
  k: Kernel,
  task: Task,
  n: number,
  order: number,
  gfp: number,
  why: Purpose,
): number {
  const { memcg, allocator } = k;
  if (memcg === null || n === 0 || !isCharged(why, gfp)) return n;
  const group = payerOf(k, task);
  memcg.isRefused = false;
  if (group === null) return n;
  if (memcg.overLimit(group, n << order) !== null) {
    const f = allocator.out[0] as Frame;
    const zone = allocator.lastZone as ZoneIndex;
    k.mem.map.claim(f, KIND_KERNEL, 0, 0, 0);
    // Who must not fail, or cannot wait, is counted beyond the limit.
    const isForced = (gfp & (__GFP_NOFAIL | __GFP_HIGH)) !== 0;
    if (!makeRoom(k, task, group, order, gfp) && !isForced) {
      allocator.freeBlock(f, order);
      memcg.isRefused = true;
      return 0;
    }
    k.setCurrent(task);
    allocator.out[0] = f;
    allocator.lastZone = zone;
  }
  memcg.charge(group, allocator.out, n, order);
  keepBelowHigh(k, task, group, n << order);
  return n;
}

/**
 * Frees pages of a group that is full, or kills in it, until a block has room (try_charge_memcg).
 * False when that is in vain.
 */
function makeRoom(k: Kernel, task: Task, group: MemCgroup, order: number, gfp: number): boolean {
  const memcg = k.memcg as MemCgroups;
  const nrPages = 1 << order;
  let retries = MAX_RECLAIM_RETRIES;
  k.allocator.failure = FAILURE.NO_RECLAIM;
  for (;;) {
    const full = memcg.overLimit(group, nrPages);
    if (full === null) return true;
    full.note('max');
    if ((gfp & k.gfpContext & __GFP_DIRECT_RECLAIM) === 0) return false;
    const nrFreed = reclaimFrom(k, task, full, nrPages);
    if (memcg.overLimit(full, nrPages) === null) continue;
    if (gfp & __GFP_NORETRY) return false;
    const isCostly = order > PAGE_ALLOC_COSTLY_ORDER;
    if (nrFreed > 0 && !isCostly) continue;
    if (k.reclaim !== null && retries-- > 0) continue;
    if (gfp & __GFP_RETRY_MAYFAIL || isCostly) return false;
    if (!outOfGroup(k, task, full)) return false;
    if (!task.isAlive) {
      k.allocator.failure = FAILURE.KILLED;
      return false;
    }
    retries = MAX_RECLAIM_RETRIES;
  }
}

/** Frees pages of a group and those below, on nodes of the list of the task's own. */
function reclaimFrom(k: Kernel, task: Task, group: MemCgroup, nrPages: number): number {
  if (k.reclaim === null) return 0;
  k.setCurrent(task);
  const zones = k.mem.lists.fallback[k.localNode(task)]?.zones ?? [];
  return k.reclaim.reclaim.reclaimGroup(group, nrPages, zones);
}

/** A task that has made so many pages above memory.high frees as many before it goes on. */
function keepBelowHigh(k: Kernel, task: Task, group: MemCgroup, nrPages: number): void {
  let isOver = false;
  for (let g: MemCgroup | null = group; g !== null; g = g.parent) isOver ||= g.used > g.high;
  if (!isOver) return;
  task.nrOverHigh += nrPages;
  if (task.nrOverHigh < CHARGE_BATCH || k.reclaim === null) return;
  const n = task.nrOverHigh;
  task.nrOverHigh = 0;
  const { allocator } = k;
  const given = allocator.out.slice();
  const zone = allocator.lastZone;
  for (let g: MemCgroup | null = group; g !== null; g = g.parent) {
    if (g.used <= g.high) continue;
    g.note('high');
    reclaimFrom(k, task, g, n);
  }
  k.setCurrent(task);
  allocator.out.set(given);
  allocator.lastZone = zone;
}

/**
 * Who pays for a page that comes back from a slot: the group that it counted for, null for the
 * root; undefined when that group is gone, and the task's pays.
 */
export function payerOfSlot(memcg: MemCgroups, slot: number): MemCgroup | null | undefined {
  const group = memcg.groups[memcg.swapOwnerOf(slot)] ?? null;
  return group?.isGone === true ? undefined : group;
}

/** Writes memory.max: what is above it is freed, and killed for (memory_max_write). */
export function setMax(k: Kernel, group: MemCgroup, nrPages: number): void {
  group.max = nrPages;
  let retries = MAX_RECLAIM_RETRIES;
  while (group.used > group.max) {
    if (k.reclaim !== null && retries > 0) {
      if (reclaimFrom(k, k.kthread, group, group.used - group.max) === 0) retries--;
    } else if (!outOfGroup(k, k.kthread, group)) break;
  }
}

/** Writes memory.high: what is above it is freed as far as it can be (memory_high_write). */
export function setHigh(k: Kernel, group: MemCgroup, nrPages: number): void {
  group.high = nrPages;
  let retries = MAX_RECLAIM_RETRIES;
  while (group.used > group.high && retries > 0 && k.reclaim !== null) {
    if (reclaimFrom(k, k.kthread, group, group.used - group.high) === 0) retries--;
  }
}

/** Writes memory.reclaim. Returns 0, or -EAGAIN when less than that could be freed. */
export function reclaimNow(k: Kernel, group: MemCgroup, nrPages: number): number {
  let retries = MAX_RECLAIM_RETRIES;
  for (let freed = 0; freed < nrPages; ) {
    const n = reclaimFrom(k, k.kthread, group, nrPages - freed);
    if (n === 0 && (k.reclaim === null || retries-- === 0)) return -EAGAIN;
    freed += n;
  }
  return 0;
}
