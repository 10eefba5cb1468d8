// The system calls of memory policy.
// Models   linux@v6.1 mm/mempolicy.c: kernel_set_mempolicy, do_set_mempolicy, kernel_get_mempolicy,
//          do_get_mempolicy, kernel_mbind, do_mbind, mbind_range, new_page,
//          set_mempolicy_home_node, get_nodes, lookup_node.
// Holds    MBD1 MPOL_MF_STRICT without a move flag fails at the first misplaced page and sets
//          nothing.
import { EFAULT, EINVAL, EIO, ENOENT, ENOMEM, EOPNOTSUPP } from '../base/errno.ts';
import type { Frame, NodeId } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import {
  MPOL_BIND,
  MPOL_DEFAULT,
  MPOL_PREFERRED_MANY,
  MPOL_WEIGHTED_INTERLEAVE,
} from '../hooks/policy_modes.ts';
import { __GFP_RETRY_MAYFAIL, GFP_HIGHUSER_MOVABLE, GFP_TRANSHUGE } from '../mm/gfp.ts';
import { isMergedFrame, KIND_ANON } from '../mm/memmap.ts';
import { FAULT, policyOfPage, touchPages } from './fault.ts';
import { policyObject } from './file_fault.ts';
import { isHuge } from './hugetlb_area.ts';
import { hugePlace } from './hugetlb_fault.ts';
import { hugeTarget, isHugeFrame } from './hugetlb_migrate.ts';
import type { Kernel } from './kernel.ts';
import {
  isInterleaving,
  type Mempolicy,
  newPolicy,
  policiesEqual,
  sanitizeMode,
  showPolicy,
} from './mempolicy.ts';
import { migrateFrames } from './migrate.ts';
import {
  PTE_NONE,
  PTE_POISON,
  PTE_ZERO_PAGE,
  pteFrame,
  pteIsDevice,
  pteIsPage,
  pteIsSwap,
} from './page_table.ts';
import { allocUserPages, taskPolicy } from './policy_alloc.ts';
import { isClosedToUsers, userPrivateNodes } from './private_nodes.ts';
import { MPOL_MF_STRICT, MPOL_MF_VALID, queuePages } from './queue_pages.ts';
import type { Task } from './task.ts';
import { THP_PAGES } from './thp.ts';
import { allocThp } from './thp_alloc.ts';
import { nodeTold } from './zone_device.ts';

export { MPOL_MF_MOVE, MPOL_MF_MOVE_ALL, MPOL_MF_STRICT } from './queue_pages.ts';

export const MPOL_F_NODE = 1;
export const MPOL_F_ADDR = 2;
export const MPOL_F_MEMS_ALLOWED = 4;

/** A nodemask argument: where the mask is and how many bits of it count. */
export interface MaskArg {
  /** `null`: a null pointer. `bad`: an address that is not mapped. */
  readonly mask: Nodemask | null | 'bad';
  /** Bits, plus one, as the calls count. */
  readonly maxnode: number;
}

/** Reads a nodemask argument (get_nodes). Returns the mask, -EINVAL or -EFAULT. */
export function readMask(k: Kernel, arg: MaskArg): Nodemask | number {
  const bits = arg.maxnode - 1;
  if (bits === 0 || arg.mask === null) return Nodemask.EMPTY;
  if (bits < 0 || bits > k.mem.pageBytes * 8) return -EINVAL;
  if (arg.mask === 'bad') return -EFAULT;
  const nodes = arg.mask.toArray().filter((n) => n < bits);
  if (nodes.some((n) => n >= k.maxNodes)) return -EINVAL;
  return Nodemask.from(nodes);
}

/** Number of the modes that exist (MPOL_MAX). */
const maxMode = (k: Kernel): number =>
  k.hasWeightedInterleave ? MPOL_WEIGHTED_INTERLEAVE + 1 : MPOL_PREFERRED_MANY + 1;

