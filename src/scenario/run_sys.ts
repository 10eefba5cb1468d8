// Operations of the controller: files of the cgroup tree, and what the kernel shows of itself.
// Omits    everything but the files of groups (group_files.ts), of huge page pools and a few
//          settings: "not modelled" (SPEC DEV-5).
import { NotModelled } from '../base/assert.ts';
import { EINVAL, ENOENT } from '../base/errno.ts';
import { findGroup, makeGroup, moveToGroup, removeGroup } from '../kernel/cgroup.ts';
import { compactFileNode } from '../kernel/compaction.ts';
import { isHotplugFile, readHotplugFile, writeHotplugFile } from '../kernel/hotplug_files.ts';
import { requireHugePages } from '../kernel/hugetlb_area.ts';
import { hasPoolDir, isHugeFile, readHugeFile, writeHugeFile } from '../kernel/hugetlb_sysfs.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { isBlockFile, writeBlockFile } from '../kernel/memory_block_files.ts';
import { askForKernelBuffer } from '../kernel/oom.ts';
import { swapOn } from '../kernel/reclaim.ts';
import { isServiceFile, passTime, readServiceFile, writeServiceFile } from '../kernel/services.ts';
import { readSysctl, sysctlName, writeSysctl } from '../kernel/sysctl.ts';
import type { Task } from '../kernel/task.ts';
import { isThpFile, readThpFile, writeThpFile } from '../kernel/thp_sysfs.ts';
import { MAX_NR_ZONES } from '../mm/gfp.ts';
import type { HugePages } from '../mm/hugetlb.ts';
import { isTextFile, readTextFile, View } from '../observe/files.ts';
import { vmstatValue } from '../observe/vmstat_text.ts';
import { groupPath, readGroupFile, writeGroupFile } from './group_files.ts';
import type { OpResult, SysAct } from './ops.ts';
import { runLinkFailure } from './run_broken.ts';
import { isFileSysAct, runFileSys } from './run_files.ts';
import { runHotplug } from './run_hotplug.ts';
import { numbers, plain } from './run_results.ts';

/**
 * Runs one controller operation. @param taskOf finds a task by name, or says what it has become.
 */
export function runSys(
  k: Kernel,
  act: Exclude<SysAct, { readonly region: string }>,
  taskOf: (name: string) => Task | OpResult,
  tasks: ReadonlyMap<string, Task>,
): OpResult {
  askForKernelBuffer(k);
  if (isFileSysAct(act)) return runFileSys(k, act);
  switch (act.verb) {
    case 'mkdir':
      return plain(makeGroup(k, groupPath(k, act.path)));
    case 'rmdir':
      return plain(removeGroup(k, groupPath(k, act.path)));
    case 'write':
      return isHugeFile(act.path) ? writePool(k, act) : plain(writeFile(k, act.path, act.value));
    case 'read':
      return readFile(k, act.path, tasks);
    case 'move': {
      const task = taskOf(act.task);
      if ('ret' in task) return task;
      const group = findGroup(k.rootCpuset, groupPath(k, act.cgroup));
      return plain(group === undefined ? -ENOENT : moveToGroup(k, task, group));
    }
    case 'tasks':
      return { ret: 0, tasks: endOfTasks(tasks) };
    case 'zones':
      return { ret: 0, zones: zoneRows(k) };
    case 'free':
      return {
        ret: 0,
        free: zoneRows(k).map(({ node, zone, free, pcp }) => ({ node, zone, free, pcp })),
      };
    case 'numastat':
      return {
        ret: 0,
        numastat: Object.fromEntries(
          k.states.online.toArray().map((nid) => [nid, k.mem.stat.numastat(nid)]),
        ),
      };
    case 'vmstat':
      return vmstatRow(k, tasks, act.keys);
    case 'hugetlb':
      return { ret: 0, hugetlb: poolRows(k, act.size === '1G' ? k.gigantic : k.huge) };
    case 'states':
      return { ret: 0, nodeStates: stateRows(k) };
    case 'fallback':
      return {
        ret: 0,
        fallbackOrder: Object.fromEntries(
          k.states.possible
            .toArray()
            .map((nid) => [nid, (k.mem.lists.fallbackOrder[nid] ?? []).map(Number)]),
        ),
      };
    case 'uevents':
      return { ret: 0, uevents: k.uevents.map(({ action, devpath }) => `${action}@${devpath}`) };
    case 'offline_node':
    case 'online_node':
    case 'add_node':
    case 'remove_node':
      return runHotplug(k, act);
    case 'link_failure':
      return runLinkFailure(k, act.node);
    case 'swapon':
      return plain(swapOn(k, act.nrPages, act.priority));
    default:
      return waitFor(k, act);
  }
}

/** How each task ended, by its name. */
const endOfTasks = (tasks: ReadonlyMap<string, Task>): Record<string, string> =>
  Object.fromEntries([...tasks].map(([name, task]) => [name, task.end ?? 'alive']));

/** Operations that let time pass. */
function waitFor(k: Kernel, act: SysAct): OpResult {
  if (act.verb === 'ksm_scans') return plain(k.ksm.waitForScans(act.nrScans));
  if (act.verb !== 'sleep') throw new NotModelled(`sys ${act.verb}`);
  passTime(k, act.ms);
  return { ret: 0 };
}

