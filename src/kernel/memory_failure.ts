// Memory that breaks: what becomes of a page with an error that cannot be corrected, of one that is
// about to have one, and of all pages of a node whose link goes down.
// Models   linux@v6.1 mm/memory-failure.c: memory_failure, hwpoison_user_mappings, kill_procs,
//          me_pagecache_clean, me_kernel, get_any_page, soft_offline_page, page_handle_poison;
//          mm/page_alloc.c: take_page_off_buddy; mm/madvise.c: madvise_inject_error;
//          mm/shmem.c: shmem_error_remove_page. Pages of files and of pools: broken_pages.ts.
// Omits    early kill (vm.memory_failure_early_kill), what firmware does before the kernel hears of
//          an error. No kernel function takes a whole node: see SPEC HWP6.
// Holds    HWP1 a poisoned frame is nobody's once its last user is gone, and never free again. HWP2
//          no entry maps it.

import { NotModelled } from '../base/assert.ts';
import { EBUSY, EFAULT, EHWPOISON, EIO, ENODEV, ENOMEM } from '../base/errno.ts';
import type { Frame, NodeId } from '../base/ids.ts';
import {
  __GFP_HIGHMEM,
  __GFP_MOVABLE,
  __GFP_RETRY_MAYFAIL,
  GFP_USER,
  ZONE_MOVABLE,
} from '../mm/gfp.ts';
import {
  KIND_ANON,
  KIND_FILE,
  KIND_HUGETLB,
  KIND_KERNEL,
  KIND_PAGE_TABLE,
  KIND_SHMEM,
  KIND_THP,
} from '../mm/memmap.ts';
import { breakFilePage, breakHuge, retireHuge, unmapBroken } from './broken_pages.ts';
import { errorInDeviceMemory, loseDeviceMemory } from './device_presence.ts';
import { FAULT, touchPages } from './fault.ts';
import { exitTask, IMAGE_VPN } from './fork.ts';
import { isHuge } from './hugetlb_area.ts';
import type { Kernel } from './kernel.ts';
import { migrateFrames } from './migrate.ts';
import { anyFrameOf, PTE_POISON, PTE_ZERO_PAGE, pteFrame, pteIsPage } from './page_table.ts';
import { allocOnNode } from './policy_alloc.ts';
import { dropPage } from './swap_fault.ts';
import type { Task } from './task.ts';
import { THP_PAGES } from './thp.ts';
import { splitPage } from './thp_split.ts';
import { isZoneDevice } from './zone_device.ts';

/**
 * A page has an error that nobody has run into yet (memory_failure). Entries that map it are
 * replaced, so that every later touch is SIGBUS; a private page is lost, one of shared memory stays
 * where it is and cannot be had.
 * @returns 0; -EBUSY when the kernel can do nothing about it; -EHWPOISON when it was broken before.
 */
export function memoryFailure(k: Kernel, f: Frame): number {
  const { map, held } = k.mem;
  if (held.isPoisoned(f)) return -EHWPOISON;
  if (map.kind[f] === KIND_HUGETLB) return breakHuge(k, f);
  held.poison(f);
  if (k.thp.isPart(f) && splitPage(k, k.thp.headOf(f)) < 0) return -EBUSY;
  const kind = map.kind[f];
  if (kind === KIND_FILE) return breakFilePage(k, f);
  if (kind !== KIND_ANON && kind !== KIND_SHMEM) return -EBUSY;
  unmapBroken(k, f, PTE_POISON);
  if (k.mem.lru.isInUse) k.mem.lru.forget(f);
  const isPinned = held.isPinned(f);
  if (kind === KIND_ANON) dropPage(k, f);
  return isPinned && kind === KIND_SHMEM ? -EBUSY : 0;
}

/**
 * A page has had errors that could be corrected: its contents move elsewhere, by the list of its
 * own node, and the frame is not used again (soft_offline_page).
 * @returns 0; -EBUSY when something holds it; -ENOMEM when there is no place for it.
 */
export function softOffline(k: Kernel, f: Frame, task: Task): number {
  const { map, held } = k.mem;
  if (held.isPoisoned(f)) return 0;
  if (map.kind[f] === KIND_HUGETLB) return retireHuge(k, f, task);
  if (k.thp.isPart(f) && splitPage(k, k.thp.headOf(f)) < 0) return -EBUSY;
  const kind = map.kind[f];
  if (kind !== KIND_ANON && kind !== KIND_SHMEM && kind !== KIND_FILE) return -EIO;
  const nid = k.allocator.nidOf(f);
  const isMovable = k.mem.zones.type[k.mem.buddy.zoneOf(f)] === ZONE_MOVABLE;
  const gfp = GFP_USER | __GFP_MOVABLE | __GFP_RETRY_MAYFAIL | (isMovable ? __GFP_HIGHMEM : 0);
  const target = () => allocOnNode(k, task, gfp, nid, 'migration target', 'memory offline');
  const left = migrateFrames(k, [f], target, 'soft offline', (old) => {
    held.poison(old);
    k.allocator.free(old);
  });
  return left > 0 ? -EBUSY : left;
}

/**
 * madvise with MADV_HWPOISON or MADV_SOFT_OFFLINE: the first error ends it. A huge page is broken
 * at one place, and the next address is as far on as it is long (madvise_inject_error).
 */
