// `cdmlab compare`: one scenario under several designs, as a table, a page or JSON.
import type { Command } from 'commander';
import { type CompareInput, compareDesigns } from '../../lab/compare.ts';
import type { Comparison, DesignOutcome, DevicePlacement, PageName } from '../../lab/comparison.ts';
import { loadScenario } from '../../lab/load_scenario.ts';
import type { Scenario } from '../../scenario/ops.ts';
import { EXIT_DIFFERS, type Io, printJson, writeWholeFile } from '../io.ts';
import { DEFAULT_SCENARIO, describe, designsOf, readParameter } from '../options.ts';
import { facts, formatTable, paragraph } from '../table.ts';
import {
  count,
  machineWords,
  parameterWords,
  sameRun,
  scenarioWords,
  shellWord,
  unjudgedNote,
} from '../words.ts';

interface CompareOptions {
  readonly machine?: string;
  readonly designs?: string;
  readonly report?: string;
  readonly param?: Record<string, string>;
  readonly json?: boolean;
}

/** Refusals and explanations shown per design. */
const MOST_REFUSALS = 5;
const MOST_HINTS = 3;

export function addCompare(program: Command, io: Io): void {
  const command = program
    .command('compare')
    .argument('[SCENARIO]', 'name of a shipped scenario, or a file', DEFAULT_SCENARIO)
    .option('--machine <M>', "preset or file; the scenario's own when left out")
    .option('--designs <a,b>', 'ids of designs; stock and those of the thread when left out')
    .option('--param <N=V>', 'value of a parameter of the scenario; may be repeated', readParameter)
    .option('--report <FILE.html>', 'also write the comparison as a page')
    .option('--json', 'the whole comparison as JSON, and nothing else')
    .action((name: string, options: CompareOptions) => compare(io, name, options));
  describe(
    command,
    [
      'Run one scenario under several designs and compare what they did.',
      'Who landed on device memory, asked or not; what was refused, spilled, moved; at what cost.',
    ],
    `cdmlab compare
     cdmlab compare unaware-app --designs stock,allocator-gate
     cdmlab compare my.cdm --machine gh200 --param SIZE=1GiB --report gh200.html`,
  );
}

