// The order in which a device visits pages.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { check } from '../../test/support/property.ts';
import { PATTERNS, type Pattern, Visits } from './access_pattern.ts';

function visitsOf(pattern: Pattern, nrPages: number, stride: number, seed: string, at: number) {
  const visits = new Visits(pattern, nrPages, stride, seed);
  const out = new Int32Array(at);
  const all: number[] = [];
  for (let n = visits.fill(out); n > 0; n = visits.fill(out)) all.push(...out.subarray(0, n));
  return all;
}

const drawn = fc.record({
  pattern: fc.constantFrom(...PATTERNS),
  nrPages: fc.integer({ min: 1, max: 3000 }),
  stride: fc.integer({ min: 0, max: 4000 }),
  at: fc.integer({ min: 1, max: 700 }),
});

describe('a pass', () => {
  test('[PAT1] has as many visits as the range has pages, all of them in it', () => {
    check(drawn, 200, ({ pattern, nrPages, stride, at }) => {
      const all = visitsOf(pattern, nrPages, stride, 's', at);
      expect(all).toHaveLength(nrPages);
      expect(Math.min(...all)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...all)).toBeLessThan(nrPages);
    });
  });

  test('[PAT2] visits every page once in a stream or with a stride', () => {
    check(drawn, 200, ({ nrPages, stride, at }) => {
      expect(new Set(visitsOf('strided', nrPages, stride, 's', at)).size).toBe(nrPages);
      expect(visitsOf('stream', nrPages, stride, 's', at)).toEqual([...Array(nrPages).keys()]);
    });
  });

  test('[PAT2] is the same for the same seed and another for another', () => {
    for (const pattern of ['random', 'hot'] as const) {
      const one = visitsOf(pattern, 500, 1, 'a', 64);
      expect(visitsOf(pattern, 500, 1, 'a', 500)).toEqual(one);
      expect(visitsOf(pattern, 500, 1, 'b', 64)).not.toEqual(one);
    }
  });

  test('[PAT3] nine of ten visits go to the hot tenth', () => {
    const hot = visitsOf('hot', 10_000, 1, 's', 4096).filter((page) => page < 1000).length;
    expect(hot).toBeGreaterThan(8800);
    expect(hot).toBeLessThan(9200);
  });
});
