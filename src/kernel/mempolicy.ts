// Memory policies as objects: how they are made, what is stored of the user's mask, how they follow
// a cpuset, and what they answer to the page allocator.
// Models   linux@v6.1 mm/mempolicy.c: mpol_new, mpol_set_nodemask, mpol_new_nodemask,
//          mpol_new_preferred, mpol_rebind_nodemask, mpol_rebind_preferred, mpol_rebind_policy,
//          __mpol_dup, __mpol_equal, sanitize_mpol_flags, policy_nodemask, policy_node,
//          apply_policy_zone, get_policy_nodemask, offset_il_node; weighted interleave of 6.9.
// Hooks    policyNode (policy_node).
// Holds    POL1 a policy's nodes are never empty, but for local. POL2 `stored` is one field, as the
//          kernel's union is: the user's mask when a flag asks to keep it, else the cpuset's mems
//          at the time.
import { EINVAL } from '../base/errno.ts';
import { type NodeId, NUMA_NO_NODE } from '../base/ids.ts';
import { Nodemask, relativeNodemask, remapNodemask } from '../base/nodemask.ts';
import {
  MODE_NAMES,
  MPOL_BIND,
  MPOL_DEFAULT,
  MPOL_F_NUMA_BALANCING,
  MPOL_F_RELATIVE_NODES,
  MPOL_F_STATIC_NODES,
  MPOL_INTERLEAVE,
  MPOL_LOCAL,
  MPOL_PREFERRED,
  MPOL_PREFERRED_MANY,
  MPOL_WEIGHTED_INTERLEAVE,
} from '../hooks/policy_modes.ts';

/** Flags that a program may add to a mode. */
export const MPOL_MODE_FLAGS = MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES | MPOL_F_NUMA_BALANCING;
/** Internal: pages of this policy may be moved on a NUMA hinting fault. */
export const MPOL_F_MOF = 1 << 3;
export const MPOL_F_MORON = 1 << 4;

export class Mempolicy {
  readonly mode: number;
  readonly flags: number;
  nodes: Nodemask;
  homeNode: NodeId = NUMA_NO_NODE;
  /** The user's mask, or the cpuset's mems when the policy was made or last rebound (union w). */
  stored: Nodemask;

  constructor(mode: number, flags: number, nodes: Nodemask, stored: Nodemask) {
    this.mode = mode;
    this.flags = flags;
    this.nodes = nodes;
    this.stored = stored;
  }

  /** mpol_store_user_nodemask. */
  get storesUserMask(): boolean {
    return (this.flags & MPOL_MODE_FLAGS) !== 0;
  }

  dup(): Mempolicy {
    const copy = new Mempolicy(this.mode, this.flags, this.nodes, this.stored);
    copy.homeNode = this.homeNode;
    return copy;
  }

  /** As programs are shown it: `bind+static 0-2`. */
  describe(): string {
    const flags = flagNames(this.flags).map((f) => `+${f}`);
    const home = this.homeNode === NUMA_NO_NODE ? '' : ` home ${this.homeNode}`;
    const nodes = this.nodes.isEmpty() ? '' : ` ${this.nodes}`;
    return `${MODE_NAMES[this.mode]}${flags.join('')}${nodes}${home}`;
  }
}

/** The names of the user's mode flags. */
export function flagNames(flags: number): string[] {
  const names: string[] = [];
  if (flags & MPOL_F_STATIC_NODES) names.push('static');
  if (flags & MPOL_F_RELATIVE_NODES) names.push('relative');
  if (flags & MPOL_F_NUMA_BALANCING) names.push('numa_balancing');
  return names;
}

/**
 * Splits a mode argument into mode and flags (sanitize_mpol_flags).
 * @returns -EINVAL for modes and combinations of flags that do not exist.
 */
export function sanitizeMode(
  raw: number,
  maxMode: number,
): { mode: number; flags: number } | number {
  let flags = raw & MPOL_MODE_FLAGS;
  const mode = raw & ~MPOL_MODE_FLAGS;
  if (mode < 0 || mode >= maxMode) return -EINVAL;
  if (flags & MPOL_F_STATIC_NODES && flags & MPOL_F_RELATIVE_NODES) return -EINVAL;
  if (flags & MPOL_F_NUMA_BALANCING) {
    if (mode !== MPOL_BIND) return -EINVAL;
    flags |= MPOL_F_MOF | MPOL_F_MORON;
  }
  return { mode, flags };
}

/** What mpol_set_nodemask needs to know of the caller. */
export interface PolicyContext {
  /** cpuset_current_mems_allowed. */
  readonly memsAllowed: Nodemask;
  /** N_MEMORY. */
  readonly memory: Nodemask;
  /** Nodes of private memory that programs may name: no cpuset has a say about them. */
  readonly userPrivate?: Nodemask | undefined;
}

/**
 * Makes a policy of a mode and the user's mask (mpol_new, mpol_set_nodemask).
 * @param nodes null for a null pointer.
 * @returns the policy; null for MPOL_DEFAULT, which is no policy; -EINVAL.
 */
