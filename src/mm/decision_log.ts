// The record of allocation decisions: for every request which list was walked and what became of
// each zone on it. Off unless asked for; the walk then writes numbers into one flat array.
// State    words: Int32Array. A record is HEADER_WORDS words, then STEP_WORDS for each zone looked
//          at:
//            [0] gfp flags            [1] order (8 bits), CPU (12), attempt (4), mask origin (2),
//          outcome (2)
//            [2] owner of the list (10 bits), which of its lists (2), number of steps (10)
//            [3] context number (policy, task, page: whatever the caller noted)
//            [4] pages given to requests that took this same decision, one after another
//          step: zone index (16 bits) and verdict (8), then free pages of the zone at that moment.
// Holds    A record of one step takes 28 bytes, of three 44.
import type { Nodemask } from '../base/nodemask.ts';
import type { MaskOrigin } from '../hooks/design.ts';
import type { CompactNote } from './compaction.ts';
import type { ListKind } from './zonelist.ts';

export const VERDICT = {
  TAKEN: 0,
  /** Not in the nodemask of the walk. */
  NODEMASK: 1,
  /** The task's cpuset does not hold the node. */
  CPUSET: 2,
  /** The design keeps this request off the zone. */
  GATED: 3,
  /** Fewer free pages than the watermark asks for. */
  WATERMARK: 4,
  /** Above the watermark, but no block of the order. */
  NO_BLOCK: 5,
  /** Type of zone above what the request may use. */
  ZONE_TYPE: 6,
  /** Would have to break up a page block; the walk starts again without that scruple. */
  NOFRAGMENT: 7,
  /** A walk for a huge page: the node's pool has none that is free. */
  NO_HUGE_PAGE: 8,
  /** The node has as many dirty pages of files as it may, and the page is for another. */
  DIRTY: 9,
  /** The task's group may have no more of the node. */
  QUOTA: 10,
} as const;
export type Verdict = (typeof VERDICT)[keyof typeof VERDICT];

/**
 * POOL: not a walk for free memory, but over the pools of huge pages. RESERVES: of who must not
 * fail, for what others have to leave.
 */
export const ATTEMPT = { FAST: 0, SLOW: 1, DRAINED: 2, OOM: 3, POOL: 4, RESERVES: 5 } as const;

const HEADER_WORDS = 5;
const STEP_WORDS = 2;

/** What a caller says about a request, for people; recorded once per distinct text. */
export interface RequestContext {
  /** `T0`. */
  readonly task: string;
  /** `page fault`, `page table`, `migration target`. */
  readonly purpose: string;
  /** Flags of the request by name, before cpusets add to them. */
  readonly gfp: string;
  /** `mbind bind 2`, `default (local)`. */
  readonly policy: string;
  /** Where the policy came from: `area`, `task`, `shared object`, `default`. */
  readonly policyFrom: string;
  /** Why this list: `CPU node 0`, `first node of the policy`, `home node`. */
  readonly startWhy: string;
  /** Nodes of the cpuset, when cpusets are in use. */
  readonly cpuset: string | undefined;
  readonly nodemask: string | undefined;
}

export interface DecisionStep {
  readonly zone: number;
  readonly verdict: Verdict;
  readonly freePages: number;
}

export interface Decision {
  readonly gfp: number;
  readonly order: number;
  readonly cpu: number;
  readonly attempt: number;
  readonly maskOrigin: MaskOrigin;
  readonly isGiven: boolean;
  readonly listOwner: number;
  readonly list: ListKind;
  readonly context: RequestContext | undefined;
  readonly nrPages: number;
  readonly steps: readonly DecisionStep[];
}

/** What a run of reclaim came to. */
export interface ReclaimRun {
  readonly by: 'kswapd' | 'direct';
  readonly nid: number;
  /** Pages freed. */
  readonly nrPages: number;
  /** The request for which it ran. */
  readonly context: RequestContext | undefined;
  /** Position of the record that was written next. */
  readonly at: number;
}

/** What a run of compaction over one zone came to. */
export interface CompactionRun extends CompactNote {
  /** The request for which it ran. */
  readonly context: RequestContext | undefined;
  /** Position of the record that was written next. */
  readonly at: number;
}

