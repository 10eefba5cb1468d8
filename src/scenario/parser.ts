// The operation language: reads a scenario with its names, parameters, loops and generated parts.
// The reference is docs/SCENARIOS.md.
// Holds    Parsing is a pure function of text and options. Every mistake is a UserError with file,
//          line and column; the first one ends the reading.
import { UserError } from '../base/assert.ts';
import { didYouMean } from '../base/suggest.ts';
import { readBootWords } from './boot_words.ts';
import { DESIGN_NAME } from './expect.ts';
import { type Draft, finish } from './finish.ts';
import { generateDrafts, type MachineNodes } from './generate.ts';
import { FAMILIES } from './generate_weights.ts';
import { Lines, type SourceLine, substitute } from './lexer.ts';
import { NameChecks } from './name_checks.ts';
import type { Act, AgentSettings, Scenario } from './ops.ts';
import { type PageSizes, pageBytesOfKind } from './parse_act.ts';
import { DEFAULT_PAGE_BYTES, readOperation } from './parse_line.ts';
import { Reader } from './reader.ts';
import { isStatement, STATEMENTS, slotOf } from './words.ts';

export { parseOpLine } from './parse_line.ts';

export interface ParseOptions {
  /** Shown in messages; its base name is the scenario's name when the text gives none. */
  readonly file: string;
  /** Bytes of a page of the machine: how sizes such as `64MiB` become pages. 4096 if absent. */
  readonly pageBytes?: number | undefined;
  /** Values that replace those of `param` lines. */
  readonly parameters?: Readonly<Record<string, string>> | undefined;
  /** The machine's nodes, which `generate` needs. */
  readonly nodes?: MachineNodes | undefined;
  /** The machine's devices: others are refused where they are named. */
  readonly devices?: readonly string[] | undefined;
}

/** Operations, and rounds of loops, that one text may come to. */
export const MAX_OPERATIONS = 1_000_000;

const VARIABLE_NAME = /^[A-Za-z][A-Za-z0-9_]*$/;
const HEADER_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

/** Page sizes as the lines read so far leave them. */
class MappedPages implements PageSizes {
  readonly base: number;
  /** Regions whose pages are not of the base size. */
  readonly #other = new Map<string, number>();

  constructor(base: number) {
    this.base = base;
  }

  of(region: string): number {
    return this.#other.get(region) ?? this.base;
  }

  note(act: Act): void {
    if (act.on !== 'task' || act.act.verb !== 'mmap') return;
    const pageBytes = pageBytesOfKind(act.act.kind, this.base);
    if (pageBytes !== this.base) this.#other.set(act.act.region, pageBytes);
    else if (this.#other.size > 0) this.#other.delete(act.act.region);
  }
}

class ScenarioReader {
  readonly #options: ParseOptions;
  readonly #file: string;
  readonly #lines: Lines;
  readonly #pages: MappedPages;
  readonly #names: NameChecks;
  readonly #header: { [key in 'scenario' | 'title' | 'source' | 'machine' | 'task']?: string } = {};
  readonly #parameters: Record<string, string> = {};
  #agent: AgentSettings | undefined;
  #boot: readonly string[] | undefined;
  #expects: readonly string[] | undefined;
  /** Parameters and the variables of the loops around the line. */
  readonly #values = new Map<string, string>();
  readonly #drafts: Draft[] = [];
  readonly #closes = new Map<number, number>();
  /** The outermost loop around the line. */
  #loop: SourceLine | undefined;
  #nrRounds = 0;

  constructor(text: string, options: ParseOptions) {
    this.#options = options;
    this.#file = options.file;
    this.#lines = new Lines(text, options.file);
    this.#pages = new MappedPages(options.pageBytes ?? DEFAULT_PAGE_BYTES);
    this.#names = new NameChecks(options.file, options.devices);
  }

