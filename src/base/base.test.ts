// The small things that everything stands on: chance, hashes, sizes, errnos, mistakes.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { check } from '../../test/support/property.ts';
import { assert, Bug, NotModelled, UserError, unreachable } from './assert.ts';
import { EINVAL, ERRNO_NAMES, errnoName } from './errno.ts';
import { StateHash } from './hash.ts';
import { hashText, Prng } from './prng.ts';
import { formatSizeBytes, parseSizeBytes } from './units.ts';

describe('chance', () => {
  test('[RUN2] equal seeds give equal draws, other seeds others', () => {
    const draw = (seed: string): number[] => {
      const p = new Prng(seed);
      return Array.from({ length: 8 }, () => p.next32());
    };
    expect(draw('a')).toEqual(draw('a'));
    expect(draw('a')).not.toEqual(draw('b'));
    expect(draw('a')).toMatchInlineSnapshot(`
      [
        1152020254,
        2044579978,
        199502368,
        2980727557,
        3943884555,
        1484748849,
        3954989097,
        798661861,
      ]
    `);
  });

  test('[RUN2] a generator split off depends on seed and name, not on what was drawn before', () => {
    const p = new Prng('seed');
    const early = p.split('faults').next32();
    p.next32();
    expect(p.split('faults').next32()).toBe(early);
    expect(p.split('machine').next32()).not.toBe(early);
  });

  test('[RUN2] draws stay within their bounds and reach all of them', () => {
    check(fc.tuple(fc.string(), fc.integer({ min: 1, max: 12 })), 50, ([seed, bound]) => {
      const p = new Prng(seed);
      const seen = new Set<number>();
      for (let i = 0; i < 400; i++) seen.add(p.below(bound));
      expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: bound }, (_, i) => i));
      const x = p.between(-3, bound);
      expect(x).toBeGreaterThanOrEqual(-3);
      expect(x).toBeLessThanOrEqual(bound);
      expect(['x', 'y']).toContain(p.pick(['x', 'y']));
      expect(p.chance(0)).toBe(false);
      expect(p.chance(100)).toBe(true);
    });
  });

  test('[RUN2] one in n is drawn about as often as any other', () => {
    const p = new Prng('fair');
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i++) {
      const x = p.below(7);
      counts[x] = (counts[x] as number) + 1;
    }
    for (const n of counts) expect(Math.abs(n - 10_000)).toBeLessThan(500);
  });

  test('[RUN2] the hash of a text is FNV-1a over 32 bits', () => {
    expect(hashText('')).toBe(0x811c9dc5);
    expect(hashText('a')).toBe(0xe40c292c);
    expect(hashText('foobar')).toBe(0xbf9cf968);
  });
});

describe('the state hash', () => {
  test('[HSH1] equal input gives equal digests; any other number, order or length another', () => {
    const digest = (list: readonly number[]): string => {
      const h = new StateHash();
      h.addColumn(list);
      return h.digest();
    };
    const list = fc.array(fc.integer({ min: 0, max: 2 ** 31 }), { maxLength: 20 });
    check(fc.tuple(list, list), 300, ([a, b]) => {
      expect(digest(a)).toMatch(/^[0-9a-f]{16}$/);
      expect(digest(a) === digest(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
    });
  });

  test('[HSH1] texts count with their length, columns with their bounds', () => {
    const of = (add: (h: StateHash) => void): string => {
      const h = new StateHash();
      add(h);
      return h.digest();
    };
    const texts = (...list: string[]) =>
      of((h) => {
        for (const text of list) h.addText(text);
      });
    expect(texts('ab', 'c')).not.toBe(texts('a', 'bc'));
    expect(of((h) => h.addColumn([1, 2, 3, 4], 1, 3))).toBe(of((h) => h.addColumn([2, 3])));
  });
});

describe('sizes', () => {
  test.each([
    ['4096', 4096],
    ['64MiB', 64 * 1024 ** 2],
    ['15G', 15 * 1024 ** 3],
    ['1.5 GiB', 1.5 * 1024 ** 3],
    ['2k', 2048],
    ['1TB', 1024 ** 4],
    ['0', 0],
  ])('%j is %d bytes', (text, bytes) => {
    expect(parseSizeBytes(text)).toBe(bytes);
  });

  test.each(['', 'x', '-1', '1.3', '4 parsecs', '99999999T'])('%j is no size', (text) => {
    expect(parseSizeBytes(text)).toBeUndefined();
  });

  test('whole sizes print in the largest unit that keeps them exact, and read back', () => {
    expect(formatSizeBytes(65536)).toBe('64 KiB');
    expect(formatSizeBytes(1536)).toBe('1.5 KiB');
    expect(formatSizeBytes(0)).toBe('0 B');
    expect(formatSizeBytes(8 * 1024 ** 4)).toBe('8 TiB');
    check(fc.tuple(fc.integer({ min: 1, max: 1023 }), fc.integer({ min: 0, max: 4 })), 100, (x) => {
      const bytes = x[0] * 1024 ** x[1];
      expect(parseSizeBytes(formatSizeBytes(bytes))).toBe(bytes);
    });
  });
});

describe('mistakes', () => {
  test('a broken invariant is a Bug, a mistake of a person says where it is', () => {
    expect(() => assert(false)).toThrow(Bug);
    expect(() => assert(1 + 1 === 2)).not.toThrow();
    expect(() => unreachable('x' as never)).toThrow(/unreachable: x/);
    const at = { file: 'a.cdm', line: 3, column: 7 };
    expect(new UserError('no such task', at).format()).toBe('a.cdm:3:7: no such task');
    expect(new UserError('no such task', { file: 'a.cdm' }).format()).toBe('a.cdm: no such task');
    expect(new UserError('no such task').format()).toBe('no such task');
    expect(new NotModelled('hugetlb')).not.toBeInstanceOf(UserError);
  });

  test('errnos have the names of Linux, positive or negative', () => {
    expect(errnoName(-EINVAL)).toBe('EINVAL');
    expect(errnoName(EINVAL)).toBe('EINVAL');
    expect(errnoName(-9999)).toBe('E9999');
    expect(new Set(ERRNO_NAMES).size).toBe(ERRNO_NAMES.length);
  });
});
