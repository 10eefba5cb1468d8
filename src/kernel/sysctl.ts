// Settings of memory management under /proc/sys/vm that are neither of huge pages nor of cpusets.
// Models   linux@v6.1 kernel/sysctl.c: vm_table; mm/page_alloc.c: watermark_boost_factor;
//          min_free_kbytes_sysctl_handler; mm/vmscan.c: node_reclaim_mode, node_reclaim.
// Omits    all others: "not modelled", by name.
// Holds    SCT1 zone_reclaim_mode frees pages of files of a near node before a walk leaves it.
//          SCT2 watermark_boost_factor takes any number, and holds from the next boost on. SCT3
//          min_free_kbytes spreads over the zones anew, at once.
import { NotModelled } from '../base/assert.ts';
import { EINVAL } from '../base/errno.ts';
import type { Kernel } from './kernel.ts';
import { dropCaches } from './page_cache.ts';
import { SYSCTL_DEFAULTS } from './sysctl_defaults.ts';
import { shrinkThps } from './thp_split.ts';

const SYSCTL = /^\/proc\/sys\/vm\/([\w-]+)$/;

/** Name of the setting that a path stands for, or undefined for other files. */
export const sysctlName = (path: string): string | undefined => SYSCTL.exec(path)?.[1];

/** Writes a setting. Returns 0, or -EINVAL for what is no number in its range. */
export function writeSysctl(k: Kernel, name: string, value: string): number {
  const written = k.compaction.writeSysctl(name, value);
  if (written !== undefined) return written;
  if (!/^\s*\d+\s*$/.test(value)) return -EINVAL;
  const number = Number(value);
  if (name === 'zone_reclaim_mode') {
    k.zoneReclaimMode = number;
    if (k.reclaim !== null) k.reclaim.reclaim.zoneReclaimMode = number;
    return 0;
  }
  if (name === 'swappiness') {
    if (number > 200) return -EINVAL;
    k.swappiness = number;
    if (k.reclaim !== null) k.reclaim.vmscan.swappiness = number;
    return 0;
  }
  if (name === 'min_free_kbytes') {
    k.mem.setMinFreeKbytes(number);
    return 0;
  }
  if (name === 'drop_caches') {
    if (number < 1 || number > 4) return -EINVAL;
    if (number & 1) dropCaches(k, k.kthread);
    if (number & 2) shrinkThps(k);
    return 0;
  }
  if (name === 'dirty_ratio' || name === 'dirty_background_ratio') {
    if (number > 100) return -EINVAL;
    if (name === 'dirty_ratio') k.mem.dirty.ratio = number;
    else k.mem.dirty.backgroundRatio = number;
    return 0;
  }
  if (name === 'watermark_boost_factor') {
    k.mem.buddy.boostFactor = number;
    return 0;
  }
  throw new NotModelled(`/proc/sys/vm/${name} of ${number}`);
}

/** Reads a setting, as text without a line end. */
export function readSysctl(k: Kernel, name: string): string {
  if (name === 'zone_reclaim_mode') return String(k.zoneReclaimMode);
  if (name === 'swappiness') return String(k.swappiness);
  if (name === 'min_free_kbytes') return String(k.mem.minFreeKb);
  if (name === 'watermark_boost_factor') return String(k.mem.buddy.boostFactor);
  if (name === 'dirty_ratio') return String(k.mem.dirty.ratio);
  if (name === 'dirty_background_ratio') return String(k.mem.dirty.backgroundRatio);
  const ofCompaction = k.compaction.readSysctl(name);
  if (ofCompaction !== undefined) return ofCompaction;
  const untouched = SYSCTL_DEFAULTS[name];
  if (untouched !== undefined) return untouched;
  throw new NotModelled(`/proc/sys/vm/${name}`);
}
