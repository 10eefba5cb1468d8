// Per-CPU lists: each CPU keeps a few frames of each zone and migrate type at hand, so that most
// requests touch no zone state.
// Models   linux@v6.1 mm/page_alloc.c: rmqueue_pcplist, __rmqueue_pcplist, free_unref_page_commit,
//          nr_pcp_free, free_pcppages_bulk, drain_pages.
// Omits    the list of huge pages: such requests go to the buddy lists (SPEC DEV-4).
// State    One ring of blocks per zone, CPU, order 0..3 and type, ring = (zone * nrCpus + cpu) * 12
//          + order * 3 + type: entries [head, tail) modulo its size, a power of two. Blocks are
//          taken from and returned to the head, refilled and drained at the tail. A ring gets its
//          entries when first used; the count of a CPU's lists is in pages.
// Holds    PCP1 a CPU holds fewer than pcpHigh pages of a zone after a free.
import { assert } from '../base/assert.ts';
import type { Frame, ZoneIndex } from '../base/ids.ts';
import type { Buddy } from './buddy.ts';
import { MIGRATE_PCPTYPES } from './gfp.ts';
import { NIL } from './memmap.ts';

/** Blocks up to this order have per-CPU lists (pcp_allowed_order). */
export const PAGE_ALLOC_COSTLY_ORDER = 3;
const NR_PCP_LISTS = (PAGE_ALLOC_COSTLY_ORDER + 1) * MIGRATE_PCPTYPES;

const CTL_COUNT = 0;
const CTL_FREE_FACTOR = 1;
const CTL_RINGS = 2;
const CTL_WORDS = CTL_RINGS + 2 * NR_PCP_LISTS;

const NO_ENTRIES = new Int32Array(0);
const SMALLEST_RING = 64;

export class PerCpuLists {
  readonly #buddy: Buddy;
  readonly #nrCpus: number;
  readonly #high: Int32Array;
  /**
   * A stretch of CTL_WORDS words for each zone and CPU: pages on its lists, free factor, then head
   * and tail of each ring. One array, because every request looks at all of these.
   */
  readonly #ctl: Int32Array;
  readonly #entries: Int32Array[];

  constructor(buddy: Buddy, nrCpus: number) {
    this.#buddy = buddy;
    this.#nrCpus = nrCpus;
    this.#high = buddy.zones.pcpHigh;
    const nrLists = buddy.zones.nr * nrCpus;
    this.#ctl = new Int32Array(nrLists * CTL_WORDS);
    this.#entries = new Array(nrLists * NR_PCP_LISTS).fill(NO_ENTRIES);
  }

  /** Pages of a zone on all CPUs' lists. */
  countOf(z: number): number {
    let n = 0;
    for (let cpu = 0; cpu < this.#nrCpus; cpu++) {
      n += this.#ctl[(z * this.#nrCpus + cpu) * CTL_WORDS + CTL_COUNT] as number;
    }
    return n;
  }

