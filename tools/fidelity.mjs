// Writes docs/FIDELITY.md: for each modelled kernel function, in how many compared cases the model
// ran it, by kernel and design, and in how many of those a result differed.
// Usage    node tools/fidelity.mjs RECORDS.jsonl...; records as `cdmlab kernel fuzz --record` and
//          `cdmlab conform` have them. Needs a build (npm run build).
// Notes    Which code a case runs is measured, by the engine's own call counts, not assumed. A
//          kernel function is found in its file of the model by its name in camelCase, with or
//          without `do_`, `sys_`, `kernel_` or underscores; where the model has no function of
//          that name, the count is of cases that run more of its file than an empty scenario does,
//          and marked `*`.
import { readFileSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rootFrom } from './lib/tree.mjs';

const MAP = 'docs/KERNEL_MAP.md';
const PAGE = 'docs/FIDELITY.md';

/** @typedef {{ heading: string, name: string, files: string[] }} Modelled */

/** Functions of docs/KERNEL_MAP.md; structures are left out. @returns {Modelled[]} */
function modelled(root) {
  const text = readFileSync(join(root, MAP), 'utf8').split('\n## From the model')[0] ?? '';
  const found = [];
  let heading = '';
  for (const line of text.split('\n')) {
    const title = /^### (.*)$/.exec(line);
    if (title !== null) heading = title[1];
    const [, name, cell = ''] = /^\| `([a-z_]\w*)` \| (.*?) \|/.exec(line) ?? [];
    if (name === undefined) continue;
    const files = [...cell.matchAll(/\[([\w/.]+)\.ts\]/g)].map(([, file]) => file);
    const known = found.find((row) => row.heading === heading && row.name === name);
    if (known === undefined) found.push({ heading, name, files });
    else known.files.push(...files);
  }
  return found;
}

const camel = (name) => name.replace(/_+([a-z0-9])/g, (_, c) => c.toUpperCase());

/** Names that the model may have for a kernel function. */
function namesOf(name) {
  const bare = name.replace(/^_+/, '');
  const short = bare.replace(/^(?:do|sys|kernel|ksys)_+/, '');
  return [name, bare, short].map(camel);
}

/** Calls a function and says which functions of dist ran meanwhile. */
class CallCounter {
  #session = new Session();
  #base;

  constructor(root) {
    this.#base = pathToFileURL(join(root, 'dist/')).href;
    this.#session.connect();
    this.#post('Profiler.enable');
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  }

  #post(method, params) {
    let answer;
    this.#session.post(method, params, (error, result) => {
      if (error) throw error;
      answer = result;
    });
    return answer;
  }

  /** @returns {Map<string, Set<string>>} names of functions by file */
  during(run) {
    this.#post('Profiler.takePreciseCoverage');
    run();
    const files = new Map();
    for (const { url, functions } of this.#post('Profiler.takePreciseCoverage').result) {
      if (!url.startsWith(this.#base)) continue;
      const ran = functions.filter((f) => f.functionName !== '' && f.ranges[0].count > 0);
      const names = ran.map((f) => f.functionName.replace(/^.*[.#]/, ''));
      files.set(url.slice(this.#base.length, -'.js'.length), new Set(names));
    }
    return files;
  }
}

const rowKey = ({ heading, name }) => `${heading} ${name}`;

/** Counts by function and target. */
async function measure(root, files) {
  const load = (path) => import(pathToFileURL(join(root, 'dist', path)).href);
  const { conformCase } = await load('lab/conform.js');
  const { readCases } = await load('lab/oracle_case.js');
  const functions = modelled(root);
  const counter = new CallCounter(root);
  const targets = new Map();
  const counts = new Map();
  for (const c of files.flatMap((file) => readCases(file))) {
    const target = `${c.kernel.replace(/^debian-/, '')} ${c.design}`;
    const sum = targets.get(target) ?? { cases: 0, different: 0, notModelled: 0, unsettled: 0 };
    targets.set(target, sum);
    let verdict;
    const idle = counter.during(() => conformCase({ ...c, ops: [] }));
    const ran = counter.during(() => {
      ({ verdict } = conformCase(c));
    });
    if (verdict === 'not modelled') {
      sum.notModelled++;
      continue;
    }
    sum.cases++;
    if (verdict === 'different') sum.different++;
    if (verdict === 'out of memory') sum.unsettled++;
    for (const row of functions) {
      const own = row.files.some((f) => namesOf(row.name).some((name) => ran.get(f)?.has(name)));
      const isBusy = row.files.some((f) =>
        [...(ran.get(f) ?? [])].some((name) => idle.get(f)?.has(name) !== true),
      );
      const count = counts.get(rowKey(row)) ?? { own: new Map(), file: new Map(), different: 0 };
      counts.set(rowKey(row), count);
      if (own) count.own.set(target, (count.own.get(target) ?? 0) + 1);
      if (isBusy) count.file.set(target, (count.file.get(target) ?? 0) + 1);
      if (verdict === 'different' && (own || (count.own.size === 0 && isBusy))) {
        count.different++;
      }
    }
  }
  return { functions, targets, counts };
}

/** The page. */
function pageOf({ functions, targets, counts }, files) {
  const names = [...targets.keys()].sort();
  const lines = [
    '# Fidelity',
    '',
    'In how many cases each modelled kernel function was compared with a booted kernel, and in how many of',
    'them a result differed. A case is a scenario of 10 to 40 operations on a random machine; all its results',
    'are compared. Which functions a case runs is measured in the model. `*`: the model has no function of this',
    'name, and the count is of cases that run more of the file which does its work than no operations do. Made by:',
    '',
    '    cdmlab kernel fuzz --seed S --cases N --record      # one for each kernel and design below',
    `    node tools/fidelity.mjs ${files.length === 1 ? 'RECORDS' : 'RECORDS...'}`,
    '',
    '| kernel and design | cases | different | settled by reclaim only | not modelled |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...names.map((name) => {
      const t = targets.get(name);
      return `| ${name} | ${t.cases} | ${t.different} | ${t.unsettled} | ${t.notModelled} |`;
    }),
  ];
  let heading = '';
  for (const row of functions) {
    const count = counts.get(rowKey(row));
    if (count === undefined) continue;
    if (row.heading !== heading) {
      heading = row.heading;
      lines.push('', `## ${heading}`, '');
      lines.push(`| function | ${names.join(' | ')} | different |`);
      lines.push(`| --- |${' ---: |'.repeat(names.length + 1)}`);
    }
    const isOwn = count.own.size > 0;
    const by = isOwn ? count.own : count.file;
    const cells = names.map((name) => `${by.get(name) ?? 0}${isOwn ? '' : '*'}`);
    lines.push(`| \`${row.name}\` | ${cells.join(' | ')} | ${count.different} |`);
  }
  return `${lines.join('\n')}\n`;
}

const files = process.argv.slice(2);
if (files.length === 0) {
  console.error('usage: node tools/fidelity.mjs RECORDS.jsonl...');
  process.exit(2);
}
const root = rootFrom([]);
writeFileSync(join(root, PAGE), pageOf(await measure(root, files), files));
