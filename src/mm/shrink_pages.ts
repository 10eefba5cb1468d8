// What becomes of pages that reclaim has taken off an inactive list: freed, kept, or found in use.
// Models   linux@v6.1 mm/vmscan.c: shrink_folio_list, folio_check_references, pageout,
//          __remove_mapping; mm/workingset.c: workingset_eviction.
// Omits    waiting for pages under writeback, throttling; several entries that were used count as
//          one (the accessed bit is one a page here).
// Holds    RCL3 a page that was used since it was looked at last is kept; one used twice becomes
//          active. RCL4 a swap-backed page is freed only when a slot has its contents; a dirty page
//          of a file is not freed at all. RCL11 a huge page goes whole, or is split and goes page
//          by page.
import type { Frame } from '../base/ids.ts';
import type { HeldPages } from './held_pages.ts';
import {
  LRU_ACTIVE,
  LRU_DIRTY,
  LRU_MLOCKED,
  LRU_RECLAIM,
  LRU_REFERENCED,
  LRU_SWAPBACKED,
  LRU_SWAPCACHE,
  LRU_UNEVICTABLE_PAGE,
  LRU_WORKINGSET,
  LRU_WRITEBACK,
  LRU_YOUNG,
  type Lru,
} from './lru.ts';
import { KIND_ANON, KIND_THP, type MemMap } from './memmap.ts';
import type { Demotion, NodeReclaim, PageOwners, ScanControl } from './reclaim.ts';
import type { Swap } from './swap.ts';
import type { VmStat } from './vmstat.ts';
import { EVENT } from './vmstat_items.ts';

const FREED = 0;
const KEPT = 1;
const ACTIVATED = 2;
type Fate = typeof FREED | typeof KEPT | typeof ACTIVATED;

export interface ShrinkParts {
  readonly map: MemMap;
  readonly lru: Lru;
  readonly swap: Swap;
  readonly held: HeldPages;
  readonly stat: VmStat;
  readonly free: (f: Frame) => void;
}

/** What came of a list of pages. */
export interface Shrunk {
  nrReclaimed: number;
  /** Pages written to a swap area. */
  nrWritten: number;
}

export class PageShrinker {
  readonly #p: ShrinkParts;
  readonly #owners: PageOwners;
  demotion: Demotion | null = null;
  #nrWritten = 0;
  /** Small pages that the last page which was freed came to. */
  #nrFreed = 0;
  /** Pages that go back onto the lists when all are judged. */
  readonly #kept: number[] = [];
  /** Pages of a huge one that was split, which come next; the last of them first. */
  readonly #parts: number[] = [];
  /** Some of those that were split off have no user any more: they go when they are put back. */
  #hasUnmapped = false;

  constructor(parts: ShrinkParts, owners: PageOwners) {
    this.#p = parts;
    this.#owners = owners;
  }

  /**
   * Frees what can be freed of pages of one node that are on no list; the others go back onto the
   * lists (shrink_folio_list, move_folios_to_lru).
   * @param frames the first `n` are looked at, in order.
   * @param node what remembers that pages left: the lists that reclaim is after.
   * @param ignoresUse frees pages however much they are used.
   */
  shrink(
    frames: Int32Array | number[],
    n: number,
    node: NodeReclaim,
    sc: ScanControl,
    ignoresUse: boolean,
  ): Shrunk {
    this.#nrWritten = 0;
    const { demotion } = this;
    const demotes = demotion !== null && !sc.noDemotion && demotion.canDemote(node.nid);
    const down: number[] | undefined = demotes ? [] : undefined;
    let nrReclaimed = 0;
    for (let i = 0; i < n; i++) {
      nrReclaimed += this.#settle(frames[i] as number, node, sc, ignoresUse, down);
      nrReclaimed += this.#settleParts(node, sc, ignoresUse, down);
    }
    if (down !== undefined && down.length > 0) {
      // A target may wake the daemon of its node, which then shrinks lists with this same object.
      this.#putBack();
      const left = demotion?.demote(node.nid, down, sc.isKswapd) ?? down;
      nrReclaimed += down.length - left.length;
      for (const f of left) {
        nrReclaimed += this.#settle(f, node, sc, ignoresUse, undefined);
        nrReclaimed += this.#settleParts(node, sc, ignoresUse, undefined);
      }
    }
    this.#putBack();
    return { nrReclaimed, nrWritten: this.#nrWritten };
  }

  /** Judges what a huge page was split into, before any other page. */
  #settleParts(
    node: NodeReclaim,
    sc: ScanControl,
    ignoresUse: boolean,
    down: number[] | undefined,
  ): number {
    let n = 0;
    for (let f = this.#parts.pop(); f !== undefined; f = this.#parts.pop()) {
      n += this.#settle(f, node, sc, ignoresUse, down);
    }
    return n;
  }

