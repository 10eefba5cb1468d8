// Page tables of an address space: leaves of 512 entries, and the upper levels as far as their own
// pages cost memory.
// Models   linux@v6.1 x86-64 with four levels (POWER and arm64 differ in shape, not in kind): a pgd
//          entry covers 2^27 pages, a pud entry 2^18, a pmd entry 2^9; mm/memory.c: __pud_alloc,
//          __pmd_alloc, __pte_alloc, free_pgtables.
// State    512 entries a leaf: 0 not present, 1 the zero page, else
//          2 * frame + 2, plus 1 when writable (of a shared area: when it was written to); from
//          PTE_SPECIAL on not present, but not empty.
//          Table pages are frames of kind page table. A huge page of a pool is an entry of the pmd
//          level, a gigantic one of the pud level, both kept apart from leaves. A transparent one
//          takes the place of a leaf, and brings the page of the leaf that will map its small pages
//          if it is split.
// Holds    PT1 a leaf exists only under a pmd, a pmd only under a pud. THP2 where a transparent
//          huge page is mapped there is no leaf.
import { type Frame, frame } from '../base/ids.ts';
import { MAX_SLOTS } from '../mm/swap.ts';
import type { HintMarks } from './hint_marks.ts';

export const PTRS_PER_LEAF = 512;
const LEAF_SHIFT = 9;
const PMD_SHIFT = 18;
const PUD_SHIFT = 27;

export const PTE_NONE = 0;
export const PTE_ZERO_PAGE = 1;
/**
 * Entries from here on are not present and stand for something all the same: the page is in a swap
 * area, say. Frames end far below.
 */
export const PTE_SPECIAL = 0x80000002;
/** Entries from here on name slots of swap areas; those below, frames of device memory. */
const PTE_SWAP = 0xc0000000;
const PTE_SWAP_END = PTE_SWAP + MAX_SLOTS;

/**
 * An entry for a frame of device memory that has no page which the kernel could use: it is not
 * present (is_device_private_entry), or in the mapping of a device's file (pte_special).
 */
export const makeDevicePte = (f: number, isWritable: boolean): number =>
  PTE_SPECIAL + f * 2 + (isWritable ? 1 : 0);
export const pteIsDevice = (pte: number): boolean => pte >= PTE_SPECIAL && pte < PTE_SWAP;
export const pteDeviceFrame = (pte: number): Frame => frame((pte - PTE_SPECIAL) >>> 1);

export const makeSwapPte = (slot: number): number => PTE_SWAP + slot;
export const pteIsSwap = (pte: number): boolean => pte >= PTE_SWAP && pte < PTE_SWAP_END;
/** Not a page, and not empty either: a slot, device memory, or a page that broke. */
export const pteIsSpecial = (pte: number): boolean => pte >= PTE_SPECIAL;
export const pteSlot = (pte: number): number => pte - PTE_SWAP;

/** The page that was there is broken: whoever touches it gets SIGBUS (a hwpoison entry). */
export const PTE_POISON = 0xffffffff;

export const makePte = (f: number, isWritable: boolean): number => f * 2 + 2 + (isWritable ? 1 : 0);
export const pteIsPage = (pte: number): boolean => pte > PTE_ZERO_PAGE && pte < PTE_SPECIAL;
export const pteFrame = (pte: number): Frame => frame((pte - 2) >>> 1);
export const pteIsWritable = (pte: number): boolean => pteIsPage(pte) && (pte & 1) !== 0;

/** The frame that an entry is about, mapped or not; -1 for none. */
export const anyFrameOf = (pte: number): Frame | -1 =>
  pteIsPage(pte) ? pteFrame(pte) : pteIsDevice(pte) ? pteDeviceFrame(pte) : -1;

export interface Leaf {
  /** A chunk of many leaves; this one's entries are [base, base + 512). */
  readonly entries: Uint32Array;
  readonly base: number;
  readonly tableFrame: Frame;
}

