// Faults of areas that map a file: a page of the cache is mapped, or copied for a private write.
// Models   linux@v6.1 mm/memory.c: do_read_fault, do_cow_fault, do_shared_fault, do_fault_around,
//          do_page_mkwrite, wp_page_shared, wp_page_copy; mm/filemap.c: filemap_fault,
//          filemap_map_pages; mm/shmem.c: shmem_fault.
// Omits    the wait for a disk: a fault that brings pages in starts anew at once, as the kernel's
//          does after its wait.
// Holds    PGC3 pages of a disk's file follow the task's policy. PGC6 a private copy follows the
//          policy of the area. PGC7 a page past the end of the file is SIGBUS.
import type { Frame } from '../base/ids.ts';
import { GFP_HIGHUSER_MOVABLE, GFP_PGTABLE_USER } from '../mm/gfp.ts';
import { FAILURE } from '../mm/internal.ts';
import { KIND_ANON, KIND_PAGE_TABLE, KIND_SHMEM } from '../mm/memmap.ts';
import type { Vma } from './address_space.ts';
import { FAULT, type Fault, policyOfPage } from './fault.ts';
import { FileInode, type Readahead } from './file_inode.ts';
import type { Kernel } from './kernel.ts';
import { joinLru, mlockPage, unlockUnlessOthers } from './lru_track.ts';
import { addCachePage, balanceDirty, markDirty } from './page_cache.ts';
import { makePte, PTE_NONE, PTRS_PER_LEAF, pteFrame } from './page_table.ts';
import { allocPages, allocUserPages, isTaskInterleaving, taskPolicy } from './policy_alloc.ts';
import { asyncReadahead, faultReadahead, windowPages } from './readahead.ts';
import type { ShmemObject } from './shmem.ts';
import { dropPage, isSharedWithSlot, swapInShared } from './swap_fault.ts';
import type { Task } from './task.ts';

/** A file as an area maps it; areas that were one share it (vm_file). */
export interface FileArea {
  readonly inode: FileInode | ShmemObject;
  readonly isShared: boolean;
  /** Programs may write here; text they may not. */
  readonly isWritable: boolean;
  readonly ra: Readahead;
}

export interface FileVma extends Vma {
  readonly file: FileArea;
}

export const isOfFile = (vma: Vma): vma is FileVma => vma.file !== null;

/** The object whose policy counts in a private mapping of a file in tmpfs; null elsewhere. */
export const policyObject = (vma: Vma): ShmemObject | null =>
  vma.file === null || vma.file.inode instanceof FileInode ? null : vma.file.inode;

/** Bytes that a fault maps around itself, of what is in memory: fault_around_bytes. */
const FAULT_AROUND_BYTES = 65536;

const pageOf = (vma: Vma, vpn: number): number => vma.pgoff + (vpn - vma.startVpn);

const failed = (k: Kernel): Fault =>
  k.allocator.failure === FAILURE.KILLED ? FAULT.KILLED : FAULT.RETRY;

/** A fault at an empty entry. @param isNewLeaf its table page was made for this fault. */
export function faultFile(
  k: Kernel,
  task: Task,
  vma: FileVma,
  vpn: number,
  isWrite: boolean,
  isNewLeaf: boolean,
): Fault {
  const { file } = vma;
  if (isWrite && !file.isWritable) return FAULT.SIGSEGV;
  const { pageTable } = task.mm;
  if (!isWrite) {
    mapAround(k, task, vma, vpn);
    if (pageTable.get(vpn) !== PTE_NONE) return FAULT.OK;
  }
  if (isWrite && !file.isShared) return copyFromFile(k, task, vma, vpn, isNewLeaf);
  const got = filePage(k, task, vma, vpn, isNewLeaf);
  if (typeof got === 'string') return got === 'SIGBUS' ? FAULT.SIGBUS : failed(k);
  if (got.isRetried && !isWrite) mapAround(k, task, vma, vpn);
  if (pageTable.get(vpn) !== PTE_NONE) return FAULT.OK;
  const f = got.frame;
  k.mem.map.addMap(f);
  if (vma.isLocked) mlockPage(k.mem.lru, f);
  pageTable.set(vpn, makePte(f, isWrite));
  if (isWrite) becomeDirty(k, vma, f);
  return FAULT.OK;
}

