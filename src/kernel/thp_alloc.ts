// Which node a transparent huge page comes from.
// Models   linux@v6.1 mm/mempolicy.c: vma_alloc_folio with hugepage set, interleave_nid.
// Holds    THP3 under a policy that allows the local node, or the preferred one, only that node is
//          asked at first, and others only by requests that may reclaim. THP4 interleaving goes by
//          2 MiB. A home node counts only where the policy keeps the request off the local node.
import type { Frame } from '../base/ids.ts';
import {
  MPOL_INTERLEAVE,
  MPOL_PREFERRED,
  MPOL_PREFERRED_MANY,
  MPOL_WEIGHTED_INTERLEAVE,
} from '../hooks/policy_modes.ts';
import { __GFP_DIRECT_RECLAIM, __GFP_NORETRY, __GFP_THISNODE } from '../mm/gfp.ts';
import type { Vma } from './address_space.ts';
import type { Kernel } from './kernel.ts';
import { chargeGiven } from './memcg.ts';
import { offsetInterleaveNode, offsetWeightedNode } from './mempolicy.ts';
import type { Purpose } from './placement_count.ts';
import {
  allocFrom,
  allocFromNode,
  allocInterleave,
  type FoundPolicy,
  policyNodemask,
} from './policy_alloc.ts';
import type { Task } from './task.ts';
import { THP_ORDER, THP_PAGES } from './thp.ts';

/** Number of a huge page for interleaving, from the area's place and the page's in it. */
const interleaveIndex = (vma: Vma, vpn: number): number =>
  Math.floor(vma.pgoff / THP_PAGES) + Math.floor((vpn - vma.startVpn) / THP_PAGES);

/**
 * A block for a huge page under a policy; undefined when there is none.
 * @param vpn where in the area: the first page of the huge one that lies in it.
 */
export function allocThp(
  k: Kernel,
  task: Task,
  gfp: number,
  found: FoundPolicy,
  vma: Vma,
  vpn: number,
  why: Purpose,
): Frame | undefined {
  k.setCurrent(task);
  const given = allocBlock(k, task, gfp, found, interleaveIndex(vma, vpn), why);
  const n = chargeGiven(k, task, given, THP_ORDER, gfp, why);
  return n === 0 ? undefined : (k.allocator.out[0] as Frame);
}

function allocBlock(
  k: Kernel,
  task: Task,
  gfp: number,
  found: FoundPolicy,
  index: number,
  why: Purpose,
): number {
  const { policy } = found;
  const local = k.localNode(task);
  if (policy?.mode === MPOL_INTERLEAVE) {
    const nid = offsetInterleaveNode(policy, index, local);
    return allocInterleave(k, task, gfp, THP_ORDER, nid, found, why);
  }
  if (policy?.mode === MPOL_WEIGHTED_INTERLEAVE) {
    const nid = offsetWeightedNode(policy, index, local, k.interleaveWeights);
    return allocInterleave(k, task, gfp, THP_ORDER, nid, found, why);
  }
  if (policy?.mode === MPOL_PREFERRED_MANY) {
    return allocFrom(k, task, gfp, THP_ORDER, found, 1, why);
  }
  const wanted = policy?.mode === MPOL_PREFERRED ? policy.nodes.first() : local;
  const nodemask = policyNodemask(k, task, gfp, policy);
  if (nodemask !== null && !nodemask.has(wanted)) {
    return allocFrom(k, task, gfp, THP_ORDER, found, 1, why);
  }
  const near = gfp | __GFP_THISNODE | __GFP_NORETRY;
  const n = allocFromNode(k, task, near, THP_ORDER, found, wanted, null, why);
  if (n > 0 || !(gfp & __GFP_DIRECT_RECLAIM)) return n;
  return allocFromNode(k, task, gfp, THP_ORDER, found, wanted, nodemask, why);
}
