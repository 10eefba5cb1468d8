// A fuzzing run that is killed and goes on: what is in its folder afterwards.
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { planBoots } from '../lab/fuzz_plan.ts';
import type { FuzzOutcome } from '../lab/kernel_fuzz.ts';
import type { OracleCase } from '../lab/oracle_case.ts';
import { FuzzFolder } from './fuzz_folder.ts';

let path = '';
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'cdmlab-folder-'));
});
afterEach(() => rmSync(path, { recursive: true }));

const idOf = (number: number): string => `id/${number}`;
const open = (cases = '--seed 1'): FuzzFolder => new FuzzFolder(path, cases, idOf);
const outcome = (number: number, verdict: FuzzOutcome['verdict'] = 'equal'): FuzzOutcome => {
  return { number, family: 'policy', verdict, nrOps: 1, isSecond: false };
};
const record = (number: number): OracleCase => ({ id: idOf(number) }) as OracleCase;
const numbers = (folder: FuzzFolder): number[] => folder.outcomes().map((o) => o.number);
const recordIds = (): string[] =>
  readFileSync(join(path, 'records.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line).id);

/** Does what a run does: all boots that are left, up to `until` of them. */
function go(total: number, until = Number.POSITIVE_INFINITY): void {
  const folder = open();
  const boots = planBoots(total, new Set(numbers(folder)));
  for (const boot of boots.slice(0, until)) {
    folder.record(boot.map(record));
    folder.add(boot.map((n) => outcome(n)));
  }
}

const ALL = Array.from({ length: 60 }, (_, i) => i);

describe('a run that was killed goes on', () => {
  test('[KRN5] between two boots', () => {
    go(60, 1);
    expect(numbers(open())).toEqual(ALL.slice(0, 25));
    go(60);
    expect(numbers(open())).toEqual(ALL);
    expect(recordIds()).toEqual(ALL.map(idOf));
  });

  test('[KRN5] after the records of a boot and before its outcomes', () => {
    go(60, 1);
    open().record([25, 26, 27].map(record));
    go(60);
    expect(numbers(open())).toEqual(ALL);
    expect(recordIds()).toEqual(ALL.map(idOf));
  });

  test('[KRN5] in the middle of a line', () => {
    go(60, 1);
    appendFileSync(join(path, 'records.jsonl'), '{"id":"id/25","fam');
    appendFileSync(join(path, 'done.jsonl'), '[{"number":25,');
    go(60);
    expect(numbers(open())).toEqual(ALL);
    expect(recordIds()).toEqual(ALL.map(idOf));
  });

  test('[KRN5] and runs again what did not run', () => {
    open().add([outcome(0), outcome(1, 'not run')]);
    expect(numbers(open())).toEqual([0]);
  });

  test('but not with other cases', () => {
    open();
    expect(() => open('--seed 2')).toThrow('holds a run with other options (--seed 1)');
  });
});
