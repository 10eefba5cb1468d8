// The matrix scenario x design as one HTML page that needs nothing else, in the style of the
// reports: a word and a colour a cell, each leading to its scenario's table and story, and what
// every design comes to.
// Omits    model logic: every word and number comes from the Matrix.
// Holds    REP1 equal matrices give equal pages. REP2 all text is escaped (html.ts).
import type { Matrix, MatrixNumbers, MatrixRow } from '../lab/matrix.ts';
import { type Cell, VERDICT_WORDS, type VerdictWord } from '../lab/story.ts';
import { claimSection } from './claim_section.ts';
import { type Html, html, trusted } from './html.ts';
import { MATRIX_STYLE } from './matrix_style.ts';
import { storyList } from './story_section.ts';
import { STYLE } from './style.ts';
import { count, counted, perRequest, roughTime } from './words.ts';

/** What the words of a cell mean. */
const MEANINGS: Readonly<Record<VerdictWord, string>> = {
  'not modelled': 'the run stopped at something that the model does not do',
  leaked: 'pages on device nodes that nobody had asked for',
  killed: 'tasks that the OOM killer took, or a signal that came by itself; a panic is one',
  SIGBUS: 'operations that end in SIGBUS',
  stuck: 'page faults that are tried for ever',
  refused: 'operations that this design refuses and another allows',
  spilled: 'pages that wanted a device node and landed in system memory',
  kept: 'none of these',
};

