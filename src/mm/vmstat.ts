// Counters: what the kernel counts per zone, per node and for the whole machine. Those who have
// something to count add to a counter, or answer for it when somebody reads it.
// Models   linux@v6.1 mm/vmstat.c; mm/page_alloc.c: zone_statistics.
// Usage    stat.count(EVENT.pgsteal_kswapd, 32) where something happens;
//          stat.addNode(NODE_ITEM.nr_dirty, nid, 1) for what a node has;
//          stat.nodeSource(NODE_ITEM.nr_active_anon, f) where it is known without counting.
// State    NUMA counters: columns by zone. Zone and node counters: a column by zone or node for
//          each that was ever added to. Events: one column by number. All whole numbers.
// Holds    PRC2 a counter that nobody adds to costs nothing and reads 0; what is read is what was
//          added and what its source says, together.
import {
  EVENT,
  NODE_ITEMS,
  type NumaItem,
  VM_EVENTS,
  type VmEvent,
  ZONE_ITEMS,
} from './vmstat_items.ts';

/** Per-node event counters, in the order of /sys/devices/system/node/nodeN/numastat. */
export const NUMA_EVENTS = [
  'numa_hit',
  'numa_miss',
  'numa_foreign',
  'interleave_hit',
  'local_node',
  'other_node',
] as const;
export type NumaEvent = (typeof NUMA_EVENTS)[number];

/** Events that every run counts, by short names. */
export type MainEvent =
  | 'pgfault'
  | 'pgalloc'
  | 'pgfree'
  | 'pgmigrate_success'
  | 'pgmigrate_fail'
  | 'oom_kill';

export const PGFAULT = EVENT.pgfault;
export const PGMIGRATE_SUCCESS = EVENT.pgmigrate_success;
export const PGMIGRATE_FAIL = EVENT.pgmigrate_fail;
export const OOM_KILL = EVENT.oom_kill;

/** Where zones are and of which type; see Zones. */
export interface ZoneColumns {
  readonly nr: number;
  readonly nid: ArrayLike<number>;
  readonly type: ArrayLike<number>;
}

/** Numbers of the events that count pages given, by zone type. */
const PGALLOC_BY_TYPE = [
  EVENT.pgalloc_dma,
  EVENT.pgalloc_dma32,
  EVENT.pgalloc_normal,
  EVENT.pgalloc_movable,
] as const;

type Source = (at: number) => number;

/** Counters of one kind, each with a row for every zone or node once it is added to. */
class CounterTable {
  readonly #nrRows: number;
  readonly #columns: (Float64Array | undefined)[];
  readonly #sources: (Source | undefined)[];

  constructor(nrItems: number, nrRows: number) {
    this.#nrRows = nrRows;
    this.#columns = new Array(nrItems).fill(undefined);
    this.#sources = new Array(nrItems).fill(undefined);
  }

