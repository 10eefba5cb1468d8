// Numbers of the language: `12`, `0x10`, `64MiB`, and sums and products of them without spaces
// (`$i*16+4`, `2*64MiB`).
// Holds    A size in bytes becomes pages only where a page size is known, and only exactly.
import { parseSizeBytes } from '../base/units.ts';

/** What a number counts: pages of `pageBytes` bytes, bytes, or things that have no size. */
export type Unit = { readonly pageBytes: number } | 'bytes' | 'count';

/** What is wrong with a number, in words that go after the word itself: `"x" is no number`. */
export interface Wrong {
  readonly wrong: string;
}

/** A plain decimal number of at most 15 digits, or -1: the case that nearly all words are. */
function plainNumber(word: string): number {
  const n = word.length;
  if (n === 0 || n > 15) return -1;
  let value = 0;
  for (let i = 0; i < n; i++) {
    const digit = word.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

interface Term {
  readonly value: number;
  readonly isBytes: boolean;
}

/** A number or size of more digits than numbers here may have. */
const LONG_NUMBER = /^(?:\d+|0x[0-9a-f]+|\d+(?:\.\d+)?[kmgt]?(?:i?b)?)$/i;

function factor(text: string): Term | Wrong {
  const plain = plainNumber(text);
  if (plain >= 0) return { value: plain, isBytes: false };
  if (/^0x[0-9a-f]{1,13}$/i.test(text)) return { value: Number.parseInt(text, 16), isBytes: false };
  const bytes = parseSizeBytes(text);
  if (bytes === undefined && LONG_NUMBER.test(text)) return { wrong: 'is too large a number' };
  if (bytes === undefined || /^\d*\.?\d*$/.test(text)) return { wrong: 'is no number' };
  return { value: bytes, isBytes: true };
}

function product(text: string): Term | Wrong {
  let value = 1;
  let isBytes = false;
  for (const part of text.split('*')) {
    const f = factor(part);
    if ('wrong' in f) return f;
    if (isBytes && f.isBytes) return { wrong: 'multiplies a size by a size' };
    value *= f.value;
    isBytes ||= f.isBytes;
  }
  return { value, isBytes };
}

function toUnit(term: Term, unit: Unit): number | Wrong {
  if (unit === 'bytes' || !term.isBytes) return term.value;
  if (unit === 'count') return { wrong: 'is a size in bytes where a plain number belongs' };
  const nrPages = term.value / unit.pageBytes;
  if (Number.isInteger(nrPages)) return nrPages;
  return { wrong: `is not a whole number of pages of ${unit.pageBytes} bytes` };
}

/** The value of a word in the unit, 0..2^53-1, or what is wrong with it. */
export function evaluate(word: string, unit: Unit): number | Wrong {
  const plain = plainNumber(word);
  if (plain >= 0) return plain;
  let sum = 0;
  for (const part of word.split('+')) {
    const term = product(part);
    if ('wrong' in term) return term;
    const value = toUnit(term, unit);
    if (typeof value !== 'number') return value;
    sum += value;
  }
  return Number.isSafeInteger(sum) ? sum : { wrong: 'is too large a number' };
}

/** A number as `flags=` shows it: small ones decimal, others hexadecimal. */
export const formatFlags = (flags: number): string =>
  flags < 10 ? String(flags) : `0x${flags.toString(16)}`;
