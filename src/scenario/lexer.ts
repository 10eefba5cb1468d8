// Text into words: the lowest layer of the operation language. Knows comments, quotes and `$NAME`,
// and where every word stands; knows no verb.
// Holds    A quoted word keeps its quotes here, so that no reader but that of values takes it.
import { UserError } from '../base/assert.ts';

/** A line with at least one word. */
export interface SourceLine {
  /** Counts from 1. */
  readonly number: number;
  readonly words: readonly string[];
  /** Where each word starts, counting from 1. */
  readonly columns: readonly number[];
  /** Some word holds `$`. */
  readonly hasVariable: boolean;
}

const TAB = 9;
const SPACE = 32;
const QUOTE = 34;
const HASH = 35;
const DOLLAR = 36;

const isSpace = (c: number): boolean => c === SPACE || c === TAB || c === 13 || c === 0xfeff;

/** Statements whose argument is the rest of the line as it stands, `#` and `$` included. */
const FREE_TEXT: ReadonlySet<string> = new Set(['title', 'source']);

/**
 * The words of one line, or undefined for an empty line or a comment. `#` opens a comment where a
 * word could start. @throws UserError for a quote that is not closed.
 */
export function scanLine(raw: string, number: number, file: string): SourceLine | undefined {
  const words: string[] = [];
  const columns: number[] = [];
  let hasVariable = false;
  const end = raw.length;
  let i = 0;
  while (i < end) {
    let c = raw.charCodeAt(i);
    if (isSpace(c)) {
      i++;
      continue;
    }
    if (c === HASH) break;
    const start = i;
    if (c === QUOTE) {
      const close = raw.indexOf('"', i + 1);
      if (close < 0) {
        const place = { file, line: number, column: start + 1 };
        throw new UserError('this quote is not closed; expected another " on the line', place);
      }
      i = close + 1;
    } else {
      while (i < end && !isSpace(c)) {
        if (c === DOLLAR) hasVariable = true;
        c = raw.charCodeAt(++i);
      }
    }
    words.push(raw.slice(start, i));
    columns.push(start + 1);
    if (words.length === 1 && FREE_TEXT.has(words[0] as string)) {
      const rest = raw.slice(i).trim();
      if (rest !== '') {
        words.push(rest);
        columns.push(raw.indexOf(rest, i) + 1);
      }
      return { number, words, columns, hasVariable: false };
    }
  }
  return words.length === 0 ? undefined : { number, words, columns, hasVariable };
}

/** The lines of a text, scanned when they are asked for; those asked for twice are kept. */
export class Lines {
  readonly #raw: readonly string[];
  readonly #file: string;
  readonly #kept = new Map<number, SourceLine | undefined>();

  constructor(text: string, file: string) {
    this.#raw = text.split('\n');
    this.#file = file;
  }

  /** How many lines, those without words too. */
  get count(): number {
    return this.#raw.length;
  }

  /** The line of this index, counting from 0, or undefined when it holds no word. */
  at(index: number, keep: boolean): SourceLine | undefined {
    if (this.#kept.has(index)) return this.#kept.get(index);
    const line = scanLine(this.#raw[index] as string, index + 1, this.#file);
    if (keep) this.#kept.set(index, line);
    return line;
  }
}

const VARIABLE = /\$(?:\{([A-Za-z][A-Za-z0-9_]*)\}|([A-Za-z][A-Za-z0-9_]*)|)/g;

/**
 * The line with `$NAME` and `${NAME}` replaced by their values; quoted words stay as they are.
 * @throws UserError for a name without a value.
 */
export function substitute(
  line: SourceLine,
  file: string,
  values: ReadonlyMap<string, string>,
): SourceLine {
  if (!line.hasVariable) return line;
  const words = line.words.map((word, i) => {
    if (!word.includes('$') || word.startsWith('"')) return word;
    return word.replace(VARIABLE, (all: string, braced?: string, bare?: string) => {
      const name = braced ?? bare;
      const value = name === undefined ? undefined : values.get(name);
      if (value !== undefined) return value;
      const known = [...values.keys()].map((n) => `$${n}`);
      const have =
        known.length === 0 ? 'none is defined here' : `defined here: ${known.join(', ')}`;
      const place = { file, line: line.number, column: line.columns[i] };
      throw new UserError(
        `"${all}" in "${word}" names no parameter or loop variable; ${have}`,
        place,
      );
    });
  });
  return { number: line.number, words, columns: line.columns, hasVariable: false };
}

/**
 * A value as one word: in quotes where it would not read back as itself without. A value that
 * holds both a quote and something that needs quotes cannot be written.
 */
export const quoteValue = (value: string): string =>
  value === '' || value === '->' || /^[#"]|[\s$;]/.test(value) ? `"${value}"` : value;
