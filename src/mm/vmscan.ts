// Reclaim of one node: which lists are looked at, how far, and how pages move between them.
// Models   linux@v6.1 mm/vmscan.c: shrink_node, shrink_lruvec, get_scan_count, shrink_list,
//          shrink_inactive_list, shrink_active_list, inactive_is_low, isolate_lru_folios,
//          zone_reclaimable_pages; mm/swap.c: lru_note_cost; mm/workingset.c: workingset_refault;
//          mm/memcontrol.c: mem_cgroup_protection, mem_cgroup_iter as far as reclaim goes by them.
// Omits    slab, MGLRU, which Debian's kernel has and does not switch on, buffer heads, executable
//          file pages.
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
import type { MemCgroup, MemCgroups } from './memcg.ts';
import { KIND_THP, NIL } from './memmap.ts';
import type { Zones } from './mmzone.ts';
import {
  DEACTIVATE_ANON,
  DEACTIVATE_FILE,
  DEF_PRIORITY,
  NodeReclaim,
  type PageOwners,
  type ScanControl,
  SWAP_CLUSTER_MAX,
  scanControl,
} from './reclaim.ts';
import { PageShrinker, type ShrinkParts } from './shrink_pages.ts';
import { EVENT } from './vmstat_items.ts';

export interface VmscanParts extends ShrinkParts {
  readonly zones: Zones;
  readonly pageBytes: number;
  readonly zoneOf: (f: number) => number;
}

/** What a group is spared of its size, pages. */
interface Kept {
  readonly spared: number;
  readonly size: number;
}
const NOTHING: Kept = { spared: 0, size: 0 };
const NO_DEMOTION = scanControl({
  nrToReclaim: 0,
  reclaimIdx: 0,
  order: 0,
  isKswapd: false,
  noDemotion: true,
});

export class Vmscan {
  /** /proc/sys/vm/swappiness. */
  swappiness = 60;
  readonly pages: PageShrinker;
  readonly #p: VmscanParts;
  readonly #owners: PageOwners;
  readonly #nodes = new Map<number, NodeReclaim>();
  /** Pages taken off a list to be looked at. */
  readonly #taken = new Int32Array(SWAP_CLUSTER_MAX);
  /** Small pages that these come to. */
  #nrTakenPages = 0;
  readonly #skipped: number[] = [];

  constructor(parts: VmscanParts, owners: PageOwners) {
    this.#p = parts;
    this.#owners = owners;
    this.pages = new PageShrinker(parts, owners);
  }

  /** What there is to know of a node, or of a memory cgroup's pages on it (mem_cgroup_lruvec). */
  node(nid: number, group: MemCgroup | null = null): NodeReclaim {
    const vec = group === null ? nid : group.id * this.#p.lru.nrNodeIds + nid;
    let node = this.#nodes.get(vec);
    if (node === undefined) {
      const above = group === null ? null : this.node(nid, group.parent);
      node = new NodeReclaim(nid, vec, group, above);
      this.#nodes.set(vec, node);
    }
    return node;
  }

  /** Can anonymous pages of a node leave it (can_reclaim_anon_pages)? */
  canReclaimAnon(nid: number, sc?: ScanControl, group: MemCgroup | null = null): boolean {
    const { swap } = this.#p;
    const maySwap = group === null || (swap.memcg?.swapRoom(group) ?? 0) > 0;
    if (swap.nrFree > 0 && maySwap) return true;
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
    const { memcg } = this.#p.swap;
    const target = this.node(nid, sc.target);
    this.#prepare(target, sc);
    if (sc.target === null) {
      this.#shrinkLists(target, sc, target, NOTHING);
      this.#owners.shrinkSlab(nid, null, sc.priority);
    }
    if (memcg === null) return;
    const tops = sc.target === null ? memcg.groups.filter((g) => g?.parent === null) : [sc.target];
    for (const top of tops) {
      for (const group of top?.descendants() ?? []) this.#shrinkGroup(memcg, group, target, sc);
    }
  }

