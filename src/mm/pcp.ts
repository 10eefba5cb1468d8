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

const NO_ENTRIES = new Int32Array(0);
const SMALLEST_RING = 64;

export class PerCpuLists {
  readonly #buddy: Buddy;
  readonly #nrCpus: number;
  readonly #high: Int32Array;
  /** Pages on the lists of a zone and CPU, by zone * nrCpus + cpu. */
  readonly #count: Int32Array;
  readonly #freeFactor: Uint8Array;
  readonly #head: Int32Array;
  readonly #tail: Int32Array;
  readonly #entries: Int32Array[];

  constructor(buddy: Buddy, nrCpus: number) {
    this.#buddy = buddy;
    this.#nrCpus = nrCpus;
    this.#high = buddy.zones.pcpHigh;
    const nrLists = buddy.zones.nr * nrCpus;
    this.#count = new Int32Array(nrLists);
    this.#freeFactor = new Uint8Array(nrLists);
    this.#head = new Int32Array(nrLists * NR_PCP_LISTS);
    this.#tail = new Int32Array(nrLists * NR_PCP_LISTS);
    this.#entries = new Array(nrLists * NR_PCP_LISTS).fill(NO_ENTRIES);
  }

  /** Pages of a zone on all CPUs' lists. */
  countOf(z: number): number {
    let n = 0;
    for (let cpu = 0; cpu < this.#nrCpus; cpu++) n += this.#count[z * this.#nrCpus + cpu] as number;
    return n;
  }

  /** Makes room for `count` more blocks in a ring; its blocks move to the start. */
  #reserve(ring: number, count: number): void {
    const old = this.#entries[ring] as Int32Array;
    const head = this.#head[ring] as number;
    const held = (this.#tail[ring] as number) - head;
    if (held + count <= old.length) return;
    let size = Math.max(old.length, SMALLEST_RING);
    while (size < held + count) size *= 2;
    const entries = new Int32Array(size);
    for (let i = 0; i < held; i++) entries[i] = old[(head + i) & (old.length - 1)] as number;
    this.#entries[ring] = entries;
    this.#head[ring] = 0;
    this.#tail[ring] = held;
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
    const ring = list * NR_PCP_LISTS + type;
    if (this.#head[ring] === this.#tail[ring] && !this.#refill(z, list, ring, type, allocFlags)) {
      return 0;
    }
    const head = this.#head[ring] as number;
    const n = Math.min(want, (this.#tail[ring] as number) - head);
    const factor = this.#freeFactor[list] as number;
    if (factor > 0) this.#freeFactor[list] = n < 8 ? factor >> n : 0;
    const entries = this.#entries[ring] as Int32Array;
    const mask = entries.length - 1;
    if (n === 1) out[0] = entries[head & mask] as number;
    else for (let i = 0; i < n; i++) out[i] = entries[(head + i) & mask] as number;
    this.#head[ring] = head + n;
    this.#count[list] = (this.#count[list] as number) - n;
    return n;
  }

  /** Takes a batch from the buddy lists into an empty ring; false when there is none. */
  #refill(z: ZoneIndex, list: number, ring: number, type: number, allocFlags: number): boolean {
    const batch = this.#buddy.zones.pcpBatch[z] as number;
    this.#head[ring] = 0;
    this.#tail[ring] = 0;
    this.#reserve(ring, batch);
    const entries = this.#entries[ring] as Int32Array;
    const got = this.#buddy.allocBulk(z, batch, type, allocFlags, entries);
    this.#tail[ring] = got;
    this.#count[list] = (this.#count[list] as number) + got;
    return got > 0;
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
    const ring = list * NR_PCP_LISTS + order * MIGRATE_PCPTYPES + type;
    if (this.#head[ring] === this.#tail[ring]) {
      const batch = this.#buddy.zones.pcpBatch[z] as number;
      const want = batch > 1 ? Math.max(batch >> order, 2) : batch;
      this.#head[ring] = 0;
      this.#tail[ring] = 0;
      this.#reserve(ring, want);
      const entries = this.#entries[ring] as Int32Array;
      let got = 0;
      for (; got < want; got++) {
        const block = this.#buddy.alloc(z, order, type, allocFlags);
        if (block === NIL) break;
        entries[got] = block;
      }
      if (got === 0) return NIL;
      this.#tail[ring] = got;
      this.#count[list] = (this.#count[list] as number) + (got << order);
    }
    const entries = this.#entries[ring] as Int32Array;
    const head = this.#head[ring] as number;
    this.#head[ring] = head + 1;
    this.#count[list] = (this.#count[list] as number) - (1 << order);
    this.#freeFactor[list] = (this.#freeFactor[list] as number) >> 1;
    return entries[head & (entries.length - 1)] as Frame;
  }

  /** Gives a frame back; when the lists are full, their oldest frames go to the buddy lists. */
  put(z: ZoneIndex, cpu: number, type: number, f: Frame): void {
    const list = z * this.#nrCpus + cpu;
    this.#push(list * NR_PCP_LISTS + type, f);
    const count = (this.#count[list] as number) + 1;
    this.#count[list] = count;
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
    const pindex = order * MIGRATE_PCPTYPES + type;
    this.#push(list * NR_PCP_LISTS + pindex, block);
    const count = (this.#count[list] as number) + (1 << order);
    this.#count[list] = count;
    if ((this.#freeFactor[list] as number) > 0) this.#freeBulk(z, list, count, pindex);
    else if (count >= (this.#high[z] as number)) {
      this.#freeBulk(z, list, this.#nrToFree(z, list), pindex);
    }
  }

  #push(ring: number, f: Frame): void {
    let entries = this.#entries[ring] as Int32Array;
    let head = this.#head[ring] as number;
    if ((this.#tail[ring] as number) - head === entries.length) {
      this.#reserve(ring, 1);
      entries = this.#entries[ring] as Int32Array;
      head = this.#head[ring] as number;
    }
    if (head === 0) {
      head = entries.length;
      this.#tail[ring] = (this.#tail[ring] as number) + head;
    }
    head--;
    this.#head[ring] = head;
    entries[head & (entries.length - 1)] = f;
  }

  /** How many pages leave full lists: a batch, doubled each time in a row (nr_pcp_free). */
  #nrToFree(z: ZoneIndex, list: number): number {
    const high = this.#high[z] as number;
    const batch = this.#buddy.zones.pcpBatch[z] as number;
    if (high < batch) return 1;
    const most = high - batch;
    const factor = this.#freeFactor[list] as number;
    const scaled = batch << factor;
    if (scaled < most) this.#freeFactor[list] = factor + 1;
    return Math.min(Math.max(scaled, batch), most);
  }

  /**
   * Frees `count` pages from the tails, starting with the list just used, then the others in turn.
   */
  #freeBulk(z: ZoneIndex, list: number, count: number, pindex: number): void {
    let left = Math.min(count, this.#count[list] as number);
    for (let p = pindex; left > 0; p = (p + 1) % NR_PCP_LISTS) {
      const ring = list * NR_PCP_LISTS + p;
      const order = Math.floor(p / MIGRATE_PCPTYPES);
      const entries = this.#entries[ring] as Int32Array;
      const mask = entries.length - 1;
      const head = this.#head[ring] as number;
      let tail = this.#tail[ring] as number;
      let freed = 0;
      while (freed < left && tail > head) {
        tail--;
        const f = entries[tail & mask] as Frame;
        this.#buddy.free(z, f, order, this.#buddy.pageblockType(f));
        freed += 1 << order;
      }
      this.#tail[ring] = tail;
      this.#count[list] = (this.#count[list] as number) - freed;
      left -= freed;
    }
  }

  /** Returns every block of a zone on every CPU to the buddy lists (drain_all_pages). */
  drain(z: ZoneIndex): void {
    for (let cpu = 0; cpu < this.#nrCpus; cpu++) {
      const list = z * this.#nrCpus + cpu;
      this.#freeBulk(z, list, this.#count[list] as number, 0);
      assert(this.#count[list] === 0);
    }
  }

  /** Visits every block on a list, for checkers; `type` is the list's migrate type. */
  forEach(visit: (z: number, cpu: number, type: number, f: Frame, order: number) => void): void {
    this.#entries.forEach((entries, ring) => {
      const list = Math.floor(ring / NR_PCP_LISTS);
      const pindex = ring % NR_PCP_LISTS;
      for (let i = this.#head[ring] as number; i < (this.#tail[ring] as number); i++) {
        const f = entries[i & (entries.length - 1)] as Frame;
        const z = Math.floor(list / this.#nrCpus);
        const order = Math.floor(pindex / MIGRATE_PCPTYPES);
        visit(z, list % this.#nrCpus, pindex % MIGRATE_PCPTYPES, f, order);
      }
    });
  }
}
