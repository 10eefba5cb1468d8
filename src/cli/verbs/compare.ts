// `cdmlab compare`: one scenario under several designs, as a table, a page or JSON.
import type { Command } from 'commander';
import { UserError } from '../../base/assert.ts';
import { alike } from '../../lab/alike.ts';
import { type CompareInput, compareDesigns } from '../../lab/compare.ts';
import type { Comparison, DesignOutcome, DevicePlacement } from '../../lab/comparison.ts';
import { refuseUnknownNodes } from '../../lab/cost/figures.ts';
import { readCosts } from '../../lab/cost/read_costs.ts';
import { deathWords, FATAL } from '../../lab/deaths.ts';
import { loadScenario } from '../../lab/load_scenario.ts';
import type { Scenario } from '../../scenario/ops.ts';
import { COST_OPTION, collectCost, estimateText } from '../estimate_text.ts';
import { hintText } from '../hints.ts';
import { EXIT_BAD_INPUT, EXIT_DIFFERS, type Io, printJson, writeWholeFile } from '../io.ts';
import { DEFAULT_SCENARIO, DESIGN_SETS, describe, designsOf, readParameter } from '../options.ts';
import { outcomeTable } from '../outcome_table.ts';
import { storyText } from '../story_text.ts';
import { facts, formatTable, paragraph } from '../table.ts';
import { warnOfScenario } from '../warnings.ts';
import { count, machineWords, parameterWords, scenarioWords, unjudgedNote } from '../words.ts';
import { type CompareAllOptions, compareAll } from './compare_all.ts';
import { explanationText } from './explain.ts';

interface CompareOptions extends CompareAllOptions {
  readonly all?: boolean;
  readonly machine?: string;
  readonly report?: string;
  readonly param?: Record<string, string>;
}

/** Refusals and deaths shown per design. */
const MOST_REFUSALS = 5;

export function addCompare(program: Command, io: Io): void {
  const command = program
    .command('compare')
    .argument('[SCENARIO]', 'name of a shipped scenario, or a file', DEFAULT_SCENARIO)
    .option('--machine <M>', "preset or file; the scenario's own when left out")
    .option('--designs <a,b>', `ids of designs; ${DESIGN_SETS}; all when left out`)
    .option('--all', 'every shipped scenario under the ten designs, as a matrix')
    .option('--only <a,b>', 'with --all: these scenarios')
    .option('--out <DIR|FILE>', 'with --all: write the matrix as a page, or a folder of pages')
    .option('--param <N=V>', 'value of a parameter of the scenario; may be repeated', readParameter)
    .option(...COST_OPTION, collectCost)
    .option('--report <FILE.html>', 'also write the comparison as a page')
    .option('--json', 'the whole comparison as JSON, and nothing else')
    .action((name: string, options: CompareOptions, { args }: Command) =>
      compare(io, name, options, args.length > 0),
    );
  describe(
    command,
    [
      'Run one scenario under several designs and compare what they did.',
      'Who landed on device memory, asked or not; what was refused, spilled, moved; at what cost.',
    ],
    `cdmlab compare
     cdmlab compare unaware-app --designs stock,allocator-gate
     cdmlab compare mixed-mask --designs thread
     cdmlab compare --all --out matrix.html
     cdmlab compare my.cdm --machine gh200 --param SIZE=1GiB --report gh200.html`,
  );
}

