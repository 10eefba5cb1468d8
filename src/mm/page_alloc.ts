// The page allocator's decision: which zonelist, which zones of it, and what when none has a page.
// Models   linux@v6.1 mm/page_alloc.c: __alloc_pages, prepare_alloc_pages, get_page_from_freelist,
//          alloc_flags_nofragment, zone_watermark_fast, rmqueue, gfp_to_alloc_flags,
//          __alloc_pages_slowpath, free_unref_page, __free_pages; kernel/cgroup/cpuset.c:
//          __cpuset_node_allowed.
// Omits    direct reclaim, compaction and kswapd: where they would be asked for pages, the request
//          fails with FAILURE.RECLAIM and says so (SPEC EXH2). zone_reclaim_mode, dirty limits.
// Hooks    zoneGate (get_page_from_freelist).
// Holds    ALC1 a page comes from a zone of the walked list, not above the request's highest zone type.
//          ALC2 a request with a nodemask gets a page of that mask, or none.
import { assert } from '../base/assert.ts';
import type { Cpu, Frame, NodeId, ZoneIndex } from '../base/ids.ts';
import type { Nodemask } from '../base/nodemask.ts';
import {
  MASK_CPUSET,
  MASK_NONE,
  MASK_REQUEST,
  type MaskOrigin,
  type ZoneGate,
} from '../hooks/design.ts';
import type { Buddy } from './buddy.ts';
import { ATTEMPT, type DecisionLog, VERDICT, type Verdict } from './decision_log.ts';
import {
  __GFP_ATOMIC,
  __GFP_DIRECT_RECLAIM,
  __GFP_HARDWALL,
  __GFP_HIGH,
  __GFP_KSWAPD_RECLAIM,
  __GFP_NOMEMALLOC,
  __GFP_NORETRY,
  __GFP_RETRY_MAYFAIL,
  __GFP_THISNODE,
  gfpMigratetype,
  gfpZone,
  ZONE_DMA32,
  ZONE_NORMAL,
} from './gfp.ts';
import { KIND_BUDDY, KIND_NONE, type MemMap, NIL } from './memmap.ts';
import type { Zones } from './mmzone.ts';
import type { NodeStates } from './node_states.ts';
import type { PerCpuLists } from './pcp.ts';
import type { VmStat } from './vmstat.ts';
import {
  ALLOC_CPUSET,
  ALLOC_HARDER,
  ALLOC_HIGH,
  ALLOC_KSWAPD,
  ALLOC_NOFRAGMENT,
  ALLOC_WMARK_HIGH,
  ALLOC_WMARK_LOW,
  ALLOC_WMARK_MIN,
  wmarkPages,
  zoneWatermarkOk,
} from './watermark.ts';
import type { Zonelist, Zonelists } from './zonelist.ts';

/** What the allocator needs to know of the task that asks. */
export interface AllocTask {
  readonly cpu: Cpu;
  /** task->mems_allowed. */
  readonly memsAllowed: Nodemask;
  /** Nodes of the nearest cpuset above that is a hard wall: where kernel requests may escape to. */
  readonly hardwallMems: Nodemask;
}

export const FAILURE = {
  NONE: 0,
  /** The list has no zone that this request could ever use: fails at once, without an OOM kill. */
  NO_ZONE: 1,
  /** Zones there are, but cpuset or design kept the request off all of them: the OOM killer is asked. */
  NOT_ADMITTED: 2,
  /** Admitted zones are down to their min watermark: reclaim would decide, and is not modelled. */
  RECLAIM: 3,
  /** The caller asked not to reclaim, or not to kill for it: it deals with the failure. */
  NO_RECLAIM: 4,
} as const;
export type Failure = (typeof FAILURE)[keyof typeof FAILURE];

/** Requests up to this order may come from a per-CPU list; here those of order 0 do. */
export const PAGE_ALLOC_COSTLY_ORDER = 3;
/** Most frames that one call hands out. */
export const MAX_RUN = 512;

const NO_ZONE = -1;

