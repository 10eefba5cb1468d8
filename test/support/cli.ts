// The built command as tests run it: like a person in a shell, with nothing of the environment that
// changes what it prints, and in one thread for all calls of a test file.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  Worker,
} from 'node:worker_threads';
import { expect } from 'vitest';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** The thread that runs the command, and the places where it says that a call is done. */
interface CliThread {
  readonly port: MessagePort;
  readonly done: Int32Array;
}

/** By what the environment has more than PATH. */
const threads = new Map<string, CliThread>();

function startThread(more: Readonly<Record<string, string>>): CliThread {
  const { port1, port2 } = new MessageChannel();
  const done = new Int32Array(new SharedArrayBuffer(4));
  const program = pathToFileURL(join(ROOT, 'dist/cli/main.js')).href;
  const worker = new Worker(new URL('cli_thread.mjs', import.meta.url), {
    workerData: { port: port2, done, program },
    transferList: [port2],
    env: { PATH: process.env.PATH ?? '', XDG_CACHE_HOME: join(tmpdir(), 'none'), ...more },
    execArgv: [],
  });
  worker.unref();
  port1.unref();
  return { port: port1, done };
}

/** A call takes no longer than the slowest test may. */
const PATIENCE_MS = 120_000;

/** Runs the command with more in its environment, such as COLUMNS. */
export function cdmlabWith(more: Readonly<Record<string, string>>, ...args: string[]): Ran {
  const key = JSON.stringify(more);
  const thread = threads.get(key) ?? startThread(more);
  threads.set(key, thread);
  const { port, done } = thread;
  Atomics.store(done, 0, 0);
  port.postMessage(args);
  if (Atomics.wait(done, 0, 0, PATIENCE_MS) === 'timed-out') {
    throw new Error(`cdmlab ${args.join(' ')} took more than ${PATIENCE_MS / 1000} s`);
  }
  return receiveMessageOnPort(port)?.message as Ran;
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
