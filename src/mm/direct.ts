// What a request does that found no page: it has memory reclaimed and compacted, and walks its list
// again, as long as that promises anything.
// Models   linux@v6.1 mm/page_alloc.c: the part of __alloc_pages_slowpath between the second walk
//          and the OOM killer, __alloc_pages_direct_reclaim, __alloc_pages_direct_compact,
//          should_reclaim_retry, should_compact_retry.
// Holds    CPT6 a request for a large block that must not retry gives up when compaction does not
//          start. EXH2 where there is slab, the lists of all CPUs are empty in the end.

import { COMPACT, type CompactResult } from './compact_zone.ts';
import type { Compaction, CompactPriority } from './compaction.ts';
import { PRIORITY } from './compaction.ts';
import { __GFP_NORETRY, __GFP_RETRY_MAYFAIL, gfpMigratetype, MIGRATE_MOVABLE } from './gfp.ts';
import { ALLOC_KSWAPD } from './internal.ts';
import { PAGE_ALLOC_COSTLY_ORDER } from './pcp.ts';
import { MAX_RECLAIM_RETRIES, type Reclaimer, type ReclaimRequest } from './reclaim.ts';
import type { VmStat } from './vmstat.ts';
import { EVENT } from './vmstat_items.ts';

/** Runs of compaction that came to nothing in particular before a request gives up. */
const MAX_COMPACT_RETRIES = 16;

export interface DirectParts {
  readonly request: ReclaimRequest;
  /** Null while there is nothing that it could free. */
  readonly reclaimer: Reclaimer | null;
  readonly compaction: Compaction | null;
  readonly stat: VmStat;
  /** Walks the list again: pages given, or 0. */
  readonly walk: () => number;
  /** Zone that the last walk took from. */
  readonly lastZone: () => number;
  /** Empties the lists of all CPUs. */
  readonly drain: () => void;
}

/** Gets a request its pages by reclaim and compaction. Returns how many it got, 0 for none. */
export function directReclaim(parts: DirectParts): number {
  const n = new DirectRun(parts).run();
  parts.compaction?.kswapdsSleep();
  return n;
}

class DirectRun {
  readonly #p: DirectParts;
  readonly #order: number;
  readonly #isCostly: boolean;
  #priority: CompactPriority = PRIORITY.SYNC_LIGHT;
  #result: CompactResult = COMPACT.SKIPPED;
  #retries = 0;

  constructor(parts: DirectParts) {
    this.#p = parts;
    this.#order = parts.request.order;
    this.#isCostly = this.#order > PAGE_ALLOC_COSTLY_ORDER;
  }

  run(): number {
    const { request, walk, drain } = this.#p;
    const { gfp } = request;
    const isMovable = gfpMigratetype(gfp) === MIGRATE_MOVABLE;
    if (this.#isCostly || (this.#order > 0 && !isMovable)) {
      const n = this.#compact(PRIORITY.ASYNC);
      if (n > 0) return n;
      if (this.#isCostly && gfp & __GFP_NORETRY) {
        // Reclaim for its sake would drive out more than one huge page is worth.
        if (this.#result <= COMPACT.DEFERRED && this.#p.compaction !== null) return 0;
        this.#priority = PRIORITY.ASYNC;
      }
    }
    const n = this.#tryAll();
    if (n > 0) return n;
    // The little slab that is found there makes a real kernel do this in the end.
    if (request.hasSlab) drain();
    return request.hasSlab || this.#p.reclaimer !== null ? walk() : 0;
  }

  #tryAll(): number {
    const { request, walk, reclaimer } = this.#p;
    const { gfp } = request;
    let noProgress = 0;
    for (;;) {
      const { n, isProgress } = this.#reclaim();
      if (n > 0) return n;
      const m = this.#order > 0 ? this.#compact(this.#priority) : 0;
      if (m > 0) return m;
      if (gfp & __GFP_NORETRY) return 0;
      if (this.#isCostly && !(gfp & __GFP_RETRY_MAYFAIL)) return 0;
      noProgress = isProgress && !this.#isCostly ? 0 : noProgress + 1;
      const isLate = noProgress > MAX_RECLAIM_RETRIES;
      const promises = !isLate && reclaimer?.promises(request) === true;
      if (!promises && !(isProgress && this.#retriesCompaction())) return 0;
      if (reclaimer !== null && request.allocFlags & ALLOC_KSWAPD) reclaimer.wakeKswapds(request);
      const again = walk();
      if (again > 0) return again;
    }
  }

  /** Frees a few pages, unless compaction is the better means (__alloc_pages_direct_reclaim). */
  #reclaim(): { n: number; isProgress: boolean } {
    const { request, reclaimer, compaction, walk, drain } = this.#p;
    const isReady = compaction?.someReady(request) === true;
    const freed = reclaimer === null ? 0 : reclaimer.tryToFree(request);
    request.resume();
    const isProgress = freed > 0 || isReady;
    const isFirst = this.#order > 0 && this.#retries === 0;
    if (!isProgress && !(isFirst && request.hasSlab)) return { n: 0, isProgress };
    let n = walk();
    if (n === 0) {
      drain();
      n = walk();
    }
    return { n, isProgress };
  }

  /** Has the zones of the list compacted, and walks it (__alloc_pages_direct_compact). */
  #compact(priority: CompactPriority): number {
    const { compaction, request, stat, walk, lastZone } = this.#p;
    if (compaction === null) return 0;
    this.#result = compaction.compactFor(request, priority);
    request.resume();
    if (this.#result === COMPACT.SKIPPED) return 0;
    stat.count(EVENT.compact_stall, 1);
    const n = walk();
    stat.count(n > 0 ? EVENT.compact_success : EVENT.compact_fail, 1);
    if (n > 0) compaction.succeeded(lastZone(), this.#order);
    return n;
  }

  /** Is compaction worth another try, or a harder one (should_compact_retry)? */
  #retriesCompaction(): boolean {
    const { compaction, request } = this.#p;
    const result = this.#result;
    if (this.#order === 0 || compaction === null) return false;
    if (result === COMPACT.SUCCESS) this.#retries++;
    if (result === COMPACT.SKIPPED) return compaction.mayBecomeSuitable(request);
    if (result === COMPACT.SUCCESS || result === COMPACT.CONTINUE) {
      const most = this.#isCostly ? MAX_COMPACT_RETRIES / 4 : MAX_COMPACT_RETRIES;
      if (this.#retries <= most) return true;
    }
    const hardest = this.#isCostly ? PRIORITY.SYNC_LIGHT : PRIORITY.SYNC_FULL;
    if (this.#priority <= hardest) return false;
    this.#priority = (this.#priority - 1) as CompactPriority;
    this.#retries = 0;
    return true;
  }
}
