// Writing memory blocks offline and online while tasks run: pages are driven off, and cpusets and
// policies follow the nodes that have memory.
// Models   linux@v6.1 mm/memory_hotplug.c: offline_pages, do_migrate_range, online_pages;
//          mm/hugetlb.c: dissolve_free_huge_pages; drivers/base/memory.c: state_store,
//          memory_subsys_offline, memory_subsys_online;
//          kernel/cgroup/cpuset.c: cpuset_hotplug_workfn.
// Hooks    doMigrateRange (do_migrate_range).
// Holds    HPL3 a page that is driven off lands on another node with memory, in the order of its
//          own node's list, and never under its task's policy or cpuset. HPL4 a block whose pages
//          find no room stays online with those that did not move.
import { NotModelled } from '../base/assert.ts';
import { EBUSY, EINTR, EINVAL, EPERM, errnoName } from '../base/errno.ts';
import type { Frame, NodeId } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import {
  __GFP_HIGHMEM,
  __GFP_MOVABLE,
  __GFP_RETRY_MAYFAIL,
  GFP_USER,
  ZONE_MOVABLE,
} from '../mm/gfp.ts';
import type { HugePages } from '../mm/hugetlb.ts';
import { KIND_HUGETLB, KIND_NONE } from '../mm/memmap.ts';
import type { MemoryBlock } from '../mm/memory_block.ts';
import {
  type IsolatedBlock,
  isolateBlock,
  type OnlineType,
  onlineBlockIn,
  releaseRange,
  removeBlock,
  zoneForBlock,
} from '../mm/memory_hotplug.ts';
import { PGMIGRATE_SUCCESS } from '../mm/vmstat.ts';
import { followMemory } from './cpuset_hotplug.ts';
import { hugeTarget, moveHuge } from './hugetlb_migrate.ts';
import type { Kernel } from './kernel.ts';
import { migrateFrames } from './migrate.ts';
import { allocOnNode, type FoundPolicy } from './policy_alloc.ts';
import { forgetPrivateNode } from './private_nodes.ts';
import { thpTarget } from './thp_migrate.ts';
import { tellOfBlock } from './uevents.ts';

/** What came of writing the blocks of a node. */
export interface NodeChange {
  /** 0, or the last error as a negative errno, as a loop over the files ends. */
  readonly ret: number;
  /** Blocks that the node has. */
  readonly nrBlocks: number;
  readonly nrChanged: number;
  /** Blocks passed over because they were in that state already. */
  readonly nrAlready: number;
  /** Errors by the number of the block within the node, from 0. */
  readonly errors: ReadonlyMap<number, number>;
}

/** Blocks of a node by address: what boot found, or what was plugged in and is there. */
function blocksOf({ mem }: Kernel, nid: number): MemoryBlock[] {
  const plugged = mem.blocks.filter((block) => block.nid === nid && block.isThere);
  return [...mem.bootBlocks.ofNode(nid as NodeId), ...plugged];
}

/**
 * Writes up to `most` blocks of a node offline, from the highest down. Blocks that are offline
 * already do not count, nor do errors end it.
 */
export function offlineNode(k: Kernel, nid: number, most = Number.POSITIVE_INFINITY): NodeChange {
  const blocks = blocksOf(k, nid);
  const downward = [...blocks.entries()].reverse();
  return writeBlocks(k, downward, most, (block) =>
    block.zone === undefined ? 'already' : offlineBlock(k, block),
  );
}

/** Writes up to `most` blocks of a node online, from the lowest up, into a zone by `type`. */
export function onlineNode(
  k: Kernel,
  nid: number,
  type: OnlineType,
  most = Number.POSITIVE_INFINITY,
): NodeChange {
  return writeBlocks(k, [...blocksOf(k, nid).entries()], most, (block) => {
    if (block.zone !== undefined) return 'already';
    return onlineBlock(k, block, type);
  });
}

