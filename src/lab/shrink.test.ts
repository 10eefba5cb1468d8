// Shrinking, with failures that are known in advance.
import { describe, expect, test } from 'vitest';
import { Prng } from '../base/prng.ts';
import { shrink } from './shrink.ts';

/** Fails when all of the needed items are there, in order. */
const failsWith =
  (needed: readonly number[]) =>
  async (candidates: readonly (readonly number[])[]): Promise<boolean[]> =>
    candidates.map((c) => {
      let at = 0;
      for (const item of c) if (item === needed[at]) at++;
      return at === needed.length;
    });

describe('shrink', () => {
  test('[KRN2] only what is needed is left, in order', async () => {
    const p = new Prng('shrink');
    const items = Array.from({ length: 45 }, (_, i) => i);
    for (let n = 0; n < 40; n++) {
      const needed = items.filter(() => p.chance(10));
      if (needed.length === 0) continue;
      expect(await shrink(items, failsWith(needed))).toEqual(needed);
    }
  });

  test('[KRN2] cuts that work alone and not together still end in a failure', async () => {
    // Either of the last two will do: each can be cut, not both.
    const fails = async (candidates: readonly (readonly number[])[]): Promise<boolean[]> =>
      candidates.map((c) => c.includes(0) && (c.includes(8) || c.includes(9)));
    const left = await shrink([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], fails);
    expect(left.length).toBe(2);
    expect(await fails([left])).toEqual([true]);
  });

  test('a list that cannot be cut stays, and rounds are bounded', async () => {
    expect(await shrink([1, 2, 3], failsWith([1, 2, 3]))).toEqual([1, 2, 3]);
    const items = Array.from({ length: 64 }, (_, i) => i);
    const left = await shrink(items, failsWith([5]), { mostRounds: 1 });
    expect(left.length).toBeLessThan(64);
    expect(left).toContain(5);
  });
});
