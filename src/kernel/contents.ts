// What is in the pages of users, as one number each: enough to say which pages are equal.
// Models   A page holds a number of 32 bits at its start and zeros behind it. A fresh page is 0;
//          `fill` writes the number, and a touch writes 1 to its lowest byte.
// State    by frame: number xor 1, so that pages written before anybody asked read as touched.
//          There only once something looks at contents.
// Notes    A page populated before that, and never touched, reads as touched.
export class Contents {
  readonly #numbers: Uint32Array;

  constructor(nrFrames: number) {
    this.#numbers = new Uint32Array(nrFrames);
  }

  get(f: number): number {
    return ((this.#numbers[f] as number) ^ 1) >>> 0;
  }

  set(f: number, number: number): void {
    this.#numbers[f] = (number ^ 1) >>> 0;
  }

  /** A program writes a byte at the start of the page. */
  touch(f: number): void {
    this.set(f, ((this.get(f) & ~0xff) | 1) >>> 0);
  }

  /** One page becomes a copy of another. */
  copy(to: number, from: number): void {
    this.#numbers[to] = this.#numbers[from] as number;
  }
}