/** Sizes a pool; says so when it did not grow as far as it was told to for want of blocks. */
function writePool(k: Kernel, act: { readonly path: string; readonly value: string }): OpResult {
  k.huge.isShort = false;
  const result = plain(writeHugeFile(k, k.kthread, act.path, act.value));
  return k.huge.isShort ? { ...result, note: POOL_SHORT } : result;
}

const POOL_SHORT =
  'no block of 2 MiB above the watermark was left, and neither compaction nor reclaim made one';

/** A pool of huge pages, by node that is online. */
function poolRows(k: Kernel, huge: HugePages) {
  requireHugePages(k);
  const nodes = k.states.online.toArray().map((nid) => [
    nid,
    {
      nr: huge.nrOf[nid],
      free: huge.freeOf[nid],
      surplus: huge.surplusOf[nid],
      sysfs: hasPoolDir(k, nid),
    },
  ]);
  return {
    nr: huge.nr,
    free: huge.free,
    resv: huge.reserved,
    surplus: huge.surplus,
    overcommit: huge.overcommit,
    nodes: Object.fromEntries(nodes),
  };
}

/** Zones with pages, as /proc/zoneinfo has them. */
export function zoneRows(k: Kernel) {
  const { zones, pcp } = k.mem;
  const filled = Array.from({ length: zones.nr }, (_, z) => z).filter(
    (z) => (zones.present[z] as number) > 0,
  );
  return filled.map((z) => ({
    node: zones.nid[z] as number,
    zone: k.mem.zoneName(z),
    spanned: zones.spanned[z] as number,
    present: zones.present[z] as number,
    managed: zones.managed[z] as number,
    free: zones.free[z] as number,
    pcp: pcp.countOf(z),
    min: zones.wmarkMin[z] as number,
    low: zones.wmarkLow[z] as number,
    high: zones.wmarkHigh[z] as number,
    boost: 0,
    startPfn: zones.startPfn[z] as number,
    protection: Array.from(zones.lowmemReserve.subarray(z * MAX_NR_ZONES, (z + 1) * MAX_NR_ZONES)),
  }));
}

/** The node masks of /sys/devices/system/node. */
export const stateRows = (k: Kernel) => ({
  possible: numbers(k.states.possible),
  online: numbers(k.states.online),
  hasMemory: numbers(k.states.memory),
  hasNormalMemory: numbers(k.states.normalMemory),
  hasCpu: numbers(k.states.cpu),
  cdm: numbers(k.states.coherentDevice),
});

/** Where 6.9 keeps the weights of weighted interleave, one file a node. */
const WEIGHTS = /^\/sys\/kernel\/mm\/mempolicy\/weighted_interleave\/node(\d+)$/;

/** A node's weight for weighted interleave, 1..255. Returns 0, -EINVAL, or -ENOENT before 6.9. */
function writeWeight(k: Kernel, nid: number, value: string): number {
  if (!k.hasWeightedInterleave || !k.states.possible.has(nid)) return -ENOENT;
  const weight = /^\d+$/.test(value.trim()) ? Number(value) : 0;
  if (weight < 1 || weight > 255) return -EINVAL;
  k.interleaveWeights.set(nid, weight);
  return 0;
}

/** A file as text, without the line end, as the test program on a real kernel reads it. */
function readText(k: Kernel, path: string, tasks: ReadonlyMap<string, Task>): OpResult {
  const text = readTextFile(new View(k, tasks), path);
  return text === undefined ? plain(-ENOENT) : { ret: 0, value: text.trimEnd() };
}

/** Counters of /proc/vmstat by name; a name that is none is left out. */
function vmstatRow(k: Kernel, tasks: ReadonlyMap<string, Task>, keys: readonly string[]): OpResult {
  const view = new View(k, tasks);
  const rows = keys.map((key) => [key, vmstatValue(view, key)] as const);
  return { ret: 0, vmstat: Object.fromEntries(rows.filter(([, n]) => n !== undefined)) };
}

function writeFile(k: Kernel, path: string, value: string): number {
  if (isServiceFile(path)) return writeServiceFile(k, path, value);
  if (isHotplugFile(path)) return writeHotplugFile(k, path, value);
  if (isBlockFile(path)) return writeBlockFile(k, path, value);
  const sysctl = sysctlName(path);
  if (sysctl !== undefined) return writeSysctl(k, sysctl, value);
  const toCompact = compactFileNode(k, path);
  if (toCompact !== undefined) {
    k.compaction.compactNodes([toCompact]);
    return 0;
  }
  if (isThpFile(path)) return writeThpFile(k, path, value);
  const weights = WEIGHTS.exec(path);
  return weights === null
    ? writeGroupFile(k, path, value)
    : writeWeight(k, Number(weights[1]), value);
}

function readFile(k: Kernel, path: string, tasks: ReadonlyMap<string, Task>): OpResult {
  if (isHugeFile(path) || isThpFile(path)) {
    const value = isThpFile(path) ? readThpFile(k, path) : readHugeFile(k, path);
    return typeof value === 'number' ? plain(value) : { ret: 0, value };
  }
  if (isTextFile(path)) return readText(k, path, tasks);
  if (isHotplugFile(path)) return { ret: 0, value: readHotplugFile(k, path) };
  if (isServiceFile(path)) {
    const value = readServiceFile(k, path);
    return typeof value === 'number' ? plain(value) : { ret: 0, value };
  }
  const sysctl = sysctlName(path);
  return sysctl === undefined ? readGroupFile(k, path) : { ret: 0, value: readSysctl(k, sysctl) };
}
