// Mapping and unmapping memory, and advice about it.
// Models   linux@v6.1 mm/mmap.c: do_mmap, __vm_munmap; mm/memory.c: zap_pte_range, free_pgtables;
//          mm/madvise.c: do_madvise, madvise_dontneed_free, madvise_remove, madvise_populate;
//          get_unmapped_area; ipc/shm.c: do_shmat; fs/hugetlbfs/inode.c: hugetlbfs_file_mmap.
// Omits    mremap, mprotect (SPEC DEV-5).
import { NotModelled } from '../base/assert.ts';
import { EACCES, EFAULT, EHWPOISON, EINVAL, ENOMEM } from '../base/errno.ts';
import type { Arch } from '../machine/machine.ts';
import { KIND_ANON } from '../mm/memmap.ts';
import type { Vma } from './address_space.ts';
import { adviceOnDevice, isOfDevice, releaseBuffer } from './device_file.ts';
import { FAULT, touchPages } from './fault.ts';
import { mayPunch, punchFile, releaseFile } from './file_calls.ts';
import type { FileArea } from './file_fault.ts';
import {
  closeArea,
  dropInode,
  type HugeArea,
  type HugeVma,
  hugeIndex,
  isHuge,
  punchHole,
  reserve,
} from './hugetlb_area.ts';
import { zapHuge } from './hugetlb_fault.ts';
import type { Kernel } from './kernel.ts';
import { unlockUnlessOthers } from './lru_track.ts';
import { areasOf, freeObjectPages } from './page_cache.ts';
import { anyFrameOf, PTE_NONE, pteIsSwap, pteIsWritable, pteSlot } from './page_table.ts';
import { coldOrPageout, giveUp } from './reclaim.ts';
import type { ShmemObject } from './shmem.ts';
import { dropPage, dropSlot } from './swap_fault.ts';
import type { Task } from './task.ts';
import { hasRoomForThp, type ThpAdvice } from './thp.ts';
import { collapseRange } from './thp_collapse.ts';
import { zapThps } from './thp_fault.ts';
import { splitFreed } from './thp_split.ts';

export interface MmapRequest {
  readonly startVpn: number;
  readonly nrPages: number;
  /** The object behind a shared mapping; null for private anonymous memory and huge pages. */
  readonly object: ShmemObject | null;
  /** For huge pages: their file, and how it is mapped. Places and lengths are whole huge pages. */
  readonly huge?: Pick<HugeArea, 'inode' | 'isShared' | 'hasNoReserve'> | undefined;
  /** For a private mapping of a file, or one of a disk's. */
  readonly file?: FileArea | undefined;
  /** Page of the object or file that comes first, 0 when left out. */
  readonly filePage?: number | undefined;
  readonly isLocked: boolean;
  readonly populates: boolean;
}

/**
 * Bytes of addresses that a program has: 47 bits on x86_64, less a guard page, and by default on
 * ppc64 (DEFAULT_MAP_WINDOW); 48 on arm64.
 */
const TASK_SIZE_BYTES: Readonly<Record<Arch, number>> = {
  x86_64: 2 ** 47 - 4096,
  ppc64: 2 ** 47,
  arm64: 2 ** 48,
};

/** The frame table keeps page numbers in 31 bits (mm/memmap.ts, index). */
const MAX_VPN = 2 ** 31;

/** Have the addresses of a program room for so many more pages (get_unmapped_area)? */
export function hasAddresses(k: Kernel, task: Task, nrPages: number): boolean {
  const most = TASK_SIZE_BYTES[k.machine.arch] / k.mem.pageBytes;
  return nrPages + task.mm.vmas.reduce((n, vma) => n + vma.endVpn - vma.startVpn, 0) <= most;
}

/**
 * Maps memory at a fixed place; what was mapped there is gone (MAP_FIXED).
 * @returns 0; -ENOMEM when huge pages cannot be promised.
 * @throws NotModelled for page numbers of 2^31 and more.
 */