  /** Makes room for `count` more blocks in ring `p` of a list; its blocks move to the start. */
  #reserve(list: number, p: number, count: number): void {
    const ctl = this.#ctl;
    const at = list * CTL_WORDS + CTL_RINGS + 2 * p;
    const ring = list * NR_PCP_LISTS + p;
    const old = this.#entries[ring] as Int32Array;
    const head = ctl[at] as number;
    const held = (ctl[at + 1] as number) - head;
    if (held + count <= old.length) return;
    let size = Math.max(old.length, SMALLEST_RING);
    while (size < held + count) size *= 2;
    const entries = new Int32Array(size);
    for (let i = 0; i < held; i++) entries[i] = old[(head + i) & (old.length - 1)] as number;
    this.#entries[ring] = entries;
    ctl[at] = 0;
    ctl[at + 1] = held;
  }

  /**
   * Takes up to `want` frames into `out`, refilling the list at most once: all of them are what
   * that many single requests would get whose other decisions are the same. Returns how many; 0
   * when the zone has no frame for this type.
   */
  take(
    z: ZoneIndex,
    cpu: number,
    type: number,
    allocFlags: number,
    want: number,
    out: Int32Array,
  ): number {
    const list = z * this.#nrCpus + cpu;
    const ctl = this.#ctl;
    const base = list * CTL_WORDS;
    const at = base + CTL_RINGS + 2 * type;
    if (ctl[at] === ctl[at + 1] && this.#refill(z, list, 0, type, allocFlags) === 0) return 0;
    const head = ctl[at] as number;
    const n = Math.min(want, (ctl[at + 1] as number) - head);
    const factor = ctl[base + CTL_FREE_FACTOR] as number;
    if (factor > 0) ctl[base + CTL_FREE_FACTOR] = n < 8 ? factor >> n : 0;
    const entries = this.#entries[list * NR_PCP_LISTS + type] as Int32Array;
    const mask = entries.length - 1;
    if (n === 1) out[0] = entries[head & mask] as number;
    else for (let i = 0; i < n; i++) out[i] = entries[(head + i) & mask] as number;
    ctl[at] = head + n;
    ctl[base + CTL_COUNT] = (ctl[base + CTL_COUNT] as number) - n;
    return n;
  }

  /** Takes one block of order 1..3, or NIL when the zone has none for this type. */
  takeBlock(
    z: ZoneIndex,
    cpu: number,
    order: number,
    type: number,
    allocFlags: number,
  ): Frame | typeof NIL {
    const list = z * this.#nrCpus + cpu;
    const ctl = this.#ctl;
    const base = list * CTL_WORDS;
    const p = order * MIGRATE_PCPTYPES + type;
    const at = base + CTL_RINGS + 2 * p;
    if (ctl[at] === ctl[at + 1] && this.#refill(z, list, order, type, allocFlags) === 0) return NIL;
    const entries = this.#entries[list * NR_PCP_LISTS + p] as Int32Array;
    const head = ctl[at] as number;
    ctl[at] = head + 1;
    ctl[base + CTL_COUNT] = (ctl[base + CTL_COUNT] as number) - (1 << order);
    ctl[base + CTL_FREE_FACTOR] = (ctl[base + CTL_FREE_FACTOR] as number) >> 1;
    return entries[head & (entries.length - 1)] as Frame;
  }

  /** Takes a batch from the buddy lists into an empty ring. Returns how many blocks. */
  #refill(z: ZoneIndex, list: number, order: number, type: number, allocFlags: number): number {
    const ctl = this.#ctl;
    const p = order * MIGRATE_PCPTYPES + type;
    const base = list * CTL_WORDS;
    const at = base + CTL_RINGS + 2 * p;
    const batch = this.#buddy.zones.pcpBatch[z] as number;
    const want = order > 0 && batch > 1 ? Math.max(batch >> order, 2) : batch;
    ctl[at] = 0;
    ctl[at + 1] = 0;
    this.#reserve(list, p, want);
    const entries = this.#entries[list * NR_PCP_LISTS + p] as Int32Array;
    let got = 0;
    if (order === 0) got = this.#buddy.allocBulk(z, want, type, allocFlags, entries);
    else {
      for (; got < want; got++) {
        const block = this.#buddy.alloc(z, order, type, allocFlags);
        if (block === NIL) break;
        entries[got] = block;
      }
    }
    ctl[at + 1] = got;
    ctl[base + CTL_COUNT] = (ctl[base + CTL_COUNT] as number) + (got << order);
    return got;
  }

  /** Gives a frame back; when the lists are full, their oldest frames go to the buddy lists. */
  put(z: ZoneIndex, cpu: number, type: number, f: Frame): void {
    const list = z * this.#nrCpus + cpu;
    const count = this.#push(list, type, f, 1);
    if (count >= (this.#high[z] as number)) {
      this.#freeBulk(z, list, this.#nrToFree(z, list), type);
    }
  }

  /**
   * Gives a block of order 1..3 back. While frames have lately been freed in a row, everything on
   * the lists goes to the buddy lists, so that blocks merge (free_high).
   */
  putBlock(z: ZoneIndex, cpu: number, order: number, type: number, block: Frame): void {
    const list = z * this.#nrCpus + cpu;
    const p = order * MIGRATE_PCPTYPES + type;
    const count = this.#push(list, p, block, 1 << order);
    const factor = this.#ctl[list * CTL_WORDS + CTL_FREE_FACTOR] as number;
    if (factor > 0) this.#freeBulk(z, list, count, p);
    else if (count >= (this.#high[z] as number)) {
      this.#freeBulk(z, list, this.#nrToFree(z, list), p);
    }
  }

  /** Puts a block at the head of ring `p`. Returns the pages on the CPU's lists now. */
  #push(list: number, p: number, f: Frame, nrPages: number): number {
    const ctl = this.#ctl;
    const base = list * CTL_WORDS;
    const at = base + CTL_RINGS + 2 * p;
    const ring = list * NR_PCP_LISTS + p;
    let entries = this.#entries[ring] as Int32Array;
    let head = ctl[at] as number;
    if ((ctl[at + 1] as number) - head === entries.length) {
      this.#reserve(list, p, 1);
      entries = this.#entries[ring] as Int32Array;
      head = ctl[at] as number;
    }
    if (head === 0) {
      head = entries.length;
      ctl[at + 1] = (ctl[at + 1] as number) + head;
    }
    head--;
    ctl[at] = head;
    entries[head & (entries.length - 1)] = f;
    const count = (ctl[base + CTL_COUNT] as number) + nrPages;
    ctl[base + CTL_COUNT] = count;
    return count;
  }

  /** How many pages leave full lists: a batch, doubled each time in a row (nr_pcp_free). */
  #nrToFree(z: ZoneIndex, list: number): number {
    const high = this.#high[z] as number;
    const batch = this.#buddy.zones.pcpBatch[z] as number;
    if (high < batch) return 1;
    const at = list * CTL_WORDS + CTL_FREE_FACTOR;
    const most = high - batch;
    const factor = this.#ctl[at] as number;
    const scaled = batch << factor;
    if (scaled < most) this.#ctl[at] = factor + 1;
    return Math.min(Math.max(scaled, batch), most);
  }

  /**
   * Frees `count` pages from the tails, starting with the list just used, then the others in turn.
   */
  #freeBulk(z: ZoneIndex, list: number, count: number, first: number): void {
    const ctl = this.#ctl;
    const base = list * CTL_WORDS;
    let left = Math.min(count, ctl[base + CTL_COUNT] as number);
    for (let p = first; left > 0; p = (p + 1) % NR_PCP_LISTS) {
      const at = base + CTL_RINGS + 2 * p;
      const order = Math.floor(p / MIGRATE_PCPTYPES);
      const entries = this.#entries[list * NR_PCP_LISTS + p] as Int32Array;
      const mask = entries.length - 1;
      const head = ctl[at] as number;
      let tail = ctl[at + 1] as number;
      let freed = 0;
      while (freed < left && tail > head) {
        tail--;
        const f = entries[tail & mask] as Frame;
        this.#buddy.free(z, f, order, this.#buddy.pageblockType(f));
        freed += 1 << order;
      }
      ctl[at + 1] = tail;
      ctl[base + CTL_COUNT] = (ctl[base + CTL_COUNT] as number) - freed;
      left -= freed;
    }
  }

  /** Returns every block of a zone on every CPU to the buddy lists (drain_all_pages). */
  drain(z: ZoneIndex): void {
    for (let cpu = 0; cpu < this.#nrCpus; cpu++) {
      const list = z * this.#nrCpus + cpu;
      const at = list * CTL_WORDS + CTL_COUNT;
      this.#freeBulk(z, list, this.#ctl[at] as number, 0);
      assert(this.#ctl[at] === 0);
    }
  }

  /** Visits every block on a list, for checkers; `type` is the list's migrate type. */
  forEach(visit: (z: number, cpu: number, type: number, f: Frame, order: number) => void): void {
    this.#entries.forEach((entries, ring) => {
      const list = Math.floor(ring / NR_PCP_LISTS);
      const p = ring % NR_PCP_LISTS;
      const at = list * CTL_WORDS + CTL_RINGS + 2 * p;
      for (let i = this.#ctl[at] as number; i < (this.#ctl[at + 1] as number); i++) {
        const f = entries[i & (entries.length - 1)] as Frame;
        const z = Math.floor(list / this.#nrCpus);
        const order = Math.floor(p / MIGRATE_PCPTYPES);
        visit(z, list % this.#nrCpus, p % MIGRATE_PCPTYPES, f, order);
      }
    });
  }
}
