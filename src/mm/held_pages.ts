// Pages that do not become free when their last user lets go: pinned ones, which somebody's device
// still reads and writes, and poisoned ones, which nobody must ever get again.
// Models   linux@v6.1 include/linux/mm.h: page_maybe_dma_pinned; mm/gup.c: try_grab_page,
//          unpin_user_page as far as counting goes; mm/page_alloc.c: free_pages_prepare for a page
//          with PG_hwpoison.
// Omits    references that are no pins (FOLL_GET): nobody holds one beyond an operation.
// State    pins by frame, of a huge page by its first, and frames that only pins hold, in maps,
//          since they are few; poisoned  1 by frame, not there before the first is.
// Holds    PIN1 a pinned frame is not free. HWP1 a poisoned frame is nobody's once its last user is
//          gone, and never free again.
import { assert } from '../base/assert.ts';
import type { FreeWatchers } from './internal.ts';
import { KIND_ANON, KIND_NONE, KIND_POISON, type MemMap, NIL } from './memmap.ts';

export class HeldPages {
  readonly #map: MemMap;
  readonly #watchers: FreeWatchers;
  readonly #pins = new Map<number, number>();
  readonly #orphans = new Set<number>();
  #poisoned = new Uint8Array(0);
  #nrPoisoned = 0;
  #nrLostInUse = 0;
  /** Static flag: some page is, or was, pinned or poisoned. */
  isInUse = false;

  constructor(map: MemMap, watchers: FreeWatchers) {
    this.#watchers = watchers;
    this.#map = map;
  }

  /** Does a pin hold the page (page_maybe_dma_pinned)? */
  isPinned(f: number): boolean {
    return this.isInUse && this.#pins.has(f);
  }

  /** PG_hwpoison. */
  isPoisoned(f: number): boolean {
    return this.#nrPoisoned > 0 && this.#poisoned[f] === 1;
  }

  /** Adds one pin to a page in use. */
  pin(f: number): void {
    this.isInUse = true;
    this.#watchers.isAny = true;
    this.#pins.set(f, (this.#pins.get(f) ?? 0) + 1);
  }

  /**
   * Takes one pin off a page. @returns whether it was the last one and nobody uses the page any
   * more: then whoever calls frees it.
   */
  unpin(f: number): boolean {
    const n = this.#pins.get(f) ?? 0;
    assert(n > 0, 'a page is unpinned more often than it was pinned');
    if (n > 1) {
      this.#pins.set(f, n - 1);
      return false;
    }
    this.#pins.delete(f);
    return this.#orphans.delete(f);
  }

  /** Marks a page, free or in use, as one that must not be used. */
  poison(f: number): void {
    this.isInUse = true;
    this.#watchers.isAny = true;
    if (this.#poisoned.length === 0) this.#poisoned = new Uint8Array(this.#map.nrFrames);
    assert(this.#poisoned[f] === 0, 'a page is poisoned once');
    this.#poisoned[f] = 1;
    this.#nrPoisoned++;
  }

  /** A free page that is off all lists is broken. */
  poisonFree(f: number): void {
    this.poison(f);
    this.#map.claim(f as never, KIND_POISON, NIL, 0, 0);
  }

  /** A block whose first page broke has been freed: that page alone stays off the lists. */
  retire(f: number): void {
    assert(this.isPoisoned(f), 'a page is retired that broke');
    this.#map.claim(f as never, KIND_POISON, NIL, 0, 0);
  }

  /** Is any of the 2^order pages of a block poisoned? */
  hasPoison(f: number, order: number): boolean {
    if (this.#nrPoisoned === 0) return false;
    return this.#poisoned.subarray(f, f + (1 << order)).includes(1);
  }

  /**
   * The last user of a huge page lets go. @returns whether pins keep it, by its first frame; what
   * kind of page it is stays.
   */
  keepsHuge(head: number): boolean {
    if (!this.isPinned(head)) return false;
    this.#orphans.add(head);
    this.#map.link[head] = NIL;
    return true;
  }

  /** Frames [start, end) are offline: what comes back there has been looked at anew. */
  forget(start: number, end: number): void {
    if (this.#nrPoisoned === 0) return;
    for (let f = start; f < end; f++) {
      if (this.#poisoned[f] === 0) continue;
      this.#poisoned[f] = 0;
      this.#nrPoisoned--;
      if (this.#map.kind[f] === KIND_POISON) this.#map.kind[f] = KIND_NONE;
    }
  }

  /**
   * The last user of a page lets go. @returns whether the page stays taken nevertheless; what it
   * was is gone then.
   */
  keeps(f: number): boolean {
    if (this.#pins.has(f)) {
      this.#orphans.add(f);
      this.#map.claim(f as never, KIND_ANON, NIL, 0, 0);
      return true;
    }
    if (!this.isPoisoned(f)) return false;
    this.#nrLostInUse++;
    this.#map.claim(f as never, KIND_POISON, NIL, 0, 0);
    return true;
  }

  /** Poisoned pages that were allocated once and will never be freed. */
  get nrLostInUse(): number {
    return this.#nrLostInUse;
  }

  /** Pages that are poisoned. */
  get nrPoisoned(): number {
    return this.#nrPoisoned;
  }

  /** Pinned frames with the number of their pins. */
  get pins(): ReadonlyMap<number, number> {
    return this.#pins;
  }

  /** Frames that nobody but pins holds. */
  get orphans(): ReadonlySet<number> {
    return this.#orphans;
  }

  /** Poisoned frames, ascending, for checkers. */
  *poisoned(): IterableIterator<number> {
    if (this.#nrPoisoned === 0) return;
    for (let f = 0; f < this.#poisoned.length; f++) if (this.#poisoned[f] === 1) yield f;
  }
}
