// What counts as the spread of real kernels where memory ends, and what never does.
import { expect, test } from 'vitest';
import type { RunList } from '../scenario/run_list.ts';
import { isWithinSpread } from './spread.ts';

const near = (ours: RunList, theirs: RunList, isolated: number[] = []): boolean =>
  isWithinSpread('where', ours, theirs, { tolerance: 512, isolated: new Set(isolated) });

test('[SPR1] counts at a turn may differ by the tolerance, the order of nodes may not', () => {
  expect(
    near(
      [
        [0, 50_000],
        [1, 9_000],
      ],
      [
        [0, 49_600],
        [1, 9_400],
      ],
    ),
  ).toBe(true);
  expect(
    near(
      [
        [0, 50_000],
        [1, 9_000],
      ],
      [
        [0, 49_400],
        [1, 9_600],
      ],
    ),
  ).toBe(false);
  expect(
    near(
      [
        [0, 50_000],
        [1, 9_000],
      ],
      [
        [1, 9_000],
        [0, 50_000],
      ],
    ),
  ).toBe(false);
  expect(near([[0, 50_000]], [[1, 50_000]])).toBe(false);
  expect(near([[0, 50_000]], [[0, 50_001]])).toBe(false);
});

test('[SPR1] a pattern keeps its phase at the start, and its nodes everywhere', () => {
  const after = (pattern: number[]): RunList => [
    [0, 5_000],
    [pattern, 5_000],
  ];
  expect(near(after([1, 2]), after([2, 1]))).toBe(true);
  expect(near(after([1, 2]), after([1, 3]))).toBe(false);
  expect(near([[[0, 1], 5_000]], [[[1, 0], 5_000]])).toBe(false);
});

test('[SPR2] a little to and fro is passed over, much is not', () => {
  const toAndFro: RunList = [
    [0, 49_000],
    [1, 300],
    [0, 200],
    [1, 9_500],
  ];
  expect(
    near(
      [
        [0, 49_200],
        [1, 9_800],
      ],
      toAndFro,
    ),
  ).toBe(true);
  const much = Array.from({ length: 8 }, (_, i) => [i % 2, 400] as const);
  expect(
    near(
      [
        [0, 57_000],
        [1, 4_600],
      ],
      [[0, 55_400], ...much, [1, 3_000]],
    ),
  ).toBe(false);
});

test('[SPR4] with swap, pages that are gone are a matter of spread, and so is whose turn it is', () => {
  const spread = { tolerance: 1000, isolated: new Set<number>(), swaps: true };
  const gone = (n: number): RunList => [
    ['ENOENT', n],
    [1, 60_000 - n],
  ];
  const turns = (a: number): RunList => [
    ['ENOENT', 20_000],
    [0, a],
    [1, 5000],
    [0, 35_000 - a],
  ];
  expect(isWithinSpread('where', gone(20_000), gone(20_900), spread)).toBe(true);
  expect(isWithinSpread('where', gone(20_000), gone(21_100), spread)).toBe(false);
  expect(isWithinSpread('where', gone(20_000), [...gone(20_000)].reverse(), spread)).toBe(false);
  expect(isWithinSpread('where', turns(9000), turns(30_000), spread)).toBe(true);
  expect(isWithinSpread('where', turns(9000), turns(30_000), { ...spread, swaps: false })).toBe(
    false,
  );
});

test('[SPR2] a short list has no room for it', () => {
  expect(near([[2, 64]], [[0, 64]])).toBe(false);
  expect(
    near(
      [
        [0, 15],
        [1, 241],
      ],
      [[1, 256]],
    ),
  ).toBe(false);
  expect(
    near(
      [
        [0, 75],
        [1, 181],
      ],
      [
        [0, 60],
        [1, 196],
      ],
    ),
  ).toBe(true);
});

test('[SPR3] no page leaks onto an isolated node within the spread, and no move fails within it', () => {
  expect(
    near(
      [
        [0, 50_000],
        [2, 500],
      ],
      [[0, 50_500]],
    ),
  ).toBe(true);
  expect(
    near(
      [
        [0, 50_000],
        [2, 500],
      ],
      [[0, 50_500]],
      [2],
    ),
  ).toBe(false);
  expect(
    near(
      [
        [2, 5_000],
        ['ENOMEM', 400],
      ],
      [[2, 5_400]],
    ),
  ).toBe(false);
  const counts = (ours: object, theirs: object, isolated: number[]) =>
    isWithinSpread('counts', ours, theirs, { tolerance: 512, isolated: new Set(isolated) });
  expect(counts({ 0: 5_000, 2: 5 }, { 0: 5_005 }, [])).toBe(true);
  expect(counts({ 0: 5_000, 2: 5 }, { 0: 5_005 }, [2])).toBe(false);
});
