// The OOM killer, as far as it is asked when cpuset or design keep a request off every zone.
// Models   linux@v6.1 mm/oom_kill.c: out_of_memory, select_bad_process, oom_evaluate_task,
//          oom_badness, oom_cpuset_eligible.
// Omits    oom_score_adj, memory cgroups, the reaper, the choice by nodemask
//          (mempolicy_in_oom_domain); kills for lack of pages (SPEC EXH2).
// Holds    OOM1 the task that uses most memory dies; among equals the last.
import { OOM_KILL } from '../mm/vmstat.ts';
import { exitTask } from './fork.ts';
import type { Kernel } from './kernel.ts';
import { pteIsPage } from './page_table.ts';
import type { Task } from './task.ts';

/**
 * File pages (text, libraries) that the program of the first task has mapped and that a forked copy
 * has not touched yet: enough to make the elder of two otherwise equal tasks the victim.
 */
const FILE_PAGES_OF_FIRST_PROGRAM = 64;

/** Kills one task that shares nodes with the one that asks. */
export function outOfMemory(k: Kernel, asking: Task): void {
  let victim = asking;
  let most = -1;
  for (const task of k.liveTasks()) {
    if (!task.memsAllowed.intersects(asking.memsAllowed)) continue;
    const pages = badness(task);
    if (pages < most) continue;
    victim = task;
    most = pages;
  }
  k.mem.stat.count(OOM_KILL, 1);
  k.log.push(`out of memory: killed ${victim.name} (asked for by ${asking.name})`);
  exitTask(k, victim, 'SIGKILL');
}

/** Pages that a task uses: those it maps, and those of its page tables. */
function badness(task: Task): number {
  const tables = [...task.mm.pageTable.tableFrames()].length;
  return residentPages(task) + tables + (task.isForked ? 0 : FILE_PAGES_OF_FIRST_PROGRAM);
}

/** Pages that a task's page tables map; huge pages do not count (get_mm_rss). */
export function residentPages(task: Task): number {
  let n = 0;
  for (const vma of task.mm.vmas) {
    task.mm.pageTable.walk(vma.startVpn, vma.endVpn, (_vpn, pte) => {
      if (pteIsPage(pte)) n++;
    });
  }
  return n;
}
