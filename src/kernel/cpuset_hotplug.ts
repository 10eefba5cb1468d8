// How cpusets follow memory that comes and goes, in either hierarchy.
// Models   linux@v6.1 kernel/cgroup/cpuset.c: cpuset_hotplug_workfn, hotplug_update_tasks,
//          hotplug_update_tasks_legacy, remove_tasks_in_empty_cpuset.
// Omits    CPUs that come and go.
// Holds    HOT9 the root follows N_MEMORY and the groups below it follow the root. HOT15 in version
//          1 a group loses for good what has gone, and none that is left empty keeps its tasks.
import { type Cpuset, changeTaskMems, isMovableOnly, tasksOf, updateTasks } from './cpuset.ts';
import { moveToLegacyGroup } from './cpuset_v1.ts';
import type { Kernel } from './kernel.ts';

/**
 * Memory has come or gone: the root takes N_MEMORY over, and every group below takes what is left
 * of its own mems; when nothing is, its parent's, or in version 1 none (cpuset_hotplug_workfn).
 */
export function followMemory(k: Kernel): void {
  const { memory } = k.states;
  const root = k.rootCpuset;
  if (root.effectiveMems.equals(memory)) return;
  root.mems = memory;
  root.effectiveMems = memory;
  changeTaskMems(k, k.kthread, memory);
  updateTasks(k, root, memory);
  for (const group of root.descendants()) {
    if (group.parent === null || !group.isCpuset) continue;
    const own = group.mems.and(group.parent.effectiveMems);
    if (own.equals(group.effectiveMems)) continue;
    if (isMovableOnly(k, own)) k.allocator.cpusetsInsane = true;
    if (group.isLegacy) {
      group.mems = own;
      group.effectiveMems = own;
      if (own.isEmpty()) leaveEmpty(k, group);
      else updateTasks(k, group, own);
      continue;
    }
    group.effectiveMems = own.isEmpty() ? group.parent.effectiveMems : own;
    updateTasks(k, group, group.effectiveMems);
  }
}

/** Tasks go to the nearest group upward that has CPUs and mems (remove_tasks_in_empty_cpuset). */
function leaveEmpty(k: Kernel, group: Cpuset): void {
  let to = group.parent as Cpuset;
  while (to.parent !== null && (to.cpus.length === 0 || to.mems.isEmpty())) to = to.parent;
  for (const task of tasksOf(k, group)) moveToLegacyGroup(k, task, to);
}
