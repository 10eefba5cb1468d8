// Allocation under a policy: which node to start from, which nodes may be used, and which of the
// page allocator's forms to call.
// Models   linux@v6.1 mm/mempolicy.c: get_task_policy, policy_nodemask, policy_node,
//          apply_policy_zone, interleave_nodes, interleave_nid, alloc_page_interleave,
//          alloc_pages_preferred_many, alloc_pages, vma_alloc_folio; kernel/cgroup/cpuset.c:
//          cpuset_nodemask_valid_mems_allowed.
// Hooks    policyNode (policy_node).
// Holds    POL3 kernel pages made for a task follow its policy too, and advance its interleave
//          counter.
import { type Frame, type NodeId, NUMA_NO_NODE } from '../base/ids.ts';
import type { Nodemask } from '../base/nodemask.ts';
import {
  MPOL_BIND,
  MPOL_INTERLEAVE,
  MPOL_LOCAL,
  MPOL_PREFERRED,
  MPOL_PREFERRED_MANY,
  MPOL_WEIGHTED_INTERLEAVE,
} from '../hooks/policy_modes.ts';
import {
  __GFP_COMP,
  __GFP_DIRECT_RECLAIM,
  __GFP_NOFAIL,
  __GFP_NOWARN,
  gfpNames,
  gfpZone,
  ZONE_MOVABLE,
} from '../mm/gfp.ts';
import { ALLOC_NO_WATERMARKS, FAILURE } from '../mm/internal.ts';
import type { Kernel } from './kernel.ts';
import { chargeGiven, wantWithin } from './memcg.ts';
import {
  isInterleaving,
  type Mempolicy,
  offsetInterleaveNode,
  offsetWeightedNode,
  usesHomeNode,
} from './mempolicy.ts';
import { outOfMemory, outOfQuota } from './oom.ts';
import type { PolicyFrom, Purpose } from './placement_count.ts';
import { privateFlag } from './private_nodes.ts';
import type { Task } from './task.ts';
import { splitDeferred } from './thp_split.ts';

/** A policy with its origin; `policy` is null for the default, local placement. */
export interface FoundPolicy {
  readonly policy: Mempolicy | null;
  readonly from: PolicyFrom;
}

/** The task's own policy or the default (get_task_policy). */
export const taskPolicy = (task: Task): FoundPolicy =>
  task.mempolicy === null
    ? { policy: null, from: 'default' }
    : { policy: task.mempolicy, from: 'task' };

/** The mask a policy gives to a request, or null for none (policy_nodemask). */
export function policyNodemask(
  k: Kernel,
  task: Task,
  gfp: number,
  policy: Mempolicy | null,
): Nodemask | null {
  if (policy === null) return null;
  if (policy.mode === MPOL_PREFERRED_MANY) return policy.nodes;
  if (policy.mode !== MPOL_BIND || !appliesToZone(k, policy, gfpZone(gfp))) return null;
  const { privateMemory } = k.states;
  const isOpen =
    policy.nodes.intersects(task.memsAllowed) || policy.nodes.intersects(privateMemory);
  return isOpen ? policy.nodes : null;
}

/**
 * A mask that names only movable memory leaves requests for other zones alone (apply_policy_zone).
 */
function appliesToZone(k: Kernel, policy: Mempolicy, zoneType: number): boolean {
  const isMovableOnly = !policy.nodes.intersects(k.states.normalMemory);
  return zoneType >= (isMovableOnly ? ZONE_MOVABLE : k.mem.lists.policyZone);
}

/** The node whose list a request starts from (policy_node). */
export function policyNode(k: Kernel, policy: Mempolicy | null, local: NodeId): NodeId {
  if (policy === null) return local;
  const { mode } = policy;
  const nid = mode === MPOL_PREFERRED ? policy.nodes.first() : local;
  if (usesHomeNode(policy) && policy.homeNode !== NUMA_NO_NODE) return policy.homeNode;
  const answer = k.design.answers.policyNode;
  return answer === undefined ? nid : answer({ mode, nodes: policy.nodes, nid }, k.states);
}

