// The head of the page: what ran, on what, under which designs; the outcome in one sentence; what
// "asked for" means; and what makes the rest less than it should be.
import type { Comparison, DesignOutcome } from '../lab/comparison.ts';
import { legend, type NodeColours } from './colours.ts';
import { type Html, html, joined } from './html.ts';
import { count, counted, inWords, roughSize } from './words.ts';

/** Designs with equally many pages that nobody asked for, most first. */
function byLeak(outcomes: readonly DesignOutcome[]): [number, string[]][] {
  const groups = new Map<number, string[]>();
  for (const { design, nrNotAsked } of outcomes) {
    groups.set(nrNotAsked, [...(groups.get(nrNotAsked) ?? []), design]);
  }
  return [...groups].sort(([a], [b]) => b - a);
}

/** The outcome in one sentence. */
export function headline(comparison: Comparison): string {
  const { outcomes, machine } = comparison;
  if (machine.nodes.every((node) => node.device === undefined)) {
    return 'This machine has no device memory.';
  }
  const groups = byLeak(outcomes);
  const [most, designs] = groups[0] as [number, string[]];
  if (most === 0) {
    const who = outcomes.length === 1 ? inWords(designs) : 'every design';
    return `Under ${who}, all pages on device memory had been asked for, if any came there.`;
  }
  const what = 'on device memory that nobody had asked for';
  const clauses = groups.map(([nr, names], i) =>
    i === 0
      ? `Under ${inWords(names)}, ${counted(nr, 'page')} landed ${what}`
      : `under ${inWords(names)}, ${nr === 0 ? 'none' : count(nr)}`,
  );
  return `${clauses.join('; ')}.`;
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
<p class="asked">A page is <b>asked for</b> when a memory policy or the request itself names the device node that it lands on. A page of the default policy, or of the kernel for its own use, never is: if it lands on a device node, the device's memory has leaked.</p>
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
