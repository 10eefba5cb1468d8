// Reclaim of one kernel: switched on when there is something that it could free, and bound to page
// tables, objects and the design.
// Models   linux@v6.1 mm/swapfile.c: swapon; mm/madvise.c: madvise_cold, madvise_pageout,
//          madvise_free_single_vma; mm/swap.c: deactivate_page, mark_page_lazyfree.
// Hooks    kswapdRuns, directReclaim, madviseColdOrPageout
//          (madvise_cold_or_pageout_pte_range, madvise_free_pte_range).
// Holds    RCL10 reclaim is off, and costs nothing, until a swap area is added, pages are given up
//          or files are in use.
import { EINVAL } from '../base/errno.ts';
import type { Frame, NodeId } from '../base/ids.ts';
import { Reclaim } from '../mm/kswapd.ts';
import {
  LRU_ACTIVE,
  LRU_DIRTY,
  LRU_REFERENCED,
  LRU_SWAPBACKED,
  LRU_SWAPCACHE,
  LRU_UNEVICTABLE_PAGE,
  LRU_YOUNG,
} from '../mm/lru.ts';
import { type PageOwners, scanControl } from '../mm/reclaim.ts';
import { MAX_SLOTS } from '../mm/swap.ts';
import { Vmscan } from '../mm/vmscan.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import type { Vma } from './address_space.ts';
import { asDaemon } from './daemons.ts';
import { canDemote, demotePages } from './demotion.ts';
import type { Kernel } from './kernel.ts';
import { trackPages } from './lru_track.ts';
import { PTE_NONE, pteFrame, pteIsPage, pteIsSwap, pteSlot } from './page_table.ts';
import { moveToSlot, unmapPage } from './rmap.ts';
import { dropSlot } from './swap_fault.ts';
import type { Task } from './task.ts';
import { giveUpThp, hugePageOwners, isWholeThp, ThpShrinkers } from './thp_reclaim.ts';
import { splitFreed } from './thp_split.ts';
import { isZoneDevice } from './zone_device.ts';

/** Reclaim in use by a kernel. */
export interface KernelReclaim {
  /** Has shrinkers look at a node for a memory cgroup, null for the root (shrink_slab). */
  readonly shrinkSlab: PageOwners['shrinkSlab'];
  readonly vmscan: Vmscan;
  readonly reclaim: Reclaim;
  /** What files answer for their pages, once there are any. */
  files: Pick<PageOwners, 'removeFromFile' | 'flush'> | null;
}

/** Switches reclaim on; again does nothing. */
export function startReclaim(k: Kernel): KernelReclaim {
  if (k.reclaim !== null) return k.reclaim;
  trackPages(k);
  const { map, lru, swap, held, stat, zones, buddy, pageBytes } = k.mem;
  const owners: PageOwners = {
    unmap: (f) => unmapPage(k, f as Frame),
    moveToSwap: (f) => moveToSlot(k, f as Frame),
    flush: () => k.reclaim?.files?.flush(),
    removeFromFile: (f) => k.reclaim?.files?.removeFromFile(f) ?? false,
    huge: hugePageOwners(k),
    shrinkSlab: (nid, group, priority) => shrinkers.shrink(nid, group, priority),
  };
  const shrinkers = new ThpShrinkers(k);
  const free = (f: Frame): void => k.allocator.free(f);
  const zoneOf = (f: number): number => buddy.zoneOf(f);
  const vmscan = new Vmscan({ map, lru, swap, held, stat, free, zones, pageBytes, zoneOf }, owners);
  const reclaim = new Reclaim({
    zones,
    lru,
    stat,
    vmscan,
    gate: {
      kswapdRuns: (nid) => k.design.answers.kswapdRuns?.(nid as NodeId, k.states) ?? true,
      mayReclaim: (nid) => k.design.answers.directReclaim?.(nid as NodeId, k.states) ?? true,
    },
    distance: (from, to) => k.mem.distance(from as NodeId, to as NodeId),
    asKswapd: (nid, run) => asDaemon(k, nid, run),
    compaction: k.compaction.core,
    note: (by, nid, n) => k.allocator.log?.noteReclaim(by, nid, n),
  });
  vmscan.pages.demotion = {
    canDemote: (nid) => canDemote(k, nid as NodeId),
    demote: (nid, frames, isKswapd) => [
      ...demotePages(k, nid as NodeId, frames as readonly Frame[], isKswapd),
    ],
  };
  k.reclaim = { vmscan, reclaim, shrinkSlab: owners.shrinkSlab, files: null };
  reclaim.zoneReclaimMode = k.zoneReclaimMode;
  vmscan.swappiness = k.swappiness;
  k.allocator.reclaimer = reclaim;
  return k.reclaim;
}

