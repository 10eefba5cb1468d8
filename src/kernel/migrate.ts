// Moving pages between frames while their owners look elsewhere: isolate, allocate a target, move
// every page table entry over, free the old frame.
// Models   linux@v6.1 mm/migrate.c: migrate_pages, unmap_and_move, alloc_migration_target;
//          mm/mempolicy.c: do_migrate_pages, migrate_to_node; mm/rmap.c as far as finding mappers
//          goes.
// Omits    retries, batching cost, transparent huge pages, pages under writeback (there are none).
// Holds    MIG1 a moved page is mapped where it was mapped before, by all who mapped it. MIG2 the
//          policy of the area does not matter to a move with a target node.
import { ENOMEM } from '../base/errno.ts';
import type { Frame, NodeId } from '../base/ids.ts';
import { type Nodemask, remapNode } from '../base/nodemask.ts';
import { __GFP_THISNODE, GFP_HIGHUSER_MOVABLE } from '../mm/gfp.ts';
import { GFP_HUGE } from '../mm/hugetlb.ts';
import { isMergedFrame, KIND_ANON, KIND_FILE, KIND_HUGETLB } from '../mm/memmap.ts';
import { PGMIGRATE_FAIL, PGMIGRATE_SUCCESS } from '../mm/vmstat.ts';
import type { AddressSpace } from './address_space.ts';
import { hugeTarget, isHugeFrame, moveHuge } from './hugetlb_migrate.ts';
import type { Kernel } from './kernel.ts';
import { movedCachePage } from './page_cache.ts';
import { makePte, pteFrame, pteIsPage, pteIsWritable } from './page_table.ts';
import { allocOnNode } from './policy_alloc.ts';
import type { Task } from './task.ts';

/** Why pages move; every move is counted under its cause. */
export type MoveCause =
  | 'mbind'
  | 'move_pages'
  | 'migrate_pages'
  | 'cpuset'
  | 'memory offline'
  | 'device'
  | 'device back'
  | 'device evict'
  | 'numa balancing'
  | 'demotion';

/** Gives a target frame for a page, or undefined when there is none. */
export type TargetSource = (old: Frame) => Frame | undefined;

/** A frame on a node and nowhere else, asked for by `task` (alloc_migration_target). */
export function targetOn(
  k: Kernel,
  task: Task,
  nid: NodeId,
  from: 'node named' | 'cpuset' = 'node named',
): TargetSource {
  const gfp = GFP_HIGHUSER_MOVABLE | __GFP_THISNODE;
  return (old) => {
    if (!isHugeFrame(k, old)) return allocOnNode(k, task, gfp, nid, 'migration target', from);
    const found = { policy: null, from };
    const place = { found, nid, nodes: null, isMany: false };
    return hugeTarget(k, task, GFP_HUGE | __GFP_THISNODE, place, from === 'node named');
  };
}

/**
 * Moves pages to frames that `target` gives; stops when it gives none.
 * @param release takes the old frames; by default they are free.
 * @returns 0, or -ENOMEM.
 */
export function migrateFrames(
  k: Kernel,
  frames: readonly Frame[],
  target: TargetSource,
  cause: MoveCause,
  release: (old: Frame) => void = (old) => k.allocator.free(old),
): number {
  for (const [i, old] of frames.entries()) {
    const fresh = target(old);
    if (fresh === undefined) {
      k.mem.stat.count(PGMIGRATE_FAIL, frames.length - i);
      return -ENOMEM;
    }
    moveOne(k, old, fresh);
    const isOfPool = isHugeFrame(k, old);
    const nrSmall = isOfPool ? k.huge.nrSmall : 1;
    k.mem.stat.count(PGMIGRATE_SUCCESS, nrSmall);
    k.moves.count(cause, k.allocator.nidOf(old), k.allocator.nidOf(fresh), nrSmall);
    if (isOfPool) k.huge.release(old);
    else release(old);
  }
  return 0;
}

