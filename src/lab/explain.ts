// Why is this page where it is? Runs a scenario twice: once to see which frame the page has and
// what became of it step by step, then again to catch the very request that gave that frame.
// Holds    EXP1 the decision told is the one that gave the frame: it is caught as it is given, by
//          frame number, so it is exact for faults, copies, forks and moves alike. EXP2 both runs
//          are the same run (RUN1).
import { assert, UserError } from '../base/assert.ts';
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
import type { HugePages } from '../mm/hugetlb.ts';
import { FAILURE } from '../mm/internal.ts';
import type { ListKind } from '../mm/zonelist.ts';
import type { Scenario, TaskAct } from '../scenario/ops.ts';
import { printAct } from '../scenario/print.ts';
import type { PageName } from './comparison.ts';
import { killWords } from './deaths.ts';
import { compactionWords } from './explain_compaction.ts';
import { cacheWords, type DriversFrame, driversFrame, putThereBy } from './explain_driver.ts';
import { limitWords } from './explain_limit.ts';
import { type ExplainedAttempt, explainAttempt, FAILURE_WORDS } from './explain_walk.ts';
import { findPage, type PageState, pageState, rangeOf, stoppedAt } from './page_place.ts';
import { Session, type SessionInput, type Step } from './session.ts';

export interface ExplainInput
  extends Pick<SessionInput, 'scenario' | 'machine' | 'design' | 'options' | 'inodes'> {
  readonly region: string;
  /** Pages from the region's start. */
  readonly index: number;
  /** The task that maps the region, when left out. */
  readonly task?: string | undefined;
  /** Number of the step, from 0, after which the page is looked at; the last when left out. */
  readonly atStep?: number | undefined;
}

export interface StepName {
  /** From 0. */
  readonly step: number;
  readonly text: string;
}

