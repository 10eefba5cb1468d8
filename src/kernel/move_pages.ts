// The system calls that move pages, or say where they are.
// Models   linux@v6.1 mm/migrate.c: kernel_move_pages, do_pages_move, do_pages_stat,
//          add_page_for_migration, move_pages_and_store_status; mm/mempolicy.c:
//          kernel_migrate_pages; mm/gup.c: follow_page with FOLL_DUMP.
// Omits    permission checks: programs run as root.
import { EACCES, EBUSY, EFAULT, EINVAL, ENODEV, ENOENT, ESRCH } from '../base/errno.ts';
import type { Frame, NodeId } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import { isMergedFrame } from '../mm/memmap.ts';
import { isOfDevice } from './device_file.ts';
import { isHuge } from './hugetlb_area.ts';
import type { Kernel } from './kernel.ts';
import { type MaskArg, MPOL_MF_MOVE, MPOL_MF_MOVE_ALL, readMask } from './mempolicy_calls.ts';
import { migrateBetweenNodes, migrateFrames, targetOn } from './migrate.ts';
import { PTE_NONE, pteFrame, pteIsPage, pteIsSpecial } from './page_table.ts';
import { isClosedToUsers, userPrivateNodes } from './private_nodes.ts';
import type { Task } from './task.ts';
import { isZoneDevice } from './zone_device.ts';

/**
 * The frame behind an address as move_pages sees it; of a huge page the first.
 * @returns the frame; -EFAULT for no mapping, memory of a device's file, the zero page and
 *   untouched private memory; -ENOENT for pages of a shared mapping and huge pages that are not
 *   mapped here, pages in a swap area, and pages of device memory.
 */
export function followPage(k: Kernel, task: Task, vpn: number): Frame | number {
  const vma = task.mm.lookup(vpn);
  if (vma === undefined || isOfDevice(vma)) return -EFAULT;
  if (isHuge(vma)) {
    const pte = task.mm.pageTable.getHuge(vpn);
    return pteIsPage(pte) ? pteFrame(pte) : -ENOENT;
  }
  const pte = task.mm.pageTable.get(vpn);
  if (pteIsPage(pte)) return isZoneDevice(k, pteFrame(pte)) ? -ENOENT : pteFrame(pte);
  return vma.object === null && vma.file === null && !pteIsSpecial(pte) ? -EFAULT : -ENOENT;
}

/** Node of each page, or a negative errno (move_pages without nodes). */
export function pageNodes(k: Kernel, task: Task, startVpn: number, nrPages: number): Int32Array {
  const nodes = new Int32Array(nrPages).fill(-EFAULT);
  const endVpn = startVpn + nrPages;
  for (const vma of task.mm.vmasIn(startVpn, endVpn)) {
    if (isOfDevice(vma)) continue;
    const start = Math.max(startVpn, vma.startVpn);
    const end = Math.min(endVpn, vma.endVpn);
    if (vma.object !== null || vma.file !== null || isHuge(vma))
      nodes.fill(-ENOENT, start - startVpn, end - startVpn);
    for (const [vpn, pte] of task.mm.pageTable.hugeIn(start, end)) {
      const first = Math.max(vpn, start) - startVpn;
      const f = pteFrame(pte);
      const last = Math.min(vpn + k.poolOf(f).nrSmall, end) - startVpn;
      nodes.fill(k.allocator.nidOf(f), first, last);
    }
    const entries = task.mm.pageTable.entriesIn(start, end);
    for (let i = 0; i < entries.length; i++) {
      const pte = entries[i] as number;
      if (pte === PTE_NONE) continue;
      const at = start - startVpn + i;
      if (pteIsPage(pte)) {
        const f = pteFrame(pte);
        nodes[at] = isZoneDevice(k, f) ? -ENOENT : k.allocator.nidOf(f);
      } else if (pteIsSpecial(pte)) nodes[at] = -ENOENT;
    }
  }
  return nodes;
}

export interface MovePagesRequest {
  readonly startVpn: number;
  /** Addresses given to the call. */
  readonly nrPages: number;
  /** Small pages from one address to the next. */
  readonly stepPages?: number | undefined;
  /** Used in turn. */
  readonly nodes: readonly number[];
  readonly flags: number;
}

/** Status of a page that the call did not get to. */
export const UNSET = undefined;

export interface MovePagesResult {
  /** 0, the number of pages that did not move, -EINVAL, -ENODEV, -EACCES, -ESRCH or -ENOMEM. */
  readonly ret: number;
  /** By page: node, negative errno, or undefined where the call wrote nothing. */
  readonly status: readonly (number | undefined)[];
}

