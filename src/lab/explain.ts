// Why is this page where it is? Runs a scenario twice: once to see which frame the page has and
// what became of it step by step, then again to catch the very request that gave that frame.
// Holds    EXP1 the decision told is the one that gave the frame: it is caught as it is given, by
//          frame number, so it is exact for faults, copies, forks and moves alike. EXP2 both runs
//          are the same run (RUN1).
import { assert, UserError } from '../base/assert.ts';
import type { Scenario, TaskAct } from '../scenario/ops.ts';
import { printAct } from '../scenario/print.ts';
import type { PageName } from './comparison.ts';
import {
  cacheWords,
  type DriversFrame,
  driversFrame,
  pinWords,
  putThereBy,
} from './explain_driver.ts';
import { limitWords } from './explain_limit.ts';
import { Catcher, type ExplainedRequest, type StepName } from './explain_request.ts';
import { howWords, lastMoveWords, type PageLink, pageLinks, toldOf } from './explain_story.ts';
import { FrameStory, type Give, type StoryLink } from './frame_story.ts';
import { findPage, type PageState, pageState, rangeOf, stoppedAt } from './page_place.ts';
import { Session, type SessionInput, type Step } from './session.ts';

export interface ExplainInput
  extends Pick<SessionInput, 'scenario' | 'machine' | 'design' | 'options' | 'inodes' | 'onStep'> {
  readonly region: string;
  /** Pages from the region's start. */
  readonly index: number;
  /** The task that maps the region, when left out. */
  readonly task?: string | undefined;
  /** Number of the step, from 0, after which the page is looked at; the last when left out. */
  readonly atStep?: number | undefined;
}

/** What a page was after a step that changed it. */
export interface PageEvent extends StepName {
  /** `page` with its node, `zero page`, `empty`, `not mapped`, `dead task`. */
  readonly state: PageState['kind'];
  readonly nid?: number | undefined;
  /** What brought it into its frame, other than a request: `moved by compaction`. */
  readonly how?: readonly string[] | undefined;
  /** Why nothing became of it: a cache answered, or a driver keeps what went to and fro. */
  readonly note?: string | undefined;
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
  /** From the request that gave the first frame to the frame that the page is in, or was last. */
  readonly chain?: readonly PageLink[] | undefined;
  /** The request that gave the page, or that failed to. */
  readonly request?: ExplainedRequest | undefined;
}

/**
 * Explains one page.
 * @throws UserError for a region, task, page or step that the scenario does not have; NotModelled.
 */
export function explainPage(input: ExplainInput): Explanation {
  const { scenario, machine, design, options, inodes, onStep } = input;
  const session = (): Session =>
    new Session({ machine, design, scenario, options, inodes, onStep });
  const page = findPage(scenario, input);
  const last = scenario.ops.length - 1;
  const atStep = input.atStep ?? last;
  if (!Number.isInteger(atStep) || atStep < 0 || atStep > last) {
    throw new UserError(`no step ${atStep + 1}: ${scenario.name} has steps 1 to ${last + 1}`);
  }
  const seen = watch(session(), page, atStep);
  const head = { ...page, design: design.id, history: seen.history };
  const catching = (untilStep: number, { story = [] }: Pick<Came, 'story'>): Caught =>
    catchStory(session(), untilStep, story);

  if (seen.state.kind === 'page') {
    const came = seen.came as Came;
    const { chain, request, requestAt } = catching(atStep, came);
    const told = { ...head, state: 'page', nid: came.nid, chain } as const;
    if (came.drivers !== undefined) {
      const what = came.drivers.isBuffer ? 'The page of the buffer is' : 'The page is';
      const words = `${what} ${came.drivers.where}. ${putThereBy(seen.history, atStep)}`;
      return { ...told, words };
    }
    const by = seen.state.isMapped ? '' : ` (of the shared object; ${page.task} has not mapped it)`;
    const words = `The page is on node ${came.nid}${by}.${lastMoveWords(chain, requestAt)}`;
    return { ...told, words, request };
  }
  const state = seen.state.kind;
  if (seen.stop !== undefined && page.index < seen.stop.index) {
    const { request, chain } = explainPage({
      ...input,
      ...page,
      ...upTo(scenario, seen.stop, page),
    });
    const { step, text, ret, index } = seen.stop;
    const words =
      `There is no page now: step ${step + 1} (${text}) got it, went on to page ${index}, and ` +
      `ended there in ${ret}, with which the task was gone. This page had come as follows.`;
    return { ...head, state, words, chain, request };
  }
  if (seen.stop !== undefined) {
    const target = { untilStep: seen.stop.step, gives: undefined };
    const request = new Catcher(session(), target).requests().get(undefined);
    return { ...head, state, words: stopWords(page, seen.stop) + refusedWords(seen), request };
  }
  if (seen.lost !== undefined) {
    const { step, text, nid, drivers } = seen.lost;
    const { chain, request, requestAt } = catching(step, seen.lost);
    if (drivers !== undefined) {
      const took = `There is no page now: step ${step + 1} (${text}) took it. It was`;
      const words = `${took} ${drivers.where}. ${putThereBy(seen.history, step - 1)}`;
      return { ...head, state, words, chain };
    }
    const went = LOST_WORDS[state] ?? 'took it';
    const moved = lastMoveWords(chain, requestAt) || ' It had come there as follows.';
    const words = `There is no page now: step ${step + 1} (${text}) ${went} from node ${nid}.${moved}`;
    return { ...head, state, words, chain, request };
  }
  if (seen.written !== undefined) return { ...head, ...writtenAtOnce(input, page, seen.written) };
  return { ...head, state, words: ABSENT_WORDS[state] + refusedWords(seen) };
}

