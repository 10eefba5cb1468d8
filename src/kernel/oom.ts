// The OOM killer, as far as it is asked when cpuset or design keep a request off every zone.
// Models   linux@v6.1 mm/oom_kill.c: out_of_memory, select_bad_process, oom_badness,
//          constrained_alloc.
// Omits    oom_score_adj, memory cgroups, the reaper; kills for lack of pages (SPEC EXH2).
// Holds    OOM1 the task that uses most memory dies; among equals the first.

import { OOM_KILL } from '../mm/vmstat.ts';
import { exitTask } from './fork.ts';
import type { Kernel } from './kernel.ts';
import { pteIsPage } from './page_table.ts';
import type { Task } from './task.ts';

/** Kills one task that shares nodes with the one that asks. */
export function outOfMemory(k: Kernel, asking: Task): void {
  let victim = asking;
  let most = residentPages(asking);
  for (const task of k.liveTasks()) {
    if (!task.memsAllowed.intersects(asking.memsAllowed)) continue;
    const pages = residentPages(task);
    if (pages > most) {
      victim = task;
      most = pages;
    }
  }
  k.mem.stat.count(OOM_KILL, 1);
  k.log.push(`out of memory: killed ${victim.name} (asked for by ${asking.name})`);
  exitTask(k, victim, 'SIGKILL');
}

/** Pages that a task's page tables map. */
export function residentPages(task: Task): number {
  let n = 0;
  for (const vma of task.mm.vmas) {
    task.mm.pageTable.walk(vma.startVpn, vma.endVpn, (_vpn, pte) => {
      if (pteIsPage(pte)) n++;
    });
  }
  return n;
}
