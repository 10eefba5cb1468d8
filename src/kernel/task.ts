// Tasks: who asks for memory, from which CPU, under which policy and cpuset.
// Models   linux@v6.1 include/linux/sched.h: struct task_struct (mempolicy, il_prev, mems_allowed,
//          cpus); kernel/exit.c as far as memory goes.
import type { Cpu } from '../base/ids.ts';
import type { Nodemask } from '../base/nodemask.ts';
import type { AllocTask } from '../mm/internal.ts';
import type { Account } from '../mm/node_charge.ts';
import type { AddressSpace } from './address_space.ts';
import { accountOf, type Cpuset } from './cpuset.ts';
import type { Mempolicy } from './mempolicy.ts';
import type { TaskNuma } from './numa_balancing.ts';

/** Why a task is no more: it exited, or a signal killed it. */
export type TaskEnd = 'exit' | 'SIGKILL' | 'SIGBUS';

export class Task implements AllocTask {
  readonly pid: number;
  readonly name: string;
  cpu: Cpu;
  /** null: the default policy. */
  mempolicy: Mempolicy | null = null;
  /** The node that the task's interleave counter used last (il_prev). */
  interleavePrev: number;
  /** Turns left on that node under weighted interleave (il_weight). */
  interleaveWeight = 0;
  /** Node that a page of the cache was spread to last, -1 for none (cpuset_mem_spread_rotor). */
  spreadRotor = -1;
  memsAllowed: Nodemask;
  /** The group the task is in, which need not be a cpuset. */
  group: Cpuset;
  cpuset: Cpuset;
  mm: AddressSpace;
  /** Processor time that the task has used, ms (sum_exec_runtime). */
  execMs = 0;
  /** What NUMA balancing keeps of it, once it has run with that. */
  numa: TaskNuma | undefined;
  /** /proc/PID/oom_score_adj: -1000, never killed for memory, to 1000. */
  oomScoreAdj = 0;
  /** Pages made above memory.high since it last freed some. */
  nrOverHigh = 0;
  /** Made by fork, not started as a program. */
  isForked = false;
  end: TaskEnd | undefined;

  constructor(
    pid: number,
    name: string,
    cpu: Cpu,
    mm: AddressSpace,
    cpuset: Cpuset,
    maxNodes: number,
  ) {
    this.pid = pid;
    this.name = name;
    this.cpu = cpu;
    this.mm = mm;
    this.group = cpuset;
    this.cpuset = cpuset;
    this.memsAllowed = cpuset.effectiveMems;
    this.interleavePrev = maxNodes - 1;
  }

  get isAlive(): boolean {
    return this.end === undefined;
  }

  get account(): Account | null {
    return accountOf(this.group);
  }

  get hardwallMems(): Nodemask {
    return this.cpuset.nearestHardwall().effectiveMems;
  }
}
