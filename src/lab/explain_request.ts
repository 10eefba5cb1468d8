// The requests that gave frames, caught while a scenario runs again: who asked, under which policy,
// and every walk over the zones.
// Holds    EXP1 a request is caught by the frame that it gave and by how often that frame had been
//          given before, so it is exact for faults, copies, forks and moves alike.
import { assert } from '../base/assert.ts';
import type { Frame } from '../base/ids.ts';
import type { MaskOrigin } from '../hooks/design.ts';
import type { Kernel } from '../kernel/kernel.ts';
import {
  type Decision,
  DecisionLog,
  type ReclaimRun,
  type RequestContext,
} from '../mm/decision_log.ts';
import { gfpNames } from '../mm/gfp.ts';
import { FAILURE } from '../mm/internal.ts';
import type { ListKind } from '../mm/zonelist.ts';
import { printAct } from '../scenario/print.ts';
import { killWords } from './deaths.ts';
import { compactionWords } from './explain_compaction.ts';
import { type ExplainedAttempt, explainAttempt, FAILURE_WORDS } from './explain_walk.ts';
import type { Give } from './frame_story.ts';
import { watchGives } from './gives.ts';
import type { Session } from './session.ts';

export interface StepName {
  /** From 0. */
  readonly step: number;
  readonly text: string;
}

export interface ExplainedRequest extends StepName {
  readonly task: string;
  readonly purpose: string;
  /** `GFP_HIGHUSER_MOVABLE|__GFP_ZERO`. */
  readonly gfp: string;
  readonly order: number;
  readonly cpu: number;
  readonly cpuNode: number;
  readonly policy: string;
  readonly policyFrom: string;
  /** Why the walk starts in the list it starts in. */
  readonly startWhy: string;
  readonly cpuset?: string | undefined;
  readonly nodemask?: string | undefined;
  readonly attempts: readonly ExplainedAttempt[];
  readonly isGiven: boolean;
  /** Who freed pages for it, how many, and of which node. */
  readonly reclaim?: readonly string[] | undefined;
  /** Whose zones were compacted for it, and what that came to. */
  readonly compaction?: readonly string[] | undefined;
  /** Why nothing was given. */
  readonly failure?: string | undefined;
  /** Who was killed for lack of memory in the same step, and for whom. */
  readonly kills?: readonly string[] | undefined;
}

/** What to catch: requests that gave frames, or the last failed one of the last step. */
export interface Target {
  readonly untilStep: number;
  /** Undefined: the failed one. */
  readonly gives: readonly Give[] | undefined;
}

/** A log that remembers where its records start. */
class WatchedLog extends DecisionLog {
  readonly positions: number[] = [];

  override begin(
    gfp: number,
    order: number,
    cpu: number,
    attempt: number,
    origin: MaskOrigin,
    listOwner: number,
    list: ListKind,
  ): void {
    super.begin(gfp, order, cpu, attempt, origin, listOwner, list);
    this.positions.push(this.lastRecord);
  }
}

/** Runs a session and stands between the kernel, its page allocator and its huge pages. */
export class Catcher {
  readonly #session: Session;
  readonly #target: Target;
  #log = new WatchedLog();
  #step = 0;
  /** Attempts that failed and may belong to the request that follows. */
  #failed: { attempts: ExplainedAttempt[]; first: Decision; nrCompactions: number } | undefined;
  readonly #caught = new Map<Give | undefined, ExplainedRequest>();
  /** How often each frame of a target was given so far. */
  readonly #given = new Map<Frame, number>();
  /** Runs of reclaim before the call that is watched. */
  #nrRuns = 0;
  /** The same of compaction. */
  #nrCompactions = 0;

  constructor(session: Session, target: Target) {
    this.#session = session;
    this.#target = target;
    for (const { frame } of target.gives ?? []) this.#given.set(frame, 0);
    const { kernel } = session;
    watchGives(kernel, (call, order) => {
      const freeBefore = Int32Array.from(kernel.mem.zones.free);
      this.#log.positions.length = 0;
      this.#nrRuns = this.#log.reclaimRuns.length;
      this.#nrCompactions = this.#log.compactionRuns.length;
      const n = call();
      this.#note(kernel, order, n, freeBefore);
      return n;
    });
  }

