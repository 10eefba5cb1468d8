// The page allocator's decision: which zonelist, which zones of it, and what when none has a page.
// Models   linux@v6.1 mm/page_alloc.c: __alloc_pages, prepare_alloc_pages, get_page_from_freelist,
//          alloc_flags_nofragment, zone_watermark_fast, rmqueue, __alloc_pages_slowpath.
// Omits    what mm/direct.ts does for a request that the walks gave nothing.
// Hooks    zoneGate, nodeCharge (get_page_from_freelist).
// Holds    ALC1 a page comes from a zone of the walked list, not above the request's highest zone
//          type. ALC2 a request with a nodemask gets a page of that mask, or none.
import type { Cpu, NodeId, ZoneIndex } from '../base/ids.ts';
import type { Nodemask } from '../base/nodemask.ts';
import {
  MASK_CPUSET,
  MASK_NONE,
  MASK_REQUEST,
  type MaskOrigin,
  type ZoneGate,
} from '../hooks/design.ts';
import type { Compaction } from './compaction.ts';
import { ATTEMPT, type DecisionLog, VERDICT, type Verdict } from './decision_log.ts';
import { directReclaim } from './direct.ts';
import { FirstStep } from './first_step.ts';
import {
  __GFP_DIRECT_RECLAIM,
  __GFP_HARDWALL,
  __GFP_KSWAPD_RECLAIM,
  __GFP_NORETRY,
  __GFP_RETRY_MAYFAIL,
  __GFP_THISNODE,
  __GFP_WRITE,
  asksPrivate,
  gfpMigratetype,
  gfpZone,
  ZONE_NORMAL,
} from './gfp.ts';
import {
  ALLOC_CPUSET,
  ALLOC_HARDER,
  ALLOC_KSWAPD,
  ALLOC_NOFRAGMENT,
  ALLOC_WMARK_HIGH,
  ALLOC_WMARK_LOW,
  cpusetNodeAllowed,
  FAILURE,
  gfpToAllocFlags,
  MAX_RUN,
  type PageAllocatorParts,
} from './internal.ts';
import { NIL } from './memmap.ts';
import { sparesPageBlocks } from './mmzone.ts';
import type { NodeCharges } from './node_charge.ts';
import { PageFreer } from './page_free.ts';
import { PAGE_ALLOC_COSTLY_ORDER, type PerCpuLists } from './pcp.ts';
import type { Reclaimer, ReclaimRequest } from './reclaim.ts';
import { findsSlab } from './slab.ts';
import { refusedAt, wmarkPages, zoneWatermarkOk } from './watermark.ts';
import { firstZone, nodeZonelist, type Zonelist, type Zonelists } from './zonelist.ts';

const NO_ZONE = -1;
const NO_REQUEST = -1 as NodeId;

export class PageAllocator extends PageFreer {
  readonly #p: PageAllocatorParts;
  readonly #pcp: PerCpuLists;
  #lists!: Zonelists;
  #cpusetsEnabled = false;
  /** Static key: some cpuset was given only nodes that hold no kernel memory. */
  cpusetsInsane = false;
  #log: DecisionLog | null = null;
  /** What frees pages for requests; null while there is nothing that it could free. */
  reclaimer: Reclaimer | null = null;
  /** What moves pages together for requests of more than one page. */
  compaction: Compaction | null = null;
  /** Frames given by the last request. */
  readonly out = new Int32Array(MAX_RUN);
  /** Zone the last request was served from. */
  lastZone = NO_ZONE as ZoneIndex;

  #gate: ZoneGate | undefined;
  readonly #gatedNode: Uint8Array;
  readonly #charges: NodeCharges | null;
  /** More than one node is online. */
  #isNuma = false;
  /** By zone: 1 where a walk that starts there tries not to break up page blocks of other types. */
  readonly #sparesBlocks: Uint8Array;

  // The request in progress (struct alloc_context); one at a time. What #prepare worked out holds
  // until a request differs, the lists or the cpusets change, or the slow path was taken.
  #gfp = 0;
  #nid = NO_REQUEST;
  #requestMask: Nodemask | null = null;
  #mems: Nodemask | null = null;
  #cpu = 0 as Cpu;
  #migratetype = 0;
  #fastGfp = 0;
  #fastFlags = 0;
  readonly #first: FirstStep;
  /** Zones whose watermarks refused the walk that is made. */
  readonly #refused: Int32Array;
  #order = 0;
  #list!: Zonelist;
  #highest = 0;
  #nodemask: Nodemask | null = null;
  #maskOrigin: MaskOrigin = MASK_NONE;
  #preferred = NO_ZONE;
  /** Zones that admitted the last walked request, whether they had a page or not. */
  nrAdmitted = 0;
  /** Zones that it passed over because the task's group has its share of their node. */
  #nrOverQuota = 0;
  /** What the gate says to the walk, once it was asked. */
  #isGateOpen: boolean | undefined;

