// Options that several verbs share, read into what they mean.
import { type Command, InvalidArgumentError } from 'commander';
import { UserError } from '../base/assert.ts';
import { parseNodelist } from '../base/nodemask.ts';
import { parseSizeBytes } from '../base/units.ts';
import {
  DEFAULT_DESIGNS,
  EVERY_DESIGN,
  findDesign,
  MAIN_DESIGNS,
  THREAD_DESIGNS,
} from '../designs/index.ts';
import type { Design } from '../hooks/design.ts';
import { ARCHES, type Arch } from '../machine/machine.ts';

export const DEFAULT_SCENARIO = 'hybrid-flow';

/** Adds a verb's two lines of help and its examples. */
export function describe(
  command: Command,
  lines: readonly [string, string],
  examples: string,
): void {
  command.summary(lines[0]).description(lines.join('\n'));
  command.addHelpText('after', `\nExamples:\n${examples.trim().replaceAll(/^\s*/gm, '  ')}`);
}

/** `N=V`, as often as it is given. */
export function readParameter(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const equals = text.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError('expected NAME=VALUE.');
  return { ...before, [text.slice(0, equals)]: text.slice(equals + 1) };
}

export function readNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('expected a whole number.');
  return Number(text);
}

/** `2,3` or `2-4`: ids of nodes. */
export function readNodeIds(text: string): number[] {
  const nodes = /^\d/.test(text) ? parseNodelist(text) : 'no list';
  if (typeof nodes === 'string') {
    throw new InvalidArgumentError('expected ids of nodes, for example 2,3 or 2-4.');
  }
  return nodes.toArray();
}

export function readArch(text: string): Arch {
  const arch = ARCHES.find((a) => a === text);
  if (arch === undefined) throw new InvalidArgumentError(`expected one of ${ARCHES.join(', ')}.`);
  return arch;
}

export function readSize(text: string): number {
  const sizeBytes = parseSizeBytes(text);
  if (sizeBytes === undefined) {
    throw new InvalidArgumentError('expected a size, for example 64KiB.');
  }
  return sizeBytes;
}

/** Words for several designs; each stands alone. */
const SETS: ReadonlyMap<string, readonly Design[]> = new Map([
  ['thread', THREAD_DESIGNS],
  ['all', MAIN_DESIGNS],
  ['every', EVERY_DESIGN],
]);

/** What a verb says of its `--designs`. */
export const DESIGN_SETS =
  'thread: stock and those of the thread; all: the ten answers; every: their variants too';

/** `stock,zonelist`, or a word for several; the ten answers when left out. */
export function designsOf(text: string | undefined): readonly Design[] {
  if (text === undefined) return DEFAULT_DESIGNS;
  const set = SETS.get(text.trim());
  if (set !== undefined) return set;
  const ids = text
    .split(',')
    .map((id) => id.trim())
    .filter((id) => id !== '');
  if (ids.length === 0) throw new UserError('--designs names no design');
  const many = ids.find((id) => SETS.has(id));
  if (many !== undefined) throw new UserError(`--designs ${many} stands alone`);
  return ids.map(findDesign);
}
