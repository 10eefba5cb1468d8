// The tree of control groups: groups come and go, tasks move between them, and a group hands
// controllers on to its children or takes them back.
// Models   linux@v6.1 kernel/cgroup/cgroup.c: cgroup_mkdir, cgroup_rmdir,
//          cgroup_subtree_control_write, cgroup_vet_subtree_control_enable, cgroup_migrate_vet_dst,
//          cgroup_is_valid_domain, cgroup_is_thread_root, cgroup_can_be_thread_root,
//          cgroup_update_dfl_csses.
// Omits    other controllers, threaded groups made by hand, limits of depth and number.
// State    a Cpuset object stands for the group and for its cpuset; Task.group is where a task is,
//          Task.cpuset the nearest group upward whose parent hands the controller on (in version 1
//          the same group: every one is a cpuset).
// Holds    CGR1 a group has a controller's files only while its parent hands the controller on.
import { EBUSY, EEXIST, EINVAL, ENOENT, EOPNOTSUPP } from '../base/errno.ts';
import { Nodemask } from '../base/nodemask.ts';
import { accountOf, attachToCpuset, CONTROLLERS, type Controller, Cpuset } from './cpuset.ts';
import { moveToLegacyGroup, newLegacyGroup } from './cpuset_v1.ts';
import type { Kernel } from './kernel.ts';
import { memcgOf, newMemCgroup } from './memcg.ts';
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
    parent.isLegacy ? newLegacyGroup(k, name, parent) : newGroup(k, name, parent),
  );
  countCpusets(k);
  return 0;
}

function newGroup(k: Kernel, name: string, parent: Cpuset): Cpuset {
  const group = new Cpuset(name, parent, parent.controlling.effectiveMems);
  for (const controller of parent.handsOn) bringUp(k, group, controller);
  return group;
}

/** A group gets what a controller keeps of it, from its parent (css_create). */
function bringUp(k: Kernel, group: Cpuset, controller: Controller): void {
  const above = accountOf(group);
  if (controller === 'dmem') group.account = k.mem.charges?.newAccount(above) ?? null;
  if (controller === 'memory') group.memcg = newMemCgroup(k, memcgOf(group));
}

/** A controller has no more to do with a group: what counts from now on is the group above. */
function takeDown(group: Cpuset, controller: Controller): void {
  if (controller === 'dmem') group.account = null;
  if (controller !== 'memory') return;
  group.memcg?.goOffline();
  group.memcg = null;
}

