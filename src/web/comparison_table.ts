// What the designs differ in, in one table, and the pages on device memory, asked for and not,
// as bars. The bars are hand-made SVG: two rectangles a design need no chart library, take their
// colours from the page's style sheet in light and dark, and come out the same every time.
import type { Comparison, DesignOutcome } from '../lab/comparison.ts';
import { nrNotSurvived, nrRefused, storiesOf } from '../lab/story.ts';
import { type Html, html } from './html.ts';
import { estimateDetails, storyList } from './story_section.ts';
import { count, perRequest, roughTime } from './words.ts';

interface Column {
  readonly title: string;
  readonly value: (outcome: DesignOutcome) => string;
  /** Class of a cell that deserves a look. */
  readonly mark?: ((outcome: DesignOutcome) => string) | undefined;
  /** What the column counts; shown under the table. */
  readonly meaning?: string | undefined;
}

const marked = (name: string, isOn: boolean): string => (isOn ? ` ${name}` : '');

const COLUMNS: readonly Column[] = [
  {
    title: 'Not asked for',
    value: (o) => count(o.nrNotAsked),
    mark: (o) => marked('unasked', o.nrNotAsked > 0),
    meaning: 'pages placed on device nodes that no policy and no request had named',
  },
  {
    title: 'Asked for',
    value: (o) => count(o.nrAsked),
    meaning: 'pages placed on device nodes that were named; a page that moves later counts again',
  },
  {
    title: 'On device at end',
    value: (o) => count(o.nrOnDeviceAtEnd),
    meaning: 'pages in use on device nodes when the run ended',
  },
  {
    title: 'Spilled',
    value: (o) => count(o.nrSpilled),
    meaning: 'pages that wanted a device node and landed in system memory',
  },
  {
    title: 'Refused',
    value: (o) => count(nrRefused(o)),
    mark: (o) => marked('refusing', nrRefused(o) > 0),
    meaning: 'operations that returned an error',
  },
  {
    title: 'Not survived',
    value: (o) => count(nrNotSurvived(o)),
    mark: (o) => marked('refusing', nrNotSurvived(o) > 0),
    meaning: "operations that killed a task, their own or another's, or never end",
  },
  {
    title: 'Moved to device',
    value: (o) => count(o.nrMovedToDevice),
    meaning: 'pages migrated from system memory to a device node, and back',
  },
  { title: 'Moved from device', value: (o) => count(o.nrMovedFromDevice) },
  {
    title: 'Zones a request',
    value: (o) => perRequest(o.nrZonesLookedAt, o.nrRequests),
    meaning: 'zones looked at for one page request, on average',
  },
];

const ESTIMATE: Column = {
  title: 'Time (estimate)',
  value: (o) => (o.estimatedTimeNs === undefined ? 'unknown' : roughTime(o.estimatedTimeNs)),
  meaning: "an estimate from the machine's cited cost figures, not a measurement",
};
const FAILED: Column = {
  title: 'Not as expected',
  value: (o) => count(o.failedExpectations.length),
  mark: (o) => marked('refusing', o.failedExpectations.length > 0),
  meaning: 'results that are not what the scenario says',
};

/** The columns of a comparison; those that would be empty are left out. */
function columnsOf(outcomes: readonly DesignOutcome[]): readonly Column[] {
  return [
    ...COLUMNS,
    ...(outcomes.some((o) => o.estimatedTimeNs !== undefined) ? [ESTIMATE] : []),
    ...(outcomes.some((o) => o.failedExpectations.length > 0) ? [FAILED] : []),
  ];
}

function row(outcome: DesignOutcome, columns: readonly Column[]): Html {
  const cells = columns.map((column) => {
    const value = column.value(outcome);
    const classes = `${value === '0' ? 'zero' : ''}${column.mark?.(outcome) ?? ''}`;
    return html`<td class="${classes}">${value}</td>`;
  });
  const stopped =
    outcome.notModelled !== undefined &&
    html` <span class="ret refused" title="${outcome.notModelled}">stopped early</span>`;
  return html`<tr><th scope="row"><a href="#design-${outcome.design}">${outcome.design}</a>${stopped}</th>${cells}</tr>
`;
}

