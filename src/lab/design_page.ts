// One page a design, as Markdown: what it promises, which kernel functions it would change, what
// was said against it, and what a matrix of small scenarios gives. All of it is made from data, and
// a test tells when it is stale.
// Holds    DSP1 a page is a function of its design, what is said against it, and the matrix.
import type { Design } from '../hooks/design.ts';
import type { Matrix, MatrixRow } from './matrix.ts';
import { BASELINE, type Cell, type DesignStory } from './story.ts';
import { weaknessesOf } from './weaknesses.ts';

/** Scenarios small enough to be run by a test under every design. */
export const PAGE_SCENARIOS: readonly string[] = [
  'bind-device',
  'preferred-interleave-skip',
  'text-stays',
  'text-segment',
  'move-pages',
  'aware-library',
  'file-on-device',
  'input-on-device',
  'two-cpusets',
  'claims/device-alone',
  'claims/forbid-and-allow',
  'claims/policy-is-enough',
];

/** The file of a design's page, below docs/designs. */
export const pageFile = (design: string): string => `${design}.md`;

/** The page of a design; it ends with a line end. */
export function designPage(design: Design, matrix: Matrix): string {
  const at = matrix.designs.indexOf(design.id);
  const parts = [
    `# ${design.id}`,
    `<!-- Made by \`npm run docs\` from src/designs, src/lab/weaknesses.ts and runs; do not edit. -->`,
    `${design.title}. ${design.summary}`,
    `**Promise.** ${design.promise.text}`,
    decisionPoints(design),
    sources(design),
    weaknesses(design.id),
    results(matrix, at, design.id),
    'Back to [DESIGNS.md](../DESIGNS.md), where what a design is made of is told.',
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function decisionPoints({ decisionPoints: points, agent }: Design): string {
  if (points.length === 0) {
    const who =
      agent === undefined
        ? ''
        : ' An agent in user space hears of memory that comes and goes, and answers with system ' +
          'calls and writes to cpusets.';
    return `## Decision points\n\nNone: the kernel stays as it is.${who}`;
  }
  const rows = points.map(
    (p) => `| \`${p.kernelFunction}\` | \`${p.answer}\` | ${cell(p.change)} |`,
  );
  return `## Decision points\n\n${table(['kernel function', 'answer', 'change'], rows)}`;
}

const sources = ({ sources: list }: Design): string =>
  `## Sources\n\n${list.map((s) => `- ${s.author}, ${s.date}: ${s.title}`).join('\n')}`;

function weaknesses(design: string): string {
  const list = weaknessesOf(design);
  if (list.length === 0) return '';
  const lines = list.map(
    ({ source, text }) => `- ${text} (${source.author}, ${source.date}: ${source.title})`,
  );
  return `## Known weaknesses\n\n${lines.join('\n')}`;
}

function results(matrix: Matrix, at: number, design: string): string {
  const rows = matrix.rows.map(
    (row) =>
      `| \`${row.name}\` | ${outcome(row.cells[at] as Cell)} | ${cell(against(row, design))} |`,
  );
  const isStock = design === BASELINE;
  const head = isStock ? ['scenario', 'outcome'] : ['scenario', 'outcome', `against ${BASELINE}`];
  const lines = isStock ? rows.map((row) => row.replace(/ \|[^|]*\|$/, ' |')) : rows;
  return [
    '## Results',
    'Of small scenarios; `cdmlab compare --all --out matrix.html` runs all of them, and ' +
      `\`cdmlab compare SCENARIO${isStock ? '' : ` --designs ${BASELINE},${design}`}\` shows one ` +
      'with its pages. What the words mean stands in the page.',
    table(head, lines),
  ].join('\n\n');
}

const outcome = ({ text, notModelled }: Cell): string =>
  notModelled === undefined ? text : `not modelled: ${cell(notModelled)}`;

function against(row: MatrixRow, design: string): string {
  const story = row.stories.find((s: DesignStory) => s.design === design);
  if (story === undefined) return '';
  const parts = [
    ...(story.bought.length === 0 ? [] : [`bought: ${story.bought.join('; ')}`]),
    ...(story.cost.length === 0 ? [] : [`cost: ${story.cost.join('; ')}`]),
    ...(story.stopped === undefined ? [] : [story.stopped]),
  ];
  return parts.length === 0 ? 'as stock' : parts.join('. ');
}

const table = (head: readonly string[], rows: readonly string[]): string =>
  [`| ${head.join(' | ')} |`, `| ${head.map(() => '---').join(' | ')} |`, ...rows].join('\n');

/** A text as a cell of a table. */
const cell = (text: string): string => text.replaceAll('|', '\\|');

/** The list of the pages, for docs/designs/README.md. */
export function designIndex(designs: readonly Design[], matrix: Matrix): string {
  const rows = designs.map((d) => {
    const cells = matrix.rows.map((row) => row.cells[matrix.designs.indexOf(d.id)] as Cell);
    const kept = cells.filter(({ word }) => word === 'kept').length;
    return `| [${d.id}](${pageFile(d.id)}) | ${cell(d.title)} | ${cell(d.promise.text)} | ${kept} of ${cells.length} |`;
  });
  return [
    '# Designs, one page each',
    '<!-- Made by `npm run docs`; do not edit. -->',
    table(['design', 'what it is', 'promise', 'keeps everything in'], rows),
    'The last column is of the small scenarios that the pages show.',
    '',
  ]
    .join('\n\n')
    .trimEnd()
    .concat('\n');
}
