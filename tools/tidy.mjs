// The house rules as a program: import direction, names that the core may not say, limits on files
// and functions, sources of chance and time, words left behind, dead files, and commands in the
// docs that cannot be typed. One line a finding.
// Usage    node tools/tidy.mjs [--root DIR]; exit 1 when there is one. Reasons: docs/STYLE.md.
// Omits    what tsc and biome check: types, formatting, unused names.
import { posix } from 'node:path';
import { bodiesOf, importsOf, lineAt, scan, urlReferencesOf } from './lib/scan.mjs';
import { filesUnder, report, rootFrom, textOf } from './lib/tree.mjs';

/**
 * Findings we live with, each with the reason. A debt that no longer hides anything is a finding.
 * @type {{ rule: string, file: string, reason: string }[]}
 */
const DEBTS = [
  {
    rule: 'direction',
    file: 'src/cli/verbs/compare.ts',
    reason: '`compare --report` draws the page; web stands beside cli, and only this verb needs it',
  },
];

// ---- The layers ----------------------------------------------------------------------------

const TO_OBSERVE = ['base', 'hooks', 'machine', 'mm', 'kernel', 'drivers', 'observe'];
const TO_LAB = [...TO_OBSERVE, 'checkers', 'scenario', 'guest', 'lab'];

/** What the files of each folder of src may import besides their own folder; lowest first. */
const MAY_IMPORT = {
  base: [],
  hooks: ['base'],
  machine: ['base'],
  designs: ['base', 'hooks'],
  mm: ['base', 'hooks', 'machine'],
  kernel: ['base', 'hooks', 'machine', 'mm'],
  drivers: ['base', 'hooks', 'machine', 'mm', 'kernel'],
  observe: ['base', 'hooks', 'machine', 'mm', 'kernel', 'drivers'],
  checkers: ['base', 'hooks', 'machine'],
  scenario: TO_OBSERVE,
  guest: ['base', 'machine', 'scenario'],
  lab: TO_LAB,
  cli: TO_LAB,
  web: TO_LAB,
};

/** Judges see the state's types and none of its code: else judge and judged would err alike. */
const MAY_IMPORT_TYPES = { checkers: ['mm', 'kernel'] };

/** The list of designs, and the folders that may read it; src/index.ts may too. */
const DESIGN_LIST = 'src/designs/index.ts';
const MAY_IMPORT_DESIGN_LIST = new Set(['lab', 'cli', 'web']);

/** The engine: what has to run anywhere, so it uses no package and nothing of Node's. */
const ENGINE = new Set(['base', 'hooks', 'machine', 'mm', 'kernel', 'drivers', 'designs']);
const ENGINE_EXEMPT = /^src\/machine\/(?:.*\/)?(?:schema|load|capture)/;

// ---- Names, bans and limits ----------------------------------------------------------------

const CORE = new Set(['mm', 'kernel', 'drivers']);

/** Design ids that are the kernel's own words: the core says them, but never beside `design`. */
const ORDINARY_WORDS = new Set(['stock', 'cpuset', 'driver', 'hmm', 'memory-tiers', 'zonelist']);

const DETERMINISTIC =
  /^src\/(?:base|hooks|machine\/presets|mm|kernel|drivers|designs|scenario)[/.]/;