  /** Runs the steps. Returns the requests by what they gave; under undefined the failed one. */
  requests(): ReadonlyMap<Give | undefined, ExplainedRequest> {
    const { ops } = this.#session.input.scenario;
    const { untilStep, gives } = this.#target;
    while (this.#step <= untilStep && this.#caught.size !== gives?.length) {
      this.#log = new WatchedLog();
      this.#session.kernel.allocator.log = this.#log;
      this.#failed = undefined;
      if (gives === undefined) this.#caught.clear();
      const { kills: killed } = this.#session.kernel;
      const nrKills = killed.length;
      const step = this.#session.step();
      assert(step !== undefined && step.op === ops[this.#step], 'both runs are the same');
      const kills = killed.slice(nrKills).map(killWords);
      for (const [give, request] of kills.length === 0 ? [] : this.#caught) {
        if (request.step === this.#step) this.#caught.set(give, { ...request, kills });
      }
      this.#step++;
    }
    return this.#caught;
  }

  /** Looks at what a call of the allocator gave. */
  #note(k: Kernel, order: number, n: number, freeBefore: Int32Array): void {
    const { gives } = this.#target;
    const hits = n > 0 ? this.#hits(k, order, n) : [];
    if (n > 0 && hits.length === 0) {
      this.#failed = undefined;
      if (gives === undefined) this.#caught.clear();
      return;
    }
    const decisions = this.#log.positions.map((at) => this.#log.recordAt(at));
    let first = decisions[0];
    if (first === undefined) return;
    const attempts = decisions.map((d) => explainAttempt(k, d, freeBefore));
    const before = this.#failed;
    if (before !== undefined && isSameRequest(before.first.context, first.context)) {
      const isRepeated = n === 0 && JSON.stringify(before.attempts) === JSON.stringify(attempts);
      if (!isRepeated) attempts.unshift(...before.attempts);
      first = before.first;
      this.#nrCompactions = before.nrCompactions;
    }
    const nrCompactions = this.#nrCompactions;
    this.#failed = n === 0 ? { attempts, first, nrCompactions } : undefined;
    if (hits.length === 0 && gives !== undefined) return;
    const request = this.#explain(k, first, attempts, hits.length > 0);
    if (hits.length === 0) this.#caught.set(undefined, request);
    for (const give of hits) this.#caught.set(give, request);
  }

  /** Which targets are among the frames just given; counts them. */
  #hits(k: Kernel, order: number, n: number): Give[] {
    const { out } = k.allocator;
    const isAmong = (frame: Frame): boolean => {
      const first = out[0] as number;
      if (order > 0) return frame >= first && frame < first + (1 << order);
      for (let i = 0; i < n; i++) if (out[i] === frame) return true;
      return false;
    };
    const hits: Give[] = [];
    for (const [frame, nr] of this.#given) {
      if (!isAmong(frame)) continue;
      this.#given.set(frame, nr + 1);
      const isMeant = (give: Give): boolean => give.frame === frame && give.nth === nr + 1;
      hits.push(...(this.#target.gives ?? []).filter(isMeant));
    }
    return hits;
  }

  #explain(
    k: Kernel,
    d: Decision,
    attempts: readonly ExplainedAttempt[],
    isGiven: boolean,
  ): ExplainedRequest {
    const { context } = d;
    const op = this.#session.input.scenario.ops[this.#step];
    const isNamed = context?.policyFrom === 'node named' || context?.policyFrom === 'cpuset';
    const { failure } = k.allocator;
    return {
      step: this.#step,
      text: op === undefined ? '' : printAct(op.act),
      task: context?.task ?? 'the kernel',
      purpose: context?.purpose ?? 'unknown',
      gfp: context?.gfp ?? gfpNames(d.gfp),
      order: d.order,
      cpu: d.cpu,
      cpuNode: k.mem.nodeOfCpu[d.cpu] as number,
      policy: isNamed ? 'none: the request names its node' : (context?.policy ?? 'none'),
      policyFrom: context?.policyFrom ?? 'default',
      startWhy: isNamed ? 'the node that the request names' : (context?.startWhy ?? ''),
      cpuset: context?.cpuset,
      nodemask: context?.nodemask,
      attempts,
      isGiven,
      ...reclaimWords(this.#log.reclaimRuns.slice(this.#nrRuns)),
      ...compactionWords(k, this.#log.compactionRuns.slice(this.#nrCompactions)),
      ...(isGiven || failure === FAILURE.NONE ? {} : { failure: FAILURE_WORDS[failure] }),
    };
  }
}

/** Runs of reclaim in words, those of one node and one kind together. */
function reclaimWords(runs: readonly ReclaimRun[]): { reclaim?: readonly string[] } {
  if (runs.length === 0) return {};
  const sums = new Map<string, number>();
  for (const { by, nid, nrPages } of runs) {
    const who = by === 'kswapd' ? `kswapd of node ${nid}` : `the request itself, from node ${nid},`;
    sums.set(who, (sums.get(who) ?? 0) + nrPages);
  }
  return {
    reclaim: [...sums].map(([who, n]) => `${who} freed ${n} ${n === 1 ? 'page' : 'pages'}`),
  };
}

/**
 * A second call for the same page, as preferred_many makes, or after an OOM kill of another task.
 */
const isSameRequest = (a: RequestContext | undefined, b: RequestContext | undefined): boolean =>
  a?.task === b?.task && a?.purpose === b?.purpose && a?.policy === b?.policy;
