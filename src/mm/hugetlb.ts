// The pool of huge pages: how many there are and where, which are free, which are promised, and
// which are surplus. One hstate, of 2 MiB.
// Models   linux@v6.1 mm/hugetlb.c: set_max_huge_pages, alloc_pool_huge_page,
//          remove_pool_huge_page, adjust_pool_surplus, hugetlb_acct_memory, gather_surplus_pages,
//          return_unused_surplus_pages, alloc_surplus_huge_page, alloc_migrate_huge_page,
//          dequeue_huge_page_nodemask, free_huge_page, dissolve_free_huge_page,
//          hugetlb_hstate_alloc_pages, hstate_next_node_to_alloc, hstate_next_node_to_free.
// Omits    pages of 1 GiB, subpools (mounts with size=), memory poison, the freeing of struct pages
//          of huge pages.
// Hooks    hugetlbNodes (hugetlb_hstate_alloc_pages, __nr_hugepages_store_common,
//          return_unused_surplus_pages).
// State    counters by node id; free pages of a node as a stack, the one freed last on top.
// Holds    HUG1 free pages and pages in use are all pages, on every node. HUG2 no more pages are
//          promised than are free.
import { assert } from '../base/assert.ts';
import type { Frame, NodeId } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import { MASK_CPUSET, MASK_NONE, MASK_REQUEST } from '../hooks/design.ts';
import { ATTEMPT, type DecisionLog, VERDICT, type Verdict } from './decision_log.ts';
import {
  __GFP_COMP,
  __GFP_MOVABLE,
  __GFP_NOWARN,
  __GFP_RETRY_MAYFAIL,
  __GFP_THISNODE,
  GFP_HIGHUSER_MOVABLE,
  gfpZone,
  ZONE_MOVABLE,
} from './gfp.ts';
import { FAILURE } from './internal.ts';
import { KIND_HUGETLB, KIND_NONE, NIL } from './memmap.ts';
import type { Memory } from './memory.ts';
import { EVENT } from './vmstat_items.ts';
import { LIST } from './zonelist.ts';

/** Bytes of a huge page: the default on x86, on arm64 with 4 KiB pages, on POWER with radix. */
export const HUGE_PAGE_BYTES = 2 * 1024 * 1024;
/** Flags of a huge page that may be moved (htlb_alloc_mask). */
export const GFP_HUGE = GFP_HIGHUSER_MOVABLE;

/** `hugepages=` on the kernel's command line: one number, or one a node. */
export type BootPool = number | ReadonlyMap<NodeId, number>;

export class HugePages {
  readonly #mem: Memory;
  /** Small pages in a huge one, and their order. */
  readonly nrSmall: number;
  readonly order: number;
  /** nr_huge_pages, free_huge_pages, resv_huge_pages, surplus_huge_pages. */
  nr = 0;
  free = 0;
  reserved = 0;
  surplus = 0;
  /** nr_overcommit_huge_pages. */
  overcommit = 0;
  readonly nrOf: Int32Array;
  readonly freeOf: Int32Array;
  readonly surplusOf: Int32Array;
  readonly #freeLists: Frame[][] = [];
  /** Pages that do not go back to the pool when they are freed (HPageTemporary). */
  readonly #temporary = new Set<Frame>();
  /** Nodes that were there at boot and got no directory then (hugetlb_register_all_nodes). */
  readonly withoutDir: Nodemask;
  #nextToAlloc: NodeId;
  #nextToFree: NodeId;
  /**
   * Set when zones admitted a request and none had a block, nor could one be made. Whoever wants
   * to know clears it first.
   */
  isShort = false;
  /** Pages in ZONE_MOVABLE are passed over: the task is about to pin (PF_MEMALLOC_PIN). */
  skipsMovable = false;
  /** Broken pages of files that are gone: counted in the pool, and nobody's. */
  readonly lost = new Set<Frame>();

