// `cdmlab explain`: why one page is where it is, or why it is nowhere.
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { UserError } from '../../base/assert.ts';
import { findDesign } from '../../designs/index.ts';
import type { Design } from '../../hooks/design.ts';
import { alike } from '../../lab/alike.ts';
import { summarizeMachine } from '../../lab/compare.ts';
import { type Explanation, explainPage } from '../../lab/explain.ts';
import type { ExplainedRequest } from '../../lab/explain_request.ts';
import type { ExplainedAttempt } from '../../lab/explain_walk.ts';
import { loadScenario } from '../../lab/load_scenario.ts';
import { type Io, printJson } from '../io.ts';
import { DESIGN_SETS, describe, designsOf, readNumber, readParameter } from '../options.ts';
import { facts, formatTable, MAX_COLUMNS, paragraph, wrap } from '../table.ts';
import { idList, machineWords, scenarioWords } from '../words.ts';

interface PageOption {
  readonly region: string;
  readonly index: number;
}

interface ExplainOptions {
  readonly page: PageOption;
  readonly design?: string;
  readonly designs?: string;
  readonly task?: string;
  readonly at?: number;
  readonly machine?: string;
  readonly param?: Record<string, string>;
  readonly json?: boolean;
}

function readPage(text: string): PageOption {
  const match = /^([A-Za-z][A-Za-z0-9_]*):(\d{1,9})$/.exec(text);
  if (match === null) throw new InvalidArgumentError('expected REGION:INDEX, for example buf:0.');
  return { region: match[1] as string, index: Number(match[2]) };
}

export function addExplain(program: Command, io: Io): void {
  const command = program
    .command('explain')
    .argument('<SCENARIO>', 'name of a shipped scenario, or a file')
    .requiredOption(
      '--page <REGION:INDEX>',
      'the page, counted from the start of its region',
      readPage,
    )
    .option('--task <T>', 'whose page, when several tasks map the region')
    .option(
      '--at <STEP>',
      'look after this step, counted from 1; the last when left out',
      readNumber,
    )
    .option('--design <D>', 'id of a design; stock when left out')
    .option('--designs <a,b>', `several designs, side by side; ${DESIGN_SETS}`)
    .option('--machine <M>', "preset or file; the scenario's own when left out")
    .option('--param <N=V>', 'value of a parameter of the scenario; may be repeated', readParameter)
    .option('--json', 'the explanations as a JSON list, and nothing else')
    .action((name: string, options: ExplainOptions) => explain(io, name, options));
  describe(
    command,
    [
      'Tell why a page is on its node, or why there is none: request, policy, list, every zone.',
      'It is the very decision that gave the page, caught as the scenario runs again.',
    ],
    `cdmlab explain preferred-interleave-skip --design allocator-gate --page buf:0
     cdmlab explain cpuset-device-only --designs stock,zonelist --page heap:0 --task worker`,
  );
}

function explain(io: Io, name: string, options: ExplainOptions): void {
  if (options.design !== undefined && options.designs !== undefined) {
    throw new UserError('--design and --designs are both given; name all of them in --designs');
  }
  const designs =
    options.designs === undefined
      ? [findDesign(options.design ?? 'stock')]
      : designsOf(options.designs);
  const { scenario, machine } = loadScenario(name, {
    machine: options.machine,
    parameters: options.param,
  });
  const atStep = options.at === undefined ? undefined : options.at - 1;
  const { page, task } = options;
  const all = designs.map((design) =>
    explainPage({ scenario, machine, design, ...page, task, atStep, onStep: stepsOf(io, design) }),
  );
  if (options.json === true) {
    printJson(io, all);
    return;
  }
  const first = all[0] as Explanation;
  const at = options.at === undefined ? 'at the end' : `after step ${options.at}`;
  const head = facts([
    ['scenario', scenarioWords(scenario)],
    ['machine', machineWords(summarizeMachine(machine))],
    ['page', `${first.index} of ${first.region}, task ${first.task}, ${at}`],
  ]);
  const body = all.length === 1 ? explanationText(io, first) : sideBySide(io, all);
  io.out(`${head}\n\n${body}`);
}

/** Tells of the steps of a design, which run twice: to find the page, and to catch its request. */
const stepsOf = (io: Io, { id }: Design) => {
  let nrRun = 0;
  return (done: number, total: number): void => {
    if (done === 1) nrRun++;
    const what = nrRun > 1 ? 'the request' : 'the page';
    io.progress(`${id}, looking for ${what}: step ${done} of ${total}`);
  };
};

