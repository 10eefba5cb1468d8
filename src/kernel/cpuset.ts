// cpusets of both hierarchies: which nodes the tasks of a group may use, and what happens to tasks,
// policies and pages when that changes. What only version 1 has is in cpuset_v1.ts.
// Models   linux@v6.1 kernel/cgroup/cpuset.c: update_nodemask, validate_change,
//          validate_change_legacy, is_cpuset_subset, update_nodemasks_hier, update_tasks_nodemask,
//          cpuset_change_task_nodemask, cpuset_attach, guarantee_online_mems,
//          nearest_hardwall_ancestor, check_insane_mems_config. When memory comes and goes:
//          cpuset_hotplug.ts.
// Omits    cpuset.cpus of version 2 and partitions.
// Holds    CPS1 effective mems are the requested ones cut to the parent's, or the parent's when
//          that is empty. CPS2 a task's mems_allowed are its cpuset's effective mems. CPS9 in
//          version 1 a group lies within its parent, and effective mems are those written.
import { EACCES, EBUSY, EINVAL, ENOENT, ENOSPC, ERANGE } from '../base/errno.ts';
import type { Cpu } from '../base/ids.ts';
import { Nodemask, parseNodelist } from '../base/nodemask.ts';
import { ZONE_NORMAL } from '../mm/gfp.ts';
import type { MemCgroup } from '../mm/memcg.ts';
import type { Account } from '../mm/node_charge.ts';
import { isPopulated } from './cgroup.ts';
import type { Kernel } from './kernel.ts';
import { rebindPolicy } from './mempolicy.ts';
import { migrateBetweenNodes } from './migrate.ts';
import { userPrivateNodes } from './private_nodes.ts';
import type { Task } from './task.ts';

/** Flags of a cpuset, by the names that their files have in version 1. */
export const CPUSET_FLAGS = [
  'cpu_exclusive',
  'mem_exclusive',
  'mem_hardwall',
  'memory_migrate',
  'memory_spread_page',
  'memory_spread_slab',
  'sched_load_balance',
] as const;
export type CpusetFlag = (typeof CPUSET_FLAGS)[number];

/** What a cpuset is told to be, and what a change would make of it. */
export interface CpusetConfig {
  /** Ascending. */
  readonly cpus: readonly Cpu[];
  readonly mems: Nodemask;
  readonly flags: ReadonlySet<CpusetFlag>;
}

/**
 * Controllers of the unified hierarchy, in the order in which the kernel looks at them. `dmem`, of
 * Linux 6.14, is there under designs that count pages of nodes.
 */
export const CONTROLLERS = ['cpuset', 'memory', 'dmem'] as const;
export type Controller = (typeof CONTROLLERS)[number];

export class Cpuset {
  readonly name: string;
  readonly parent: Cpuset | null;
  readonly children = new Map<string, Cpuset>();
  /** cpuset.mems as written. */
  mems = Nodemask.EMPTY;
  effectiveMems: Nodemask;
  /** What the tasks' pages were last placed by (old_mems_allowed). */
  oldMems: Nodemask;
  /** Controllers that cgroup.subtree_control names: children have their files. */
  readonly handsOn = new Set<Controller>();
  /** Whom pages of counted nodes are counted for, once the parent hands that on. */
  account: Account | null = null;
  /** Its memory cgroup, likewise. */
  memcg: MemCgroup | null = null;
  /** A group of version 1: every group is a cpuset there. */
  isLegacy: boolean;
  /** cpuset.cpus as written, ascending; version 1 only, and not used of the root. */
  cpus: readonly Cpu[] = [];
  flags: ReadonlySet<CpusetFlag>;
  /** cgroup.clone_children of version 1: new children start with this group's mems and CPUs. */
  clonesToChildren = false;

