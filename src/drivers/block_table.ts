// What a driver knows of the memory that its device uses: blocks of addresses, how often the device
// reached them over the link, which were used last, and what became of them.
// Models   of the public GPU driver (595.45.04) the counts that access_counters.ts goes by, and its
//          eviction of the block that was used least recently.
// Omits    notifications in batches: a counter that reaches the threshold is served at once.
// State    columns by slot; a slot is one block of one address space. `newer`/`older` is the order
//          of use of blocks whose pages the driver brought to the device.
// Holds    BLK1 a block is in the order of use exactly while the driver counts it as brought.

const NIL = -1;
/** No block at all. */
export const NO_SLOT = -1;

/** What a program told the driver about a block. */
export const ADVICE = { NONE: 0, PREFER_DEVICE: 1, PREFER_CPU: 2 } as const;
export type Advice = (typeof ADVICE)[keyof typeof ADVICE];

export class BlockTable {
  /** Pages of a block, a power of two. */
  readonly blockPages: number;
  /** Slots by number of the block, of each address space. */
  readonly #spaces = new Map<number, Map<number, number>>();
  #lastSpace = NIL;
  #slots = new Map<number, number>();
  #nr = 0;
  #space = new Int32Array(16);
  #number = new Float64Array(16);
  #accesses = new Int32Array(16);
  #nrBroughtBack = new Int32Array(16);
  #flags = new Uint8Array(16);
  #newer = new Int32Array(16).fill(NIL);
  #older = new Int32Array(16).fill(NIL);
  #newest = NIL;
  #oldest = NIL;

  constructor(blockPages: number) {
    this.blockPages = blockPages;
  }

  /** The slot of the block that holds a page; made when first asked for. */
  slotOf(space: number, vpn: number): number {
    const number = Math.floor(vpn / this.blockPages);
    if (space !== this.#lastSpace) {
      this.#slots = this.#spaces.get(space) ?? new Map();
      this.#spaces.set(space, this.#slots);
      this.#lastSpace = space;
    }
    const known = this.#slots.get(number);
    if (known !== undefined) return known;
    if (this.#nr === this.#space.length) this.#grow();
    const slot = this.#nr++;
    this.#space[slot] = space;
    this.#number[slot] = number;
    this.#slots.set(number, slot);
    return slot;
  }

  spaceOf(slot: number): number {
    return this.#space[slot] as number;
  }

  startVpnOf(slot: number): number {
    return (this.#number[slot] as number) * this.blockPages;
  }

  /** The device reached pages of the block over the link. Returns the accesses counted so far. */
  countRemote(slot: number, accesses: number): number {
    const n = Math.min(0x7fffffff, (this.#accesses[slot] as number) + accesses);
    this.#accesses[slot] = n;
    return n;
  }

  clearCounter(slot: number): void {
    this.#accesses[slot] = 0;
  }

  adviceOf(slot: number): Advice {
    return ((this.#flags[slot] as number) & 3) as Advice;
  }

  advise(slot: number, advice: Advice): void {
    this.#flags[slot] = ((this.#flags[slot] as number) & ~3) | advice;
  }

  /** Times that the block came to the device after it had been evicted. */
  nrReturnsOf(slot: number): number {
    return this.#nrBroughtBack[slot] as number;
  }

  /** Is the block among those that the driver brought to the device? */
  isBrought(slot: number): boolean {
    return this.#newest === slot || this.#newer[slot] !== NIL;
  }

  /** The device used a block that the driver brought, or brings now: it is the newest. */
  use(slot: number): void {
    if (this.#newest === slot) return;
    if (this.isBrought(slot)) this.#unlink(slot);
    else if (((this.#flags[slot] as number) & 4) !== 0) {
      this.#nrBroughtBack[slot] = (this.#nrBroughtBack[slot] as number) + 1;
    }
    this.#older[slot] = this.#newest;
    if (this.#newest !== NIL) this.#newer[this.#newest] = slot;
    else this.#oldest = slot;
    this.#newest = slot;
  }

  /** The driver sent the pages of a block away, to make room. */
  evict(slot: number): void {
    this.#flags[slot] = (this.#flags[slot] as number) | 4;
    this.forget(slot);
  }

  /** The pages of a block left the device for another reason. */
  forget(slot: number): void {
    if (this.isBrought(slot)) this.#unlink(slot);
  }

  /** The block used least recently, or undefined when the driver brought none but `except`. */
  leastRecent(except: number, isEligible?: (slot: number) => boolean): number | undefined {
    for (let s = this.#oldest; s !== NIL; s = this.#newer[s] as number) {
      if (s !== except && (isEligible === undefined || isEligible(s))) return s;
    }
    return undefined;
  }

  /** Slots of the blocks that the driver brought, oldest first, for checkers and reports. */
  *brought(): IterableIterator<number> {
    for (let s = this.#oldest; s !== NIL; s = this.#newer[s] as number) yield s;
  }

  #unlink(slot: number): void {
    const newer = this.#newer[slot] as number;
    const older = this.#older[slot] as number;
    if (newer === NIL) this.#newest = older;
    else this.#older[newer] = older;
    if (older === NIL) this.#oldest = newer;
    else this.#newer[older] = newer;
    this.#newer[slot] = NIL;
    this.#older[slot] = NIL;
  }

  #grow(): void {
    const size = this.#space.length * 2;
    const wider = <T extends Int32Array | Float64Array | Uint8Array>(fresh: T, old: T): T => {
      fresh.set(old as never);
      return fresh;
    };
    this.#space = wider(new Int32Array(size), this.#space);
    this.#number = wider(new Float64Array(size), this.#number);
    this.#accesses = wider(new Int32Array(size), this.#accesses);
    this.#nrBroughtBack = wider(new Int32Array(size), this.#nrBroughtBack);
    this.#flags = wider(new Uint8Array(size), this.#flags);
    this.#newer = wider(new Int32Array(size).fill(NIL), this.#newer);
    this.#older = wider(new Int32Array(size).fill(NIL), this.#older);
  }
}
