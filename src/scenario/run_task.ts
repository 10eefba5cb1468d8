// Operations of a task: each turns the words of the language into one system call of the model.
import { NotModelled } from '../base/assert.ts';
import { EINVAL, ENOMEM } from '../base/errno.ts';
import { cpuId } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import type { Device } from '../drivers/device.ts';
import { MODE_FLAGS, MODE_NAMES } from '../hooks/policy_modes.ts';
import { cpusAllowed } from '../kernel/cpuset_v1.ts';
import { FAULT, type Fault, touchPages } from '../kernel/fault.ts';
import { exitTask } from '../kernel/fork.ts';
import { requireHugePages } from '../kernel/hugetlb_area.ts';
import { isHugeFile, writeHugeFile } from '../kernel/hugetlb_sysfs.ts';
import type { Kernel } from '../kernel/kernel.ts';
import {
  getMempolicy,
  type MaskArg,
  MPOL_F_ADDR,
  MPOL_F_MEMS_ALLOWED,
  MPOL_F_NODE,
  MPOL_MF_MOVE,
  MPOL_MF_MOVE_ALL,
  MPOL_MF_STRICT,
  mbind,
  setHomeNode,
  setMempolicy,
} from '../kernel/mempolicy_calls.ts';
import { hasAddresses, madvise, mmap, munmap } from '../kernel/mmap.ts';
import { migratePages, movePages, pageNodes } from '../kernel/move_pages.ts';
import { PTE_ZERO_PAGE, PTRS_PER_LEAF } from '../kernel/page_table.ts';
import { fill, work } from '../kernel/services.ts';
import type { Task } from '../kernel/task.ts';
import { isThpFile, writeThpFile } from '../kernel/thp_sysfs.ts';
import { writeGroupFile } from './group_files.ts';
import type { ModeArg, NodesArg, OpResult, TaskAct } from './ops.ts';
import type { RegionTable } from './region_table.ts';
import { breakPages, breaksPages } from './run_broken.ts';
import { allocate, runDevice } from './run_device.ts';
import { mapFile, runFile } from './run_files.ts';
import { runHold } from './run_hold.ts';
import { runAllocPages, runFreePages } from './run_kernel_pages.ts';
import { countRunList, runListOf, toRunList } from './run_list.ts';
import { faultResult, numbers, plain, policyResult, ret } from './run_results.ts';
import { GIGANTIC_SUFFIX } from './words.ts';

/** maxnode that a program passes when it names none: one more than the bits of its mask. */
const DEFAULT_MAXNODE = 1025;
const MPOL_MF_LAZY = 8;

/** What an operation of a task works with. */
export interface TaskContext {
  readonly k: Kernel;
  readonly task: Task;
  readonly regions: RegionTable;
  readonly devices: ReadonlyMap<string, Device>;
  /** A live task by name, for operations on another's pages. */
  readonly otherTask: (name: string) => Task | undefined;
}

type Act<V extends TaskAct['verb']> = Extract<TaskAct, { verb: V }>;

/** Runs one operation of a task. */
export function runTask(c: TaskContext, act: TaskAct): OpResult {
  const { k, task } = c;
  switch (act.verb) {
    case 'cpu':
      return setCpu(c, act.cpu);
    case 'set_mempolicy':
      return plain(setMempolicy(k, task, modeNumber(act.mode), maskArg(act.nodes, act.maxnode)));
    case 'get_mempolicy':
      return getPolicy(c, { flags: 0, vpn: undefined, maxnode: DEFAULT_MAXNODE });
    case 'policy_at':
      return getPolicy(c, { flags: MPOL_F_ADDR, vpn: vpnOf(c, act), maxnode: DEFAULT_MAXNODE });
    case 'node_at':
      return getPolicy(c, {
        flags: MPOL_F_ADDR | MPOL_F_NODE,
        vpn: vpnOf(c, act),
        maxnode: undefined,
      });
    case 'next_node':
      return getPolicy(c, { flags: MPOL_F_NODE, vpn: undefined, maxnode: undefined });
    case 'mems_allowed':
      return memsAllowed(c);
    case 'get_raw':
      return getRaw(c, act);
    case 'mmap':
      return mapRegion(c, act);
    case 'munmap': {
      const range = c.regions.range(act);
      return plain(munmap(k, task, range.startVpn, range.nrPages));
    }
    case 'mbind':
      return runMbind(c, act);
    case 'set_home':
      return plain(setHomeNode(k, task, { ...act, ...rangeOf(c, act) }));
    case 'touch':
    case 'read':
      return touch(c, act);
    case 'work':
    case 'fill':
      return useRange(c, act);
    case 'tables':
      return tables(c, act);
    case 'where':
      return where(c, act);
    default:
      return runTaskMore(c, act);
  }
}

