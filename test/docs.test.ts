// The docs are true: every command that a page shows is run, and every line shown stands in what it
// prints, in order; and the scenarios of findings.md do what they say under every design.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { findDesign } from '../src/designs/index.ts';
import { compareDesigns } from '../src/lab/compare.ts';
import { loadScenario } from '../src/lab/load_scenario.ts';
import { lintScenario } from '../src/scenario/lint.ts';
import { buildIfStale, cdmlab } from './support/cli.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PAGES = ['README.md', 'docs/CLAIMS.md', 'docs/findings.md'];
/** What depends on the computer, or on files beside the checkout. */
const NOT_RUN = /^(?:bench|conform)\b/;
const FINDINGS = readdirSync(`${ROOT}scenarios/findings`).map((f) => `scenarios/findings/${f}`);

beforeAll(buildIfStale, 120_000);

/** Commands of a page, each with the lines shown below it; `...` alone stands for any lines. */
function shownIn(page: string): { command: string; lines: string[] }[] {
  const text = readFileSync(`${ROOT}${page}`, 'utf8');
  const blocks = [...text.matchAll(/^```\n\$ cdmlab (.*)\n([\s\S]*?)^```$/gm)];
  return blocks.map(([, command = '', body = '']) => ({
    command,
    lines: body.trimEnd().split('\n'),
  }));
}

function run(command: string): string[] {
  const { code, out, err } = cdmlab(...command.split(' '));
  expect(code, err).toBe(0);
  return out.split('\n').map((line) => line.trimEnd());
}

/** The first line shown that is not where it should be, or undefined. */
function missing(shown: readonly string[], printed: readonly string[]): string | undefined {
  let at = 0;
  let maySkip = false;
  for (const line of shown) {
    if (line === '...') {
      maySkip = true;
      continue;
    }
    const isIt = (p: string): boolean =>
      line.endsWith(' ...') ? p.startsWith(line.slice(0, -4)) : p === line;
    const found = maySkip ? printed.findIndex((p, i) => i >= at && isIt(p)) : at;
    if (!isIt(printed[found] ?? '')) return line;
    at = found + 1;
    maySkip = false;
  }
  return undefined;
}

describe.each(PAGES)('%s', (page) => {
  test.each(shownIn(page).filter(({ command }) => !NOT_RUN.test(command)))(
    'shows what cdmlab $command prints',
    ({ command, lines }) => {
      expect(missing(lines, run(command))).toBeUndefined();
    },
  );
});

describe.each(FINDINGS)('%s', (file) => {
  const { scenario, machine } = loadScenario(`${ROOT}${file}`);

  test('does what it says under the designs that it asks', () => {
    const designs = (scenario.expects ?? []).map(findDesign);
    expect(designs.length).toBeGreaterThan(3);
    const { outcomes } = compareDesigns({ scenario, machine, designs });
    expect(outcomes.flatMap((o) => o.failedExpectations)).toEqual([]);
    expect(outcomes.flatMap((o) => o.notModelled ?? [])).toEqual([]);
  });

  test('is named after its file, and free of what the linter warns of', () => {
    expect(file.endsWith(`/${scenario.name}.cdm`)).toBe(true);
    expect(lintScenario(scenario, machine.pageBytes)).toEqual([]);
  });
});
