// `cdmlab run`: one scenario under one design, step by step.
import type { Command } from 'commander';
import { NotModelled } from '../../base/assert.ts';
import { findDesign } from '../../designs/index.ts';
import type { Design } from '../../hooks/design.ts';
import type { Uevent } from '../../kernel/uevents.ts';
import { summarizeMachine } from '../../lab/compare.ts';
import { type Estimate, EstimateSum, estimateStep } from '../../lab/cost/estimate.ts';
import { figuresOf, refuseUnknownNodes } from '../../lab/cost/figures.ts';
import { readCosts } from '../../lab/cost/read_costs.ts';
import { TrafficMeter } from '../../lab/cost/traffic.ts';
import { deathWords, isToldByResult } from '../../lab/deaths.ts';
import { type LoadedScenario, loadScenario } from '../../lab/load_scenario.ts';
import { type RegionPlacement, Session, type Step } from '../../lab/session.ts';
import { printAct } from '../../scenario/print.ts';
import { COST_OPTION, collectCost, estimateText, timeText } from '../estimate_text.ts';
import { EXIT_BAD_INPUT, EXIT_DIFFERS, type Io, printJson } from '../io.ts';
import { describe, readParameter } from '../options.ts';
import {
  addShowOptions,
  exportedWords,
  noSuchStep,
  type Shown,
  type ShowOptions,
  showFiles,
  shownText,
} from '../show_files.ts';
import { facts, formatTable, MAX_COLUMNS, type Row, wrap } from '../table.ts';
import { warnOfScenario } from '../warnings.ts';
import {
  count,
  machineWords,
  parameterWords,
  resultWords,
  sameRun,
  scenarioWords,
  shellWord,
  unjudgedNote,
} from '../words.ts';

interface RunOptions extends ShowOptions {
  readonly design: string;
  readonly machine?: string;
  readonly param?: Record<string, string>;
  readonly cost?: readonly string[];
  readonly json?: boolean;
}

export function addRun(program: Command, io: Io): void {
  const command = program
    .command('run')
    .argument('<SCENARIO>', 'name of a shipped scenario, or a file')
    .option('--design <D>', 'id of a design', 'stock')
    .option('--machine <M>', "preset or file; the scenario's own when left out")
    .option('--param <N=V>', 'value of a parameter of the scenario; may be repeated', readParameter)
    .option(...COST_OPTION, collectCost)
    .option('--json', 'steps with whole results as JSON, and nothing else')
    .action((name: string, options: RunOptions) => run(io, name, options));
  addShowOptions(command);
  describe(
    command,
    [
      'Run one scenario under one design and show every step.',
      'Result, where pages are now, and expectations of the scenario that do not hold.',
    ],
    `cdmlab run bind-device --design zonelist
     cdmlab run random-mix --param SEED=8 --param OPS=50`,
  );
}

interface Ran {
  readonly steps: readonly Step[];
  readonly notModelled: string | undefined;
  readonly stateHash: string;
  readonly estimate: Estimate;
  /** What the kernel told user space of memory that came and went. */
  readonly uevents: readonly Uevent[];
  /** Files of /proc and /sys that were asked for. */
  readonly shown: Shown;
}

function runAll(
  io: Io,
  { scenario, machine }: LoadedScenario,
  design: Design,
  options: RunOptions,
): Ran {
  const onStep = (done: number, total: number) => io.progress(`step ${done} of ${total}`);
  const session = new Session({ machine, design, scenario, onStep });
  const costs = readCosts(options.cost ?? []);
  refuseUnknownNodes(costs, [machine]);
  const figures = figuresOf(machine).with(costs);
  const meter = new TrafficMeter(session);
  const time = new EstimateSum();
  const steps: Step[] = [];
  let notModelled: string | undefined;
  let shown: Shown | undefined;
  try {
    for (let step = session.step(); step !== undefined; step = session.step()) {
      steps.push(step);
      time.add(estimateStep(meter.after(step), figures));
      if (steps.length === options.at) shown = showFiles(session, options);
    }
  } catch (error) {
    if (!(error instanceof NotModelled)) throw error;
    notModelled = error.format();
  }
  if (options.at !== undefined && shown === undefined) throw noSuchStep(options.at, steps.length);
  shown ??= showFiles(session, options);
  const { uevents } = session.kernel;
  const stateHash = session.hash();
  return { steps, notModelled, stateHash, estimate: time.estimate, uevents, shown };
}

function run(io: Io, name: string, options: RunOptions): void {
  const design = findDesign(options.design);
  const loaded = loadScenario(name, { machine: options.machine, parameters: options.param });
  if (options.json !== true) warnOfScenario(io, loaded);
  const ran = runAll(io, loaded, design, options);
  if (options.json === true) printJson(io, jsonOf(loaded, design, ran));
  else io.out(runText(io, name, options, loaded, design, ran) + unjudgedNote(loaded.unjudged));
  if (options.json !== true && ran.shown.files.size > 0) io.out(`\n${shownText(ran.shown)}`);
  if (options.export !== undefined) io.err(exportedWords(ran.shown, options.export));
  if (ran.steps.some((step) => step.failed.length > 0)) io.exitCode = EXIT_DIFFERS;
  if (ran.notModelled !== undefined) {
    io.err(`not modelled: ${ran.notModelled}`);
    io.exitCode = EXIT_BAD_INPUT;
  }
}

