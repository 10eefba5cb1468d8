// Two words, two meanings: `assert` guards our own invariants (a failure is a bug of this project
// and stops the run at once); `UserError` is a mistake in what a person gave us.

/** A broken invariant of the model: never caught, never expected. */
export class Bug extends Error {
  override readonly name = 'Bug';
}

/** Stops at once when an invariant of the model does not hold. Keep conditions bare and O(1). */
export function assert(
  condition: boolean,
  what = 'an invariant of the model does not hold',
): asserts condition {
  if (!condition) throw new Bug(what);
}

/** Marks a branch that cannot be reached. */
export function unreachable(what: never): never {
  throw new Bug(`unreachable: ${String(what)}`);
}

/** Where in a text a mistake is; lines and columns count from 1. */
export interface Place {
  readonly file: string;
  readonly line?: number | undefined;
  readonly column?: number | undefined;
}

function atPlace(p: Place | undefined, message: string): string {
  if (p === undefined) return message;
  const at = [p.file, p.line, p.column].filter((x) => x !== undefined).join(':');
  return `${at}: ${message}`;
}

/**
 * Bad input: a scenario, machine file, flag, snapshot or trace that cannot be used. The message
 * says what is wrong and what to do; faces print it as one line and exit with 2.
 */
export class UserError extends Error {
  override readonly name = 'UserError';
  readonly place: Place | undefined;
  constructor(message: string, place?: Place) {
    super(message);
    this.place = place;
  }
  /** `file:line:column: message`, as compilers print it. */
  format(): string {
    return atPlace(this.place, this.message);
  }
}

/**
 * A thing of Linux that the model knows of and does not do. The run cannot go on past it, because
 * going on would be a wrong answer; faces print `not modelled: ...`.
 */
export class NotModelled extends Error {
  override readonly name = 'NotModelled';
  readonly place: Place | undefined;
  constructor(message: string, place?: Place) {
    super(message);
    this.place = place;
  }
  /** `file:line:column: message`. */
  format(): string {
    return atPlace(this.place, this.message);
  }
}
