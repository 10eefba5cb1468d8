// `cdmlab conform`: runs recorded cases of real kernels in the model and says where they differ.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { UserError } from '../../base/assert.ts';
import { type CaseOutcome, type CaseVerdict, conformCase } from '../../lab/conform.ts';
import { readCases } from '../../lab/oracle_case.ts';
import { EXIT_DIFFERS, type Io, printJson } from '../io.ts';
import { describe } from '../options.ts';
import { formatTable, paragraph } from '../table.ts';
import { count } from '../words.ts';

interface ConformOptions {
  readonly family?: string;
  readonly only?: string;
  readonly all?: boolean;
  readonly json?: boolean;
}

/** Differences shown without --all. */
const MOST_DIFFERENCES = 20;

export function addConform(program: Command, io: Io): void {
  const command = program
    .command('conform')
    .argument('<FILE...>', 'files of cases (.jsonl, .jsonl.gz), or directories of them')
    .option('--family <F,..>', 'only cases of these families')
    .option('--only <ID>', 'only the case of this id')
    .option('--all', `show every difference, not the first ${MOST_DIFFERENCES}`)
    .option('--json', 'every outcome as JSON, and nothing else')
    .action((files: string[], options: ConformOptions) => conform(io, files, options));
  describe(
    command,
    [
      'Run cases that were recorded on real kernels, and compare every result.',
      'The last line is "N passed, M failed"; the exit code is 1 when one failed.',
    ],
    `cdmlab conform cases/
     cdmlab conform policy.jsonl.gz mbind.jsonl.gz --family mbind`,
  );
}

function conform(io: Io, paths: readonly string[], options: ConformOptions): void {
  const outcomes = runCases(io, paths.flatMap(caseFiles), options);
  const nr = (verdict: CaseVerdict): number => outcomes.filter((o) => o.verdict === verdict).length;
  const passed = nr('equal');
  const failed = nr('different') + nr('not modelled');
  if (failed > 0) io.exitCode = EXIT_DIFFERS;
  if (options.json === true) {
    printJson(io, { passed, failed, cases: outcomes });
    return;
  }
  const parts = [familyTable(io, outcomes), differenceText(outcomes, options.all === true)];
  parts.push(chanceText(outcomes, options.all === true), `${passed} passed, ${failed} failed`);
  io.out(parts.filter((part) => part !== '').join('\n\n'));
}

/** The files that a path names. */
function caseFiles(path: string): string[] {
  let isDirectory: boolean;
  try {
    isDirectory = statSync(path).isDirectory();
  } catch {
    throw new UserError('no such file or directory', { file: path });
  }
  if (!isDirectory) return [path];
  const names = readdirSync(path).filter((name) => /\.jsonl(\.gz)?$/.test(name));
  if (names.length === 0) {
    throw new UserError('no .jsonl or .jsonl.gz file in this directory', { file: path });
  }
  return names.sort().map((name) => join(path, name));
}

function runCases(io: Io, files: readonly string[], options: ConformOptions): CaseOutcome[] {
  const families = options.family?.split(',').map((f) => f.trim());
  const known = new Set<string>();
  const outcomes: CaseOutcome[] = [];
  for (const file of files) {
    for (const c of readCases(file)) {
      known.add(c.family);
      if (families !== undefined && !families.includes(c.family)) continue;
      if (options.only !== undefined && c.id !== options.only) continue;
      outcomes.push(conformCase(c));
      io.progress(`${count(outcomes.length, 'case')} done, now in ${file}`);
    }
  }
  const missing = families?.find((f) => !known.has(f));
  if (missing !== undefined) {
    const there = [...known].sort().join(', ');
    throw new UserError(`no case is of family "${missing}"; there are: ${there}`);
  }
  if (outcomes.length > 0) return outcomes;
  throw new UserError(
    options.only === undefined ? 'the files hold no case' : `no case has the id "${options.only}"`,
  );
}

const VERDICTS: readonly CaseVerdict[] = ['equal', 'different', 'not modelled'];

function familyTable(io: Io, outcomes: readonly CaseOutcome[]): string {
  const families = [...new Set(outcomes.map((o) => o.family))].sort();
  const row = (name: string, of: readonly CaseOutcome[]): string[] => [
    name,
    String(of.length),
    ...VERDICTS.map((v) => String(of.filter((o) => o.verdict === v).length)),
  ];
  const rows = families.map((f) =>
    row(
      f,
      outcomes.filter((o) => o.family === f),
    ),
  );
  if (families.length > 1) rows.push(row('all', outcomes));
  return formatTable(['family', 'cases', ...VERDICTS], rows, {
    right: [1, 2, 3, 4],
    flex: 0,
    head: io.colors.bold,
  });
}

function differenceText(outcomes: readonly CaseOutcome[], showsAll: boolean): string {
  const failing = outcomes.filter((o) => o.verdict === 'different' || o.verdict === 'not modelled');
  const shown = showsAll ? failing : failing.slice(0, MOST_DIFFERENCES);
  const lines = shown.map((o) => {
    const why = o.difference ?? `not modelled: ${o.missing}`;
    return `${nameOf(o)}\n${paragraph(why, '    ')}`;
  });
  const more = failing.length - shown.length;
  if (more > 0) lines.push(`and ${more} more: --all shows them`);
  return lines.join('\n');
}

const nameOf = (o: CaseOutcome): string => `${o.id} (${o.design})`;

/** How many equal cases are so by what SPEC says of the end of memory; with `showsAll`, which. */
function chanceText(outcomes: readonly CaseOutcome[], showsAll: boolean): string {
  const equal = outcomes.filter((o) => o.verdict === 'equal');
  const ended = equal.filter((o) => o.comparedSteps !== undefined);
  const moved = equal.filter((o) => o.start !== undefined);
  if (ended.length === 0 && moved.length === 0) return '';
  const words =
    `Where memory ends (SPEC SPR5 to SPR10): ${count(ended.length, 'case')} could be compared up ` +
    `to a step only, and ${moved.length} came out equal from another start than the record's.`;
  if (!showsAll) return paragraph(`${words} --all names them.`, '');
  const lines = [...new Set([...ended, ...moved])].map((o) => {
    const upTo = o.comparedSteps === undefined ? [] : [`up to step ${o.comparedSteps}`];
    return `    ${nameOf(o)}: ${[...upTo, ...(o.start === undefined ? [] : [o.start])].join(', ')}`;
  });
  return [paragraph(words, ''), ...lines].join('\n');
}