/** End of the pages of the leaf that has `vpn`. */
export const leafEnd = (vpn: number): number =>
  (Math.floor(vpn / PTRS_PER_LEAF) + 1) * PTRS_PER_LEAF;

/** An entry of the pmd level that maps a transparent huge page, or the huge zero page. */
export interface HugeEntry {
  /** As in a leaf, with the first frame of the huge page. */
  pte: number;
  /** The table page that was deposited with it (pgtable_trans_huge_deposit). */
  readonly tableFrame: Frame;
}

/** The entry that a leaf would have for small page `i` of a huge one. */
const smallPte = (pte: number, i: number): number => (pteIsPage(pte) ? pte + 2 * i : pte);

/** Leaves are cut from chunks, so that a large address space is not half a million arrays. */
const LEAVES_PER_CHUNK = 256;

/** Entries of [startVpn, endVpn) in order, with their first page. */
function* entriesIn(
  entries: ReadonlyMap<number, number>,
  nrSmall: number,
  startVpn: number,
  endVpn: number,
): IterableIterator<[vpn: number, pte: number]> {
  for (let key = Math.floor(startVpn / nrSmall); key * nrSmall < endVpn; key++) {
    const pte = entries.get(key);
    if (pte !== undefined) yield [key * nrSmall, pte];
  }
}

/** How many levels are missing above a page, from the top: what a fault must allocate first. */
export type MissingLevels = 0 | 1 | 2 | 3;

export class PageTable {
  readonly #leaves = new Map<number, Leaf>();
  /** Small pages in a huge one. */
  readonly #hugeSmall: number;
  /** Entries that map huge pages, by the number of the huge page. */
  readonly #huge = new Map<number, number>();
  /** Entries of the pud level, which map gigantic pages, by the number of the page. */
  readonly #gigantic = new Map<number, number>();
  /** Transparent huge pages, by the number of the leaf in whose place they are. */
  readonly #thps = new Map<number, HugeEntry>();
  readonly #pmds = new Map<number, Frame>();
  readonly #puds = new Map<number, Frame>();
  /**
   * Numbers of the leaves and transparent huge pages whose entries have changed, for whoever counts
   * pages as they come and go, and empties it; null while nobody does.
   */
  changed: Set<number> | null = null;
  /** Grows with every change of an entry for a huge page of a pool. */
  hugeVersion = 0;
  /** Marks of NUMA balancing, while it is in use. */
  marks: HintMarks | undefined;
  #lastKey = -1;
  #lastLeaf: Leaf | undefined;
  #chunk = new Uint32Array(0);
  #chunkUsed = 0;
  /** Leaves given back, all of their entries not present. */
  readonly #spare: Pick<Leaf, 'entries' | 'base'>[] = [];

  /** @param hugeSmall small pages in a huge one. */
  constructor(hugeSmall = PTRS_PER_LEAF) {
    this.#hugeSmall = hugeSmall;
  }

  leafOf(vpn: number): Leaf | undefined {
    const key = Math.floor(vpn / PTRS_PER_LEAF);
    if (key !== this.#lastKey || this.#lastLeaf === undefined) {
      this.#lastLeaf = this.#leaves.get(key);
      this.#lastKey = key;
    }
    return this.#lastLeaf;
  }

  /** Entry of a small page; one of a transparent huge page is told as if that were split. */
  get(vpn: number): number {
    const leaf = this.leafOf(vpn);
    if (leaf === undefined) return smallPte(this.getThp(vpn), vpn % PTRS_PER_LEAF);
    return leaf.entries[leaf.base + (vpn % PTRS_PER_LEAF)] as number;
  }

