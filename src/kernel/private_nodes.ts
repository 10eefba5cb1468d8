// Private memory: nodes that the design takes out of N_MEMORY, and who may have their pages.
// Models   "Private Memory NUMA Nodes" (Price, 2026-07-20, and the posting of 2026-02-22), as far
//          as the kernel asks node by node: mpol_set_nodemask, do_pages_move,
//          add_page_for_migration, alloc_zonelist_for_node, and the policies of a node that goes.
//          Linux 6.1 has none of it: without a design that answers, every function here says what
//          6.1 would do.
// Hooks    selectZonelist (node_zonelist), mpolSetNodemask (mpol_set_nodemask, do_pages_move,
//          add_page_for_migration).
// Holds    PRV2 a request of the kernel's own never asks for private memory. PRV6 no policy names a
//          private node that has gone.
import type { NodeId } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import type { AllocReason } from '../hooks/design.ts';
import { MPOL_LOCAL } from '../hooks/policy_modes.ts';
import { GFP_PRIVATE } from '../mm/gfp.ts';
import type { Kernel } from './kernel.ts';
import type { Mempolicy } from './mempolicy.ts';

/** Nodes of private memory that programs may name. */
export function userPrivateNodes(k: Kernel): Nodemask {
  const { privateMemory } = k.states;
  const answer = k.design.answers.mpolSetNodemask;
  if (privateMemory.isEmpty() || answer === undefined) return Nodemask.EMPTY;
  return Nodemask.from(privateMemory.toArray().filter((nid) => answer(nid, k.states)));
}

/** Is the node private memory that programs may neither name nor take pages off? */
export const isClosedToUsers = (k: Kernel, nid: NodeId): boolean =>
  k.states.privateMemory.has(nid) && !userPrivateNodes(k).has(nid);

/** The flag of a request for users' pages on such nodes, if it asks for private memory; else 0. */
export function privateFlag(k: Kernel, reason: AllocReason, nodes: Nodemask): number {
  const answer = k.design.answers.selectZonelist;
  if (answer === undefined || k.states.privateMemory.isEmpty()) return 0;
  return answer(reason, nodes, k.states) ? GFP_PRIVATE : 0;
}

/** The memory of a private node has gone: policies forget it, and do not find it again. */
export function forgetPrivateNode(k: Kernel, nid: NodeId): void {
  const forget = (policy: Mempolicy | null, mems: Nodemask): void => {
    if (policy === null || policy.mode === MPOL_LOCAL || !policy.nodes.has(nid)) return;
    const left = policy.nodes.without(nid);
    policy.nodes = left.isEmpty() ? mems : left;
    if (policy.storesUserMask) policy.stored = policy.stored.without(nid);
  };
  for (const task of k.liveTasks()) {
    forget(task.mempolicy, task.memsAllowed);
    for (const vma of task.mm.vmas) forget(vma.policy, task.memsAllowed);
  }
  for (const object of k.objects.values()) {
    object.forEachPolicy((policy) => forget(policy, k.states.memory));
  }
}
