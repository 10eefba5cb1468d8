// Page faults: what a touch of a page does to page tables, and which page it gets.
// Models   linux@v6.1 mm/memory.c: handle_mm_fault, do_anonymous_page, do_wp_page, wp_page_copy,
//          do_read_fault, do_fault_around, do_shared_fault, __pmd_alloc, __pte_alloc;
//          mm/filemap.c: filemap_map_pages; mm/shmem.c: shmem_fault.
// Omits    userfaultfd.
// Holds    FLT1 table pages are allocated before the page, from the top level down. FLT2 a private
//          page is written in place by its only owner and copied by others. FLT3 a run of faults
//          handled at once gets what the same faults one after another would get.
import type { Frame, NodeId } from '../base/ids.ts';
import { GFP_ANON_FAULT, GFP_HIGHUSER_MOVABLE, GFP_PGTABLE_USER } from '../mm/gfp.ts';
import { FAILURE, MAX_RUN } from '../mm/internal.ts';
import { isMergedFrame, KIND_ANON, KIND_PAGE_TABLE, KIND_SHMEM } from '../mm/memmap.ts';
import { PGFAULT } from '../mm/vmstat.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import type { Vma } from './address_space.ts';
import type { Contents } from './contents.ts';
import { type DeviceVma, isOfDevice } from './device_file.ts';
import { faultFile, isOfFile, policyObject, writeToFilePage } from './file_fault.ts';
import { isHuge } from './hugetlb_area.ts';
import { touchHuge } from './hugetlb_fault.ts';
import type { Kernel } from './kernel.ts';
import { joinLru, joinLruRun, markUsed, mlockPage, unlockUnlessOthers } from './lru_track.ts';
import { migrateToRam } from './migrate_device.ts';
import { numaFault } from './numa_fault.ts';
import {
  anyFrameOf,
  type Leaf,
  makePte,
  type PageTable,
  PTE_NONE,
  PTE_POISON,
  PTE_SPECIAL,
  PTE_ZERO_PAGE,
  PTRS_PER_LEAF,
  pteDeviceFrame,
  pteFrame,
  pteIsDevice,
  pteIsPage,
  pteIsSwap,
  pteIsWritable,
} from './page_table.ts';
import {
  allocPages,
  allocUserPages,
  type FoundPolicy,
  isTaskInterleaving,
  taskPolicy,
} from './policy_alloc.ts';
import type { ShmemObject } from './shmem.ts';
import { dropPage, isSharedWithSlot, swapIn, swapInShared } from './swap_fault.ts';
import type { Task } from './task.ts';
import { touchThp } from './thp_fault.ts';

export const FAULT = {
  OK: 0,
  /** Nothing is mapped there. */
  SIGSEGV: 1,
  /** VM_FAULT_OOM: an allocation failed without an OOM kill. A CPU would retry for ever. */
  RETRY: 2,
  /** The OOM killer took the task itself. */
  KILLED: 3,
  /** No huge page: the task gets the signal and lives on. */
  SIGBUS: 4,
  /** The memory of the page is broken: likewise (VM_FAULT_HWPOISON). */
  HWPOISON: 5,
} as const;
export type Fault = (typeof FAULT)[keyof typeof FAULT];

/** How a run of faults reports: pages done below, the fault that stopped it above. */
const RUN_FAULT_SHIFT = 16;
const RUN_DONE = (1 << RUN_FAULT_SHIFT) - 1;

/** /sys/kernel/debug/fault_around_bytes: 64 KiB. */
const FAULT_AROUND_BYTES = 65536;

/** Who meets the fault: a CPU retries it, get_user_pages (mlock, populate) gives up with ENOMEM. */
export type FaultBy = 'cpu' | 'gup';

export interface FaultRun {
  /** Pages done before something stopped the run. */
  readonly done: number;
  readonly fault: Fault;
}

/**
 * The policy for a page of an area: the object's or the area's, else the task's (get_vma_policy).
 */
export function policyOfPage(task: Task, vma: Vma, vpn: number): FoundPolicy {
  const object = vma.object ?? policyObject(vma);
  if (object !== null) {
    const shared = object.policyAt(vma.pgoff + (vpn - vma.startVpn));
    return shared === null ? taskPolicy(task) : { policy: shared, from: 'shared object' };
  }
  return vma.policy === null ? taskPolicy(task) : { policy: vma.policy, from: 'area' };
}