/** What a page was after a step that changed it. */
export interface PageEvent extends StepName {
  /** `page` with its node, `zero page`, `empty`, `not mapped`, `dead task`. */
  readonly state: PageState['kind'];
  readonly nid?: number | undefined;
  /** Why nothing became of it, where a device's cache answered visits; then it did not change. */
  readonly note?: string | undefined;
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

export interface Explanation extends PageName {
  readonly design: string;
  /** The state that is explained. */
  readonly state: PageState['kind'];
  /** Node of the page, when there is one. */
  readonly nid?: number | undefined;
  /** What it comes to, in a sentence or two. */
  readonly words: string;
  readonly history: readonly PageEvent[];
  /** The request that gave the page, or that failed to. */
  readonly request?: ExplainedRequest | undefined;
}

/**
 * Explains one page.
 * @throws UserError for a region, task, page or step that the scenario does not have; NotModelled.
 */
export function explainPage(input: ExplainInput): Explanation {
  const { scenario, machine, design, options, inodes } = input;
  const session = (): Session => new Session({ machine, design, scenario, options, inodes });
  const page = findPage(scenario, input);
  const last = scenario.ops.length - 1;
  const atStep = input.atStep ?? last;
  if (!Number.isInteger(atStep) || atStep < 0 || atStep > last) {
    throw new UserError(`no step ${atStep + 1}: ${scenario.name} has steps 1 to ${last + 1}`);
  }
  const seen = watch(session(), page, atStep);
  const head = { ...page, design: design.id, history: seen.history };
  const catching = (target: Target): ExplainedRequest | undefined =>
    new Catcher(session(), target).request();

  if (seen.state.kind === 'page' && seen.drivers !== undefined) {
    const what = seen.drivers.isBuffer ? 'The page of the buffer is' : 'The page is';
    const words = `${what} ${seen.drivers.where}. ${putThereBy(seen.history, atStep)}`;
    return { ...head, state: 'page', nid: seen.nid, words };
  }
  if (seen.state.kind === 'page') {
    const request = catching({ untilStep: atStep, frame: seen.state.frame });
    const by = seen.state.isMapped ? '' : ` (of the shared object; ${page.task} has not mapped it)`;
    const words = `The page is on node ${seen.nid}${by}.`;
    return { ...head, state: 'page', nid: seen.nid, words, request };
  }
  const state = seen.state.kind;
  if (seen.stop !== undefined && page.index < seen.stop.index) {
    const { request } = explainPage({ ...input, ...page, ...upTo(scenario, seen.stop, page) });
    const { step, text, ret, index } = seen.stop;
    const words =
      `There is no page now: step ${step + 1} (${text}) got it, went on to page ${index}, and ` +
      `ended there in ${ret}, with which the task was gone. This page had come as follows.`;
    return { ...head, state, words, request };
  }
  if (seen.stop !== undefined) {
    const request = catching({ untilStep: seen.stop.step, frame: undefined });
    return { ...head, state, words: stopWords(page, seen.stop), request };
  }
  if (seen.lost !== undefined) {
    const { step, text, frame, nid, drivers } = seen.lost;
    if (drivers !== undefined) {
      const took = `There is no page now: step ${step + 1} (${text}) took it. It was`;
      const words = `${took} ${drivers.where}. ${putThereBy(seen.history, step - 1)}`;
      return { ...head, state, words };
    }
    const request = catching({ untilStep: step - 1, frame });
    const words = `There is no page now: step ${step + 1} (${text}) took it from node ${nid}.`;
    return { ...head, state, words: `${words} It had come there as follows.`, request };
  }
  return { ...head, state, words: ABSENT_WORDS[state] };
}

const ABSENT_WORDS: Readonly<Record<Exclude<PageState['kind'], 'page'>, string>> = {
  'no task': 'There is no page: the task does not exist yet.',
  'dead task': 'There is no page: the task died before it had one there.',
  'not mapped': 'There is no page: nothing is mapped there.',
  empty: 'There is no page: it is mapped, and nobody has touched it yet.',
  'zero page':
    "It is only read so far: the kernel's one page of zeroes is mapped, for which nothing is allocated.",
};

interface Stop extends StepName {
  readonly ret: string;
  /** First page of the operation. */
  readonly start: number;
  /** Where the operation stopped, from the region's start. */
  readonly index: number;
  /** The limit of a memory cgroup that it stopped at, in sentences; empty when there was none. */
  readonly limit: string;
}

function stopWords(page: PageName, stop: Stop): string {
  const at = `step ${stop.step + 1} (${stop.text}) ended in ${stop.ret}`;
  if (stop.index === page.index) return `There is no page: ${at} at this very page.${stop.limit}`;
  return (
    `There is no page: ${at} at page ${stop.index} of the region, before it came to this one.` +
    `${stop.limit}${stop.limit === '' ? ' What that page met:' : ''}`
  );
}

/**
 * The scenario cut off right after an operation touched the page and before it went on: touching a
 * range is touching its pages one by one.
 */
function upTo(
  scenario: Scenario,
  stop: Stop,
  page: PageName,
): Pick<ExplainInput, 'scenario' | 'atStep'> {
  const op = scenario.ops[stop.step];
  assert(op !== undefined && op.act.on === 'task', 'only operations of tasks stop at a page');
  const nrPages = page.index - stop.start + 1;
  const act = { ...op.act.act, offset: stop.start, nrPages } as TaskAct;
  const cut = { ...op, act: { ...op.act, act }, expect: [] };
  return {
    scenario: { ...scenario, ops: [...scenario.ops.slice(0, stop.step), cut] },
    atStep: stop.step,
  };
}

interface Lost {
  readonly frame: Frame;
  readonly nid: number;
  readonly drivers: DriversFrame | undefined;
}

interface Seen {
  readonly state: PageState;
  readonly nid?: number | undefined;
  readonly history: readonly PageEvent[];
  /** The last operation that would have brought the page, and stopped at it or before it. */
  readonly stop?: Stop | undefined;
  /** The step that took the page away. */
  readonly lost?: (StepName & Lost) | undefined;
  /** The page is in memory that a driver hands out. */
  readonly drivers?: DriversFrame | undefined;
}

/** Runs up to a step and notes what becomes of a page. */
function watch(session: Session, page: PageName, atStep: number): Seen {
  const history: PageEvent[] = [];
  const nidOf = (s: PageState): number | undefined =>
    s.kind === 'page' ? Number(session.kernel.allocator.nidOf(s.frame)) : undefined;
  let state = pageState(session, page);
  let stop: Stop | undefined;
  let lost: Seen['lost'];
  let furthest = 0;
  const { kills } = session.kernel;
  let nrKills = 0;
  for (let step = session.step(); step !== undefined; step = session.step()) {
    const { index } = step;
    const text = printAct(step.op.act);
    const was = state;
    const limit = limitWords(session.kernel, step, kills.slice(nrKills));
    nrKills = kills.length;
    state = pageState(session, page);
    furthest = Math.max(furthest, regionEnd(session, page));
    if (!sameState(was, state)) {
      history.push({ step: index, text, state: state.kind, nid: nidOf(state) });
    } else {
      const note = cacheWords(session, step, page);
      if (note !== undefined) {
        history.push({ step: index, text, state: state.kind, nid: nidOf(state), note });
      }
    }
    if (state.kind === 'page') {
      stop = undefined;
      lost = undefined;
    } else {
      const nid = nidOf(was);
      if (was.kind === 'page' && nid !== undefined) {
        stop = undefined;
        const drivers = driversFrame(session.kernel, was.frame);
        lost = { step: index, text, frame: was.frame, nid, drivers };
      }
      if (lost?.step !== index) stop = stopOf(session, step, page, limit) ?? stop;
    }
    if (index === atStep) break;
  }
  if (furthest > 0 && page.index >= furthest && history.length === 0) {
    const pages = `its pages are 0 to ${furthest - 1}`;
    throw new UserError(`page ${page.index} is past the end of ${page.region}: ${pages}`);
  }
  const drivers = state.kind === 'page' ? driversFrame(session.kernel, state.frame) : undefined;
  return { state, nid: nidOf(state), history, stop, lost, drivers };
}

/** One more than the highest page of the region as last mapped. */
function regionEnd(session: Session, page: PageName): number {
  const table = session.runner.regionsOf(page.task);
  if (!table.names().includes(page.region)) return 0;
  const { startVpn, nrPages } = table.range({ region: page.region });
  return (startVpn - table.startOf(page.region) + nrPages) / table.unitOf(page.region);
}

const sameState = (a: PageState, b: PageState): boolean =>
  a.kind === b.kind && (a.kind !== 'page' || b.kind !== 'page' || a.frame === b.frame);

/** The stop of an operation that was to reach the page. */
function stopOf(session: Session, step: Step, page: PageName, limit: string): Stop | undefined {
  const stop = stoppedAt(session, step);
  const range = rangeOf(session, step.op.act);
  if (stop === undefined || range === undefined) return undefined;
  if (stop.task !== page.task || stop.region !== page.region) return undefined;
  if (page.index < range.start || page.index >= range.end) return undefined;
  const text = printAct(step.op.act);
  const ret = String(step.result.ret);
  return { step: step.index, text, ret, start: range.start, index: stop.index, limit };
}

/** What to catch: the last request that gave a frame, or the last failed one of the last step. */
interface Target {
  readonly untilStep: number;
  readonly frame: Frame | undefined;
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
class Catcher {
  readonly #session: Session;
  readonly #target: Target;
  #log = new WatchedLog();
  #step = 0;
  /** Attempts that failed and may belong to the request that follows. */
  #failed: { attempts: ExplainedAttempt[]; first: Decision; nrCompactions: number } | undefined;
  #caught: ExplainedRequest | undefined;
  /** Runs of reclaim before the call that is watched. */
  #nrRuns = 0;
  /** The same of compaction. */
  #nrCompactions = 0;

