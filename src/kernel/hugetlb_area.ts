// Areas of huge pages: the file behind each, and the promises of pages made to it.
// Models   linux@v6.1 mm/hugetlb.c: hugetlb_reserve_pages, hugetlb_unreserve_pages,
//          vma_needs_reservation, vma_commit_reservation, vma_has_reserves, hugetlb_vm_op_close,
//          hugetlb_dup_vma_private, allowed_mems_nr; fs/hugetlbfs/inode.c: hugetlb_file_setup,
//          hugetlbfs_evict_inode, hugetlbfs_punch_hole.
// Omits    mounts of hugetlbfs with a size or a minimum of their own, the cgroup controller.
// State    a shared area's promises are the inode's: which pages were promised or given once. A
//          private area's are its own: which promises were used up. Numbers count huge pages.
// Holds    HUG3 whoever mapped with a reservation gets its pages, unless its policy forbids them.
import { NotModelled } from '../base/assert.ts';
import type { Frame } from '../base/ids.ts';
import { MPOL_BIND } from '../hooks/policy_modes.ts';
import type { HugePages } from '../mm/hugetlb.ts';
import type { Vma } from './address_space.ts';
import type { Kernel } from './kernel.ts';
import { PTE_NONE, pteIsPage } from './page_table.ts';
import { noteRequest, policyNodemask, taskPolicy } from './policy_alloc.ts';
import type { Task } from './task.ts';

/** The file that a mapping of huge pages has behind it, anonymous or not. */
export class HugeInode {
  readonly id: number;
  readonly ino: number;
  /** Huge pages. */
  readonly nrPages: number;
  /** A SysV segment: it lives on without mappings. */
  readonly isSegment: boolean;
  /** Where its pages are from. */
  readonly pool: HugePages;
  /** Small pages in a huge one. */
  readonly nrSmall: number;
  /** Pages of a shared file by number (its page cache). */
  readonly pages = new Map<number, Frame>();
  /** Pages that were promised to those who share the file, or given to them. */
  readonly promised = new Set<number>();

  constructor(id: number, ino: number, nrPages: number, isSegment: boolean, pool: HugePages) {
    this.id = id;
    this.ino = ino;
    this.nrPages = nrPages;
    this.isSegment = isSegment;
    this.pool = pool;
    this.nrSmall = pool.nrSmall;
  }
}

/** What an area of huge pages has beside other areas. */
export interface HugeArea {
  readonly inode: HugeInode;
  readonly isShared: boolean;
  /** MAP_NORESERVE: nothing is promised. */
  readonly hasNoReserve: boolean;
  /**
   * The promises of a private area that were used up, by page number in the file; null for shared
   * areas, without a reservation, and in a child, whose parent keeps the promises
   * (HPAGE_RESV_OWNER). Parts of an area that was split share it.
   */
  used: Set<number> | null;
  /** A page was taken from it for its parent's sake: a fault fails (HPAGE_RESV_UNMAPPED). */
  isRobbed: boolean;
}

/** An area of huge pages. */
export type HugeVma = Vma & { readonly huge: HugeArea };

export const isHuge = (vma: Vma): vma is HugeVma => vma.huge !== null;

/** Number in the file of the huge page that holds `vpn`. */
export const hugeIndex = (vma: HugeVma, vpn: number): number =>
  Math.floor((vma.pgoff + (vpn - vma.startVpn)) / vma.huge.inode.nrSmall);

/** Are the huge pages of the machine of the sizes that are modelled, 2 MiB and 1 GiB? */
export const hasHugePages = ({ machine, mem }: Kernel): boolean =>
  mem.pageBytes === 4096 || (machine.arch === 'ppc64' && mem.pageBytes === 65536);

/** @throws NotModelled on machines whose huge pages are of other sizes than 2 MiB and 1 GiB. */
export function requireHugePages(k: Kernel): void {
  if (!hasHugePages(k)) {
    const kib = k.mem.pageBytes / 1024;
    throw new NotModelled(`HugeTLB on ${k.machine.arch} with pages of ${kib} KiB`);
  }
}

/** Free pages on the nodes that a task may use: its cpuset's, of its own bind policy's. */
function allowedFree(k: Kernel, task: Task, pool: HugePages): number {
  const { policy } = taskPolicy(task);
  const bound = policy?.mode === MPOL_BIND ? policyNodemask(k, task, pool.gfp, policy) : null;
  let n = 0;
  for (const nid of task.memsAllowed) {
    if (bound === null || bound.has(nid)) n += pool.freeOf[nid] ?? 0;
  }
  return n;
}

