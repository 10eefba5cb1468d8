// `compare --all`, `--designs all` and `--cost` as a person types them.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildIfStale, cdmlab, cdmlabWith, json, refused } from '../../test/support/cli.ts';
import { MAIN_DESIGNS } from '../designs/index.ts';
import type { Comparison } from '../lab/comparison.ts';
import type { Matrix } from '../lab/matrix.ts';

const folder = mkdtempSync(join(tmpdir(), 'cdmlab-all-'));
beforeAll(() => buildIfStale(), 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ONLY = ['--all', '--only', 'text-stays,claims/policy-is-enough'];

test('--all shows a matrix and verdicts, and --out writes pages that lead to each other', () => {
  const pages = join(folder, 'pages');
  const { code, out } = cdmlab('compare', ...ONLY, '--designs', 'stock,zonelist', '--out', pages);
  expect(code).toBe(0);
  expect(out).toMatch(/claims\/policy-is-enough {2}\. {2}S/);
  expect(out).toContain('Spills into system memory in 1 scenario: claims/policy-is-enough.');
  expect(readdirSync(pages).sort()).toEqual([
    'claims-policy-is-enough.html',
    'index.html',
    'text-stays.html',
  ]);
  expect(readFileSync(join(pages, 'index.html'), 'utf8')).toContain('href="text-stays.html"');
});

test('--out with a name of a page writes one, and --json has the matrix', () => {
  const page = join(folder, 'matrix.html');
  const matrix = json<Matrix>('compare', ...ONLY, '--designs', 'stock,zonelist', '--out', page);
  expect(matrix.rows.map((row) => row.cells[1]?.word)).toEqual(['kept', 'spilled']);
  expect(readFileSync(page, 'utf8')).toContain('id="s-claims-policy-is-enough"');
});

test('what does not go with --all is refused', () => {
  expect(refused('compare', '--all', '--machine', 'gh200')).toContain('--machine does not go');
  expect(refused('compare', '--all', '--only', 'nonsense')).toContain('no scenario');
});

test('without --designs the ten run, on 80 columns, with what each bought and cost', () => {
  const { out } = cdmlabWith({ COLUMNS: '80' }, 'compare', 'claims/policy-is-enough');
  const long = out.split('\n').filter((line) => line.length > 80 && !line.includes('cdmlab '));
  expect(long).toEqual([]);
  for (const { id } of MAIN_DESIGNS) expect(out).toContain(id);
  expect(out).toContain('Against stock:');
  // Of what is the same for several designs, one paragraph tells.
  expect(out).toMatch(/^ {2}hmm, hmm-coherent, driver$/m);
  expect(out.replaceAll(/\s+/g, ' ')).toContain('16 pages more spilled into system memory');
});

test('--cost gives what the machine lacks, and the estimate says what it rests on', () => {
  const scenario = join(folder, 'a.cdm');
  writeFileSync(scenario, 'machine thread\nT0 cpu 0\nT0 mmap R0 16 anon\nT0 touch R0\n');
  const args = ['compare', scenario, '--designs', 'stock'];
  expect(cdmlab(...args).out).toContain(
    'Time not estimated: no figure for memory of node 0 (memory.0).',
  );
  const run = cdmlab('run', scenario, '--cost', 'memory.0=100GB/s', '--cost', 'fault.cpu=1us').out;
  expect(run).toMatch(/Estimated time: \d/);
  expect(run).toContain('The time is an estimate');
  expect(run).toContain('memory of node 0: given by hand');
  const { outcomes } = json<Comparison>(...args, '--cost', 'memory.0=100GB/s');
  expect(outcomes[0]?.estimate?.figures.map((f) => f.name)).toEqual(['fault.cpu', 'memory.0']);
  expect(outcomes[0]?.estimatedTimeNs).toBeGreaterThan(16_000);
  expect(refused(...args, '--cost', 'speed=3')).toContain('no cost is called "speed"');
});
