// Per-page results as short lists: runs `[value, count]` and repeating patterns `[[values], times]`,
// as runs on real kernels write them.

export type PageValue = number | string;
export type RunList = readonly (readonly [PageValue | readonly PageValue[], number])[];

const LONGEST_PATTERN = 64;

/** Writes values as a list, patterns of 2 to 64 values where one repeats. */
export function toRunList(values: readonly PageValue[]): RunList {
  const list: [PageValue | readonly PageValue[], number][] = [];
  for (let i = 0; i < values.length; ) {
    const run = repeats(values, i, 1);
    const pattern = run > 1 ? undefined : patternAt(values, i);
    if (pattern !== undefined) {
      list.push([values.slice(i, i + pattern.period), pattern.times]);
      i += pattern.period * pattern.times;
      continue;
    }
    list.push([values[i] as PageValue, run]);
    i += run;
  }
  return list;
}

function patternAt(
  values: readonly PageValue[],
  start: number,
): { period: number; times: number } | undefined {
  for (let period = 2; period <= LONGEST_PATTERN && start + 2 * period <= values.length; period++) {
    const times = repeats(values, start, period);
    if (times >= 2) return { period, times };
  }
  return undefined;
}

/** How many times the `period` values from `start` on stand one after another. */
function repeats(values: readonly PageValue[], start: number, period: number): number {
  let i = start + period;
  while (i < values.length && values[i] === values[i - period]) i++;
  return Math.floor((i - start) / period);
}

/** Reads a list back into one value a page. */
export function fromRunList(list: RunList): PageValue[] {
  const values: PageValue[] = [];
  for (const [item, times] of list) {
    for (let i = 0; i < times; i++) {
      if (typeof item === 'object') values.push(...item);
      else values.push(item);
    }
  }
  return values;
}

/** How many pages have each value, values as text. */
export function countValues(values: readonly PageValue[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values.map(String)) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}
