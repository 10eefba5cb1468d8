// The files of /proc and /sys that the model shows, by path.
// Holds    PRC7 a path of a file that a kernel of this machine would not have reads as no file.

import { HUGE_PAGE_FILES } from './huge_pages.ts';
import { MEMINFO_FILES } from './meminfo.ts';
import { MEMORY_BLOCK_FILES } from './memory_blocks.ts';
import { NODE_FILES } from './nodes.ts';
import { MAPS_FILES } from './task_maps.ts';
import { TASK_MEMORY_FILES } from './task_memory.ts';
import { type FileKind, View } from './view.ts';
import { VMSTAT_FILES } from './vmstat_text.ts';
import { ZONE_FILES } from './zoneinfo.ts';

export { View };

const KINDS: readonly FileKind[] = [
  ...ZONE_FILES,
  ...VMSTAT_FILES,
  ...MEMINFO_FILES,
  ...NODE_FILES,
  ...MEMORY_BLOCK_FILES,
  ...HUGE_PAGE_FILES,
  ...MAPS_FILES,
  ...TASK_MEMORY_FILES,
];

/** Is there a kind of file at this path, whether or not it exists now? */
export const isTextFile = (path: string): boolean =>
  KINDS.some(({ pattern }) => pattern.test(path));

/** The whole text of a file, or undefined where there is none. */
export function readTextFile(view: View, path: string): string | undefined {
  for (const { pattern, read } of KINDS) {
    const match = pattern.exec(path);
    if (match !== null) return read(view, ...match.slice(1));
  }
  return undefined;
}

/** Paths of all files that can be read now, in the order of their kinds. */
export const textFiles = (view: View): string[] => KINDS.flatMap((kind) => [...kind.paths(view)]);
