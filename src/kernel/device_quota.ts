// The files of the quota of device pages: what a group may have of each counted node.
// Models   the form of the dmem controller of Linux 6.14 (dmem.max, dmem.current: a line for each
//          region, its name and bytes), with nodes as regions. 6.1 has no such controller, and none
//          has one for nodes: that it counts pages of nodes is ours.
// Hooks    nodeCharge.
// Holds    NCH5 a limit is kept in whole pages, and one below what a group has takes nothing away.
import { EINVAL } from '../base/errno.ts';
import type { NodeId } from '../base/ids.ts';
import { parseSizeBytes } from '../base/units.ts';
import type { Account, NodeCharges } from '../mm/node_charge.ts';
import type { Cpuset } from './cpuset.ts';
import type { Kernel } from './kernel.ts';

const regionOf = (nid: number): string => `node${nid}`;

function countedNodes(charges: NodeCharges): NodeId[] {
  const nids: NodeId[] = [];
  charges.isCounted.forEach((isCounted, nid) => {
    if (isCounted === 1) nids.push(nid as NodeId);
  });
  return nids;
}

/** A line for each counted node. */
function table(k: Kernel, charges: NodeCharges, pagesOf: (nid: number) => number): string {
  const bytes = (pages: number): string =>
    pages === Number.POSITIVE_INFINITY ? 'max' : String(pages * k.mem.pageBytes);
  return countedNodes(charges)
    .map((nid) => `${regionOf(nid)} ${bytes(pagesOf(nid))}`)
    .join('\n');
}

/** Text of dmem.max or dmem.current of a group; undefined where it has no such file. */
export function readQuotaFile(
  k: Kernel,
  group: Cpuset,
  file: 'dmem.max' | 'dmem.current',
): string | undefined {
  const { charges } = k.mem;
  const { account } = group;
  if (charges === null || account === null) return undefined;
  const column = file === 'dmem.max' ? account.limit : account.used;
  return table(k, charges, (nid) => column[nid] as number);
}

/**
 * Writes dmem.max: lines of a region and a size or `max`.
 * @returns 0, or -EINVAL for a region that there is not and for what is no size.
 */
export function writeQuota(k: Kernel, account: Account, value: string): number {
  const { charges } = k.mem;
  if (charges === null) return -EINVAL;
  for (const line of value.trim().split('\n')) {
    const [region, size, ...rest] = line.trim().split(/\s+/);
    const nid = countedNodes(charges).find((n) => regionOf(n) === region);
    const bytes = size === 'max' ? Number.POSITIVE_INFINITY : parseSizeBytes(size ?? '');
    if (nid === undefined || bytes === undefined || rest.length > 0) return -EINVAL;
    account.limit[nid] = bytes === Infinity ? bytes : Math.floor(bytes / k.mem.pageBytes);
  }
  return 0;
}
