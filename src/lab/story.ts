// What came of a run in a word, and what each design bought and cost against stock, in sentences.
// Every sentence states a number that differs between two outcomes; nothing else is said.
// Holds    STO1 a sentence is there exactly when its number differs from stock. STO2 a cell has one
//          word for every kind of outcome that happened, the worst first; a refusal counts in it
//          when not every design refuses the same step. STO3 who is killed, by whom, is told apart
//          from who meets a signal and from what is refused; where a refusal is why nobody was
//          killed, it is named.
import { thousands } from '../base/units.ts';
import type { Comparison, DesignOutcome, Refusal } from './comparison.ts';
import {
  comparable,
  type Ending,
  type Endings,
  endingsOf,
  lastStepOf,
  sinceRefused,
} from './endings.ts';

/** Kinds of outcome, the worst first; the first that happened gives a cell its colour. */
export const VERDICT_WORDS = [
  'not modelled',
  'leaked',
  'killed',
  'SIGBUS',
  'stuck',
  'refused',
  'spilled',
  'kept',
] as const;
export type VerdictWord = (typeof VERDICT_WORDS)[number];

export interface Cell {
  /** The worst that happened. */
  readonly word: VerdictWord;
  /** `leaked 3,328, killed 1`: all that happened. */
  readonly text: string;
  /** Why the run stopped, when it did. */
  readonly notModelled?: string | undefined;
  /** Results that are not what the scenario says. */
  readonly nrFailed: number;
}

/** What a design bought and cost in one comparison, against stock. */
export interface DesignStory {
  readonly design: string;
  readonly bought: readonly string[];
  readonly cost: readonly string[];
  /** After how many steps the run stopped, and why; then the rest is of the steps before. */
  readonly stopped?: string | undefined;
}

/** The design that others are measured against. */
export const BASELINE = 'stock';

const counted = (n: number, one: string, many = `${one}s`): string =>
  `${thousands(n)} ${n === 1 ? one : many}`;

/** Operations that were answered with an error, and their task lived on. */
export const nrRefused = (o: DesignOutcome): number => endingsOf(o).refused.length;

/** Tasks that died, and operations that ended in a signal or never end. */
export function nrNotSurvived(o: DesignOutcome): number {
  const { oom, signal, died, stuck, panic } = endingsOf(o);
  return [oom, signal, died, stuck, panic].reduce((sum, list) => sum + list.length, 0);
}

const keyOf = (r: Refusal): string => `${r.step} ${r.ret}`;

/** Refusals that every design has: the scenario asks for what cannot be. */
function common(outcomes: readonly DesignOutcome[]): ReadonlySet<string> {
  if (outcomes.length < 2) return new Set();
  const [first, ...others] = outcomes.map((o) => new Set(endingsOf(o).refused.map(keyOf)));
  return new Set([...(first ?? [])].filter((key) => others.every((set) => set.has(key))));
}

/** The cells of a comparison, in the order of its outcomes. */
export function cellsOf({ outcomes }: Pick<Comparison, 'outcomes'>): Cell[] {
  const shared = common(outcomes);
  return outcomes.map((o) => {
    const { refused, oom, died, panic, signal, stuck } = endingsOf(o);
    const counts: Readonly<Record<VerdictWord, number>> = {
      'not modelled': 0,
      leaked: o.nrNotAsked,
      killed: oom.length + died.length + panic.length,
      SIGBUS: signal.length,
      stuck: stuck.length,
      refused: refused.filter((r) => !shared.has(keyOf(r))).length,
      spilled: o.nrSpilled,
      kept: 0,
    };
    const happened = VERDICT_WORDS.filter((word) => counts[word] > 0);
    const text = happened.map((word) => `${word} ${thousands(counts[word])}`).join(', ');
    const nrFailed = o.failedExpectations.length;
    if (o.notModelled !== undefined) {
      return { word: 'not modelled', text: text || 'kept', notModelled: o.notModelled, nrFailed };
    }
    return { word: happened[0] ?? 'kept', text: text || 'kept', nrFailed };
  });
}

/** The stories of a comparison: of each design but stock; none without stock. */
export function storiesOf({ outcomes }: Pick<Comparison, 'outcomes'>): DesignStory[] {
  const stock = outcomes.find((o) => o.design === BASELINE);
  if (stock === undefined) return [];
  const nrSteps = Math.max(...outcomes.map((o) => o.steps.length));
  return outcomes.filter((o) => o !== stock).map((o) => storyOf(o, stock, nrSteps));
}

/** A number of two outcomes, and the sentences for less and for more of it than stock has. */
interface Measure {
  readonly of: (o: DesignOutcome, mine: Endings) => number | undefined;
  readonly less: (n: number, t: Told) => string;
  readonly more: (n: number, t: Told) => string;
  /** Is less of it bought? Else more is. */
  readonly isLessBetter: boolean;
}

/** A design beside stock, with the bad ends of both as far as both can tell. */
interface Told {
  readonly o: DesignOutcome;
  readonly stock: DesignOutcome;
  readonly mine: Endings;
  readonly theirs: Endings;
}

type Kind = 'oom' | 'signal' | 'died' | 'stuck';

/** Bad ends of one kind: what is gone has its reason told, what is new its step. */
const ends = (kind: Kind, words: (n: number, than: string) => string): Measure => ({
  of: (_, mine) => mine[kind].length,
  less: (n, { mine, theirs }) =>
    words(n, 'fewer') + sinceRefused(missing(theirs[kind], mine[kind]), mine, theirs.refused),
  more: (n, { mine, theirs }) => words(n, 'more') + firstOf(missing(mine[kind], theirs[kind])),
  isLessBetter: true,
});

