// `cdmlab bench`: how fast the model is on this machine, against the goals it is held to.
import { type Command, Option } from 'commander';
import { type Io, printJson } from '../io.ts';
import { describe } from '../options.ts';
import { formatTable } from '../table.ts';

interface BenchOptions {
  readonly size: 'small' | 'full';
  readonly json?: boolean;
}

export function addBench(program: Command, io: Io): void {
  const command = program
    .command('bench')
    .addOption(
      new Option('--size <SIZE>', 'small takes seconds, full a minute or more')
        .choices(['small', 'full'])
        .default('small'),
    )
    .option('--json', 'the measurements as JSON, and nothing else')
    .action((options: BenchOptions) => bench(io, options));
  describe(
    command,
    [
      'Measure the model: speed, memory, and what a design costs those who allocate.',
      'Figures are of this machine and this moment; goals stand beside them.',
    ],
    `cdmlab bench
     cdmlab bench --size full --json`,
  );
}

async function bench(io: Io, options: BenchOptions): Promise<void> {
  const { runBench } = await import('../../lab/bench.ts');
  const report = runBench({ size: options.size, onProgress: (text) => io.progress(text) });
  if (options.json === true) {
    printJson(io, report);
    return;
  }
  const rows = report.rows.map((r) => [
    r.name,
    valueText(r.value),
    r.unit,
    r.goal ?? '',
    r.note ?? '',
  ]);
  io.out(
    formatTable(['what', 'value', 'unit', 'goal', 'note'], rows, {
      right: [1],
      head: io.colors.bold,
    }),
  );
  if (options.size === 'small') {
    io.out('\nToo short for the engine to warm up: hold the goals against --size full.');
  }
  io.out(`\nhash of the work ${report.workHash}`);
}

/** Three digits that count, thousands set off. */
const valueText = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)));
