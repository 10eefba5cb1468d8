// The head of the page: what ran, on what, under which designs; the outcome in one sentence; what
// "asked for" means; and what makes the rest less than it should be.
import type { Comparison, DesignOutcome } from '../lab/comparison.ts';
import { nrNotSurvived, nrRefused } from '../lab/story.ts';
import { legend, type NodeColours } from './colours.ts';
import { type Html, html, joined } from './html.ts';
import { count, counted, inWords, roughSize } from './words.ts';

/** Designs by a count that they share, most first. */
function sharing(
  outcomes: readonly DesignOutcome[],
  countOf: (outcome: DesignOutcome) => number,
): [number, string][] {
  const groups = new Map<number, string[]>();
  for (const outcome of outcomes) {
    const nr = countOf(outcome);
    groups.set(nr, [...(groups.get(nr) ?? []), outcome.design]);
  }
  const sorted = [...groups].sort(([a], [b]) => b - a);
  const isShared = sorted.length === 1 && outcomes.length > 1;
  return sorted.map(([nr, designs]) => [nr, isShared ? 'every design' : inWords(designs)]);
}

/** Who let pages onto device memory that nobody had asked for. */
function leaks(outcomes: readonly DesignOutcome[]): string {
  const groups = sharing(outcomes, (o) => o.nrNotAsked);
  if (groups[0]?.[0] === 0) {
    const nrAsked = outcomes.reduce((n, o) => n + o.nrAsked, 0);
    return nrAsked === 0
      ? 'No page landed on device memory.'
      : `Under ${groups[0][1]}, nothing landed on device memory but what had been asked for.`;
  }
  const clauses = groups.map(([nr, who], i) =>
    i === 0
      ? `Under ${who}, ${counted(nr, 'page')} landed on device memory although nobody had asked for it`
      : `under ${who}, ${nr === 0 ? 'none' : count(nr)}`,
  );
  return `${clauses.join('; ')}.`;
}

/** Who refused what, if anybody did. */
function refusing(outcomes: readonly DesignOutcome[]): string {
  const groups = sharing(outcomes, (o) => nrRefused(o) + nrNotSurvived(o)).filter(([nr]) => nr > 0);
  if (groups.length === 0) return '';
  const clauses = groups.map(
    ([nr, who], i) => `${i === 0 ? counted(nr, 'operation') : count(nr)} under ${who}`,
  );
  return ` Refused or not survived: ${clauses.join(', ')}.`;
}

/** The outcome in a sentence or two. */
export function headline({ outcomes, machine }: Comparison): string {
  const hasDevice = machine.nodes.some((node) => node.device !== undefined);
  const first = hasDevice ? leaks(outcomes) : 'This machine has no device memory.';
  const stopped = outcomes.some((o) => o.notModelled !== undefined);
  const scope = stopped ? 'Not all runs came to the end; up to there: ' : '';
  return scope + first + refusing(outcomes);
}

/** What a reader has to know before believing the rest. */
function warnings(outcomes: readonly DesignOutcome[]): Html[] {
  return outcomes.flatMap((outcome) => {
    const notes: Html[] = [];
    const to = html`<a href="#design-${outcome.design}">${outcome.design}</a>`;
    if (outcome.notModelled !== undefined) {
      notes.push(html`<li>${to} stopped early: ${outcome.notModelled}</li>`);
    }
    const nr = outcome.failedExpectations.length;
    if (nr > 0) {
      notes.push(html`<li>${to}: ${counted(nr, 'result')} not as the scenario says</li>`);
    }
    return notes;
  });
}

const ARCHES: Readonly<Record<string, string>> = {
  x86_64: 'x86-64',
  arm64: 'arm64',
  ppc64: 'POWER (ppc64)',
};

function facts(comparison: Comparison): Html {
  const { scenario, machine, parameters, outcomes } = comparison;
  const fact = (name: string, value: Html | string): Html =>
    html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
  const designs = joined(
    outcomes.map((o) => html`<a href="#design-${o.design}">${o.design}</a>`),
    ', ',
  );
  const settings = Object.entries(parameters).map(
    ([name, value]) => html`<code>${name} = ${value}</code>`,
  );
  return html`<dl class="facts">
${fact('Scenario', html`<code>${scenario.name}</code>`)}
${fact('Source', scenario.source === '' ? 'not given' : scenario.source)}
${fact('Machine', html`<a href="#machine">${machine.name}</a>: ${machine.note}`)}
${fact('Architecture', html`${ARCHES[machine.arch] ?? machine.arch}, ${roughSize(machine.pageBytes)} pages`)}
${fact('Designs', html`${designs}`)}
${fact('Parameters', settings.length === 0 ? 'none' : html`${joined(settings, ', ')}`)}
</dl>`;
}

/** The head of the page. */
export function pageHeader(comparison: Comparison): Html {
  const { scenario, outcomes } = comparison;
  const notes = warnings(outcomes);
  const alarm = notes.length > 0 && html`<ul class="warnings" aria-label="Warnings">${notes}</ul>`;
  return html`<header>
<p class="kind">CDM Lab: one workload, ${counted(outcomes.length, 'design')}</p>
<h1>${scenario.title === '' ? scenario.name : scenario.title}</h1>
<p class="headline">${headline(comparison)}</p>
${alarm}
${facts(comparison)}
<p class="asked">A page is <b>asked for</b> when a memory policy or the request itself names the device node that it lands on. A page of the default policy, or of the kernel for its own use, never is: if it lands on a device node, it has leaked there.</p>
</header>`;
}

/** Ways to the sections, and the colours; stays at the top of the window. */
export function navigation(colours: NodeColours): Html {
  const sections = [
    ['comparison', 'Comparison'],
    ['machine', 'Machine'],
    ['zonelists', 'Zonelists'],
    ['placement', 'Placement'],
    ['designs', 'Designs'],
  ] as const;
  const links = sections.map(([id, title]) => html`<a href="#${id}">${title}</a>`);
  return html`<nav aria-label="Sections"><div class="links">${links}</div>${legend(colours)}</nav>`;
}
