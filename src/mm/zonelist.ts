// Zonelists: for every node the zones that a request walks, in order. FALLBACK holds the node and
// then the others by distance; NOFALLBACK holds the node alone (__GFP_THISNODE). A design may add a
// third list, for requests that ask for private memory.
// Models   linux@v6.1 mm/page_alloc.c: find_next_best_node, build_zonelists,
//          build_zonelists_in_node_order, build_thisnode_zonelists, check_highest_zone,
//          node_zonelist. The third list is that of "Private Memory NUMA Nodes" (Price,
//          2026-07-20).
//          4.10 differs: it could order by zone instead of by node, and its load penalty fell along
//          the list instead of being one; the order of nodes is the same unless many tie.
// Hooks    fallbackListHolds, privateListHolds (build_zonelists), noFallbackListHolds
//          (build_thisnode_zonelists).
// State    lists are arrays of zone indices; a node's zones run from the highest type down.
// Holds    ZL1 a zone is in a list once. ZL2 a node's own zones come first in its FALLBACK list.
import { assert } from '../base/assert.ts';
import type { NodeId, ZoneIndex } from '../base/ids.ts';
import type { Nodemask } from '../base/nodemask.ts';
import type { Design } from '../hooks/design.ts';
import { __GFP_THISNODE, GFP_PRIVATE, ZONE_MOVABLE } from './gfp.ts';
import type { Zones } from './mmzone.ts';
import type { NodeStates } from './node_states.ts';

/**
 * What a node with CPUs costs more than one without, in units of distance
 * (PENALTY_FOR_NODE_WITH_CPUS).
 */
const PENALTY_FOR_NODE_WITH_CPUS = 1;

/** Which of its lists: the numbers that the decision log keeps. */
export const LIST = { FALLBACK: 0, NOFALLBACK: 1, PRIVATE: 2, PRIVATE_NOFALLBACK: 3 } as const;
export type ListKind = (typeof LIST)[keyof typeof LIST];

export interface Zonelist {
  /** Zone indices in the order of the walk. */
  readonly zones: Int16Array;
  /** The node whose list it is. */
  readonly owner: NodeId;
  readonly kind: ListKind;
}

export interface Zonelists {
  /** By node id; undefined for nodes that are not possible. */
  readonly fallback: readonly (Zonelist | undefined)[];
  readonly noFallback: readonly (Zonelist | undefined)[];
  /** The third lists, and of each the node's own zones alone; empty where the design has none. */
  readonly private: readonly (Zonelist | undefined)[];
  readonly privateNoFallback: readonly (Zonelist | undefined)[];
  /** By node id: the kernel's `Fallback order for Node N`. */
  readonly fallbackOrder: readonly (readonly NodeId[] | undefined)[];
  /**
   * The highest zone type below Movable that any node has: policies apply from it up (policy_zone).
   */
  readonly policyZone: number;
}

export interface ZonelistInput {
  readonly zones: Zones;
  readonly states: NodeStates;
  /** distances(from, to), both node ids. */
  readonly distance: (from: NodeId, to: NodeId) => number;
  /**
   * The map of CPUs by node is filled in. It is not yet when boot builds the lists on x86 and
   * arm64, so CPUs count only once memory that came later makes the kernel build them again.
   */
  readonly knowsCpus: boolean;
  readonly design: Design;
}