/** A shared page of a disk's file is about to be written through a mapping (page_mkwrite). */
function becomeDirty(k: Kernel, vma: FileVma, f: Frame): void {
  if (!(vma.file.inode instanceof FileInode)) return;
  vma.file.inode.marks.delete(k.mem.map.index[f] as number);
  markDirty(k, f);
  balanceDirty(k);
}

/** A write to an entry that maps a page of a file for reading, or a private copy (do_wp_page). */
export function writeToFilePage(
  k: Kernel,
  task: Task,
  vma: FileVma,
  vpn: number,
  pte: number,
): Fault {
  if (!vma.file.isWritable) return FAULT.SIGSEGV;
  const { map } = k.mem;
  const { pageTable } = task.mm;
  const old = pteFrame(pte);
  if (vma.file.isShared) {
    pageTable.set(vpn, makePte(old, true));
    becomeDirty(k, vma, old);
    return FAULT.OK;
  }
  if (map.kind[old] === KIND_ANON && map.mapcount[old] === 1 && !isSharedWithSlot(k, old)) {
    map.claim(old, KIND_ANON, task.mm.id, vpn, 1);
    pageTable.set(vpn, makePte(old, true));
    return FAULT.OK;
  }
  const f = allocCopy(k, task, vma, vpn);
  if (f === undefined) return failed(k);
  mapCopy(k, task, vma, vpn, f);
  if (map.removeMap(old) === 0 && map.kind[old] === KIND_ANON) dropPage(k, old);
  if (vma.isLocked) unlockUnlessOthers(k, old);
  return FAULT.OK;
}

/** A page for a private copy, by the policy of the area. */
function allocCopy(k: Kernel, task: Task, vma: FileVma, vpn: number): Frame | undefined {
  vma.hasAnonVma = true;
  const found = policyOfPage(task, vma, vpn);
  const index = pageOf(vma, vpn);
  const n = allocUserPages(k, task, GFP_HIGHUSER_MOVABLE, found, index, 1, 'copy on write');
  return n === 0 ? undefined : (k.allocator.out[0] as Frame);
}

function mapCopy(k: Kernel, task: Task, vma: FileVma, vpn: number, f: Frame): void {
  k.mem.map.claim(f, KIND_ANON, task.mm.id, vpn, 1);
  joinLru(k.mem.lru, f, vma);
  task.mm.pageTable.set(vpn, makePte(f, true));
}

/**
 * A private write to a page that is not mapped: the copy is allocated first, then the page of the
 * file is looked for; a fault that has to bring it in gives the copy back and starts anew.
 */
function copyFromFile(k: Kernel, task: Task, vma: FileVma, vpn: number, isNewLeaf: boolean): Fault {
  let f = allocCopy(k, task, vma, vpn);
  if (f === undefined) return failed(k);
  k.mem.map.claim(f, KIND_ANON, task.mm.id, vpn, 0);
  const got = filePage(k, task, vma, vpn, isNewLeaf);
  if (typeof got === 'string' || got.isRetried) {
    k.setCurrent(task);
    k.allocator.free(f);
    if (got === 'SIGBUS') return FAULT.SIGBUS;
    if (typeof got === 'string') return failed(k);
    f = allocCopy(k, task, vma, vpn);
    if (f === undefined) return failed(k);
  }
  mapCopy(k, task, vma, vpn, f);
  return FAULT.OK;
}

