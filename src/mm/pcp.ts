// Per-CPU lists: each CPU keeps a few frames of each zone and migrate type at hand, so that most
// requests touch no zone state.
// Models   linux@v6.1 mm/page_alloc.c: rmqueue_pcplist, __rmqueue_pcplist, free_unref_page_commit,
//          nr_pcp_free, free_pcppages_bulk, drain_pages.
// State    One array of words. First a stretch of CTL_WORDS for each zone and CPU: pages on its
//          lists, the most it may hold, free factor, then four words for each of its rings: one a
//          block order 0..3 and type (ring = order * 3 + type), and one for whole page blocks of
//          any type. Behind them lie the rings: blocks words[base + (i & mask)] for i in
//          [head, tail). A ring's size, mask + 1, is a power of two, and 0 until it is first used.
//          Blocks are taken from and returned to the head, refilled and drained at the tail. Head
//          and tail wrap at 32 bits.
// Holds    PCP1 a CPU holds fewer than pcpHigh pages of a zone after a free.
import { assert } from '../base/assert.ts';
import type { Brand, Frame, ZoneIndex } from '../base/ids.ts';
import type { Buddy } from './buddy.ts';
import { MIGRATE_PCPTYPES } from './gfp.ts';
import { NIL } from './memmap.ts';

/** The lists of one zone and CPU: where their control words start. */
export type CpuList = Brand<number, 'CpuList'>;

/** Blocks up to this order, and whole page blocks, have per-CPU lists (pcp_allowed_order). */
export const PAGE_ALLOC_COSTLY_ORDER = 3;
/** The ring of whole page blocks, which huge pages are (NR_PCP_THP). */
const PAGEBLOCK_RING = (PAGE_ALLOC_COSTLY_ORDER + 1) * MIGRATE_PCPTYPES;
const NR_PCP_LISTS = PAGEBLOCK_RING + 1;

const CTL_COUNT = 0;
const CTL_HIGH = 1;
const CTL_FREE_FACTOR = 2;
const CTL_RINGS = 3;
const RING_HEAD = 0;
const RING_TAIL = 1;
const RING_BASE = 2;
const RING_MASK = 3;
const RING_WORDS = 4;
const CTL_WORDS = CTL_RINGS + RING_WORDS * NR_PCP_LISTS;

const SMALLEST_RING = 64;

export class PerCpuLists {
  readonly #buddy: Buddy;
  readonly #nrCpus: number;
  readonly #pageblockOrder: number;
  /** One array, because every request looks at all of this. */
  #words: Int32Array;
  /** Words in use: control words, rings, and rings that were outgrown. */
  #nrUsed: number;

  constructor(buddy: Buddy, nrCpus: number) {
    this.#buddy = buddy;
    this.#nrCpus = nrCpus;
    this.#pageblockOrder = buddy.pageblockOrder;
    this.#nrUsed = buddy.zones.nr * nrCpus * CTL_WORDS;
    this.#words = new Int32Array(this.#nrUsed);
    for (const { base } of this.#eachList()) {
      for (let p = 0; p < NR_PCP_LISTS; p++) this.#words[ringAt(base, p) + RING_MASK] = -1;
    }
  }

  /** Are there lists for blocks of this order (pcp_allowed_order)? */
  hasListsFor(order: number): boolean {
    return order <= PAGE_ALLOC_COSTLY_ORDER || order === this.#pageblockOrder;
  }

