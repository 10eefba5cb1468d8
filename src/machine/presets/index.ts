// The machines that come with the project.
import type { Machine } from '../machine.ts';
import { ac922 } from './ac922.ts';
import { cxl } from './cxl.ts';
import { gb200 } from './gb200.ts';
import { gh200 } from './gh200.ts';
import { mi300a } from './mi300a.ts';
import { pc } from './pc.ts';
import { thread, threadLate } from './thread.ts';

/** By name, in the order in which lists show them. Each call makes a new, equal machine. */
export const presets: ReadonlyMap<string, () => Machine> = new Map([
  ['thread', thread],
  ['thread-late', threadLate],
  ['ac922', ac922],
  ['gh200', gh200],
  ['gb200', gb200],
  ['mi300a', mi300a],
  ['cxl', cxl],
  ['pc', pc],
]);

/** The preset of this name, or undefined. */
export const findPreset = (name: string): Machine | undefined => presets.get(name)?.();
