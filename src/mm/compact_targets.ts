// The free scanner of compaction: from the end of a zone down, it takes free pages off the buddy
// lists for pages that move there.
// Models   linux@v6.1 mm/compaction.c: isolate_freepages, isolate_freepages_block,
//          fast_isolate_freepages, fast_isolate_around, suitable_migration_target,
//          split_map_pages, compaction_alloc, compaction_free, release_freepages.
// Omits    locks and what they let others do meanwhile.
// Holds    CPT1 targets lie in the zone, in page blocks above the migrate scanner's, and never in a
//          block that is free as a whole.
import type { Frame, ZoneIndex } from '../base/ids.ts';
import type { Buddy } from './buddy.ts';
import type { CompactZones, ZoneCompaction } from './compact_zone.ts';
import { MIGRATE_MOVABLE } from './gfp.ts';
import { KIND_KERNEL, NIL } from './memmap.ts';
import type { VmStat } from './vmstat.ts';
import { EVENT } from './vmstat_items.ts';

/** Pages that move at a time (COMPACT_CLUSTER_MAX). */
export const CLUSTER = 32;

/** How thorough a run is: it does not wait, waits a little, or does all it can. */
export const MODE = { ASYNC: 0, SYNC_LIGHT: 1, SYNC: 2 } as const;
export type CompactMode = (typeof MODE)[keyof typeof MODE];

/** One run over one zone (struct compact_control). */
export interface CompactRun {
  readonly z: ZoneIndex;
  /** Of the request, or WHOLE_ZONE. */
  readonly order: number;
  /** Migrate type of the request. */
  readonly type: number;
  readonly mode: CompactMode;
  /** For a request, by itself; not by a daemon or for a program. */
  readonly isDirect: boolean;
  /** Marks of page blocks do not count. */
  readonly ignoresSkip: boolean;
  /** Targets may lie in page blocks of any type. */
  readonly ignoresType: boolean;
  wholeZone: boolean;
  /** Where the scanners are: a frame, and the first frame of a page block. */
  migrateAt: number;
  freeAt: number;
  /** Pages that wait for targets. */
  nrWanted: number;
  /** Searches of free lists in a row that found nothing, and the order to begin the next with. */
  fastFails: number;
  searchOrder: number;
  migrateScanned: number;
  freeScanned: number;
}

/** How many entries of a free list are looked at (freelist_scan_limit). */
export const scanLimit = (run: CompactRun): number => (CLUSTER >> Math.min(run.fastFails, 31)) + 1;

export class TargetScanner {
  readonly #buddy: Buddy;
  readonly #zones: CompactZones;
  readonly #stat: VmStat;
  readonly #free: (f: Frame) => void;
  readonly #run: CompactRun;
  readonly #state: ZoneCompaction;
  readonly #blockPages: number;
  /** Free pages taken; the last one is given first. */
  readonly #pages: number[] = [];

  constructor(
    buddy: Buddy,
    zones: CompactZones,
    stat: VmStat,
    free: (f: Frame) => void,
    run: CompactRun,
  ) {
    this.#buddy = buddy;
    this.#zones = zones;
    this.#stat = stat;
    this.#free = free;
    this.#run = run;
    this.#state = zones.of(run.z);
    this.#blockPages = zones.blockPages;
  }

