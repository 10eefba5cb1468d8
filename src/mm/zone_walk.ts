// The walk over a zonelist: which zones may serve a request, and what each of them says to it.
// Models   linux@v6.1 mm/page_alloc.c: prepare_alloc_pages, get_page_from_freelist,
//          alloc_flags_nofragment, zone_watermark_fast, rmqueue.
// Hooks    zoneGate, nodeCharge (get_page_from_freelist).
// Holds    ALC1 a page comes from a zone of the walked list, not above the request's highest zone
//          type.
import type { Cpu, Frame, NodeId, ZoneIndex } from '../base/ids.ts';
import type { Nodemask } from '../base/nodemask.ts';
import {
  MASK_CPUSET,
  MASK_NONE,
  MASK_REQUEST,
  type MaskOrigin,
  type ZoneGate,
} from '../hooks/design.ts';
import { ATTEMPT, type DecisionLog, VERDICT, type Verdict } from './decision_log.ts';
import { FirstStep } from './first_step.ts';
import {
  __GFP_ATOMIC,
  __GFP_HARDWALL,
  __GFP_KSWAPD_RECLAIM,
  __GFP_THISNODE,
  __GFP_WRITE,
  asksPrivate,
  gfpMigratetype,
  gfpZone,
} from './gfp.ts';
import {
  ALLOC_CPUSET,
  ALLOC_HIGHATOMIC,
  ALLOC_KSWAPD,
  ALLOC_NO_WATERMARKS,
  ALLOC_NOFRAGMENT,
  ALLOC_NON_BLOCK,
  ALLOC_OOM,
  ALLOC_WMARK_LOW,
  ALLOC_WMARK_MASK,
  ALLOC_WMARK_MIN,
  cpusetNodeAllowed,
  MAX_RUN,
  type PageAllocatorParts,
} from './internal.ts';
import { NIL } from './memmap.ts';
import { sparesPageBlocks } from './mmzone.ts';
import type { NodeCharges } from './node_charge.ts';
import { PageFreer } from './page_free.ts';
import type { PerCpuLists } from './pcp.ts';
import { refusedAt, wmarkPages, zoneWatermarkOk } from './watermark.ts';
import { firstZone, nodeZonelist, type Zonelist, type Zonelists } from './zonelist.ts';

/** In the place of a zone: none. */
export const NO_ZONE = -1;
/** In the place of a node: nothing is known of a request. */
export const NO_REQUEST = -1 as NodeId;

/** A page allocator that walks once, and does nothing about a walk that found no page. */
export class ZoneWalker extends PageFreer {
  protected readonly parts: PageAllocatorParts;
  protected readonly pcp: PerCpuLists;
  #lists!: Zonelists;
  #cpusetsEnabled = false;
  /** Static key: some cpuset was given only nodes that hold no kernel memory. */
  cpusetsInsane = false;
  #log: DecisionLog | null = null;
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
  protected startNid = NO_REQUEST;
  #requestMask: Nodemask | null = null;
  #mems: Nodemask | null = null;
  #cpu = 0 as Cpu;
  protected migratetype = 0;
  protected fastGfp = 0;
  protected fastFlags = 0;
  readonly #first: FirstStep;
  /** Zones whose watermarks refused the walk that is made. */
  readonly #refused: Int32Array;
  protected order = 0;
  protected list!: Zonelist;
  protected highest = 0;
  protected nodemask: Nodemask | null = null;
  protected maskOrigin: MaskOrigin = MASK_NONE;
  protected preferred = NO_ZONE;
  /** Zones that admitted the last walked request, whether they had a page or not. */
  nrAdmitted = 0;
  /** Zones that it passed over because the task's group has its share of their node. */
  protected nrOverQuota = 0;
  /** What the gate says to the walk, once it was asked. */
  #isGateOpen: boolean | undefined;

  constructor(parts: PageAllocatorParts) {
    super(parts);
    this.parts = parts;
    this.pcp = parts.pcp;
    parts.stat.beforeReading = () => this.#flushCounts();
    this.#gatedNode = new Uint8Array(parts.nrNodeIds);
    this.#sparesBlocks = new Uint8Array(parts.zones.nr);
    this.#first = new FirstStep(parts.zones, parts.pcp);
    this.#refused = new Int32Array(parts.zones.nr);
    this.#charges = parts.charges;
  }