/**
 * Touches pages [startVpn, startVpn + nrPages) in order, writing or reading one byte in each.
 * Stops at the first page that cannot be had.
 */
export function touchPages(
  k: Kernel,
  task: Task,
  startVpn: number,
  nrPages: number,
  isWrite: boolean,
  by: FaultBy = 'cpu',
): FaultRun {
  const endVpn = startVpn + nrPages;
  let vpn = startVpn;
  while (vpn < endVpn) {
    const vma = task.mm.lookup(vpn);
    if (vma === undefined) return { done: vpn - startVpn, fault: FAULT.SIGSEGV };
    const leafEnd = (Math.floor(vpn / PTRS_PER_LEAF) + 1) * PTRS_PER_LEAF;
    const end = Math.min(endVpn, vma.endVpn, leafEnd);
    const run = isOfDevice(vma)
      ? touchBuffer(vma, vpn, Math.min(endVpn, vma.endVpn), by)
      : isHuge(vma)
        ? touchHuge(k, task, vma, vpn, Math.min(endVpn, vma.endVpn), isWrite, by)
        : ((k.thp.isInUse ? touchThp(k, task, vma, vpn, end, isWrite, by) : undefined) ??
          touchInLeaf(k, task, vma, vpn, end, isWrite, by));
    if (k.allocator.watch !== null && by === 'cpu') noteUse(k, task, vpn, run.done, isWrite);
    vpn += run.done;
    if (run.fault !== FAULT.OK) return { done: vpn - startVpn, fault: run.fault };
  }
  return { done: nrPages, fault: FAULT.OK };
}

/** Tells caches of devices which frames were read or written. */
function noteUse(k: Kernel, task: Task, startVpn: number, nrPages: number, isWrite: boolean): void {
  task.mm.pageTable.walk(startVpn, startVpn + nrPages, (_vpn, pte) => {
    const f = anyFrameOf(pte);
    if (f !== -1) k.allocator.watch?.used(f as Frame, isWrite);
  });
}

/** Entries are there for good; get_user_pages does not look at what has no pages. */
function touchBuffer({ buffer }: DeviceVma, vpn: number, endVpn: number, by: FaultBy): FaultRun {
  if (by === 'gup') return { done: 0, fault: FAULT.SIGSEGV };
  if (!buffer.isForCpus || buffer.isLost) return { done: 0, fault: FAULT.SIGBUS };
  return { done: endVpn - vpn, fault: FAULT.OK };
}