  add(item: number, row: number, n: number): void {
    let column = this.#columns[item];
    if (column === undefined) {
      column = new Float64Array(this.#nrRows);
      this.#columns[item] = column;
    }
    add(column, row, n);
  }

  setSource(item: number, source: Source): void {
    this.#sources[item] = source;
  }

  hasSource(item: number): boolean {
    return this.#sources[item] !== undefined;
  }

  read(item: number, row: number): number {
    return (this.#columns[item]?.[row] ?? 0) + (this.#sources[item]?.(row) ?? 0);
  }
}

export class VmStat {
  readonly #zones: ZoneColumns;
  /** By zone, pages given where they were wanted: to a CPU of the zone's node, to another. */
  readonly #hitLocal: Float64Array;
  readonly #hitOther: Float64Array;
  /** By zone, pages given that were wanted elsewhere, likewise. */
  readonly #missLocal: Float64Array;
  readonly #missOther: Float64Array;
  readonly #foreign: Float64Array;
  readonly #interleaveHit: Float64Array;
  /** By zone, pages of blocks given, beyond the first of each. */
  readonly #blockTails: Float64Array;
  readonly #events = new Float64Array(VM_EVENTS.length);
  readonly #eventSources = new CounterTable(VM_EVENTS.length, 1);
  readonly #zoneItems: CounterTable;
  readonly #nodeItems: CounterTable;
  #freed = 0;
  /** Whoever keeps counts of its own for a while adds them here before anybody looks. */
  beforeReading: () => void = () => undefined;

  constructor(zones: ZoneColumns, nrNodeIds: number) {
    this.#zones = zones;
    const column = () => new Float64Array(zones.nr);
    this.#hitLocal = column();
    this.#hitOther = column();
    this.#missLocal = column();
    this.#missOther = column();
    this.#foreign = column();
    this.#interleaveHit = column();
    this.#blockTails = column();
    this.#zoneItems = new CounterTable(ZONE_ITEMS.length, zones.nr);
    this.#nodeItems = new CounterTable(NODE_ITEMS.length, nrNodeIds);
  }

  // ---- Adding ------------------------------------------------------------------------------

  /** Counts `n` events, of a number of EVENT (count_vm_events). */
  count(event: number, n: number): void {
    add(this.#events, event, n);
  }

  /** Adds to a counter of a node, of a number of NODE_ITEM (mod_node_page_state). */
  addNode(item: number, nid: number, n: number): void {
    this.#nodeItems.add(item, nid, n);
  }

  /** Adds to a counter of a zone, of a number of ZONE_ITEM (mod_zone_page_state). */
  addZone(item: number, z: number, n: number): void {
    this.#zoneItems.add(item, z, n);
  }

  countFree(n: number): void {
    this.#freed += n;
  }

  /** `count` pages came from zone `got` where `preferred` was wanted, asked by a CPU of `local`. */
  countAllocation(preferred: number, got: number, local: number, count: number): void {
    const { nid } = this.#zones;
    if (nid[got] === nid[preferred]) {
      this.countHit(got, local, count);
      return;
    }
    add(nid[got] === local ? this.#missLocal : this.#missOther, got, count);
    add(this.#foreign, preferred, count);
  }

  /** `count` pages came from zone `z` of the preferred node, asked by a CPU of node `local`. */
  countHit(z: number, local: number, count: number): void {
    add(this.#zones.nid[z] === local ? this.#hitLocal : this.#hitOther, z, count);
  }

  /** A block of 2^order pages of a zone was given, which numastat counts as one. */
  countBlock(z: number, order: number): void {
    add(this.#blockTails, z, (1 << order) - 1);
  }

  /** A page of an interleave came from zone `z` of the node whose turn it was. */
  countInterleaveHit(z: number): void {
    add(this.#interleaveHit, z, 1);
  }

  // ---- Answering when read -----------------------------------------------------------------

  /** Lets `source` answer for a counter of nodes when it is read: pages of node `nid`. */
  nodeSource(item: number, source: (nid: number) => number): void {
    this.#nodeItems.setSource(item, source);
  }

  /** Lets `source` answer for a counter of zones when it is read. */
  zoneSource(item: number, source: (z: number) => number): void {
    this.#zoneItems.setSource(item, source);
  }

  /** Lets `source` answer for an event when it is read. */
  eventSource(event: number, source: () => number): void {
    this.#eventSources.setSource(event, source);
  }

  /** Does somebody answer for a counter of nodes? */
  hasNodeSource(item: number): boolean {
    return this.#nodeItems.hasSource(item);
  }

  /** Does somebody answer for a counter of zones? */
  hasZoneSource(item: number): boolean {
    return this.#zoneItems.hasSource(item);
  }

  // ---- Reading -----------------------------------------------------------------------------

  /** A counter of a node. */
  node(item: number, nid: number): number {
    return this.#nodeItems.read(item, nid);
  }

  /** A counter of a zone. */
  zone(item: number, z: number): number {
    return this.#zoneItems.read(item, z);
  }

  /** How often an event of EVENT was counted. */
  event(event: number): number {
    this.beforeReading();
    const type = (PGALLOC_BY_TYPE as readonly number[]).indexOf(event);
    const own = type < 0 ? this.#events[event] : this.#given(type);
    const freed = event === EVENT.pgfree ? this.#freed : 0;
    return (own as number) + freed + this.#eventSources.read(event, 0);
  }

  /** Pages given of all zones of a type. */
  #given(type: number): number {
    let n = 0;
    for (let z = 0; z < this.#zones.nr; z++) {
      if (this.#zones.type[z] === type) n += this.givenOf(z);
    }
    return n;
  }

  /** Pages of a zone that were given since the start. */
  givenOf(z: number): number {
    this.beforeReading();
    const columns = [this.#hitLocal, this.#hitOther, this.#missLocal, this.#missOther];
    return columns.reduce((n, column) => n + at(column, z), at(this.#blockTails, z));
  }

  /** The events that every run counts. */
  eventCounts(): Record<MainEvent, number> {
    let pgalloc = 0;
    for (let z = 0; z < this.#zones.nr; z++) pgalloc += this.givenOf(z);
    return {
      pgfault: this.event(PGFAULT),
      pgalloc,
      pgfree: this.event(EVENT.pgfree),
      pgmigrate_success: this.event(PGMIGRATE_SUCCESS),
      pgmigrate_fail: this.event(PGMIGRATE_FAIL),
      oom_kill: this.event(OOM_KILL),
    };
  }

  /** Events that were counted, by name, without those of eventCounts. */
  otherEvents(): Partial<Record<VmEvent, number>> {
    const counted = VM_EVENTS.filter((_, event) => {
      const isMain = [PGFAULT, PGMIGRATE_SUCCESS, PGMIGRATE_FAIL, OOM_KILL].includes(event);
      return !isMain && this.#events[event] !== 0;
    });
    return Object.fromEntries(counted.map((name) => [name, this.#events[EVENT[name]]]));
  }

  /** The NUMA counters of a zone (zone_numa_event_state). */
  numaOf(z: number): Record<NumaItem, number> {
    this.beforeReading();
    const hits = at(this.#hitLocal, z) + at(this.#hitOther, z);
    return {
      numa_hit: hits,
      numa_miss: at(this.#missLocal, z) + at(this.#missOther, z),
      numa_foreign: at(this.#foreign, z),
      numa_interleave: at(this.#interleaveHit, z),
      numa_local: at(this.#hitLocal, z) + at(this.#missLocal, z),
      numa_other: at(this.#hitOther, z) + at(this.#missOther, z),
    };
  }

  /** The lines of a node's numastat file: its zones together. */
  numastat(nid: number): Record<NumaEvent, number> {
    const sum: Record<NumaEvent, number> = {
      numa_hit: 0,
      numa_miss: 0,
      numa_foreign: 0,
      interleave_hit: 0,
      local_node: 0,
      other_node: 0,
    };
    for (let z = 0; z < this.#zones.nr; z++) {
      if (this.#zones.nid[z] !== nid) continue;
      const own = this.numaOf(z);
      sum.numa_hit += own.numa_hit;
      sum.numa_miss += own.numa_miss;
      sum.numa_foreign += own.numa_foreign;
      sum.interleave_hit += own.numa_interleave;
      sum.local_node += own.numa_local;
      sum.other_node += own.numa_other;
    }
    return sum;
  }
}

const at = (column: Float64Array, i: number): number => column[i] as number;

function add(column: Float64Array, i: number, n: number): void {
  column[i] = (column[i] as number) + n;
}
