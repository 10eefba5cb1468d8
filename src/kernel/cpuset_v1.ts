// cpusets of version 1, as far as version 2 does otherwise: CPUs, flags, children that start as
// copies, empty groups that take no task, and the files by which all this is read and written.
// Models   linux@v6.1 kernel/cgroup/cpuset.c: update_cpumask, update_tasks_cpumask, update_flag,
//          cpuset_write_u64, cpuset_read_u64, cpuset_css_online, cpuset_can_attach,
//          cpuset_cpus_allowed; kernel/sched/core.c: select_fallback_rq;
//          kernel/cgroup/cgroup-v1.c: cgroup_clone_children_write.
// Omits    memory_pressure, sched_relax_domain_level. memory_spread_page is about the
//          page cache and memory_spread_slab about slabs, neither of which is there: they are
//          kept and read back. sched_load_balance is kept too: tasks stay on their CPU.
// Notes    A task whose CPU is taken away goes to the lowest that is left on its node, or the
//          lowest of all: what the scheduler falls back to. A busy kernel may choose otherwise.
// Holds    CPS9 a group lies within its parent and has what it was told. CPS14 a group with tasks
//          is not empty. CPS15 its tasks run on its CPUs.
import { NotModelled } from '../base/assert.ts';
import { EACCES, EINVAL, ENOSPC, ERANGE } from '../base/errno.ts';
import type { Cpu } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import { formatCpuList, MAX_CPUS, parseCpuList } from '../machine/cpu_list.ts';
import {
  attachToCpuset,
  CPUSET_FLAGS,
  Cpuset,
  type CpusetFlag,
  configOf,
  tasksOf,
  validateChange,
  writeMems,
} from './cpuset.ts';
import type { Kernel } from './kernel.ts';
import type { Task } from './task.ts';

/**
 * A new group: empty, or a copy of its parent where that clones and no sibling is exclusive
 * (cpuset_css_online).
 */
export function newLegacyGroup(k: Kernel, name: string, parent: Cpuset): Cpuset {
  const group = new Cpuset(name, parent, Nodemask.EMPTY);
  group.clonesToChildren = parent.clonesToChildren;
  if (!parent.clonesToChildren) return group;
  for (const { flags } of parent.children.values()) {
    if (flags.has('mem_exclusive') || flags.has('cpu_exclusive')) return group;
  }
  const { cpus, mems } = configOf(k, parent);
  group.cpus = cpus;
  group.mems = mems;
  group.effectiveMems = mems;
  return group;
}

/** The CPUs that a task may run on (cpuset_cpus_allowed); all of them in version 2. */
export const cpusAllowed = (k: Kernel, task: Task): readonly Cpu[] =>
  configOf(k, task.cpuset.isLegacy ? task.cpuset : k.rootCpuset).cpus;

/**
 * Moves a task into a group: CPUs, mems, policies follow, and pages if memory_migrate is set there.
 * @returns 0; -ENOSPC for a group without CPUs or without mems (cpuset_can_attach).
 */
export function moveToLegacyGroup(k: Kernel, task: Task, group: Cpuset): number {
  if (task.group === group) return 0;
  const { cpus, mems } = configOf(k, group);
  if (cpus.length === 0 || mems.isEmpty()) return -ENOSPC;
  task.group = group;
  runWithin(k, task, cpus);
  attachToCpuset(k, task, group);
  return 0;
}

/** Takes a task to a CPU that is left to it (select_fallback_rq). */
function runWithin(k: Kernel, task: Task, cpus: readonly Cpu[]): void {
  if (cpus.includes(task.cpu)) return;
  const near = cpus.find((cpu) => k.mem.nodeOfCpu[cpu] === k.localNode(task));
  task.cpu = near ?? (cpus[0] as Cpu);
}

