// Writes docs/KERNEL_MAP.md: which kernel function is modelled in which file, and the other way.
// It is made from the `// Models` part of the file headers, so the headers are the only truth.
// Usage    node tools/kernel_map.mjs [--check] [--root DIR]; --check writes nothing, 1 if stale.
// Holds    A header says `linux@vX.Y path.c: function, function; path.h: struct name. Free words.`
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { filesUnder, report, rootFrom, textOf } from './lib/tree.mjs';

const MAP = 'docs/KERNEL_MAP.md';
const FOLDERS = /^src\/(?:mm|kernel|drivers|hooks)\//;
const LABEL = /^([A-Z][a-z]+)\s{2,}(.*)$/;

/**
 * @typedef {{ path: string, name: string, remark: string }} Citation  `name` is '' for a whole file
 * @typedef {{ file: string, purpose: string, line: number, version: string,
 *   citations: Citation[], unread: string[], rules: string[] }} Header
 */

/** The opening comment by its labels; the text before the first label is `purpose`. */
function labelsOf(text) {
  const parts = { purpose: '' };
  const lineOf = {};
  let label = 'purpose';
  for (const [i, line] of text.split('\n').entries()) {
    if (!line.startsWith('//')) break;
    const words = line.slice(2).trim();
    const match = LABEL.exec(words);
    if (match !== null) {
      label = match[1];
      lineOf[label] = i + 1;
    }
    // Two labels may share a line ("Omits ... .   Hooks: ..."); the second one ends the first.
    const said = (match === null ? words : match[2]).split(/\s{3,}[A-Z][a-z]+:/)[0];
    parts[label] = `${parts[label] ?? ''} ${said}`.trim();
  }
  return { parts, lineOf };
}

/** Splits at commas that are not inside brackets. */
function splitOutside(text) {
  const pieces = [''];
  let depth = 0;
  for (const c of text) {
    if (c === '(') depth += 1;
    if (c === ')') depth -= 1;
    if (c === ',' && depth === 0) pieces.push('');
    else pieces[pieces.length - 1] += c;
  }
  const trimmed = pieces.map((piece) => piece.trim().replace(/^and\s+/, ''));
  // `f, as far as ...` is one item with a remark.
  return trimmed.reduce((items, piece) => {
    if (/^as\s/.test(piece) && items.length > 0) items[items.length - 1] += ` ${piece}`;
    else if (piece !== '') items.push(piece);
    return items;
  }, []);
}

const PATH = '[\\w-]+(?:/[\\w.-]+)*\\.(?:c|h|S|rst)';
const CLAUSE = new RegExp(`^(${PATH}(?:,\\s*${PATH})*)(?:\\s+([^:]*?))?(?::\\s*(.*))?$`, 's');

/**
 * Reads `path.c: f, struct g (its fields)` or `path.c as far as ...`; undefined when the clause
 * does not open with a kernel file.
 */
function citationsOf(clause) {
  const match = CLAUSE.exec(clause);
  if (match === null) return undefined;
  const paths = match[1].split(/,\s*/);
  // A bare name after a path lies in the folder of that path.
  const full = paths.map((path) => (path.includes('/') ? path : join(dirname(paths[0]), path)));
  const path = full.join(', ');
  const [, , ofPath = '', items] = match;
  if (items === undefined) return [{ path, name: '', remark: ofPath }];
  return splitOutside(items).map((item) => {
    const [, name, ofItem] = /^((?:(?:struct|enum|union)\s+)?[\w*]+(?:\(\))?)\s*(.*)$/s.exec(
      item,
    ) ?? ['', item, ''];
    return { path, name: name.replace('()', ''), remark: ofItem || ofPath };
  });
}