const CHART = {
  width: 760,
  labelWidth: 150,
  valueWidth: 70,
  barHeight: 13,
  rowHeight: 46,
} as const;

/** One bar with its number; the smallest count that is not zero is still seen. */
function chartBar(nr: number, most: number, y: number, kind: 'asked' | 'unasked'): Html {
  const room = CHART.width - CHART.labelWidth - CHART.valueWidth;
  const width = nr === 0 ? 0 : Math.max(2, (room * nr) / most);
  const x = CHART.labelWidth;
  const words = kind === 'asked' ? 'asked for' : 'not asked for';
  return html`<rect class="${kind}" x="${x}" y="${y}" width="${width.toFixed(1)}" height="${CHART.barHeight}" rx="1.5"><title>${count(nr)} pages ${words}</title></rect><text class="value${nr === 0 ? ' zero' : ''}" x="${(x + width + 6).toFixed(1)}" y="${y + 11}">${count(nr)}</text>`;
}

/** Pages on device memory per design: not asked for above, asked for below, on one scale. */
function chart(outcomes: readonly DesignOutcome[]): Html {
  const most = Math.max(1, ...outcomes.flatMap((o) => [o.nrAsked, o.nrNotAsked]));
  const height = outcomes.length * CHART.rowHeight;
  const rows = outcomes.map((outcome, i) => {
    const y = i * CHART.rowHeight + 5;
    return html`<text class="label" x="${CHART.labelWidth - 12}" y="${y + 19}">${outcome.design}</text>${chartBar(outcome.nrNotAsked, most, y, 'unasked')}${chartBar(outcome.nrAsked, most, y + CHART.barHeight + 3, 'asked')}
`;
  });
  const summary = outcomes
    .map((o) => `${o.design} ${count(o.nrNotAsked)} not asked for, ${count(o.nrAsked)} asked for`)
    .join('; ');
  const bottom = height - 8;
  return html`<figure class="chart">
<figcaption>Pages that were placed on device nodes: <span class="key unasked"></span> nobody had asked for that node, <span class="key asked"></span> somebody had.</figcaption>
<svg viewBox="0 0 ${CHART.width} ${height}" role="img" aria-labelledby="chart-title"><title id="chart-title">Pages placed on device nodes: ${summary}.</title>
<line class="axis" x1="${CHART.labelWidth}" y1="0" x2="${CHART.labelWidth}" y2="${bottom}"></line>
${rows}</svg></figure>`;
}

/** The section with the table, what its columns mean, and the bars. */
export function comparisonSection(comparison: Comparison): Html {
  const { outcomes, machine } = comparison;
  const columns = columnsOf(outcomes);
  const heads = columns.map((column) => html`<th scope="col">${column.title}</th>`);
  const meanings = columns
    .filter((column) => column.meaning !== undefined)
    .map((column) => html`<div><dt>${column.title}</dt><dd>${column.meaning}</dd></div>`);
  const hasDevice = machine.nodes.some((node) => node.device !== undefined);
  const bars = hasDevice
    ? chart(outcomes)
    : html`<p>This machine has no device memory, so nothing could be placed there.</p>`;
  return html`<section id="comparison" aria-labelledby="comparison-h">
<h2 id="comparison-h">Comparison</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Comparison"><table class="comparison">
<thead><tr><th scope="col">Design</th>${heads}</tr></thead>
<tbody>${outcomes.map((outcome) => row(outcome, columns))}</tbody></table></div>
${bars}
${
  outcomes.length > 1 &&
  html`<h3>What each design bought and cost, against stock</h3>${storyList(
    storiesOf(comparison),
    outcomes.map((o) => o.design),
  )}`
}
${estimateDetails(comparison)}
<details class="meanings"><summary>What the columns count</summary><dl>${meanings}</dl></details>
</section>`;
}
