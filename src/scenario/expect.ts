// Expectations: what stands after `->` on a line, read and printed.
// Holds    One Expectation per design; `[a,b] X` is two of them, one after the other.

import { didYouMean } from '../base/suggest.ts';
import { regionOf, verbOf } from './acts.ts';
import { quoteValue, type SourceLine } from './lexer.ts';
import type { Act, Expectation } from './ops.ts';
import type { PageSizes } from './parse_act.ts';
import { Reader } from './reader.ts';
import { COMMON_FIELDS, RESULT_FIELDS, RET_WORDS } from './words.ts';

/** Form of the id of a design. */
export const DESIGN_NAME = /^[a-z_][a-z0-9_-]*$/;

/** What an expectation says, whatever the design. */
export type Claim =
  | { readonly kind: 'ret'; readonly ret: string | number }
  | { readonly kind: 'nodes'; readonly counts: Readonly<Record<string, number>> }
  | { readonly kind: 'field'; readonly field: string; readonly value: string };

const USAGE = '-> [DESIGN,...] RESULT | nodes N:PAGES ... | FIELD VALUE, several separated by ;';

/** Fields that are lists: compared as their elements joined by commas, `none` when empty. */
const LIST_FIELDS: ReadonlySet<string> = new Set(['nodes', 'status', 'flags']);
/** Fields that count pages, so that a size may stand for them. */
const PAGE_FIELDS: ReadonlySet<string> = new Set([
  'touched',
  'read',
  'written',
  'zeroPages',
  'computed',
  'local',
  'remote',
  'moved',
  'cached',
  'evicted',
]);
/** Acts of a task after which it makes sense to ask where the range, or what it got, lies. */
const RANGE_VERBS: ReadonlySet<string> = new Set([
  'mmap',
  'touch',
  'read',
  'where',
  'work',
  'fill',
  'tables',
  'mbind',
  'move_pages',
  'madvise',
  'mlock',
  'device_compute',
  'alloc_pages',
  'sys cached',
]);

/** Words from `at` on with `;` as words of their own and later `->` read as `;`. */
function separate(line: SourceLine, at: number): SourceLine {
  const words: string[] = [];
  const columns: number[] = [];
  for (let i = at; i < line.words.length; i++) {
    const word = line.words[i] as string;
    const column = line.columns[i] as number;
    const ends = word.length > 1 && word.endsWith(';') && !word.startsWith('"');
    words.push(word === '->' ? ';' : ends ? word.slice(0, -1) : word);
    columns.push(column);
    if (!ends) continue;
    words.push(';');
    columns.push(column + word.length - 1);
  }
  return { number: line.number, words, columns, hasVariable: false };
}

/** `[a,b]`, with or without spaces after the commas; one undefined element when there is none. */
function readDesigns(r: Reader): readonly (string | undefined)[] {
  if (!r.peek()?.startsWith('[')) return [undefined];
  const start = r.at;
  let text = '';
  while (!text.endsWith(']')) {
    if (r.done) r.fail('this bracket is not closed; expected ] after the designs', start);
    text += r.word('DESIGN');
  }
  const designs = text.slice(1, -1).split(',');
  for (const design of designs) {
    if (DESIGN_NAME.test(design)) continue;
    r.fail(
      `"${design}" is no name of a design; expected such as [zonelist] or [stock,zonelist]`,
      start,
    );
  }
  return designs;
}

function readCounts(r: Reader, pageBytes: number): Claim {
  const counts: Record<string, number> = {};
  if (r.peek() === 'none') {
    r.at++;
    return { kind: 'nodes', counts };
  }
  const unit = { pageBytes };
  do {
    const word = r.word('N:PAGES');
    const i = r.at - 1;
    const colon = word.indexOf(':');
    const left = word.slice(0, Math.max(colon, 0));
    if (colon < 1) r.fail(`"${word}" is no count of pages; expected N:PAGES, such as 0:32`, i);
    const isErrno = RET_WORDS.includes(left);
    const key = isErrno ? left : String(r.evaluate(left, 'a node', 'count', i));
    if (Object.hasOwn(counts, key)) r.fail(`node ${key} comes a second time`, i);
    counts[key] = r.evaluate(word.slice(colon + 1), 'a number of pages', unit, i);
  } while (!r.done && r.peek() !== ';');
  return { kind: 'nodes', counts };
}

