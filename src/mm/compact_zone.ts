// What compaction knows of each zone between its runs: where its scanners go on, page blocks that
// led to nothing, how long it is put off after failures, and whether a run promises anything.
// Models   linux@v6.1 mm/compaction.c: defer_compaction, compaction_deferred,
//          compaction_defer_reset, compaction_restarting, reset_cached_positions,
//          __reset_isolation_suitable, __reset_isolation_pfn, __compaction_suitable,
//          compaction_suitable; mm/vmstat.c: fill_contig_page_info, fragmentation_index,
//          extfrag_for_order.
// Omits    ALLOC_CMA.
// State    one record a zone, made when it is first needed; skip  by page block: 1 where a scanner
//          found nothing and the next one does not look.
// Holds    CPT3 a zone is compacted only when it has free pages above its mark by twice the
//          request, and when they are in pieces rather than too few.
import type { ZoneIndex } from '../base/ids.ts';
import type { Buddy } from './buddy.ts';
import { MIGRATE_MOVABLE } from './gfp.ts';
import { ALLOC_WMARK_MASK } from './internal.ts';
import { KIND_ANON, KIND_BUDDY, KIND_FILE, KIND_HUGETLB, KIND_SHMEM, KIND_THP } from './memmap.ts';
import { PAGE_ALLOC_COSTLY_ORDER } from './pcp.ts';
import { wmarkPages, zoneWatermarkOk } from './watermark.ts';

/** What came of a run, in the kernel's order: of several zones the greatest counts. */
export const COMPACT = {
  SKIPPED: 1,
  DEFERRED: 2,
  CONTINUE: 4,
  COMPLETE: 5,
  PARTIAL_SKIPPED: 6,
  CONTENDED: 7,
  SUCCESS: 8,
} as const;
export type CompactResult = (typeof COMPACT)[keyof typeof COMPACT];

/** The order of a run that is for no request: all of the zone. */
export const WHOLE_ZONE = -1;
/** Compaction is put off 1 << this times at most. */
export const MOST_DEFER_SHIFT = 6;
/** Free pages that a run needs to work with, beside those that it makes (compact_gap). */
export const compactGap = (order: number): number => 2 << order;

export interface ZoneCompaction {
  /** Runs put off since the last one, and how many are (1 << deferShift). */
  considered: number;
  deferShift: number;
  /** The lowest order that failed. */
  orderFailed: number;
  /** First frame for the migrate scanner, of runs that do not wait and of those that do. */
  readonly migrateFrom: [number, number];
  /** First frame of the page block that the free scanner looks at. */
  freeFrom: number;
  /** Where the scanners start when they start over; -1: nobody has looked yet. */
  migrateStart: number;
  freeStart: number;
  /** A run for a request has been through: what was found unsuitable is forgotten soon. */
  forgetsSoon: boolean;
}

export class CompactZones {
  /** /proc/sys/vm/extfrag_threshold: a run is tried where fragmentation is worse, 0..1000. */
  extfragThreshold = 500;
  /** Free pages taken for others to move to, since the start; no event counts them. */
  nrTaken = 0;
  readonly #buddy: Buddy;
  /** Order of huge pages, transparent ones and those of pools. */
  readonly hugeOrder: number;
  readonly #zones: (ZoneCompaction | undefined)[] = [];
  #skip = new Uint8Array(0);

  constructor(buddy: Buddy, hugeOrder: number) {
    this.#buddy = buddy;
    this.hugeOrder = hugeOrder;
  }

  get blockPages(): number {
    return 1 << this.#buddy.pageblockOrder;
  }

