// The state hash that ends every run: two 32-bit lanes over whole numbers, equal on every computer.

export class StateHash {
  #low = 0x811c9dc5;
  #high = 0xcbf29ce4;

  /** Adds one whole number (taken modulo 2^32). */
  add(value: number): void {
    this.#low = Math.imul(this.#low ^ value, 0x01000193);
    this.#low ^= this.#low >>> 15;
    this.#high = Math.imul(this.#high ^ (value + 0x9e3779b9), 0x85ebca6b);
    this.#high ^= this.#high >>> 13;
  }

  /** Adds every character code of a text, and its length. */
  addText(text: string): void {
    this.add(text.length);
    for (let i = 0; i < text.length; i++) this.add(text.charCodeAt(i));
  }

  /** Adds a stretch of a column. */
  addColumn(column: ArrayLike<number>, start = 0, end = column.length): void {
    for (let i = start; i < end; i++) this.add(column[i] as number);
  }

  /** 16 hexadecimal digits. */
  digest(): string {
    const hex = (n: number) => (n >>> 0).toString(16).padStart(8, '0');
    return hex(this.#high) + hex(this.#low);
  }
}