  constructor(mem: Memory) {
    this.#mem = mem;
    this.nrSmall = HUGE_PAGE_BYTES / mem.pageBytes;
    this.order = Math.log2(this.nrSmall);
    const column = () => new Int32Array(mem.nrNodeIds);
    this.nrOf = column();
    this.freeOf = column();
    this.surplusOf = column();
    for (let nid = 0; nid < mem.nrNodeIds; nid++) this.#freeLists.push([]);
    const boot = mem.states.normalMemory;
    this.#nextToAlloc = boot.isEmpty() ? mem.states.memory.first() : boot.first();
    this.#nextToFree = this.#nextToAlloc;
    const isAnswered = mem.design.answers.hugetlbNodes !== undefined;
    this.withoutDir = isAnswered
      ? boot.or(mem.states.cpu).andNot(this.poolNodes.and(boot))
      : Nodemask.EMPTY;
  }

  /** Nodes that the pool uses when no policy names any: all memory, unless a design objects. */
  get poolNodes(): Nodemask {
    const { design, states } = this.#mem;
    return design.answers.hugetlbNodes?.(states) ?? states.memory;
  }

  /** Pages that stay when nobody uses them (persistent_huge_pages). */
  get persistent(): number {
    return this.nr - this.surplus;
  }

  /** Is there a free page that is promised to nobody (available_huge_pages)? */
  get isAvailable(): boolean {
    return this.free > this.reserved;
  }

  /** Has anybody ever asked for huge pages? */
  get isInUse(): boolean {
    return this.nr > 0 || this.overcommit > 0 || this.reserved > 0;
  }