  #ringFor(order: number, type: number): number {
    return order > PAGE_ALLOC_COSTLY_ORDER ? PAGEBLOCK_RING : order * MIGRATE_PCPTYPES + type;
  }

  /** Order of the blocks of a ring. */
  #orderOf(ring: number): number {
    return ring === PAGEBLOCK_RING ? this.#pageblockOrder : Math.floor(ring / MIGRATE_PCPTYPES);
  }

  /** Takes over how many pages a CPU may hold of each zone (pageset_update). */
  updateHigh(): void {
    const { pcpHigh } = this.#buddy.zones;
    for (const { z, base } of this.#eachList()) {
      this.#words[base + CTL_HIGH] = pcpHigh[z] as number;
    }
  }

  /** Pages of a zone on all CPUs' lists. */
  countOf(z: number): number {
    let n = 0;
    for (let cpu = 0; cpu < this.#nrCpus; cpu++) {
      n += this.#words[this.listOf(z, cpu) + CTL_COUNT] as number;
    }
    return n;
  }

  /** Pages of a zone on the lists of one CPU. */
  countOn(z: number, cpu: number): number {
    return this.#words[this.listOf(z, cpu) + CTL_COUNT] as number;
  }

  listOf(z: number, cpu: number): CpuList {
    return ((z * this.#nrCpus + cpu) * CTL_WORDS) as CpuList;
  }

  *#eachList(): Generator<{ z: number; cpu: number; base: CpuList }> {
    for (let z = 0; z < this.#buddy.zones.nr; z++) {
      for (let cpu = 0; cpu < this.#nrCpus; cpu++) yield { z, cpu, base: this.listOf(z, cpu) };
    }
  }

  /** Makes room for `count` more blocks in the ring at `at`; its blocks move to the start. */
  #reserve(at: number, count: number): void {
    const words = this.#words;
    const head = words[at + RING_HEAD] as number;
    const held = ((words[at + RING_TAIL] as number) - head) | 0;
    const oldMask = words[at + RING_MASK] as number;
    if (held + count <= oldMask + 1) return;
    let size = Math.max(oldMask + 1, SMALLEST_RING);
    while (size < held + count) size *= 2;
    const base = this.#nrUsed;
    this.#nrUsed += size;
    if (this.#nrUsed > words.length) {
      this.#words = new Int32Array(Math.max(2 * words.length, this.#nrUsed));
      this.#words.set(words);
    }
    const grown = this.#words;
    const oldBase = words[at + RING_BASE] as number;
    for (let i = 0; i < held; i++) {
      grown[base + i] = words[oldBase + ((head + i) & oldMask)] as number;
    }
    grown[at + RING_HEAD] = 0;
    grown[at + RING_TAIL] = held;
    grown[at + RING_BASE] = base;
    grown[at + RING_MASK] = size - 1;
  }

  /**
   * Takes up to `want` frames into `out`, from its place `at` on, refilling the list at most once:
   * all of them are what that many single requests would get whose other decisions are the same.
   * Returns how many; 0 when the zone has no frame for this type. `base` is listOf(zone, CPU).
   * @param mark free pages of the zone at which the next request looks elsewhere: a refill that
   *   takes the zone down to it gives one frame, and leaves the rest to whoever comes. So does one
   *   for which marks were raised, since the next request comes after the daemon.
   */
  take(
    z: ZoneIndex,
    base: CpuList,
    type: number,
    allocFlags: number,
    want: number,
    out: Int32Array,
    at: number,
    mark: number,
  ): number {
    let words = this.#words;
    const ctl = ringAt(base, type);
    if (words[ctl + RING_HEAD] === words[ctl + RING_TAIL]) {
      if (this.#refill(z, base, type, 0, type, allocFlags) === 0) return 0;
      words = this.#words;
      const { zones, boostedZone } = this.#buddy;
      if ((zones.free[z] as number) <= mark || boostedZone !== NIL) want = 1;
    }
    const head = words[ctl + RING_HEAD] as number;
    const n = Math.min(want, ((words[ctl + RING_TAIL] as number) - head) | 0);
    const factor = words[base + CTL_FREE_FACTOR] as number;
    if (factor > 0) words[base + CTL_FREE_FACTOR] = n < 8 ? factor >> n : 0;
    const ring = words[ctl + RING_BASE] as number;
    const mask = words[ctl + RING_MASK] as number;
    for (let i = 0; i < n; i++) out[at + i] = words[ring + ((head + i) & mask)] as number;
    words[ctl + RING_HEAD] = head + n;
    words[base + CTL_COUNT] = (words[base + CTL_COUNT] as number) - n;
    return n;
  }

  /** As take, refilling as often as the zone stays above `mark`. */
  takeAll(
    z: ZoneIndex,
    base: CpuList,
    type: number,
    allocFlags: number,
    want: number,
    out: Int32Array,
    mark: number,
  ): number {
    const buddy = this.#buddy;
    const { free } = buddy.zones;
    let n = 0;
    do {
      const got = this.take(z, base, type, allocFlags, want - n, out, n, mark);
      if (got === 0) break;
      n += got;
    } while (n < want && (free[z] as number) > mark && buddy.boostedZone === NIL);
    return n;
  }

  /** Takes the first frame of a list that need not be refilled; NIL where it is empty. */
  takeHead(base: CpuList, type: number): Frame | typeof NIL {
    const words = this.#words;
    const at = ringAt(base, type);
    const head = words[at + RING_HEAD] as number;
    if (head === words[at + RING_TAIL]) return NIL;
    words[at + RING_HEAD] = head + 1;
    words[base + CTL_COUNT] = (words[base + CTL_COUNT] as number) - 1;
    words[base + CTL_FREE_FACTOR] = (words[base + CTL_FREE_FACTOR] as number) >> 1;
    const i = (words[at + RING_BASE] as number) + (head & (words[at + RING_MASK] as number));
    return words[i] as Frame;
  }

  /** Takes one block of an order above 0, or NIL when the zone has none for this type. */
  takeBlock(
    z: ZoneIndex,
    cpu: number,
    order: number,
    type: number,
    allocFlags: number,
  ): Frame | typeof NIL {
    let words = this.#words;
    const base = this.listOf(z, cpu);
    const p = this.#ringFor(order, type);
    const at = ringAt(base, p);
    if (words[at + RING_HEAD] === words[at + RING_TAIL]) {
      if (this.#refill(z, base, p, order, type, allocFlags) === 0) return NIL;
      words = this.#words;
    }
    const head = words[at + RING_HEAD] as number;
    words[at + RING_HEAD] = head + 1;
    words[base + CTL_COUNT] = (words[base + CTL_COUNT] as number) - (1 << order);
    words[base + CTL_FREE_FACTOR] = (words[base + CTL_FREE_FACTOR] as number) >> 1;
    const i = (words[at + RING_BASE] as number) + (head & (words[at + RING_MASK] as number));
    return words[i] as Frame;
  }

  /** Takes a batch from the buddy lists into the empty ring `p`. Returns how many blocks. */
  #refill(
    z: ZoneIndex,
    base: CpuList,
    p: number,
    order: number,
    type: number,
    allocFlags: number,
  ): number {
    const at = ringAt(base, p);
    const batch = this.#buddy.zones.pcpBatch[z] as number;
    const want = order > 0 && batch > 1 ? Math.max(batch >> order, 2) : batch;
    this.#reserve(at, want);
    const words = this.#words;
    words[at + RING_HEAD] = 0;
    const ring = words[at + RING_BASE] as number;
    let got = 0;
    if (order === 0) {
      got = this.#buddy.allocBulk(z, want, type, allocFlags, words, ring);
    } else {
      for (; got < want; got++) {
        const block = this.#buddy.alloc(z, order, type, allocFlags);
        if (block === NIL) break;
        words[ring + got] = block;
      }
    }
    words[at + RING_TAIL] = got;
    words[base + CTL_COUNT] = (words[base + CTL_COUNT] as number) + (got << order);
    return got;
  }

  /** Gives a frame back; when the lists are full, their oldest frames go to the buddy lists. */
  put(z: ZoneIndex, cpu: number, type: number, f: Frame): void {
    const base = this.listOf(z, cpu);
    const count = this.#push(base, type, f, 1);
    if (count >= (this.#words[base + CTL_HIGH] as number)) {
      this.#freeBulk(z, base, this.#nrToFree(z, base), type);
    }
  }

  /** The same for frames[from..to), one after another. */
  putMany(
    z: ZoneIndex,
    cpu: number,
    type: number,
    frames: Int32Array,
    from: number,
    to: number,
  ): void {
    const base = this.listOf(z, cpu);
    const at = ringAt(base, type);
    for (let i = from; i < to; ) {
      const high = this.#words[base + CTL_HIGH] as number;
      const had = this.#words[base + CTL_COUNT] as number;
      const n = Math.min(to - i, Math.max(1, high - had));
      this.#reserve(at, n);
      const words = this.#words;
      const ring = words[at + RING_BASE] as number;
      const mask = words[at + RING_MASK] as number;
      let head = words[at + RING_HEAD] as number;
      for (const end = i + n; i < end; i++) {
        head = (head - 1) | 0;
        words[ring + (head & mask)] = frames[i] as number;
      }
      words[at + RING_HEAD] = head;
      words[base + CTL_COUNT] = had + n;
      if (had + n >= high) this.#freeBulk(z, base, this.#nrToFree(z, base), type);
    }
  }

  /**
   * Gives a block of an order above 0 back. While frames have lately been freed in a row, all that
   * is on the lists goes to the buddy lists with one of order 1..3, so that blocks merge
   * (free_high).
   */
  putBlock(z: ZoneIndex, cpu: number, order: number, type: number, block: Frame): void {
    const base = this.listOf(z, cpu);
    const p = this.#ringFor(order, type);
    const count = this.#push(base, p, block, 1 << order);
    const factor = this.#words[base + CTL_FREE_FACTOR] as number;
    if (factor > 0 && order <= PAGE_ALLOC_COSTLY_ORDER) this.#freeBulk(z, base, count, p);
    else if (count >= (this.#words[base + CTL_HIGH] as number)) {
      this.#freeBulk(z, base, this.#nrToFree(z, base), p);
    }
  }

  /** Puts a block at the head of ring `p`. Returns the pages on the CPU's lists now. */
  #push(base: CpuList, p: number, f: Frame, nrPages: number): number {
    let words = this.#words;
    const at = ringAt(base, p);
    let mask = words[at + RING_MASK] as number;
    let head = words[at + RING_HEAD] as number;
    if ((((words[at + RING_TAIL] as number) - head) | 0) > mask) {
      this.#reserve(at, 1);
      words = this.#words;
      mask = words[at + RING_MASK] as number;
      head = words[at + RING_HEAD] as number;
    }
    head = (head - 1) | 0;
    words[at + RING_HEAD] = head;
    words[(words[at + RING_BASE] as number) + (head & mask)] = f;
    const count = (words[base + CTL_COUNT] as number) + nrPages;
    words[base + CTL_COUNT] = count;
    return count;
  }

  /** How many pages leave full lists: a batch, doubled each time in a row (nr_pcp_free). */
  #nrToFree(z: ZoneIndex, base: CpuList): number {
    const high = this.#words[base + CTL_HIGH] as number;
    const batch = this.#buddy.zones.pcpBatch[z] as number;
    if (high < batch) return 1;
    const at = base + CTL_FREE_FACTOR;
    const most = high - batch;
    const factor = this.#words[at] as number;
    const scaled = batch << factor;
    if (scaled < most) this.#words[at] = factor + 1;
    return Math.min(Math.max(scaled, batch), most);
  }

  /**
   * Frees `count` pages from the tails, starting with the list just used, then the others in turn.
   */
  #freeBulk(z: ZoneIndex, base: CpuList, count: number, first: number): void {
    const words = this.#words;
    const blockPages = 1 << this.#pageblockOrder;
    let left = Math.min(count, words[base + CTL_COUNT] as number);
    for (let p = first; left > 0; p = (p + 1) % NR_PCP_LISTS) {
      const at = ringAt(base, p);
      const order = this.#orderOf(p);
      const ring = words[at + RING_BASE] as number;
      const mask = words[at + RING_MASK] as number;
      const head = words[at + RING_HEAD] as number;
      let tail = words[at + RING_TAIL] as number;
      let freed = 0;
      while (freed < left && tail !== head) {
        tail = (tail - 1) | 0;
        const f = words[ring + (tail & mask)] as Frame;
        const type = this.#buddy.pageblockType(f);
        if (order > 0) {
          this.#buddy.free(z, f, order, type);
          freed += 1 << order;
          continue;
        }
        // Frames that follow each other and make up a block merge into it with nobody else between.
        const most = Math.min(
          f === 0 ? 1 : f & -f,
          blockPages,
          left - freed,
          (tail - head + 1) | 0,
        );
        let n = 1;
        while (n < most && words[ring + ((tail - n) & mask)] === f + n) n++;
        const merged = 31 - Math.clz32(n);
        this.#buddy.free(z, f, merged, type);
        freed += 1 << merged;
        tail = (tail + 1 - (1 << merged)) | 0;
      }
      words[at + RING_TAIL] = tail;
      words[base + CTL_COUNT] = (words[base + CTL_COUNT] as number) - freed;
      left -= freed;
    }
  }

  /** Returns every block of a zone on every CPU to the buddy lists (drain_all_pages). */
  drain(z: ZoneIndex): void {
    for (let cpu = 0; cpu < this.#nrCpus; cpu++) {
      const base = this.listOf(z, cpu);
      this.#freeBulk(z, base, this.#words[base + CTL_COUNT] as number, 0);
      assert(this.#words[base + CTL_COUNT] === 0);
    }
  }

  /** Returns every block of a zone that one CPU holds (drain_pages_zone). */
  drainCpu(z: ZoneIndex, cpu: number): void {
    const base = this.listOf(z, cpu);
    this.#freeBulk(z, base, this.#words[base + CTL_COUNT] as number, 0);
  }

  /** The same for every zone, as direct reclaim does. */
  drainAll(): void {
    for (let z = 0; z < this.#buddy.zones.nr; z++) this.drain(z as ZoneIndex);
  }

  /** Visits every block on a list, for checkers; `type` is the list's migrate type. */
  forEach(visit: (z: number, cpu: number, type: number, f: Frame, order: number) => void): void {
    const words = this.#words;
    for (const { z, cpu, base } of this.#eachList()) {
      for (let p = 0; p < NR_PCP_LISTS; p++) {
        const at = ringAt(base, p);
        const ring = words[at + RING_BASE] as number;
        const mask = words[at + RING_MASK] as number;
        const tail = words[at + RING_TAIL] as number;
        for (let i = words[at + RING_HEAD] as number; i !== tail; i = (i + 1) | 0) {
          const f = words[ring + (i & mask)] as Frame;
          const isOfAnyType = p === PAGEBLOCK_RING;
          const type = isOfAnyType ? this.#buddy.pageblockType(f) : p % MIGRATE_PCPTYPES;
          visit(z, cpu, type, f, this.#orderOf(p));
        }
      }
    }
  }
}

/** Where the words of ring `p` start; the head comes first. */
const ringAt = (base: CpuList, p: number): number => base + CTL_RINGS + RING_WORDS * p;
