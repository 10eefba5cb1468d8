// How operations of a run ended when they did not end well, by kind: refused, killed by the OOM
// killer, by a signal, with the kernel, or never.
// Holds    END1 every result that is an error is of one kind, and every death that no result of its
//          own tells of. END2 after a panic nothing counts any more, nor what a
//          task did that had died in the run it is held against.
import type { ComparedDeath, DesignOutcome, Refusal } from './comparison.ts';
import { STUCK } from './deaths.ts';

/** One bad end: of which task, where, and how. */
export interface Ending {
  /** Number of the step, from 0. */
  readonly step: number;
  /** `app touch buf -> KILLED`. */
  readonly words: string;
  readonly task: string;
}

export interface Endings {
  /** Answered with an error, or with SIGSEGV where nothing is mapped; the task lived on. */
  readonly refused: readonly Refusal[];
  /** Taken by the OOM killer, in an operation of its own or of somebody else. */
  readonly oom: readonly Ending[];
  /** Operations that ended in SIGBUS, which a program may survive. */
  readonly signal: readonly Ending[];
  /** Died of a signal that came by itself, when memory broke. */
  readonly died: readonly Ending[];
  /** Go on for ever without a page. */
  readonly stuck: readonly Ending[];
  /** The kernel panicked: there is at most one. */
  readonly panic: readonly Ending[];
}

const taskOf = (text: string): string => /^\S+/.exec(text)?.[0] ?? '';

const endingOf = ({ step, text, ret }: Refusal): Ending => ({
  step,
  words: `${text} -> ${ret}`,
  task: taskOf(text),
});

const deathOf = ({ step, text, task, by }: ComparedDeath): Ending => ({
  step,
  words: `${text}: ${task} ${by}`,
  task,
});

/** The bad ends of a run before step `until`; all of them when left out. */
export function endingsOf(o: DesignOutcome, until = Number.POSITIVE_INFINITY): Endings {
  const refusals = o.refusals.filter(({ step }) => step < until);
  const deaths = (o.deaths ?? []).filter(({ step }) => step < until);
  const results = (is: (ret: string) => boolean): Ending[] =>
    refusals.filter(({ ret }) => is(ret)).map(endingOf);
  const ofDeaths = (is: (death: ComparedDeath) => boolean): Ending[] =>
    deaths.filter(is).map(deathOf);
  const isBad = (ret: string): boolean =>
    ret === 'KILLED' || ret === 'PANIC' || ret === 'SIGBUS' || STUCK.has(ret);
  const inOrder = (...all: Ending[][]): Ending[] => all.flat().sort((a, b) => a.step - b.step);
  return {
    refused: refusals.filter(({ ret }) => !isBad(ret)),
    oom: inOrder(
      results((ret) => ret === 'KILLED'),
      ofDeaths(({ askedBy }) => askedBy !== undefined),
    ),
    signal: results((ret) => ret === 'SIGBUS'),
    died: ofDeaths(({ askedBy, by }) => askedBy === undefined && !STUCK.has(by)),
    stuck: inOrder(
      results((ret) => STUCK.has(ret)),
      ofDeaths(({ askedBy, by }) => askedBy === undefined && STUCK.has(by)),
    ),
    panic: results((ret) => ret === 'PANIC').slice(0, 1),
  };
}

/** The first step of which a run can say nothing: after a panic, or where it stopped. */
export function lastStepOf(o: DesignOutcome): number {
  const panic = o.refusals.find(({ ret }) => ret === 'PANIC')?.step ?? Number.POSITIVE_INFINITY;
  return o.notModelled === undefined ? panic : Math.min(panic, o.steps.length);
}

/** Those of the first that the other run could have had too: its task was there still. */
export function comparable(these: Endings, others: Endings): Endings {
  const diedAt = new Map<string, number>();
  for (const { task, step } of [...others.oom, ...others.died, ...others.stuck]) {
    diedAt.set(task, Math.min(step, diedAt.get(task) ?? step));
  }
  const could = ({ task, step }: { readonly task: string; readonly step: number }): boolean =>
    step <= (diedAt.get(task) ?? step);
  return {
    refused: these.refused.filter(({ step, text }) => could({ step, task: taskOf(text) })),
    oom: these.oom.filter(could),
    signal: these.signal.filter(could),
    died: these.died.filter(could),
    stuck: these.stuck.filter(could),
    panic: these.panic,
  };
}

/** Operations that say where pages are to be: when one is refused, they come from elsewhere. */
const SAYS_WHERE: ReadonlySet<string> = new Set([
  'set_mempolicy',
  'mbind',
  'set_home',
  'move_pages',
  'migrate_pages',
  'device_alloc',
  'device_prefetch',
]);

/**
 * Why bad ends of stock are not there under a design: a task that was refused what it asked for has
 * its pages from elsewhere. In words, as `: step 4 was refused (...)`; nothing when that is not so.
 */
export function sinceRefused(
  gone: readonly Ending[],
  mine: Endings,
  theirs: readonly Refusal[],
): string {
  const had = new Set(theirs.map(({ step, ret }) => `${step} ${ret}`));
  const why = gone.flatMap(({ task, step }) => {
    const refusal = mine.refused.findLast(
      (r) =>
        r.step < step &&
        taskOf(r.text) === task &&
        SAYS_WHERE.has(r.text.split(' ')[1] ?? '') &&
        !had.has(`${r.step} ${r.ret}`),
    );
    return refusal === undefined ? [] : [refusal];
  });
  const [first] = why;
  if (first === undefined) return '';
  const of = why.length === gone.length ? '' : `for ${why.length} of them `;
  return (
    `: ${of}step ${first.step + 1} was refused (${first.text} -> ${first.ret}), so that pages came ` +
    'from elsewhere'
  );
}
