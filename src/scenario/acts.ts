// What an act names: its tasks, its region, its verb.
import type { Act, SysAct } from './ops.ts';

/** Files of a task, /proc/NAME/FILE, which a scenario names by the task's name. */
const TASK_FILE = /^\/proc\/([A-Za-z]\w*)\/(?:numa_maps|maps|smaps|smaps_rollup|status)$/;

/** The task whose file a path is, or undefined for other files. */
export function taskOfPath(path: string): string | undefined {
  const name = TASK_FILE.exec(path)?.[1];
  return name === 'self' ? undefined : name;
}

/** The path with the task that it names under another name. */
export function renameInPath(path: string, rename: (name: string) => string): string {
  const name = taskOfPath(path);
  return name === undefined ? path : path.replace(`/proc/${name}/`, `/proc/${rename(name)}/`);
}

function tasksOfSys(act: SysAct): readonly string[] {
  if ('task' in act) return [act.task];
  const named = act.verb === 'read' ? taskOfPath(act.path) : undefined;
  return named === undefined ? [] : [named];
}

/** Tasks that an act names: the acting one first, the one acted upon last. */
export function tasksOf(act: Act): readonly string[] {
  if (act.on === 'fork') return [act.parent, act.child];
  if (act.on === 'sys') return tasksOfSys(act.act);
  if ('pid' in act.act && act.act.pid !== undefined) return [act.task, act.act.pid];
  return [act.task];
}

/** The region that an act names, or undefined. */
export const regionOf = (act: Act): string | undefined =>
  act.on !== 'fork' && 'region' in act.act ? act.act.region : undefined;

/** The verb: `touch`, `sys write`, `fork`. */
export function verbOf(act: Act): string {
  if (act.on === 'fork') return 'fork';
  return act.on === 'sys' ? `sys ${act.act.verb}` : act.act.verb;
}
