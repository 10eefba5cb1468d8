// The lists of pages that reclaim looks at, five a node: inactive and active anonymous pages,
// inactive and active file pages, and unevictable ones.
// Models   linux@v6.1 include/linux/mm_inline.h: lruvec_add_folio, lruvec_add_folio_tail,
//          lruvec_del_folio, folio_lru_list; include/linux/page-flags.h as far as reclaim asks;
//          mm/swap.c: folio_rotate_reclaimable, folio_activate.
// Omits    the batches of pages that a CPU holds back before they join a list (lru_add_drain).
// State    flags  by frame: LRU_* bits, and above LRU_ORDER_SHIFT the order of the page: a page of
//                 2^n frames stands on its list once, by its first frame, and counts for all
//          next, prev  by frame: neighbours on the list, NIL at its ends
//          head, tail, count  by vec * NR_LRU_LISTS + list, where a set of lists, vec, is that of a
//                 node and a memory cgroup: group * nodes + nid, so that of the root is the node
//          nodeCount, zoneCount  by node and by zone, whatever group the pages count for
//          Columns by frame are not there before the first page joins a list.
// Holds    LRU1 a page with LRU_LISTED is on exactly the list that its other flags say, any other
//          page is on none. LRU2 counts are the pages on the lists. LRU3 a free frame has no flags.
import { assert } from '../base/assert.ts';
import type { Buddy } from './buddy.ts';
import type { FreeWatchers } from './internal.ts';
import { NIL } from './memmap.ts';

export const LRU_INACTIVE_ANON = 0;
export const LRU_ACTIVE_ANON = 1;
export const LRU_INACTIVE_FILE = 2;
export const LRU_ACTIVE_FILE = 3;
export const LRU_UNEVICTABLE = 4;
export const NR_LRU_LISTS = 5;
/** As /proc/vmstat and /proc/zoneinfo name them, behind `nr_` and `nr_zone_`. */
export const LRU_NAMES = [
  'inactive_anon',
  'active_anon',
  'inactive_file',
  'active_file',
  'unevictable',
] as const;

/** PG_lru: on a list. Set and cleared here only. */
export const LRU_LISTED = 0x1;
/** PG_active: on, or coming from, an active list. */
export const LRU_ACTIVE = 0x2;
/** PG_swapbacked: anonymous or shared memory, which only a swap area can take; else a file's. */
export const LRU_SWAPBACKED = 0x4;
/** PG_unevictable. */
export const LRU_UNEVICTABLE_PAGE = 0x8;
/** PG_mlocked. */
export const LRU_MLOCKED = 0x10;
/** PG_referenced: seen used once by reclaim, or read once by a system call. */
export const LRU_REFERENCED = 0x20;
/** The accessed bit of an entry that maps the page. */
export const LRU_YOUNG = 0x40;
/** PG_dirty, or the dirty bit of an entry: its contents are nowhere else. */
export const LRU_DIRTY = 0x80;
/** PG_writeback: its contents are on their way to where it belongs. */
export const LRU_WRITEBACK = 0x100;
/** PG_workingset: it was in use when it was last on an active list, or came back soon. */
export const LRU_WORKINGSET = 0x200;
/** PG_swapcache: a slot of a swap area has, or had, its contents. */
export const LRU_SWAPCACHE = 0x400;
/** PG_reclaim: to be freed as soon as it is written. */
export const LRU_RECLAIM = 0x800;
const LRU_ORDER_SHIFT = 12;

const NONE = new Int32Array(0);

export class Lru {
  /**
   * Static flag: anonymous and shared pages join lists when they are faulted in. It is off until
   * something can use the lists; pages of files always join. See kernel/lru_track.ts.
   */
  isTracking = false;
  /** Static flag: some page is, or was, on a list; pages that are freed must leave it. */
  isInUse = false;
  flags = new Uint16Array(0);
  next = NONE;
  prev = NONE;
  /** By frame: the memory cgroup that the page counts for. Null while there is none. */
  owner: Uint16Array | null = null;
  readonly nrNodeIds: number;
  readonly #buddy: Buddy;
  readonly #watchers: FreeWatchers;
  #head: Int32Array;
  #tail: Int32Array;
  #count: Int32Array;
  readonly #nodeCount: Int32Array;
  readonly #zoneCount: Int32Array;

  constructor(buddy: Buddy, nrNodeIds: number, watchers: FreeWatchers) {
    this.#watchers = watchers;
    this.#buddy = buddy;
    this.#head = new Int32Array(nrNodeIds * NR_LRU_LISTS).fill(NIL);
    this.#tail = new Int32Array(nrNodeIds * NR_LRU_LISTS).fill(NIL);
    this.#count = new Int32Array(nrNodeIds * NR_LRU_LISTS);
    this.#nodeCount = new Int32Array(nrNodeIds * NR_LRU_LISTS);
    this.#zoneCount = new Int32Array(buddy.zones.nr * NR_LRU_LISTS);
    this.nrNodeIds = nrNodeIds;
  }

  /** Sets of lists that there are: one a node for the root and for each memory cgroup. */
  get nrVecs(): number {
    return this.#head.length / NR_LRU_LISTS;
  }