/**
 * move_pages with target nodes. @param owner whose pages; undefined when there is no such process.
 */
export function movePages(
  k: Kernel,
  task: Task,
  owner: Task | undefined,
  request: MovePagesRequest,
): MovePagesResult {
  const { startVpn, nrPages, nodes, flags } = request;
  const step = request.stepPages ?? 1;
  const status: (number | undefined)[] = new Array(nrPages).fill(UNSET);
  if (flags & ~(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL)) return { ret: -EINVAL, status };
  if (owner === undefined) return { ret: -ESRCH, status };
  const allowed = owner.cpuset.effectiveMems;
  let batch: Frame[] = [];
  let batchNode: NodeId | undefined;
  let batchStart = 0;

  /**
   * Moves what is queued; the statuses from its start to `end` become the node. When something
   * holds pages, nothing more is tried, and the answer is how many did not move, all those from
   * `end` on among them.
   */
  const flush = (end: number): number => {
    if (batchNode === undefined) return 0;
    const failed = migrateFrames(k, batch, targetOn(k, task, batchNode), 'move_pages');
    batch = [];
    if (failed !== 0) return failed < 0 ? failed : failed + nrPages - end;
    for (let i = batchStart; i < end; i++) status[i] = batchNode;
    return 0;
  };

  for (let i = 0; i < nrPages; i++) {
    const node = nodes[i % nodes.length] as NodeId;
    let error = 0;
    if (node < 0 || node >= k.maxNodes || !k.states.anyMemory.has(node)) error = -ENODEV;
    else if (k.states.privateMemory.has(node)) error = isClosedToUsers(k, node) ? -ENODEV : 0;
    else if (!allowed.has(node)) error = -EACCES;
    if (error !== 0) {
      flush(i);
      return { ret: error, status };
    }
    if (batchNode === undefined) {
      batchNode = node;
      batchStart = i;
    } else if (node !== batchNode) {
      const failed = flush(i);
      if (failed !== 0) return { ret: failed, status };
      batchStart = i;
      batchNode = node;
    }
    const all = (flags & MPOL_MF_MOVE_ALL) !== 0;
    const got = addPage(k, owner, startVpn + i * step, node, all, batch);
    if (typeof got !== 'number') {
      batch.push(got.frame);
      continue;
    }
    status[i] = got === 0 ? node : got;
    const failed = flush(i);
    if (failed !== 0) return { ret: failed < 0 ? failed : failed - 1, status };
    batchNode = undefined;
  }
  return { ret: flush(nrPages), status };
}

/**
 * Queues a page for a node: the frame to move, 0 when it is there already, or a negative errno:
 * -ENOENT too for a page on private memory that programs may take none off. A huge page is queued
 * whole; -EBUSY for a page of one that is queued already, and for a merged page that is
 * (isolate_lru_page).
 */
function addPage(
  k: Kernel,
  owner: Task,
  vpn: number,
  node: NodeId,
  all: boolean,
  queued: readonly Frame[],
): { frame: Frame } | number {
  const f = followPage(k, owner, vpn);
  if (f < 0) return f;
  const at = k.allocator.nidOf(f);
  if (at === node) return 0;
  if (isClosedToUsers(k, at)) return -ENOENT;
  if (k.thp.mapcount(f) > 1 && !all) return -EACCES;
  const frame = k.thp.headOf(f as Frame);
  if (k.thp.isPart(f) && queued.at(-1) === frame) return -EBUSY;
  if (isMergedFrame(k.mem.map, frame) && queued.includes(frame)) return -EBUSY;
  return { frame };
}

/**
 * migrate_pages. Returns 0, the number of pages that something held, -EINVAL, -EFAULT, -ESRCH or
 * -ENOMEM.
 */
export function migratePages(
  k: Kernel,
  task: Task,
  owner: Task | undefined,
  from: MaskArg,
  to: MaskArg,
): number {
  const old = readMask(k, from);
  if (typeof old === 'number') return old;
  const fresh = readMask(k, to);
  if (typeof fresh === 'number') return fresh;
  if (owner === undefined) return -ESRCH;
  const target = fresh.and(task.cpuset.effectiveMems.or(userPrivateNodes(k)));
  if (target.isEmpty()) return -EINVAL;
  const source = Nodemask.from(old.toArray().filter((nid) => !isClosedToUsers(k, nid)));
  return migrateBetweenNodes(k, task, owner.mm, source, target, true, 'migrate_pages');
}