export function newPolicy(
  wanted: number,
  flags: number,
  nodes: Nodemask,
  context: PolicyContext,
): Mempolicy | null | number {
  let mode = wanted;
  const hasNodeFlags = (flags & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES)) !== 0;
  if (mode === MPOL_DEFAULT) return nodes.isEmpty() ? null : -EINVAL;
  if (mode === MPOL_PREFERRED) {
    if (nodes.isEmpty()) {
      if (hasNodeFlags) return -EINVAL;
      mode = MPOL_LOCAL;
    }
  } else if (mode === MPOL_LOCAL) {
    if (!nodes.isEmpty() || hasNodeFlags) return -EINVAL;
  } else if (nodes.isEmpty()) return -EINVAL;
  if (mode === MPOL_LOCAL) return new Mempolicy(mode, flags, Nodemask.EMPTY, Nodemask.EMPTY);

  const allowed = context.memsAllowed.and(context.memory);
  const isRelative = (flags & MPOL_F_RELATIVE_NODES) !== 0;
  const named = context.userPrivate === undefined ? allowed : allowed.or(context.userPrivate);
  const usable = isRelative ? relativeNodemask(nodes, allowed) : nodes.and(named);
  if (usable.isEmpty()) return -EINVAL;
  const kept = mode === MPOL_PREFERRED ? Nodemask.of(usable.first()) : usable;
  const storesUser = (flags & MPOL_MODE_FLAGS) !== 0;
  return new Mempolicy(mode, flags, kept, storesUser ? nodes : context.memsAllowed);
}

/**
 * Makes a policy follow its task's cpuset to new mems (mpol_rebind_policy). The two preferred modes
 * keep their nodes and only note the mems, over the user's mask if that was stored.
 * @param userPrivate nodes of private memory that programs may name, which stay in a mask.
 */
export function rebindPolicy(
  policy: Mempolicy | null,
  mems: Nodemask,
  userPrivate: Nodemask = Nodemask.EMPTY,
): void {
  if (policy === null || policy.mode === MPOL_LOCAL) return;
  if (!policy.storesUserMask && policy.stored.equals(mems)) return;
  if (policy.mode === MPOL_PREFERRED || policy.mode === MPOL_PREFERRED_MANY) {
    policy.stored = mems;
    return;
  }
  let nodes: Nodemask;
  if (policy.flags & MPOL_F_STATIC_NODES) nodes = policy.stored.and(mems.or(userPrivate));
  else if (policy.flags & MPOL_F_RELATIVE_NODES) nodes = relativeNodemask(policy.stored, mems);
  else {
    nodes = remapNodemask(policy.nodes, policy.stored, mems);
    policy.stored = mems;
  }
  policy.nodes = nodes.isEmpty() ? mems : nodes;
}

/** Would replacing one policy by the other change nothing? (mpol_equal) */
export function policiesEqual(a: Mempolicy | null, b: Mempolicy | null): boolean {
  if (a === null || b === null) return a === b;
  if (a === b) return true;
  if (a.mode !== b.mode || a.flags !== b.flags || a.homeNode !== b.homeNode) return false;
  if (a.storesUserMask && !a.stored.equals(b.stored)) return false;
  return a.mode === MPOL_LOCAL || a.nodes.equals(b.nodes);
}

/** What get_mempolicy shows: mode with the user's flags, and the mask. */
export function showPolicy(policy: Mempolicy | null): {
  mode: number;
  flags: string[];
  nodes: Nodemask;
} {
  if (policy === null) return { mode: MPOL_DEFAULT, flags: [], nodes: Nodemask.EMPTY };
  const nodes = policy.storesUserMask ? policy.stored : policy.nodes;
  return { mode: policy.mode, flags: flagNames(policy.flags), nodes };
}

/**
 * The node of the n-th page of an interleaved area, or `local` when the mask is empty
 * (offset_il_node).
 */
export function offsetInterleaveNode(policy: Mempolicy, n: number, local: NodeId): NodeId {
  const size = policy.nodes.weight;
  return size === 0 ? local : policy.nodes.nth((n >>> 0) % size);
}

/**
 * The node of the n-th page of an area interleaved by weights (6.9: weighted_interleave_nid).
 * @param weights by node id; nodes without one weigh 1.
 */
export function offsetWeightedNode(
  policy: Mempolicy,
  n: number,
  local: NodeId,
  weights: ReadonlyMap<number, number>,
): NodeId {
  const nodes = policy.nodes.toArray();
  if (nodes.length === 0) return local;
  const weightOf = (nid: NodeId) => weights.get(nid) ?? 1;
  const total = nodes.reduce((sum, nid) => sum + weightOf(nid), 0);
  let rest = n % total;
  for (const nid of nodes) {
    if (rest < weightOf(nid)) return nid;
    rest -= weightOf(nid);
  }
  return nodes[0] as NodeId;
}

/** Does the mode spread pages over its nodes one by one? */
export const isInterleaving = (policy: Mempolicy): boolean =>
  policy.mode === MPOL_INTERLEAVE || policy.mode === MPOL_WEIGHTED_INTERLEAVE;

/** Modes whose home node counts. */
export const usesHomeNode = (policy: Mempolicy): boolean =>
  policy.mode === MPOL_BIND || policy.mode === MPOL_PREFERRED_MANY;