/** Why policyNode answered so, for explanations. */
function startWhy(k: Kernel, policy: Mempolicy | null, local: NodeId, start: NodeId): string {
  if (policy === null) return `node of CPU ${k.allocator.current.cpu}`;
  if (usesHomeNode(policy) && policy.homeNode !== NUMA_NO_NODE) return 'home node of the policy';
  if (isInterleaving(policy)) return 'its turn in the interleave';
  if (policy.mode === MPOL_PREFERRED) return 'the preferred node';
  if (start === local) return `node of CPU ${k.allocator.current.cpu}`;
  return `first node of the mask, by the design (policy_node)`;
}

/**
 * Takes the next node of the task's interleave counter (interleave_nodes); with weights a node has
 * as many turns in a row as it weighs (6.9: weighted_interleave_nodes).
 */
export function nextInterleaveNode(k: Kernel, task: Task, policy: Mempolicy): NodeId {
  if (policy.mode === MPOL_WEIGHTED_INTERLEAVE) {
    const isOver = task.interleaveWeight === 0 || !policy.nodes.has(task.interleavePrev);
    if (isOver) {
      task.interleavePrev = policy.nodes.nextIn(task.interleavePrev);
      task.interleaveWeight = k.interleaveWeights.get(task.interleavePrev) ?? 1;
    }
    task.interleaveWeight--;
    return task.interleavePrev as NodeId;
  }
  const next = policy.nodes.nextIn(task.interleavePrev);
  task.interleavePrev = next;
  return next;
}

/** Does the task's own policy spread pages one by one? */
export const isTaskInterleaving = (task: Task): boolean =>
  task.mempolicy !== null && isInterleaving(task.mempolicy);

/** Origins of requests that follow no policy. */
export type NamedFrom =
  | 'node named'
  | 'cpuset'
  | 'memory offline'
  | 'contiguous range'
  | 'long-term pin'
  | 'numa balancing'
  | 'demotion';

/** Moves that the kernel decides for itself: nobody asked for their node. */
const UNASKED: ReadonlySet<PolicyFrom> = new Set([
  'cpuset',
  'contiguous range',
  'numa balancing',
  'demotion',
]);

const isNodeNamed = (from: PolicyFrom): boolean =>
  from === 'node named' ||
  from === 'memory offline' ||
  from === 'long-term pin' ||
  UNASKED.has(from);

function policyText({ policy, from }: FoundPolicy): string {
  if (policy !== null) return policy.describe();
  return isNodeNamed(from) ? 'none' : 'default (local)';
}

/** Tells the decision log, if there is one, who asks and why. */
export function noteRequest(
  k: Kernel,
  task: Task,
  purpose: Purpose,
  found: FoundPolicy,
  gfp: number,
  start: NodeId,
  nodemask: Nodemask | null,
): void {
  const { log } = k.allocator;
  if (log === null) return;
  const { policy } = found;
  const isSame = log.isContextOf(task, purpose, policy, start, nodemask, gfp);
  if (isSame) return;
  log.setContext({
    task: task.name,
    purpose,
    gfp: gfpNames(gfp & k.gfpContext),
    policy: policyText(found),
    policyFrom: found.from,
    startWhy: isNodeNamed(found.from)
      ? 'the node that the request names'
      : startWhy(k, policy, k.localNode(task), start),
    cpuset: k.allocator.cpusetsEnabled ? `${task.cpuset.path} mems ${task.memsAllowed}` : undefined,
    nodemask: nodemask === null ? undefined : nodemask.toString(),
  });
}

/**
 * Allocates for the kernel on behalf of a task, under the task's policy (alloc_pages).
 * @returns as PageAllocator.alloc; frames in allocator.out.
 */
export function allocPages(
  k: Kernel,
  task: Task,
  gfp: number,
  order: number,
  why: Purpose,
): number {
  k.setCurrent(task);
  const found = taskPolicy(task);
  const { policy } = found;
  if (policy !== null && isInterleaving(policy)) {
    const nid = nextInterleaveNode(k, task, policy);
    return allocInterleave(k, task, gfp, order, nid, found, why);
  }
  return allocFrom(k, task, gfp, order, found, 1, why);
}

/**
 * Asks the allocator, and where it finds nothing and may kill for it the OOM killer, until there is
 * a page or the task that asks is dead (__alloc_pages_may_oom).
 */
