// Per-page results as short lists: runs `[value, count]` and repeating patterns `[[values],
// times]`, as runs on real kernels write them.

export type PageValue = number | string;
export type RunList = readonly (readonly [PageValue | readonly PageValue[], number])[];

const LONGEST_PATTERN = 64;

/** Writes values as a list, patterns of 2 to 64 values where one repeats. */
export const toRunList = (values: readonly PageValue[]): RunList => runListOf(values, (v) => v);

/** The same for values that are numbers one a page, each shown as `show` says. */
export function runListOf<T extends PageValue>(
  values: ArrayLike<T>,
  show: (value: T) => PageValue,
): RunList {
  const list: [PageValue | readonly PageValue[], number][] = [];
  for (let i = 0; i < values.length; ) {
    const run = repeats(values, i, 1);
    const pattern = run > 1 ? undefined : patternAt(values, i);
    if (pattern !== undefined) {
      const items = Array.from({ length: pattern.period }, (_, j) => show(values[i + j] as T));
      list.push([items, pattern.times]);
      i += pattern.period * pattern.times;
      continue;
    }
    list.push([show(values[i] as T), run]);
    i += run;
  }
  return list;
}

function patternAt(
  values: ArrayLike<PageValue>,
  start: number,
): { period: number; times: number } | undefined {
  for (let period = 2; period <= LONGEST_PATTERN && start + 2 * period <= values.length; period++) {
    const times = repeats(values, start, period);
    if (times >= 2) return { period, times };
  }
  return undefined;
}

/** How many times the `period` values from `start` on stand one after another. */
function repeats(values: ArrayLike<PageValue>, start: number, period: number): number {
  let i = start + period;
  while (i < values.length && values[i] === values[i - period]) i++;
  return Math.floor((i - start) / period);
}

/** Reads a list back into one value a page. */
export function fromRunList(list: RunList): PageValue[] {
  const values: PageValue[] = [];
  for (const { value, count } of runsOf(list)) {
    for (let i = 0; i < count; i++) values.push(value);
  }
  return values;
}

/** The runs of a list in order, patterns taken apart. */
function* runsOf(list: RunList): Generator<{ value: PageValue; count: number }> {
  for (const [item, times] of list) {
    if (typeof item !== 'object') yield { value: item, count: times };
    else for (let i = 0; i < times; i++) for (const value of item) yield { value, count: 1 };
  }
}

/** Do two lists say the same of every page, however they are written? */
export function sameRunLists(a: RunList, b: RunList): boolean {
  // Lists that are alike as they stand need not be taken apart.
  if (JSON.stringify(a) === JSON.stringify(b)) return true;
  const left = runsOf(a);
  const right = runsOf(b);
  let l = left.next();
  let r = right.next();
  let nrLeft = l.done === true ? 0 : l.value.count;
  let nrRight = r.done === true ? 0 : r.value.count;
  while (l.done !== true && r.done !== true) {
    const n = Math.min(nrLeft, nrRight);
    if (n > 0 && l.value.value !== r.value.value) return false;
    nrLeft -= n;
    nrRight -= n;
    if (nrLeft === 0) {
      l = left.next();
      nrLeft = l.done === true ? 0 : l.value.count;
    }
    if (nrRight === 0) {
      r = right.next();
      nrRight = r.done === true ? 0 : r.value.count;
    }
  }
  return l.done === true && r.done === true;
}

/** How many pages have each value, values as text. */
export function countRunList(list: RunList): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [item, times] of list) {
    for (const value of typeof item === 'object' ? item : [item]) {
      counts[String(value)] = (counts[String(value)] ?? 0) + times;
    }
  }
  return counts;
}
