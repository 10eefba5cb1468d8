// Where a task's regions are: the address of each slot, and the length it was last mapped with.
// Holds    Offset 0 of region k is page 64 S + k S, S = 840 * 5 * 512 pages of 4 KiB: divisible by
//          1..8, which decides interleaving by address. Regions too long for their slot, and those
//          of gigantic pages whose slot does not begin at a multiple of one, lie above all slots,
//          in the order in which they are mapped, below page 2^31, since the frame table keeps page
//          numbers in 31 bits; modulo 840 they are where the test program on a real kernel has
//          them. Offsets and lengths of operations count pages of the region, huge or small;
//          everything below this file counts small ones.
import { NotModelled } from '../base/assert.ts';
import type { HugeInode } from '../kernel/hugetlb_area.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { ShmemObject } from '../kernel/shmem.ts';
import type { HugePages } from '../mm/hugetlb.ts';

import { MAX_REGIONS } from './words.ts';

/** Pages between the starts of two regions. */
const SLOT_PAGES = 840 * 5 * 512;
const FIRST_SLOT = 64;
/** Where the test program has regions longer than a slot: slot k at 2^33 + k 2^31. */
const LONG_STEP = 2 ** 31;
const FIRST_LONG = 4;
/** A long region has entries of the highest page table to itself, from this one to that. */
const ENTRY_PAGES = 2 ** 27;
const FIRST_ENTRY = 2;
const END_ENTRY = 16;
/** Long regions start at multiples of this: what one entry of the second table covers. */
const STEP_PAGES = 2 ** 18;

interface RegionPlace {
  /** Where offset 0 is, mapped or not. */
  readonly baseVpn: number;
  /** Pages of the region. */
  readonly shift: number;
  readonly nrPages: number;
  /** Small pages in a page of the region. */
  readonly unit: number;
}

export interface PageRange {
  readonly startVpn: number;
  readonly nrPages: number;
}

export class RegionTable {
  readonly #slots: Readonly<Record<string, number>>;
  readonly #places: Map<string, RegionPlace>;
  /** Long regions, as far as they ever were, and the first entry that none of them has. */
  readonly #long = new Map<string, { readonly baseVpn: number; readonly nrPages: number }>();
  #nextEntry = FIRST_ENTRY;

  constructor(slots: Readonly<Record<string, number>>, places?: Map<string, RegionPlace>) {
    this.#slots = slots;
    this.#places = new Map(places ?? []);
  }

  /** The table a child starts with. */
  copy(): RegionTable {
    const table = new RegionTable(this.#slots, this.#places);
    for (const [region, place] of this.#long) table.#long.set(region, place);
    table.#nextEntry = this.#nextEntry;
    return table;
  }

  #slot(region: string): number {
    return this.#slots[region] ?? 0;
  }

  /** Regions that were mapped at some time, in that order. */
  names(): string[] {
    return [...this.#places.keys()];
  }

  /**
   * Notes where a region is mapped now, `shift` pages above offset 0, and returns its first page.
   * @param unit small pages in a page of the region.
   */
  place(region: string, nrPages: number, shift: number, unit = 1): number {
    const baseVpn = this.baseFor(region, (nrPages + shift) * unit, unit);
    this.#places.set(region, { baseVpn, shift, nrPages, unit });
    return baseVpn + shift * unit;
  }

  /**
   * Where offset 0 of a region of so many small pages is, or will be: at a multiple of its pages.
   * @throws NotModelled when there are too many long ones.
   */
  baseFor(region: string, nrSmall: number, unit = 1): number {
    const ofSlot = (FIRST_SLOT + this.#slot(region)) * SLOT_PAGES;
    if (nrSmall <= SLOT_PAGES && ofSlot % unit === 0) return ofSlot;
    const known = this.#long.get(region);
    if (known !== undefined && nrSmall <= known.nrPages) return known.baseVpn;
    const like = (FIRST_LONG + this.#slot(region)) * LONG_STEP;
    let baseVpn = this.#nextEntry * ENTRY_PAGES;
    while (baseVpn % 840 !== like % 840) baseVpn += STEP_PAGES;
    const endEntry = Math.ceil((baseVpn + nrSmall) / ENTRY_PAGES);
    if (endEntry > END_ENTRY) {
      throw new NotModelled(
        `regions of more than ${SLOT_PAGES} pages that come to more than ` +
          `${(END_ENTRY - FIRST_ENTRY) * ENTRY_PAGES} pages`,
      );
    }
    this.#nextEntry = endEntry;
    this.#long.set(region, { baseVpn, nrPages: endEntry * ENTRY_PAGES - baseVpn });
    return baseVpn;
  }

  /** Small pages in a page of a region, as it was last mapped. */
  unitOf(region: string): number {
    return this.#places.get(region)?.unit ?? 1;
  }

  /** Small page at an offset of a region, mapped or not. */
  vpnOf(region: string, offset: number): number {
    return this.startOf(region) + offset * this.unitOf(region);
  }

  /** Page of a region's offset 0, mapped or not. */
  startOf(region: string): number {
    return this.#places.get(region)?.baseVpn ?? (FIRST_SLOT + this.#slot(region)) * SLOT_PAGES;
  }

  /** Small pages that an operation names; without numbers the whole region as last mapped. */
  range(act: {
    readonly region: string;
    readonly offset?: number | undefined;
    readonly nrPages?: number | undefined;
  }): PageRange {
    const place = this.#places.get(act.region);
    const first = place?.shift ?? 0;
    const offset = act.offset ?? first;
    const nrPages = act.nrPages ?? Math.max(0, first + (place?.nrPages ?? 0) - offset);
    return {
      startVpn: this.vpnOf(act.region, offset),
      nrPages: nrPages * this.unitOf(act.region),
    };
  }

  /** The object behind a shared region: a SysV segment of the slot's key, or a fresh one. */
  objectFor(k: Kernel, region: string, isSegment: boolean, nrPages: number): ShmemObject {
    const key = this.#slot(region);
    const known = isSegment ? k.segments.get(key) : undefined;
    if (known !== undefined) return known;
    const ino = k.inoHints.get(region);
    const object = k.newObject(nrPages, isSegment, ino);
    if (isSegment) k.segments.set(key, object);
    return object;
  }
  /** The file behind a region of huge pages: a SysV segment of the slot's key, or a fresh one. */
  hugeInodeFor(
    k: Kernel,
    region: string,
    pool: HugePages,
    isSegment: boolean,
    nrPages: number,
  ): HugeInode {
    const known = isSegment ? k.hugeSegments.get(this.#hugeKey(region, pool)) : undefined;
    if (known !== undefined) return known;
    return k.newHugeInode(pool, nrPages, isSegment, k.inoHints.get(region));
  }

  /** Keys of segments go by slots, those of gigantic pages behind the others. */
  #hugeKey(region: string, pool: HugePages): number {
    return this.#slot(region) + (pool.isGigantic ? MAX_REGIONS : 0);
  }

  /** A segment of huge pages was made for good. */
  keepSegment(k: Kernel, region: string, inode: HugeInode): void {
    if (inode.isSegment) k.hugeSegments.set(this.#hugeKey(region, inode.pool), inode);
  }
}
