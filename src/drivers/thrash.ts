// How a driver sees that a block goes to and fro between CPUs and device, and what it then does.
// Models   the public GPU driver's thrashing detection (uvm_perf_thrashing.c, 595.45.04, with its
//          defaults): moves that follow each other within 500 us count, three of them are a fight.
//          Where CPUs can map the device's memory, the block stays on the device for 150 ms; where
//          they cannot, one of the two goes on and the other waits for 500 us, after which nothing
//          is a fight any more. Commands start the count anew, evictions do not count.
// Omits    pages: a block counts as one, when it changes sides. Pinning after ten waits: who takes
//          turns never waits twice in a row. The driver itself watches managed and HMM memory, and
//          not yet pageable memory that ATS serves; there nothing comes back by itself.
// State    columns by slot of the driver's block table. Time is what the model knows of it: that of
//          work and sleep, and of faults that the driver serves, by the figures of docs/COST.md.
// Holds    DRV18, DRV19, DRV20.
import type { Kernel } from '../kernel/kernel.ts';
import { streamFaults } from './block_faults.ts';

/** Moves within this time of each other are consecutive (uvm_perf_thrashing_lapse_usec). */
const LAPSE_US = 500;
/** Whoever is throttled waits as long (uvm_perf_thrashing_nap, in lapses: 1). */
const NAP_US = 500;
/** A block is pinned for as long (uvm_perf_thrashing_pin, in lapses: 300). */
const PIN_US = 300 * LAPSE_US;
/** Consecutive moves that are a fight (uvm_perf_thrashing_threshold). */
const THRESHOLD = 3;
/** What serving a fault of the device takes, and one of a CPU: figures of docs/COST.md. */
const DEVICE_FAULT_US = 45;
const CPU_FAULT_US = 1.013;

const NEVER = -1;

/** Who asks for a block, and where it goes. */
export const SIDE = { NONE: 0, CPU: 1, DEVICE: 2 } as const;
export type Side = (typeof SIDE)[keyof typeof SIDE];

/** What the driver does: as ever, leave the block on the device, or let whoever asks wait first. */
export const HINT = { NONE: 0, PIN: 1, WAIT: 2 } as const;
export type Hint = (typeof HINT)[keyof typeof HINT];

export class Thrash {
  /** Blocks that it pinned, and times that somebody waited, so far. */
  nrPinned = 0;
  nrThrottled = 0;
  readonly #k: Kernel;
  #servedUs = 0;
  /** When the block moved last; before it is followed, `side` says where to. */
  #movedUs = new Float64Array(16).fill(NEVER);
  #side = new Uint8Array(16);
  #isFollowed = new Uint8Array(16);
  /** Consecutive moves; who goes on while the other waits; until when the block is pinned. */
  #nrMoves = new Uint8Array(16);
  #favored = new Uint8Array(16);
  #pinnedUs = new Float64Array(16).fill(NEVER);

  constructor(k: Kernel) {
    this.#k = k;
  }

  /** The driver served faults for which pages of one block moved. */
  served(to: Side, nrPages: number): void {
    const nrFaults = to === SIDE.CPU ? nrPages : streamFaults(nrPages, this.#k.mem.pageBytes);
    this.#servedUs += nrFaults * (to === SIDE.CPU ? CPU_FAULT_US : DEVICE_FAULT_US);
  }

  /** A block moved, or part of it, since somebody used it. */
  moved(slot: number, to: Side): void {
    this.#reach(slot);
    if (this.#side[slot] === to) return;
    const before = this.#movedUs[slot] as number;
    const isSoon = before !== NEVER && this.#nowUs - before <= LAPSE_US;
    this.#side[slot] = to;
    this.#movedUs[slot] = this.#nowUs;
    if (this.#isFollowed[slot] === 0) {
      // Of the first two moves, the driver only learns that the block is worth following.
      if (isSoon) this.#isFollowed[slot] = 1;
    } else if (isSoon) this.#nrMoves[slot] = Math.min(255, (this.#nrMoves[slot] as number) + 1);
    else if ((this.#nrMoves[slot] as number) >= THRESHOLD) this.#calm(slot);
  }

  /** A program moved the block by command: what was before does not count. */
  forget(slot: number): void {
    if (slot < this.#side.length) this.#calm(slot);
  }

  /** What the driver does about a block that somebody asks for, who is on the other side. */
  hint(slot: number, by: Side, isPrivate: boolean): Hint {
    if (slot >= this.#side.length) return HINT.NONE;
    if (this.isPinned(slot)) return HINT.PIN;
    if (this.#pinnedUs[slot] !== NEVER) this.#calm(slot);
    if ((this.#nrMoves[slot] as number) < THRESHOLD) return HINT.NONE;
    if (this.#nowUs - (this.#movedUs[slot] as number) > LAPSE_US) return HINT.NONE;
    if (!isPrivate) {
      this.#pinnedUs[slot] = this.#nowUs + PIN_US;
      this.nrPinned++;
      return HINT.PIN;
    }
    if (this.#favored[slot] === SIDE.NONE) this.#favored[slot] = by;
    if (this.#favored[slot] === by) return HINT.NONE;
    this.nrThrottled++;
    this.#servedUs += NAP_US;
    return HINT.WAIT;
  }

  /** Does the block stay on the device, though a CPU uses it? */
  isPinned(slot: number): boolean {
    return slot < this.#side.length && this.#nowUs <= (this.#pinnedUs[slot] as number);
  }

  get #nowUs(): number {
    return this.#k.nowMs * 1000 + this.#servedUs;
  }

  /** There is no fight any more; the next move is the first. */
  #calm(slot: number): void {
    this.#nrMoves[slot] = 0;
    this.#movedUs[slot] = NEVER;
    this.#side[slot] = SIDE.NONE;
    this.#favored[slot] = SIDE.NONE;
    this.#pinnedUs[slot] = NEVER;
  }

  #reach(slot: number): void {
    let size = this.#side.length;
    if (slot < size) return;
    while (size <= slot) size *= 2;
    const wider = <T extends Float64Array | Uint8Array>(fresh: T, old: T): T => {
      fresh.set(old as never);
      return fresh;
    };
    this.#movedUs = wider(new Float64Array(size).fill(NEVER), this.#movedUs);
    this.#pinnedUs = wider(new Float64Array(size).fill(NEVER), this.#pinnedUs);
    this.#side = wider(new Uint8Array(size), this.#side);
    this.#isFollowed = wider(new Uint8Array(size), this.#isFollowed);
    this.#nrMoves = wider(new Uint8Array(size), this.#nrMoves);
    this.#favored = wider(new Uint8Array(size), this.#favored);
  }
}