function runTaskMore(c: TaskContext, act: TaskAct): OpResult {
  const { k, task } = c;
  switch (act.verb) {
    case 'move_pages':
      return move(c, act);
    case 'migrate_pages': {
      const owner = act.pid === undefined ? task : c.otherTask(act.pid);
      const from = maskArg(act.from, act.maxnode);
      return plain(migratePages(k, task, owner, from, maskArg(act.to, act.maxnode)));
    }
    case 'madvise': {
      const { startVpn, nrPages } = rangeOf(c, act);
      if (breaksPages(act.advice)) return breakPages(c, { startVpn, nrPages }, act.advice);
      return plain(madvise(k, task, startVpn, nrPages, act.advice));
    }
    case 'mlock':
    case 'munlock':
    case 'mlockall':
    case 'munlockall':
    case 'pin':
    case 'unpin':
      return runHold(c, act);
    case 'swrite':
      return writeAsTask(c, act);
    case 'readfile':
    case 'writefile':
    case 'fadvise':
    case 'fsync':
      return runFile(k, task, act);
    case 'alloc_pages':
      return runAllocPages(c, act);
    case 'free_pages':
      return runFreePages(c, act);
    case 'exit':
      exitTask(k, task, 'exit');
      return { ret: 0, exit: 0 };
    case 'device_compute':
    case 'device_policy':
    case 'device_prefetch':
    case 'device_advise':
      return runDevice(c, act);
    default:
      throw new NotModelled(act.verb);
  }
}

const vpnOf = (c: TaskContext, act: { readonly region: string; readonly offset: number }): number =>
  c.regions.vpnOf(act.region, act.offset);

/** Small pages of an operation that gives its range in full. */
const rangeOf = (
  c: TaskContext,
  act: { readonly region: string; readonly offset: number; readonly nrPages: number },
) => c.regions.range(act);

/** Mode and flags of a policy apart. */
export function modeOnly(arg: ModeArg): { mode: number; flags: number } {
  return {
    mode: modeNumber({ ...arg, flags: [] }),
    flags: modeNumber({ ...arg, mode: 'default' }),
  };
}

/** A mode as a number, flags included; raw numbers pass as they are. */
export function modeNumber(arg: ModeArg): number {
  const named = MODE_NAMES.indexOf(arg.mode as (typeof MODE_NAMES)[number]);
  let mode = named >= 0 ? named : Number(arg.mode);
  for (const flag of arg.flags) mode |= MODE_FLAGS[flag] ?? Number(flag);
  return mode;
}

export function maskArg(nodes: NodesArg, maxnode: number | undefined): MaskArg {
  const bits = maxnode ?? DEFAULT_MAXNODE;
  if (nodes === 'none') return { mask: null, maxnode: maxnode ?? 0 };
  if (nodes === 'badptr') return { mask: 'bad', maxnode: bits };
  return { mask: nodes === 'empty' ? Nodemask.EMPTY : Nodemask.from(nodes), maxnode: bits };
}

function setCpu(c: TaskContext, cpu: number): OpResult {
  if (!cpusAllowed(c.k, c.task).some((allowed) => allowed === cpu)) return plain(-EINVAL);
  c.task.cpu = cpuId(cpu);
  c.k.allocator.log?.forgetContext();
  return { ret: 0, cpu, node: Number(c.k.localNode(c.task)) };
}

function getPolicy(c: TaskContext, request: Parameters<typeof getMempolicy>[2]): OpResult {
  const got = getMempolicy(c.k, c.task, request);
  if (typeof got === 'number') return plain(got);
  if (got.kind === 'node') return { ret: 0, node: got.node };
  return got.kind === 'policy' ? policyResult(got.shown) : { ret: 0, nodes: numbers(got.nodes) };
}

function memsAllowed(c: TaskContext): OpResult {
  const request = { flags: MPOL_F_MEMS_ALLOWED, vpn: undefined, maxnode: DEFAULT_MAXNODE };
  const got = getPolicy(c, request);
  return got.ret === 0 ? { ...got, status: numbers(c.task.memsAllowed) } : got;
}

