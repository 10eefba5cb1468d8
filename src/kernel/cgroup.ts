// The tree of control groups, as far as cpusets live in it: groups come and go, tasks move between
// them, and a group hands the cpuset controller on to its children or takes it back.
// Models   linux@v6.1 kernel/cgroup/cgroup.c: cgroup_mkdir, cgroup_rmdir,
//          cgroup_subtree_control_write, cgroup_vet_subtree_control_enable, cgroup_migrate_vet_dst,
//          cgroup_is_valid_domain, cgroup_is_thread_root, cgroup_can_be_thread_root,
//          cgroup_update_dfl_csses.
// Omits    other controllers, threaded groups made by hand, limits of depth and number.
// State    a Cpuset object stands for the group and for its cpuset; Task.group is where a task is,
//          Task.cpuset the nearest group upward whose parent hands the controller on (in version 1
//          the same group: every one is a cpuset).
// Holds    CGR1 a group has cpuset files only while its parent hands the controller on.
import { EBUSY, EEXIST, EINVAL, ENOENT, EOPNOTSUPP } from '../base/errno.ts';
import { Nodemask } from '../base/nodemask.ts';
import { attachToCpuset, Cpuset } from './cpuset.ts';
import { moveToLegacyGroup, newLegacyGroup } from './cpuset_v1.ts';
import type { Kernel } from './kernel.ts';
import type { Task } from './task.ts';

const partsOf = (path: string): string[] => path.split('/').filter((part) => part !== '');

/** Finds a group by its path below the mount point. */
export function findGroup(root: Cpuset, path: string): Cpuset | undefined {
  let group: Cpuset | undefined = root;
  for (const part of partsOf(path)) group = group?.children.get(part);
  return group;
}

/**
 * Says in which hierarchy the cpuset controller is; the first call decides.
 * @returns false when it is in the other one.
 */
export function useHierarchy(k: Kernel, version: 1 | 2): boolean {
  k.cpusetVersion ??= version;
  k.rootCpuset.isLegacy = k.cpusetVersion === 1;
  return k.cpusetVersion === version;
}

/** mkdir in the cgroup file system. Returns 0, -EEXIST or -ENOENT. */
export function makeGroup(k: Kernel, path: string): number {
  const parts = partsOf(path);
  const name = parts.pop();
  const parent = findGroup(k.rootCpuset, parts.join('/'));
  if (parent === undefined) return -ENOENT;
  if (name === undefined || parent.children.has(name)) return -EEXIST;
  parent.children.set(
    name,
    parent.isLegacy ? newLegacyGroup(k, name, parent) : newGroup(name, parent),
  );
  countCpusets(k);
  return 0;
}

const newGroup = (name: string, parent: Cpuset): Cpuset =>
  new Cpuset(name, parent, parent.controlling.effectiveMems);

/** rmdir. Returns 0, -ENOENT, or -EBUSY while there are tasks or children. */
export function removeGroup(k: Kernel, path: string): number {
  const group = findGroup(k.rootCpuset, path);
  if (group === undefined) return -ENOENT;
  if (group.parent === null || group.children.size > 0 || hasTasks(k, group)) return -EBUSY;
  group.parent.children.delete(group.name);
  countCpusets(k);
  return 0;
}

/** The static key that says whether any cpuset but the root exists. */
function countCpusets(k: Kernel): void {
  k.allocator.cpusetsEnabled = [...k.rootCpuset.descendants()].some(
    (group) => group.parent !== null && group.isCpuset,
  );
}

const hasTasks = (k: Kernel, group: Cpuset): boolean =>
  k.liveTasks().some((task) => task.group === group);

/** Is some task in the group or below it? (cgroup_is_populated) */
export const isPopulated = (k: Kernel, group: Cpuset): boolean =>
  [...group.descendants()].some((below) => hasTasks(k, below));

const hasPopulatedChild = (k: Kernel, group: Cpuset): boolean =>
  [...group.children.values()].some((child) => isPopulated(k, child));

/** A group with tasks that hands a threaded controller on: what is below it is no domain. */
const isThreadRoot = (k: Kernel, group: Cpuset): boolean =>
  group.parent !== null && hasTasks(k, group) && group.isDelegating;

function isValidDomain(k: Kernel, group: Cpuset): boolean {
  for (let above = group.parent; above !== null; above = above.parent) {
    if (isThreadRoot(k, above)) return false;
  }
  return true;
}

/**
 * Writes cgroup.subtree_control.
 * @returns 0; -EINVAL for other words than `+cpuset` and `-cpuset`; -ENOENT where the parent does
 * not
 *   hand the controller on; -EOPNOTSUPP below a thread root; -EBUSY with tasks beside populated
 *   children, or for taking back what a child hands on itself.
 */
export function writeSubtreeControl(k: Kernel, group: Cpuset, value: string): number {
  const words = value.trim().split(/\s+/);
  if (words.some((word) => word !== '+cpuset' && word !== '-cpuset')) return -EINVAL;
  const isDelegating = words.at(-1) === '+cpuset';
  if (isDelegating === group.isDelegating) return 0;
  const isControlled = group.parent === null || group.parent.isDelegating;
  if (isDelegating) {
    if (!isControlled) return -ENOENT;
    if (!isValidDomain(k, group)) return -EOPNOTSUPP;
    const isBusy = group.parent !== null && hasTasks(k, group) && hasPopulatedChild(k, group);
    if (isBusy) return -EBUSY;
  } else if ([...group.children.values()].some((child) => child.isDelegating)) return -EBUSY;
  group.isDelegating = isDelegating;
  countCpusets(k);
  for (const child of group.children.values()) {
    if (isDelegating) child.effectiveMems = group.controlling.effectiveMems;
    reattach(k, child);
    if (!isDelegating) child.mems = Nodemask.EMPTY;
  }
  return 0;
}

/** Puts the tasks of a group and of those below under the cpuset that now counts for them. */
function reattach(k: Kernel, group: Cpuset): void {
  for (const below of group.descendants()) {
    for (const task of k.liveTasks()) {
      if (task.group === below && task.cpuset !== below.controlling) {
        attachToCpuset(k, task, below.controlling);
      }
    }
  }
}

/**
 * Moves a task into a group (cgroup.procs).
 * @returns 0; -EOPNOTSUPP below a thread root; -EBUSY for a group that hands the controller on and
 *   has populated children; in version 1 only -ENOSPC, for a group without CPUs or without mems.
 */
export function moveToGroup(k: Kernel, task: Task, group: Cpuset): number {
  if (group.isLegacy) return moveToLegacyGroup(k, task, group);
  if (!isValidDomain(k, group)) return -EOPNOTSUPP;
  const isFull = group.parent !== null && group.isDelegating && hasPopulatedChild(k, group);
  if (isFull) return -EBUSY;
  task.group = group;
  attachToCpuset(k, task, group.controlling);
  return 0;
}
