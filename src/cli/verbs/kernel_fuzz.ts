// `cdmlab kernel fuzz`: random scenarios on random machines, real kernel against model.
// Notes    What has been done is kept in a folder, one line a boot; the same command goes on from
//          there.
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { kernelVerdicts, planBoots } from '../../lab/fuzz_plan.ts';
import { differenceText } from '../../lab/fuzz_report.ts';
import {
  FUZZED,
  type FuzzBoot,
  type FuzzOutcome,
  type FuzzTarget,
  fuzzBoot,
  fuzzId,
  shrinkCase,
} from '../../lab/kernel_fuzz.ts';
import { machineToJson } from '../../machine/schema.ts';
import type { Family } from '../../scenario/generate_weights.ts';
import { FuzzFolder } from '../fuzz_folder.ts';
import { EXIT_BAD_INPUT, EXIT_DIFFERS, type Io, printJson } from '../io.ts';
import { addKernelOptions, type KernelOptions, readKernelOptions } from '../kernel_options.ts';
import { describe, readNumber } from '../options.ts';
import { paragraph } from '../table.ts';
import { count, shellWord } from '../words.ts';

interface FuzzOptions extends KernelOptions {
  readonly cases: number;
  readonly seed: string;
  readonly jobs: number;
  readonly family?: Family;
  readonly only?: readonly number[];
  readonly out?: string;
  readonly record?: boolean;
  readonly shrink: boolean;
  readonly json?: boolean;
}

function readNumbers(text: string): number[] {
  if (!/^\d+(,\d+)*$/.test(text)) throw new InvalidArgumentError('expected numbers, as 3,17.');
  return text.split(',').map(Number);
}

function readSeed(text: string): string {
  if (!/^[A-Za-z0-9_.-]+$/.test(text)) {
    throw new InvalidArgumentError('expected letters, digits, `-`, `_` or `.`.');
  }
  return text;
}

function readFamily(text: string): Family {
  const family = FUZZED.find((f) => f === text);
  if (family !== undefined) return family;
  throw new InvalidArgumentError(`expected one of ${FUZZED.join(', ')}.`);
}

export function addKernelFuzz(kernel: Command, io: Io): void {
  const command = kernel
    .command('fuzz')
    .option('--cases <N>', 'how many random scenarios', readNumber, 100)
    .option('--seed <S>', 'a number or word; equal seeds give equal cases', readSeed, '1')
    .option('--only <N,..>', 'only the cases of these numbers', readNumbers)
    .option('--family <F>', `only cases of this family: ${FUZZED.join(', ')}`, readFamily)
    .option('--jobs <N>', 'guests that run at a time', readNumber, 2)
    .option('--out <DIR>', 'folder of what was done and found; kernel-fuzz-SEED when left out')
    .option('--record', 'keep every case as a record that `cdmlab conform` reads')
    .option('--no-shrink', 'leave differences as long as they are')
    .option('--json', 'the outcomes as JSON, and nothing else')
    .action((options: FuzzOptions) => fuzz(io, options));
  addKernelOptions(command);
  describe(
    command,
    [
      'Compare random scenarios on random machines; shrink what differs and write it down.',
      'The same command goes on where it was stopped. Exit code 1: something differs.',
    ],
    `cdmlab kernel fuzz --cases 500 --seed 7 --jobs 2
     cdmlab kernel fuzz --seed 7 --only 123`,
  );
}

/** Options that the cases and their outcomes depend on, as the command has them. */
function sameCases(options: FuzzOptions): string {
  const words = [`--seed ${options.seed}`];
  if (options.family !== undefined) words.push(`--family ${options.family}`);
  if (options.design !== 'stock') words.push(`--design ${options.design}`);
  const texts = {
    kernel: options.kernel,
    append: options.append,
    'design-append': options.designAppend,
  };
  for (const [name, text] of Object.entries(texts)) {
    if (text !== undefined) words.push(`--${name} ${shellWord(text)}`);
  }
  return words.join(' ');
}

