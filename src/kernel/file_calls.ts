// What programs and the administrator do with files: make, read, write, shorten, delete them, and
// tell the kernel about their use.
// Models   linux@v6.1 mm/filemap.c: filemap_read, filemap_get_pages, filemap_create_folio,
//          generic_perform_write; mm/shmem.c: shmem_write_begin, shmem_file_read_iter,
//          shmem_fallocate; mm/truncate.c: truncate_pagecache, truncate_pagecache_range;
//          mm/fadvise.c: generic_fadvise; mm/mempolicy.c: mpol_parse_str, mpol_shared_policy_init.
// Omits    what a file system keeps of its own in memory (inodes, maps of blocks), files opened
//          once for several reads: each operation opens the file anew.
// Notes    A program reads and writes 128 KiB at a time, as cp and cat do.
// Holds    PGC3 pages of a disk's file follow the policy of the task that reads or writes. PGC8 a
//          file that is unmapped and has no name has no pages.
import { EACCES, EEXIST, EINVAL, EIO, ENOENT } from '../base/errno.ts';
import { Nodemask } from '../base/nodemask.ts';
import {
  MPOL_BIND,
  MPOL_DEFAULT,
  MPOL_INTERLEAVE,
  MPOL_LOCAL,
  MPOL_PREFERRED,
  MPOL_PREFERRED_MANY,
} from '../hooks/policy_modes.ts';
import { GFP_HIGHUSER_MOVABLE } from '../mm/gfp.ts';
import { FAILURE } from '../mm/internal.ts';
import { KIND_ANON } from '../mm/memmap.ts';
import { FAULT, type FaultRun } from './fault.ts';
import { shmemPage } from './file_fault.ts';
import { FileInode, newReadahead } from './file_inode.ts';
import type { Kernel } from './kernel.ts';
import { newPolicy } from './mempolicy.ts';
import {
  addCachePage,
  areasOf,
  balanceDirty,
  freeObjectPages,
  GFP_WRITE_PAGE,
  invalidate,
  markAccessed,
  markDirty,
  removeCachePage,
  writeBack,
} from './page_cache.ts';
import { PTE_NONE, pteFrame, pteIsPage, pteIsSwap, pteSlot } from './page_table.ts';
import { asyncReadahead, bringPages, syncReadahead, windowPages } from './readahead.ts';
import type { ShmemObject } from './shmem.ts';
import { dropPage, dropSlot } from './swap_fault.ts';
import type { Task } from './task.ts';

/** Bytes that a program reads or writes in one call. */
const CALL_BYTES = 128 * 1024;
/** Pages that a read looks up at a time. */
const BATCH_PAGES = 15;

/** A policy of a mount: mode and flags as numbers; no nodes given is null. */
export interface MountPolicy {
  readonly mode: number;
  readonly flags: number;
  readonly nodes: Nodemask | null;
}

/** Makes a file of a disk. Returns 0 or -EEXIST. */
export function makeDiskFile(k: Kernel, name: string, nrPages: number): number {
  if (k.files.has(name)) return -EEXIST;
  k.addFile(name, (id, ino) => new FileInode(id, ino, name, nrPages));
  return 0;
}

/**
 * Makes a file in a tmpfs of its own, mounted with `mpol=`.
 * @returns 0; -EEXIST; -EINVAL for a policy that no mount takes.
 */
export function makeTmpfsFile(
  k: Kernel,
  name: string,
  nrPages: number,
  mpol: MountPolicy | undefined,
): number {
  if (k.files.has(name)) return -EEXIST;
  const fitted = mpol === undefined ? null : fitMount(k, mpol);
  if (typeof fitted === 'number') return fitted;
  const object = k.newObject(nrPages, false, k.inoHints.get(`file:${name}`));
  object.isNamed = true;
  k.files.set(name, object);
  if (fitted === null || mpol === undefined) return 0;
  const context = { memsAllowed: k.kthread.memsAllowed, memory: k.states.memory };
  const policy = newPolicy(fitted.mode, fitted.flags, fitted.nodes, context);
  if (typeof policy !== 'number' && policy !== null) {
    object.setPolicy(0, Number.POSITIVE_INFINITY, policy);
  }
  return 0;
}

/** What a mount takes (mpol_parse_str). Returns the policy, null for none, or -EINVAL. */
function fitMount(
  k: Kernel,
  { mode, flags, nodes }: MountPolicy,
): { mode: number; flags: number; nodes: Nodemask } | null | number {
  if (nodes !== null && !nodes.isSubsetOf(k.states.memory)) return -EINVAL;
  switch (mode) {
    case MPOL_DEFAULT:
      return nodes === null && flags === 0 ? null : -EINVAL;
    case MPOL_PREFERRED:
      if (nodes !== null && nodes.weight !== 1) return -EINVAL;
      return nodes === null ? refuseOrLocal(flags) : { mode, flags, nodes };
    case MPOL_INTERLEAVE:
      return { mode, flags, nodes: nodes ?? k.states.memory };
    case MPOL_LOCAL:
      return nodes === null ? refuseOrLocal(flags) : -EINVAL;
    case MPOL_BIND:
    case MPOL_PREFERRED_MANY:
      return nodes === null ? -EINVAL : { mode, flags, nodes };
    default:
      return -EINVAL;
  }
}