  constructor(name: string, parent: Cpuset | null, effectiveMems: Nodemask) {
    this.name = name;
    this.parent = parent;
    this.effectiveMems = effectiveMems;
    this.oldMems = effectiveMems;
    this.isLegacy = parent?.isLegacy ?? false;
    this.flags = firstFlags(this);
  }

  /**
   * The cpuset to whose nodes requests of the kernel may go: the nearest upward with mem_hardwall
   * or mem_exclusive, or the root, which is where they go in version 2.
   */
  nearestHardwall(): Cpuset {
    const isWall = this.flags.has('mem_exclusive') || this.flags.has('mem_hardwall');
    return isWall || this.parent === null ? this : this.parent.nearestHardwall();
  }

  /** Does it hand the cpuset controller on? */
  get isDelegating(): boolean {
    return this.handsOn.has('cpuset');
  }

  /** Does the group have cpuset files? */
  get isCpuset(): boolean {
    return this.parent === null || this.isLegacy || this.parent.isDelegating;
  }

  /** The group whose mems count: this one, or the nearest above that is a cpuset. */
  get controlling(): Cpuset {
    return this.parent === null || this.isCpuset ? this : this.parent.controlling;
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

/** The account of a group, or of the nearest above that has one. */
export const accountOf = (group: Cpuset): Account | null =>
  group.account ?? (group.parent === null ? null : accountOf(group.parent));

/** The root is exclusive; version 2 always moves pages along, version 1 when it is told to. */
function firstFlags(group: Cpuset): ReadonlySet<CpusetFlag> {
  if (group.parent === null)
    return new Set(['cpu_exclusive', 'mem_exclusive', 'sched_load_balance']);
  return new Set(
    group.isLegacy ? ['sched_load_balance'] : ['sched_load_balance', 'memory_migrate'],
  );
}

/** What a cpuset is told to be; the root has all there is. */
export function configOf(k: Kernel, group: Cpuset): CpusetConfig {
  if (group.parent !== null) return group;
  const cpus = [...k.mem.onlineCpus].sort((a, b) => a - b) as Cpu[];
  return { cpus, mems: group.effectiveMems, flags: group.flags };
}

export const tasksOf = (k: Kernel, group: Cpuset): Task[] =>
  k.liveTasks().filter((task) => task.cpuset === group);

/** Does everything that `inner` has, and each claim to be alone, hold of `outer` too? */
function isWithin(inner: CpusetConfig, outer: CpusetConfig): boolean {
  return (
    inner.cpus.every((cpu) => outer.cpus.includes(cpu)) &&
    inner.mems.isSubsetOf(outer.mems) &&
    (!inner.flags.has('cpu_exclusive') || outer.flags.has('cpu_exclusive')) &&
    (!inner.flags.has('mem_exclusive') || outer.flags.has('mem_exclusive'))
  );
}

/** Would two siblings share what one of them claims for itself? */
function collide(a: CpusetConfig, b: CpusetConfig): boolean {
  const isClaimed = (flag: CpusetFlag) => a.flags.has(flag) || b.flags.has(flag);
  if (isClaimed('cpu_exclusive') && a.cpus.some((cpu) => b.cpus.includes(cpu))) return true;
  return isClaimed('mem_exclusive') && a.mems.intersects(b.mems);
}

/**
 * May a cpuset become `trial`? (validate_change)
 * @returns 0. In version 1: -EBUSY when a child would no longer lie within it, -EACCES when it
 *   would no longer lie within its parent. In both: -ENOSPC for emptying a group with tasks in or
 *   below it, -EINVAL for sharing with a sibling what either claims for itself.
 */
export function validateChange(k: Kernel, group: Cpuset, trial: CpusetConfig): number {
  const { parent } = group;
  if (group.isLegacy) {
    for (const child of group.children.values()) if (!isWithin(child, trial)) return -EBUSY;
    if (parent !== null && !isWithin(trial, configOf(k, parent))) return -EACCES;
  }
  if (parent === null) return 0;
  if (isPopulated(k, group)) {
    if (group.cpus.length > 0 && trial.cpus.length === 0) return -ENOSPC;
    if (!group.mems.isEmpty() && trial.mems.isEmpty()) return -ENOSPC;
  }
  for (const sibling of parent.children.values()) {
    if (sibling !== group && collide(trial, sibling)) return -EINVAL;
  }
  return 0;
}

/**
 * Writes cpuset.mems (update_nodemask).
 * @returns 0; -EINVAL for malformed lists and nodes that are not possible (version 1: have no
 *   memory), -ERANGE for numbers no node can have, -ENOENT for groups without the controller and
 *   for the root, which have no such file, -EACCES for the root of version 1; else validateChange.
 */
export function writeMems(k: Kernel, group: Cpuset, text: string): number {
  if (group.parent === null) return group.isLegacy ? -EACCES : -ENOENT;
  if (!group.isCpuset) return -ENOENT;
  const mems = parseNodelist(text.trim());
  if (mems === 'EINVAL') return -EINVAL;
  if (mems === 'ERANGE') return -ERANGE;
  if (mems.toArray().some((n) => n >= k.maxNodes)) return -ERANGE;
  const all = group.isLegacy ? k.rootCpuset.effectiveMems : k.states.possible;
  if (!mems.isSubsetOf(all)) return -EINVAL;
  if (mems.equals(group.mems)) return 0;
  const refused = validateChange(k, group, { cpus: group.cpus, mems, flags: group.flags });
  if (refused !== 0) return refused;
  if (isMovableOnly(k, mems)) k.allocator.cpusetsInsane = true;
  group.mems = mems;
  updateHierarchy(k, group);
  return 0;
}

/**
 * Does the list of the first node hold no zone of these nodes that the kernel itself could use?
 * (movable_only_nodes)
 */
export function isMovableOnly(k: Kernel, mems: Nodemask): boolean {
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
  if (effective.isEmpty() && !group.isLegacy) effective = parent.effectiveMems;
  if (effective.equals(group.effectiveMems)) return;
  group.effectiveMems = effective;
  updateTasks(k, group, effective);
  for (const child of group.children.values()) updateHierarchy(k, child);
}

/**
 * Tasks of a group, their policies and, below the root, their pages follow to new mems
 * (update_tasks_nodemask).
 */
export function updateTasks(k: Kernel, group: Cpuset, mems: Nodemask): void {
  for (const task of tasksOf(k, group)) {
    changeTaskMems(k, task, mems);
    const userPrivate = userPrivateNodes(k);
    for (const vma of task.mm.vmas) rebindPolicy(vma.policy, group.mems, userPrivate);
    if (group.flags.has('memory_migrate') && group.parent !== null) {
      migrateBetweenNodes(k, k.kthread, task.mm, group.oldMems, mems, true);
    }
  }
  group.oldMems = mems;
}

/** A task may use other nodes from now on, and its policy follows (cpuset_change_task_nodemask). */
export function changeTaskMems(k: Kernel, task: Task, mems: Nodemask): void {
  rebindPolicy(task.mempolicy, mems, userPrivateNodes(k));
  task.memsAllowed = mems;
}

/**
 * Puts a task under another cpuset: its mems, its policies and, where pages are to move along, its
 * pages follow (cpuset_attach). Policies are rebound even where the mems stay the same: those that
 * keep the user's mask may show another one afterwards.
 */
export function attachToCpuset(k: Kernel, task: Task, cpuset: Cpuset): void {
  const old = task.cpuset;
  if (cpuset === old) return;
  task.cpuset = cpuset;
  const mems = cpuset.effectiveMems;
  changeTaskMems(k, task, mems);
  for (const vma of task.mm.vmas) rebindPolicy(vma.policy, mems, userPrivateNodes(k));
  if (cpuset.flags.has('memory_migrate')) {
    migrateBetweenNodes(k, k.kthread, task.mm, old.oldMems, mems, true);
  }
  cpuset.oldMems = mems;
}
