// /proc/TASK/smaps_rollup, and the lines of /proc/TASK/status that tell of memory.
// Models   linux@v6.1 fs/proc/task_mmu.c: show_smaps_rollup, task_mem; fs/proc/array.c: task_state,
//          cpuset_task_status_allowed; mm/hugetlb.c: hugetlb_report_usage.
// Omits    all other lines of status; peaks of size: they are what is there now; text, stack and
//          libraries of the program: 0.
import { Nodemask } from '../base/nodemask.ts';
import type { Vma } from '../kernel/address_space.ts';
import { isHuge } from '../kernel/hugetlb_area.ts';
import type { Task } from '../kernel/task.ts';
import { type AreaStat, areaStat, PSS_SHIFT } from './area_stat.ts';
import { maskText } from './nodes.ts';
import { fileOfTask } from './task_files.ts';
import { addressText } from './task_maps.ts';
import { type FileKind, left, right, type View } from './view.ts';

interface Sums {
  rss: number;
  anon: number;
  shmem: number;
  dirty: number;
  shared: number;
  sharedDirty: number;
  pss: number;
  pssDirty: number;
  pssAnon: number;
  locked: number;
  anonHuge: number;
  swapped: number;
  swapPss: number;
  hugeShared: number;
  hugePrivate: number;
}

/** What all areas hold: pages and huge pages; proportional sizes in fixed point. */
function sumsOf(view: View, task: Task): Sums {
  const sums: Sums = {
    rss: 0,
    anon: 0,
    shmem: 0,
    dirty: 0,
    shared: 0,
    sharedDirty: 0,
    pss: 0,
    pssDirty: 0,
    pssAnon: 0,
    locked: 0,
    anonHuge: 0,
    swapped: 0,
    swapPss: 0,
    hugeShared: 0,
    hugePrivate: 0,
  };
  for (const vma of task.mm.vmas) addArea(sums, vma, areaStat(view, task, vma, true));
  return sums;
}

function addArea(sums: Sums, vma: Vma, stat: AreaStat): void {
  if (isHuge(vma)) {
    const { nrSmall } = vma.huge.inode;
    sums.hugeShared += stat.shared * nrSmall;
    sums.hugePrivate += (stat.pages - stat.shared) * nrSmall;
    return;
  }
  sums.rss += stat.pages;
  sums.swapped += stat.swapped;
  sums.swapPss += stat.swapPss;
  sums.anon += stat.anon;
  sums.anonHuge += stat.anonHuge;
  sums.shmem += stat.pages - stat.anon;
  sums.dirty += stat.dirty;
  sums.shared += stat.shared;
  sums.sharedDirty += stat.sharedDirty;
  sums.pss += stat.pss;
  sums.pssDirty += stat.pssDirty;
  sums.pssAnon += stat.pssAnon;
  if (vma.isLocked) sums.locked += stat.pss;
}

function smapsRollup(view: View, task: Task): string {
  const { k } = view;
  const { vmas } = task.mm;
  const first = vmas[0];
  if (first === undefined) return '';
  const sums = sumsOf(view, task);
  const pageKb = k.mem.pageBytes / 1024;
  const kbOfPss = (pss: number): number => Math.floor(pss / 2 ** (10 + PSS_SHIFT));
  const private_ = sums.rss - sums.shared;
  const privateDirty = sums.dirty - sums.sharedDirty;
  const rows: readonly (readonly [string, number])[] = [
    ['Rss', sums.rss * pageKb],
    ['Pss', kbOfPss(sums.pss)],
    ['Pss_Dirty', kbOfPss(sums.pssDirty)],
    ['Pss_Anon', kbOfPss(sums.pssAnon)],
    ['Pss_File', 0],
    ['Pss_Shmem', kbOfPss(sums.pss - sums.pssAnon)],
    ['Shared_Clean', (sums.shared - sums.sharedDirty) * pageKb],
    ['Shared_Dirty', sums.sharedDirty * pageKb],
    ['Private_Clean', (private_ - privateDirty) * pageKb],
    ['Private_Dirty', privateDirty * pageKb],
    ['Referenced', sums.rss * pageKb],
    ['Anonymous', sums.anon * pageKb],
    ['LazyFree', 0],
    ['AnonHugePages', sums.anonHuge * pageKb],
    ['ShmemPmdMapped', 0],
    ['FilePmdMapped', 0],
    ['Shared_Hugetlb', sums.hugeShared * pageKb],
    ['Private_Hugetlb', sums.hugePrivate * pageKb],
    ['Swap', sums.swapped * pageKb],
    ['SwapPss', kbOfPss(sums.swapPss)],
    ['Locked', kbOfPss(sums.locked)],
  ];
  const end = (vmas.at(-1) as Vma).endVpn;
  const range = `${addressText(k, first.startVpn)}-${addressText(k, end)}`;
  const head = `${`${range} ---p 00000000 00:00 0 `.padEnd(73)}[rollup]\n`;
  return head + rows.map(([name, kb]) => `${left(`${name}:`, 16)}${right(kb, 8)} kB\n`).join('');
}

/** Nodes that a mask of the kernel's status has room for. */
const MASK_WORD = 32;

function status(view: View, task: Task): string {
  const { k } = view;
  const { mm } = task;
  const pageKb = k.mem.pageBytes / 1024;
  const sums = sumsOf(view, task);
  const sizeOf = (vmas: readonly Vma[]): number =>
    vmas.reduce((n, vma) => n + (vma.endVpn - vma.startVpn), 0) * pageKb;
  const isData = (vma: Vma): boolean => vma.object === null && vma.huge?.isShared !== true;
  const nrTables = [...mm.pageTable.tableFrames()].length;
  const hugeKb = (sums.hugeShared + sums.hugePrivate) * pageKb;
  const size = sizeOf(mm.vmas);
  const rows: readonly (readonly [string, number])[] = [
    ['VmPeak', size],
    ['VmSize', size],
    ['VmLck', sizeOf(mm.vmas.filter((vma) => vma.isLocked))],
    ['VmPin', 0],
    ['VmHWM', sums.rss * pageKb],
    ['VmRSS', sums.rss * pageKb],
    ['RssAnon', sums.anon * pageKb],
    ['RssFile', 0],
    ['RssShmem', sums.shmem * pageKb],
    ['VmData', sizeOf(mm.vmas.filter(isData))],
    ['VmStk', 0],
    ['VmExe', 0],
    ['VmLib', 0],
    ['VmPTE', nrTables * pageKb],
    ['VmSwap', sums.swapped * pageKb],
    ['HugetlbPages', hugeKb],
  ];
  const lines = rows.map(([name, kb]) => `${name}:\t${right(kb, 8)} kB\n`).join('');
  const roundedNodes = Math.ceil(k.maxNodes / MASK_WORD) * MASK_WORD;
  const mems = Nodemask.from(task.memsAllowed).toArray();
  return (
    `Name:\t${task.name}\nPid:\t${task.pid}\n${lines}Threads:\t1\n` +
    `Mems_allowed:\t${maskText(mems, roundedNodes)}\nMems_allowed_list:\t${task.memsAllowed}\n`
  );
}

export const TASK_MEMORY_FILES: readonly FileKind[] = [
  fileOfTask('smaps_rollup', smapsRollup),
  fileOfTask('status', status),
];
