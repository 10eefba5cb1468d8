// The pages of a pool of huge pages, one by one: which are free and where, and how one comes and
// goes. Pages larger than a buddy block are gigantic: stretches of memory that somebody else finds
// (mm/boot_pages.ts, kernel/contig_alloc.ts).
// Models   linux@v6.1 mm/hugetlb.c: alloc_fresh_huge_page, alloc_surplus_huge_page,
//          alloc_migrate_huge_page, dequeue_huge_page_nodemask, free_huge_page,
//          free_gigantic_page, dissolve_free_huge_page, hugepage_movable_supported.
// Omits    the freeing of struct pages of huge pages.
// State    counters by node id; free pages of a node as a stack, the one freed last on top.
// Holds    HUG1 free pages and pages in use are all pages, on every node.
import { assert } from '../base/assert.ts';
import type { Frame, NodeId } from '../base/ids.ts';
import type { Nodemask } from '../base/nodemask.ts';
import { MASK_CPUSET, MASK_NONE, MASK_REQUEST } from '../hooks/design.ts';
import { ATTEMPT, type DecisionLog, VERDICT, type Verdict } from './decision_log.ts';
import {
  __GFP_COMP,
  __GFP_MOVABLE,
  __GFP_NOWARN,
  __GFP_RETRY_MAYFAIL,
  __GFP_THISNODE,
  GFP_HIGHUSER,
  GFP_HIGHUSER_MOVABLE,
  gfpZone,
  ZONE_MOVABLE,
} from './gfp.ts';
import { FAILURE } from './internal.ts';
import { KIND_HUGETLB, KIND_KERNEL, KIND_NONE, NIL } from './memmap.ts';
import type { Memory } from './memory.ts';
import { EVENT } from './vmstat_items.ts';
import { LIST } from './zonelist.ts';

/** Bytes of a huge page: the default on x86, on arm64 with 4 KiB pages, on POWER with radix. */
export const HUGE_PAGE_BYTES = 2 * 1024 * 1024;
/** Bytes of a gigantic page, on all of them. */
export const GIGANTIC_PAGE_BYTES = 1024 * 1024 * 1024;

/** Finds a gigantic page in the zones of a list, and drives off it what can move. */
export type RangeSource = (gfp: number, nid: NodeId, nodes: Nodemask | null) => Frame | undefined;

export class HugePageLists {
  protected readonly mem: Memory;
  /** Bytes of a page. */
  readonly bytes: number;
  /** Small pages in a huge one, and their order. */
  readonly nrSmall: number;
  readonly order: number;
  /** A page is larger than the largest block of the buddy lists (hstate_is_gigantic). */
  readonly isGigantic: boolean;
  /**
   * Flags of a request (htlb_alloc_mask). A gigantic page hardly ever finds a new place, so it does
   * not count as movable and never comes from ZONE_MOVABLE.
   */
  readonly gfp: number;
  /** Where fresh gigantic pages come from. */
  rangeSource: RangeSource | undefined;
  /** Small pages of gigantic ones that left the pool: nobody counted them as allocated. */
  nrGivenBack = 0;
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
  /**
   * Set when zones admitted a request and none had a block, nor could one be made. Whoever wants
   * to know clears it first.
   */
  isShort = false;
  /** Pages in ZONE_MOVABLE are passed over: the task is about to pin (PF_MEMALLOC_PIN). */
  skipsMovable = false;
  /** Broken pages of files that are gone: counted in the pool, and nobody's. */
  readonly lost = new Set<Frame>();
  /** First frames of all gigantic pages, which tell them from others. */
  readonly #heads = new Set<Frame>();
  readonly #freeLists: Frame[][] = [];
  /** Pages that do not go back to the pool when they are freed (HPageTemporary). */
  readonly #temporary = new Set<Frame>();

