// Pins: a driver keeps pages of a task for a device to read and write, for as long as it wants.
// Models   linux@v6.1 mm/gup.c: pin_user_pages, __gup_longterm_locked, __get_user_pages,
//          check_and_migrate_movable_pages, collect_longterm_unpinnable_pages,
//          migrate_longterm_unpinnable_pages, is_longterm_pinnable_page; kernel/exit.c as far as
//          the files of a task are closed.
// Omits    pins for reading only, pins of the zero page.
// Notes    Drivers differ in what they answer when they get fewer pages than they asked for; here
//          they do as io_uring does with fixed buffers. A pin of any part of a huge page holds
//          the whole, by its first frame. What a pin fails with that the page's node does not
//          allow, no source says; here it is what a file of a disk answers.
// Hooks    longtermPinFails (check_and_migrate_movable_pages).
// Holds    PIN2 a long-term pin holds no page of ZONE_MOVABLE. PIN3 a pin that fails leaves no page
//          pinned.
import { EFAULT, ENOMEM, ENXIO, EOPNOTSUPP } from '../base/errno.ts';
import type { Frame, NodeId } from '../base/ids.ts';
import { __GFP_HIGHMEM, __GFP_MOVABLE, __GFP_NOWARN, GFP_USER, ZONE_MOVABLE } from '../mm/gfp.ts';
import { FAULT, touchPages } from './fault.ts';
import { FileInode } from './file_inode.ts';
import { isHugeFrame } from './hugetlb_migrate.ts';
import type { Kernel } from './kernel.ts';
import { migrateFrames } from './migrate.ts';
import { migrateCoherentOut } from './migrate_device.ts';
import { pteFrame } from './page_table.ts';
import { allocOnNode } from './policy_alloc.ts';
import type { Task } from './task.ts';
import { thpTarget } from './thp_migrate.ts';
import { isZoneDevice } from './zone_device.ts';

/** Pages that one call pinned, until they are unpinned or the task is gone. */
export interface Pin {
  readonly task: Task;
  readonly startVpn: number;
  readonly nrPages: number;
  readonly isLongterm: boolean;
  /** One a page, in order; the first of a huge page stands for each of its pages. */
  readonly frames: readonly Frame[];
}

/**
 * Pins pages for writing (pin_user_pages with FOLL_WRITE): faults them in, breaks sharing after a
 * fork, and with `isLongterm` moves them out of memory that must stay movable.
 * @returns 0; -EBUSY when a page of coherent device memory cannot leave it; -EOPNOTSUPP for a
 *   long-term pin of a file of a disk, and where the design lets no page of a node be pinned for
 *   long; -EFAULT for a hole, and when only the first pages could be had; -ENOMEM when there was no
 *   page for the first, or no place to move one to.
 */
export function pinPages(
  k: Kernel,
  task: Task,
  startVpn: number,
  nrPages: number,
  isLongterm: boolean,
): number {
  if (nrPages === 0) return -EFAULT;
  const got = isLongterm
    ? longtermFrames(k, task, startVpn, nrPages)
    : framesOf(k, task, startVpn, nrPages, false);
  if (typeof got === 'number') return got;
  const { frames, error } = got;
  if (error !== 0) return frames.length === 0 ? error : -EFAULT;
  if (isLongterm && isOfDisk(task, startVpn, nrPages)) return -EOPNOTSUPP;
  for (const f of frames) k.mem.held.pin(f);
  k.pins.push({ task, startVpn, nrPages, isLongterm, frames });
  return 0;
}

/** Does an area of the range map a file of a disk? Its pages have been had, and moved, by then. */
const isOfDisk = (task: Task, startVpn: number, nrPages: number): boolean =>
  task.mm
    .vmasIn(startVpn, startVpn + nrPages)
    .some(({ file }) => file !== null && file.inode instanceof FileInode);

/** Takes back the last pin of exactly these pages. @returns 0; -ENXIO when there is none. */
export function unpinPages(k: Kernel, task: Task, startVpn: number, nrPages: number): number {
  const at = k.pins.findLastIndex(
    (pin) => pin.task === task && pin.startVpn === startVpn && pin.nrPages === nrPages,
  );
  if (at === -1) return -ENXIO;
  k.setCurrent(task);
  release(k, k.pins.splice(at, 1)[0] as Pin);
  return 0;
}

/** The files of a task that is gone are closed, and drivers let go what they pinned for it. */
export function dropPins(k: Kernel, task: Task): void {
  if (k.pins.length === 0) return;
  const own = k.pins.filter((pin) => pin.task === task);
  k.pins = k.pins.filter((pin) => pin.task !== task);
  for (const pin of own) release(k, pin);
}

