// The matrix scenario x design: every shipped scenario under every design, each comparison reduced
// to a word a cell, its numbers and its sentences; and a verdict a design over all of them.
// Holds    MTX1 a cell says what the comparison of its scenario says. MTX2 a verdict adds up cells:
//          it counts no scenario twice and leaves none out.
import { UserError } from '../base/assert.ts';
import { thousands } from '../base/units.ts';
import type { Design } from '../hooks/design.ts';
import type { JudgedClaim } from './claim.ts';
import { compareDesigns } from './compare.ts';
import type { Comparison, DesignOutcome } from './comparison.ts';
import { type Figure, refuseUnknownNodes } from './cost/figures.ts';
import { type LoadedScenario, loadScenario, scenarioNames } from './load_scenario.ts';
import {
  BASELINE,
  type Cell,
  cellsOf,
  type DesignStory,
  nrNotSurvived,
  nrRefused,
  storiesOf,
} from './story.ts';

/** The numbers of an outcome, without its steps. */
export interface MatrixNumbers {
  readonly design: string;
  readonly nrAsked: number;
  readonly nrNotAsked: number;
  readonly nrOnDeviceAtEnd: number;
  readonly nrSpilled: number;
  readonly nrRefused: number;
  readonly nrNotSurvived: number;
  readonly nrMovedToDevice: number;
  readonly nrMovedFromDevice: number;
  readonly nrZonesLookedAt: number;
  readonly nrRequests: number;
  readonly estimatedTimeNs?: number | undefined;
  readonly stateHash: string;
}

export interface MatrixRow {
  /** `claims/policy-is-enough`: the name that `compare` takes. */
  readonly name: string;
  readonly title: string;
  readonly source: string;
  readonly machine: string;
  /** In the order of the matrix's designs. */
  readonly cells: readonly Cell[];
  readonly numbers: readonly MatrixNumbers[];
  readonly stories: readonly DesignStory[];
  /** What the run shows of a claim, where the scenario is about one. */
  readonly claim?: JudgedClaim | undefined;
}

/** What a design comes to over all scenarios. */
export interface DesignVerdict {
  readonly design: string;
  readonly title: string;
  readonly promise: string;
  readonly sentences: readonly string[];
}

export interface Matrix {
  readonly designs: readonly string[];
  readonly rows: readonly MatrixRow[];
  readonly verdicts: readonly DesignVerdict[];
}

export interface MatrixInput {
  readonly designs: readonly Design[];
  /** Names of scenarios; all that come with the package when left out. */
  readonly scenarios?: readonly string[] | undefined;
  readonly costs?: readonly Figure[] | undefined;
  /** Told before each run of a scenario under a design. */
  readonly onProgress?: ((text: string) => void) | undefined;
  /** Told after each step of a design. */
  readonly onStep?: ((text: string) => void) | undefined;
  /** Given each whole comparison, before it is reduced. */
  readonly onComparison?: ((name: string, comparison: Comparison) => void) | undefined;
}

/**
 * Runs the matrix.
 * @throws UserError when there is no scenario or no design.
 */
export function runMatrix(input: MatrixInput): Matrix {
  const { designs } = input;
  const names = input.scenarios ?? scenarioNames();
  if (names.length === 0) throw new UserError('no scenario to compare');
  const loaded = names.map((name) => loadScenario(name));
  refuseUnknownNodes(
    input.costs ?? [],
    loaded.map(({ machine }) => machine),
  );
  const rows = names.map((name, i): MatrixRow => {
    const { scenario, machine, claim } = loaded[i] as LoadedScenario;
    const told = (design: string) => `${name} (${i + 1} of ${names.length}): ${design}`;
    const comparison = compareDesigns({
      scenario,
      machine,
      designs,
      claim,
      costs: input.costs,
      onProgress: (done, total, design) =>
        input.onProgress?.(`${told(design.id)} done, ${done} of ${total}`),
      onStep: (done, total, design) =>
        input.onStep?.(`${told(design.id)}, step ${done} of ${total}`),
    });
    input.onComparison?.(name, comparison);
    return {
      name,
      title: scenario.title,
      source: scenario.source,
      machine: machine.name,
      cells: cellsOf(comparison),
      numbers: comparison.outcomes.map(numbersOf),
      stories: storiesOf(comparison),
      ...(comparison.claim === undefined ? {} : { claim: comparison.claim }),
    };
  });
  return {
    designs: designs.map((d) => d.id),
    rows,
    verdicts: designs.map((design, i) => ({
      design: design.id,
      title: design.title,
      promise: design.promise.text,
      sentences: verdictOf(rows, i, design.id),
    })),
  };
}

