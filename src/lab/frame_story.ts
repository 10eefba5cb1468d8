// How the page in each frame came there: given by a request, moved from another frame, merged,
// split, taken without a request. Kept while a session runs, and read backwards afterwards.
// State    cameBy: Int32Array by frame, a code of how its page came: 0 before the start or nobody
//          knows; below 0 the frame was given, for the -code'th time; above 0 event code - 1.
//          given: Int32Array by frame, how often it was given.
//          events: Int32Array, EVENT_WORDS a piece: kind or cause, step, frame, code before it,
//          frame that the page came from, and by kind: how often the frame was given, who took it,
//          or the code by which the frame had been taken to which it moved.
// Holds    EXP5 a story ends in the frame it is asked for, and each link begins where the one
//          before it ends.
import type { Frame } from '../base/ids.ts';
import type { AddressSpace } from '../kernel/address_space.ts';
import type { FrameWatch, TakenBy } from '../kernel/frame_watch.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { MoveCause } from '../kernel/migrate.ts';
import { THP_PAGES } from '../kernel/thp.ts';
import { watchGives } from './gives.ts';

/** A time at which a frame was given: the `nth` of the run, from 1. */
export interface Give {
  readonly frame: Frame;
  readonly nth: number;
}

/** One link of how a page came to its frame. Steps are counted from 0. */
export interface StoryLink {
  readonly kind: 'given' | 'pool' | 'taken' | 'moved' | 'merged' | 'split';
  /** Of a frame that a request gave, the request knows it. */
  readonly step?: number | undefined;
  /** Where the page is after it. */
  readonly frame: Frame;
  /** Where it was before, if it came from another frame. */
  readonly from?: Frame | undefined;
  readonly cause?: MoveCause | undefined;
  readonly by?: TakenBy | undefined;
  /** The request that gave the frame, if one did. */
  readonly give?: Give | undefined;
}

const POOL = 1;
const SPLIT = 2;
const TAKEN = 3;
const MOVED = 8;
const EVENT_WORDS = 6;

const TAKERS: readonly TakenBy[] = ['driver', 'demotion', 'contiguous range'];

/** Code of a page that was there before the start, or that nobody has told of. */
const UNKNOWN = 0;

interface Merge {
  readonly space: AddressSpace;
  readonly vpn: number;
  readonly step: number;
  readonly old: Frame;
  readonly oldCode: number;
  readonly kept: Frame | undefined;
  readonly keptCode: number;
}

export class FrameStory implements FrameWatch {
  /** The step that is being run; whoever runs the session sets it. */
  step = 0;
  readonly #cameBy: Int32Array;
  readonly #given: Int32Array;
  #events = new Int32Array(EVENT_WORDS << 8);
  #nrEvents = 0;
  readonly #causes: MoveCause[] = [];
  readonly #merges: Merge[] = [];

  /** Follows all frames of a kernel from now on. */
  constructor(k: Kernel) {
    const { nrFrames } = k.mem.map;
    this.#cameBy = new Int32Array(nrFrames);
    this.#given = new Int32Array(nrFrames);
    k.frameWatch = this;
    watchGives(k, (call, order, isPool) => {
      const n = call();
      if (n > 0) this.#gave(k.allocator.out, order > 0 ? 1 : n, order, isPool);
      return n;
    });
  }

  /** How the page in a frame came there, for storyOf: a frame is given again and again. */
  codeOf(f: Frame): number {
    return this.#cameBy[f] as number;
  }

  // ---- What is told of -----------------------------------------------------------------------