/** Those of the first list that the second has not. */
function missing(these: readonly Ending[], those: readonly Ending[]): Ending[] {
  const had = new Set(those.map(({ step, task }) => `${step} ${task}`));
  return these.filter(({ step, task }) => !had.has(`${step} ${task}`));
}

const firstOf = ([first]: readonly Ending[]): string =>
  first === undefined ? '' : `, first at step ${first.step + 1} (${first.words})`;

const MEASURES: readonly Measure[] = [
  {
    of: (o) => o.nrNotAsked,
    less: (n) => `keeps ${counted(n, 'page')} off devices that nobody had asked for`,
    more: (n) => `${counted(n, 'page')} more on devices that nobody had asked for`,
    isLessBetter: true,
  },
  {
    of: (o) => o.nrAsked,
    less: (n) => `${counted(n, 'page')} fewer on devices that had been asked for`,
    more: (n) => `${counted(n, 'page')} more on devices that had been asked for`,
    isLessBetter: false,
  },
  {
    of: (o) => o.nrSpilled,
    less: (n) => `${counted(n, 'page')} fewer spilled into system memory`,
    more: (n) => `${counted(n, 'page')} more spilled into system memory`,
    isLessBetter: true,
  },
  ends('oom', (n, than) => `${counted(n, 'task')} ${than} killed by the OOM killer`),
  ends('died', (n, than) => `${counted(n, 'task')} ${than} ${n === 1 ? 'dies' : 'die'} of SIGBUS`),
  ends(
    'signal',
    (n, than) => `${counted(n, 'operation')} ${than} ${n === 1 ? 'ends' : 'end'} in SIGBUS`,
  ),
  ends(
    'stuck',
    (n, than) => `${counted(n, 'fault')} ${than} that ${n === 1 ? 'is' : 'are'} tried for ever`,
  ),
  {
    of: (o) => endingsOf(o).panic.length,
    less: (_, { stock }) => `no panic of the kernel${firstOf(endingsOf(stock).panic)}`,
    more: (_, { o }) => `the kernel panics${atStep(endingsOf(o).panic)}, and nothing goes on`,
    isLessBetter: true,
  },
  {
    of: (_, mine) => mine.refused.length,
    less: (n) => `${counted(n, 'refusal')} fewer`,
    more: (n, { mine, theirs }) => `${counted(n, 'refusal')} more${firstRefused(mine, theirs)}`,
    isLessBetter: true,
  },
  {
    of: (o) => o.nrMovedToDevice + o.nrMovedFromDevice,
    less: (n) => `${counted(n, 'page move')} to or from devices fewer`,
    more: (n) => `${counted(n, 'page move')} to or from devices more`,
    isLessBetter: true,
  },
  {
    of: (o) =>
      o.nrRequests === 0 ? undefined : Math.round((o.nrZonesLookedAt / o.nrRequests) * 100),
    less: (_, { o, stock }) => `${walk(o)} zones looked at for a request, not ${walk(stock)}`,
    more: (_, { o, stock }) => `${walk(o)} zones looked at for a request, not ${walk(stock)}`,
    isLessBetter: true,
  },
  {
    of: (o) => o.estimatedTimeNs,
    less: (n, { stock }) => `${share(n, stock)} less time (estimate)`,
    more: (n, { stock }) => `${share(n, stock)} more time (estimate)`,
    isLessBetter: true,
  },
];

const walk = (o: DesignOutcome): string => (o.nrZonesLookedAt / o.nrRequests).toFixed(2);

const share = (ns: number, stock: DesignOutcome): string => {
  const percent = (ns / (stock.estimatedTimeNs ?? Number.NaN)) * 100;
  return `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
};

const atStep = ([end]: readonly Ending[]): string =>
  end === undefined ? '' : ` at step ${end.step + 1} (${end.words})`;

/** The first step that a design refuses and stock does not. */
function firstRefused(mine: Endings, theirs: Endings): string {
  const had = new Set(theirs.refused.map(keyOf));
  const first = mine.refused.find((r) => !had.has(keyOf(r)));
  return first === undefined
    ? ''
    : `, first at step ${first.step + 1} (${first.text} -> ${first.ret})`;
}

function storyOf(o: DesignOutcome, stock: DesignOutcome, nrSteps: number): DesignStory {
  const bought: string[] = [];
  const cost: string[] = [];
  // Of what comes after a panic, or after the last step of a run, only one of them could tell.
  const until = Math.min(lastStepOf(o), lastStepOf(stock));
  const [all, ofStock] = [endingsOf(o, until), endingsOf(stock, until)];
  const told = { o, stock, mine: comparable(all, ofStock), theirs: comparable(ofStock, all) };
  for (const measure of MEASURES) {
    const [mine, theirs] = [measure.of(o, told.mine), measure.of(stock, told.theirs)];
    if (mine === undefined || theirs === undefined || mine === theirs) continue;
    const isLess = mine < theirs;
    const sentence = (isLess ? measure.less : measure.more)(Math.abs(mine - theirs), told);
    (isLess === measure.isLessBetter ? bought : cost).push(sentence);
  }
  const { notModelled } = o;
  const stopped =
    notModelled === undefined
      ? undefined
      : `stopped after ${o.steps.length} of ${nrSteps} steps, not modelled: ${notModelled}`;
  return { design: o.design, bought, cost, ...(stopped === undefined ? {} : { stopped }) };
}
