// Scenarios in TypeScript instead of text; what is built is what the parser would have read.
//
//   const s = scenario('bind-device', { title: 'mbind to a device node', machine: 'thread' })
//     .task('app')
//     .mmap('buf', { nrPages: 64 })
//     .mbind('buf', { mode: 'bind', nodes: [2] })
//     .touch('buf')
//     .where('buf').expect({ nodes: { 2: 64 } })
//     .mbind('buf', { mode: 'bind+static', nodes: [0], words: ['move'] })
//     .expect({ ret: 'EIO', design: ['zonelist', 'limited-node'] })
//     .fork('worker').task('worker')
//     .do({ verb: 'get_mempolicy' }).expect({ field: 'mode', value: 'default' })
//     .sys({ verb: 'free' })
//     .build();
//
// Offsets and lengths count pages; a range that is left out is the whole region. Mistakes are found
// by `build`, by the rules of the language: names that are not there, words that are none, too many
// tasks or regions.
// Holds    There is one reader of the language: `build` writes the text and has the parser read it.
import { UserError } from '../base/assert.ts';
import { underOneName } from './finish.ts';
import type {
  Act,
  Expectation,
  Madvice,
  MmapKind,
  ModeArg,
  NodesArg,
  Op,
  Scenario,
  SysAct,
  TaskAct,
} from './ops.ts';
import { parseScenario } from './parser.ts';
import { printOp } from './print.ts';
import { slotOf } from './words.ts';

/** What a scenario says of itself. */
export interface ScenarioHeader {
  readonly title?: string;
  readonly source?: string;
  readonly machine?: string;
}

/** A stretch of a region, in pages. */
export interface PageRange {
  readonly offset: number;
  readonly nrPages: number;
}

/** A policy: `bind+static` or its parts, and the nodes (`none` when left out). */
export interface PolicyArg {
  readonly mode: string | ModeArg;
  readonly nodes?: NodesArg;
  readonly maxnode?: number;
}

/** What must come out of the operation before, for all designs or those named. */
export type ExpectArg = { readonly design?: string | readonly string[] } & (
  | { readonly ret: string | number }
  | { readonly nodes: Readonly<Record<string, number>> }
  | { readonly field: string; readonly value: string | number }
);

const modeOf = (mode: string | ModeArg): ModeArg => {
  if (typeof mode !== 'string') return mode;
  const [name = '', ...flags] = mode.split('+');
  return { mode: name, flags };
};

const maxnodeOf = (policy: PolicyArg): { maxnode?: number } =>
  policy.maxnode === undefined ? {} : { maxnode: policy.maxnode };

function claimOf(arg: ExpectArg): Expectation {
  if ('ret' in arg) return { kind: 'ret', ret: arg.ret };
  if ('nodes' in arg) return { kind: 'nodes', counts: arg.nodes };
  return { kind: 'field', field: arg.field, value: String(arg.value) };
}

export class ScenarioBuilder {
  readonly #name: string;
  readonly #header: ScenarioHeader;
  readonly #ops: { readonly act: Act; readonly expect: Expectation[] }[] = [];
  #firstTask: string | undefined;
  /** The task that the next operations are of. */
  #task = 'T0';
  /** Sizes by region, so that ranges may be left out. */
  readonly #nrPages = new Map<string, number>();

  constructor(name: string, header: ScenarioHeader) {
    this.#name = name;
    this.#header = header;
  }

  /**
   * The operations from here on are of this task. Before the first operation it gives the first
   * task its name; later it goes on as a task that was forked, or as the first one again.
   */
  task(name: string): this {
    if (this.#ops.length === 0 && slotOf(name) < 0) this.#firstTask = name;
    this.#task = name;
    return this;
  }

  /** Any operation of the current task, as data. */
  do(act: TaskAct): this {
    return this.#push({ on: 'task', task: this.#task, act });
  }

  /** Any operation of the controller, as data. */
  sys(act: SysAct): this {
    return this.#push({ on: 'sys', act });
  }

  /** Makes `child` a copy of the current task, which stays the current one. */
  fork(child: string): this {
    return this.#push({ on: 'fork', parent: this.#task, child });
  }

  #push(act: Act): this {
    this.#ops.push({ act, expect: [] });
    return this;
  }

