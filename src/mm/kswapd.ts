// When reclaim runs, for whom, and when it gives up: the daemon of each node, and the request that
// must free pages itself.
// Models   linux@v6.1 mm/vmscan.c: wakeup_kswapd, balance_pgdat, pgdat_balanced,
//          kswapd_shrink_node, try_to_free_pages, do_try_to_free_pages, shrink_zones, node_reclaim;
//          mm/page_alloc.c: wake_all_kswapds, should_reclaim_retry.
// Omits    throttling. The daemon runs to its end at the
//          moment it is woken, as one does that has a CPU of its own and is faster than who wakes
//          it (SPEC RCL6).
// Hooks    kswapdRuns, directReclaim.
// Holds    RCL5 a daemon reclaims from its own node only, until one zone is above its high mark.
//          RCL7 a request reclaims only from nodes of its list, mask and cpuset.

import type { ZoneIndex } from '../base/ids.ts';
import { boostsOf, takeBack } from './boost.ts';
import type { Compaction } from './compaction.ts';
import { __GFP_DIRECT_RECLAIM, MAX_NR_ZONES } from './gfp.ts';
import { ALLOC_WMARK_MIN } from './internal.ts';
import { LRU_ACTIVE_FILE, LRU_INACTIVE_FILE, type Lru } from './lru.ts';
import type { MemCgroup } from './memcg.ts';
import type { Zones } from './mmzone.ts';
import {
  DEF_PRIORITY,
  MAX_RECLAIM_RETRIES,
  type Reclaimer,
  type ReclaimRequest,
  type ScanControl,
  SWAP_CLUSTER_MAX,
  scanControl,
} from './reclaim.ts';
import type { Vmscan } from './vmscan.ts';
import type { VmStat } from './vmstat.ts';
import { EVENT, NODE_ITEM } from './vmstat_items.ts';
import { wmarkPages, zoneWatermarkOk } from './watermark.ts';

/** Nodes on which reclaim runs, as a design may have it. */
export interface ReclaimGate {
  /** Has the node a daemon? */
  kswapdRuns(nid: number): boolean;
  /** May a request reclaim from the node itself? */
  mayReclaim(nid: number, request: ReclaimRequest): boolean;
}

export interface ReclaimParts {
  readonly zones: Zones;
  readonly lru: Lru;
  readonly stat: VmStat;
  readonly vmscan: Vmscan;
  readonly gate: ReclaimGate;
  readonly compaction: Pick<
    Compaction,
    'isReady' | 'afterKswapd' | 'kswapdsSleep' | 'wake' | 'wakeForBlock'
  >;
  readonly distance: (from: number, to: number) => number;
  /** Does something as the daemon of a node. */
  readonly asKswapd: (nid: number, run: () => void) => void;
  /** Tells whoever keeps a record: `by` the daemon or a request, from a node, so many pages. */
  readonly note: (by: 'kswapd' | 'direct', nid: number, nrPages: number) => void;
}

/** zone_reclaim_mode: bits. */
const RECLAIM_ZONE = 1;
const RECLAIM_WRITE = 2;
const RECLAIM_UNMAP = 4;
/** A node farther from the one preferred is left alone (node_reclaim_distance). */
const RECLAIM_DISTANCE = 30;
/** node_reclaim starts there. */
const NODE_RECLAIM_PRIORITY = 4;
/** /proc/sys/vm/min_unmapped_ratio, in percent. */
const MIN_UNMAPPED_PERCENT = 1;

const sumOf = (numbers: Iterable<number>): number => {
  let sum = 0;
  for (const n of numbers) sum += n;
  return sum;
};

export class Reclaim implements Reclaimer {
  /** /proc/sys/vm/zone_reclaim_mode. */
  zoneReclaimMode = 0;
  readonly #p: ReclaimParts;

  constructor(parts: ReclaimParts) {
    this.#p = parts;
  }

