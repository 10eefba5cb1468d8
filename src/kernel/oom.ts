// The OOM killer: who dies when a request finds no page, because every zone that admits it is down
// to its min watermark or because cpuset and design keep it off every zone.
// Models   linux@v6.1 mm/oom_kill.c: out_of_memory, select_bad_process, oom_evaluate_task,
//          oom_badness, oom_cpuset_eligible, constrained_alloc; mm/mempolicy.c:
//          mempolicy_in_oom_domain; mm/memcontrol.c: mem_cgroup_out_of_memory,
//          mem_cgroup_get_oom_group.
// Omits    the reaper's delay.
// Holds    OOM1 the task that uses most memory dies; among equals the last. OOM3 a request with a
//          nodemask short of all memory takes only tasks that may allocate there by their own
//          policy; any other, only tasks whose cpuset shares a node with the one that asks.
import type { Nodemask } from '../base/nodemask.ts';
import { MPOL_BIND } from '../hooks/policy_modes.ts';
import { MAX_NR_ZONES, ZONE_NORMAL } from '../mm/gfp.ts';
import type { MemCgroup } from '../mm/memcg.ts';
import { OOM_KILL } from '../mm/vmstat.ts';
import { exitTask } from './fork.ts';
import type { Kernel } from './kernel.ts';
import { memcgOf } from './memcg.ts';
import { anyFrameOf, pteIsSwap } from './page_table.ts';
import type { Task } from './task.ts';

/**
 * File pages (text, libraries) that the program of the first task has mapped and that a forked copy
 * has not touched yet: enough to make the elder of two otherwise equal tasks the victim.
 */
const FILE_PAGES_OF_FIRST_PROGRAM = 64;
/** oom_score_adj of a task that is never killed for memory. */
const NEVER = -1000;

/**
 * Kills one task for a request that found no page, or stops the machine when no task may be taken.
 * @param nodemask the request's own mask, or null; one of all memory confines nobody and counts as
 *   none (constrained_alloc).
 */
export function outOfMemory(k: Kernel, asking: Task, nodemask: Nodemask | null): void {
  const mask = nodemask !== null && k.states.memory.isSubsetOf(nodemask) ? null : nodemask;
  const nodes = mask ?? asking.memsAllowed;
  const victim = worst(k, pagesOf(k, nodes), (task) => isEligible(task, asking, mask));
  if (victim === undefined) {
    k.panic = 'out of memory, and no task that may be killed for it';
    return;
  }
  kill(k, victim, asking, 'out of memory', null);
}

/** Pages of memory and swap that shares are counted of (constrained_alloc: totalpages). */
function pagesOf(k: Kernel, nodes: Nodemask): number {
  const { zones, swap } = k.mem;
  let n = swap.nrSlots;
  for (let z = 0; z < zones.nr; z++) {
    if (nodes.has(zones.nid[z] as number)) n += zones.present[z] as number;
  }
  return n;
}

/**
 * Kills one task of the group that has had its share of a node, or of a group below, for a request
 * of so many pages. It may be one with nothing there: then the next one dies, at last who asks.
 */
export function outOfQuota(k: Kernel, asking: Task, nrPages: number): void {
  const account = k.mem.charges?.exceeded(asking, nrPages);
  const victim = worst(k, pagesOf(k, k.states.memory), (task) => {
    for (let a = task.account; a !== null; a = a.above) if (a === account) return true;
    return false;
  });
  kill(k, victim ?? asking, asking, 'out of quota', null);
}

/**
 * Kills one task of a memory cgroup, or of one below, that is at its limit
 * (mem_cgroup_out_of_memory).
 * @returns false when none may be taken.
 */
export function outOfGroup(k: Kernel, asking: Task, group: MemCgroup): boolean {
  const { swap } = k.mem;
  const nrPages = group.max + Math.min(group.swapMax, swap.nrSlots);
  const victim = worst(k, nrPages, (task) => memcgOf(task.group)?.isWithin(group) === true);
  group.note('oom');
  if (victim === undefined) return false;
  kill(k, victim, asking, 'out of memory in its group', group);
  return true;
}

/**
 * Of tasks that may be taken, the one that uses most memory, its oom_score_adj counted in (OOM4).
 * @param nrPages what oom_score_adj is a share of, in thousandths.
 */