function getRaw(c: TaskContext, act: Act<'get_raw'>): OpResult {
  const vpn = act.region === undefined ? undefined : c.regions.vpnOf(act.region, act.offset ?? 0);
  const maxnode = act.maxnode === 0 ? undefined : act.maxnode;
  const got = getMempolicy(c.k, c.task, { flags: act.flags, vpn, maxnode });
  return plain(typeof got === 'number' ? got : 0);
}

function mapRegion(c: TaskContext, act: Act<'mmap'>): OpResult {
  const { k, task, regions } = c;
  if (act.nrPages === 0) return plain(-EINVAL);
  if (!hasAddresses(k, task, act.nrPages)) {
    regions.place(act.region, 1, 0);
    const note = "larger than what is left of the program's addresses";
    return { ...plain(-ENOMEM), note };
  }
  if (act.kind === 'device') return allocate(c, act);
  if (act.kind.includes('hugetlb')) return mapHuge(c, act);
  if (act.file !== undefined) return mapFile(k, task, regions, act);
  const isShared = act.kind === 'shared' || act.kind === 'shm';
  const object = isShared
    ? regions.objectFor(k, act.region, act.kind === 'shm', act.nrPages)
    : null;
  if (object !== null && act.nrPages > object.nrPages) return plain(-EINVAL);
  const result = mmap(k, task, {
    startVpn: regions.place(act.region, act.nrPages, act.shift),
    nrPages: object?.nrPages ?? act.nrPages,
    object,
    isLocked: act.kind === 'anon-locked',
    populates: act.kind === 'anon-populate',
  });
  const ino = object === null ? {} : { ino: object.ino };
  return { ret: ret(result), pageBytes: k.mem.pageBytes, ...ino };
}

/** Maps huge pages; a region that cannot be had is not there afterwards. */
function mapHuge(c: TaskContext, act: Act<'mmap'>): OpResult {
  const { k, task, regions } = c;
  requireHugePages(k);
  const { region, nrPages, shift, kind } = act;
  const pool = kind.endsWith(GIGANTIC_SUFFIX) ? k.gigantic : k.huge;
  const unit = pool.nrSmall;
  const isSegment = kind.startsWith('shm-hugetlb');
  const inode = regions.hugeInodeFor(k, region, pool, isSegment, nrPages);
  if (nrPages > inode.nrPages) return plain(-EINVAL);
  const base = regions.baseFor(region, (inode.nrPages + shift) * unit, unit);
  const result = mmap(k, task, {
    startVpn: base + shift * unit,
    nrPages: inode.nrPages * unit,
    object: null,
    huge: {
      inode,
      isShared: isSegment || kind.startsWith('hugetlb-shared'),
      hasNoReserve: kind.startsWith('hugetlb-noreserve'),
    },
    isLocked: false,
    populates: false,
  });
  if (result < 0) return plain(result);
  regions.place(region, nrPages, shift, unit);
  regions.keepSegment(k, region, inode);
  return { ret: 0, pageBytes: unit * k.mem.pageBytes, ino: inode.ino };
}

/**
 * Writes a file as the task: under its policy, where that counts, and itself where it names none.
 */
function writeAsTask(c: TaskContext, act: Act<'swrite'>): OpResult {
  if (act.path === '/proc/self/oom_score_adj') return writeOomScoreAdj(c.task, act.value);
  if (isThpFile(act.path)) {
    const error = writeThpFile(c.k, act.path, act.value);
    return plain(error < 0 ? error : act.value.length);
  }
  if (!isHugeFile(act.path)) return plain(writeGroupFile(c.k, act.path, act.value, c.task));
  const error = writeHugeFile(c.k, c.task, act.path, act.value);
  return plain(error < 0 ? error : act.value.length);
}

/** How gladly the OOM killer takes a task, -1000 to 1000 (oom_score_adj_write). */
function writeOomScoreAdj(task: Task, value: string): OpResult {
  const text = value.trim();
  if (!/^[-+]?\d+$/.test(text) || Math.abs(Number(text)) > 1000) return plain(-EINVAL);
  task.oomScoreAdj = Number(text);
  return plain(value.length);
}