  /** The given range, or the whole region as it was mapped. */
  #range(region: string, range: PageRange | undefined): PageRange {
    if (range !== undefined) return range;
    const nrPages = this.#nrPages.get(region);
    if (nrPages !== undefined) return { offset: 0, nrPages };
    throw new UserError(`the size of ${region} is not known here; map it before, or give a range`);
  }

  cpu(cpu: number): this {
    return this.do({ verb: 'cpu', cpu });
  }

  /** Maps a region; `kind` is `anon` when left out. */
  mmap(
    region: string,
    arg: { readonly nrPages: number; readonly kind?: MmapKind; readonly shift?: number },
  ): this {
    const { nrPages, kind = 'anon', shift = 0 } = arg;
    this.#nrPages.set(region, nrPages);
    return this.do({ verb: 'mmap', region, nrPages, kind, shift });
  }

  munmap(region: string, range?: PageRange): this {
    return this.do({ verb: 'munmap', region, ...range });
  }

  touch(region: string, range?: PageRange): this {
    return this.do({ verb: 'touch', region, ...range });
  }

  read(region: string, range?: PageRange): this {
    return this.do({ verb: 'read', region, ...range });
  }

  where(region: string, range?: PageRange): this {
    return this.do({ verb: 'where', region, ...range });
  }

  setMempolicy(policy: PolicyArg): this {
    const mode = modeOf(policy.mode);
    return this.do({
      verb: 'set_mempolicy',
      mode,
      nodes: policy.nodes ?? 'none',
      ...maxnodeOf(policy),
    });
  }

  /** Sets the policy of a range; `words` are strict, move, moveall, lazy. */
  mbind(
    region: string,
    arg: PolicyArg & {
      readonly range?: PageRange;
      readonly words?: readonly ('strict' | 'move' | 'moveall' | 'lazy')[];
    },
  ): this {
    return this.do({
      verb: 'mbind',
      region,
      ...this.#range(region, arg.range),
      mode: modeOf(arg.mode),
      nodes: arg.nodes ?? 'none',
      words: arg.words ?? [],
      ...maxnodeOf(arg),
      rawFlags: 0,
      addressOffsetBytes: 0,
    });
  }

  setHome(region: string, node: number, range?: PageRange): this {
    const where = this.#range(region, range);
    return this.do({ verb: 'set_home', region, ...where, node, flags: 0, addressOffsetBytes: 0 });
  }

  /** Moves pages to `nodes`, which are used in turn. */
  movePages(region: string, nodes: readonly number[], range?: PageRange): this {
    const where = this.#range(region, range);
    return this.do({ verb: 'move_pages', region, ...where, nodes, moveAll: false });
  }

  migratePages(from: NodesArg, to: NodesArg): this {
    return this.do({ verb: 'migrate_pages', from, to });
  }

  madvise(region: string, advice: Madvice, range?: PageRange): this {
    return this.do({ verb: 'madvise', region, ...this.#range(region, range), advice });
  }

  deviceCompute(device: string, region: string, range?: PageRange): this {
    return this.do({ verb: 'device_compute', device, region, words: [], ...range });
  }

  /** What must come out of the last operation; may be called several times. */
  expect(arg: ExpectArg): this {
    const last = this.#ops.at(-1);
    if (last === undefined) throw new UserError('expect() comes before any operation');
    const claim = claimOf(arg);
    if (arg.design === undefined) last.expect.push(claim);
    else for (const design of [arg.design].flat()) last.expect.push({ ...claim, design });
    return this;
  }

  /** @throws UserError naming the operation that the language does not allow. */
  build(): Scenario {
    const header = [`scenario ${this.#name}`];
    for (const key of ['title', 'source', 'machine'] as const) {
      const text = this.#header[key];
      if (text !== undefined && text !== '') header.push(`${key} ${text}`);
    }
    if (this.#firstTask !== undefined) header.push(`task ${this.#firstTask}`);
    const first = this.#firstTask ?? 'T0';
    const lines = this.#ops.map((draft) => printOp({ ...underOneName(draft, first), text: '' }));
    const scenario = this.#parse(header, lines);
    const ops = scenario.ops.map(({ text, act, expect }): Op => ({ text, act, expect }));
    lines.forEach((line, i) => {
      const op = ops[i];
      if (op !== undefined && printOp(op) === line && ops.length === lines.length) return;
      throw new UserError(
        `operation ${i + 1} cannot be written as one line: ${JSON.stringify(line)}`,
      );
    });
    return { ...scenario, ops };
  }

  /** Reads the text; a mistake names the operation, since the person has seen no lines. */
  #parse(header: readonly string[], lines: readonly string[]): Scenario {
    const broken = header.find((line) => /[\r\n]/.test(line));
    if (broken !== undefined) throw new UserError(`a line break in ${JSON.stringify(broken)}`);
    const text = [...header, ...lines].join('\n');
    try {
      return parseScenario(text, { file: `scenario ${this.#name}` });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const i = (error.place?.line ?? 0) - header.length - 1;
      const what = i < 0 ? `scenario ${this.#name}` : `operation ${i + 1}, "${lines[i]}"`;
      throw new UserError(`${what}: ${error.message}`);
    }
  }
}

/** Starts a scenario; the header comment of this file shows a whole one. */
export function scenario(name: string, header: ScenarioHeader = {}): ScenarioBuilder {
  return new ScenarioBuilder(name, header);
}
