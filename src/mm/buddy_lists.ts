// The free lists of the zones: doubly linked blocks by zone, order and migrate type, and what is
// known of each page block.
// Models   linux@v6.1 mm/page_alloc.c: add_to_free_list, del_page_from_free_list,
//          get_pageblock_migratetype; mm/compaction.c: move_freelist_head, move_freelist_tail.
// State    by page block: its zone and migrate type. Blocks on a list use the rows of their first
//          frames (memmap.ts); heads, tails, counts and masks are columns of the zone table.
// Holds    The mask of a zone and type has a bit for each order whose list is not empty.
import { assert } from '../base/assert.ts';
import type { ZoneIndex } from '../base/ids.ts';
import { MIGRATE_MOVABLE, MIGRATE_TYPES } from './gfp.ts';
import { KIND_BUDDY, KIND_NONE, type MemMap, NIL } from './memmap.ts';
import type { Zones } from './mmzone.ts';

export const ORDER_BITS = 5;
export const ORDER_MASK = (1 << ORDER_BITS) - 1;

/** Layout of a page block's row: migrate type below, zone above. */
export const BLOCK_TYPE_BITS = 3;
export const BLOCK_TYPE_MASK = (1 << BLOCK_TYPE_BITS) - 1;

export class BuddyLists {
  readonly zones: Zones;
  readonly map: MemMap;
  readonly maxOrder: number;
  readonly pageblockOrder: number;
  /**
   * By page block (frame >> pageblockOrder): its zone, and its migrate type in the low
   * BLOCK_TYPE_BITS. One column, because a page that is freed needs both.
   */
  readonly blocks: Uint16Array;

  constructor(zones: Zones, map: MemMap, pageblockOrder: number) {
    this.zones = zones;
    this.map = map;
    this.maxOrder = zones.nrOrders - 1;
    this.pageblockOrder = Math.min(pageblockOrder, this.maxOrder);
    assert(zones.nr << BLOCK_TYPE_BITS <= 2 ** 16, 'zone numbers fit the column of page blocks');
    this.blocks = new Uint16Array((map.nrFrames >> this.pageblockOrder) + 1);
    for (let z = 0; z < zones.nr; z++) {
      const first = (zones.startFrame[z] as number) >> this.pageblockOrder;
      const end = (zones.endFrame[z] as number) >> this.pageblockOrder;
      this.blocks.fill((z << BLOCK_TYPE_BITS) | MIGRATE_MOVABLE, first, end);
    }
  }

  /** Zone of a frame. */
  zoneOf(f: number): ZoneIndex {
    return ((this.blocks[f >> this.pageblockOrder] as number) >> BLOCK_TYPE_BITS) as ZoneIndex;
  }

  /** get_pageblock_migratetype. */
  pageblockType(f: number): number {
    return (this.blocks[f >> this.pageblockOrder] as number) & BLOCK_TYPE_MASK;
  }

  setPageblockType(f: number, type: number): void {
    const i = f >> this.pageblockOrder;
    this.blocks[i] = ((this.blocks[i] as number) & ~BLOCK_TYPE_MASK) | type;
  }

  protected listNumber(z: number, order: number, type: number): number {
    return (z * this.zones.nrOrders + order) * MIGRATE_TYPES + type;
  }

  protected addBlock(z: number, f: number, order: number, type: number, toTail: boolean): void {
    const { zones, map } = this;
    const list = this.listNumber(z, order, type);
    map.kind[f] = KIND_BUDDY;
    map.order[f] = order | (type << ORDER_BITS);
    const end = toTail ? zones.listTail : zones.listHead;
    const other = end[list] as number;
    map.link[f] = toTail ? NIL : other;
    map.index[f] = toTail ? other : NIL;
    if (other === NIL) {
      zones.listHead[list] = f;
      zones.listTail[list] = f;
      const m = z * MIGRATE_TYPES + type;
      zones.orderMask[m] = (zones.orderMask[m] as number) | (1 << order);
    } else {
      if (toTail) map.link[other] = f;
      else map.index[other] = f;
      end[list] = f;
    }
    zones.listCount[list] = (zones.listCount[list] as number) + 1;
  }

  protected removeBlock(z: number, f: number): void {
    const { zones, map } = this;
    const code = map.order[f] as number;
    const order = code & ORDER_MASK;
    const type = code >> ORDER_BITS;
    const list = this.listNumber(z, order, type);
    const next = map.link[f] as number;
    const prev = map.index[f] as number;
    if (prev === NIL) zones.listHead[list] = next;
    else map.link[prev] = next;
    if (next === NIL) zones.listTail[list] = prev;
    else map.index[next] = prev;
    map.kind[f] = KIND_NONE;
    zones.listCount[list] = (zones.listCount[list] as number) - 1;
    if (next === NIL && prev === NIL) this.updateMask(z, order, type);
  }

  protected updateMask(z: number, order: number, type: number): void {
    const { zones } = this;
    const m = z * MIGRATE_TYPES + type;
    const isEmpty = zones.listHead[this.listNumber(z, order, type)] === NIL;
    const hasVirgin =
      order === this.maxOrder &&
      type === MIGRATE_MOVABLE &&
      zones.virginNext[z] !== zones.virginEnd[z];
    if (isEmpty && !hasVirgin) zones.orderMask[m] = (zones.orderMask[m] as number) & ~(1 << order);
  }

  /** Lets a list begin with one of its blocks, and go on with what was before it at its end. */
  rotate(z: number, order: number, type: number, first: number): void {
    const { zones, map } = this;
    const list = this.listNumber(z, order, type);
    const head = zones.listHead[list] as number;
    if (first === head || first === NIL) return;
    const last = map.index[first] as number;
    map.link[zones.listTail[list] as number] = head;
    map.index[head] = zones.listTail[list] as number;
    map.link[last] = NIL;
    map.index[first] = NIL;
    zones.listHead[list] = first;
    zones.listTail[list] = last;
  }

  /** The ends of a list, or NIL. */
  headOf(z: number, order: number, type: number): number {
    return this.zones.listHead[this.listNumber(z, order, type)] as number;
  }

  tailOf(z: number, order: number, type: number): number {
    return this.zones.listTail[this.listNumber(z, order, type)] as number;
  }

  /** Does a frame lie in memory that nobody has touched, where no block is on a list? */
  isUntouched(z: number, f: number): boolean {
    return f >= (this.zones.virginNext[z] as number) && f < (this.zones.virginEnd[z] as number);
  }

  /** Order of the free block that begins at a frame; -1 where none does. */
  freeOrder(f: number): number {
    return this.map.kind[f] === KIND_BUDDY ? (this.map.order[f] as number) & ORDER_MASK : -1;
  }
}
