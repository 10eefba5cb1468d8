// A pool of huge pages of one size: how many there are, which are promised, and which are surplus.
// Models   linux@v6.1 mm/hugetlb.c: set_max_huge_pages, alloc_pool_huge_page,
//          remove_pool_huge_page, adjust_pool_surplus, hugetlb_acct_memory, gather_surplus_pages,
//          return_unused_surplus_pages, hugetlb_hstate_alloc_pages, hstate_next_node_to_alloc,
//          hstate_next_node_to_free, demote_pool_huge_page.
// Omits    subpools (mounts with size=).
// Hooks    hugetlbNodes (hugetlb_hstate_alloc_pages, __nr_hugepages_store_common,
//          return_unused_surplus_pages).
// State    what huge_page_lists.ts has, and whose turn it is.
// Holds    HUG2 no more pages are promised than are free, but for HUG17.
import { assert } from '../base/assert.ts';
import type { Frame, NodeId } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import { type BootPool, bootNodes, isPoolWrong } from './boot_pages.ts';
import { __GFP_THISNODE } from './gfp.ts';
import { HugePageLists } from './huge_page_lists.ts';
import type { Memory } from './memory.ts';

export class HugePages extends HugePageLists {
  /** Nodes that were there at boot and got no directory then (hugetlb_register_all_nodes). */
  readonly withoutDir: Nodemask;
  /** A node has split promised pages: fewer may be free than are promised from then on. */
  hasSplitPromised = false;
  #nextToAlloc: NodeId;
  #nextToFree: NodeId;

  constructor(mem: Memory, bytes: number) {
    super(mem, bytes);
    const boot = bootNodes(mem);
    this.#nextToAlloc = boot.isEmpty() ? mem.states.memory.first() : boot.first();
    this.#nextToFree = this.#nextToAlloc;
    const isAnswered = mem.design.answers.hugetlbNodes !== undefined;
    this.withoutDir = isAnswered
      ? boot.or(mem.states.cpu).andNot(this.poolNodes.and(boot))
      : Nodemask.EMPTY;
  }

  /** Nodes that the pool uses when no policy names any: all memory, unless a design objects. */
  get poolNodes(): Nodemask {
    const { design, states } = this.mem;
    return design.answers.hugetlbNodes?.(states) ?? states.memory;
  }

  /** Where the next page of the pool is allocated and freed, for the state hash. */
  get turns(): readonly [number, number] {
    return [this.#nextToAlloc, this.#nextToFree];
  }

  /** Fills the pool at boot, when memory that is hot-plugged later is not there yet. */
  fillAtBoot(pool: BootPool): void {
    if (typeof pool === 'number') {
      const nodes = this.poolNodes.and(bootNodes(this.mem));
      for (let i = 0; i < pool; i++) if (!this.#allocForPool(nodes)) return;
      return;
    }
    if (isPoolWrong(this.mem, pool)) return;
    for (const [nid, count] of [...pool].sort(([a], [b]) => a - b)) {
      for (let i = 0; i < count; i++) if (!this.#allocOnNode(nid)) break;
    }
  }

  /** One page of a node that boot was told of by name: whose turn it is stays as it was. */
  #allocOnNode(nid: NodeId): boolean {
    const f = this.allocFresh(this.gfp | __GFP_THISNODE, nid, null);
    if (f === undefined) return false;
    this.release(f);
    return true;
  }

  /** Takes over gigantic pages that boot has set apart, the one got last first. */
  adopt(frames: readonly Frame[], nrTurns: number): void {
    for (const f of [...frames].reverse()) this.release(this.enlist(f));
    const turns = this.poolNodes.and(bootNodes(this.mem));
    for (let i = 0; i < nrTurns; i++) this.#turnsToAlloc(turns).next();
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

  /**
   * Splits `count` free pages, of a node or of all in turn, into pages of another pool, until just
   * as many are free as are promised (demote_store, demote_pool_huge_page). Promises are not made
   * of a node: one that has fewer free pages than are promised in all gives its last one too, and
   * more may be promised then than are free.
   * @returns false when there is no page to split.
   */
  demote(count: number, nid: NodeId | undefined, target: HugePages): boolean {
    const nodes = nid === undefined ? this.mem.states.memory : Nodemask.of(nid);
    for (let n = 0; n < count; n++) {
      const free = nid === undefined ? this.free : (this.freeOf[nid] as number);
      if (free === this.reserved) return true;
      if (!this.#demoteOne(nodes, target)) return false;
      if (this.free < this.reserved) this.hasSplitPromised = true;
    }
    return true;
  }

  #demoteOne(nodes: Nodemask, target: HugePages): boolean {
    for (const nid of this.#turnsToFree(nodes)) if (this.splitFree(nid, target)) return true;
    return false;
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
      const f = this.allocFresh(this.gfp | __GFP_THISNODE, nid, nodes, tired?.has(nid));
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
      const f = this.popFree(nid);
      if (f === undefined) continue;
      this.drop(f, isSurplus);
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
      this.countSurplus(nid, delta);
      return true;
    }
    return false;
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
      const f = this.allocSurplus(this.gfp, local, null);
      if (f === undefined) break;
      fresh.push(f);
    }
    if (fresh.length < needed) {
      for (const f of fresh) this.release(f);
      return false;
    }
    this.reserved += count;
    for (const f of fresh) this.pushFree(f);
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
}