function release(k: Kernel, { frames }: Pin): void {
  for (const f of frames) {
    if (!k.mem.held.unpin(f)) continue;
    if (k.thp.isPart(f)) k.thp.free(f);
    else if (isHugeFrame(k, f)) k.poolOf(f).release(f);
    else k.allocator.free(f);
  }
}

/** Pages that were had, and what stopped the rest: 0 for nothing, or a negative errno. */
interface Gotten {
  readonly frames: Frame[];
  readonly error: number;
}

/**
 * Faults a range in for writing (__get_user_pages). A huge page of a pool that may not stay where
 * it is ends it: a long-term pin does not come to move those (follow_hugetlb_page of 6.1).
 */
function framesOf(
  k: Kernel,
  task: Task,
  startVpn: number,
  nrPages: number,
  isLongterm: boolean,
): Gotten {
  const { done, fault } = touchPages(k, task, startVpn, nrPages, true, 'gup');
  const isShort = fault === FAULT.RETRY || fault === FAULT.KILLED;
  const error = isShort ? -ENOMEM : fault === FAULT.OK ? 0 : -EFAULT;
  const { pageTable } = task.mm;
  const frames: Frame[] = [];
  for (let vpn = startVpn; vpn < startVpn + done; vpn++) {
    const huge = pageTable.getHuge(vpn);
    const f = k.thp.headOf(pteFrame(huge === 0 ? pageTable.get(vpn) : huge));
    if (huge !== 0 && isLongterm && !isLongtermPinnable(k, f)) return { frames, error: -ENOMEM };
    frames.push(f);
  }
  return { frames, error };
}

/**
 * As framesOf, until none of the pages lies where it may not stay. What is faulted in meanwhile
 * comes from memory that need not be movable (PF_MEMALLOC_PIN).
 */
function longtermFrames(k: Kernel, task: Task, startVpn: number, nrPages: number): Gotten | number {
  const before = k.gfpContext;
  k.gfpContext = ~__GFP_MOVABLE;
  for (const pool of k.pools) pool.skipsMovable = true;
  try {
    for (;;) {
      const got = framesOf(k, task, startVpn, nrPages, true);
      if (got.frames.some((f) => fails(k, k.allocator.nidOf(f)))) return -EOPNOTSUPP;
      const toMove = [...new Set(got.frames.filter((f) => !isLongtermPinnable(k, f)))];
      if (toMove.length === 0 || !task.isAlive) return got;
      const coherent = toMove.filter((f) => isZoneDevice(k, f));
      if (coherent.length > 0) {
        const error = moveCoherentOut(k, task, coherent);
        if (error !== 0) return error;
        continue;
      }
      if (migrateFrames(k, toMove, targetOfPin(k, task), 'long-term pin') !== 0) return -ENOMEM;
    }
  } finally {
    for (const pool of k.pools) pool.skipsMovable = false;
    k.gfpContext = before;
  }
}

/** The first page of coherent device memory that cannot go ends it: -EBUSY. */
function moveCoherentOut(k: Kernel, task: Task, frames: readonly Frame[]): number {
  for (const f of frames) {
    const error = migrateCoherentOut(k, task, f);
    if (error !== 0) return error;
  }
  return 0;
}

const isMovable = (k: Kernel, f: Frame): boolean =>
  k.mem.zones.type[k.mem.buddy.zoneOf(f)] === ZONE_MOVABLE;

/** Nodes on which no page may be pinned for long, nor be moved away for it. */
const fails = (k: Kernel, nid: NodeId): boolean =>
  k.design.answers.longtermPinFails?.(nid, k.states) === true;

/** May a page stay where it is while it is pinned for long (is_longterm_pinnable_page)? */
const isLongtermPinnable = (k: Kernel, f: Frame): boolean =>
  !isMovable(k, f) && !isZoneDevice(k, f);

/**
 * A frame for a page that has to leave: by the list of its own node, so the same node where that
 * has other memory too, whatever the policy of its area says (alloc_migration_target).
 */
function targetOfPin(k: Kernel, task: Task) {
  return (old: Frame): Frame | undefined => {
    const nid = k.allocator.nidOf(old);
    const gfp = GFP_USER | __GFP_NOWARN | (isMovable(k, old) ? __GFP_HIGHMEM : 0);
    return k.thp.isPart(old)
      ? thpTarget(k, task, gfp, nid, 'long-term pin', null)
      : allocOnNode(k, task, gfp, nid, 'migration target', 'long-term pin', null);
  };
}
