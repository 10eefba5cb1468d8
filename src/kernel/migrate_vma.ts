// Moving a task's own pages by the hundred, for the driver of a device: collect them from one leaf
// of the page table, allocate all targets, move the entries, free the old frames.
// Models   linux@v6.1 mm/migrate_device.c: migrate_vma_setup, migrate_vma_pages,
//          migrate_vma_finalize, as far as anonymous pages of one owner go; pages that are not
//          there yet may get a first frame on the target node (migrate_vma_insert_page).
// Omits    pages that others map, shared objects and huge pages: migrate.ts moves those one by one.
// Holds    MIG1.
import type { Frame, NodeId } from '../base/ids.ts';
import { MAX_RUN } from '../mm/internal.ts';
import { LRU_SWAPCACHE } from '../mm/lru.ts';
import { KIND_ANON } from '../mm/memmap.ts';
import { PGMIGRATE_SUCCESS } from '../mm/vmstat.ts';
import type { Vma } from './address_space.ts';
import type { Kernel } from './kernel.ts';
import { joinLruRun } from './lru_track.ts';
import type { MoveCause } from './migrate.ts';
import {
  type Leaf,
  makeDevicePte,
  makePte,
  PTE_NONE,
  PTRS_PER_LEAF,
  pteFrame,
  pteIsPage,
} from './page_table.ts';
import type { Purpose } from './placement_count.ts';
import type { Task } from './task.ts';
import { moveOnLists } from './zone_device.ts';

/** Entries of the leaf in work that are to move, by their place in it. */
const chosen = new Int32Array(PTRS_PER_LEAF);
/** Their frames, and the nodes of these. */
const stale = new Int32Array(PTRS_PER_LEAF);
const staleNids = new Int32Array(PTRS_PER_LEAF);
/** Targets, kept while old frames are freed. */
const fresh = new Int32Array(MAX_RUN);

/** Where a driver gets frames of its device's memory. */
export interface DeviceFrames {
  readonly nid: NodeId;
  /** CPUs cannot map them. */
  readonly isPrivate: boolean;
  /** Puts up to `want` frames, at most MAX_RUN, into `out`. Returns how many there were. */
  take(task: Task, want: number, out: Int32Array, why: Purpose): number;
}

/** Frames of a node, when they are one stretch; a page is on the node if its frame is in it. */
export interface FrameSpan {
  readonly start: number;
  readonly end: number;
}

/** Lowest and highest frame of a node, or undefined when another node's lie in between. */
export function frameSpanOf(k: Kernel, nid: NodeId): FrameSpan | undefined {
  const { zones } = k.mem;
  let start = Number.POSITIVE_INFINITY;
  let end = 0;
  for (let z = 0; z < zones.nr; z++) {
    if (zones.nid[z] !== nid) continue;
    start = Math.min(start, zones.startFrame[z] as number);
    end = Math.max(end, zones.endFrame[z] as number);
  }
  for (let z = 0; z < zones.nr; z++) {
    if (zones.nid[z] === nid) continue;
    const isApart =
      (zones.endFrame[z] as number) <= start || (zones.startFrame[z] as number) >= end;
    if (!isApart) return undefined;
  }
  return end === 0 ? undefined : { start, end };
}

/**
 * Moves the anonymous pages of [startVpn, endVpn) that the task alone maps, and that lie neither in
 * `source` nor with another driver, to frames of `source`: as many as there is room for, lowest
 * first. The range lies under one leaf.
 * @returns pages moved, and pages that found no room.
 */
export function migrateVma(
  k: Kernel,
  task: Task,
  startVpn: number,
  endVpn: number,
  source: DeviceFrames,
  cause: MoveCause,
): { readonly nrMoved: number; readonly nrLeft: number } {
  const leaf = task.mm.pageTable.leafOf(startVpn);
  if (leaf === undefined) return { nrMoved: 0, nrLeft: 0 };
  const nr = collect(k, task, leaf, startVpn, endVpn, source.nid);
  let done = 0;
  while (done < nr) {
    const n = source.take(task, Math.min(nr - done, MAX_RUN), fresh, 'migration target');
    if (n === 0) break;
    moveEntries(k, task, leaf, startVpn, done, n, source, cause);
    done += n;
  }
  k.mem.stat.count(PGMIGRATE_SUCCESS, done);
  return { nrMoved: done, nrLeft: nr - done };
}

