// Files of a disk: the pages of them that are in memory, and what an open file remembers of how it
// was read.
// Models   linux@v6.1 include/linux/fs.h: struct address_space, struct file_ra_state; mm/filemap.c:
//          page_cache_next_miss, page_cache_prev_miss.
// Omits    pages of more than one frame (this file system has none), shadow entries of pages that
//          reclaim took.
// State    pages: frame + 1 by page number, 0 when not there, in chunks that are made when used.
// Holds    PGC1 a page of the cache is in one slot of one file.
import type { Frame } from '../base/ids.ts';

const CHUNK_SHIFT = 10;
const CHUNK_PAGES = 1 << CHUNK_SHIFT;

export class FileInode {
  readonly id: number;
  readonly ino: number;
  readonly name: string;
  /** Size of the file. */
  nrPages: number;
  /** It still has a name. */
  isLinked = true;
  /** Pages of it in memory. */
  nrCached = 0;
  /** A page of it was lost unwritten, and nobody has heard of that yet (mapping_set_error). */
  hasLostPages = false;
  /** Pages whose reading starts the next readahead (PG_readahead). */
  readonly marks = new Set<number>();
  readonly #chunks = new Map<number, Uint32Array>();

  constructor(id: number, ino: number, name: string, nrPages: number) {
    this.id = id;
    this.ino = ino;
    this.name = name;
    this.nrPages = nrPages;
  }

  /** The frame of a page, or undefined when it is not in memory. */
  page(index: number): Frame | undefined {
    const stored = this.#chunks.get(index >> CHUNK_SHIFT)?.[index & (CHUNK_PAGES - 1)] ?? 0;
    return stored === 0 ? undefined : ((stored - 1) as Frame);
  }

  setPage(index: number, f: Frame): void {
    const key = index >> CHUNK_SHIFT;
    let chunk = this.#chunks.get(key);
    if (chunk === undefined) {
      chunk = new Uint32Array(CHUNK_PAGES);
      this.#chunks.set(key, chunk);
    }
    const at = index & (CHUNK_PAGES - 1);
    if (chunk[at] === 0) this.nrCached++;
    chunk[at] = f + 1;
  }

  /** Takes a page that is there out of the cache. */
  removePage(index: number): void {
    const chunk = this.#chunks.get(index >> CHUNK_SHIFT) as Uint32Array;
    chunk[index & (CHUNK_PAGES - 1)] = 0;
    this.marks.delete(index);
    this.nrCached--;
  }

  /** Visits pages [start, end) that are in memory, in order. */
  forEachPage(visit: (index: number, f: Frame) => void, start = 0, end = Infinity): void {
    const keys = [...this.#chunks.keys()].sort((a, b) => a - b);
    for (const key of keys) {
      const chunk = this.#chunks.get(key) as Uint32Array;
      const first = key << CHUNK_SHIFT;
      const from = Math.max(0, start - first);
      const to = Math.min(CHUNK_PAGES, end - first);
      for (let i = from; i < to; i++) {
        const stored = chunk[i] as number;
        if (stored !== 0) visit(first + i, (stored - 1) as Frame);
      }
    }
  }

  /** First page from `index` on, of at most `most`, that is not there (page_cache_next_miss). */
  nextMiss(index: number, most: number): number {
    let i = index;
    while (i < index + most && this.page(i) !== undefined) i++;
    return i;
  }

  /** The same downward; -1 where all are there down to the first page (page_cache_prev_miss). */
  prevMiss(index: number, most: number): number {
    let i = index;
    while (i >= 0 && i > index - most && this.page(i) !== undefined) i--;
    return i;
  }
}

/** What an open file remembers: the window of its last readahead (struct file_ra_state). */
export interface Readahead {
  start: number;
  size: number;
  asyncSize: number;
  /** Byte behind the last read, -1 before the first. */
  prevPos: number;
  /** Faults that found nothing less those that did. */
  mmapMiss: number;
}

export const newReadahead = (): Readahead => ({
  start: 0,
  size: 0,
  asyncSize: 0,
  prevPos: -1,
  mmapMiss: 0,
});
