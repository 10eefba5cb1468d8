// /proc/vmstat, and the vmstat and numastat files of nodes.
// Models   linux@v6.1 mm/vmstat.c: vmstat_start, vmstat_show; drivers/base/node.c:
//          node_read_vmstat, node_read_numastat; mm/page-writeback.c: domain_dirty_limits.
// Omits    nr_dirty_threshold of cgroups and of real-time tasks.
import { THP_PAGES } from '../kernel/thp.ts';
import { NUMA_EVENTS } from '../mm/vmstat.ts';
import type { NodeItem, NumaItem, VmEvent, ZoneItem } from '../mm/vmstat_items.ts';
import { eventsOf, NODE_VMSTAT_ITEMS } from './counters.ts';
import { onlineNode, pathsOfNodes } from './nodes.ts';
import { type FileKind, fileAt, type View } from './view.ts';

/** /proc/sys/vm/dirty_ratio and dirty_background_ratio. */
const DIRTY_RATIO = 20;
const DIRTY_BACKGROUND_RATIO = 10;

/** Pages that no user gets: reserves for lower zones and up to the high mark, of all zones. */
export function reservedPages({ k }: View): number {
  const { zones } = k.mem;
  const nrTypes = zones.nr === 0 ? 0 : zones.lowmemReserve.length / zones.nr;
  let pages = 0;
  for (let z = 0; z < zones.nr; z++) {
    const row = zones.lowmemReserve.subarray(z * nrTypes, (z + 1) * nrTypes);
    const reserve = Math.max(...row) + (zones.wmarkHigh[z] as number);
    pages += Math.min(reserve, zones.managed[z] as number);
  }
  return pages;
}

/** Pages that may be dirty before writers wait, and before write-back starts. */
function dirtyLimits(view: View): { limit: number; background: number } {
  const { counters } = view;
  const free = counters.total('nr_free_pages');
  const file = counters.total('nr_inactive_file') + counters.total('nr_active_file');
  const available = free - Math.min(free, reservedPages(view)) + file + 1;
  const { pageBytes } = view.k.mem;
  const share = (percent: number): number =>
    Math.floor((Math.floor((percent * pageBytes) / 100) * available) / pageBytes);
  const limit = share(DIRTY_RATIO);
  const background = share(DIRTY_BACKGROUND_RATIO);
  return { limit, background: background >= limit ? Math.floor(limit / 2) : background };
}

/** Transparent huge pages are counted in pages, and told by their number. */
const inUnits = (name: string, n: number): number =>
  name === 'nr_anon_transparent_hugepages' ? n / THP_PAGES : n;

function procVmstat(view: View): string {
  const { counters } = view;
  const limits = dirtyLimits(view);
  const rows: (readonly [string, number])[] = [
    ...NODE_VMSTAT_ITEMS.map((name) => [name, inUnits(name, counters.total(name))] as const),
    ['nr_dirty_threshold', limits.limit],
    ['nr_dirty_background_threshold', limits.background],
    ...eventsOf(view.k).map((name) => [name, counters.event(name)] as const),
    ['nr_unstable', 0],
  ];
  return linesOf(rows);
}

const linesOf = (rows: readonly (readonly [string, number])[]): string =>
  rows.map(([name, n]) => `${name} ${n}\n`).join('');

/** A value of /proc/vmstat by its name, or undefined. */
export function vmstatValue(view: View, name: string): number | undefined {
  if ((NODE_VMSTAT_ITEMS as readonly string[]).includes(name)) {
    return inUnits(name, view.counters.total(name as ZoneItem | NumaItem | NodeItem));
  }
  if ((eventsOf(view.k) as readonly string[]).includes(name)) {
    return view.counters.event(name as VmEvent);
  }
  const limits = dirtyLimits(view);
  if (name === 'nr_dirty_threshold') return limits.limit;
  if (name === 'nr_dirty_background_threshold') return limits.background;
  return name === 'nr_unstable' ? 0 : undefined;
}

export const VMSTAT_FILES: readonly FileKind[] = [
  fileAt('/proc/vmstat', procVmstat),
  {
    pattern: /^\/sys\/devices\/system\/node\/node(\d+)\/vmstat$/,
    read: (view, id) => {
      const nid = onlineNode(view, id);
      if (nid === undefined) return undefined;
      const { counters } = view;
      const rows = NODE_VMSTAT_ITEMS.map(
        (name) => [name, inUnits(name, counters.ofNode(name, nid))] as const,
      );
      return linesOf(rows);
    },
    paths: (view) => pathsOfNodes(view, 'vmstat'),
  },
  {
    pattern: /^\/sys\/devices\/system\/node\/node(\d+)\/numastat$/,
    read: (view, id) => {
      const nid = onlineNode(view, id);
      if (nid === undefined) return undefined;
      const numastat = view.k.mem.stat.numastat(nid);
      return linesOf(NUMA_EVENTS.map((name) => [name, numastat[name]]));
    },
    paths: (view) => pathsOfNodes(view, 'numastat'),
  },
];
