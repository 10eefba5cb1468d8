// Compaction: moving pages together so that blocks come free, for a request, by the daemon of each
// node, or because somebody asks for it.
// Models   linux@v6.1 mm/compaction.c: try_to_compact_pages, compact_zone_order, compact_node,
//          wakeup_kcompactd, kcompactd_node_suitable, kcompactd_do_work,
//          should_proactive_compact_node, proactive_compact_node, fragmentation_score_node,
//          fragmentation_score_wmark, compaction_zonelist_suitable; mm/vmscan.c: compaction_ready.
// Omits    the moment at which a daemon runs beside what woke it: it runs after the operation
//          (SPEC CPT8).
// Hooks    compactZone, kcompactdRuns.
// Holds    CPT4 a request has every zone of its list compacted that its mask names, whether it may
//          use the zone or not. CPT5 what failed is put off, for longer each time.
import type { ZoneIndex } from '../base/ids.ts';
import { boostsOf, takeBack } from './boost.ts';
import { type CompactParts, type IsEnough, ZoneRun } from './compact_run.ts';
import { type CompactMode, type CompactRun, MODE } from './compact_targets.ts';
import {
  COMPACT,
  type CompactResult,
  CompactZones,
  compactGap,
  WHOLE_ZONE,
} from './compact_zone.ts';
import { __GFP_DIRECT_RECLAIM, __GFP_IO, gfpMigratetype, MAX_NR_ZONES } from './gfp.ts';
import { ALLOC_WMARK_MIN } from './internal.ts';
import type { Zones } from './mmzone.ts';
import { PAGE_ALLOC_COSTLY_ORDER } from './pcp.ts';
import { MAX_RECLAIM_RETRIES, type ReclaimRequest } from './reclaim.ts';
import { EVENT } from './vmstat_items.ts';
import { zoneWatermarkOk } from './watermark.ts';

/** How hard a request tries, the hardest first (enum compact_priority). */
export const PRIORITY = { SYNC_FULL: 0, SYNC_LIGHT: 1, ASYNC: 2 } as const;
export type CompactPriority = (typeof PRIORITY)[keyof typeof PRIORITY];

/** How often kcompactd looks whether a node is too fragmented, ms. */
const CHECK_MS = 500;
/** After a look that did not help it waits this many times as long. */
const BACK_OFF = 64;

/** A run over one zone, for whoever keeps a record. */
export interface CompactNote {
  readonly by: 'the request itself' | 'kcompactd' | 'a program';
  readonly nid: number;
  readonly zone: number;
  readonly order: number;
  /** Undefined when the design does not allow it. */
  readonly result: CompactResult | undefined;
  readonly nrMoved: number;
}

export interface CompactionParts extends CompactParts {
  readonly zones: Zones;
  /** Order of huge pages, by which fragmentation is judged. */
  readonly hugeOrder: number;
  readonly gate: {
    /** May zones of the node be compacted? */
    mayCompact(nid: number): boolean;
    /** Has the node a kswapd? */
    kswapdRuns(nid: number): boolean;
    /** Has the node a kcompactd? */
    daemonRuns(nid: number): boolean;
  };
  readonly reclaimablePages: (z: number) => number;
  /** Does something as a daemon of a node. */
  readonly asDaemon: (nid: number, run: () => void) => void;
  readonly note: (note: CompactNote) => void;
}

interface Wakeup {
  order: number;
  highest: number;
}

export class Compaction {
  /** /proc/sys/vm/compaction_proactiveness, 0..100. */
  proactiveness = 20;
  readonly state: CompactZones;
  readonly #p: CompactionParts;
  /** Nodes whose daemon was woken and has not run yet. */
  readonly #woken = new Set<number>();
  /** What daemons were asked for since they ran last, whether that woke them or not. */
  readonly #asked = new Map<number, Wakeup>();
  /** Nodes whose kswapd is about to go back to sleep. */
  readonly #falling = new Set<number>();
  /** Runs of kswapd by node that freed nothing, while there is nothing to free. */
  readonly #failures = new Map<number, number>();
  /** When the daemon of a node looks next, ms. */
  readonly #nextCheck = new Map<number, number>();

  constructor(parts: CompactionParts) {
    this.#p = parts;
    this.state = new CompactZones(parts.buddy, parts.hugeOrder);
  }

