// Time, and the files by which the services that move pages by themselves are switched and watched.
// Models   linux@v6.1 kernel/sysctl.c: numa_balancing; mm/memory-tiers.c: numa_attr_group,
//          nodelist_show; mm/ksm.c: ksm_attrs.
// Omits    all other files of /proc/sys/kernel and /sys/kernel/mm.
// Holds    CLK1 time passes when the controller sleeps and while tasks work, and for no other
//          operation.
import { EINVAL, ENOENT } from '../base/errno.ts';
import { Contents } from './contents.ts';
import { FAULT, type FaultRun, touchPages } from './fault.ts';
import { IMAGE_VPN } from './fork.ts';
import type { Kernel } from './kernel.ts';
import { NUMA_SETTINGS, type NumaSetting, TICK_MS } from './numa_balancing.ts';
import { pteFrame, pteIsPage } from './page_table.ts';
import { startReclaim } from './reclaim.ts';
import type { Task } from './task.ts';

const NUMA_BALANCING = '/proc/sys/kernel/numa_balancing';
const RATE_LIMIT = '/proc/sys/kernel/numa_balancing_promote_rate_limit_MBps';
const DEMOTION = '/sys/kernel/mm/numa/demotion_enabled';
const DEBUG = '/sys/kernel/debug/sched/numa_balancing/';
const KSM = '/sys/kernel/mm/ksm/';
const TIER = /^\/sys\/devices\/virtual\/memory_tiering\/memory_tier(\d+)\/nodelist$/;

/** Is the path a file of a service? */
export const isServiceFile = (path: string): boolean =>
  path === NUMA_BALANCING ||
  path === RATE_LIMIT ||
  path === DEMOTION ||
  path.startsWith(KSM) ||
  settingOf(path) !== undefined ||
  TIER.test(path);

/** The setting of NUMA balancing that a file of debugfs holds. */
const settingOf = (path: string): NumaSetting | undefined =>
  NUMA_SETTINGS.find((name) => path === DEBUG + name);

/** Writes a file of a service. Returns 0, -EINVAL, or -ENOENT for files that are only read. */
export function writeServiceFile(k: Kernel, path: string, value: string): number {
  if (path === NUMA_BALANCING) return k.numa.setMode(value);
  if (path === RATE_LIMIT) {
    if (!/^\s*\d+\s*$/.test(value)) return -EINVAL;
    k.numa.promoteRateLimitMb = Number(value);
    return 0;
  }
  if (path.startsWith(KSM)) return k.ksm.write(path.slice(KSM.length), value);
  const setting = settingOf(path);
  if (setting !== undefined) {
    if (!/^\s*\d+\s*$/.test(value)) return -EINVAL;
    k.numa.debug[setting] = Number(value);
    return 0;
  }
  if (path !== DEMOTION) return -ENOENT;
  const isOn = boolOf(value);
  if (isOn === undefined) return -EINVAL;
  k.tiers.isDemotionEnabled = isOn;
  if (isOn) startReclaim(k);
  return 0;
}

/** A switch as the kernel reads one: by its first letter (kstrtobool). */
function boolOf(value: string): boolean | undefined {
  if (/^(?:[yYtT1]|[oO][nN])/.test(value)) return true;
  return /^(?:[nNfF0]|[oO][fF])/.test(value) ? false : undefined;
}

/** Reads a file of a service: its text without a line end, or -ENOENT. */
export function readServiceFile(k: Kernel, path: string): string | number {
  if (path === NUMA_BALANCING) return String(k.numa.mode);
  if (path === RATE_LIMIT) return String(k.numa.promoteRateLimitMb);
  if (path.startsWith(KSM)) return k.ksm.read(path.slice(KSM.length));
  const setting = settingOf(path);
  if (setting !== undefined) return String(k.numa.debug[setting]);
  if (path === DEMOTION) return String(k.tiers.isDemotionEnabled);
  const id = Number(TIER.exec(path)?.[1]);
  const tier = k.tiers.tiers().find((t) => t.id === id);
  return tier === undefined ? -ENOENT : tier.nodes.toString();
}

/** Lets time pass for what runs beside the tasks. */
export function passTime(k: Kernel, ms: number): void {
  k.nowMs += ms;
  k.ksm.pass(ms);
  k.khugepaged.pass();
  k.compaction.pass();
}

/**
 * A task uses its processor for `ms`, writing to pages [startVpn, startVpn + nrPages) in turn, over
 * and over.
 */
export function work(
  k: Kernel,
  task: Task,
  startVpn: number,
  nrPages: number,
  ms: number,
): FaultRun {
  let run = touchPages(k, task, startVpn, nrPages, true);
  for (let left = ms; left > 0 && run.fault === FAULT.OK; left -= TICK_MS) {
    task.execMs += TICK_MS;
    passTime(k, TICK_MS);
    const isTaken = k.numa.tick(task);
    // A task that runs is on its stack all the time.
    if (isTaken) touchPages(k, task, IMAGE_VPN, 1, true);
    if (isTaken || k.ksm.hasMerged) run = touchPages(k, task, startVpn, nrPages, true);
    k.ksm.hasMerged = false;
  }
  return run;
}

/** A task writes a number at the start of each page of a range, in order. */
export function fill(
  k: Kernel,
  task: Task,
  startVpn: number,
  nrPages: number,
  number: number,
): FaultRun {
  k.contents ??= new Contents(k.mem.map.nrFrames);
  const run = touchPages(k, task, startVpn, nrPages, true);
  for (let vpn = startVpn; vpn < startVpn + run.done; vpn++) {
    const pte = task.mm.pageTable.get(vpn);
    if (pteIsPage(pte)) k.contents.set(pteFrame(pte), number);
  }
  return run;
}
