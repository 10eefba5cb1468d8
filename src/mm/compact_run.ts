// One run of compaction over one zone: the migrate scanner goes up from its start and takes pages
// that can move, the free scanner comes down from its end with places for them, until there is a
// block or they meet.
// Models   linux@v6.1 mm/compaction.c: compact_zone, compact_finished, isolate_migratepages,
//          isolate_migratepages_block, fast_find_migrateblock, reinit_migrate_pfn,
//          suitable_migration_source, test_and_set_skip, update_cached_migrate.
// Omits    contention and signals, which end a run early; pages on the way to a list; a block
//          that is caught while it is being freed (compaction_capture): the request finds it on
//          its list.
// Holds    CPT2 a page moves within its zone, and only pages of private and shared memory and of
//          files do: huge pages, the kernel's, pinned private ones and those that a design keeps
//          out stay.
import type { Frame } from '../base/ids.ts';
import type { Buddy } from './buddy.ts';
import { CLUSTER, type CompactRun, MODE, scanLimit, TargetScanner } from './compact_targets.ts';
import {
  COMPACT,
  type CompactResult,
  type CompactZones,
  WHOLE_ZONE,
  type ZoneCompaction,
} from './compact_zone.ts';
import { MIGRATE_MOVABLE } from './gfp.ts';
import { NIL } from './memmap.ts';
import { PAGE_ALLOC_COSTLY_ORDER, type PerCpuLists } from './pcp.ts';
import { PGMIGRATE_FAIL, type VmStat } from './vmstat.ts';
import { EVENT } from './vmstat_items.ts';

/** What compaction asks of those who own pages. */
export interface MovablePages {
  /** May the page be taken off its list, to be moved (isolate_migratepages_block)? */
  canIsolate(f: number): boolean;
  /** Moves a page to a frame. False when something holds it. */
  move(f: Frame, target: Frame): boolean;
}

export interface CompactParts {
  readonly buddy: Buddy;
  readonly pcp: PerCpuLists;
  readonly stat: VmStat;
  readonly pages: MovablePages;
  readonly free: (f: Frame) => void;
  /** CPU that compaction works on now. */
  readonly cpu: () => number;
}

/** When a run ends beside that its scanners meet: for daemons that only want less fragmentation. */
export type IsEnough = (() => boolean) | undefined;

export class ZoneRun {
  readonly #p: CompactParts;
  readonly #zones: CompactZones;
  readonly #state: ZoneCompaction;
  readonly run: CompactRun;
  readonly #targets: TargetScanner;
  readonly #blockPages: number;
  readonly #isEnough: IsEnough;
  /** Pages that wait to be moved; the last one is moved first. */
  #pages: number[] = [];
  #fastStart: number | undefined;
  #usedFastStart = false;
  /** This page block is looked at to its end. */
  #finishesBlock = false;
  nrMoved = 0;

  constructor(parts: CompactParts, zones: CompactZones, run: CompactRun, isEnough?: IsEnough) {
    this.#p = parts;
    this.#zones = zones;
    this.#state = zones.of(run.z);
    this.run = run;
    this.#targets = new TargetScanner(parts.buddy, zones, parts.stat, parts.free, run);
    this.#blockPages = zones.blockPages;
    this.#isEnough = isEnough;
  }

