// The pool of a driver, without a kernel around it.
import { expect, test } from 'vitest';
import { frame } from '../base/ids.ts';
import { KIND_ANON, MemMap } from '../mm/memmap.ts';
import { DevicePool } from './device_pool.ts';

test('[ZDV3] a pool hands out what came back last first, then what was never used', () => {
  const map = new MemMap(64);
  const stretches = [
    { start: 8, end: 11 },
    { start: 16, end: 20 },
  ];
  const pool = new DevicePool(map, { stretches });
  const out = new Int32Array(16);
  const take = (want: number): number[] => [...out.subarray(0, pool.take(want, out))];
  expect([pool.nrPages, pool.nrFree]).toEqual([7, 7]);
  expect(take(4)).toEqual([8, 9, 10, 16]);
  for (const f of [9, 16]) {
    map.claim(frame(f), KIND_ANON, 1, 0, 0);
    pool.pageFree(frame(f));
    expect(map.kind[f]).toBe(0);
  }
  expect([...pool.freeFrames()].sort((a, b) => a - b)).toEqual([9, 16, 17, 18, 19]);
  expect(take(3)).toEqual([16, 9, 17]);
  expect(take(9)).toEqual([18, 19]);
  expect(take(1)).toEqual([]);
  expect([pool.nrFree, [...pool.freeFrames()]]).toEqual([0, []]);
});
