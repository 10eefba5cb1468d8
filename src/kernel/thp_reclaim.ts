// What reclaim does with transparent huge pages: takes one out of the page tables whole, splits it,
// and has shrinkers split those of which a part is unused.
// Models   linux@v6.1 mm/rmap.c: try_to_unmap_one with TTU_SPLIT_HUGE_PMD; mm/vmscan.c:
//          shrink_slab, do_shrink_slab; mm/huge_memory.c: deferred_split_count,
//          deferred_split_scan, shrink_huge_zero_page_count, madvise_free_huge_pmd.
// Omits    all other shrinkers.
// Holds    RCL12 what is unused of huge pages is given back when reclaim has looked hard enough.
import type { Frame } from '../base/ids.ts';
import {
  LRU_ACTIVE,
  LRU_DIRTY,
  LRU_REFERENCED,
  LRU_SWAPBACKED,
  LRU_SWAPCACHE,
  LRU_UNEVICTABLE_PAGE,
  LRU_YOUNG,
} from '../mm/lru.ts';
import type { MemCgroup } from '../mm/memcg.ts';
import type { HugePageOwners } from '../mm/reclaim.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import type { AddressSpace } from './address_space.ts';
import type { Kernel } from './kernel.ts';
import { makeSwapPte, PTE_NONE, pteFrame, pteIsPage } from './page_table.ts';
import { THP_PAGES } from './thp.ts';
import { shrinkZeroPage, splitPage, splitPmdsOf, splitToReclaim } from './thp_split.ts';

/** What reclaim may ask of the huge pages of a kernel. */
export const hugePageOwners = (k: Kernel): HugePageOwners => ({
  isWhole: (head) => k.thp.pageOf(head).pmdMaps > 0,
  isMapped: (head) => k.thp.pageOf(head).refs > 0,
  split: (head) => splitToReclaim(k, head as Frame),
  unmap: (head) => unmapThp(k, head as Frame),
  free: (head) => k.thp.free(head as Frame),
});

/**
 * Splits the entries that map a huge page whole, and takes it out of all that are left: each then
 * stands for the slot of its small page, or for nothing if the page was given up. One that was
 * written to since it was given up is swap-backed again, and stays.
 */
function unmapThp(k: Kernel, head: Frame): boolean {
  const { lru, swap, map, stat } = k.mem;
  splitPmdsOf(k, head);
  const isSwapBacked = lru.has(head, LRU_SWAPBACKED);
  if (!isSwapBacked && isWritten(k, head)) {
    lru.set(head, LRU_SWAPBACKED);
    return false;
  }
  // A page in the cache of swap is reclaim's own to finish, and waits for nobody to split it.
  if (!isSwapBacked && !k.thp.splitQueue.has(head)) stat.count(EVENT.thp_deferred_split_page, 1);
  const start = map.index[head] as number;
  const slot = isSwapBacked ? swap.slotOf(head) : 0;
  const page = k.thp.pageOf(head);
  for (const { pageTable } of k.spaces.values()) {
    if (pageTable.leafOf(start) === undefined) continue;
    pageTable.walk(start, start + THP_PAGES, (vpn, pte) => {
      const i = vpn - start;
      if (!pteIsPage(pte) || pteFrame(pte) !== head + i) return;
      pageTable.set(vpn, isSwapBacked ? makeSwapPte(slot + i) : PTE_NONE);
      if (isSwapBacked) swap.dup(slot + i);
      map.removeMap((head + i) as Frame);
      page.refs--;
    });
  }
  return page.refs === 0;
}

function isWritten(k: Kernel, head: Frame): boolean {
  for (let f = head; f < head + THP_PAGES; f++) if (k.mem.lru.has(f, LRU_DIRTY)) return true;
  return false;
}

/** Is `vpn` the first page of a huge one that an entry maps whole, before `endVpn`? */
export const isWholeThp = ({ pageTable }: AddressSpace, vpn: number, endVpn: number): boolean =>
  vpn % THP_PAGES === 0 && vpn + THP_PAGES <= endVpn && pteIsPage(pageTable.getThp(vpn));