/** One explanation in full: history, request, every walk. */
export function explanationText(io: Io, e: Explanation): string {
  const parts = [paragraph(io.colors.bold(`Under ${e.design}: ${e.words}`)), historyText(e)];
  if (e.request !== undefined) {
    parts.push(requestText(e.request));
    parts.push(...e.request.attempts.map((a, i) => attemptText(io, a, i, e.request)));
    const { reclaim, compaction } = e.request;
    if (reclaim !== undefined) parts.push(paragraph(`Reclaim: ${reclaim.join('; ')}.`));
    if (compaction !== undefined) parts.push(paragraph(`Compaction: ${compaction.join('; ')}.`));
    if (e.request.failure !== undefined) parts.push(paragraph(`It failed: ${e.request.failure}.`));
    const { kills } = e.request;
    if (kills !== undefined) parts.push(paragraph(`In this step: ${kills.join('; ')}.`));
  }
  return parts.filter((part) => part !== '').join('\n\n');
}

function historyText(e: Explanation): string {
  const rows = e.history.map((h) => [
    `step ${h.step + 1}`,
    h.note === undefined ? h.text : `${h.text}: ${h.note}`,
    `${h.nid === undefined ? h.state : `on node ${h.nid}`}${howText(h.how)}`,
  ]);
  if (rows.length === 0) return '';
  return `What became of it:\n${formatTable(['', '', ''], rows, { indent: '  ', flex: [1, 2] })}`;
}

/** `, moved by compaction`; of what happened again and again, how often. */
function howText(how: readonly string[] = []): string {
  const runs: { words: string; n: number }[] = [];
  for (const words of how) {
    const last = runs.at(-1);
    if (last?.words === words) last.n++;
    else runs.push({ words, n: 1 });
  }
  return runs.map(({ words, n }) => `, ${words}${n === 1 ? '' : `, ${n} times`}`).join('');
}

function requestText(r: ExplainedRequest): string {
  const from =
    r.policyFrom === 'node named' || r.policyFrom === 'cpuset'
      ? ''
      : ` (of the ${policyOwner(r.policyFrom)})`;
  const rows: (readonly [string, string])[] = [
    ['for', `${r.purpose} of task ${r.task}, in step ${r.step + 1}: ${r.text}`],
    ['flags', `${r.gfp}, order ${r.order}`],
    ['CPU', `${r.cpu}, on node ${r.cpuNode}`],
    ['policy', r.policyFrom === 'default' ? r.policy : `${r.policy}${from}`],
    ['cpuset', r.cpuset ?? 'none in use'],
    ['nodemask', r.nodemask ?? 'none'],
    ['starts at', r.startWhy],
  ];
  return `The request:\n${formatTable(['', ''], rows, { indent: '  ', breaksWords: true })}`;
}

const policyOwner = (from: string): string =>
  from === 'area' ? 'area, by mbind' : from === 'task' ? 'task, by set_mempolicy' : from;

const ATTEMPT_WORDS: Readonly<Record<ExplainedAttempt['attempt'], string>> = {
  pool: 'over the pools of huge pages',
  fast: 'first try, above the low watermarks',
  slow: 'slow path, above the min watermarks',
  drained: 'again, after pages were freed or the per-CPU lists emptied',
  last: 'last look before the OOM killer, above the high watermarks',
  reserves: 'of what others have to leave, since it must not fail',
};

function attemptText(
  io: Io,
  a: ExplainedAttempt,
  i: number,
  request: ExplainedRequest | undefined,
): string {
  const nr = (request?.attempts.length ?? 1) > 1 ? ` ${i + 1}` : '';
  const head = `Walk${nr} (${ATTEMPT_WORDS[a.attempt]}): ${a.list.kind} list of node ${a.list.owner}, ${a.mask}`;
  const rows = a.zones.map((z, at) => [
    `(${at})`,
    `node ${z.nid}`,
    z.zone,
    String(z.freePages),
    z.watermarkPages === undefined ? '' : String(z.watermarkPages),
    z.short === 'taken' ? io.colors.green(z.verdict) : z.verdict,
  ]);
  const table = formatTable(['', '', 'zone', 'free', 'mark', 'verdict'], rows, {
    right: [3, 4],
    indent: '  ',
  });
  const lines = [paragraph(head), rows.length === 0 ? '  (the list holds no zone)' : table];
  if (a.notReached.length > 0) {
    const labels = a.notReached.map((z) => `node ${z.nid} ${z.zone}`).join(', ');
    lines.push(paragraph(`not reached: ${labels}`, '  '));
  }
  for (const [why, nids] of groupMissing(a)) {
    lines.push(paragraph(`${nids.length === 1 ? 'node' : 'nodes'} ${idList(nids)}: ${why}`, '  '));
  }
  return lines.join('\n');
}

function groupMissing(a: ExplainedAttempt): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  for (const { nid, why } of a.missing) groups.set(why, [...(groups.get(why) ?? []), nid]);
  return groups;
}

