// An address space: its areas, in order, and its page tables.
// Models   linux@v6.1 include/linux/mm_types.h: struct mm_struct, struct vm_area_struct; mm/mmap.c:
//          find_vma, __split_vma, vma_merge as far as policies and flags keep areas apart.
// Omits    the areas of the program itself (text, heap, stack); only what a scenario maps is here.
// Holds    VMA1 areas ascend, do not overlap, are not empty. VMA2 neighbours that could be one area
//          are.
import { assert } from '../base/assert.ts';
import type { Frame } from '../base/ids.ts';
import type { DriverBuffer } from './device_file.ts';
import type { FileArea } from './file_fault.ts';
import type { HugeArea } from './hugetlb_area.ts';
import type { Mempolicy } from './mempolicy.ts';
import { policiesEqual } from './mempolicy.ts';
import type { MmNuma } from './numa_balancing.ts';
import { PageTable } from './page_table.ts';
import type { ShmemObject } from './shmem.ts';
import type { ThpAdvice } from './thp.ts';

export interface Vma {
  startVpn: number;
  endVpn: number;
  /**
   * Page number in the object or the hugetlb file; for private memory of small pages the virtual
   * page number itself (vm_pgoff).
   */
  pgoff: number;
  /** null for private anonymous memory, and for huge pages. */
  readonly object: ShmemObject | null;
  /** What makes it an area of huge pages (VM_HUGETLB); null for all others. */
  readonly huge: HugeArea | null;
  /**
   * The file of a private mapping or of one of a disk; null for all others (a shared mapping of a
   * file in tmpfs has an object).
   */
  readonly file: FileArea | null;
  /** Memory of a device that its driver allocated (VM_PFNMAP). */
  readonly buffer?: DriverBuffer | undefined;
  /** vm_policy. */
  policy: Mempolicy | null;
  isLocked: boolean;
  /** Locked, but its pages are not faulted in before somebody touches them (VM_LOCKONFAULT). */
  isLockedOnFault?: boolean | undefined;
  wipesOnFork: boolean;
  isKeptFromChild: boolean;
  /** What was advised about transparent huge pages. */
  thp: ThpAdvice;
  /** Its pages may be merged with equal ones (VM_MERGEABLE). */
  isMergeable: boolean;
  /** A design has marked it for good (VM_CDM in the thread). */
  isMarked: boolean;
  /** Some private page of it was once written: fork must copy its entries (anon_vma). */
  hasAnonVma: boolean;
  /** Where pages of it were last read from a swap area with those around them. */
  readAhead?: { readonly vpn: number; readonly window: number; readonly hits: number } | undefined;
}

/** Locked pages are faulted in at once, or stay once they are touched (VM_LOCKONFAULT). */
export type LockMode = 'at once' | 'on fault';

export class AddressSpace {
  readonly id: number;
  readonly pageTable: PageTable;
  #vmas: Vma[] = [];
  /** How areas that are mapped from now on are locked (mm->def_flags, set by mlockall). */
  locksFuture: LockMode | undefined;
  /** When it was made, ms since boot. */
  readonly bornMs: number;
  /** Where the scan of NUMA balancing stands, once there was one. */
  numa: MmNuma | undefined;
  /** The top page table, once a fork has made one. */
  pgd: Frame | undefined;
  /** Called before an area comes to end at a page in its midst. */
  beforeCut: (vpn: number) => void = () => undefined;

  /** @param hugeSmall small pages in a huge one. */
  constructor(id: number, hugeSmall?: number, bornMs = 0) {
    this.id = id;
    this.bornMs = bornMs;
    this.pageTable = new PageTable(hugeSmall);
  }

  get vmas(): readonly Vma[] {
    return this.#vmas;
  }