function makePolicy(
  k: Kernel,
  task: Task,
  rawMode: number,
  arg: MaskArg,
): { policy: Mempolicy | null; nodes: Nodemask; mode: number } | number {
  const sane = sanitizeMode(rawMode, maxMode(k));
  if (typeof sane === 'number') return sane;
  const nodes = readMask(k, arg);
  if (typeof nodes === 'number') return nodes;
  const { memory } = k.states;
  const context = { memsAllowed: task.memsAllowed, memory, userPrivate: userPrivateNodes(k) };
  const policy = newPolicy(sane.mode, sane.flags, nodes, context);
  return typeof policy === 'number' ? policy : { policy, nodes, mode: sane.mode };
}

/** set_mempolicy. Returns 0, -EINVAL or -EFAULT. */
export function setMempolicy(k: Kernel, task: Task, rawMode: number, arg: MaskArg): number {
  const made = makePolicy(k, task, rawMode, arg);
  if (typeof made === 'number') return made;
  task.mempolicy = made.policy;
  if (made.policy !== null && isInterleaving(made.policy)) {
    task.interleavePrev = k.maxNodes - 1;
    task.interleaveWeight = 0;
  }
  return 0;
}

export interface PolicyShown {
  readonly mode: number;
  readonly flags: string[];
  readonly nodes: Nodemask;
}

/** What get_mempolicy answers: a policy, a node, or the allowed nodes. */
export type GetMempolicyResult =
  | { readonly kind: 'policy'; readonly shown: PolicyShown }
  | { readonly kind: 'node'; readonly node: number }
  | { readonly kind: 'mems'; readonly nodes: Nodemask };

export interface GetMempolicyRequest {
  readonly flags: number;
  /** undefined: a null address. */
  readonly vpn: number | undefined;
  /** Size of the caller's mask in bits; undefined: no mask is asked for. */
  readonly maxnode: number | undefined;
}

/** get_mempolicy. Returns the answer, -EINVAL or -EFAULT. */
export function getMempolicy(
  k: Kernel,
  task: Task,
  request: GetMempolicyRequest,
): GetMempolicyResult | number {
  const { flags, vpn, maxnode } = request;
  const maskBytes = maxnode === undefined ? 0 : Math.ceil((maxnode - 1) / 64) * 8;
  if (maxnode !== undefined && maxnode < k.mem.nrNodeIds) return -EINVAL;
  if (flags & ~(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED)) return -EINVAL;
  if (flags & MPOL_F_MEMS_ALLOWED) {
    if (flags & (MPOL_F_NODE | MPOL_F_ADDR)) return -EINVAL;
    if (maskBytes > k.mem.pageBytes) return -EINVAL;
    return { kind: 'mems', nodes: task.memsAllowed };
  }
  let policy = task.mempolicy;
  if (flags & MPOL_F_ADDR) {
    const vma = vpn === undefined ? undefined : task.mm.lookup(vpn);
    if (vma === undefined || vpn === undefined) return -EFAULT;
    const object = vma.object ?? policyObject(vma);
    policy = object === null ? vma.policy : object.policyAt(vma.pgoff + vpn - vma.startVpn);
    if (flags & MPOL_F_NODE) return nodeAt(k, task, vpn);
  } else if (vpn !== undefined) return -EINVAL;
  if (flags & MPOL_F_NODE) {
    if (policy === null || !isInterleaving(policy)) return -EINVAL;
    if (policy.mode === MPOL_WEIGHTED_INTERLEAVE && task.interleaveWeight > 0) {
      return { kind: 'node', node: task.interleavePrev };
    }
    return { kind: 'node', node: policy.nodes.nextIn(task.interleavePrev) };
  }
  if (maskBytes > k.mem.pageBytes) return -EINVAL;
  return { kind: 'policy', shown: showPolicy(policy) };
}