async function compare(
  io: Io,
  name: string,
  options: CompareOptions,
  isNamed: boolean,
): Promise<void> {
  if (options.all === true) {
    if (isNamed) throw new UserError('--all is every scenario; --only chooses among them');
    const alone = (['machine', 'param', 'report'] as const).find((o) => options[o] !== undefined);
    if (alone !== undefined) throw new UserError(`--${alone} does not go with --all`);
    const { renderReport } = await import('../../web/report.ts');
    const { renderMatrix } = await import('../../web/matrix_page.ts');
    compareAll(io, options, { matrix: renderMatrix, comparison: renderReport });
    return;
  }
  const matrixOnly = (['only', 'out'] as const).find((o) => options[o] !== undefined);
  if (matrixOnly !== undefined) throw new UserError(`--${matrixOnly} goes with --all only`);
  const loaded = loadScenario(name, { machine: options.machine, parameters: options.param });
  const { scenario, machine, claim, unjudged } = loaded;
  if (options.json !== true) warnOfScenario(io, loaded);
  const designs = designsOf(options.designs);
  const onProgress: CompareInput['onProgress'] = (done, total, design) =>
    io.progress(`${design.id} done, ${done} of ${total}`);
  const onStep: CompareInput['onStep'] = (done, total, design) =>
    io.progress(`${design.id}: step ${done} of ${total}`);
  const costs = readCosts(options.cost ?? []);
  refuseUnknownNodes(costs, [machine]);
  const comparison = compareDesigns({
    scenario,
    machine,
    designs,
    claim,
    costs,
    onProgress,
    onStep,
  });
  if (comparison.outcomes.some((o) => o.failedExpectations.length > 0)) io.exitCode = EXIT_DIFFERS;
  if (comparison.outcomes.some((o) => o.notModelled !== undefined)) io.exitCode = EXIT_BAD_INPUT;
  if (options.report !== undefined) {
    const { renderReport } = await import('../../web/report.ts');
    writeWholeFile(options.report, renderReport(comparison));
  }
  if (options.json === true) {
    printJson(io, unjudged === undefined ? comparison : { ...comparison, unjudged });
    return;
  }
  io.out(comparisonText(io, comparison, scenario, name, options) + unjudgedNote(unjudged));
  if (options.report !== undefined) io.out(`\nThe page is ${options.report}`);
}

