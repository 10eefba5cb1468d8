// /proc/TASK/numa_maps and /proc/TASK/maps: the areas of a task, a line each.
// Models   linux@v6.1 fs/proc/task_mmu.c: show_numa_map, show_map_vma; mm/mempolicy.c: mpol_to_str;
//          ipc/shm.c: the names of segments.
// Omits    the areas of the program itself: one area of one page stands for them; protection other
//          than read and write; write-back.
// Holds    PRC9 numa_maps names the policy that a page at the start of the area would get, in the
//          kernel's words. PRC10 an area without pages has a policy and a file, and no counts.

import {
  MPOL_BIND,
  MPOL_F_NUMA_BALANCING,
  MPOL_F_RELATIVE_NODES,
  MPOL_F_STATIC_NODES,
  MPOL_INTERLEAVE,
  MPOL_LOCAL,
  MPOL_PREFERRED,
  MPOL_PREFERRED_MANY,
  MPOL_WEIGHTED_INTERLEAVE,
} from '../hooks/policy_modes.ts';
import type { Vma } from '../kernel/address_space.ts';
import { isOfDevice } from '../kernel/device_file.ts';
import { policyOfPage } from '../kernel/fault.ts';
import { isHuge } from '../kernel/hugetlb_area.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Mempolicy } from '../kernel/mempolicy.ts';
import type { Task } from '../kernel/task.ts';
import { areaStat } from './area_stat.ts';
import { fileOfTask } from './task_files.ts';
import type { FileKind, View } from './view.ts';

const MODE_WORDS: Readonly<Record<number, string>> = {
  [MPOL_PREFERRED]: 'prefer',
  [MPOL_BIND]: 'bind',
  [MPOL_INTERLEAVE]: 'interleave',
  [MPOL_LOCAL]: 'local',
  [MPOL_PREFERRED_MANY]: 'prefer (many)',
  [MPOL_WEIGHTED_INTERLEAVE]: 'weighted interleave',
};

/** A policy in the words of numa_maps: `bind=static:0-1`. */
export function policyWords(policy: Mempolicy | null): string {
  if (policy === null) return 'default';
  const { mode, flags, nodes } = policy;
  const words: string[] = [];
  if (flags & MPOL_F_STATIC_NODES) words.push('static');
  else if (flags & MPOL_F_RELATIVE_NODES) words.push('relative');
  if (flags & MPOL_F_NUMA_BALANCING) words.push('balancing');
  const flagged = words.length > 0 ? `=${words.join('|')}` : '';
  return `${MODE_WORDS[mode]}${flagged}${nodes.isEmpty() ? '' : `:${nodes}`}`;
}

/** The name of the file behind an area, as a path; undefined for private memory of small pages. */
function fileName(k: Kernel, vma: Vma): string | undefined {
  const segmentName = (key: number) => `/SYSV${key.toString(16).padStart(8, '0')}`;
  if (isHuge(vma)) {
    const key = keyOf(k.hugeSegments, vma.huge.inode);
    return key === undefined ? '/anon_hugepage' : segmentName(FIRST_KEY + HUGE_KEYS + key);
  }
  if (isOfDevice(vma)) return `/dev/${vma.buffer.device}`;
  if (vma.object === null) return undefined;
  const key = keyOf(k.segments, vma.object);
  return key === undefined ? '/dev/zero' : segmentName(FIRST_KEY + key);
}

/** Keys of the segments that scenarios make: by slot, those of huge pages after the others. */
const FIRST_KEY = 0x5e60000;
const HUGE_KEYS = 32;

function keyOf<T>(table: ReadonlyMap<number, T>, value: T): number | undefined {
  for (const [key, other] of table) if (other === value) return key;
  return undefined;
}

/** Address of a page in as many digits as the kernel writes. */
export const addressText = (k: Kernel, vpn: number): string =>
  (vpn * k.mem.pageBytes).toString(16).padStart(8, '0');

function numaMaps(view: View, task: Task): string {
  return task.mm.vmas.map((vma) => `${numaLine(view, task, vma)}\n`).join('');
}

function numaLine(view: View, task: Task, vma: Vma): string {
  const { k } = view;
  const { policy } = policyOfPage(task, vma, vma.startVpn);
  const words = [addressText(k, vma.startVpn), policyWords(policy)];
  const file = fileName(k, vma);
  if (file !== undefined) words.push(`file=${file}${isOfDevice(vma) ? '' : '\\040(deleted)'}`);
  if (isHuge(vma)) words.push('huge');
  const stat = areaStat(view, task, vma, false);
  if (stat.pages > 0) {
    if (stat.anon > 0) words.push(`anon=${stat.anon}`);
    if (stat.dirty > 0) words.push(`dirty=${stat.dirty}`);
    if (stat.pages !== stat.anon && stat.pages !== stat.dirty) words.push(`mapped=${stat.pages}`);
    if (stat.mostMapped > 1) words.push(`mapmax=${stat.mostMapped}`);
    if (stat.swapCached > 0) words.push(`swapcache=${stat.swapCached}`);
    if (stat.active < stat.pages && !isHuge(vma)) words.push(`active=${stat.active}`);
    const nodes = [...stat.byNode].sort(([a], [b]) => a - b);
    for (const [nid, n] of nodes) words.push(`N${nid}=${n}`);
    const pageBytes = k.mem.pageBytes * (isHuge(vma) ? vma.huge.inode.nrSmall : 1);
    words.push(`kernelpagesize_kB=${pageBytes / 1024}`);
  }
  return words.join(' ');
}

/** Where the name of a file stands in a line of maps. */
const NAME_COLUMN = 73;
/** Devices of the file systems behind shared memory and huge pages, as boot numbers them. */
const SHMEM_DEVICE = '00:01';
const HUGETLB_DEVICE = '00:0f';
/** The file system of device files. */
const DEV_DEVICE = '00:05';

function maps({ k }: View, task: Task): string {
  return task.mm.vmas.map((vma) => `${mapLine(k, vma)}\n`).join('');
}

function mapLine(k: Kernel, vma: Vma): string {
  const range = `${addressText(k, vma.startVpn)}-${addressText(k, vma.endVpn)}`;
  const file = fileName(k, vma);
  if (file === undefined) return `${range} rw-p 00000000 00:00 0 `;
  if (isOfDevice(vma)) {
    const line = `${range} rw-s ${addressText(k, vma.pgoff)} ${DEV_DEVICE} ${vma.buffer.id} `;
    return `${line.padEnd(NAME_COLUMN)}${file}`;
  }
  const isShared = vma.object !== null || vma.huge?.isShared === true;
  const ino = vma.object?.ino ?? vma.huge?.inode.ino;
  const device = isHuge(vma) ? HUGETLB_DEVICE : SHMEM_DEVICE;
  const offset = addressText(k, vma.pgoff);
  const line = `${range} rw-${isShared ? 's' : 'p'} ${offset} ${device} ${ino} `;
  return `${line.padEnd(NAME_COLUMN)}${file} (deleted)`;
}

export const MAPS_FILES: readonly FileKind[] = [
  fileOfTask('numa_maps', numaMaps),
  fileOfTask('maps', maps),
];