/**
 * Brings a block online, as its node's driver lets it: that of a GPU takes it in ZONE_MOVABLE only,
 * since an unmovable page would keep the GPU's memory until the next boot.
 * @returns 0; -EPERM (NOTIFY_BAD).
 */
export function onlineBlock(k: Kernel, block: MemoryBlock, type: OnlineType): number {
  const z = zoneForBlock(k.mem, block, type);
  if (typeof z === 'string') {
    throw new NotModelled(`boot memory of node ${block.nid} that comes online in a new zone ${z}`);
  }
  const isRefused = k.driverNodes.has(block.nid) && k.mem.zones.type[z] !== ZONE_MOVABLE;
  if (isRefused) return -EPERM;
  onlineBlockIn(k.mem, block, z);
  tellOfBlock(k, block, 'online');
  return 0;
}

function writeBlocks(
  k: Kernel,
  blocks: readonly (readonly [number, MemoryBlock])[],
  most: number,
  write: (block: MemoryBlock) => number | 'already',
): NodeChange {
  let nrChanged = 0;
  let nrAlready = 0;
  const errors = new Map<number, number>();
  for (const [i, block] of blocks) {
    if (nrChanged >= most) break;
    const result = write(block);
    if (result === 'already') nrAlready++;
    else if (result === 0) nrChanged++;
    else errors.set(i, result);
  }
  if (!k.defersCpusetWork) followMemory(k);
  return {
    ret: [...errors.values()].at(-1) ?? 0,
    nrBlocks: blocks.length,
    nrChanged,
    nrAlready,
    errors,
  };
}

/** `block0: EBUSY`, as a record of the errors has it. */
export const errorWords = (errors: ReadonlyMap<number, number>): Record<string, string> =>
  Object.fromEntries([...errors].map(([i, error]) => [`block${i}`, errnoName(-error)]));

/**
 * Writes one block offline (offline_pages).
 * @returns 0; -EINVAL for a block that memory fills in part only, or that zones share; -EBUSY when
 *   pages lie on it that cannot move; -EINTR when its pages find no room: the kernel tries for
 *   ever, and whoever asked gives up in the end.
 */
export function offlineBlock(k: Kernel, block: MemoryBlock): number {
  if (!block.isWhole) return -EINVAL;
  if (block.isFirst) return -EBUSY;
  const stuck = k.gigantic.isInUse ? clearGigantic(k, block) : 0;
  if (stuck !== 0) return stuck;
  const isolated = isolateBlock(k.mem, block);
  if (isolated === undefined) return -EBUSY;
  if (isolated.movable.length > 0 && !mayMoveOff(k, block.nid)) {
    releaseRange(k.mem, isolated);
    return -EBUSY;
  }
  if (!driveOff(k, isolated) || !driveOffHuge(k, isolated)) {
    releaseRange(k.mem, isolated);
    return -EINTR;
  }
  if (!dissolveFree(k, isolated)) {
    releaseRange(k.mem, isolated);
    return -EBUSY;
  }
  const wasPrivate = k.states.privateMemory.has(block.nid);
  removeBlock(k.mem, isolated);
  if (wasPrivate && !k.states.privateMemory.has(block.nid)) forgetPrivateNode(k, block.nid);
  tellOfBlock(k, block, 'offline');
  return 0;
}

/** May pages of the node be moved away, so that its memory can go? */
const mayMoveOff = (k: Kernel, nid: NodeId): boolean =>
  k.design.answers.doMigrateRange?.(nid, k.states) !== false;

/**
 * Moves the users' pages of a block to other nodes with memory, nearest first, or to the rest of
 * their own when there is no other (do_migrate_range). False when one found no room.
 */
