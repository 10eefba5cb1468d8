// Which pages of an address space are to move: those that lie on the wrong nodes, each once.
// Models   linux@v6.1 mm/mempolicy.c: queue_pages_range, queue_pages_pte_range, queue_pages_pmd,
//          migrate_page_add, queue_pages_test_walk.
// Holds    MBD1 without a move flag the first misplaced page ends the search. MBD2 pages that
//          others map stay without MPOL_MF_MOVE_ALL, and are no failure. THP10 a huge page is
//          queued whole, for any part of it; a second look at one that is queued is a failure under
//          MPOL_MF_STRICT.
import { EFAULT, EIO } from '../base/errno.ts';
import type { Frame } from '../base/ids.ts';
import type { Nodemask } from '../base/nodemask.ts';
import type { AddressSpace } from './address_space.ts';
import type { Kernel } from './kernel.ts';
import { leafEnd, PTE_NONE, pteFrame, pteIsPage } from './page_table.ts';
import { isClosedToUsers } from './private_nodes.ts';
import { isZoneDevice } from './zone_device.ts';

export const MPOL_MF_STRICT = 1;
export const MPOL_MF_MOVE = 2;
export const MPOL_MF_MOVE_ALL = 4;
export const MPOL_MF_VALID = MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL;

export interface QueueOptions {
  /** Nodes that pages may be on. */
  readonly nodes: Nodemask;
  readonly flags: number;
  readonly allowsHoles: boolean;
}

export interface QueuedPages {
  /** The pages to move; of a huge page the first. */
  readonly frames: Frame[];
  /** A page of the range could not be queued, and that matters (STRICT). */
  readonly hasUnmovable: boolean;
}

interface Queue extends QueueOptions {
  readonly frames: Set<Frame>;
}

const CLEAN = 0;
/** A misplaced page under STRICT alone. */
const MISPLACED = 1;
/** A page that cannot be queued. */
const UNMOVABLE = 2;
type Look = typeof CLEAN | typeof MISPLACED | typeof UNMOVABLE;

/**
 * Finds the pages of a range that are not on the nodes of a mask.
 * @returns the pages to move; -EFAULT for holes; -EIO for a misplaced page under STRICT alone.
 */
export function queuePages(
  k: Kernel,
  mm: AddressSpace,
  startVpn: number,
  endVpn: number,
  options: QueueOptions,
): QueuedPages | number {
  const { flags, allowsHoles } = options;
  const queue: Queue = { ...options, frames: new Set() };
  const vmas = mm.vmasIn(startVpn, endVpn);
  if (vmas.length === 0) return -EFAULT;
  let expected = startVpn;
  for (const [i, vma] of vmas.entries()) {
    const next = vmas[i + 1];
    if (!allowsHoles) {
      if (vma.startVpn > expected) return -EFAULT;
      if (vma.endVpn < endVpn && (next === undefined || next.startVpn > vma.endVpn)) return -EFAULT;
    }
    expected = vma.endVpn;
    if ((flags & MPOL_MF_VALID) === 0) continue;
    const start = Math.max(startVpn, vma.startVpn);
    const look = queueRange(k, mm, start, Math.min(endVpn, vma.endVpn), queue);
    if (look === MISPLACED) return -EIO;
    if (look === UNMOVABLE) return { frames: [...queue.frames], hasUnmovable: true };
  }
  return { frames: [...queue.frames], hasUnmovable: false };
}

/** Queues the misplaced pages of a part of one area, leaf by leaf. */
function queueRange(
  k: Kernel,
  mm: AddressSpace,
  startVpn: number,
  endVpn: number,
  queue: Queue,
): Look {
  const { pageTable } = mm;
  for (const [, pte] of pageTable.hugeIn(startVpn, endVpn)) {
    const look = lookAt(k, pteFrame(pte), queue);
    if (look !== CLEAN) return look;
  }
  for (const vpn of pageTable.tablesIn(startVpn, endVpn)) {
    const thp = pageTable.getThp(vpn);
    let worst: Look = CLEAN;
    if (thp !== PTE_NONE) worst = pteIsPage(thp) ? lookAt(k, pteFrame(thp), queue) : CLEAN;
    else {
      pageTable.walk(vpn, Math.min(endVpn, leafEnd(vpn)), (_vpn, pte) => {
        const look = pteIsPage(pte) ? lookAt(k, pteFrame(pte), queue) : CLEAN;
        if (look !== CLEAN) worst = look;
        return look !== MISPLACED;
      });
    }
    if (worst !== CLEAN) return worst;
  }
  return CLEAN;
}

function lookAt(k: Kernel, f: Frame, { nodes, flags, frames }: Queue): Look {
  if (nodes.has(k.allocator.nidOf(f)) || isZoneDevice(k, f)) return CLEAN;
  if ((flags & (MPOL_MF_MOVE | MPOL_MF_MOVE_ALL)) === 0) return MISPLACED;
  if (isClosedToUsers(k, k.allocator.nidOf(f))) return flags & MPOL_MF_STRICT ? UNMOVABLE : CLEAN;
  const head = k.thp.headOf(f);
  if (!(flags & MPOL_MF_MOVE_ALL) && k.thp.mapcount(head) !== 1) return CLEAN;
  if (head !== f || k.thp.isPart(f)) {
    if (frames.has(head)) return flags & MPOL_MF_STRICT ? UNMOVABLE : CLEAN;
  }
  frames.add(head);
  return CLEAN;
}
