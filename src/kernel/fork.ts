// Birth and death of tasks, as far as memory goes.
// Models   linux@v6.1 kernel/fork.c: copy_process, dup_mmap; mm/memory.c: copy_page_range,
//          vma_needs_copy, copy_present_pte; kernel/exit.c: exit_mm.
// Omits    threads, vfork; the program's own areas are one page, and what forking the rest costs in
//          kernel pages is a measured constant (SPEC FRK3).
// Holds    FRK1 private pages are shared until written; FRK2 entries of shared mappings are not
//          copied.
import type { Frame } from '../base/ids.ts';
import { GFP_HIGHUSER_MOVABLE, GFP_KERNEL, GFP_PGTABLE_USER } from '../mm/gfp.ts';
import { KIND_ANON, KIND_KERNEL, KIND_PAGE_TABLE } from '../mm/memmap.ts';
import type { Vma } from './address_space.ts';
import { isOfDevice } from './device_file.ts';
import { FAULT, type Fault, policyOfPage, touchPages } from './fault.ts';
import { dropPins } from './gup.ts';
import { HintMarks } from './hint_marks.ts';
import { closeArea, inheritedArea, isHuge } from './hugetlb_area.ts';
import { copyHuge } from './hugetlb_fault.ts';
import type { Kernel } from './kernel.ts';
import { joinLru } from './lru_track.ts';
import { mmap, releaseArea, zapPages } from './mmap.ts';
import {
  leafEnd,
  makeDevicePte,
  makePte,
  type PageTable,
  PTE_NONE,
  pteDeviceFrame,
  pteFrame,
  pteIsDevice,
  pteIsPage,
  pteIsSwap,
  pteSlot,
} from './page_table.ts';
import { allocPages, allocUserPages, isTaskInterleaving } from './policy_alloc.ts';
import type { Task, TaskEnd } from './task.ts';
import { allocDeposit, copyThp } from './thp_fault.ts';
import { splitPmd } from './thp_split.ts';

/**
 * Kernel pages that a fork takes besides page tables that the model knows (task and area
 * structures, tables of the program's own areas): measured on Debian's 6.1 for a small static
 * program, on parents that interleave, by where the counter stands afterwards. The parent pays them
 * before the child runs; the child pays its own when it first runs.
 */
const KERNEL_PAGES_OF_PARENT = 39;
const KERNEL_PAGES_OF_CHILD = 35;

/** Where a program's own memory is: one private page that stands for its stack and data. */
export const IMAGE_VPN = 0x400;

/** Starts a program in a task's empty address space: it has written to its stack. */
export function startImage(k: Kernel, task: Task): void {
  mmap(k, task, {
    startVpn: IMAGE_VPN,
    nrPages: 1,
    object: null,
    isLocked: false,
    populates: true,
  });
}

export interface Forked {
  readonly child: Task | undefined;
  /** What became of the parent when it went on and wrote to its stack. */
  readonly fault: Fault;
}

/**
 * Makes a copy of a task: policy, counter, CPU, cpuset, areas with their policies, private pages;
 * then both go on and write to their stacks, which copies them.
 * @returns no child when kernel pages or page tables for it could not be had (-ENOMEM).
 */
export function forkTask(k: Kernel, parent: Task, name: string): Forked {
  const { interleavePrev } = parent;
  if (allocPages(k, parent, GFP_PGTABLE_USER, 0, 'page table') === 0) {
    return { child: undefined, fault: FAULT.OK };
  }
  const pgd = k.allocator.out[0] as Frame;
  k.mem.map.claim(pgd, KIND_PAGE_TABLE, 0, 0, 0);
  const child = k.addTask(name, parent.cpu, k.newSpace(), parent.cpuset);
  child.isForked = true;
  child.group = parent.group;
  child.memsAllowed = parent.memsAllowed;
  child.mempolicy = parent.mempolicy?.dup() ?? null;
  child.interleavePrev = interleavePrev;
  child.interleaveWeight = parent.interleaveWeight;
  child.oomScoreAdj = parent.oomScoreAdj;
  child.mm.pgd = pgd;
  k.mem.map.link[pgd] = child.mm.id;
  k.ksm.fork(parent.mm, child.mm);
  k.khugepaged.fork(parent.mm.id, child.mm.id);
  if (!takeKernelPages(k, parent, KERNEL_PAGES_OF_PARENT) || !copyAreas(k, parent, child)) {
    exitTask(k, child, 'exit');
    k.tasks.pop();
    return { child: undefined, fault: FAULT.OK };
  }
  const fault = writeStacks(k, parent, child);
  if (child.isAlive) takeKernelPages(k, child, KERNEL_PAGES_OF_CHILD);
  return { child, fault };
}