function readFieldValue(r: Reader, field: string, pageBytes: number): string {
  const i = r.at;
  const what = `the value of ${field}`;
  if (PAGE_FIELDS.has(field)) return String(r.number(what, { pageBytes }));
  const value = r.value(what);
  if (!LIST_FIELDS.has(field)) return value;
  if (value === 'none') return '';
  if (field === 'flags') return value.split('+').join(',');
  r.at = i;
  return r.signedList(what).join(',');
}

function readClaim(r: Reader, act: Act, pages: PageSizes): Claim {
  const verb = verbOf(act);
  const region = regionOf(act);
  const pageBytes = region === undefined ? pages.base : pages.of(region);
  const word = r.word('what must come out');
  const i = r.at - 1;
  const fields = [...(RESULT_FIELDS[verb] ?? []), ...COMMON_FIELDS];
  if (word === 'nodes' && RANGE_VERBS.has(verb)) return readCounts(r, pageBytes);
  if (RET_WORDS.includes(word)) return { kind: 'ret', ret: word };
  if (/^[0-9]/.test(word)) {
    return { kind: 'ret', ret: r.evaluate(word, 'a result', { pageBytes }, i) };
  }
  if (fields.includes(word)) {
    return { kind: 'field', field: word, value: readFieldValue(r, word, pageBytes) };
  }
  const expected = `expected a number, an errno, KILLED, LIVELOCK, ${fields.join(', ')}`;
  const nodes = RANGE_VERBS.has(verb) ? ['nodes'] : [];
  const more = nodes.length > 0 ? ', or nodes N:PAGES ...' : '';
  const hint = didYouMean(word, [...RET_WORDS, ...fields, ...nodes]);
  return r.fail(`"${word}" is no result of ${verb}; ${expected}${more}${hint}`, i);
}

/** Reads all that stands after the first `->`, which is the word before `at`. */
export function parseExpectations(
  file: string,
  line: SourceLine,
  at: number,
  act: Act,
  pages: PageSizes,
): Expectation[] {
  if (at >= line.words.length) {
    new Reader(file, line, at, at).fail(`nothing stands after ->; usage: ${USAGE}`);
  }
  const separated = separate(line, at);
  const r = new Reader(file, separated, 0, separated.words.length);
  r.usage = USAGE;
  const list: Expectation[] = [];
  while (!r.done) {
    const designs = readDesigns(r);
    const claim = readClaim(r, act, pages);
    for (const design of designs) list.push(design === undefined ? claim : { design, ...claim });
    if (r.done) break;
    if (r.word(';') !== ';') {
      r.at--;
      r.fail(`"${r.peek()}" is one word too many; expected ; or the end of the line`);
    }
  }
  return list;
}

function printClaim(claim: Claim): string {
  switch (claim.kind) {
    case 'ret':
      return String(claim.ret);
    case 'nodes': {
      const counts = Object.entries(claim.counts).map(([key, n]) => `${key}:${n}`);
      return `nodes ${counts.length === 0 ? 'none' : counts.join(' ')}`;
    }
    case 'field': {
      if (!LIST_FIELDS.has(claim.field)) return `${claim.field} ${quoteValue(claim.value)}`;
      return `${claim.field} ${claim.value === '' ? 'none' : claim.value}`;
    }
  }
}

/** Expectations as they stand after `->`: equal ones of neighbouring designs share a bracket. */
export function printExpectations(list: readonly Expectation[]): string {
  const parts: { designs: string[]; claim: string }[] = [];
  for (const e of list) {
    const claim = printClaim(e);
    const last = parts.at(-1);
    const joins = e.design !== undefined && last !== undefined && last.designs.length > 0;
    if (joins && last.claim === claim) last.designs.push(e.design);
    else parts.push({ designs: e.design === undefined ? [] : [e.design], claim });
  }
  return parts
    .map(({ designs, claim }) => (designs.length === 0 ? claim : `[${designs.join(',')}] ${claim}`))
    .join('; ');
}