/** Notes the places in the leaf of the pages that are to move; returns how many. */
function collect(
  k: Kernel,
  task: Task,
  { entries, base }: Leaf,
  startVpn: number,
  endVpn: number,
  nid: NodeId,
): number {
  const { kind, link, mapcount } = k.mem.map;
  const { held, deviceMemory, lru } = k.mem;
  const space = task.mm.id;
  // What is in the swap cache too does not go where a driver keeps the memory (migrate_vma_pages).
  const leavesCached = lru.isInUse && deviceMemory.ofNode(nid) !== undefined;
  const first = startVpn % PTRS_PER_LEAF;
  const end = first + (endVpn - startVpn);
  let nr = 0;
  for (let i = first; i < end; i++) {
    const pte = entries[base + i] as number;
    if (!pteIsPage(pte)) continue;
    const f = pteFrame(pte);
    if (kind[f] !== KIND_ANON || mapcount[f] !== 1 || link[f] !== space) continue;
    const from = k.allocator.nidOf(f);
    if (from === nid || held.isPinned(f) || deviceMemory.has(f)) continue;
    if (leavesCached && lru.has(f, LRU_SWAPCACHE)) continue;
    chosen[nr] = i;
    stale[nr] = f;
    staleNids[nr++] = from;
  }
  return nr;
}

/** Moves `n` entries, from the `done`-th chosen on, to the fresh frames. */
function moveEntries(
  k: Kernel,
  task: Task,
  { entries, base }: Leaf,
  startVpn: number,
  done: number,
  n: number,
  { nid, isPrivate }: DeviceFrames,
  cause: MoveCause,
): void {
  const { map, swap, lru } = k.mem;
  const isFollowed = lru.isInUse || k.memcg !== null;
  const { contents } = k;
  const { marks } = task.mm.pageTable;
  const leafVpn = startVpn - (startVpn % PTRS_PER_LEAF);
  const makeEntry = isPrivate ? makeDevicePte : makePte;
  for (let j = 0; j < n; j++) {
    const at = base + (chosen[done + j] as number);
    const vpn = leafVpn + at - base;
    const old = stale[done + j] as Frame;
    const f = fresh[j] as Frame;
    map.claim(f, KIND_ANON, task.mm.id, vpn, 1);
    entries[at] = makeEntry(f, ((entries[at] as number) & 1) !== 0);
    if (isFollowed) {
      swap.migrate(old, f);
      moveOnLists(k, old, f);
    }
    contents?.copy(f, old);
    marks?.forget(vpn);
  }
  if (k.frameWatch !== null) {
    for (let j = 0; j < n; j++) {
      k.frameWatch.moved(cause, stale[done + j] as Frame, fresh[j] as Frame, 1);
    }
  }
  task.mm.pageTable.noteChanged(startVpn);
  k.allocator.freeMany(stale, done, done + n);
  for (let j = done; j < done + n; ) {
    const from = staleNids[j] as NodeId;
    const start = j;
    while (j < done + n && staleNids[j] === from) j++;
    k.moves.count(cause, from, nid, j - start);
  }
}

/**
 * Gives the empty pages of [startVpn, endVpn), all in one private area and under one leaf that
 * exists, first frames of `source` (migrate_vma_insert_page).
 * @returns pages filled; the rest stays empty when there is no room.
 */
export function insertVma(
  k: Kernel,
  task: Task,
  vma: Vma,
  startVpn: number,
  endVpn: number,
  source: DeviceFrames,
): number {
  const { entries, base } = task.mm.pageTable.leafOf(startVpn) as Leaf;
  const { map, lru } = k.mem;
  const joins = lru.isTracking && !k.mem.deviceMemory.ofNode(source.nid);
  const leafVpn = startVpn - (startVpn % PTRS_PER_LEAF);
  let filled = 0;
  let vpn = startVpn;
  while (vpn < endVpn) {
    if (entries[base + vpn - leafVpn] !== PTE_NONE) {
      vpn++;
      continue;
    }
    let end = vpn + 1;
    while (end < endVpn && entries[base + end - leafVpn] === PTE_NONE) end++;
    const want = Math.min(end - vpn, MAX_RUN);
    const n = source.take(task, want, fresh, 'page fault');
    if (n === 0) return filled;
    if (joins) joinLruRun(lru, fresh, n, vma);
    for (let j = 0; j < n; j++, vpn++) {
      const f = fresh[j] as Frame;
      map.claim(f, KIND_ANON, task.mm.id, vpn, 1);
      k.contents?.set(f, 0);
      entries[base + vpn - leafVpn] = source.isPrivate ? makeDevicePte(f, true) : makePte(f, true);
    }
    filled += n;
    task.mm.pageTable.noteChanged(startVpn);
  }
  return filled;
}