function driveOff(k: Kernel, { block, zone, movable, free }: IsolatedBlock): boolean {
  const { nid } = block;
  const nodemask = nodesForOthers(k, nid);
  let gfp = GFP_USER | __GFP_MOVABLE | __GFP_RETRY_MAYFAIL;
  if (k.mem.zones.type[zone] === ZONE_MOVABLE) gfp |= __GFP_HIGHMEM;
  const target = (old: Frame) =>
    k.thp.isPart(old)
      ? thpTarget(k, k.kthread, gfp, nid, 'memory offline', nodemask)
      : allocOnNode(k, k.kthread, gfp, nid, 'migration target', 'memory offline', nodemask);
  const isolate = (old: Frame, order: number): void => {
    k.mem.map.kind[old] = KIND_NONE;
    k.mem.charges?.uncharge(nid, old, order);
    k.mem.stat.countFree(1 << order);
    free.push({ f: old, order });
  };
  return migrateFrames(k, movable, target, 'memory offline', isolate) === 0;
}

/** Where pages of a node that goes may go: to all others, or to the rest of it for want of one. */
function nodesForOthers(k: Kernel, nid: NodeId): Nodemask {
  const others = k.states.memory.without(nid);
  return others.isEmpty() ? Nodemask.of(nid) : others;
}

/** Moves the used huge pages of a block to pages of the pools of other nodes, or to fresh ones. */
function driveOffHuge(k: Kernel, { block, huge, free }: IsolatedBlock): boolean {
  for (const old of huge) {
    if (k.huge.isFreePage(old)) continue;
    if (!moveOff(k, k.huge, block.nid, old)) return false;
    k.huge.dissolveMoved(old);
    free.push({ f: old, order: k.huge.order });
  }
  return true;
}

/**
 * Gigantic pages on a block go before it does. Only the block in which one ends can be isolated,
 * since it cannot leave its other blocks; a used one moves to a free page of the pool on another
 * node, and a free one leaves the pool, all of it (isolate_single_pageblock,
 * dissolve_free_huge_page).
 * @returns 0; -EBUSY when one goes on beyond the block, or free pages of the pool are promised;
 *   -EINTR when a used one finds no other page.
 */
function clearGigantic(k: Kernel, { nid, startPfn, startFrame, nrPages }: MemoryBlock): number {
  const { gigantic } = k;
  const first = startFrame - (startPfn % gigantic.nrSmall);
  for (let f = first as Frame; f < startFrame + nrPages; f = (f + gigantic.nrSmall) as Frame) {
    if (!gigantic.owns(f)) continue;
    if (f + gigantic.nrSmall > startFrame + nrPages || !mayMoveOff(k, nid)) return -EBUSY;
    if (k.mem.held.isPoisoned(f)) {
      throw new NotModelled('taking memory offline under a broken page that somebody still has');
    }
    if (!gigantic.isFreePage(f)) {
      if (k.mem.held.isPinned(f) || !moveOff(k, gigantic, nid, f)) return -EINTR;
      gigantic.release(f);
    }
    if (gigantic.isFreePage(f) && !gigantic.breakUp(f)) return -EBUSY;
  }
  return 0;
}

/** Moves a used huge page to one of its pool on another node; false when there is none. */
function moveOff(k: Kernel, pool: HugePages, nid: NodeId, old: Frame): boolean {
  const found: FoundPolicy = { policy: null, from: 'memory offline' };
  const place = { found, nid, nodes: nodesForOthers(k, nid), isMany: false };
  const fresh = hugeTarget(k, k.kthread, pool, __GFP_RETRY_MAYFAIL, place);
  if (fresh === undefined) return false;
  moveHuge(k, old, fresh);
  k.mem.stat.count(PGMIGRATE_SUCCESS, pool.nrSmall);
  k.moves.count('memory offline', nid, k.allocator.nidOf(fresh), pool.nrSmall);
  k.frameWatch?.moved('memory offline', old, fresh, pool.nrSmall);
  return true;
}

/** Takes free pages of the pool out; false if they are promised (dissolve_free_huge_pages). */
function dissolveFree(k: Kernel, { huge, free }: IsolatedBlock): boolean {
  for (const f of huge) {
    if (k.mem.map.kind[f] !== KIND_HUGETLB) continue;
    if (!k.huge.dissolve(f)) return false;
    free.push({ f, order: k.huge.order });
  }
  return true;
}