/** A page that one operation both brought and saw go to a swap area. */
function writtenAtOnce(
  input: ExplainInput,
  page: PageName,
  written: NonNullable<Seen['written']>,
): Pick<Explanation, 'state' | 'words' | 'chain' | 'request'> {
  const { step, text } = written;
  const cut = upTo(input.scenario, written, page);
  const { request, chain } = explainPage({ ...input, ...page, ...cut });
  const words =
    `There is no page now: step ${step + 1} (${text}) got it, and before its end a swap area had ` +
    'it. It had come as follows.';
  return { state: 'in swap', words, chain, request };
}

interface Caught {
  readonly chain: readonly PageLink[];
  /** The last request of the chain, and the link it belongs to; -1 for none. */
  readonly request: ExplainedRequest | undefined;
  readonly requestAt: number;
}

/** Runs once more to catch the requests of a story. */
function catchStory(session: Session, untilStep: number, story: readonly StoryLink[]): Caught {
  const told = toldOf(story);
  const gives = told.flatMap(({ give }): Give[] => (give === undefined ? [] : [give]));
  const requests = new Catcher(session, { untilStep, gives }).requests();
  const { ops } = session.input.scenario;
  const textOf = (step: number): string => {
    const op = ops[step];
    return op === undefined ? '' : printAct(op.act);
  };
  const chain = pageLinks(session.kernel, told, requests, textOf);
  const requestAt = told.findLastIndex(({ give }) => requests.has(give));
  return { chain, request: requests.get(told[requestAt]?.give), requestAt };
}

/** What a step did that left a page in another state, before `from node 0`. */
const LOST_WORDS: Partial<Record<PageState['kind'], string>> = {
  'in swap': 'wrote it to a swap area and took it',
  broken: 'broke it, and took it',
  'zero page': 'let it share the page of zeroes, and took it',
};

