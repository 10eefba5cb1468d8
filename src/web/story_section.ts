// What each design bought and cost against stock, and what an estimate of time rests on: parts of
// pages.
import { alike } from '../lab/alike.ts';
import type { Comparison } from '../lab/comparison.ts';
import { lackingWords, leftOutWords } from '../lab/cost/estimate.ts';
import { type Figure, figureMeaning, figureValue } from '../lab/cost/figures.ts';
import type { DesignStory } from '../lab/story.ts';
import { type Html, html } from './html.ts';

/** What each design bought and cost; those that are as stock in one line. */
export function storyList(stories: readonly DesignStory[], designs: readonly string[]): Html {
  if (stories.length === 0) {
    return html`<p class="nothing">${designs.length < 2 ? 'One design alone.' : 'Nothing to measure against: stock is not among the designs.'}</p>`;
  }
  const groups = alike(stories, ({ bought, cost, stopped = '' }) => ({ bought, cost, stopped }));
  const isAsStock = ({ told }: (typeof groups)[number]): boolean =>
    told.bought.length + told.cost.length + told.stopped.length === 0;
  const items = groups
    .filter((group) => !isAsStock(group))
    .map(
      ({ designs: ids, told: t }) =>
        html`<dt>${ids.join(', ')}</dt>${t.bought.length > 0 && html`<dd><b>bought</b> ${t.bought.join('; ')}</dd>`}${t.cost.length > 0 && html`<dd><b>cost</b> ${t.cost.join('; ')}</dd>`}${t.stopped !== '' && html`<dd>${t.stopped}</dd>`}`,
    );
  const same = groups.filter(isAsStock).flatMap((group) => group.designs);
  const rest = same.length > 0 && html`<dt>as stock</dt><dd>${same.join(', ')}</dd>`;
  return html`<dl class="story">${items}${rest}</dl>`;
}

/** The figures of the estimates with their sources, and what is missing; folded. */
export function estimateDetails({ outcomes }: Comparison): Html | false {
  const estimates = outcomes.flatMap(({ estimate }) => (estimate === undefined ? [] : [estimate]));
  const missing = unique(estimates.flatMap((e) => e.missing));
  const without = unique(estimates.flatMap((e) => e.without));
  const timed = estimates.filter((e) => e.timeNs !== undefined);
  if (timed.length === 0 && missing.length === 0) return false;
  if (timed.length === 0) {
    return html`<p class="no">Time not estimated: no figure for ${lackingWords(missing)}.</p>`;
  }
  const figures = new Map(timed.flatMap((e) => e.figures).map((f) => [f.name, f] as const));
  const rows = [...figures.values()]
    .sort((a: Figure, b: Figure) => (a.name < b.name ? -1 : 1))
    .map(
      (f) =>
        html`<tr><td><code>${f.name}</code></td><td>${figureValue(f)}</td><td>${figureMeaning(f.name)}</td><td>${f.source}</td></tr>`,
    );
  return html`<details class="estimate"><summary>What the estimate of time rests on</summary>
<p>Bytes and events that the model counted, divided by these figures; no measurement.${without.length > 0 && ` Left out, as no figure is known: the cost of ${leftOutWords(without)}.`}${missing.length > 0 && ` Where no time stands there is no figure for ${lackingWords(missing)}.`}</p>
<div class="scroll" tabindex="0" role="region" aria-label="Figures"><table class="small"><thead><tr><th scope="col">Figure</th><th scope="col">Value</th><th scope="col">What it is</th><th scope="col">Source</th></tr></thead><tbody>${rows}</tbody></table></div></details>`;
}

const unique = (names: readonly string[]): string[] => [...new Set(names)].sort();
