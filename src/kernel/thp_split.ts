// Splitting: an entry that maps a huge page becomes 512 entries, or the huge page itself becomes
// 512 pages.
// Models   linux@v6.1 mm/huge_memory.c: __split_huge_pmd, __split_huge_zero_page_pmd,
//          vma_adjust_trans_huge, split_huge_page_to_list, unmap_page, deferred_split_scan,
//          shrink_huge_zero_page_scan.
// Holds    PIN7 a page that is pinned is not split. THP5 splitting an entry leaves the page whole:
//          it still moves as one, and what is unmapped of it stays taken until it is split or gone.
import { EBUSY } from '../base/errno.ts';
import type { Frame } from '../base/ids.ts';
import type { Nodemask } from '../base/nodemask.ts';
import {
  LRU_ACTIVE,
  LRU_DIRTY,
  LRU_MLOCKED,
  LRU_REFERENCED,
  LRU_SWAPBACKED,
  LRU_UNEVICTABLE_PAGE,
  LRU_WORKINGSET,
  LRU_YOUNG,
} from '../mm/lru.ts';
import { KIND_ANON } from '../mm/memmap.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import type { AddressSpace } from './address_space.ts';
import type { Kernel } from './kernel.ts';
import { markParts, mlockPage, unlockThpUnlessOthers } from './lru_track.ts';
import { leafEnd, PTE_NONE, pteFrame, pteIsPage } from './page_table.ts';
import { THP_ORDER, THP_PAGES, thpStart } from './thp.ts';

/** Splits the entry that maps a huge page at `vpn`, if there is one. */
export function splitPmd(k: Kernel, space: AddressSpace, vpn: number): void {
  const pte = space.pageTable.getThp(vpn);
  if (pte === PTE_NONE) return;
  k.mem.stat.count(EVENT.thp_split_pmd, 1);
  space.pageTable.splitThp(vpn);
  if (!pteIsPage(pte)) return;
  const head = pteFrame(pte);
  const { lru } = k.mem;
  k.thp.mapSmall(head);
  if (!lru.isTracking) return;
  if (lru.has(head, LRU_YOUNG)) markParts(lru, head);
  unlockThpUnlessOthers(k, head);
}

/** An area is about to end at `vpn`: no entry may reach over it (vma_adjust_trans_huge). */
export function splitPmdAtEdge(k: Kernel, space: AddressSpace, vpn: number): void {
  if (vpn % THP_PAGES !== 0) splitPmd(k, space, vpn);
}

/** Splits every entry of the pmd level that maps a huge page. */
export function splitPmdsOf(k: Kernel, head: Frame): void {
  const vpn = k.mem.map.index[head] as number;
  for (const space of k.spaces.values()) {
    const pte = space.pageTable.getThp(vpn);
    if (pteIsPage(pte) && pteFrame(pte) === head) splitPmd(k, space, vpn);
  }
}

/**
 * Makes 512 pages of a huge one; those that nobody maps are free.
 * @returns how many pages are free now; -EBUSY when a pin holds it.
 */
export function splitPage(k: Kernel, head: Frame): number {
  const { map } = k.mem;
  if (!separate(k, head)) return -EBUSY;
  lockParts(k, head);
  let nrFreed = 0;
  for (let f = head; f < head + THP_PAGES; f++) {
    if ((map.mapcount[f] as number) > 0) continue;
    k.allocator.free(f);
    nrFreed++;
  }
  return nrFreed;
}

/**
 * The same for reclaim, which has taken the huge page off its list: it gets the small ones, on no
 * list, those that nobody maps too.
 */
export const splitToReclaim = (k: Kernel, head: Frame): boolean => separate(k, head);

/** What the small pages of a huge one have from it (__split_huge_page_tail). */
const INHERITED =
  LRU_REFERENCED |
  LRU_SWAPBACKED |
  LRU_MLOCKED |
  LRU_ACTIVE |
  LRU_WORKINGSET |
  LRU_UNEVICTABLE_PAGE |
  LRU_DIRTY;

