// Stretches of memory that are larger than any buddy block: found zone by zone, and what lies on
// them and can move is driven off.
// Models   linux@v6.1 mm/page_alloc.c: alloc_contig_pages, alloc_contig_range,
//          __alloc_contig_migrate_range; mm/page_isolation.c: start_isolate_page_range,
//          has_unmovable_pages; mm/hugetlb.c: alloc_gigantic_page, isolate_or_dissolve_huge_page,
//          alloc_and_dissolve_huge_page.
// Omits    pages that a CPU holds back on their way to the lists of reclaim: they do not move for
//          Linux, and are on their lists here. Which pages of a zone are the kernel's own: some of
//          the first memory block (BBK1).
// Notes    A stretch as large as a gigantic page and as aligned meets one only if it is that one.
// Holds    CTG2 no watermark, no cpuset and no gate of a design is asked, only zones, nodes and
//          what can move. CTG3 a stretch that could not be had is as it was, but for what moved.
import type { Frame, NodeId, ZoneIndex } from '../base/ids.ts';
import type { Nodemask } from '../base/nodemask.ts';
import { contigStarts } from '../mm/contig_range.ts';
import {
  __GFP_MOVABLE,
  __GFP_RETRY_MAYFAIL,
  __GFP_THISNODE,
  GFP_USER,
  gfpZone,
  MIGRATE_MOVABLE,
} from '../mm/gfp.ts';
import { KIND_NONE } from '../mm/memmap.ts';
import { type IsolatedRange, isolateRange, releaseRange } from '../mm/memory_hotplug.ts';
import { PGMIGRATE_SUCCESS } from '../mm/vmstat.ts';
import { hugeTarget, moveHuge } from './hugetlb_migrate.ts';
import type { Kernel } from './kernel.ts';
import { migrateFrames } from './migrate.ts';
import { allocOnNode } from './policy_alloc.ts';
import type { Task } from './task.ts';
import { thpTarget } from './thp_migrate.ts';

/**
 * 2^order pages in a row, on the list of a node (alloc_contig_pages).
 * @returns their first frame, which nobody owns yet; undefined when no zone has them.
 */
export function allocContig(
  k: Kernel,
  order: number,
  gfp: number,
  nid: NodeId,
  nodes: Nodemask | null,
): Frame | undefined {
  const { lists } = k.allocator;
  const list = (gfp & __GFP_THISNODE ? lists.noFallback : lists.fallback)[nid];
  for (const z of list?.zones ?? []) {
    const at = k.mem.zones.nid[z] as NodeId;
    if ((k.mem.zones.type[z] as number) > gfpZone(gfp)) continue;
    if (nodes !== null && !nodes.has(at)) continue;
    for (const f of contigStarts(k.mem, z as ZoneIndex, 1 << order)) {
      if (!clearRange(k, z as ZoneIndex, f, 1 << order)) continue;
      k.frameWatch?.taken('contiguous range', [f], 1);
      return f;
    }
  }
  return undefined;
}

/** Takes a stretch, with everybody on it gone. False when something on it stays. */
function clearRange(k: Kernel, z: ZoneIndex, f: Frame, nrPages: number): boolean {
  const { mem } = k;
  if (mem.held.isInUse && hasHeld(k, f, nrPages)) return false;
  if (mem.bootBlocks.isKernels(f, nrPages) || k.gigantic.owns(f)) return false;
  const range = isolateRange(mem, { zone: z, startFrame: f, nrPages });
  if (range === undefined) return false;
  if (!driveOff(k, range) || range.free.reduce((n, b) => n + (1 << b.order), 0) !== nrPages) {
    releaseRange(mem, range);
    return false;
  }
  mem.map.kind.fill(KIND_NONE, f, f + nrPages);
  const step = 1 << mem.buddy.pageblockOrder;
  for (let at = f as number; at < f + nrPages; at += step) {
    mem.buddy.setPageblockType(at, MIGRATE_MOVABLE);
  }
  return true;
}

/** Are there pages that pins hold, or broken ones? They do not move. */
function hasHeld({ mem: { held } }: Kernel, f: Frame, nrPages: number): boolean {
  for (let at = f as number; at < f + nrPages; at++) {
    if (held.isPoisoned(at) || held.isPinned(at)) return true;
  }
  return false;
}

/** Moves users' pages away, and huge pages of the other pool; false when one found no room. */
function driveOff(k: Kernel, { zone, movable, huge, free }: IsolatedRange): boolean {
  const task = k.allocator.current as Task;
  const nid = k.mem.zones.nid[zone] as NodeId;
  const gfp = GFP_USER | __GFP_MOVABLE | __GFP_RETRY_MAYFAIL;
  const target = (old: Frame): Frame | undefined =>
    k.thp.isPart(old)
      ? thpTarget(k, task, gfp, nid, 'contiguous range')
      : allocOnNode(k, task, gfp, nid, 'migration target', 'contiguous range');
  const isolate = (old: Frame, order: number): void => {
    k.mem.map.kind[old] = KIND_NONE;
    k.mem.charges?.uncharge(nid, old, order);
    k.mem.stat.countFree(1 << order);
    free.push({ f: old, order });
  };
  for (const old of huge) if (!replaceHuge(k, task, nid, old, free)) return false;
  return migrateFrames(k, movable, target, 'contiguous range', isolate) === 0;
}

/**
 * A huge page of 2 MiB makes room: a free one for a fresh one on its node; a used one moves, and
 * when its target came from the pool it goes back there itself, and stands in the way.
 */
function replaceHuge(
  k: Kernel,
  task: Task,
  nid: NodeId,
  old: Frame,
  free: { f: Frame; order: number }[],
): boolean {
  const { huge } = k;
  if (huge.isFreePage(old)) {
    if (!huge.replaceFree(old, nid)) return false;
    free.push({ f: old, order: huge.order });
    return true;
  }
  const place = {
    found: { policy: null, from: 'contiguous range' },
    nid,
    nodes: null,
    isMany: false,
  } as const;
  const fresh = hugeTarget(k, task, huge, __GFP_RETRY_MAYFAIL, place);
  if (fresh === undefined) return false;
  moveHuge(k, old, fresh);
  k.mem.stat.count(PGMIGRATE_SUCCESS, huge.nrSmall);
  k.moves.count('contiguous range', nid, k.allocator.nidOf(fresh), huge.nrSmall);
  k.frameWatch?.moved('contiguous range', old, fresh, huge.nrSmall);
  if (!huge.isTemporary(old)) {
    huge.release(old);
    return false;
  }
  huge.dissolveMoved(old);
  free.push({ f: old, order: huge.order });
  return true;
}