  constructor(session: Session, target: Target) {
    this.#session = session;
    this.#target = target;
    const { kernel } = session;
    const { allocator } = kernel;
    const alloc = allocator.alloc.bind(allocator);
    const retry = allocator.retry.bind(allocator);
    let lastOrder = 0;
    allocator.alloc = (gfp, order, nid, nodemask, want) => {
      lastOrder = order;
      return this.#watch(order, () => alloc(gfp, order, nid, nodemask, want));
    };
    allocator.retry = (gfp) => this.#watch(lastOrder, () => retry(gfp));
    for (const pool of kernel.pools) this.#watchPool(pool);
  }

  #watchPool(pool: HugePages): void {
    const dequeue = pool.dequeue.bind(pool);
    pool.dequeue = (gfp, nid, nodes) => {
      let f: Frame | undefined;
      this.#watch(pool.order, () => {
        f = dequeue(gfp, nid, nodes);
        return f === undefined ? 0 : 1;
      });
      return f;
    };
  }

  /** Makes a call that may give frames, and looks at what it gave. */
  #watch(order: number, call: () => number): number {
    const { kernel } = this.#session;
    const freeBefore = Int32Array.from(kernel.mem.zones.free);
    this.#log.positions.length = 0;
    this.#nrRuns = this.#log.reclaimRuns.length;
    this.#nrCompactions = this.#log.compactionRuns.length;
    const n = call();
    this.#note(kernel, order, n, freeBefore);
    return n;
  }

  /** The request, or undefined when the frame was given before the first step. */
  request(): ExplainedRequest | undefined {
    const { ops } = this.#session.input.scenario;
    while (this.#step <= this.#target.untilStep) {
      this.#log = new WatchedLog();
      this.#session.kernel.allocator.log = this.#log;
      this.#failed = undefined;
      if (this.#target.frame === undefined) this.#caught = undefined;
      const { kills: killed } = this.#session.kernel;
      const nrKills = killed.length;
      const step = this.#session.step();
      assert(step !== undefined && step.op === ops[this.#step], 'both runs are the same');
      const kills = killed.slice(nrKills).map(killWords);
      if (this.#caught?.step === this.#step && kills.length > 0) {
        this.#caught = { ...this.#caught, kills };
      }
      this.#step++;
    }
    return this.#caught;
  }

  /** Looks at what a call of the allocator gave. */
  #note(k: Kernel, order: number, n: number, freeBefore: Int32Array): void {
    const { frame } = this.#target;
    const isHit = frame !== undefined && n > 0 && this.#gave(k, frame, order, n);
    if (n > 0 && !isHit) {
      this.#failed = undefined;
      if (frame === undefined) this.#caught = undefined;
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
    if (isHit || (n === 0 && frame === undefined)) {
      this.#caught = this.#explain(k, first, attempts, isHit);
    }
  }

  #gave(k: Kernel, frame: Frame, order: number, n: number): boolean {
    const { out } = k.allocator;
    if (order > 0) return frame >= (out[0] as number) && frame < (out[0] as number) + (1 << order);
    for (let i = 0; i < n; i++) if (out[i] === frame) return true;
    return false;
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