  /** Sets an entry of a leaf that exists. */
  set(vpn: number, pte: number): void {
    const leaf = this.leafOf(vpn) as Leaf;
    const at = leaf.base + (vpn % PTRS_PER_LEAF);
    if (this.marks !== undefined && pte >>> 1 !== (leaf.entries[at] as number) >>> 1) {
      this.marks.forget(vpn);
    }
    leaf.entries[at] = pte;
    if (this.changed !== null) this.changed.add(Math.floor(vpn / PTRS_PER_LEAF));
  }

  /** Entries of the leaf that has `vpn` have been written past `set`. */
  noteChanged(vpn: number): void {
    this.changed?.add(Math.floor(vpn / PTRS_PER_LEAF));
  }

  /** Levels to allocate before the page can be mapped: pud, pmd, leaf. */
  missing(vpn: number): MissingLevels {
    if (this.leafOf(vpn) !== undefined) return 0;
    if (this.#pmds.has(Math.floor(vpn / 2 ** PMD_SHIFT))) return 1;
    return this.#puds.has(Math.floor(vpn / 2 ** PUD_SHIFT)) ? 2 : 3;
  }

  /**
   * Levels to allocate before a huge page can be mapped: pud, pmd.
   * @param nrSmall small pages in the huge one; a gigantic one needs no pmd.
   */
  missingAboveHuge(vpn: number, nrSmall = this.#hugeSmall): MissingLevels {
    if (nrSmall > this.#hugeSmall) return this.#puds.has(Math.floor(vpn / 2 ** PUD_SHIFT)) ? 0 : 1;
    if (this.#pmds.has(Math.floor(vpn / 2 ** PMD_SHIFT))) return 0;
    return this.#puds.has(Math.floor(vpn / 2 ** PUD_SHIFT)) ? 1 : 2;
  }

  /** Entry of the huge or gigantic page that holds `vpn`. */
  getHuge(vpn: number): number {
    const huge = this.#huge.get(Math.floor(vpn / this.#hugeSmall));
    if (huge !== undefined || this.#gigantic.size === 0) return huge ?? PTE_NONE;
    return this.#gigantic.get(Math.floor(vpn / this.#giganticSmall)) ?? PTE_NONE;
  }

  /** @param nrSmall small pages in the huge one. */
  setHuge(vpn: number, pte: number, nrSmall = this.#hugeSmall): void {
    const entries = nrSmall > this.#hugeSmall ? this.#gigantic : this.#huge;
    const key = Math.floor(vpn / nrSmall);
    this.hugeVersion++;
    if (pte === PTE_NONE) entries.delete(key);
    else entries.set(key, pte);
  }

  /** Present entries of huge pages in [startVpn, endVpn), in order, with their first page. */
  *hugeIn(startVpn: number, endVpn: number): IterableIterator<[vpn: number, pte: number]> {
    for (const entry of this.hugeEntriesIn(startVpn, endVpn)) if (pteIsPage(entry[1])) yield entry;
  }

  /** The same, and entries of huge pages that broke. */
  *hugeEntriesIn(startVpn: number, endVpn: number): IterableIterator<[vpn: number, pte: number]> {
    if (this.#huge.size > 0) yield* entriesIn(this.#huge, this.#hugeSmall, startVpn, endVpn);
    if (this.#gigantic.size === 0) return;
    yield* entriesIn(this.#gigantic, this.#giganticSmall, startVpn, endVpn);
  }

  get #giganticSmall(): number {
    return this.#hugeSmall * PTRS_PER_LEAF;
  }

  // ---- Transparent huge pages ----------------------------------------------------------------

  get hasThps(): boolean {
    return this.#thps.size > 0;
  }

  /** Entry of the transparent huge page that holds `vpn`; PTE_NONE where there is none. */
  getThp(vpn: number): number {
    if (this.#thps.size === 0) return PTE_NONE;
    return this.#thps.get(Math.floor(vpn / PTRS_PER_LEAF))?.pte ?? PTE_NONE;
  }

  /** Maps a transparent huge page where there is no leaf; changes the entry where there is one. */
  setThp(vpn: number, pte: number, tableFrame?: Frame): void {
    const key = Math.floor(vpn / PTRS_PER_LEAF);
    const entry = this.#thps.get(key);
    this.changed?.add(key);
    if (entry !== undefined) entry.pte = pte;
    else this.#thps.set(key, { pte, tableFrame: tableFrame as Frame });
  }

  /** Takes an entry away; the caller gets the table page that was deposited with it. */
  removeThp(vpn: number): Frame {
    const key = Math.floor(vpn / PTRS_PER_LEAF);
    const { tableFrame } = this.#thps.get(key) as HugeEntry;
    this.#thps.delete(key);
    this.changed?.add(key);
    return tableFrame;
  }

  /** Puts a leaf of small pages in the place of an entry (__split_huge_pmd_locked). */
  splitThp(vpn: number): void {
    const key = Math.floor(vpn / PTRS_PER_LEAF);
    const { pte, tableFrame } = this.#thps.get(key) as HugeEntry;
    this.#thps.delete(key);
    const leaf = this.#newLeaf(tableFrame);
    this.#leaves.set(key, leaf);
    this.#lastKey = -1;
    for (let i = 0; i < PTRS_PER_LEAF; i++) leaf.entries[leaf.base + i] = smallPte(pte, i);
  }

  /** Takes a leaf out, whose pages are the caller's now; returns its table page. */
  removeLeaf(vpn: number): Frame {
    const { entries, base, tableFrame } = this.leafOf(vpn) as Leaf;
    entries.fill(PTE_NONE, base, base + PTRS_PER_LEAF);
    this.#spare.push({ entries, base });
    this.#leaves.delete(Math.floor(vpn / PTRS_PER_LEAF));
    this.noteChanged(vpn);
    this.#lastKey = -1;
    return tableFrame;
  }

  /** Entries of transparent huge pages that reach into [startVpn, endVpn), in order. */
  *thpsIn(startVpn: number, endVpn: number): IterableIterator<[vpn: number, pte: number]> {
    if (this.#thps.size === 0) return;
    const first = startVpn - (startVpn % PTRS_PER_LEAF);
    for (let vpn = first; vpn < endVpn; vpn += PTRS_PER_LEAF) {
      const pte = this.getThp(vpn);
      if (pte !== PTE_NONE) yield [vpn, pte];
    }
  }

  /** Visits every entry of a transparent huge page, whatever area it is in, for checkers. */
  forEachThp(visit: (vpn: number, entry: HugeEntry) => void): void {
    for (const [key, entry] of this.#thps) visit(key * PTRS_PER_LEAF, entry);
  }

  // ---- Levels --------------------------------------------------------------------------------

  /** Gives the highest missing level its page. */
  addLevel(vpn: number, tableFrame: Frame): void {
    const missing = this.missing(vpn);
    if (missing === 3) this.#puds.set(Math.floor(vpn / 2 ** PUD_SHIFT), tableFrame);
    else if (missing === 2) this.#pmds.set(Math.floor(vpn / 2 ** PMD_SHIFT), tableFrame);
    else {
      const leaf = this.#newLeaf(tableFrame);
      const key = Math.floor(vpn / 2 ** LEAF_SHIFT);
      this.#leaves.set(key, leaf);
      this.#lastKey = key;
      this.#lastLeaf = leaf;
    }
  }

  /** Gives a leaf that exists another page of its own; returns the old one. */
  replaceLeafFrame(vpn: number, tableFrame: Frame): Frame {
    const leaf = this.leafOf(vpn) as Leaf;
    this.#leaves.set(Math.floor(vpn / PTRS_PER_LEAF), { ...leaf, tableFrame });
    this.#lastKey = -1;
    this.#lastLeaf = undefined;
    return leaf.tableFrame;
  }

  #newLeaf(tableFrame: Frame): Leaf {
    const spare = this.#spare.pop();
    if (spare !== undefined) return { ...spare, tableFrame };
    if (this.#chunkUsed === this.#chunk.length) {
      const nrLeaves = this.#leaves.size < LEAVES_PER_CHUNK ? 8 : LEAVES_PER_CHUNK;
      this.#chunk = new Uint32Array(nrLeaves * PTRS_PER_LEAF);
      this.#chunkUsed = 0;
    }
    const base = this.#chunkUsed;
    this.#chunkUsed += PTRS_PER_LEAF;
    return { entries: this.#chunk, base, tableFrame };
  }

  /**
   * First page of each leaf and each transparent huge page there is under [startVpn, endVpn),
   * present entries or none.
   */
  *tablesIn(startVpn: number, endVpn: number): IterableIterator<number> {
    if (this.#isSparse(startVpn, endVpn)) {
      for (const key of this.#keysIn(startVpn, endVpn)) {
        yield Math.max(key * PTRS_PER_LEAF, startVpn);
      }
      return;
    }
    const first = startVpn - (startVpn % PTRS_PER_LEAF);
    for (let vpn = first; vpn < endVpn; vpn += PTRS_PER_LEAF) {
      const isThere = this.leafOf(vpn) !== undefined || this.getThp(vpn) !== PTE_NONE;
      if (isThere) yield Math.max(vpn, startVpn);
    }
  }

  /**
   * Visits every present entry of [startVpn, endVpn) in order; stop by returning false. Small pages
   * of a transparent huge page are told one by one, but cannot be set.
   */
  walk(startVpn: number, endVpn: number, visit: (vpn: number, pte: number) => unknown): void {
    if (!this.#isSparse(startVpn, endVpn)) {
      this.#walkDense(startVpn, endVpn, visit);
      return;
    }
    for (const key of this.#keysIn(startVpn, endVpn)) {
      const start = Math.max(key * PTRS_PER_LEAF, startVpn);
      const end = Math.min((key + 1) * PTRS_PER_LEAF, endVpn);
      if (!this.#walkDense(start, end, visit)) return;
    }
  }

  /** Are there far fewer tables than the range has room for? */
  #isSparse(startVpn: number, endVpn: number): boolean {
    const nrTables = this.#leaves.size + this.#thps.size;
    return (endVpn - startVpn) / PTRS_PER_LEAF > 64 + 4 * nrTables;
  }

  /** Numbers of the leaves and transparent huge pages that reach into a range, in order. */
  #keysIn(startVpn: number, endVpn: number): number[] {
    const first = Math.floor(startVpn / PTRS_PER_LEAF);
    const end = Math.ceil(endVpn / PTRS_PER_LEAF);
    const keys = [...this.#leaves.keys(), ...this.#thps.keys()];
    return keys.filter((key) => key >= first && key < end).sort((a, b) => a - b);
  }

  /** Entries of a range as they are, those of transparent huge pages as if these were split. */
  entriesIn(startVpn: number, endVpn: number): Uint32Array {
    const entries = new Uint32Array(endVpn - startVpn);
    if (this.#thps.size > 0 || this.#isSparse(startVpn, endVpn)) {
      this.walk(startVpn, endVpn, (vpn, pte) => {
        entries[vpn - startVpn] = pte;
      });
      return entries;
    }
    for (let vpn = startVpn; vpn < endVpn; ) {
      const end = Math.min(endVpn, (Math.floor(vpn / PTRS_PER_LEAF) + 1) * PTRS_PER_LEAF);
      const leaf = this.leafOf(vpn);
      if (leaf !== undefined) {
        const at = leaf.base + (vpn % PTRS_PER_LEAF);
        entries.set(leaf.entries.subarray(at, at + end - vpn), vpn - startVpn);
      }
      vpn = end;
    }
    return entries;
  }

  /** @returns false when the visitor wants no more. */
  #walkDense(
    startVpn: number,
    endVpn: number,
    visit: (vpn: number, pte: number) => unknown,
  ): boolean {
    for (let vpn = startVpn; vpn < endVpn; ) {
      const leafEnd = (Math.floor(vpn / PTRS_PER_LEAF) + 1) * PTRS_PER_LEAF;
      const end = Math.min(endVpn, leafEnd);
      const leaf = this.leafOf(vpn);
      if (leaf === undefined) {
        if (this.#thps.size > 0 && !this.#walkThp(vpn, end, visit)) return false;
        vpn = end;
        continue;
      }
      for (; vpn < end; vpn++) {
        const pte = leaf.entries[leaf.base + (vpn % PTRS_PER_LEAF)] as number;
        if (pte !== PTE_NONE && visit(vpn, pte) === false) return false;
      }
    }
    return true;
  }

  #walkThp(
    startVpn: number,
    endVpn: number,
    visit: (vpn: number, pte: number) => unknown,
  ): boolean {
    const pte = this.getThp(startVpn);
    if (pte === PTE_NONE) return true;
    for (let vpn = startVpn; vpn < endVpn; vpn++) {
      if (visit(vpn, smallPte(pte, vpn % PTRS_PER_LEAF)) === false) return false;
    }
    return true;
  }

  /**
   * Drops table pages that serve only pages below [floorVpn, ceilingVpn), all of them unmapped, and
   * gives their frames to `release` (free_pgtables).
   */
  freeTables(floorVpn: number, ceilingVpn: number, release: (f: Frame) => void): void {
    const drop = (table: Map<number, Leaf | Frame>, shift: number): void => {
      const size = 2 ** shift;
      for (const [key, value] of table) {
        if (key * size < floorVpn || (key + 1) * size > ceilingVpn) continue;
        if (typeof value === 'number') release(value);
        else {
          release(value.tableFrame);
          this.#spare.push({ entries: value.entries, base: value.base });
        }
        table.delete(key);
      }
    };
    drop(this.#leaves, LEAF_SHIFT);
    drop(this.#pmds, PMD_SHIFT);
    drop(this.#puds, PUD_SHIFT);
    this.#lastKey = -1;
    this.#lastLeaf = undefined;
  }

  /** Visits every present entry, whatever area it is in, for checkers. */
  forEachEntry(visit: (vpn: number, pte: number) => void): void {
    for (const [key, leaf] of this.#leaves) {
      for (let i = 0; i < PTRS_PER_LEAF; i++) {
        const pte = leaf.entries[leaf.base + i] as number;
        if (pte !== PTE_NONE) visit(key * PTRS_PER_LEAF + i, pte);
      }
    }
  }

  /**
   * Visits every entry that maps a huge page, whatever area it is in, with the number of its small
   * pages.
   */
  forEachHuge(visit: (vpn: number, pte: number, nrSmall: number) => void): void {
    const small = this.#hugeSmall;
    const large = this.#giganticSmall;
    for (const [key, pte] of this.#huge) visit(key * small, pte, small);
    for (const [key, pte] of this.#gigantic) visit(key * large, pte, large);
  }

  /** Frames of all table pages, for checkers. */
  *tableFrames(): IterableIterator<Frame> {
    for (const leaf of this.#leaves.values()) yield leaf.tableFrame;
    for (const { tableFrame } of this.#thps.values()) yield tableFrame;
    yield* this.#pmds.values();
    yield* this.#puds.values();
  }

  /** Frames of the tables of the two lower levels, which alone count as page tables. */
  *lowerTableFrames(): IterableIterator<Frame> {
    for (const leaf of this.#leaves.values()) yield leaf.tableFrame;
    for (const { tableFrame } of this.#thps.values()) yield tableFrame;
    yield* this.#pmds.values();
  }

  /** Bytes of model state of the leaves. */
  get sizeBytes(): number {
    return this.#leaves.size * PTRS_PER_LEAF * 4;
  }
}
