// Words that several verbs print.
import { formatSizeBytes } from '../base/units.ts';
import type { MachineSummary } from '../lab/comparison.ts';
import type { Unjudged } from '../lab/load_scenario.ts';
import type { OpResult, Scenario } from '../scenario/ops.ts';
import { countRunList, type RunList } from '../scenario/run_list.ts';

/** `1 page`, `2 pages`. */
export const count = (n: number, one: string, many = `${one}s`): string =>
  `${n} ${n === 1 ? one : many}`;

/** `0,1` or `0-3,5`: ids in ascending order. */
export function idList(ids: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const id of ids) {
    const last = runs.at(-1);
    if (last !== undefined && id === last[1] + 1) last[1] = id;
    else runs.push([id, id]);
  }
  return runs
    .map(([a, b]) => (a === b ? `${a}` : b === a + 1 ? `${a},${b}` : `${a}-${b}`))
    .join(',');
}

/** `thread (ppc64, pages of 64 KiB): nodes 0,1 RAM of 4 GiB; nodes 2-4 device memory of 4 GiB`. */
export function machineWords(machine: MachineSummary): string {
  const groups = new Map<string, number[]>();
  for (const node of machine.nodes) {
    const kind =
      node.sizeBytes === 0
        ? 'without memory'
        : `${node.device === undefined ? 'RAM' : 'device memory'} of ${formatSizeBytes(node.sizeBytes)}`;
    groups.set(kind, [...(groups.get(kind) ?? []), node.id]);
  }
  const nodes = [...groups].map(
    ([kind, ids]) => `${ids.length === 1 ? 'node' : 'nodes'} ${idList(ids)} ${kind}`,
  );
  const pages = `pages of ${formatSizeBytes(machine.pageBytes)}`;
  return `${machine.name} (${machine.arch}, ${pages}): ${nodes.join('; ')}`;
}

/** `SIZE=64MiB SEED=7`, or undefined when there are none. */
export function parameterWords(parameters: Readonly<Record<string, string>>): string | undefined {
  const words = Object.entries(parameters).map(([name, value]) => `${name}=${value}`);
  return words.length === 0 ? undefined : words.join(' ');
}

/** Why expectations of a scenario were not looked at, as a last paragraph; else nothing. */
export function unjudgedNote(unjudged: Unjudged | undefined): string {
  if (unjudged === undefined) return '';
  const { nr, writtenFor, runOn } = unjudged;
  return (
    `\n\nThe scenario expects what happens on machine ${writtenFor}: on ${runOn} its ` +
    `${count(nr, 'expectation')} ${nr === 1 ? 'is' : 'are'} not judged.`
  );
}

/** Name and title. */
export const scenarioWords = (s: Pick<Scenario, 'name' | 'title'>): string =>
  s.title === '' ? s.name : `${s.name}: ${s.title}`;

/** A word as a shell takes it. */
export const shellWord = (word: string): string =>
  /^[\w./,:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

/** Options that make another verb see the same run. */
export function sameRun(options: {
  readonly machine?: string | undefined;
  readonly param?: Readonly<Record<string, string>> | undefined;
}): string {
  const machine = options.machine === undefined ? '' : ` --machine ${shellWord(options.machine)}`;
  const params = Object.entries(options.param ?? {})
    .map(([name, value]) => ` --param ${shellWord(`${name}=${value}`)}`)
    .join('');
  return machine + params;
}

/** Fields that say the same as others, or hold a line for each page. */
const LONG_FIELDS = new Set(['ret', 'note', 'where', 'status', 'died', 'killedBy', 'pageBytes']);
/** A result is shown up to here; the rest of a longer one is for --json. */
const MOST_RESULT_LINES = 16;
const MOST_RESULT_LENGTH = 1000;

/** `0`, `0 touched 64`, `EINVAL`; rows and texts of several lines stand in lines of their own. */
export function resultWords(result: OpResult): string {
  const { note, status, ret } = result;
  const fields = Object.entries(result)
    .filter(([name]) => !LONG_FIELDS.has(name))
    .map(([name, value]) => fieldWords(name, value));
  if (status !== undefined) fields.push(fieldWords('status', statusWords(status)));
  if (typeof note === 'string' && ret !== 'LIVELOCK') fields.push(`\n(${note})`);
  return cut([String(ret), ...fields].join(' ').replaceAll(/ *\n+/g, '\n'));
}

/** Counts of a status for each page, which is a list of runs; any other as it is. */
const statusWords = (status: unknown): unknown =>
  Array.isArray(status) && status.every((run) => Array.isArray(run))
    ? countRunList(status as unknown as RunList)
    : status;

const fieldWords = (name: string, value: unknown): string => {
  const words = valueWords(value);
  return words.includes('\n') ? `${name}\n${words}` : `${name} ${words}`;
};

function cut(text: string): string {
  const lines = text.slice(0, MOST_RESULT_LENGTH).split('\n');
  const nrMore = text.split('\n').length - MOST_RESULT_LINES;
  if (nrMore > 0) {
    return [...lines.slice(0, MOST_RESULT_LINES), `... ${nrMore} more lines: see --json`].join(
      '\n',
    );
  }
  if (text.length <= MOST_RESULT_LENGTH) return text;
  return `${lines.join('\n')}... ${text.length - MOST_RESULT_LENGTH} more letters: see --json`;
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

/** A value as text: lists with commas, rows of a table as one line each. */
function valueWords(value: unknown): string {
  if (Array.isArray(value)) {
    if (value.some(isObject) && !value.some(Array.isArray)) return value.map(rowWords).join('\n');
    return value.map(valueWords).join(',') || 'none';
  }
  if (!isObject(value)) return String(value).trimEnd() || '""';
  const entries = Object.entries(value);
  if (!entries.some(([, v]) => isObject(v))) {
    return entries.map(([key, v]) => `${key}:${valueWords(v)}`).join(' ') || 'none';
  }
  return entries.flatMap(([key, v]) => entryLines(key, v)).join('\n');
}

/** `node 0: free 3`: an entry in a line, and of one that holds rows a line each. */
function entryLines(key: string, value: unknown): string[] {
  if (!isObject(value) || Array.isArray(value)) return [`${key}: ${valueWords(value)}`];
  const rows = Object.entries(value);
  const isOfRows = rows.length > 0 && rows.every(([, v]) => isObject(v) && !Array.isArray(v));
  if (!isOfRows) return [`${key}: ${rowWords(value)}`];
  return rows.map(([name, row]) => `${key.replace(/s$/, '')} ${name}: ${rowWords(row)}`);
}

/** `node 0 zone Normal free 64951`. */
const rowWords = (row: unknown): string =>
  isObject(row) && !Array.isArray(row)
    ? Object.entries(row)
        .map(([key, v]) => `${key} ${valueWords(v).replaceAll('\n', ' ')}`)
        .join(' ')
    : valueWords(row);
