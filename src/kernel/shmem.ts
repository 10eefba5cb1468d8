// Shared memory objects: the pages behind MAP_SHARED anonymous mappings and SysV segments, and the
// policy that belongs to the object instead of to a task or an area.
// Models   linux@v6.1 mm/shmem.c: shmem_get_folio, shmem_pseudo_vma_init; mm/mempolicy.c:
//          mpol_set_shared_policy, mpol_shared_policy_lookup, shared_policy_replace.
//          mpol_shared_policy_init is file_calls.ts's.
// State    pages: frame + 1 by page number in the object, 0 when not there, an entry as page tables
//          have it when a swap area has it.
// Holds    SHM1 ranges of the shared policy ascend and do not overlap.
import type { Frame } from '../base/ids.ts';
import type { Mempolicy } from './mempolicy.ts';
import { makeSwapPte, pteIsSwap, pteSlot } from './page_table.ts';

interface PolicyRange {
  readonly start: number;
  readonly end: number;
  readonly policy: Mempolicy;
}

export class ShmemObject {
  readonly id: number;
  /** Inode number: where interleaving over the object starts. */
  readonly ino: number;
  nrPages: number;
  #pages: Uint32Array;
  #policies: PolicyRange[] = [];
  /** Pages that a read brought and no fault has written to since (without PG_dirty). */
  readonly #clean = new Set<number>();
  /**
   * A SysV segment: it lives on without mappings, its areas never merge, and a read fault maps no
   * pages around (shm_vm_ops has close and no map_pages).
   */
  readonly isSegment: boolean;

  /** A file of a tmpfs that still has its name: it lives on without mappings. */
  isNamed = false;

  constructor(id: number, ino: number, nrPages: number, isSegment: boolean) {
    this.id = id;
    this.ino = ino;
    this.nrPages = nrPages;
    this.isSegment = isSegment;
    this.#pages = new Uint32Array(nrPages);
  }

  /** The frame of a page, or undefined when the object has none there. */
  page(index: number): Frame | undefined {
    const stored = this.#pages[index] ?? 0;
    return stored === 0 || pteIsSwap(stored) ? undefined : ((stored - 1) as Frame);
  }

  /** Slot of a page that a swap area has, or undefined. */
  slot(index: number): number | undefined {
    const stored = this.#pages[index] ?? 0;
    return pteIsSwap(stored) ? pteSlot(stored) : undefined;
  }

  setSlot(index: number, slot: number): void {
    this.#pages[index] = makeSwapPte(slot);
  }

  setPage(index: number, f: Frame): void {
    this.#pages[index] = f + 1;
  }

  /** Another size; the caller has taken pages out that lie past it. */
  resize(nrPages: number): void {
    if (nrPages > this.#pages.length) {
      const pages = new Uint32Array(Math.max(nrPages, this.#pages.length * 2));
      pages.set(this.#pages);
      this.#pages = pages;
    }
    this.nrPages = nrPages;
  }

  /** A read brought the page, and no fault has written to it since; an entry may have. */
  isClean(index: number): boolean {
    return this.#clean.has(index);
  }

  /** A fresh page was read (`isWrite` false), or a page was written to. */
  noteUse(index: number, isWrite: boolean): void {
    if (!isWrite) this.#clean.add(index);
    else if (this.#clean.size > 0) this.#clean.delete(index);
  }

  /** Takes pages [start, end) out and gives them, and the slots of others, back. */
  removePages(
    start: number,
    end: number,
    release: (f: Frame) => void,
    releaseSlot: (slot: number) => void,
  ): void {
    for (let i = start; i < Math.min(end, this.nrPages); i++) {
      const stored = this.#pages[i] as number;
      if (stored === 0) continue;
      this.#pages[i] = 0;
      this.#clean.delete(i);
      if (pteIsSwap(stored)) releaseSlot(pteSlot(stored));
      else release((stored - 1) as Frame);
    }
  }

  /** mpol_shared_policy_lookup. */
  policyAt(index: number): Mempolicy | null {
    for (const range of this.#policies) {
      if (index < range.start) return null;
      if (index < range.end) return range.policy;
    }
    return null;
  }

  /** First page number after `index` at which policyAt may answer differently. */
  policyEnd(index: number): number {
    for (const range of this.#policies) {
      if (index < range.start) return range.start;
      if (index < range.end) return range.end;
    }
    return Number.POSITIVE_INFINITY;
  }

  /** Replaces the policy of pages [start, end); null removes it (mpol_set_shared_policy). */
  setPolicy(start: number, end: number, policy: Mempolicy | null): void {
    const kept: PolicyRange[] = [];
    for (const range of this.#policies) {
      if (range.end <= start || range.start >= end) {
        kept.push(range);
        continue;
      }
      if (range.start < start) kept.push({ ...range, end: start });
      if (range.end > end) kept.push({ start: end, end: range.end, policy: range.policy.dup() });
    }
    if (policy !== null) kept.push({ start, end, policy: policy.dup() });
    this.#policies = kept.sort((a, b) => a.start - b.start);
  }

  forEachPolicy(visit: (policy: Mempolicy) => void): void {
    for (const { policy } of this.#policies) visit(policy);
  }

  /** Visits every page of the object, for checkers and the state hash. */
  forEachPage(visit: (index: number, f: Frame) => void): void {
    for (let i = 0; i < this.nrPages; i++) {
      const stored = this.#pages[i] as number;
      if (stored !== 0 && !pteIsSwap(stored)) visit(i, (stored - 1) as Frame);
    }
  }

  /** Visits every page of the object that a swap area has. */
  forEachSlot(visit: (index: number, slot: number) => void): void {
    for (let i = 0; i < this.nrPages; i++) {
      const stored = this.#pages[i] as number;
      if (pteIsSwap(stored)) visit(i, pteSlot(stored));
    }
  }
}
