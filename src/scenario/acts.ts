// What an act names: its tasks, its region, its verb.
import type { Act } from './ops.ts';

/** Tasks that an act names: the acting one first, the one acted upon last. */
export function tasksOf(act: Act): readonly string[] {
  if (act.on === 'fork') return [act.parent, act.child];
  if (act.on === 'sys') return 'task' in act.act ? [act.act.task] : [];
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
