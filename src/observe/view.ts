// What the text files are made from: a kernel, the names of its tasks, and its counters, which are
// read once however many files are made.
import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import { Counters } from './counters.ts';

export class View {
  readonly k: Kernel;
  /** Tasks by the names that a scenario gives them. */
  readonly tasks: ReadonlyMap<string, Task>;
  readonly #made = new Map<unknown, unknown>();

  constructor(k: Kernel, tasks: ReadonlyMap<string, Task>) {
    this.k = k;
    this.tasks = tasks;
  }

  /** Counters as they were when they were first asked for. */
  get counters(): Counters {
    return this.once(makeCounters);
  }

  /** What `make` makes of the view, made once. */
  once<T>(make: (view: View) => T): T {
    if (!this.#made.has(make)) this.#made.set(make, make(this));
    return this.#made.get(make) as T;
  }

  /** Kibibytes of so many pages. */
  kb(nrPages: number): number {
    return (nrPages * this.k.mem.pageBytes) / 1024;
  }
}

const makeCounters = ({ k }: View): Counters => new Counters(k);

/** One kind of file: which paths are of it, what stands in one, and which there are. */
export interface FileKind {
  /** The whole path; groups name what it is about. */
  readonly pattern: RegExp;
  /** The whole text, or undefined where there is no such file. */
  readonly read: (view: View, ...groups: string[]) => string | undefined;
  /** All paths that can be read now. */
  readonly paths: (view: View) => readonly string[];
}

/** A kind of which there is one file, at a fixed path. */
export const fileAt = (path: string, read: (view: View) => string): FileKind => ({
  pattern: new RegExp(`^${path.replaceAll('.', '\\.')}$`),
  read,
  paths: () => [path],
});

/** A number at the right end of `width` columns. */
export const right = (value: number | string, width: number): string =>
  String(value).padStart(width);

/** A text at the left end of `width` columns. */
export const left = (value: number | string, width: number): string => String(value).padEnd(width);
