// How the tests run: those beside the code, those of the tools, and those of the whole in test/.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'tools/**/*.test.ts', 'test/**/*.test.ts'],
    globalSetup: ['tools/lib/shared_notice.ts'],
    reporters: ['default'],
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
