// The frames of a device's memory that its driver has not handed out: what the page allocator is
// for other memory, a driver has to be for its own.
// Models   public drivers that call memremap_pages: nouveau_dmem.c (nouveau_dmem_page_alloc_locked,
//          nouveau_dmem_page_free), which hand out single pages from a list of free ones.
// Omits    chunks that are reserved with the device's memory manager; large pages.
// State    frames never handed out are [next, end) of the stretch in work and all later stretches;
//          those that came back are linked through MemMap.link, the last one first.
// Holds    ZDV2 a frame is in the pool exactly while nobody holds it. ZDV3 none is held twice.
import { assert } from '../base/assert.ts';
import type { Frame } from '../base/ids.ts';
import { KIND_NONE, type MemMap, NIL } from '../mm/memmap.ts';
import type { DevicePagemap, FrameStretch, PagemapOps } from '../mm/memremap.ts';

export class DevicePool implements PagemapOps {
  readonly #map: MemMap;
  readonly #stretches: readonly FrameStretch[];
  readonly nrPages: number;
  nrFree: number;
  #stretch = 0;
  #next: number;
  #head = NIL;

  constructor(map: MemMap, { stretches }: Pick<DevicePagemap, 'stretches'>) {
    this.#map = map;
    this.#stretches = stretches;
    this.nrPages = stretches.reduce((n, { start, end }) => n + end - start, 0);
    this.nrFree = this.nrPages;
    this.#next = stretches[0]?.start ?? 0;
  }

  /** Hands out up to `want` frames, what came back last first. Returns how many are in `out`. */
  take(want: number, out: Int32Array): number {
    const { link } = this.#map;
    const most = Math.min(want, this.nrFree);
    let n = 0;
    while (n < most && this.#head !== NIL) {
      out[n++] = this.#head;
      this.#head = link[this.#head] as number;
    }
    while (n < most) {
      const stretch = this.#stretches[this.#stretch];
      assert(stretch !== undefined, 'the pool has as many frames as it counts');
      if (this.#next === stretch.end) {
        this.#stretch++;
        this.#next = this.#stretches[this.#stretch]?.start ?? 0;
        continue;
      }
      out[n++] = this.#next++;
    }
    this.nrFree -= most;
    return most;
  }

  /** A page comes back (page_free). */
  pageFree(f: Frame): void {
    this.#map.kind[f] = KIND_NONE;
    this.#map.link[f] = this.#head;
    this.#head = f;
    this.nrFree++;
    assert(this.nrFree <= this.nrPages, 'no frame comes back twice');
  }

  *freeFrames(): IterableIterator<number> {
    for (let f = this.#head; f !== NIL; f = this.#map.link[f] as number) yield f;
    for (let i = this.#stretch; i < this.#stretches.length; i++) {
      const { start, end } = this.#stretches[i] as FrameStretch;
      for (let f = i === this.#stretch ? this.#next : start; f < end; f++) yield f;
    }
  }
}