export function injectErrors(
  k: Kernel,
  task: Task,
  startVpn: number,
  nrPages: number,
  isSoft: boolean,
): number {
  for (let vpn = startVpn; vpn < startVpn + nrPages; ) {
    const { fault } = touchPages(k, task, vpn, 1, false, 'gup');
    const isShort = fault === FAULT.RETRY || fault === FAULT.KILLED;
    if (fault !== FAULT.OK) return isShort ? -ENOMEM : -EFAULT;
    const vma = task.mm.lookup(vpn);
    const isOfPool = vma !== undefined && isHuge(vma);
    const { pageTable } = task.mm;
    const pte = isOfPool ? pageTable.getHuge(vpn) : pageTable.get(vpn);
    const isThp = pteIsPage(pte) && k.thp.isPart(pteFrame(pte));
    const step = isOfPool ? vma.huge.inode.nrSmall : isThp ? THP_PAGES : 1;
    const ret = breakEntry(k, task, pte, isSoft);
    if (ret !== 0) return ret;
    vpn += step;
  }
  return 0;
}

/** An error, or one to come, in the page that an entry maps; -EFAULT when it maps none. */
export function breakEntry(k: Kernel, task: Task, pte: number, isSoft: boolean): number {
  if (pte === PTE_ZERO_PAGE) return breakZeroPage(k, isSoft);
  const f = anyFrameOf(pte);
  if (f === -1) return -EFAULT;
  if (isZoneDevice(k, f)) return errorInDeviceMemory(isSoft);
  if (!pteIsPage(pte)) throw new NotModelled('a memory error in a buffer of a driver');
  return isSoft ? softOffline(k, pteFrame(pte), task) : memoryFailure(k, pteFrame(pte));
}

/** The zero page is part of the kernel image: it is marked, and goes on being used. */
function breakZeroPage(k: Kernel, isSoft: boolean): number {
  const wasBroken = k.isZeroPageBroken;
  if (isSoft) return wasBroken ? 0 : -EIO;
  k.isZeroPageBroken = true;
  return wasBroken ? -EHWPOISON : -EBUSY;
}

/** What a link failure took. */
export interface LinkFailure {
  readonly ret: number;
  /** Free pages that are gone, and pages of users. */
  readonly nrFree: number;
  readonly nrUsed: number;
}

/**
 * All memory of a node is gone at once. Where pages of the kernel's own lay on it the machine is
 * lost; else each page is as if it had an error that nobody has run into yet. A program whose own
 * stack and data lay there is killed as soon as it runs.
 * @returns -ENODEV for a node without memory.
 */
export function failLink(k: Kernel, nid: NodeId): LinkFailure {
  const kept = k.mem.deviceMemory.ofNode(nid);
  if (kept?.isThere === true) {
    const lost = loseDeviceMemory(k, kept);
    endWithoutImage(k);
    return { ret: 0, ...lost };
  }
  if (!k.states.anyMemory.has(nid)) return { ret: -ENODEV, nrFree: 0, nrUsed: 0 };
  const why = kernelPagesOn(k, nid);
  if (why !== undefined) {
    k.panic = `${why} on node ${nid}, which is gone`;
    return { ret: 0, nrFree: 0, nrUsed: 0 };
  }
  let nrFree = 0;
  let nrUsed = 0;
  const { zones, buddy, pcp, held } = k.mem;
  const own = zones.ofNode(nid);
  for (const z of own) {
    nrFree += (zones.free[z] as number) + pcp.countOf(z);
    for (const { start, end } of k.mem.stretchesOf(z)) {
      for (let f = start; f < end; f++) nrUsed += loseFrame(k, f as Frame);
    }
  }
  for (const z of own) {
    pcp.drain(z);
    for (const { start, end } of k.mem.stretchesOf(z)) {
      for (const { f, order } of buddy.takeRange(z, start, end)) {
        for (let i = 0; i < 1 << order; i++) held.poisonFree(f + i);
      }
    }
  }
  for (const buffer of k.buffers.values()) {
    if (buffer.nid !== nid) continue;
    buffer.isLost = true;
    nrUsed += buffer.frames.length;
  }
  k.allocator.forgetRequest();
  endWithoutImage(k);
  return { ret: 0, nrFree, nrUsed };
}

/** Programs whose own stack and data are lost end as soon as they run. */
function endWithoutImage(k: Kernel): void {
  for (const task of k.liveTasks()) {
    if (task.mm.pageTable.get(IMAGE_VPN) === PTE_POISON) exitTask(k, task, 'SIGBUS');
  }
}

/** A frame whose link is gone. Returns how many pages of users went with it. */
function loseFrame(k: Kernel, f: Frame): number {
  const { map, held } = k.mem;
  const kind = map.kind[f];
  const isUsers = kind === KIND_ANON || kind === KIND_SHMEM || kind === KIND_FILE;
  const isOfPool = kind === KIND_HUGETLB;
  if (held.isPoisoned(f) || (!isUsers && !isOfPool && kind !== KIND_THP)) return 0;
  if (k.thp.isPart(f) && held.isPinned(k.thp.headOf(f))) {
    throw new NotModelled('a link failure under a pin of transparent huge pages');
  }
  const pool = k.poolOf(f);
  const nrLost = isOfPool ? (pool.isFreePage(f) ? 0 : pool.nrSmall) : 1;
  memoryFailure(k, f);
  return nrLost;
}

/** What the kernel itself has on a node, in words; undefined for nothing. */
function kernelPagesOn(k: Kernel, nid: NodeId): string | undefined {
  const { zones, map } = k.mem;
  for (const z of zones.ofNode(nid)) {
    if ((zones.present[z] as number) > (k.mem.freeAtStart[z] as number))
      return "the kernel's own pages";
    for (const { start, end } of k.mem.stretchesOf(z)) {
      for (let f = start; f < end; f++) {
        if (map.kind[f] === KIND_PAGE_TABLE) return 'page tables';
        if (map.kind[f] === KIND_KERNEL) return "the kernel's own pages";
      }
    }
  }
  return undefined;
}
