// /proc/zoneinfo, /proc/buddyinfo and /proc/pagetypeinfo.
// Models   linux@v6.1 mm/vmstat.c: zoneinfo_show_print, frag_show_print,
//          pagetypeinfo_showfree_print, pagetypeinfo_showblockcount_print,
//          calculate_normal_threshold.
// Omits    the smaller thresholds while kswapd is awake; CMA.
// Holds    PRC5 a zone without pages is shown with zeros and without counters.
import type { ZoneIndex } from '../base/ids.ts';
import { MAX_NR_ZONES, MIGRATE_NAMES, ZONE_NAMES } from '../mm/gfp.ts';
import { NODE_ITEMS, NUMA_ITEMS, ZONE_ITEMS } from '../mm/vmstat_items.ts';
import { hasZoneType } from './counters.ts';
import { fileAt, left, right, type View } from './view.ts';

/** Zone types that the kernel is built with, ascending. */
const typesOf = ({ k }: View): number[] =>
  [...ZONE_NAMES.keys()].filter((type) => hasZoneType(k, type));

const counterLine = (name: string, n: number): string => `      ${left(name, 12)} ${n}\n`;

function zoneinfo(view: View): string {
  return view.k.states.online
    .toArray()
    .map((nid) => nodeText(view, nid))
    .join('');
}

function nodeText(view: View, nid: number): string {
  const { zones } = view.k.mem;
  let text = '';
  let isFirst = true;
  for (const type of typesOf(view)) {
    text += `Node ${nid}, zone ${right(ZONE_NAMES[type] as string, 8)}\n`;
    const z = zones.find(nid, type);
    const isPopulated = z !== undefined && (zones.present[z] as number) > 0;
    if (isPopulated && isFirst) {
      isFirst = false;
      text += '  per-node stats\n';
      for (const name of NODE_ITEMS) text += counterLine(name, view.counters.node(name, nid));
    }
    text += pagesText(view, z);
    if (isPopulated) text += countersText(view, z);
  }
  return text;
}

/** Pages, marks and protection of a zone, or those of a zone that has none. */
function pagesText(view: View, z: ZoneIndex | undefined): string {
  const { zones } = view.k.mem;
  const of = (column: ArrayLike<number>): number => (z === undefined ? 0 : (column[z] as number));
  const rows: readonly (readonly [string, number])[] = [
    ['boost', of(zones.watermarkBoost)],
    ['min', of(zones.wmarkMin)],
    ['low', of(zones.wmarkLow)],
    ['high', of(zones.wmarkHigh)],
    ['spanned', of(zones.spanned)],
    ['present', of(zones.present)],
    ['managed', of(zones.managed)],
    ['cma', 0],
  ];
  const lines = rows.map(([name, n]) => `        ${left(name, 8)} ${n}\n`).join('');
  const protection = typesOf(view).map((type) => protectionOf(view, z, type));
  return `  pages free     ${of(zones.free)}\n${lines}        protection: (${protection.join(', ')})\n`;
}

/** Pages that a zone keeps from requests that could use a zone of `type`; Device adds none. */
function protectionOf({ k }: View, z: ZoneIndex | undefined, type: number): number {
  if (z === undefined) return 0;
  const highest = Math.min(type, MAX_NR_ZONES - 1);
  return k.mem.zones.lowmemReserve[z * MAX_NR_ZONES + highest] as number;
}

function countersText(view: View, z: ZoneIndex): string {
  const { k, counters } = view;
  const { zones, pcp, stat } = k.mem;
  const numa = stat.numaOf(z);
  let text = '';
  for (const name of ZONE_ITEMS) text += counterLine(name, counters.zone(name, z));
  for (const name of NUMA_ITEMS) text += counterLine(name, numa[name]);
  text += '  pagesets\n';
  const threshold = statThreshold(view, z);
  for (const cpu of [...k.mem.onlineCpus].sort((a, b) => a - b)) {
    text +=
      `    cpu: ${cpu}\n` +
      `              count: ${pcp.countOn(z, cpu)}\n` +
      `              high:  ${zones.pcpHigh[z]}\n` +
      `              batch: ${zones.pcpBatch[z]}\n` +
      `  vm stats threshold: ${threshold}\n`;
  }
  return `${text}  node_unreclaimable:  0\n  start_pfn:           ${zones.startPfn[z]}\n`;
}

const bitsOf = (n: number): number => 32 - Math.clz32(n);

