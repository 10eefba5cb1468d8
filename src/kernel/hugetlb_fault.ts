// Faults on huge pages, and what unmapping and forking do to them.
// Models   linux@v6.1 mm/hugetlb.c: hugetlb_fault, hugetlb_no_page, hugetlb_wp, unmap_ref_private,
//          alloc_huge_page, dequeue_huge_page_vma, alloc_buddy_huge_page_with_mpol,
//          copy_hugetlb_page_range, __unmap_hugepage_range; mm/mempolicy.c: huge_node.
// Omits    sharing of pmd pages between processes, userfaultfd, poison.
// Holds    HUG4 a page that cannot be had is SIGBUS, and the task lives on. HUG5 the policy of the
//          area decides, for shared areas too; the pool's walk asks no gate of a design.
import { assert } from '../base/assert.ts';
import type { Frame, NodeId } from '../base/ids.ts';
import type { Nodemask } from '../base/nodemask.ts';
import {
  MPOL_BIND,
  MPOL_INTERLEAVE,
  MPOL_PREFERRED_MANY,
  MPOL_WEIGHTED_INTERLEAVE,
} from '../hooks/policy_modes.ts';
import { __GFP_DIRECT_RECLAIM, __GFP_NOFAIL, __GFP_NOWARN } from '../mm/gfp.ts';
import { KIND_HUGETLB } from '../mm/memmap.ts';
import { PGFAULT } from '../mm/vmstat.ts';
import {
  allocTables,
  FAULT,
  type Fault,
  type FaultBy,
  type FaultRun,
  policyOfPage,
} from './fault.ts';
import {
  type HugeVma,
  hasPromise,
  hugeIndex,
  mappersOf,
  needsPage,
  usePromise,
} from './hugetlb_area.ts';
import type { Kernel } from './kernel.ts';
import { offsetInterleaveNode, offsetWeightedNode } from './mempolicy.ts';
import { makePte, PTE_NONE, PTE_POISON, pteFrame, pteIsPage, pteIsWritable } from './page_table.ts';
import type { Purpose } from './placement_count.ts';
import { type FoundPolicy, noteRequest, policyNode } from './policy_alloc.ts';
import type { Task } from './task.ts';

/** Where a policy wants a huge page. */
export interface HugePlace {
  readonly found: FoundPolicy;
  readonly nid: NodeId;
  readonly nodes: Nodemask | null;
  /** MPOL_PREFERRED_MANY: its nodes first, then all. */
  readonly isMany: boolean;
}

/** The node to start from and the mask for a huge page of an area (huge_node). */
export function hugePlace(k: Kernel, task: Task, vma: HugeVma, vpn: number): HugePlace {
  const found = policyOfPage(task, vma, vpn);
  const { policy } = found;
  const local = k.localNode(task);
  const plain = { found, nodes: null, isMany: false };
  if (policy?.mode === MPOL_INTERLEAVE) {
    return { ...plain, nid: offsetInterleaveNode(policy, hugeIndex(vma, vpn), local) };
  }
  if (policy?.mode === MPOL_WEIGHTED_INTERLEAVE) {
    const index = hugeIndex(vma, vpn);
    return { ...plain, nid: offsetWeightedNode(policy, index, local, k.interleaveWeights) };
  }
  const nid = policyNode(k, policy, local);
  const isMany = policy?.mode === MPOL_PREFERRED_MANY;
  const isMasked = isMany || policy?.mode === MPOL_BIND;
  return { found, nid, nodes: isMasked && policy !== null ? policy.nodes : null, isMany };
}

/**
 * A huge page for an area: from the pool as far as pages are promised or left over, else surplus.
 * @param avoidsPromises the owner's copy of a page that a child still maps does not use its promise
 *   up.
 * @returns undefined when there is none (-ENOSPC).
 */