/** Copies areas and entries (dup_mmap). False when a page table could not be had. */
function copyAreas(k: Kernel, parent: Task, child: Task): boolean {
  for (const vma of parent.mm.vmas) {
    if (vma.isKeptFromChild) continue;
    const copy: Vma = {
      ...vma,
      policy: vma.policy?.dup() ?? null,
      huge: vma.huge === null ? null : inheritedArea(vma.huge),
      isLocked: false,
    };
    if (vma.wipesOnFork) copy.hasAnonVma = false;
    child.mm.insertApart(copy);
    const hasEntries = (vma.hasAnonVma && !vma.wipesOnFork) || isOfDevice(vma);
    if (hasEntries && !copyEntries(k, parent, child, vma)) return false;
  }
  return true;
}

/**
 * Parent and child go on at the same time and both write to the stack they share, so that both
 * need a page of their own. One that can only retry its fault is saved when the other is gone.
 * Returns what became of the parent.
 */
function writeStacks(k: Kernel, parent: Task, child: Task): Fault {
  const shared = pteFrame(parent.mm.pageTable.get(IMAGE_VPN));
  k.mem.map.addMap(shared);
  const fault = touchPages(k, parent, IMAGE_VPN, 1, true).fault;
  if (child.isAlive) touchPages(k, child, IMAGE_VPN, 1, true);
  k.setCurrent(parent);
  if (k.mem.map.removeMap(shared) === 0) k.allocator.free(shared);
  return fault;
}

/**
 * Kernel pages of which only the interleave counter is seen: taken one by one and given back.
 * False when one could not be had.
 */
function takeKernelPages(k: Kernel, task: Task, nrPages: number): boolean {
  if (!isTaskInterleaving(task)) return true;
  for (let i = 0; i < nrPages; i++) {
    if (allocPages(k, task, GFP_KERNEL, 0, 'kernel page') === 0) return false;
    const f = k.allocator.out[0] as Frame;
    k.mem.map.claim(f, KIND_KERNEL, 0, 0, 0);
    k.allocator.free(f);
  }
  return true;
}

/**
 * Lets the child map the parent's private pages, both read-only until one writes; leaves are made
 * even for entries that are gone. False when a page table could not be had.
 */
function copyEntries(k: Kernel, parent: Task, child: Task, vma: Vma): boolean {
  const from = parent.mm.pageTable;
  const to = child.mm.pageTable;
  const allocTable = (vpn: number): boolean => {
    if (allocPages(k, parent, GFP_PGTABLE_USER, 0, 'page table') === 0) return false;
    const f = k.allocator.out[0] as Frame;
    k.mem.map.claim(f, KIND_PAGE_TABLE, child.mm.id, 0, 0);
    to.addLevel(vpn, f);
    return true;
  };
  if (isHuge(vma)) return copyHuge(k, parent, child, vma, allocTable);
  for (const vpn of from.tablesIn(vma.startVpn, vma.endVpn)) {
    if (from.getThp(vpn) !== PTE_NONE && !splitsPinned(k, parent, child, vpn)) {
      while (to.missingAboveHuge(vpn) > 0) if (!allocTable(vpn)) return false;
      if (!copyThp(k, parent, child, vpn)) return false;
    } else {
      while (to.missing(vpn) > 0) if (!allocTable(vpn)) return false;
      const end = Math.min(vma.endVpn, leafEnd(vpn));
      if (!copyLeaf(k, parent, child, vma, vpn, end)) return false;
    }
  }
  return true;
}