/** The node of a page, which is faulted in for reading first (lookup_node). */
function nodeAt(k: Kernel, task: Task, vpn: number): GetMempolicyResult | number {
  const { pageTable } = task.mm;
  if (task.mm.lookup(vpn)?.buffer !== undefined) return -EFAULT;
  const isHere = (entry: number): boolean =>
    entry !== PTE_NONE && !pteIsSwap(entry) && !pteIsDevice(entry);
  if (!isHere(pageTable.get(vpn)) && pageTable.getHuge(vpn) === PTE_NONE) {
    const { fault } = touchPages(k, task, vpn, 1, false, 'gup');
    if (fault === FAULT.SIGBUS) return -EFAULT;
    if (fault !== FAULT.OK) return -ENOMEM;
  }
  const huge = pageTable.getHuge(vpn);
  const pte = huge === PTE_NONE ? pageTable.get(vpn) : huge;
  if (pte === PTE_POISON) return -EFAULT;
  if (pte === PTE_ZERO_PAGE) return { kind: 'node', node: zeroPageNid(k, task, vpn) };
  return { kind: 'node', node: nodeTold(k, pteFrame(pte)) };
}

/** Node of the zero page that is mapped at a page: the huge one's is where it was first wanted. */
function zeroPageNid(k: Kernel, task: Task, vpn: number): NodeId {
  const isHugeOne = task.mm.pageTable.getThp(vpn) !== PTE_NONE;
  return isHugeOne ? k.allocator.nidOf(k.thp.zeroFrame as Frame) : k.mem.zeroPageNid;
}

export interface MbindRequest {
  readonly startVpn: number;
  /** Bytes by which the address misses the page, 0 for an aligned one. */
  readonly addressOffsetBytes: number;
  readonly nrPages: number;
  readonly mode: number;
  readonly mask: MaskArg;
  readonly flags: number;
}

/** mbind. Returns 0, -EINVAL, -EFAULT or -EIO. */
export function mbind(k: Kernel, task: Task, request: MbindRequest): number {
  const { startVpn, nrPages } = request;
  let { flags } = request;
  const sane = sanitizeMode(request.mode, maxMode(k));
  if (typeof sane === 'number') return sane;
  const nodes = readMask(k, request.mask);
  if (typeof nodes === 'number') return nodes;
  if (flags & ~MPOL_MF_VALID) return -EINVAL;
  if (request.addressOffsetBytes !== 0) return -EINVAL;
  if (sane.mode === MPOL_DEFAULT) flags &= ~MPOL_MF_STRICT;
  if (nrPages === 0) return 0;
  const made = makePolicy(k, task, request.mode, request.mask);
  if (typeof made === 'number') return made;

  const endVpn = startVpn + nrPages;
  const queued = queuePages(k, task.mm, startVpn, endVpn, {
    nodes,
    flags,
    allowsHoles: made.policy === null,
  });
  if (typeof queued === 'number') return queued;
  mbindRange(task, startVpn, endVpn, made.policy);
  const failed = migrateFrames(k, queued.frames, policyTarget(k, task, startVpn), 'mbind');
  if (queued.hasUnmovable) return -EIO;
  return failed !== 0 && flags & MPOL_MF_STRICT ? -EIO : 0;
}

/**
 * Gives the areas of a range a policy, each a copy of its own (mbind_range, vma_replace_policy).
 * Areas that have an equal policy are passed over. An area that changes is merged with its
 * neighbours first, and a shared object gets the policy over all of the merged area.
 */
function mbindRange(task: Task, startVpn: number, endVpn: number, policy: Mempolicy | null): void {
  let vpn = startVpn;
  while (vpn < endVpn) {
    const vma = task.mm.findVma(vpn);
    if (vma === undefined || vma.startVpn >= endVpn) return;
    const start = Math.max(vpn, vma.startVpn);
    const end = Math.min(endVpn, vma.endVpn);
    vpn = end;
    if (policiesEqual(vma.policy, policy)) continue;
    task.mm.change(start, end, (part) => {
      part.policy = policy?.dup() ?? null;
    });
    const merged = task.mm.lookup(start);
    if (merged === undefined) continue;
    const object = merged.object ?? policyObject(merged);
    const { pgoff } = merged;
    object?.setPolicy(pgoff, pgoff + (merged.endVpn - merged.startVpn), policy);
    vpn = Math.max(vpn, merged.endVpn);
  }
}