/** Pages of one area under one leaf of the page table. */
function touchInLeaf(
  k: Kernel,
  task: Task,
  vma: Vma,
  startVpn: number,
  endVpn: number,
  isWrite: boolean,
  by: FaultBy,
): FaultRun {
  const isNewLeaf = vma.file !== null && task.mm.pageTable.missing(startVpn) > 0;
  const tables = allocTables(k, task, startVpn, by);
  if (tables !== FAULT.OK) return { done: 0, fault: tables };
  const { entries, base: leafBase } = task.mm.pageTable.leafOf(startVpn) as Leaf;
  const base = startVpn - (startVpn % PTRS_PER_LEAF) - leafBase;
  const hinted = task.mm.pageTable.marks?.hinted;
  const { lru } = k.mem;
  const { contents } = k;
  let vpn = startVpn;
  while (vpn < endVpn) {
    const pte = entries[vpn - base] as number;
    let fault: Fault = FAULT.OK;
    let n = 1;
    if (pte !== PTE_NONE && hinted?.has(vpn) === true) {
      k.mem.stat.count(PGFAULT, 1);
      numaFault(k, task, vma, vpn);
      continue;
    }
    if (pte === PTE_NONE) {
      if (isOfFile(vma))
        fault = faultFile(k, task, vma, vpn, isWrite, isNewLeaf && vpn === startVpn);
      else if (vma.object !== null) fault = faultShared(k, task, vma, vpn, isWrite);
      else if (isWrite) {
        let end = vpn + 1;
        while (end < endVpn && entries[end - base] === PTE_NONE) end++;
        const run = faultAnonRun(k, task, vma, vpn, end, entries, base);
        n = run & RUN_DONE;
        fault = (run >> RUN_FAULT_SHIFT) as Fault;
      } else entries[vpn - base] = PTE_ZERO_PAGE;
    } else if (pte === PTE_POISON) fault = FAULT.HWPOISON;
    else if (pteIsDevice(pte)) {
      fault = faultDevice(k, task, vma, vpn, pteDeviceFrame(pte));
      if (fault === FAULT.OK) continue;
    } else if (pte >= PTE_SPECIAL) fault = faultSwap(k, task, vma, vpn, isWrite);
    else if (isWrite && !pteIsWritable(pte) && vma.object === null) {
      fault = copyOnWrite(k, task, vma, vpn, pte);
    } else {
      // No fault: the CPU itself notes the use of the page, and that it was written to.
      if (isWrite && !pteIsWritable(pte)) entries[vpn - base] = makePte(pteFrame(pte), true);
      if (lru.isTracking && pteIsPage(pte)) markUsed(lru, pteFrame(pte), isWrite);
      if (contents !== undefined && isWrite && by === 'cpu') contents.touch(pteFrame(pte));
      vpn++;
      continue;
    }
    k.mem.stat.count(PGFAULT, n);
    if (contents !== undefined && isWrite) {
      const nrDone = fault === FAULT.OK || pte === PTE_NONE ? n : 0;
      noteWrite(contents, entries, vpn - base, nrDone, pte === PTE_NONE, by);
    }
    if (fault !== FAULT.OK) {
      const done = pte === PTE_NONE && vma.object === null && vma.file === null ? n : 0;
      return { done: vpn - startVpn + done, fault };
    }
    vpn += n;
  }
  return { done: endVpn - startVpn, fault: FAULT.OK };
}

/** Fresh pages are empty, and whoever wrote by a CPU has left a byte in them. */
function noteWrite(
  contents: Contents,
  entries: Uint32Array,
  at: number,
  n: number,
  isFresh: boolean,
  by: FaultBy,
): void {
  for (let i = at; i < at + n; i++) {
    const pte = entries[i] as number;
    if (!pteIsPage(pte)) continue;
    if (isFresh) contents.set(pteFrame(pte), 0);
    if (by === 'cpu') contents.touch(pteFrame(pte));
  }
}

/**
 * Allocates the page table pages that are missing above a page, from the top down. A fault that a
 * CPU retries asks again, and a task that interleaves then asks another node.
 * @param hugeSmall small pages of the huge page that will be mapped, which needs no leaf.
 */
export function allocTables(
  k: Kernel,
  task: Task,
  vpn: number,
  by: FaultBy,
  hugeSmall?: number,
): Fault {
  const { pageTable } = task.mm;
  const isRetried = by === 'cpu' && isTaskInterleaving(task);
  let retries = isRetried ? (task.mempolicy?.nodes.weight ?? 0) : 0;
  while (levelsMissing(pageTable, vpn, hugeSmall) > 0) {
    if (allocPages(k, task, GFP_PGTABLE_USER, 0, 'page table') === 0) {
      const fault = allocationFailed(k);
      if (fault === FAULT.RETRY && retries-- > 0) continue;
      return fault;
    }
    const f = k.allocator.out[0] as Frame;
    k.mem.map.claim(f, KIND_PAGE_TABLE, task.mm.id, 0, 0);
    pageTable.addLevel(vpn, f);
  }
  return FAULT.OK;
}

const levelsMissing = (table: PageTable, vpn: number, hugeSmall: number | undefined): number =>
  hugeSmall === undefined ? table.missing(vpn) : table.missingAboveHuge(vpn, hugeSmall);

/**
 * Fills the pages of [startVpn, endVpn), all empty, with fresh ones.
 * @returns how many were filled, and above RUN_FAULT_SHIFT the fault that stopped it.
 */
