// The buddy lists of a zone: blocks of 2^order frames, split on the way out, merged on the way in.
// Models   linux@v6.1 mm/page_alloc.c: __free_one_page, buddy_merge_likely, expand,
//          __rmqueue_smallest, __rmqueue_fallback, find_suitable_fallback, steal_suitable_fallback,
//          rmqueue_bulk, move_freepages_block, reserve_highatomic_pageblock, __isolate_free_page.
// Omits    page isolation, CMA, guard pages, page reporting, random placement.
// Holds    BUD1 a free block starts at a multiple of its size. BUD2 no two free buddies of one
//          order below the largest. BUD3 a block lies in one zone.
import { assert } from '../base/assert.ts';
import type { Frame, ZoneIndex } from '../base/ids.ts';
import { boostWatermark, WATERMARK_BOOST_FACTOR } from './boost.ts';
import { BLOCK_TYPE_BITS, BuddyLists, ORDER_MASK } from './buddy_lists.ts';
import {
  MIGRATE_HIGHATOMIC,
  MIGRATE_MOVABLE,
  MIGRATE_PCPTYPES,
  MIGRATE_RECLAIMABLE,
  MIGRATE_TYPES,
  MIGRATE_UNMOVABLE,
} from './gfp.ts';
import { ALLOC_KSWAPD, ALLOC_NOFRAGMENT } from './internal.ts';
import { KIND_ANON, KIND_BUDDY, KIND_FILE, KIND_NONE, KIND_SHMEM, NIL } from './memmap.ts';
import { zoneWatermarkOk } from './watermark.ts';

/** Which other types to take from, in order, when a type's own lists are empty. */
const FALLBACKS: readonly (readonly number[])[] = [
  [MIGRATE_RECLAIMABLE, MIGRATE_MOVABLE],
  [MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE],
  [MIGRATE_UNMOVABLE, MIGRATE_MOVABLE],
];

export class Buddy extends BuddyLists {
  /** /proc/sys/vm/watermark_boost_factor. */
  boostFactor = WATERMARK_BOOST_FACTOR;
  /** Zone whose marks were raised and whose daemon has not answered yet, or NIL. */
  boostedZone: number = NIL;
  /** The request lets the daemon of that zone's node be woken. */
  boostWakes = false;

  /** Puts whole page blocks into a zone, for movable pages (move_pfn_range_to_zone). */
  moveToZone(start: number, end: number, z: ZoneIndex): void {
    const code = (z << BLOCK_TYPE_BITS) | MIGRATE_MOVABLE;
    const order = this.pageblockOrder;
    this.blocks.fill(code, start >> order, Math.ceil(end / (1 << order)));
  }

  /**
   * Makes [start, end), both multiples of the largest block, free memory that nobody has touched.
   */
  setVirgin(z: ZoneIndex, start: number, end: number): void {
    const { zones } = this;
    assert(zones.virginNext[z] === zones.virginEnd[z], 'a zone has one untouched stretch');
    assert((start & ((1 << this.maxOrder) - 1)) === 0 && (end & ((1 << this.maxOrder) - 1)) === 0);
    if (start === end) return;
    zones.virginNext[z] = start;
    zones.virginEnd[z] = end;
    zones.free[z] = (zones.free[z] as number) + (end - start);
    const m = z * MIGRATE_TYPES + MIGRATE_MOVABLE;
    zones.orderMask[m] = (zones.orderMask[m] as number) | (1 << this.maxOrder);
  }

  /**
   * Frees a stretch of memory that comes up: with `isUntouched` its whole blocks join the untouched
   * stretch, all others go on lists.
   */
  freeRange(z: ZoneIndex, start: number, end: number, isUntouched: boolean): void {
    const block = 1 << this.maxOrder;
    const firstBlock = Math.min(Math.ceil(start / block) * block, end);
    const lastBlock = Math.max(firstBlock, end - (end % block));
    this.#freePieces(z, start, firstBlock);
    if (isUntouched && firstBlock % block === 0) this.#addUntouched(z, firstBlock, lastBlock);
    else this.#freePieces(z, firstBlock, lastBlock);
    this.#freePieces(z, lastBlock, end);
  }

