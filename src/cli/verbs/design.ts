// `cdmlab design`: the designs there are, and what each would change in a kernel.
import type { Command } from 'commander';
import { DESIGNS, findDesign } from '../../designs/index.ts';
import type { Design } from '../../hooks/design.ts';
import { type Io, printJson } from '../io.ts';
import { describe } from '../options.ts';
import { formatTable, paragraph } from '../table.ts';

interface JsonOption {
  readonly json?: boolean;
}

export function addDesign(program: Command, io: Io): void {
  const design = program.command('design');
  describe(
    design,
    [
      'List the isolation designs, or show one.',
      'A design is a set of answers at decision points that kernel functions really have.',
    ],
    `cdmlab design list
     cdmlab design show allocator-gate`,
  );
  const list = design
    .command('list')
    .option('--json', 'as JSON, and nothing else')
    .action((options: JsonOption) => {
      if (options.json === true) printJson(io, DESIGNS.map(jsonOf));
      else io.out(listText(io));
    });
  describe(
    list,
    ['List the designs.', 'The ids are what --design and --designs take.'],
    'cdmlab design list --json',
  );
  const show = design
    .command('show')
    .argument('<NAME>', 'id of a design')
    .option('--json', 'as JSON, and nothing else')
    .action((name: string, options: JsonOption) => {
      const found = findDesign(name);
      if (options.json === true) printJson(io, jsonOf(found));
      else io.out(designText(io, found));
    });
  describe(
    show,
    [
      'Show a design: what it promises, and which kernel functions it would change.',
      'Decision points without an answer stay as in stock Linux.',
    ],
    'cdmlab design show zonelist',
  );
}

/** What of a design is data; answers are named, being functions. */
const jsonOf = (d: Design) => ({
  id: d.id,
  title: d.title,
  summary: d.summary,
  promise: d.promise.text,
  answers: Object.keys(d.answers),
  decisionPoints: d.decisionPoints,
  sources: d.sources,
});

const listText = (io: Io): string =>
  formatTable(
    ['design', 'what it is', 'answers'],
    DESIGNS.map((d) => [d.id, d.title, Object.keys(d.answers).join(', ') || 'none: stock Linux']),
    { flex: [1, 2], head: io.colors.bold },
  );

function designText(io: Io, d: Design): string {
  const { bold } = io.colors;
  const points = d.decisionPoints.map(
    (p) =>
      `${paragraph(`${p.answer}, in ${p.kernelFunction}`, '  ')}\n${paragraph(p.change, '    ')}`,
  );
  const gate = d.answers.zoneGate;
  const parts = [
    `${bold(d.id)}: ${d.title}`,
    paragraph(d.summary),
    paragraph(`Promise: ${d.promise.text}`),
    points.length === 0
      ? 'Decision points: none. It is stock Linux.'
      : `Decision points:\n${points.join('\n')}`,
    ...(gate === undefined ? [] : [paragraph(`Says when it refuses: ${gate.refusal}`)]),
    `Sources:\n${d.sources.map((s) => paragraph(`${s.author}, ${s.date}: ${s.title}`, '  ')).join('\n')}`,
  ];
  return parts.join('\n\n');
}