/** A target frame by the policy of the area that maps the page (new_page). */
function policyTarget(k: Kernel, task: Task, startVpn: number): (old: Frame) => Frame | undefined {
  const gfp = GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL;
  return (old) => {
    if (k.thp.isPart(old)) return thpPolicyTarget(k, task, old, startVpn);
    const vpn = vpnOf(k, task, old);
    const vma = vpn === undefined ? undefined : task.mm.lookup(vpn);
    if (isHugeFrame(k, old)) {
      if (vma === undefined || vpn === undefined || !isHuge(vma)) return undefined;
      return hugeTarget(k, task, vma.huge.inode.pool, 0, hugePlace(k, task, vma, vpn));
    }
    const found =
      vma === undefined || vpn === undefined ? taskPolicy(task) : policyOfPage(task, vma, vpn);
    const n = vma === undefined || vpn === undefined ? 0 : vma.pgoff + (vpn - vma.startVpn);
    const got = allocUserPages(k, task, gfp, found, n, 1, 'migration target');
    return got === 0 ? undefined : (k.allocator.out[0] as Frame);
  };
}

/**
 * A target for a huge page, by the policy of the first area at or above the range that covers a
 * part of it.
 */
function thpPolicyTarget(k: Kernel, task: Task, head: Frame, startVpn: number): Frame | undefined {
  const first = k.mem.map.index[head] as number;
  const vma = task.mm.findVma(Math.max(first, startVpn));
  if (vma === undefined || vma.startVpn >= first + THP_PAGES) return undefined;
  const vpn = Math.max(first, vma.startVpn);
  const found = policyOfPage(task, vma, vpn);
  return allocThp(k, task, GFP_TRANSHUGE, found, vma, vpn, 'migration target');
}

/** Where a task maps a page, by the page's own record of owner and place (page_address_in_vma). */
function vpnOf(k: Kernel, task: Task, f: Frame): number | undefined {
  if (isMergedFrame(k.mem.map, f)) return undefined;
  const index = k.mem.map.index[f] as number;
  const link = k.mem.map.link[f] as number;
  const inode = k.objects.get(link) ?? k.inodes.get(link);
  const isPrivate = k.mem.map.kind[f] === KIND_ANON;
  for (const vma of task.mm.vmas) {
    for (const [at, pte] of task.mm.pageTable.hugeIn(vma.startVpn, vma.endVpn)) {
      if (pteFrame(pte) === f) return at;
    }
    const vpn = isPrivate ? index : vma.startVpn + (index - vma.pgoff);
    if (vpn < vma.startVpn || vpn >= vma.endVpn) continue;
    if (!isPrivate && (vma.object ?? vma.file?.inode) !== inode) continue;
    const pte = task.mm.pageTable.get(vpn);
    if (pteIsPage(pte) && pteFrame(pte) === f) return vpn;
  }
  return undefined;
}

export interface HomeNodeRequest {
  readonly startVpn: number;
  readonly addressOffsetBytes: number;
  readonly nrPages: number;
  readonly node: number;
  readonly flags: number;
}

/** set_mempolicy_home_node. Returns 0, -EINVAL, -ENOENT where no area has a policy, -EOPNOTSUPP. */
export function setHomeNode(k: Kernel, task: Task, request: HomeNodeRequest): number {
  const { startVpn, nrPages, node } = request;
  if (request.addressOffsetBytes !== 0 || request.flags !== 0) return -EINVAL;
  if (node < 0 || node >= k.maxNodes || !k.states.online.has(node)) return -EINVAL;
  if (isClosedToUsers(k, node as NodeId)) return -EINVAL;
  if (nrPages === 0) return 0;
  let result = -ENOENT;
  const endVpn = startVpn + nrPages;
  for (const vma of task.mm.vmasIn(startVpn, endVpn)) {
    const old = vma.policy;
    if (old === null) continue;
    if (old.mode !== MPOL_BIND && old.mode !== MPOL_PREFERRED_MANY) return -EOPNOTSUPP;
    const policy = old.dup();
    policy.homeNode = node as NodeId;
    mbindRange(task, Math.max(startVpn, vma.startVpn), Math.min(endVpn, vma.endVpn), policy);
    result = 0;
  }
  return result;
}
