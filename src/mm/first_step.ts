// The first step of a walk in a straight line: for single pages that follow one another and that
// nobody watches, the zone where the walk would end while only watermarks could say otherwise.
// Models   linux@v6.1 mm/page_alloc.c: get_page_from_freelist, zone_watermark_fast, as far as
//          requests alike come to the same zone.
// Holds    ALC1. ALC12. The zones before it on the list are refused by their watermarks; once one
//          has pages again, the walk is made anew.
import type { ZoneIndex } from '../base/ids.ts';
import { NIL } from './memmap.ts';
import type { Zones } from './mmzone.ts';
import type { CpuList, PerCpuLists } from './pcp.ts';
import type { VmStat } from './vmstat.ts';
import { refusedAt } from './watermark.ts';

/** More free pages than any zone has. */
const NEVER = 0x7fffffff;

/** What the requests alike have in common. */
export interface Likeness {
  readonly cpu: number;
  /** Highest zone type. */
  readonly highest: number;
  /** Zone that they prefer, for the counters. */
  readonly preferred: number;
}

export class FirstStep {
  /** Where the walk would end, while `#mark` is not NEVER. */
  zone = 0 as ZoneIndex;
  #list = 0 as CpuList;
  #flags = 0;
  #preferred = 0;
  /** The zone may be taken from while it has more free pages than this. */
  #mark = NEVER;
  /** Zones before it that have too few, and the free pages down to which that is so. */
  readonly #refused: Int32Array;
  readonly #refusedMarks: Int32Array;
  /** How many they are. */
  nrRefused = 0;
  /** Pages given that no counter has yet. */
  #nrGiven = 0;
  readonly #zones: Zones;
  readonly #free: Int32Array;
  readonly #pcp: PerCpuLists;

  constructor(zones: Zones, pcp: PerCpuLists) {
    this.#zones = zones;
    this.#free = zones.free;
    this.#pcp = pcp;
    this.#refused = new Int32Array(zones.nr);
    this.#refusedMarks = new Int32Array(zones.nr);
  }

  /** Requests alike begin at a zone. What was given before is counted. */
  begin(z: ZoneIndex, flags: number, like: Likeness): void {
    this.zone = z;
    this.nrRefused = 0;
    this.#flags = flags;
    this.#preferred = like.preferred;
    this.#list = this.#pcp.listOf(z, like.cpu);
    this.#mark = this.#lowOf(z, flags, like.highest);
  }

  /** The same, behind zones that a walk with these flags found refused by their watermarks. */
  beginBehind(refused: Int32Array, nr: number, z: ZoneIndex, flags: number, like: Likeness): void {
    this.begin(z, flags, like);
    for (let i = 0; i < nr; i++) {
      this.#refused[i] = refused[i] as number;
      this.#refusedMarks[i] = this.#lowOf(refused[i] as number, flags, like.highest);
    }
    this.nrRefused = nr;
  }

  /** There is no straight first step. */
  stop(): void {
    this.#mark = NEVER;
    this.nrRefused = 0;
  }

  #lowOf(z: number, flags: number, highest: number): number {
    const low = this.#zones.wmarkLow[z] as number;
    return refusedAt(this.#zones, z, 0, low, highest, flags);
  }

  /** Have the zones before it too few pages still? */
  areRefused(): boolean {
    for (let i = 0; i < this.nrRefused; i++) {
      const free = this.#free[this.#refused[i] as number] as number;
      if (free > (this.#refusedMarks[i] as number)) return false;
    }
    return true;
  }

  /**
   * Takes up to `want` frames into `out`. Returns how many; 0 means: do the walk.
   * @param isOnce the list is refilled once at most: what comes between may free pages, for a
   *   group above its limit, and looks at those that were given before.
   */
  take(type: number, want: number, out: Int32Array, isOnce: boolean): number {
    if ((this.#free[this.zone] as number) <= this.#mark) return 0;
    if (want > 1) return this.#takeMany(type, want, out, isOnce);
    const f = this.#pcp.takeHead(this.#list, type);
    if (f === NIL) return this.#takeMany(type, want, out, isOnce);
    out[0] = f;
    this.#nrGiven++;
    return 1;
  }

  #takeMany(type: number, want: number, out: Int32Array, isOnce: boolean): number {
    const pcp = this.#pcp;
    const mark = this.#mark;
    const n = isOnce
      ? pcp.take(this.zone, this.#list, type, this.#flags, want, out, 0, mark)
      : pcp.takeAll(this.zone, this.#list, type, this.#flags, want, out, mark);
    this.#nrGiven += n;
    return n;
  }

  /** Adds what was given to the counters. @param local node of the CPU that asked. */
  count(stat: VmStat, local: number): void {
    if (this.#nrGiven > 0) stat.countAllocation(this.#preferred, this.zone, local, this.#nrGiven);
    this.#nrGiven = 0;
  }
}
