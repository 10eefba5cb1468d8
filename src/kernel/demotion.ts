// Demotion: pages that reclaim takes from a node of a fast tier go to slower memory.
// Models   linux@v6.1 mm/vmscan.c: can_demote, demote_folio_list, alloc_demote_page.
// Omits    compaction of the target for the sake of a huge page; several targets at one distance
//          are drawn by lot in the kernel, and come in turn here.
// Holds    TIR4 a page goes to the target of its node, and where that is down to its low mark to
//          another lower node by the target's list; when there is none, it and all behind it stay.
//          TIR5 the policies of tasks and areas do not matter.
import { ENOMEM } from '../base/errno.ts';
import type { Frame, NodeId, ZoneIndex } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import { MASK_NONE, MASK_REQUEST } from '../hooks/design.ts';
import { __GFP_THISNODE, MIGRATE_MOVABLE, ZONE_MOVABLE } from '../mm/gfp.ts';
import { ALLOC_WMARK_LOW, ALLOC_WMARK_MIN } from '../mm/internal.ts';
import { NIL } from '../mm/memmap.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import { wmarkPages, zoneWatermarkOk } from '../mm/watermark.ts';
import { nodeZonelist } from '../mm/zonelist.ts';
import type { Kernel } from './kernel.ts';
import { migrateFrames, moveFrame, type TargetSource } from './migrate.ts';
import { privateFlag } from './private_nodes.ts';
import { THP_ORDER, THP_PAGES } from './thp.ts';
import { splitToMove } from './thp_migrate.ts';

/** Do pages of the node go down when they are reclaimed (can_demote)? */
export const canDemote = (k: Kernel, nid: NodeId): boolean =>
  k.tiers.isDemotionEnabled && !k.tiers.targetsOf(nid).isEmpty();

/**
 * Sends pages of a node to slower memory (demote_folio_list).
 * @param isKswapd kswapd asks; else a task that found no page.
 * @returns the pages that found no room, in order.
 */
export function demotePages(
  k: Kernel,
  nid: NodeId,
  frames: readonly Frame[],
  isKswapd: boolean,
): readonly Frame[] {
  const target = k.tiers.nextTarget(nid);
  if (target === undefined) return frames;
  const allowed = k.tiers.allowedTargetsOf(nid);
  const { lru, stat, held } = k.mem;
  let fresh: Frame | undefined;
  const source = (old: Frame) => {
    const order = k.thp.isPart(old) ? THP_ORDER : 0;
    fresh = takeFrom(k, target, null, order) ?? takeFrom(k, target, allowed, order);
    return fresh;
  };
  const left: Frame[] = [];
  let nrDone = 0;
  const queue = [...frames].reverse();
  const parts: Frame[] = [];
  for (let f = queue.pop(); f !== undefined; f = queue.pop()) {
    const isThp = k.thp.isPart(f);
    const nrPages = isThp ? THP_PAGES : 1;
    const result = moveDown(k, f, source);
    if (result === 0) {
      if (lru.isInUse && fresh !== undefined && !lru.isListed(fresh)) lru.add(fresh);
      nrDone += nrPages;
    } else if (result > 0) left.push(f);
    else {
      // A huge page that found no block is split, and its pages go when all others have gone.
      const small = isThp && !held.isPinned(f) ? splitForDemotion(k, f) : undefined;
      if (small === undefined) {
        left.push(f, ...queue.reverse(), ...parts);
        break;
      }
      parts.push(...small);
    }
    if (queue.length === 0) queue.push(...parts.splice(0).reverse());
  }
  stat.count(isKswapd ? EVENT.pgdemote_kswapd : EVENT.pgdemote_direct, nrDone);
  return left;
}

/** Moves a page. @returns 0, the number of pages that something held, or -ENOMEM. */
function moveDown(k: Kernel, f: Frame, source: TargetSource): number {
  if (!k.thp.isPart(f) || k.mem.held.isPinned(f)) return migrateFrames(k, [f], source, 'demotion');
  const fresh = source(f);
  if (fresh === undefined) return -ENOMEM;
  moveFrame(k, f, fresh, 'demotion');
  return 0;
}

function splitForDemotion(k: Kernel, f: Frame): Frame[] | undefined {
  const { stat } = k.mem;
  stat.count(EVENT.thp_migration_fail, 1);
  const parts = splitToMove(k, f);
  if (parts !== undefined) stat.count(EVENT.thp_migration_split, 1);
  return parts;
}

const out = new Int32Array(1);

/**
 * A frame of a node, or with a mask of a node in it by the list of `nid`. Asked for in the middle
 * of another request, so it goes past the allocator's own state: no reclaim, no kill, no record.
 */
function takeFrom(
  k: Kernel,
  nid: NodeId,
  nodemask: Nodemask | null,
  order: number,
): Frame | undefined {
  const { zones, lists, stat, nodeOfCpu } = k.mem;
  const { cpu, memsAllowed } = k.allocator.current;
  const asks = privateFlag(k, 'demotion', nodemask ?? Nodemask.of(nid));
  const gfp = asks | (nodemask === null ? __GFP_THISNODE : 0);
  const list = nodeZonelist(lists, nid, gfp).zones;
  for (const flags of [ALLOC_WMARK_LOW, ALLOC_WMARK_MIN]) {
    for (const z of list as Iterable<ZoneIndex>) {
      const at = zones.nid[z] as NodeId;
      if (nodemask !== null && !nodemask.has(at)) continue;
      const isPrivate = k.states.privateMemory.has(at);
      if (k.allocator.cpusetsEnabled && !memsAllowed.has(at) && !isPrivate) continue;
      if (!isOpen(k, at, nodemask !== null, asks !== 0)) continue;
      const mark = wmarkPages(zones, z, flags);
      if (!zoneWatermarkOk(zones, z, order, mark, ZONE_MOVABLE, flags)) continue;
      const f = blockOf(k, z, order, flags);
      if (f === undefined) continue;
      stat.countAllocation(z, z, nodeOfCpu[cpu] as number, 1);
      if (order > 0) stat.countBlock(z, order);
      k.placements.count('migration target', 'demotion', false, at, 1 << order);
      k.frameWatch?.taken('demotion', [f], 1);
      return f;
    }
  }
  return undefined;
}

function blockOf(k: Kernel, z: ZoneIndex, order: number, flags: number): Frame | undefined {
  const { pcp, buddy } = k.mem;
  if (order > 0) {
    const block = buddy.alloc(z, order, MIGRATE_MOVABLE, flags);
    return block === NIL ? undefined : block;
  }
  const list = pcp.listOf(z, k.allocator.current.cpu);
  return pcp.take(z, list, MIGRATE_MOVABLE, flags, 1, out, 0, 0) === 0
    ? undefined
    : (out[0] as Frame);
}

/** The design's gate, for a request that names its node or carries a mask of its own. */
function isOpen(k: Kernel, nid: NodeId, hasMask: boolean, asks: boolean): boolean {
  const gate = k.design.answers.zoneGate;
  if (gate === undefined || !gate.gated(k.states).has(nid)) return true;
  return gate.admits(!hasMask, hasMask ? MASK_REQUEST : MASK_NONE, asks);
}
