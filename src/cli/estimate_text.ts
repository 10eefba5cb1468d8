// Estimated times in words: what they rest on, what they leave out, and why there are none.
import { type Estimate, lackingWords, leftOutWords } from '../lab/cost/estimate.ts';
import { type Figure, figureMeaning, figureValue } from '../lab/cost/figures.ts';
import { formatTable, paragraph } from './table.ts';

/** Figures that are missing, told before the rest is only counted. */
const MOST_MISSING = 3;

/** Adds a value of `--cost` to those before. */
export const collectCost = (text: string, before: readonly string[] = []): string[] => [
  ...before,
  text,
];

export const COST_OPTION = [
  '--cost <N=V|FILE>',
  'figure of the time estimate, or a file of them (docs/COST.md); may be repeated',
] as const;

/** `12.34 ms`; `-` for none. */
export function timeText(timeNs: number | undefined): string {
  if (timeNs === undefined) return '-';
  if (timeNs >= 1e9) return `${(timeNs / 1e9).toFixed(2)} s`;
  return timeNs >= 1e6 ? `${(timeNs / 1e6).toFixed(2)} ms` : `${(timeNs / 1e3).toFixed(2)} us`;
}

/** What the estimates of several runs rest on, or why there are none. */
export function estimateText(estimates: readonly (Estimate | undefined)[]): string {
  const known = estimates.filter((e) => e !== undefined);
  const missing = union(known.map((e) => e.missing));
  const without = union(known.map((e) => e.without));
  const timed = known.filter((e) => e.timeNs !== undefined && e.figures.length > 0);
  const parts: string[] = [];
  if (missing.length > 0) {
    const shown = missing.slice(0, MOST_MISSING);
    const more = missing.length - shown.length;
    const rest = more === 0 ? '' : `, and ${more} more`;
    const which = timed.length === 0 ? 'Time' : 'Where no time stands, it is';
    parts.push(paragraph(`${which} not estimated: no figure for ${lackingWords(shown)}${rest}.`));
  }
  if (timed.length > 0) {
    const left =
      without.length === 0
        ? ''
        : ` Left out, as no figure is known: the cost of ${leftOutWords(without)}.`;
    const head = `The time is an estimate from what was moved (docs/COST.md), no measurement.${left}`;
    parts.push(`${paragraph(head)}\n${figureTable(timed.flatMap((e) => e.figures))}`);
  }
  return parts.join('\n');
}

function figureTable(figures: readonly Figure[]): string {
  const byName = new Map(figures.map((f) => [f.name, f]));
  const rows = [...byName.values()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((f) => [f.name, figureValue(f), `${figureMeaning(f.name)}: ${f.source}`]);
  return formatTable(['', '', ''], rows, { indent: '  ', flex: 2 });
}

const union = (lists: readonly (readonly string[])[]): string[] =>
  [...new Set(lists.flat())].sort();
