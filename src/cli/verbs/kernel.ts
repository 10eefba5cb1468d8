// `cdmlab kernel`: the same scenarios on a real Linux under QEMU, beside the model.
import type { Command } from 'commander';
import { doctorRows } from '../../guest/host.ts';
import type { KernelExplanation } from '../../lab/kernel_explain.ts';
import { type KernelRun, type KernelStep, kernelRun } from '../../lab/kernel_run.ts';
import { loadScenario } from '../../lab/load_scenario.ts';
import { kernelLines } from '../../scenario/print.ts';
import { EXIT_BAD_INPUT, EXIT_DIFFERS, type Io, printJson } from '../io.ts';
import { addKernelOptions, type KernelOptions, readKernelOptions } from '../kernel_options.ts';
import { describe, readParameter, readSize } from '../options.ts';
import { facts, formatTable, paragraph } from '../table.ts';
import { count, parameterWords, resultWords, scenarioWords } from '../words.ts';
import { explanationText } from './explain.ts';
import { addKernelFuzz } from './kernel_fuzz.ts';

export function addKernel(program: Command, io: Io): void {
  const kernel = program.command('kernel');
  describe(
    kernel,
    [
      'Run scenarios on a real Linux under QEMU, and compare with the model.',
      'Start with `cdmlab kernel doctor`: it says what is missing and how to get it.',
    ],
    `cdmlab kernel doctor
     cdmlab kernel run bind-device
     cdmlab kernel fuzz --cases 100 --seed 1`,
  );
  addKernelRun(kernel, io);
  addKernelFuzz(kernel, io);
  addDoctor(kernel, io);
}

interface RunOptions extends KernelOptions {
  readonly machine?: string;
  readonly param?: Record<string, string>;
  readonly nodeMemory?: number;
  readonly keep?: boolean;
  readonly json?: boolean;
}

const MIB = 1024 * 1024;

function addKernelRun(kernel: Command, io: Io): void {
  const command = kernel
    .command('run')
    .argument('<SCENARIO>', 'name of a shipped scenario, or a file')
    .option('--machine <M>', "preset or file; the scenario's own when left out")
    .option('--param <N=V>', 'value of a parameter of the scenario; may be repeated', readParameter)
    .option('--node-memory <SIZE>', 'memory of every node that has any', readSize)
    .option('--keep', 'keep the initial file system, command line and serial log; say where')
    .option('--json', 'steps with both results as JSON, and nothing else')
    .action((name: string, options: RunOptions) => run(io, name, options));
  addKernelOptions(command);
  describe(
    command,
    [
      'Boot a kernel on the machine, run the scenario there and in the model, side by side.',
      'Exit code 0: equal; 1: different; 2: bad input, or something is missing.',
    ],
    `cdmlab kernel run home-node
     cdmlab kernel run bind-device --kernel bzImage --design zonelist --design-append 'cdm={device}'`,
  );
}

async function run(io: Io, name: string, options: RunOptions): Promise<void> {
  const { scenario, machine } = loadScenario(name, {
    machine: options.machine,
    parameters: options.param,
  });
  kernelLines(scenario); // Refuses operations of a device before it asks for tools.
  const { design, append, tools } = readKernelOptions(options);
  const nodeMiB = options.nodeMemory === undefined ? undefined : options.nodeMemory / MIB;
  const { keep: keeps, maxNodes } = options;
  const ran = await kernelRun({
    scenario,
    machine,
    design,
    tools,
    append,
    nodeMiB,
    maxNodes,
    keeps,
  });
  if (ran.verdict === 'different') io.exitCode = EXIT_DIFFERS;
  if (ran.verdict === 'not modelled' || ran.verdict === 'not run') io.exitCode = EXIT_BAD_INPUT;
  if (options.json === true) {
    const { guest, record, ...rest } = ran;
    const { nodeOf: _, cpuOf: __, ...shown } = guest;
    printJson(io, { scenario: scenario.name, design, machine: shown, ...rest, record });
    return;
  }
  const params = parameterWords(scenario.parameters);
  const head = facts([
    ['scenario', scenarioWords(scenario)],
    ['machine', guestWords(ran)],
    ['kernel', `${ran.kernel ?? 'did not start'} (${tools.kernel}), ${tools.accel.toUpperCase()}`],
    ['design', design],
    ...(params === undefined ? [] : [['parameters', params] as const]),
  ]);
  const parts = [
    head,
    ran.guest.changes.map((text) => paragraph(text)).join('\n'),
    stepTable(io, ran),
    verdictText(io, ran),
    ran.folder === undefined
      ? ''
      : `kept in ${ran.folder}: command, initramfs.cpio, ops, serial.log`,
  ];
  io.out(parts.filter((part) => part !== '').join('\n\n'));
}

