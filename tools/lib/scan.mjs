// A small scanner of JavaScript and TypeScript text, for the programs in tools/: it tells code from
// comments and strings, and finds imports and function bodies. It is not a parser.
// Holds    `code` has the length and the line breaks of the text; only the insides of comments,
//          strings and regular expressions are blanked, so an offset means the same in both.
// Omits    JSX, decorators, and a regular expression that opens a statement after `}`.

/**
 * @typedef {{ start: number, end: number, text: string }} Piece  a stretch of text, end exclusive
 * @typedef {{ text: string, code: string, strings: Piece[], comments: Piece[] }} Scanned
 * @typedef {{ specifier: string, typeOnly: boolean, start: number }} Import
 * @typedef {{ name: string, start: number, end: number }} Body  from its head to its closing brace
 */

const REGEX_AFTER_WORD =
  /\b(?:return|typeof|case|in|of|do|else|void|delete|throw|new|await|yield)$/;
const REGEX_AFTER_CHAR = '(,=:[!&|?{;+-*%<>~^';

/** True when a slash at the end of `before` opens a regular expression, not a division. */
function opensRegex(before) {
  const head = before.trimEnd();
  if (head === '') return true;
  return REGEX_AFTER_CHAR.includes(head.at(-1)) || REGEX_AFTER_WORD.test(head.slice(-12));
}

/** Offset just after the quoted string that opens at `start`; a line break ends a broken one. */
function endOfQuoted(text, start) {
  let i = start + 1;
  while (i < text.length && text[i] !== text[start] && text[i] !== '\n')
    i += text[i] === '\\' ? 2 : 1;
  return Math.min(i + 1, text.length);
}

/** Offset just after the regular expression (without its flags) that opens at `start`. */
function endOfRegex(text, start) {
  let inClass = false;
  for (let i = start + 1; i < text.length && text[i] !== '\n'; i += 1) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === '[') inClass = true;
    else if (text[i] === ']') inClass = false;
    else if (text[i] === '/' && !inClass) return i + 1;
  }
  return start + 1;
}

/** Offset of what ends a stretch of template text: its back-quote or the `$` of `${`. */
function endOfTemplateText(text, start) {
  let i = start;
  while (i < text.length && text[i] !== '`' && !(text[i] === '$' && text[i + 1] === '{')) {
    i += text[i] === '\\' ? 2 : 1;
  }
  return Math.min(i, text.length);
}

const blank = (text) => text.replace(/[^\n]/g, ' ');

/** The state of one pass over a text; `scan` drives it. */
class Scanner {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.code = '';
    this.strings = [];
    this.comments = [];
    /** Brace depth at which each open `${` closes again, innermost last. */
    this.templates = [];
    this.depth = 0;
  }

  /** Copies up to `end` into the code as it is. */
  keep(end) {
    this.code += this.text.slice(this.at, end);
    this.at = end;
  }

  /** Blanks up to `end`, remembering it in `list` unless that is null. */
  hide(end, list) {
    const text = this.text.slice(this.at, end);
    list?.push({ start: this.at, end, text });
    this.code += blank(text);
    this.at = end;
  }

  comment() {
    const isLine = this.text[this.at + 1] === '/';
    const close = this.text.indexOf(isLine ? '\n' : '*/', this.at + 2);
    const end = close < 0 ? this.text.length : close + (isLine ? 0 : 2);
    this.hide(end, this.comments);
  }

  quoted() {
    const end = endOfQuoted(this.text, this.at);
    this.keep(this.at + 1);
    this.hide(Math.max(this.at, end - 1), this.strings);
    this.keep(end);
  }

  regex() {
    const end = endOfRegex(this.text, this.at);
    this.keep(this.at + 1);
    this.hide(Math.max(this.at, end - 1), null);
    this.keep(end);
  }

  /** Template text, from just after a back-quote or the brace that closed a `${...}`. */
  templateText() {
    this.hide(endOfTemplateText(this.text, this.at), this.strings);
    if (this.text[this.at] === '$') {
      this.keep(this.at + 2);
      this.templates.push(this.depth);
      this.depth += 1;
    } else this.keep(this.at + 1);
  }

  closeBrace() {
    this.depth -= 1;
    this.keep(this.at + 1);
    if (this.templates.at(-1) !== this.depth) return;
    this.templates.pop();
    this.templateText();
  }

  step() {
    const c = this.text[this.at];
    const next = this.text[this.at + 1];
    if (c === '/' && (next === '/' || next === '*')) this.comment();
    else if (c === '/' && opensRegex(this.code.slice(-200))) this.regex();
    else if (c === "'" || c === '"') this.quoted();
    else if (c === '`') {
      this.keep(this.at + 1);
      this.templateText();
    } else if (c === '}') this.closeBrace();
    else {
      if (c === '{') this.depth += 1;
      this.keep(this.at + 1);
    }
  }
}

/** @returns {Scanned} */
export function scan(text) {
  const scanner = new Scanner(text);
  while (scanner.at < text.length) scanner.step();
  const { code, strings, comments } = scanner;
  return { text, code, strings, comments };
}

/** Line number, counted from 1, of an offset. */
export function lineAt(text, offset) {
  let line = 1;
  for (let i = text.indexOf('\n'); i >= 0 && i < offset; i = text.indexOf('\n', i + 1)) line += 1;
  return line;
}