function allocHugePage(
  k: Kernel,
  task: Task,
  vma: HugeVma,
  vpn: number,
  avoidsPromises: boolean,
  why: Purpose,
): Frame | undefined {
  k.setCurrent(task);
  const area = vma.huge;
  const { pool } = area.inode;
  pool.isShort = false;
  const index = hugeIndex(vma, vpn);
  const needs = avoidsPromises || needsPage(area, index);
  const isPromised = hasPromise(area, needs);
  const place = hugePlace(k, task, vma, vpn);
  const { found, nid, isMany } = place;
  let { nodes } = place;
  noteRequest(k, task, why, found, pool.gfp, nid, nodes);
  let f: Frame | undefined;
  if (isPromised || pool.isAvailable) {
    f = pool.dequeue(pool.gfp, nid, nodes);
    if (f === undefined && isMany) f = pool.dequeue(pool.gfp, nid, null);
  }
  if (f === undefined && isMany) {
    const eager = (pool.gfp | __GFP_NOWARN) & ~(__GFP_DIRECT_RECLAIM | __GFP_NOFAIL);
    f = pool.allocSurplus(eager, nid, nodes);
    nodes = null;
  }
  f ??= pool.allocSurplus(pool.gfp, nid, nodes);
  if (f === undefined) return undefined;
  if (isPromised) pool.usePromised();
  usePromise(area, index);
  countPlaced(k, found, why, f);
  return f;
}

/** Counts a huge page that a user has got. */
export function countPlaced(k: Kernel, found: FoundPolicy, why: Purpose, f: Frame): void {
  const nid = k.allocator.nidOf(f);
  const { policy, from } = found;
  const isAsked = policy?.nodes.has(nid) ?? false;
  const { nrSmall } = k.poolOf(f);
  k.placements.count(why, from, isAsked, nid, nrSmall);
  if (policy !== null && !isAsked && !policy.nodes.isEmpty()) {
    k.placements.countSpill(policy.nodes.first(), nrSmall);
  }
}

/** Touches the huge pages of [startVpn, endVpn) of an area; counts small pages. */
export function touchHuge(
  k: Kernel,
  task: Task,
  vma: HugeVma,
  startVpn: number,
  endVpn: number,
  isWrite: boolean,
  by: FaultBy,
): FaultRun {
  const { nrSmall } = vma.huge.inode;
  for (let vpn = startVpn; vpn < endVpn; ) {
    const first = vpn - (vpn % nrSmall);
    const pte = task.mm.pageTable.getHuge(first);
    let fault: Fault = FAULT.OK;
    if (pte === PTE_NONE) fault = faultNoPage(k, task, vma, first, isWrite, by);
    else if (pte === PTE_POISON) fault = FAULT.HWPOISON;
    else if (isWrite && !pteIsWritable(pte)) fault = writeProtected(k, task, vma, first, pte);
    else {
      vpn = first + nrSmall;
      continue;
    }
    k.mem.stat.count(PGFAULT, 1);
    if (fault !== FAULT.OK) return { done: vpn - startVpn, fault };
    vpn = first + nrSmall;
  }
  return { done: endVpn - startVpn, fault: FAULT.OK };
}

function faultNoPage(
  k: Kernel,
  task: Task,
  vma: HugeVma,
  vpn: number,
  isWrite: boolean,
  by: FaultBy,
): Fault {
  const { inode, isShared, isRobbed } = vma.huge;
  const tables = allocTables(k, task, vpn, by, inode.nrSmall);
  if (tables !== FAULT.OK) return tables;
  if (isRobbed) return FAULT.SIGBUS;
  const { map } = k.mem;
  const index = hugeIndex(vma, vpn);
  let f = isShared ? inode.pages.get(index) : undefined;
  if (f === undefined) {
    f = allocHugePage(k, task, vma, vpn, false, isShared ? 'shared page' : 'page fault');
    if (f === undefined) return FAULT.SIGBUS;
    if (isShared) inode.pages.set(index, f);
    else vma.hasAnonVma = true;
    map.claim(f, KIND_HUGETLB, isShared ? inode.id : task.mm.id, isShared ? index : vpn, 0);
  }
  if (k.mem.held.isPoisoned(f)) return FAULT.HWPOISON;
  map.addMap(f);
  task.mm.pageTable.setHuge(vpn, makePte(f, isShared || isWrite), inode.nrSmall);
  return FAULT.OK;
}

