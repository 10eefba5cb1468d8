// What the test program in a guest says on the serial line, read into one record a case.
// Notes    A line of it is `@` and a JSON object: first the program itself, then for each case its
//          start, one line an operation, and its end; last that all is done. Everything else on the
//          line is the kernel's own, and kept as the tail of the log.
// Holds    GST4 a line that is cut or foreign spoils its own operation only, and is told.
import type { OpResult } from '../scenario/ops.ts';

/** A populated zone as /proc/zoneinfo shows it. */
export interface GuestZone {
  readonly node: number;
  readonly zone: string;
  readonly spanned: number;
  readonly present: number;
  readonly managed: number;
  readonly free: number;
  readonly pcp: number;
  readonly min: number;
  readonly low: number;
  readonly high: number;
  readonly startPfn: number;
}

/** What the kernel shows when a case starts. */
export interface GuestStart {
  readonly zonesAtStart: readonly GuestZone[];
  readonly fallbackOrder?: Readonly<Record<string, readonly number[]>> | undefined;
  readonly nodeStates: Readonly<Record<string, readonly number[]>>;
  readonly distances?: readonly (readonly number[])[] | undefined;
  /** MAX_NUMNODES, when the program could tell. */
  readonly maxNodes?: number | undefined;
}

/** One case as far as it came. */
export interface GuestCase {
  readonly start: GuestStart | undefined;
  /** By operation; `undefined` where no answer came. */
  readonly results: readonly (OpResult | undefined)[];
  /** What the program could not do, by operation. */
  readonly errors: ReadonlyMap<number, string>;
  readonly isEnded: boolean;
}

export interface GuestOutput {
  /** `uname -r`. */
  readonly kernel: string | undefined;
  readonly cmdline: string | undefined;
  /** The program said its first word. */
  readonly hasBegun: boolean;
  readonly cases: ReadonlyMap<number, GuestCase>;
  readonly isDone: boolean;
  /** The last lines that were not the program's. */
  readonly tail: readonly string[];
}

interface CaseDraft {
  start: GuestStart | undefined;
  readonly results: (OpResult | undefined)[];
  readonly errors: Map<number, string>;
  isEnded: boolean;
}

interface Message {
  readonly probe?: number;
  readonly kernel?: string;
  readonly cmdline?: string;
  readonly case?: number;
  readonly start?: GuestStart;
  readonly i?: number;
  readonly result?: OpResult;
  readonly error?: string;
  readonly end?: boolean;
  readonly done?: boolean;
}

const TAIL_LINES = 40;

/** Reads output as it comes, in pieces of any length. */
export class ProtocolReader {
  #rest = '';
  #kernel: string | undefined;
  #cmdline: string | undefined;
  #isDone = false;
  #hasBegun = false;
  readonly #cases = new Map<number, CaseDraft>();
  readonly #tail: string[] = [];

  /** Takes a piece; whole lines are read at once. */
  push(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#line(line.replace(/\r+$/, ''));
  }

  /** All that was read. */
  finish(): GuestOutput {
    if (this.#rest !== '') this.#line(this.#rest.replace(/\r+$/, ''));
    this.#rest = '';
    return {
      kernel: this.#kernel,
      cmdline: this.#cmdline,
      hasBegun: this.#hasBegun,
      cases: this.#cases,
      isDone: this.#isDone,
      tail: this.#tail,
    };
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  /** Cases that have ended so far. */
  get nrEnded(): number {
    return [...this.#cases.values()].filter((c) => c.isEnded).length;
  }

  #line(line: string): void {
    const at = line.indexOf('@{');
    const message = at < 0 ? undefined : parse(line.slice(at + 1));
    if (message === undefined) {
      if (line.trim() === '') return;
      this.#tail.push(line);
      if (this.#tail.length > TAIL_LINES) this.#tail.shift();
      return;
    }
    this.#hasBegun = true;
    if (message.probe !== undefined) {
      this.#kernel = message.kernel;
      this.#cmdline = message.cmdline;
    }
    if (message.done === true) this.#isDone = true;
    if (message.case !== undefined) this.#caseMessage(message.case, message);
  }

  #caseMessage(number: number, message: Message): void {
    let draft = this.#cases.get(number);
    if (draft === undefined) {
      draft = { start: undefined, results: [], errors: new Map(), isEnded: false };
      this.#cases.set(number, draft);
    }
    if (message.start !== undefined) draft.start = message.start;
    if (message.end === true) draft.isEnded = true;
    if (message.i === undefined) return;
    if (message.result !== undefined) draft.results[message.i] = message.result;
    if (message.error !== undefined) draft.errors.set(message.i, message.error);
  }
}

function parse(text: string): Message | undefined {
  try {
    return JSON.parse(text) as Message;
  } catch {
    return undefined;
  }
}

export interface CaseText {
  readonly lines: readonly string[];
  /** The hierarchy that control groups are mounted as. */
  readonly cpuset?: 'v2' | 'v1' | undefined;
}

/** The text of /ops. */
export function opsText(cases: readonly CaseText[]): string {
  return cases
    .map(({ lines, cpuset }, i) => {
      const mount = cpuset === undefined ? '' : ` cpuset=${cpuset}`;
      return `#case ${i}${mount}\n${lines.join('\n')}\n`;
    })
    .join('');
}

/** The hierarchy that operations need, by the files that they name. */
export function cpusetOf(lines: readonly string[]): 'v2' | 'v1' | undefined {
  if (lines.some((line) => line.includes('/sys/fs/cgroup'))) return 'v2';
  return lines.some((line) => / \/cpuset(?:\/|\s|$)/.test(line)) ? 'v1' : undefined;
}
