// Runs a design's agent in user space beside the programs of a scenario: tells it of events and of
// programs that start, and does what it answers as operations like any others.
// State    the events that it has not answered yet, and what was placed on devices meanwhile.
// Holds    AGT1 an agent has no other way to the kernel than operations of the language. AGT2 an
//          event is answered when as many operations as its delay have run after it, or when time
//          is let pass.
import type { AgentTask, AgentView, DesignAgent } from '../hooks/design.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { PlacementRow } from '../kernel/placement_count.ts';
import type { Task } from '../kernel/task.ts';
import { formatCpuList } from '../machine/cpu_list.ts';
import { scanLine } from './lexer.ts';
import type { Act, OpResult } from './ops.ts';
import { readOperation } from './parse_line.ts';

/** An operation of the agent, and what came of it. */
export interface AgentStep {
  readonly did: string;
  readonly ret: string | number;
}

/** Time in which the agent had not answered: device memory was there, and nobody was kept off. */
export interface AgentWindow {
  /** Operations that ran in it. */
  nrOps: number;
  /** Pages placed on device nodes in it that nobody asked for. */
  nrPages: number;
}

export interface AgentInput {
  readonly k: Kernel;
  readonly agent: DesignAgent;
  /** Operations between an event and its answer. */
  readonly delayOps: number;
  /** The hierarchy of the scenario's own groups. */
  readonly cpusetVersion: 1 | 2 | undefined;
  /** Names of the programs that are to use devices. */
  readonly users: ReadonlySet<string>;
  readonly tasks: ReadonlyMap<string, Task>;
  readonly run: (act: Act) => OpResult;
}

interface Pending {
  readonly action: 'online' | 'offline';
  readonly nid: number;
  readonly due: number;
}

const keyOf = (row: PlacementRow): string => `${row.purpose}/${row.from}/${row.nid}`;

export class AgentRun {
  readonly windows: AgentWindow[] = [];
  readonly #in: AgentInput;
  /** Programs that are to use devices, and those that they started. */
  readonly #users: Set<string>;
  readonly #pending: Pending[] = [];
  #nrHeard = 0;
  #nrOps = 0;
  #window: AgentWindow | undefined;
  #known = new Map<string, number>();

  constructor(input: AgentInput) {
    this.#in = input;
    this.#users = new Set(input.users);
  }

  /** What it does before the first program runs. */
  boot(): readonly AgentStep[] {
    const steps = this.#do(this.#in.agent.atBoot(this.#view()));
    this.#note(false);
    return steps;
  }

  /** Has its turn after an operation of somebody else. */
  after(act: Act): readonly AgentStep[] {
    this.#nrOps++;
    const steps: AgentStep[] = [];
    const isUsers = act.on === 'task' && this.#users.has(act.task);
    if (act.on === 'fork') steps.push(...this.#started(act.parent, act.child));
    this.#listen();
    this.#note(isUsers);
    const letsTimePass = act.on === 'sys' && act.act.verb === 'sleep';
    while (this.#pending.length > 0) {
      const event = this.#pending[0] as Pending;
      if (event.due > this.#nrOps && !letsTimePass) break;
      this.#pending.shift();
      steps.push(...this.#do(this.#in.agent.onEvent(event, this.#view())));
    }
    if (steps.length > 0) this.#note(false);
    return steps;
  }

  /** A program has started another; what a user starts is one, too. */
  #started(parent: string, child: string): readonly AgentStep[] {
    if (this.#in.tasks.get(child)?.isAlive !== true) return [];
    if (this.#users.has(parent)) {
      this.#users.add(child);
      return [];
    }
    const task = { name: child, isUser: this.#users.has(child) };
    return this.#do(this.#in.agent.onTask(task, this.#view()));
  }

  #listen(): void {
    const { uevents } = this.#in.k;
    for (; this.#nrHeard < uevents.length; this.#nrHeard++) {
      const { action, nid } = uevents[this.#nrHeard] as (typeof uevents)[number];
      this.#pending.push({ action, nid, due: this.#nrOps + this.#in.delayOps });
    }
  }

  #do(lines: readonly string[]): AgentStep[] {
    const { k, run } = this.#in;
    return lines.map((did) => {
      const line = scanLine(did, 1, 'agent');
      if (line === undefined) throw new Error(`an agent answers with operations, not "${did}"`);
      const pages = { base: k.mem.pageBytes, of: () => k.mem.pageBytes };
      const { ret } = run(readOperation('agent', line, pages).act);
      return { did, ret };
    });
  }

  #view(): AgentView {
    const { k, run, tasks } = this.#in;
    const cpus = [...k.mem.onlineCpus].sort((a, b) => a - b);
    return {
      nodes: k.states,
      cpus: formatCpuList(cpus),
      cpusetVersion: this.#in.cpusetVersion,
      tasks: [...tasks]
        .filter(([, task]) => task.isAlive)
        .map(([name]): AgentTask => ({ name, isUser: this.#users.has(name) })),
      read: (path) => {
        const { ret, value } = run({ on: 'sys', act: { verb: 'read', path } });
        return ret === 0 ? String(value).trim() : undefined;
      },
    };
  }

  /** Does every program stand where the agent has put it? */
  #isInPlace(): boolean {
    const { agent, tasks } = this.#in;
    return [...tasks.values()].every((task) => !task.isAlive || agent.keepsGroup(task.cpuset.path));
  }

  /**
   * Looks at what has been placed on devices unasked since the last time, and excuses what the
   * promise does not speak of: before the agent has answered, of programs that are to use devices,
   * and while somebody has taken one out of its cpusets.
   * @param isUsers a user's operation has just run.
   */
  #note(isUsers: boolean): void {
    const { k } = this.#in;
    const { memory, device } = k.states;
    const isThere = memory.intersects(device);
    const isShut = this.#pending.length === 0 && this.#isInPlace();
    const isOpen = isThere && this.#pending.length > 0 && !this.#hasGroups();
    let nrPages = 0;
    for (const row of k.placements.rows()) {
      if (row.isAsked || !device.has(row.nid)) continue;
      const key = keyOf(row);
      const fresh = row.nrPages - (this.#known.get(key) ?? 0);
      this.#known.set(key, row.nrPages);
      if (fresh === 0) continue;
      if (!isUsers) nrPages += fresh;
      if (isUsers || !isShut) k.placements.excuse(row, fresh);
    }
    this.#countWindow(isOpen, nrPages);
  }

  #hasGroups(): boolean {
    const { agent, k } = this.#in;
    return [...k.rootCpuset.children.values()].some((group) => agent.keepsGroup(group.path));
  }

  #countWindow(isOpen: boolean, nrPages: number): void {
    if (!isOpen) {
      this.#window = undefined;
      return;
    }
    if (this.#window === undefined) {
      this.#window = { nrOps: 0, nrPages: 0 };
      this.windows.push(this.#window);
      return;
    }
    this.#window.nrOps++;
    this.#window.nrPages += nrPages;
  }
}