function comparisonText(
  io: Io,
  comparison: Comparison,
  scenario: Scenario,
  name: string,
  options: CompareOptions,
): string {
  const { machine, outcomes } = comparison;
  const params = parameterWords(comparison.parameters);
  const head = facts([
    ['scenario', scenarioWords(scenario)],
    ...(scenario.source === '' ? [] : [['source', scenario.source] as const]),
    ['machine', machineWords(machine)],
    ...(params === undefined ? [] : [['parameters', params] as const]),
  ]);
  const parts = [
    head,
    stoppedText(io, outcomes, scenario.ops.length),
    outcomeTable(io, comparison),
    'All counts are pages.',
    notAskedText(outcomes),
    windowText(outcomes),
    refusalText(outcomes),
    storyText(comparison),
    failedText(io, outcomes),
    claimText(io, comparison),
    estimateText(outcomes.map((o) => o.estimate)),
    hintText(comparison, scenario, name, options),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

/** What the run shows of a claim; and where it contradicts it, the decision that says why. */
function claimText(io: Io, { claim }: Comparison): string {
  if (claim === undefined) return '';
  const head = facts([
    ['claim', claim.claim],
    ['verdict', `it ${claim.verdict}`],
  ]);
  if (!claim.isContradicted) return head;
  return [head, ...claim.explanations.map((e) => explanationText(io, e))].join('\n\n');
}

const PURPOSE_WORDS: Readonly<Record<DevicePlacement['purpose'], string>> = {
  'device buffer': 'pages of device buffers',
  'page fault': 'page faults',
  'copy on write': 'copies on write',
  'shared page': 'pages of shared objects',
  'page cache': 'pages of files in memory',
  'swap in': 'pages back from swap',
  'page table': 'page tables',
  'kernel page': 'pages of the kernel',
  'migration target': 'targets of moves',
  'huge page pool': 'pages of huge page pools',
};

const ORIGIN_WORDS: Readonly<Record<DevicePlacement['from'], string>> = {
  default: 'under the default policy',
  task: "under the task's policy",
  area: "under the area's policy",
  'shared object': "under the shared object's policy",
  'node named': 'for a named node',
  cpuset: 'that follow a cpuset',
  'memory offline': 'driven off memory that went offline',
  'contiguous range': 'driven off memory that became a page of 1 GiB',
  'long-term pin': 'moved before a driver pinned them',
  'numa balancing': 'that NUMA balancing moved',
  demotion: 'demoted to a lower tier',
};

function notAskedText(outcomes: readonly DesignOutcome[]): string {
  const leaking = outcomes.filter((o) => o.nrNotAsked > 0);
  if (leaking.length === 0) {
    return outcomes.some((o) => o.notModelled !== undefined)
      ? 'Up to there, no page is on a device that nobody asked for.'
      : 'No page is on a device that nobody asked for.';
  }
  const lines = leaking.map((o) => {
    const kinds = o.onDevice
      .filter((row) => !row.isAsked)
      .map(
        (row) =>
          `${row.nrPages} ${PURPOSE_WORDS[row.purpose]} ${ORIGIN_WORDS[row.from]} ` +
          `on node ${row.nid}`,
      );
    return [o.design, kinds.join('; ')];
  });
  return `On a device without being asked for:\n${formatTable(['', ''], lines, { indent: '  ' })}`;
}

/** What came to a device before an agent had answered, which the counts above hold too. */
function windowText(outcomes: readonly DesignOutcome[]): string {
  const rows = outcomes.flatMap((o) =>
    (o.windows ?? []).map((w) => [
      o.design,
      `${count(w.nrPages, 'page')} in ${count(w.nrOps, 'operation')} before the agent's answer`,
    ]),
  );
  if (rows.length === 0) return '';
  const head = 'Of these in a window of hot-add:';
  return `${head}\n${formatTable(['', ''], rows, { indent: '  ' })}`;
}

/** What was refused and who died, in order; where there is too much, what was fatal stays. */
function refusalText(outcomes: readonly DesignOutcome[]): string {
  const groups = alike(outcomes, refusalsOf).filter(({ told }) => told.length > 0);
  if (groups.length === 0) return '';
  const parts = groups.flatMap(({ designs, told }) => [
    paragraph(designs.join(', '), '  '),
    formatTable(['', ''], told, { indent: '    ', breaksWords: true }),
  ]);
  return `Refused, or not survived:\n${parts.join('\n')}`;
}

/** Step and words of what was refused. */
function refusalsOf(o: DesignOutcome): string[][] {
  const told = [
    ...(o.deaths ?? []).map((d) => ({
      step: d.step,
      isFatal: true,
      text: `${d.text}${d.line === undefined ? '' : ` (line ${d.line})`}: ${deathWords(d)}`,
    })),
    ...o.refusals.map((r) => ({
      step: r.step,
      isFatal: FATAL.has(r.ret),
      text: `${r.text} -> ${r.ret}${r.page === undefined ? '' : ` at page ${r.page.index}`}`,
    })),
  ];
  const weighed = [...told.filter((t) => t.isFatal), ...told.filter((t) => !t.isFatal)];
  const shown = weighed
    .slice(0, MOST_REFUSALS)
    .sort((a, b) => a.step - b.step)
    .map(({ step, text }) => [`step ${step + 1}`, text]);
  const more = told.length - shown.length;
  if (more > 0) shown.push(['', `and ${more} more`]);
  const dead = o.nrAfterDeath ?? 0;
  const isPanic = o.refusals.some(({ ret }) => ret === 'PANIC');
  const after = isPanic
    ? 'after the panic, or of tasks that had died'
    : 'of tasks that had died by then';
  if (dead > 0) shown.push(['', `${count(dead, 'operation')} ${after}`]);
  return shown;
}

function failedText(io: Io, outcomes: readonly DesignOutcome[]): string {
  const rows = outcomes.flatMap((o) =>
    o.failedExpectations.map((f) => [io.colors.red(o.design), `step ${f.step + 1}`, f.text]),
  );
  if (rows.length === 0) return '';
  const head = `${count(rows.length, 'expectation')} of the scenario failed:`;
  return `${head}\n${formatTable(['', '', ''], rows, { indent: '  ' })}`;
}

/** Runs that ended before the scenario did: all that follows is of the steps before. */
function stoppedText(io: Io, outcomes: readonly DesignOutcome[], nrSteps: number): string {
  const stopped = outcomes.filter((o) => o.notModelled !== undefined);
  if (stopped.length === 0) return '';
  const reasons = [...new Set(stopped.map((o) => o.notModelled))].map((why) => {
    const who = stopped.filter((o) => o.notModelled === why);
    const steps = new Set(who.map((o) => o.steps.length));
    const names = who.length === outcomes.length ? 'every design' : who.map((o) => o.design).join();
    const after = `${names} after ${[...steps].join(' or ')} of ${nrSteps} steps`;
    return paragraph(`${after}. Not modelled: ${why}`, '  ');
  });
  const head = io.colors.red('Did not run to the end, so this compares the steps before:');
  return [head, ...reasons].join('\n');
}