/** rmdir. Returns 0, -ENOENT, or -EBUSY while there are tasks or children. */
export function removeGroup(k: Kernel, path: string): number {
  const group = findGroup(k.rootCpuset, path);
  if (group === undefined) return -ENOENT;
  if (group.parent === null || group.children.size > 0 || hasTasks(k, group)) return -EBUSY;
  group.parent.children.delete(group.name);
  takeDown(group, 'memory');
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

/** Only cpuset lets tasks of a group compete with its children (cgrp_dfl_threaded_ss_mask). */
const isThreaded = (controller: Controller): boolean => controller === 'cpuset';

/** A group with tasks that hands a threaded controller on: what is below it is no domain. */
const isThreadRoot = (k: Kernel, group: Cpuset): boolean =>
  group.parent !== null && hasTasks(k, group) && group.isDelegating;

function isValidDomain(k: Kernel, group: Cpuset): boolean {
  for (let above = group.parent; above !== null; above = above.parent) {
    if (isThreadRoot(k, above)) return false;
  }
  return true;
}

/** Could a group with tasks have children that compete with them (cgroup_can_be_thread_root)? */
const mayBeThreadRoot = (k: Kernel, group: Cpuset): boolean =>
  group.parent === null ||
  (!hasPopulatedChild(k, group) && [...group.handsOn].every((c) => isThreaded(c)));

/** Controllers that a kernel has. */
const isThere = (k: Kernel, controller: Controller): boolean =>
  controller === 'cpuset' ||
  (controller === 'dmem' ? k.mem.charges !== null : k.hasMemoryController);

/** What a line of words like `+cpuset -memory` asks for; undefined where one is no such word. */
function changesOf(k: Kernel, value: string): Map<Controller, boolean> | undefined {
  const changes = new Map<Controller, boolean>();
  for (const word of value.trim().split(/\s+/)) {
    const controller = CONTROLLERS.find((c) => isThere(k, c) && c === word.slice(1));
    if (controller === undefined || !/^[-+]/.test(word)) return undefined;
    changes.set(controller, word.startsWith('+'));
  }
  return changes;
}

/**
 * Writes cgroup.subtree_control.
 * @returns 0; -EINVAL for words that are not `+` or `-` and a controller; -ENOENT where the parent
 *   does not hand it on; -EOPNOTSUPP below a thread root; -EBUSY with tasks in the group, but for
 *   cpuset beside children without any, or for taking back what a child hands on itself.
 */
export function writeSubtreeControl(k: Kernel, group: Cpuset, value: string): number {
  const changes = changesOf(k, value);
  if (changes === undefined) return -EINVAL;
  const coming: Controller[] = [];
  const going: Controller[] = [];
  for (const controller of CONTROLLERS) {
    const isOn = changes.get(controller);
    if (isOn === undefined || isOn === group.handsOn.has(controller)) continue;
    if (isOn) {
      const isOurs = group.parent === null || group.parent.handsOn.has(controller);
      if (!isOurs) return -ENOENT;
      coming.push(controller);
    } else {
      if ([...group.children.values()].some((c) => c.handsOn.has(controller))) return -EBUSY;
      going.push(controller);
    }
  }
  const error = vetHandingOn(k, group, coming);
  if (error !== 0) return error;
  for (const controller of coming) handOn(k, group, controller);
  for (const controller of going) takeBack(k, group, controller);
  return 0;
}

/** May a group hand these on (cgroup_vet_subtree_control_enable)? */
function vetHandingOn(k: Kernel, group: Cpuset, coming: readonly Controller[]): number {
  if (coming.length === 0) return 0;
  if (!isValidDomain(k, group)) return -EOPNOTSUPP;
  if (group.parent === null) return 0;
  const isForDomains = coming.some((c) => !isThreaded(c));
  if (isForDomains && isThreadRoot(k, group)) return -EOPNOTSUPP;
  if (!isForDomains && mayBeThreadRoot(k, group)) return 0;
  return hasTasks(k, group) ? -EBUSY : 0;
}

function handOn(k: Kernel, group: Cpuset, controller: Controller): void {
  group.handsOn.add(controller);
  if (controller === 'cpuset') countCpusets(k);
  for (const child of group.children.values()) {
    if (controller !== 'cpuset') bringUp(k, child, controller);
    else {
      child.effectiveMems = group.controlling.effectiveMems;
      reattach(k, child);
    }
  }
}

function takeBack(k: Kernel, group: Cpuset, controller: Controller): void {
  group.handsOn.delete(controller);
  if (controller === 'cpuset') countCpusets(k);
  for (const child of group.children.values()) {
    if (controller !== 'cpuset') takeDown(child, controller);
    else {
      reattach(k, child);
      child.mems = Nodemask.EMPTY;
    }
  }
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
 * @returns 0; -EOPNOTSUPP below a thread root; -EBUSY for a group that hands cpuset on and has
 *   populated children, or that hands on another controller; in version 1 only -ENOSPC, for a group
 *   without CPUs or without mems.
 */
export function moveToGroup(k: Kernel, task: Task, group: Cpuset): number {
  if (group.isLegacy) return moveToLegacyGroup(k, task, group);
  if (!isValidDomain(k, group)) return -EOPNOTSUPP;
  const isFull = !mayBeThreadRoot(k, group) && group.handsOn.size > 0;
  if (isFull) return -EBUSY;
  task.group = group;
  attachToCpuset(k, task, group.controlling);
  return 0;
}