/** `thread: node 0 CPU 0, 256 MiB; node 2 256 MiB Movable, device`. */
function guestWords({ guest }: KernelRun): string {
  const nodes = guest.nodes.map((node) => {
    const cpus = node.cpus.length === 0 ? '' : ` CPU ${node.cpus.join(',')}`;
    const zone = node.zone === 'movable' ? ' Movable' : '';
    const memory = node.memoryMiB === 0 ? 'no memory' : `${node.memoryMiB} MiB${zone}`;
    return `node ${node.id}${cpus} ${memory}${node.cdm ? ' device' : ''}`;
  });
  return `${guest.name}: ${nodes.join('; ')}`;
}

/** Steps after the difference that are shown. */
const STEPS_AFTER = 2;

function stepTable(io: Io, ran: KernelRun): string {
  const last = ran.step === undefined ? ran.steps.length : ran.step + 1 + STEPS_AFTER;
  const rows = ran.steps.slice(0, last).map((step) => {
    const isFirst = step.index === ran.step;
    const mark = isFirst ? io.colors.red('x') : '';
    return [String(step.index + 1), step.text, ...cellsOf(step), mark];
  });
  return formatTable(['step', 'operation', 'model', 'kernel', ''], rows, {
    right: [0],
    flex: [1, 2, 3],
    breaksWords: true,
    head: io.colors.bold,
  });
}

/** Both results; `same` where they read alike. */
function cellsOf({ model, kernel }: KernelStep): [string, string] {
  const ours = model === undefined ? '' : resultWords(model);
  const theirs = kernel === undefined ? '' : resultWords(kernel);
  return [ours, ours === theirs && ours !== '' ? 'same' : theirs];
}

function verdictText(io: Io, ran: KernelRun): string {
  const { green, red } = io.colors;
  const seconds = `${(ran.durationMs / 1000).toFixed(1)} s`;
  switch (ran.verdict) {
    case 'equal':
      return green(
        `equal: ${count(ran.steps.length, 'result')} of the kernel and the model (${seconds})`,
      );
    case 'different':
      return [red(paragraph(`different: ${ran.words}`)), explainText(io, ran.explanation)]
        .filter((part) => part !== '')
        .join('\n\n');
    case 'not modelled':
      return `not modelled: ${ran.words}`;
    default:
      return red(paragraph(`not run: ${ran.words}`));
  }
}

/** The model's side of a difference. */
export function explainText(io: Io, explanation: KernelExplanation | undefined): string {
  if (explanation === undefined) return '';
  const parts: string[] = [];
  if (explanation.state.length > 0) {
    const rows = explanation.state.map(([what, result]) => [what, resultWords(result)]);
    parts.push(`In the model, before the step:\n${formatTable(['', ''], rows, { indent: '  ' })}`);
  }
  if (explanation.page !== undefined) {
    const { page } = explanation;
    parts.push(`Page ${page.index} of ${page.region}, in the model:`);
    parts.push(explanationText(io, page));
  }
  return parts.join('\n\n');
}

function addDoctor(kernel: Command, io: Io): void {
  const command = kernel
    .command('doctor')
    .option('--kernel <FILE>', "a kernel image of your own; Debian's when left out")
    .option('--json', 'as JSON, and nothing else')
    .action((options: { kernel?: string; json?: boolean }) => doctor(io, options));
  describe(
    command,
    [
      'Say what a guest needs, what of it is there, and the commands that bring the rest.',
      'Exit code 0: all is there; 1: something is missing.',
    ],
    'cdmlab kernel doctor',
  );
}

function doctor(io: Io, options: { kernel?: string; json?: boolean }): void {
  const rows = doctorRows(options.kernel);
  const missing = rows.filter((row) => row.found === undefined && row.isOptional !== true);
  if (missing.length > 0) io.exitCode = EXIT_DIFFERS;
  if (options.json === true) {
    printJson(io, { isReady: missing.length === 0, tools: rows });
    return;
  }
  const { green, red } = io.colors;
  const table = formatTable(
    ['needed', '', 'where'],
    rows.map((row) => [
      row.what,
      row.found !== undefined ? green('found') : row.isOptional === true ? 'no' : red('missing'),
      row.found ?? (row.isOptional === true ? row.install.join(' ') : ''),
    ]),
    { head: io.colors.bold },
  );
  const parts = [table];
  if (missing.length > 0) {
    const commands = missing.flatMap((row) => row.install.map((line) => `  ${line}`));
    parts.push(`Debian gets it with:\n${commands.join('\n')}`);
  } else parts.push('all is there: cdmlab kernel run bind-device');
  io.out(parts.join('\n\n'));
}
