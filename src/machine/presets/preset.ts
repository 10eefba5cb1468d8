// How a preset becomes a machine: it is written in the form of the machine file and read by the
// same rules.
import { Bug } from '../../base/assert.ts';
import { buildMachine } from '../build.ts';
import { formatPath } from '../json_text.ts';
import type { Machine } from '../machine.ts';
import type { MachineFile } from '../schema.ts';

/** Builds a preset. A mistake in one is our own, hence a Bug. */
export function buildPreset(file: MachineFile): Machine {
  return buildMachine(file, (path, message) => {
    throw new Bug(`preset ${file.name}: ${formatPath(path)}: ${message}`);
  });
}
