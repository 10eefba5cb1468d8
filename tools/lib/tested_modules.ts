// The modules under test as plain JavaScript files, so that tests run what users run: vitest's own
// module runner turns each use of an import into a property access, which makes the engine several
// times slower than it is.
// Models   src/**/*.ts to .tested/**/*.js, types taken away by the compiler and nothing else done.
// Holds    A file is made anew when its source has another time; one whose source is gone goes.
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SOURCES = join(ROOT, 'src');
const TESTED = join(ROOT, '.tested');

const isTest = (file: string): boolean => file.endsWith('.test.ts');

/** The JavaScript file that stands for a source, or undefined for tests and what is not in src. */
export function testedFile(source: string): string | undefined {
  if (!source.startsWith(SOURCES + sep) || !source.endsWith('.ts') || isTest(source))
    return undefined;
  return join(TESTED, `${relative(SOURCES, source).slice(0, -3)}.js`);
}

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
  rewriteRelativeImportExtensions: true,
  inlineSourceMap: true,
};

/** The time of a file, or -1 when there is none. */
const timeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? -1;

/** Brings the JavaScript files up to date. */
export function writeTestedFiles(): void {
  const wanted = new Set<string>();
  for (const name of readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })) {
    const source = join(SOURCES, name);
    const file = testedFile(source);
    if (file === undefined) continue;
    wanted.add(file);
    const { atime, mtime, mtimeMs } = statSync(source);
    if (timeOf(file) === mtimeMs) continue;
    mkdirSync(dirname(file), { recursive: true });
    const { outputText } = ts.transpileModule(readFileSync(source, 'utf8'), {
      compilerOptions: { ...OPTIONS, sourceRoot: relative(dirname(file), dirname(source)) },
      fileName: source,
    });
    writeFileSync(file, outputText);
    utimesSync(file, atime, mtime);
  }
  for (const name of readdirSync(TESTED, { recursive: true, encoding: 'utf8' })) {
    const file = resolve(TESTED, name);
    if (file.endsWith('.js') && !wanted.has(file)) rmSync(file);
  }
}
