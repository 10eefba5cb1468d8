// One card a design: what it is and promises, and what came of this run under it.
import type {
  ComparedDeath,
  Comparison,
  DesignOutcome,
  PageName,
  Refusal,
} from '../lab/comparison.ts';
import { deathWords } from '../lab/deaths.ts';
import type { NodeColours } from './colours.ts';
import { type Html, html } from './html.ts';
import { count, counted, numberList, stepNumber } from './words.ts';

/** Longer lists are cut, with a note. */
const MAX_ITEMS = 50;

const nodeMark = (nid: number, colours: NodeColours): Html =>
  html`<span class="mark"><i class="${colours.classOf(nid)}"></i>${nid}</span>`;

function table(title: string, heads: readonly string[], rows: readonly Html[]): Html {
  return html`<h4>${title}</h4><table class="small"><thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead><tbody>${rows}</tbody></table>`;
}

const ORIGIN_WORDS: Readonly<Record<string, string>> = {
  default: 'default policy',
  task: "task's policy",
  area: "area's policy",
  'shared object': "shared object's policy",
  'node named': 'request names the node',
  cpuset: 'move after a cpuset',
};

function placements(outcome: DesignOutcome, colours: NodeColours): Html {
  const rows = [...outcome.onDevice].sort(
    (a, b) => Number(a.isAsked) - Number(b.isAsked) || b.nrPages - a.nrPages || a.nid - b.nid,
  );
  if (rows.length === 0) return html`<p>No page was placed on a device node.</p>`;
  return table(
    'Placed on device nodes, by kind of request',
    ['Asked for', 'For', 'By', 'Node', 'Pages'],
    rows.map(
      (row) =>
        html`<tr class="${row.isAsked ? '' : 'unasked'}"><td>${row.isAsked ? 'yes' : 'no'}</td><td>${row.purpose}</td><td>${ORIGIN_WORDS[row.from] ?? row.from}</td><td>${nodeMark(row.nid, colours)}</td><td class="nr">${count(row.nrPages)}</td></tr>`,
    ),
  );
}

const pageName = ({ task, region, index }: PageName): Html =>
  html`<code>${task} ${region}</code> page ${count(index)}`;

function moves(outcome: DesignOutcome, colours: NodeColours): Html {
  if (outcome.moves.length === 0) return html`<p>No page moved.</p>`;
  return table(
    'Moved, by cause',
    ['Cause', 'From', 'To', 'Pages'],
    outcome.moves.map(
      (move) =>
        html`<tr><td>${move.cause}</td><td>${nodeMark(move.from, colours)}</td><td>${nodeMark(move.to, colours)}</td><td class="nr">${count(move.nrPages)}</td></tr>`,
    ),
  );
}

const step = (index: number): Html => html`<span class="no">step ${stepNumber(index)}</span> `;

function refusal(r: Refusal): Html {
  const at = r.page !== undefined && html` <span class="at">at ${pageName(r.page)}</span>`;
  return html`<li>${step(r.step)}<code>${r.text}</code> <span class="ret refused">${r.ret}</span>${at}</li>`;
}

function death(d: ComparedDeath): Html {
  const line = d.line !== undefined && html` (line ${d.line})`;
  return html`<li>${step(d.step)}<code>${d.text}</code>${line}: <span class="ret refused">${deathWords(d)}</span></li>`;
}

/** A list with a title; empty lists say so. */
function list(title: string, items: readonly Html[], empty: string): Html {
  if (items.length === 0) return html`<p>${empty}</p>`;
  const left = items.length - MAX_ITEMS;
  const rest = left > 0 && html`<li class="limit">and ${count(left)} more</li>`;
  return html`<h4>${title}</h4><ol class="items">${items.slice(0, MAX_ITEMS)}${rest}</ol>`;
}

function refusals(outcome: DesignOutcome): Html {
  const nrDead = outcome.nrAfterDeath ?? 0;
  const dead =
    nrDead > 0 &&
    html`<p>${counted(nrDead, 'operation')} more came after the death of their task or after a panic, or before a task's birth.</p>`;
  const deaths = outcome.deaths ?? [];
  const killed = deaths.length > 0 && list('Killed for others', deaths.map(death), '');
  return html`${killed}${list('Refused, or not survived', outcome.refusals.map(refusal), 'Nothing was refused.')}${dead}`;
}

function examples(outcome: DesignOutcome, colours: NodeColours): Html | undefined {
  const found = outcome.examples ?? [];
  if (found.length === 0) return undefined;
  const items = found.map(
    (e) => html`<li>${step(e.step)}${pageName(e)} on node ${nodeMark(e.nid, colours)}</li>`,
  );
  return html`<details><summary>The first page of each region on a device</summary>${list('Worth asking about', items, '')}</details>`;
}

function card(outcome: DesignOutcome, colours: NodeColours): Html {
  const coherent = outcome.zonelists.filter((row) => row.isCoherentDevice).map((row) => row.nid);
  const failed = outcome.failedExpectations.map(
    (f) => html`<li>${step(f.step)}<code>${f.text}</code></li>`,
  );
  const stopped =
    outcome.notModelled !== undefined &&
    html`<p class="limit"><b>Not modelled:</b> ${outcome.notModelled}. The run stopped there, after ${counted(outcome.steps.length, 'step')}.</p>`;
  const failures = failed.length > 0 && list('Not as the scenario says', failed, '');
  return html`<article id="design-${outcome.design}" aria-labelledby="design-${outcome.design}-h">
<h3 id="design-${outcome.design}-h">${outcome.design} <span>${outcome.title}</span></h3>
<p class="promise">${outcome.promise}</p>
<p>${outcome.summary}</p>
${stopped}${failures}
${placements(outcome, colours)}
${refusals(outcome)}
${moves(outcome, colours)}
${examples(outcome, colours)}
<p class="foot">N_COHERENT_DEVICE: ${coherent.length === 0 ? 'no node' : numberList(coherent)}. ${counted(outcome.nrRequests, 'page request')}, ${counted(outcome.nrZonesLookedAt, 'zone')} looked at. State hash <code>${outcome.stateHash}</code></p>
</article>
`;
}

/** The section with a card for every design. */
export function designSection(comparison: Comparison, colours: NodeColours): Html {
  const { outcomes } = comparison;
  return html`<section id="designs" aria-labelledby="designs-h">
<h2 id="designs-h">Designs</h2>
<p>What each design is, what it promises, and what came of this run.
Equal state hashes mean that the runs ended in the same state, page by page.</p>
<div class="cards">${outcomes.map((outcome) => card(outcome, colours))}</div>
</section>`;
}
