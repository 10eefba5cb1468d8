// Moving pages between frames while their owners look elsewhere: isolate, allocate a target, move
// every page table entry over, free the old frame.
// Models   linux@v6.1 mm/migrate.c: migrate_pages, unmap_and_move, alloc_migration_target;
//          mm/mempolicy.c: do_migrate_pages, migrate_to_node; mm/rmap.c as far as finding mappers
//          goes.
// Omits    retries, batching cost, pages under writeback (there are none).
// Holds    MIG1 a moved page is mapped where it was mapped before, by all who mapped it. MIG2 the
//          policy of the area does not matter to a move with a target node. THP11 a transparent
//          huge page moves whole, however it is mapped; where there is no block for it, it is split
//          and its pages move after all others, the last of them first but for the first of all.
import { ENOMEM } from '../base/errno.ts';
import type { Frame, NodeId } from '../base/ids.ts';
import { Nodemask, remapNode } from '../base/nodemask.ts';
import type { AllocReason } from '../hooks/design.ts';
import { __GFP_THISNODE, GFP_HIGHUSER_MOVABLE } from '../mm/gfp.ts';
import {
  isMergedFrame,
  KIND_ANON,
  KIND_FILE,
  KIND_HUGETLB,
  KIND_KERNEL,
  KIND_THP,
} from '../mm/memmap.ts';
import type { Account, NodeCharges } from '../mm/node_charge.ts';
import { PGMIGRATE_FAIL, PGMIGRATE_SUCCESS } from '../mm/vmstat.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import type { AddressSpace } from './address_space.ts';
import { hugeTarget, isHugeFrame, moveHuge } from './hugetlb_migrate.ts';
import type { Kernel } from './kernel.ts';
import { type ManyTargets, moveRun, NO_TARGET } from './migrate_run.ts';
import { movedCachePage } from './page_cache.ts';
import { anyFrameOf, pteFrame, pteIsPage } from './page_table.ts';
import { allocManyOnNode, allocOnNode } from './policy_alloc.ts';
import { privateFlag } from './private_nodes.ts';
import type { Task } from './task.ts';
import { THP_ORDER, THP_PAGES } from './thp.ts';
import { moveThp, splitToMove, thpTarget } from './thp_migrate.ts';
import { entryFor, isZoneDevice, moveOnLists } from './zone_device.ts';

/** Why pages move; every move is counted under its cause. */
export type MoveCause =
  | 'mbind'
  | 'move_pages'
  | 'migrate_pages'
  | 'cpuset'
  | 'memory offline'
  | 'contiguous range'
  | 'long-term pin'
  | 'soft offline'
  | 'device'
  | 'collapse'
  | 'device back'
  | 'device evict'
  | 'numa balancing'
  | 'demotion'
  | 'compaction';

/**
 * Gives a target frame for a page, or undefined when there is none. For the first frame of a huge
 * page it gives the first frame of a block.
 */
export interface TargetSource {
  (old: Frame): Frame | undefined;
  /** The same for small pages, many at a time. */
  readonly many?: ManyTargets;
}

/** Takes the frames of a page that has moved: 2^order of them. */
export type Release = (old: Frame, order: number) => void;

/** A frame on a node and nowhere else, asked for by `task` (alloc_migration_target). */
export function targetOn(
  k: Kernel,
  task: Task,
  nid: NodeId,
  from: 'node named' | 'cpuset' = 'node named',
  reason: AllocReason = 'user migration',
): TargetSource {
  const asks = from === 'cpuset' ? 0 : privateFlag(k, reason, Nodemask.of(nid));
  const gfp = GFP_HIGHUSER_MOVABLE | __GFP_THISNODE | asks;
  const one = (old: Frame): Frame | undefined => {
    if (k.thp.isPart(old)) return thpTarget(k, task, gfp, nid, from);
    if (!isHugeFrame(k, old)) return allocOnNode(k, task, gfp, nid, 'migration target', from);
    const found = { policy: null, from };
    const place = { found, nid, nodes: null, isMany: false };
    return hugeTarget(k, task, k.poolOf(old), __GFP_THISNODE, place, from === 'node named');
  };
  const take = (want: number): number =>
    allocManyOnNode(k, task, gfp, nid, want, 'migration target', from);
  return Object.assign(one, { many: { nid, take } });
}

/** How often the kernel tries to move a page that something holds. */
const MOST_TRIES = 10;

/**
 * Moves pages to frames that `target` gives; stops when it gives none for a small page. Pages that
 * are pinned stay: each try takes a target and gives it back.
 * @param frames of a huge page the first.
 * @param release takes the old frames; by default they are free.
 * @returns 0, -ENOMEM, or the number of pages that stayed.
 */
