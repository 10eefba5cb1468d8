// The files that say what becomes of memory that is added.
// Models   linux@v6.1 drivers/base/memory.c: auto_online_blocks_show, auto_online_blocks_store;
//          mm/memory_hotplug.c: set_online_policy, get_online_policy and the parameters beside it.
// Omits    memmap_on_memory.
import { EINVAL } from '../base/errno.ts';
import { AUTO_ONLINE, ONLINE_POLICIES } from '../mm/online_policy.ts';
import type { Kernel } from './kernel.ts';

const AUTO = '/sys/devices/system/memory/auto_online_blocks';
const PARAMETERS = '/sys/module/memory_hotplug/parameters/';
const NAMES = ['online_policy', 'auto_movable_ratio', 'auto_movable_numa_aware'] as const;

const nameOf = (path: string): (typeof NAMES)[number] | undefined =>
  NAMES.find((name) => path === PARAMETERS + name);

/** Is the path a file of memory hot-plug that is read and written here? */
export const isHotplugFile = (path: string): boolean => path === AUTO || nameOf(path) !== undefined;

/** Reads one of them, without a line end. */
export function readHotplugFile(k: Kernel, path: string): string {
  const { onlinePolicy } = k.mem;
  switch (nameOf(path)) {
    case 'online_policy':
      return onlinePolicy.policy;
    case 'auto_movable_ratio':
      return String(onlinePolicy.ratioPercent);
    case 'auto_movable_numa_aware':
      return onlinePolicy.isNumaAware ? 'Y' : 'N';
    case undefined:
      return onlinePolicy.autoOnline;
  }
}

/** Writes one of them. Returns 0 or -EINVAL. */
export function writeHotplugFile(k: Kernel, path: string, text: string): number {
  const { onlinePolicy } = k.mem;
  const value = text.replace(/\n$/, '');
  const name = nameOf(path);
  if (name === 'online_policy') {
    const policy = ONLINE_POLICIES.find((word) => word === value);
    if (policy === undefined) return -EINVAL;
    onlinePolicy.policy = policy;
  } else if (name === 'auto_movable_ratio') {
    if (!/^\d+$/.test(value)) return -EINVAL;
    onlinePolicy.ratioPercent = Number(value);
  } else if (name === 'auto_movable_numa_aware') {
    if (/^(?:[yYtT1]|[oO][nN])/.test(value)) onlinePolicy.isNumaAware = true;
    else if (/^(?:[nNfF0]|[oO][fF])/.test(value)) onlinePolicy.isNumaAware = false;
    else return -EINVAL;
  } else {
    const type = AUTO_ONLINE.find((word) => word === value);
    if (type === undefined) return -EINVAL;
    onlinePolicy.autoOnline = type;
  }
  return 0;
}
