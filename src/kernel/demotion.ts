// Demotion: pages that reclaim takes from a node of a fast tier go to slower memory.
// Models   linux@v6.1 mm/vmscan.c: can_demote, demote_folio_list, alloc_demote_page.
// Omits    huge pages; several targets at one distance are drawn by lot in the kernel, and come in
//          turn here.
// Holds    TIR4 a page goes to the target of its node, and where that is down to its low mark to
//          another lower node by the target's list; when there is none, it and all behind it stay.
//          TIR5 the policies of tasks and areas do not matter.
import type { Frame, NodeId, ZoneIndex } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import { MASK_NONE, MASK_REQUEST } from '../hooks/design.ts';
import { __GFP_THISNODE, MIGRATE_MOVABLE, ZONE_MOVABLE } from '../mm/gfp.ts';
import { ALLOC_WMARK_LOW, ALLOC_WMARK_MIN } from '../mm/internal.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import { wmarkPages, zoneWatermarkOk } from '../mm/watermark.ts';
import { nodeZonelist } from '../mm/zonelist.ts';
import type { Kernel } from './kernel.ts';
import { migrateFrames } from './migrate.ts';
import { privateFlag } from './private_nodes.ts';

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
  const { lru } = k.mem;
  let fresh: Frame | undefined;
  const source = () => {
    fresh = takeFrom(k, target, null) ?? takeFrom(k, target, allowed);
    return fresh;
  };
  let nrDone = 0;
  for (const f of frames) {
    if (migrateFrames(k, [f], source, 'demotion') !== 0) break;
    if (lru.isInUse && fresh !== undefined && !lru.isListed(fresh)) lru.add(fresh);
    nrDone++;
  }
  k.mem.stat.count(isKswapd ? EVENT.pgdemote_kswapd : EVENT.pgdemote_direct, nrDone);
  return frames.slice(nrDone);
}

const out = new Int32Array(1);

/**
 * A frame of a node, or with a mask of a node in it by the list of `nid`. Asked for in the middle
 * of another request, so it goes past the allocator's own state: no reclaim, no kill, no record.
 */
function takeFrom(k: Kernel, nid: NodeId, nodemask: Nodemask | null): Frame | undefined {
  const { zones, lists, pcp, stat, nodeOfCpu } = k.mem;
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
      if (!zoneWatermarkOk(zones, z, 0, mark, ZONE_MOVABLE, flags)) continue;
      if (pcp.take(z, pcp.listOf(z, cpu), MIGRATE_MOVABLE, flags, 1, out, 0, 0) === 0) continue;
      stat.countAllocation(z, z, nodeOfCpu[cpu] as number, 1);
      k.placements.count('migration target', 'demotion', false, at, 1);
      k.frameWatch?.taken('demotion', out, 1);
      return out[0] as Frame;
    }
  }
  return undefined;
}

/** The design's gate, for a request that names its node or carries a mask of its own. */
function isOpen(k: Kernel, nid: NodeId, hasMask: boolean, asks: boolean): boolean {
  const gate = k.design.answers.zoneGate;
  if (gate === undefined || !gate.gated(k.states).has(nid)) return true;
  return gate.admits(!hasMask, hasMask ? MASK_REQUEST : MASK_NONE, asks);
}
