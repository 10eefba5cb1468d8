// Swap areas: slots that hold the contents of pages which reclaim took from their owners, and the
// cache of pages that are in memory and in a slot at once.
// Models   linux@v6.1 mm/swapfile.c: get_swap_pages, swap_alloc_cluster, swap_duplicate, swap_free,
//          vm_swap_full; mm/swap_state.c: add_to_swap_cache, __delete_from_swap_cache,
//          swapin_nr_pages; mm/workingset.c: pack_shadow, as far as a shadow entry's age goes.
// Omits    a cluster of slots for each CPU: all CPUs fill one after another. Bad pages, discard,
//          swapoff, time that a write takes: an area is compressed memory, which has written when
//          the call returns.
// State    Slots of all areas are numbered in one row. By slot: count, the entries and object pages
//          that stand for it; cache, frame + 1 of the page that is in memory too; age and shadow of
//          the page that left. By frame: slotOf, slot + 1 of a page in the cache.
// Holds    SWP1 a slot is in use while something stands for it or a page in memory has it.
//          SWP2 cache and slotOf say the same. SWP4 a huge page takes a wholly free cluster.
import { assert } from '../base/assert.ts';
import { LRU_SWAPCACHE, type Lru } from './lru.ts';
import type { MemCgroups } from './memcg.ts';
import { NIL } from './memmap.ts';

/** One swap area. */
export interface SwapArea {
  readonly start: number;
  readonly nrSlots: number;
  readonly priority: number;
  nrFree: number;
  /** Where the next search starts, within the area. */
  next: number;
  /**
   * Slots in use by cluster. The first page of an area is its header: what is left of its cluster,
   * and of the last one, comes behind all whole clusters here, and is in none.
   */
  readonly usedIn: Uint16Array;
}

/** Slots that a huge page takes in a row, and that are filled before others (SWAPFILE_CLUSTER). */
export const SWAP_CLUSTER = 512;

/** Entries that stand for slots are numbers below this; so much for what a page table can hold. */
export const MAX_SLOTS = 2 ** 29;
/** Priority of the first area that names none; each further one has one less. */
const FIRST_OWN_PRIORITY = -2;

export class Swap {
  readonly areas: SwapArea[] = [];
  nrSlots = 0;
  nrFree = 0;
  /** Pages in memory that have a slot too. */
  nrCached = 0;
  count = new Uint16Array(0);
  cache = new Int32Array(0);
  /** Age of its node's lists when the page left; in `shadow` 1 + PG_workingset + 2 * node. */
  age = new Float64Array(0);
  shadow = new Uint16Array(0);
  /** By slot: 1 while its page in memory was read ahead and nobody has used it. */
  ahead = new Uint8Array(0);
  #slotOf = new Int32Array(0);
  readonly #lru: Lru;
  /** Memory cgroups, once there are any: they limit slots too. */
  memcg: MemCgroups | null = null;
  #nextPriority = FIRST_OWN_PRIORITY;

  constructor(lru: Lru) {
    this.#lru = lru;
  }

  get isOn(): boolean {
    return this.nrSlots > 0;
  }

  /** Are more than half of the slots in use (vm_swap_full)? */
  get isFull(): boolean {
    return this.nrFree * 2 < this.nrSlots;
  }

  /** Is that so, or for a memory cgroup that the page counts for (mem_cgroup_swap_full)? */
  isFullFor(f: number): boolean {
    return this.isFull || this.memcg?.isSwapFull(f) === true;
  }

