// Reclaim of one node: which lists are looked at, how far, and how pages move between them.
// Models   linux@v6.1 mm/vmscan.c: shrink_node, shrink_lruvec, get_scan_count, shrink_list,
//          shrink_inactive_list, shrink_active_list, inactive_is_low, isolate_lru_folios,
//          zone_reclaimable_pages; mm/swap.c: lru_note_cost; mm/workingset.c: workingset_refault.
// Omits    slab, the lists of memory cgroups (there is one set of lists a node), MGLRU, which
//          Debian's kernel has and does not switch on, buffer heads, executable file pages.
// Holds    RCL1 pages are looked at from the tail; a page above the highest zone of the request is
//          passed over. RCL2 without swap anonymous pages are left alone, but for those given up by
//          MADV_FREE, which stand among file pages.
import { MAX_NR_ZONES } from './gfp.ts';
import {
  LRU_ACTIVE,
  LRU_ACTIVE_ANON,
  LRU_ACTIVE_FILE,
  LRU_INACTIVE_ANON,
  LRU_INACTIVE_FILE,
  LRU_REFERENCED,
  LRU_WORKINGSET,
  LRU_YOUNG,
} from './lru.ts';
import { NIL } from './memmap.ts';
import type { Zones } from './mmzone.ts';
import {
  DEACTIVATE_ANON,
  DEACTIVATE_FILE,
  DEF_PRIORITY,
  NodeReclaim,
  type PageOwners,
  type ScanControl,
  SWAP_CLUSTER_MAX,
} from './reclaim.ts';
import { PageShrinker, type ShrinkParts } from './shrink_pages.ts';
import { EVENT } from './vmstat_items.ts';

export interface VmscanParts extends ShrinkParts {
  readonly zones: Zones;
  readonly pageBytes: number;
  readonly zoneOf: (f: number) => number;
}

export class Vmscan {
  /** /proc/sys/vm/swappiness. */
  swappiness = 60;
  readonly pages: PageShrinker;
  readonly #p: VmscanParts;
  readonly #nodes = new Map<number, NodeReclaim>();
  /** Pages taken off a list to be looked at. */
  readonly #taken = new Int32Array(SWAP_CLUSTER_MAX);
  readonly #skipped: number[] = [];

  constructor(parts: VmscanParts, owners: PageOwners) {
    this.#p = parts;
    this.pages = new PageShrinker(parts, owners);
  }

  node(nid: number): NodeReclaim {
    let node = this.#nodes.get(nid);
    if (node === undefined) {
      node = new NodeReclaim(nid);
      this.#nodes.set(nid, node);
    }
    return node;
  }

  /** Can anonymous pages of a node leave it (can_reclaim_anon_pages)? */
  canReclaimAnon(nid: number, sc?: ScanControl): boolean {
    if (this.#p.swap.nrFree > 0) return true;
    const { demotion } = this.pages;
    return demotion !== null && sc?.noDemotion !== true && demotion.canDemote(nid);
  }

  /** Pages of a zone that reclaim may hope for (zone_reclaimable_pages). */
  reclaimablePages(z: number): number {
    const { lru, zones } = this.#p;
    let n = lru.countOfZone(z, LRU_INACTIVE_FILE) + lru.countOfZone(z, LRU_ACTIVE_FILE);
    if (this.canReclaimAnon(zones.nid[z] as number)) {
      n += lru.countOfZone(z, LRU_INACTIVE_ANON) + lru.countOfZone(z, LRU_ACTIVE_ANON);
    }
    return n;
  }

  /** Looks at the lists of a node once, as far as the priority goes. Counts in `sc`. */
  shrinkNode(nid: number, sc: ScanControl): void {
    const node = this.node(nid);
    this.#prepare(node, sc);
    this.#shrinkLists(node, sc);
  }

  /** Which lists may be aged, and whether file pages are plenty or next to none. */
  #prepare(node: NodeReclaim, sc: ScanControl): void {
    const { lru } = this.#p;
    const { nid } = node;
    sc.mayDeactivate = 0;
    const isAging = (kind: number, inactive: number): boolean => {
      const changed = node.activations[kind] !== node.lastActivations[kind];
      node.lastActivations[kind] = node.activations[kind] as number;
      return sc.forceDeactivate || changed || this.#inactiveIsLow(nid, inactive);
    };
    if (isAging(0, LRU_INACTIVE_ANON)) sc.mayDeactivate |= DEACTIVATE_ANON;
    if (isAging(1, LRU_INACTIVE_FILE)) sc.mayDeactivate |= DEACTIVATE_FILE;
    const inactiveFile = lru.count(nid, LRU_INACTIVE_FILE);
    const agesFile = (sc.mayDeactivate & DEACTIVATE_FILE) !== 0;
    sc.trimsCache = inactiveFile >> sc.priority > 0 && !agesFile;
    const file = inactiveFile + lru.count(nid, LRU_ACTIVE_FILE);
    const { free, high } = this.#freeAndHigh(nid);
    sc.fileIsTiny =
      file + free <= high &&
      (sc.mayDeactivate & DEACTIVATE_ANON) === 0 &&
      lru.count(nid, LRU_INACTIVE_ANON) >> sc.priority > 0;
  }

