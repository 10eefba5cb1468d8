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
import { __GFP_MOVABLE, GFP_KERNEL, MAX_NR_ZONES, ZONE_NORMAL } from '../mm/gfp.ts';
import type { MemCgroup } from '../mm/memcg.ts';
import { OOM_KILL } from '../mm/vmstat.ts';
import type { Cpuset } from './cpuset.ts';
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

/** A task that the OOM killer took, whose request it was for, and what there was none of. */
export interface Kill {
  readonly victim: string;
  readonly asking: string;
  /** Memory of the machine, the share that a design gives to a group, or a cgroup's limit. */
  readonly lack: 'memory' | 'share' | 'group';
  /** The request was for a page of the kernel's own, as a page table is. */
  readonly isKernels: boolean;
  /** The memory cgroup whose limit was hit, and the limit. */
  readonly group?: { readonly path: string; readonly maxPages: number } | undefined;
  /** Pages that the victim was judged by, and how many tasks there were to choose from. */
  readonly points: number;
  readonly nrCandidates: number;
  /** It dies since all tasks of this group die together (memory.oom.group). */
  readonly withGroup?: string | undefined;
}

/** What a kill is for. */
type Cause = Omit<Kill, 'victim' | 'points' | 'nrCandidates' | 'withGroup'>;

/** A task to kill, or none that may be. */
interface Choice {
  readonly task: Task;
  readonly points: number;
  readonly nrCandidates: number;
}

/**
 * Kills one task for a request that found no page, or stops the machine when no task may be taken.
 * @param nodemask the request's own mask, or null; one of all memory confines nobody and counts as
 *   none (constrained_alloc).
 * @param gfp flags of the request.
 */
export function outOfMemory(
  k: Kernel,
  asking: Task,
  nodemask: Nodemask | null,
  gfp = GFP_KERNEL,
): void {
  const mask = nodemask !== null && k.states.memory.isSubsetOf(nodemask) ? null : nodemask;
  const nodes = mask ?? asking.memsAllowed;
  const choice = worst(k, pagesOf(k, nodes), (task) => isEligible(task, asking, mask));
  if (choice === undefined) {
    k.panic = 'out of memory, and no task that may be killed for it';
    return;
  }
  const isKernels = (gfp & __GFP_MOVABLE) === 0;
  kill(k, choice, { asking: asking.name, lack: 'memory', isKernels }, null);
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
  const choice = worst(k, pagesOf(k, k.states.memory), (task) => {
    for (let a = task.account; a !== null; a = a.above) if (a === account) return true;
    return false;
  });
  const itself = { task: asking, points: badness(asking), nrCandidates: 1 };
  kill(k, choice ?? itself, { asking: asking.name, lack: 'share', isKernels: false }, null);
}

/**
 * Kills one task of a memory cgroup, or of one below, that is at its limit
 * (mem_cgroup_out_of_memory).
 * @returns false when none may be taken.
 */
export function outOfGroup(k: Kernel, asking: Task, group: MemCgroup): boolean {
  const { swap } = k.mem;
  const nrPages = group.max + Math.min(group.swapMax, swap.nrSlots);
  const choice = worst(k, nrPages, (task) => memcgOf(task.group)?.isWithin(group) === true);
  group.note('oom');
  if (choice === undefined) return false;
  const limit = { path: pathOfMemcg(k, group), maxPages: group.max };
  const cause = { asking: asking.name, lack: 'group', isKernels: false, group: limit } as const;
  kill(k, choice, cause, group);
  return true;
}

/**
 * Of tasks that may be taken, the one that uses most memory, its oom_score_adj counted in (OOM4).
 * @param nrPages what oom_score_adj is a share of, in thousandths.
 */
function worst(k: Kernel, nrPages: number, mayTake: (task: Task) => boolean): Choice | undefined {
  let worstTask: Task | undefined;
  let most = Number.NEGATIVE_INFINITY;
  let nrCandidates = 0;
  for (const task of k.liveTasks()) {
    if (task.oomScoreAdj === NEVER || !mayTake(task)) continue;
    nrCandidates++;
    const points = badness(task) + task.oomScoreAdj * Math.floor(nrPages / 1000);
    if (points < most) continue;
    worstTask = task;
    most = points;
  }
  return worstTask === undefined ? undefined : { task: worstTask, points: most, nrCandidates };
}

/**
 * Kills a task, and with it all of the highest memory cgroup below `domain` that dies together
 * (mem_cgroup_get_oom_group).
 */
function kill(k: Kernel, choice: Choice, cause: Cause, domain: MemCgroup | null): void {
  const victim = choice.task;
  let together: MemCgroup | null = null;
  for (let g = memcgOf(victim.group); g !== null; g = g.parent) {
    if (g.killsTogether) together = g;
    if (g === domain) break;
  }
  killOne(k, choice, cause);
  if (together === null) return;
  together.note('oom_group_kill');
  for (const task of k.liveTasks()) {
    const isOfGroup = memcgOf(task.group)?.isWithin(together) === true;
    if (isOfGroup && task.oomScoreAdj !== NEVER) killOne(k, { ...choice, task }, cause, together);
  }
}

const LACK_WORDS: Readonly<Record<Kill['lack'], string>> = {
  memory: 'out of memory',
  share: 'out of quota',
  group: 'out of memory in its group',
};

/** @param together the group whose tasks all die since one of them does. */
function killOne(
  k: Kernel,
  { task, points, nrCandidates }: Choice,
  cause: Cause,
  together?: MemCgroup,
): void {
  k.mem.stat.count(OOM_KILL, 1);
  memcgOf(task.group)?.note('oom_kill');
  const words = LACK_WORDS[cause.lack];
  k.log.push(`${words}: killed ${task.name} (asked for by ${cause.asking})`);
  const withGroup = together === undefined ? {} : { withGroup: pathOfMemcg(k, together) };
  k.kills.push({ victim: task.name, ...cause, points, nrCandidates, ...withGroup });
  exitTask(k, task, 'SIGKILL');
}

/** `/a/b`: where the control group of a memory cgroup lies, or lay. */
export function pathOfMemcg(k: Kernel, memcg: MemCgroup): string {
  const search = (group: Cpuset, path: string): string | undefined => {
    if (group.memcg === memcg) return path === '' ? '/' : path;
    for (const child of group.children.values()) {
      const found = search(child, `${path}/${child.name}`);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return search(k.rootCpuset, '') ?? 'a group that is gone';
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