  /** Adds an area; without a priority it comes after all before it. */
  add(nrSlots: number, nrFrames: number, priority?: number): void {
    assert(nrSlots > 0 && this.nrSlots + nrSlots < MAX_SLOTS);
    const start = this.nrSlots;
    const given = priority ?? this.#nextPriority--;
    const usedIn = new Uint16Array(Math.max(0, Math.floor((nrSlots + 1) / SWAP_CLUSTER) - 1));
    this.areas.push({ start, nrSlots, priority: given, nrFree: nrSlots, next: 0, usedIn });
    this.areas.sort((a, b) => b.priority - a.priority || a.start - b.start);
    this.nrSlots += nrSlots;
    this.nrFree += nrSlots;
    this.count = grown(this.count, new Uint16Array(this.nrSlots));
    this.cache = grown(this.cache, new Int32Array(this.nrSlots));
    this.age = grown(this.age, new Float64Array(this.nrSlots));
    this.shadow = grown(this.shadow, new Uint16Array(this.nrSlots));
    this.ahead = grown(this.ahead, new Uint8Array(this.nrSlots));
    if (this.#slotOf.length === 0) this.#slotOf = new Int32Array(nrFrames);
  }

  #isUsed(slot: number): boolean {
    return this.count[slot] !== 0 || this.cache[slot] !== 0;
  }

  areaOf(slot: number): SwapArea {
    for (const area of this.areas) {
      if (slot >= area.start && slot < area.start + area.nrSlots) return area;
    }
    assert(false, 'a slot lies in an area');
    return this.areas[0] as SwapArea;
  }

  /**
   * Takes a slot of the area of the highest priority that has one, areas of one priority in turn,
   * and puts the page into the cache with it (get_swap_pages, add_to_swap_cache).
   * @returns false when all are in use.
   */
  addPage(f: number): boolean {
    const area = this.areas.find((a) => a.nrFree > 0);
    if (area === undefined) return false;
    const { memcg } = this;
    if (memcg !== null && memcg.swapRoom(memcg.groupOf(f)) < 1) return false;
    let i = area.next;
    if (i % SWAP_CLUSTER === 0) i = freeClusterFrom(area, i) ?? i;
    while (this.#isUsed(area.start + i)) i = i + 1 === area.nrSlots ? 0 : i + 1;
    area.next = i + 1 === area.nrSlots ? 0 : i + 1;
    this.#give(area, i, f);
    this.#takeTurn(area);
    return true;
  }

  /**
   * Takes a whole cluster of slots for a huge page, of the first area that has a slot at all, and
   * puts each of its small pages into the cache (swap_alloc_cluster).
   * @returns false when none is wholly free, or the page's memory cgroup may not have as many.
   */
  addHugePage(head: number): boolean {
    const area = this.areas.find((a) => a.nrFree > 0);
    if (area === undefined) return false;
    const { memcg } = this;
    if (memcg !== null && memcg.swapRoom(memcg.groupOf(head)) < SWAP_CLUSTER) return false;
    const first = freeClusterFrom(area, area.next);
    this.#takeTurn(area);
    if (first === undefined) return false;
    if (area.next === first) area.next = (first + SWAP_CLUSTER) % area.nrSlots;
    for (let i = 0; i < SWAP_CLUSTER; i++) this.#give(area, first + i, head + i);
    return true;
  }

  #give(area: SwapArea, offset: number, f: number): void {
    area.nrFree--;
    this.nrFree--;
    countCluster(area, offset, 1);
    this.addToCache(area.start + offset, f);
    this.memcg?.chargeSlot(area.start + offset, this.nrSlots, f);
  }

