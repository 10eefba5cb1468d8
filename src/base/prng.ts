// The only source of randomness: a seeded generator of integers (sfc32), split by name so that a
// new draw in one place disturbs no other. No floats: the same bytes on every computer.

/** 32-bit FNV-1a of a text: turns seeds and names into numbers. */
export function hashText(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    h ^= text.charCodeAt(i);
    h = Math.imul(h, 0x01000193);
  }
  return h >>> 0;
}

export class Prng {
  readonly seed: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;
  /** The last bound of `below`, and what draws must stay under to be unbiased. */
  #bound = 0;
  #limit = 0;

  /** @param seed any text; equal seeds give equal sequences. */
  constructor(seed: string) {
    this.seed = seed;
    this.#a = hashText(`${seed}/a`);
    this.#b = hashText(`${seed}/b`);
    this.#c = hashText(`${seed}/c`);
    for (let i = 0; i < 12; i++) this.next32();
  }

  /** A generator of its own for one purpose; depends on seed and name only, not on draws so far. */
  split(name: string): Prng {
    return new Prng(`${this.seed}/${name}`);
  }

  /** The next 32 bits, 0..2^32-1. */
  next32(): number {
    const t = (this.#a + this.#b + this.#counter) >>> 0;
    this.#counter = (this.#counter + 1) >>> 0;
    this.#a = (this.#b ^ (this.#b >>> 9)) >>> 0;
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) >>> 0;
    return t;
  }

  /** A whole number in [0, bound), bound 1..2^32. Unbiased. */
  below(bound: number): number {
    if (bound !== this.#bound) {
      this.#bound = bound;
      this.#limit = 0x100000000 - (0x100000000 % bound);
    }
    let x = this.next32();
    while (x >= this.#limit) x = this.next32();
    return x % bound;
  }

  /** A whole number in [low, high]. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** One element of a non-empty list. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** True in `percent` of 100 cases. */
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
}