  /** Compiles node states and the design's gate into flat tables, whenever node states change. */
  compile(gate: ZoneGate | undefined): void {
    const { zones, states } = this.parts;
    this.#isNuma = states.online.weight > 1;
    this.#sparesBlocks.set(sparesPageBlocks(zones, this.#isNuma));
    this.startNid = NO_REQUEST;
    this.#gate = gate;
    this.#gatedNode.fill(0);
    this.#charges?.compile();
    if (gate === undefined) return;
    for (const nid of gate.gated(this.parts.states)) this.#gatedNode[nid] = 1;
  }

  /** What was worked out for requests alike no longer holds: a mark has changed. */
  forgetRequest(): void {
    this.startNid = NO_REQUEST;
  }

  get lists(): Zonelists {
    return this.#lists;
  }

  set lists(lists: Zonelists) {
    this.#lists = lists;
    this.startNid = NO_REQUEST;
  }

  /** Notes every walk; null while nobody wants to know. */
  get log(): DecisionLog | null {
    return this.#log;
  }

  set log(log: DecisionLog | null) {
    this.#log = log;
    this.startNid = NO_REQUEST;
  }

  /** Static key: some cpuset other than the root exists. */
  get cpusetsEnabled(): boolean {
    return this.#cpusetsEnabled;
  }

  set cpusetsEnabled(isEnabled: boolean) {
    this.#cpusetsEnabled = isEnabled;
    this.startNid = NO_REQUEST;
  }

  /** Works out what stays in force for the requests alike that follow (prepare_alloc_pages). */
  protected prepare(gfp: number, nid: NodeId, nodemask: Nodemask | null): void {
    this.#flushCounts();
    this.#gfp = gfp;
    this.startNid = nid;
    this.#requestMask = nodemask;
    this.#mems = this.current.memsAllowed;
    this.#cpu = this.current.cpu;
    this.migratetype = gfpMigratetype(gfp);
    this.highest = gfpZone(gfp);
    this.list = nodeZonelist(this.#lists, nid, gfp);
    this.nodemask = nodemask;
    this.maskOrigin = nodemask === null ? MASK_NONE : MASK_REQUEST;
    this.fastGfp = gfp;
    this.fastFlags = ALLOC_WMARK_LOW;
    if (this.#cpusetsEnabled) {
      this.fastGfp |= __GFP_HARDWALL;
      if (nodemask === null) {
        this.nodemask = this.#mems;
        if (asksPrivate(gfp)) this.nodemask = this.#mems.or(this.parts.states.privateMemory);
        this.maskOrigin = MASK_CPUSET;
      } else this.fastFlags |= ALLOC_CPUSET;
    }
    this.preferred = this.firstZone(this.nodemask);
    this.fastFlags |= this.#noFragment(gfp);
    this.#prepareFirst();
  }

  /** Notes where the straight first step takes from, if a watermark alone stands in its way. */
  #prepareFirst(): void {
    if (this.preferred === NO_ZONE) this.#first.stop();
    else this.#beginAt(this.list.zones[this.preferred] as ZoneIndex, this.fastFlags, 0);
  }

  /** Requests alike begin at a zone, as long as `nrRefused` zones before it are too full. */
  #beginAt(z: ZoneIndex, flags: number, nrRefused: number): void {
    this.#flushCounts();
    const nid = this.parts.zones.nid[z] as number;
    const isGated = this.#gatedNode[nid] === 1 || this.#charges?.isCounted[nid] === 1;
    const asksMore = (this.fastFlags & ALLOC_CPUSET) | (this.#gfp & __GFP_WRITE);
    if (isGated || this.#log !== null || asksMore !== 0) {
      this.#first.stop();
      return;
    }
    const preferred = this.list.zones[this.preferred] as number;
    const like = { cpu: this.#cpu, highest: this.highest, preferred };
    this.#first.beginBehind(this.#refused, nrRefused, z, flags, like);
  }

  protected firstZone(nodemask: Nodemask | null): number {
    return firstZone(this.list, this.parts.zones, this.highest, nodemask);
  }

  /** Where Normal lies above DMA32 in one node: use the lower zone before mixing page blocks. */
  #noFragment(gfp: number): number {
    const kswapd = gfp & __GFP_KSWAPD_RECLAIM ? ALLOC_KSWAPD : 0;
    if (this.preferred === NO_ZONE) return kswapd;
    const z = this.list.zones[this.preferred] as number;
    return this.#sparesBlocks[z] === 1 ? kswapd | ALLOC_NOFRAGMENT : kswapd;
  }

