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
import { KIND_ANON } from '../mm/memmap.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import type { AddressSpace } from './address_space.ts';
import type { Kernel } from './kernel.ts';
import { joinLru } from './lru_track.ts';
import { leafEnd, PTE_NONE, pteFrame, pteIsPage } from './page_table.ts';
import { THP_ORDER, THP_PAGES, thpStart } from './thp.ts';

/** Splits the entry that maps a huge page at `vpn`, if there is one. */
export function splitPmd(k: Kernel, space: AddressSpace, vpn: number): void {
  const pte = space.pageTable.getThp(vpn);
  if (pte === PTE_NONE) return;
  k.mem.stat.count(EVENT.thp_split_pmd, 1);
  space.pageTable.splitThp(vpn);
  if (pteIsPage(pte)) k.thp.mapSmall(pteFrame(pte));
}

/** An area is about to end at `vpn`: no entry may reach over it (vma_adjust_trans_huge). */
export function splitPmdAtEdge(k: Kernel, space: AddressSpace, vpn: number): void {
  if (vpn % THP_PAGES !== 0) splitPmd(k, space, vpn);
}

/** Splits every entry of the pmd level that maps a huge page. */
function splitPmdsOf(k: Kernel, head: Frame): void {
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
  const { map, stat, lru, held } = k.mem;
  if (held.isPinned(head)) {
    stat.count(EVENT.thp_split_page_failed, 1);
    return -EBUSY;
  }
  splitPmdsOf(k, head);
  k.frameWatch?.split(head);
  k.thp.forget(head);
  const link = map.link[head] as number;
  const index = map.index[head] as number;
  let nrFreed = 0;
  for (let i = 0; i < THP_PAGES; i++) {
    const f = (head + i) as Frame;
    map.claim(f, KIND_ANON, link, index + i, map.mapcount[f] as number);
    if ((map.mapcount[f] as number) > 0) {
      joinLru(lru, f, k.spaces.get(link)?.lookup(index + i) ?? null);
      continue;
    }
    k.allocator.free(f);
    nrFreed++;
  }
  stat.count(EVENT.thp_split_page, 1);
  return nrFreed;
}

/** Splits the huge pages that are mapped whole in a range; of the huge zero page the entry. */
export function splitThps(k: Kernel, space: AddressSpace, startVpn: number, endVpn: number): void {
  for (const [vpn, pte] of [...space.pageTable.thpsIn(startVpn, endVpn)]) {
    if (pteIsPage(pte)) splitPage(k, pteFrame(pte));
    else splitPmd(k, space, vpn);
  }
}

/**
 * Memory is short: splits the huge pages of which a part is mapped nowhere (deferred_split_scan).
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
function shrinkZeroPage(k: Kernel): number {
  const { thp } = k;
  if (thp.zeroFrame === undefined || thp.zeroUsers.size > 0) return 0;
  k.allocator.freeBlock(thp.zeroFrame, THP_ORDER);
  thp.zeroFrame = undefined;
  return THP_PAGES;
}

/**
 * Pages are marked as free to take: huge pages of which that is a part are split first, as far as
 * nobody else maps them (madvise_free_huge_pmd, madvise_free_pte_range).
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
