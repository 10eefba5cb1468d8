// Readahead: which pages of a file come into memory besides those that are asked for.
// Models   linux@v6.1 mm/readahead.c: ondemand_readahead, do_page_cache_ra,
//          page_cache_ra_unbounded, get_init_ra_size, get_next_ra_size, try_context_readahead;
//          mm/filemap.c: do_sync_mmap_readahead, do_async_mmap_readahead.
// Omits    MADV_RANDOM and MADV_SEQUENTIAL, requests larger than a disk takes at once: programs
//          read at most a window at a time.
// Holds    PGC2 pages come in ascending order, until one cannot be had; no page past the end of the
//          file comes.
import { __GFP_NORETRY, __GFP_NOWARN, GFP_HIGHUSER_MOVABLE } from '../mm/gfp.ts';
import type { FileInode, Readahead } from './file_inode.ts';
import type { Kernel } from './kernel.ts';
import { addCachePage } from './page_cache.ts';
import type { Task } from './task.ts';

/** /sys/class/bdi/.../read_ahead_kb: 128. */
const READAHEAD_BYTES = 128 * 1024;
/** Faults without luck after which an open file is read without readahead. */
const MMAP_LOTSAMISS = 100;

/** Requests of readahead give up early and complain to nobody (readahead_gfp_mask). */
const GFP_READAHEAD = GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | __GFP_NOWARN;

/** Pages of the largest window (bdi->ra_pages). */
export const windowPages = (k: Kernel): number =>
  Math.max(1, Math.floor(READAHEAD_BYTES / k.mem.pageBytes));

function firstSize(nrAsked: number, most: number): number {
  let size = 1;
  while (size < nrAsked) size *= 2;
  if (size <= most / 32) return size * 4;
  return size <= most / 4 ? size * 2 : most;
}

function nextSize(ra: Readahead, most: number): number {
  if (ra.size < most / 16) return 4 * ra.size;
  return ra.size <= most / 2 ? 2 * ra.size : most;
}

/** Who reads what: the parts that stay the same through one call or fault. */
export interface FileReader {
  readonly k: Kernel;
  readonly task: Task;
  readonly inode: FileInode;
  readonly ra: Readahead;
}

/** Brings pages [start, start + nr) in as far as the file goes; page nr - lookahead is marked. */
export function bringPages(r: FileReader, start: number, nr: number, lookahead: number): void {
  const { inode } = r;
  const end = Math.min(start + nr, inode.nrPages);
  const count = end - start;
  for (let i = 0; i < count; i++) {
    const index = start + i;
    if (inode.page(index) !== undefined) continue;
    if (addCachePage(r.k, r.task, inode, index, GFP_READAHEAD) === undefined) return;
    if (i === count - lookahead) inode.marks.add(index);
  }
}

/**
 * Decides on a window and brings it in.
 * @param index page that is asked for, and is not there, or is marked when `isMarked`.
 * @param nrAsked pages that the reader wants from there on.
 */
function onDemand(r: FileReader, index: number, nrAsked: number, isMarked: boolean): void {
  const { k, ra } = r;
  const most = windowPages(k);
  const isFresh = decideWindow(r, index, nrAsked, isMarked, most);
  if (isFresh === undefined) return;
  if (!isFresh) {
    bringPages(r, index, nrAsked, 0);
    return;
  }
  if (index === ra.start && ra.size === ra.asyncSize) {
    const more = nextSize(ra, most);
    if (ra.size + more <= most) {
      ra.asyncSize = more;
      ra.size += more;
    } else {
      ra.size = most;
      ra.asyncSize = most >> 1;
    }
  }
  bringPages(r, ra.start, ra.size, ra.asyncSize);
}

/** Sets the window. True: it is to come in; false: just what was asked; undefined: nothing. */
function decideWindow(
  r: FileReader,
  index: number,
  nrAsked: number,
  isMarked: boolean,
  most: number,
): boolean | undefined {
  const { k, inode, ra } = r;
  const isNext = index === ra.start + ra.size - ra.asyncSize || index === ra.start + ra.size;
  if (index !== 0 && isNext) {
    ra.start += ra.size;
    ra.size = nextSize(ra, most);
    ra.asyncSize = ra.size;
    return true;
  }
  if (index !== 0 && isMarked) {
    const start = inode.nextMiss(index + 1, most);
    if (start - index > most) return undefined;
    ra.start = start;
    ra.size = start - index + nrAsked;
    ra.size = nextSize(ra, most);
    ra.asyncSize = ra.size;
    return true;
  }
  const prev = ra.prevPos < 0 ? Infinity : Math.floor(ra.prevPos / k.mem.pageBytes);
  const isSequential = index === prev || index === prev + 1;
  if (index === 0 || nrAsked > most || isSequential) {
    ra.start = index;
    ra.size = firstSize(nrAsked, most);
    ra.asyncSize = ra.size > nrAsked ? ra.size - nrAsked : ra.size;
    return true;
  }
  const before = index - 1 - inode.prevMiss(index - 1, most);
  if (before <= nrAsked) return false;
  ra.start = index;
  ra.size = Math.min((before >= index ? before * 2 : before) + nrAsked, most);
  ra.asyncSize = 1;
  return true;
}

/** A read met a page that is not there (page_cache_sync_ra). */
export function syncReadahead(r: FileReader, index: number, nrAsked: number): void {
  onDemand(r, index, nrAsked, false);
}

/** A reader met a marked page: the next window comes in (page_cache_async_ra). */
export function asyncReadahead(r: FileReader, index: number, nrAsked: number): void {
  r.inode.marks.delete(index);
  onDemand(r, index, nrAsked, true);
}

/**
 * A fault met a page that is not there: half a window before it and half behind come in, unless the
 * file has seen too many such faults.
 */
export function faultReadahead(r: FileReader, index: number): void {
  const { k, ra } = r;
  if (ra.mmapMiss < MMAP_LOTSAMISS * 10) ra.mmapMiss++;
  if (ra.mmapMiss > MMAP_LOTSAMISS) return;
  const most = windowPages(k);
  ra.start = Math.max(0, index - Math.floor(most / 2));
  ra.size = most;
  ra.asyncSize = Math.floor(most / 4);
  bringPages(r, ra.start, ra.size, ra.asyncSize);
}
