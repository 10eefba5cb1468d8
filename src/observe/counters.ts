// Every counter of the kernel by its name, read at one moment: what somebody counts or answers for
// (mm/vmstat.ts), and for the rest what the census and the zones say.
// Models   linux@v6.1 mm/vmstat.c: vmstat_start, zone_page_state, node_page_state.
// Omits    counters of slab, kernel stacks and vmalloc (SPEC PRC8).
// Holds    PRC4 a counter that has a source of its own is that source's; the census stands in for
//          it only where there is none.
import type { Kernel } from '../kernel/kernel.ts';
import { LRU_NAMES } from '../mm/lru.ts';
import {
  EVENT,
  NODE_ITEM,
  NODE_ITEMS,
  type NodeItem,
  NUMA_ITEMS,
  type NumaItem,
  VM_EVENTS,
  type VmEvent,
  ZONE_ITEM,
  ZONE_ITEMS,
  type ZoneItem,
} from '../mm/vmstat_items.ts';
import { type Census, takeCensus } from './census.ts';

/** Zone types that Linux has on an architecture, by number; 4 is Device. */
export const ZONE_WORDS = ['dma', 'dma32', 'normal', 'movable', 'device'] as const;

type FromCensus = (c: Census, z: number) => number;

const unlockedAnon: FromCensus = (c, z) =>
  at(c.anon, z) - at(c.ofDrivers, z) + at(c.shmem, z) - at(c.locked, z);

/** Counters that are lengths of the lists of reclaim, in the order of those. */
const ZONE_LISTS: readonly string[] = LRU_NAMES.map((name) => `nr_zone_${name}`);
const NODE_LISTS: readonly string[] = LRU_NAMES.map((name) => `nr_${name}`);

/** While pages join no lists none is ever activated, and every page of a program is on one list. */
const ZONE_FROM_CENSUS: Partial<Record<ZoneItem, FromCensus>> = {
  nr_zone_inactive_anon: unlockedAnon,
  nr_zone_unevictable: (c, z) => at(c.locked, z),
  nr_mlock: (c, z) => at(c.locked, z),
};
const NODE_FROM_CENSUS: Partial<Record<NodeItem, FromCensus>> = {
  nr_inactive_anon: unlockedAnon,
  nr_unevictable: (c, z) => at(c.locked, z),
  nr_anon_pages: (c, z) => at(c.anon, z),
  nr_mapped: (c, z) => at(c.shmemMapped, z),
  nr_file_pages: (c, z) => at(c.shmem, z) + at(c.swapCached, z),
  nr_swapcached: (c, z) => at(c.swapCached, z),
  nr_shmem: (c, z) => at(c.shmem, z),
  nr_page_table_pages: (c, z) => at(c.tables, z),
};

/** Counters as they stand when it is made. */
export class Counters {
  readonly #k: Kernel;
  readonly #census: Census;

  constructor(k: Kernel) {
    this.#k = k;
    this.#census = takeCensus(k);
  }

  /** A counter of a zone, in pages. */
  zone(name: ZoneItem, z: number): number {
    const { zones, stat, lru } = this.#k.mem;
    const item = ZONE_ITEM[name];
    if (name === 'nr_free_pages') return at(zones.free, z);
    const list = ZONE_LISTS.indexOf(name);
    if (list >= 0 && lru.isTracking) return lru.countOfZone(z, list) + stat.zone(item, z);
    const from = stat.hasZoneSource(item) ? undefined : ZONE_FROM_CENSUS[name];
    const listed = list < 0 ? 0 : lru.countOfZone(z, list);
    return stat.zone(item, z) + listed + (from?.(this.#census, z) ?? 0);
  }

  /** A counter of a node: pages, but kibibytes of nr_kernel_stack. */
  node(name: NodeItem, nid: number): number {
    const { zones, stat, lru } = this.#k.mem;
    const item = NODE_ITEM[name];
    const list = NODE_LISTS.indexOf(name);
    const listed = list < 0 ? 0 : lru.count(nid, list);
    if (list >= 0 && lru.isTracking) return listed + stat.node(item, nid);
    const from = stat.hasNodeSource(item) ? undefined : NODE_FROM_CENSUS[name];
    let n = stat.node(item, nid) + listed;
    if (from !== undefined) for (const z of zones.ofNode(nid)) n += from(this.#census, z);
    return n;
  }

  /** A zone counter of all zones of a node. */
  zonesOf(name: ZoneItem, nid: number): number {
    return this.#k.mem.zones.ofNode(nid).reduce((n, z) => n + this.zone(name, z), 0);
  }

  /** A NUMA counter of all zones of a node. */
  numaOf(name: NumaItem, nid: number): number {
    const { zones, stat } = this.#k.mem;
    return zones.ofNode(nid).reduce((n, z) => n + stat.numaOf(z)[name], 0);
  }

  /** An event of the whole machine. */
  event(name: VmEvent): number {
    return this.#k.mem.stat.event(EVENT[name]);
  }

  /** A counter over all nodes. */
  total(name: ZoneItem | NumaItem | NodeItem): number {
    const nodes = this.#k.states.possible.toArray();
    return nodes.reduce((n, nid) => n + this.ofNode(name, nid), 0);
  }

  /** A counter of a node, whichever table it stands in. */
  ofNode(name: ZoneItem | NumaItem | NodeItem, nid: number): number {
    if (isZoneItem(name)) return this.zonesOf(name, nid);
    return isNumaItem(name) ? this.numaOf(name, nid) : this.node(name, nid);
  }
}

const isZoneItem = (name: string): name is ZoneItem => Object.hasOwn(ZONE_ITEM, name);
const isNumaItem = (name: string): name is NumaItem =>
  (NUMA_ITEMS as readonly string[]).includes(name);

/** Names of the counters of a node, in the order of its vmstat file. */
export const NODE_VMSTAT_ITEMS: readonly (ZoneItem | NumaItem | NodeItem)[] = [
  ...ZONE_ITEMS,
  ...NUMA_ITEMS,
  ...NODE_ITEMS,
];

/** Zone types that a kernel of the machine's architecture is built with. */
export const hasZoneType = (k: Kernel, type: number): boolean =>
  k.machine.arch !== 'ppc64' || type >= 2;

/** Events that a kernel of the machine's architecture counts, in order. */
export function eventsOf(k: Kernel): readonly VmEvent[] {
  return VM_EVENTS.filter((name) => {
    if (name.startsWith('direct_map_')) return k.machine.arch === 'x86_64';
    const type = ZONE_WORDS.findIndex(
      (word) => /^(?:pgalloc|allocstall|pgskip)_/.test(name) && name.endsWith(`_${word}`),
    );
    return type < 0 || hasZoneType(k, type);
  });
}

const at = (column: ArrayLike<number>, i: number): number => column[i] as number;