  /** Makes room for the lists of so many memory cgroups, the root among them. */
  prepareGroups(nrGroups: number, owner: Uint16Array): void {
    this.prepare();
    this.owner = owner;
    const size = nrGroups * this.nrNodeIds * NR_LRU_LISTS;
    if (size <= this.#head.length) return;
    const grown = (old: Int32Array, empty: number): Int32Array => {
      const larger = new Int32Array(size).fill(empty);
      larger.set(old);
      return larger;
    };
    this.#head = grown(this.#head, NIL);
    this.#tail = grown(this.#tail, NIL);
    this.#count = grown(this.#count, 0);
  }

  /** The set of lists of a page on a node. */
  #vecOf(f: number, nid: number): number {
    return this.owner === null ? nid : (this.owner[f] as number) * this.nrNodeIds + nid;
  }

  /** Makes the columns by frame; untouched rows cost address space only. */
  prepare(): void {
    if (this.isInUse) return;
    const { nrFrames } = this.#buddy.map;
    this.flags = new Uint16Array(nrFrames);
    this.next = new Int32Array(nrFrames);
    this.prev = new Int32Array(nrFrames);
    this.isInUse = true;
    this.#watchers.isAny = true;
  }

  /** The list that the flags of a page say (folio_lru_list). */
  listOf(f: number): number {
    const flags = this.flags[f] as number;
    if (flags & LRU_UNEVICTABLE_PAGE) return LRU_UNEVICTABLE;
    const base = flags & LRU_SWAPBACKED ? LRU_INACTIVE_ANON : LRU_INACTIVE_FILE;
    return flags & LRU_ACTIVE ? base + 1 : base;
  }

  isListed(f: number): boolean {
    return this.isInUse && ((this.flags[f] as number) & LRU_LISTED) !== 0;
  }

  has(f: number, flag: number): boolean {
    return ((this.flags[f] as number) & flag) !== 0;
  }

  /** Sets flags that do not decide the list, or any flag of a page that is on none. */
  set(f: number, flag: number): void {
    this.flags[f] = (this.flags[f] as number) | flag;
  }

  clear(f: number, flag: number): void {
    this.flags[f] = (this.flags[f] as number) & ~flag;
  }

  /** Clears the accessed bit of every frame of a page. @returns how many had it. */
  clearYoung(f: number): number {
    const nrPages = this.nrPagesOf(f);
    let n = 0;
    for (let g = f; g < f + nrPages; g++) {
      if (!this.has(g, LRU_YOUNG)) continue;
      n++;
      this.clear(g, LRU_YOUNG);
    }
    return n;
  }

  /** Small pages in the page that starts at `f`. */
  nrPagesOf(f: number): number {
    return 1 << ((this.flags[f] as number) >> LRU_ORDER_SHIFT);
  }

  /** Says that the page that starts at `f`, on no list, has 2^order frames. */
  setOrder(f: number, order: number): void {
    assert(!this.has(f, LRU_LISTED));
    const low = (this.flags[f] as number) & ((1 << LRU_ORDER_SHIFT) - 1);
    this.flags[f] = low | (order << LRU_ORDER_SHIFT);
  }

  /**
   * A page that has just been given to a user joins its list at the head (folio_add_lru).
   * @param flags what it is: LRU_SWAPBACKED, LRU_ACTIVE, LRU_YOUNG, LRU_DIRTY, ...
   */
  addNew(f: number, flags: number, order = 0): void {
    this.prepare();
    this.flags[f] = flags | (order << LRU_ORDER_SHIFT);
    this.add(f);
  }

  /** Puts a page on the list that its flags say, at the head (lruvec_add_folio). */
  add(f: number): void {
    this.#link(f, false);
  }

  /** The same at the tail, where reclaim looks first (lruvec_add_folio_tail). */
  addTail(f: number): void {
    this.#link(f, true);
  }