export interface PageAllocatorParts {
  readonly zones: Zones;
  readonly map: MemMap;
  readonly buddy: Buddy;
  readonly pcp: PerCpuLists;
  readonly states: NodeStates;
  readonly stat: VmStat;
  readonly nodeOfCpu: Int32Array;
  /** Zone of each largest block (frame >> maxOrder). */
  readonly zoneOfBlock: Int16Array;
  readonly nrNodeIds: number;
}

export class PageAllocator {
  readonly #p: PageAllocatorParts;
  lists!: Zonelists;
  /** Static key: some cpuset other than the root exists. */
  cpusetsEnabled = false;
  /** Static key: some cpuset was given only nodes that hold no kernel memory. */
  cpusetsInsane = false;
  current!: AllocTask;
  log: DecisionLog | null = null;
  /** Why the last request failed. */
  failure: Failure = FAILURE.NONE;
  /** Frames given by the last request. */
  readonly out = new Int32Array(MAX_RUN);
  /** Zone the last request was served from. */
  lastZone = NO_ZONE as ZoneIndex;

  #gate: ZoneGate | undefined;
  readonly #gatedNode: Uint8Array;

  // The request in progress (struct alloc_context); one at a time.
  #gfp = 0;
  #order = 0;
  #list!: Zonelist;
  #highest = 0;
  #nodemask: Nodemask | null = null;
  #maskOrigin: MaskOrigin = MASK_NONE;
  #preferred = NO_ZONE;
  #admitted = 0;

  constructor(parts: PageAllocatorParts) {
    this.#p = parts;
    this.#gatedNode = new Uint8Array(parts.nrNodeIds);
  }

