// Lists of one value a page, written short.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { check } from '../../test/support/property.ts';
import { countRunList, fromRunList, sameRunLists, toRunList } from './run_list.ts';

test('[RUN3] runs and repeating patterns are written once, with how often they come', () => {
  expect(toRunList([2, 2, 2])).toEqual([[2, 3]]);
  expect(toRunList([0, 1, 2, 0, 1, 2])).toEqual([[[0, 1, 2], 2]]);
  expect(toRunList([0, 'EFAULT', 'EFAULT', 1])).toEqual([
    [0, 1],
    ['EFAULT', 2],
    [1, 1],
  ]);
  expect(toRunList([])).toEqual([]);
});

test('[RUN3] a list reads back to the values it was written from, and is never longer', () => {
  const values = fc.array(fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constant('ENOENT')), {
    maxLength: 200,
  });
  check(values, 300, (list) => {
    const short = toRunList(list);
    expect(fromRunList(short)).toEqual(list);
    expect(short.length).toBeLessThanOrEqual(list.length);
  });
});

test('values are counted by their text', () => {
  expect(countRunList(toRunList([2, 0, 2, 'EFAULT']))).toEqual({ 0: 1, 2: 2, EFAULT: 1 });
});

test('[RUN3] lists are the same when they say the same of every page', () => {
  const values = fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 60 });
  const single = (list: readonly number[]) => list.map((v) => [v, 1] as const);
  check(fc.tuple(values, values), 300, ([a, b]) => {
    expect(sameRunLists(toRunList(a), single(a))).toBe(true);
    expect(sameRunLists(toRunList(a), toRunList(b))).toBe(a.join() === b.join());
  });
});
