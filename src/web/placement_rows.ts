// Which rows the placement table has: one for each step and region where the pages of the region
// changed under some design, or where an operation on it was refused; and one for each step that
// changed nothing.
// Holds    ROW1 a step is in at least one row, up to the limit. ROW2 a row knows the state of its
//          region under every design, changed or not. ROW3 time and memory follow the changes, not
//          steps times regions.
import type { DesignOutcome, RegionSnapshot } from '../lab/comparison.ts';
import { regionKey } from './words.ts';

/** Pages by node, ascending by node. */
export type Counts = readonly (readonly [nid: number, nrPages: number])[];

/** One region after one step under one design. */
export interface Cell {
  readonly counts: Counts;
  readonly nrPages: number;
  readonly isChanged: boolean;
  /** What the operation returned; undefined when the run had stopped before. */
  readonly ret: string | number | undefined;
  /** Among the refusals of the outcome. */
  readonly isRefused: boolean;
}

export interface Row {
  readonly step: number;
  readonly text: string;
  /** One for each design, in the order of the outcomes. */
  readonly cells: readonly Cell[];
  /** Some design changed this region, or refused the operation. */
  readonly isQuiet: boolean;
  /** Designs are not of one mind about this row. */
  readonly isDiffering: boolean;
}

export interface RegionRows {
  readonly task: string;
  readonly region: string;
  /** The most pages it ever has, under any design, in the rows shown: the width of a full bar. */
  readonly maxPages: number;
  readonly rows: readonly Row[];
}

export interface PlacementRows {
  readonly regions: readonly RegionRows[];
  /** Steps that belong to no region: refused, or quiet. */
  readonly others: readonly Row[];
  readonly nrSteps: number;
  /** Steps that changed a placement or were refused, and how many of them are shown. */
  readonly nrChanging: number;
  readonly nrChangingShown: number;
  /** The last step that is shown among those; 0 when there is none. */
  readonly lastShown: number;
  readonly nrQuiet: number;
  readonly nrQuietShown: number;
}

export interface RowLimits {
  /** The first so many steps that changed something are shown. */
  readonly changingSteps: number;
  readonly quietSteps: number;
}

export const ROW_LIMITS: RowLimits = { changingSteps: 200, quietSteps: 400 };

/** States of one region under one design: what it became, and after which step. */
interface History {
  readonly steps: number[];
  readonly states: Counts[];
}

/** One design's run, turned from states of all regions into histories of each. */
interface Run {
  readonly outcome: DesignOutcome;
  readonly histories: ReadonlyMap<string, History>;
  readonly refused: ReadonlySet<number>;
}

const NO_PAGES: Counts = [];

const countsOf = (snapshot: RegionSnapshot): Counts =>
  Object.entries(snapshot.byNode)
    .map(([nid, nrPages]) => [Number(nid), nrPages] as const)
    .filter(([, nrPages]) => nrPages > 0)
    .sort(([a], [b]) => a - b);

const isSame = (a: Counts, b: Counts): boolean =>
  a.length === b.length && a.every(([nid, n], i) => b[i]?.[0] === nid && b[i]?.[1] === n);

const sumOf = (counts: Counts): number => counts.reduce((n, [, nrPages]) => n + nrPages, 0);

/** Follows one run; `changed` gathers the steps at which each region changed. */
function followRun(outcome: DesignOutcome, changed: Map<string, Set<number>>): Run {
  const histories = new Map<string, History>();
  const note = (key: string, step: number, state: Counts): void => {
    const history = histories.get(key) ?? { steps: [], states: [] };
    if (isSame(history.states.at(-1) ?? NO_PAGES, state)) return;
    history.steps.push(step);
    history.states.push(state);
    histories.set(key, history);
    const steps = changed.get(key) ?? new Set();
    changed.set(key, steps.add(step));
  };
  let last: readonly RegionSnapshot[] = [];
  for (const { index, regions } of outcome.steps) {
    if (regions === last) continue;
    const present = new Set<string>();
    for (const snapshot of regions) {
      const key = regionKey(snapshot.task, snapshot.region);
      present.add(key);
      note(key, index, countsOf(snapshot));
    }
    for (const { task, region } of last) {
      const key = regionKey(task, region);
      if (!present.has(key)) note(key, index, NO_PAGES);
    }
    last = regions;
  }
  return { outcome, histories, refused: new Set(outcome.refusals.map((r) => r.step)) };
}

