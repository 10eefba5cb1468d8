// The built command as tests run it: like a person in a shell, with nothing of the environment that
// changes what it prints, and in one thread for all calls of a test file.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { programThread, type Ran } from './program_thread.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** By what the environment has more than PATH. */
const threads = new Map<string, ReturnType<typeof programThread>>();

/** Runs the command with more in its environment, such as COLUMNS. */
export function cdmlabWith(more: Readonly<Record<string, string>>, ...args: string[]): Ran {
  const key = JSON.stringify(more);
  const run = threads.get(key) ?? programThread(more);
  threads.set(key, run);
  return run(join(ROOT, 'dist/cli/main.js'), true, args);
}

/** A launch of the command in a process of its own, as a shell does it. */
export function launched(...args: string[]): Ran {
  const env = { PATH: process.env.PATH ?? '', HOME: tmpdir() };
  const file = join(ROOT, 'bin/cdmlab.js');
  const ran = spawnSync(process.execPath, [file, ...args], { encoding: 'utf8', cwd: ROOT, env });
  return { code: ran.status, out: ran.stdout, err: ran.stderr };
}

export const cdmlab = (...args: string[]): Ran => cdmlabWith({}, ...args);

/** Runs a verb that has to work and print JSON and nothing else. */
export function json<T>(...args: string[]): T {
  const { code, out, err } = cdmlab(...args, '--json');
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out) as T;
}

/** Runs a verb that has to refuse, in one line and without a stack. */
export function refused(...args: string[]): string {
  const { code, out, err } = cdmlab(...args);
  expect(code).toBe(2);
  expect(out).toBe('');
  expect(err).not.toMatch(/^\s+at /m);
  expect(err).not.toContain('node:internal');
  return err;
}

const newest = (folder: string): number =>
  Math.max(
    ...readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'))
      .map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs),
  );

/** Builds the command when a source is newer than it. */
export function buildIfStale(): void {
  const main = join(ROOT, 'dist/cli/main.js');
  if (existsSync(main) && statSync(main).mtimeMs >= newest(join(ROOT, 'src'))) return;
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const built = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
    encoding: 'utf8',
    cwd: ROOT,
  });
  if (built.status !== 0) console.warn(`the build complains:\n${built.stdout}`);
}
