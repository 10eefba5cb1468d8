// The frame table: one row per page frame, as columns of typed arrays. The kernel's mem_map of
// struct page, at 12 bytes a row instead of 64; rows of untouched frames are never written, so the
// operating system never backs them.
// Models   linux@v6.1 include/linux/mm_types.h: struct page (lru, mapping, index, _mapcount,
//          private).
// Omits    reference counts beside the map count, LRU lists, flags of writeback.
// State    kind   what the frame is used for (KIND_*); 0 for frames free inside a larger block, on
//          a
//                 per-CPU list, or never touched; also for all frames of a huge page of a pool but
//                 its first
//          order  of a block's first frame: order in the low 5 bits, migrate type above
//          link   free block: next block of its list; user page: the object or address space number
//          index  free block: previous block of its list; user page: virtual or object page number
//          mapcount  page table entries that map the page
// Holds    Rows of free blocks are buddy.ts's; all others are claimed by who was given the frame.

import { assert } from '../base/assert.ts';
import type { Frame } from '../base/ids.ts';

export const KIND_NONE = 0;
/** First frame of a free block. */
export const KIND_BUDDY = 1;
/** The kernel's own (slab, stacks, what boot took). */
export const KIND_KERNEL = 2;
export const KIND_PAGE_TABLE = 3;
/** Anonymous page of a process: link = address space, index = virtual page number. */
export const KIND_ANON = 4;
/** Page of a shared memory object: link = object, index = page number in it. */
export const KIND_SHMEM = 5;
/**
 * First frame of a huge page. Private: link = address space, index = virtual page number. Shared:
 * link = hugetlb inode, index = huge page number in it. Free in the pool: link = NIL.
 */
export const KIND_HUGETLB = 6;
/** Page of a disk's file: link = inode, index = page number in it. */
export const KIND_FILE = 7;
/**
 * Any frame of a transparent huge page. Of the first: link = address space, index = virtual page
 * number. Of each: mapcount = entries that map it as a small page.
 */
export const KIND_THP = 8;
/** Nobody's, since its memory is broken (PG_hwpoison): never free, never given to anybody. */
export const KIND_POISON = 9;
/** Of a buffer that a driver allocated: link = buffer, index = page number in it. */
export const KIND_DRIVER = 10;

export const NIL = -1;

/**
 * Is the frame a merged page of KSM? It is an anonymous page without one owner: its link is -1
 * minus the number that KSM gave it, and its index says nothing.
 */
export const isMergedFrame = (map: Pick<MemMap, 'kind' | 'link'>, f: number): boolean =>
  map.kind[f] === KIND_ANON && (map.link[f] as number) < 0;

/** Bytes a touched frame costs in this table. */
export const MEMMAP_ROW_BYTES = 12;

export class MemMap {
  readonly nrFrames: number;
  readonly kind: Uint8Array;
  readonly order: Uint8Array;
  readonly link: Int32Array;
  readonly index: Int32Array;
  readonly mapcount: Uint16Array;

  constructor(nrFrames: number) {
    this.nrFrames = nrFrames;
    this.kind = new Uint8Array(nrFrames);
    this.order = new Uint8Array(nrFrames);
    this.link = new Int32Array(nrFrames);
    this.index = new Int32Array(nrFrames);
    this.mapcount = new Uint16Array(nrFrames);
  }

  /** Gives a frame from the allocator to a user: sets what it is, whose, and where. */
  claim(f: Frame, kind: number, link: number, index: number, mapcount: number): void {
    this.kind[f] = kind;
    this.link[f] = link;
    this.index[f] = index;
    this.mapcount[f] = mapcount;
  }

  /** A page table entry maps the page (page_add_*_rmap). */
  addMap(f: Frame): void {
    const n = this.mapcount[f] as number;
    assert(n < 0xffff, 'a page is mapped more than 65535 times');
    this.mapcount[f] = n + 1;
  }

  /** A page table entry no longer maps the page (page_remove_rmap). Returns how many still do. */
  removeMap(f: Frame): number {
    const n = (this.mapcount[f] as number) - 1;
    assert(n >= 0, 'a page is unmapped more often than it was mapped');
    this.mapcount[f] = n;
    return n;
  }
}