const BANS = [
  { in: DETERMINISTIC, code: /\bDate\b/g, name: 'Date', instead: "the model's own clock" },
  { in: DETERMINISTIC, code: /\bperformance\b/g, name: 'performance', instead: 'lab/ or bench/' },
  { in: DETERMINISTIC, code: /\bprocess\.env\b/g, name: 'process.env', instead: 'an argument' },
  { in: /^src\//, code: /\bMath\.random\b/g, name: 'Math.random', instead: 'src/base/prng.ts' },
  {
    in: /^src\/(?:mm|kernel)\//,
    code: /\b(?:async|await)\b/g,
    name: 'async code',
    instead: 'a plain function: a run is one thread',
  },
];

const MAX_COLUMNS = 100;
const MAX_FILE_LINES = 500;
const MAX_FUNCTION_LINES = 70;

// Written in halves, so that this file does not hold what it looks for.
const LEFT_BEHIND = [
  { text: new RegExp(`\\b(?:${'TO'}DO|${'FIX'}ME|${'X'}XX)\\b`), what: 'a note to self' },
  { text: new RegExp(`(?<![\\w.~-])/${'work'}/`), what: 'a path of one machine' },
  {
    text: new RegExp(
      [
        '\\bregistry\\.[a-z0-9.-]+\\.(?:org|com|net|io|dev)\\b',
        `\\b(?:deb|security)\\.${'debian'}\\.org\\b`,
        `\\b(?:${'pypi'}\\.org|files\\.pythonhosted\\.org|${'crates'}\\.io)\\b`,
        `\\bproxy\\.${'golang'}\\.org\\b`,
      ].join('|'),
    ),
    what: 'the host of a package registry',
  },
];

// ---- Reading the tree ----------------------------------------------------------------------

const isTest = (file) => /\.(?:test|fuzz)\.ts$/.test(file);
const isCode = (file) => /\.(?:ts|mts|mjs|js)$/.test(file);
const isSource = (file) => file.startsWith('src/') && file.endsWith('.ts');
const folderOf = (file) => (file.split('/').length > 2 ? file.split('/')[1] : '');
const isPackage = (specifier) => !specifier.startsWith('.');

/** What an import names: a path from the root. */
const targetOf = (file, specifier) => posix.join(posix.dirname(file), specifier);

/** @typedef {{ file: string, text: string, scanned?: ReturnType<typeof scan> }} Read */

/** @returns {Read[]} */
function readTree(root) {
  const read = [];
  for (const file of filesUnder(root)) {
    const text = textOf(root, file);
    if (text !== undefined) read.push({ file, text, ...(isCode(file) && { scanned: scan(text) }) });
  }
  return read;
}

// ---- The rules: each takes what was read and yields findings --------------------------------

/** Why a file may not import another, or undefined when it may. */
function directionFault(file, target, typeOnly) {
  const from = folderOf(file);
  const to = folderOf(target);
  if (isTest(target)) return 'nobody imports a test';
  if (isTest(file)) return undefined;
  if (target === DESIGN_LIST && file !== target) {
    if (file === 'src/index.ts' || MAY_IMPORT_DESIGN_LIST.has(from)) return undefined;
    return `only ${[...MAY_IMPORT_DESIGN_LIST].join(', ')} and tests import the list of designs`;
  }
  if (to === 'designs' && file !== DESIGN_LIST) {
    return from === 'designs'
      ? 'designs never import each other: what they share belongs in hooks or base'
      : `a design is reached through ${DESIGN_LIST} only`;
  }
  if (from === to || file === 'src/index.ts') return undefined;
  if (MAY_IMPORT[from]?.includes(to)) return undefined;
  if (MAY_IMPORT_TYPES[from]?.includes(to)) {
    return typeOnly ? undefined : `${from} may import types from ${to} and no code (import type)`;
  }
  return `${from} may not import ${to || target}`;
}

/** Rule `direction`: imports between the folders of src run downward. */
function* direction(read) {
  for (const { file, text, scanned } of read.filter((r) => isSource(r.file))) {
    const from = folderOf(file);
    if (from === '' && file !== 'src/index.ts' && !isTest(file)) {
      yield { file, line: 1, message: 'only index.ts lies directly in src: which folder is this?' };
    }
    if (from !== '' && MAY_IMPORT[from] === undefined) {
      yield { file, line: 1, message: `folder ${from} has no layer: add it to tools/tidy.mjs` };
    }
    for (const { specifier, typeOnly, start } of importsOf(scanned)) {
      if (isPackage(specifier)) continue;
      const target = targetOf(file, specifier);
      const fault = isSource(target) ? directionFault(file, target, typeOnly) : undefined;
      if (fault !== undefined) {
        yield { file, line: lineAt(text, start), message: `imports ${specifier}: ${fault}` };
      }
    }
  }
}

/** Rule `package`: the engine imports no package. */
function* packages(read) {
  for (const { file, text, scanned } of read) {
    if (!isSource(file) || isTest(file) || ENGINE_EXEMPT.test(file)) continue;
    if (!ENGINE.has(folderOf(file))) continue;
    for (const { specifier, start } of importsOf(scanned).filter((i) => isPackage(i.specifier))) {
      const line = lineAt(text, start);
      yield {
        file,
        line,
        message: `imports ${specifier}: the engine runs anywhere, without packages`,
      };
    }
  }
}

/** An id as it may be written in code: `private-node`, `private_node`, `privateNode`, ... */
function spellingsOf(id) {
  const words = id.split('-');
  const camel = words
    .map((w, i) => (i === 0 ? w : w.slice(0, 1).toUpperCase() + w.slice(1)))
    .join('');
  const pascal = camel.slice(0, 1).toUpperCase() + camel.slice(1);
  return [id, words.join('_'), camel, pascal, words.join('_').toUpperCase()];
}

/** Ids of the designs, from the text `id: '...'` in the files of src/designs. */
function designIdsOf(read) {
  const ids = new Set();
  for (const { file, text } of read) {
    if (!isSource(file) || isTest(file) || folderOf(file) !== 'designs') continue;
    for (const m of text.matchAll(/^\s*id:\s*['"]([\w-]+)['"]/gm)) ids.add(m[1]);
  }
  return [...ids];
}

/** Rule `design-name`: the core is the same for every design, so it never says a design's name. */
function* designNames(read) {
  const patterns = designIdsOf(read).map((id) => ({
    id,
    said: ORDINARY_WORDS.has(id)
      ? new RegExp(`\\bdesign\\w*\\b.*['"\`]${id}['"\`]|['"\`]${id}['"\`].*\\bdesign`, 'i')
      : new RegExp(`(?<![\\w-])(?:${spellingsOf(id).join('|')})(?![\\w-])`),
  }));
  patterns.push({ id: 'a chosen one', said: /\bdesign(?:Id|\.id)\s*[!=]==?/ });
  for (const { file, text } of read) {
    if (!isSource(file) || !CORE.has(folderOf(file)) || isTest(file)) continue;
    for (const [i, line] of text.split('\n').entries()) {
      for (const { id } of patterns.filter(({ said }) => said.test(line))) {
        yield { file, line: i + 1, message: `the core names a design (${id}): ask a hook instead` };
      }
    }
  }
}

/** Rule `ban`: what would make two runs differ. */
function* bans(read) {
  for (const { file, text, scanned } of read) {
    if (!isSource(file)) continue;
    for (const ban of BANS.filter((b) => b.in.test(file))) {
      if (file.endsWith('.test.ts') && ban.name !== 'Math.random') continue;
      for (const m of scanned.code.matchAll(ban.code)) {
        const line = lineAt(text, m.index);
        yield { file, line, message: `${ban.name} makes runs differ here: use ${ban.instead}` };
      }
    }
  }
}

/** Rule `header`: a file opens with a comment that says what it is. */
function* headers(read) {
  for (const { file, text } of read.filter((r) => r.scanned !== undefined)) {
    const first = text.startsWith('#!') ? text.indexOf('\n') + 1 : 0;
    if (text.startsWith('//', first)) continue;
    yield { file, line: 1, message: 'opens without a `//` header: say what the file is' };
  }
}

/**
 * Texts that people read, and regular expressions, are left in one piece, so that a search finds
 * them; every line of src/web that builds a page is such a text.
 */
const holdsText = (line) => !/^\s*(\/\/|\*|\/\*)/.test(line) && /['"`]|=>? \/|[<>{}]{2}/.test(line);

/** Rule `size`: lines, files and functions a reader can hold in view. */
function* sizes(read) {
  for (const { file, text, scanned } of read.filter((r) => r.scanned !== undefined)) {
    const lines = text.replace(/\n$/, '').split('\n');
    for (const [i, line] of lines.entries()) {
      const columns = [...line].length;
      if (columns <= MAX_COLUMNS || holdsText(line)) continue;
      yield { file, line: i + 1, message: `${columns} columns, at most ${MAX_COLUMNS}` };
    }
    if (lines.length > MAX_FILE_LINES) {
      const message = `${lines.length} lines, at most ${MAX_FILE_LINES}: split the file`;
      yield { file, line: MAX_FILE_LINES + 1, message };
    }
    if (isTest(file)) continue;
    for (const { name, start, end } of bodiesOf(scanned)) {
      const line = lineAt(text, start);
      const nrLines = lineAt(text, end) - line + 1;
      if (nrLines <= MAX_FUNCTION_LINES) continue;
      yield { file, line, message: `${name} has ${nrLines} lines, at most ${MAX_FUNCTION_LINES}` };
    }
  }
}

/** Rule `left-behind`: words that say a thing is unfinished, or tied to one machine. */
function* leftBehind(read) {
  for (const { file, text } of read) {
    for (const [i, line] of text.split('\n').entries()) {
      for (const { text: pattern, what } of LEFT_BEHIND) {
        const word = pattern.exec(line)?.[0];
        if (word !== undefined) yield { file, line: i + 1, message: `${what}: ${word}` };
      }
    }
  }
}

/** Rule `dead`: a file of src that nothing imports does nothing. */
function* deadFiles(read) {
  const imported = new Set();
  for (const { file, scanned } of read.filter((r) => r.scanned !== undefined)) {
    const specifiers = [...importsOf(scanned).map((i) => i.specifier), ...urlReferencesOf(scanned)];
    for (const specifier of specifiers.filter((s) => !isPackage(s))) {
      const target = targetOf(file, specifier);
      if (target !== file) imported.add(target.replace(/\.js$/, '.ts')).add(target);
    }
  }
  const isEntry = (file) => file === 'src/index.ts' || file === 'src/cli/main.ts' || isTest(file);
  for (const { file } of read) {
    if (!isSource(file) || isEntry(file) || /\.bench\.ts$/.test(file) || imported.has(file))
      continue;
    yield { file, line: 1, message: 'nothing imports this file: use it or remove it' };
  }
}

/** Rule `doc-command`: a command that a page tells people to type can be typed. */
function* docCommands(read) {
  const files = new Set(read.map((r) => r.file));
  const scripts = JSON.parse(read.find((r) => r.file === 'package.json')?.text ?? '{}').scripts;
  for (const { file, text } of read.filter((r) => r.file.endsWith('.md'))) {
    for (const [i, line] of text.split('\n').entries()) {
      for (const [, script] of line.matchAll(/\bnpm run (?:--?[\w-]+ )*([\w:-]+)/g)) {
        if (scripts?.[script] !== undefined) continue;
        yield { file, line: i + 1, message: `npm run ${script}: package.json has no such script` };
      }
      for (const [, program] of line.matchAll(
        /\bnode (?:--?\S+ )*((?:tools|bin|bench)\/[\w./-]+)/g,
      )) {
        if (files.has(program)) continue;
        yield { file, line: i + 1, message: `node ${program}: there is no such file` };
      }
    }
  }
}

const RULES = {
  direction,
  package: packages,
  'design-name': designNames,
  ban: bans,
  header: headers,
  size: sizes,
  'left-behind': leftBehind,
  dead: deadFiles,
  'doc-command': docCommands,
};

/** Findings of all rules, without the debts, and with the debts that hide nothing. */
function tidy(root) {
  const read = readTree(root);
  const present = new Set(read.map((r) => r.file));
  const findings = [];
  const used = new Set();
  for (const [rule, find] of Object.entries(RULES)) {
    for (const finding of find(read)) {
      const debt = DEBTS.find((d) => d.rule === rule && d.file === finding.file);
      if (debt === undefined)
        findings.push({ ...finding, message: `[${rule}] ${finding.message}` });
      else used.add(debt);
    }
  }
  for (const debt of DEBTS.filter((d) => present.has(d.file) && !used.has(d))) {
    const message = `[debt] the debt of rule ${debt.rule} is paid: take it off the list in tidy`;
    findings.push({ file: debt.file, line: 1, message });
  }
  return findings;
}

report('tidy', tidy(rootFrom(process.argv.slice(2))));
