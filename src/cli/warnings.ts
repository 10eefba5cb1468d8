// What is allowed and probably not meant, in a scenario or a machine: told on standard error, a
// line each, before a verb's own output.

import type { LoadedScenario } from '../lab/load_scenario.ts';
import { machineDoubts } from '../machine/doubts.ts';
import type { Machine } from '../machine/machine.ts';
import { lintScenario } from '../scenario/lint.ts';
import type { Io } from './io.ts';

const MOST_WARNINGS = 10;

function tell(io: Io, lines: readonly string[]): void {
  for (const line of lines.slice(0, MOST_WARNINGS)) io.err(`warning: ${line}`);
  const more = lines.length - MOST_WARNINGS;
  if (more > 0) io.err(`warning: and ${more} more of the kind`);
}

/** Tells what is odd about a scenario and its machine. */
export function warnOfScenario(io: Io, { scenario, machine }: LoadedScenario): void {
  const lines = lintScenario(scenario, machine.pageBytes)
    .filter((warning) => warning.isOfKernels !== true)
    .map(({ place, message }) =>
      place === undefined ? message : `${place.file}:${place.line}: ${message}`,
    );
  tell(io, [...new Set(lines)]);
  warnOfMachine(io, machine);
}

/** Tells what is odd about a machine. */
export const warnOfMachine = (io: Io, machine: Machine): void =>
  tell(
    io,
    machineDoubts(machine).map((words) => `machine ${machine.name}: ${words}`),
  );
