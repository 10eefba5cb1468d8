// What a page allocator has besides its walk: giving pages back, and why a request failed.
// Models   linux@v6.1 mm/page_alloc.c: free_unref_page, __free_pages.
// Holds    A frame that is free already is never freed: that is a bug of the caller.
import { assert } from '../base/assert.ts';
import type { Frame, NodeId, ZoneIndex } from '../base/ids.ts';
import { BLOCK_TYPE_BITS, BLOCK_TYPE_MASK } from './buddy_lists.ts';
import type { FrameWatch } from './frame_watch.ts';
import { MIGRATE_MOVABLE, MIGRATE_PCPTYPES } from './gfp.ts';
import type { HeldPages } from './held_pages.ts';
import {
  type AllocTask,
  FAILURE,
  type Failure,
  type FreeWatchers,
  type PageAllocatorParts,
} from './internal.ts';
import type { Lru } from './lru.ts';
import type { MemCgroups } from './memcg.ts';
import { KIND_BUDDY, KIND_KERNEL, KIND_NONE, KIND_POISON } from './memmap.ts';
import type { DeviceMemory } from './memremap.ts';
import type { NodeCharges } from './node_charge.ts';
import type { PerCpuLists } from './pcp.ts';

/** The half of the page allocator that takes pages back. */
export class PageFreer {
  /** On whose behalf pages are taken and given back. */
  current!: AllocTask;
  #memcg: MemCgroups | null = null;
  #watch: FrameWatch | null = null;
  /** Why the last request that gave nothing failed. */
  failure: Failure = FAILURE.NONE;
  readonly #parts: PageAllocatorParts;
  readonly #kind: Uint8Array;
  readonly #blocks: Uint16Array;
  readonly #pageblockOrder: number;
  readonly #lru: Lru;
  readonly #held: HeldPages;
  readonly #device: DeviceMemory;
  readonly #charges: NodeCharges | null;
  readonly #watchers: FreeWatchers;
  readonly #lists: PerCpuLists;
  #nrFreed = 0;

  constructor(parts: PageAllocatorParts) {
    this.#parts = parts;
    this.#kind = parts.map.kind;
    this.#blocks = parts.buddy.blocks;
    this.#pageblockOrder = parts.buddy.pageblockOrder;
    this.#lru = parts.lru;
    this.#held = parts.held;
    this.#device = parts.deviceMemory;
    this.#charges = parts.charges;
    this.#watchers = parts.freeWatchers;
    this.#lists = parts.pcp;
    if (parts.charges !== null) this.#watchers.isAny = true;
  }

  /** Memory cgroups, once there are any. */
  get memcg(): MemCgroups | null {
    return this.#memcg;
  }

  set memcg(memcg: MemCgroups | null) {
    this.#memcg = memcg;
    if (memcg !== null) this.#watchers.isAny = true;
  }

  /** Caches that hold copies of frames, on machines that have such. */
  get watch(): FrameWatch | null {
    return this.#watch;
  }

  set watch(watch: FrameWatch | null) {
    this.#watch = watch;
    if (watch !== null) this.#watchers.isAny = true;
  }

  /** Node of a frame (page_to_nid). */
  nidOf(f: number): NodeId {
    return this.#parts.zones.nid[this.#parts.buddy.zoneOf(f)] as NodeId;
  }

  protected fail(why: Failure): number {
    this.failure = why;
    return 0;
  }

  #uncharge(f: Frame, order: number): void {
    this.#charges?.uncharge(this.nidOf(f), f, order);
    this.#memcg?.uncharge(f, order);
  }

  /** Pages freed since the last call. */
  protected takeFrees(): number {
    const n = this.#nrFreed;
    this.#nrFreed = 0;
    return n;
  }

  /** Gives one frame back to the list of a CPU (free_unref_page). */
  free(f: Frame): void {
    const kind = this.#kind[f] as number;
    assert(kind > KIND_BUDDY, 'a frame is freed twice');
    if (this.#watchers.isAny && !this.#leaves(f)) return;
    this.#kind[f] = KIND_NONE;
    this.#nrFreed++;
    const block = this.#blocks[f >> this.#pageblockOrder] as number;
    const z = (block >> BLOCK_TYPE_BITS) as ZoneIndex;
    this.#lists.put(z, this.current.cpu, listType(block & BLOCK_TYPE_MASK), f);
  }

  /** Tells whoever wants to hear of it. False when the frame does not become free here. */
  #leaves(f: Frame): boolean {
    this.#watch?.freed(f, 1);
    if (this.#lru.isInUse) this.#lru.forget(f);
    if (this.#held.isInUse && this.#held.keeps(f)) {
      // A broken page counts for nobody any more, a pinned one does as long as the pin holds it.
      if (this.#kind[f] === KIND_POISON) this.#uncharge(f, 0);
      return false;
    }
    if (this.#charges !== null || this.#memcg !== null) this.#uncharge(f, 0);
    if (!this.#device.isInUse || !this.#device.has(f)) return true;
    this.#device.free(f);
    return false;
  }

  /** Gives frames[from..to) back, one after another. */
  freeMany(frames: Int32Array, from: number, to: number): void {
    if (this.#watchers.isAny) {
      for (let i = from; i < to; i++) this.free(frames[i] as Frame);
      return;
    }
    const kind = this.#kind;
    const blocks = this.#blocks;
    const order = this.#pageblockOrder;
    this.#nrFreed += to - from;
    for (let i = from; i < to; ) {
      const start = i;
      const block = blocks[(frames[i] as number) >> order] as number;
      for (; i < to && blocks[(frames[i] as number) >> order] === block; i++) {
        const f = frames[i] as number;
        assert((kind[f] as number) > KIND_BUDDY, 'a frame is freed twice');
        kind[f] = KIND_NONE;
      }
      const type = listType(block & BLOCK_TYPE_MASK);
      const z = (block >> BLOCK_TYPE_BITS) as ZoneIndex;
      this.#lists.putMany(z, this.current.cpu, type, frames, start, i);
    }
  }

  /** Gives a block back (__free_pages); of one that broke in part, what is sound, page by page. */
  freeBlock(f: Frame, order: number): void {
    if (order === 0) {
      this.free(f);
      return;
    }
    assert((this.#kind[f] as number) > KIND_BUDDY, 'a block is freed twice');
    if (this.#held.isInUse && this.#held.hasPoison(f, order)) {
      this.#kind.fill(KIND_KERNEL, f, f + (1 << order));
      for (let i = 0; i < 1 << order; i++) this.free((f + i) as Frame);
      return;
    }
    this.#kind[f] = KIND_NONE;
    this.#watch?.freed(f, 1 << order);
    if (this.#lru.isInUse) this.#lru.forget(f);
    if (this.#charges !== null || this.#memcg !== null) this.#uncharge(f, order);
    this.#nrFreed += 1 << order;
    const { buddy, pcp } = this.#parts;
    const z = buddy.zoneOf(f);
    const type = buddy.pageblockType(f);
    if (!pcp.hasListsFor(order)) buddy.free(z, f, order, type);
    else pcp.putBlock(z, this.current.cpu, order, listType(type), f);
  }
}

/** The per-CPU list for pages of a block of this type. */
const listType = (type: number): number => (type < MIGRATE_PCPTYPES ? type : MIGRATE_MOVABLE);