function allocOrKill(
  k: Kernel,
  task: Task,
  gfp: number,
  order: number,
  nid: NodeId,
  nodemask: Nodemask | null,
  want: number,
): number {
  const { allocator } = k;
  gfp &= k.gfpContext;
  let n = allocator.alloc(gfp, order, nid, nodemask, want);
  for (;;) {
    if (n > 0) return n;
    const { failure } = allocator;
    if (failure === FAILURE.OVER_QUOTA) outOfQuota(k, task, 1 << order);
    else if (failure !== FAILURE.NOT_ADMITTED && failure !== FAILURE.NO_PAGES) return 0;
    else if (splitDeferred(k, nodemask) === 0) outOfMemory(k, task, nodemask, gfp);
    if (gfp & __GFP_NOFAIL && k.panic === undefined) {
      k.setCurrent(task);
      n = allocator.takeReserves(gfp, ALLOC_NO_WATERMARKS);
      if (n > 0) continue;
    }
    if (!task.isAlive || k.panic !== undefined) {
      allocator.failure = FAILURE.KILLED;
      return 0;
    }
    k.setCurrent(task);
    n = allocator.retry(gfp);
  }
}

/** A block of an interleaved area; one on its node counts as a hit (alloc_page_interleave). */
export function allocInterleave(
  k: Kernel,
  task: Task,
  gfp: number,
  order: number,
  nid: NodeId,
  found: FoundPolicy,
  why: Purpose,
): number {
  const flags = gfp | asksPrivate(k, found, why);
  noteRequest(k, task, why, found, flags, nid, null);
  const n = allocOrKill(k, task, flags, order, nid, null, 1);
  if (n === 0) return 0;
  const got = k.mem.zones.nid[k.allocator.lastZone] as number;
  if (got === nid) k.mem.stat.countInterleaveHit(k.allocator.lastZone);
  else if (isUserPage(why)) k.placements.countSpill(nid, n << order);
  settle(k, found, why, got, n << order);
  return order === 0 ? chargeGiven(k, task, n, order, gfp, why) : n;
}

/** Blocks from where a policy that does not interleave wants them, as many as `want` at once. */
export function allocFrom(
  k: Kernel,
  task: Task,
  gfp: number,
  order: number,
  found: FoundPolicy,
  want: number,
  why: Purpose,
): number {
  const { policy } = found;
  want = wantWithin(k, task, want, why);
  const start = policyNode(k, policy, k.localNode(task));
  const nodemask = policyNodemask(k, task, gfp, policy);
  const isMany = policy?.mode === MPOL_PREFERRED_MANY;
  gfp |= asksPrivate(k, found, why);
  const firstGfp = isMany ? (gfp | __GFP_NOWARN) & ~(__GFP_DIRECT_RECLAIM | __GFP_NOFAIL) : gfp;
  noteRequest(k, task, why, found, firstGfp, start, nodemask);
  let n = allocOrKill(k, task, firstGfp, order, start, nodemask, want);
  if (n === 0 && isMany) {
    noteRequest(k, task, why, found, gfp, start, null);
    // The daemons that the first request has woken may have a page for the next one.
    const most = k.allocator.reclaimer === null ? want : 1;
    n = allocOrKill(k, task, gfp, order, start, null, most);
  }
  if (n > 0) settleSpill(k, found, why, n << order);
  return order === 0 ? chargeGiven(k, task, n, order, gfp, why) : n;
}

/** One block from the list of a node that the caller has chosen by a policy. */
export function allocFromNode(
  k: Kernel,
  task: Task,
  gfp: number,
  order: number,
  found: FoundPolicy,
  nid: NodeId,
  nodemask: Nodemask | null,
  why: Purpose,
): number {
  gfp |= asksPrivate(k, found, why);
  noteRequest(k, task, why, found, gfp, nid, nodemask);
  const n = allocOrKill(k, task, gfp, order, nid, nodemask, 1);
  if (n > 0) settleSpill(k, found, why, n << order);
  return n;
}

/**
 * The flag of a request under a policy that asks for private memory: only users' pages do, never
 * page tables and other pages of the kernel's own.
 */
const asksPrivate = (k: Kernel, { policy }: FoundPolicy, why: Purpose): number =>
  policy === null || !isUserPage(why) ? 0 : privateFlag(k, 'policy', policy.nodes);

/** Counts pages given under a policy, and those that are not on its nodes. */
function settleSpill(k: Kernel, found: FoundPolicy, why: Purpose, nrPages: number): void {
  const { policy } = found;
  const got = k.mem.zones.nid[k.allocator.lastZone] as number;
  settle(k, found, why, got, nrPages);
  if (policy !== null && isUserPage(why) && policy.mode !== MPOL_LOCAL && !policy.nodes.has(got)) {
    k.placements.countSpill(policy.nodes.first(), nrPages);
  }
}