function jsonOf(
  { scenario, machine, unjudged }: LoadedScenario,
  design: Design,
  ran: Ran,
): unknown {
  return {
    scenario: { name: scenario.name, title: scenario.title, source: scenario.source },
    parameters: scenario.parameters,
    machine: summarizeMachine(machine),
    design: design.id,
    steps: ran.steps.map((step) => ({
      index: step.index,
      text: printAct(step.op.act),
      result: step.result,
      ...(step.deaths.length === 0 ? {} : { deaths: step.deaths }),
      failed: step.failed,
      changed: step.changed.map((row) => ({ ...row, byNode: Object.fromEntries(row.byNode) })),
    })),
    ...(unjudged === undefined ? {} : { unjudged }),
    ...(ran.notModelled === undefined ? {} : { notModelled: ran.notModelled }),
    estimate: ran.estimate,
    uevents: ran.uevents,
    stateHash: ran.stateHash,
    ...(ran.shown.files.size === 0 ? {} : { files: Object.fromEntries(ran.shown.files) }),
  };
}

function runText(
  io: Io,
  name: string,
  options: RunOptions,
  { scenario, machine }: LoadedScenario,
  design: Design,
  ran: Ran,
): string {
  const params = parameterWords(scenario.parameters);
  const replay = `cdmlab run ${shellWord(name)} --design ${design.id}${sameRun(options)}`;
  const head = facts([
    ['scenario', scenarioWords(scenario)],
    ['machine', machineWords(summarizeMachine(machine))],
    ['design', `${design.id}: ${design.title}`],
    ...(params === undefined ? [] : [['parameters', params] as const]),
    ['again', replay],
  ]);
  const nrExpected = scenario.ops
    .slice(0, ran.steps.length)
    .flatMap((op) => op.expect)
    .filter((e) => e.design === undefined || e.design === design.id).length;
  const nrFailed = ran.steps.reduce((n, step) => n + step.failed.length, 0);
  const verdict = `${count(nrExpected - nrFailed, 'expectation')} met, ${nrFailed} failed`;
  const { green, red } = io.colors;
  return [
    head,
    stepTable(io, ran.steps),
    `${(nrFailed === 0 ? green : red)(verdict)}; state hash ${ran.stateHash}`,
    ...estimateLines(ran.estimate),
  ].join('\n\n');
}

/** The estimated time, or why there is none; nothing for a run that moved nothing. */
function estimateLines(estimate: Estimate): string[] {
  const text = estimateText([estimate]);
  if (text === '') return [];
  const { timeNs } = estimate;
  return timeNs === undefined ? [text] : [`Estimated time: ${timeText(timeNs)}\n${text}`];
}

function stepTable(io: Io, steps: readonly Step[]): string {
  const { bold, red } = io.colors;
  const rows = steps.flatMap((step): Row[] => {
    const [first = '', ...rest] = resultWords(step.result).split('\n');
    const deaths = step.deaths.filter((death) => !isToldByResult(death, step.op.act));
    return [
      [
        String(step.index + 1),
        printAct(step.op.act),
        first,
        step.changed.map(placementWords).join('; '),
      ],
      ...rest.map((line) => below('', line)),
      ...deaths.map((death) => below(red('!'), red(`${deathWords(death)}${lineWords(step)}`))),
      ...step.failed.map((f) => below(red('x'), red(`expected ${f.expected}, found ${f.found}`))),
    ];
  });
  return formatTable(['step', 'operation', 'result', 'pages now, by node'], rows, {
    right: [0],
    flex: [1, 2, 3],
    breaksWords: true,
    head: bold,
  });
}

/** A line of its own below a step, with what marks it. */
const below = (mark: string, text: string): string =>
  wrap(asWide(text, MAX_COLUMNS - 6), MAX_COLUMNS - 6, true)
    .map((line, i) => (i === 0 && mark !== '' ? `   ${mark}  ${line}` : `      ${line}`))
    .join('\n');

/** A line of a table in a file of /proc, with fewer blanks where it would not fit. */
const asWide = (text: string, columns: number): string =>
  text.length > columns ? text.replaceAll(/ {2,}/g, ' ') : text;

const lineWords = ({ op }: Step): string =>
  op.place?.line === undefined ? '' : ` in line ${op.place.line}`;

/** `buf 0:64 2:32`. */
function placementWords({ task, region, byNode }: RegionPlacement): string {
  const nodes = [...byNode].sort(([a], [b]) => a - b).map(([nid, n]) => `${nid}:${n}`);
  return `${task} ${region} ${nodes.join(' ') || 'none'}`;
}
