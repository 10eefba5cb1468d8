// What the parts of the page allocator tell one another: flags of an attempt, reasons of a failure,
// and what is known of the task that asks.
// Models   linux@v6.1 mm/internal.h: ALLOC_* flags; mm/page_alloc.c: gfp_to_alloc_flags;
//          kernel/cgroup/cpuset.c: __cpuset_node_allowed.
import type { Cpu } from '../base/ids.ts';
import type { Nodemask } from '../base/nodemask.ts';
import type { Buddy } from './buddy.ts';
import type { DirtyLimits } from './dirty.ts';
import {
  __GFP_DIRECT_RECLAIM,
  __GFP_HARDWALL,
  __GFP_HIGH,
  __GFP_KSWAPD_RECLAIM,
  __GFP_MEMALLOC,
  __GFP_NOMEMALLOC,
} from './gfp.ts';
import type { HeldPages } from './held_pages.ts';
import type { Lru } from './lru.ts';
import type { MemMap } from './memmap.ts';
import type { DeviceMemory } from './memremap.ts';
import type { Zones } from './mmzone.ts';
import type { Account, NodeCharges } from './node_charge.ts';
import type { NodeStates } from './node_states.ts';
import type { PerCpuLists } from './pcp.ts';
import type { VmStat } from './vmstat.ts';

export const ALLOC_WMARK_MIN = 0;
export const ALLOC_WMARK_LOW = 1;
export const ALLOC_WMARK_HIGH = 2;
export const ALLOC_WMARK_MASK = 3;
export const ALLOC_NO_WATERMARKS = 0x4;
export const ALLOC_OOM = 0x8;
/** The request cannot wait. */
export const ALLOC_NON_BLOCK = 0x10;
/** __GFP_HIGH: half of the min mark is for it too. */
export const ALLOC_MIN_RESERVE = 0x20;
export const ALLOC_CPUSET = 0x40;
export const ALLOC_NOFRAGMENT = 0x100;
/** Blocks that are kept for urgent requests of more than one page are for it. */
export const ALLOC_HIGHATOMIC = 0x200;
export const ALLOC_KSWAPD = 0x800;
/** Some of what others have to leave is for such an attempt. */
export const ALLOC_RESERVES = ALLOC_NON_BLOCK | ALLOC_MIN_RESERVE | ALLOC_HIGHATOMIC | ALLOC_OOM;

/**
 * One flag for all who want to hear of every page that is freed, so that a page costs one look
 * while there is nobody. It is raised once and stays up.
 */
export class FreeWatchers {
  isAny = false;
}

/** What the allocator works on; one file each. */
export interface PageAllocatorParts {
  readonly zones: Zones;
  readonly map: MemMap;
  readonly buddy: Buddy;
  readonly pcp: PerCpuLists;
  readonly lru: Lru;
  readonly held: HeldPages;
  readonly deviceMemory: DeviceMemory;
  readonly freeWatchers: FreeWatchers;
  readonly dirty: DirtyLimits;
  /** Null while no design counts pages. */
  readonly charges: NodeCharges | null;
  readonly states: NodeStates;
  readonly stat: VmStat;
  readonly nodeOfCpu: Int32Array;
  readonly nrNodeIds: number;
}

/** What the allocator needs to know of the task that asks. */
export interface AllocTask {
  readonly cpu: Cpu;
  /** task->mems_allowed. */
  readonly memsAllowed: Nodemask;
  /** Nodes of the nearest cpuset above that is a hard wall: where kernel requests may escape to. */
  readonly hardwallMems: Nodemask;
  /** Whom its pages are counted for, where a design counts them. */
  readonly account?: Account | null;
}

export const FAILURE = {
  NONE: 0,
  /** The list has no zone that this request could ever use: fails at once, without an OOM kill. */
  NO_ZONE: 1,
  /**
   * Zones there are, but cpuset or design kept the request off all of them: the OOM killer is
   * asked.
   */
  NOT_ADMITTED: 2,
  /** Admitted zones are down to their min watermark, and nothing is left to reclaim: likewise. */
  NO_PAGES: 3,
  /** The caller asked not to reclaim, or not to kill for it: it deals with the failure. */
  NO_RECLAIM: 4,
  /** The OOM killer was asked, and took the task that asked. */
  KILLED: 5,
  /** No pool that the request may use has a free huge page. */
  NO_HUGE_PAGE: 6,
  /** The task's group may have no more of the nodes that would admit it: one of the group dies. */
  OVER_QUOTA: 7,
  /** It must not fail, and nothing that it may try has a page: it is tried again for ever. */
  STUCK: 8,
} as const;
export type Failure = (typeof FAILURE)[keyof typeof FAILURE];

/** Most frames that one call hands out. */
export const MAX_RUN = 512;

/**
 * Flags of the attempts after the first, as in 6.1 with later stable fixes: whether a request is
 * urgent is a matter of `__GFP_HIGH` and of being unable to wait, not of `__GFP_ATOMIC`
 * (gfp_to_alloc_flags).
 */
export function gfpToAllocFlags(gfp: number, order: number): number {
  let flags = ALLOC_WMARK_MIN | ALLOC_CPUSET;
  const isHigh = (gfp & __GFP_HIGH) !== 0;
  if (isHigh) flags |= ALLOC_MIN_RESERVE;
  if (gfp & __GFP_KSWAPD_RECLAIM) flags |= ALLOC_KSWAPD;
  if (gfp & __GFP_DIRECT_RECLAIM) return flags;
  if ((gfp & __GFP_NOMEMALLOC) === 0) {
    flags |= ALLOC_NON_BLOCK;
    if (order > 0 && isHigh) flags |= ALLOC_HIGHATOMIC;
  }
  return isHigh ? flags & ~ALLOC_CPUSET : flags;
}

/** Does a request free memory for others, so that it may have all that is left? */
export const isForReclaim = (gfp: number): boolean =>
  (gfp & (__GFP_MEMALLOC | __GFP_NOMEMALLOC)) === __GFP_MEMALLOC;

/**
 * User requests stay on the nodes of the task's cpuset, kernel requests may go up to a hard wall
 * (__cpuset_node_allowed). About private memory, which is not N_MEMORY, no cpuset has a say.
 */
export function cpusetNodeAllowed(
  task: AllocTask,
  nid: number,
  gfp: number,
  privateMemory: Nodemask,
): boolean {
  if (task.memsAllowed.has(nid) || privateMemory.has(nid)) return true;
  return (gfp & __GFP_HARDWALL) === 0 && task.hardwallMems.has(nid);
}
