// How the tests run: those beside the code, those of the tools, and those of the whole in test/.
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { testedFile, writeTestedFiles } from './tools/lib/tested_modules.ts';

/** Files that take about a minute each: begun last, one of them would run alone at the end. */
const LONG = ['src/lab/kernel.guest.test.ts', 'src/lab/conform.test.ts'];

/** Long files first, the others as vitest orders them. */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification): boolean =>
      LONG.some((name) => moduleId.endsWith(name));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

/** Sends every import of a module of src to its JavaScript, which Node loads by itself. */
const native: Plugin = {
  name: 'tested-modules',
  enforce: 'pre',
  buildStart: writeTestedFiles,
  resolveId(source, importer) {
    if (importer === undefined || !source.startsWith('.')) return undefined;
    return testedFile(resolve(dirname(importer), source));
  },
};

/**
 * Coverage is counted in modules that vitest has loaded itself, and watching is for them too:
 * `vitest` without `run`, and `--coverage`, go without.
 */
const isNative =
  process.argv.includes('run') && !process.argv.some((word) => word.startsWith('--coverage'));

export default defineConfig({
  plugins: isNative ? [native] : [],
  test: {
    server: { deps: { external: [/\/\.tested\//] } },
    // Stacks then name lines of src.
    execArgv: ['--enable-source-maps'],
    include: ['src/**/*.test.ts', 'tools/**/*.test.ts', 'test/**/*.test.ts'],
    globalSetup: ['tools/lib/shared_notice.ts'],
    reporters: ['default'],
    // All cores: vitest by itself leaves one idle, which is half of a small machine.
    maxWorkers: availableParallelism(),
    sequence: { sequencer: LongFirst },
    // Comparisons with recorded kernel runs, and fuzzers, take seconds; nothing takes minutes.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['src/**/*.{test,fuzz,bench}.ts'],
      reporter: ['text-summary', 'html', 'json-summary'],
      reportsDirectory: 'coverage',
    },
  },
});