function faultAnonRun(
  k: Kernel,
  task: Task,
  vma: Vma,
  startVpn: number,
  endVpn: number,
  entries: Uint32Array,
  base: number,
): number {
  vma.hasAnonVma = true;
  const found = policyOfPage(task, vma, startVpn);
  const { map, lru } = k.mem;
  const { kind, link, index, mapcount } = map;
  const { out } = k.allocator;
  const { id: space, pageTable } = task.mm;
  let vpn = startVpn;
  while (vpn < endVpn) {
    const pgoff = vma.pgoff + (vpn - vma.startVpn);
    const want = Math.min(endVpn - vpn, MAX_RUN);
    const n = allocUserPages(k, task, GFP_ANON_FAULT, found, pgoff, want, 'page fault');
    if (n === 0) return (vpn - startVpn) | (allocationFailed(k) << RUN_FAULT_SHIFT);
    for (let i = 0; i < n; i++) {
      const f = out[i] as number;
      kind[f] = KIND_ANON;
      link[f] = space;
      index[f] = vpn;
      mapcount[f] = 1;
      entries[vpn - base] = makePte(f, true);
      vpn++;
    }
    if (lru.isTracking) joinLruRun(lru, out, n, vma);
    markArea(k, vma);
    if (pageTable.changed !== null) pageTable.noteChanged(startVpn);
  }
  return vpn - startVpn;
}

/** Lets the design mark an area by the node of the page that it was just given. */
function markArea(k: Kernel, vma: Vma): void {
  const marks = k.design.answers.vmaAllocFolio;
  if (marks === undefined || vma.isMarked) return;
  vma.isMarked = marks(k.mem.zones.nid[k.allocator.lastZone] as NodeId, k.states);
}

/** What becomes of the task when an allocation for its fault gave nothing. */
export const allocationFailed = (k: Kernel): Fault =>
  k.allocator.failure === FAILURE.KILLED ? FAULT.KILLED : FAULT.RETRY;

/** A write to the zero page or to a page that others map too (do_wp_page). */
function copyOnWrite(k: Kernel, task: Task, vma: Vma, vpn: number, pte: number): Fault {
  const { map } = k.mem;
  const { pageTable } = task.mm;
  if (isOfFile(vma)) return writeToFilePage(k, task, vma, vpn, pte);
  const isMerged = pteIsPage(pte) && isMergedFrame(map, pteFrame(pte));
  if (pteIsPage(pte) && !isMerged && isOnlyOwner(k, pteFrame(pte))) {
    const f = pteFrame(pte);
    map.link[k.thp.headOf(f)] = task.mm.id;
    pageTable.set(vpn, makePte(f, true));
    if (k.mem.lru.isTracking) markUsed(k.mem.lru, f, true);
    k.mem.stat.count(EVENT.pgreuse, 1);
    return FAULT.OK;
  }
  vma.hasAnonVma = true;
  const found = policyOfPage(task, vma, vpn);
  const pgoff = vma.pgoff + (vpn - vma.startVpn);
  const gfp = pteIsPage(pte) ? GFP_HIGHUSER_MOVABLE : GFP_ANON_FAULT;
  if (allocUserPages(k, task, gfp, found, pgoff, 1, 'copy on write') === 0) {
    return allocationFailed(k);
  }
  const f = k.allocator.out[0] as Frame;
  const now = pageTable.get(vpn);
  if (now !== pte && pteIsSwap(now)) {
    // Reclaim for the copy has taken the page itself.
    map.claim(f, KIND_ANON, task.mm.id, vpn, 0);
    k.allocator.free(f);
    return faultSwap(k, task, vma, vpn, true);
  }
  map.claim(f, KIND_ANON, task.mm.id, vpn, 1);
  joinLru(k.mem.lru, f, vma);
  k.contents?.set(f, pteIsPage(pte) ? k.contents.get(pteFrame(pte)) : 0);
  if (isMerged) k.mem.stat.count(EVENT.cow_ksm, 1);
  markArea(k, vma);
  pageTable.set(vpn, makePte(f, true));
  // The other owner may have been killed for the copy, and then nobody else has the old page.
  if (pteIsPage(pte)) {
    unmapPrivate(k, pteFrame(pte));
    if (vma.isLocked) unlockUnlessOthers(k, pteFrame(pte));
  }
  return FAULT.OK;
}

/**
 * Does one entry alone refer to a page? A small page of a huge one is shared as long as any other
 * entry maps any of that, even one of the same task.
 */
function isOnlyOwner(k: Kernel, f: Frame): boolean {
  if (k.thp.isPart(f)) return k.thp.pageOf(f).refs === 1;
  return k.mem.map.mapcount[f] === 1 && !isSharedWithSlot(k, f);
}

