// When two results of a machine whose memory ends agree: real kernels differ among themselves
// there, by how much was free at the start and by what goes to and fro at a watermark.
// Source   the spread of 29 cases that ran three times on real kernels.
// Holds    SPR1 nodes come in the same order, and counts differ by no more than the tolerance. SPR2
//          runs that are passed over as going to and fro hold no more pages than the tolerance for
//          each run that stays; in a list no longer than the tolerance none is passed over. SPR3 an
//          errno, or a node that the design isolates, occurs on both sides or on neither. SPR4 with
//          swap, of a list of several nodes the counts are compared, and not the order. SPR9 pages
//          of such a short list lie alike, but for a node that is about to spill.
import { fromRunList, type RunList, toRunList } from '../scenario/run_list.ts';

export interface Spread {
  /** Pages by which a count may differ. */
  readonly tolerance: number;
  /** Nodes that the design isolates: a single page there is no matter of spread. */
  readonly isolated: ReadonlySet<number>;
  /** Swap is on: pages that left memory are a matter of spread too. */
  readonly swaps?: boolean | undefined;
  /** Nodes that are within the tolerance of spilling. */
  readonly atEnd?: ReadonlySet<number> | undefined;
}

/** Is a field of the model's result within the spread of the real kernel's? */
export function isWithinSpread(
  field: string,
  ours: unknown,
  theirs: unknown,
  spread: Spread,
): boolean {
  const { tolerance } = spread;
  if (typeof ours === 'number' && typeof theirs === 'number') {
    return (field === 'touched' || field === 'read') && Math.abs(ours - theirs) <= tolerance;
  }
  if (field === 'counts') return areCountsNear(ours, theirs, spread);
  if (!isRunList(ours) || !isRunList(theirs)) return false;
  return areListsNear(inOneForm(ours), inOneForm(theirs), spread);
}

/** A list as it is written here: what runs and patterns it is cut into is the writer's choice. */
const inOneForm = (list: RunList): RunList => toRunList(fromRunList(list));

export const isRunList = (value: unknown): value is RunList =>
  Array.isArray(value) && value.every((item) => Array.isArray(item) && item.length === 2);

function areCountsNear(ours: unknown, theirs: unknown, spread: Spread): boolean {
  const { tolerance } = spread;
  const a = (ours ?? {}) as Readonly<Record<string, number>>;
  const b = theirs as Readonly<Record<string, number>>;
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((key) => {
    if (isStrict(key, spread) && key in a !== key in b) return false;
    return Math.abs((a[key] ?? 0) - (b[key] ?? 0)) <= tolerance;
  });
}

/** Must a value occur on both sides if it occurs on one? */
const isStrict = (value: string, { isolated, swaps }: Spread): boolean =>
  isNode(value) ? isolated.has(Number(value)) : swaps !== true || !GONE.has(value);

const isNode = (value: string): boolean => /^\d+$/.test(value);

/** What stands for a page that reclaim has taken: it is in a slot, or was given up. */
const GONE: ReadonlySet<string> = new Set(['ENOENT', 'EFAULT']);

function areListsNear(ours: RunList, theirs: RunList, spread: Spread): boolean {
  const { tolerance } = spread;
  const nrPages = sumPages(ours);
  if (nrPages !== sumPages(theirs)) return false;
  const strict = (list: RunList) => valuesOf(list).filter((value) => isStrict(value, spread));
  if (strict(ours).join() !== strict(theirs).join()) return false;
  if (spread.swaps === true && valuesOf([...ours, ...theirs]).filter(isNode).length > 1) {
    return areCountsNear(countsOf(ours), countsOf(theirs), spread);
  }
  const mayDrop = nrPages > tolerance;
  if (!mayDrop && differsAtEndsOnly(ours, theirs, spread.atEnd ?? new Set())) return true;
  const lengths = [...ours, ...theirs].map(runPages).filter((n) => mayDrop && n <= tolerance);
  return [0, ...new Set(lengths)].some((shortest) => {
    const a = withoutShortRuns(ours, shortest);
    const b = withoutShortRuns(theirs, shortest);
    if (a.runs.length !== b.runs.length) return false;
    if (Math.max(a.nrDropped, b.nrDropped) > tolerance * a.runs.length) return false;
    return a.runs.every((run, i) => {
      const other = b.runs[i] as LongRun;
      const isSame = i === 0 ? run.first === other.first : run.values === other.values;
      return isSame && Math.abs(run.nrPages - other.nrPages) <= tolerance;
    });
  });
}

/**
 * Does every page of two short lists lie alike, or on one side on a node that is about to spill? So
 * short a list may lie wholly before the spill, or behind it.
 */
function differsAtEndsOnly(ours: RunList, theirs: RunList, atEnd: ReadonlySet<number>): boolean {
  const real = fromRunList(theirs);
  return fromRunList(ours).every((nid, page) => {
    const other = real[page];
    return nid === other || atEnd.has(Number(nid)) || atEnd.has(Number(other));
  });
}

const runPages = ([value, times]: RunList[number]): number =>
  Array.isArray(value) ? times * value.length : times;

const sumPages = (list: RunList): number => list.reduce((sum, run) => sum + runPages(run), 0);

function countsOf(list: RunList): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [value, times] of list) {
    for (const one of [value].flat()) counts[String(one)] = (counts[String(one)] ?? 0) + times;
  }
  return counts;
}

/** Every node and errno of a list, each once. */
const valuesOf = (list: RunList): string[] =>
  [...new Set(list.flatMap(([value]) => value).map(String))].sort();

interface LongRun {
  /** The node, or the nodes of a repeating pattern as they stand. */
  readonly first: string;
  /**
   * The same from the pattern's least rotation on: where an interleaved run begins again after a
   * spill is chance, its nodes in turn are not.
   */
  readonly values: string;
  nrPages: number;
}

/** Drops runs of up to `shortest` pages, and joins what they had kept apart. */
function withoutShortRuns(list: RunList, shortest: number): { runs: LongRun[]; nrDropped: number } {
  const runs: LongRun[] = [];
  let nrDropped = 0;
  for (const run of list) {
    const pattern = [run[0]].flat();
    const values = leastRotation(pattern);
    const nrPages = runPages(run);
    if (nrPages <= shortest) {
      nrDropped += nrPages;
      continue;
    }
    const last = runs.at(-1);
    if (last?.values === values) last.nrPages += nrPages;
    else runs.push({ first: pattern.join(' '), values, nrPages });
  }
  return { runs, nrDropped };
}

function leastRotation(values: readonly unknown[]): string {
  const rotations = values.map((_, i) => [...values.slice(i), ...values.slice(0, i)].join(' '));
  return rotations.sort()[0] as string;
}