  /** A frame for a page that moves, or NIL when the scanners have met (compaction_alloc). */
  take(): number {
    if (this.#pages.length === 0) this.#find();
    return this.#pages.pop() ?? NIL;
  }

  /** A frame that was not needed (compaction_free). */
  putBack(f: number): void {
    this.#pages.push(f);
  }

  /** Frees what was taken and not used; the next run begins no lower than there. */
  release(): void {
    let highest = NIL;
    while (this.#pages.length > 0) {
      const f = this.#pages.pop() as number;
      highest = Math.max(highest, f);
      this.#buddy.map.claim(f as Frame, KIND_KERNEL, 0, 0, 0);
      this.#free(f as Frame);
    }
    if (highest === NIL) return;
    this.#state.freeFrom = Math.max(this.#state.freeFrom, this.#blockOf(highest));
  }

  #blockOf(f: number): number {
    return f - (f % this.#blockPages);
  }

  #find(): void {
    this.#findFast();
    if (this.#pages.length > 0) return;
    const run = this.#run;
    const last = this.#blockOf(run.migrateAt) + this.#blockPages;
    let stride = run.mode === MODE.ASYNC ? CLUSTER : 1;
    let block = this.#blockOf(run.freeAt);
    let at = run.freeAt;
    for (; block >= last; block -= this.#blockPages, at = block) {
      const end = block + this.#blockPages;
      if (!this.#isTarget(block)) continue;
      if (!run.ignoresSkip && this.#zones.isSkipped(block)) continue;
      const before = this.#pages.length;
      at = this.#takeFrom(at, end, stride);
      const isThrough = at === end;
      if (isThrough) {
        this.#zones.setSkipped(block);
        this.#state.freeFrom = Math.min(this.#state.freeFrom, block - this.#blockPages);
      }
      if (this.#pages.length >= run.nrWanted) {
        if (isThrough) at = block - this.#blockPages;
        break;
      }
      if (!isThrough) break;
      stride = this.#pages.length > before ? 1 : Math.min(CLUSTER, stride << 1);
    }
    run.freeAt = at;
  }

  /** May pages move to a page block (suitable_migration_target)? */
  #isTarget(block: number): boolean {
    const buddy = this.#buddy;
    if (buddy.zoneOf(block) !== this.#run.z || buddy.isUntouched(this.#run.z, block)) return false;
    if (buddy.freeOrder(block) >= buddy.pageblockOrder) return false;
    return this.#run.ignoresType || buddy.pageblockType(block) === MIGRATE_MOVABLE;
  }

  /**
   * Takes free pages of a stretch of one page block, every `stride` pages, until there are enough
   * (isolate_freepages_block). Returns where it stopped.
   */
  #takeFrom(from: number, end: number, stride: number): number {
    let at = from;
    let nrTaken = 0;
    for (; at < end; at += stride) {
      this.#run.freeScanned++;
      const huge = this.#zones.sizeOfHuge(at);
      if (huge > 1) {
        this.#run.freeScanned += huge - 1;
        at += huge - 1;
        continue;
      }
      if (this.#buddy.freeOrder(at) < 0) continue;
      const size = this.#takeBlock(at);
      if (size === 0) break;
      nrTaken += size;
      if (this.#run.nrWanted <= this.#pages.length) {
        at += size;
        break;
      }
      at += size - 1;
    }
    if (nrTaken > 0) this.#stat.count(EVENT.compact_isolated, nrTaken);
    return Math.min(at, end);
  }

  /** Takes a free block. Returns its pages, or 0 when the zone has none to spare. */
  #takeBlock(f: number): number {
    const order = this.#buddy.isolate(this.#run.z, f);
    if (order < 0) return 0;
    for (let i = 0; i < 1 << order; i++) this.#pages.push(f + i);
    this.#run.freeScanned += (1 << order) - 1;
    this.#zones.nrTaken += 1 << order;
    return 1 << order;
  }

  /**
   * Looks through a few entries of the free lists, those that were freed longest ago first, for one
   * that lies high enough (fast_isolate_freepages).
   */
  #findFast(): void {
    const run = this.#run;
    if (run.order <= 0) return;
    const isStart = run.freeAt >= this.#state.freeStart;
    const limits = { most: Math.max(1, scanLimit(run) >> 1), highest: NIL };
    if (isStart) limits.most = this.#blockPages >> 1;
    const distance = run.freeAt - run.migrateAt;
    const preferred = this.#blockOf(run.freeAt - (distance >> 2));
    const least = this.#blockOf(run.freeAt - (distance >> 1));
    run.searchOrder = Math.min(run.order - 1, run.searchOrder);
    let found = NIL;
    for (let order = run.searchOrder; found === NIL && order >= 0; ) {
      found = this.#searchList(order, preferred, least, limits);
      if (found !== NIL) {
        const size = this.#takeBlock(found);
        if (size > 0) this.#stat.count(EVENT.compact_isolated, size);
        else {
          found = NIL;
          order = run.searchOrder + 1;
        }
      }
      if (this.#pages.length >= run.nrWanted) break;
      order = this.#nextOrder(order);
    }
    if (found === NIL) {
      run.fastFails++;
      if (isStart && limits.highest >= least) {
        run.freeAt = limits.highest;
        found = limits.highest;
      } else if (isStart && run.isDirect && this.#buddy.zoneOf(least) === run.z) {
        run.freeAt = least;
        found = least;
      }
    }
    if (limits.highest !== NIL && limits.highest >= this.#state.freeFrom) {
      this.#state.freeFrom = limits.highest - this.#blockPages;
    }
    if (found !== NIL) this.#takeAround(found);
  }

  /** Searches go through the orders in turn, each from where the last one ended. */
  #nextOrder(order: number): number {
    const run = this.#run;
    const next = order - 1 < 0 ? run.order - 1 : order - 1;
    if (next !== run.searchOrder) return next;
    run.searchOrder = run.searchOrder - 1 < 0 ? run.order - 1 : run.searchOrder - 1;
    return -1;
  }

  /** Looks through one list from its end. Returns a block, or NIL. */
  #searchList(
    order: number,
    preferred: number,
    least: number,
    limits: { most: number; highest: number },
  ): number {
    const buddy = this.#buddy;
    const { z } = this.#run;
    let nrLooked = 0;
    let second = NIL;
    let found: number = NIL;
    let f = buddy.tailOf(z, order, MIGRATE_MOVABLE);
    for (; f !== NIL; f = buddy.map.index[f] as number) {
      nrLooked++;
      this.#run.freeScanned++;
      if (f >= limits.highest) limits.highest = this.#blockOf(f);
      if (f >= preferred) {
        this.#run.fastFails = 0;
        this.#run.searchOrder = order;
        found = f;
        break;
      }
      if (f >= least && f > second) {
        second = f;
        limits.most >>= 1;
      }
      if (nrLooked >= limits.most) break;
    }
    if (found === NIL && second !== NIL) {
      found = second;
      f = second;
    }
    buddy.rotate(z, order, MIGRATE_MOVABLE, f);
    if (nrLooked >= limits.most) limits.most = Math.max(1, limits.most >> 1);
    return found;
  }

  /** Takes what else is free around a block just found (fast_isolate_around). */
  #takeAround(f: number): void {
    const run = this.#run;
    if (this.#pages.length >= run.nrWanted) return;
    if (run.isDirect && run.mode === MODE.ASYNC) return;
    const block = this.#blockOf(f);
    const at = this.#takeFrom(block, block + this.#blockPages, 1);
    if (at === block + this.#blockPages) this.#zones.setSkipped(block);
  }
}
