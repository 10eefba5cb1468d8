// What the thread claims, run: every file of scenarios/claims states a claim of a message, with its
// author, and a verdict; its expectations are the evidence, under all of the thread's designs.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { THREAD_DESIGNS } from '../designs/index.ts';
import { type Claim, claimOf, type JudgedClaim } from './claim.ts';
import { compareDesigns } from './compare.ts';
import { loadScenario } from './load_scenario.ts';

const FOLDER = fileURLToPath(new URL('../../scenarios/claims/', import.meta.url));
const DOC = readFileSync(new URL('../../docs/CLAIMS.md', import.meta.url), 'utf8');
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.cdm'));

test('the table of claims has a row for every file, and no other', () => {
  const rows = [...DOC.matchAll(/^\| `([a-z-]+)` \|/gm)].map((match) => `${match[1]}.cdm`);
  expect(rows.sort()).toEqual([...files].sort());
  expect(files.length).toBeGreaterThanOrEqual(10);
});

describe.each(files)('%s', (name) => {
  const path = FOLDER + name;
  const text = readFileSync(path, 'utf8');

  test('names who said it and when, and gives a verdict that the table repeats', () => {
    const { scenario } = loadScenario(path);
    expect(`${scenario.name}.cdm`).toBe(name);
    const author = /^[A-Z][a-z]+ ([A-Z][a-z]+), 2017-0[23]-\d\d, .{20}/.exec(scenario.source)?.[1];
    expect(author).toBeDefined();
    const { claim, verdict } = claimOf(text, name) as Claim;
    expect(claim).toContain(author as string);
    expect(verdict).toMatch(/^(holds|does not hold)/);
    const row = DOC.split('\n').find((line) => line.startsWith(`| \`${scenario.name}\` |`));
    expect(row?.replaceAll('`', '')).toContain(verdict);
  });

  test('[CLM3] is what the model finds, with the decision behind it, under every design of the thread', () => {
    const { scenario, machine, claim } = loadScenario(path);
    const compared = compareDesigns({ scenario, machine, claim, designs: THREAD_DESIGNS });
    const { outcomes } = compared;
    const wrong = outcomes.flatMap((o) =>
      o.failedExpectations.map((f) => `${o.design}: ${f.text}`),
    );
    expect(wrong).toEqual([]);
    const { isContradicted, traces, explanations } = compared.claim as JudgedClaim;
    expect(explanations.map((e) => e.design)).toEqual(traces.map((t) => t.design));
    if (isContradicted) expect(traces.length).toBeGreaterThan(0);
    for (const e of explanations) expect(e.request?.attempts.length).toBeGreaterThan(0);
    expect(scenario.ops.some((op) => op.expect.length > 0)).toBe(true);
  });
});