  /** First frame of the last page block of a zone. */
  lastBlock(z: number): number {
    return (this.#buddy.zones.endFrame[z] as number) - this.blockPages;
  }

  of(z: number): ZoneCompaction {
    let state = this.#zones[z];
    if (state === undefined) {
      const start = this.#buddy.zones.startFrame[z] as number;
      state = {
        considered: 0,
        deferShift: 0,
        orderFailed: 0,
        migrateFrom: [start, start],
        freeFrom: this.lastBlock(z),
        migrateStart: -1,
        freeStart: -1,
        forgetsSoon: false,
      };
      this.#zones[z] = state;
    }
    return state;
  }

  /** The next run starts anew (reset_cached_positions). */
  startOver(z: number): void {
    const state = this.of(z);
    const start = this.#buddy.zones.startFrame[z] as number;
    state.migrateFrom[0] = start;
    state.migrateFrom[1] = start;
    state.freeFrom = this.lastBlock(z);
  }

  // ---- Page blocks that led to nothing -------------------------------------------------------

  isSkipped(f: number): boolean {
    return this.#skip[f >> this.#buddy.pageblockOrder] === 1;
  }

  setSkipped(f: number): void {
    const { map, pageblockOrder } = this.#buddy;
    if (this.#skip.length === 0) this.#skip = new Uint8Array((map.nrFrames >> pageblockOrder) + 1);
    this.#skip[f >> pageblockOrder] = 1;
  }

  /** Pages of the huge page that begins at a frame, 1 for every other frame. */
  sizeOfHuge(f: number): number {
    const kind = this.#buddy.map.kind[f];
    if (kind === KIND_HUGETLB) return 1 << this.hugeOrder;
    return kind === KIND_THP && f % (1 << this.hugeOrder) === 0 ? 1 << this.hugeOrder : 1;
  }

  /** Is a page block one huge page, which nothing can be done about? */
  isHuge(f: number): boolean {
    return this.sizeOfHuge(f) >= this.blockPages;
  }

  /**
   * Forgets what was unsuitable, where there is something to find now, from both ends of the zone
   * to its middle; the scanners start at the outermost (__reset_isolation_suitable).
   */
  forget(z: number): void {
    const state = this.of(z);
    if (!state.forgetsSoon) return;
    state.forgetsSoon = false;
    const { zones } = this.#buddy;
    let low = zones.startFrame[z] as number;
    let high = (zones.endFrame[z] as number) - 1;
    let firstSource = high;
    let lastTarget = low;
    let hasSource = false;
    let hasTarget = false;
    for (; low < high; low += this.blockPages, high -= this.blockPages) {
      if (this.#clear(z, low, true, hasSource) && low < firstSource) {
        hasSource = true;
        firstSource = low;
        state.migrateStart = low;
        state.migrateFrom.fill(low);
      }
      if (this.#clear(z, high, hasTarget, true) && high > lastTarget) {
        hasTarget = true;
        lastTarget = high;
        state.freeStart = high;
        state.freeFrom = high;
      }
    }
    if (firstSource < lastTarget) return;
    state.migrateFrom.fill(low);
    state.freeFrom = high;
  }

  /** Clears the mark of a block if a sample of its pages shows a source or a target. */
  #clear(z: number, f: number, asSource: boolean, asTarget: boolean): boolean {
    const { map, zoneOf, pageblockType } = this.#at(f);
    if (zoneOf !== z || this.isHuge(f - (f % this.blockPages))) return false;
    if (asSource && asTarget && !this.isSkipped(f)) return true;
    if (!asSource && asTarget && pageblockType !== MIGRATE_MOVABLE) return false;
    const start = f - (f % this.blockPages);
    for (let g = start; g < start + this.blockPages; g += 1 << PAGE_ALLOC_COSTLY_ORDER) {
      const kind = map.kind[g] as number;
      const isUsers = kind === KIND_ANON || kind === KIND_SHMEM || kind === KIND_FILE;
      if (!(asSource && isUsers) && !(asTarget && kind === KIND_BUDDY)) continue;
      if (this.#skip.length > 0) this.#skip[f >> this.#buddy.pageblockOrder] = 0;
      return true;
    }
    return false;
  }

  #at(f: number) {
    const buddy = this.#buddy;
    return { map: buddy.map, zoneOf: buddy.zoneOf(f), pageblockType: buddy.pageblockType(f) };
  }

  // ---- Putting off ---------------------------------------------------------------------------

  /** A run failed: the next ones are put off for longer (defer_compaction). */
  defer(z: number, order: number): void {
    const state = this.of(z);
    state.considered = 0;
    state.deferShift = Math.min(state.deferShift + 1, MOST_DEFER_SHIFT);
    state.orderFailed = Math.min(state.orderFailed, order);
  }

  /** Is a run put off this time? Asking counts (compaction_deferred). */
  isDeferred(z: number, order: number): boolean {
    const state = this.of(z);
    if (order < state.orderFailed) return false;
    const most = 1 << state.deferShift;
    state.considered = Math.min(state.considered + 1, most);
    return state.considered < most;
  }

  /** Requests of the order succeed again, or are expected to (compaction_defer_reset). */
  resetDefer(z: number, order: number, isGiven: boolean): void {
    const state = this.of(z);
    if (isGiven) {
      state.considered = 0;
      state.deferShift = 0;
    }
    if (order >= state.orderFailed) state.orderFailed = order + 1;
  }

  /** Is this the first run after many that were put off (compaction_restarting)? */
  isRestarting(z: number, order: number): boolean {
    const state = this.of(z);
    if (order < state.orderFailed) return false;
    return state.deferShift === MOST_DEFER_SHIFT && state.considered >= 1 << state.deferShift;
  }

  // ---- Is it worth while? --------------------------------------------------------------------

  /**
   * What a run for a request would come to before it starts: nothing to do, not to be tried, or go
   * on (compaction_suitable).
   */
  suitable(z: ZoneIndex, order: number, allocFlags: number, highest: number): CompactResult {
    if (order === WHOLE_ZONE) return COMPACT.CONTINUE;
    const { zones } = this.#buddy;
    const result = this.suitableWith(z, order, allocFlags, highest, zones.free[z] as number);
    if (result !== COMPACT.CONTINUE || order <= PAGE_ALLOC_COSTLY_ORDER) return result;
    const index = this.fragmentationIndex(z, order);
    return index >= 0 && index <= this.extfragThreshold ? COMPACT.SKIPPED : result;
  }

  /** The same by marks alone, if so many pages were free (__compaction_suitable). */
  suitableWith(
    z: ZoneIndex,
    order: number,
    allocFlags: number,
    highest: number,
    nrFree: number,
  ): CompactResult {
    const { zones } = this.#buddy;
    const wanted = wmarkPages(zones, z, allocFlags & ALLOC_WMARK_MASK);
    if (zoneWatermarkOk(zones, z, order, wanted, highest, allocFlags)) return COMPACT.SUCCESS;
    const isCostly = order > PAGE_ALLOC_COSTLY_ORDER;
    const mark = (isCostly ? zones.wmarkLow[z] : zones.wmarkMin[z]) as number;
    const needed = mark + compactGap(order);
    const isEnough = zoneWatermarkOk(zones, z, 0, needed, highest, 0, nrFree);
    return isEnough ? COMPACT.CONTINUE : COMPACT.SKIPPED;
  }

  /** Free blocks and pages of a zone, and how many blocks of the order they hold. */
  #contigInfo(z: number, order: number): { blocks: number; pages: number; suitable: number } {
    const info = { blocks: 0, pages: 0, suitable: 0 };
    for (let o = 0; o <= this.#buddy.maxOrder; o++) {
      const n = this.#buddy.countFree(z, o);
      info.blocks += n;
      info.pages += n << o;
      if (o >= order) info.suitable += n << (o - order);
    }
    return info;
  }

  /**
   * Would a request fail for want of pages (towards 0) or because they are in pieces (towards
   * 1000)? -1000 where it would not fail.
   */
  fragmentationIndex(z: number, order: number): number {
    const { blocks, pages, suitable } = this.#contigInfo(z, order);
    if (blocks === 0) return 0;
    if (suitable > 0) return -1000;
    const perBlock = Math.floor((1000 + Math.floor((pages * 1000) / 2 ** order)) / blocks);
    return 1000 - perBlock;
  }

  /** Percent of the free pages that are in blocks below an order (extfrag_for_order). */
  unusablePercent(z: number, order: number): number {
    const { pages, suitable } = this.#contigInfo(z, order);
    return pages === 0 ? 0 : Math.floor(((pages - (suitable << order)) * 100) / pages);
  }
}
