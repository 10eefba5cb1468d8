// The launcher says what is missing in one line, and passes exit codes and closed pipes on quietly.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { plant } from './lib/testing.ts';

const LAUNCHER = fileURLToPath(new URL('../bin/cdmlab.js', import.meta.url));

/** A package whose built program is `main`; undefined: it was not built. */
function packageWith(main: string | undefined, nodeVersion?: string): string {
  const program = main === undefined ? {} : { 'dist/cli/main.js': `export const main = ${main};` };
  const fake = `Object.defineProperty(process, 'versions', { value: { node: '${nodeVersion}' } });`;
  const root = plant({ 'package.json': '{"type":"module"}', 'old.cjs': fake, ...program });
  mkdirSync(join(root, 'bin'));
  copyFileSync(LAUNCHER, join(root, 'bin/cdmlab.js'));
  return root;
}

function launch(root: string, nodeArgs: readonly string[] = [], args: readonly string[] = []) {
  const all = [...nodeArgs, join(root, 'bin/cdmlab.js'), ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' });
  return { status, stdout, stderr };
}

test('it hands over the arguments and returns the exit code of the program', () => {
  const root = packageWith('async (argv) => { console.log(argv.join(" ")); return 3; }');
  const ran = launch(root, [], ['run', 'a b']);
  expect(ran).toEqual({ status: 3, stdout: 'run a b\n', stderr: '' });
});

test('without the built program it says how to build it', () => {
  const stderr = 'cdmlab: run "npm ci" first (it builds the command)\n';
  expect(launch(packageWith(undefined))).toEqual({ status: 2, stdout: '', stderr });
});

test('an old Node is told which one is needed', () => {
  const old = packageWith('async () => 0', '20.18.3');
  const stderr = 'cdmlab: needs Node 20.19 or newer; this is 20.18.3\n';
  expect(launch(old, ['-r', join(old, 'old.cjs')])).toEqual({ status: 2, stdout: '', stderr });
  const newer = packageWith('async () => 0', '22.0.0');
  expect(launch(newer, ['-r', join(newer, 'old.cjs')]).status).toBe(0);
});

test('a fault of the program is one line without a stack', () => {
  const ran = launch(packageWith('async () => { throw new TypeError("no such row"); }'));
  expect(ran.status).toBe(70);
  expect(ran.stderr).toContain('cdmlab: TypeError: no such row\n');
  expect(ran.stderr).not.toMatch(/^\s+at /m);
});

test('a reader that closes the pipe early ends the run without a word', () => {
  const lines = 'async () => { for (let i = 0; i < 1e5; i++) console.log("row " + i); return 0; }';
  const root = packageWith(lines);
  const command = `"${process.execPath}" "${join(root, 'bin/cdmlab.js')}" | head -n 1`;
  const ran = spawnSync('bash', ['-c', `set -o pipefail; ${command}`], { encoding: 'utf8' });
  expect(ran.stdout).toBe('row 0\n');
  expect(ran.stderr).toBe('');
  expect(ran.status).toBe(0);
});