/** MADV_FREE of a huge page that is mapped whole, and by nobody else (mark_page_lazyfree). */
export function giveUpThp(k: Kernel, head: Frame): void {
  const { lru, stat } = k.mem;
  if (k.thp.pageOf(head).refs > 1) return;
  lru.clear(head, LRU_DIRTY | LRU_YOUNG);
  for (let f = head + 1; f < head + THP_PAGES; f++) lru.clear(f, LRU_DIRTY | LRU_YOUNG);
  if (!lru.isListed(head) || !lru.has(head, LRU_SWAPBACKED)) return;
  if (lru.has(head, LRU_UNEVICTABLE_PAGE | LRU_SWAPCACHE)) return;
  lru.move(head, 0, LRU_ACTIVE | LRU_REFERENCED | LRU_SWAPBACKED);
  stat.count(EVENT.pglazyfree, THP_PAGES);
}

// ---- Shrinkers -------------------------------------------------------------------------------

/** Objects that a shrinker looks at in one go (SHRINK_BATCH). */
const SHRINK_BATCH = 128;
/** What an object costs to make anew, beside reading a page (DEFAULT_SEEKS). */
const SEEKS = 2;

/** Shrinkers of huge pages, with what they have been asked for and did not do yet. */
export class ThpShrinkers {
  readonly #k: Kernel;
  /** Objects put off, by shrinker, node and memory cgroup. */
  readonly #deferred = new Map<string, number>();

  constructor(k: Kernel) {
    this.#k = k;
  }

  /** Reclaim has looked at the lists of a node and a group (shrink_slab). */
  shrink(nid: number, group: MemCgroup | null, priority: number): void {
    const { thp } = this.#k;
    if (!thp.isInUse) return;
    if (thp.splitQueue.size > 0) {
      const own = this.#queued(nid, group);
      this.#shrinkOne(`split ${nid} ${group?.id ?? 0}`, own.length, priority, (n) => {
        let nrSplit = 0;
        // Those taken off the queue go onto a list at its head, and are split from there.
        for (const head of this.#queued(nid, group).slice(0, n).reverse()) {
          if (splitPage(this.#k, head) >= 0) nrSplit++;
        }
        return nrSplit > 0 || this.#queued(nid, group).length > 0;
      });
    }
    if (group !== null || thp.zeroFrame === undefined || thp.zeroUsers.size > 0) return;
    this.#shrinkOne('zero page', THP_PAGES, priority, () => shrinkZeroPage(this.#k) > 0);
  }

  /**
   * Huge pages that wait to be split: those of a group, whatever node they are on. A group below
   * the root is looked at for a node only if one of them is there.
   */
  #queued(nid: number, group: MemCgroup | null): Frame[] {
    const { thp, mem, allocator } = this.#k;
    const id = group?.id ?? 0;
    const own = [...thp.splitQueue].filter((head) => (mem.lru.owner?.[head] ?? 0) === id);
    if (group === null || own.some((head) => allocator.nidOf(head) === nid)) return own;
    return [];
  }

  /**
   * Has a shrinker scan a part of its objects, more of them the harder reclaim looks; what does not
   * make a batch is remembered (do_shrink_slab).
   */
  #shrinkOne(key: string, nrObjects: number, priority: number, scan: (n: number) => boolean): void {
    if (nrObjects === 0) return;
    const put = this.#deferred.get(key) ?? 0;
    const delta = Math.floor((Math.floor(nrObjects / 2 ** priority) * 4) / SEEKS);
    let left = Math.min(Math.floor(put / 2 ** priority) + delta, 2 * nrObjects);
    let scanned = 0;
    while (left >= SHRINK_BATCH || left >= nrObjects) {
      const n = Math.min(SHRINK_BATCH, left);
      if (!scan(n)) break;
      left -= n;
      scanned += n;
    }
    const rest = Math.min(Math.max(put + delta - scanned, 0), 2 * nrObjects);
    this.#deferred.set(key, rest);
  }
}