  /** Position of the first area that ends above `vpn`. */
  #position(vpn: number): number {
    let low = 0;
    let high = this.#vmas.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if ((this.#vmas[mid] as Vma).endVpn > vpn) high = mid;
      else low = mid + 1;
    }
    return low;
  }

  /** The first area that ends above `vpn`, which may start above it too (find_vma). */
  findVma(vpn: number): Vma | undefined {
    return this.#vmas[this.#position(vpn)];
  }

  /** The area that holds `vpn` (vma_lookup). */
  lookup(vpn: number): Vma | undefined {
    const vma = this.findVma(vpn);
    return vma !== undefined && vma.startVpn <= vpn ? vma : undefined;
  }

  /** Areas that overlap [startVpn, endVpn), in order. */
  vmasIn(startVpn: number, endVpn: number): Vma[] {
    const found: Vma[] = [];
    for (let i = this.#position(startVpn); i < this.#vmas.length; i++) {
      const vma = this.#vmas[i] as Vma;
      if (vma.startVpn >= endVpn) break;
      found.push(vma);
    }
    return found;
  }

  /** Adds an area where nothing is mapped, as part of its neighbours where they are alike. */
  insert(vma: Vma): void {
    this.insertApart(vma);
    this.#mergeAround(vma.startVpn, vma.endVpn);
  }

  /** Adds an area where nothing is mapped, on its own: fork copies areas as they are. */
  insertApart(vma: Vma): void {
    const at = this.#position(vma.startVpn);
    const next = this.#vmas[at];
    assert(next === undefined || next.startVpn >= vma.endVpn, 'areas do not overlap');
    this.#vmas.splice(at, 0, vma);
  }

  /**
   * Takes the areas of [startVpn, endVpn) out, splitting at the edges; the caller has unmapped
   * them.
   */
  remove(startVpn: number, endVpn: number): Vma[] {
    const removed = this.isolate(startVpn, endVpn);
    this.#vmas = this.#vmas.filter((vma) => !removed.includes(vma));
    return removed;
  }

  /** Splits areas so that [startVpn, endVpn) is made of whole ones, and returns those. */
  isolate(startVpn: number, endVpn: number): Vma[] {
    this.#splitAt(startVpn);
    this.#splitAt(endVpn);
    return this.vmasIn(startVpn, endVpn);
  }

  /** Changes every area of [startVpn, endVpn), split at the edges and merged again where alike. */
  change(startVpn: number, endVpn: number, apply: (vma: Vma) => void): void {
    for (const vma of this.isolate(startVpn, endVpn)) apply(vma);
    this.#mergeAround(startVpn, endVpn);
  }

  #splitAt(vpn: number): void {
    const vma = this.lookup(vpn);
    if (vma === undefined || vma.startVpn === vpn) return;
    if (this.pageTable.hasThps) this.beforeCut(vpn);
    const upper: Vma = {
      ...vma,
      startVpn: vpn,
      pgoff: vma.pgoff + (vpn - vma.startVpn),
      policy: vma.policy?.dup() ?? null,
      huge: vma.huge === null ? null : { ...vma.huge },
    };
    vma.endVpn = vpn;
    this.#vmas.splice(this.#position(vpn), 0, upper);
  }

  #mergeAround(startVpn: number, endVpn: number): void {
    let i = Math.max(0, this.#position(startVpn - 1));
    while (i + 1 < this.#vmas.length) {
      const a = this.#vmas[i] as Vma;
      const b = this.#vmas[i + 1] as Vma;
      if (a.startVpn >= endVpn) return;
      if (canMerge(a, b)) {
        a.endVpn = b.endVpn;
        a.hasAnonVma ||= b.hasAnonVma;
        this.#vmas.splice(i + 1, 1);
      } else i++;
    }
  }
}

function canMerge(a: Vma, b: Vma): boolean {
  return (
    a.endVpn === b.startVpn &&
    a.huge === null &&
    b.huge === null &&
    a.object === b.object &&
    a.file === b.file &&
    a.buffer === b.buffer &&
    a.object?.isSegment !== true &&
    a.pgoff + (a.endVpn - a.startVpn) === b.pgoff &&
    a.isLocked === b.isLocked &&
    (a.isLockedOnFault ?? false) === (b.isLockedOnFault ?? false) &&
    a.wipesOnFork === b.wipesOnFork &&
    a.isKeptFromChild === b.isKeptFromChild &&
    a.thp === b.thp &&
    a.isMergeable === b.isMergeable &&
    a.isMarked === b.isMarked &&
    policiesEqual(a.policy, b.policy)
  );
}