/** `local`, and `preferred` without a node, which take no flags. */
const refuseOrLocal = (flags: number) =>
  flags === 0 ? { mode: MPOL_LOCAL, flags, nodes: Nodemask.EMPTY } : -EINVAL;

/** Takes the name of a file away; its pages go when nobody maps it any more. 0 or -ENOENT. */
export function removeFile(k: Kernel, name: string): number {
  const inode = k.files.get(name);
  if (inode === undefined) return -ENOENT;
  k.files.delete(name);
  if (inode instanceof FileInode) inode.isLinked = false;
  else inode.isNamed = false;
  k.setCurrent(k.kthread);
  releaseFile(k, inode);
  return 0;
}

/** A mapping or the name of a file is gone; with the last of them its pages go. */
export function releaseFile(k: Kernel, inode: FileInode | ShmemObject): void {
  const isNamed = inode instanceof FileInode ? inode.isLinked : inode.isNamed;
  if (isNamed || !areasOf(k, inode).next().done) return;
  if (inode instanceof FileInode) {
    dropPages(k, inode, 0, Number.POSITIVE_INFINITY);
    k.inodes.delete(inode.id);
    return;
  }
  freeObjectPages(k, inode, 0, inode.nrPages);
  k.objects.delete(inode.id);
}

function dropPages(k: Kernel, inode: FileInode, start: number, end: number): void {
  const gone: [number, number][] = [];
  inode.forEachPage((index, f) => gone.push([index, f]), start, end);
  for (const [index, f] of gone) removeCachePage(k, inode, index, f as never);
}

/** Sets the size of a file: pages past it go, private copies of them too. 0 or -ENOENT. */
export function truncateFile(k: Kernel, name: string, nrPages: number): number {
  const inode = k.files.get(name);
  if (inode === undefined) return -ENOENT;
  k.setCurrent(k.kthread);
  const end = inode.nrPages;
  if (nrPages < end) {
    unmapFile(k, inode, nrPages, end, true);
    if (inode instanceof FileInode) dropPages(k, inode, nrPages, Number.POSITIVE_INFINITY);
    else freeObjectPages(k, inode, nrPages, end);
  }
  if (inode instanceof FileInode) inode.nrPages = nrPages;
  else inode.resize(nrPages);
  return 0;
}

/** Takes pages [start, end) out of a file and of all page tables (a hole is punched). */
export function punchFile(
  k: Kernel,
  inode: FileInode | ShmemObject,
  start: number,
  end: number,
): void {
  unmapFile(k, inode, start, end, false);
  if (inode instanceof FileInode) dropPages(k, inode, start, end);
  else freeObjectPages(k, inode, start, end);
}

/** Clears the entries of pages [start, end) of a file (unmap_mapping_range). */
function unmapFile(
  k: Kernel,
  inode: FileInode | ShmemObject,
  start: number,
  end: number,
  withCopies: boolean,
): void {
  const { map } = k.mem;
  for (const { vma, table } of areasOf(k, inode)) {
    const delta = vma.startVpn - vma.pgoff;
    const from = Math.max(vma.startVpn, start + delta);
    const to = Math.min(vma.endVpn, end + delta);
    table.walk(from, to, (vpn, pte) => {
      if (pteIsSwap(pte) && withCopies) {
        table.set(vpn, PTE_NONE);
        dropSlot(k, pteSlot(pte));
      }
      if (!pteIsPage(pte)) return;
      const f = pteFrame(pte);
      const isCopy = map.kind[f] === KIND_ANON;
      if (isCopy && !withCopies) return;
      table.set(vpn, PTE_NONE);
      if (map.removeMap(f) === 0 && isCopy) dropPage(k, f);
    });
  }
}

const outcome = (k: Kernel, done: number, isDone: boolean): FaultRun => {
  if (isDone) return { done, fault: FAULT.OK };
  return { done, fault: k.allocator.failure === FAILURE.KILLED ? FAULT.KILLED : FAULT.RETRY };
};

/**
 * Reads pages [offset, offset + nrPages) of a file, as far as it goes.
 * @returns pages read; RETRY means -ENOMEM here, since a system call gives up.
 */
export function readFile(
  k: Kernel,
  task: Task,
  inode: FileInode | ShmemObject,
  offset: number,
  nrPages: number,
): FaultRun {
  const end = Math.min(offset + nrPages, inode.nrPages);
  if (!(inode instanceof FileInode)) return readObject(k, inode, offset, end);
  const reader = { k, task, inode, ra: newReadahead() };
  const perCall = Math.max(1, Math.floor(CALL_BYTES / k.mem.pageBytes));
  for (let index = offset; index < end; ) {
    const call = index + perCall - ((index - offset) % perCall);
    const last = Math.min(call, offset + nrPages);
    const n = readBatch(reader, index, last);
    if (n === 0) return outcome(k, index - offset, false);
    index += n;
  }
  if (k.allocator.watch !== null) noteRead(k, inode, offset, end);
  return { done: Math.max(0, end - offset), fault: FAULT.OK };
}

