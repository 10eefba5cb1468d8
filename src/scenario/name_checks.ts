// Are names there when a line uses them? A task of a person's own name must have been forked, a
// region of a person's own name mapped. T<n> and R<n> are exempt: cases of real kernels use tasks
// and regions that are not there on purpose.
import { UserError } from '../base/assert.ts';
import { didYouMean } from '../base/suggest.ts';
import { regionOf, tasksOf } from './acts.ts';
import {
  besideDevices,
  deviceNamed,
  isDevicePolicy,
  noSuchDevice,
  noSuchPolicy,
} from './device_names.ts';
import type { SourceLine } from './lexer.ts';
import type { Act, TaskAct } from './ops.ts';
import { slotOf } from './words.ts';

export class NameChecks {
  readonly #file: string;
  readonly #devices: readonly string[] | undefined;
  #firstTask = 'T0';
  /** Regions that each task has mapped or inherited, by the task's name; T0 for the first one. */
  readonly #mapped = new Map<string, Set<string>>([['T0', new Set()]]);
  readonly #mappedByAny = new Set<string>();

  /** @param devices names of the machine's devices, if the machine is known. */
  constructor(file: string, devices?: readonly string[]) {
    this.#file = file;
    this.#devices = devices;
  }

  get firstTask(): string {
    return this.#firstTask;
  }

  nameFirstTask(name: string): void {
    this.#firstTask = name;
  }

  /** The tasks that a line may name, for messages. */
  get #known(): readonly string[] {
    return [...this.#mapped.keys()].map((name) => (name === 'T0' ? this.#firstTask : name));
  }

  #key(task: string): string {
    return task === this.#firstTask ? 'T0' : task;
  }

  #fail(message: string, line: SourceLine, name: string): never {
    const i = line.words.findIndex((word) => word === name || word.endsWith(`=${name}`));
    const column = line.columns[Math.max(i, 0)];
    throw new UserError(message, { file: this.#file, line: line.number, column });
  }

  /** Stops at a name that is not there, and notes those that the act brings into being. */
  check(act: Act, line: SourceLine): void {
    if (act.on === 'fork') this.#checkTask(act.parent, line);
    else for (const task of tasksOf(act)) this.#checkTask(task, line);
    if (act.on === 'fork') this.#fork(act.parent, act.child, line);
    if (act.on === 'task') this.#checkDevice(act.act, line);
    const region = regionOf(act);
    if (region === undefined || slotOf(region) >= 0 || act.on !== 'task') return;
    if (act.act.verb === 'mmap') {
      this.#mapped.get(this.#key(act.task))?.add(region);
      this.#mappedByAny.add(region);
      return;
    }
    this.#checkRegion(tasksOf(act).at(-1) as string, region, line);
  }

  #checkDevice(act: TaskAct, line: SourceLine): void {
    const device = deviceNamed(act);
    const others = besideDevices(act);
    const isKnown = device === undefined || (this.#devices?.includes(device) ?? true);
    if (!isKnown && !others.includes(device)) {
      this.#fail(noSuchDevice(device, this.#devices ?? [], others), line, device);
    }
    const isPolicy = act.verb === 'device_policy' && this.#devices !== undefined;
    if (!isPolicy || isDevicePolicy(act.policy)) return;
    this.#fail(noSuchPolicy(act.policy), line, act.policy);
  }

  #checkTask(name: string, line: SourceLine): void {
    if (slotOf(name) >= 0 || this.#mapped.has(this.#key(name))) return;
    const how = 'a task comes from "task NAME" (the first one) or "fork PARENT NAME"';
    const have = `here so far: ${this.#known.join(', ')}`;
    this.#fail(`no task "${name}"; ${how}; ${have}${didYouMean(name, this.#known)}`, line, name);
  }

  #fork(parent: string, child: string, line: SourceLine): void {
    const key = this.#key(child);
    if (this.#mapped.has(key) && slotOf(child) < 0) {
      this.#fail(`there is a task "${child}" already; expected a new name`, line, child);
    }
    const inherited = this.#mapped.get(this.#key(parent)) ?? this.#mappedByAny;
    this.#mapped.set(key, new Set(inherited));
  }

  #checkRegion(task: string, region: string, line: SourceLine): void {
    const has = this.#mapped.get(this.#key(task)) ?? this.#mappedByAny;
    if (has.has(region)) return;
    if (this.#mappedByAny.has(region)) {
      this.#fail(
        `"${region}" is mapped, but not in ${task}, which was forked before`,
        line,
        region,
      );
    }
    const how = `expected "${task} mmap ${region} PAGES KIND" on a line before`;
    const hint = didYouMean(region, this.#mappedByAny);
    this.#fail(`no region "${region}" is mapped here; ${how}${hint}`, line, region);
  }
}