  /** Zones of a node up to a type that hold memory, ascending. */
  #zonesUpTo(nid: number, highest: number): number[] {
    const { zones } = this.#p;
    const found: number[] = [];
    for (let z = 0; z < zones.nr; z++) {
      if (zones.nid[z] !== nid || (zones.type[z] as number) > highest) continue;
      if ((zones.managed[z] as number) > 0) found.push(z);
    }
    return found;
  }

  /** Nodes of a walked list, in order, each once in a row (for_each_zone_zonelist_nodemask). */
  #nodesOf(request: ReclaimRequest): number[] {
    const { zones } = this.#p;
    const found: number[] = [];
    for (let i = 0; i < request.zones.length; i++) {
      const z = request.zones[i] as number;
      const nid = zones.nid[z] as number;
      if ((zones.type[z] as number) > request.highest || found.at(-1) === nid) continue;
      if (request.nodemask === null || request.nodemask.has(nid)) found.push(nid);
    }
    return found;
  }

  wakeKswapds(request: ReclaimRequest): void {
    const { vmscan, gate, compaction } = this.#p;
    compaction.kswapdsSleep();
    for (const nid of this.#nodesOf(request)) {
      if (!request.cpusetAllows(nid) || !gate.kswapdRuns(nid)) continue;
      const { order, highest, gfp } = request;
      const isTired = vmscan.node(nid).kswapdFailures >= MAX_RECLAIM_RETRIES;
      const isBoosted = boostsOf(this.#p.zones, nid, highest).size > 0;
      if (isTired || (!isBoosted && this.#isBalanced(nid, order, highest))) {
        if ((gfp & __GFP_DIRECT_RECLAIM) === 0) compaction.wake(nid, order, highest);
        continue;
      }
      const rest = this.#balance(nid, order, highest);
      const isTiredNow = vmscan.node(nid).kswapdFailures >= MAX_RECLAIM_RETRIES;
      const sleeps = isTiredNow || this.#isBalanced(nid, rest, highest);
      compaction.afterKswapd(nid, order, highest, sleeps);
    }
    request.resume();
  }

  wakeBoosted(z: number): void {
    const { zones, vmscan, gate, compaction } = this.#p;
    const nid = zones.nid[z] as number;
    const highest = zones.type[z] as number;
    if (!gate.kswapdRuns(nid) || vmscan.node(nid).kswapdFailures >= MAX_RECLAIM_RETRIES) return;
    this.#balance(nid, 0, highest);
    compaction.afterKswapd(nid, 0, highest, false);
  }

  /** Is a zone that the request may use above its high mark (pgdat_balanced)? */
  #isBalanced(nid: number, order: number, highest: number): boolean {
    const { zones } = this.#p;
    let nrUsable = 0;
    for (let z = 0; z < zones.nr; z++) {
      if (zones.nid[z] !== nid || (zones.type[z] as number) > highest) continue;
      if ((zones.managed[z] as number) === 0) continue;
      nrUsable++;
      const mark = zones.wmarkHigh[z] as number;
      if (zoneWatermarkOk(zones, z as ZoneIndex, order, mark, highest, 0)) return true;
    }
    return nrUsable === 0;
  }

  /** One run of a node's daemon (balance_pgdat). Returns the order that it was after in the end. */
  #balance(nid: number, order: number, highest: number): number {
    const { vmscan, asKswapd, note, zones, stat, compaction } = this.#p;
    let nrToReclaim = 0;
    for (const z of this.#zonesUpTo(nid, highest)) {
      nrToReclaim += Math.max(zones.wmarkHigh[z] as number, SWAP_CLUSTER_MAX);
    }
    const sc = scanControl({ nrToReclaim, order, reclaimIdx: highest, isKswapd: true });
    const boosts = boostsOf(zones, nid, highest);
    let isEnough = false;
    asKswapd(nid, () => {
      stat.count(EVENT.pageoutrun, 1);
      isEnough = this.#runBalance(nid, sc, highest, sumOf(boosts.values()));
    });
    if (!isEnough && sc.nrReclaimed === 0) vmscan.node(nid).kswapdFailures++;
    if (boosts.size > 0) {
      takeBack(zones, boosts);
      compaction.wakeForBlock(nid, highest);
    }
    note('kswapd', nid, sc.nrReclaimed);
    return sc.order;
  }

  /**
   * Looks at the lists harder and harder until a zone is above its high mark. While all it is for
   * are raised marks, it writes nothing and swaps nothing, does not look very hard, and stops when
   * it finds nothing. Returns whether it stopped because that was enough.
   * @param boost pages by which marks are raised.
   */
  #runBalance(nid: number, sc: ScanControl, highest: number, boost: number): boolean {
    let left = boost;
    while (sc.priority >= 1) {
      const isBalanced = this.#isBalanced(nid, sc.order, highest);
      if (!isBalanced && left > 0) {
        left = 0;
        sc.priority = DEF_PRIORITY;
      }
      if (isBalanced && left === 0) return true;
      sc.mayWritepage = left === 0;
      sc.maySwap = left === 0;
      const isHardest = left > 0 && sc.priority === DEF_PRIORITY - 2;
      const before = sc.nrReclaimed;
      sc.nrScanned = 0;
      this.#shrinkNode(nid, sc);
      if (sc.order > 0 && sc.nrReclaimed >= 2 << sc.order) sc.order = 0;
      const nrFreed = sc.nrReclaimed - before;
      left -= Math.min(left, nrFreed);
      if (left > 0 && nrFreed === 0) return false;
      const raises = !isHardest && sc.nrScanned < sc.nrToReclaim;
      if (raises || nrFreed === 0) sc.priority--;
    }
    return false;
  }

  #shrinkNode(nid: number, sc: ScanControl): void {
    const { vmscan } = this.#p;
    const before = sc.nrReclaimed;
    vmscan.shrinkNode(nid, sc);
    if (sc.nrReclaimed > before) vmscan.node(nid).kswapdFailures = 0;
  }

  /** Could a zone pass if all that can be reclaimed were free (should_reclaim_retry)? */
  promises({ zones: list, highest, nodemask, order, allocFlags }: ReclaimRequest): boolean {
    const { zones, vmscan } = this.#p;
    for (let i = 0; i < list.length; i++) {
      const z = list[i] as number;
      if ((zones.type[z] as number) > highest) continue;
      if (nodemask !== null && !nodemask.has(zones.nid[z] as number)) continue;
      const available = (zones.free[z] as number) + vmscan.reclaimablePages(z);
      const mark = wmarkPages(zones, z, ALLOC_WMARK_MIN);
      if (zoneWatermarkOk(zones, z as ZoneIndex, order, mark, highest, allocFlags, available)) {
        return true;
      }
    }
    return false;
  }

  /** Frees a few pages of the nodes of a request's list (try_to_free_pages). */
  tryToFree(request: ReclaimRequest): number {
    const { order, highest } = request;
    const sc = scanControl({
      nrToReclaim: SWAP_CLUSTER_MAX,
      order,
      reclaimIdx: highest,
      isKswapd: false,
    });
    let isReady = false;
    // Asked anew before each look: what was freed may be enough to compact.
    const nodes = (): number[] => {
      const found = this.#zonesToShrink(request);
      isReady ||= found.isReady;
      return found.nids;
    };
    const freed = this.#freeFrom(nodes, sc, () => isReady);
    return freed === 0 && isReady ? 1 : freed;
  }

  /**
   * Nodes of a request's list that are looked at, each once, and whether some zone is passed over
   * since it has so much free that compaction is the better means (shrink_zones).
   */
  #zonesToShrink(request: ReclaimRequest): { nids: number[]; isReady: boolean } {
    const { zones, gate, compaction } = this.#p;
    const { order, highest } = request;
    const nids: number[] = [];
    let isReady = false;
    for (let i = 0; i < request.zones.length; i++) {
      const z = request.zones[i] as ZoneIndex;
      const nid = zones.nid[z] as number;
      if ((zones.type[z] as number) > highest) continue;
      if (request.nodemask !== null && !request.nodemask.has(nid)) continue;
      if (!request.cpusetAllows(nid)) continue;
      if (compaction.isReady(z, order, highest)) isReady = true;
      else if (nids.at(-1) !== nid && gate.mayReclaim(nid, request)) nids.push(nid);
    }
    return { nids, isReady };
  }

  /**
   * Frees pages of a memory cgroup and those below it (try_to_free_mem_cgroup_pages).
   * @param zones of the list of the node that it is for: its nodes, in order, are looked at.
   */
  reclaimGroup(group: MemCgroup, nrPages: number, zones: ArrayLike<number>): number {
    const nids = Array.from(zones, (z) => this.#p.zones.nid[z] as number);
    const sc = scanControl({
      nrToReclaim: Math.max(nrPages, SWAP_CLUSTER_MAX),
      order: 0,
      reclaimIdx: MAX_NR_ZONES - 1,
      isKswapd: false,
      target: group,
    });
    const nodes = nids.filter((nid, i) => nid !== nids[i - 1]);
    return this.#freeFrom(() => nodes, sc);
  }

  /**
   * Looks at nodes harder and harder until enough is freed, or something else will do
   * (do_try_to_free_pages).
   */
  #freeFrom(nodes: () => readonly number[], sc: ScanControl, isDone = () => false): number {
    const freed = new Map<number, number>();
    for (;;) {
      while (sc.priority >= 0 && sc.nrReclaimed < sc.nrToReclaim) {
        sc.nrScanned = 0;
        for (const nid of nodes()) {
          const before = sc.nrReclaimed;
          this.#shrinkNode(nid, sc);
          freed.set(nid, (freed.get(nid) ?? 0) + sc.nrReclaimed - before);
        }
        sc.priority--;
        if (isDone()) break;
      }
      if (sc.nrReclaimed > 0 || isDone()) break;
      if (sc.skippedDeactivate) {
        sc.forceDeactivate = true;
        sc.skippedDeactivate = false;
      } else if (sc.lowSkipped && !sc.lowReclaim) {
        sc.forceDeactivate = false;
        sc.lowReclaim = true;
        sc.lowSkipped = false;
      } else break;
      sc.priority = DEF_PRIORITY;
    }
    for (const [nid, n] of freed) this.#p.note('direct', nid, n);
    return sc.nrReclaimed;
  }

  get reclaimsNodes(): boolean {
    return (this.zoneReclaimMode & (RECLAIM_ZONE | RECLAIM_WRITE | RECLAIM_UNMAP)) !== 0;
  }

  /**
   * Frees file pages of a full node that is near enough, where it has more than a few of them.
   * @returns whether enough was freed to look at the node again.
   */
  reclaimNode(nid: number, near: number, request: ReclaimRequest): boolean {
    const { distance, gate, stat, vmscan } = this.#p;
    if (distance(near, nid) > RECLAIM_DISTANCE || !gate.mayReclaim(nid, request)) return false;
    if (this.#cacheToReclaim(nid) <= this.#cacheToKeep(nid)) return false;
    const nrPages = 1 << request.order;
    const sc = scanControl({
      nrToReclaim: Math.max(nrPages, SWAP_CLUSTER_MAX),
      order: request.order,
      reclaimIdx: request.highest,
      isKswapd: false,
      priority: NODE_RECLAIM_PRIORITY,
      mayUnmap: (this.zoneReclaimMode & RECLAIM_UNMAP) !== 0,
      mayWritepage: (this.zoneReclaimMode & RECLAIM_WRITE) !== 0,
    });
    for (; sc.priority >= 0 && sc.nrReclaimed < nrPages; sc.priority--) vmscan.shrinkNode(nid, sc);
    if (sc.nrReclaimed >= nrPages) return true;
    stat.count(EVENT.zone_reclaim_failed, 1);
    return false;
  }

  /** Pages of files that the mode lets go (node_pagecache_reclaimable). */
  #cacheToReclaim(nid: number): number {
    const { lru, stat } = this.#p;
    const mode = this.zoneReclaimMode;
    const listed = lru.count(nid, LRU_INACTIVE_FILE) + lru.count(nid, LRU_ACTIVE_FILE);
    const some =
      mode & RECLAIM_UNMAP
        ? stat.node(NODE_ITEM.nr_file_pages, nid)
        : Math.max(listed - stat.node(NODE_ITEM.nr_mapped, nid), 0);
    const dirty = mode & RECLAIM_WRITE ? 0 : stat.node(NODE_ITEM.nr_dirty, nid);
    return some - Math.min(dirty, some);
  }

  /** A hundredth of the node (min_unmapped_pages). */
  #cacheToKeep(nid: number): number {
    const { zones } = this.#p;
    let n = 0;
    for (let z = 0; z < zones.nr; z++) {
      if (zones.nid[z] !== nid) continue;
      n += Math.floor(((zones.managed[z] as number) * MIN_UNMAPPED_PERCENT) / 100);
    }
    return n;
  }
}
