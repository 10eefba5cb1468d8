// Shrinking: the fewest items of a list that still fail. Candidates of a round are tried together,
// since a try may be a boot and many fit into one.
// Holds    KRN2 what comes out fails, keeps the order of the items, and no single item can be taken
//          from it, unless the rounds ran out.

/** Tells of each candidate whether it still fails. */
export type TryAll<T> = (candidates: readonly (readonly T[])[]) => Promise<readonly boolean[]>;

export interface ShrinkOptions {
  readonly mostRounds?: number | undefined;
  /** Called after each round with the length so far. */
  readonly onRound?: ((length: number) => void) | undefined;
}

const MOST_ROUNDS = 30;

/** Shrinks a list that fails. */
export async function shrink<T>(
  items: readonly T[],
  tryAll: TryAll<T>,
  options: ShrinkOptions = {},
): Promise<readonly T[]> {
  let best = items;
  for (let round = 0; round < (options.mostRounds ?? MOST_ROUNDS); round++) {
    const cuts = cutsOf(best.length);
    if (cuts.length === 0) break;
    const fails = await tryAll(cuts.map((cut) => without(best, [cut])));
    const works = cuts.filter((_, i) => fails[i] === true);
    if (works.length === 0) break;
    best = await takeMost(best, works, tryAll);
    options.onRound?.(best.length);
  }
  return best;
}

/** Half open. */
type Cut = readonly [start: number, end: number];

/** All aligned stretches of half the list, a quarter, and so on down to one item. */
function cutsOf(length: number): Cut[] {
  const cuts: Cut[] = [];
  for (let size = Math.ceil(length / 2); size >= 1 && length > 1; size = nextSize(size)) {
    for (let start = 0; start < length; start += size) {
      cuts.push([start, Math.min(length, start + size)]);
    }
  }
  return cuts;
}

const nextSize = (size: number): number => (size === 1 ? 0 : Math.ceil(size / 2));

const without = <T>(items: readonly T[], cuts: readonly Cut[]): T[] =>
  items.filter((_, i) => !cuts.some(([start, end]) => i >= start && i < end));

/**
 * Cuts that work one by one need not work together: all of them are tried, then the first halves of
 * their list, the largest first; the largest single one is known to work.
 */
async function takeMost<T>(
  items: readonly T[],
  works: readonly Cut[],
  tryAll: TryAll<T>,
): Promise<readonly T[]> {
  const bySize = [...works].sort(([a, b], [c, d]) => d - c - (b - a));
  const sets: Cut[][] = [];
  for (let n = bySize.length; n > 1; n = Math.floor(n / 2)) sets.push(bySize.slice(0, n));
  const candidates = sets.map((set) => without(items, set)).filter((c) => c.length > 0);
  const single = without(items, bySize.slice(0, 1));
  if (candidates.length === 0) return single;
  const fails = await tryAll(candidates);
  const failing = candidates.filter((_, i) => fails[i] === true);
  return failing.reduce((least: readonly T[], c) => (c.length < least.length ? c : least), single);
}
