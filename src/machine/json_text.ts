// Reads JSON and remembers where each value stands, so that every mistake has a line and a column.
// Models   RFC 8259; a name that is given twice in one object is a mistake here.
import { type Place, UserError } from '../base/assert.ts';

/** Names and indices from the outermost value inward. */
export type JsonPath = readonly (string | number)[];

export interface JsonText {
  readonly value: unknown;
  /** Where the value at `path` starts; the closest enclosing value when there is none. */
  placeOf(path: JsonPath): Place;
}

const MAX_DEPTH = 64;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORDS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

const keyOf = (path: JsonPath): string => path.join('\u0000');

/** `nodes[2].ranges[0].start`; `the file` for the outermost value. */
export function formatPath(path: JsonPath): string {
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('');
  return text === '' ? 'the file' : text.replace(/^\./, '');
}

/** Line and column, from 1, of a character of a text. */
function lineAndColumn(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before[before.length - 1] as string).length + 1 };
}

class JsonReader {
  readonly #text: string;
  readonly #file: string;
  readonly #starts = new Map<string, number>();
  #at = 0;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  /** The whole text as one value. */
  read(): unknown {
    const value = this.#value([]);
    this.#skipBlanks();
    if (this.#at < this.#text.length) this.#fail(`expected the end, found ${this.#found()}`);
    return value;
  }

  placeOf(path: JsonPath): Place {
    for (let n = path.length; n > 0; n--) {
      const offset = this.#starts.get(keyOf(path.slice(0, n)));
      if (offset !== undefined) return this.#place(offset);
    }
    return this.#place(this.#starts.get('') ?? 0);
  }

  #place(offset: number): Place {
    return { file: this.#file, ...lineAndColumn(this.#text, offset) };
  }

  #fail(message: string, offset = this.#at): never {
    throw new UserError(`not valid JSON: ${message}`, this.#place(offset));
  }

  #found(): string {
    const c = this.#text[this.#at];
    if (c === undefined) return 'the end of the text';
    return c === '\n' ? 'the end of the line' : `\`${c}\``;
  }

  #skipBlanks(): void {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? '')) this.#at++;
    if (this.#text.startsWith('//', this.#at) || this.#text.startsWith('/*', this.#at)) {
      this.#fail('JSON has no comments; use the field `note`');
    }
  }

  #value(path: JsonPath): unknown {
    if (path.length > MAX_DEPTH) this.#fail(`more than ${MAX_DEPTH} levels of brackets`);
    this.#skipBlanks();
    this.#starts.set(keyOf(path), this.#at);
    const c = this.#text[this.#at];
    if (c === '{') return this.#object(path);
    if (c === '[') return this.#array(path);
    if (c === '"') return this.#string();
    NUMBER.lastIndex = this.#at;
    const number = NUMBER.exec(this.#text);
    if (number !== null) {
      this.#at += number[0].length;
      return Number(number[0]);
    }
    const word = /^[A-Za-z]+/.exec(this.#text.slice(this.#at, this.#at + 8))?.[0] ?? '';
    if (!WORDS.has(word)) this.#fail(`expected a value, found ${this.#found()}`);
    this.#at += word.length;
    return WORDS.get(word);
  }

  #string(): string {
    const start = this.#at;
    for (this.#at++; this.#text[this.#at] !== '"'; this.#at++) {
      const c = this.#text[this.#at];
      if (c === undefined || c === '\n') this.#fail('a text without its closing `"`', start);
      if (c === '\\') this.#at++;
    }
    this.#at++;
    try {
      return JSON.parse(this.#text.slice(start, this.#at)) as string;
    } catch {
      return this.#fail('a text with a bad escape or a control character', start);
    }
  }

  /** After an element: true when another follows, false at the closing bracket. */
  #more(close: string): boolean {
    this.#skipBlanks();
    const c = this.#text[this.#at];
    if (c !== ',' && c !== close)
      this.#fail(`expected \`,\` or \`${close}\`, found ${this.#found()}`);
    const comma = this.#at++;
    if (c === close) return false;
    this.#skipBlanks();
    if (this.#text[this.#at] === close)
      this.#fail(`a comma before the closing \`${close}\``, comma);
    return true;
  }

  #opens(close: string): boolean {
    this.#at++;
    this.#skipBlanks();
    if (this.#text[this.#at] !== close) return true;
    this.#at++;
    return false;
  }

  #array(path: JsonPath): unknown[] {
    const list: unknown[] = [];
    if (!this.#opens(']')) return list;
    do list.push(this.#value([...path, list.length]));
    while (this.#more(']'));
    return list;
  }

  #object(path: JsonPath): unknown {
    const fields = new Map<string, unknown>();
    if (!this.#opens('}')) return {};
    do {
      this.#skipBlanks();
      const start = this.#at;
      if (this.#text[start] !== '"') this.#fail(`expected a name in \`"\`, found ${this.#found()}`);
      const name = this.#string();
      if (fields.has(name)) this.#fail(`\`${name}\` is given twice`, start);
      this.#skipBlanks();
      if (this.#text[this.#at] !== ':') this.#fail(`expected \`:\`, found ${this.#found()}`);
      this.#at++;
      fields.set(name, this.#value([...path, name]));
    } while (this.#more('}'));
    return Object.fromEntries(fields);
  }
}

/** Reads a JSON text. Throws UserError with line and column when it is not valid. */
export function parseJsonText(text: string, file: string): JsonText {
  const reader = new JsonReader(text.replace(/^\uFEFF/, ''), file);
  const value = reader.read();
  return { value, placeOf: (path) => reader.placeOf(path) };
}
