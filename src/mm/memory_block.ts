// Memory blocks: the pieces in which memory goes offline and comes online, one directory
// /sys/devices/system/memory/memoryN each; cut here are those of hot-plugged memory.
// Models   linux@v6.1 drivers/base/memory.c: struct memory_block, as far as its place and its zone
//          go.
// Holds    MBK1 blocks ascend by node and address, and each lies in one stretch of frames.
import type { NodeId, ZoneIndex } from '../base/ids.ts';
import type { ZonePlan } from './zone_plan.ts';

export interface MemoryBlock {
  readonly nid: NodeId;
  readonly startPfn: number;
  readonly nrPages: number;
  readonly startFrame: number;
  /** False where the node's memory ends inside the block: such a block cannot go offline. */
  readonly isWhole: boolean;
  /** Number of the stretch, a DIMM, that it was plugged in with, on its node. */
  readonly dimm: number;
  /** The first that a zone of boot memory reaches into: the kernel's own pages lie there. */
  readonly isFirst: boolean;
  /** The memory is there: not taken away again, or not added yet. */
  isThere: boolean;
  /** The zone it is online in; undefined while it is offline. */
  zone: ZoneIndex | undefined;
}

/** Cuts the memory of all hot-plugged nodes at the multiples of a block. */
export function cutBlocks(
  plans: readonly ZonePlan[],
  segments: readonly { startFrame: number; startPfn: number; nrPages: number }[],
  blockPages: number,
): MemoryBlock[] {
  const blocks: MemoryBlock[] = [];
  const seen = new Set<unknown>();
  for (const { nid, hotplug } of plans) {
    if (hotplug === undefined || seen.has(hotplug)) continue;
    seen.add(hotplug);
    for (const [dimm, { startPfn, nrPages }] of hotplug.entries()) {
      const segment = segments.find((s) => s.startPfn === startPfn && s.nrPages === nrPages);
      if (segment === undefined) continue;
      const endPfn = startPfn + nrPages;
      for (let at = startPfn; at < endPfn; ) {
        const next = Math.min((Math.floor(at / blockPages) + 1) * blockPages, endPfn);
        blocks.push({
          nid,
          startPfn: at,
          nrPages: next - at,
          startFrame: segment.startFrame + at - startPfn,
          isWhole: next - at === blockPages,
          dimm,
          isFirst: false,
          isThere: true,
          zone: zoneAt(plans, nid, at),
        });
        at = next;
      }
    }
  }
  return blocks;
}

/** The zone of a node that holds a page when the run starts. */
function zoneAt(plans: readonly ZonePlan[], nid: NodeId, at: number): ZoneIndex | undefined {
  const z = plans.findIndex(
    (plan) =>
      plan.nid === nid &&
      plan.stretches.some((s) => at >= s.startPfn && at < s.startPfn + s.nrPages),
  );
  return z === -1 ? undefined : (z as ZoneIndex);
}
