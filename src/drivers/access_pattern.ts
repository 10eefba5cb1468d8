// In which order a device visits the pages of a range: the shapes of access that decide what a
// driver's counters see and what an eviction throws out too early.
// Models   how kernels of compute programs walk their buffers: in a stream, with a stride, at
//          random, with a hot spot.
// Omits    accesses within a page: a visit stands for all of them.
// Holds    PAT1 a pass makes as many visits as the range has pages. PAT2 stream and strided visit
//          every page once; random and hot are drawn from the seed and are the same every time.
import { Prng } from '../base/prng.ts';

export const PATTERNS = ['stream', 'strided', 'random', 'hot'] as const;
/**
 * `stream`: page after page. `strided`: every `stride`-th page, then again one page on. `random`:
 * any page. `hot`: nine of ten visits go to the first tenth of the range.
 */
export type Pattern = (typeof PATTERNS)[number];

/** Pages between two visits of `strided`, unless it says otherwise. */
export const DEFAULT_STRIDE_PAGES = 32;

/** One visit in this many leaves the hot tenth. */
const HOT_VISITS_IN = 10;

/** Gives the visits of one pass, a stretch at a time. */
export class Visits {
  readonly nrPages: number;
  readonly #pattern: Pattern;
  readonly #stride: number;
  readonly #prng: Prng;
  #nrGiven = 0;
  #next = 0;
  #lane = 0;

  /**
   * @param nrPages pages of the range, at least 1.
   * @param stridePages for `strided`.
   * @param seed for `random` and `hot`.
   */
  constructor(pattern: Pattern, nrPages: number, stridePages: number, seed: string) {
    this.nrPages = nrPages;
    this.#pattern = pattern;
    this.#stride = Math.max(1, stridePages);
    this.#prng = new Prng(seed);
  }

  /** Writes the next visits into `out` as page offsets; returns how many, 0 at the end. */
  fill(out: Int32Array): number {
    const n = Math.min(out.length, this.nrPages - this.#nrGiven);
    this.#nrGiven += n;
    if (this.#pattern === 'stream') for (let i = 0; i < n; i++) out[i] = this.#next++;
    else if (this.#pattern === 'strided') for (let i = 0; i < n; i++) out[i] = this.#strided();
    else if (this.#pattern === 'random') {
      for (let i = 0; i < n; i++) out[i] = this.#prng.below(this.nrPages);
    } else for (let i = 0; i < n; i++) out[i] = this.#hot();
    return n;
  }

  #strided(): number {
    const here = this.#next;
    this.#next += this.#stride;
    if (this.#next >= this.nrPages) this.#next = ++this.#lane;
    return here;
  }

  #hot(): number {
    const nrHot = Math.max(1, Math.floor(this.nrPages / 10));
    const isHot = this.nrPages === nrHot || this.#prng.below(HOT_VISITS_IN) !== 0;
    return isHot ? this.#prng.below(nrHot) : nrHot + this.#prng.below(this.nrPages - nrHot);
  }
}