  /** Compiles a design's gate into a flat table; called whenever node states change. */
  setGate(gate: ZoneGate | undefined): void {
    this.#gate = gate;
    this.#gatedNode.fill(0);
    if (gate === undefined) return;
    for (const nid of gate.gated(this.#p.states)) this.#gatedNode[nid] = 1;
  }

  /** Zone of a frame. */
  zoneOf(f: number): ZoneIndex {
    return this.#p.zoneOfBlock[f >> this.#p.buddy.maxOrder] as ZoneIndex;
  }

  /** Node of a frame (page_to_nid). */
  nidOf(f: number): NodeId {
    return this.#p.zones.nid[this.zoneOf(f)] as NodeId;
  }

  /**
   * Allocates blocks of 2^order frames into `out` (__alloc_pages).
   * @param want how many requests alike follow one another, 1..MAX_RUN; more than one only for order
   *   0. Fewer may be given: those for which nothing that the decision looks at has changed.
   * @returns how many were given; 0 means failure, and `failure` says which.
   */
  alloc(gfp: number, order: number, nid: NodeId, nodemask: Nodemask | null, want: number): number {
    this.#gfp = gfp;
    this.#order = order;
    this.failure = FAILURE.NONE;
    let allocGfp = gfp;
    let allocFlags = ALLOC_WMARK_LOW;
    this.#highest = gfpZone(gfp);
    this.#list = this.#zonelist(nid, gfp);
    this.#nodemask = nodemask;
    this.#maskOrigin = nodemask === null ? MASK_NONE : MASK_REQUEST;
    if (this.cpusetsEnabled) {
      allocGfp |= __GFP_HARDWALL;
      if (nodemask === null) {
        this.#nodemask = this.current.memsAllowed;
        this.#maskOrigin = MASK_CPUSET;
      } else allocFlags |= ALLOC_CPUSET;
    }
    this.#preferred = this.#firstZone(this.#nodemask);
    allocFlags |= this.#noFragment(gfp);
    const n = this.#getPageFromFreelist(allocGfp, allocFlags, ATTEMPT.FAST, want);
    if (n > 0) return n;
    this.#nodemask = nodemask;
    this.#maskOrigin = nodemask === null ? MASK_NONE : MASK_REQUEST;
    return this.#slowpath(gfp, want);
  }

  #zonelist(nid: NodeId, gfp: number): Zonelist {
    const lists = gfp & __GFP_THISNODE ? this.lists.noFallback : this.lists.fallback;
    const list = lists[nid];
    assert(list !== undefined, 'a request starts from a possible node');
    return list;
  }

  /** Position in the list of the first zone that type and mask allow, or NO_ZONE (first_zones_zonelist). */
  #firstZone(nodemask: Nodemask | null): number {
    const list = this.#list.zones;
    const { type, nid } = this.#p.zones;
    for (let i = 0; i < list.length; i++) {
      const z = list[i] as number;
      if ((type[z] as number) > this.#highest) continue;
      if (nodemask === null || nodemask.has(nid[z] as number)) return i;
    }
    return NO_ZONE;
  }

  /** Where Normal lies above DMA32 in one node: use the lower zone before mixing page blocks. */
  #noFragment(gfp: number): number {
    const kswapd = gfp & __GFP_KSWAPD_RECLAIM ? ALLOC_KSWAPD : 0;
    if (this.#preferred === NO_ZONE) return kswapd;
    const { zones, states } = this.#p;
    const z = this.#list.zones[this.#preferred] as number;
    if (zones.type[z] !== ZONE_NORMAL) return kswapd;
    const below = zones.find(zones.nid[z] as number, ZONE_DMA32);
    const isPopulated = below !== undefined && (zones.present[below] as number) > 0;
    if (states.online.weight > 1 && !isPopulated) return kswapd;
    return kswapd | ALLOC_NOFRAGMENT;
  }

  /** Walks the list from the preferred zone on; takes from the first zone that passes every test. */
  #getPageFromFreelist(gfp: number, flags: number, attempt: number, want: number): number {
    const { zones, nodeOfCpu } = this.#p;
    const list = this.#list.zones;
    const cpu = this.current.cpu;
    const { log } = this;
    let allocFlags = flags;
    log?.begin(
      gfp,
      this.#order,
      cpu,
      attempt,
      this.#maskOrigin,
      this.#list.owner,
      !this.#list.isFallback,
    );
    let isGateOpen = -1;
    this.#admitted = 0;
    const start = this.#preferred === NO_ZONE ? list.length : this.#preferred;
    if (log !== null) this.#logSkipped(log, 0, start);
    for (let i = start; i < list.length; i++) {
      const z = list[i] as ZoneIndex;
      const nid = zones.nid[z] as number;
      const verdict = this.#basicVerdict(z, nid);
      if (verdict !== VERDICT.TAKEN) {
        log?.step(z, verdict, zones.free[z] as number);
        continue;
      }
      if (this.#gatedNode[nid] === 1) {
        if (isGateOpen < 0) isGateOpen = this.#gateAdmits(gfp) ? 1 : 0;
        if (isGateOpen === 0) {
          log?.step(z, VERDICT.GATED, zones.free[z] as number);
          continue;
        }
      }
      if (allocFlags & ALLOC_CPUSET && this.cpusetsEnabled && !this.#cpusetAllows(nid, gfp)) {
        log?.step(z, VERDICT.CPUSET, zones.free[z] as number);
        continue;
      }
      if (allocFlags & ALLOC_NOFRAGMENT && i !== this.#preferred && this.#isRemote(nid)) {
        log?.step(z, VERDICT.NOFRAGMENT, zones.free[z] as number);
        allocFlags &= ~ALLOC_NOFRAGMENT;
        i = start - 1;
        continue;
      }
      this.#admitted++;
      const mark = wmarkPages(zones, z, allocFlags);
      if (!zoneWatermarkOk(zones, z, this.#order, mark, this.#highest, allocFlags)) {
        log?.step(z, VERDICT.WATERMARK, zones.free[z] as number);
        continue;
      }
      const n = this.#rmqueue(z, cpu, allocFlags, want);
      if (n === 0) {
        log?.step(z, VERDICT.NO_BLOCK, zones.free[z] as number);
        continue;
      }
      log?.step(z, VERDICT.TAKEN, zones.free[z] as number);
      log?.end(true, n);
      const preferredNid = zones.nid[list[this.#preferred] as number] as number;
      this.#p.stat.countAllocation(preferredNid, nid, nodeOfCpu[cpu] as number, n);
      this.lastZone = z;
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

  #gateAdmits(gfp: number): boolean {
    const gate = this.#gate as ZoneGate;
    return gate.admits((gfp & __GFP_THISNODE) !== 0, this.#maskOrigin);
  }

  #isRemote(nid: number): boolean {
    const { zones, states } = this.#p;
    const preferred = this.#list.zones[this.#preferred] as number;
    return states.online.weight > 1 && nid !== zones.nid[preferred];
  }

  /** __cpuset_node_allowed: user requests stay inside, kernel requests may go up to a hard wall. */
  #cpusetAllows(nid: number, gfp: number): boolean {
    if (this.current.memsAllowed.has(nid)) return true;
    if (gfp & __GFP_HARDWALL) return false;
    return this.current.hardwallMems.has(nid);
  }

  #rmqueue(z: ZoneIndex, cpu: number, allocFlags: number, want: number): number {
    const type = gfpMigratetype(this.#gfp);
    if (this.#order === 0) return this.#p.pcp.take(z, cpu, type, allocFlags, want, this.out);
    const block = this.#p.buddy.alloc(z, this.#order, type, allocFlags);
    if (block === NIL) return 0;
    this.out[0] = block;
    return 1;
  }

  #slowpath(gfp: number, want: number): number {
    let flags = ALLOC_WMARK_MIN | ALLOC_CPUSET;
    if (gfp & __GFP_HIGH) flags |= ALLOC_HIGH;
    if (gfp & __GFP_KSWAPD_RECLAIM) flags |= ALLOC_KSWAPD;
    if (gfp & __GFP_ATOMIC) {
      if (!(gfp & __GFP_NOMEMALLOC)) flags |= ALLOC_HARDER;
      flags &= ~ALLOC_CPUSET;
    }
    this.#preferred = this.#firstZone(this.#nodemask);
    if (this.#preferred === NO_ZONE) return this.#fail(FAILURE.NO_ZONE);
    if (this.cpusetsInsane && gfp & __GFP_HARDWALL) {
      if (this.#firstZone(this.current.memsAllowed) === NO_ZONE) return this.#fail(FAILURE.NO_ZONE);
    }
    if (!(flags & ALLOC_CPUSET)) {
      this.#nodemask = null;
      this.#maskOrigin = MASK_NONE;
      this.#preferred = this.#firstZone(null);
    }
    const n = this.#getPageFromFreelist(gfp, flags, ATTEMPT.SLOW, want);
    if (n > 0) return n;
    if (!(gfp & __GFP_DIRECT_RECLAIM)) return this.#fail(FAILURE.NO_RECLAIM);
    if (gfp & (__GFP_NORETRY | __GFP_RETRY_MAYFAIL | __GFP_THISNODE)) {
      return this.#fail(FAILURE.NO_RECLAIM);
    }
    if (this.#admitted > 0) return this.#fail(FAILURE.RECLAIM);
    const last = ALLOC_WMARK_HIGH | ALLOC_CPUSET;
    const hard = (gfp | __GFP_HARDWALL) & ~__GFP_DIRECT_RECLAIM;
    const m = this.#getPageFromFreelist(hard, last, ATTEMPT.OOM, want);
    if (m > 0) return m;
    return this.#fail(this.#highest < ZONE_NORMAL ? FAILURE.NO_RECLAIM : FAILURE.NOT_ADMITTED);
  }

  #fail(why: Failure): number {
    this.failure = why;
    return 0;
  }

  /** Gives one frame back to the list of a CPU (free_unref_page). */
  free(f: Frame): void {
    const { map, pcp, buddy, stat } = this.#p;
    assert(map.kind[f] !== KIND_NONE && map.kind[f] !== KIND_BUDDY, 'a frame is freed twice');
    map.kind[f] = KIND_NONE;
    stat.events.pgfree++;
    pcp.put(this.zoneOf(f), this.current.cpu, buddy.pageblockType(f), f);
  }

  /** Gives a block back (__free_pages). */
  freeBlock(f: Frame, order: number): void {
    if (order === 0) {
      this.free(f);
      return;
    }
    const { map, buddy, stat } = this.#p;
    assert(map.kind[f] !== KIND_NONE && map.kind[f] !== KIND_BUDDY, 'a block is freed twice');
    map.kind[f] = KIND_NONE;
    stat.events.pgfree += 1 << order;
    buddy.free(this.zoneOf(f), f, order, buddy.pageblockType(f));
  }
}
