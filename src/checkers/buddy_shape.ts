// Judge: the free lists are as a buddy allocator leaves them, and their counters are true.
// Holds    BUD1 a free block starts at a multiple of its size. BUD2 no two free buddies of one
//          order below the largest. BUD3 a block lies in one zone, on frames that exist. ZON2 a
//          zone's free pages are those on its lists and untouched; order masks name the lists that
//          hold something.
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';
import {
  type FreeBlock,
  freeBlocks,
  MOVABLE_TYPE,
  TYPES,
  untouched,
  zoneOfFrame,
  zoneText,
} from './read_state.ts';

/** Judges one zone. */
function checkZone(k: Kernel, z: number, findings: Findings): void {
  const { zones } = k.mem;
  const blocks = freeBlocks(k, z, findings);
  const maxOrder = zones.nrOrders - 1;
  const { start, end } = untouched(k, z);
  const byStart = new Map<number, FreeBlock>();
  for (const block of blocks) byStart.set(block.frame, block);
  for (const block of blocks) checkBlock(k, block, byStart, findings);
  const nrUntouched = end - start;
  findings.expect(
    nrUntouched >= 0 && nrUntouched % 2 ** maxOrder === 0,
    () => `${zoneText(k, z)}: untouched memory [${start}, ${end}) is not made of largest blocks`,
  );
  const free = blocks.reduce((n, b) => n + 2 ** b.order, 0) + nrUntouched;
  findings.expect(
    zones.free[z] === free,
    () => `${zoneText(k, z)} counts ${zones.free[z]} free pages and has ${free}`,
  );
  for (let type = 0; type < TYPES; type++) {
    let mask = 0;
    for (const block of blocks) if (block.type === type) mask |= 1 << block.order;
    if (type === MOVABLE_TYPE && nrUntouched > 0) mask |= 1 << maxOrder;
    const stated = zones.orderMask[z * TYPES + type] as number;
    findings.expect(
      stated === mask,
      () => `${zoneText(k, z)}, type ${type}: order mask ${stated}, the lists say ${mask}`,
    );
  }
}

function checkBlock(
  k: Kernel,
  block: FreeBlock,
  byStart: ReadonlyMap<number, FreeBlock>,
  findings: Findings,
): void {
  const { zone, order, frame } = block;
  const { zones, segments } = k.mem;
  const size = 2 ** order;
  const text = `${zoneText(k, zone)}: free block of order ${order} at frame ${frame}`;
  findings.expect(frame % size === 0, () => `${text} is not aligned to its size`);
  findings.expect(zoneOfFrame(k, frame) === zone, () => `${text} starts in another zone`);
  const segment = segments.find(
    (s) => frame >= s.startFrame && frame + size <= s.startFrame + s.nrPages,
  );
  findings.expect(segment !== undefined, () => `${text} covers frames that do not exist`);
  if (segment !== undefined) {
    const pfn = segment.startPfn + frame - segment.startFrame;
    findings.expect(pfn % size === 0, () => `${text} is not aligned in physical memory (${pfn})`);
  }
  if (order === zones.nrOrders - 1) return;
  const isLower = Math.floor(frame / size) % 2 === 0;
  const buddy = byStart.get(isLower ? frame + size : frame - size);
  findings.expect(
    buddy === undefined || buddy.order !== order,
    () => `${text} and its buddy are both free and not merged`,
  );
}

/** Judges the free lists of every zone. */
export function checkBuddyShape(k: Kernel): readonly string[] {
  const findings = new Findings('buddy');
  for (let z = 0; z < k.mem.zones.nr; z++) checkZone(k, z, findings);
  return findings.list();
}