const ABSENT_WORDS: Readonly<Record<Exclude<PageState['kind'], 'page'>, string>> = {
  'no task': 'There is no page: the task does not exist yet.',
  'dead task': 'There is no page: the task died before it had one there.',
  'not mapped': 'There is no page: nothing is mapped there.',
  empty: 'There is no page: it is mapped, and nobody has touched it yet.',
  'in swap': 'There is no page: a swap area has it.',
  broken: 'There is no page: it broke, and whoever touches it gets SIGBUS.',
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

/** Why nothing is mapped, if it was to be. */
function refusedWords({ refused }: Seen): string {
  if (refused === undefined) return '';
  const { step, text, ret } = refused;
  return ` The region is not there: step ${step + 1} (${text}) ended in ${ret}.`;
}

function isMapOf({ op: { act } }: Step, { task, region }: PageName): boolean {
  return (
    act.on === 'task' && act.task === task && act.act.verb === 'mmap' && act.act.region === region
  );
}

/**
 * The scenario cut off right after an operation touched the page and before it went on: touching a
 * range is touching its pages one by one.
 */
function upTo(
  scenario: Scenario,
  stop: Pick<Stop, 'step' | 'start'>,
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

/** A page that is there, and how it came. */
interface Came {
  readonly nid: number;
  readonly story: readonly StoryLink[];
  /** The page is in memory that a driver hands out. */
  readonly drivers: DriversFrame | undefined;
}

interface Seen {
  readonly state: PageState;
  /** Of a page that is there. */
  readonly came?: Came | undefined;
  readonly history: readonly PageEvent[];
  /** The last operation that would have brought the page, and stopped at it or before it. */
  readonly stop?: Stop | undefined;
  /** The step that took the page away. */
  readonly lost?: (StepName & Came) | undefined;
  /** The mmap of the region that failed last, with none after it that did not. */
  readonly refused?: (StepName & { readonly ret: string }) | undefined;
  /** The operation that brought the page, and before whose end a swap area had it. */
  readonly written?: (StepName & Pick<Stop, 'start'>) | undefined;
}

/** Runs up to a step and notes what becomes of a page. */
function watch(session: Session, page: PageName, atStep: number): Seen {
  const { kernel } = session;
  const frames = new FrameStory(kernel);
  const history: PageEvent[] = [];
  let state = pageState(session, page);
  let came = cameOf(session, frames, page, state);
  let stop: Stop | undefined;
  let lost: Seen['lost'];
  let written: Seen['written'];
  let refused: Seen['refused'];
  let furthest = 0;
  const { kills } = kernel;
  let nrKills = 0;
  for (let index = 0; index <= atStep; index++) {
    frames.step = index;
    const step = session.step();
    if (step === undefined) break;
    const text = printAct(step.op.act);
    const was = state;
    const cameBefore = came;
    const limit = limitWords(kernel, step, kills.slice(nrKills));
    nrKills = kills.length;
    state = pageState(session, page);
    came = cameOf(session, frames, page, state);
    if (isMapOf(step, page)) {
      const { ret } = step.result;
      refused = typeof ret === 'string' ? { step: index, text, ret } : undefined;
    }
    furthest = Math.max(furthest, regionEnd(session, page));
    const how = came?.story.filter((link) => link.step === index).map(howWords) ?? [];
    if (!sameState(was, state) || how.length > 0) {
      const told = how.length === 0 ? {} : { how };
      history.push({ step: index, text, state: state.kind, nid: came?.nid, ...told });
    } else {
      const note = cacheWords(session, step, page) ?? pinWords(session, step, page);
      if (note !== undefined) {
        history.push({ step: index, text, state: state.kind, nid: came?.nid, note });
      }
    }
    if (was.kind !== state.kind) written = undefined;
    if (came !== undefined) {
      stop = undefined;
      lost = undefined;
      continue;
    }
    if (cameBefore !== undefined) {
      stop = undefined;
      lost = { step: index, text, ...cameBefore };
    } else stop = stopOf(session, step, page, limit) ?? stop;
    const isNew = state.kind === 'in swap' && was.kind === 'empty';
    const start = isNew ? startOfRun(session, step) : undefined;
    if (start !== undefined) written = { step: index, text, start };
  }
  if (furthest > 0 && page.index >= furthest && history.length === 0) {
    const pages = `its pages are 0 to ${furthest - 1}`;
    throw new UserError(`page ${page.index} is past the end of ${page.region}: ${pages}`);
  }
  return { state, came, history, stop, lost, written, refused };
}

/** How a page came that is there. */
function cameOf(
  session: Session,
  frames: FrameStory,
  page: PageName,
  state: PageState,
): Came | undefined {
  if (state.kind !== 'page') return undefined;
  const { frame } = state;
  const { runner, kernel } = session;
  const vpn = runner.regionsOf(page.task).vpnOf(page.region, page.index);
  const space = runner.tasks.get(page.task)?.mm;
  return {
    nid: Number(kernel.allocator.nidOf(frame)),
    story: frames.storyOf(space, vpn, frame, frames.codeOf(frame)),
    drivers: driversFrame(kernel, frame),
  };
}

/** One more than the highest page of the region as last mapped. */
function regionEnd(session: Session, page: PageName): number {
  const table = session.runner.regionsOf(page.task);
  if (!table.names().includes(page.region)) return 0;
  const { startVpn, nrPages } = table.range({ region: page.region });
  return (startVpn - table.startOf(page.region) + nrPages) / table.unitOf(page.region);
}

/** First page of an operation that takes its pages one by one; undefined for others. */
function startOfRun(session: Session, { op, result }: Step): number | undefined {
  const nr = result.touched ?? result.read ?? result.computed;
  return typeof nr === 'number' ? rangeOf(session, op.act)?.start : undefined;
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