  #run(
    by: CompactNote['by'],
    made: Partial<CompactRun> & Pick<CompactRun, 'z' | 'order' | 'type' | 'mode'>,
    isEnough?: IsEnough,
  ): { result: CompactResult; run: CompactRun } {
    const { zones, gate, note } = this.#p;
    const { z, order } = made;
    const nid = zones.nid[z] as number;
    const run: CompactRun = {
      isDirect: false,
      ignoresSkip: false,
      ignoresType: false,
      wholeZone: false,
      migrateAt: 0,
      freeAt: 0,
      nrWanted: 0,
      fastFails: 0,
      searchOrder: order,
      migrateScanned: 0,
      freeScanned: 0,
      ...made,
    };
    if (!gate.mayCompact(nid)) {
      note({ by, nid, zone: z, order, result: undefined, nrMoved: 0 });
      return { result: COMPACT.SKIPPED, run };
    }
    const zoneRun = new ZoneRun(this.#p, this.state, run, isEnough);
    const result = zoneRun.compact();
    note({ by, nid, zone: z, order, result, nrMoved: zoneRun.nrMoved });
    return { result, run };
  }

  // ---- For a request -------------------------------------------------------------------------

  /** Zones of the request's list that its mask names, in order. */
  *#zonesOf({ zones: list, highest, nodemask }: ReclaimRequest): IterableIterator<ZoneIndex> {
    const { zones } = this.#p;
    for (let i = 0; i < list.length; i++) {
      const z = list[i] as ZoneIndex;
      if ((zones.type[z] as number) > highest) continue;
      if (nodemask === null || nodemask.has(zones.nid[z] as number)) yield z;
    }
  }

  /** Compacts the zones of a request's list until one has a block (try_to_compact_pages). */
  compactFor(request: ReclaimRequest, priority: CompactPriority): CompactResult {
    const { order } = request;
    let worst: CompactResult = COMPACT.SKIPPED;
    if ((request.gfp & __GFP_IO) === 0) return worst;
    for (const z of this.#zonesOf(request)) {
      if (!this.#mayCompact(z)) {
        this.#noteUntried(z, order, undefined);
        continue;
      }
      if (priority > PRIORITY.SYNC_FULL && this.state.isDeferred(z, order)) {
        worst = Math.max(COMPACT.DEFERRED, worst) as CompactResult;
        this.#noteUntried(z, order, COMPACT.DEFERRED);
        continue;
      }
      const result = this.#compactOne(request, z, priority);
      worst = Math.max(result, worst) as CompactResult;
      if (result === COMPACT.SUCCESS) {
        this.state.resetDefer(z, order, false);
        break;
      }
      const isThrough = result === COMPACT.COMPLETE || result === COMPACT.PARTIAL_SKIPPED;
      if (priority !== PRIORITY.ASYNC && isThrough) this.state.defer(z, order);
    }
    return worst;
  }

  #compactOne(request: ReclaimRequest, z: ZoneIndex, priority: CompactPriority): CompactResult {
    const { order, gfp, allocFlags, highest } = request;
    const suitable = this.state.suitable(z, order, allocFlags, highest);
    if (suitable === COMPACT.SKIPPED) this.#noteUntried(z, order, suitable);
    if (suitable !== COMPACT.CONTINUE) return suitable;
    const isFull = priority === PRIORITY.SYNC_FULL;
    const mode: CompactMode = priority === PRIORITY.ASYNC ? MODE.ASYNC : MODE.SYNC_LIGHT;
    const thorough = { wholeZone: isFull, ignoresSkip: isFull, ignoresType: isFull };
    const made = { z, order, type: gfpMigratetype(gfp), mode, isDirect: true, ...thorough };
    return this.#run('the request itself', made).result;
  }

  #mayCompact(z: number): boolean {
    return this.#p.gate.mayCompact(this.#p.zones.nid[z] as number);
  }

  #noteUntried(zone: number, order: number, result: CompactResult | undefined): void {
    const nid = this.#p.zones.nid[zone] as number;
    this.#p.note({ by: 'the request itself', nid, zone, order, result, nrMoved: 0 });
  }

  /** A request was served after compaction (the end of __alloc_pages_direct_compact). */
  succeeded(z: number, order: number): void {
    this.kswapdsSleep();
    this.state.of(z).forgetsSoon = false;
    this.state.resetDefer(z, order, true);
  }

  /** Has a zone so much free that compaction is better than reclaim (compaction_ready)? */
  isReady(z: ZoneIndex, order: number, highest: number): boolean {
    const { zones } = this.#p;
    if (order <= PAGE_ALLOC_COSTLY_ORDER || !this.#mayCompact(z)) return false;
    const suitable = this.state.suitable(z, order, ALLOC_WMARK_MIN, highest);
    if (suitable === COMPACT.SUCCESS) return true;
    if (suitable === COMPACT.SKIPPED) return false;
    const mark = (zones.wmarkHigh[z] as number) + compactGap(order);
    return zoneWatermarkOk(zones, z, 0, mark, highest, 0);
  }

  /** Is some zone of a request's list ready for compaction? */
  someReady(request: ReclaimRequest): boolean {
    for (const z of this.#zonesOf(request)) {
      const isAllowed = request.cpusetAllows(this.#p.zones.nid[z] as number);
      if (isAllowed && this.isReady(z, request.order, request.highest)) return true;
    }
    return false;
  }

  /** Would a zone be suitable if a little were reclaimed (compaction_zonelist_suitable)? */
  mayBecomeSuitable(request: ReclaimRequest): boolean {
    const { order, allocFlags, highest } = request;
    for (const z of this.#zonesOf(request)) {
      if (!this.#mayCompact(z)) continue;
      const more = Math.floor(this.#p.reclaimablePages(z) / order);
      const free = (this.#p.zones.free[z] as number) + more;
      const result = this.state.suitableWith(z, order, allocFlags, highest, free);
      if (result === COMPACT.CONTINUE) return true;
    }
    return false;
  }

  // ---- kcompactd -----------------------------------------------------------------------------

  #zonesUpTo(nid: number, highest: number): ZoneIndex[] {
    const { zones } = this.#p;
    return zones
      .ofNode(nid)
      .filter((z) => (zones.type[z] as number) <= highest && (zones.managed[z] as number) > 0);
  }

  /**
   * kswapd of a node has run for a request. Where it freed enough, or gives up, it goes to sleep
   * and leaves what is left to wish for to kcompactd (kswapd_try_to_sleep).
   */
  afterKswapd(nid: number, order: number, highest: number, sleeps: boolean): void {
    this.#falling.add(nid);
    if (sleeps) this.wake(nid, order, highest);
  }

  /**
   * The daemons of reclaim that a request woke go back to sleep while it is served: what was found
   * unsuitable on their nodes is looked at again (reset_isolation_suitable).
   */
  kswapdsSleep(): void {
    for (const nid of this.#falling) {
      for (const z of this.#zonesUpTo(nid, MAX_NR_ZONES - 1)) this.state.forget(z);
    }
    this.#falling.clear();
  }

  /**
   * Wakes the daemon of a node, which runs when the operation is over. If no zone is suitable it
   * sleeps on, and remembers the order for when it is woken again, or looks by itself
   * (wakeup_kcompactd).
   */
  wake(nid: number, order: number, highest: number): void {
    if (order === 0 || !this.#p.gate.daemonRuns(nid)) return;
    const was = this.#asked.get(nid);
    const asked = {
      order: Math.max(order, was?.order ?? 0),
      highest: Math.min(highest, was?.highest ?? highest),
    };
    this.#asked.set(nid, asked);
    const isOf = (z: ZoneIndex): boolean =>
      this.state.suitable(z, asked.order, ALLOC_WMARK_MIN, asked.highest) === COMPACT.CONTINUE;
    if (this.#zonesUpTo(nid, asked.highest).some(isOf)) this.#woken.add(nid);
  }

  /**
   * Wakes the daemons of a request's list where nothing can be reclaimed: kswapd tries in vain and
   * gives up after a while, and from then on kcompactd is left alone with requests that do not
   * reclaim themselves (wakeup_kswapd).
   */
  wakeKswapds(request: ReclaimRequest): void {
    const { zones } = this.#p;
    const { order, highest, gfp } = request;
    this.kswapdsSleep();
    let last = -1;
    for (const z of this.#zonesOf(request)) {
      const nid = zones.nid[z] as number;
      if (nid === last || !request.cpusetAllows(nid)) continue;
      last = nid;
      if (!this.#p.gate.kswapdRuns(nid)) continue;
      const isBalanced = this.#zonesUpTo(nid, highest).some((o) =>
        zoneWatermarkOk(zones, o, order, zones.wmarkHigh[o] as number, highest, 0),
      );
      const failures = this.#failures.get(nid) ?? 0;
      if (!isBalanced && failures < MAX_RECLAIM_RETRIES) {
        this.#failures.set(nid, failures + 1);
        this.afterKswapd(nid, order, highest, false);
      } else if ((gfp & __GFP_DIRECT_RECLAIM) === 0) this.wake(nid, order, highest);
    }
  }

  /**
   * The marks of a zone were raised where nothing can be reclaimed: kswapd finds next to nothing,
   * and takes that back.
   */
  wakeBoosted(z: number): void {
    const { zones, gate } = this.#p;
    const nid = zones.nid[z] as number;
    const highest = zones.type[z] as number;
    if (!gate.kswapdRuns(nid)) return;
    takeBack(zones, boostsOf(zones, nid, highest));
    this.wakeForBlock(nid, highest);
  }

  /** kswapd has answered raised marks: there is likely room now to make whole page blocks. */
  wakeForBlock(nid: number, highest: number): void {
    this.wake(nid, this.#p.buddy.pageblockOrder, highest);
  }

  /** Daemons that were woken do their work (kcompactd_do_work). */
  runWoken(): void {
    if (this.#woken.size === 0) return;
    const woken = [...this.#woken];
    this.#woken.clear();
    for (const nid of woken) this.#answer(nid);
  }

  /** The daemon of a node does what it was asked for. */
  #answer(nid: number): void {
    const asked = this.#asked.get(nid);
    if (asked === undefined) return;
    this.#asked.delete(nid);
    this.#p.asDaemon(nid, () => this.#work(nid, asked.order, asked.highest));
  }

  #work(nid: number, order: number, highest: number): void {
    const { stat, pcp, zones } = this.#p;
    stat.count(EVENT.compact_daemon_wake, 1);
    for (const z of this.#zonesUpTo(nid, highest)) {
      if (this.state.isDeferred(z, order)) continue;
      const type = zones.type[z] as number;
      const suitable = this.state.suitable(z, order, ALLOC_WMARK_MIN, type);
      if (suitable !== COMPACT.CONTINUE) continue;
      // The run asks again, with the reserves that requests for higher zones leave alone.
      const inner = this.state.suitable(z, order, ALLOC_WMARK_MIN, highest);
      if (inner === COMPACT.SUCCESS) this.state.resetDefer(z, order, false);
      if (inner !== COMPACT.CONTINUE) continue;
      const made = { z, order, type: gfpMigratetype(0), mode: MODE.SYNC_LIGHT };
      const { result, run } = this.#run('kcompactd', made);
      if (result === COMPACT.SUCCESS) this.state.resetDefer(z, order, false);
      else if (result === COMPACT.PARTIAL_SKIPPED || result === COMPACT.COMPLETE) {
        pcp.drain(z);
        this.state.defer(z, order);
      }
      stat.count(EVENT.compact_daemon_migrate_scanned, run.migrateScanned);
      stat.count(EVENT.compact_daemon_free_scanned, run.freeScanned);
    }
  }

  /** Time has passed: daemons look whether their nodes are too fragmented. */
  pass(nodes: Iterable<number>, nowMs: number): void {
    for (const nid of nodes) {
      const next = this.#nextCheck.get(nid) ?? CHECK_MS;
      if (nowMs < next) continue;
      if (this.#asked.has(nid)) {
        this.#answer(nid);
        this.#nextCheck.set(nid, nowMs - (nowMs % CHECK_MS) + CHECK_MS);
        continue;
      }
      // What a daemon found at one moment it would find again: nothing changes while time passes.
      const wait = this.#proact(nid) ? CHECK_MS : CHECK_MS * BACK_OFF;
      this.#nextCheck.set(nid, nowMs - (nowMs % CHECK_MS) + wait);
    }
  }

  /** The setting was written to: daemons look at once. */
  checkNow(nodes: Iterable<number>): void {
    for (const nid of nodes) this.#proact(nid);
  }

  /** Compacts a node that is too fragmented. False when that did not help. */
  #proact(nid: number): boolean {
    if (this.proactiveness === 0 || !this.#p.gate.daemonRuns(nid)) return true;
    const before = this.#score(nid);
    if (before <= Math.min(this.#leastScore + 10, 100)) return true;
    this.#p.asDaemon(nid, () => {
      for (const z of this.#zonesUpTo(nid, MAX_NR_ZONES - 1)) {
        const isEnough = (): boolean =>
          this.state.unusablePercent(z, this.#p.hugeOrder) <= this.#leastScore;
        this.#runWhole('kcompactd', z, MODE.SYNC_LIGHT, isEnough);
      }
    });
    return this.#score(nid) < before;
  }

  get #leastScore(): number {
    return Math.max(100 - this.proactiveness, 5);
  }

  /** How fragmented a node is, 0..100 (fragmentation_score_node). */
  #score(nid: number): number {
    const { zones } = this.#p;
    const own = this.#zonesUpTo(nid, MAX_NR_ZONES - 1);
    const present = own.reduce((n, z) => n + (zones.present[z] as number), 0);
    return own.reduce((sum, z) => {
      const score = this.state.unusablePercent(z, this.#p.hugeOrder);
      return sum + Math.floor(((zones.present[z] as number) * score) / (present + 1));
    }, 0);
  }

  // ---- For a program -------------------------------------------------------------------------

  #runWhole(by: CompactNote['by'], z: ZoneIndex, mode: CompactMode, isEnough?: IsEnough) {
    const whole = { order: WHOLE_ZONE, wholeZone: true, ignoresSkip: true };
    return this.#run(by, { z, type: gfpMigratetype(0), mode, ...whole }, isEnough);
  }

  /** Compacts all zones of a node (compact_node). */
  compactNode(nid: number): void {
    for (const z of this.#zonesUpTo(nid, MAX_NR_ZONES - 1)) {
      this.#runWhole('a program', z, MODE.SYNC);
    }
  }
}
