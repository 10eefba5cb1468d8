// A /sys and /proc tree on disk: this machine's own, or one unpacked elsewhere. Files may be
// absent, empty or end in NUL bytes (as hwloc-gather-topology leaves them).
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Tree {
  readonly sysRoot: string;
  readonly procRoot: string;
  /** True when the tree is of the machine that runs this. */
  readonly isLive: boolean;
}

/** Text of a file without NUL bytes and outer blanks; undefined when it cannot be read. */
export function readText(...path: string[]): string | undefined {
  try {
    return readFileSync(join(...path), 'latin1')
      .replaceAll('\u0000', '')
      .trim();
  } catch {
    return undefined;
  }
}

/** As readText, but undefined for an empty file too. */
export const readNonEmpty = (...path: string[]): string | undefined =>
  readText(...path) || undefined;

/** Names in a directory, sorted; empty when it cannot be read. */
export function listNames(...path: string[]): readonly string[] {
  try {
    return readdirSync(join(...path)).sort();
  } catch {
    return [];
  }
}

/** The numbers N of the entries `prefixN` of a directory, ascending. */
export function numberedEntries(prefix: string, ...path: string[]): readonly number[] {
  const pattern = new RegExp(`^${prefix}(\\d+)$`);
  return listNames(...path)
    .map((name) => pattern.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}

/** kB figures of a meminfo text by name (`MemTotal`), of /proc/meminfo or of a node. */
export function parseMeminfo(text: string): ReadonlyMap<string, number> {
  const fields = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^(?:Node \d+ )?([\w()]+):\s+(\d+) kB$/.exec(line.trim());
    if (match !== null) fields.set(match[1] as string, Number(match[2]));
  }
  return fields;
}
