// Where the pages of every region are, step by step, the designs side by side: a table whose
// cells are stacked bars in the colours of the nodes. Bars are HTML, not SVG: they stretch with
// their column, their text can be selected and wraps, and a screen reader meets a table with
// numbers. The counts stand in every cell; a control shows them.
import type { Comparison } from '../lab/comparison.ts';
import type { NodeColours } from './colours.ts';
import { type Html, html } from './html.ts';
import type { Cell, PlacementRows, RegionRows, Row } from './placement_rows.ts';
import { count, counted, figure, roughSize, stepNumber } from './words.ts';

interface Drawing {
  readonly comparison: Comparison;
  readonly colours: NodeColours;
  /** About how wide a full bar is, in CSS pixels: decides which counts fit into their segment. */
  readonly barPx: number;
}

/** Of a page of 1180 px the operations take some, the designs share the rest. */
const barWidthPx = (nrDesigns: number): number => 860 / Math.max(1, nrDesigns) - 16;
/** With more columns than this everything in them is smaller, and narrow windows scroll. */
const MANY_DESIGNS = 6;
const CHAR_PX = 7;
const PADDING_PX = 8;

function bar(cell: Cell, maxPages: number, drawing: Drawing): Html {
  const { colours, barPx } = drawing;
  const segments = cell.counts.map(([nid, nrPages]) => {
    const label = count(nrPages);
    const fits = (nrPages / maxPages) * barPx >= label.length * CHAR_PX + PADDING_PX;
    return html`<i class="${colours.classOf(nid)}" style="flex-grow:${nrPages}">${fits && html`<span>${label}</span>`}</i>`;
  });
  const percent = ((100 * cell.nrPages) / maxPages).toFixed(2);
  return html`<div class="bar" aria-hidden="true"><div style="width:${percent}%">${segments}</div></div>`;
}

function numbers(cell: Cell, colours: NodeColours): Html {
  const items = cell.counts.map(
    ([nid, nrPages]) =>
      html`<li class="${colours.classOf(nid)}">node ${nid}: <b>${count(nrPages)}</b></li>`,
  );
  return html`<ul class="nums">${items}</ul>`;
}

/** What the operation returned. */
const returned = (cell: Cell): Html =>
  html`<span class="ret${cell.isRefused && ' refused'}">${cell.ret ?? 'not run'}</span>`;

function regionCell(cell: Cell, maxPages: number, drawing: Drawing): Html {
  const ret = typeof cell.ret !== 'number' && returned(cell);
  const body =
    cell.nrPages > 0
      ? html`${bar(cell, maxPages, drawing)}${numbers(cell, drawing.colours)}`
      : cell.ret !== undefined && html`<span class="nothing">no pages</span>`;
  return html`<td class="cell${cell.isChanged ? '' : ' same'}" tabindex="-1">${body} ${ret}</td>`;
}

const operation = (row: Row): Html =>
  html`<span class="no">${stepNumber(row.step)}</span><code>${row.text}</code>`;

const rowClasses = (row: Row): string =>
  ['step', row.isQuiet && 'quiet', row.isDiffering && 'differs'].filter(Boolean).join(' ');

const differMark = (row: Row): Html | false =>
  row.isDiffering && html`<span class="differ" title="the designs differ">≠</span>`;

function regionRow(row: Row, region: RegionRows, drawing: Drawing): Html {
  const cells = row.cells.map((cell) => regionCell(cell, region.maxPages, drawing));
  const name = html`<span class="tag">${region.task} ${region.region}</span>`;
  return html`<tr class="${rowClasses(row)}" data-step="${row.step}"><th scope="row">${operation(row)}${differMark(row)}${name}</th>${cells}</tr>
`;
}

function otherRow(row: Row): Html {
  const cells = row.cells.map(
    (cell) => html`<td class="cell" tabindex="-1">${returned(cell)}</td>`,
  );
  return html`<tr class="${rowClasses(row)}" data-step="${row.step}"><th scope="row">${operation(row)}${differMark(row)}</th>${cells}</tr>
`;
}

