// Whether direct reclaim finds any slab: all that the model has to know of slab caches.
// Models   linux@v6.1 mm/vmscan.c: shrink_node_memcgs calls shrink_slab for each node of a
//          request's list; mm/page_alloc.c: __alloc_pages_direct_reclaim empties the per-CPU lists
//          only when something was freed.
// Omits    how much slab there is (SPEC DEV-6).
// Holds    EXH2 without a node that can hold slab, nothing is freed and no list is emptied.
import type { Nodemask } from '../base/nodemask.ts';
import type { Zones } from './mmzone.ts';
import type { NodeStates } from './node_states.ts';

/** The part of a request in progress that says which nodes reclaim goes to. */
interface Reach {
  /** Zones of the walked list, in order. */
  readonly zones: ArrayLike<number>;
  readonly highest: number;
  readonly nodemask: Nodemask | null;
  readonly cpusetAllows: (nid: number) => boolean;
}

/**
 * Does reclaim for a request come to a node with some slab to free? Names and files that were
 * looked up lie where they were looked up: on nodes with CPUs, in memory that the kernel itself
 * uses.
 */
export function findsSlab(zones: Zones, states: NodeStates, reach: Reach): boolean {
  for (let i = 0; i < reach.zones.length; i++) {
    const z = reach.zones[i] as number;
    const nid = zones.nid[z] as number;
    if ((zones.type[z] as number) > reach.highest) continue;
    if (reach.nodemask !== null && !reach.nodemask.has(nid)) continue;
    if (!states.normalMemory.has(nid) || !states.cpu.has(nid)) continue;
    if (reach.cpusetAllows(nid)) return true;
  }
  return false;
}