export function migrateFrames(
  k: Kernel,
  frames: readonly Frame[],
  target: TargetSource,
  cause: MoveCause,
  release?: Release,
): number {
  k.compaction.isolate(frames);
  try {
    return migrateIsolated(k, frames, target, cause, release);
  } finally {
    k.compaction.putBack();
  }
}

function migrateIsolated(
  k: Kernel,
  frames: readonly Frame[],
  target: TargetSource,
  cause: MoveCause,
  release: Release | undefined,
): number {
  const { stat, held } = k.mem;
  const busy: Frame[] = [];
  const ofSplit: Frame[] = [];
  const targetFor = k.mem.charges === null ? target : forOwner(k, k.mem.charges, target);
  const many = release === undefined ? target.many : undefined;
  for (let i = 0; i < frames.length; i++) {
    const nrMoved = many === undefined ? 0 : moveRun(k, frames, i, many, cause);
    if (nrMoved > 0) {
      i += nrMoved - 1;
      continue;
    }
    const old = frames[i] as Frame;
    const isThp = k.thp.isPart(old);
    const fresh = nrMoved === NO_TARGET ? undefined : targetFor(old);
    if (fresh !== undefined && held.isPinned(old)) {
      giveBack(k, fresh, isThp ? THP_ORDER : 0);
      busy.push(old);
    } else if (fresh !== undefined) moveFrame(k, old, fresh, cause, release);
    else {
      if (isThp) stat.count(EVENT.thp_migration_fail, 1);
      const parts = isThp ? splitToMove(k, old) : undefined;
      if (parts === undefined) {
        stat.count(PGMIGRATE_FAIL, smallPagesOf(k, [...frames.slice(i), ...busy]));
        return -ENOMEM;
      }
      stat.count(EVENT.thp_migration_split, 1);
      ofSplit.push(...parts);
    }
  }
  const left = ofSplit.length === 0 ? 0 : migrateFrames(k, ofSplit, target, cause, release);
  const stayed = busy.length === 0 || left < 0 ? 0 : tryAgain(k, busy, target);
  if (left < 0) return left;
  return stayed < 0 ? stayed : left + stayed;
}

/** Small pages that single and huge ones come to. */
const smallPagesOf = (k: Kernel, frames: readonly Frame[]): number =>
  frames.reduce(
    (n, f) => n + (k.thp.isPart(f) ? THP_PAGES : isHugeFrame(k, f) ? k.poolOf(f).nrSmall : 1),
    0,
  );
/**
 * The same targets, counted for whom the page is: the group that it is counted for where it lies,
 * or that of a task whose private page it is. Where neither is known, who asks counts.
 */
function forOwner(k: Kernel, charges: NodeCharges, target: TargetSource): TargetSource {
  return (old) => {
    charges.payer = charges.accountOf(old) ?? accountOfSpace(k, old);
    const fresh = target(old);
    charges.payer = null;
    return fresh;
  };
}

function accountOfSpace(k: Kernel, f: Frame): Account | null {
  const { kind, link } = k.mem.map;
  if (kind[f] !== KIND_ANON && kind[f] !== KIND_THP) return null;
  return k.liveTasks().find((task) => task.mm.id === link[f])?.account ?? null;
}

/** Tries pinned pages as often as the kernel does, in vain. */
function tryAgain(k: Kernel, busy: readonly Frame[], target: TargetSource): number {
  k.mem.stat.count(PGMIGRATE_FAIL, smallPagesOf(k, busy));
  const nrThps = busy.filter((f) => k.thp.isPart(f)).length;
  if (nrThps > 0) k.mem.stat.count(EVENT.thp_migration_fail, nrThps);
  for (let n = 1; n < MOST_TRIES; n++) {
    for (const old of busy) {
      const fresh = target(old);
      if (fresh === undefined) return -ENOMEM;
      giveBack(k, fresh, k.thp.isPart(old) ? THP_ORDER : 0);
    }
  }
  return busy.length;
}

/** A target that was not needed (put_page). */
function giveBack(k: Kernel, fresh: Frame, order: number): void {
  if (isHugeFrame(k, fresh)) {
    k.poolOf(fresh).release(fresh);
    return;
  }
  k.mem.map.claim(fresh, KIND_KERNEL, 0, 0, 0);
  k.allocator.freeBlock(fresh, order);
}

