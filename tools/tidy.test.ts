// The house rules can fail: each test plants one violation in a tree of its own and sees it found,
// and a tree that obeys them all passes.
import { describe, expect, test } from 'vitest';
import { plant, runTool, type Tree } from './lib/testing.ts';

/** A small tree that obeys every rule; a test lays its own files over it. */
const CLEAN: Tree = {
  'src/index.ts': "// The door.\nexport { run } from './lab/run.ts';\n",
  'src/base/ids.ts': '// Ids.\nexport type Nid = number;\nexport const first = 0;\n',
  'src/hooks/design.ts':
    "// Hooks.\nimport type { Nid } from '../base/ids.ts';\nexport type Design = { id: Nid };\n",
  'src/mm/zone.ts':
    "// Zones.\nimport { first } from '../base/ids.ts';\n" +
    "import type { Design } from '../hooks/design.ts';\n" +
    'export const zoneOf = (d: Design): number => d.id + first;\n',
  'src/checkers/frames.ts':
    "// Judges.\nimport type { zoneOf } from '../mm/zone.ts';\nexport type Z = typeof zoneOf;\n",
  'src/designs/index.ts':
    "// The list.\nimport { quiet } from './quiet_zone.ts';\n" +
    "import { stock } from './stock.ts';\n" +
    'export const designs = [quiet, stock];\n',
  'src/designs/quiet_zone.ts': "// One.\nexport const quiet = {\n  id: 'quiet-zone',\n};\n",
  'src/designs/stock.ts': "// None.\nexport const stock = {\n  id: 'stock',\n};\n",
  'src/lab/run.ts':
    "// Runs.\nimport type { Z } from '../checkers/frames.ts';\n" +
    "import { designs } from '../designs/index.ts';\nimport { zoneOf } from '../mm/zone.ts';\n" +
    'export const run = (z: Z): unknown => [designs, zoneOf, z];\n',
};

/** Runs the program on the clean tree with `extra` laid over it. */
const tidy = (extra: Tree) => runTool('tidy.mjs', plant({ ...CLEAN, ...extra }));

/** Expects exactly one finding: at `place` (file or file:line), with `words` in its message. */
function expectOne(extra: Tree, place: string, words: string): void {
  const { status, lines } = tidy(extra);
  expect(lines).toHaveLength(1);
  expect(lines[0]?.slice(0, place.length + 1)).toBe(`${place}:`);
  expect(lines[0]).toContain(words);
  expect(status).toBe(1);
}

/** A text laid over a file of the clean tree, with one line added at its end. */
const withLine = (file: string, line: string): Tree => ({
  [file]: `${CLEAN[file] ?? '// New.\n'}${line}\n`,
});

const body = (nrLines: number): string => `${'  step();\n'.repeat(nrLines - 2)}`;

test('a tree that obeys the rules passes without a word', () => {
  expect(tidy({})).toEqual({ status: 0, lines: [] });
});

