// Takes the arguments of one line, word by word, and says exactly which word is wrong.
import { UserError } from '../base/assert.ts';
import { MAX_NUMNODES } from '../base/ids.ts';
import { didYouMean } from '../base/suggest.ts';
import type { SourceLine } from './lexer.ts';
import type { ModeArg, NodesArg } from './ops.ts';
import { evaluate, type Unit } from './quantity.ts';
import { MODE_FLAGS, MODES, nameFault } from './words.ts';

const NODE_WORDS: readonly string[] = ['none', 'empty', 'badptr'];

interface Option {
  readonly key: string;
  readonly text: string;
  /** Index of its word. */
  readonly at: number;
}

/** What stood at the end of a line: bare words as written, and options. */
export interface Trailing {
  readonly words: readonly string[];
  readonly options: readonly Option[];
}

const NOTHING_TRAILS: Trailing = { words: [], options: [] };

export class Reader {
  readonly file: string;
  readonly line: SourceLine;
  /** Index of the next word. */
  at: number;
  /** One past the last word of this part of the line. */
  readonly end: number;
  /** Shown when a word is missing or one too many: `T touch R [OFF PAGES]`. */
  usage = '';

  /** Reads words `at` up to and without `end`. */
  constructor(file: string, line: SourceLine, at: number, end: number) {
    this.file = file;
    this.line = line;
    this.at = at;
    this.end = end;
  }

  /** Stops with a message about the word of index `i`, or about the end of the line. */
  fail(message: string, i: number = this.at): never {
    const { words, columns, number } = this.line;
    const last = words.length - 1;
    const past = (columns[last] as number) + (words[last] as string).length;
    throw new UserError(message, {
      file: this.file,
      line: number,
      column: i <= last ? columns[i] : past,
    });
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  /** The word `ahead` of the next one, which stays; undefined past the end. */
  peek(ahead = 0): string | undefined {
    const i = this.at + ahead;
    return i < this.end ? this.line.words[i] : undefined;
  }

  /** The next word; `what` names it when it is missing. */
  word(what: string): string {
    if (this.at >= this.end) this.fail(`${what} is missing; usage: ${this.usage}`);
    return this.line.words[this.at++] as string;
  }

  /** Stops when words are left over. */
  finish(): void {
    if (this.at < this.end) {
      this.fail(`"${this.peek()}" is one word too many; usage: ${this.usage}`);
    }
  }

  /** Evaluates `text`, a part of the word of index `i`. */
  evaluate(text: string, what: string, unit: Unit, i: number): number {
    const value = evaluate(text, unit);
    if (typeof value === 'number') return value;
    return this.fail(`"${text}" ${value.wrong}; expected ${what.replace(/,$/, '')}`, i);
  }

  /** A number 0..2^53-1. */
  number(what: string, unit: Unit = 'count'): number {
    return this.evaluate(this.word(what), what, unit, this.at - 1);
  }

  #signed(text: string, what: string, i: number): number {
    if (!text.startsWith('-')) return this.evaluate(text, what, 'count', i);
    return -this.evaluate(text.slice(1), what, 'count', i);
  }

  /** A number that may be negative, as a node in calls that take any. */
  signed(what: string): number {
    return this.#signed(this.word(what), what, this.at - 1);
  }

  /** Numbers that may be negative: `0,2`, `-1`, `0-2`. */
  signedList(what: string): readonly number[] {
    const list: number[] = [];
    const word = this.word(what);
    for (const part of word.split(',')) {
      const dash = part.indexOf('-', 1);
      if (dash < 0) list.push(this.#signed(part, what, this.at - 1));
      else this.#pushRange(list, part, dash, what);
    }
    return list;
  }

  #pushRange(list: number[], part: string, dash: number, what: string): void {
    const i = this.at - 1;
    const low = this.evaluate(part.slice(0, dash), what, 'count', i);
    const high = this.evaluate(part.slice(dash + 1), what, 'count', i);
    if (low > high) this.fail(`"${part}" runs backwards; expected ${high}-${low}`, i);
    if (high >= MAX_NUMNODES)
      this.fail(`"${part}" goes past the last node, ${MAX_NUMNODES - 1}`, i);
    for (let n = low; n <= high; n++) list.push(n);
  }

  /** Nodes of a mask: a list such as `0,2` or `0-2`, `none`, `empty` or `badptr`. */
  nodes(what: string): NodesArg {
    const word = this.word(what);
    if (word === 'none' || word === 'empty' || word === 'badptr') return word;
    const first = word.charCodeAt(0);
    if (first < 48 || first > 57) {
      const hint = didYouMean(word, NODE_WORDS);
      this.fail(
        `"${word}" is no list of nodes; expected 0,2 or 0-2, none, empty or badptr${hint}`,
        this.at - 1,
      );
    }
    this.at--;
    const list = this.signedList(what);
    for (const n of list) {
      if (n >= MAX_NUMNODES) {
        this.fail(`node ${n} is past the last node, ${MAX_NUMNODES - 1}`, this.at - 1);
      }
    }
    return list;
  }

