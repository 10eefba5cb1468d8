// The page allocator: a walk above the low marks, and what is done for a request that it gives
// nothing.
// Models   linux@v6.1 mm/page_alloc.c: __alloc_pages, __alloc_pages_slowpath.
// Omits    what mm/direct.ts does for a request that the walks gave nothing.
// Holds    ALC2 a request with a nodemask gets a page of that mask, or none.
import type { NodeId, ZoneIndex } from '../base/ids.ts';
import type { Nodemask } from '../base/nodemask.ts';
import { MASK_NONE, MASK_REQUEST } from '../hooks/design.ts';
import type { Buddy } from './buddy.ts';
import type { Compaction } from './compaction.ts';
import { ATTEMPT } from './decision_log.ts';
import { directReclaim } from './direct.ts';
import {
  __GFP_DIRECT_RECLAIM,
  __GFP_HARDWALL,
  __GFP_NOFAIL,
  __GFP_NORETRY,
  __GFP_RETRY_MAYFAIL,
  __GFP_THISNODE,
  asksPrivate,
  ZONE_NORMAL,
} from './gfp.ts';
import {
  ALLOC_CPUSET,
  ALLOC_KSWAPD,
  ALLOC_MIN_RESERVE,
  ALLOC_NO_WATERMARKS,
  ALLOC_WMARK_HIGH,
  FAILURE,
  gfpToAllocFlags,
  isForReclaim,
  type PageAllocatorParts,
} from './internal.ts';
import { NIL } from './memmap.ts';
import { PAGE_ALLOC_COSTLY_ORDER } from './pcp.ts';
import { MAX_RECLAIM_RETRIES, type Reclaimer, type ReclaimRequest } from './reclaim.ts';
import { findsSlab } from './slab.ts';
import { NO_REQUEST, NO_ZONE, ZoneWalker } from './zone_walk.ts';

export class PageAllocator extends ZoneWalker {
  /** What frees pages for requests; null while there is nothing that it could free. */
  reclaimer: Reclaimer | null = null;
  /** What moves pages together for requests of more than one page. */
  compaction: Compaction | null = null;
  readonly #buddy: Buddy;

  constructor(parts: PageAllocatorParts) {
    super(parts);
    this.#buddy = parts.buddy;
  }

  /**
   * Allocates blocks of 2^order frames into `out` (__alloc_pages).
   * @param want how many requests alike follow one another, 1..MAX_RUN; more than one only for
   *   single pages. Fewer may be given: those for which nothing that is looked at has changed.
   * @returns how many were given; 0 means failure, and `failure` says which.
   */
  alloc(gfp: number, order: number, nid: NodeId, nodemask: Nodemask | null, want: number): number {
    if (this.#buddy.boostedZone !== NIL) this.answerBoost();
    if (order === 0) {
      const n = this.takeAgain(gfp, nid, nodemask, want);
      if (n > 0) return n;
    }
    return this.#allocAnew(gfp, order, nid, nodemask, want);
  }

  /**
   * Marks were raised while a request was served, and the daemon of the node was woken: it runs
   * now, between requests (the end of rmqueue).
   */
  answerBoost(): void {
    const buddy = this.#buddy;
    const z = buddy.boostedZone;
    if (z === NIL) return;
    const { boostWakes } = buddy;
    buddy.boostedZone = NIL;
    buddy.boostWakes = false;
    if (boostWakes) (this.reclaimer ?? this.compaction)?.wakeBoosted(z);
    this.forgetRequest();
  }

  /** A request unlike the last one, or for which the straight first step was not enough. */
  #allocAnew(
    gfp: number,
    order: number,
    nid: NodeId,
    nodemask: Nodemask | null,
    want: number,
  ): number {
    this.failure = FAILURE.NONE;
    this.order = order;
    this.prepare(gfp, nid, nodemask);
    if (order === 0) {
      const first = this.takeFirst(want);
      if (first > 0) return first;
    }
    const n = this.getPageFromFreelist(this.fastGfp, this.fastFlags, ATTEMPT.FAST, want);
    if (n > 0) return n;
    this.nodemask = nodemask;
    this.maskOrigin = nodemask === null ? MASK_NONE : MASK_REQUEST;
    this.startNid = NO_REQUEST;
    return this.#slowpath(gfp, want);
  }

  /** Tries again after an OOM kill, above the min watermarks only. Returns as alloc, at most 1. */
  retry(gfp: number): number {
    this.failure = FAILURE.NONE;
    return this.#slowpath(gfp, 1);
  }

  /**
   * One page of what others have to leave: by ALLOC_MIN_RESERVE half of it, by ALLOC_NO_WATERMARKS
   * all; first on the nodes of the cpuset, then on any (__alloc_pages_cpuset_fallback).
   */
  takeReserves(gfp: number, flags: number): number {
    const n = this.getPageFromFreelist(gfp, flags | ALLOC_CPUSET, ATTEMPT.RESERVES, 1);
    return n > 0 ? n : this.getPageFromFreelist(gfp, flags, ATTEMPT.RESERVES, 1);
  }

