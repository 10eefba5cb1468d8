// Per-CPU lists: each CPU keeps a few frames of each zone and migrate type at hand, so that most
// requests touch no zone state.
// Models   linux@v6.1 mm/page_alloc.c: rmqueue_pcplist, __rmqueue_pcplist, free_unref_page_commit,
//          nr_pcp_free, free_pcppages_bulk, drain_pages.
// Omits    lists of orders 1 to 3 and of huge pages: such requests go to the buddy lists (SPEC DEV-4).
// State    Lists of one zone, CPU and type are rings of frames: entries [head, tail) modulo the size, a
//          power of two; frames are taken from and returned to the head, refilled and drained at the tail.
//          A CPU's lists of a zone come into being when first used.
// Holds    PCP1 a CPU holds fewer than pcpHigh frames of a zone after a free.
import { assert } from '../base/assert.ts';
import type { Frame, ZoneIndex } from '../base/ids.ts';
import type { Buddy } from './buddy.ts';
import { MIGRATE_PCPTYPES } from './gfp.ts';

class Ring {
  entries = new Int32Array(64);
  head = 0;
  tail = 0;

  get count(): number {
    return this.tail - this.head;
  }

  reserve(count: number): void {
    const size = this.entries.length;
    if (this.tail - this.head + count <= size) return;
    let larger = size;
    while (larger < this.tail - this.head + count) larger *= 2;
    const entries = new Int32Array(larger);
    for (let i = this.head; i < this.tail; i++) {
      entries[i - this.head] = this.entries[i & (size - 1)] as number;
    }
    this.entries = entries;
    this.tail -= this.head;
    this.head = 0;
  }
}

/** The lists of one zone on one CPU (struct per_cpu_pages). */
class PerCpuPages {
  count = 0;
  freeFactor = 0;
  readonly rings: readonly Ring[] = Array.from({ length: MIGRATE_PCPTYPES }, () => new Ring());
}

export class PerCpuLists {
  readonly #buddy: Buddy;
  readonly #nrCpus: number;
  /** zone * nrCpus + cpu. */
  readonly #pages: (PerCpuPages | undefined)[];

  constructor(buddy: Buddy, nrCpus: number) {
    this.#buddy = buddy;
    this.#nrCpus = nrCpus;
    this.#pages = new Array(buddy.zones.nr * nrCpus);
  }

  #of(z: number, cpu: number): PerCpuPages {
    const i = z * this.#nrCpus + cpu;
    let pages = this.#pages[i];
    if (pages === undefined) {
      pages = new PerCpuPages();
      this.#pages[i] = pages;
    }
    return pages;
  }

  /** Frames of a zone on all CPUs' lists. */
  countOf(z: number): number {
    let n = 0;
    for (let cpu = 0; cpu < this.#nrCpus; cpu++)
      n += this.#pages[z * this.#nrCpus + cpu]?.count ?? 0;
    return n;
  }

  /**
   * Takes up to `want` frames into `out`, refilling the list at most once: all of them are what that
   * many single requests would get whose other decisions are the same. Returns how many; 0 when the
   * zone has no frame for this type.
   */
  take(
    z: ZoneIndex,
    cpu: number,
    type: number,
    allocFlags: number,
    want: number,
    out: Int32Array,
  ): number {
    const pages = this.#of(z, cpu);
    const ring = pages.rings[type] as Ring;
    pages.freeFactor >>= 1;
    if (ring.head === ring.tail) {
      const batch = this.#buddy.zones.pcpBatch[z] as number;
      ring.head = 0;
      ring.tail = 0;
      ring.reserve(batch);
      const mask = ring.entries.length - 1;
      const got = this.#buddy.allocBulk(z, batch, type, allocFlags, ring.entries, mask, 0);
      ring.tail = got;
      pages.count += got;
      if (got === 0) return 0;
    }
    const n = Math.min(want, ring.tail - ring.head);
    const { entries } = ring;
    const mask = entries.length - 1;
    for (let i = 0; i < n; i++) out[i] = entries[(ring.head + i) & mask] as number;
    ring.head += n;
    pages.count -= n;
    return n;
  }

  /** Gives a frame back; when the list is full, its oldest frames go to the buddy lists. */
  put(z: ZoneIndex, cpu: number, type: number, f: Frame): void {
    const pages = this.#of(z, cpu);
    const ring = pages.rings[type] as Ring;
    ring.reserve(1);
    if (ring.head === 0) {
      const size = ring.entries.length;
      ring.head += size;
      ring.tail += size;
    }
    ring.head--;
    ring.entries[ring.head & (ring.entries.length - 1)] = f;
    pages.count++;
    const { zones } = this.#buddy;
    const high = zones.pcpHigh[z] as number;
    if (pages.count >= high) {
      this.#freeBulk(z, pages, this.#nrToFree(pages, high, zones.pcpBatch[z] as number), type);
    }
  }

  #nrToFree(pages: PerCpuPages, high: number, batch: number): number {
    if (high < batch) return 1;
    const most = high - batch;
    const scaled = batch << pages.freeFactor;
    if (scaled < most) pages.freeFactor++;
    return Math.min(Math.max(scaled, batch), most);
  }

  /** Frees `count` frames from the tails, starting with the list after the one just used, in turn. */
  #freeBulk(z: ZoneIndex, pages: PerCpuPages, count: number, type: number): void {
    let left = Math.min(count, pages.count);
    let t = type - 1;
    while (left > 0) {
      do {
        t = (t + 1) % MIGRATE_PCPTYPES;
      } while ((pages.rings[t] as Ring).count === 0);
      const ring = pages.rings[t] as Ring;
      const mask = ring.entries.length - 1;
      while (left > 0 && ring.count > 0) {
        ring.tail--;
        const f = ring.entries[ring.tail & mask] as Frame;
        this.#buddy.free(z, f, 0, this.#buddy.pageblockType(f));
        left--;
        pages.count--;
      }
    }
  }

  /** Returns every frame of a zone on every CPU to the buddy lists (drain_all_pages). */
  drain(z: ZoneIndex): void {
    for (let cpu = 0; cpu < this.#nrCpus; cpu++) {
      const pages = this.#pages[z * this.#nrCpus + cpu];
      if (pages === undefined) continue;
      this.#freeBulk(z, pages, pages.count, 0);
      assert(pages.count === 0);
    }
  }

  /** Visits every frame on a list, for checkers. */
  forEach(visit: (z: number, cpu: number, type: number, f: Frame) => void): void {
    this.#pages.forEach((pages, i) => {
      pages?.rings.forEach((ring, type) => {
        for (let j = ring.head; j < ring.tail; j++) {
          const f = ring.entries[j & (ring.entries.length - 1)] as Frame;
          visit(Math.floor(i / this.#nrCpus), i % this.#nrCpus, type, f);
        }
      });
    });
  }
}