  read(): Scenario {
    this.#run(0, this.#lines.count);
    this.#checkOverrides();
    const { tasks, regions, ops } = finish(this.#drafts, this.#names.firstTask);
    const header = this.#header;
    return {
      name: header.scenario ?? nameOfFile(this.#file),
      title: header.title ?? '',
      source: header.source ?? '',
      machine: header.machine,
      tasks,
      regions,
      ops,
      parameters: this.#parameters,
      ...(this.#expects === undefined ? {} : { expects: this.#expects }),
      ...(this.#boot === undefined ? {} : { boot: this.#boot }),
      ...(this.#agent === undefined ? {} : { agent: this.#agent }),
    };
  }

  /** Executes the lines of index `from` up to and without `to`. */
  #run(from: number, to: number): void {
    for (let i = from; i < to; i++) {
      const scanned = this.#lines.at(i, this.#loop !== undefined);
      if (scanned === undefined) continue;
      const line = substitute(scanned, this.#file, this.#values);
      const head = line.words[0] as string;
      if (head === 'sys' || head === 'fork' || !(isStatement(head) || head === '}')) {
        this.#add(readOperation(this.#file, line, this.#pages), line);
      } else if (head === 'repeat') {
        i = this.#repeat(line, i, to);
      } else {
        this.#statement(line, head);
      }
    }
  }

  #add(draft: Draft, line: SourceLine): void {
    this.#names.check(draft.act, line);
    this.#pages.note(draft.act);
    if (this.#drafts.length === MAX_OPERATIONS) this.#tooMany('operations', line);
    this.#drafts.push(draft);
  }

  #tooMany(what: string, line: SourceLine): never {
    const message = `this comes to more than ${MAX_OPERATIONS} ${what}, which is the limit`;
    return this.#reader(this.#loop ?? line).fail(message, 0);
  }

  #reader(line: SourceLine): Reader {
    return new Reader(this.#file, line, 1, line.words.length);
  }

  #statement(line: SourceLine, head: string): void {
    const r = this.#reader(line);
    if (head === '}') r.fail('this } closes nothing; expected a "repeat N {" before', 0);
    r.usage = `${head} ${STATEMENTS[head as keyof typeof STATEMENTS]}`;
    if (head === 'param') this.#param(r);
    else if (head === 'generate') this.#generate(r, line);
    else if (head === 'agent') this.#agentLine(r);
    else if (head === 'boot') this.#bootLine(r);
    else if (head === 'expects') this.#expectsLine(r);
    else this.#headerLine(r, head as 'scenario' | 'title' | 'source' | 'machine' | 'task');
    r.finish();
  }

  /** Lines of the header stand above the first operation, each once. */
  #checkPlace(r: Reader, key: string, wasThere: boolean): void {
    if (this.#drafts.length > 0 || this.#loop !== undefined) {
      r.fail(`"${key}" belongs above the first operation`, 0);
    }
    if (wasThere) r.fail(`"${key}" comes a second time`, 0);
  }

  #headerLine(r: Reader, key: 'scenario' | 'title' | 'source' | 'machine' | 'task'): void {
    this.#checkPlace(r, key, this.#header[key] !== undefined);
    const isText = key === 'title' || key === 'source';
    const value = key === 'task' ? r.name('NAME', 'T') : r.word(isText ? 'TEXT' : 'NAME');
    if (!isText && key !== 'task' && !HEADER_NAME.test(value)) {
      r.fail(`"${value}" is no name; expected letters, digits, ".", "_" and "-"`, 1);
    }
    if (key === 'task') {
      if (slotOf(value) > 0)
        r.fail(`the first task has slot 0; expected T0 or a name of your own`, 1);
      this.#names.nameFirstTask(value);
    }
    this.#header[key] = value;
  }

  /** `expects stock,zonelist`. */
  #expectsLine(r: Reader): void {
    this.#checkPlace(r, 'expects', this.#expects !== undefined);
    const designs = r.word('DESIGN').split(',');
    const wrong = designs.find((design) => !DESIGN_NAME.test(design));
    if (wrong !== undefined) r.fail(`"${wrong}" is no name of a design; usage: ${r.usage}`, 1);
    this.#expects = designs;
  }

  /** `boot hugepagesz=1G hugepages=0:1,1:2`. */
  #bootLine(r: Reader): void {
    this.#checkPlace(r, 'boot', this.#boot !== undefined);
    const words = [r.word('WORD')];
    while (!r.done) words.push(r.word('WORD'));
    const read = readBootWords(words);
    if ('message' in read) r.fail(read.message, read.at + 1);
    this.#boot = words;
  }