const numbersOf = (o: DesignOutcome): MatrixNumbers => ({
  design: o.design,
  nrAsked: o.nrAsked,
  nrNotAsked: o.nrNotAsked,
  nrOnDeviceAtEnd: o.nrOnDeviceAtEnd,
  nrSpilled: o.nrSpilled,
  nrRefused: nrRefused(o),
  nrNotSurvived: nrNotSurvived(o),
  nrMovedToDevice: o.nrMovedToDevice,
  nrMovedFromDevice: o.nrMovedFromDevice,
  nrZonesLookedAt: o.nrZonesLookedAt,
  nrRequests: o.nrRequests,
  ...(o.estimatedTimeNs === undefined ? {} : { estimatedTimeNs: o.estimatedTimeNs }),
  stateHash: o.stateHash,
});

/** Scenarios that a sentence names; more are counted. */
const MOST_NAMED = 4;

const scenarios = (n: number): string => `${n} ${n === 1 ? 'scenario' : 'scenarios'}`;

function named(rows: readonly MatrixRow[]): string {
  const names = rows.slice(0, MOST_NAMED).map((row) => row.name);
  const more = rows.length - names.length;
  return more === 0 ? names.join(', ') : `${names.join(', ')} and ${more} more`;
}

/** What the cells of a design come to. */
function verdictOf(rows: readonly MatrixRow[], at: number, design: string): string[] {
  const sentences: string[] = [];
  const cellOf = (row: MatrixRow): Cell => row.cells[at] as Cell;
  const say = (what: string, found: readonly MatrixRow[]): void => {
    if (found.length > 0) sentences.push(`${what} in ${scenarios(found.length)}: ${named(found)}.`);
  };
  const ran = rows.filter((row) => cellOf(row).word !== 'not modelled');
  const kept = ran.filter((row) => cellOf(row).word === 'kept');
  sentences.push(`Keeps everything in ${kept.length} of ${scenarios(rows.length)}.`);
  const leaking = rows.filter((row) => cellOf(row).text.includes('leaked'));
  const nrLeaked = leaking.reduce((n, row) => n + (row.numbers[at]?.nrNotAsked ?? 0), 0);
  say(`Leaks ${thousands(nrLeaked)} pages`, leaking);
  for (const [word, what] of [
    ['killed', 'Has tasks killed'],
    ['SIGBUS', 'Lets operations end in SIGBUS'],
    ['stuck', 'Leaves faults that are tried for ever'],
    ['refused', 'Refuses what another design allows'],
    ['spilled', 'Spills into system memory'],
  ] as const) {
    say(
      what,
      rows.filter((row) => new RegExp(`\\b${word}\\b`).test(cellOf(row).text)),
    );
  }
  say(
    'Is not modelled to the end',
    rows.filter((row) => cellOf(row).notModelled !== undefined),
  );
  if (design !== BASELINE) sentences.push(...againstStock(rows, design));
  return sentences;
}

/** What the stories of a design add up to. */
function againstStock(rows: readonly MatrixRow[], design: string): string[] {
  const of = (row: MatrixRow): DesignStory | undefined =>
    row.stories.find((story) => story.design === design);
  const told = rows.filter((row) => of(row) !== undefined);
  if (told.length === 0) return [];
  const alike = told.filter((row) => {
    const story = of(row) as DesignStory;
    return story.bought.length + story.cost.length === 0 && story.stopped === undefined;
  });
  const better = told.filter((row) => (of(row)?.bought.length ?? 0) > 0);
  const worse = told.filter((row) => (of(row)?.cost.length ?? 0) > 0);
  return [
    `Against stock: nothing differs in ${scenarios(alike.length)}, ` +
      `it buys something in ${better.length} and costs something in ${worse.length}.`,
  ];
}