/** Index of the last change at or before a step, or -1. */
function lastChange(steps: readonly number[], step: number): number {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if ((steps[mid] as number) <= step) low = mid + 1;
    else high = mid;
  }
  return low - 1;
}

function cellOf(run: Run, key: string | undefined, step: number): Cell {
  const history = key === undefined ? undefined : run.histories.get(key);
  const at = history === undefined ? -1 : lastChange(history.steps, step);
  const counts = history?.states[at] ?? NO_PAGES;
  return {
    counts,
    nrPages: sumOf(counts),
    isChanged: at >= 0 && history?.steps[at] === step,
    ret: run.outcome.steps[step]?.ret,
    isRefused: run.refused.has(step),
  };
}

function rowOf(runs: readonly Run[], key: string | undefined, step: number): Row {
  const cells = runs.map((run) => cellOf(run, key, step));
  const first = cells[0] as Cell;
  const text = runs.map((run) => run.outcome.steps[step]?.text).find((t) => t !== undefined);
  return {
    step,
    text: text as string,
    cells,
    isQuiet: !cells.some((cell) => cell.isChanged || cell.isRefused),
    isDiffering: cells.some(
      (cell) => !isSame(cell.counts, first.counts) || String(cell.ret) !== String(first.ret),
    ),
  };
}

/** Regions that an operation names: `app touch buf 0 8` is about `app buf`. */
function namedRegions(text: string, keys: ReadonlySet<string>): string[] {
  const [task, ...words] = text.split(' ');
  const named = words.map((word) => regionKey(task as string, word)).filter((key) => keys.has(key));
  return [...new Set(named)];
}

/** Adds each refused step to the regions that it names; what is left names none. */
function placeRefusals(
  runs: readonly Run[],
  changed: ReadonlyMap<string, Set<number>>,
  changing: ReadonlySet<number>,
): Set<number> {
  const left = new Set<number>();
  const keys = new Set(changed.keys());
  for (const run of runs) {
    for (const { step, text } of run.outcome.refusals) {
      const named = namedRegions(text, keys);
      for (const key of named) changed.get(key)?.add(step);
      if (named.length === 0 && !changing.has(step)) left.add(step);
    }
  }
  return left;
}

const ascending = (a: number, b: number): number => a - b;

/** The rows of a comparison. */
export function placementRows(
  outcomes: readonly DesignOutcome[],
  limits: RowLimits = ROW_LIMITS,
): PlacementRows {
  const changed = new Map<string, Set<number>>();
  const runs = outcomes.map((outcome) => followRun(outcome, changed));
  const moving = new Set([...changed.values()].flatMap((steps) => [...steps]));
  const refusedElsewhere = placeRefusals(runs, changed, moving);
  const changing = [
    ...new Set([...changed.values()].flatMap((s) => [...s]).concat(...refusedElsewhere)),
  ].sort(ascending);
  const shown = new Set(changing.slice(0, limits.changingSteps));
  const end = changing[limits.changingSteps] ?? Number.POSITIVE_INFINITY;
  const nrSteps = Math.max(0, ...outcomes.map((o) => o.steps.length));
  const regions = [...changed].map(([key, steps]) => {
    const rows = [...steps]
      .filter((step) => shown.has(step))
      .sort(ascending)
      .map((step) => rowOf(runs, key, step));
    const [task, region] = key.split(' ') as [string, string];
    const maxPages = Math.max(0, ...rows.flatMap((row) => row.cells.map((cell) => cell.nrPages)));
    return { task, region, maxPages, rows };
  });
  const all = new Set(changing);
  const quiet = Array.from({ length: nrSteps }, (_, step) => step).filter((s) => !all.has(s));
  const quietShown = quiet.filter((step) => step < end).slice(0, limits.quietSteps);
  const others = [...refusedElsewhere].filter((step) => shown.has(step)).concat(quietShown);
  return {
    regions: regions
      .filter((r) => r.rows.length > 0)
      .sort((a, b) => (a.rows[0] as Row).step - (b.rows[0] as Row).step),
    others: others.sort(ascending).map((step) => rowOf(runs, undefined, step)),
    nrSteps,
    nrChanging: changing.length,
    nrChangingShown: shown.size,
    lastShown: Math.max(0, ...shown),
    nrQuiet: quiet.length,
    nrQuietShown: quietShown.length,
  };
}