  constructor(mem: Memory, bytes: number) {
    this.mem = mem;
    this.bytes = bytes;
    this.nrSmall = bytes / mem.pageBytes;
    this.order = Math.log2(this.nrSmall);
    this.isGigantic = this.order > mem.maxOrder;
    this.gfp = this.isGigantic ? GFP_HIGHUSER : GFP_HIGHUSER_MOVABLE;
    const column = () => new Int32Array(mem.nrNodeIds);
    this.nrOf = column();
    this.freeOf = column();
    this.surplusOf = column();
    for (let nid = 0; nid < mem.nrNodeIds; nid++) this.#freeLists.push([]);
  }

  /** Pages that stay when nobody uses them (persistent_huge_pages). */
  get persistent(): number {
    return this.nr - this.surplus;
  }

  /**
   * Is there a free page that is promised to nobody (available_huge_pages)? The kernel takes the
   * difference without a sign: when more are promised than are free, it says yes as well.
   */
  get isAvailable(): boolean {
    return this.free !== this.reserved;
  }

  /** Has anybody ever asked for huge pages? */
  get isInUse(): boolean {
    return this.nr > 0 || this.overcommit > 0 || this.reserved > 0;
  }

  /** Is this the first frame of one of the pool's gigantic pages? */
  owns(f: Frame): boolean {
    return this.#heads.has(f);
  }

