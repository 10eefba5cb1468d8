// Where the command writes, and how it ends. Verbs get one of these and touch nothing else.
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import pc from 'picocolors';
import { UserError } from '../base/assert.ts';

/** Results are what was expected. */
export const EXIT_OK = 0;
/** An expectation failed, or cases differ. */
export const EXIT_DIFFERS = 1;
/** What was typed or given cannot be used. */
export const EXIT_BAD_INPUT = 2;

export type Colors = ReturnType<typeof pc.createColors>;

export interface Io {
  /** Results: lines of standard output. */
  out(text: string): void;
  /** Progress, warnings and errors: lines of standard error. */
  err(text: string): void;
  /** Progress that a person who waits may see: replaces the line before on a terminal. */
  progress(text: string): void;
  readonly colors: Colors;
  exitCode: number;
}

/** Progress is told of work that takes longer than this: on a terminal; in a log, more seldom. */
const QUIET_MS = 1000;
const QUIET_LOG_MS = 10_000;
/** Back to the start of the terminal's line, and clear it. */
const CLEAR_LINE = '\r\x1b[K';

/** The real streams. Colours only on a terminal, and never when NO_COLOR is set. */
export function processIo(): Io {
  const isColored = process.stdout.isTTY === true && (process.env.NO_COLOR ?? '') === '';
  const started = performance.now();
  let toldAt = 0;
  const isTerminal = process.stderr.isTTY === true;
  const quietMs = isTerminal ? QUIET_MS : QUIET_LOG_MS;
  const clear = () => {
    if (isTerminal && toldAt > 0) process.stderr.write(CLEAR_LINE);
  };
  return {
    out: (text) => {
      clear();
      process.stdout.write(`${text}\n`);
    },
    err: (text) => {
      clear();
      process.stderr.write(`${text}\n`);
    },
    progress: (text) => {
      const nowMs = performance.now() - started;
      if (nowMs < quietMs || nowMs - toldAt < quietMs) return;
      toldAt = nowMs;
      process.stderr.write(isTerminal ? `${CLEAR_LINE}${text}` : `${text}\n`);
    },
    colors: pc.createColors(isColored),
    exitCode: EXIT_OK,
  };
}

/** Prints a value as JSON: all that a `--json` run writes to standard output. */
export function printJson(io: Io, value: unknown): void {
  io.out(JSON.stringify(value, null, 2));
}

/** Why a file cannot be written, without the draft that it was written to first. */
function whyNot(file: string, error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  const folder = dirname(file);
  if (code === 'ENOENT') return `there is no directory ${folder}`;
  if (code === 'ENOTDIR' && !existsSync(file)) return `${folder} is no directory`;
  if (code === 'EISDIR' || code === 'ENOTDIR' || code === 'ENOTEMPTY') return 'it is a directory';
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return `you may not write to ${folder}`;
  }
  return code === 'ENOSPC' ? 'the disk is full' : String(code);
}

/**
 * Writes a whole file or none: beside its place first, then moved there.
 * @throws UserError when the place cannot be written to.
 */
export function writeWholeFile(file: string, text: string): void {
  let folder: string | undefined;
  try {
    folder = mkdtempSync(join(dirname(file), '.cdmlab-'));
    const draft = join(folder, 'draft');
    writeFileSync(draft, text);
    renameSync(draft, file);
  } catch (error) {
    throw new UserError(`cannot be written: ${whyNot(file, error)}`, { file });
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}