/** How far a CPU's own counters may run before they are added up: with CPUs and size of a zone. */
function statThreshold({ k }: View, z: number): number {
  const { zones, pageBytes, onlineCpus } = k.mem;
  const sizeIn128MiB = Math.floor(((zones.managed[z] as number) * pageBytes) / 2 ** 27);
  return Math.min(125, 2 * bitsOf(onlineCpus.length) * (1 + bitsOf(sizeIn128MiB)));
}

/** Zones with pages of a node, ascending. */
const filledZones = ({ k }: View, nid: number): ZoneIndex[] =>
  k.mem.zones.ofNode(nid).filter((z) => (k.mem.zones.present[z] as number) > 0);

const ordersOf = ({ k }: View): number[] => [...Array(k.mem.maxOrder + 1).keys()];

function buddyinfo(view: View): string {
  const { k } = view;
  let text = '';
  for (const nid of k.states.online) {
    for (const z of filledZones(view, nid)) {
      const counts = ordersOf(view).map((order) => `${right(k.mem.buddy.countFree(z, order), 6)} `);
      text += `Node ${nid}, zone ${right(k.mem.zoneName(z), 8)} ${counts.join('')}\n`;
    }
  }
  return text;
}

/** Migrate types as the kernel shows them: what is being isolated never stays so here. */
const TYPE_NAMES = [...MIGRATE_NAMES, 'Isolate'] as const;
/** Lists longer than this are counted no further. */
const MOST_COUNTED = 100_000;

function pagetypeinfo(view: View): string {
  const { k } = view;
  const { pageblockOrder } = k.mem.buddy;
  let text = '';
  for (const nid of k.states.memory) {
    const orders = ordersOf(view).map((order) => `${right(order, 6)} `);
    text +=
      `Page block order: ${pageblockOrder}\n` +
      `Pages per block:  ${1 << pageblockOrder}\n\n` +
      `${left('Free pages count per migrate type at order', 43)} ${orders.join('')}\n`;
    for (const z of filledZones(view, nid)) text += freeByType(view, nid, z);
    const names = TYPE_NAMES.map((name) => `${right(name, 12)} `);
    text += `\n${left('Number of blocks type', 23)}${names.join('')}\n`;
    for (const z of filledZones(view, nid)) {
      const counts = blocksByType(view, z).map((n) => `${right(n, 12)} `);
      text += `Node ${nid}, zone ${right(k.mem.zoneName(z), 8)} ${counts.join('')}\n`;
    }
  }
  return text;
}

function freeByType(view: View, nid: number, z: ZoneIndex): string {
  const { k } = view;
  let text = '';
  for (const [type, name] of TYPE_NAMES.entries()) {
    const zone = right(k.mem.zoneName(z), 8);
    text += `Node ${right(nid, 4)}, zone ${zone}, type ${right(name, 12)} `;
    for (const order of ordersOf(view)) {
      const isOwn = type < MIGRATE_NAMES.length;
      const n = isOwn ? k.mem.buddy.countFreeOfType(z, order, type) : 0;
      text += n >= MOST_COUNTED ? `>${right(MOST_COUNTED, 6)} ` : `${right(n, 6)} `;
    }
    text += '\n';
  }
  return text;
}

/** Page blocks of a zone by migrate type, each by the frame at its start that the zone spans. */
function blocksByType({ k }: View, z: ZoneIndex): number[] {
  const { zones, buddy, segments } = k.mem;
  const counts: number[] = TYPE_NAMES.map(() => 0);
  const size = 1 << buddy.pageblockOrder;
  const start = zones.startPfn[z] as number;
  const end = start + (zones.spanned[z] as number);
  for (const { startPfn, startFrame, nrPages } of segments) {
    const from = Math.max(start, startPfn);
    const first = start + Math.ceil((from - start) / size) * size;
    for (let at = first; at < Math.min(end, startPfn + nrPages); at += size) {
      const f = startFrame + at - startPfn;
      if (buddy.zoneOf(f) !== z) continue;
      const type = buddy.pageblockType(f);
      counts[type] = (counts[type] as number) + 1;
    }
  }
  return counts;
}

export const ZONE_FILES = [
  fileAt('/proc/zoneinfo', zoneinfo),
  fileAt('/proc/buddyinfo', buddyinfo),
  fileAt('/proc/pagetypeinfo', pagetypeinfo),
];