const isUserPage = (why: Purpose): boolean => why !== 'page table' && why !== 'kernel page';

/** Counts pages given under a policy: asked for when the policy names their node. */
function settle(k: Kernel, found: FoundPolicy, why: Purpose, nid: number, nrPages: number): void {
  const isAsked = isUserPage(why) && found.policy !== null && found.policy.nodes.has(nid);
  k.placements.count(why, found.from, isAsked, nid, nrPages);
}

/**
 * Allocates pages of an area or a shared object under a policy (vma_alloc_folio).
 * @param interleaveIndex the page's number for interleaving: in an area its vm_pgoff, in an object
 *   its page number plus the inode number.
 * @param want how many pages in a row are asked for alike; interleaved pages come one by one.
 * @returns as PageAllocator.alloc; frames in allocator.out.
 */
export function allocUserPages(
  k: Kernel,
  task: Task,
  gfp: number,
  found: FoundPolicy,
  interleaveIndex: number,
  want: number,
  why: Purpose,
): number {
  k.setCurrent(task);
  const { policy } = found;
  if (policy === null) return allocFrom(k, task, gfp, 0, found, want, why);
  if (policy.mode === MPOL_INTERLEAVE || policy.mode === MPOL_WEIGHTED_INTERLEAVE) {
    const local = k.localNode(task);
    const nid =
      policy.mode === MPOL_INTERLEAVE
        ? offsetInterleaveNode(policy, interleaveIndex, local)
        : offsetWeightedNode(policy, interleaveIndex, local, k.interleaveWeights);
    return allocInterleave(k, task, gfp | __GFP_COMP, 0, nid, found, why);
  }
  return allocFrom(k, task, gfp, 0, found, want, why);
}

/**
 * A page near a node that the task's cpuset names in its turn; any node will do if that is full
 * (__folio_alloc_node). Returns as PageAllocator.alloc.
 */
export function allocNear(k: Kernel, task: Task, gfp: number, nid: NodeId, why: Purpose): number {
  k.setCurrent(task);
  noteRequest(k, task, why, { policy: null, from: 'cpuset' }, gfp, nid, null);
  const n = allocOrKill(k, task, gfp, 0, nid, null, 1);
  if (n > 0) {
    k.placements.count(why, 'cpuset', false, k.mem.zones.nid[k.allocator.lastZone] as number, n);
  }
  return chargeGiven(k, task, n, 0, gfp, why);
}

/**
 * One block for a request that names its node itself, such as a migration target.
 * @param from `node named` when a program or driver asked for that node, `memory offline` when the
 *   kernel empties memory, else `cpuset`.
 * @param nodemask nodes that the request is confined to, or null.
 */
export function allocOnNode(
  k: Kernel,
  task: Task,
  gfp: number,
  nid: NodeId,
  why: Purpose,
  from: NamedFrom = 'node named',
  nodemask: Nodemask | null = null,
  order = 0,
): Frame | undefined {
  k.setCurrent(task);
  noteRequest(k, task, why, { policy: null, from }, gfp, nid, nodemask);
  if (allocOrKill(k, task, gfp, order, nid, nodemask, 1) === 0) return undefined;
  const got = k.mem.zones.nid[k.allocator.lastZone] as number;
  const isNamed = nodemask === null ? got === nid : nodemask.has(got);
  k.placements.count(why, from, !UNASKED.has(from) && isNamed, got, 1 << order);
  return k.allocator.out[0] as Frame;
}

/**
 * Up to `want` pages on a node and nowhere else, for who moves or places many; `gfp` has
 * __GFP_THISNODE. Returns how many; frames in allocator.out.
 */
export function allocManyOnNode(
  k: Kernel,
  task: Task,
  gfp: number,
  nid: NodeId,
  want: number,
  why: Purpose,
  from: NamedFrom = 'node named',
): number {
  k.setCurrent(task);
  noteRequest(k, task, why, { policy: null, from }, gfp, nid, null);
  const n = allocOrKill(k, task, gfp, 0, nid, null, wantWithin(k, task, want, why));
  if (n > 0) k.placements.count(why, from, !UNASKED.has(from), nid, n);
  return chargeGiven(k, task, n, 0, gfp, why);
}