  /** Areas of one priority are used in turn (plist_requeue). */
  #takeTurn(area: SwapArea): void {
    if (this.areas.length === 1) return;
    this.areas.splice(this.areas.indexOf(area), 1);
    let at = this.areas.findIndex((a) => a.priority < area.priority);
    if (at < 0) at = this.areas.length;
    this.areas.splice(at, 0, area);
  }

  /** A page in memory has the contents of a slot in use, or is to give it some. */
  addToCache(slot: number, f: number): void {
    assert(this.cache[slot] === 0 && !this.#lru.has(f, LRU_SWAPCACHE));
    this.cache[slot] = f + 1;
    this.#slotOf[f] = slot + 1;
    this.nrCached++;
    this.#lru.set(f, LRU_SWAPCACHE);
  }

  /** Slot of a page in the cache. */
  slotOf(f: number): number {
    return (this.#slotOf[f] as number) - 1;
  }

  /** The page in memory that has a slot's contents, or NIL. */
  cached(slot: number): number {
    const stored = this.cache[slot] as number;
    return stored === 0 ? NIL : stored - 1;
  }

  /** One more entry or object page stands for the slot (swap_duplicate). */
  dup(slot: number): void {
    this.count[slot] = (this.count[slot] as number) + 1;
  }

  /**
   * One fewer stands for it (swap_free).
   * @returns how many are left.
   */
  free(slot: number): number {
    const left = (this.count[slot] as number) - 1;
    assert(left >= 0, 'a slot is given back as often as it was taken');
    this.count[slot] = left;
    if (left === 0) this.#release(slot);
    return left;
  }

  #release(slot: number): void {
    if (this.#isUsed(slot)) return;
    this.shadow[slot] = 0;
    this.ahead[slot] = 0;
    this.memcg?.unchargeSlot(slot);
    const area = this.areaOf(slot);
    countCluster(area, slot - area.start, -1);
    area.nrFree++;
    this.nrFree++;
  }

  /** The page leaves the cache; its slot is free if nothing stands for it. */
  removeFromCache(f: number): void {
    const slot = this.slotOf(f);
    assert(this.cache[slot] === f + 1);
    this.cache[slot] = 0;
    this.#slotOf[f] = 0;
    this.nrCached--;
    this.#lru.clear(f, LRU_SWAPCACHE);
    this.#release(slot);
  }

  /**
   * Gives the slot of a page up if nothing else stands for it (folio_free_swap).
   * @returns whether the page is out of the cache now.
   */
  freeSlotOf(f: number): boolean {
    if (!this.#lru.has(f, LRU_SWAPCACHE)) return true;
    if (this.count[this.slotOf(f)] !== 0) return false;
    this.removeFromCache(f);
    return true;
  }

  /** A page that is freed, or whose contents move, is in the cache no more, or by its new frame. */
  migrate(old: number, fresh: number): void {
    if (!this.isOn) return;
    const stored = this.#slotOf[old] as number;
    if (stored === 0) return;
    this.#slotOf[old] = 0;
    this.#slotOf[fresh] = stored;
    this.cache[stored - 1] = fresh + 1;
  }

  // ---- Reading ahead, by slot ----------------------------------------------------------------

  /** Pages read ahead that were used since the last time it was asked (swapin_readahead_hits). */
  hits = 4;
  #prevOffset = 0;
  #lastWindow = 0;

  /**
   * How many slots are read at once around one, a power of two (swapin_nr_pages). An area gives its
   * slots in aligned clusters, so that the first one given starts a window.
   * @param offset of the slot in its area.
   */
  window(offset: number, most: number): number {
    const { hits } = this;
    this.hits = 0;
    const n = windowFor(this.#prevOffset, offset, hits, most, this.#lastWindow);
    if (hits === 0) this.#prevOffset = offset;
    this.#lastWindow = n;
    return n;
  }
}

/** How far to read ahead, by how much of the last time was of use (__swapin_nr_pages). */
export function windowFor(
  previous: number,
  offset: number,
  hits: number,
  most: number,
  last: number,
): number {
  let n = hits + 2;
  if (n === 2) {
    if (offset !== previous + 1 && offset !== previous - 1) n = 1;
  } else {
    let rounded = 4;
    while (rounded < n) rounded *= 2;
    n = rounded;
  }
  return Math.max(Math.min(n, most), last >> 1);
}

function countCluster({ usedIn }: SwapArea, offset: number, n: number): void {
  const cluster = Math.floor(offset / SWAP_CLUSTER);
  if (cluster < usedIn.length) usedIn[cluster] = (usedIn[cluster] as number) + n;
}

/** First slot of the next cluster of which no slot is in use, from a slot on and then around. */
function freeClusterFrom({ usedIn }: SwapArea, offset: number): number | undefined {
  const from = Math.ceil(offset / SWAP_CLUSTER);
  for (let i = 0; i < usedIn.length; i++) {
    const cluster = (from + i) % usedIn.length;
    if (usedIn[cluster] === 0) return cluster * SWAP_CLUSTER;
  }
  return undefined;
}

function grown<T extends Uint8Array | Uint16Array | Int32Array | Float64Array>(
  old: T,
  larger: T,
): T {
  larger.set(old);
  return larger;
}