  #gave(frames: Int32Array, n: number, order: number, isPool: boolean): void {
    if (isPool) {
      const f = frames[0] as Frame;
      this.#add(POOL, f, this.#poolOrigin(this.codeOf(f)), 0, this.#count(f));
      return;
    }
    for (let i = 0; i < n; i++) {
      const first = frames[i] as number;
      for (let f = first; f < first + (1 << order); f++) this.#cameBy[f] = -this.#count(f);
    }
  }

  /** How the pool itself came by a page that it gives once more. */
  #poolOrigin(code: number): number {
    let c = code;
    while (c > 0) {
      const kind = this.#word(c, 0);
      if (kind !== POOL && kind < MOVED) break;
      c = this.#word(c, kind === POOL ? 3 : 5);
    }
    return c;
  }

  moved(cause: MoveCause, old: Frame, fresh: Frame, nrPages: number): void {
    let n = this.#causes.indexOf(cause);
    if (n < 0) n = this.#causes.push(cause) - 1;
    // Free pages that compaction found were given by nobody.
    const isTaken = cause !== 'compaction';
    for (let i = 0; i < nrPages; i++) {
      const from = (old + i) as Frame;
      const to = (fresh + i) as Frame;
      const target = isTaken ? this.codeOf(to) : UNKNOWN;
      this.#add(MOVED + n, to, this.codeOf(from), from, target);
    }
  }

  merged(space: AddressSpace, vpn: number, old: Frame, kept: Frame | undefined): void {
    const { step } = this;
    const oldCode = this.codeOf(old);
    const keptCode = kept === undefined ? UNKNOWN : this.codeOf(kept);
    this.#merges.push({ space, vpn, step, old, oldCode, kept, keptCode });
  }

  split(head: Frame): void {
    for (let i = 0; i < THP_PAGES; i++) {
      const f = (head + i) as Frame;
      this.#add(SPLIT, f, this.codeOf(f), f, 0);
    }
  }

  taken(by: TakenBy, frames: ArrayLike<number>, n: number): void {
    for (let i = 0; i < n; i++) {
      this.#add(TAKEN, frames[i] as Frame, UNKNOWN, 0, TAKERS.indexOf(by));
    }
  }

  #count(f: number): number {
    const nth = (this.#given[f] as number) + 1;
    this.#given[f] = nth;
    return nth;
  }

  #add(kind: number, f: Frame, before: number, from: number, last: number): void {
    const at = this.#nrEvents * EVENT_WORDS;
    if (at + EVENT_WORDS > this.#events.length) {
      const larger = new Int32Array(this.#events.length * 2);
      larger.set(this.#events);
      this.#events = larger;
    }
    const e = this.#events;
    e[at] = kind;
    e[at + 1] = this.step;
    e[at + 2] = f;
    e[at + 3] = before;
    e[at + 4] = from;
    e[at + 5] = last;
    this.#cameBy[f] = ++this.#nrEvents;
  }

  #word(code: number, i: number): number {
    return this.#events[(code - 1) * EVENT_WORDS + i] as number;
  }

  // ---- What is asked -------------------------------------------------------------------------

  /** The links that lead to a frame, the first first. */
  #linksTo(f: Frame, code: number): StoryLink[] {
    const links: StoryLink[] = [];
    let at = f;
    for (let c = code; c !== UNKNOWN; c = this.#word(c, 3)) {
      const link = this.#link(at, c);
      links.push(link);
      if (c < 0) break;
      at = link.from ?? at;
    }
    return links.reverse();
  }

  #link(frame: Frame, code: number): StoryLink {
    if (code < 0) return { kind: 'given', frame, give: { frame, nth: -code } };
    const kind = this.#word(code, 0);
    const step = this.#word(code, 1);
    const last = this.#word(code, 5);
    if (kind === POOL) return { kind: 'pool', step, frame, give: { frame, nth: last } };
    if (kind === SPLIT) return { kind: 'split', step, frame, from: frame };
    if (kind === TAKEN) return { kind: 'taken', step, frame, by: TAKERS[last] };
    const target = last === UNKNOWN ? undefined : this.#link(frame, last);
    return {
      kind: 'moved',
      step,
      frame,
      from: this.#word(code, 4) as Frame,
      cause: this.#causes[kind - MOVED],
      by: target?.by,
      give: target?.give,
    };
  }

  /**
   * How a page came to the frame that it is in, and where it was before it was merged with others.
   * @param code what codeOf said of the frame then.
   */
  storyOf(space: AddressSpace | undefined, vpn: number, f: Frame, code: number): StoryLink[] {
    const all = this.#linksTo(f, code);
    const merge = this.#mergeOf(space, vpn, f, code);
    if (merge === undefined || merge.kept === undefined) return all;
    const before = this.#linksTo(merge.kept, merge.keptCode);
    const give = before.findLast((link) => link.give !== undefined)?.give;
    const { step, old, kept } = merge;
    const link: StoryLink = { kind: 'merged', step, frame: kept, from: old, give };
    return [...this.#linksTo(old, merge.oldCode), link, ...all.slice(before.length)];
  }

  /** The step in which a page became that of zeroes, if it did. */
  zeroedAt(space: AddressSpace | undefined, vpn: number): number | undefined {
    const last = this.#merges.findLast((m) => m.vpn === vpn && m.space === space);
    return last !== undefined && last.kept === undefined ? last.step : undefined;
  }

  /** The merge that brought a page where it is: the frame has not been given since. */
  #mergeOf(
    space: AddressSpace | undefined,
    vpn: number,
    f: Frame,
    code: number,
  ): Merge | undefined {
    const fits = (m: Merge): boolean => {
      if (m.vpn !== vpn || m.kept === undefined) return false;
      let at: Frame = f;
      for (let c = code; ; c = this.#word(c, 3)) {
        if (at === m.kept && c === m.keptCode) return true;
        if (c <= 0) return false;
        at = this.#link(at, c).from ?? at;
      }
    };
    const own = this.#merges.findLast((m) => m.space === space && fits(m));
    // A child has the page of its parent, at the same place.
    return own ?? this.#merges.findLast((m) => m.space !== space && fits(m));
  }
}