  /** Where the next page of the pool is allocated and freed, for the state hash. */
  get turns(): readonly [number, number] {
    return [this.#nextToAlloc, this.#nextToFree];
  }

  /** Visits the free pages of every node, for checkers and the state hash. */
  forEachFree(visit: (nid: number, f: Frame) => void): void {
    this.#freeLists.forEach((list, nid) => {
      for (const f of list) visit(nid, f);
    });
  }

  // ---- The pool's size -----------------------------------------------------------------------

  /** Fills the pool at boot, when memory that is hot-plugged later is not there yet. */
  fillAtBoot(pool: BootPool): void {
    const { states } = this.#mem;
    const bootNodes = states.normalMemory;
    if (typeof pool === 'number') {
      const nodes = this.poolNodes.and(bootNodes);
      for (let i = 0; i < pool; i++) if (!this.#allocForPool(nodes)) return;
      return;
    }
    const isWrong = [...pool.keys()].some((nid) => !bootNodes.has(nid) && !states.cpu.has(nid));
    if (isWrong) return;
    for (const [nid, count] of pool) {
      for (let i = 0; i < count; i++) if (!this.#allocForPool(Nodemask.of(nid))) break;
    }
  }

  /**
   * Makes the pool `count` pages large, or as near as memory and pages in use allow
   * (set_max_huge_pages).
   * @param count of the whole pool, or of node `nid` when that is given.
   * @param nodes where pages may be allocated and freed, round robin.
   */
  resize(count: number, nid: NodeId | undefined, nodes: Nodemask): void {
    const want = nid === undefined ? count : count + this.nr - (this.nrOf[nid] as number);
    while (this.surplus > 0 && want > this.persistent) {
      if (!this.#adjustSurplus(nodes, -1)) break;
    }
    const tired = new Set<number>();
    while (want > this.persistent) if (!this.#allocForPool(nodes, tired)) return;
    const least = Math.max(want, this.reserved + this.nr - this.free);
    while (least < this.persistent) if (!this.#freeFromPool(nodes, false)) break;
    while (want < this.persistent) if (!this.#adjustSurplus(nodes, 1)) break;
  }

  /** Nodes of a mask from the one whose turn it is; each step moves the turn on. */
  *#turnsToAlloc(nodes: Nodemask): IterableIterator<NodeId> {
    for (let n = nodes.weight; n > 0; n--) {
      const next = this.#nextToAlloc;
      const nid = nodes.has(next) ? next : nodes.nextIn(next);
      this.#nextToAlloc = nodes.nextIn(nid);
      yield nid;
    }
  }

  *#turnsToFree(nodes: Nodemask): IterableIterator<NodeId> {
    for (let n = nodes.weight; n > 0; n--) {
      const next = this.#nextToFree;
      const nid = nodes.has(next) ? next : nodes.nextIn(next);
      this.#nextToFree = nodes.nextIn(nid);
      yield nid;
    }
  }

  /** @param tired nodes for which nothing is tried again after it failed; changed. */
  #allocForPool(nodes: Nodemask, tired?: Set<number>): boolean {
    for (const nid of this.#turnsToAlloc(nodes)) {
      const isTired = tired?.has(nid) === true;
      const f = this.#allocFresh(GFP_HUGE | __GFP_THISNODE, nid, nodes, isTired);
      if (f === undefined) tired?.add(nid);
      else tired?.delete(nid);
      if (f === undefined) continue;
      this.release(f);
      return true;
    }
    return false;
  }

  /** Gives one free page back to the buddy lists; with `isSurplus`, only where there is surplus. */
  #freeFromPool(nodes: Nodemask, isSurplus: boolean): boolean {
    for (const nid of this.#turnsToFree(nodes)) {
      if (isSurplus && this.surplusOf[nid] === 0) continue;
      const f = this.#popFree(nid);
      if (f === undefined) continue;
      this.#drop(f, isSurplus);
      return true;
    }
    return false;
  }

  /** Turns a page of the pool into surplus (1) or surplus into a page of the pool (-1). */
  #adjustSurplus(nodes: Nodemask, delta: 1 | -1): boolean {
    const turns = delta < 0 ? this.#turnsToAlloc(nodes) : this.#turnsToFree(nodes);
    for (const nid of turns) {
      const surplus = this.surplusOf[nid] as number;
      if (delta < 0 ? surplus === 0 : surplus >= (this.nrOf[nid] as number)) continue;
      this.#countSurplus(nid, delta);
      return true;
    }
    return false;
  }

  #countSurplus(nid: number, delta: number): void {
    this.surplus += delta;
    this.surplusOf[nid] = (this.surplusOf[nid] as number) + delta;
  }

  // ---- Promises ------------------------------------------------------------------------------

  /**
   * Promises `count` free pages to somebody, with surplus pages where the pool is too small
   * (hugetlb_acct_memory).
   * @param local node whose list surplus pages come from; no policy counts.
   * @param allowedFree free pages on the nodes that the asking task may use.
   */
  promise(count: number, local: NodeId, allowedFree: () => number): boolean {
    if (count === 0) return true;
    if (!this.#gatherSurplus(count, local)) return false;
    if (count <= allowedFree()) return true;
    this.takeBack(count);
    return false;
  }

  #gatherSurplus(count: number, local: NodeId): boolean {
    const needed = this.reserved + count - this.free;
    const fresh: Frame[] = [];
    while (fresh.length < needed) {
      const f = this.allocSurplus(GFP_HUGE, local, null);
      if (f === undefined) break;
      fresh.push(f);
    }
    if (fresh.length < needed) {
      for (const f of fresh) this.release(f);
      return false;
    }
    this.reserved += count;
    for (const f of fresh) this.#pushFree(f);
    return true;
  }

  /**
   * Takes promises back; surplus pages that were made for them go, node by node
   * (return_unused_surplus_pages).
   */
  takeBack(count: number): void {
    assert(count <= this.reserved, 'no more promises are taken back than were made');
    this.reserved -= count;
    let nr = Math.min(count, this.surplus);
    while (nr-- > 0) if (!this.#freeFromPool(this.poolNodes, true)) return;
  }

  /** A promised page was given. */
  usePromised(): void {
    assert(this.reserved > 0, 'a promise is used that was made');
    this.reserved--;
  }

  // ---- Single pages --------------------------------------------------------------------------

  #allocFresh(
    gfp: number,
    nid: NodeId,
    nodes: Nodemask | null,
    isTired = false,
  ): Frame | undefined {
    const { allocator, map, stat } = this.#mem;
    const kept = this.skipsMovable ? ~__GFP_MOVABLE : -1;
    const retries = isTired ? 0 : __GFP_RETRY_MAYFAIL;
    const flags = (gfp & kept) | __GFP_COMP | __GFP_NOWARN | retries;
    const isGiven = allocator.alloc(flags, this.order, nid, nodes, 1) > 0;
    stat.count(isGiven ? EVENT.htlb_buddy_alloc_success : EVENT.htlb_buddy_alloc_fail, 1);
    if (!isGiven) {
      if (allocator.nrAdmitted > 0) this.isShort = true;
      return undefined;
    }
    const f = allocator.out[0] as Frame;
    const got = allocator.nidOf(f);
    map.claim(f, KIND_HUGETLB, NIL, 0, 0);
    this.nr++;
    this.nrOf[got] = (this.nrOf[got] as number) + 1;
    return f;
  }

  /** A page beyond the pool, as far as overcommit allows (alloc_surplus_huge_page). */
  allocSurplus(gfp: number, nid: NodeId, nodes: Nodemask | null): Frame | undefined {
    if (this.surplus >= this.overcommit) return undefined;
    const f = this.#allocFresh(gfp, nid, nodes);
    if (f !== undefined) this.#countSurplus(this.#mem.allocator.nidOf(f), 1);
    return f;
  }

  /**
   * A page for one that moves: of the pool, if one is promised to nobody, else a fresh one that
   * takes the place of the old one (alloc_huge_page_nodemask).
   */
  allocTarget(gfp: number, nid: NodeId, nodes: Nodemask | null): Frame | undefined {
    const pooled = this.isAvailable ? this.dequeue(gfp, nid, nodes) : undefined;
    if (pooled !== undefined) return pooled;
    const f = this.#allocFresh(gfp, nid, nodes);
    if (f !== undefined) this.#temporary.add(f);
    return f;
  }

  /** A page has moved: what was temporary is now the old one (move_hugetlb_state). */
  settleMove(old: Frame, fresh: Frame): void {
    if (!this.#temporary.delete(fresh)) return;
    this.#temporary.add(old);
    const { allocator } = this.#mem;
    const from = allocator.nidOf(old);
    const to = allocator.nidOf(fresh);
    if (from === to || this.surplusOf[from] === 0) return;
    this.#countSurplus(from, -1);
    this.#countSurplus(to, 1);
  }

  /**
   * Takes a free page off the pool: the zonelist is walked as for any page, and of each node the
   * page that was freed last is taken (dequeue_huge_page_nodemask). No gate is asked: pages of a
   * pool have been allocated already.
   */
  dequeue(gfp: number, nid: NodeId, nodes: Nodemask | null): Frame | undefined {
    const { allocator, zones } = this.#mem;
    const { lists, log, current } = allocator;
    const list = (gfp & __GFP_THISNODE ? lists.noFallback : lists.fallback)[nid];
    assert(list !== undefined, 'a request starts from a possible node');
    this.#logBegin(log, gfp, nid, nodes);
    const mems = allocator.cpusetsEnabled ? current.memsAllowed : null;
    for (const z of list.zones) {
      const at = zones.nid[z] as NodeId;
      let verdict: Verdict = VERDICT.TAKEN;
      if ((zones.type[z] as number) > gfpZone(gfp)) verdict = VERDICT.ZONE_TYPE;
      else if (nodes !== null && !nodes.has(at)) verdict = VERDICT.NODEMASK;
      else if (mems !== null && !mems.has(at)) verdict = VERDICT.CPUSET;
      else if (this.#usableAt(at) < 0) verdict = VERDICT.NO_HUGE_PAGE;
      log?.step(z, verdict, zones.free[z] as number);
      if (verdict !== VERDICT.TAKEN) continue;
      log?.end(true, 1);
      const f = this.#popFree(at, this.#usableAt(at)) as Frame;
      allocator.out[0] = f;
      return f;
    }
    log?.end(false, 0);
    allocator.failure = FAILURE.NO_HUGE_PAGE;
    return undefined;
  }

  #logBegin(log: DecisionLog | null, gfp: number, nid: NodeId, nodes: Nodemask | null): void {
    if (log === null) return;
    const { allocator } = this.#mem;
    const ofCpuset = allocator.cpusetsEnabled ? MASK_CPUSET : MASK_NONE;
    const origin = nodes === null ? ofCpuset : MASK_REQUEST;
    const list = gfp & __GFP_THISNODE ? LIST.NOFALLBACK : LIST.FALLBACK;
    log.begin(gfp, this.order, allocator.current.cpu, ATTEMPT.POOL, origin, nid, list);
  }

  /** Where on a node's stack the page is that a request gets; -1 for nowhere. */
  #usableAt(nid: number): number {
    const list = this.#freeLists[nid] as Frame[];
    const { held, buddy, zones } = this.#mem;
    if (!held.isInUse && !this.skipsMovable) return list.length - 1;
    return list.findLastIndex(
      (f) =>
        !held.isPoisoned(f) && !(this.skipsMovable && zones.type[buddy.zoneOf(f)] === ZONE_MOVABLE),
    );
  }

  /** Takes a free page off a node's stack: the one on top, or that at a place. */
  #popFree(nid: number, at = -1): Frame | undefined {
    const [f] = this.#freeLists[nid]?.splice(at, 1) ?? [];
    if (f === undefined) return undefined;
    this.free--;
    this.freeOf[nid] = (this.freeOf[nid] as number) - 1;
    return f;
  }

  #pushFree(f: Frame): void {
    const nid = this.#mem.allocator.nidOf(f);
    this.#mem.map.claim(f, KIND_HUGETLB, NIL, 0, 0);
    this.#freeLists[nid]?.push(f);
    this.free++;
    this.freeOf[nid] = (this.freeOf[nid] as number) + 1;
  }

  /** Gives up a page that is not on the pool's lists. */
  #drop(f: Frame, isSurplus: boolean): void {
    const { allocator } = this.#mem;
    const nid = allocator.nidOf(f);
    this.nr--;
    this.nrOf[nid] = (this.nrOf[nid] as number) - 1;
    if (isSurplus) this.#countSurplus(nid, -1);
    allocator.freeBlock(f, this.order);
  }

  /** Is the page one that lies free in the pool? */
  isFreePage(f: Frame): boolean {
    return this.#freeLists[this.#mem.allocator.nidOf(f)]?.includes(f) ?? false;
  }

  /**
   * Takes a free page out of the pool, for memory that goes offline; its frames are the caller's
   * then (dissolve_free_huge_page). False when every free page is promised.
   */
  dissolve(f: Frame): boolean {
    if (!this.isAvailable) return false;
    const nid = this.#mem.allocator.nidOf(f);
    const list = this.#freeLists[nid] as Frame[];
    list.splice(list.indexOf(f), 1);
    this.free--;
    this.freeOf[nid] = (this.freeOf[nid] as number) - 1;
    this.#forget(f);
    return true;
  }

  /** The same for a page that has just been moved away from. */
  dissolveMoved(f: Frame): void {
    const nid = this.#mem.allocator.nidOf(f);
    const isTemporary = this.#temporary.delete(f);
    if (!isTemporary && (this.surplusOf[nid] as number) > 0) this.#countSurplus(nid, -1);
    this.#forget(f);
  }

  /** Counts a page out whose frames somebody else takes over. */
  #forget(f: Frame): void {
    const { allocator, map, stat, charges } = this.#mem;
    const nid = allocator.nidOf(f);
    this.nr--;
    this.nrOf[nid] = (this.nrOf[nid] as number) - 1;
    map.kind[f] = KIND_NONE;
    charges?.uncharge(nid, f, this.order);
    stat.countFree(this.nrSmall);
  }

  /** A broken page of a file is nobody's any more, and stays counted. */
  lose(f: Frame): void {
    this.lost.add(f);
    this.#mem.map.link[f] = NIL;
  }

  /**
   * Nobody uses a broken page any more; it leaves the pool, and its frames are the caller's.
   * @returns false when every free page is promised: then it stays, and no request gets it.
   */
  retire(f: Frame): boolean {
    const nid = this.#mem.allocator.nidOf(f);
    if (this.#temporary.delete(f)) this.#forget(f);
    else if ((this.surplusOf[nid] as number) > 0) {
      this.#countSurplus(nid, -1);
      this.#forget(f);
    } else {
      this.#pushFree(f);
      return this.dissolve(f);
    }
    return true;
  }

  /**
   * Nobody uses the page any more (free_huge_page): a temporary one and one on a node with surplus
   * go back to the buddy lists, others to the pool.
   */
  release(f: Frame): void {
    const nid = this.#mem.allocator.nidOf(f);
    if (this.#mem.held.keepsHuge(f)) return;
    if (this.#temporary.delete(f)) this.#drop(f, false);
    else if ((this.surplusOf[nid] as number) > 0) this.#drop(f, true);
    else this.#pushFree(f);
  }
}