function regionBody(region: RegionRows, drawing: Drawing): Html {
  const { machine, outcomes } = drawing.comparison;
  const size = roughSize(region.maxPages * machine.pageBytes);
  const isDiffering = region.rows.some((row) => row.isDiffering);
  const alike = !isDiffering && outcomes.length > 1 && html`; alike under all designs`;
  return html`<tbody class="region${isDiffering ? ' differs' : ''}">
<tr class="name"><th scope="rowgroup" colspan="${outcomes.length + 1}"><b>${region.task}</b> <b>${region.region}</b> <span>a full bar is ${counted(region.maxPages, 'page')}, ${size}${alike}</span></th></tr>
${region.rows.map((row) => regionRow(row, region, drawing))}</tbody>
`;
}

function othersBody(rows: PlacementRows, nrDesigns: number): Html | undefined {
  const { others } = rows;
  if (others.length === 0) return undefined;
  const quiet = others.every((row) => row.isQuiet) ? ' quiet' : '';
  const differs = others.some((row) => row.isDiffering) ? ' differs' : '';
  return html`<tbody class="others${quiet}${differs}">
<tr class="name"><th scope="rowgroup" colspan="${nrDesigns + 1}"><b>Steps that changed no placement</b> <span>what they returned</span></th></tr>
${others.map(otherRow)}</tbody>
`;
}

function controls(rows: PlacementRows, isOneDesign: boolean): Html {
  const bodies = [...rows.regions.flatMap((region) => region.rows), ...rows.others];
  const nrDiffering = new Set(bodies.filter((r) => r.isDiffering).map((r) => r.step)).size;
  const nrShown = rows.nrChangingShown + rows.nrQuietShown;
  const radio = (id: string, text: string, nr: number, checked: boolean): Html =>
    html`<label><input type="radio" name="steps" id="${id}"${checked && html` checked`}${nr === 0 && html` disabled`}> ${text} <span>${count(nr)}</span></label>`;
  return html`<form class="controls" autocomplete="off">
<fieldset><legend>Steps</legend>
${radio('steps-changing', 'that changed something', rows.nrChangingShown, true)}
${!isOneDesign && radio('steps-differing', 'where designs differ', nrDiffering, false)}
${radio('steps-all', 'all', nrShown, false)}
</fieldset>
<label><input type="checkbox" id="counts"> counts as text</label>
<label hidden id="by-step-label"><input type="checkbox" id="by-step"> in the order of the steps</label>
</form>`;
}

function limitNotes(rows: PlacementRows): Html[] {
  const notes: Html[] = [];
  if (rows.nrChangingShown < rows.nrChanging) {
    notes.push(
      html`<p class="limit">Shown are the first ${count(rows.nrChangingShown)} of ${count(rows.nrChanging)} steps that changed a placement or were refused, to step ${stepNumber(rows.lastShown)}. The numbers above are of the whole run.</p>`,
    );
  }
  if (rows.nrQuietShown < rows.nrQuiet) {
    const left = rows.nrQuiet - rows.nrQuietShown;
    notes.push(
      html`<p class="limit">Of the steps that changed nothing, ${count(left)} of ${count(rows.nrQuiet)} are not listed.</p>`,
    );
  }
  return notes;
}

/** The section with the table of bars, its controls, and notes on what is left out. */
export function placementPicture(
  comparison: Comparison,
  rows: PlacementRows,
  colours: NodeColours,
): Html {
  const { outcomes } = comparison;
  const isMany = outcomes.length > MANY_DESIGNS;
  const drawing: Drawing = { comparison, colours, barPx: barWidthPx(outcomes.length) };
  const heads = outcomes.map((outcome) => html`<th scope="col">${outcome.design}</th>`);
  const nothing = rows.regions.length === 0 && html`<p>No page of any region was ever placed.</p>`;
  return html`<section id="placement" aria-labelledby="placement-h">
<h2 id="placement-h">Where the pages are after each step</h2>
<p>A bar is one region after one step; its segments are pages by node. Pale: as it was before the step. <span class="ret refused">EINVAL</span> marks what was refused or did not survive. <span class="differ">≠</span> marks steps under which the designs are not alike. Point at a bar, or walk the table with the arrow keys, for counts. The scenario has ${figure(rows.nrSteps, 'step')}.</p>
${nothing}${limitNotes(rows)}
${controls(rows, outcomes.length === 1)}
<div class="frame"><table class="placement${isMany && ' many'}" style="--designs:${outcomes.length}">
<thead><tr><th scope="col">Step</th>${heads}</tr></thead>
${rows.regions.map((region) => regionBody(region, drawing))}${othersBody(rows, outcomes.length)}</table></div>
</section>`;
}
