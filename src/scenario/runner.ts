// Runs operations on one kernel and says what came of each, in the words of runs on real kernels.
// Holds    RUN1 a run is a function of machine, design, options and operations; it ends in a state
//          hash.
import { NotModelled, type Place, UserError } from '../base/assert.ts';
import { ENOMEM, ESRCH } from '../base/errno.ts';
import { type Device, makeDevices } from '../drivers/device.ts';
import type { Design, DesignAgent } from '../hooks/design.ts';
import { FAULT } from '../kernel/fault.ts';
import { exitTask, forkTask, startImage } from '../kernel/fork.ts';
import { Kernel, type KernelOptions } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import type { Machine } from '../machine/machine.ts';
import { bootOptions } from './boot_words.ts';
import { cpusetVersionOf, deviceUsers } from './device_users.ts';
import { mayMoveBootMemory } from './later_zones.ts';
import type { Act, Op, OpResult, Scenario } from './ops.ts';
import { printAct } from './print.ts';
import { RegionTable } from './region_table.ts';
import { AgentRun, type AgentStep } from './run_agent.ts';
import { breakPageOf } from './run_broken.ts';
import { FAULT_WORDS, plain } from './run_results.ts';
import { runSys } from './run_sys.ts';
import { runTask } from './run_task.ts';

/** What a run needs to know of its scenario: names, and for an agent who is to use devices. */
export type RunnerNames = Pick<Scenario, 'tasks' | 'regions' | 'agent'> &
  Partial<Pick<Scenario, 'ops' | 'boot'>>;

export class Runner {
  readonly kernel: Kernel;
  readonly devices: ReadonlyMap<string, Device>;
  /** Tasks by name, dead ones too. */
  readonly tasks = new Map<string, Task>();
  readonly #regions = new Map<string, RegionTable>();
  /** The design's agent in user space, if it has one. */
  readonly agent: AgentRun | undefined;
  /** What it did before the first operation. */
  #did: readonly AgentStep[];

  /** @param names slots of tasks and regions, as a scenario has them. */
  constructor(machine: Machine, design: Design, names: RunnerNames, options: KernelOptions = {}) {
    const later = { mayMoveBootMemory: mayMoveBootMemory(names.ops ?? [], machine) };
    this.kernel = new Kernel(machine, design, { ...later, ...options, ...bootOptions(names.boot) });
    this.devices = makeDevices(this.kernel);
    const first = Object.entries(names.tasks).find(([, slot]) => slot === 0)?.[0] ?? 'T0';
    const task = this.kernel.newTask(first);
    this.tasks.set(first, task);
    this.#regions.set(first, new RegionTable(names.regions));
    startImage(this.kernel, task);
    this.agent = this.#agentOf(design.agent, names);
    this.#did = this.agent?.boot() ?? [];
  }