export function mmap(k: Kernel, task: Task, request: MmapRequest): number {
  const { startVpn, nrPages, object } = request;
  const locks = task.mm.locksFuture;
  const file = request.file ?? null;
  if (startVpn + nrPages > MAX_VPN) throw new NotModelled(`addresses above page ${MAX_VPN}`);
  munmap(k, task, startVpn, nrPages);
  const huge = request.huge === undefined ? null : { ...request.huge, used: null, isRobbed: false };
  if (huge !== null && !reserve(k, task, huge, 0, nrPages / huge.inode.nrSmall)) {
    dropInode(k, huge.inode);
    return -ENOMEM;
  }
  task.mm.insert({
    startVpn,
    endVpn: startVpn + nrPages,
    pgoff: object === null && huge === null && file === null ? startVpn : (request.filePage ?? 0),
    object,
    file,
    huge,
    policy: null,
    isLocked: huge === null && (request.isLocked || locks !== undefined),
    isLockedOnFault: huge === null && !request.isLocked && locks === 'on fault',
    wipesOnFork: false,
    isKeptFromChild: false,
    thp: 'none',
    isMergeable: false,
    isMarked: false,
    hasAnonVma: false,
  });
  const isFilled = request.populates || request.isLocked || locks === 'at once';
  if (isFilled) touchPages(k, task, startVpn, nrPages, true, 'gup');
  return 0;
}

/**
 * Unmaps [startVpn, startVpn + nrPages) and frees table pages that serve nothing any more.
 * @returns 0; -EINVAL for no pages, and for an edge within a huge page.
 */
export function munmap(k: Kernel, task: Task, startVpn: number, nrPages: number): number {
  const { mm } = task;
  if (nrPages === 0) return -EINVAL;
  const endVpn = startVpn + nrPages;
  if (cutsHugePage(task, startVpn) || cutsHugePage(task, endVpn)) return -EINVAL;
  const removed = mm.remove(startVpn, endVpn);
  if (removed.length === 0) return 0;
  for (const vma of removed) zapPages(k, task, vma, vma.startVpn, vma.endVpn);
  for (const vma of removed) {
    if (isHuge(vma)) closeArea(k, vma);
    else releaseArea(k, vma);
  }
  const after = mm.findVma(startVpn);
  const before = mm.vmas.filter((v) => v.endVpn <= startVpn).at(-1);
  k.setCurrent(task);
  mm.pageTable.freeTables(before?.endVpn ?? 0, after?.startVpn ?? Number.POSITIVE_INFINITY, (f) =>
    k.allocator.free(f),
  );
  return 0;
}

/** Would an area be split within a huge page (hugetlb_vm_op_split)? */
function cutsHugePage(task: Task, vpn: number): boolean {
  const vma = task.mm.lookup(vpn);
  return vma !== undefined && isHuge(vma) && vpn % vma.huge.inode.nrSmall !== 0;
}

/** A mapping of an object is gone; with the last one, an object that is not a segment goes too. */
export function releaseMapping(k: Kernel, object: ShmemObject | null): void {
  if (object === null) return;
  if (object.isSegment || object.isNamed || isMapped(k, object)) return;
  freeObjectPages(k, object, 0, object.nrPages);
  k.objects.delete(object.id);
}

const isMapped = (k: Kernel, object: ShmemObject): boolean => !areasOf(k, object).next().done;

/** An area is gone: what it mapped may have no user any more. */
export function releaseArea(k: Kernel, vma: Vma): void {
  if (isOfDevice(vma)) releaseBuffer(k, vma.buffer);
  else if (vma.file !== null) releaseFile(k, vma.file.inode);
  else releaseMapping(k, vma.object);
}

/**
 * Clears the entries of [startVpn, endVpn) in an area; private pages that nobody maps any more are
 * freed.
 */