  #putBack(): void {
    const { lru } = this.#p;
    const kept = this.#kept;
    for (let i = 0; i < kept.length; i++) {
      const f = kept[i] as number;
      if (this.#hasUnmapped && this.#isNobodys(f)) this.#free(f);
      else lru.add(f);
    }
    kept.length = 0;
    this.#hasUnmapped = false;
  }

  #isNobodys(f: number): boolean {
    const { lru, map } = this.#p;
    return map.kind[f] === KIND_ANON && map.mapcount[f] === 0 && !lru.has(f, LRU_SWAPCACHE);
  }

  /** Judges a page; one that stays waits in `#kept`. Returns the small pages that it freed. */
  #settle(
    f: number,
    node: NodeReclaim,
    sc: ScanControl,
    ignoresUse: boolean,
    down: number[] | undefined,
  ): number {
    const fate = this.#judge(f, node, sc, ignoresUse, down);
    if (fate === FREED) return this.#nrFreed;
    if (fate !== undefined) this.#kept.push(f);
    return 0;
  }

  #judge(
    f: number,
    node: NodeReclaim,
    sc: ScanControl,
    ignoresUse: boolean,
    down: number[] | undefined,
  ): Fate | undefined {
    const { lru } = this.#p;
    if (lru.has(f, LRU_MLOCKED)) {
      lru.clear(f, LRU_ACTIVE);
      lru.set(f, LRU_UNEVICTABLE_PAGE);
      return KEPT;
    }
    if (!sc.mayUnmap && this.#isMapped(f)) return KEPT;
    if (lru.has(f, LRU_WRITEBACK)) {
      lru.set(f, LRU_RECLAIM);
      return this.#activate(f);
    }
    const used = ignoresUse ? 'unused' : this.#use(f);
    if (used === 'much') return this.#activate(f);
    if (used === 'some') return KEPT;
    if (down !== undefined) {
      down.push(f);
      return undefined;
    }
    return this.#evict(f, node, sc);
  }

  #isMapped(f: number): boolean {
    const { map } = this.#p;
    if (map.kind[f] === KIND_THP) return this.#owners.huge.isMapped(f);
    return (map.mapcount[f] as number) > 0;
  }

  /** How much a page was used since it was looked at last (folio_check_references). */
  #use(f: number): 'unused' | 'some' | 'much' {
    const { lru, map } = this.#p;
    const flags = lru.flags[f] as number;
    const nrUsed = map.kind[f] === KIND_THP ? lru.clearYoung(f) : flags & LRU_YOUNG ? 1 : 0;
    lru.clear(f, LRU_YOUNG | LRU_REFERENCED);
    if (nrUsed === 0) return 'unused';
    lru.set(f, LRU_REFERENCED);
    return flags & LRU_REFERENCED || nrUsed > 1 ? 'much' : 'some';
  }

  #evict(f: number, node: NodeReclaim, sc: ScanControl): Fate {
    const { lru, map, swap, stat, held } = this.#p;
    if (held.isPinned(f)) return KEPT;
    if (map.kind[f] === KIND_THP) {
      const fate = this.#evictHuge(f, node, sc);
      if (fate !== undefined) return fate;
    }
    const isAnon = map.kind[f] === KIND_ANON;
    const wasSwapBacked = lru.has(f, LRU_SWAPBACKED);
    if (isAnon && wasSwapBacked && !lru.has(f, LRU_SWAPCACHE)) {
      if (!swap.addPage(f)) return this.#activate(f);
      lru.set(f, LRU_DIRTY);
    }
    if ((map.mapcount[f] as number) > 0 && !this.#owners.unmap(f)) return this.#activate(f);
    if (isAnon && !wasSwapBacked) {
      stat.count(EVENT.pglazyfreed, lru.nrPagesOf(f));
      this.#free(f);
      return FREED;
    }
    if (lru.has(f, LRU_DIRTY) && !this.#clean(f, isAnon, sc)) return this.#activate(f);
    if (lru.has(f, LRU_SWAPCACHE)) this.#leaveSwapCache(f, node);
    else if (!this.#owners.removeFromFile(f)) return KEPT;
    this.#free(f);
    return FREED;
  }

  /**
   * A huge page goes with a cluster of slots for its own, or for nothing if it was given up. One
   * that no entry maps whole, or for which there is no cluster, is split: then the result is
   * undefined, its first page is yet to go, and the others come next.
   */
  #evictHuge(f: number, node: NodeReclaim, sc: ScanControl): Fate | undefined {
    const { lru, swap, stat } = this.#p;
    const { huge } = this.#owners;
    const nrPages = lru.nrPagesOf(f);
    const isSwapBacked = lru.has(f, LRU_SWAPBACKED);
    // Without leave to write it would be left in the cache of swap and in memory at once.
    if (isSwapBacked && !sc.mayWritepage) return KEPT;
    if (isSwapBacked && !huge.isWhole(f)) return this.#splitHuge(f, nrPages);
    if (isSwapBacked && !swap.addHugePage(f)) {
      const fate = this.#splitHuge(f, nrPages);
      if (fate === undefined) stat.count(EVENT.thp_swpout_fallback, 1);
      return fate;
    }
    if (!huge.unmap(f)) return this.#activate(f);
    if (isSwapBacked) {
      this.#nrWritten += nrPages;
      stat.count(EVENT.thp_swpout, 1);
      stat.count(EVENT.pswpout, nrPages);
      this.#leaveSwapCache(f, node);
    } else stat.count(EVENT.pglazyfreed, nrPages);
    huge.free(f);
    this.#nrFreed = nrPages;
    return FREED;
  }

  #splitHuge(f: number, nrPages: number): Fate | undefined {
    if (!this.#owners.huge.split(f)) return this.#activate(f);
    for (let i = nrPages - 1; i > 0; i--) this.#parts.push(f + i);
    this.#hasUnmapped = true;
    return undefined;
  }

  /** Writes a page to its slot (pageout). A dirty page of a file waits for its flusher. */
  #clean(f: number, isAnon: boolean, sc: ScanControl): boolean {
    const { lru, swap, stat } = this.#p;
    if (!lru.has(f, LRU_SWAPBACKED)) {
      lru.set(f, LRU_RECLAIM);
      this.#owners.flush();
      return false;
    }
    if (!sc.mayWritepage) return false;
    if (!isAnon && !lru.has(f, LRU_SWAPCACHE)) {
      if (!swap.addPage(f)) return false;
      this.#owners.moveToSwap(f);
    }
    lru.clear(f, LRU_DIRTY);
    const nrPages = lru.nrPagesOf(f);
    this.#nrWritten += nrPages;
    stat.count(EVENT.pswpout, nrPages);
    return true;
  }

  /** The page goes, its slot stays and remembers when that was (workingset_eviction). */
  #leaveSwapCache(f: number, node: NodeReclaim): void {
    const { lru, swap } = this.#p;
    const slot = swap.slotOf(f);
    const wasInUse = lru.has(f, LRU_WORKINGSET) ? 1 : 0;
    const nrPages = lru.nrPagesOf(f);
    node.grow(nrPages);
    for (let i = 0; i < nrPages; i++) {
      swap.removeFromCache(f + i);
      if (swap.count[slot + i] === 0) continue;
      swap.age[slot + i] = node.age;
      swap.shadow[slot + i] = 1 + wasInUse + 2 * node.vec;
    }
  }

  /** A page that cannot go now becomes active, and does not keep a slot that is scarce. */
  #activate(f: number): Fate {
    const { lru, swap, stat } = this.#p;
    if (lru.has(f, LRU_SWAPCACHE) && (swap.isFullFor(f) || lru.has(f, LRU_MLOCKED))) {
      if (swap.freeSlotOf(f)) lru.set(f, LRU_DIRTY);
    }
    lru.set(f, LRU_ACTIVE);
    stat.count(EVENT.pgactivate, lru.nrPagesOf(f));
    return ACTIVATED;
  }

  #free(f: number): void {
    this.#nrFreed = 1;
    this.#p.free(f as Frame);
  }
}
