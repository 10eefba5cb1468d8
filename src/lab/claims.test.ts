// What the thread claims, run: every file of scenarios/claims states a claim of a message, with its
// author, and a verdict; its expectations are the evidence, under all of the thread's designs.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { THREAD_DESIGNS } from '../designs/index.ts';
import { compareDesigns } from './compare.ts';
import { loadScenario } from './load_scenario.ts';

const FOLDER = fileURLToPath(new URL('../../scenarios/claims/', import.meta.url));
const DOC = readFileSync(new URL('../../docs/CLAIMS.md', import.meta.url), 'utf8');
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.cdm'));

/** The comment under `# Claim` or `# Verdict`, as one line. */
function said(text: string, what: 'Claim' | 'Verdict'): string {
  const match = new RegExp(`^# ${what} +((?:.*\n#  {4,})*.*)$`, 'm').exec(text);
  return (match?.[1] ?? '').replace(/\n# +/g, ' ');
}

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
    expect(said(text, 'Claim')).toContain(author as string);
    expect(said(text, 'Verdict')).toMatch(/^(holds|does not hold)/);
    const row = DOC.split('\n').find((line) => line.startsWith(`| \`${scenario.name}\` |`));
    expect(row?.replaceAll('`', '')).toContain(said(text, 'Verdict'));
  });

  test('is what the model finds under every design of the thread', () => {
    const { scenario, machine } = loadScenario(path);
    const { outcomes } = compareDesigns({ scenario, machine, designs: THREAD_DESIGNS });
    const wrong = outcomes.flatMap((o) =>
      o.failedExpectations.map((f) => `${o.design}: ${f.text}`),
    );
    expect(wrong).toEqual([]);
    expect(scenario.ops.some((op) => op.expect.length > 0)).toBe(true);
  });
});