/** Builds all lists anew, as boot and every change of memory do. */
export function buildZonelists(input: ZonelistInput): Zonelists {
  const { zones, states } = input;
  const { fallbackListHolds, noFallbackListHolds, privateListHolds } = input.design.answers;
  const load = new Map<NodeId, number>();
  const privateLoad = new Map<NodeId, number>();
  const fallback: Zonelist[] = [];
  const noFallback: Zonelist[] = [];
  const privateAll: Zonelist[] = [];
  const privateNoFallback: Zonelist[] = [];
  const fallbackOrder: NodeId[][] = [];
  for (const nid of states.possible) {
    const order = nodeOrder(input, nid, load, states.memory, fallbackListHolds);
    fallbackOrder[nid] = order;
    fallback[nid] = makeList(zones, nid, order, LIST.FALLBACK);
    const own = noFallbackListHolds?.(nid, states) === false ? [] : [nid];
    noFallback[nid] = makeList(zones, nid, own, LIST.NOFALLBACK);
    if (privateListHolds === undefined) continue;
    const all = nodeOrder(input, nid, privateLoad, states.anyMemory, privateListHolds);
    privateAll[nid] = makeList(zones, nid, all, LIST.PRIVATE);
    const alone = all.filter((node) => node === nid);
    privateNoFallback[nid] = makeList(zones, nid, alone, LIST.PRIVATE_NOFALLBACK);
  }
  let policyZone = 0;
  for (let z = 0; z < zones.nr; z++) {
    const type = zones.type[z] as number;
    if (zones.isManaged(z as ZoneIndex) && type < ZONE_MOVABLE)
      policyZone = Math.max(policyZone, type);
  }
  const lists = { fallback, noFallback, private: privateAll, privateNoFallback };
  return { ...lists, fallbackOrder, policyZone };
}

/**
 * The list that a request walks (node_zonelist): the third one if it asks for private memory and
 * the design has one.
 */
export function nodeZonelist(lists: Zonelists, nid: NodeId, gfp: number): Zonelist {
  const isAlone = (gfp & __GFP_THISNODE) !== 0;
  const asked = gfp & GFP_PRIVATE ? (isAlone ? lists.privateNoFallback : lists.private)[nid] : null;
  const list = asked ?? (isAlone ? lists.noFallback : lists.fallback)[nid];
  assert(list !== undefined, 'a request starts from a possible node');
  return list;
}

type Holds = (owner: NodeId, candidate: NodeId, view: NodeStates) => boolean;

/** The nodes of one list: the owner, then by distance, ties broken by load so far. */
function nodeOrder(
  input: ZonelistInput,
  owner: NodeId,
  load: Map<NodeId, number>,
  memory: Nodemask,
  holds: Holds | undefined,
): NodeId[] {
  const used = new Set<NodeId>();
  const order: NodeId[] = [];
  let previous = owner;
  for (;;) {
    const node = nextBestNode(input, owner, used, load, memory);
    if (node === undefined) return order;
    used.add(node);
    if (holds?.(owner, node, input.states) === false) continue;
    if (input.distance(owner, node) !== input.distance(owner, previous)) {
      load.set(node, (load.get(node) ?? 0) + 1);
    }
    order.push(node);
    previous = node;
  }
}

function nextBestNode(
  input: ZonelistInput,
  owner: NodeId,
  used: ReadonlySet<NodeId>,
  load: ReadonlyMap<NodeId, number>,
  memory: Nodemask,
): NodeId | undefined {
  if (!used.has(owner)) return owner;
  let best: NodeId | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  let bestLoad = 0;
  for (const node of memory) {
    if (used.has(node)) continue;
    let distance = input.distance(owner, node) + (node < owner ? 1 : 0);
    if (input.knowsCpus && input.states.cpu.has(node)) distance += PENALTY_FOR_NODE_WITH_CPUS;
    const nodeLoad = load.get(node) ?? 0;
    if (distance < bestDistance || (distance === bestDistance && nodeLoad < bestLoad)) {
      best = node;
      bestDistance = distance;
      bestLoad = nodeLoad;
    }
  }
  return best;
}

function makeList(zones: Zones, owner: NodeId, nodes: readonly NodeId[], kind: ListKind): Zonelist {
  const list: number[] = [];
  for (const nid of nodes) {
    for (const z of zones.ofNode(nid).reverse()) if (zones.isManaged(z)) list.push(z);
  }
  return { zones: Int16Array.from(list), owner, kind };
}

/**
 * Position in a list of the first zone that type and mask allow, or -1 (first_zones_zonelist).
 */
export function firstZone(
  list: Zonelist,
  { type, nid }: Pick<Zones, 'type' | 'nid'>,
  highest: number,
  nodemask: Nodemask | null,
): number {
  const { zones } = list;
  for (let i = 0; i < zones.length; i++) {
    const z = zones[i] as number;
    if ((type[z] as number) > highest) continue;
    if (nodemask === null || nodemask.has(nid[z] as number)) return i;
  }
  return -1;
}
