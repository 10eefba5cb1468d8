// Faults on transparent huge pages, and what forking and unmapping do to them.
// Models   linux@v6.1 mm/memory.c: create_huge_pmd, wp_huge_pmd; mm/huge_memory.c:
//          do_huge_pmd_anonymous_page, __do_huge_pmd_anonymous_page, set_huge_zero_page,
//          do_huge_pmd_wp_page, copy_huge_pmd, zap_huge_pmd, mm_get_huge_zero_page.
// Omits    NUMA hinting faults, userfaultfd, pinned pages.
// Holds    THP7 a fault tries a huge page only where no page table is yet and the whole of it lies
//          in the area; else, and when there is none, it goes on with a small page. THP8 the huge
//          page comes before its table page, the table page before the huge zero page. THP9 a huge
//          page that others map too is not copied: its entry is split, and small pages are copied.
import type { Frame } from '../base/ids.ts';
import { __GFP_MOVABLE, __GFP_ZERO, GFP_PGTABLE_USER, GFP_TRANSHUGE } from '../mm/gfp.ts';
import { KIND_KERNEL, KIND_PAGE_TABLE } from '../mm/memmap.ts';
import { PGFAULT } from '../mm/vmstat.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import type { AddressSpace, Vma } from './address_space.ts';
import {
  allocationFailed,
  allocTables,
  FAULT,
  type Fault,
  type FaultBy,
  type FaultRun,
  policyOfPage,
} from './fault.ts';
import type { Kernel } from './kernel.ts';
import { joinThp, markUsed, unlockThpUnlessOthers } from './lru_track.ts';
import {
  makePte,
  PTE_NONE,
  PTE_ZERO_PAGE,
  pteFrame,
  pteIsPage,
  pteIsWritable,
} from './page_table.ts';
import { allocPages, isTaskInterleaving } from './policy_alloc.ts';
import type { Task } from './task.ts';
import { THP_ORDER, THP_PAGES, thpStart } from './thp.ts';
import { allocThp } from './thp_alloc.ts';
import { splitPmd } from './thp_split.ts';

/** The fault goes on with a small page (VM_FAULT_FALLBACK). */
const FALLBACK = -1;

/**
 * Touches pages [startVpn, endVpn), which lie in the place of one huge page, as far as a huge page
 * serves them.
 * @returns undefined when the fault goes on with small pages.
 */
export function touchThp(
  k: Kernel,
  task: Task,
  vma: Vma,
  startVpn: number,
  endVpn: number,
  isWrite: boolean,
  by: FaultBy,
): FaultRun | undefined {
  const { pageTable } = task.mm;
  const pte = pageTable.getThp(startVpn);
  const done = { done: endVpn - startVpn, fault: FAULT.OK };
  if (pte !== PTE_NONE) {
    if (!isWrite || pteIsWritable(pte)) {
      if (k.mem.lru.isTracking && pteIsPage(pte)) markUsed(k.mem.lru, pteFrame(pte), isWrite);
      return done;
    }
    if (!reuse(k, task, startVpn, pte)) return undefined;
    k.mem.stat.count(PGFAULT, 1);
    return done;
  }
  if (!k.thp.allows(vma) || pageTable.leafOf(startVpn) !== undefined) return undefined;
  const fault = faultThp(k, task, vma, thpStart(startVpn), isWrite, by);
  if (fault === FALLBACK) return undefined;
  k.mem.stat.count(PGFAULT, 1);
  return fault === FAULT.OK ? done : { done: 0, fault: fault as Fault };
}

/**
 * A write to a huge page that is mapped read-only: its only owner may have it, else its entry is
 * split (do_huge_pmd_wp_page). True when it is writable now.
 */
function reuse(k: Kernel, task: Task, vpn: number, pte: number): boolean {
  if (pteIsPage(pte) && k.thp.pageOf(pteFrame(pte)).refs === 1) {
    k.mem.map.link[pteFrame(pte)] = task.mm.id;
    task.mm.pageTable.setThp(vpn, makePte(pteFrame(pte), true));
    if (k.mem.lru.isTracking) markUsed(k.mem.lru, pteFrame(pte), true);
    return true;
  }
  splitPmd(k, task.mm, vpn);
  return false;
}

/** A fault where nothing is mapped: a Fault, or FALLBACK. */
function faultThp(
  k: Kernel,
  task: Task,
  vma: Vma,
  start: number,
  isWrite: boolean,
  by: FaultBy,
): number {
  // A CPU asks again, and a task that interleaves then asks another node for its tables.
  const isRetried = by === 'cpu' && isTaskInterleaving(task);
  let retries = isRetried ? (task.mempolicy?.nodes.weight ?? 0) : 0;
  for (;;) {
    const fault = faultOnce(k, task, vma, start, isWrite, by);
    if (fault !== FAULT.RETRY || retries-- <= 0) return fault;
  }
}