  get #zoneStart(): number {
    return this.#p.buddy.zones.startFrame[this.run.z] as number;
  }

  #blockOf(f: number): number {
    return f - (f % this.#blockPages);
  }

  /**
   * Runs (compact_zone). The caller has asked whether the zone is suitable.
   * @returns why it ended.
   */
  compact(): CompactResult {
    const { run } = this;
    const { stat } = this.#p;
    if (run.order !== WHOLE_ZONE && this.#zones.isRestarting(run.z, run.order)) {
      this.#zones.forget(run.z);
    }
    this.#setOut();
    const result = this.#loop();
    this.#targets.release();
    stat.count(EVENT.compact_migrate_scanned, run.migrateScanned);
    stat.count(EVENT.compact_free_scanned, run.freeScanned);
    return result;
  }

  #setOut(): void {
    const { run } = this;
    const state = this.#state;
    if (run.wholeZone) {
      run.migrateAt = this.#zoneStart;
      run.freeAt = this.#zones.lastBlock(run.z);
      return;
    }
    const end = this.#p.buddy.zones.endFrame[run.z] as number;
    if (state.freeFrom < this.#zoneStart || state.freeFrom >= end) {
      state.freeFrom = this.#zones.lastBlock(run.z);
    }
    const i = run.mode === MODE.ASYNC ? 0 : 1;
    if (state.migrateFrom[i] < this.#zoneStart || state.migrateFrom[i] >= end) {
      state.migrateFrom.fill(this.#zoneStart);
    }
    run.migrateAt = state.migrateFrom[i];
    run.freeAt = state.freeFrom;
    if (run.migrateAt <= state.migrateStart) run.wholeZone = true;
  }

  #loop(): CompactResult {
    const { run } = this;
    const { migrateFrom } = this.#state;
    let lastMigrated = NIL;
    let updates = run.mode === MODE.ASYNC && migrateFrom[0] === migrateFrom[1];
    for (;;) {
      const result = this.#finished();
      if (result !== COMPACT.CONTINUE) return result;
      const from = run.migrateAt;
      this.#finishesBlock =
        lastMigrated !== NIL && this.#blockOf(lastMigrated) === this.#blockOf(from);
      if (!this.#isolate()) {
        if (updates) migrateFrom[1] = migrateFrom[0];
      } else {
        updates = false;
        lastMigrated = from;
        const error = this.#migrate();
        if (error === 'no target' && !this.#haveMet()) return COMPACT.CONTENDED;
        if (error !== undefined && run.isDirect && run.mode === MODE.ASYNC) {
          // One page that stays is enough to keep the block of the request from coming free.
          run.migrateAt = this.#blockEnd(run.migrateAt - 1, run.order);
          lastMigrated = NIL;
        }
      }
      if (run.order <= 0 || lastMigrated === NIL) continue;
      if (lastMigrated >= run.migrateAt - (run.migrateAt % 2 ** run.order)) continue;
      this.#p.pcp.drainCpu(run.z, this.#p.cpu());
      lastMigrated = NIL;
    }
  }

  #blockEnd(f: number, order: number): number {
    const size = 2 ** order;
    return f - (f % size) + size;
  }

  #haveMet(): boolean {
    return this.#blockOf(this.run.freeAt) <= this.#blockOf(this.run.migrateAt);
  }

  #finished(): CompactResult {
    const { run } = this;
    if (this.#haveMet()) {
      this.#zones.startOver(run.z);
      if (run.isDirect) this.#state.forgetsSoon = true;
      return run.wholeZone ? COMPACT.COMPLETE : COMPACT.PARTIAL_SKIPPED;
    }
    if (this.#isEnough !== undefined) return this.#isEnough() ? COMPACT.SUCCESS : COMPACT.CONTINUE;
    if (run.order === WHOLE_ZONE || run.migrateAt % this.#blockPages !== 0) return COMPACT.CONTINUE;
    const isThere = this.#p.buddy.hasBlockFor(run.z, run.order, run.type);
    return isThere ? COMPACT.SUCCESS : COMPACT.CONTINUE;
  }

  /** Moves the pages that wait. Returns what kept it from moving them all. */
  #migrate(): 'no target' | 'held' | undefined {
    const { pages, stat } = this.#p;
    let nrHeld = 0;
    let error: 'no target' | undefined;
    while (this.#pages.length > 0) {
      const f = this.#pages.pop() as Frame;
      const target = this.#targets.take();
      if (target === NIL) {
        error = 'no target';
        break;
      }
      if (pages.move(f, target as Frame)) {
        this.nrMoved++;
        continue;
      }
      this.#targets.putBack(target);
      nrHeld++;
    }
    const nrFailed = nrHeld + (error === undefined ? 0 : 1);
    if (nrFailed > 0) stat.count(PGMIGRATE_FAIL, nrFailed);
    this.#pages = [];
    this.run.nrWanted = 0;
    return error ?? (nrHeld > 0 ? 'held' : undefined);
  }

  // ---- The migrate scanner -------------------------------------------------------------------

  /** Takes pages of the next page block that has any. False when none was found. */
  #isolate(): boolean {
    const { run } = this;
    const { buddy } = this.#p;
    let low = this.#findFast();
    let isFound = low !== run.migrateAt && run.fastFails === 0;
    for (let end = this.#blockOf(low) + this.#blockPages; end <= run.freeAt; ) {
      const isFirst = low % this.#blockPages === 0;
      const isPassed = isFirst && !isFound && !run.ignoresSkip && this.#zones.isSkipped(low);
      if (buddy.zoneOf(low) === run.z && !isPassed) {
        if (this.#isSource(low)) {
          this.#isolateIn(low, end);
          break;
        }
        this.#noteCached(end);
      }
      isFound = false;
      low = end;
      run.migrateAt = end;
      end += this.#blockPages;
    }
    return this.#pages.length > 0;
  }

  /** May pages of a page block move away (suitable_migration_source)? */
  #isSource(f: number): boolean {
    const { run } = this;
    const { buddy } = this.#p;
    const start = this.#blockOf(f);
    if (this.#zones.isHuge(start)) return false;
    if (run.mode !== MODE.ASYNC || !run.isDirect) return true;
    return buddy.pageblockType(f) === run.type;
  }

  /** Where the next run goes on (update_cached_migrate). */
  #noteCached(f: number): void {
    const next = this.#blockOf(f) + this.#blockPages;
    const { migrateFrom } = this.#state;
    migrateFrom[0] = Math.max(migrateFrom[0], next);
    if (this.run.mode !== MODE.ASYNC) migrateFrom[1] = Math.max(migrateFrom[1], next);
  }

  /**
   * Takes up to a cluster of pages of a stretch of one page block (isolate_migratepages_block). A
   * request that does not wait leaves a block alone of which a page cannot move.
   */
  #isolateIn(from: number, end: number): void {
    const { run } = this;
    const givesUp = run.isDirect && run.mode === MODE.ASYNC;
    let boundary = givesUp ? this.#blockEnd(from, run.order) : 0;
    let low = from;
    let nr = 0;
    let isMarked = false;
    let first = NIL;
    for (; low < end; low++) {
      if (givesUp && low >= boundary) {
        if (nr > 0) break;
        boundary = this.#blockEnd(low, run.order);
      }
      run.migrateScanned++;
      if (first === NIL && low % this.#blockPages === 0) {
        if (!run.ignoresSkip && this.#zones.isSkipped(low)) {
          low = end;
          break;
        }
        first = low;
      }
      const size = this.#passedOver(low, givesUp);
      if (size > 0) {
        low += size - 1;
        continue;
      }
      const hugeSize = this.#zones.sizeOfHuge(low);
      if (hugeSize === 1 && this.#p.pages.canIsolate(low)) {
        if (!isMarked) {
          isMarked = true;
          // The block is looked at, if the page is its first: others look elsewhere.
          if (!run.ignoresSkip && low % this.#blockPages === 0) this.#zones.setSkipped(low);
        }
        this.#pages.push(low);
        nr++;
        if (this.#pages.length < CLUSTER || this.#finishesBlock) continue;
        low++;
        break;
      }
      low += hugeSize - 1;
      if (!givesUp) continue;
      this.#pages.length = 0;
      nr = 0;
      if (low < boundary) {
        low = boundary - 1;
        boundary += 2 ** run.order;
      }
    }
    low = Math.min(low, end);
    if (low === end && (nr === 0 || this.#finishesBlock)) {
      if (first !== NIL && !isMarked) this.#zones.setSkipped(first);
      this.#noteCached(low);
    }
    if (nr > 0) this.#p.stat.count(EVENT.compact_isolated, nr);
    run.nrWanted = this.#pages.length;
    run.migrateAt = low;
  }

  /**
   * Pages of a free block that begins at a frame, 0 for a frame that is not free. Of untouched
   * memory, which is whole blocks of the largest order, only the first page says so: page blocks
   * behind it are looked at page by page, and by those who give up once in each block they want.
   */
  #passedOver(f: number, givesUp: boolean): number {
    const { buddy } = this.#p;
    const { run } = this;
    if (buddy.isUntouched(run.z, f)) {
      const nrLooks = givesUp ? this.#blockPages >> run.order : this.#blockPages;
      if (f % (1 << buddy.maxOrder) !== 0) run.migrateScanned += Math.max(nrLooks, 1) - 1;
      return this.#blockPages;
    }
    const order = buddy.freeOrder(f);
    return order < 0 ? 0 : 1 << order;
  }

  /**
   * Looks through a few entries of the free lists for a page block that is free in part already
   * (fast_find_migrateblock). Returns where to go on.
   */
  #findFast(): number {
    const { run } = this;
    const { buddy } = this.#p;
    const at = run.migrateAt;
    const isInside = at !== this.#zoneStart && at % this.#blockPages !== 0;
    if (run.ignoresSkip || isInside || run.order <= PAGE_ALLOC_COSTLY_ORDER) return at;
    if (run.isDirect && run.type !== MIGRATE_MOVABLE) return at;
    let distance = (run.freeAt - at) >> 1;
    if (at !== this.#zoneStart) distance >>= 2;
    const highest = this.#blockOf(at + distance);
    const most = scanLimit(run);
    let nrLooked = 0;
    for (let o = run.order - 1; o >= PAGE_ALLOC_COSTLY_ORDER && nrLooked < most; o--) {
      let f = buddy.headOf(run.z, o, MIGRATE_MOVABLE);
      for (; f !== NIL; f = buddy.map.link[f] as number) {
        const isLast = nrLooked++ >= most;
        if (!isLast && (f >= highest || this.#zones.isSkipped(f))) continue;
        buddy.rotate(run.z, o, MIGRATE_MOVABLE, buddy.map.link[f] as number);
        if (isLast) break;
        if (!this.#usedFastStart) this.#fastStart = Math.min(this.#fastStart ?? f, f);
        run.fastFails = 0;
        // The mark keeps the scan off the block that was just found: as 6.1 does, by mistake.
        this.#zones.setSkipped(f);
        run.migrateScanned += nrLooked;
        return this.#blockOf(f);
      }
    }
    run.migrateScanned += nrLooked;
    run.fastFails++;
    if (this.#fastStart === undefined || this.#usedFastStart) return at;
    this.#usedFastStart = true;
    run.migrateAt = this.#fastStart;
    return this.#fastStart;
  }
}
