// `cdmlab scenario`: the scenarios that come with the package, and random ones.
import { type Command, InvalidArgumentError } from 'commander';
import { UserError } from '../../base/assert.ts';
import { loadScenario, shippedScenarios } from '../../lab/load_scenario.ts';
import { loadMachine } from '../../machine/load.ts';
import { generateScenario, machineNodes } from '../../scenario/generate.ts';
import { FAMILIES, type Family } from '../../scenario/generate_weights.ts';
import { MAX_OPERATIONS } from '../../scenario/parser.ts';
import { printScenario } from '../../scenario/print.ts';
import { type Io, printJson } from '../io.ts';
import { describe, readNumber } from '../options.ts';
import { formatTable } from '../table.ts';
import { parameterWords } from '../words.ts';

interface GenerateOptions {
  readonly machine: string;
  readonly seed: string;
  readonly ops: number;
  readonly family: Family;
  readonly json?: boolean;
}

function readFamily(text: string): Family {
  const family = FAMILIES.find((f) => f === text);
  if (family === undefined)
    throw new InvalidArgumentError(`expected one of ${FAMILIES.join(', ')}.`);
  return family;
}

export function addScenario(program: Command, io: Io): void {
  const scenario = program.command('scenario');
  describe(
    scenario,
    [
      'List the scenarios that come with cdmlab, or generate a random one.',
      'Their language is described in docs/SCENARIOS.md.',
    ],
    `cdmlab scenario list
     cdmlab scenario generate --machine thread --seed 7 --ops 50 > random.cdm`,
  );
  const list = scenario
    .command('list')
    .option('--json', 'as JSON, and nothing else')
    .action((options: { readonly json?: boolean }) => listScenarios(io, options.json === true));
  describe(
    list,
    ['List the scenarios that come with cdmlab.', 'Verbs take these names, or files.'],
    'cdmlab scenario list --json',
  );
  const generate = scenario
    .command('generate')
    .option('--machine <M>', 'preset or file whose nodes are named', 'thread')
    .option('--seed <S>', 'any text: the same seed gives the same scenario', '1')
    .option('--ops <N>', 'operations before the closing look', readNumber, 100)
    .option('--family <F>', `kind of workload: ${FAMILIES.join(', ')}`, readFamily, 'mixed')
    .option('--json', 'operations as JSON, and nothing else')
    .action((options: GenerateOptions) => generateOne(io, options));
  describe(
    generate,
    [
      'Print a random scenario: policies, areas, moves, forks and cpusets on the nodes of a machine.',
      'The same seed, size, family and machine give the same text.',
    ],
    'cdmlab scenario generate --machine gh200 --seed 42 --ops 200 --family mbind',
  );
}

function listScenarios(io: Io, isJson: boolean): void {
  const all = shippedScenarios().map((name) => {
    const { scenario, machine } = loadScenario(name);
    const { title, source, parameters } = scenario;
    return { name, title, source, machine: machine.name, parameters, nrOps: scenario.ops.length };
  });
  if (isJson) {
    printJson(io, all);
    return;
  }
  const rows = all.map((s) => [
    s.name,
    s.machine,
    String(s.nrOps),
    parameterWords(s.parameters) ?? '',
    s.title,
  ]);
  io.out(
    formatTable(['scenario', 'machine', 'steps', 'parameters', 'what it shows'], rows, {
      right: [2],
      flex: [3, 4],
      breaksWords: true,
      head: io.colors.bold,
    }),
  );
}

function generateOne(io: Io, options: GenerateOptions): void {
  const { seed, ops, family } = options;
  if (ops < 1 || ops > MAX_OPERATIONS) {
    throw new UserError(`--ops ${ops} is out of range; expected 1 to ${MAX_OPERATIONS}`);
  }
  const machine = loadMachine(options.machine);
  const scenario = generateScenario({
    ...machineNodes(machine),
    seed,
    ops,
    family,
    machine: options.machine,
  });
  if (options.json === true) printJson(io, scenario);
  else io.out(printScenario(scenario).trimEnd());
}
