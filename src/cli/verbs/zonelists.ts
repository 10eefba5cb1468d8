// `cdmlab zonelists`: every node's lists, as a design builds them.
import type { Command } from 'commander';
import { findDesign } from '../../designs/index.ts';
import { Kernel } from '../../kernel/kernel.ts';
import { summarizeMachine } from '../../lab/compare.ts';
import { fallbackOrderText, zonelistRows, zonelistText } from '../../lab/zonelist_text.ts';
import { loadMachine } from '../../machine/load.ts';
import { type Io, printJson } from '../io.ts';
import { describe } from '../options.ts';
import { facts } from '../table.ts';
import { machineWords } from '../words.ts';

interface ZonelistsOptions {
  readonly machine: string;
  readonly design: string;
  readonly json?: boolean;
}

export function addZonelists(program: Command, io: Io): void {
  const command = program
    .command('zonelists')
    .option('--machine <M>', 'preset or file', 'thread')
    .option('--design <D>', 'id of a design', 'stock')
    .option('--json', 'the lists as JSON, and nothing else')
    .action((options: ZonelistsOptions) => zonelists(io, options));
  describe(
    command,
    [
      'Show the zonelists of every node, in the form of the sample in the thread.',
      'FALLBACK is what requests walk; NOFALLBACK is for requests that name their node.',
    ],
    `cdmlab zonelists --design zonelist
     cdmlab zonelists --machine gh200 --design stock`,
  );
}

function zonelists(io: Io, options: ZonelistsOptions): void {
  const design = findDesign(options.design);
  const machine = loadMachine(options.machine);
  const kernel = new Kernel(machine, design);
  const nodes = zonelistRows(kernel);
  if (options.json === true) {
    printJson(io, { machine: machine.name, design: design.id, nodes });
    return;
  }
  const head = facts([
    ['machine', machineWords(summarizeMachine(machine))],
    ['design', `${design.id}: ${design.title}`],
  ]);
  io.out(`${head}\n\n${zonelistText(nodes)}\n\n${fallbackOrderText(kernel)}`);
  io.out(`HugeTLB pools without a policy use nodes ${kernel.huge.poolNodes}`);
}