  constructor(parts: PageAllocatorParts) {
    super(parts);
    this.#p = parts;
    this.#pcp = parts.pcp;
    parts.stat.beforeReading = () => this.#flushCounts();
    this.#gatedNode = new Uint8Array(parts.nrNodeIds);
    this.#sparesBlocks = new Uint8Array(parts.zones.nr);
    this.#first = new FirstStep(parts.zones, parts.pcp);
    this.#refused = new Int32Array(parts.zones.nr);
    this.#charges = parts.charges;
  }

  /** Compiles node states and the design's gate into flat tables, whenever node states change. */
  compile(gate: ZoneGate | undefined): void {
    const { zones, states } = this.#p;
    this.#isNuma = states.online.weight > 1;
    this.#sparesBlocks.set(sparesPageBlocks(zones, this.#isNuma));
    this.#nid = NO_REQUEST;
    this.#gate = gate;
    this.#gatedNode.fill(0);
    this.#charges?.compile();
    if (gate === undefined) return;
    for (const nid of gate.gated(this.#p.states)) this.#gatedNode[nid] = 1;
  }

  /** What was worked out for requests alike no longer holds: a mark has changed. */
  forgetRequest(): void {
    this.#nid = NO_REQUEST;
  }

  get lists(): Zonelists {
    return this.#lists;
  }

  set lists(lists: Zonelists) {
    this.#lists = lists;
    this.#nid = NO_REQUEST;
  }

  /** Notes every walk; null while nobody wants to know. */
  get log(): DecisionLog | null {
    return this.#log;
  }

  set log(log: DecisionLog | null) {
    this.#log = log;
    this.#nid = NO_REQUEST;
  }

  /** Static key: some cpuset other than the root exists. */
  get cpusetsEnabled(): boolean {
    return this.#cpusetsEnabled;
  }

  set cpusetsEnabled(isEnabled: boolean) {
    this.#cpusetsEnabled = isEnabled;
    this.#nid = NO_REQUEST;
  }

  /**
   * Allocates blocks of 2^order frames into `out` (__alloc_pages).
   * @param want how many requests alike follow one another, 1..MAX_RUN; more than one only for
   *   single pages. Fewer may be given: those for which nothing that is looked at has changed.
   * @returns how many were given; 0 means failure, and `failure` says which.
   */
  alloc(gfp: number, order: number, nid: NodeId, nodemask: Nodemask | null, want: number): number {
    if (
      order === 0 &&
      gfp === this.#gfp &&
      nid === this.#nid &&
      nodemask === this.#requestMask &&
      this.current.memsAllowed === this.#mems &&
      this.current.cpu === this.#cpu
    ) {
      const n = this.#takeFirst(want);
      if (n > 0) return n;
    }
    return this.#allocAnew(gfp, order, nid, nodemask, want);
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
    this.#order = order;
    this.#prepare(gfp, nid, nodemask);
    if (order === 0) {
      const first = this.#takeFirst(want);
      if (first > 0) return first;
    }
    const n = this.#getPageFromFreelist(this.#fastGfp, this.#fastFlags, ATTEMPT.FAST, want);
    if (n > 0) return n;
    this.#nodemask = nodemask;
    this.#maskOrigin = nodemask === null ? MASK_NONE : MASK_REQUEST;
    this.#nid = NO_REQUEST;
    return this.#slowpath(gfp, want);
  }

  /** Works out what stays in force for the requests alike that follow (prepare_alloc_pages). */
  #prepare(gfp: number, nid: NodeId, nodemask: Nodemask | null): void {
    this.#flushCounts();
    this.#gfp = gfp;
    this.#nid = nid;
    this.#requestMask = nodemask;
    this.#mems = this.current.memsAllowed;
    this.#cpu = this.current.cpu;
    this.#migratetype = gfpMigratetype(gfp);
    this.#highest = gfpZone(gfp);
    this.#list = nodeZonelist(this.#lists, nid, gfp);
    this.#nodemask = nodemask;
    this.#maskOrigin = nodemask === null ? MASK_NONE : MASK_REQUEST;
    this.#fastGfp = gfp;
    this.#fastFlags = ALLOC_WMARK_LOW;
    if (this.#cpusetsEnabled) {
      this.#fastGfp |= __GFP_HARDWALL;
      if (nodemask === null) {
        this.#nodemask = this.#mems;
        if (asksPrivate(gfp)) this.#nodemask = this.#mems.or(this.#p.states.privateMemory);
        this.#maskOrigin = MASK_CPUSET;
      } else this.#fastFlags |= ALLOC_CPUSET;
    }
    this.#preferred = this.#firstZone(this.#nodemask);
    this.#fastFlags |= this.#noFragment(gfp);
    this.#prepareFirst();
  }

  /** Notes where the straight first step takes from, if a watermark alone stands in its way. */
  #prepareFirst(): void {
    if (this.#preferred === NO_ZONE) this.#first.stop();
    else this.#beginAt(this.#list.zones[this.#preferred] as ZoneIndex, this.#fastFlags, 0);
  }

  /** Requests alike begin at a zone, as long as `nrRefused` zones before it are too full. */
  #beginAt(z: ZoneIndex, flags: number, nrRefused: number): void {
    this.#flushCounts();
    const nid = this.#p.zones.nid[z] as number;
    const isGated = this.#gatedNode[nid] === 1 || this.#charges?.isCounted[nid] === 1;
    const asksMore = (this.#fastFlags & ALLOC_CPUSET) | (this.#gfp & __GFP_WRITE);
    if (isGated || this.#log !== null || asksMore !== 0) {
      this.#first.stop();
      return;
    }
    const preferred = this.#list.zones[this.#preferred] as number;
    const like = { cpu: this.#cpu, highest: this.#highest, preferred };
    this.#first.beginBehind(this.#refused, nrRefused, z, flags, like);
  }

  #firstZone(nodemask: Nodemask | null): number {
    return firstZone(this.#list, this.#p.zones, this.#highest, nodemask);
  }

  /** Where Normal lies above DMA32 in one node: use the lower zone before mixing page blocks. */
  #noFragment(gfp: number): number {
    const kswapd = gfp & __GFP_KSWAPD_RECLAIM ? ALLOC_KSWAPD : 0;
    if (this.#preferred === NO_ZONE) return kswapd;
    const z = this.#list.zones[this.#preferred] as number;
    return this.#sparesBlocks[z] === 1 ? kswapd | ALLOC_NOFRAGMENT : kswapd;
  }

  /**
   * The first step of the walk in a straight line, for single pages that nobody watches: takes from
   * the preferred zone if only its watermark could stand in the way. 0 means: do the walk.
   */
  #takeFirst(want: number): number {
    const first = this.#first;
    if (first.nrRefused > 0 && !first.areRefused()) this.#prepareFirst();
    const n = first.take(this.#migratetype, want, this.out);
    this.lastZone = first.zone;
    return n;
  }

  /** Adds to the counters what straight first steps and frees have kept back. */
  #flushCounts(): void {
    const { stat, nodeOfCpu } = this.#p;
    this.#first.count(stat, nodeOfCpu[this.#cpu] as number);
    stat.countFree(this.takeFrees());
  }

  /** Takes from the first zone of the list, the preferred one on, that passes every test. */
  #getPageFromFreelist(gfp: number, flags: number, attempt: number, want: number): number {
    const { zones, nodeOfCpu } = this.#p;
    const list = this.#list.zones;
    const cpu = this.current.cpu;
    const log = this.#log;
    const { owner, kind } = this.#list;
    log?.begin(gfp, this.#order, cpu, attempt, this.#maskOrigin, owner, kind);
    let allocFlags = flags;
    this.#isGateOpen = undefined;
    this.nrAdmitted = 0;
    this.#nrOverQuota = 0;
    const start = this.#preferred === NO_ZONE ? list.length : this.#preferred;
    let nrRefused = 0;
    let isPlain = log === null && attempt === ATTEMPT.FAST && this.#order === 0;
    if (log !== null) this.#logSkipped(log, 0, start);
    const nearNid = zones.nid[list[start] as number];
    for (let i = start; i < list.length; i++) {
      const z = list[i] as ZoneIndex;
      const nid = zones.nid[z] as number;
      const verdict = this.#basicVerdict(z, nid);
      if (verdict !== VERDICT.TAKEN) {
        log?.step(z, verdict, zones.free[z] as number);
        continue;
      }
      const admission = this.#admission(nid, gfp, allocFlags, attempt);
      if (admission !== VERDICT.TAKEN) {
        if (admission === VERDICT.QUOTA) this.#nrOverQuota++;
        isPlain = false;
        log?.step(z, admission, zones.free[z] as number);
        continue;
      }
      if (allocFlags & ALLOC_NOFRAGMENT && this.#isNuma && nid !== nearNid) {
        log?.step(z, VERDICT.NOFRAGMENT, zones.free[z] as number);
        allocFlags &= ~ALLOC_NOFRAGMENT;
        i = start - 1;
        nrRefused = 0;
        continue;
      }
      this.nrAdmitted++;
      const mark = wmarkPages(zones, z, allocFlags);
      if (!zoneWatermarkOk(zones, z, this.#order, mark, this.#highest, allocFlags)) {
        log?.step(z, VERDICT.WATERMARK, zones.free[z] as number);
        this.#refused[nrRefused++] = z;
        continue;
      }
      const n = this.#rmqueue(z, cpu, allocFlags, Math.min(want, this.#room(nid)));
      if (n === 0) {
        log?.step(z, VERDICT.NO_BLOCK, zones.free[z] as number);
        isPlain = false;
        continue;
      }
      this.#charges?.charge(this.current, nid, this.out, n, this.#order);
      log?.step(z, VERDICT.TAKEN, zones.free[z] as number);
      log?.end(true, n);
      const preferred = list[this.#preferred] as number;
      this.#p.stat.countAllocation(preferred, z, nodeOfCpu[cpu] as number, n);
      if (this.#order > 0) this.#p.stat.countBlock(z, this.#order);
      this.lastZone = z;
      if (isPlain && nrRefused > 0) this.#beginAt(z, allocFlags, nrRefused);
      else if (this.#first.nrRefused > 0) this.#prepareFirst();
      return n;
    }
    log?.end(false, 0);
    if (allocFlags & ALLOC_NOFRAGMENT) {
      return this.#getPageFromFreelist(gfp, allocFlags & ~ALLOC_NOFRAGMENT, attempt, want);
    }
    return 0;
  }

  #logSkipped(log: DecisionLog, from: number, to: number): void {
    const { zones } = this.#p;
    for (let i = from; i < to; i++) {
      const z = this.#list.zones[i] as number;
      const verdict = this.#basicVerdict(z, zones.nid[z] as number);
      log.step(z, verdict, zones.free[z] as number);
    }
  }

  /** The tests that the iteration over the list itself makes. */
  #basicVerdict(z: number, nid: number): Verdict {
    if ((this.#p.zones.type[z] as number) > this.#highest) return VERDICT.ZONE_TYPE;
    if (this.#nodemask !== null && !this.#nodemask.has(nid)) return VERDICT.NODEMASK;
    return VERDICT.TAKEN;
  }

  /** Tests of a node, whatever is free there: the design's, the cpuset's, dirty pages. */
  #admission(nid: number, gfp: number, allocFlags: number, attempt: number): Verdict {
    if (this.#gatedNode[nid] === 1) {
      const isThisNode = (gfp & __GFP_THISNODE) !== 0;
      this.#isGateOpen ??= this.#gate?.admits(isThisNode, this.#maskOrigin, asksPrivate(gfp));
      if (!this.#isGateOpen) return VERDICT.GATED;
    }
    const asksCpuset = allocFlags & ALLOC_CPUSET && this.#cpusetsEnabled;
    if (asksCpuset && !this.#cpusetAllows(nid, gfp)) return VERDICT.CPUSET;
    if (attempt === ATTEMPT.FAST && gfp & __GFP_WRITE && !this.#p.dirty.isNodeOk(nid)) {
      return VERDICT.DIRTY;
    }
    return this.#room(nid) === 0 ? VERDICT.QUOTA : VERDICT.TAKEN;
  }

  #cpusetAllows(nid: number, gfp: number): boolean {
    return cpusetNodeAllowed(this.current, nid, gfp, this.#p.states.privateMemory);
  }

  /** Blocks of the order that the task's group may take of a node. */
  #room(nid: number): number {
    return this.#charges === null ? MAX_RUN : this.#charges.room(this.current, nid) >> this.#order;
  }

  #rmqueue(z: ZoneIndex, cpu: number, allocFlags: number, want: number): number {
    const type = this.#migratetype;
    const { buddy, pcp, zones } = this.#p;
    if (this.#order === 0) {
      const mark = wmarkPages(zones, z, allocFlags);
      const stop = refusedAt(zones, z, 0, mark, this.#highest, allocFlags);
      return pcp.take(z, pcp.listOf(z, cpu), type, allocFlags, want, this.out, 0, stop);
    }
    const isListed = pcp.hasListsFor(this.#order);
    let block = isListed ? pcp.takeBlock(z, cpu, this.#order, type, allocFlags) : NIL;
    const isHarder = (allocFlags & ALLOC_HARDER) !== 0;
    if (block === NIL && isHarder) block = buddy.allocHighatomic(z, this.#order);
    if (block === NIL) block = buddy.alloc(z, this.#order, type, allocFlags);
    if (block === NIL) return 0;
    if (isHarder) {
      buddy.reserveHighatomic(z, block);
      this.forgetRequest();
    }
    this.out[0] = block;
    return 1;
  }

  /** Tries again after an OOM kill, above the min watermarks only. Returns as alloc, at most 1. */
  retry(gfp: number): number {
    this.failure = FAILURE.NONE;
    return this.#slowpath(gfp, 1);
  }

  #slowpath(gfp: number, want: number): number {
    const flags = gfpToAllocFlags(gfp);
    this.#preferred = this.#firstZone(this.#nodemask);
    if (this.#preferred === NO_ZONE) return this.fail(FAILURE.NO_ZONE);
    if (this.cpusetsInsane && gfp & __GFP_HARDWALL && !asksPrivate(gfp)) {
      if (this.#firstZone(this.current.memsAllowed) === NO_ZONE) return this.fail(FAILURE.NO_ZONE);
    }
    if (!(flags & ALLOC_CPUSET)) {
      this.#nodemask = null;
      this.#maskOrigin = MASK_NONE;
      this.#preferred = this.#firstZone(null);
    }
    const daemons = this.reclaimer ?? (this.#order > 0 ? this.compaction : null);
    if (flags & ALLOC_KSWAPD) daemons?.wakeKswapds(this.#request(gfp, flags));
    // Pages that were freed for this request, or gathered from lists, are the next one's to find.
    const most = this.reclaimer === null ? want : 1;
    const n = this.#getPageFromFreelist(gfp, flags, ATTEMPT.SLOW, most);
    if (n > 0) return n;
    if (!(gfp & __GFP_DIRECT_RECLAIM)) return this.fail(FAILURE.NO_RECLAIM);
    const isAdmitted = this.nrAdmitted > 0;
    const isOverQuota = this.#nrOverQuota > 0 && !isAdmitted;
    const k = isAdmitted || daemons !== null ? this.#reclaim(gfp, flags) : 0;
    if (k > 0) return k;
    const mayNotKill = __GFP_NORETRY | __GFP_RETRY_MAYFAIL | __GFP_THISNODE;
    if (gfp & mayNotKill || this.#order > PAGE_ALLOC_COSTLY_ORDER) {
      return this.fail(FAILURE.NO_RECLAIM);
    }
    const hard = (gfp | __GFP_HARDWALL) & ~__GFP_DIRECT_RECLAIM;
    const m = this.#getPageFromFreelist(hard, ALLOC_WMARK_HIGH | ALLOC_CPUSET, ATTEMPT.OOM, 1);
    if (m > 0) return m;
    if (this.#highest < ZONE_NORMAL) return this.fail(FAILURE.NO_RECLAIM);
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
      stat: this.#p.stat,
      walk: () => this.#getPageFromFreelist(gfp, flags, ATTEMPT.DRAINED, 1),
      lastZone: () => this.lastZone,
      drain: () => this.#pcp.drainAll(),
    });
  }

  /** The request in progress, as reclaim sees it. */
  #request(gfp: number, allocFlags: number): ReclaimRequest {
    const was = [this.#order, this.#highest, this.#preferred, this.#migratetype] as const;
    const [list, nodemask, origin] = [this.#list, this.#nodemask, this.#maskOrigin];
    // Pages freed where the group has its share already would help others only.
    const cpusetAllows = (nid: number): boolean =>
      (!this.#cpusetsEnabled || this.#cpusetAllows(nid, __GFP_HARDWALL)) && this.#room(nid) > 0;
    const resume = (): void => {
      [this.#order, this.#highest, this.#preferred, this.#migratetype] = was;
      [this.#list, this.#nodemask, this.#maskOrigin] = [list, nodemask, origin];
      this.#nid = NO_REQUEST;
    };
    const reach = { zones: list.zones, highest: was[1], nodemask, cpusetAllows };
    const hasSlab = findsSlab(this.#p.zones, this.#p.states, reach);
    return { gfp, allocFlags, order: was[0], ...reach, hasSlab, resume };
  }
}