/** Takes a huge page apart. On its list the small ones take its place. False when it is pinned. */
function separate(k: Kernel, head: Frame): boolean {
  const { map, stat, lru, held } = k.mem;
  if (held.isPinned(head)) {
    stat.count(EVENT.thp_split_page_failed, 1);
    return false;
  }
  splitPmdsOf(k, head);
  k.frameWatch?.split(head);
  // On the way each small page is unmapped for a moment, and the first one queues the whole.
  const isQueued = k.thp.splitQueue.has(head);
  if (k.thp.forget(head).refs > 0 && !isQueued) stat.count(EVENT.thp_deferred_split_page, 1);
  const link = map.link[head] as number;
  const index = map.index[head] as number;
  for (let i = 0; i < THP_PAGES; i++) {
    const f = (head + i) as Frame;
    map.claim(f, KIND_ANON, link, index + i, map.mapcount[f] as number);
  }
  if (lru.isTracking) {
    const inherited = (lru.flags[head] as number) & INHERITED;
    for (let f = head + 1; f < head + THP_PAGES; f++) lru.set(f, inherited);
    if (lru.isListed(head)) lru.splitListed(head);
    else lru.setOrder(head, 0);
  }
  stat.count(EVENT.thp_split_page, 1);
  return true;
}

/** Areas that lock the place of a page that was split lock what they map of it (mlock_vma_page). */
function lockParts(k: Kernel, head: Frame): void {
  const { lru, map } = k.mem;
  if (!lru.isTracking) return;
  const start = map.index[head] as number;
  for (const { vmas, pageTable } of k.spaces.values()) {
    for (const vma of vmas) {
      if (!vma.isLocked || vma.endVpn <= start || vma.startVpn >= start + THP_PAGES) continue;
      const from = Math.max(vma.startVpn, start);
      pageTable.walk(from, Math.min(vma.endVpn, start + THP_PAGES), (vpn, pte) => {
        const f = head + (vpn - start);
        if (pteIsPage(pte) && pteFrame(pte) === f) mlockPage(lru, f as Frame);
      });
    }
  }
}

/** Splits the huge pages that are mapped whole in a range; of the huge zero page the entry. */
export function splitThps(k: Kernel, space: AddressSpace, startVpn: number, endVpn: number): void {
  for (const [vpn, pte] of [...space.pageTable.thpsIn(startVpn, endVpn)]) {
    if (pteIsPage(pte)) splitPage(k, pteFrame(pte));
    else splitPmd(k, space, vpn);
  }
}

/**
 * Memory is short and there is nothing to reclaim: splits the huge pages of which a part is mapped
 * nowhere (deferred_split_scan).
 * @param nodes only those on these nodes; null: all.
 * @returns how many pages are free now.
 */
export function splitDeferred(k: Kernel, nodes: Nodemask | null): number {
  let nrFreed = 0;
  for (const head of [...k.thp.splitQueue]) {
    if (nodes !== null && !nodes.has(k.allocator.nidOf(head))) continue;
    nrFreed += Math.max(0, splitPage(k, head));
  }
  return nrFreed;
}

/** What shrinking slabs gives back of huge pages (drop_caches with bit 1). */
export function shrinkThps(k: Kernel): void {
  k.setCurrent(k.kthread);
  splitDeferred(k, null);
  shrinkZeroPage(k);
}

/** Gives the huge zero page back if no address space has it. Returns pages freed. */
export function shrinkZeroPage(k: Kernel): number {
  const { thp } = k;
  if (thp.zeroFrame === undefined || thp.zeroUsers.size > 0) return 0;
  k.allocator.freeBlock(thp.zeroFrame, THP_ORDER);
  thp.zeroFrame = undefined;
  return THP_PAGES;
}

/**
 * Pages are marked as free to take, cold or to be reclaimed: huge pages of which that is a part are
 * split first, as far as nobody else maps them (madvise_free_huge_pmd, madvise_free_pte_range,
 * madvise_cold_or_pageout_pte_range).
 */
export function splitFreed(k: Kernel, space: AddressSpace, startVpn: number, endVpn: number): void {
  const { pageTable } = space;
  if (!k.thp.isInUse) return;
  for (const first of pageTable.tablesIn(startVpn, endVpn)) {
    const start = thpStart(first);
    const thp = pageTable.getThp(first);
    if (thp !== PTE_NONE) {
      const isWhole = start >= startVpn && start + THP_PAGES <= endVpn;
      if (!isWhole && pteIsPage(thp) && k.thp.mapcount(pteFrame(thp)) === 1) {
        splitPage(k, pteFrame(thp));
      }
      continue;
    }
    pageTable.walk(first, Math.min(endVpn, leafEnd(first)), (_vpn, pte) => {
      if (!pteIsPage(pte) || !k.thp.isPart(pteFrame(pte))) return true;
      if (k.thp.mapcount(pteFrame(pte)) !== 1) return false;
      return splitPage(k, k.thp.headOf(pteFrame(pte))) >= 0;
    });
  }
}
