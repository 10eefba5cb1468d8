// Watermarks that are raised for a while, since page blocks of different types were mixed: the
// daemon of the node then frees pages before the next request has to mix them too.
// Models   linux@v6.1 mm/page_alloc.c: boost_watermark; mm/vmscan.c: pgdat_watermark_boosted, and
//          balance_pgdat where it takes boosts back.
// State    Zones.watermarkBoost: pages by which the three marks of a zone are higher meanwhile.
//          They are counted in them, so that whoever reads a mark reads the raised one.
// Holds    BST1 no boost is more than the factor's share of the high mark, or a page block.
import type { Zones } from './mmzone.ts';

/** /proc/sys/vm/watermark_boost_factor as kernels start with it, in parts of 10,000. */
export const WATERMARK_BOOST_FACTOR = 15_000;
/** A zone of fewer page blocks than this is left alone. */
const LEAST_BLOCKS = 4;

/** Sets by how much the marks of a zone are raised. */
export function setBoost(zones: Zones, z: number, nrPages: number): void {
  const more = nrPages - (zones.watermarkBoost[z] as number);
  zones.watermarkBoost[z] = nrPages;
  for (const marks of [zones.wmarkMin, zones.wmarkLow, zones.wmarkHigh]) {
    marks[z] = (marks[z] as number) + more;
  }
}

/**
 * Raises the marks of a zone by a page block, as far as the factor allows.
 * @returns false in zones that are too small for it, and where the factor is 0.
 */
export function boostWatermark(
  zones: Zones,
  z: number,
  blockPages: number,
  factor: number,
): boolean {
  if (factor === 0 || blockPages * LEAST_BLOCKS > (zones.managed[z] as number)) return false;
  const was = zones.watermarkBoost[z] as number;
  const most = Math.floor((((zones.wmarkHigh[z] as number) - was) * factor) / 10_000);
  if (most === 0) return false;
  setBoost(zones, z, Math.min(was + blockPages, Math.max(blockPages, most)));
  return true;
}

/** Boosts of a node's zones up to a type, by zone. */
export function boostsOf(zones: Zones, nid: number, highest: number): Map<number, number> {
  const boosts = new Map<number, number>();
  for (let z = 0; z < zones.nr; z++) {
    if (zones.nid[z] !== nid || (zones.type[z] as number) > highest) continue;
    const boost = zones.watermarkBoost[z] as number;
    if (boost > 0) boosts.set(z, boost);
  }
  return boosts;
}

/** The daemon has done what it could about boosts: the marks fall by as much. */
export function takeBack(zones: Zones, boosts: ReadonlyMap<number, number>): void {
  for (const [z, n] of boosts) {
    const boost = zones.watermarkBoost[z] as number;
    setBoost(zones, z, boost - Math.min(boost, n));
  }
}