  /** Pages of one memory cgroup, unless it is spared (shrink_node_memcgs). */
  #shrinkGroup(memcg: MemCgroups, group: MemCgroup, target: NodeReclaim, sc: ScanControl): void {
    const { min, low } = memcg.protection(group, sc.target);
    if (group.used === 0 || group.used <= min) return;
    if (group.used <= low) {
      if (!sc.lowReclaim) {
        sc.lowSkipped = true;
        return;
      }
      group.note('low');
    }
    let spared = min;
    if (!sc.lowReclaim && low > min) {
      spared = low;
      sc.lowSkipped = true;
    }
    const node = this.node(target.nid, group);
    this.#shrinkLists(node, sc, target, { spared, size: Math.max(group.used, spared) });
    this.#owners.shrinkSlab(target.nid, group, sc.priority);
  }

  /** Pages on a list of a node, of a group with those below it (lruvec_page_state). */
  #count(node: NodeReclaim, list: number): number {
    const { lru } = this.#p;
    if (node.group === null) return lru.count(node.nid, list);
    let n = 0;
    for (const { id } of node.group.descendants()) {
      n += lru.countOf(id * lru.nrNodeIds + node.nid, list);
    }
    return n;
  }

  /** Which lists may be aged, and whether file pages are plenty or next to none. */
  #prepare(node: NodeReclaim, sc: ScanControl): void {
    const { nid } = node;
    sc.mayDeactivate = 0;
    const isAging = (kind: number, inactive: number): boolean => {
      const changed = node.activations[kind] !== node.lastActivations[kind];
      node.lastActivations[kind] = node.activations[kind] as number;
      return sc.forceDeactivate || changed || this.#inactiveIsLow(node, inactive);
    };
    if (isAging(0, LRU_INACTIVE_ANON)) sc.mayDeactivate |= DEACTIVATE_ANON;
    if (isAging(1, LRU_INACTIVE_FILE)) sc.mayDeactivate |= DEACTIVATE_FILE;
    const inactiveFile = this.#count(node, LRU_INACTIVE_FILE);
    const agesFile = (sc.mayDeactivate & DEACTIVATE_FILE) !== 0;
    sc.trimsCache = inactiveFile >> sc.priority > 0 && !agesFile;
    const file = inactiveFile + this.#count(node, LRU_ACTIVE_FILE);
    const { free, high } = this.#freeAndHigh(nid);
    sc.fileIsTiny =
      sc.target === null &&
      file + free <= high &&
      (sc.mayDeactivate & DEACTIVATE_ANON) === 0 &&
      this.#count(node, LRU_INACTIVE_ANON) >> sc.priority > 0;
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
  #inactiveIsLow(node: NodeReclaim, inactive: number): boolean {
    const { pageBytes } = this.#p;
    const n = this.#count(node, inactive);
    const active = this.#count(node, inactive + 1);
    const gib = Math.floor(((n + active) * pageBytes) / 2 ** 30);
    const ratio = gib > 0 ? Math.floor(Math.sqrt(10 * gib)) : 1;
    return n * ratio < active;
  }

  /** How many pages of each list are looked at (get_scan_count). */
  #countScan(node: NodeReclaim, sc: ScanControl, target: NodeReclaim, kept: Kept): Float64Array {
    const toScan = new Float64Array(4);
    const { swappiness } = this;
    const { nid } = node;
    let anon = 1;
    let file = 1;
    let parts = 1;
    if (!sc.maySwap || !this.canReclaimAnon(nid, sc, node.group)) anon = 0;
    else if (sc.priority > 0 || swappiness === 0) {
      if (sc.fileIsTiny) file = 0;
      else if (sc.trimsCache) anon = 0;
      else {
        const { anonCost, fileCost } = target;
        const cost = anonCost + fileCost;
        const total = 3 * cost;
        anon = Math.floor((swappiness * (total + 1)) / (cost + anonCost + 1));
        file = Math.floor(((200 - swappiness) * (total + 1)) / (cost + fileCost + 1));
        parts = anon + file;
      }
    }
    for (let list = 0; list < 4; list++) {
      const whole = this.#sizeUpTo(node, list, sc.reclaimIdx);
      const size = Math.floor(lessKept(whole, kept) / 2 ** sc.priority);
      toScan[list] = Math.floor((size * (list < LRU_INACTIVE_FILE ? anon : file)) / parts);
    }
    return toScan;
  }

  /** Pages on a list, of zones up to a type (lruvec_lru_size). */
  #sizeUpTo(node: NodeReclaim, list: number, reclaimIdx: number): number {
    const { lru, zones } = this.#p;
    const { nid } = node;
    const all = lru.countOf(node.vec, list);
    if (reclaimIdx === MAX_NR_ZONES - 1) return all;
    let n = 0;
    for (let z = 0; z < zones.nr; z++) {
      if (zones.nid[z] !== nid || (zones.type[z] as number) > reclaimIdx) continue;
      n += lru.countOfZone(z, list);
    }
    return Math.min(all, n);
  }

  /**
   * Looks at the lists in turn until enough is freed (shrink_lruvec).
   * @param target the lists that reclaim is after, of which these are all or a part.
   */
  #shrinkLists(node: NodeReclaim, sc: ScanControl, target: NodeReclaim, kept: Kept): void {
    const toScan = this.#countScan(node, sc, target, kept);
    const targets = toScan.slice();
    const scansAll = sc.target === null && !sc.isKswapd && sc.priority === DEF_PRIORITY;
    let nrReclaimed = 0;
    const left = (list: number): number => toScan[list] as number;
    while (left(LRU_INACTIVE_ANON) + left(LRU_ACTIVE_FILE) + left(LRU_INACTIVE_FILE) > 0) {
      for (let list = 0; list < 4; list++) {
        const n = Math.min(left(list), SWAP_CLUSTER_MAX);
        if (n === 0) continue;
        toScan[list] = left(list) - n;
        nrReclaimed += this.#shrinkList(node, list, n, sc, target);
      }
      if (nrReclaimed < sc.nrToReclaim || scansAll) continue;
      const anon = left(LRU_INACTIVE_ANON) + left(LRU_ACTIVE_ANON);
      const file = left(LRU_INACTIVE_FILE) + left(LRU_ACTIVE_FILE);
      if (anon === 0 || file === 0) break;
      stopSmaller(toScan, targets, file > anon);
    }
    sc.nrReclaimed += nrReclaimed;
    if (
      this.canReclaimAnon(node.nid, sc, node.group) &&
      this.#inactiveIsLow(node, LRU_INACTIVE_ANON)
    ) {
      this.#shrinkActive(node, LRU_ACTIVE_ANON, SWAP_CLUSTER_MAX, sc);
    }
  }

  #shrinkList(
    node: NodeReclaim,
    list: number,
    n: number,
    sc: ScanControl,
    target: NodeReclaim,
  ): number {
    if (list === LRU_INACTIVE_ANON || list === LRU_INACTIVE_FILE) {
      return this.#shrinkInactive(node, list, n, sc, target);
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
  #isolate(vec: number, list: number, n: number, reclaimIdx: number): number {
    const { lru, zones, zoneOf } = this.#p;
    const skipped = this.#skipped;
    skipped.length = 0;
    let taken = 0;
    let scanned = 0;
    while (scanned < n && taken < SWAP_CLUSTER_MAX) {
      const f = lru.tail(vec, list);
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
    this.#nrTakenPages = scanned;
    return taken;
  }

  #shrinkInactive(
    node: NodeReclaim,
    list: number,
    n: number,
    sc: ScanControl,
    target: NodeReclaim,
  ): number {
    const { stat } = this.#p;
    const taken = this.#isolate(node.vec, list, n, sc.reclaimIdx);
    if (taken === 0) return 0;
    const isFile = list === LRU_INACTIVE_FILE;
    const nrPages = this.#nrTakenPages;
    sc.nrScanned += nrPages;
    const isForAll = sc.target === null;
    if (isForAll) stat.count(sc.isKswapd ? EVENT.pgscan_kswapd : EVENT.pgscan_direct, nrPages);
    stat.count(isFile ? EVENT.pgscan_file : EVENT.pgscan_anon, nrPages);
    const { nrReclaimed, nrWritten } = this.pages.shrink(this.#taken, taken, target, sc, false);
    this.#noteCost(node, isFile, nrWritten);
    if (isForAll) {
      stat.count(sc.isKswapd ? EVENT.pgsteal_kswapd : EVENT.pgsteal_direct, nrReclaimed);
    }
    stat.count(isFile ? EVENT.pgsteal_file : EVENT.pgsteal_anon, nrReclaimed);
    return nrReclaimed;
  }

  /** Moves pages from the tail of an active list to the head of its inactive one. */
  #shrinkActive(node: NodeReclaim, list: number, n: number, sc: ScanControl): void {
    const { lru, stat } = this.#p;
    const taken = this.#isolate(node.vec, list, n, sc.reclaimIdx);
    for (let i = 0; i < taken; i++) {
      const f = this.#taken[i] as number;
      if (this.#p.map.kind[f] === KIND_THP) lru.clearYoung(f);
      lru.clear(f, LRU_ACTIVE | LRU_YOUNG | LRU_REFERENCED);
      lru.set(f, LRU_WORKINGSET);
      lru.add(f);
    }
    stat.count(EVENT.pgrefill, this.#nrTakenPages);
    stat.count(EVENT.pgdeactivate, this.#nrTakenPages);
  }

  /** Writing and reading back costs; the list that costs more is looked at less (lru_note_cost). */
  #noteCost(lists: NodeReclaim, isFile: boolean, n: number): void {
    for (let node: NodeReclaim | null = lists; node !== null; node = node.above) {
      if (isFile) node.fileCost += n;
      else node.anonCost += n;
      let size = 0;
      for (let list = 0; list < 4; list++) size += this.#count(node, list);
      if (node.anonCost + node.fileCost <= size / 4) continue;
      node.anonCost = Math.floor(node.anonCost / 2);
      node.fileCost = Math.floor(node.fileCost / 2);
    }
  }

  /**
   * A page comes back from its slot, or a file's from the disk: was it gone for so short a time
   * that it would still be in use had the active pages been inactive (workingset_refault)?
   * @param vec the lists that reclaim was after when it left.
   * @param age of these lists at that time.
   * @param wasInUse PG_workingset of the page that left.
   */
  noteRefault(f: number, vec: number, age: number, wasInUse: boolean, isFile: boolean): void {
    const { lru, swap } = this.#p;
    const nid = vec % lru.nrNodeIds;
    const groups = swap.memcg?.groups;
    const evicted = this.node(nid, groups?.[Math.floor(vec / lru.nrNodeIds)] ?? null);
    let size = this.#count(evicted, LRU_ACTIVE_FILE);
    if (!isFile) size += this.#count(evicted, LRU_INACTIVE_FILE);
    if (this.canReclaimAnon(nid, NO_DEMOTION, evicted.group)) {
      size += this.#count(evicted, LRU_ACTIVE_ANON);
      if (isFile) size += this.#count(evicted, LRU_INACTIVE_ANON);
    }
    if (evicted.age - age > size) return;
    const own = this.node(nid, swap.memcg?.groupOf(f) ?? null);
    lru.set(f, LRU_ACTIVE);
    own.grow(1);
    own.noteActivation(isFile ? 1 : 0);
    if (!wasInUse) return;
    lru.set(f, LRU_WORKINGSET);
    this.#noteCost(own, isFile, 1);
  }
}

/** How much of a list may be looked at, where a part of the group's pages is spared. */
const lessKept = (size: number, { spared, size: all }: Kept): number =>
  spared === 0 ? size : Math.max(size - Math.floor((size * spared) / (all + 1)), SWAP_CLUSTER_MAX);

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