/** Tells caches of devices that a CPU has read pages of a file. */
function noteRead(k: Kernel, file: FileInode | ShmemObject, offset: number, end: number): void {
  for (let i = offset; i < end; i++) {
    const f = file.page(i);
    if (f !== undefined) k.allocator.watch?.used(f, false);
  }
}

/** A file in tmpfs is read up to a page that broke: HWPOISON means -EIO here. */
function readObject(k: Kernel, object: ShmemObject, offset: number, end: number): FaultRun {
  if (k.allocator.watch !== null) noteRead(k, object, offset, end);
  for (let i = offset; i < end && k.mem.held.isInUse; i++) {
    const f = object.page(i);
    const isBroken = f !== undefined && k.mem.held.isPoisoned(f);
    if (isBroken) return { done: i - offset, fault: FAULT.HWPOISON };
  }
  return { done: Math.max(0, end - offset), fault: FAULT.OK };
}

/** Pages that one look-up of a read gives; 0 when there is no memory (filemap_get_pages). */
function readBatch(
  reader: Parameters<typeof syncReadahead>[0],
  index: number,
  last: number,
): number {
  const { k, task, inode, ra } = reader;
  let n = countBatch(inode, index, last);
  if (n === 0) {
    syncReadahead(reader, index, last - index);
    n = countBatch(inode, index, last);
  }
  if (n === 0) {
    if (addCachePage(k, task, inode, index, GFP_HIGHUSER_MOVABLE) === undefined) return 0;
    n = 1;
  }
  const end = Math.min(index + n, inode.nrPages);
  const at = index + n - 1;
  if (inode.marks.has(at)) asyncReadahead(reader, at, last - at);
  for (let i = index; i < end; i++) {
    const f = inode.page(i);
    if (f !== undefined) markAccessed(k, f);
  }
  ra.prevPos = end * k.mem.pageBytes;
  return n;
}

/** Pages in a row that are there, up to a marked one (filemap_get_read_batch). */
function countBatch(inode: FileInode, index: number, last: number): number {
  let n = 0;
  while (n < BATCH_PAGES && index + n < last && inode.page(index + n) !== undefined) {
    n++;
    if (inode.marks.has(index + n - 1)) break;
  }
  return n;
}

/** Writes pages [offset, offset + nrPages) of a file, which grows. As readFile. */
export function writeFile(
  k: Kernel,
  task: Task,
  inode: FileInode | ShmemObject,
  offset: number,
  nrPages: number,
): FaultRun {
  for (let i = 0; i < nrPages; i++) {
    const index = offset + i;
    if (inode instanceof FileInode) {
      const f = inode.page(index) ?? addCachePage(k, task, inode, index, GFP_WRITE_PAGE);
      if (f === undefined) return outcome(k, i, false);
      if (index >= inode.nrPages) inode.nrPages = index + 1;
      k.allocator.watch?.used(f, true);
      markAccessed(k, f);
      markDirty(k, f);
      balanceDirty(k);
    } else {
      if (index >= inode.nrPages) inode.resize(index + 1);
      const f = shmemPage(k, task, inode, index);
      if (f === undefined) return outcome(k, i, false);
      if (k.mem.held.isPoisoned(f)) return { done: i, fault: FAULT.HWPOISON };
      k.allocator.watch?.used(f, true);
      inode.noteUse(index, true);
    }
  }
  return { done: nrPages, fault: FAULT.OK };
}

/**
 * Writes a file to its disk (fsync). @returns 0, or once -EIO after a page was lost that had not
 * been written.
 */
export function syncFile(k: Kernel, inode: FileInode | ShmemObject): number {
  if (!(inode instanceof FileInode)) return 0;
  writeBack(k, inode);
  if (!inode.hasLostPages) return 0;
  inode.hasLostPages = false;
  return -EIO;
}

/** posix_fadvise. Returns 0. */
export function adviseFile(
  k: Kernel,
  task: Task,
  inode: FileInode | ShmemObject,
  range: { readonly offset: number; readonly nrPages: number },
  advice: 'dontneed' | 'willneed',
): number {
  if (!(inode instanceof FileInode)) return 0;
  const { offset } = range;
  // No length means: to the end of the file.
  const end = range.nrPages === 0 ? Number.POSITIVE_INFINITY : offset + range.nrPages;
  if (advice === 'dontneed') {
    k.setCurrent(task);
    writeBack(k, inode, offset, end);
    invalidate(k, inode, offset, end);
    return 0;
  }
  const reader = { k, task, inode, ra: newReadahead() };
  const last = Math.min(end, inode.nrPages);
  const step = Math.max(1, Math.floor((2 * 1024 * 1024) / k.mem.pageBytes));
  const most = Math.min(last, offset + windowPages(k));
  for (let at = offset; at < most; at += step) bringPages(reader, at, Math.min(step, most - at), 0);
  return 0;
}

/** May MADV_REMOVE punch a hole through this mapping? 0 or -EACCES. */
export const mayPunch = (isShared: boolean, isWritable: boolean): number =>
  isShared && isWritable ? 0 : -EACCES;