async function compare(io: Io, name: string, options: CompareOptions): Promise<void> {
  const { scenario, machine, unjudged } = loadScenario(name, {
    machine: options.machine,
    parameters: options.param,
  });
  const designs = designsOf(options.designs);
  const onProgress: CompareInput['onProgress'] = (done, total, design) =>
    io.progress(`${design.id} done, ${done} of ${total}`);
  const comparison = compareDesigns({ scenario, machine, designs, onProgress });
  if (comparison.outcomes.some((o) => o.failedExpectations.length > 0)) io.exitCode = EXIT_DIFFERS;
  if (comparison.outcomes.some((o) => o.notModelled !== undefined)) io.exitCode = 2;
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
    outcomeTable(io, outcomes),
    'All counts are pages.',
    notAskedText(outcomes),
    refusalText(outcomes),
    failedText(io, outcomes),
    stoppedText(outcomes),
    hintText(comparison, scenario, name, options),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function outcomeTable(io: Io, outcomes: readonly DesignOutcome[]): string {
  const { bold, red, green } = io.colors;
  const isTimed = outcomes.some((o) => o.estimatedTimeNs !== undefined);
  const header = [
    '\ndesign',
    'on device:\nasked',
    '\nnot asked',
    'there at\nthe end',
    '\nspilled',
    '\nrefused',
    'moved to\ndevice',
    'moved off\ndevice',
    'zones per\nrequest',
    ...(isTimed ? ['estimated\ntime'] : []),
  ];
  const rows = outcomes.map((o) => [
    o.design,
    String(o.nrAsked),
    o.nrNotAsked > 0 ? red(String(o.nrNotAsked)) : green('0'),
    String(o.nrOnDeviceAtEnd),
    String(o.nrSpilled),
    String(o.refusals.length),
    String(o.nrMovedToDevice),
    String(o.nrMovedFromDevice),
    o.nrRequests === 0 ? '-' : (o.nrZonesLookedAt / o.nrRequests).toFixed(2),
    ...(isTimed ? [timeText(o.estimatedTimeNs)] : []),
  ]);
  const right = header.map((_, i) => i).slice(1);
  return formatTable(header, rows, { right, flex: 0, head: bold });
}

const timeText = (timeNs: number | undefined): string =>
  timeNs === undefined ? '-' : `${(timeNs / 1e6).toFixed(2)} ms`;

const PURPOSE_WORDS: Readonly<Record<DevicePlacement['purpose'], string>> = {
  'page fault': 'page faults',
  'copy on write': 'copies on write',
  'shared page': 'pages of shared objects',
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
};

function notAskedText(outcomes: readonly DesignOutcome[]): string {
  const leaking = outcomes.filter((o) => o.nrNotAsked > 0);
  if (leaking.length === 0) return 'No page is on a device that nobody asked for.';
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

function refusalText(outcomes: readonly DesignOutcome[]): string {
  const rows = outcomes.flatMap((o) => {
    const shown = o.refusals
      .slice(0, MOST_REFUSALS)
      .map((r, i) => [
        i === 0 ? o.design : '',
        `step ${r.step + 1}`,
        `${r.text} -> ${r.ret}${r.page === undefined ? '' : ` at page ${r.page.index}`}`,
      ]);
    const more = o.refusals.length - shown.length;
    if (more > 0) shown.push(['', '', `and ${more} more`]);
    const dead = o.nrAfterDeath ?? 0;
    if (dead > 0) {
      const words = `${count(dead, 'operation')} of tasks that had died by then`;
      shown.push([shown.length === 0 ? o.design : '', '', words]);
    }
    return shown;
  });
  if (rows.length === 0) return '';
  return `Refused, or not survived:\n${formatTable(['', '', ''], rows, { indent: '  ' })}`;
}

function failedText(io: Io, outcomes: readonly DesignOutcome[]): string {
  const rows = outcomes.flatMap((o) =>
    o.failedExpectations.map((f) => [io.colors.red(o.design), `step ${f.step + 1}`, f.text]),
  );
  if (rows.length === 0) return '';
  const head = `${count(rows.length, 'expectation')} of the scenario failed:`;
  return `${head}\n${formatTable(['', '', ''], rows, { indent: '  ' })}`;
}

function stoppedText(outcomes: readonly DesignOutcome[]): string {
  return outcomes
    .filter((o) => o.notModelled !== undefined)
    .map((o) =>
      paragraph(`${o.design} stopped after step ${o.steps.length}. Not modelled: ${o.notModelled}`),
    )
    .join('\n');
}

interface Hint extends PageName {
  readonly step: number;
  /** The design that shows it. */
  readonly design: string;
}

/** Commands that explain what stands out: pages that came to a device, then pages refused. */
function hintText(
  comparison: Comparison,
  scenario: Scenario,
  name: string,
  options: CompareOptions,
): string {
  const { outcomes } = comparison;
  const shown = outcomes.flatMap((o) =>
    (o.examples ?? []).map((e) => ({ ...e, design: o.design })),
  );
  const isLeaking = new Set(outcomes.filter((o) => o.nrNotAsked > 0).map((o) => o.design));
  const refused = outcomes.flatMap((o) =>
    o.refusals.flatMap((r) =>
      r.page === undefined ? [] : [{ ...r.page, step: r.step, design: o.design }],
    ),
  );
  const leaked = shown.filter((hint) => isLeaking.has(hint.design));
  const told = new Map<string, string>();
  for (const hint of [...leaked.slice(0, 1), ...refused, ...shown]) {
    const key = `${hint.task} ${hint.region} ${hint.step}`;
    if (told.size < MOST_HINTS && !told.has(key)) {
      told.set(key, `  cdmlab explain ${shellWord(name)}${hintOptions(hint, outcomes, scenario)}`);
    }
  }
  return told.size === 0
    ? ''
    : `Ask why:\n${[...told.values()].map((line) => line + sameRun(options)).join('\n')}`;
}

/** The design that shows it beside one that does not, as far as there is one. */
function hintOptions(hint: Hint, outcomes: readonly DesignOutcome[], scenario: Scenario): string {
  const isAlike = (o: DesignOutcome): boolean =>
    [...o.refusals, ...(o.examples ?? [])].some((at) => at.step === hint.step);
  const others = outcomes.filter((o) => o.design !== hint.design);
  const other = others.find((o) => !isAlike(o)) ?? others[0];
  const designs = outcomes
    .map((o) => o.design)
    .filter((id) => id === hint.design || id === other?.design);
  const isOnly =
    new Set(
      scenario.ops.flatMap(({ act }) =>
        act.on === 'task' && act.act.verb === 'mmap' && act.act.region === hint.region
          ? [act.task]
          : [],
      ),
    ).size === 1;
  const task = isOnly ? '' : ` --task ${hint.task}`;
  return (
    ` --page ${hint.region}:${hint.index}${task} --at ${hint.step + 1}` +
    ` --design${designs.length > 1 ? 's' : ''} ${designs.join(',')}`
  );
}
