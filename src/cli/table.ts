// Tables and paragraphs of text, as wide as the terminal: 80 columns and more, 100 where there is
// none.
// Holds    TBL1 no line is longer than the limit, unless a single word is that may not be broken.

const LEAST_COLUMNS = 80;
const MOST_COLUMNS = 160;
const USUAL_COLUMNS = 100;

/** Columns of the terminal, or what COLUMNS says where output goes elsewhere. */
function terminalColumns(): number {
  const told = process.stdout.columns ?? Number(process.env.COLUMNS ?? '');
  if (!Number.isInteger(told) || told <= 0) return USUAL_COLUMNS;
  return Math.min(MOST_COLUMNS, Math.max(LEAST_COLUMNS, told));
}

export const MAX_COLUMNS = terminalColumns();
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

/** Parts of a word that is too long: cut after commas, slashes and bars, or at the line's end. */
function breakWord(word: string, width: number): string[] {
  if (widthOf(word) <= width || word.includes('\x1b')) return [word];
  const parts: string[] = [];
  let part = '';
  for (const piece of word.split(/(?<=[,/|])/)) {
    if (part !== '' && part.length + piece.length > width) {
      parts.push(part);
      part = '';
    }
    part += piece;
    for (; part.length > width; part = part.slice(width)) parts.push(part.slice(0, width));
  }
  return [...parts, part];
}

/**
 * Breaks a text into lines of at most `width` columns, between words. A longer word stays whole, so
 * that it can be copied, unless words may be broken.
 */
export function wrap(text: string, width: number, breaksWords = false): string[] {
  const lines: string[] = [];
  let line = '';
  const whole = text.split(WORD_END);
  const words = breaksWords ? whole.flatMap((word) => breakWord(word, width)) : whole;
  for (const word of words) {
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
  /** The columns that give way when the table is too wide; the last when left out. */
  readonly flex?: number | readonly number[] | undefined;
  /** Columns that give way may break words too, as results and lists need it. */
  readonly breaksWords?: boolean | undefined;
  readonly indent?: string | undefined;
  /** How the header is set off. */
  readonly head?: ((text: string) => string) | undefined;
}

/** Least width of a column that gives way. */
const LEAST_FLEX = 14;

/** Makes the widest of the columns that give way as narrow as the table needs it. */
function narrow(widths: number[], flex: readonly number[], excess: number): void {
  for (let left = excess; left > 0; left--) {
    let widest = flex[0] as number;
    for (const i of flex) if ((widths[i] as number) > (widths[widest] as number)) widest = i;
    if ((widths[widest] as number) <= LEAST_FLEX) return;
    widths[widest] = (widths[widest] as number) - 1;
  }
}

/** A row of cells, or a text that takes the whole width of the table. */
export type Row = readonly string[] | string;

/**
 * Lines up rows under a header; `\n` in a cell breaks it, and the columns that give way are broken
 * between words. An empty header leaves the header line out.
 */
export function formatTable(
  header: readonly string[],
  rows: readonly Row[],
  options: TableOptions = {},
): string {
  const cellRows = rows.filter((row) => typeof row !== 'string');
  const nrColumns = cellRows.reduce((n, row) => Math.max(n, row.length), header.length);
  const flex = [options.flex ?? nrColumns - 1].flat();
  const indent = options.indent ?? '';
  const cellsOf = (row: readonly string[]): string[][] =>
    Array.from({ length: nrColumns }, (_, i) => (row[i] ?? '').split('\n'));
  const widths = Array.from({ length: nrColumns }, (_, i) =>
    [header, ...cellRows].reduce(
      (n, row) => Math.max(n, ...(row[i] ?? '').split('\n').map(widthOf)),
      0,
    ),
  );
  const total = (): number =>
    widths.reduce((n, w) => n + w, 0) + GAP.length * (nrColumns - 1) + indent.length;
  narrow(widths, flex, total() - MAX_COLUMNS);
  const gap = total() > MAX_COLUMNS ? ' ' : GAP;
  const linesOf = (row: readonly string[], isHeader: boolean): string[] => {
    const wrapped = cellsOf(row).map((cell, i) =>
      cell.flatMap((line) =>
        flex.includes(i) ? wrap(line, widths[i] as number, options.breaksWords) : [line],
      ),
    );
    const height = Math.max(...wrapped.map((cell) => cell.length));
    return Array.from({ length: height }, (_, l) => {
      const parts = wrapped.map((cell, i) => {
        const text = cell[isHeader ? l - (height - cell.length) : l] ?? '';
        return pad(text, widths[i] as number, options.right?.includes(i) === true);
      });
      return (indent + parts.join(gap)).trimEnd();
    });
  };
  const isHeaded = header.some((cell) => cell !== '');
  const head = isHeaded ? linesOf(header, true).map(options.head ?? ((line) => line)) : [];
  const body = rows.flatMap((row) =>
    typeof row === 'string' ? row.split('\n').map((line) => indent + line) : linesOf(row, false),
  );
  return [...head, ...body].join('\n');
}

/** Is every line of a text within the terminal? */
export const fits = (text: string): boolean =>
  text.split('\n').every((line) => widthOf(line) <= MAX_COLUMNS);

/** A paragraph under an indent. */
export function paragraph(text: string, indent = ''): string {
  return wrap(text, MAX_COLUMNS - indent.length)
    .map((line) => indent + line)
    .join('\n');
}

/** A command under an indent: one that is too long goes on in further lines, as shells take it. */
export function commandText(command: string, indent = ''): string {
  const lines: string[] = [];
  let line = '';
  for (const part of command.split(/ (?=--)/)) {
    const longer = line === '' ? part : `${line} ${part}`;
    // Room for the sign that the command goes on.
    if (line !== '' && widthOf(longer) > MAX_COLUMNS - 2 - indent.length) {
      lines.push(`${line} \\`);
      line = `  ${part}`;
    } else line = longer;
  }
  return [...lines, line].map((text) => indent + text).join('\n');
}

/** `scenario  hybrid-flow`: lines of a name and what stands under it. */
export const facts = (rows: readonly (readonly [string, string])[]): string =>
  formatTable(['', ''], rows);
