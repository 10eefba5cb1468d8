// One way to name a machine: a preset, a machine file, the text of `numactl -H`, or a directory
// with an unpacked tree of /sys and /proc.
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { UserError } from '../base/assert.ts';
import { type CaptureOptions, captureMachine } from './capture.ts';
import { refuseWithoutRoom } from './doubts.ts';
import type { Machine } from './machine.ts';
import { nearMisses } from './near_misses.ts';
import { looksLikeNumactl, parseNumactl } from './numactl.ts';
import { findPreset, presets } from './presets/index.ts';
import { parseMachine } from './schema.ts';

/** For texts and trees, which do not tell everything; a machine file or preset needs none. */
export type LoadOptions = Pick<CaptureOptions, 'arch' | 'pageBytes' | 'deviceNodes'>;

/** Larger files are no machine. */
const MAX_FILE_BYTES = 16 * 1024 ** 2;

/** A machine name from a file name: `my gpu box.txt` becomes `my-gpu-box`. */
const nameFromFile = (file: string): string =>
  basename(file)
    .replace(/\.(txt|json|log)$/, '')
    .replace(/[^A-Za-z0-9._-]+/g, '-') || 'machine';

/** Does a name look like a file or a directory? */
const looksLikePath = (name: string): boolean => /[/\\]|\.[A-Za-z]+$/.test(name);

function unknownMachine(name: string): UserError {
  if (looksLikePath(name)) {
    return new UserError(
      'there is no such file or directory; a machine is a preset (cdmlab machine list), a machine ' +
        'file, a text of `numactl -H`, or a directory that holds sys and proc',
      { file: name },
    );
  }
  const near = nearMisses(name, presets.keys());
  const hint = near.length > 0 ? `did you mean ${near.join(' or ')}? ` : '';
  return new UserError(
    `no machine \`${name}\`: ${hint}Presets are ${[...presets.keys()].join(', ')}; ` +
      'or name a machine file, a text of `numactl -H`, or a directory that holds sys and proc',
  );
}

function readMachineText(file: string): string {
  try {
    if (statSync(file).size > MAX_FILE_BYTES) {
      throw new UserError('more than 16 MiB: not a machine file', { file });
    }
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`cannot be read: ${(error as Error).message}`, { file });
  }
}

/**
 * The directory that holds sys: the one given, or the only one in it, as archives unpack.
 * Throws UserError that says what is missing.
 */
function treeRoot(directory: string): string {
  if (existsSync(join(directory, 'sys'))) return directory;
  const inside = readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(directory, entry.name, 'sys')))
    .map((entry) => entry.name);
  if (inside.length === 1) return join(directory, inside[0] as string);
  const found =
    inside.length === 0
      ? 'neither it nor a directory in it holds sys'
      : `in it are ${inside.join(', ')}`;
  throw new UserError(
    `no tree of a machine: ${found}; name the directory with sys (and proc) in it, or a machine ` +
      'file, or a text of `numactl -H`',
    { file: directory },
  );
}

/** What archives start with, and how each is unpacked. */
const ARCHIVES: readonly (readonly [string, string])[] = [
  ['1f8b', 'tar xzf'],
  ['425a68', 'tar xjf'],
  ['fd377a585a00', 'tar xJf'],
  ['28b52ffd', 'tar --zstd -xf'],
  ['504b0304', 'unzip'],
];
/** Where a tar archive says that it is one. */
const TAR_MAGIC_AT = 257;

/** A packed tree, as hwloc-gather-topology leaves it, is told from what it holds. */
function refuseArchive(file: string): void {
  const head = Buffer.alloc(TAR_MAGIC_AT + 5);
  let handle: number | undefined;
  try {
    handle = openSync(file, 'r');
    readSync(handle, head, 0, head.length, 0);
  } catch (error) {
    throw new UserError(`cannot be read: ${(error as Error).message}`, { file });
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
  const hex = head.toString('hex');
  const isTar = head.toString('latin1', TAR_MAGIC_AT) === 'ustar';
  const how = isTar ? 'tar xf' : ARCHIVES.find(([magic]) => hex.startsWith(magic))?.[1];
  if (how === undefined) return;
  throw new UserError(
    `a packed archive: unpack it first (${how} ${basename(file)}), then name the directory that ` +
      'holds sys and proc',
    { file },
  );
}

/**
 * Loads a machine by preset name or path. What a file holds is told by its content, not its name.
 * Throws UserError that lists the presets when there is no such preset or file.
 */
export function loadMachine(nameOrFile: string, options: LoadOptions = {}): Machine {
  const preset = findPreset(nameOrFile);
  if (preset !== undefined) return preset;
  const machine = readMachine(nameOrFile, options);
  refuseWithoutRoom(machine, nameOrFile);
  return machine;
}

function readMachine(nameOrFile: string, options: LoadOptions): Machine {
  if (!existsSync(nameOrFile)) throw unknownMachine(nameOrFile);
  const name = nameFromFile(nameOrFile);
  if (statSync(nameOrFile).isDirectory()) {
    const root = treeRoot(nameOrFile);
    const roots = { sysRoot: join(root, 'sys'), procRoot: join(root, 'proc') };
    return captureMachine({ ...options, ...roots, name });
  }
  refuseArchive(nameOrFile);
  const text = readMachineText(nameOrFile).replace(/^\uFEFF/, '');
  if (looksLikeNumactl(text)) return parseNumactl(text, { ...options, fileName: nameOrFile, name });
  if (/^\s*\{/.test(text) || nameOrFile.endsWith('.json')) return parseMachine(text, nameOrFile);
  throw new UserError('neither a machine file (JSON) nor the output of `numactl -H`', {
    file: nameOrFile,
  });
}