/** True when every name in `{ type A, type B }` is a type. */
function allTypes(clause) {
  const names = /^\{(.*)\}$/s.exec(clause.trim())?.[1]?.split(',') ?? [];
  const named = names.map((name) => name.trim()).filter((name) => name !== '');
  return named.length > 0 && named.every((name) => /^type\s/.test(name));
}

const STATIC_IMPORT = /\b(?:import|export)\s+(type\s+)?([\w*{}\s,$]*?)\s*\bfrom\s*['"]/g;
const SIDE_IMPORT = /\bimport\s*\(?\s*['"]/g;
const URL_REFERENCE = /\bnew\s+URL\s*\(\s*['"]/g;

/** Imports and re-exports, static and dynamic. @returns {Import[]} */
export function importsOf({ text, code, strings }) {
  const byStart = new Map(strings.map((piece) => [piece.start, piece.text]));
  const found = [];
  const add = (match, typeOnly) => {
    const specifier = byStart.get(match.index + match[0].length);
    if (specifier !== undefined) found.push({ specifier, typeOnly, start: match.index });
  };
  for (const m of code.matchAll(STATIC_IMPORT)) add(m, m[1] !== undefined || allTypes(m[2]));
  for (const m of code.matchAll(SIDE_IMPORT)) add(m, /\btypeof\s*$/.test(text.slice(0, m.index)));
  return found.sort((a, b) => a.start - b.start);
}

/** Files named by `new URL('./x.ts', import.meta.url)`: workers and data. @returns {string[]} */
export function urlReferencesOf({ code, strings }) {
  const byStart = new Map(strings.map((piece) => [piece.start, piece.text]));
  return [...code.matchAll(URL_REFERENCE)]
    .map((m) => byStart.get(m.index + m[0].length))
    .filter((specifier) => specifier !== undefined);
}

const CLOSER = { '(': ')', '{': '}', '[': ']', '<': '>' };

/** Offset of the bracket that closes the one at `start`, or -1. Knows that `=>` closes nothing. */
function closing(code, start) {
  const open = code[start];
  const close = CLOSER[open];
  let depth = 0;
  for (let i = start; i < code.length; i += 1) {
    if (code[i] === open) depth += 1;
    else if (code[i] === close && !(close === '>' && code[i - 1] === '=')) {
      depth -= 1;
      if (depth === 0) return i;
    }
  }
  return -1;
}

const skipSpace = (code, i) => i + /^\s*/.exec(code.slice(i, i + 400))[0].length;

/** Offset after the operand of a type at `start` (a name, a literal, a bracket), or -1. */
function afterTypeOperand(code, start) {
  const modifiers = /^(?:(?:asserts|readonly|keyof|typeof|unique)\s+)*/;
  const i = start + modifiers.exec(code.slice(start, start + 400))[0].length;
  if (/[({[]/.test(code[i])) return closing(code, i) + 1 || -1;
  const word = /^(?:[\w$.]+|['"`][^'"`]*['"`]|-\d+)/.exec(code.slice(i, i + 400));
  if (word === null) return -1;
  const end = i + word[0].length;
  return code[end] === '<' ? closing(code, end) + 1 || -1 : end;
}

/** Offset of the `{` of a body after the `)` of a parameter list, past a return type; or -1. */
function bodyAfterParameters(code, afterParen) {
  let i = skipSpace(code, afterParen);
  if (code[i] === '{') return i;
  if (code[i] !== ':') return -1;
  i = skipSpace(code, i + 1);
  if (code[i] === '|') i = skipSpace(code, i + 1);
  i = afterTypeOperand(code, i);
  while (i > 0) {
    i = skipSpace(code, i);
    if (code[i] === '{') return i;
    if (code[i] === '[') {
      i = closing(code, i) + 1;
      continue;
    }
    const glue = /^(?:[|&]|=>|is\b|extends\b)/.exec(code.slice(i, i + 20));
    if (glue === null) return -1;
    i = afterTypeOperand(code, skipSpace(code, i + glue[0].length));
  }
  return -1;
}

const NOT_A_NAME = new Set(['if', 'for', 'while', 'switch', 'catch', 'with', 'return', 'await']);
const HEAD = /(?:\bfunction\b\s*\*?\s*)?([\w$#]*)\s*(?:<[^(){};]*>)?\(/g;

/** Functions and methods with a brace body, and arrow functions with one. @returns {Body[]} */
export function bodiesOf({ code }) {
  const bodies = [];
  const add = (name, start, open) => {
    const close = closing(code, open);
    if (close >= 0) bodies.push({ name, start, end: close });
  };
  for (const m of code.matchAll(HEAD)) {
    const isFunction = m[0].startsWith('function');
    if (!isFunction && (m[1] === '' || NOT_A_NAME.has(m[1]))) continue;
    const paren = closing(code, m.index + m[0].length - 1);
    const open = paren < 0 ? -1 : bodyAfterParameters(code, paren + 1);
    if (open >= 0) add(m[1] || 'a function', m.index, open);
  }
  for (const m of code.matchAll(/=>\s*\{/g)) {
    const before = code.slice(Math.max(0, m.index - 400), m.index);
    const name = /\b(?:const|let)\s+([\w$]+)[^;]*$/.exec(before)?.[1] ?? 'an arrow function';
    add(name, m.index, m.index + m[0].length - 1);
  }
  return bodies;
}