describe('imports run downward', () => {
  const upward: readonly [string, string, string][] = [
    ['src/base/ids.ts', '../mm/zone.ts', 'base may not import mm'],
    ['src/hooks/design.ts', '../mm/zone.ts', 'hooks may not import mm'],
    ['src/mm/zone.ts', '../lab/run.ts', 'mm may not import lab'],
    ['src/checkers/frames.ts', '../lab/run.ts', 'checkers may not import lab'],
    ['src/checkers/frames.ts', '../mm/zone.ts', 'no code'],
    ['src/designs/stock.ts', '../mm/zone.ts', 'designs may not import mm'],
    ['src/designs/stock.ts', './quiet_zone.ts', 'never import each other'],
    ['src/lab/run.ts', '../designs/stock.ts', 'through src/designs/index.ts only'],
    ['src/mm/zone.ts', '../designs/index.ts', 'import the list of designs'],
  ];
  test.each(upward)('%s does not import %s', (file, specifier, words) => {
    const line = (CLEAN[file] ?? '').split('\n').length;
    expectOne(withLine(file, `import { x } from '${specifier}';`), `${file}:${line}`, words);
  });

  test('a re-export, a dynamic import and an import over several lines count too', () => {
    const texts = [
      "export * from '../mm/zone.ts';",
      "export const later = () => import('../mm/zone.ts');",
      "import {\n  zoneOf,\n} from '../mm/zone.ts';",
    ];
    for (const text of texts)
      expectOne(withLine('src/base/ids.ts', text), 'src/base/ids.ts:4', 'may not');
  });

  test('an import in a comment or a string is none', () => {
    const text =
      "// import { x } from '../mm/zone.ts';\nexport const s = `import '../mm/zone.ts'`;";
    expect(tidy(withLine('src/base/ids.ts', text)).lines).toEqual([]);
  });

  test('a test may import upward, but nobody imports a test', () => {
    const upTest = {
      'src/mm/zone.test.ts': "// Tests.\nimport { run } from '../lab/run.ts';\nrun;\n",
    };
    expect(tidy(upTest).lines).toEqual([]);
    const importer = withLine('src/lab/run.ts', "import '../mm/zone.test.ts';");
    expectOne({ ...upTest, ...importer }, 'src/lab/run.ts:6', 'nobody imports a test');
  });

  test('a folder without a layer is found', () => {
    const extra = {
      'src/sim/a.ts': '// Simulates.\nexport const a = 1;\n',
      'src/base/ids.test.ts': "// Tests.\nimport '../sim/a.ts';\n",
    };
    expectOne(extra, 'src/sim/a.ts:1', 'folder sim has no layer');
  });

  test('the engine imports no package and nothing of Node', () => {
    expectOne(
      withLine('src/mm/zone.ts', "import { z } from 'zod';"),
      'src/mm/zone.ts:5',
      'imports zod',
    );
    expectOne(
      withLine('src/base/ids.ts', "import 'node:fs';"),
      'src/base/ids.ts:4',
      'imports node:fs',
    );
    expect(tidy(withLine('src/lab/run.ts', "import { z } from 'zod';")).lines).toEqual([]);
    const schema = withLine('src/machine/schema.ts', "import { z } from 'zod';");
    const user = withLine('src/lab/run.ts', "import '../machine/schema.ts';");
    expect(tidy({ ...schema, ...user }).lines).toEqual([]);
  });
});

describe('the core never says the name of a design', () => {
  test.each(['quiet-zone', 'quietZone', 'QuietZone', 'quiet_zone', 'QUIET_ZONE'])('%s', (name) => {
    const words = 'the core names a design (quiet-zone)';
    expectOne(withLine('src/mm/zone.ts', `// as ${name} wants`), 'src/mm/zone.ts:5', words);
  });

  test('an id that is also an ordinary word is found only beside the word design', () => {
    expect(tidy(withLine('src/mm/zone.ts', '// as on a stock kernel')).lines).toEqual([]);
    const compared = withLine(
      'src/mm/zone.ts',
      "export const f = (design: string) => design === 'stock';",
    );
    expectOne(compared, 'src/mm/zone.ts:5', '(stock)');
  });

  test('a branch on the id of the design is found', () => {
    const text = 'export const g = (d: any, id: string) => d.design.id === id;';
    expectOne(withLine('src/mm/zone.ts', text), 'src/mm/zone.ts:5', 'ask a hook');
  });
});

describe('nothing makes two runs differ', () => {
  const sources: readonly [string, string][] = [
    ['src/mm/zone.ts', 'Date.now()'],
    ['src/base/ids.ts', 'performance.now()'],
    ['src/hooks/design.ts', 'Math.random()'],
    ['src/lab/run.ts', 'Math.random()'],
    ['src/designs/stock.ts', 'process.env.HOME'],
    ['src/mm/zone.ts', 'async () => 1'],
  ];
  test.each(sources)('%s does not use %s', (file, code) => {
    expectOne(withLine(file, `export const bad = ${code};`), file, '[ban]');
  });

  test('the lab may look at the clock, and words in comments and strings are no code', () => {
    const lab = withLine('src/lab/run.ts', 'export const t = performance.now();');
    const text = "// No Date here.\nexport const s = 'async Date';";
    expect(tidy({ ...lab, ...withLine('src/mm/zone.ts', text) }).lines).toEqual([]);
  });
});

