// What the parts of reclaim tell one another: what one run is after, what it knows of each node,
// and what it asks of those who own pages.
// Models   linux@v6.1 mm/vmscan.c: struct scan_control; include/linux/mmzone.h: struct lruvec,
//          struct pglist_data as far as reclaim goes.
import type { Nodemask } from '../base/nodemask.ts';
import type { MemCgroup } from './memcg.ts';

/** Pages that are looked at, and freed, at a time. */
export const SWAP_CLUSTER_MAX = 32;
/** Priority that every run starts with: it looks at lists in parts of 1 / 2^priority. */
export const DEF_PRIORITY = 12;
/** Runs in a row without a page freed, after which kswapd and retries give up. */
export const MAX_RECLAIM_RETRIES = 16;

/** What one run of reclaim is after, and how far it is. */
export interface ScanControl {
  nrToReclaim: number;
  priority: number;
  /** Highest zone type that helps the request. */
  readonly reclaimIdx: number;
  order: number;
  readonly isKswapd: boolean;
  maySwap: boolean;
  readonly mayUnmap: boolean;
  mayWritepage: boolean;
  /** Pages do not go down to a slower tier, they leave memory. */
  readonly noDemotion: boolean;
  /** Active lists may be shrunk: bit 0 anonymous, bit 1 file. */
  mayDeactivate: number;
  forceDeactivate: boolean;
  skippedDeactivate: boolean;
  fileIsTiny: boolean;
  trimsCache: boolean;
  /** Pages of this memory cgroup and those below are wanted; null for any. */
  readonly target: MemCgroup | null;
  /** Groups that are spared by memory.low are not any more. */
  lowReclaim: boolean;
  /** Some were passed over, or looked at less, for memory.low. */
  lowSkipped: boolean;
  nrScanned: number;
  nrReclaimed: number;
}

export const DEACTIVATE_ANON = 1;
export const DEACTIVATE_FILE = 2;

export function scanControl(
  given: Pick<ScanControl, 'nrToReclaim' | 'reclaimIdx' | 'order' | 'isKswapd'> &
    Partial<ScanControl>,
): ScanControl {
  return {
    priority: DEF_PRIORITY,
    maySwap: true,
    mayUnmap: true,
    mayWritepage: true,
    noDemotion: false,
    mayDeactivate: 0,
    forceDeactivate: false,
    skippedDeactivate: false,
    fileIsTiny: false,
    trimsCache: false,
    target: null,
    lowReclaim: false,
    lowSkipped: false,
    nrScanned: 0,
    nrReclaimed: 0,
    ...given,
  };
}

/** What reclaim asks of those who own pages: page tables, shared objects, files. */
export interface PageOwners {
  /**
   * Takes a page out of every page table. A swap-backed private page leaves entries that stand for
   * its slot; a page given up by MADV_FREE leaves none, unless it was written to again.
   * @returns false when somebody still maps it.
   */
  unmap(f: number): boolean;
  /** A shared page has gone from its object to its slot (shmem_writepage). */
  moveToSwap(f: number): void;
  /** Reclaim met a dirty page of a file: the flusher is to write what is dirty. */
  flush(): void;
  /**
   * Lets a clean file page go from its file, so that its frame can be freed (__remove_mapping).
   * @returns false when it is in use in a way that reclaim does not know.
   */
  removeFromFile(f: number): boolean;
  /** What they answer for transparent huge pages, each by its first frame. */
  readonly huge: HugePageOwners;
  /**
   * Gives back what shrinkers can, of a node and a memory cgroup, null for the root (shrink_slab).
   */
  shrinkSlab(nid: number, group: MemCgroup | null, priority: number): void;
}

/** What reclaim asks of transparent huge pages. */
export interface HugePageOwners {
  /** Does an entry of the pmd level map it? */
  isWhole(head: number): boolean;
  isMapped(head: number): boolean;
  /**
   * Makes small pages of one that is on no list; none of them is on a list, nor freed, even if
   * nobody maps it. @returns false when a pin holds it.
   */
  split(head: number): boolean;
  /** As `unmap`, of the whole page. */
  unmap(head: number): boolean;
  /** Frees one that nobody maps. */
  free(head: number): void;
}

/** Sends pages of a node to slower memory instead of freeing them (demote_folio_list). */
export interface Demotion {
  canDemote(nid: number): boolean;
  /** @returns the pages that found no room; they are on no list. */
  demote(nid: number, frames: readonly number[], isKswapd: boolean): number[];
}

/** What reclaim remembers of the lists of a node, or of a node and a memory cgroup. */
export class NodeReclaim {
  readonly nid: number;
  /** Number of the set of lists; that of the root cgroup is the node's. */
  readonly vec: number;
  /** The group, null for the root. */
  readonly group: MemCgroup | null;
  /** The same for the group above, on the same node. */
  readonly above: NodeReclaim | null;
  anonCost = 0;
  fileCost = 0;
  /** Pages that left or were found in use again since boot (lruvec->nonresident_age). */
  age = 0;
  /** Pages that came back while they would still have been in use, anonymous and file. */
  readonly activations = [0, 0];
  /** The same when lists were looked at last. */
  readonly lastActivations = [0, 0];
  /** Runs of kswapd in a row that freed nothing. */
  kswapdFailures = 0;

  constructor(nid: number, vec: number, group: MemCgroup | null, above: NodeReclaim | null) {
    this.nid = nid;
    this.vec = vec;
    this.group = group;
    this.above = above;
  }

  /** Pages have left, or one came back too soon (workingset_age_nonresident). */
  grow(nrPages: number): void {
    for (let n: NodeReclaim | null = this; n !== null; n = n.above) n.age += nrPages;
  }

  /** A page that came back is active at once. */
  noteActivation(kind: 0 | 1): void {
    for (let n: NodeReclaim | null = this; n !== null; n = n.above) {
      n.activations[kind] = (n.activations[kind] as number) + 1;
    }
  }
}

/** A request that found no page, as reclaim sees it. */
export interface ReclaimRequest {
  readonly gfp: number;
  readonly order: number;
  readonly highest: number;
  /** Zones of the walked list, in order. */
  readonly zones: ArrayLike<number>;
  readonly nodemask: Nodemask | null;
  readonly allocFlags: number;
  /** May the request's cpuset use the node? */
  readonly cpusetAllows: (nid: number) => boolean;
  /** Does reclaim for it come to a node that holds some slab? */
  readonly hasSlab: boolean;
  /** Makes it the request in progress again, after others were made for its sake. */
  readonly resume: () => void;
}

/** What the page allocator asks of reclaim. */
export interface Reclaimer {
  /** Wakes the daemons of the list's nodes (wake_all_kswapds). */
  wakeKswapds(request: ReclaimRequest): void;
  /** The marks of a zone were raised: the daemon of its node frees as much (wakeup_kswapd). */
  wakeBoosted(z: number): void;
  /** Frees a few pages of the nodes of a request's list. @returns how many. */
  tryToFree(request: ReclaimRequest): number;
  /** Could a zone pass if all that can be reclaimed were free (should_reclaim_retry)? */
  promises(request: ReclaimRequest): boolean;
  /** Does zone_reclaim_mode ask for the next? */
  readonly reclaimsNodes: boolean;
  /**
   * Reclaims from a node that is full before a walk goes on to the next (node_reclaim).
   * @param near the node that the request prefers.
   */
  reclaimNode(nid: number, near: number, request: ReclaimRequest): boolean;
}
