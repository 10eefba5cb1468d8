// Operations on files: making, reading, writing, shortening and deleting them, mapping them, and
// looking where their pages are.
import { EIO, ENOENT, ENOMEM } from '../base/errno.ts';
import { Nodemask } from '../base/nodemask.ts';
import { FAULT, type FaultRun } from '../kernel/fault.ts';
import {
  adviseFile,
  type MountPolicy,
  makeDiskFile,
  makeTmpfsFile,
  readFile,
  removeFile,
  syncFile,
  truncateFile,
  writeFile,
} from '../kernel/file_calls.ts';
import { FileInode, newReadahead } from '../kernel/file_inode.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { mmap } from '../kernel/mmap.ts';
import { dropCaches, syncFiles } from '../kernel/page_cache.ts';
import type { Task } from '../kernel/task.ts';
import { shrinkThps } from '../kernel/thp_split.ts';
import type { MountPolicyArg, OpResult, SysAct, TaskAct } from './ops.ts';
import type { RegionTable } from './region_table.ts';
import { countRunList, runListOf } from './run_list.ts';
import { faultResult, plain, ret } from './run_results.ts';
import { modeOnly } from './run_task.ts';

type FileAct = Extract<TaskAct, { verb: 'readfile' | 'writefile' | 'fadvise' | 'fsync' }>;
type FileSysAct = Extract<
  SysAct,
  { verb: 'mkfile' | 'rmfile' | 'truncate' | 'cached' | 'sync' | 'drop_caches' }
>;
type MapAct = Extract<TaskAct, { verb: 'mmap' }>;

const FILE_SYS: readonly string[] = [
  'mkfile',
  'rmfile',
  'truncate',
  'cached',
  'sync',
  'drop_caches',
];

export const isFileSysAct = (act: SysAct): act is FileSysAct => FILE_SYS.includes(act.verb);

/** A call that reads or writes: an errno where a fault would be tried again, or end in a signal. */
function callResult(run: FaultRun, counted: string): OpResult {
  if (run.fault === FAULT.RETRY) return { ...plain(-ENOMEM), [counted]: run.done };
  if (run.fault === FAULT.HWPOISON) return { ...plain(-EIO), [counted]: run.done };
  return faultResult(run, counted);
}

/** Runs an operation of a task on a file. */
export function runFile(k: Kernel, task: Task, act: FileAct): OpResult {
  const inode = k.files.get(act.file);
  if (inode === undefined) return plain(-ENOENT);
  switch (act.verb) {
    case 'fsync':
      return plain(syncFile(k, inode));
    case 'fadvise':
      return plain(adviseFile(k, task, inode, act, act.advice));
    default: {
      const offset = act.offset ?? 0;
      const nrPages = act.nrPages ?? Math.max(0, inode.nrPages - offset);
      return act.verb === 'readfile'
        ? callResult(readFile(k, task, inode, offset, nrPages), 'read')
        : callResult(writeFile(k, task, inode, offset, nrPages), 'written');
    }
  }
}

/** Runs an operation of the controller on a file. */
export function runFileSys(k: Kernel, act: FileSysAct): OpResult {
  k.setCurrent(k.kthread);
  switch (act.verb) {
    case 'sync':
    case 'drop_caches':
      syncFiles(k);
      if (act.verb === 'drop_caches') {
        dropCaches(k, k.kthread);
        shrinkThps(k);
      }
      return { ret: 0 };
    case 'rmfile':
      return plain(removeFile(k, act.file));
    case 'truncate':
      return plain(truncateFile(k, act.file, act.nrPages));
    case 'mkfile':
      return makeFile(k, act);
    case 'cached':
      return cached(k, act);
  }
}

function makeFile(k: Kernel, act: Extract<FileSysAct, { verb: 'mkfile' }>): OpResult {
  const error = act.isTmpfs
    ? makeTmpfsFile(k, act.file, act.nrPages, act.mpol && mountPolicy(act.mpol))
    : makeDiskFile(k, act.file, act.nrPages);
  return error < 0 ? plain(error) : { ret: 0, ino: k.files.get(act.file)?.ino };
}

function mountPolicy({ mode, nodes }: MountPolicyArg): MountPolicy {
  const { mode: number, flags } = modeOnly(mode);
  const mask = typeof nodes === 'string' ? null : Nodemask.from(nodes);
  return { mode: number, flags, nodes: mask };
}

/** Where pages of a file are: the node, or ENOENT for those that are not in memory. */
function cached(k: Kernel, act: Extract<FileSysAct, { verb: 'cached' }>): OpResult {
  const inode = k.files.get(act.file);
  if (inode === undefined) return plain(-ENOENT);
  const offset = act.offset ?? 0;
  const nrPages = act.nrPages ?? Math.max(0, inode.nrPages - offset);
  const nodes = new Int32Array(nrPages).fill(-ENOENT);
  for (let i = 0; i < nrPages; i++) {
    const index = offset + i;
    const f = index < inode.nrPages ? inode.page(index) : undefined;
    if (f !== undefined && !k.mem.held.isPoisoned(f)) nodes[i] = k.allocator.nidOf(f);
  }
  const list = runListOf(nodes, (n) => (n < 0 ? ret(n) : n));
  return { ret: 0, where: list, counts: countRunList(list) };
}

/** Maps a file: shared, private, or as the text of a program. */
export function mapFile(k: Kernel, task: Task, regions: RegionTable, act: MapAct): OpResult {
  const inode = k.files.get(act.file as string);
  if (inode === undefined) return plain(-ENOENT);
  const isShared = act.kind === 'file';
  const isObject = isShared && !(inode instanceof FileInode);
  const file = { inode, isShared, isWritable: act.kind !== 'text', ra: newReadahead() };
  const result = mmap(k, task, {
    startVpn: regions.place(act.region, act.nrPages, act.shift),
    nrPages: act.nrPages,
    object: isObject ? inode : null,
    file: isObject ? undefined : file,
    filePage: act.at ?? 0,
    isLocked: false,
    populates: false,
  });
  return { ret: ret(result), pageBytes: k.mem.pageBytes, ino: inode.ino };
}
