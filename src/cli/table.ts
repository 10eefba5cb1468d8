// Tables and paragraphs of text for a terminal of 100 columns.
// Holds    TBL1 no line is longer than the limit, unless a single word is.

export const MAX_COLUMNS = 100;
const GAP = '  ';

/** Escape sequences of colours, which take no room. */
const ESCAPES = /\x1b\[[0-9;]*m/g;
const widthOf = (text: string): number => [...text.replace(ESCAPES, '')].length;

const pad = (text: string, width: number, isRight: boolean): string => {
  const fill = ' '.repeat(Math.max(0, width - widthOf(text)));
  return isRight ? fill + text : text + fill;
};

/** Spaces at which a line may end: not before a unit. */
const WORD_END = / (?!(?:B|KiB|MiB|GiB|TiB)(?:\W|$))/;

/** Breaks a text into lines of at most `width` columns, between words; longer words stay whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(WORD_END)) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line !== '' && widthOf(longer) > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  lines.push(line);
  return lines;
}

export interface TableOptions {
  /** Columns of numbers, by position: they stand to the right. */
  readonly right?: readonly number[] | undefined;
  /** The column that gives way when the table is too wide; the last when left out. */
  readonly flex?: number | undefined;
  readonly indent?: string | undefined;
  /** How the header is set off. */
  readonly head?: ((text: string) => string) | undefined;
}

/** Least width of the column that gives way. */
const LEAST_FLEX = 20;

/**
 * Lines up rows under a header; `\n` in a header breaks it, and the column that gives way is broken
 * between words. An empty header leaves the header line out.
 */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  options: TableOptions = {},
): string {
  const nrColumns = rows.reduce((n, row) => Math.max(n, row.length), header.length);
  const flex = options.flex ?? nrColumns - 1;
  const indent = options.indent ?? '';
  const cells = [header, ...rows].map((row) =>
    Array.from({ length: nrColumns }, (_, i) => (row[i] ?? '').split('\n')),
  );
  const widths = Array.from({ length: nrColumns }, (_, i) =>
    cells.reduce((n, row) => Math.max(n, ...(row[i] ?? []).map(widthOf)), 0),
  );
  const total = widths.reduce((n, w) => n + w, 0) + GAP.length * (nrColumns - 1) + indent.length;
  if (total > MAX_COLUMNS) {
    widths[flex] = Math.max(LEAST_FLEX, (widths[flex] as number) - (total - MAX_COLUMNS));
  }
  const isRight = (i: number): boolean => options.right?.includes(i) === true;
  const lines: string[] = [];
  for (const [r, row] of cells.entries()) {
    if (r === 0 && header.every((cell) => cell === '')) continue;
    const wrapped = row.map((cell, i) =>
      cell.flatMap((line) => (i === flex ? wrap(line, widths[i] as number) : [line])),
    );
    const height = Math.max(...wrapped.map((cell) => cell.length));
    for (let l = 0; l < height; l++) {
      const at = r === 0 ? (cell: string[]): number => l - (height - cell.length) : () => l;
      const parts = wrapped.map((cell, i) =>
        pad(cell[at(cell)] ?? '', widths[i] as number, isRight(i)),
      );
      const line = (indent + parts.join(GAP)).trimEnd();
      lines.push(r === 0 && options.head !== undefined ? options.head(line) : line);
    }
  }
  return lines.join('\n');
}

/** A paragraph under an indent. */
export function paragraph(text: string, indent = ''): string {
  return wrap(text, MAX_COLUMNS - indent.length)
    .map((line) => indent + line)
    .join('\n');
}

/** `scenario  hybrid-flow`: lines of a name and what stands under it. */
export const facts = (rows: readonly (readonly [string, string])[]): string =>
  formatTable(['', ''], rows);