function runMbind(c: TaskContext, act: Act<'mbind'>): OpResult {
  const bits: Readonly<Record<string, number>> = {
    strict: MPOL_MF_STRICT,
    move: MPOL_MF_MOVE,
    moveall: MPOL_MF_MOVE_ALL,
    lazy: MPOL_MF_LAZY,
  };
  const flags = act.words.reduce((sum, word) => sum | (bits[word] ?? 0), act.rawFlags);
  return plain(
    mbind(c.k, c.task, {
      ...rangeOf(c, act),
      addressOffsetBytes: act.addressOffsetBytes,
      mode: modeNumber(act.mode),
      mask: maskArg(act.nodes, act.maxnode),
      flags,
    }),
  );
}

function touch(c: TaskContext, act: Act<'touch' | 'read' | 'where'>): OpResult {
  const { k, task } = c;
  const { startVpn, nrPages } = c.regions.range(act);
  for (const device of c.devices.values()) device.driver.beforeCpuUse(task, startVpn, nrPages);
  const run = touchPages(k, task, startVpn, nrPages, act.verb === 'touch');
  stopRetrying(c, run.fault);
  const counted = act.verb === 'touch' ? 'touched' : 'read';
  return { ...faultResult(run, counted, c.regions.unitOf(act.region)), ...noteUnmapped(c, act) };
}

/** A region that no mmap has had is no pages long, and a touch may say that it did all of them. */
const noteUnmapped = (c: TaskContext, { region }: { readonly region: string }): object =>
  c.regions.names().includes(region) ? {} : { note: `${region} was never mapped: it has no pages` };

/** Works on a range for some time, or fills it with a number. */
function useRange(c: TaskContext, act: Act<'work' | 'fill'>): OpResult {
  const { k, task } = c;
  const { startVpn, nrPages } = c.regions.range(act);
  for (const device of c.devices.values()) device.driver.beforeCpuUse(task, startVpn, nrPages);
  const run =
    act.verb === 'work'
      ? work(k, task, startVpn, nrPages, act.ms)
      : fill(k, task, startVpn, nrPages, act.value);
  stopRetrying(c, run.fault);
  return { ...faultResult(run, 'touched', c.regions.unitOf(act.region)), ...noteUnmapped(c, act) };
}

/** A task that can only retry its fault is taken away, as the runs on real kernels do. */
export function stopRetrying(c: TaskContext, fault: Fault): void {
  if (fault === FAULT.RETRY && c.task.isAlive) exitTask(c.k, c.task, 'SIGKILL');
}

function tables(c: TaskContext, act: Act<'tables'>): OpResult {
  const { k, task } = c;
  const { startVpn, nrPages } = c.regions.range(act);
  let zeroPages = 0;
  for (let vpn = startVpn; vpn < startVpn + nrPages; vpn += PTRS_PER_LEAF) {
    const run = touchPages(k, task, vpn, 1, false);
    if (run.fault !== FAULT.OK) {
      stopRetrying(c, run.fault);
      const { zeroPages: _, ...result } = faultResult({ ...run, done: zeroPages }, 'zeroPages');
      return result as OpResult;
    }
    if (task.mm.pageTable.get(vpn) === PTE_ZERO_PAGE) zeroPages++;
  }
  return { ret: 0, zeroPages };
}

function where(c: TaskContext, act: Act<'touch' | 'read' | 'where'>): OpResult {
  const { startVpn, nrPages } = c.regions.range(act);
  const unit = c.regions.unitOf(act.region);
  const all = pageNodes(c.k, c.task, startVpn, nrPages);
  const nodes = unit === 1 ? all : all.filter((_, i) => i % unit === 0);
  const list = runListOf(nodes, (n) => (n < 0 ? ret(n) : n));
  return { ret: 0, where: list, counts: countRunList(list) };
}

function move(c: TaskContext, act: Act<'move_pages'>): OpResult {
  const { k, task } = c;
  const owner = act.pid === undefined ? task : c.otherTask(act.pid);
  const { ret: result, status } = movePages(k, task, owner, {
    startVpn: vpnOf(c, act),
    nrPages: act.nrPages,
    stepPages: c.regions.unitOf(act.region),
    nodes: act.nodes,
    flags: act.rawFlags ?? (act.moveAll ? MPOL_MF_MOVE_ALL : MPOL_MF_MOVE),
  });
  const values = status.map((s) => (s === undefined ? 'unset' : s < 0 ? ret(s) : Number(s)));
  return { ret: ret(result), status: toRunList(values) };
}