export function zapPages(k: Kernel, task: Task, vma: Vma, startVpn: number, endVpn: number): void {
  const { pageTable } = task.mm;
  const { map } = k.mem;
  k.setCurrent(task);
  if (isHuge(vma)) {
    zapHuge(k, task, vma, startVpn, endVpn);
    return;
  }
  zapThps(k, task.mm, startVpn, endVpn);
  pageTable.walk(startVpn, endVpn, (vpn, pte) => {
    pageTable.set(vpn, PTE_NONE);
    if (pteIsSwap(pte)) dropSlot(k, pteSlot(pte));
    const f = anyFrameOf(pte);
    if (f === -1 || isOfDevice(vma)) return;
    if (vma.object !== null && pteIsWritable(pte)) {
      vma.object.noteUse(vma.pgoff + vpn - vma.startVpn, true);
    }
    if (k.thp.isPart(f)) {
      k.thp.removeSmallMap(f);
      return;
    }
    const isLast = map.removeMap(f) === 0;
    if (isLast && map.kind[f] === KIND_ANON) dropPage(k, f);
    else if (vma.isLocked) unlockUnlessOthers(k, f);
  });
}

/**
 * Visits the areas of a range; holes make the result -ENOMEM but do not stop the walk
 * (madvise_walk_vmas).
 */
function walkVmas(
  task: Task,
  startVpn: number,
  endVpn: number,
  visit: (vma: Vma, start: number, end: number) => number,
): number {
  let unmapped = 0;
  let vpn = startVpn;
  while (vpn < endVpn) {
    const vma = task.mm.findVma(vpn);
    if (vma === undefined) return -ENOMEM;
    if (vma.startVpn > vpn) {
      unmapped = -ENOMEM;
      vpn = vma.startVpn;
      if (vpn >= endVpn) break;
    }
    const end = Math.min(vma.endVpn, endVpn);
    const error = visit(vma, vpn, end);
    if (error !== 0) return error;
    vpn = end;
  }
  return unmapped;
}

/** Lets areas of a range be merged with equal pages, or takes that back (ksm_madvise). */
const adviseKsm = (k: Kernel, task: Task, start: number, end: number, isOn: boolean): number =>
  walkVmas(task, start, end, (vma, from, to) => {
    if (!isOn) return k.ksm.forbid(task, vma, from, to);
    k.ksm.allow(task.mm, vma, from, to);
    return 0;
  });

/**
 * madvise over [startVpn, startVpn + nrPages).
 * @returns 0; -EINVAL for advice that does not fit the area; -ENOMEM for holes.
 */
export function madvise(
  k: Kernel,
  task: Task,
  startVpn: number,
  nrPages: number,
  advice: string,
): number {
  const endVpn = startVpn + nrPages;
  if (nrPages === 0) return 0;
  if (k.buffers.size > 0 && task.mm.vmasIn(startVpn, endVpn).some(isOfDevice)) {
    return adviseDevice(k, task, startVpn, endVpn, advice);
  }
  if (advice === 'collapse') {
    return walkVmas(task, startVpn, endVpn, (...part) => collapseRange(k, task, ...part));
  }
  switch (advice) {
    case 'dontneed':
    case 'dontneed_locked':
      return walkVmas(task, startVpn, endVpn, (vma, start, end) => {
        if (vma.isLocked && advice === 'dontneed') return -EINVAL;
        zapPages(k, task, vma, start, end);
        return 0;
      });
    case 'free':
      return walkVmas(task, startVpn, endVpn, (...part) => freeLazily(k, task, ...part));
    case 'hugepage':
    case 'nohugepage':
      return walkVmas(task, startVpn, endVpn, (...part) => adviseThp(k, task, ...part, advice));
    case 'cold':
    case 'pageout':
      return walkVmas(task, startVpn, endVpn, (vma, start, end) =>
        coldOrPageout(k, task, vma, start, end, advice === 'pageout'),
      );
    case 'remove':
      return walkVmas(task, startVpn, endVpn, (vma, start, end) => {
        if (isHuge(vma)) return removeHuge(k, vma, start, end);
        const inode = vma.object ?? vma.file?.inode;
        if (vma.isLocked || inode === undefined) return -EINVAL;
        const refused = vma.file === null ? 0 : mayPunch(vma.file.isShared, vma.file.isWritable);
        if (refused !== 0) return refused;
        const first = vma.pgoff + (start - vma.startVpn);
        punchFile(k, inode, first, first + (end - start));
        return 0;
      });
    case 'wipeonfork':
      return walkVmas(task, startVpn, endVpn, (...part) => wipeOnFork(task, ...part));
    case 'dontfork':
      return walkVmas(task, startVpn, endVpn, (vma, start, end) => {
        if (vma.isKeptFromChild) return 0;
        task.mm.change(start, end, (v) => {
          v.isKeptFromChild = true;
        });
        return 0;
      });
    case 'mergeable':
    case 'unmergeable':
      return adviseKsm(k, task, startVpn, endVpn, advice === 'mergeable');
    case 'populate_read':
    case 'populate_write':
      return walkVmas(task, startVpn, endVpn, (vma, start, end) => {
        if (advice === 'populate_write' && vma.file?.isWritable === false) return -EINVAL;
        const fault = populate(k, task, start, end - start, advice === 'populate_write');
        if (fault === FAULT.SIGBUS) return -EFAULT;
        if (fault === FAULT.HWPOISON) return -EHWPOISON;
        return fault === FAULT.OK ? 0 : -ENOMEM;
      });
    default:
      throw new NotModelled(`madvise ${advice}`);
  }
}

