// Collapsing small pages into a transparent huge page, on request.
// Models   linux@v6.1 mm/khugepaged.c: madvise_collapse, hpage_collapse_scan_pmd,
//          hpage_collapse_find_target_node, collapse_huge_page, __collapse_huge_page_isolate,
//          madvise_collapse_errno.
// Omits    files and shared memory. khugepaged does the same by itself: khugepaged.ts.
// Hooks    collapseScan (hpage_collapse_scan_pmd).
// Holds    THP12 the huge page comes to the node that most of the small pages are on, whatever the
//          policies say; of several such the first, and then the others.
import { EAGAIN, EBUSY, EINVAL, ENOMEM } from '../base/errno.ts';
import type { Frame, NodeId } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import { GFP_TRANSHUGE } from '../mm/gfp.ts';
import { KIND_KERNEL } from '../mm/memmap.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import type { AddressSpace, Vma } from './address_space.ts';
import { FAULT, touchPages, unmapPrivate } from './fault.ts';
import type { Kernel } from './kernel.ts';
import { joinThp } from './lru_track.ts';
import { chargeGiven } from './memcg.ts';
import {
  makePte,
  PTE_NONE,
  PTE_POISON,
  pteFrame,
  pteIsDevice,
  pteIsPage,
  pteIsSwap,
  pteIsWritable,
} from './page_table.ts';
import { allocOnNode } from './policy_alloc.ts';
import { privateFlag } from './private_nodes.ts';
import type { Task } from './task.ts';
import { hasRoomForThp, THP_ORDER, THP_PAGES } from './thp.ts';
import { isZoneDevice } from './zone_device.ts';

/**
 * Collapses every whole huge page's place in a range.
 * @returns 0; -EINVAL where that is not possible, and for a range within one place; -ENOMEM.
 */
export function collapseRange(
  k: Kernel,
  task: Task,
  vma: Vma,
  startVpn: number,
  endVpn: number,
): number {
  const isAnon = vma.object === null && vma.file === null && vma.huge === null && vma.hasAnonVma;
  if (!isAnon || !hasRoomForThp(vma) || vma.thp === 'nohugepage') return -EINVAL;
  const first = Math.ceil(startVpn / THP_PAGES) * THP_PAGES;
  const end = Math.floor(endVpn / THP_PAGES) * THP_PAGES;
  let error = end < first ? -EINVAL : 0;
  for (let vpn = first; vpn < end; vpn += THP_PAGES) {
    const result = collapsePlace(k, task, task.mm, vpn, GFP_TRANSHUGE);
    if (result === -ENOMEM) return result;
    if (result !== 0) error = result;
  }
  return error;
}

/** The pages that are there, by node. */
function nodeLoad(k: Kernel, frames: readonly Frame[]): Map<NodeId, number> {
  const load = new Map<NodeId, number>();
  for (const f of frames) {
    const nid = k.allocator.nidOf(f);
    load.set(nid, (load.get(nid) ?? 0) + 1);
  }
  return load;
}

/** Pages that CPUs cannot map come back for it, as those in a swap area would. */
function fetchPrivate(k: Kernel, task: Task, start: number): void {
  const away: number[] = [];
  task.mm.pageTable.walk(start, start + THP_PAGES, (vpn, pte) => {
    if (pteIsDevice(pte)) away.push(vpn);
  });
  for (const vpn of away) touchPages(k, task, vpn, 1, false, 'gup');
}

/**
 * Pages in a swap area come back, if some were there at the first look
 * (__collapse_huge_page_swapin).
 * @returns false when one cannot, or one has gone meanwhile to make room for the huge page.
 */
function bringBack(
  k: Kernel,
  task: Task,
  mm: AddressSpace,
  start: number,
  isWanted: boolean,
): boolean {
  const away: number[] = [];
  const look = (): number => {
    away.length = 0;
    mm.pageTable.walk(start, start + THP_PAGES, (vpn, pte) => {
      if (pteIsSwap(pte)) away.push(vpn);
    });
    return away.length;
  };
  if (look() === 0) return true;
  const isBack = (vpn: number) => touchPages(k, task, vpn, 1, false, 'gup').fault === FAULT.OK;
  return isWanted && [...away].every(isBack) && look() === 0;
}

/**
 * Collapses the small pages of one huge page's place.
 * @param task who asks for the block, with these flags.
 * @returns 0, -EINVAL, -EAGAIN while a pin holds a page, -ENOMEM.
 */
export function collapsePlace(
  k: Kernel,
  task: Task,
  mm: AddressSpace,
  start: number,
  gfp: number,
): number {
  const { pageTable } = mm;
  if (pageTable.getThp(start) !== PTE_NONE) return 0;
  if (pageTable.leafOf(start) === undefined) return -EINVAL;
  const frames: Frame[] = [];
  let isWritable = false;
  let isBroken = false;
  let isPinned = false;
  if (k.mem.deviceMemory.hasPrivate) fetchPrivate(k, task, start);
  let nrSwapped = 0;
  pageTable.walk(start, start + THP_PAGES, (_vpn, pte) => {
    isBroken ||= pte === PTE_POISON;
    isPinned ||= pteIsPage(pte) && k.mem.held.isPinned(k.thp.headOf(pteFrame(pte)));
    if (pteIsSwap(pte)) nrSwapped++;
    isWritable ||= pteIsWritable(pte);
    if (pteIsPage(pte)) frames.push(pteFrame(pte));
  });
  if (isPinned) return -EAGAIN;
  if (!isWritable || frames.length === 0) return -EINVAL;
  if (frames.some((f) => isZoneDevice(k, f))) return -EINVAL;
  const mayScan = k.design.answers.collapseScan;
  if (frames.some((f) => mayScan?.(k.allocator.nidOf(f), k.states) === false)) return -EINVAL;
  const load = nodeLoad(k, frames);
  const most = Math.max(...load.values());
  const wanted = Nodemask.from([...load].filter(([, n]) => n === most).map(([nid]) => nid));
  const target = wanted.first();
  const head = allocOnNode(
    k,
    task,
    gfp | privateFlag(k, 'collapse', wanted),
    target,
    'migration target',
    'node named',
    wanted,
    THP_ORDER,
  );
  if (head === undefined) {
    k.mem.stat.count(EVENT.thp_collapse_alloc_failed, 1);
    return -ENOMEM;
  }
  k.mem.stat.count(EVENT.thp_collapse_alloc, 1);
  const owner = k.liveTasks().find((one) => one.mm === mm) ?? task;
  if (chargeGiven(k, owner, 1, THP_ORDER, gfp, 'page fault') === 0) return -EBUSY;
  if (isBroken || !bringBack(k, task, mm, start, nrSwapped > 0)) {
    k.mem.map.claim(head, KIND_KERNEL, 0, 0, 0);
    k.allocator.freeBlock(head, THP_ORDER);
    return -EINVAL;
  }
  // Compaction for the block may have moved some of them.
  frames.length = 0;
  pageTable.walk(start, start + THP_PAGES, (vpn, pte) => {
    if (!pteIsPage(pte)) return;
    frames.push(pteFrame(pte));
    k.frameWatch?.moved('collapse', pteFrame(pte), (head + vpn - start) as Frame, 1);
  });
  const table = pageTable.removeLeaf(start);
  const to = k.allocator.nidOf(head);
  for (const [nid, n] of load) k.moves.count('collapse', nid, to, n);
  for (const f of frames) unmapPrivate(k, f);
  k.thp.claim(head, mm.id, start, { pmdMaps: 1, refs: 1 });
  pageTable.setThp(start, makePte(head, true), table);
  joinThp(k, head);
  return 0;
}