  /** A mode with its flags: `bind+static`, `99`, `bind+0x1000`. */
  mode(): ModeArg {
    const i = this.at;
    const [mode = '', ...flags] = this.word('MODE').split('+');
    if (!MODES.includes(mode) && !/^(?:-?\d+|0x[0-9a-fA-F]+)$/.test(mode)) {
      const expected = `${MODES.join(', ')} or a number`;
      this.fail(`"${mode}" is no policy mode; expected ${expected}${didYouMean(mode, MODES)}`, i);
    }
    for (const flag of flags) {
      if (MODE_FLAGS.includes(flag) || /^(?:\d+|0x[0-9a-fA-F]+)$/.test(flag)) continue;
      const expected = `${MODE_FLAGS.join(', ')} or a number`;
      this.fail(
        `"${flag}" is no mode flag; expected ${expected}${didYouMean(flag, MODE_FLAGS)}`,
        i,
      );
    }
    return { mode, flags };
  }

  /** A name of a task (T) or region (R). */
  name(what: string, letter: 'T' | 'R'): string {
    const word = this.word(what);
    const fault = nameFault(word, letter);
    if (fault !== undefined) this.fail(fault, this.at - 1);
    return word;
  }

  /** One of a fixed list of words. */
  oneOf<T extends string>(what: string, list: readonly T[]): T {
    const word = this.word(what);
    const found = list.find((x) => x === word);
    if (found !== undefined) return found;
    const expected = `expected ${list.join(', ')}${didYouMean(word, list)}`;
    return this.fail(`"${word}" is no ${what}; ${expected}`, this.at - 1);
  }

  /** An absolute path. */
  path(what = 'PATH'): string {
    const word = this.word(what);
    if (!word.startsWith('/')) {
      this.fail(`"${word}" is no path; expected one that starts with /`, this.at - 1);
    }
    return word;
  }

  /** A value: any word, or a text in quotes; `""` is the empty value. */
  value(what = 'VALUE'): string {
    const word = this.word(what);
    return word.startsWith('"') ? word.slice(1, -1) : word;
  }

  /**
   * Takes the rest of the line: bare words and `NAME=...` options in any order, each at most once.
   * `bare` and `keyed` are the ones this verb knows.
   */
  trailing(bare: readonly string[], keyed: readonly string[]): Trailing {
    if (this.done) return NOTHING_TRAILS;
    const words: string[] = [];
    const options: Option[] = [];
    for (; !this.done; this.at++) {
      const word = this.peek() as string;
      const equals = word.indexOf('=');
      const key = equals < 0 ? word : word.slice(0, equals);
      const known = equals < 0 ? bare : keyed;
      if (!known.includes(key)) this.#failTrailing(word, [...bare, ...keyed.map((k) => `${k}=`)]);
      if (equals < 0 ? words.includes(key) : options.some((o) => o.key === key)) {
        this.fail(`"${word}" comes a second time`);
      }
      if (equals < 0) words.push(key);
      else options.push({ key, text: word.slice(equals + 1), at: this.at });
    }
    return { words, options };
  }

  #failTrailing(word: string, known: readonly string[]): never {
    if (known.length === 0) this.finish();
    const expected = `expected ${known.join(', ')} or the end of the line`;
    return this.fail(`"${word}" does not belong here; ${expected}${didYouMean(word, known)}`);
  }

  /** The number that an option of `trailing` holds, or undefined when it is not there. */
  numberOption(trailing: Trailing, key: string, unit: Unit = 'count'): number | undefined {
    const option = trailing.options.find((o) => o.key === key);
    if (option === undefined) return undefined;
    return this.evaluate(option.text, `${key}=NUMBER`, unit, option.at);
  }

  /** The same for a number that cannot be 0. */
  positiveOption(trailing: Trailing, key: string, unit: Unit = 'count'): number | undefined {
    const number = this.numberOption(trailing, key, unit);
    const option = trailing.options.find((o) => o.key === key);
    if (number === 0) this.fail(`${key}=0: expected at least 1`, option?.at ?? this.end - 1);
    return number;
  }

  /** The tasks that an option of `trailing` names, `none` for none, or undefined without it. */
  tasksOption(trailing: Trailing, key: string): readonly string[] | undefined {
    const option = trailing.options.find((o) => o.key === key);
    if (option === undefined) return undefined;
    if (option.text === 'none') return [];
    const names = option.text.split(',');
    for (const name of names) {
      const fault = nameFault(name, 'T');
      if (fault !== undefined) this.fail(fault, option.at);
    }
    return names;
  }

  /** The task that an option of `trailing` names, or undefined when it is not there. */
  taskOption(trailing: Trailing, key: string): string | undefined {
    const option = trailing.options.find((o) => o.key === key);
    if (option === undefined) return undefined;
    const fault = nameFault(option.text, 'T');
    if (fault !== undefined) this.fail(fault, option.at);
    return option.text;
  }
}
