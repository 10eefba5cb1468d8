// A claim of the thread on a page: what was claimed, what the run shows of it, and where they part,
// the decision behind a page.
import type { JudgedClaim } from '../lab/claim.ts';
import type { Explanation } from '../lab/explain.ts';
import type { ExplainedAttempt } from '../lab/explain_walk.ts';
import { type Html, html } from './html.ts';
import { count } from './words.ts';

function attemptTable(attempt: ExplainedAttempt): Html {
  const rows = attempt.zones.map(
    (z) =>
      html`<tr><td>node ${z.nid}</td><td>${z.zone}</td><td>${count(z.freePages)}</td><td>${z.watermarkPages === undefined ? '' : count(z.watermarkPages)}</td><td>${z.verdict}</td></tr>`,
  );
  const missing = attempt.missing.map((m) => html`<li>node ${m.nid}: ${m.why}</li>`);
  return html`<p>${attempt.list.kind} list of node ${attempt.list.owner}, ${attempt.mask}</p>
<div class="scroll" tabindex="0" role="region" aria-label="Walk"><table class="small"><thead><tr><th scope="col">Node</th><th scope="col">Zone</th><th scope="col">Free</th><th scope="col">Mark</th><th scope="col">Verdict</th></tr></thead><tbody>${rows}</tbody></table></div>${missing.length > 0 && html`<ul>${missing}</ul>`}`;
}

/** A failed request is told by its first and its last try. */
function attemptsOf(e: Explanation): readonly ExplainedAttempt[] {
  const all = e.request?.attempts ?? [];
  return all.length > 2 ? [all[0], all.at(-1)].filter((a) => a !== undefined) : all;
}

function trace(e: Explanation): Html {
  const { request: r } = e;
  const asked =
    r !== undefined &&
    html`<p>Asked for in step ${r.step + 1} (<code>${r.text}</code>): ${r.purpose}, policy ${r.policy}, starts at ${r.startWhy}.${r.failure !== undefined && ` It failed: ${r.failure}.`}</p>`;
  return html`<details class="trace" open><summary>Why page ${e.index} of ${e.region} under ${e.design}</summary>
<p>${e.words}</p>${asked}${attemptsOf(e).map(attemptTable)}</details>`;
}

/** What was claimed, the verdict, and the traces. */
export function claimSection(claim: JudgedClaim): Html {
  return html`<div class="claim"><p><b>Claim.</b> ${claim.claim}</p>
<p><b>${claim.isContradicted ? 'Contradicted by the runs, in whole or in part.' : 'Verdict.'}</b> It ${claim.verdict}.</p>${claim.explanations.map(trace)}</div>`;
}
