// How a zonelist is set against that of the first design.
import { describe, expect, test } from 'vitest';
import type { ZoneLabel } from '../lab/comparison.ts';
import { compareLists } from './zonelist_picture.ts';

const list = (text: string): ZoneLabel[] =>
  text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => ({ nid: Number(word), zone: 'Normal' }));

/** `-2` for missing, `+2` for new, `~2` for moved. */
const marks = (base: string, other: string): string =>
  compareLists(list(base), list(other))
    .map(
      ({ zone, change }) => ({ same: '', missing: '-', new: '+', moved: '~' })[change] + zone.nid,
    )
    .join(' ');

describe('a list against that of the first design', () => {
  test.each([
    ['equal lists differ nowhere', '0 1 2', '0 1 2', '0 1 2'],
    ['what is missing stays in its place', '0 1 2 3', '0 3', '0 -1 -2 3'],
    ['what is missing at the end', '0 1 2', '0', '0 -1 -2'],
    ['what is new', '0 1', '0 5 1', '0 +5 1'],
    ['what changed places', '0 1 2', '0 2 1', '0 ~2 ~1'],
    ['missing and moved', '0 1 2 3', '0 3 2', '0 -1 ~3 ~2'],
    ['a list that is gone', '0 1', '', '-0 -1'],
    ['a list that was not there', '', '0 1', '+0 +1'],
  ])('%s', (_, base, other, expected) => {
    expect(marks(base, other)).toBe(expected);
  });
});