export class DecisionLog {
  #words = new Int32Array(1 << 12);
  #used = 0;
  #last = -1;
  readonly #contexts: RequestContext[] = [];
  readonly #contextKeys = new Map<string, number>();
  #context = -1;
  #was: {
    task: object | null;
    purpose: string;
    policy: object | null;
    start: number;
    nodemask: Nodemask | null;
    gfp: number;
  } = { task: null, purpose: '', policy: null, start: -1, nodemask: null, gfp: 0 };
  #nrPages = 0;
  #nrRecords = 0;
  readonly #runs: ReclaimRun[] = [];
  readonly #compactions: CompactionRun[] = [];

  /** Pages decided about. */
  get nrPages(): number {
    return this.#nrPages;
  }

  get nrRecords(): number {
    return this.#nrRecords;
  }

  get sizeBytes(): number {
    return this.#used * 4;
  }

  /** The position of the record written last, for recordAt; -1 when there is none. */
  get lastRecord(): number {
    return this.#last;
  }

  /**
   * Is the context in force already for exactly these? Compares by identity, so it costs little.
   */
  isContextOf(
    task: object,
    purpose: string,
    policy: object | null,
    start: number,
    nodemask: Nodemask | null,
    gfp: number,
  ): boolean {
    const was = this.#was;
    const isSame =
      was.task === task &&
      was.purpose === purpose &&
      was.policy === policy &&
      was.start === start &&
      was.nodemask === nodemask &&
      was.gfp === gfp;
    if (!isSame) this.#was = { task, purpose, policy, start, nodemask, gfp };
    return isSame;
  }

  /** A task, policy or cpuset has changed: the next request describes itself anew. */
  forgetContext(): void {
    this.#was = { ...this.#was, task: null };
  }

  /** Says for whom the next requests are. */
  setContext(context: RequestContext): void {
    const key = JSON.stringify(context);
    let n = this.#contextKeys.get(key);
    if (n === undefined) {
      n = this.#contexts.length;
      this.#contexts.push(context);
      this.#contextKeys.set(key, n);
    }
    this.#context = n;
  }

  /** Opens a record; steps and `end` follow. */
  begin(
    gfp: number,
    order: number,
    cpu: number,
    attempt: number,
    origin: MaskOrigin,
    listOwner: number,
    list: ListKind,
  ): void {
    this.#reserve(HEADER_WORDS);
    this.#last = this.#used;
    const w = this.#words;
    w[this.#used] = gfp;
    w[this.#used + 1] = order | (cpu << 8) | (attempt << 20) | (origin << 24);
    w[this.#used + 2] = listOwner | (list << 10);
    w[this.#used + 3] = this.#context;
    w[this.#used + 4] = 0;
    this.#used += HEADER_WORDS;
    this.#nrRecords++;
  }

  step(zone: number, verdict: Verdict, freePages: number): void {
    this.#reserve(STEP_WORDS);
    this.#words[this.#used] = zone | (verdict << 16);
    this.#words[this.#used + 1] = freePages;
    this.#used += STEP_WORDS;
    this.#words[this.#last + 2] = (this.#words[this.#last + 2] as number) + (1 << 12);
  }

  end(isGiven: boolean, nrPages: number): void {
    if (!isGiven) this.#words[this.#last + 1] = (this.#words[this.#last + 1] as number) | (1 << 26);
    this.#words[this.#last + 4] = nrPages;
    this.#nrPages += nrPages;
  }

  /** A run of reclaim, by the daemon of a node or by the request that is being served. */
  noteReclaim(by: 'kswapd' | 'direct', nid: number, nrPages: number): void {
    this.#runs.push({ by, nid, nrPages, context: this.#contexts[this.#context], at: this.#used });
  }

  /** Runs of reclaim so far, in order. */
  get reclaimRuns(): readonly ReclaimRun[] {
    return this.#runs;
  }

  /** A run of compaction over one zone. */
  noteCompaction(note: CompactNote): void {
    this.#compactions.push({ ...note, context: this.#contexts[this.#context], at: this.#used });
  }

  /** Runs of compaction so far, in order. */
  get compactionRuns(): readonly CompactionRun[] {
    return this.#compactions;
  }

  #reserve(words: number): void {
    if (this.#used + words <= this.#words.length) return;
    const larger = new Int32Array(this.#words.length * 2);
    larger.set(this.#words);
    this.#words = larger;
  }

  /** Reads a record back. */
  recordAt(position: number): Decision {
    const w = this.#words;
    const packed = w[position + 1] as number;
    const list = w[position + 2] as number;
    const nrSteps = (list >>> 12) & 0x3ff;
    const steps: DecisionStep[] = [];
    for (let i = 0; i < nrSteps; i++) {
      const at = position + HEADER_WORDS + i * STEP_WORDS;
      const word = w[at] as number;
      steps.push({
        zone: word & 0xffff,
        verdict: ((word >>> 16) & 0xff) as Verdict,
        freePages: w[at + 1] as number,
      });
    }
    return {
      gfp: w[position] as number,
      order: packed & 0xff,
      cpu: (packed >>> 8) & 0xfff,
      attempt: (packed >>> 20) & 0xf,
      maskOrigin: ((packed >>> 24) & 3) as MaskOrigin,
      isGiven: ((packed >>> 26) & 1) === 0,
      listOwner: list & 0x3ff,
      list: ((list >>> 10) & 3) as ListKind,
      context: this.#contexts[w[position + 3] as number],
      nrPages: w[position + 4] as number,
      steps,
    };
  }

  /** All records in order. */
  *records(): IterableIterator<Decision> {
    for (let at = 0; at < this.#used; ) {
      const d = this.recordAt(at);
      yield d;
      at += HEADER_WORDS + d.steps.length * STEP_WORDS;
    }
  }
}