/**
 * Writes cpuset.cpus (update_cpumask).
 * @returns 0; -EACCES for the root, -EINVAL for malformed lists and CPUs that are not online,
 *   -ERANGE for numbers no CPU has; else what validateChange says.
 */
function writeCpus(k: Kernel, group: Cpuset, text: string): number {
  if (group.parent === null) return -EACCES;
  const numbers = (text.match(/\d+/g) ?? []).map(Number);
  const cpus = parseCpuList(text.trim().replace(/\ball\b/g, `0-${k.mem.nrCpus - 1}`));
  if (cpus === undefined) return numbers.some((n) => n >= MAX_CPUS) ? -ERANGE : -EINVAL;
  if (cpus.some((cpu) => cpu >= k.mem.nrCpus)) return -ERANGE;
  if (!cpus.every((cpu) => k.mem.onlineCpus.includes(cpu))) return -EINVAL;
  if (cpus.join() === group.cpus.join()) return 0;
  const refused = validateChange(k, group, { cpus, mems: group.mems, flags: group.flags });
  if (refused !== 0) return refused;
  group.cpus = cpus;
  for (const task of tasksOf(k, group)) runWithin(k, task, cpus);
  return 0;
}

/** A number as the kernel reads it: decimal, octal after 0, hexadecimal after 0x. */
function readNumber(text: string): number | undefined {
  const word = text.trim().replace(/^\+/, '');
  if (/^(0x[0-9a-f]+|[1-9]\d*|0)$/i.test(word)) return Number(word);
  return /^0[0-7]+$/.test(word) ? Number.parseInt(word, 8) : undefined;
}

/** Sets or clears a flag (update_flag). Returns 0, -EINVAL, or what validateChange says. */
function writeFlag(k: Kernel, group: Cpuset, flag: CpusetFlag, text: string): number {
  const number = readNumber(text);
  if (number === undefined) return -EINVAL;
  const flags = new Set(group.flags);
  if (number === 0) flags.delete(flag);
  else flags.add(flag);
  const { cpus, mems } = configOf(k, group);
  const refused = validateChange(k, group, { cpus, mems, flags });
  if (refused === 0) group.flags = flags;
  return refused;
}

function writeClone(group: Cpuset, text: string): number {
  const number = readNumber(text);
  if (number === undefined) return -EINVAL;
  group.clonesToChildren = number !== 0;
  return 0;
}

const flagOfFile = (file: string): CpusetFlag | undefined =>
  CPUSET_FLAGS.find((flag) => file === `cpuset.${flag}`);

/** Writes a file of a group. Returns 0 or the errno of the file; NotModelled for other files. */
export function writeLegacyFile(k: Kernel, group: Cpuset, file: string, value: string): number {
  const flag = flagOfFile(file);
  if (flag !== undefined) return writeFlag(k, group, flag, value);
  switch (file) {
    case 'cpuset.mems':
      return writeMems(k, group, value);
    case 'cpuset.cpus':
      return writeCpus(k, group, value);
    case 'cpuset.effective_mems':
    case 'cpuset.effective_cpus':
      return -EINVAL;
    case 'cgroup.clone_children':
      return writeClone(group, value);
    default:
      throw new NotModelled(`writing ${file}`);
  }
}

/** What a file of a group shows; NotModelled for files that are not there. */
export function readLegacyFile(k: Kernel, group: Cpuset, file: string): string {
  const { cpus, mems, flags } = configOf(k, group);
  const flag = flagOfFile(file);
  if (flag !== undefined) return flags.has(flag) ? '1' : '0';
  switch (file) {
    case 'cpuset.mems':
      return mems.toString();
    case 'cpuset.effective_mems':
      return group.effectiveMems.toString();
    case 'cpuset.cpus':
    case 'cpuset.effective_cpus':
      return formatCpuList(cpus);
    case 'cgroup.clone_children':
      return group.clonesToChildren ? '1' : '0';
    default:
      throw new NotModelled(`reading ${file}`);
  }
}