/** Lets every entry and the object that refer to `old` refer to `fresh`. */
function moveOne(k: Kernel, old: Frame, fresh: Frame): void {
  const { map } = k.mem;
  const kind = map.kind[old] as number;
  const link = map.link[old] as number;
  const index = map.index[old] as number;
  map.claim(fresh, kind, link, index, map.mapcount[old] as number);
  k.mem.lru.migrate(old, fresh);
  k.mem.swap.migrate(old, fresh);
  k.contents?.copy(fresh, old);
  if (isMergedFrame(map, old)) {
    moveMerged(k, old, fresh);
    return;
  }
  if (kind === KIND_HUGETLB) {
    moveHuge(k, old, fresh);
    return;
  }
  if (kind === KIND_ANON) {
    const owner = k.spaces.get(link);
    if (map.mapcount[old] === 1 && owner !== undefined && remapEntry(owner, index, old, fresh))
      return;
    for (const space of k.spaces.values()) remapEntry(space, index, old, fresh);
    return;
  }
  const object = k.objects.get(link) ?? k.inodes.get(link);
  object?.setPage(index, fresh);
  if (kind === KIND_FILE) movedCachePage(k, old, fresh);
  for (const space of k.spaces.values()) {
    for (const vma of space.vmas) {
      if ((vma.object ?? vma.file?.inode) !== object) continue;
      const vpn = vma.startVpn + (index - vma.pgoff);
      if (vpn >= vma.startVpn && vpn < vma.endVpn) remapEntry(space, vpn, old, fresh);
    }
  }
}

/** A merged page is mapped at several places by several spaces (rmap_walk_ksm). */
function moveMerged(k: Kernel, old: Frame, fresh: Frame): void {
  const places = k.ksm.tree.placesOf(old);
  k.ksm.tree.moved(old, fresh);
  for (const space of k.spaces.values()) {
    for (const vpn of places) remapEntry(space, vpn, old, fresh);
  }
}

function remapEntry(space: AddressSpace, vpn: number, old: Frame, fresh: Frame): boolean {
  const pte = space.pageTable.get(vpn);
  if (!pteIsPage(pte) || pteFrame(pte) !== old) return false;
  const { marks } = space.pageTable;
  const last = marks?.lastUse.get(vpn);
  space.pageTable.set(vpn, makePte(fresh, pteIsWritable(pte)));
  if (last !== undefined) marks?.lastUse.set(vpn, last);
  return true;
}

/**
 * Pages of an address space on one node, in address order; with `all` also those that others map.
 */
function pagesOnNode(k: Kernel, mm: AddressSpace, nid: NodeId, all: boolean): Frame[] {
  const frames: Frame[] = [];
  for (const vma of mm.vmas) {
    mm.pageTable.walk(vma.startVpn, vma.endVpn, (_vpn, pte) => {
      if (!pteIsPage(pte)) return;
      const f = pteFrame(pte);
      if (k.allocator.nidOf(f) !== nid) return;
      if (all || k.mem.map.mapcount[f] === 1) frames.push(f);
    });
    for (const [, pte] of mm.pageTable.hugeIn(vma.startVpn, vma.endVpn)) {
      const f = pteFrame(pte);
      if (k.allocator.nidOf(f) !== nid) continue;
      if (all || k.mem.map.mapcount[f] === 1) frames.push(f);
    }
  }
  return frames;
}

/**
 * Moves all pages of an address space from one set of nodes to another, keeping their relative
 * places (do_migrate_pages).
 * @param task who asks: targets are allocated on its behalf.
 * @returns 0, or -ENOMEM when a target could not be had.
 */
export function migrateBetweenNodes(
  k: Kernel,
  task: Task,
  mm: AddressSpace,
  from: Nodemask,
  to: Nodemask,
  all: boolean,
  cause: MoveCause = 'cpuset',
): number {
  const isSameSize = from.weight === to.weight;
  let left = from;
  while (!left.isEmpty()) {
    let source: NodeId | undefined;
    let dest: NodeId | undefined;
    for (const s of left) {
      if (!isSameSize && to.has(s)) continue;
      const d = remapNode(s, from, to);
      if (s === d) continue;
      source = s;
      dest = d;
      if (!left.has(d)) break;
    }
    if (source === undefined || dest === undefined) break;
    left = left.without(source);
    const frames = [...new Set(pagesOnNode(k, mm, source, all))];
    const origin = cause === 'cpuset' ? 'cpuset' : 'node named';
    const error = migrateFrames(k, frames, targetOn(k, task, dest, origin), cause);
    if (error !== 0) return error;
  }
  return 0;
}