/** Moves a page that nothing holds to a frame; `release` takes the old one. */
export function moveFrame(
  k: Kernel,
  old: Frame,
  fresh: Frame,
  cause: MoveCause,
  release?: Release,
): void {
  const from = k.allocator.nidOf(old);
  const isThp = k.thp.isPart(old);
  const pool = isHugeFrame(k, old) ? k.poolOf(old) : undefined;
  if (isThp) moveThp(k, old, fresh);
  else {
    moveOne(k, old, fresh);
    moveOnLists(k, old, fresh);
  }
  const nrSmall = isThp ? THP_PAGES : (pool?.nrSmall ?? 1);
  k.mem.stat.count(PGMIGRATE_SUCCESS, nrSmall);
  k.moves.count(cause, from, k.allocator.nidOf(fresh), nrSmall);
  k.frameWatch?.moved(cause, old, fresh, nrSmall);
  if (pool !== undefined) pool.release(old);
  else if (release !== undefined) release(old, isThp ? THP_ORDER : 0);
  else k.allocator.freeBlock(old, isThp ? THP_ORDER : 0);
}

/** Lets every entry and the object that refer to `old` refer to `fresh`. */
function moveOne(k: Kernel, old: Frame, fresh: Frame): void {
  const { map } = k.mem;
  const kind = map.kind[old] as number;
  const link = map.link[old] as number;
  const index = map.index[old] as number;
  map.claim(fresh, kind, link, index, map.mapcount[old] as number);
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
    if (map.mapcount[old] === 1 && owner !== undefined && remapEntry(k, owner, index, old, fresh))
      return;
    for (const space of k.spaces.values()) remapEntry(k, space, index, old, fresh);
    return;
  }
  const object = k.objects.get(link) ?? k.inodes.get(link);
  object?.setPage(index, fresh);
  if (kind === KIND_FILE) movedCachePage(k, old, fresh);
  for (const space of k.spaces.values()) {
    for (const vma of space.vmas) {
      if ((vma.object ?? vma.file?.inode) !== object) continue;
      const vpn = vma.startVpn + (index - vma.pgoff);
      if (vpn >= vma.startVpn && vpn < vma.endVpn) remapEntry(k, space, vpn, old, fresh);
    }
  }
}

/** A merged page is mapped at several places by several spaces (rmap_walk_ksm). */
function moveMerged(k: Kernel, old: Frame, fresh: Frame): void {
  const places = k.ksm.tree.placesOf(old);
  k.ksm.tree.moved(old, fresh);
  for (const space of k.spaces.values()) {
    for (const vpn of places) remapEntry(k, space, vpn, old, fresh);
  }
}

function remapEntry(
  k: Kernel,
  space: AddressSpace,
  vpn: number,
  old: Frame,
  fresh: Frame,
): boolean {
  const pte = space.pageTable.get(vpn);
  if (anyFrameOf(pte) !== old) return false;
  const { marks } = space.pageTable;
  const last = marks?.lastUse.get(vpn);
  space.pageTable.set(vpn, entryFor(k, fresh, (pte & 1) !== 0));
  if (last !== undefined) marks?.lastUse.set(vpn, last);
  return true;
}

/**
 * Pages of an address space on one node, each once and in address order; with `all` also those that
 * others map.
 */
function pagesOnNode(k: Kernel, mm: AddressSpace, nid: NodeId, all: boolean): Frame[] {
  const { mapcount } = k.mem.map;
  const frames: Frame[] = [];
  const seen = new Set<Frame>();
  for (const vma of mm.vmas) {
    mm.pageTable.walk(vma.startVpn, vma.endVpn, (_vpn, pte) => {
      if (!pteIsPage(pte)) return;
      const f = pteFrame(pte);
      if (k.allocator.nidOf(f) !== nid || isZoneDevice(k, f)) return;
      if (mapcount[f] === 1 && !k.thp.isPart(f)) {
        frames.push(f);
        return;
      }
      const head = k.thp.headOf(f);
      if (seen.has(head) || (!all && k.thp.mapcount(head) !== 1)) return;
      seen.add(head);
      frames.push(head);
    });
    for (const [, pte] of mm.pageTable.hugeIn(vma.startVpn, vma.endVpn)) {
      const f = pteFrame(pte);
      if (k.allocator.nidOf(f) !== nid || seen.has(f)) continue;
      if (!all && mapcount[f] !== 1) continue;
      seen.add(f);
      frames.push(f);
    }
  }
  return frames;
}

/**
 * Moves all pages of an address space from one set of nodes to another, keeping their relative
 * places (do_migrate_pages).
 * @param task who asks: targets are allocated on its behalf.
 * @returns 0, the number of pages that something held, or -ENOMEM when a target could not be had.
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
  let busy = 0;
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
    const frames = pagesOnNode(k, mm, source, all);
    const origin = cause === 'cpuset' ? 'cpuset' : 'node named';
    const error = migrateFrames(k, frames, targetOn(k, task, dest, origin), cause);
    if (error < 0) return error;
    busy += error;
  }
  return busy;
}