  #agentOf(agent: DesignAgent | undefined, names: RunnerNames): AgentRun | undefined {
    if (agent === undefined) return undefined;
    const { kernel: k, tasks } = this;
    const delayOps = names.agent?.delayOps ?? agent.delayOps;
    const users = deviceUsers(names, new Set(k.states.device.toArray()));
    const cpusetVersion = cpusetVersionOf(names);
    const run = (act: Act) => this.#runAct(act);
    return new AgentRun({ k, agent, delayOps, cpusetVersion, users, tasks, run });
  }

  /** A result with what the agent has done after the operation. */
  #withAgent(act: Act, result: OpResult): OpResult {
    if (this.agent === undefined) return result;
    const did = [...this.#did, ...this.agent.after(act)];
    this.#did = [];
    return did.length === 0 ? result : { ...result, agent: did };
  }

  /** The regions of a task, for those who look at its pages. */
  regionsOf(task: string): RegionTable {
    return this.#regions.get(task) ?? new RegionTable({});
  }

  /**
   * Runs one operation.
   * @throws NotModelled for what the model does not do; UserError for names that do not exist.
   */
  run(op: Op): OpResult {
    const alive = [...this.tasks].filter(([, task]) => task.isAlive).map(([name]) => name);
    try {
      const result = this.#withDead(op.act, alive, this.#runAct(op.act));
      this.kernel.allocator.answerBoost();
      this.kernel.compaction.core.runWoken();
      return this.kernel.panic === undefined ? this.#withAgent(op.act, result) : result;
    } catch (error) {
      if (error instanceof NotModelled) {
        throw new NotModelled(`${error.message} (in "${printAct(op.act)}")`, lineOf(op));
      }
      if (error instanceof UserError && error.place === undefined) {
        throw new UserError(error.message, lineOf(op));
      }
      throw error;
    }
  }

  /**
   * Adds the tasks that died in an operation; its own task never gets an answer when it is killed.
   */
  #withDead(act: Act, alive: readonly string[], result: OpResult): OpResult {
    if (this.kernel.panic !== undefined) return { ...result, ret: 'PANIC' };
    if (act.on === 'task' && act.act.verb === 'exit') return result;
    const tasks = act.on === 'fork' ? [...alive, act.child] : alive;
    const died = tasks.filter((name) => this.tasks.get(name)?.isAlive === false);
    if (died.length === 0 || result.ret === 'DEAD') return result;
    const isOwn = act.on === 'task' && died.includes(act.task);
    const isToldAlready = result.ret === 'KILLED' || result.ret === 'LIVELOCK';
    if (isOwn && !isToldAlready) return { ret: 'KILLED', killedBy: 'SIGKILL', died };
    return { ...result, died };
  }

  #runAct(act: Act): OpResult {
    const k = this.kernel;
    k.allocator.log?.forgetContext();
    if (k.panic !== undefined) return { ret: 'PANIC' };
    if (act.on === 'sys') {
      const sys = act.act;
      if (!('region' in sys)) return runSys(k, sys, (name) => this.#find(name), this.tasks);
      const task = this.#find(sys.task);
      if ('ret' in task) return plain(-ESRCH);
      const vpn = this.regionsOf(sys.task).vpnOf(sys.region, sys.offset);
      return breakPageOf(k, task, vpn, sys.verb === 'soft_offline');
    }
    if (act.on === 'fork') return this.#fork(act.parent, act.child);
    const task = this.#find(act.task);
    if ('ret' in task) return task;
    return runTask(
      {
        k,
        task,
        regions: this.regionsOf(act.task),
        devices: this.devices,
        otherTask: (name) => {
          const other = this.tasks.get(name);
          return other?.isAlive === true ? other : undefined;
        },
      },
      act.act,
    );
  }

  /** A live task, or the result of every operation on one that is not. */
  #find(name: string): Task | OpResult {
    const task = this.tasks.get(name);
    if (task === undefined) return { ret: 'ENOTASK' };
    if (task.isAlive) return task;
    return task.end === 'exit' ? { ret: 'DEAD' } : { ret: 'DEAD', killedBy: task.end as string };
  }

  #fork(parentName: string, childName: string): OpResult {
    const parent = this.#find(parentName);
    if ('ret' in parent) return parent;
    const { child, fault } = forkTask(this.kernel, parent, childName);
    if (child === undefined) {
      return parent.isAlive ? plain(-ENOMEM) : { ret: 'KILLED', killedBy: 'SIGKILL' };
    }
    this.tasks.set(childName, child);
    this.#regions.set(childName, this.regionsOf(parentName).copy());
    if (fault === FAULT.OK) return { ret: 0, task: childName };
    if (fault === FAULT.RETRY) exitTask(this.kernel, parent, 'SIGKILL');
    return { ret: FAULT_WORDS[fault] as string };
  }
}

/** The line of an operation; which word of it a run stopped at, nobody knows. */
const lineOf = ({ place }: Op): Place | undefined =>
  place === undefined ? undefined : { file: place.file, line: place.line };
