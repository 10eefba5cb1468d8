// A comparison of many designs on 80 columns, and in words what each bought and cost.
import type { Comparison, DesignOutcome } from '../lab/comparison.ts';
import { FATAL } from '../lab/deaths.ts';
import { BASELINE, cellsOf, type DesignStory, storiesOf } from '../lab/story.ts';
import { timeText } from './estimate_text.ts';
import type { Io } from './io.ts';
import { formatTable, MAX_COLUMNS, wrap } from './table.ts';

/** With more designs than this the narrow table is drawn. */
export const MOST_WIDE = 5;

/** One table over many designs that fits 80 columns. */
export function storyTable(io: Io, comparison: Comparison): string {
  const { outcomes } = comparison;
  const { bold, red, green } = io.colors;
  const cells = cellsOf(comparison);
  const isTimed = outcomes.some((o) => o.estimatedTimeNs !== undefined);
  const fatal = (o: DesignOutcome): number => o.refusals.filter((r) => FATAL.has(r.ret)).length;
  const killed = (o: DesignOutcome): number => fatal(o) + (o.deaths?.length ?? 0);
  const header = [
    '\ndesign',
    'on device:\nasked',
    'not\nasked',
    '\nspilled',
    're-\nfused',
    'not sur-\nvived',
    '\nmoved',
    '\nwalk',
    ...(isTimed ? ['time\n(estimate)'] : []),
  ];
  const rows = outcomes.map((o, i) => [
    cells[i]?.notModelled === undefined ? o.design : `${o.design} *`,
    String(o.nrAsked),
    o.nrNotAsked > 0 ? red(String(o.nrNotAsked)) : green('0'),
    String(o.nrSpilled),
    String(o.refusals.length - fatal(o)),
    String(killed(o)),
    String(o.nrMovedToDevice + o.nrMovedFromDevice),
    o.nrRequests === 0 ? '-' : (o.nrZonesLookedAt / o.nrRequests).toFixed(2),
    ...(isTimed ? [timeText(o.estimatedTimeNs)] : []),
  ]);
  const right = header.map((_, i) => i).slice(1);
  const star = cells.some((c) => c.notModelled !== undefined)
    ? '\n* did not run to the end: the numbers are of the steps before.'
    : '';
  return formatTable(header, rows, { right, flex: 0, head: bold }) + star;
}

/** What each design bought and cost against stock; nothing without stock or another design. */
export function storyText({ outcomes }: Comparison): string {
  const stories = storiesOf({ outcomes });
  if (stories.length === 0) return '';
  const alike = stories.filter((s) => s.bought.length + s.cost.length === 0 && !s.stopped);
  const others = stories.filter((s) => !alike.includes(s));
  const lines = others.flatMap((story) => [
    `  ${story.design}`,
    ...sentences('bought', story.bought),
    ...sentences('cost', story.cost),
    ...sentences('', story.stopped === undefined ? [] : [story.stopped]),
  ]);
  const same = alike.map((s) => s.design).join(', ');
  const rest = others.length === 0 ? `Against ${BASELINE}, nothing differs: ` : 'as stock: ';
  const tail = alike.length === 0 ? [] : wrap(`${rest}${same}`, MAX_COLUMNS);
  return [...(others.length === 0 ? [] : [`Against ${BASELINE}:`]), ...lines, ...tail].join('\n');
}

const LABEL = 8;

function sentences(label: string, told: DesignStory['bought']): string[] {
  return wrap(told.join('; '), MAX_COLUMNS - 4 - LABEL)
    .filter((line) => line !== '')
    .map((line, i) => `    ${(i === 0 ? label : '').padEnd(LABEL)}${line}`);
}