/** Advice for a range in which some area maps a device's file: area by area. */
function adviseDevice(k: Kernel, task: Task, start: number, end: number, advice: string): number {
  return walkVmas(task, start, end, (vma, from, to) => {
    const answer = isOfDevice(vma) ? adviceOnDevice(advice) : undefined;
    if (answer !== undefined) return answer;
    if (!isOfDevice(vma)) return madvise(k, task, from, to - from, advice);
    task.mm.change(from, to, (v) => {
      if (advice === 'dontfork') v.isKeptFromChild = true;
      else v.thp = advice as ThpAdvice;
    });
    return 0;
  });
}

/** MADV_WIPEONFORK on a part of an area. */
function wipeOnFork(task: Task, vma: Vma, start: number, end: number): number {
  if (vma.object !== null || vma.file !== null || isHuge(vma)) return -EINVAL;
  if (vma.wipesOnFork) return 0;
  task.mm.change(start, end, (v) => {
    v.wipesOnFork = true;
  });
  return 0;
}

/** MADV_FREE on a part of an area. */
function freeLazily(k: Kernel, task: Task, vma: Vma, start: number, end: number): number {
  if (vma.isLocked || vma.object !== null || vma.file !== null || isHuge(vma)) return -EINVAL;
  splitFreed(k, task.mm, start, end);
  giveUp(k, task, start, end);
  return 0;
}

/** Notes whether an area is to have transparent huge pages (hugepage_madvise). */
function adviseThp(
  k: Kernel,
  task: Task,
  vma: Vma,
  start: number,
  end: number,
  advice: ThpAdvice,
): number {
  if (vma.thp === advice) return 0;
  if (cutsHugePage(task, start) || cutsHugePage(task, end)) return -EINVAL;
  task.mm.change(start, end, (v) => {
    v.thp = advice;
  });
  const isWanted = vma.hasAnonVma && hasRoomForThp(vma) && k.thp.allows({ ...vma, thp: advice });
  if (isWanted) k.khugepaged.enter(task.mm.id);
  return 0;
}

const populate = (k: Kernel, task: Task, startVpn: number, nrPages: number, isWrite: boolean) =>
  touchPages(k, task, startVpn, nrPages, isWrite, 'gup').fault;

/** Pages of a private mapping of a file stay in the file (madvise_remove). */
function removeHuge(k: Kernel, vma: HugeVma, start: number, end: number): number {
  if (!vma.huge.isShared) return -EACCES;
  punchHole(k, vma.huge.inode, hugeIndex(vma, start), hugeIndex(vma, end));
  return 0;
}