  /** `agent delay=4 users=app,worker`. */
  #agentLine(r: Reader): void {
    this.#checkPlace(r, 'agent', this.#agent !== undefined);
    const given = r.trailing([], ['delay', 'users']);
    const delayOps = r.numberOption(given, 'delay');
    const users = r.tasksOption(given, 'users');
    if (delayOps === undefined && users === undefined) {
      r.fail(`delay= or users= is missing; usage: ${r.usage}`);
    }
    this.#agent = {
      ...(delayOps === undefined ? {} : { delayOps }),
      ...(users === undefined ? {} : { users }),
    };
  }

  /** `param NAME = VALUE`, or the same with fewer spaces. */
  #param(r: Reader): void {
    if (this.#loop !== undefined) r.fail('"param" cannot stand in a loop', 0);
    const first = r.word('NAME');
    const equals = first.indexOf('=');
    const name = equals < 0 ? first : first.slice(0, equals);
    this.#checkVariable(r, name);
    let value = equals < 0 ? r.word('=') : first.slice(equals);
    if (!value.startsWith('='))
      r.fail(`"${value}" stands where = belongs; usage: ${r.usage}`, r.at - 1);
    value = value === '=' ? r.word('VALUE') : value.slice(1);
    const override = this.#options.parameters?.[name];
    if (override !== undefined && !/^[^\s"#$][^\s$]*$/.test(override)) {
      r.fail(`the value "${override}" given for ${name} is no word`, 1);
    }
    this.#parameters[name] = override ?? value;
    this.#values.set(name, override ?? value);
  }

  #checkVariable(r: Reader, name: string): void {
    if (!VARIABLE_NAME.test(name)) {
      r.fail(`"${name}" is no name; expected a letter followed by letters, digits or _`, r.at - 1);
    }
    if (this.#values.has(name)) r.fail(`there is a "${name}" here already`, r.at - 1);
  }

  #checkOverrides(): void {
    for (const name of Object.keys(this.#options.parameters ?? {})) {
      if (Object.hasOwn(this.#parameters, name)) continue;
      const known = Object.keys(this.#parameters);
      const have = known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`;
      const message = `no parameter "${name}" in this scenario; ${have}${didYouMean(name, known)}`;
      throw new UserError(message, { file: this.#file });
    }
  }

  /** Runs a loop that opens at line index `at`; returns the index of the line that closes it. */
  #repeat(line: SourceLine, at: number, to: number): number {
    const r = this.#reader(line);
    r.usage = `repeat ${STATEMENTS.repeat}`;
    const count = r.number('N, a number of rounds,');
    let variable: string | undefined;
    if (r.peek() === 'as') {
      r.at++;
      variable = r.word('NAME');
      this.#checkVariable(r, variable);
    }
    if (r.word('{') !== '{')
      r.fail(`"${line.words[r.at - 1]}" stands where { belongs; usage: ${r.usage}`, r.at - 1);
    r.finish();
    const close = this.#closeOf(line, at, to);
    const outer = this.#loop;
    this.#loop ??= line;
    for (let round = 0; round < count; round++) {
      if (++this.#nrRounds > MAX_OPERATIONS) this.#tooMany('rounds of loops', line);
      if (variable !== undefined) this.#values.set(variable, String(round));
      this.#run(at + 1, close);
    }
    if (variable !== undefined) this.#values.delete(variable);
    this.#loop = outer;
    return close;
  }

  #closeOf(line: SourceLine, at: number, to: number): number {
    const known = this.#closes.get(at);
    if (known !== undefined) return known;
    let depth = 1;
    for (let i = at + 1; i < to; i++) {
      const inner = this.#lines.at(i, true);
      if (inner?.words[0] === 'repeat') depth++;
      if (inner?.words[0] !== '}' || --depth > 0) continue;
      if (inner.words.length > 1) {
        this.#reader(inner).fail(`"${inner.words[1]}" is one word too many after }`);
      }
      this.#closes.set(at, i);
      return i;
    }
    return this.#reader(line).fail('this loop is not closed; expected a line with } after it', 0);
  }

  #generate(r: Reader, line: SourceLine): void {
    const options = r.trailing([], ['seed', 'ops', 'family']);
    const seed = options.options.find((o) => o.key === 'seed')?.text;
    const ops = r.numberOption(options, 'ops');
    if (seed === undefined || ops === undefined)
      r.fail(`seed= or ops= is missing; usage: ${r.usage}`);
    if (ops < 1 || ops > MAX_OPERATIONS)
      r.fail(`ops=${ops} is out of range; expected 1..${MAX_OPERATIONS}`, 1);
    const named = options.options.find((o) => o.key === 'family');
    const family = FAMILIES.find((f) => f === (named?.text ?? 'mixed'));
    if (family === undefined) {
      const hint = didYouMean(named?.text ?? '', FAMILIES);
      r.fail(
        `"${named?.text}" is no family; expected ${FAMILIES.join(', ')}${hint}`,
        named?.at ?? 0,
      );
    }
    const { nodes } = this.#options;
    if (nodes === undefined) r.fail('generate needs to know the nodes: name a machine', 0);
    const place = { file: this.#file, line: line.number, column: line.columns[0] };
    for (const draft of generateDrafts({ ...nodes, seed, ops, family })) {
      this.#add({ ...draft, place }, line);
    }
  }
}

/** `hybrid-flow` for `scenarios/hybrid-flow.cdm`. */
function nameOfFile(file: string): string {
  const base = file.slice(Math.max(file.lastIndexOf('/'), file.lastIndexOf('\\')) + 1);
  const name = base.replace(/\.[A-Za-z0-9]+$/, '').replace(/[^A-Za-z0-9_.-]/g, '-');
  return HEADER_NAME.test(name) ? name : 'scenario';
}

/**
 * Reads a scenario.
 * @throws UserError at the first mistake: unknown words, names that are not there, sizes that are
 * no whole number of pages, more than 16 tasks, 32 regions or 1,000,000 operations.
 */
export function parseScenario(text: string, options: ParseOptions): Scenario {
  return new ScenarioReader(text, options).read();
}
