// Explanations of what a memory cgroup's limit refused: no walk of the allocator tells of it, since
// the page was there and the group had no room for it.
// Models   linux@v6.1 mm/memcontrol.c: try_charge_memcg, as far as who is told of it.
// Holds    EXP4 the group that is named is the one whose limit was hit.

import type { Kernel } from '../kernel/kernel.ts';
import { memcgOf } from '../kernel/memcg.ts';
import { type Kill, pathOfMemcg } from '../kernel/oom.ts';
import { killWords } from './deaths.ts';
import type { Step } from './session.ts';

/**
 * Sentences about the limit that a step stopped at, with a blank before them; empty when no group's
 * limit was hit in it.
 * @param kills whom the OOM killer took in the step.
 */
export function limitWords(k: Kernel, step: Step, kills: readonly Kill[]): string {
  const ofGroups = kills.filter(({ lack }) => lack === 'group');
  if (ofGroups.length > 0) return ` ${ofGroups.map(killWords).join('. ')}.`;
  const { act } = step.op;
  const isRefused = k.memcg?.isRefused === true && typeof step.result.ret === 'string';
  if (act.on !== 'task' || !isRefused) return '';
  const task = [...k.liveTasks()].find(({ name }) => name === act.task);
  const full = task === undefined ? null : (k.memcg?.overLimit(memcgOf(task.group), 1) ?? null);
  if (full === null) return '';
  const path = pathOfMemcg(k, full);
  return ` Group ${path} is at its limit of ${full.max} pages (memory.max), and nothing of it could be freed.`;
}