async function fuzz(io: Io, options: FuzzOptions): Promise<void> {
  const { design, append, tools } = readKernelOptions(options);
  const { maxNodes, family } = options;
  const target: FuzzTarget = { tools, design, append, maxNodes, family };
  const folder = new FuzzFolder(
    options.out ?? `kernel-fuzz-${options.seed}`,
    sameCases(options),
    (number) => fuzzId(options.seed, number),
  );
  const done = options.only === undefined ? folder.outcomes() : [];
  const plan = planBoots(options.only ?? options.cases, new Set(done.map((o) => o.number)), family);
  const outcomes = [...done.filter((o) => o.number < options.cases)];
  if (done.length > 0) io.err(`${count(outcomes.length, 'case')} done before, in ${folder.path}`);
  const started = performance.now();
  let kernel: string | undefined;
  const finish = (boot: FuzzBoot): void => {
    kernel ??= boot.kernel;
    outcomes.push(...boot.outcomes);
    if (options.record === true) folder.record(boot.records);
    if (options.only === undefined) folder.add(boot.outcomes);
    const nrDifferent = kernelVerdicts(outcomes).different;
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    io.err(`${seconds} s: ${count(outcomes.length, 'case')} done, ${nrDifferent} different`);
  };
  await eachAtATime(plan, options.jobs, async (numbers) => {
    finish(await fuzzBoot(options.seed, numbers, target));
  });
  outcomes.sort((a, b) => a.number - b.number);
  const different = outcomes.filter((o) => o.verdict === 'different');
  const files: string[] = [];
  if (options.shrink) {
    for (const { number } of different) {
      files.push(...(await shrunk(io, options, target, folder, number)));
    }
  }
  const notRun = outcomes.filter((o) => o.verdict === 'not run');
  if (notRun.length > 0) io.exitCode = EXIT_BAD_INPUT;
  if (different.length > 0) io.exitCode = EXIT_DIFFERS;
  if (options.json === true) {
    printJson(io, {
      seed: options.seed,
      design,
      kernel,
      ...kernelVerdicts(outcomes),
      files,
      outcomes,
    });
    return;
  }
  io.out(summary(options, outcomes, files));
}

function summary(
  options: FuzzOptions,
  outcomes: readonly FuzzOutcome[],
  files: readonly string[],
): string {
  const lines = outcomes
    .filter((o) => o.verdict !== 'equal')
    .map((o) =>
      [
        paragraph(`case ${o.number}: ${o.verdict}: ${o.words}`),
        `  again: cdmlab kernel fuzz ${sameCases(options)} --only ${o.number}`,
      ].join('\n'),
    );
  if (files.length > 0) lines.push(`written:\n${files.map((file) => `  ${file}`).join('\n')}`);
  const v = kernelVerdicts(outcomes);
  const rest = [
    v.notModelled > 0 ? `, ${v.notModelled} not modelled` : '',
    v.notRun > 0 ? `, ${v.notRun} not run` : '',
    v.second > 0 ? ` (${v.second} after a boot of their own)` : '',
  ].join('');
  lines.push(
    `seed ${options.seed}: ${count(outcomes.length, 'case')}, ${v.equal} equal, ` +
      `${v.different} different${rest}`,
  );
  return lines.join('\n');
}

/** Shrinks one difference and writes it down; the files written. */
async function shrunk(
  io: Io,
  options: FuzzOptions,
  target: FuzzTarget,
  folder: FuzzFolder,
  number: number,
): Promise<string[]> {
  const found = await shrinkCase(options.seed, number, target, (n) =>
    io.err(`case ${number}: ${count(n, 'operation')} left`),
  );
  if (found === undefined) {
    io.err(`case ${number}: not different in a boot of its own; left as it is`);
    return [];
  }
  const again = `cdmlab kernel fuzz ${sameCases(options)} --only ${number}`;
  const machine = folder.write(`${number}.machine.json`, machineToJson(found.machine));
  const name = `kernel-fuzz-${options.seed}-${number}`;
  const text = differenceText(found, { name, again, machine: `${number}.machine.json` });
  return [folder.write(`${number}.cdm`, text), machine];
}

/** Runs a task for each item, `jobs` at a time. */
async function eachAtATime<T>(
  items: readonly T[],
  jobs: number,
  run: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await run(item);
  };
  await Promise.all(Array.from({ length: Math.max(1, jobs) }, worker));
}
