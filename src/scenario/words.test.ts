// The small parts: words and quotes, numbers and sizes, near misses.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { didYouMean, editDistance, nearest } from '../base/suggest.ts';
import { quoteValue, scanLine, substitute } from './lexer.ts';
import { evaluate, formatFlags } from './quantity.ts';
import { nameFault, slotOf } from './words.ts';

describe('scanLine', () => {
  test('columns count from 1, and # opens a comment where a word could start', () => {
    expect(scanLine('  a\tb#c "d e" #f', 3, 'x')).toEqual({
      number: 3,
      words: ['a', 'b#c', '"d e"'],
      columns: [3, 5, 9],
      hasVariable: false,
    });
    expect(scanLine(' \t# only this', 1, 'x')).toBeUndefined();
    expect(scanLine('', 1, 'x')).toBeUndefined();
  });

  test('any value comes through quoting and scanning as it was', () => {
    const value = fc.stringMatching(/^[^\n"]{0,20}$/);
    fc.assert(
      fc.property(value, (v) => {
        const words = scanLine(`x ${quoteValue(v)} y`, 1, 'x')?.words ?? [];
        expect(words).toHaveLength(3);
        expect(words[1]?.replace(/^"(.*)"$/s, '$1')).toBe(v);
      }),
    );
  });

  test('no value of a parameter is looked at twice', () => {
    const line = scanLine(`$a \${a}b "$a" x$a$a`, 1, 'x');
    if (line === undefined) throw new Error('no line');
    const words = substitute(line, 'x', new Map([['a', '$b']])).words;
    expect(words).toEqual(['$b', '$bb', '"$a"', 'x$b$b']);
  });
});

describe('evaluate', () => {
  test.each([
    ['0', 0],
    ['0x10', 16],
    ['12+3*4', 24],
    ['2*64KiB+1', 33],
    ['1M', 256],
    ['1.5MiB', 384],
    ['999999999999999', 999999999999999],
  ])('%s is %i pages of 4 KiB', (text, pages) => {
    expect(evaluate(text, { pageBytes: 4096 })).toBe(pages);
  });

  test.each(['', '-1', '1e3', '1.5', '+', '3+', '*2', '4 ', '0x', '1KiB', '4KiB*4KiB', '9x'])(
    '"%s" is no number of pages of 4 KiB',
    (text) => {
      expect(evaluate(text, { pageBytes: 4096 })).toHaveProperty('wrong');
    },
  );

  test('units are bytes where bytes are asked for, and refused where things are counted', () => {
    expect(evaluate('4KiB', 'bytes')).toBe(4096);
    expect(evaluate('4KiB', 'count')).toHaveProperty('wrong');
    expect(evaluate('9999999999999999', 'count')).toEqual({ wrong: 'is too large a number' });
    expect(evaluate('999999999999999*99', 'count')).toEqual({ wrong: 'is too large a number' });
  });

  test('flags print as they are usually written, and read back', () => {
    expect([1, 9, 16, 0x80].map(formatFlags)).toEqual(['1', '9', '0x10', '0x80']);
    fc.assert(fc.property(fc.nat(), (n) => evaluate(formatFlags(n), 'count') === n));
  });
});

describe('names', () => {
  test('T<n> and R<n> are slots, with limits; anything else is a name', () => {
    expect([slotOf('T0'), slotOf('R31'), slotOf('T03'), slotOf('app')]).toEqual([0, 31, -1, -1]);
    expect(nameFault('T15', 'T')).toBeUndefined();
    expect(nameFault('Tx', 'T')).toBeUndefined();
    expect(nameFault('buf_2', 'R')).toBeUndefined();
    for (const bad of ['T16', 'T03', 'R0', '2a', 'a-b', '', 'sys']) {
      expect(nameFault(bad, 'T')).toContain(`"${bad}"`);
    }
  });
});

describe('suggestions', () => {
  test('count single-letter edits, neighbours swapped being one', () => {
    expect(editDistance('touch', 'touch', 2)).toBe(0);
    expect(editDistance('tuoch', 'touch', 2)).toBe(1);
    expect(editDistance('mmap', 'munmap', 2)).toBe(2);
    expect(editDistance('abc', 'xyz', 2)).toBe(3);
    expect(editDistance('a', 'abcd', 2)).toBe(3);
  });

  test('name the nearest word and nothing when none is near', () => {
    expect(nearest('bnd', ['bind', 'interleave'])).toBe('bind');
    expect(nearest('MOVABEL', ['KERNEL', 'MOVABLE'])).toBe('MOVABLE');
    expect(didYouMean('zzz', ['bind'])).toBe('');
  });
});
