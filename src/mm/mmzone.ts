// The zone table: one row per zone of a node, as columns.
// Models   linux@v6.1 include/linux/mmzone.h: struct zone, struct free_area; mm/page_alloc.c:
//          zone_batchsize, zone_highsize.
// State    rows 0..nr-1, ascending by node, then by zone type. Only zones that can hold memory
//          exist. Per zone and order and migrate type: list number = (zone * nrOrders + order) *
//          MIGRATE_TYPES + type; lists are doubly linked through MemMap.link and MemMap.index.
//          A zone's frames are one dense stretch [startFrame, endFrame). Blocks of the largest
//          order that nobody has touched yet are not on a list: they are [virginNext, virginEnd),
//          handed out upward after the list of the largest order is empty, as blocks freed to the
//          tail at boot are.
// Holds    ZON1 present <= spanned, managed <= present.  ZON2 free counts what the buddy lists and
//          the virgin stretch hold; pages on per-CPU lists are not in it.
import { assert } from '../base/assert.ts';
import type { Frame, NodeId, ZoneIndex } from '../base/ids.ts';
import { MAX_NR_ZONES, MIGRATE_TYPES, ZONE_DMA32, ZONE_NORMAL } from './gfp.ts';
import { NIL } from './memmap.ts';

export interface ZoneSpec {
  readonly nid: NodeId;
  /** ZONE_DMA .. ZONE_MOVABLE. */
  readonly type: number;
}

export class Zones {
  readonly nr: number;
  readonly nrOrders: number;
  readonly nid: Int32Array;
  readonly type: Uint8Array;
  /** Pages from first to last, with holes. */
  readonly spanned: Float64Array;
  /** Pages that exist. */
  readonly present: Int32Array;
  /** Pages that the buddy allocator manages. */
  readonly managed: Int32Array;
  /** NR_FREE_PAGES. */
  readonly free: Int32Array;
  readonly startFrame: Int32Array;
  readonly endFrame: Int32Array;
  /** zone_start_pfn. */
  readonly startPfn: Float64Array;
  readonly virginNext: Int32Array;
  readonly virginEnd: Int32Array;
  readonly wmarkMin: Int32Array;
  readonly wmarkLow: Int32Array;
  readonly wmarkHigh: Int32Array;
  /** Pages by which the marks are raised for now, counted in them (watermark_boost). */
  readonly watermarkBoost: Int32Array;
  /** lowmem_reserve: zone * MAX_NR_ZONES + highest zone type of the request. */
  readonly lowmemReserve: Int32Array;
  /** Pages held back for high-order atomic requests. */
  readonly reservedHighatomic: Int32Array;
  readonly pcpBatch: Int32Array;
  readonly pcpHigh: Int32Array;
  readonly listHead: Int32Array;
  readonly listTail: Int32Array;
  readonly listCount: Int32Array;
  /**
   * zone * MIGRATE_TYPES + type -> bit per order whose list is not empty (virgin blocks included).
   */
  readonly orderMask: Int32Array;

  constructor(specs: readonly ZoneSpec[], nrOrders: number) {
    const nr = specs.length;
    this.nr = nr;
    this.nrOrders = nrOrders;
    const i32 = () => new Int32Array(nr);
    this.nid = Int32Array.from(specs, (s) => s.nid);
    this.type = Uint8Array.from(specs, (s) => s.type);
    this.spanned = new Float64Array(nr);
    this.startPfn = new Float64Array(nr);
    this.present = i32();
    this.managed = i32();
    this.free = i32();
    this.startFrame = i32();
    this.endFrame = i32();
    this.virginNext = i32();
    this.virginEnd = i32();
    this.wmarkMin = i32();
    this.wmarkLow = i32();
    this.wmarkHigh = i32();
    this.watermarkBoost = i32();
    this.lowmemReserve = new Int32Array(nr * MAX_NR_ZONES);
    this.reservedHighatomic = i32();
    this.pcpBatch = i32();
    this.pcpHigh = i32();
    const nrLists = nr * nrOrders * MIGRATE_TYPES;
    this.listHead = new Int32Array(nrLists).fill(NIL);
    this.listTail = new Int32Array(nrLists).fill(NIL);
    this.listCount = new Int32Array(nrLists);
    this.orderMask = new Int32Array(nr * MIGRATE_TYPES);
  }

  /** managed_zone: zones without managed pages are in no zonelist. */
  isManaged(z: ZoneIndex): boolean {
    return (this.managed[z] as number) > 0;
  }

  /** All zones of a node, ascending by type. */
  ofNode(nid: number): ZoneIndex[] {
    const found: ZoneIndex[] = [];
    for (let z = 0; z < this.nr; z++) if (this.nid[z] === nid) found.push(z as ZoneIndex);
    return found;
  }

  find(nid: number, type: number): ZoneIndex | undefined {
    return this.ofNode(nid).find((z) => this.type[z] === type);
  }

  frameInZone(z: ZoneIndex, f: Frame): boolean {
    return f >= (this.startFrame[z] as number) && f < (this.endFrame[z] as number);
  }
}

/**
 * Sets how many pages a CPU's list takes at once and may hold (zone_batchsize, zone_highsize).
 * @param nrLocalCpus CPUs of the zone's node; 0 for a CPU-less node, which then counts all CPUs.
 */
export function setPcpLimits(
  zones: Zones,
  z: ZoneIndex,
  pageBytes: number,
  nrLocalCpus: number,
  nrOnlineCpus: number,
): void {
  const managed = zones.managed[z] as number;
  const quarter = Math.max(1, Math.min(managed >> 10, 0x100000 / pageBytes) >> 2);
  const rounded = 1 << (31 - Math.clz32(quarter + (quarter >> 1)));
  const batch = Math.max(1, rounded - 1);
  const nrSplit = nrLocalCpus > 0 ? nrLocalCpus : nrOnlineCpus;
  assert(nrSplit > 0, 'a machine has at least one CPU');
  const high = Math.floor((zones.wmarkLow[z] as number) / nrSplit);
  zones.pcpBatch[z] = batch;
  zones.pcpHigh[z] = Math.max(high, batch << 2);
}

/**
 * By zone: 1 where a walk that starts there tries not to break up page blocks of other types, since
 * its node has a zone below to use first (alloc_flags_nofragment).
 */
export function sparesPageBlocks(zones: Zones, isNuma: boolean): Uint8Array {
  return Uint8Array.from({ length: zones.nr }, (_, z) => {
    if (zones.type[z] !== ZONE_NORMAL) return 0;
    const below = zones.find(zones.nid[z] as number, ZONE_DMA32);
    return (below !== undefined && (zones.present[below] as number) > 0) || !isNuma ? 1 : 0;
  });
}
