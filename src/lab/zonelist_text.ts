// Zonelists as text: in the form of the sample that the thread gives with its zonelist patch, and
// as the lines that the kernel logs at boot.
// Source   Anshuman Khandual, "[PATCH 1/2] mm: Change generic FALLBACK zonelist creation process",
//          2017-03-08: the sample. Ours has no addresses.
import type { Kernel } from '../kernel/kernel.ts';
import type { Zonelist } from '../mm/zonelist.ts';
import type { NodeZonelists, ZoneLabel } from './comparison.ts';

/** The lists of every possible node. */
export function zonelistRows(k: Kernel): NodeZonelists[] {
  const { lists, zones } = k.mem;
  const labels = (list: Zonelist | undefined): ZoneLabel[] =>
    Array.from(list?.zones ?? [], (z) => ({
      nid: zones.nid[z] as number,
      zone: k.mem.zoneName(z),
    }));
  const keptAs = (nid: number) => k.mem.deviceMemory.ofNode(nid)?.type;
  return k.states.possible.toArray().map((nid) => ({
    nid,
    isCoherentDevice: k.states.coherentDevice.has(nid),
    ...(keptAs(nid) === undefined ? {} : { keptAs: keptAs(nid) }),
    ...(k.states.privateMemory.has(nid) ? { isPrivate: true } : {}),
    fallback: labels(lists.fallback[nid]),
    noFallback: labels(lists.noFallback[nid]),
    ...(lists.private[nid] === undefined ? {} : { private: labels(lists.private[nid]) }),
  }));
}

/** What a node's memory is; one that the design does not mark is RAM. */
function markOf(row: NodeZonelists): string {
  if (row.keptAs !== undefined) return `no memory: kept by its driver (${row.keptAs})`;
  return row.isPrivate === true ? 'PRIVATE' : row.isCoherentDevice ? 'CDM' : 'RAM';
}

/** The sample of the thread, for these lists. */
export function zonelistText(rows: readonly NodeZonelists[]): string {
  const list = (name: string, zones: readonly ZoneLabel[]): string[] => [
    `        ${name}`,
    ...zones.map((z, i) => `                (${i}) (node ${z.nid}) (${z.zone})`),
  ];
  return rows
    .flatMap((row) => [
      `${`[NODE (${row.nid})]`.padEnd(40)}${markOf(row)}`,
      ...list('ZONELIST_FALLBACK', row.fallback),
      ...list('ZONELIST_NOFALLBACK', row.noFallback),
      ...(row.private === undefined ? [] : list('ZONELIST_PRIVATE', row.private)),
    ])
    .join('\n');
}

/** `Fallback order for Node 0: 0 1 2`, one line a node, as the kernel logs it. */
export function fallbackOrderText(k: Kernel): string {
  return k.states.possible
    .toArray()
    .map((nid) => `Fallback order for Node ${nid}: ${orderOf(k, nid).join(' ')}`)
    .join('\n');
}

const orderOf = (k: Kernel, nid: number): number[] =>
  (k.mem.lists.fallbackOrder[nid] ?? []).map(Number);
