// Which rows the placement table has, on runs written out by hand.
import { describe, expect, test } from 'vitest';
import type { ComparedStep, DesignOutcome } from '../lab/comparison.ts';
import { placementRows, type Row } from './placement_rows.ts';

type State = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** A step from its text, its result and the regions after it (`app buf`: pages by node). */
const step = (
  index: number,
  text: string,
  state: State,
  ret: string | number = 0,
): ComparedStep => ({
  index,
  text,
  ret,
  regions: Object.entries(state).map(([key, byNode]) => {
    const [task, region] = key.split(' ') as [string, string];
    return { task, region, byNode };
  }),
});

const outcome = (design: string, steps: readonly ComparedStep[]): DesignOutcome => ({
  design,
  title: '',
  summary: '',
  promise: '',
  onDevice: [],
  nrAsked: 0,
  nrNotAsked: 0,
  nrOnDeviceAtEnd: 0,
  refusals: steps
    .filter(({ ret }) => ret === 'EINVAL')
    .map(({ index, text, ret }) => ({ step: index, text, ret: String(ret) })),
  nrSpilled: 0,
  moves: [],
  nrMovedToDevice: 0,
  nrMovedFromDevice: 0,
  nrRequests: 0,
  nrZonesLookedAt: 0,
  failedExpectations: [],
  steps,
  zonelists: [],
  stateHash: '',
});

const BUF = { 'app buf': { 0: 4 } };
const stepsOf = (rows: readonly Row[]): number[] => rows.map((row) => row.step);

const plain = outcome('plain', [
  step(0, 'app cpu 0', {}),
  step(1, 'app touch buf', BUF),
  step(2, 'app mbind buf 0 4 bind 9', BUF, 'EINVAL'),
  step(3, 'app touch more', { ...BUF, 'app more': { 0: 1, 2: 3 } }),
  step(4, 'sys write x y', { ...BUF, 'app more': { 0: 1, 2: 3 } }, 'EINVAL'),
  step(5, 'app munmap buf', { 'app more': { 0: 1, 2: 3 } }),
]);

describe('placement rows', () => {
  test('[ROW1] steps stand with the regions that they changed, or name in vain', () => {
    const rows = placementRows([plain]);
    expect(rows.regions.map((r) => [r.task, r.region, r.maxPages, stepsOf(r.rows)])).toEqual([
      ['app', 'buf', 4, [1, 2, 5]],
      ['app', 'more', 4, [3]],
    ]);
    expect(rows.others.map((row) => [row.step, row.isQuiet])).toEqual([
      [0, true],
      [4, false],
    ]);
    expect([rows.nrSteps, rows.nrChanging, rows.nrQuiet]).toEqual([6, 5, 1]);
  });

  test('[ROW2] a row knows what changed, what was refused and what is left', () => {
    const [touch, mbind, munmap] = placementRows([plain]).regions[0]?.rows ?? [];
    expect(touch?.cells[0]).toEqual({
      counts: [[0, 4]],
      nrPages: 4,
      isChanged: true,
      ret: 0,
      isRefused: false,
    });
    expect(mbind?.cells[0]).toMatchObject({ isChanged: false, isRefused: true, nrPages: 4 });
    expect(munmap?.cells[0]).toMatchObject({ isChanged: true, nrPages: 0, counts: [] });
  });

  test('a region under a design that leaves it alone keeps its state, and the row differs', () => {
    const other = outcome('other', [
      step(0, 'app cpu 0', {}),
      step(1, 'app touch buf', { 'app buf': { 2: 4 } }),
      step(2, 'app mbind buf 0 4 bind 9', { 'app buf': { 2: 4 } }),
    ]);
    const [touch, mbind, munmap] = placementRows([plain, other]).regions[0]?.rows ?? [];
    expect(touch?.isDiffering).toBe(true);
    expect(mbind?.cells[1]).toMatchObject({ isChanged: false, isRefused: false, ret: 0 });
    expect(munmap?.cells[1]).toMatchObject({ nrPages: 4, ret: undefined });
    const alone = placementRows([plain, plain]);
    expect(alone.regions.flatMap((r) => r.rows).some((row) => row.isDiffering)).toBe(false);
  });

  test('states are compared by what they hold: data read back from JSON gives the same rows', () => {
    const copy = JSON.parse(JSON.stringify(plain)) as DesignOutcome;
    expect(placementRows([copy])).toEqual(placementRows([plain]));
  });

  test('[ROW1] longer runs are cut after the first changing steps, and say how many there are', () => {
    const steps = Array.from({ length: 1000 }, (_, i) =>
      step(i, `app touch buf 0 ${i}`, { 'app buf': { 0: 1 + (i >> 1) } }),
    );
    const limits = { changingSteps: 20, quietSteps: 5 };
    const rows = placementRows([outcome('long', steps)], limits);
    expect([rows.nrChanging, rows.nrChangingShown, rows.lastShown]).toEqual([500, 20, 38]);
    expect([rows.nrQuiet, rows.nrQuietShown]).toEqual([500, 5]);
    expect(rows.regions[0]?.rows).toHaveLength(20);
    expect(rows.regions[0]?.maxPages).toBe(20);
    expect(stepsOf(rows.others)).toEqual([1, 3, 5, 7, 9]);
  });

  test('a run of no steps has no rows', () => {
    const rows = placementRows([outcome('none', [])]);
    expect([rows.regions, rows.others, rows.nrSteps]).toEqual([[], [], 0]);
  });
});