  #freeAndHigh(nid: number): { free: number; high: number } {
    const { zones } = this.#p;
    let free = 0;
    let high = 0;
    for (let z = 0; z < zones.nr; z++) {
      if (zones.nid[z] !== nid) continue;
      free += zones.free[z] as number;
      high += zones.wmarkHigh[z] as number;
    }
    return { free, high };
  }

  /** Is an inactive list short beside its active one (inactive_is_low)? */
  #inactiveIsLow(nid: number, inactive: number): boolean {
    const { lru, pageBytes } = this.#p;
    const n = lru.count(nid, inactive);
    const active = lru.count(nid, inactive + 1);
    const gib = Math.floor(((n + active) * pageBytes) / 2 ** 30);
    const ratio = gib > 0 ? Math.floor(Math.sqrt(10 * gib)) : 1;
    return n * ratio < active;
  }

  /** How many pages of each list are looked at (get_scan_count). */
  #countScan(node: NodeReclaim, sc: ScanControl): Float64Array {
    const toScan = new Float64Array(4);
    const { swappiness } = this;
    const { nid } = node;
    let anon = 1;
    let file = 1;
    let whole = 1;
    if (!sc.maySwap || !this.canReclaimAnon(nid, sc)) anon = 0;
    else if (sc.priority > 0 || swappiness === 0) {
      if (sc.fileIsTiny) file = 0;
      else if (sc.trimsCache) anon = 0;
      else {
        const cost = node.anonCost + node.fileCost;
        const total = 3 * cost;
        anon = Math.floor((swappiness * (total + 1)) / (cost + node.anonCost + 1));
        file = Math.floor(((200 - swappiness) * (total + 1)) / (cost + node.fileCost + 1));
        whole = anon + file;
      }
    }
    for (let list = 0; list < 4; list++) {
      const size = Math.floor(this.#sizeUpTo(nid, list, sc.reclaimIdx) / 2 ** sc.priority);
      toScan[list] = Math.ceil((size * (list < LRU_INACTIVE_FILE ? anon : file)) / whole);
    }
    return toScan;
  }

  /** Pages on a list, of zones up to a type (lruvec_lru_size). */
  #sizeUpTo(nid: number, list: number, reclaimIdx: number): number {
    const { lru, zones } = this.#p;
    if (reclaimIdx === MAX_NR_ZONES - 1) return lru.count(nid, list);
    let n = 0;
    for (let z = 0; z < zones.nr; z++) {
      if (zones.nid[z] !== nid || (zones.type[z] as number) > reclaimIdx) continue;
      n += lru.countOfZone(z, list);
    }
    return n;
  }

  /** Looks at the lists in turn until enough is freed (shrink_lruvec). */
  #shrinkLists(node: NodeReclaim, sc: ScanControl): void {
    const toScan = this.#countScan(node, sc);
    const targets = toScan.slice();
    const scansAll = !sc.isKswapd && sc.priority === DEF_PRIORITY;
    let nrReclaimed = 0;
    const left = (list: number): number => toScan[list] as number;
    while (left(LRU_INACTIVE_ANON) + left(LRU_ACTIVE_FILE) + left(LRU_INACTIVE_FILE) > 0) {
      for (let list = 0; list < 4; list++) {
        const n = Math.min(left(list), SWAP_CLUSTER_MAX);
        if (n === 0) continue;
        toScan[list] = left(list) - n;
        nrReclaimed += this.#shrinkList(node, list, n, sc);
      }
      if (nrReclaimed < sc.nrToReclaim || scansAll) continue;
      const anon = left(LRU_INACTIVE_ANON) + left(LRU_ACTIVE_ANON);
      const file = left(LRU_INACTIVE_FILE) + left(LRU_ACTIVE_FILE);
      if (anon === 0 || file === 0) break;
      stopSmaller(toScan, targets, file > anon);
    }
    sc.nrReclaimed += nrReclaimed;
    if (this.canReclaimAnon(node.nid, sc) && this.#inactiveIsLow(node.nid, LRU_INACTIVE_ANON)) {
      this.#shrinkActive(node, LRU_ACTIVE_ANON, SWAP_CLUSTER_MAX, sc);
    }
  }

  #shrinkList(node: NodeReclaim, list: number, n: number, sc: ScanControl): number {
    if (list === LRU_INACTIVE_ANON || list === LRU_INACTIVE_FILE) {
      return this.#shrinkInactive(node, list, n, sc);
    }
    const bit = list === LRU_ACTIVE_FILE ? DEACTIVATE_FILE : DEACTIVATE_ANON;
    if (sc.mayDeactivate & bit) this.#shrinkActive(node, list, n, sc);
    else sc.skippedDeactivate = true;
    return 0;
  }

  /**
   * Takes up to `n` pages off the tail of a list; those of zones above the request's go to its head
   * (isolate_lru_folios). They are in `#taken`, first looked at first.
   */
  #isolate(nid: number, list: number, n: number, reclaimIdx: number): number {
    const { lru, zones, zoneOf } = this.#p;
    const skipped = this.#skipped;
    skipped.length = 0;
    let taken = 0;
    let scanned = 0;
    while (scanned < n && taken < SWAP_CLUSTER_MAX) {
      const f = lru.tail(nid, list);
      if (f === NIL) break;
      lru.remove(f);
      if ((zones.type[zoneOf(f)] as number) > reclaimIdx) {
        skipped.push(f);
        continue;
      }
      scanned += lru.nrPagesOf(f);
      this.#taken[taken++] = f;
    }
    for (const f of skipped) lru.add(f);
    return taken;
  }

  #shrinkInactive(node: NodeReclaim, list: number, n: number, sc: ScanControl): number {
    const { stat } = this.#p;
    const taken = this.#isolate(node.nid, list, n, sc.reclaimIdx);
    if (taken === 0) return 0;
    const isFile = list === LRU_INACTIVE_FILE;
    sc.nrScanned += taken;
    stat.count(sc.isKswapd ? EVENT.pgscan_kswapd : EVENT.pgscan_direct, taken);
    stat.count(isFile ? EVENT.pgscan_file : EVENT.pgscan_anon, taken);
    const { nrReclaimed, nrWritten } = this.pages.shrink(this.#taken, taken, node, sc, false);
    this.#noteCost(node, isFile, nrWritten);
    stat.count(sc.isKswapd ? EVENT.pgsteal_kswapd : EVENT.pgsteal_direct, nrReclaimed);
    stat.count(isFile ? EVENT.pgsteal_file : EVENT.pgsteal_anon, nrReclaimed);
    return nrReclaimed;
  }

  /** Moves pages from the tail of an active list to the head of its inactive one. */
  #shrinkActive(node: NodeReclaim, list: number, n: number, sc: ScanControl): void {
    const { lru, stat } = this.#p;
    const taken = this.#isolate(node.nid, list, n, sc.reclaimIdx);
    for (let i = 0; i < taken; i++) {
      const f = this.#taken[i] as number;
      lru.clear(f, LRU_ACTIVE | LRU_YOUNG | LRU_REFERENCED);
      lru.set(f, LRU_WORKINGSET);
      lru.add(f);
    }
    stat.count(EVENT.pgrefill, taken);
    stat.count(EVENT.pgdeactivate, taken);
  }

  /** Writing and reading back costs; the list that costs more is looked at less (lru_note_cost). */
  #noteCost(node: NodeReclaim, isFile: boolean, n: number): void {
    if (isFile) node.fileCost += n;
    else node.anonCost += n;
    const { lru } = this.#p;
    let size = 0;
    for (let list = 0; list < 4; list++) size += lru.count(node.nid, list);
    if (node.anonCost + node.fileCost <= size / 4) return;
    node.anonCost = Math.floor(node.anonCost / 2);
    node.fileCost = Math.floor(node.fileCost / 2);
  }

  /**
   * A page comes back from its slot, or a file's from the disk: was it gone for so short a time
   * that it would still be in use had the active pages been inactive (workingset_refault)?
   * @param age of its node's lists when it left.
   * @param wasInUse PG_workingset of the page that left.
   */
  noteRefault(f: number, nid: number, age: number, wasInUse: boolean, isFile: boolean): void {
    const { lru, swap } = this.#p;
    const node = this.node(nid);
    let size = lru.count(nid, LRU_ACTIVE_FILE);
    if (!isFile) size += lru.count(nid, LRU_INACTIVE_FILE);
    if (swap.nrFree > 0) {
      size += lru.count(nid, LRU_ACTIVE_ANON);
      if (isFile) size += lru.count(nid, LRU_INACTIVE_ANON);
    }
    if (node.age - age > size) return;
    lru.set(f, LRU_ACTIVE);
    node.age++;
    const kind = isFile ? 1 : 0;
    node.activations[kind] = (node.activations[kind] as number) + 1;
    if (!wasInUse) return;
    lru.set(f, LRU_WORKINGSET);
    this.#noteCost(node, isFile, 1);
  }
}

/** Enough is freed: the shorter kind of lists is left, and the other looked at in proportion. */
function stopSmaller(toScan: Float64Array, targets: Float64Array, leavesAnon: boolean): void {
  const [small, large] = leavesAnon ? [0, 2] : [2, 0];
  const target = (targets[small] as number) + (targets[small + 1] as number) + 1;
  const rest = (toScan[small] as number) + (toScan[small + 1] as number);
  const percent = Math.floor((rest * 100) / target);
  toScan[small] = 0;
  toScan[small + 1] = 0;
  for (const list of [large, large + 1]) {
    const scanned = (targets[list] as number) - (toScan[list] as number);
    const goal = Math.floor(((targets[list] as number) * (100 - percent)) / 100);
    toScan[list] = Math.max(0, goal - scanned);
  }
}