/** A write to a private page that is mapped read-only (hugetlb_wp). */
function writeProtected(k: Kernel, task: Task, vma: HugeVma, vpn: number, pte: number): Fault {
  const { map } = k.mem;
  const old = pteFrame(pte);
  const isOwner = vma.huge.used !== null;
  const { nrSmall } = vma.huge.inode;
  if ((map.mapcount[old] as number) > 1) {
    const fresh = allocHugePage(k, task, vma, vpn, isOwner, 'copy on write');
    if (fresh !== undefined) {
      vma.hasAnonVma = true;
      map.claim(fresh, KIND_HUGETLB, task.mm.id, vpn, 1);
      task.mm.pageTable.setHuge(vpn, makePte(fresh, true), nrSmall);
      map.removeMap(old);
      return FAULT.OK;
    }
    if (!isOwner) return FAULT.SIGBUS;
    robOthers(k, task, vma, vpn, old);
  }
  assert(map.mapcount[old] === 1, 'only one task still maps the page');
  map.claim(old, KIND_HUGETLB, task.mm.id, vpn, 1);
  task.mm.pageTable.setHuge(vpn, makePte(old, true), nrSmall);
  return FAULT.OK;
}

/**
 * The owner of a reservation could not copy a page: those who only inherited it lose it
 * (unmap_ref_private).
 */
function robOthers(k: Kernel, task: Task, vma: HugeVma, vpn: number, f: Frame): void {
  for (const other of mappersOf(k, vma.huge.inode, hugeIndex(vma, vpn))) {
    if (other.space === task.mm || other.vma.huge.used !== null) continue;
    const pte = other.space.pageTable.getHuge(other.vpn);
    if (!pteIsPage(pte) || pteFrame(pte) !== f) continue;
    other.space.pageTable.setHuge(other.vpn, PTE_NONE, vma.huge.inode.nrSmall);
    other.vma.huge.isRobbed = true;
    k.mem.map.removeMap(f);
  }
}

/** Clears the entries of [startVpn, endVpn); private pages that nobody maps any more are freed. */
export function zapHuge(
  k: Kernel,
  task: Task,
  vma: HugeVma,
  startVpn: number,
  endVpn: number,
): void {
  const { pageTable } = task.mm;
  const { pool, nrSmall } = vma.huge.inode;
  for (const [vpn, pte] of [...pageTable.hugeEntriesIn(startVpn, endVpn)]) {
    pageTable.setHuge(vpn, PTE_NONE, nrSmall);
    if (pte === PTE_POISON) continue;
    const f = pteFrame(pte);
    if (k.mem.map.removeMap(f) === 0 && !vma.huge.isShared) pool.release(f);
  }
}

/**
 * Lets a child map the parent's private huge pages, both read-only until one writes. False when a
 * page table could not be had.
 * @param allocTable gives the highest missing table page above an address of the child.
 */
export function copyHuge(
  k: Kernel,
  parent: Task,
  child: Task,
  vma: HugeVma,
  allocTable: (vpn: number) => boolean,
): boolean {
  const from = parent.mm.pageTable;
  const to = child.mm.pageTable;
  const { nrSmall } = vma.huge.inode;
  for (let vpn = vma.startVpn; vpn < vma.endVpn; vpn += nrSmall) {
    if (from.missingAboveHuge(vpn, nrSmall) > 0) continue;
    while (to.missingAboveHuge(vpn, nrSmall) > 0) if (!allocTable(vpn)) return false;
    const pte = from.getHuge(vpn);
    if (pte === PTE_POISON) to.setHuge(vpn, pte, nrSmall);
    if (!pteIsPage(pte)) continue;
    const shared = makePte(pteFrame(pte), false);
    k.mem.map.addMap(pteFrame(pte));
    from.setHuge(vpn, shared, nrSmall);
    to.setHuge(vpn, shared, nrSmall);
  }
  return true;
}