  /** Visits the free pages of every node, for checkers and the state hash. */
  forEachFree(visit: (nid: number, f: Frame) => void): void {
    this.#freeLists.forEach((list, nid) => {
      for (const f of list) visit(nid, f);
    });
  }

  protected countSurplus(nid: number, delta: number): void {
    this.surplus += delta;
    this.surplusOf[nid] = (this.surplusOf[nid] as number) + delta;
  }

  /** @param isTired nothing is tried twice for it, as it failed on the node before. */
  protected allocFresh(
    gfp: number,
    nid: NodeId,
    nodes: Nodemask | null,
    isTired = false,
  ): Frame | undefined {
    if (this.isGigantic) {
      const range = this.rangeSource?.(gfp, nid, nodes);
      return range === undefined ? undefined : this.enlist(range);
    }
    const { allocator, stat } = this.mem;
    const retries = isTired ? 0 : __GFP_RETRY_MAYFAIL;
    const kept = this.skipsMovable ? ~__GFP_MOVABLE : -1;
    const flags = (gfp & kept) | __GFP_COMP | __GFP_NOWARN | retries;
    const isGiven = allocator.alloc(flags, this.order, nid, nodes, 1) > 0;
    stat.count(isGiven ? EVENT.htlb_buddy_alloc_success : EVENT.htlb_buddy_alloc_fail, 1);
    if (!isGiven) {
      if (allocator.nrAdmitted > 0) this.isShort = true;
      return undefined;
    }
    return this.enlist(allocator.out[0] as Frame);
  }

  /** Counts a page in, which is on no list yet. */
  enlist(f: Frame): Frame {
    const { allocator, map } = this.mem;
    const nid = allocator.nidOf(f);
    map.claim(f, KIND_HUGETLB, NIL, 0, 0);
    if (this.isGigantic) this.#heads.add(f);
    this.nr++;
    this.nrOf[nid] = (this.nrOf[nid] as number) + 1;
    return f;
  }

  /** A page beyond the pool, as far as overcommit allows (alloc_surplus_huge_page). */
  allocSurplus(gfp: number, nid: NodeId, nodes: Nodemask | null): Frame | undefined {
    if (this.isGigantic || this.surplus >= this.overcommit) return undefined;
    const f = this.allocFresh(gfp, nid, nodes);
    if (f !== undefined) this.countSurplus(this.mem.allocator.nidOf(f), 1);
    return f;
  }

  /**
   * A page for one that moves: of the pool, if one is promised to nobody, else a fresh one that
   * takes the place of the old one, which a gigantic page does not find (alloc_huge_page_nodemask).
   */
  allocTarget(gfp: number, nid: NodeId, nodes: Nodemask | null): Frame | undefined {
    const pooled = this.isAvailable ? this.dequeue(gfp, nid, nodes) : undefined;
    if (pooled !== undefined || this.isGigantic) return pooled;
    const f = this.allocFresh(gfp, nid, nodes);
    if (f !== undefined) this.#temporary.add(f);
    return f;
  }

  isTemporary(f: Frame): boolean {
    return this.#temporary.has(f);
  }

  /** A page has moved: what was temporary is now the old one (move_hugetlb_state). */
  settleMove(old: Frame, fresh: Frame): void {
    if (!this.#temporary.delete(fresh)) return;
    this.#temporary.add(old);
    const { allocator } = this.mem;
    const from = allocator.nidOf(old);
    const to = allocator.nidOf(fresh);
    if (from === to || this.surplusOf[from] === 0) return;
    this.countSurplus(from, -1);
    this.countSurplus(to, 1);
  }

  /**
   * Takes a free page off the pool: the zonelist is walked as for any page, and of each node the
   * page that was freed last is taken (dequeue_huge_page_nodemask). No gate is asked: pages of a
   * pool have been allocated already.
   */
  dequeue(gfp: number, nid: NodeId, nodes: Nodemask | null): Frame | undefined {
    const { allocator, zones } = this.mem;
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
      const f = this.popFree(at, this.#usableAt(at)) as Frame;
      allocator.out[0] = f;
      return f;
    }
    log?.end(false, 0);
    allocator.failure = FAILURE.NO_HUGE_PAGE;
    return undefined;
  }

  #logBegin(log: DecisionLog | null, gfp: number, nid: NodeId, nodes: Nodemask | null): void {
    if (log === null) return;
    const { allocator } = this.mem;
    const ofCpuset = allocator.cpusetsEnabled ? MASK_CPUSET : MASK_NONE;
    const origin = nodes === null ? ofCpuset : MASK_REQUEST;
    const list = gfp & __GFP_THISNODE ? LIST.NOFALLBACK : LIST.FALLBACK;
    log.begin(gfp, this.order, allocator.current.cpu, ATTEMPT.POOL, origin, nid, list);
  }

  /** Where on a node's stack the page is that a request gets; -1 for nowhere. */
  #usableAt(nid: number): number {
    const list = this.#freeLists[nid] as Frame[];
    const { held, buddy, zones } = this.mem;
    if (!held.isInUse && !this.skipsMovable) return list.length - 1;
    return list.findLastIndex(
      (f) =>
        !held.isPoisoned(f) && !(this.skipsMovable && zones.type[buddy.zoneOf(f)] === ZONE_MOVABLE),
    );
  }

  /** Takes a free page off a node's stack: the one on top, or that at a place. */
  protected popFree(nid: number, at = -1): Frame | undefined {
    const [f] = this.#freeLists[nid]?.splice(at, 1) ?? [];
    if (f === undefined) return undefined;
    this.free--;
    this.freeOf[nid] = (this.freeOf[nid] as number) - 1;
    return f;
  }

  protected pushFree(f: Frame): void {
    const nid = this.mem.allocator.nidOf(f);
    this.mem.map.claim(f, KIND_HUGETLB, NIL, 0, 0);
    this.#freeLists[nid]?.push(f);
    this.free++;
    this.freeOf[nid] = (this.freeOf[nid] as number) + 1;
  }

  /** Gives up a page that is not on the pool's lists. */
  protected drop(f: Frame, isSurplus: boolean): void {
    const { allocator, map } = this.mem;
    const nid = allocator.nidOf(f);
    this.nr--;
    this.nrOf[nid] = (this.nrOf[nid] as number) - 1;
    if (isSurplus) this.countSurplus(nid, -1);
    if (!this.isGigantic) {
      allocator.freeBlock(f, this.order);
      return;
    }
    this.#heads.delete(f);
    this.nrGivenBack += this.nrSmall;
    map.kind.fill(KIND_KERNEL, f, f + this.nrSmall);
    for (let i = 0; i < this.nrSmall; i++) allocator.free((f + i) as Frame);
  }

  /**
   * Splits a node's free gigantic page into pages of another pool (demote_free_huge_page). False
   * when it has none.
   */
  protected splitFree(nid: NodeId, target: HugePageLists): boolean {
    const at = this.#usableAt(nid);
    const f = at < 0 ? undefined : this.popFree(nid, at);
    if (f === undefined) return false;
    this.#heads.delete(f);
    this.nrGivenBack += this.nrSmall;
    this.nr--;
    this.nrOf[nid] = (this.nrOf[nid] as number) - 1;
    for (let i = 0; i < this.nrSmall; i += target.nrSmall) {
      target.release(target.enlist((f + i) as Frame));
    }
    return true;
  }

  /** Is the page one that lies free in the pool? */
  isFreePage(f: Frame): boolean {
    return this.#freeLists[this.mem.allocator.nidOf(f)]?.includes(f) ?? false;
  }

  /**
   * Takes a free page out of the pool, for memory that goes offline; its frames are the caller's
   * then (dissolve_free_huge_page). False when every free page is promised.
   */
  dissolve(f: Frame): boolean {
    if (!this.isAvailable) return false;
    const nid = this.mem.allocator.nidOf(f);
    const list = this.#freeLists[nid] as Frame[];
    list.splice(list.indexOf(f), 1);
    this.free--;
    this.freeOf[nid] = (this.freeOf[nid] as number) - 1;
    this.#forget(f);
    return true;
  }

  /**
   * Takes a free gigantic page out of the pool and gives its small pages back. False when every
   * free page is promised.
   */
  breakUp(f: Frame): boolean {
    if (!this.isAvailable) return false;
    const nid = this.mem.allocator.nidOf(f);
    this.popFree(nid, (this.#freeLists[nid] as Frame[]).indexOf(f));
    this.drop(f, false);
    return true;
  }

  /**
   * A fresh page of its node takes a free page's place, whose frames are the caller's then
   * (alloc_and_dissolve_huge_page). False when the node has none.
   */
  replaceFree(f: Frame, nid: NodeId): boolean {
    const fresh = this.allocFresh(this.gfp | __GFP_THISNODE, nid, null);
    if (fresh === undefined) return false;
    const list = this.#freeLists[nid] as Frame[];
    list.splice(list.indexOf(f), 1, fresh);
    this.#forget(f);
    return true;
  }

  /** The same for a page that has just been moved away from. */
  dissolveMoved(f: Frame): void {
    const nid = this.mem.allocator.nidOf(f);
    const isTemporary = this.#temporary.delete(f);
    if (!isTemporary && (this.surplusOf[nid] as number) > 0) this.countSurplus(nid, -1);
    this.#forget(f);
  }

  /** Counts a page out whose frames somebody else takes over. */
  #forget(f: Frame): void {
    const { allocator, map, stat, charges } = this.mem;
    const nid = allocator.nidOf(f);
    this.nr--;
    this.nrOf[nid] = (this.nrOf[nid] as number) - 1;
    map.kind[f] = KIND_NONE;
    if (this.#heads.delete(f)) {
      this.nrGivenBack += this.nrSmall;
      return;
    }
    charges?.uncharge(nid, f, this.order);
    stat.countFree(this.nrSmall);
  }

  /** A broken page of a file is nobody's any more, and stays counted. */
  lose(f: Frame): void {
    this.lost.add(f);
    this.mem.map.link[f] = NIL;
  }

  /**
   * Nobody uses a broken page any more; it leaves the pool, and its frames are the caller's.
   * @returns false when every free page is promised: then it stays, and no request gets it.
   */
  retire(f: Frame): boolean {
    const nid = this.mem.allocator.nidOf(f);
    if (this.#temporary.delete(f)) this.#forget(f);
    else if ((this.surplusOf[nid] as number) > 0) {
      this.countSurplus(nid, -1);
      this.#forget(f);
    } else {
      this.pushFree(f);
      return this.dissolve(f);
    }
    return true;
  }

  /**
   * Nobody uses the page any more (free_huge_page): a temporary one and one on a node with surplus
   * go back to the buddy lists, others to the pool.
   */
  release(f: Frame): void {
    const nid = this.mem.allocator.nidOf(f);
    if (this.mem.held.keepsHuge(f)) return;
    if (this.#temporary.delete(f)) this.drop(f, false);
    else if ((this.surplusOf[nid] as number) > 0) this.drop(f, true);
    else this.pushFree(f);
  }
}
