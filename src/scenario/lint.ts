// Things in a scenario that are allowed and probably not meant.
// Omits    anything that needs the machine: which nodes, CPUs and devices there are.
import type { Place } from '../base/assert.ts';
import { regionOf, tasksOf } from './acts.ts';
import type { Act, Op, Scenario, TaskAct } from './ops.ts';
import { pageBytesOfKind } from './parse_act.ts';
import { LAST_LONG_SLOT, REGION_STRIDE_BYTES } from './words.ts';

export interface Warning {
  /** Index in `scenario.ops`. */
  readonly op: number;
  readonly place: Place | undefined;
  readonly message: string;
  /** Only a real kernel minds; the model has room. */
  readonly isOfKernels?: boolean;
}

/** What is known of a region in one task's address space. */
interface Mapped {
  readonly nrPages: number;
  /** Pages from offset 0 to the first page. */
  readonly shift: number;
  readonly isGone: boolean;
}

type Regions = Map<string, Mapped>;

class Linter {
  readonly warnings: Warning[] = [];
  readonly #scenario: Scenario;
  readonly #pageBytes: number;
  /** By slots, so that two names of one slot are one. */
  readonly #tasks = new Map<number, Regions>([[0, new Map()]]);
  readonly #exited = new Set<number>();
  #index = 0;

  constructor(scenario: Scenario, pageBytes: number) {
    this.#scenario = scenario;
    this.#pageBytes = pageBytes;
  }

  #warn(message: string, isOfKernels = false): void {
    const place = this.#scenario.ops[this.#index]?.place;
    const of = isOfKernels ? { isOfKernels } : {};
    this.warnings.push({ op: this.#index, place, message, ...of });
  }

  #slot(task: string): number {
    return this.#scenario.tasks[task] as number;
  }

  look(op: Op, index: number): void {
    this.#index = index;
    const { act } = op;
    for (const name of tasksOf(act)) this.#lookAtTask(act, name);
    if (act.on === 'fork') {
      const regions = this.#tasks.get(this.#slot(act.parent)) ?? new Map<string, Mapped>();
      this.#tasks.set(this.#slot(act.child), new Map(regions));
      this.#exited.delete(this.#slot(act.child));
      return;
    }
    if (act.on !== 'task') return;
    if (act.act.verb === 'exit') this.#exited.add(this.#slot(act.task));
    else if (act.act.verb === 'mmap') this.#mmap(act.task, act.act);
    else this.#lookAtRegion(act, tasksOf(act).at(-1) as string);
  }

  #lookAtTask(act: Act, name: string): void {
    const slot = this.#slot(name);
    const isBorn = act.on === 'fork' && name === act.child;
    if (isBorn) {
      const lives = this.#tasks.has(slot) && !this.#exited.has(slot);
      if (lives) this.#warn(`task ${name} is there already`);
    } else if (!this.#tasks.has(slot)) this.#warn(`task ${name} was never forked`);
    else if (this.#exited.has(slot)) this.#warn(`task ${name} has exited before this line`);
  }

  #mmap(task: string, act: Extract<TaskAct, { verb: 'mmap' }>): void {
    const { region, nrPages, kind, shift } = act;
    const regions = this.#tasks.get(this.#slot(task));
    const before = regions?.get(region);
    if (before !== undefined && !before.isGone) {
      this.#warn(`${region} is mapped already and is mapped over`);
    }
    const isLong = nrPages * pageBytesOfKind(kind, this.#pageBytes) > REGION_STRIDE_BYTES;
    if (isLong && (this.#scenario.regions[region] as number) > LAST_LONG_SLOT) {
      this.#warn(
        `${region} is longer than 8400 MiB: a real kernel has room for that in slots up to ` +
          `${LAST_LONG_SLOT}`,
        true,
      );
    }
    regions?.set(region, { nrPages, shift, isGone: false });
  }

  #lookAtRegion(act: Extract<Act, { on: 'task' }>, owner: string): void {
    const region = regionOf(act);
    // A pin outlives the mapping.
    if (region === undefined || act.act.verb === 'unpin') return;
    const regions = this.#tasks.get(this.#slot(owner));
    const mapped = regions?.get(region);
    if (mapped === undefined || mapped.isGone) {
      const why = mapped === undefined ? `is not mapped in ${owner}` : 'was unmapped before';
      this.#warn(`${region} ${why}`);
      return;
    }
    this.#lookAtRange(act, region, mapped);
    if (act.act.verb === 'munmap' && act.act.offset === undefined) {
      regions?.set(region, { ...mapped, isGone: true });
    }
  }

  #lookAtRange(act: Extract<Act, { on: 'task' }>, region: string, mapped: Mapped): void {
    const { offset, nrPages } = act.act as { offset?: number; nrPages?: number };
    if (offset === undefined) return;
    const end = offset + (nrPages ?? 1);
    if (end > mapped.shift + mapped.nrPages) {
      this.#warn(
        `pages ${offset}..${end - 1} go past the end of ${region}, which has ${mapped.nrPages}`,
      );
    }
    if (nrPages === 0) this.#warn(`the range of ${region} is empty`);
  }
}

/**
 * Looks for what is allowed but suspicious: ranges past the end of a region, empty ranges, regions
 * and tasks that are not there, mappings over mappings. In the order of the lines.
 * @param pageBytes bytes of a page of the machine.
 */
export function lintScenario(scenario: Scenario, pageBytes = 4096): readonly Warning[] {
  const linter = new Linter(scenario, pageBytes);
  for (const [i, op] of scenario.ops.entries()) linter.look(op, i);
  return linter.warnings;
}
