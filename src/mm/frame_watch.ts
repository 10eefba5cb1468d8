// Who has to hear when a frame is given back, or when somebody else uses what is in it: caches of
// devices, which hold copies of memory.
// Models   hardware coherence, as far as it tells a cache that its copy is no longer what memory
//          holds. There only on machines that have such a cache (`PageFreer.watch`).
// Omits    lines: what is used of a page is all of it.
import type { Frame } from '../base/ids.ts';

/** One that keeps copies of frames. */
export interface FrameWatcher {
  /** The `nr` frames from `f` on were given back: what was in them is nobody's. */
  freed(f: Frame, nr: number): void;
  /** A CPU or another device reads, or writes to, the frame. */
  used(f: Frame, isWrite: boolean): void;
  /** What it has, for checkers; lines are parts of a page. */
  copies(): Iterable<Copy>;
  /** Lines that it has room for. */
  readonly nrLines: number;
  /** Lines that it counts as used. */
  readonly nrUsed: number;
}

/** A copy of a frame, or of part of it. */
export interface Copy {
  readonly f: Frame;
  readonly nrLines: number;
  /** Nobody else has a copy, and this one may differ from memory. */
  readonly isOwned: boolean;
}

/** All watchers of a machine. */
export class FrameWatch {
  readonly watchers: FrameWatcher[] = [];

  freed(f: Frame, nr: number): void {
    for (const watcher of this.watchers) watcher.freed(f, nr);
  }

  used(f: Frame, isWrite: boolean): void {
    for (const watcher of this.watchers) watcher.used(f, isWrite);
  }
}