function faultOnce(
  k: Kernel,
  task: Task,
  vma: Vma,
  start: number,
  isWrite: boolean,
  by: FaultBy,
): number {
  const tables = allocTables(k, task, start, by, k.huge.nrSmall);
  if (tables !== FAULT.OK) return tables;
  if (start < vma.startVpn || start + THP_PAGES > vma.endVpn) return FALLBACK;
  vma.hasAnonVma = true;
  k.khugepaged.enter(task.mm.id);
  if (!isWrite && k.thp.usesZeroPage) return mapZeroPage(k, task, start);
  const found = policyOfPage(task, vma, start);
  const head = allocThp(k, task, k.thp.gfpMask(vma), found, vma, start, 'page fault');
  if (head === undefined) {
    k.mem.stat.count(EVENT.thp_fault_fallback, 1);
    return FALLBACK;
  }
  k.thp.claim(head, task.mm.id, start, { pmdMaps: 1, refs: 1 });
  const table = allocDeposit(k, task, task.mm);
  if (table === undefined) {
    const fault = allocationFailed(k);
    k.setCurrent(task);
    k.thp.free(head);
    return fault;
  }
  task.mm.pageTable.setThp(start, makePte(head, true), table);
  joinThp(k, head);
  k.mem.stat.count(EVENT.thp_fault_alloc, 1);
  return FAULT.OK;
}

/** A table page to be deposited with an entry of the pmd level, asked for by `task`. */
export function allocDeposit(k: Kernel, task: Task, space: AddressSpace): Frame | undefined {
  if (allocPages(k, task, GFP_PGTABLE_USER, 0, 'page table') === 0) return undefined;
  const table = k.allocator.out[0] as Frame;
  k.mem.map.claim(table, KIND_PAGE_TABLE, space.id, 0, 0);
  return table;
}

function mapZeroPage(k: Kernel, task: Task, start: number): number {
  const table = allocDeposit(k, task, task.mm);
  if (table === undefined) return allocationFailed(k);
  if (!useZeroPage(k, task, task.mm)) {
    k.allocator.free(table);
    k.mem.stat.count(EVENT.thp_fault_fallback, 1);
    return FALLBACK;
  }
  task.mm.pageTable.setThp(start, PTE_ZERO_PAGE, table);
  return FAULT.OK;
}

/** Lets an address space have the huge zero page, which is made for its first user. */
function useZeroPage(k: Kernel, task: Task, space: AddressSpace): boolean {
  const { thp } = k;
  if (thp.zeroFrame === undefined) {
    const gfp = (GFP_TRANSHUGE | __GFP_ZERO) & ~__GFP_MOVABLE;
    if (allocPages(k, task, gfp, THP_ORDER, 'kernel page') === 0) {
      k.mem.stat.count(EVENT.thp_zero_page_alloc_failed, 1);
      return false;
    }
    const head = k.allocator.out[0] as Frame;
    k.mem.map.claim(head, KIND_KERNEL, 0, 0, 0);
    thp.zeroFrame = head;
    k.mem.stat.count(EVENT.thp_zero_page_alloc, 1);
  }
  thp.zeroUsers.add(space.id);
  return true;
}

/**
 * Lets a child map what the parent maps by an entry of the pmd level, both read-only until one
 * writes. The levels above are there. False when the table page could not be had.
 */
export function copyThp(k: Kernel, parent: Task, child: Task, vpn: number): boolean {
  const table = allocDeposit(k, parent, child.mm);
  if (table === undefined) return false;
  const pte = parent.mm.pageTable.getThp(vpn);
  if (!pteIsPage(pte)) {
    useZeroPage(k, parent, child.mm);
    child.mm.pageTable.setThp(vpn, pte, table);
    return true;
  }
  const shared = makePte(pteFrame(pte), false);
  k.thp.addPmdMap(pteFrame(pte));
  parent.mm.pageTable.setThp(vpn, shared);
  child.mm.pageTable.setThp(vpn, shared, table);
  return true;
}

/**
 * Unmaps the huge pages of [startVpn, endVpn); the entry of one that is not unmapped whole is split
 * first, and its small pages stay for the caller.
 */
export function zapThps(k: Kernel, space: AddressSpace, startVpn: number, endVpn: number): void {
  const { pageTable } = space;
  if (!pageTable.hasThps) return;
  for (const [vpn, pte] of [...pageTable.thpsIn(startVpn, endVpn)]) {
    if (vpn < startVpn || vpn + THP_PAGES > endVpn) {
      splitPmd(k, space, vpn);
      continue;
    }
    const table = pageTable.removeThp(vpn);
    if (pteIsPage(pte)) {
      k.thp.removePmdMap(pteFrame(pte));
      if (k.thp.isPart(pteFrame(pte))) unlockThpUnlessOthers(k, pteFrame(pte));
    }
    k.allocator.free(table);
  }
}
