// The folder that `cdmlab kernel fuzz` leaves behind and goes on from.
// Notes    A run may be killed at any moment: between the two files of a boot, or in the middle of
//          a line.
// Holds    KRN5 a case counts as done once its outcome is written whole; records of cases that are
//          not done are thrown away when the run goes on, so that none is lost or there twice.
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../base/assert.ts';
import type { FuzzOutcome } from '../lab/kernel_fuzz.ts';
import type { OracleCase } from '../lab/oracle_case.ts';
import { writeWholeFile } from './io.ts';

/** Value of a line, or undefined if it was written in part only. */
function parsed<T>(line: string): T | undefined {
  try {
    return JSON.parse(line) as T;
  } catch {
    return undefined;
  }
}

const linesOf = (file: string): string[] =>
  existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : [];

export class FuzzFolder {
  readonly path: string;
  readonly #state: string;
  readonly #records: string;
  readonly #outcomes: FuzzOutcome[] = [];

  /**
   * @param cases what the cases depend on, as words of the command.
   * @param idOf the id that the record of a case has.
   * @throws UserError when the folder is of other cases or cannot be made.
   */
  constructor(path: string, cases: string, idOf: (number: number) => string) {
    this.path = path;
    this.#state = join(path, 'done.jsonl');
    this.#records = join(path, 'records.jsonl');
    try {
      mkdirSync(path, { recursive: true });
    } catch (error) {
      throw new UserError(`cannot be made: ${(error as Error).message}`, { file: path });
    }
    const [first, ...rest] = linesOf(this.#state);
    const head = parsed<{ cases: string }>(first ?? '');
    if (head === undefined) {
      writeWholeFile(this.#state, `${JSON.stringify({ cases })}\n`);
    } else if (head.cases !== cases) {
      throw new UserError(`holds a run with other options (${head.cases}): name another --out`, {
        file: path,
      });
    }
    const whole = rest.filter((line) => parsed(line) !== undefined);
    this.#outcomes = whole.flatMap((line) => JSON.parse(line) as FuzzOutcome[]);
    if (whole.length < rest.length) {
      writeWholeFile(this.#state, `${[first, ...whole].join('\n')}\n`);
    }
    this.#dropRecords(new Set(this.#outcomes.map(({ number }) => idOf(number))));
  }

  /** Leaves one record of each case that is done, the last. */
  #dropRecords(done: ReadonlySet<string>): void {
    const lines = linesOf(this.#records);
    const kept = new Map(lines.map((line) => [parsed<OracleCase>(line)?.id ?? '', line]));
    for (const id of kept.keys()) if (!done.has(id)) kept.delete(id);
    if (kept.size === lines.length) return;
    writeWholeFile(this.#records, [...kept.values()].map((line) => `${line}\n`).join(''));
  }

  /** Outcomes of the cases that were done before. */
  outcomes(): readonly FuzzOutcome[] {
    return this.#outcomes;
  }

  /** Cases that did not run are tried again next time. */
  add(outcomes: readonly FuzzOutcome[]): void {
    const ran = outcomes.filter((o) => o.verdict !== 'not run');
    appendFileSync(this.#state, `${JSON.stringify(ran)}\n`);
  }

  /** Keeps records; to be called before add(), which makes them count. */
  record(records: readonly OracleCase[]): void {
    appendFileSync(this.#records, records.map((r) => `${JSON.stringify(r)}\n`).join(''));
  }

  write(name: string, text: string): string {
    const file = join(this.path, name);
    writeWholeFile(file, text);
    return file;
  }
}
