// What came of a run in a word, and what each design bought and cost against stock, in sentences.
// Every sentence states a number that differs between two outcomes; nothing else is said.
// Holds    STO1 a sentence is there exactly when its number differs from stock. STO2 a cell has one
//          word for every kind of outcome that happened, the worst first; a refusal counts in it
//          when not every design refuses the same step.
import { thousands } from '../base/units.ts';
import type { Comparison, DesignOutcome, Refusal } from './comparison.ts';
import { KILLED, STUCK } from './deaths.ts';

/** Kinds of outcome, the worst first; the first that happened gives a cell its colour. */
export const VERDICT_WORDS = [
  'not modelled',
  'leaked',
  'killed',
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

/** Refusals, by what became of the task. */
interface Ends {
  readonly refused: readonly Refusal[];
  readonly killed: number;
  readonly stuck: number;
}

function endsOf(o: DesignOutcome): Ends {
  const dead = (o.deaths ?? []).length;
  return {
    refused: o.refusals.filter((r) => !KILLED.has(r.ret) && !STUCK.has(r.ret)),
    killed: o.refusals.filter((r) => KILLED.has(r.ret)).length + dead,
    stuck: o.refusals.filter((r) => STUCK.has(r.ret)).length,
  };
}

/** Operations that were answered with an error, and their task lived on. */
export const nrRefused = (o: DesignOutcome): number => endsOf(o).refused.length;

/** Tasks that died in an operation, their own or one of others, or never come back from it. */
export function nrNotSurvived(o: DesignOutcome): number {
  const { killed, stuck } = endsOf(o);
  return killed + stuck;
}

const keyOf = (r: Refusal): string => `${r.step} ${r.ret}`;

/** Refusals that every design has: the scenario asks for what cannot be. */
function common(outcomes: readonly DesignOutcome[]): ReadonlySet<string> {
  if (outcomes.length < 2) return new Set();
  const [first, ...others] = outcomes.map((o) => new Set(endsOf(o).refused.map(keyOf)));
  return new Set([...(first ?? [])].filter((key) => others.every((set) => set.has(key))));
}

/** The cells of a comparison, in the order of its outcomes. */
export function cellsOf({ outcomes }: Pick<Comparison, 'outcomes'>): Cell[] {
  const shared = common(outcomes);
  return outcomes.map((o) => {
    const { refused, killed, stuck } = endsOf(o);
    const counts: Readonly<Record<VerdictWord, number>> = {
      'not modelled': 0,
      leaked: o.nrNotAsked,
      killed,
      stuck,
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
  readonly of: (o: DesignOutcome) => number | undefined;
  readonly less: (n: number, o: DesignOutcome, stock: DesignOutcome) => string;
  readonly more: (n: number, o: DesignOutcome, stock: DesignOutcome) => string;
  /** Is less of it bought? Else more is. */
  readonly isLessBetter: boolean;
}

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
  {
    of: (o) => endsOf(o).killed,
    less: (n) => `${counted(n, 'kill')} fewer`,
    more: (n, o, stock) => `${counted(n, 'kill')} more${where(o, stock, KILLED)}`,
    isLessBetter: true,
  },
  {
    of: (o) => endsOf(o).stuck,
    less: (n) => `${counted(n, 'fault')} fewer that ${n === 1 ? 'is' : 'are'} tried for ever`,
    more: (n, o, stock) =>
      `${counted(n, 'fault')} more that ${n === 1 ? 'is' : 'are'} tried for ever${where(o, stock, STUCK)}`,
    isLessBetter: true,
  },
  {
    of: nrRefused,
    less: (n) => `${counted(n, 'refusal')} fewer`,
    more: (n, o, stock) => `${counted(n, 'refusal')} more${where(o, stock)}`,
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
    less: (_, o, stock) => `${walk(o)} zones looked at for a request, not ${walk(stock)}`,
    more: (_, o, stock) => `${walk(o)} zones looked at for a request, not ${walk(stock)}`,
    isLessBetter: true,
  },
  {
    of: (o) => o.estimatedTimeNs,
    less: (n, _, stock) => `${share(n, stock)} less time (estimate)`,
    more: (n, _, stock) => `${share(n, stock)} more time (estimate)`,
    isLessBetter: true,
  },
];

const walk = (o: DesignOutcome): string => (o.nrZonesLookedAt / o.nrRequests).toFixed(2);

const share = (ns: number, stock: DesignOutcome): string => {
  const percent = (ns / (stock.estimatedTimeNs ?? Number.NaN)) * 100;
  return `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
};

/** The first step at which a design ends so and stock does not. */
function where(o: DesignOutcome, stock: DesignOutcome, ends?: ReadonlySet<string>): string {
  const had = new Set(stock.refusals.map(keyOf));
  const isSuch = ({ ret }: Refusal): boolean =>
    ends === undefined ? !KILLED.has(ret) && !STUCK.has(ret) : ends.has(ret);
  const first = o.refusals.find((r) => isSuch(r) && !had.has(keyOf(r)));
  return first === undefined
    ? ''
    : `, first at step ${first.step + 1} (${first.text} -> ${first.ret})`;
}

function storyOf(o: DesignOutcome, stock: DesignOutcome, nrSteps: number): DesignStory {
  const bought: string[] = [];
  const cost: string[] = [];
  for (const measure of MEASURES) {
    const [mine, theirs] = [measure.of(o), measure.of(stock)];
    if (mine === undefined || theirs === undefined || mine === theirs) continue;
    const isLess = mine < theirs;
    const sentence = (isLess ? measure.less : measure.more)(Math.abs(mine - theirs), o, stock);
    (isLess === measure.isLessBetter ? bought : cost).push(sentence);
  }
  const { notModelled } = o;
  const stopped =
    notModelled === undefined
      ? undefined
      : `stopped after ${o.steps.length} of ${nrSteps} steps, not modelled: ${notModelled}`;
  return { design: o.design, bought, cost, ...(stopped === undefined ? {} : { stopped }) };
}