/**
 * Adds a swap area of compressed memory (swapon).
 * @returns 0, or -EINVAL for no pages, or more than can be counted.
 */
export function swapOn(k: Kernel, nrPages: number, priority?: number): number {
  const { swap, map } = k.mem;
  if (nrPages < 1 || swap.nrSlots + nrPages >= MAX_SLOTS) return -EINVAL;
  startReclaim(k);
  swap.add(nrPages, map.nrFrames, priority);
  return 0;
}

/**
 * MADV_COLD and MADV_PAGEOUT on a part of an area: pages that only this task maps move to the
 * inactive list, or are reclaimed at once.
 * @returns 0; -EINVAL for locked areas and huge pages.
 */
export function coldOrPageout(
  k: Kernel,
  task: Task,
  vma: Vma,
  startVpn: number,
  endVpn: number,
  isPageout: boolean,
): number {
  if (vma.isLocked || vma.huge !== null) return -EINVAL;
  const { lru, map, stat } = k.mem;
  splitFreed(k, task.mm, startVpn, endVpn);
  if (k.reclaim === null) return 0;
  const frames: Frame[] = [];
  task.mm.pageTable.walk(startVpn, endVpn, (vpn, pte) => {
    if (!pteIsPage(pte)) return;
    const f = pteFrame(pte);
    const isThp = k.thp.isPart(f);
    if (isThp && !isWholeThp(task.mm, vpn, endVpn)) return;
    if ((isThp ? k.thp.mapcount(f) : map.mapcount[f]) !== 1) return;
    if (!lru.isListed(f) || !mayHave(k, f)) return;
    lru.clear(f, LRU_YOUNG | LRU_REFERENCED);
    if (lru.has(f, LRU_UNEVICTABLE_PAGE)) return;
    if (isPageout) frames.push(f);
    else if (lru.has(f, LRU_ACTIVE)) {
      lru.move(f, 0, LRU_ACTIVE);
      stat.count(EVENT.pgdeactivate, lru.nrPagesOf(f));
    }
  });
  reclaimPages(k, task, frames);
  return 0;
}

/** May a program give reclaim pages of this one's node? */
const mayHave = (k: Kernel, f: Frame): boolean =>
  k.design.answers.madviseColdOrPageout?.(k.allocator.nidOf(f), k.states) !== false;

/** Reclaims pages that somebody names, a node's pages in a row at a time (reclaim_pages). */
function reclaimPages(k: Kernel, task: Task, frames: readonly Frame[]): void {
  const { vmscan } = k.reclaim as KernelReclaim;
  const { lru } = k.mem;
  k.setCurrent(task);
  const sc = scanControl({ nrToReclaim: 0, reclaimIdx: 0, order: 0, isKswapd: false });
  const named = { ...sc, noDemotion: true };
  for (let i = 0; i < frames.length; ) {
    const nid = k.allocator.nidOf(frames[i] as Frame);
    let end = i;
    while (end < frames.length && k.allocator.nidOf(frames[end] as Frame) === nid) end++;
    const run = frames.slice(i, end);
    for (const f of run) lru.remove(f);
    vmscan.pages.shrink(run, run.length, vmscan.node(nid), named, false);
    i = end;
  }
}

/** MADV_FREE on a part of an area of private memory: reclaim may have the pages for nothing. */
export function giveUp(k: Kernel, task: Task, startVpn: number, endVpn: number): void {
  startReclaim(k);
  const { lru, map, swap, stat } = k.mem;
  const { pageTable } = task.mm;
  k.setCurrent(task);
  pageTable.walk(startVpn, endVpn, (vpn, pte) => {
    if (pteIsSwap(pte)) {
      pageTable.set(vpn, PTE_NONE);
      dropSlot(k, pteSlot(pte));
      return;
    }
    if (!pteIsPage(pte)) return;
    const f = pteFrame(pte);
    if (isZoneDevice(k, f) || !mayHave(k, f)) return;
    if (k.thp.isPart(f)) {
      if (isWholeThp(task.mm, vpn, endVpn)) giveUpThp(k, f);
      return;
    }
    if (map.mapcount[f] !== 1 || lru.has(f, LRU_UNEVICTABLE_PAGE)) return;
    if (lru.has(f, LRU_SWAPCACHE) && !swap.freeSlotOf(f)) return;
    lru.clear(f, LRU_DIRTY | LRU_YOUNG);
    if (!lru.has(f, LRU_SWAPBACKED)) return;
    lru.move(f, 0, LRU_ACTIVE | LRU_REFERENCED | LRU_SWAPBACKED);
    stat.count(EVENT.pglazyfree, 1);
  });
}