function promise(k: Kernel, task: Task, pool: HugePages, count: number): boolean {
  k.setCurrent(task);
  const local = k.localNode(task);
  const found = { policy: null, from: 'default' } as const;
  noteRequest(k, task, 'huge page pool', found, pool.gfp, local, null);
  return pool.promise(count, local, () => allowedFree(k, task, pool));
}

/**
 * Promises pages [from, to) of a file to an area that is being mapped, or to those who will share
 * the file. False when they cannot be had (-ENOMEM).
 */
export function reserve(k: Kernel, task: Task, area: HugeArea, from: number, to: number): boolean {
  if (area.hasNoReserve) return true;
  if (!area.isShared) {
    area.used = new Set();
    return promise(k, task, area.inode.pool, to - from);
  }
  const { promised, pool } = area.inode;
  const wanted: number[] = [];
  for (let i = from; i < to; i++) if (!promised.has(i)) wanted.push(i);
  if (!promise(k, task, pool, wanted.length)) return false;
  for (const i of wanted) promised.add(i);
  return true;
}

/** Must the page at an index come from what is promised to nobody (vma_needs_reservation)? */
export function needsPage(area: HugeArea, index: number): boolean {
  if (area.isShared) return !area.inode.promised.has(index);
  return area.used === null || area.used.has(index);
}

/** Is a page promised that need not be asked for (vma_has_reserves)? */
export function hasPromise(area: HugeArea, needs: boolean): boolean {
  if (area.isShared) return !needs;
  return !area.hasNoReserve && area.used !== null && !needs;
}

/** A page was given: its promise is used up (vma_commit_reservation). */
export function usePromise(area: HugeArea, index: number): void {
  if (area.isShared) area.inode.promised.add(index);
  else area.used?.add(index);
}

/** What a child's area is like: nothing is promised to it. */
export const inheritedArea = (area: HugeArea): HugeArea => ({
  ...area,
  used: null,
  isRobbed: false,
});

/** An area, all of its pages unmapped, is gone: what it was promised and did not use goes back. */
export function closeArea(k: Kernel, vma: HugeVma): void {
  const { used, inode } = vma.huge;
  if (used !== null) {
    let unused = 0;
    const end = hugeIndex(vma, vma.endVpn);
    for (let i = hugeIndex(vma, vma.startVpn); i < end; i++) if (!used.has(i)) unused++;
    if (unused > 0) inode.pool.takeBack(unused);
  }
  if (!inode.isSegment && !isMapped(k, inode)) evict(k, inode);
}

const isMapped = (k: Kernel, inode: HugeInode): boolean =>
  [...k.spaces.values()].some((space) => space.vmas.some((vma) => vma.huge?.inode === inode));

/** A page leaves its file; one that broke is nobody's from then on. */
function dropPage(k: Kernel, pool: HugePages, f: Frame): void {
  if (k.mem.held.isPoisoned(f)) pool.lose(f);
  else pool.release(f);
}

/** The last mapping of a file is gone, and the file with it. */
function evict(k: Kernel, inode: HugeInode): void {
  for (const f of inode.pages.values()) dropPage(k, inode.pool, f);
  const unused = inode.promised.size - inode.pages.size;
  if (unused > 0) inode.pool.takeBack(unused);
  inode.pages.clear();
  inode.promised.clear();
  k.hugeInodes.delete(inode.id);
}

/** A file that was never mapped, because its reservation failed. */
export function dropInode(k: Kernel, inode: HugeInode): void {
  k.hugeInodes.delete(inode.id);
}

/**
 * Takes pages [from, to) out of a shared file and of every page table. What the file was promised
 * for them is gone with them.
 */
export function punchHole(k: Kernel, inode: HugeInode, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    const f = inode.pages.get(i);
    if (f === undefined) continue;
    for (const { space, vpn } of mappersOf(k, inode, i)) {
      const pte = space.pageTable.getHuge(vpn);
      if (pte === PTE_NONE) continue;
      space.pageTable.setHuge(vpn, PTE_NONE, inode.nrSmall);
      if (pteIsPage(pte)) k.mem.map.removeMap(f);
    }
    inode.pages.delete(i);
    inode.promised.delete(i);
    dropPage(k, inode.pool, f);
  }
}

/** Areas that map a page of a file, with the address where they do. */
export function mappersOf(k: Kernel, inode: HugeInode, index: number) {
  return [...k.spaces.values()].flatMap((space) =>
    space.vmas.filter(isHuge).flatMap((vma) => {
      const vpn = vma.startVpn + index * inode.nrSmall - vma.pgoff;
      const isHere = vma.huge.inode === inode && vpn >= vma.startVpn && vpn < vma.endVpn;
      return isHere ? [{ space, vma, vpn }] : [];
    }),
  );
}