function worst(k: Kernel, nrPages: number, mayTake: (task: Task) => boolean): Task | undefined {
  let victim: Task | undefined;
  let most = Number.NEGATIVE_INFINITY;
  for (const task of k.liveTasks()) {
    if (task.oomScoreAdj === NEVER || !mayTake(task)) continue;
    const points = badness(task) + task.oomScoreAdj * Math.floor(nrPages / 1000);
    if (points < most) continue;
    victim = task;
    most = points;
  }
  return victim;
}

/**
 * Kills a task, and with it all of the highest memory cgroup below `domain` that dies together
 * (mem_cgroup_get_oom_group).
 */
function kill(k: Kernel, victim: Task, asking: Task, why: string, domain: MemCgroup | null): void {
  let together: MemCgroup | null = null;
  for (let g = memcgOf(victim.group); g !== null; g = g.parent) {
    if (g.killsTogether) together = g;
    if (g === domain) break;
  }
  killOne(k, victim, asking, why);
  if (together === null) return;
  together.note('oom_group_kill');
  for (const task of k.liveTasks()) {
    const isOfGroup = memcgOf(task.group)?.isWithin(together) === true;
    if (isOfGroup && task.oomScoreAdj !== NEVER) killOne(k, task, asking, why);
  }
}

function killOne(k: Kernel, victim: Task, asking: Task, why: string): void {
  k.mem.stat.count(OOM_KILL, 1);
  memcgOf(victim.group)?.note('oom_kill');
  k.log.push(`${why}: killed ${victim.name} (asked for by ${asking.name})`);
  k.kills.push({ victim: victim.name, asking: asking.name });
  exitTask(k, victim, 'SIGKILL');
}

/** May a task be taken for this request (oom_cpuset_eligible)? */
function isEligible(task: Task, asking: Task, nodemask: Nodemask | null): boolean {
  if (nodemask === null) return task.memsAllowed.intersects(asking.memsAllowed);
  const policy = task.mempolicy;
  return policy === null || policy.mode !== MPOL_BIND || policy.nodes.intersects(nodemask);
}

/** Pages that a task uses: those it maps, and those of its page tables. */
function badness(task: Task): number {
  const tables = [...task.mm.pageTable.tableFrames()].length;
  return (
    residentPages(task) +
    swappedPages(task) +
    tables +
    (task.isForked ? 0 : FILE_PAGES_OF_FIRST_PROGRAM)
  );
}

/** Pages of a task that are in swap areas (MM_SWAPENTS). */
function swappedPages(task: Task): number {
  let n = 0;
  for (const vma of task.mm.vmas) {
    task.mm.pageTable.walk(vma.startVpn, vma.endVpn, (_vpn, pte) => {
      if (pteIsSwap(pte)) n++;
    });
  }
  return n;
}

/** Pages that a task's page tables map; huge pages do not count (get_mm_rss). */
export function residentPages(task: Task): number {
  let n = 0;
  for (const vma of task.mm.vmas) {
    if (vma.buffer !== undefined) continue;
    task.mm.pageTable.walk(vma.startVpn, vma.endVpn, (_vpn, pte) => {
      if (anyFrameOf(pte) !== -1) n++;
    });
  }
  return n;
}

/**
 * Whoever reads or writes a file of the kernel makes it allocate a buffer (GFP_KERNEL). That shows
 * only where every zone of the boot node's list is down to its min watermark: a task dies for it.
 * So it comes when memory has gone, which raises the marks of zones that are full to the old ones;
 * elsewhere kswapd has kept a little above them. The page itself would be given back at once, so
 * none is taken.
 */
export function askForKernelBuffer(k: Kernel): void {
  if (!k.mem.hasMemoryGone) return;
  const { zones, lists } = k.mem;
  const list = [...(lists.fallback[k.localNode(k.kthread)]?.zones ?? [])];
  const usable = list.filter((z) => (zones.type[z] as number) <= ZONE_NORMAL);
  const canGive = usable.some((z) => {
    const reserve = zones.lowmemReserve[z * MAX_NR_ZONES + ZONE_NORMAL] as number;
    return (zones.free[z] as number) > (zones.wmarkMin[z] as number) + reserve;
  });
  if (usable.length > 0 && !canGive && k.liveTasks().length > 0) outOfMemory(k, k.kthread, null);
}