describe('a reader can hold a file in view', () => {
  test('a file opens with a comment', () => {
    expectOne({ 'src/base/ids.ts': 'export const first = 0;\n' }, 'src/base/ids.ts:1', '[header]');
    const tool = { 'tools/x.mjs': '#!/usr/bin/env node\n// A tool.\n' };
    expect(tidy(tool).lines).toEqual([]);
  });

  test('a line has at most 100 columns, counted in characters', () => {
    const line = (nr: number): string => `// ${'é'.repeat(nr - 3)}`;
    expect(tidy(withLine('src/base/ids.ts', line(100))).lines).toEqual([]);
    expectOne(withLine('src/base/ids.ts', line(101)), 'src/base/ids.ts:4', '101 columns');
  });

  test('a text in a line of code may make it longer', () => {
    const line = `const message = '${'x'.repeat(100)}';`;
    expect(tidy(withLine('src/base/ids.ts', line)).lines).toEqual([]);
  });

  test('a file has at most 500 lines', () => {
    const file = (nr: number) => ({ 'src/base/ids.ts': `// Ids.\n${'void 0;\n'.repeat(nr - 1)}` });
    expect(tidy(file(500)).lines).toEqual([]);
    expectOne(file(501), 'src/base/ids.ts:501', '501 lines');
  });

  const heads: readonly [string, string, string][] = [
    ['a function', 'export function f(a: { b: number }): { c: number } {\n', '}'],
    ['a generic function', 'export function f<T = string>(a: T): asserts a is T & {} {\n', '}'],
    ['an arrow function', 'export const f = (a: number): readonly string[] => {\n', '};'],
    ['a function of arrays', 'export function f(): readonly (string | undefined)[] {\n', '}'],
    ['a method', 'export class C {\n  f(): Map<string, number[]> {\n', '  }\n}'],
  ];
  test.each(heads)('%s has at most 70 lines', (_kind, head, tail) => {
    const code = (nr: number): string => `${head}${body(nr)}${tail}`;
    expect(tidy(withLine('src/base/ids.ts', code(70))).lines).toEqual([]);
    expectOne(withLine('src/base/ids.ts', code(71)), 'src/base/ids.ts', 'has 71 lines');
  });

  test('a long table, a long call and a long test are not long functions', () => {
    const table = `export const t = [\n${'  1,\n'.repeat(80)}];\nif (t) {\n${body(80)}}`;
    const brace = "export const s = '}{{{';\nexport const r = /[{}/]{2}/;";
    const long = { 'src/base/ids.test.ts': `// Tests.\ntest('x', () => {\n${body(90)}});\n` };
    expect(tidy({ ...withLine('src/base/ids.ts', `${table}\n${brace}`), ...long }).lines).toEqual(
      [],
    );
  });
});

describe('nothing is left behind', () => {
  const words = [`${'TO'}DO`, `${'FIX'}ME`, `${'X'}XX`, `/${'work'}/`, `registry.${'npmjs'}.org`];
  test.each(words)('%s is found in any file', (word) => {
    expectOne({ 'docs/A.md': `# A\n\nsee ${word} there\n` }, 'docs/A.md:3', word);
  });

  test('mktemp patterns and paths that only end alike are none of these', () => {
    const text = 'mktemp x.XXXXXX; cd home/work/x; the method of a photo\n';
    expect(tidy({ 'docs/A.md': text }).lines).toEqual([]);
  });

  test('what is installed or built is not looked at', () => {
    const text = `${'TO'}DO\n`;
    expect(tidy({ 'node_modules/a/a.js': text, 'dist/a.js': text }).lines).toEqual([]);
  });

  test('a file that nothing imports is found', () => {
    const file = { 'src/mm/lonely.ts': '// Lonely.\nexport const a = 1;\n' };
    expectOne(file, 'src/mm/lonely.ts:1', 'nothing imports');
    const worker = withLine('src/lab/run.ts', "new URL('../mm/lonely.ts', import.meta.url);");
    expect(tidy({ ...file, ...worker }).lines).toEqual([]);
  });
});

test('a page that tells people to run what is not there is found', () => {
  const scripts = { 'package.json': '{ "scripts": { "docs": "node a.mjs" } }' };
  const tool = { 'tools/x.mjs': '// A tool.\n' };
  const page = (text: string) => ({ ...scripts, ...tool, 'docs/A.md': `# A\n\n    ${text}\n` });
  const known = 'npm run docs && npm run --silent docs && node --cpu-prof tools/x.mjs --check';
  expect(tidy(page(known)).lines).toEqual([]);
  expectOne(page('npm run map'), 'docs/A.md:3', 'no such script');
  expectOne(page('node --cpu-prof tools/y.mjs'), 'docs/A.md:3', 'no such file');
});
