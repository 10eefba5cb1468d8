// What checkers report: findings in words, as many as a person would read.
// Holds    A judge that found nothing returns an empty list.

/** Findings after this many are only counted. */
const MOST = 20;

export class Findings {
  readonly #checker: string;
  readonly #texts: string[] = [];
  #nrMore = 0;

  /** @param checker opens every finding: `frames`. */
  constructor(checker: string) {
    this.#checker = checker;
  }

  add(text: string): void {
    if (this.#texts.length < MOST) this.#texts.push(`${this.#checker}: ${text}`);
    else this.#nrMore++;
  }

  /** Adds the finding unless the claim holds. */
  expect(claim: boolean, text: () => string): void {
    if (!claim) this.add(text());
  }

  list(): readonly string[] {
    if (this.#nrMore === 0) return this.#texts;
    return [...this.#texts, `${this.#checker}: and ${this.#nrMore} more`];
  }
}
