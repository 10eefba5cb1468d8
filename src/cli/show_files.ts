// `--show`, `--at` and `--export` of `cdmlab run`: files of /proc and /sys as they are at a step.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { UserError } from '../base/assert.ts';
import { didYouMean } from '../base/suggest.ts';
import type { Session } from '../lab/session.ts';
import { readTextFile, textFiles, View } from '../observe/files.ts';
import { readNumber } from './options.ts';

export interface ShowOptions {
  readonly show?: readonly string[];
  readonly at?: number;
  readonly export?: string;
}

export function addShowOptions(command: Command): Command {
  return command
    .option(
      '--show <PATH>',
      'a file of /proc or /sys, or a folder, as it is at the end; may be repeated',
      (path: string, before: readonly string[] = []) => [...before, path],
    )
    .option('--at <STEP>', 'show and export what is there after this step', readNumber)
    .option('--export <FOLDER>', 'write all files of /proc and /sys below a folder');
}

/** Files that were asked for, and where all files go. */
export interface Shown {
  /** Texts by path, in the order asked for. */
  readonly files: ReadonlyMap<string, string>;
  /** How many files were exported. */
  readonly nrExported: number | undefined;
}

/**
 * Reads what the options ask for, as it is now.
 * @throws UserError for a path that no file is at or below, and where it cannot be written.
 */
export function showFiles(session: Session, options: ShowOptions): Shown {
  const view = new View(session.kernel, session.runner.tasks);
  const files = new Map<string, string>();
  for (const asked of options.show ?? []) {
    for (const path of pathsAt(view, asked)) files.set(path, readTextFile(view, path) ?? '');
  }
  return {
    files,
    nrExported: options.export === undefined ? undefined : exportFiles(view, options.export),
  };
}

/** The file at a path, or all files below it. */
function pathsAt(view: View, asked: string): string[] {
  const path = asked.replace(/\/+$/, '');
  if (readTextFile(view, path) !== undefined) return [path];
  const all = textFiles(view);
  const below = all.filter((file) => file.startsWith(`${path}/`));
  if (below.length > 0) return below;
  const hint = didYouMean(path, all);
  throw new UserError(`no file is shown at ${asked} under this design on this machine${hint}`);
}

function exportFiles(view: View, folder: string): number {
  const paths = textFiles(view);
  try {
    for (const path of paths) {
      const file = join(folder, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, readTextFile(view, path) ?? '');
    }
  } catch (error) {
    throw new UserError(`cannot be written: ${(error as Error).message}`, { file: folder });
  }
  return paths.length;
}

/** The files as a person reads them: each under its path. */
export const shownText = ({ files }: Shown): string =>
  [...files].map(([path, text]) => `==> ${path} <==\n${text.replace(/\n$/, '')}`).join('\n\n');

/** `44 files below tree/`. */
export const exportedWords = ({ nrExported }: Shown, folder: string): string =>
  `${nrExported} files of /proc and /sys written below ${folder}`;

export const noSuchStep = (step: number, nrSteps: number): UserError =>
  new UserError(`--at ${step}: the run has ${nrSteps} steps`);