/**
 * A huge page that a device writes to is not shared with a child: its entry is split, and its small
 * pages are copied; a table page that was got for the child comes too early (copy_huge_pmd).
 */
function splitsPinned(k: Kernel, parent: Task, child: Task, vpn: number): boolean {
  const pte = parent.mm.pageTable.getThp(vpn);
  if (!pteIsPage(pte) || !k.mem.held.isPinned(pteFrame(pte))) return false;
  const table = allocDeposit(k, parent, child.mm);
  if (table !== undefined) k.allocator.free(table);
  splitPmd(k, parent.mm, vpn);
  return true;
}

/** Entries of one leaf, [startVpn, endVpn). False when a pinned page could not be copied. */
function copyLeaf(
  k: Kernel,
  parent: Task,
  child: Task,
  vma: Vma,
  startVpn: number,
  endVpn: number,
): boolean {
  const from = parent.mm.pageTable;
  const to = child.mm.pageTable;
  let isCopied = true;
  from.walk(startVpn, endVpn, (vpn, pte) => {
    if (pteIsDevice(pte) && !isOfDevice(vma)) {
      copyDeviceEntry(k, from, to, vpn, pteDeviceFrame(pte));
      return true;
    }
    if (!pteIsPage(pte)) {
      to.set(vpn, pte);
      if (pteIsSwap(pte)) k.mem.swap.dup(pteSlot(pte));
      return true;
    }
    if (k.mem.held.isPinned(k.thp.headOf(pteFrame(pte)))) {
      isCopied = copyPinned(k, parent, child, vma, vpn);
      return isCopied;
    }
    const f = pteFrame(pte);
    const shared = makePte(f, false);
    if (k.thp.isPart(f)) k.thp.addSmallMap(f);
    else k.mem.map.addMap(f);
    from.set(vpn, shared);
    to.set(vpn, shared);
    if (from.marks?.hinted.has(vpn) === true) {
      to.marks ??= new HintMarks();
      to.marks.hinted.add(vpn);
    }
    return true;
  });
  return isCopied;
}

/** A page that CPUs cannot map is shared as others are, until one writes (copy_nonpresent_pte). */
function copyDeviceEntry(k: Kernel, from: PageTable, to: PageTable, vpn: number, f: Frame): void {
  k.mem.map.addMap(f);
  from.set(vpn, makeDevicePte(f, false));
  to.set(vpn, makeDevicePte(f, false));
}

/**
 * A page that a device writes to stays its owner's alone: the child has its own copy at once,
 * placed by the parent's policies (copy_present_page). False when there is no page for it.
 */
function copyPinned(k: Kernel, parent: Task, child: Task, vma: Vma, vpn: number): boolean {
  const found = policyOfPage(parent, vma, vpn);
  const pgoff = vma.pgoff + (vpn - vma.startVpn);
  if (allocUserPages(k, parent, GFP_HIGHUSER_MOVABLE, found, pgoff, 1, 'copy on write') === 0) {
    return false;
  }
  const f = k.allocator.out[0] as Frame;
  k.mem.map.claim(f, KIND_ANON, child.mm.id, vpn, 1);
  joinLru(k.mem.lru, f, vma);
  child.mm.pageTable.set(vpn, makePte(f, true));
  return true;
}

/** Ends a task and frees what only it used. */
export function exitTask(k: Kernel, task: Task, end: TaskEnd): void {
  task.end = end;
  const { mm } = task;
  k.setCurrent(task);
  dropPins(k, task);
  for (const vma of mm.vmas) zapPages(k, task, vma, vma.startVpn, vma.endVpn);
  for (const vma of mm.remove(0, Number.POSITIVE_INFINITY)) {
    if (isHuge(vma)) closeArea(k, vma);
    else releaseArea(k, vma);
  }
  mm.pageTable.freeTables(0, Number.POSITIVE_INFINITY, (f) => k.allocator.free(f));
  if (mm.pgd !== undefined) k.allocator.free(mm.pgd);
  mm.pgd = undefined;
  k.spaces.delete(mm.id);
  k.thp.zeroUsers.delete(mm.id);
  task.mempolicy = null;
}