  #link(f: number, toTail: boolean): void {
    const flags = this.flags[f] as number;
    assert((flags & LRU_LISTED) === 0, 'a page is on one list at most');
    const list = this.listOf(f);
    const zone = this.#buddy.zoneOf(f);
    const nid = this.#buddy.zones.nid[zone] as number;
    const at = this.#vecOf(f, nid) * NR_LRU_LISTS + list;
    this.flags[f] = flags | LRU_LISTED;
    const end = toTail ? this.#tail : this.#head;
    const other = end[at] as number;
    this.next[f] = toTail ? NIL : other;
    this.prev[f] = toTail ? other : NIL;
    if (other === NIL) {
      this.#head[at] = f;
      this.#tail[at] = f;
    } else {
      if (toTail) this.next[other] = f;
      else this.prev[other] = f;
      end[at] = f;
    }
    this.#countPages(at, nid, zone, list, 1 << (flags >> LRU_ORDER_SHIFT));
  }

  /** Takes a page off its list; its flags stay (lruvec_del_folio). */
  remove(f: number): void {
    const flags = this.flags[f] as number;
    assert((flags & LRU_LISTED) !== 0, 'a page that leaves a list is on it');
    const list = this.listOf(f);
    const zone = this.#buddy.zoneOf(f);
    const nid = this.#buddy.zones.nid[zone] as number;
    const at = this.#vecOf(f, nid) * NR_LRU_LISTS + list;
    const next = this.next[f] as number;
    const prev = this.prev[f] as number;
    if (prev === NIL) this.#head[at] = next;
    else this.next[prev] = next;
    if (next === NIL) this.#tail[at] = prev;
    else this.prev[next] = prev;
    this.flags[f] = flags & ~LRU_LISTED;
    this.#countPages(at, nid, zone, list, -(1 << (flags >> LRU_ORDER_SHIFT)));
  }

  #countPages(at: number, nid: number, zone: number, list: number, n: number): void {
    this.#count[at] = (this.#count[at] as number) + n;
    const ofNode = nid * NR_LRU_LISTS + list;
    const ofZone = zone * NR_LRU_LISTS + list;
    this.#nodeCount[ofNode] = (this.#nodeCount[ofNode] as number) + n;
    this.#zoneCount[ofZone] = (this.#zoneCount[ofZone] as number) + n;
  }

  /**
   * A page of many frames is as many pages now, whose flags are set: the first stays where it is on
   * the list, the others come before it, so that it is looked at first and the last one last
   * (lru_add_page_tail).
   */
  splitListed(first: number): void {
    const nrPages = this.nrPagesOf(first);
    const at = this.#vecOf(first, this.#nidOf(first)) * NR_LRU_LISTS + this.listOf(first);
    this.flags[first] = (this.flags[first] as number) & ((1 << LRU_ORDER_SHIFT) - 1);
    const before = this.prev[first] as number;
    let last = before;
    for (let f = first + nrPages - 1; f > first; f--) {
      this.set(f, LRU_LISTED);
      this.prev[f] = last;
      this.next[f] = f - 1;
      last = f;
    }
    this.prev[first] = last;
    if (before === NIL) this.#head[at] = first + nrPages - 1;
    else this.next[before] = first + nrPages - 1;
  }

  #nidOf(f: number): number {
    return this.#buddy.zones.nid[this.#buddy.zoneOf(f)] as number;
  }

  /** Changes flags that decide the list, and moves the page to the head of the new one. */
  move(f: number, set: number, clear: number): void {
    const wasListed = this.has(f, LRU_LISTED);
    if (wasListed) this.remove(f);
    this.flags[f] = ((this.flags[f] as number) & ~clear) | set;
    if (wasListed) this.add(f);
  }

  /** Moves a page to the tail of its list (folio_rotate_reclaimable). */
  rotate(f: number): void {
    this.remove(f);
    this.addTail(f);
  }

  /** The page is free: it leaves its list and has no flags any more. */
  forget(f: number, nrFrames = 1): void {
    if (this.has(f, LRU_LISTED)) this.remove(f);
    if (nrFrames === 1) this.flags[f] = 0;
    else this.flags.fill(0, f, f + nrFrames);
  }

  /**
   * Contents move from one frame to another: the fresh page takes over the flags and joins the list
   * of its own node at the head; the old one is on none (folio_migrate_flags, putback_lru_page).
   */
  migrate(old: number, fresh: number, nrFrames = 1): void {
    const wasListed = this.has(old, LRU_LISTED);
    if (wasListed) this.remove(old);
    for (let i = 0; i < nrFrames; i++) {
      this.flags[fresh + i] = this.flags[old + i] as number;
      this.flags[old + i] = 0;
    }
    this.handOver(old, fresh, nrFrames);
    if (wasListed) this.add(fresh);
  }

  /** A fresh page counts for the memory cgroup of the old one, on no list now, in its place. */
  handOver(old: number, fresh: number, nrFrames = 1): void {
    if (this.owner === null) return;
    this.owner.copyWithin(fresh, old, old + nrFrames);
    this.owner.fill(0, old, old + nrFrames);
  }

  /** Contents move to a frame that is on no list, which keeps the flags for when they come back. */
  park(old: number, fresh: number): void {
    if (this.has(old, LRU_LISTED)) this.remove(old);
    this.flags[fresh] = this.flags[old] as number;
    this.flags[old] = 0;
    this.handOver(old, fresh);
  }

  /** The page that reclaim would look at first, or NIL. */
  tail(vec: number, list: number): number {
    return this.#tail[vec * NR_LRU_LISTS + list] as number;
  }

  head(vec: number, list: number): number {
    return this.#head[vec * NR_LRU_LISTS + list] as number;
  }

  /** Pages on one list of a set. */
  countOf(vec: number, list: number): number {
    return this.#count[vec * NR_LRU_LISTS + list] as number;
  }

  /** Pages of a node on lists of that kind (node_page_state). */
  count(nid: number, list: number): number {
    return this.#nodeCount[nid * NR_LRU_LISTS + list] as number;
  }

  /** Pages of a zone on lists of that kind (zone_page_state: NR_ZONE_LRU_BASE + list). */
  countOfZone(z: number, list: number): number {
    return this.#zoneCount[z * NR_LRU_LISTS + list] as number;
  }
}