  /** Serves a request for single pages that is like the last one. 0 means: it is not, or walk. */
  protected takeAgain(gfp: number, nid: NodeId, nodemask: Nodemask | null, want: number): number {
    const { current } = this;
    if (gfp !== this.#gfp || nid !== this.startNid || nodemask !== this.#requestMask) return 0;
    if (current.memsAllowed !== this.#mems || current.cpu !== this.#cpu) return 0;
    return this.takeFirst(want);
  }

  /**
   * The first step of the walk in a straight line, for single pages that nobody watches: takes from
   * the preferred zone if only its watermark could stand in the way. 0 means: do the walk.
   */
  protected takeFirst(want: number): number {
    const first = this.#first;
    if (first.nrRefused > 0 && !first.areRefused()) this.#prepareFirst();
    const n = first.take(this.migratetype, want, this.out, this.memcg !== null);
    this.lastZone = first.zone;
    return n;
  }

  /** Adds to the counters what straight first steps and frees have kept back. */
  #flushCounts(): void {
    const { stat, nodeOfCpu } = this.parts;
    this.#first.count(stat, nodeOfCpu[this.#cpu] as number);
    stat.countFree(this.takeFrees());
  }

  /** Takes from the first zone of the list, the preferred one on, that passes every test. */
  protected getPageFromFreelist(gfp: number, flags: number, attempt: number, want: number): number {
    const { zones, nodeOfCpu } = this.parts;
    const list = this.list.zones;
    const cpu = this.current.cpu;
    const log = this.#log;
    const { owner, kind } = this.list;
    log?.begin(gfp, this.order, cpu, attempt, this.maskOrigin, owner, kind);
    let allocFlags = flags;
    this.#isGateOpen = undefined;
    this.nrAdmitted = 0;
    this.nrOverQuota = 0;
    const start = this.preferred === NO_ZONE ? list.length : this.preferred;
    let nrRefused = 0;
    const reclaims = this.reclaimsNodes();
    const most = reclaims ? 1 : want;
    let isPlain = log === null && attempt === ATTEMPT.FAST && this.order === 0 && !reclaims;
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
        if (admission === VERDICT.QUOTA) this.nrOverQuota++;
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
      if (!this.#passesMark(z, gfp, allocFlags)) {
        log?.step(z, VERDICT.WATERMARK, zones.free[z] as number);
        this.#refused[nrRefused++] = z;
        continue;
      }
      const n = this.#rmqueue(z, cpu, allocFlags, Math.min(most, this.roomOn(nid)));
      if (n === 0) {
        log?.step(z, VERDICT.NO_BLOCK, zones.free[z] as number);
        isPlain = false;
        continue;
      }
      this.#charges?.charge(this.current, nid, this.out, n, this.order);
      log?.step(z, VERDICT.TAKEN, zones.free[z] as number);
      log?.end(true, n);
      const preferred = list[this.preferred] as number;
      this.parts.stat.countAllocation(preferred, z, nodeOfCpu[cpu] as number, n);
      if (this.order > 0) this.parts.stat.countBlock(z, this.order);
      this.lastZone = z;
      if (isPlain && nrRefused > 0) this.#beginAt(z, allocFlags, nrRefused);
      else if (this.#first.nrRefused > 0) this.#prepareFirst();
      return n;
    }
    log?.end(false, 0);
    if ((allocFlags & ALLOC_NOFRAGMENT) === 0) return 0;
    const n = this.getPageFromFreelist(gfp, allocFlags & ~ALLOC_NOFRAGMENT, attempt, want);
    // Requests alike try to spare page blocks first, each one anew.
    if (this.#first.nrRefused > 0) this.#prepareFirst();
    return n;
  }

  #isAboveMark(z: ZoneIndex, mark: number, gfp: number, allocFlags: number): boolean {
    if (allocFlags & ALLOC_NO_WATERMARKS) return true;
    const { zones } = this.parts;
    const { order, highest } = this;
    if (zoneWatermarkOk(zones, z, order, mark, highest, allocFlags)) return true;
    const boost = zones.watermarkBoost[z] as number;
    if (boost === 0 || order > 0 || (gfp & __GFP_ATOMIC) === 0) return false;
    // An atomic request for one page leaves a raised min mark out of account.
    if ((allocFlags & ALLOC_WMARK_MASK) !== ALLOC_WMARK_MIN) return false;
    return zoneWatermarkOk(zones, z, order, mark - boost, highest, allocFlags);
  }

  /** Is a zone above the mark, or is it once pages of its node are freed? */
  #passesMark(z: ZoneIndex, gfp: number, allocFlags: number): boolean {
    const mark = wmarkPages(this.parts.zones, z, allocFlags);
    if (this.#isAboveMark(z, mark, gfp, allocFlags)) return true;
    if (!this.reclaimsNodes() || !this.reclaimNode(z, gfp, allocFlags)) return false;
    return this.#isAboveMark(z, mark, gfp, allocFlags);
  }

  /** Does a walk free pages of a node that is full before it goes on to the next? */
  protected reclaimsNodes(): boolean {
    return false;
  }

  /** Frees them, if it may. Returns whether that was enough to look at the zone again. */
  protected reclaimNode(_z: ZoneIndex, _gfp: number, _allocFlags: number): boolean {
    return false;
  }

  #logSkipped(log: DecisionLog, from: number, to: number): void {
    const { zones } = this.parts;
    for (let i = from; i < to; i++) {
      const z = this.list.zones[i] as number;
      const verdict = this.#basicVerdict(z, zones.nid[z] as number);
      log.step(z, verdict, zones.free[z] as number);
    }
  }

