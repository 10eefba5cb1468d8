// Locking memory: areas whose pages stay where reclaim does not look.
// Models   linux@v6.1 mm/mlock.c: do_mlock, apply_vma_lock_flags, apply_mlockall_flags,
//          mlock_fixup, mlock_pte_range, munlock_folio; mm/rmap.c: munlock_vma_page.
// Omits    RLIMIT_MEMLOCK: programs run as root (CAP_IPC_LOCK).
// Holds    LCK1 with pages on lists, a page is unevictable exactly while a locked area maps it.
import { EAGAIN, EINVAL, ENOMEM } from '../base/errno.ts';
import type { LockMode, Vma } from './address_space.ts';
import { isOfDevice } from './device_file.ts';
import { FAULT, touchPages } from './fault.ts';
import { isHuge } from './hugetlb_area.ts';
import type { Kernel } from './kernel.ts';
import { mlockPage, unlockThpUnlessOthers, unlockUnlessOthers } from './lru_track.ts';
import { pteFrame, pteIsPage } from './page_table.ts';
import type { Task } from './task.ts';

/**
 * mlock, or mlock2 with MLOCK_ONFAULT: marks the areas, then faults every page in unless that is to
 * wait for a touch. Returns 0, -ENOMEM for holes, -EAGAIN.
 */
export function mlock(
  k: Kernel,
  task: Task,
  startVpn: number,
  nrPages: number,
  mode: LockMode = 'at once',
): number {
  const error = setLocked(k, task, startVpn, nrPages, mode);
  if (error !== 0 || mode === 'on fault') return error;
  for (const vma of task.mm.vmasIn(startVpn, startVpn + nrPages)) {
    const start = Math.max(vma.startVpn, startVpn);
    const end = Math.min(vma.endVpn, startVpn + nrPages);
    const fault = faultIn(k, task, vma, start, end);
    if (fault === FAULT.SIGBUS || fault === FAULT.HWPOISON) return -ENOMEM;
    if (fault !== FAULT.OK) return -EAGAIN;
  }
  return 0;
}

function faultIn(k: Kernel, task: Task, vma: Vma, start: number, end: number) {
  if (isOfDevice(vma)) return FAULT.OK;
  return touchPages(k, task, start, end - start, writesToLock(vma), 'gup').fault;
}

/** Pages of writable private areas are written to, so that they need no copy later. */
const writesToLock = (vma: Vma): boolean =>
  vma.object === null &&
  vma.huge?.isShared !== true &&
  (vma.file === null || (!vma.file.isShared && vma.file.isWritable));

export function munlock(k: Kernel, task: Task, startVpn: number, nrPages: number): number {
  return setLocked(k, task, startVpn, nrPages, undefined);
}

/**
 * mlockall: with `current` locks all areas there are, with `future` those to come.
 * @returns 0; -EINVAL when neither is asked for.
 */
export function mlockall(
  k: Kernel,
  task: Task,
  which: { readonly current: boolean; readonly future: boolean },
  mode: LockMode,
): number {
  if (!which.current && !which.future) return -EINVAL;
  const { mm } = task;
  mm.locksFuture = which.future ? mode : undefined;
  if (!which.current) return 0;
  for (const vma of [...mm.vmas]) setLocked(k, task, vma.startVpn, vma.endVpn - vma.startVpn, mode);
  if (mode === 'on fault') return 0;
  for (const vma of [...mm.vmas]) faultIn(k, task, vma, vma.startVpn, vma.endVpn);
  return 0;
}

/** munlockall: nothing is locked any more, nor will be. */
export function munlockall(k: Kernel, task: Task): number {
  const { mm } = task;
  mm.locksFuture = undefined;
  for (const vma of [...mm.vmas]) {
    setLocked(k, task, vma.startVpn, vma.endVpn - vma.startVpn, undefined);
  }
  return 0;
}

/** Marks areas in order up to the first hole, which is -ENOMEM. */
function setLocked(
  k: Kernel,
  task: Task,
  startVpn: number,
  nrPages: number,
  mode: LockMode | undefined,
): number {
  const endVpn = startVpn + nrPages;
  let vpn = startVpn;
  while (vpn < endVpn) {
    const vma = task.mm.lookup(vpn);
    if (vma === undefined) return -ENOMEM;
    const end = Math.min(vma.endVpn, endVpn);
    const wasLocked = vma.isLocked;
    const isLocked = mode !== undefined && !isHuge(vma) && !isOfDevice(vma);
    const onFault = isLocked && mode === 'on fault';
    if (wasLocked !== isLocked || vma.isLockedOnFault !== onFault) {
      task.mm.change(vpn, end, (v) => {
        v.isLocked = isLocked;
        v.isLockedOnFault = onFault;
      });
    }
    if (wasLocked !== isLocked) markPages(k, task, vpn, end, isLocked);
    vpn = end;
  }
  return 0;
}

/** The pages that are there already follow their area (mlock_pte_range). */
function markPages(
  k: Kernel,
  task: Task,
  startVpn: number,
  endVpn: number,
  isLocked: boolean,
): void {
  const { lru } = k.mem;
  if (!lru.isTracking) return;
  const { pageTable } = task.mm;
  for (const [, pte] of pageTable.thpsIn(startVpn, endVpn)) {
    if (!pteIsPage(pte)) continue;
    if (isLocked) mlockPage(lru, pteFrame(pte));
    else unlockThpUnlessOthers(k, pteFrame(pte));
  }
  pageTable.walk(startVpn, endVpn, (_vpn, pte) => {
    // Small pages of a huge one are left alone.
    if (!pteIsPage(pte) || k.thp.isPart(pteFrame(pte))) return;
    if (isLocked) mlockPage(lru, pteFrame(pte));
    else unlockUnlessOthers(k, pteFrame(pte));
  });
}
