// Files of control groups by their paths, as the controller and tasks write and read them: version
// 2 below /sys/fs/cgroup, version 1 below /cpuset.
// Omits    files of other controllers, and of the cpuset controller those that decide no placement.
// Holds    CPS17 a run uses one hierarchy.
import { NotModelled } from '../base/assert.ts';
import { EACCES, EINVAL, ENOENT } from '../base/errno.ts';
import { findGroup, moveToGroup, useHierarchy, writeSubtreeControl } from '../kernel/cgroup.ts';
import { CONTROLLERS, type Cpuset, writeMems } from '../kernel/cpuset.ts';
import { readLegacyFile, writeLegacyFile } from '../kernel/cpuset_v1.ts';
import { readQuotaFile, writeQuota } from '../kernel/device_quota.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import { isMemcgFile, readMemcgFile, writeMemcgFile } from './memcg_files.ts';
import type { OpResult } from './ops.ts';
import { plain } from './run_results.ts';

/** Where the hierarchies are mounted, by version. */
const MOUNTS: readonly (readonly [string, 1 | 2])[] = [
  ['/sys/fs/cgroup', 2],
  ['/cpuset', 1],
];

/**
 * The path of a group below the mount point that it lies under. The first such path of a run
 * decides where the cpuset controller is, since it can be in one hierarchy only.
 */
export function groupPath(k: Kernel, path: string): string {
  const mount = MOUNTS.find(([root]) => path === root || path.startsWith(`${root}/`));
  if (mount === undefined) {
    throw new NotModelled(`files in ${path} but those that docs/SCENARIOS.md lists`);
  }
  const [root, version] = mount;
  if (!useHierarchy(k, version)) {
    throw new NotModelled(`both cpuset hierarchies in one run: ${path}`);
  }
  return path.slice(root.length);
}

const splitFile = (path: string): { dir: string; file: string } => {
  const at = path.lastIndexOf('/');
  return { dir: path.slice(0, at), file: path.slice(at + 1) };
};

/**
 * Writes a file of a group.
 * @param writer the task that writes; undefined for the controller.
 * @returns what the file answers, or -ENOENT where there is no group.
 */
export function writeGroupFile(k: Kernel, path: string, value: string, writer?: Task): number {
  const { dir, file } = splitFile(path);
  const group = findGroup(k.rootCpuset, groupPath(k, dir));
  if (group === undefined) return -ENOENT;
  if (file === 'cgroup.procs' || (file === 'tasks' && group.isLegacy)) {
    return moveWriter(k, group, file, value, writer);
  }
  if (group.isLegacy) return writeLegacyFile(k, group, file, value);
  if (file === 'cpuset.mems') return writeMems(k, group, value);
  if (file === 'cgroup.subtree_control') return writeSubtreeControl(k, group, value);
  if (isMemcgFile(file)) return writeMemcgFile(k, group, file, value);
  if (file === 'dmem.max') {
    return group.account === null ? -ENOENT : writeQuota(k, group.account, value);
  }
  if (file === 'dmem.current') return group.account === null ? -ENOENT : -EACCES;
  throw new NotModelled(`writing ${file}`);
}

/** A task that writes 0 moves itself; process ids are not modelled (`sys move` names a task). */
function moveWriter(
  k: Kernel,
  group: Cpuset,
  file: string,
  value: string,
  writer: Task | undefined,
): number {
  if (!/^[-+]?\d+$/.test(value.trim()) || Number(value) < 0) return -EINVAL;
  if (Number(value) !== 0 || writer === undefined) {
    throw new NotModelled(`writing ${file}: process ids; write "sys move TASK GROUP"`);
  }
  return moveToGroup(k, writer, group);
}

/** Reads a file of a group. */
export function readGroupFile(k: Kernel, path: string): OpResult {
  const { dir, file } = splitFile(path);
  const group = findGroup(k.rootCpuset, groupPath(k, dir));
  if (group === undefined) return plain(-ENOENT);
  if (group.isLegacy) return { ret: 0, value: readLegacyFile(k, group, file) };
  const isCpuset = group.parent !== null && group.isCpuset;
  if (file === 'cpuset.mems' && !isCpuset) return plain(-ENOENT);
  if (file === 'cpuset.mems') return { ret: 0, value: group.mems.toString() };
  if (file === 'cpuset.mems.effective' && group.parent !== null && !isCpuset) return plain(-ENOENT);
  if (file === 'cpuset.mems.effective') return { ret: 0, value: group.effectiveMems.toString() };
  if (file === 'cgroup.subtree_control') {
    return { ret: 0, value: CONTROLLERS.filter((c) => group.handsOn.has(c)).join(' ') };
  }
  if (isMemcgFile(file)) {
    const value = readMemcgFile(k, group, file);
    return typeof value === 'number' ? plain(value) : { ret: 0, value };
  }
  if (file === 'dmem.max' || file === 'dmem.current') {
    const value = readQuotaFile(k, group, file);
    return value === undefined ? plain(-ENOENT) : { ret: 0, value };
  }
  throw new NotModelled(`reading ${file}`);
}
