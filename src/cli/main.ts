// The command `cdmlab`: one file per verb, and what all of them share when something goes wrong.
// Holds    CLI1 bad input ends in one line and exit code 2; only bugs of ours show more.
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { NotModelled, UserError } from '../base/assert.ts';
import { EXIT_BAD_INPUT, EXIT_OK, type Io, processIo } from './io.ts';
import { addBench } from './verbs/bench.ts';
import { addCompare } from './verbs/compare.ts';
import { addConform } from './verbs/conform.ts';
import { addDesign } from './verbs/design.ts';
import { addExplain } from './verbs/explain.ts';
import { addKernel } from './verbs/kernel.ts';
import { addMachine } from './verbs/machine.ts';
import { addRun } from './verbs/run.ts';
import { addScenario } from './verbs/scenario.ts';
import { addZonelists } from './verbs/zonelists.ts';

const VERBS = [
  addCompare,
  addRun,
  addExplain,
  addScenario,
  addDesign,
  addMachine,
  addZonelists,
  addConform,
  addKernel,
  addBench,
];

function versionOf(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

function makeProgram(io: Io): Command {
  const program = new Command('cdmlab');
  program
    .description(
      'Linux memory placement as an exact model: every design that isolates coherent device\n' +
        'memory, on the same machine and the same workload. Start with: cdmlab compare',
    )
    .version(versionOf())
    .exitOverride()
    .configureHelp({ helpWidth: 100 })
    .showHelpAfterError('(cdmlab VERB --help shows what a verb takes)')
    .showSuggestionAfterError(true);
  for (const add of VERBS) add(program, io);
  for (const command of program.commands) inherit(program, command);
  return program;
}

/** Lets subcommands throw instead of exiting, and show help alike, however deep. */
function inherit(parent: Command, command: Command): void {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(command, child);
}

/** Runs the command line. Returns the exit code: 0 as expected, 1 differs, 2 bad input. */
export async function main(argv: readonly string[]): Promise<number> {
  const io = processIo();
  try {
    await makeProgram(io).parseAsync([...argv], { from: 'user' });
    return io.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_BAD_INPUT;
    if (error instanceof UserError) io.err(`error: ${error.format()}`);
    else if (error instanceof NotModelled) io.err(`not modelled: ${error.format()}`);
    else throw error;
    return EXIT_BAD_INPUT;
  }
}
