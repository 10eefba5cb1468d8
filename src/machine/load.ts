// One way to name a machine: a preset, a machine file, the text of `numactl -H`, or a directory
// with an unpacked tree of /sys and /proc.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { UserError } from '../base/assert.ts';
import { type CaptureOptions, captureMachine } from './capture.ts';
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

function unknownMachine(name: string): UserError {
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
 * Loads a machine by preset name or path. What a file holds is told by its content, not its name.
 * Throws UserError that lists the presets when there is no such preset or file.
 */
export function loadMachine(nameOrFile: string, options: LoadOptions = {}): Machine {
  const preset = findPreset(nameOrFile);
  if (preset !== undefined) return preset;
  if (!existsSync(nameOrFile)) throw unknownMachine(nameOrFile);
  const name = nameFromFile(nameOrFile);
  if (statSync(nameOrFile).isDirectory()) {
    const roots = { sysRoot: join(nameOrFile, 'sys'), procRoot: join(nameOrFile, 'proc') };
    return captureMachine({ ...options, ...roots, name });
  }
  const text = readMachineText(nameOrFile);
  if (looksLikeNumactl(text)) return parseNumactl(text, { ...options, fileName: nameOrFile, name });
  if (/^\s*\{/.test(text) || nameOrFile.endsWith('.json')) return parseMachine(text, nameOrFile);
  throw new UserError('neither a machine file (JSON) nor the output of `numactl -H`', {
    file: nameOrFile,
  });
}