/** An entry of a leaf maps a private page no more; what nobody maps is free. */
export function unmapPrivate(k: Kernel, f: Frame): void {
  if (k.thp.isPart(f)) k.thp.removeSmallMap(f);
  else if (k.mem.map.removeMap(f) === 0) dropPage(k, f);
}

/** A page in a swap area comes back; a write to one that others have too then copies it. */
function faultSwap(k: Kernel, task: Task, vma: Vma, vpn: number, isWrite: boolean): Fault {
  if (swapIn(k, task, vma, vpn, isWrite, policyOfPage(task, vma, vpn)) !== 0) {
    return allocationFailed(k);
  }
  const pte = task.mm.pageTable.get(vpn);
  return isWrite && !pteIsWritable(pte) ? copyOnWrite(k, task, vma, vpn, pte) : FAULT.OK;
}

/** The page is in memory that CPUs cannot map: it comes back, and the CPU tries again. */
function faultDevice(k: Kernel, task: Task, vma: Vma, vpn: number, f: Frame): Fault {
  k.mem.stat.count(PGFAULT, 1);
  const index = vma.pgoff + (vpn - vma.startVpn);
  if (migrateToRam(k, task, f, policyOfPage(task, vma, vpn), index)) return FAULT.OK;
  return task.isAlive ? FAULT.SIGBUS : FAULT.KILLED;
}

function faultShared(k: Kernel, task: Task, vma: Vma, vpn: number, isWrite: boolean): Fault {
  const object = vma.object as ShmemObject;
  if (!isWrite) {
    mapAround(k, task, vma, vpn);
    if (task.mm.pageTable.get(vpn) !== PTE_NONE) return FAULT.OK;
  }
  const pgoff = vma.pgoff + (vpn - vma.startVpn);
  if (pgoff >= object.nrPages) return FAULT.SIGBUS;
  let f = object.page(pgoff);
  if (f === undefined && object.slot(pgoff) !== undefined) {
    const back = swapInShared(k, task, object, pgoff, policyOfPage(task, vma, vpn));
    if (back === -1) return allocationFailed(k);
    f = back;
  }
  if (f === undefined) {
    const found = policyOfPage(task, vma, vpn);
    const n = pgoff + object.ino;
    if (allocUserPages(k, task, GFP_HIGHUSER_MOVABLE, found, n, 1, 'shared page') === 0) {
      return allocationFailed(k);
    }
    f = k.allocator.out[0] as Frame;
    k.mem.map.claim(f, KIND_SHMEM, object.id, pgoff, 0);
    joinLru(k.mem.lru, f, vma);
    object.setPage(pgoff, f);
    if (!isWrite) object.noteUse(pgoff, false);
  }
  if (k.mem.held.isPoisoned(f)) return FAULT.SIGBUS;
  if (isWrite) object.noteUse(pgoff, true);
  k.mem.map.addMap(f);
  if (vma.isLocked) mlockPage(k.mem.lru, f);
  task.mm.pageTable.set(vpn, makePte(f, isWrite));
  return FAULT.OK;
}

/** A read of a shared page maps the pages around it that the object already has. */
function mapAround(k: Kernel, task: Task, vma: Vma, vpn: number): void {
  const object = vma.object as ShmemObject;
  const nr = Math.max(1, FAULT_AROUND_BYTES / k.mem.pageBytes);
  if (nr === 1 || object.isSegment) return;
  const { pageTable } = task.mm;
  const leafEnd = (Math.floor(vpn / PTRS_PER_LEAF) + 1) * PTRS_PER_LEAF;
  const start = Math.max(vpn - (vpn % nr), vma.startVpn);
  const end = Math.min(start + nr, vma.endVpn, leafEnd);
  for (let v = start; v < end; v++) {
    if (pageTable.get(v) !== PTE_NONE) continue;
    const index = vma.pgoff + (v - vma.startVpn);
    const f = index < object.nrPages ? object.page(index) : undefined;
    if (f === undefined || k.mem.held.isPoisoned(f)) continue;
    k.mem.map.addMap(f);
    if (vma.isLocked) mlockPage(k.mem.lru, f);
    pageTable.set(v, makePte(f, false));
  }
}