const POLICY = [
  "default-src 'none'",
  "style-src 'unsafe-inline'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

const classOf = (word: VerdictWord): string => `w-${word.replace(' ', '-')}`;
const anchorOf = (name: string): string => `s-${name.replaceAll('/', '-')}`;

/**
 * Draws a matrix.
 * @param linkOf the page of a scenario's whole comparison, where there is one.
 * @returns the page: UTF-8, one file.
 */
export function renderMatrix(matrix: Matrix, linkOf?: (name: string) => string): string {
  const { designs, rows } = matrix;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${trusted(POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${counted(rows.length, 'scenario')}, ${counted(designs.length, 'design')} - CDM Lab</title>
<link rel="icon" href="data:,">
<style>${trusted(`${STYLE}\n${MATRIX_STYLE}`)}</style>
</head>
<body>
<header>
<p class="kind">CDM Lab: the matrix scenario x design</p>
<h1>${counted(rows.length, 'scenario')} under ${counted(designs.length, 'design')}</h1>
<p class="headline">What became of each workload under each answer to one question: how can a device's memory be visible and yet isolated? Every word is a result of a run of the model; a cell leads to its numbers.</p>
</header>
<nav aria-label="Sections"><div class="links"><a href="#matrix">Matrix</a><a href="#verdicts">Designs</a><a href="#scenarios">Scenarios</a></div></nav>
<main>
${matrixSection(matrix)}
${verdictSection(matrix)}
<section id="scenarios" aria-labelledby="scenarios-h"><h2 id="scenarios-h">Scenarios</h2>
${rows.map((row) => scenarioSection(row, designs, linkOf))}</section>
</main>
<footer>Made by CDM Lab, a model of Linux memory placement. Times are estimates, never measurements.
Equal scenarios, machines and designs give an equal page.</footer>
</body>
</html>
`.text;
}

function matrixSection({ designs, rows }: Matrix): Html {
  const heads = designs.map((id) => html`<th scope="col"><a href="#d-${id}">${id}</a></th>`);
  const keys = [...VERDICT_WORDS]
    .reverse()
    .map((word) => html`<li class="${classOf(word)}"><b>${word}</b> ${MEANINGS[word]}</li>`);
  const lines = rows.map(
    (row) =>
      html`<tr><th scope="row"><a href="#${anchorOf(row.name)}">${row.name}</a></th>${row.cells.map((cell) => cellOf(row, cell))}</tr>
`,
  );
  return html`<section id="matrix" aria-labelledby="matrix-h">
<h2 id="matrix-h">Matrix</h2>
<ul class="key-words">${keys}</ul>
<div class="scroll" tabindex="0" role="region" aria-label="Matrix"><table class="outcomes">
<thead><tr><th scope="col">Scenario</th>${heads}</tr></thead>
<tbody>${lines}</tbody></table></div>
</section>`;
}

function cellOf(row: MatrixRow, cell: Cell): Html {
  const failed =
    cell.nrFailed > 0 && html`<small>${counted(cell.nrFailed, 'result')} not as expected</small>`;
  const why = cell.notModelled === undefined ? cell.text : cell.notModelled;
  const words = cell.notModelled === undefined ? cell.text : 'not modelled';
  return html`<td class="${classOf(cell.word)}"><a href="#${anchorOf(row.name)}" title="${why}">${words}</a>${failed}</td>`;
}

/** Claims that runs contradict, each leading to its scenario and the decision behind it. */
function contradictions(rows: readonly MatrixRow[]): Html | false {
  const found = rows.flatMap(({ name, claim }) =>
    claim?.isContradicted === true
      ? [
          html`<li><a href="#${anchorOf(name)}">${name}</a>: ${claim.claim} It ${claim.verdict}.</li>`,
        ]
      : [],
  );
  return (
    found.length > 0 &&
    html`<h3>Claims that the runs contradict, in whole or in part</h3><ul>${found}</ul>`
  );
}

function verdictSection({ verdicts, rows }: Matrix): Html {
  const cards = verdicts.map(
    (v) =>
      html`<article id="d-${v.design}"><h3>${v.design}</h3><p>${v.title}. <b>Promise:</b> ${v.promise}</p><ul>${v.sentences.map((s) => html`<li>${s}</li>`)}</ul></article>
`,
  );
  return html`<section id="verdicts" aria-labelledby="verdicts-h"><h2 id="verdicts-h">Designs</h2>
<div class="verdicts">${cards}</div>${contradictions(rows)}</section>`;
}

function scenarioSection(
  row: MatrixRow,
  designs: readonly string[],
  linkOf: ((name: string) => string) | undefined,
): Html {
  const isTimed = row.numbers.some((n) => n.estimatedTimeNs !== undefined);
  const lines = row.numbers.map((n, i) => numbersLine(n, row.cells[i] as Cell, isTimed));
  const whole =
    linkOf !== undefined &&
    html`<p><a href="${linkOf(row.name)}">The whole comparison: machine, zonelists, every step</a></p>`;
  return html`<section class="one" id="${anchorOf(row.name)}"><h3>${row.name}</h3>
<p>${row.title}. <span class="no">${row.source}. Machine ${row.machine}.</span></p>
<div class="scroll" tabindex="0" role="region" aria-label="${row.name}"><table class="comparison">
<thead><tr><th scope="col">Design</th><th scope="col">Outcome</th><th scope="col">Asked for</th><th scope="col">Not asked for</th><th scope="col">Spilled</th><th scope="col">Refused</th><th scope="col">Not survived</th><th scope="col">Moved to device</th><th scope="col">Moved off</th><th scope="col">Zones a request</th>${isTimed && html`<th scope="col">Time (estimate)</th>`}</tr></thead>
<tbody>${lines}</tbody></table></div>
${storyList(row.stories, designs)}${row.claim !== undefined && claimSection(row.claim)}${whole}</section>
`;
}

function numbersLine(n: MatrixNumbers, cell: Cell, isTimed: boolean): Html {
  const time = n.estimatedTimeNs === undefined ? 'unknown' : roughTime(n.estimatedTimeNs);
  return html`<tr><th scope="row"><a href="#d-${n.design}">${n.design}</a></th><td class="${classOf(cell.word)}">${cell.notModelled === undefined ? cell.text : 'not modelled'}</td>${[
    n.nrAsked,
    n.nrNotAsked,
    n.nrSpilled,
    n.nrRefused,
    n.nrNotSurvived,
    n.nrMovedToDevice,
    n.nrMovedFromDevice,
  ].map(
    (v) => html`<td class="${v === 0 ? 'zero' : ''}">${count(v)}</td>`,
  )}<td>${perRequest(n.nrZonesLookedAt, n.nrRequests)}</td>${isTimed && html`<td>${time}</td>`}</tr>
`;
}
