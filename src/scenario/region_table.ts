// Where a task's regions are: the address of each slot, and the length it was last mapped with.
// Holds    Offset 0 of region k is page 64 S + k S, S = 840 * 5 * 512 pages of 4 KiB: divisible by
//          1..8, which decides interleaving by address. Regions too long for their slot lie above
//          all slots.
import type { Kernel } from '../kernel/kernel.ts';
import type { ShmemObject } from '../kernel/shmem.ts';

/** Pages between the starts of two regions. */
const SLOT_PAGES = 840 * 5 * 512;
const FIRST_SLOT = 64;
/** Regions longer than a slot: one each 2^31 pages, from 2^33 on. */
const LARGE_PAGES = 2 ** 31;
const FIRST_LARGE = 4;

interface RegionPlace {
  /** Where offset 0 is, mapped or not. */
  readonly baseVpn: number;
  readonly shift: number;
  readonly nrPages: number;
}

export interface PageRange {
  readonly startVpn: number;
  readonly nrPages: number;
}

export class RegionTable {
  readonly #slots: Readonly<Record<string, number>>;
  readonly #places: Map<string, RegionPlace>;

  constructor(slots: Readonly<Record<string, number>>, places?: Map<string, RegionPlace>) {
    this.#slots = slots;
    this.#places = new Map(places ?? []);
  }

  /** The table a child starts with. */
  copy(): RegionTable {
    return new RegionTable(this.#slots, this.#places);
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
   */
  place(region: string, nrPages: number, shift: number): number {
    const slot = this.#slot(region);
    const baseVpn =
      nrPages + shift > SLOT_PAGES
        ? (FIRST_LARGE + slot) * LARGE_PAGES
        : (FIRST_SLOT + slot) * SLOT_PAGES;
    this.#places.set(region, { baseVpn, shift, nrPages });
    return baseVpn + shift;
  }

  /** Page of a region's offset 0, mapped or not. */
  startOf(region: string): number {
    return this.#places.get(region)?.baseVpn ?? (FIRST_SLOT + this.#slot(region)) * SLOT_PAGES;
  }

  /** Pages that an operation names; without numbers the whole region as last mapped. */
  range(act: {
    readonly region: string;
    readonly offset?: number | undefined;
    readonly nrPages?: number | undefined;
  }): PageRange {
    const place = this.#places.get(act.region);
    const first = place?.shift ?? 0;
    const offset = act.offset ?? first;
    return {
      startVpn: this.startOf(act.region) + offset,
      nrPages: act.nrPages ?? Math.max(0, first + (place?.nrPages ?? 0) - offset),
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
}
