// cpusets of the unified hierarchy: which nodes the tasks of a group may use, and what happens to
// tasks, policies and pages when that changes.
// Models   linux@v6.1 kernel/cgroup/cpuset.c (version 2 semantics): update_nodemask,
//          validate_change, update_nodemasks_hier, update_tasks_nodemask,
//          cpuset_change_task_nodemask, cpuset_attach, guarantee_online_mems,
//          nearest_hardwall_ancestor, check_insane_mems_config, cpuset_hotplug_workfn,
//          hotplug_update_tasks.
// Omits    cpuset.cpus and partitions, version 1 (its flags and files).
// Holds    CPS1 effective mems are the requested ones cut to the parent's, or the parent's when
//          that is empty. CPS2 a task's mems_allowed are its cpuset's effective mems.
import { EINVAL, ENOENT, ENOSPC, ERANGE } from '../base/errno.ts';
import { Nodemask, parseNodelist } from '../base/nodemask.ts';
import { ZONE_NORMAL } from '../mm/gfp.ts';
import { isPopulated } from './cgroup.ts';
import type { Kernel } from './kernel.ts';
import { rebindPolicy } from './mempolicy.ts';
import { migrateBetweenNodes } from './migrate.ts';
import type { Task } from './task.ts';

export class Cpuset {
  readonly name: string;
  readonly parent: Cpuset | null;
  readonly children = new Map<string, Cpuset>();
  /** cpuset.mems as written. */
  mems = Nodemask.EMPTY;
  effectiveMems: Nodemask;
  /** What the tasks' pages were last placed by (old_mems_allowed). */
  oldMems: Nodemask;
  /** cgroup.subtree_control names cpuset: children have cpuset files. */
  isDelegating = false;

  constructor(name: string, parent: Cpuset | null, effectiveMems: Nodemask) {
    this.name = name;
    this.parent = parent;
    this.effectiveMems = effectiveMems;
    this.oldMems = effectiveMems;
  }

  /** Kernel requests may go up to this cpuset's nodes; in version 2 that is the root. */
  nearestHardwall(): Cpuset {
    return this.parent === null ? this : this.parent.nearestHardwall();
  }

  /** The group whose mems count: this one, or the nearest above that is a cpuset. */
  get controlling(): Cpuset {
    return this.parent === null || this.parent.isDelegating ? this : this.parent.controlling;
  }

  /** Path below the mount point: `/`, `/a/x`. */
  get path(): string {
    if (this.parent === null) return '/';
    return this.parent.parent === null ? `/${this.name}` : `${this.parent.path}/${this.name}`;
  }

  /** This group and all below it, parents first. */
  *descendants(): IterableIterator<Cpuset> {
    yield this;
    for (const child of this.children.values()) yield* child.descendants();
  }
}

const tasksOf = (k: Kernel, group: Cpuset): Task[] =>
  k.liveTasks().filter((task) => task.cpuset === group);

/**
 * Writes cpuset.mems (update_nodemask).
 * @returns 0; -EINVAL for malformed lists and nodes that are not possible, -ERANGE for numbers no
 *   node can have, -ENOSPC for emptying a group with tasks, -ENOENT for the root and for groups
 *   without the controller, which have no such file.
 */
export function writeMems(k: Kernel, group: Cpuset, text: string): number {
  if (group.parent === null || !group.parent.isDelegating) return -ENOENT;
  const mems = parseNodelist(text.trim());
  if (mems === 'EINVAL') return -EINVAL;
  if (mems === 'ERANGE') return -ERANGE;
  if (mems.toArray().some((n) => n >= k.maxNodes)) return -ERANGE;
  if (!mems.isSubsetOf(k.states.possible)) return -EINVAL;
  if (mems.equals(group.mems)) return 0;
  if (isPopulated(k, group) && !group.mems.isEmpty() && mems.isEmpty()) return -ENOSPC;
  if (isMovableOnly(k, mems)) k.allocator.cpusetsInsane = true;
  group.mems = mems;
  updateHierarchy(k, group);
  return 0;
}

/**
 * Does the list of the first node hold no zone of these nodes that the kernel itself could use?
 * (movable_only_nodes)
 */
function isMovableOnly(k: Kernel, mems: Nodemask): boolean {
  if (mems.isEmpty()) return false;
  const list = k.mem.lists.fallback[mems.first()];
  const { type, nid } = k.mem.zones;
  return !Array.from(list?.zones ?? []).some(
    (z) => (type[z] as number) <= ZONE_NORMAL && mems.has(nid[z] as number),
  );
}

/** Works the new mems out for a group and those below it (update_nodemasks_hier). */
function updateHierarchy(k: Kernel, group: Cpuset): void {
  const parent = group.parent as Cpuset;
  let effective = group.mems.and(parent.effectiveMems);
  if (effective.isEmpty()) effective = parent.effectiveMems;
  if (effective.equals(group.effectiveMems)) return;
  group.effectiveMems = effective;
  updateTasks(k, group, effective);
  for (const child of group.children.values()) updateHierarchy(k, child);
}

/**
 * Tasks of a group, their policies and, below the root, their pages follow to new mems
 * (update_tasks_nodemask).
 */
function updateTasks(k: Kernel, group: Cpuset, mems: Nodemask): void {
  for (const task of tasksOf(k, group)) {
    changeTaskMems(task, mems);
    for (const vma of task.mm.vmas) rebindPolicy(vma.policy, group.mems);
    if (group.parent !== null) {
      migrateBetweenNodes(k, k.kthread, task.mm, group.oldMems, mems, true);
    }
  }
  group.oldMems = mems;
}

/**
 * Memory has come or gone: the root follows N_MEMORY, and every group below takes what is left of
 * its own mems, or its parent's when nothing is (cpuset_hotplug_workfn).
 */
export function followMemory(k: Kernel): void {
  const { memory } = k.states;
  const root = k.rootCpuset;
  if (root.effectiveMems.equals(memory)) return;
  root.mems = memory;
  root.effectiveMems = memory;
  changeTaskMems(k.kthread, memory);
  updateTasks(k, root, memory);
  for (const group of root.descendants()) {
    if (group.parent?.isDelegating !== true) continue;
    const own = group.mems.and(group.parent.effectiveMems);
    if (own.equals(group.effectiveMems)) continue;
    if (isMovableOnly(k, own)) k.allocator.cpusetsInsane = true;
    group.effectiveMems = own.isEmpty() ? group.parent.effectiveMems : own;
    updateTasks(k, group, group.effectiveMems);
  }
}

function changeTaskMems(task: Task, mems: Nodemask): void {
  rebindPolicy(task.mempolicy, mems);
  task.memsAllowed = mems;
}

/** Puts a task under a cpuset: its mems, its policies and its pages follow (cpuset_attach). */
export function attachToCpuset(k: Kernel, task: Task, cpuset: Cpuset): void {
  const old = task.cpuset;
  task.cpuset = cpuset;
  const mems = cpuset.effectiveMems;
  if (!mems.equals(old.effectiveMems)) {
    changeTaskMems(task, mems);
    for (const vma of task.mm.vmas) rebindPolicy(vma.policy, mems);
    if (cpuset.parent !== null) migrateBetweenNodes(k, k.kthread, task.mm, old.oldMems, mems, true);
  }
  cpuset.oldMems = mems;
}