/** A page of the file, brought in if it is not there. */
function filePage(
  k: Kernel,
  task: Task,
  vma: FileVma,
  vpn: number,
  isNewLeaf: boolean,
): { frame: Frame; isRetried: boolean } | 'SIGBUS' | 'no memory' {
  const { inode, ra } = vma.file;
  const index = pageOf(vma, vpn);
  if (index >= inode.nrPages) return 'SIGBUS';
  if (!(inode instanceof FileInode)) {
    const frame = shmemPage(k, task, inode, index);
    if (frame !== undefined && k.mem.held.isPoisoned(frame)) return 'SIGBUS';
    return frame === undefined ? 'no memory' : { frame, isRetried: false };
  }
  const reader = { k, task, inode, ra };
  const found = inode.page(index);
  let isRetried = false;
  if (found === undefined) {
    faultReadahead(reader, index);
    isRetried = true;
  } else {
    if (ra.mmapMiss > 0) ra.mmapMiss--;
    if (inode.marks.has(index)) {
      asyncReadahead(reader, index, windowPages(k));
      isRetried = true;
    }
  }
  const f = inode.page(index) ?? addCachePage(k, task, inode, index, GFP_HIGHUSER_MOVABLE);
  if (f === undefined) return 'no memory';
  if (isRetried && isNewLeaf && isTaskInterleaving(task)) renewLeaf(k, task, vpn);
  return { frame: f, isRetried };
}

/**
 * A fault that has to wait lets go of what it had: a table page made for it is given back and asked
 * for anew, which moves an interleaving task's turn.
 */
function renewLeaf(k: Kernel, task: Task, vpn: number): void {
  const { pageTable } = task.mm;
  if (allocPages(k, task, GFP_PGTABLE_USER, 0, 'page table') === 0) return;
  const f = k.allocator.out[0] as Frame;
  k.mem.map.claim(f, KIND_PAGE_TABLE, task.mm.id, 0, 0);
  k.allocator.free(pageTable.replaceLeafFrame(vpn, f));
}

/** A page of a file in tmpfs, made if it is not there, by the policy of the file. */
export function shmemPage(
  k: Kernel,
  task: Task,
  object: ShmemObject,
  index: number,
): Frame | undefined {
  const there = object.page(index);
  if (there !== undefined) return there;
  const shared = object.policyAt(index);
  const found =
    shared === null ? taskPolicy(task) : { policy: shared, from: 'shared object' as const };
  if (object.slot(index) !== undefined) {
    const back = swapInShared(k, task, object, index, found);
    return back === -1 ? undefined : back;
  }
  const n = index + object.ino;
  if (allocUserPages(k, task, GFP_HIGHUSER_MOVABLE, found, n, 1, 'shared page') === 0) {
    return undefined;
  }
  const f = k.allocator.out[0] as Frame;
  k.mem.map.claim(f, KIND_SHMEM, object.id, index, 0);
  joinLru(k.mem.lru, f, null);
  object.setPage(index, f);
  object.noteUse(index, false);
  return f;
}

/** A read maps the pages around it that are in memory, but for marked ones. */
function mapAround(k: Kernel, task: Task, vma: FileVma, vpn: number): void {
  const { inode, ra } = vma.file;
  const nr = Math.max(1, FAULT_AROUND_BYTES / k.mem.pageBytes);
  if (nr === 1) return;
  const { pageTable } = task.mm;
  const marks = inode instanceof FileInode ? inode.marks : undefined;
  const leafEnd = (Math.floor(vpn / PTRS_PER_LEAF) + 1) * PTRS_PER_LEAF;
  const start = Math.max(vpn - (vpn % nr), vma.startVpn);
  const end = Math.min(start + nr, vma.endVpn, leafEnd);
  for (let v = start; v < end; v++) {
    const index = pageOf(vma, v);
    const f = index < inode.nrPages ? inode.page(index) : undefined;
    if (f === undefined || marks?.has(index) === true || k.mem.held.isPoisoned(f)) continue;
    if (ra.mmapMiss > 0) ra.mmapMiss--;
    if (pageTable.get(v) !== PTE_NONE) continue;
    k.mem.map.addMap(f);
    if (vma.isLocked) mlockPage(k.mem.lru, f);
    pageTable.set(v, makePte(f, false));
  }
}
