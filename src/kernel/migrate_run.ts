// Moving pages many at a time where nothing sets one apart from the next: private pages of one
// owner that lie side by side, each mapped once, to a node with room.
// Models   what migrate.ts does page by page (linux@v6.1 mm/migrate.c: unmap_and_move), for a run:
//          targets come from one node and old frames go back to others, so that it makes no
//          difference whether all targets come first.
// Holds    MIG1. MIG8 a run leaves behind what moving its pages one by one would.
import type { Frame, NodeId } from '../base/ids.ts';
import { MAX_RUN } from '../mm/internal.ts';
import { KIND_ANON } from '../mm/memmap.ts';
import { PGMIGRATE_SUCCESS } from '../mm/vmstat.ts';
import type { AddressSpace } from './address_space.ts';
import type { Kernel } from './kernel.ts';
import type { MoveCause } from './migrate.ts';
import { anyFrameOf, type Leaf, makeDevicePte, makePte, PTRS_PER_LEAF } from './page_table.ts';
import { moveOnLists } from './zone_device.ts';

/** Where runs of targets come from. */
export interface ManyTargets {
  readonly nid: NodeId;
  /** Up to `want` frames of the node into allocator.out; how many. */
  take(want: number): number;
}

/** The node gave no target, though it has room: a gate or the cpuset keeps the request off. */
export const NO_TARGET = -1;

/** Shorter runs are not worth the preparation. */
const SHORTEST_RUN = 4;

const fresh = new Int32Array(MAX_RUN);
const stale = new Int32Array(MAX_RUN);

/**
 * Moves the run that begins at `frames[at]`.
 * @returns pages moved; 0 when they have to go one by one; NO_TARGET.
 */
export function moveRun(
  k: Kernel,
  frames: readonly Frame[],
  at: number,
  targets: ManyTargets,
  cause: MoveCause,
): number {
  if (k.mem.charges !== null || !hasRoom(k, targets.nid)) return 0;
  const { link, index } = k.mem.map;
  const first = frames[at] as Frame;
  const owner = k.spaces.get(link[first] as number);
  if (owner === undefined) return 0;
  const leaf = owner.pageTable.leafOf(index[first] as number);
  if (leaf === undefined || owner.pageTable.marks !== undefined) return 0;
  const want = lengthOfRun(k, frames, at, owner, leaf, targets.nid);
  if (want < SHORTEST_RUN) return 0;
  const n = targets.take(want);
  if (n === 0) return NO_TARGET;
  fresh.set(k.allocator.out.subarray(0, n));
  moveEntries(k, frames, at, n, owner, leaf, cause);
  return n;
}

/** Pages from `at` on that lie one behind the other in a leaf, on one node, held by nobody. */
function lengthOfRun(
  k: Kernel,
  frames: readonly Frame[],
  at: number,
  owner: AddressSpace,
  { entries, base }: Leaf,
  target: NodeId,
): number {
  const { kind, link, index, mapcount } = k.mem.map;
  const { buddy, held, zones } = k.mem;
  const { blocks, pageblockOrder } = buddy;
  const first = frames[at] as Frame;
  const nid = k.allocator.nidOf(first);
  if (nid === target) return 0;
  const hasPins = held.isInUse;
  const space = owner.id;
  const firstVpn = index[first] as number;
  const inLeaf = firstVpn % PTRS_PER_LEAF;
  const start = base + inLeaf;
  const most = Math.min(frames.length - at, MAX_RUN, PTRS_PER_LEAF - inLeaf);
  let block = blocks[first >> pageblockOrder] as number;
  for (let i = 0; i < most; i++) {
    const f = frames[at + i] as Frame;
    if (kind[f] !== KIND_ANON || mapcount[f] !== 1) return i;
    if (link[f] !== space || index[f] !== firstVpn + i) return i;
    if (anyFrameOf(entries[start + i] as number) !== f) return i;
    const itsBlock = blocks[f >> pageblockOrder] as number;
    if (itsBlock !== block) {
      if (zones.nid[buddy.zoneOf(f)] !== nid) return i;
      block = itsBlock;
    }
    if (hasPins && held.isPinned(f)) return i;
  }
  return most;
}

/** Has the node's highest zone more than a run above the mark where reclaim would stop? */
function hasRoom(k: Kernel, nid: NodeId): boolean {
  const { nr, nid: nidOf, free, wmarkHigh } = k.mem.zones;
  for (let z = nr - 1; z >= 0; z--) {
    if (nidOf[z] !== nid) continue;
    return (free[z] as number) > (wmarkHigh[z] as number) + 2 * MAX_RUN;
  }
  return false;
}

function moveEntries(
  k: Kernel,
  frames: readonly Frame[],
  at: number,
  n: number,
  owner: AddressSpace,
  { entries, base }: Leaf,
  cause: MoveCause,
): void {
  const { map, swap, lru, stat } = k.mem;
  const isFollowed = lru.isInUse || k.memcg !== null;
  const makeEntry = k.mem.deviceMemory.isPrivate(fresh[0] as number) ? makeDevicePte : makePte;
  const { contents } = k;
  const from = k.allocator.nidOf(frames[at] as Frame);
  const firstVpn = map.index[frames[at] as Frame] as number;
  const slot = base + (firstVpn % PTRS_PER_LEAF);
  for (let i = 0; i < n; i++) {
    const old = frames[at + i] as Frame;
    const f = fresh[i] as Frame;
    map.claim(f, KIND_ANON, owner.id, firstVpn + i, 1);
    contents?.copy(f, old);
    const pte = entries[slot + i] as number;
    entries[slot + i] = makeEntry(f, (pte & 1) !== 0);
    if (isFollowed) {
      swap.migrate(old, f);
      moveOnLists(k, old, f);
    }
    stale[i] = old;
  }
  if (k.frameWatch !== null) {
    for (let i = 0; i < n; i++) {
      k.frameWatch.moved(cause, stale[i] as Frame, fresh[i] as Frame, 1);
    }
  }
  owner.pageTable.noteChanged(firstVpn);
  k.allocator.freeMany(stale, 0, n);
  stat.count(PGMIGRATE_SUCCESS, n);
  k.moves.count(cause, from, k.allocator.nidOf(fresh[0] as Frame), n);
}
