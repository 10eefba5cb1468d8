// The last lines of a test run: the slowest test files, and `N passed, M failed, K skipped`.
// Usage    node tools/test_summary.mjs REPORT.json (of `vitest --reporter=json`)
// Holds    Exits 1 when a test failed, when a test file could not be run, or when no test ran.
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

const NR_SLOWEST = 10;

/**
 * Counts of a report. A file that failed without a failed test of its own (it could not be loaded)
 * counts as one failure: else it would vanish from the sum.
 */
function countsOf(report) {
  const isBroken = ({ status, assertionResults: tests }) =>
    status === 'failed' && !tests.some((test) => test.status === 'failed');
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + report.testResults.filter(isBroken).length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

function printSlowest(report) {
  const files = report.testResults
    .map(({ name, startTime, endTime }) => ({ name, seconds: (endTime - startTime) / 1000 }))
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, NR_SLOWEST);
  console.log('Slowest test files:');
  for (const { name, seconds } of files) {
    console.log(`${seconds.toFixed(1).padStart(8)} s  ${relative(process.cwd(), name)}`);
  }
}

function main(path) {
  if (path === undefined || !existsSync(path)) {
    console.log('No test ran: there is no report.');
    console.log('0 passed, 0 failed');
    process.exitCode = 1;
    return;
  }
  const report = JSON.parse(readFileSync(path, 'utf8'));
  const { passed, failed, skipped } = countsOf(report);
  printSlowest(report);
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  if (failed > 0 || passed === 0 || report.success !== true) process.exitCode = 1;
}

main(process.argv[2]);