  /** The tests that the iteration over the list itself makes. */
  #basicVerdict(z: number, nid: number): Verdict {
    if ((this.parts.zones.type[z] as number) > this.highest) return VERDICT.ZONE_TYPE;
    if (this.nodemask !== null && !this.nodemask.has(nid)) return VERDICT.NODEMASK;
    return VERDICT.TAKEN;
  }

  /** Tests of a node, whatever is free there: the design's, the cpuset's, dirty pages. */
  #admission(nid: number, gfp: number, allocFlags: number, attempt: number): Verdict {
    if (this.#gatedNode[nid] === 1) {
      const isThisNode = (gfp & __GFP_THISNODE) !== 0;
      this.#isGateOpen ??= this.#gate?.admits(isThisNode, this.maskOrigin, asksPrivate(gfp));
      if (!this.#isGateOpen) return VERDICT.GATED;
    }
    const asksCpuset = allocFlags & ALLOC_CPUSET && this.#cpusetsEnabled;
    if (asksCpuset && !this.cpusetAllows(nid, gfp)) return VERDICT.CPUSET;
    if (attempt === ATTEMPT.FAST && gfp & __GFP_WRITE && !this.parts.dirty.isNodeOk(nid)) {
      return VERDICT.DIRTY;
    }
    return this.roomOn(nid) === 0 ? VERDICT.QUOTA : VERDICT.TAKEN;
  }

  protected cpusetAllows(nid: number, gfp: number): boolean {
    return cpusetNodeAllowed(this.current, nid, gfp, this.parts.states.privateMemory);
  }

  /** Blocks of the order that the task's group may take of a node. */
  protected roomOn(nid: number): number {
    return this.#charges === null ? MAX_RUN : this.#charges.room(this.current, nid) >> this.order;
  }

  #rmqueue(z: ZoneIndex, cpu: number, allocFlags: number, want: number): number {
    const type = this.migratetype;
    const { buddy, pcp, zones } = this.parts;
    const isHigh = (allocFlags & ALLOC_HIGHATOMIC) !== 0;
    let block: number = NIL;
    if (this.order === 0) {
      const mark = wmarkPages(zones, z, allocFlags);
      const stop = refusedAt(zones, z, 0, mark, this.highest, allocFlags);
      const n = pcp.take(z, pcp.listOf(z, cpu), type, allocFlags, want, this.out, 0, stop);
      if (n > 0) return n;
    } else {
      if (pcp.hasListsFor(this.order)) block = pcp.takeBlock(z, cpu, this.order, type, allocFlags);
      if (block === NIL && isHigh) block = buddy.allocHighatomic(z, this.order);
      if (block === NIL) block = buddy.alloc(z, this.order, type, allocFlags);
    }
    // Failing now is worse than that a large urgent request fails later.
    const mayTakeKept = (allocFlags & (ALLOC_NON_BLOCK | ALLOC_OOM)) !== 0;
    if (block === NIL && mayTakeKept) block = buddy.allocHighatomic(z, this.order);
    if (block === NIL) return 0;
    if (isHigh) {
      buddy.reserveHighatomic(z, block as Frame);
      this.forgetRequest();
    }
    this.out[0] = block;
    return 1;
  }
}