  #freePieces(z: ZoneIndex, from: number, to: number): void {
    for (let f = from; f < to; ) {
      let order = this.maxOrder;
      while (f % (1 << order) !== 0 || f + (1 << order) > to) order--;
      this.free(z, f as Frame, order, this.pageblockType(f), true);
      f += 1 << order;
    }
  }

  /** Untouched blocks come behind those that a zone has, as one stretch with them if they meet. */
  #addUntouched(z: ZoneIndex, start: number, end: number): void {
    const { zones } = this;
    if (start === end) return;
    const first = zones.virginNext[z] as number;
    const last = zones.virginEnd[z] as number;
    if (first !== last && last === start) {
      zones.virginEnd[z] = end;
      zones.free[z] = (zones.free[z] as number) + (end - start);
      return;
    }
    zones.virginNext[z] = last;
    this.#listUntouched(z, first, last);
    this.setVirgin(z, start, end);
  }

  /** Puts untouched blocks on their list, behind what is there. */
  #listUntouched(z: number, start: number, end: number): void {
    for (let f = start; f < end; f += 1 << this.maxOrder) {
      this.addBlock(z, f, this.maxOrder, MIGRATE_MOVABLE, true);
    }
  }

  /**
   * Takes every free block of a stretch off the lists, so that nobody is given it
   * (start_isolate_page_range). Blocks do not reach over the ends of the stretch.
   * @returns the blocks, ascending within lists and within untouched memory.
   */
  takeRange(z: ZoneIndex, start: number, end: number): { f: Frame; order: number }[] {
    const { zones, map, maxOrder } = this;
    const taken: { f: Frame; order: number }[] = [];
    const first = zones.virginNext[z] as number;
    const last = zones.virginEnd[z] as number;
    const from = Math.min(Math.max(first, start), last);
    const to = Math.max(Math.min(last, end), from);
    if (from < to) {
      if (first < from && to < last) {
        zones.virginNext[z] = to;
        this.#listUntouched(z, first, from);
      } else if (first < from) zones.virginEnd[z] = from;
      else zones.virginNext[z] = to;
      this.updateMask(z, maxOrder, MIGRATE_MOVABLE);
      for (let f = from; f < to; f += 1 << maxOrder) taken.push({ f: f as Frame, order: maxOrder });
    }
    for (let f = start; f < end; ) {
      if (f === from && from < to) f = to;
      else if (map.kind[f] === KIND_BUDDY) {
        const order = (map.order[f] as number) & ORDER_MASK;
        this.removeBlock(z, f);
        taken.push({ f: f as Frame, order });
        f += 1 << order;
      } else f++;
    }
    for (const { order } of taken) zones.free[z] = (zones.free[z] as number) - (1 << order);
    return taken;
  }

  /**
   * Takes the first block of a list, or the next untouched block behind it. The list is not empty.
   */
  #take(z: number, order: number, type: number): number {
    const { zones } = this;
    const head = zones.listHead[this.listNumber(z, order, type)] as number;
    if (head !== NIL) {
      this.removeBlock(z, head);
      return head;
    }
    const block = zones.virginNext[z] as number;
    assert(order === this.maxOrder && block < (zones.virginEnd[z] as number));
    zones.virginNext[z] = block + (1 << order);
    this.updateMask(z, order, type);
    return block;
  }

  /** Frees a block and merges it with its free buddies as far as it goes. */
  free(z: ZoneIndex, f: Frame, order: number, type: number, toTail = false): void {
    const { map, zones, maxOrder } = this;
    zones.free[z] = (zones.free[z] as number) + (1 << order);
    let block: number = f;
    let o = order;
    while (o < maxOrder) {
      const buddy = block ^ (1 << o);
      if (!this.#isFree(z, buddy, o)) break;
      this.removeBlock(z, buddy);
      block &= buddy;
      o++;
    }
    this.addBlock(z, block, o, type, toTail || this.#mergeLikely(z, block, o));
    map.kind[f] = block === f ? KIND_BUDDY : KIND_NONE;
  }

  /**
   * Takes a block off its list to be filled with pages that move, unless the zone would fall to
   * its min mark (__isolate_free_page). Returns its order, or -1.
   */
  isolate(z: ZoneIndex, f: number): number {
    const { zones, map } = this;
    const order = (map.order[f] as number) & ORDER_MASK;
    const mark = (zones.wmarkMin[z] as number) + (1 << order);
    if (!zoneWatermarkOk(zones, z, 0, mark, 0, 0)) return -1;
    this.removeBlock(z, f);
    zones.free[z] = (zones.free[z] as number) - (1 << order);
    if (order < this.pageblockOrder - 1) return order;
    for (let g = f; g < f + (1 << order); g += 1 << this.pageblockOrder) {
      if (this.pageblockType(g) < MIGRATE_PCPTYPES) this.setPageblockType(g, MIGRATE_MOVABLE);
    }
    return order;
  }

  /** Is there a block of at least this order that a request of a type would be given? */
  hasBlockFor(z: number, order: number, type: number): boolean {
    if ((this.zones.orderMask[z * MIGRATE_TYPES + type] as number) >>> order !== 0) return true;
    for (let o = order; o <= this.maxOrder; o++) {
      if (this.#canSteal(o, type) && this.#fallbackType(z, o, type) !== NIL) return true;
    }
    return false;
  }

  #isFree(z: number, f: number, order: number): boolean {
    return (
      this.map.kind[f] === KIND_BUDDY &&
      ((this.map.order[f] as number) & ORDER_MASK) === order &&
      this.zones.frameInZone(z as ZoneIndex, f as Frame)
    );
  }

  /**
   * Will the block soon merge into one two orders up? Then it goes to the tail, to be left alone.
   */
  #mergeLikely(z: number, block: number, order: number): boolean {
    if (order >= this.maxOrder - 1) return false;
    const combined = block & ~(1 << order);
    return this.#isFree(z, combined ^ (1 << (order + 1)), order + 1);
  }

  /** Takes one block, or NIL when the zone has none for this type (__rmqueue). */
  alloc(z: ZoneIndex, order: number, type: number, allocFlags: number): Frame | typeof NIL {
    const { zones } = this;
    for (;;) {
      const mask = (zones.orderMask[z * MIGRATE_TYPES + type] as number) & (-1 << order);
      if (mask !== 0) {
        const from = 31 - Math.clz32(mask & -mask);
        const block = this.#take(z, from, type);
        for (let o = from - 1; o >= order; o--) this.addBlock(z, block + (1 << o), o, type, false);
        zones.free[z] = (zones.free[z] as number) - (1 << order);
        return block as Frame;
      }
      if (!this.#stealFallback(z, order, type, allocFlags)) return NIL;
    }
  }

  /**
   * Takes up to `count` single frames into `out`, from its place `at` on, as that many calls of
   * alloc with order 0 would, but a block at a time: when the smallest free block has 2^k frames,
   * all lists below are empty, so its first frames go out in order and the rest stays as one block
   * an order. Returns how many (rmqueue_bulk).
   */
  allocBulk(
    z: ZoneIndex,
    count: number,
    type: number,
    allocFlags: number,
    out: Int32Array,
    at = 0,
  ): number {
    const { zones } = this;
    const m = z * MIGRATE_TYPES + type;
    let done = 0;
    while (done < count) {
      const mask = zones.orderMask[m] as number;
      if (mask === 0) {
        if (!this.#stealFallback(z, 0, type, allocFlags)) break;
        continue;
      }
      const order = 31 - Math.clz32(mask & -mask);
      const block = this.#take(z, order, type);
      const size = 1 << order;
      const n = Math.min(count - done, size);
      for (let i = 0; i < n; i++) out[at + done + i] = block + i;
      for (let rest = n; rest < size; ) {
        const o = 31 - Math.clz32(rest & -rest);
        this.addBlock(z, block + rest, o, type, false);
        rest += 1 << o;
      }
      done += n;
    }
    zones.free[z] = (zones.free[z] as number) - done;
    return done;
  }

  /** Moves a block of another type onto this type's lists; false when there is none. */
  #stealFallback(z: number, order: number, type: number, allocFlags: number): boolean {
    const minOrder = allocFlags & ALLOC_NOFRAGMENT ? Math.max(order, this.pageblockOrder) : order;
    for (let o = this.maxOrder; o >= minOrder; o--) {
      const other = this.#fallbackType(z, o, type);
      if (other === NIL) continue;
      if (this.#canSteal(o, type) || type !== MIGRATE_MOVABLE || o <= order) {
        this.#steal(z, o, other, type, allocFlags);
        return true;
      }
      for (let small = order; small <= this.maxOrder; small++) {
        const from = this.#fallbackType(z, small, type);
        if (from === NIL) continue;
        this.#steal(z, small, from, type, allocFlags);
        return true;
      }
    }
    return false;
  }

  #fallbackType(z: number, order: number, type: number): number {
    for (const other of FALLBACKS[type] as readonly number[]) {
      if ((((this.zones.orderMask[z * MIGRATE_TYPES + other] as number) >>> order) & 1) !== 0)
        return other;
    }
    return NIL;
  }

  /** can_steal_fallback, with page_group_by_mobility on. */
  #canSteal(order: number, type: number): boolean {
    if (order >= this.pageblockOrder) return true;
    return (
      order >= this.pageblockOrder / 2 || type === MIGRATE_RECLAIMABLE || type === MIGRATE_UNMOVABLE
    );
  }

  #steal(z: number, order: number, from: number, type: number, allocFlags: number): void {
    const block = this.#take(z, order, from);
    if (order < this.pageblockOrder) this.#boost(z, allocFlags);
    if (order >= this.pageblockOrder) {
      for (let f = block; f < block + (1 << order); f += 1 << this.pageblockOrder) {
        this.setPageblockType(f, type);
      }
    } else if (this.#canSteal(order, type)) {
      this.#stealPageblock(z, block, order, from, type);
    }
    this.addBlock(z, block, order, type, false);
  }

  /** A page block comes to hold pages of two types: marks go up, so that it may not recur. */
  #boost(z: number, allocFlags: number): void {
    if (!boostWatermark(this.zones, z, 1 << this.pageblockOrder, this.boostFactor)) return;
    this.boostedZone = z;
    this.boostWakes ||= (allocFlags & ALLOC_KSWAPD) !== 0;
  }

  /**
   * Takes over a whole page block when at least half of it is free or of a like type: its free
   * blocks move to the new type's lists and the block changes its type.
   */
  #stealPageblock(z: number, block: number, order: number, from: number, type: number): void {
    const size = 1 << this.pageblockOrder;
    const moved = this.#moveFreeBlocks(z, block, type);
    const nrFree = moved.nrFree + (1 << order);
    let alike = 0;
    if (type === MIGRATE_MOVABLE) alike = moved.nrMovable;
    else if (from === MIGRATE_MOVABLE) alike = size - nrFree - moved.nrMovable;
    if (nrFree + alike >= size >> 1) this.setPageblockType(block, type);
  }

  /**
   * Moves the free blocks of the page block around a frame onto another type's lists
   * (move_freepages_block). Returns pages moved, and pages in use that could be moved elsewhere.
   */
  #moveFreeBlocks(z: number, f: number, type: number): { nrFree: number; nrMovable: number } {
    const size = 1 << this.pageblockOrder;
    const start = f & ~(size - 1);
    const end = Math.min(start + size, this.zones.endFrame[z] as number);
    let nrFree = 0;
    let nrMovable = 0;
    for (let g = Math.max(start, this.zones.startFrame[z] as number); g < end; ) {
      if (this.map.kind[g] === KIND_BUDDY) {
        const o = (this.map.order[g] as number) & ORDER_MASK;
        this.removeBlock(z, g);
        this.addBlock(z, g, o, type, false);
        nrFree += 1 << o;
        g += 1 << o;
        continue;
      }
      const kind = this.map.kind[g] as number;
      if (kind === KIND_ANON || kind === KIND_SHMEM || kind === KIND_FILE) nrMovable++;
      g++;
    }
    return { nrFree, nrMovable };
  }

  /**
   * After a high-order atomic request was served: keeps the rest of its page block for others like
   * it, up to a hundredth of the zone (reserve_highatomic_pageblock).
   */
  reserveHighatomic(z: ZoneIndex, f: Frame): void {
    const { zones } = this;
    const size = 1 << this.pageblockOrder;
    const most = Math.floor((zones.managed[z] as number) / 100) + size;
    if ((zones.reservedHighatomic[z] as number) >= most) return;
    if (this.pageblockType(f) === MIGRATE_HIGHATOMIC) return;
    zones.reservedHighatomic[z] = (zones.reservedHighatomic[z] as number) + size;
    this.setPageblockType(f, MIGRATE_HIGHATOMIC);
    this.#moveFreeBlocks(z, f, MIGRATE_HIGHATOMIC);
  }

  /** A block that high-order atomic requests were kept for, or NIL. */
  allocHighatomic(z: ZoneIndex, order: number): Frame | typeof NIL {
    const mask = this.zones.orderMask[z * MIGRATE_TYPES + MIGRATE_HIGHATOMIC] as number;
    if (mask >>> order === 0) return NIL;
    return this.alloc(z, order, MIGRATE_HIGHATOMIC, 0);
  }

  /** Free blocks of one order, all types, as /proc/buddyinfo counts them. */
  countFree(z: number, order: number): number {
    let n = 0;
    for (let type = 0; type < MIGRATE_TYPES; type++) n += this.countFreeOfType(z, order, type);
    return n;
  }

  /** Free blocks of one order and type, as /proc/pagetypeinfo counts them. */
  countFreeOfType(z: number, order: number, type: number): number {
    const { zones } = this;
    const listed = zones.listCount[this.listNumber(z, order, type)] as number;
    if (order !== this.maxOrder || type !== MIGRATE_MOVABLE) return listed;
    return listed + (((zones.virginEnd[z] as number) - (zones.virginNext[z] as number)) >> order);
  }
}
