// `cdmlab compare --all`: every shipped scenario under every design, as a matrix.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Comparison } from '../../lab/comparison.ts';
import { readCosts } from '../../lab/cost/read_costs.ts';
import { type Matrix, type MatrixRow, runMatrix } from '../../lab/matrix.ts';
import type { VerdictWord } from '../../lab/story.ts';
import { EXIT_BAD_INPUT, EXIT_DIFFERS, type Io, printJson, writeWholeFile } from '../io.ts';
import { designsOf } from '../options.ts';
import { formatTable, paragraph } from '../table.ts';
import { count } from '../words.ts';

export interface CompareAllOptions {
  readonly designs?: string;
  readonly only?: string;
  readonly out?: string;
  readonly cost?: readonly string[];
  readonly json?: boolean;
}

/** How pages of comparisons are drawn: the verb hands it in. */
export interface Pages {
  readonly matrix: (matrix: Matrix, linkOf?: (name: string) => string) => string;
  readonly comparison: (comparison: Comparison) => string;
}

/** One letter a cell, for a terminal. */
const LETTERS: Readonly<Record<VerdictWord, string>> = {
  kept: '.',
  leaked: 'L',
  killed: 'K',
  SIGBUS: 'B',
  stuck: 'T',
  refused: 'R',
  spilled: 'S',
  'not modelled': '-',
};

export function compareAll(io: Io, options: CompareAllOptions, pages: Pages): void {
  const designs = designsOf(options.designs ?? 'all');
  const scenarios = options.only?.split(',').map((name) => name.trim());
  const { out } = options;
  const isFile = out === undefined || /\.html?$/.test(out);
  if (out !== undefined && !isFile) mkdirSync(out, { recursive: true });
  const matrix = runMatrix({
    designs,
    scenarios,
    costs: readCosts(options.cost ?? []),
    onProgress: (text) => io.progress(text),
    onStep: (text) => io.progress(text),
    onComparison: (name, comparison) => {
      if (!isFile) writeWholeFile(join(out, fileOf(name)), pages.comparison(comparison));
    },
  });
  const cells = matrix.rows.flatMap((row) => row.cells);
  if (cells.some((cell) => cell.nrFailed > 0)) io.exitCode = EXIT_DIFFERS;
  if (cells.some((cell) => cell.notModelled !== undefined)) io.exitCode = EXIT_BAD_INPUT;
  if (out !== undefined) {
    if (isFile) writeWholeFile(out, pages.matrix(matrix));
    else writeWholeFile(join(out, 'index.html'), pages.matrix(matrix, fileOf));
  }
  if (options.json === true) printJson(io, matrix);
  else io.out(matrixText(io, matrix));
  if (out !== undefined && options.json !== true) {
    io.out(`\nThe page is ${isFile ? out : join(out, 'index.html')}`);
  }
}

/** `claims/policy-is-enough` as a file beside the matrix. */
const fileOf = (name: string): string => `${name.replaceAll('/', '-')}.html`;

function matrixText(io: Io, matrix: Matrix): string {
  const { bold, red } = io.colors;
  const heads = matrix.designs.map((_, i) => String(i + 1));
  const rows = matrix.rows.map((row) => [row.name, ...lettersOf(row)]);
  const legend = Object.entries(LETTERS).map(([word, letter]) => `${letter} ${word}`);
  const numbered = matrix.designs.map((id, i) => `${i + 1} ${id}`);
  const failed = matrix.rows.filter((row) => row.cells.some((cell) => cell.nrFailed > 0));
  const verdicts = matrix.verdicts.map(
    (v) => `${bold(v.design)}\n${v.sentences.map((s) => paragraph(s, '  ')).join('\n')}`,
  );
  return [
    formatTable(['scenario', ...heads], rows, { flex: 0, head: bold }),
    `${paragraph(numbered.join(', '))}\n${paragraph(legend.join(', '))}`,
    ...(failed.length === 0
      ? []
      : [
          red(
            paragraph(
              `Not as the scenario says, in ${count(failed.length, 'scenario')}: ${failed.map((row) => row.name).join(', ')}`,
            ),
          ),
        ]),
    ...verdicts,
    ...contradicted(matrix),
  ].join('\n\n');
}

/** Claims that runs contradict. */
function contradicted({ rows }: Matrix): string[] {
  const found = rows.filter((row) => row.claim?.isContradicted === true);
  if (found.length === 0) return [];
  const lines = found.map((row) => [row.name, `${row.claim?.claim} It ${row.claim?.verdict}.`]);
  const head =
    'Claims that the runs contradict, in whole or in part; compare of each shows a decision why:';
  return [`${paragraph(head)}\n${formatTable(['', ''], lines, { indent: '  ' })}`];
}

const lettersOf = (row: MatrixRow): string[] =>
  row.cells.map((cell) => LETTERS[cell.word] + (cell.nrFailed > 0 ? '!' : ''));
