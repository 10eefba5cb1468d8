// The summary of a test run tells the truth, also when a file could not be loaded or nothing ran.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { plant } from './lib/testing.ts';

const PROGRAM = fileURLToPath(new URL('./test_summary.mjs', import.meta.url));

/** A report as vitest writes it, with the fields that count. */
function reportOf(passed: number, failed: number, skipped: number, brokenFile = false): object {
  const tests = [{ status: failed > 0 ? 'failed' : 'passed' }];
  const file = { name: 'a.test.ts', startTime: 1000, endTime: 3500 };
  const broken = { ...file, name: 'b.test.ts', status: 'failed', assertionResults: [] };
  const status = failed > 0 ? 'failed' : 'passed';
  return {
    success: failed === 0 && !brokenFile,
    numPassedTests: passed,
    numFailedTests: failed,
    numPendingTests: skipped,
    numTodoTests: 0,
    testResults: [{ ...file, status, assertionResults: tests }, ...(brokenFile ? [broken] : [])],
  };
}

function summary(report: object | undefined): { status: number | null; last: string } {
  const files = report === undefined ? {} : { 'report.json': JSON.stringify(report) };
  const path = join(plant({ 'x.txt': '', ...files }), 'report.json');
  const ran = spawnSync(process.execPath, [PROGRAM, path], { encoding: 'utf8' });
  return { status: ran.status, last: ran.stdout.trimEnd().split('\n').at(-1) ?? '' };
}

test('a run where all passed exits 0', () => {
  expect(summary(reportOf(7, 0, 0))).toEqual({ status: 0, last: '7 passed, 0 failed' });
  expect(summary(reportOf(7, 0, 2))).toEqual({ status: 0, last: '7 passed, 0 failed, 2 skipped' });
});

test('a failed test, and a file that could not be loaded, count as failures', () => {
  expect(summary(reportOf(7, 1, 0))).toEqual({ status: 1, last: '7 passed, 1 failed' });
  expect(summary(reportOf(7, 0, 0, true))).toEqual({ status: 1, last: '7 passed, 1 failed' });
});

test('a run without a test, or without a report, is a failure', () => {
  expect(summary(reportOf(0, 0, 3))).toEqual({ status: 1, last: '0 passed, 0 failed, 3 skipped' });
  expect(summary(undefined)).toEqual({ status: 1, last: '0 passed, 0 failed' });
});
