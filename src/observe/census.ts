// What the frame table and the page tables hold, counted when somebody looks, by zone: nothing of
// it is counted while pages come and go.
// Models   linux@v6.1 include/linux/vmstat.h: what NR_ANON_MAPPED, NR_SHMEM, NR_FILE_MAPPED,
//          NR_PAGETABLE and NR_MLOCK stand for.
// Omits    pages of the kernel's own (slab, stacks): they are not there.
// Holds    PRC3 every page of a program is counted once, in the zone that it lies in.
import type { Frame } from '../base/ids.ts';
import { isHuge } from '../kernel/hugetlb_area.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { pteFrame, pteIsPage } from '../kernel/page_table.ts';
import { isZoneDevice } from '../kernel/zone_device.ts';
import { LRU_SWAPCACHE } from '../mm/lru.ts';
import { KIND_ANON, KIND_SHMEM, KIND_THP } from '../mm/memmap.ts';

/** Pages by zone. */
export interface Census {
  /** Private pages that some page table maps. */
  readonly anon: Float64Array;
  /** Those of them in memory that drivers keep: they are on no list. */
  readonly ofDrivers: Float64Array;
  /** Pages of shared memory objects, mapped or not. */
  readonly shmem: Float64Array;
  /** Those of them that some page table maps. */
  readonly shmemMapped: Float64Array;
  /** Page tables of the two lower levels, which are all that the kernel counts. */
  readonly tables: Float64Array;
  /** Pages that a slot of a swap area has as well, of either kind. */
  readonly swapCached: Float64Array;
  /** Pages in locked areas, of either kind. */
  readonly locked: Float64Array;
}

/** Counts everything; takes time in proportion to the frames that were ever touched. */
export function takeCensus(k: Kernel): Census {
  const { zones, buddy } = k.mem;
  const column = () => new Float64Array(zones.nr);
  const census: Census = {
    anon: column(),
    ofDrivers: column(),
    shmem: column(),
    shmemMapped: column(),
    tables: column(),
    swapCached: column(),
    locked: column(),
  };
  countFrames(k, census);
  for (const { pageTable } of k.spaces.values()) {
    for (const f of pageTable.lowerTableFrames()) bump(census.tables, buddy.zoneOf(f));
  }
  for (const f of lockedFrames(k)) bump(census.locked, buddy.zoneOf(f));
  return census;
}

function countFrames(k: Kernel, census: Census): void {
  const { zones, buddy, map, lru, swap } = k.mem;
  const hasSlots = swap.isOn && lru.isInUse;
  const { kind, mapcount } = map;
  const blockFrames = 1 << buddy.pageblockOrder;
  for (const { startFrame, nrPages } of k.mem.segments) {
    const end = startFrame + nrPages;
    for (let f = startFrame; f < end; ) {
      const blockEnd = Math.min(end, f - (f % blockFrames) + blockFrames);
      const z = buddy.zoneOf(f);
      const isUntouched =
        f >= (zones.virginNext[z] as number) && blockEnd <= (zones.virginEnd[z] as number);
      for (; !isUntouched && f < blockEnd; f++) {
        if (hasSlots && lru.has(f, LRU_SWAPCACHE)) bump(census.swapCached, z);
        if (kind[f] === KIND_ANON) {
          if ((mapcount[f] as number) > 0) {
            bump(census.anon, z);
            if (isZoneDevice(k, f as Frame)) bump(census.ofDrivers, z);
          }
        } else if (kind[f] === KIND_THP) {
          if (k.thp.mapcount(f) > 0) bump(census.anon, z);
        } else if (kind[f] === KIND_SHMEM) {
          bump(census.shmem, z);
          if ((mapcount[f] as number) > 0) bump(census.shmemMapped, z);
        }
      }
      f = blockEnd;
    }
  }
}

/** Pages that some locked area maps, and which therefore nothing takes away (PG_mlocked). */
export function lockedFrames(k: Kernel): ReadonlySet<Frame> {
  const locked = new Set<Frame>();
  for (const { vmas, pageTable } of k.spaces.values()) {
    for (const vma of vmas) {
      if (!vma.isLocked || isHuge(vma)) continue;
      pageTable.walk(vma.startVpn, vma.endVpn, (_vpn, pte) => {
        if (pteIsPage(pte) && !isZoneDevice(k, pteFrame(pte))) locked.add(pteFrame(pte));
      });
    }
  }
  return locked;
}

function bump(column: Float64Array, z: number): void {
  column[z] = (column[z] as number) + 1;
}