/** Least and most width of a column, and the room for the labels of rows. */
const LEAST_WIDTH = 14;
const MOST_WIDTH = 42;
const LABELS = 16;

/** Designs as columns, those that are alike in one; then one row a zone of each walk. */
function sideBySide(io: Io, all: readonly Explanation[]): string {
  const words = alike(all, (e) => e.words).flatMap(({ designs, told }) => [
    paragraph(io.colors.bold(designs.join(', '))),
    paragraph(told, '  '),
  ]);
  const parts = [words.join('\n'), ...columnTables(io, all)];
  const ends = alike(all, ({ request: r }) => [
    ...(r?.failure === undefined ? [] : [`failed: ${r.failure}.`]),
    ...(r?.kills ?? []).map((kill) => `${kill}.`),
  ]).filter(({ told }) => told.length > 0);
  if (ends.length > 0) {
    const rows = ends.map(({ designs, told }) => [designs.join(',\n'), told.join('\n')]);
    parts.push(formatTable(['', ''], rows));
  }
  parts.push('For one walk in full, with free pages and watermarks, name one --design.');
  return parts.join('\n\n');
}

/** The requests that gave the page, design by design, in as many tables as the terminal needs. */
function columnTables(io: Io, all: readonly Explanation[]): string[] {
  const asked = all.filter((e) => e.request !== undefined);
  if (asked.length === 0) return [];
  const requests = asked.map((e) => e.request as ExplainedRequest);
  const row = (name: string, of: (r: ExplainedRequest) => string): string[] => [
    name,
    ...requests.map(of),
  ];
  const nrWalks = Math.max(0, ...requests.map((r) => r.attempts.length));
  const rows = [
    row('in step', (r) => String(r.step + 1)),
    row('for', (r) => r.purpose),
    row('policy', (r) => r.policy),
    row('nodemask', (r) => r.nodemask ?? 'none'),
    row('starts at', (r) => r.startWhy),
    ...Array.from({ length: nrWalks }, (_, at) =>
      walkRows(
        requests.map((r) => r.attempts[at]),
        at,
      ),
    ).flat(),
  ];
  const columns = alike(asked, (e) => rows.map((cells) => cells[asked.indexOf(e) + 1] ?? ''));
  const most = Math.floor((MAX_COLUMNS - LABELS) / (LEAST_WIDTH + 2));
  const nrTables = Math.ceil(columns.length / most);
  const each = Math.ceil(columns.length / nrTables);
  const width = Math.min(MOST_WIDTH, Math.floor((MAX_COLUMNS - LABELS) / each) - 2);
  return Array.from({ length: nrTables }, (_, i) => {
    const some = columns.slice(i * each, (i + 1) * each);
    const broken = (cell: string): string => wrap(cell, width).join('\n');
    const header = ['', ...some.map((c) => broken(c.designs.join(', ')))];
    const cells = rows.map(([name = ''], at) => [
      name,
      ...some.map((c) => broken(c.told[at] ?? '')),
    ]);
    return formatTable(header, cells, { flex: 0, head: io.colors.bold });
  });
}

function walkRows(walks: readonly (ExplainedAttempt | undefined)[], i: number): string[][] {
  const rows = [
    [
      `walk ${i + 1}`,
      ...walks.map((a) => (a === undefined ? '-' : `${a.attempt}, ${listName(a)}`)),
    ],
  ];
  const zones = new Map<string, { nid: number }>();
  for (const a of walks) {
    for (const z of [...(a?.zones ?? []), ...(a?.notReached ?? [])]) {
      zones.set(`node ${z.nid} ${z.zone}`, z);
    }
  }
  for (const [label, { nid }] of [...zones].sort(([, a], [, b]) => a.nid - b.nid)) {
    rows.push([`  ${label}`, ...walks.map((a) => cellOf(a, label, nid))]);
  }
  return rows;
}

const listName = (a: ExplainedAttempt): string =>
  `${a.list.kind === 'FALLBACK' ? 'list' : a.list.kind} of ${a.list.owner}`;

/** The list holds only the node itself. */
const isAlone = ({ list }: ExplainedAttempt): boolean =>
  list.kind !== 'FALLBACK' && list.kind !== 'PRIVATE';

function cellOf(a: ExplainedAttempt | undefined, label: string, nid: number): string {
  if (a === undefined) return '-';
  const at = a.zones.findIndex((z) => `node ${z.nid} ${z.zone}` === label);
  if (at >= 0) return `(${at}) ${a.zones[at]?.short}`;
  if (a.notReached.some((z) => `node ${z.nid} ${z.zone}` === label)) return 'not reached';
  return a.missing.some((m) => m.nid === nid) || isAlone(a) ? 'not in list' : '-';
}