  /**
   * What is left for a request that the first walk gave nothing. One that must not fail, and for
   * which nobody is killed, takes of the reserves, and is tried again.
   */
  #slowpath(gfp: number, want: number): number {
    for (let tries = 0; tries < MAX_RECLAIM_RETRIES; tries++) {
      const n = this.#tryHard(gfp, want);
      if (n > 0 || (gfp & __GFP_NOFAIL) === 0 || (gfp & __GFP_DIRECT_RECLAIM) === 0) return n;
      const { failure } = this;
      if (failure !== FAILURE.NO_RECLAIM && failure !== FAILURE.NO_ZONE) return 0;
      const m = this.takeReserves(gfp, ALLOC_MIN_RESERVE);
      if (m > 0) return m;
    }
    return this.fail(FAILURE.STUCK);
  }

  #tryHard(gfp: number, want: number): number {
    let flags = gfpToAllocFlags(gfp, this.order);
    this.preferred = this.firstZone(this.nodemask);
    if (this.preferred === NO_ZONE) return this.fail(FAILURE.NO_ZONE);
    if (this.cpusetsInsane && gfp & __GFP_HARDWALL && !asksPrivate(gfp)) {
      if (this.firstZone(this.current.memsAllowed) === NO_ZONE) return this.fail(FAILURE.NO_ZONE);
    }
    const daemons = this.reclaimer ?? (this.order > 0 ? this.compaction : null);
    if (flags & ALLOC_KSWAPD) daemons?.wakeKswapds(this.#request(gfp, flags));
    // Pages that were freed for this request, or gathered from lists, are the next one's to find.
    const most = this.reclaimer === null ? want : 1;
    const n = this.getPageFromFreelist(gfp, flags, ATTEMPT.SLOW, most);
    if (n > 0) return n;
    if (isForReclaim(gfp)) flags = ALLOC_NO_WATERMARKS | (flags & ALLOC_KSWAPD);
    if (!(flags & ALLOC_CPUSET)) {
      // It is urgent: neither mask nor cpuset counts any more.
      this.nodemask = null;
      this.maskOrigin = MASK_NONE;
      this.preferred = this.firstZone(null);
      const m = this.getPageFromFreelist(gfp, flags, ATTEMPT.SLOW, most);
      if (m > 0) return m;
    }
    if (!(gfp & __GFP_DIRECT_RECLAIM)) return this.fail(FAILURE.NO_RECLAIM);
    const isAdmitted = this.nrAdmitted > 0;
    const isOverQuota = this.nrOverQuota > 0 && !isAdmitted;
    const freed = isAdmitted || daemons !== null ? this.#reclaim(gfp, flags) : 0;
    if (freed > 0) return freed;
    const mayNotKill = __GFP_NORETRY | __GFP_RETRY_MAYFAIL | __GFP_THISNODE;
    if (gfp & mayNotKill || this.order > PAGE_ALLOC_COSTLY_ORDER) {
      return this.fail(FAILURE.NO_RECLAIM);
    }
    const hard = (gfp | __GFP_HARDWALL) & ~__GFP_DIRECT_RECLAIM;
    const last = this.getPageFromFreelist(hard, ALLOC_WMARK_HIGH | ALLOC_CPUSET, ATTEMPT.OOM, 1);
    if (last > 0) return last;
    if (this.highest < ZONE_NORMAL) return this.fail(FAILURE.NO_RECLAIM);
    if (isOverQuota) return this.fail(FAILURE.OVER_QUOTA);
    return this.fail(isAdmitted ? FAILURE.NO_PAGES : FAILURE.NOT_ADMITTED);
  }

  /** Frees pages, or at least empties the per-CPU lists, and makes the walk again. */
  #reclaim(gfp: number, flags: number): number {
    const { reclaimer, compaction } = this;
    return directReclaim({
      request: this.#request(gfp, flags),
      reclaimer,
      compaction,
      stat: this.parts.stat,
      walk: () => this.getPageFromFreelist(gfp, flags, ATTEMPT.DRAINED, 1),
      lastZone: () => this.lastZone,
      drain: () => this.pcp.drainAll(),
    });
  }

  protected override reclaimsNodes(): boolean {
    return this.reclaimer?.reclaimsNodes === true;
  }

  /** On the task's own node, and on nodes without CPUs, for who may wait (node_reclaim). */
  protected override reclaimNode(z: ZoneIndex, gfp: number, allocFlags: number): boolean {
    const { zones, nodeOfCpu, states } = this.parts;
    const nid = zones.nid[z] as number;
    const local = nodeOfCpu[this.current.cpu] as number;
    if ((gfp & __GFP_DIRECT_RECLAIM) === 0 || (states.cpu.has(nid) && nid !== local)) return false;
    const near = zones.nid[this.list.zones[this.preferred] as number] as number;
    const request = this.#request(gfp, allocFlags);
    const isEnough = this.reclaimer?.reclaimNode(nid, near, request) === true;
    request.resume();
    return isEnough;
  }

  /** The request in progress, as reclaim sees it. */
  #request(gfp: number, allocFlags: number): ReclaimRequest {
    const was = [this.order, this.highest, this.preferred, this.migratetype] as const;
    const [list, nodemask, origin] = [this.list, this.nodemask, this.maskOrigin];
    // Pages freed where the group has its share already would help others only.
    const cpusetAllows = (nid: number): boolean =>
      (!this.cpusetsEnabled || this.cpusetAllows(nid, __GFP_HARDWALL)) && this.roomOn(nid) > 0;
    const resume = (): void => {
      [this.order, this.highest, this.preferred, this.migratetype] = was;
      [this.list, this.nodemask, this.maskOrigin] = [list, nodemask, origin];
      this.startNid = NO_REQUEST;
    };
    const reach = { zones: list.zones, highest: was[1], nodemask, cpusetAllows };
    const hasSlab = findsSlab(this.parts.zones, this.parts.states, reach);
    return { gfp, allocFlags, order: was[0], ...reach, hasSlab, resume };
  }
}
