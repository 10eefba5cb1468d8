// What one area of a task holds, page by page of its page table: for the files that tell of areas.
// Models   linux@v6.1 fs/proc/task_mmu.c: gather_pte_stats, gather_hugetlb_stats, smaps_pte_entry,
//          smaps_hugetlb_range; mm/memory.c: vm_normal_page (the zero page is none).
// Omits    pages that the hardware has marked as not referenced lately: all are.

import type { Frame } from '../base/ids.ts';
import type { Vma } from '../kernel/address_space.ts';
import { isOfDevice } from '../kernel/device_file.ts';
import { hugeIndex, isHuge } from '../kernel/hugetlb_area.ts';
import type { Kernel } from '../kernel/kernel.ts';
import {
  anyFrameOf,
  pteFrame,
  pteIsPage,
  pteIsSwap,
  pteIsWritable,
  pteSlot,
} from '../kernel/page_table.ts';
import type { Task } from '../kernel/task.ts';
import { THP_PAGES } from '../kernel/thp.ts';
import { isZoneDevice } from '../kernel/zone_device.ts';
import { LRU_ACTIVE, LRU_SWAPCACHE } from '../mm/lru.ts';
import { KIND_ANON } from '../mm/memmap.ts';
import { lockedFrames } from './census.ts';
import type { View } from './view.ts';

/** Counts in pages of the area: small or huge ones. */
export interface AreaStat {
  pages: number;
  anon: number;
  /** Pages that entries of the pmd level map, in whole transparent huge pages. */
  anonHuge: number;
  dirty: number;
  /** On the active list, or on none that reclaim looks at (locked). */
  active: number;
  /** The most page tables that map one of its pages. */
  mostMapped: number;
  /** Pages that other page tables map too. */
  shared: number;
  sharedDirty: number;
  /** Sums of 1 / mappers, in the kernel's fixed point of 12 bits below a byte. */
  pss: number;
  pssDirty: number;
  pssAnon: number;
  /** Pages that a slot of a swap area has as well. */
  swapCached: number;
  /** Entries that stand for slots of swap areas, and their proportional size. */
  swapped: number;
  swapPss: number;
  readonly byNode: Map<number, number>;
}

/** Bits below a byte of a proportional size (PSS_SHIFT). */
export const PSS_SHIFT = 12;

const lockedOf = ({ k }: View): ReadonlySet<Frame> => lockedFrames(k);

/**
 * Counts the pages that the task's page table maps in an area.
 * @param withDevices also those in memory that drivers keep, which numa_maps passes over.
 */
export function areaStat(view: View, task: Task, vma: Vma, withDevices: boolean): AreaStat {
  const { k } = view;
  const locked = view.once(lockedOf);
  const stat: AreaStat = {
    pages: 0,
    anon: 0,
    anonHuge: 0,
    dirty: 0,
    active: 0,
    mostMapped: 0,
    shared: 0,
    sharedDirty: 0,
    pss: 0,
    pssDirty: 0,
    pssAnon: 0,
    swapCached: 0,
    swapped: 0,
    swapPss: 0,
    byNode: new Map(),
  };
  const { pageTable } = task.mm;
  if (isOfDevice(vma)) return stat;
  if (isHuge(vma)) {
    for (const [vpn, pte] of pageTable.hugeIn(vma.startVpn, vma.endVpn)) {
      const isAnon = vma.huge.inode.pages.get(hugeIndex(vma, vpn)) !== pteFrame(pte);
      const isDirty = !isAnon || pteIsWritable(pte) || mappersOf(k, pteFrame(pte)) > 1;
      countPage(k, stat, pteFrame(pte), isAnon, isDirty, false);
    }
    return stat;
  }
  for (const [, pte] of pageTable.thpsIn(vma.startVpn, vma.endVpn)) {
    if (pteIsPage(pte)) stat.anonHuge += THP_PAGES;
  }
  pageTable.walk(vma.startVpn, vma.endVpn, (vpn, pte) => {
    if (pteIsSwap(pte)) countSwapped(k, stat, pte);
    const f = anyFrameOf(pte);
    if (f === -1 || (!withDevices && isZoneDevice(k, f))) return;
    const isAnon = isPrivate(k, f);
    const index = vma.pgoff + (vpn - vma.startVpn);
    const isClean = !isAnon && !pteIsWritable(pte) && vma.object?.isClean(index) === true;
    const isActive = locked.has(f) || isOn(k, f, LRU_ACTIVE);
    countPage(k, stat, f, isAnon, !isClean, isActive);
  });
  return stat;
}

/** Has reclaim marked a page so? */
const isOn = ({ mem }: Kernel, f: Frame, flag: number): boolean =>
  mem.lru.isInUse && mem.lru.has(f, flag);

const isPrivate = (k: Kernel, f: Frame): boolean =>
  k.mem.map.kind[f] === KIND_ANON || k.thp.isPart(f);

function countSwapped(k: Kernel, stat: AreaStat, pte: number): void {
  const owners = Math.max(1, k.mem.swap.count[pteSlot(pte)] as number);
  stat.swapped++;
  stat.swapPss += Math.floor((k.mem.pageBytes * 2 ** PSS_SHIFT) / owners);
}

const mappersOf = (k: Kernel, f: Frame): number => k.thp.mapcount(f);

function countPage(
  k: Kernel,
  stat: AreaStat,
  f: Frame,
  isAnon: boolean,
  isDirty: boolean,
  isActive: boolean,
): void {
  const mappers = mappersOf(k, f);
  const nid = k.allocator.nidOf(f);
  const pss = Math.floor((k.mem.pageBytes * 2 ** PSS_SHIFT) / Math.max(1, mappers));
  stat.pages++;
  stat.byNode.set(nid, (stat.byNode.get(nid) ?? 0) + 1);
  stat.mostMapped = Math.max(stat.mostMapped, mappers);
  stat.pss += pss;
  if (isAnon) {
    stat.anon++;
    stat.pssAnon += pss;
  }
  if (isDirty) {
    stat.dirty++;
    stat.pssDirty += pss;
  }
  if (isActive) stat.active++;
  if (isOn(k, f, LRU_SWAPCACHE)) stat.swapCached++;
  if (mappers > 1) {
    stat.shared++;
    if (isDirty) stat.sharedDirty++;
  }
}