/** @returns {Header} */
function headerOf(file, text) {
  const { parts, lineOf } = labelsOf(text);
  const [, version = '', cited = ''] = /^(linux@v[\d.]+\d)\s+(.*)$/s.exec(parts.Models ?? '') ?? [];
  // A full stop ends the citations: what follows are words for the reader of the file.
  const sentence = cited.split(/\.\s+(?=[A-Z0-9])|\.$/)[0];
  const clauses = sentence === '' ? [] : sentence.split(/;\s*/).map((clause) => clause.trim());
  const citations = clauses.flatMap((clause) => citationsOf(clause) ?? []);
  // Words without a kernel file are a remark; but a file that is named must be read.
  const unread = clauses.filter(
    (clause) => citationsOf(clause) === undefined && /\w\.[ch]\b/.test(clause),
  );
  const rules = [...(parts.Holds ?? '').matchAll(/\b[A-Z]{2,5}\d+\b/g)].map((m) => m[0]);
  const purpose = parts.purpose.split(/(?<=\.)\s/)[0];
  return { file, purpose, line: lineOf.Models ?? 1, version, citations, unread, rules };
}

const code = (text) => `\`${text}\``;
const cell = (text) => text.replaceAll('|', '\\|');
const link = (file) => `[${file.slice('src/'.length)}](../${file})`;
const row = (...cells) => `| ${cells.map(cell).join(' | ')} |`;
const byText = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** @param {Header[]} headers */
function fromTheKernel(headers) {
  const byPath = new Map();
  for (const { file, citations } of headers) {
    for (const { path, name, remark } of citations) {
      const shown = name === '' ? 'the file as a whole' : code(name);
      const rows = byPath.get(path) ?? byPath.set(path, []).get(path);
      const line = row(shown, link(file), remark.replace(/^\((.*)\)$/s, '$1'));
      rows.push({ key: `${name} ${file}`, line });
    }
  }
  const lines = [];
  for (const path of [...byPath.keys()].sort(byText)) {
    lines.push(`### ${path}`, '', row('kernel', 'modelled in', 'remark'), '| --- | --- | --- |');
    const rows = byPath.get(path).sort((a, b) => byText(a.key, b.key));
    lines.push(...rows.map(({ line }) => line), '');
  }
  return lines;
}

/** @param {Header[]} headers */
function fromTheModel(headers) {
  const lines = [row('our file', 'what it is', 'models', 'holds'), '| --- | --- | --- | --- |'];
  for (const { file, purpose, citations, rules } of headers) {
    const names = citations.map(({ path, name }) => code(name === '' ? path : name));
    lines.push(row(link(file), purpose, names.join(', '), rules.join(' ')));
  }
  return lines;
}

/** @param {Header[]} headers */
function mapOf(headers) {
  const citing = headers.filter((header) => header.citations.length > 0);
  const others = headers.filter((header) => header.citations.length === 0);
  const versions = [...new Set(citing.map((header) => header.version))].sort(byText);
  const lines = [
    '# Kernel map',
    '',
    `Which kernel function is modelled where (${versions.join(', ')}). Made by`,
    '`npm run docs` from the `// Models` headers of the files: edit those, not this page.',
    '',
    '## From the kernel to the model',
    '',
    ...fromTheKernel(citing),
    '## From the model to the kernel',
    '',
    ...fromTheModel(citing),
  ];
  if (others.length > 0) {
    lines.push('', '## Files that stand for no one kernel function', '');
    for (const { file, purpose } of others) lines.push(`- ${link(file)}: ${purpose}`);
  }
  return `${lines.join('\n')}\n`;
}

function main(args) {
  const root = rootFrom(args);
  const headers = filesUnder(root)
    .filter(
      (file) => FOLDERS.test(file) && /\.ts$/.test(file) && !/\.(?:test|fuzz|bench)\./.test(file),
    )
    .map((file) => headerOf(file, textOf(root, file) ?? ''));
  const findings = headers.flatMap(({ file, line, unread }) =>
    unread.map((clause) => ({
      file,
      line,
      message: `not of the form "path.c: name, name": ${clause}`,
    })),
  );
  const map = mapOf(headers);
  const path = join(root, MAP);
  if (!args.includes('--check')) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, map);
  } else if (!existsSync(path) || readFileSync(path, 'utf8') !== map) {
    const message = 'does not say what the file headers say: run `npm run docs`';
    findings.push({ file: MAP, line: 1, message });
  }
  report('kernel_map', findings);
}

main(process.argv.slice(2));
