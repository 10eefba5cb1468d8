// Watermarks and lowmem reserves: how many pages each zone keeps back, and for whom.
// Models   linux@v6.1 mm/page_alloc.c: __setup_per_zone_wmarks, calculate_min_free_kbytes,
//          setup_per_zone_lowmem_reserve, zone_watermark_fast, __zone_watermark_ok;
//          mm/khugepaged.c: set_recommended_min_free_kbytes.
// Omits    CMA. Boosts are in boost.ts.
// Holds    WMK1 min <= low <= high in every zone.
import type { ZoneIndex } from '../base/ids.ts';
import {
  MAX_NR_ZONES,
  MIGRATE_HIGHATOMIC,
  MIGRATE_PCPTYPES,
  MIGRATE_TYPES,
  ZONE_DMA,
  ZONE_DMA32,
  ZONE_MOVABLE,
  ZONE_NORMAL,
} from './gfp.ts';
import {
  ALLOC_HIGHATOMIC,
  ALLOC_MIN_RESERVE,
  ALLOC_NON_BLOCK,
  ALLOC_OOM,
  ALLOC_RESERVES,
  ALLOC_WMARK_LOW,
  ALLOC_WMARK_MASK,
  ALLOC_WMARK_MIN,
} from './internal.ts';
import type { Zones } from './mmzone.ts';

/** /proc/sys/vm/lowmem_reserve_ratio by zone type. */
const LOWMEM_RESERVE_RATIO: Readonly<Record<number, number>> = {
  [ZONE_DMA]: 256,
  [ZONE_DMA32]: 256,
  [ZONE_NORMAL]: 32,
  [ZONE_MOVABLE]: 0,
};

/** /proc/sys/vm/watermark_scale_factor, in parts of 10,000. */
const WATERMARK_SCALE_FACTOR = 10;

/** min_free_kbytes as boot sets it for so much low memory: its square root times 4, in bounds. */
export function minFreeKbytes(lowmemKbytes: number): number {
  return Math.min(Math.max(Math.floor(Math.sqrt(lowmemKbytes * 16)), 128), 262144);
}

/**
 * Pages that stay free for the sake of transparent huge pages: in each zone of kernel memory two
 * page blocks, and one for each type that another falls back to; a twentieth of low memory at most.
 */
export function recommendedMinFree(
  zones: Zones,
  pageblockOrder: number,
  lowmemPages: number,
): number {
  let nrZones = 0;
  for (let z = 0; z < zones.nr; z++) {
    const isKernels = (zones.type[z] as number) <= ZONE_NORMAL;
    if (isKernels && (zones.present[z] as number) > 0) nrZones++;
  }
  const nrBlocks = nrZones * (2 + MIGRATE_PCPTYPES * MIGRATE_PCPTYPES);
  return Math.min(nrBlocks << pageblockOrder, Math.floor(lowmemPages / 20));
}

/** Shares min_free_kbytes out over the zones by size and sets low and high above it. */
export function setupPerZoneWmarks(zones: Zones, minFreeKb: number, pageBytes: number): void {
  const pagesMin = Math.floor((minFreeKb * 1024) / pageBytes);
  let lowmemPages = 0;
  for (let z = 0; z < zones.nr; z++) lowmemPages += zones.managed[z] as number;
  for (let z = 0; z < zones.nr; z++) {
    const managed = zones.managed[z] as number;
    const min = lowmemPages === 0 ? 0 : Math.floor((pagesMin * managed) / lowmemPages);
    const gap = Math.max(min >> 2, Math.floor((managed * WATERMARK_SCALE_FACTOR) / 10000));
    zones.wmarkMin[z] = min;
    zones.wmarkLow[z] = min + gap;
    zones.wmarkHigh[z] = min + 2 * gap;
    zones.watermarkBoost[z] = 0;
  }
}

/** What each zone keeps back from requests that could have used a higher zone of its node. */
export function setupLowmemReserve(zones: Zones): void {
  zones.lowmemReserve.fill(0);
  for (let z = 0; z < zones.nr; z++) {
    const type = zones.type[z] as number;
    const ratio = LOWMEM_RESERVE_RATIO[type] as number;
    const clear = ratio === 0 || zones.managed[z] === 0;
    let above = 0;
    for (let upper = type + 1; upper < MAX_NR_ZONES; upper++) {
      const u = zones.find(zones.nid[z] as number, upper);
      if (u !== undefined) above += zones.managed[u] as number;
      zones.lowmemReserve[z * MAX_NR_ZONES + upper] = clear ? 0 : Math.floor(above / ratio);
    }
  }
}

/** The watermark that an attempt must stay above. */
export function wmarkPages(zones: Zones, z: number, allocFlags: number): number {
  const which = allocFlags & ALLOC_WMARK_MASK;
  if (which === ALLOC_WMARK_LOW) return zones.wmarkLow[z] as number;
  return (which === ALLOC_WMARK_MIN ? zones.wmarkMin[z] : zones.wmarkHigh[z]) as number;
}

/**
 * Free pages of a zone down to which it refuses a request for 2^order pages that must stay above
 * `mark`: its reserves, and what urgent requests may take of them, counted in.
 */
export function refusedAt(
  zones: Zones,
  z: number,
  order: number,
  mark: number,
  highestZoneidx: number,
  allocFlags: number,
): number {
  let kept = (1 << order) - 1;
  if ((allocFlags & ALLOC_RESERVES) === 0) kept += zones.reservedHighatomic[z] as number;
  let min = mark;
  if (allocFlags & ALLOC_MIN_RESERVE) {
    min -= min >> 1;
    if (allocFlags & ALLOC_NON_BLOCK) min -= min >> 2;
  }
  if (allocFlags & ALLOC_OOM) min -= min >> 1;
  return min + kept + (zones.lowmemReserve[z * MAX_NR_ZONES + highestZoneidx] as number);
}

/**
 * May a request take 2^order pages of the zone without falling under `mark`?
 * @param nrFree pages to count as free.
 */
export function zoneWatermarkOk(
  zones: Zones,
  z: ZoneIndex,
  order: number,
  mark: number,
  highestZoneidx: number,
  allocFlags: number,
  nrFree = zones.free[z] as number,
): boolean {
  if (nrFree <= refusedAt(zones, z, order, mark, highestZoneidx, allocFlags)) return false;
  if (order === 0) return true;
  const mayTakeKept = (allocFlags & (ALLOC_HIGHATOMIC | ALLOC_OOM)) !== 0;
  const nrTypes = mayTakeKept ? MIGRATE_HIGHATOMIC + 1 : MIGRATE_PCPTYPES;
  for (let type = 0; type < nrTypes; type++) {
    if ((zones.orderMask[z * MIGRATE_TYPES + type] as number) >>> order !== 0) return true;
  }
  return false;
}
