// Files of memory cgroups, as 6.1 has them in version 2.
// Omits    memory.stat, memory.numa_stat, memory.peak, memory.swap.high, pressure: not modelled.
import { NotModelled } from '../base/assert.ts';
import { EACCES, EINVAL, ENOENT } from '../base/errno.ts';
import { parseSizeBytes } from '../base/units.ts';
import type { Cpuset } from '../kernel/cpuset.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { reclaimNow, setHigh, setMax } from '../kernel/memcg.ts';
import type { MemCgroup } from '../mm/memcg.ts';

export const isMemcgFile = (file: string): boolean => file.startsWith('memory.');

const LIMITS = {
  'memory.max': 'max',
  'memory.high': 'high',
  'memory.low': 'low',
  'memory.min': 'min',
  'memory.swap.max': 'swapMax',
} as const;
type LimitFile = keyof typeof LIMITS;
const isLimit = (file: string): file is LimitFile => file in LIMITS;

/** Pages of `max` or a size with K, M or G behind it (page_counter_memparse). */
function parsePages(k: Kernel, value: string): number | undefined {
  const text = value.trim();
  if (text === 'max') return Number.POSITIVE_INFINITY;
  const bytes = /^\d+[kmgt]?$/i.test(text) ? parseSizeBytes(text) : undefined;
  return bytes === undefined ? undefined : Math.floor(bytes / k.mem.pageBytes);
}

/** Writes a file of a group's memory cgroup. Returns 0 or what the file answers. */
export function writeMemcgFile(k: Kernel, of: Cpuset, file: string, value: string): number {
  const { memcg } = of;
  if (memcg === null) return -ENOENT;
  if (isLimit(file)) {
    const pages = parsePages(k, value);
    if (pages === undefined) return -EINVAL;
    setLimit(k, memcg, file, pages);
    return 0;
  }
  if (file === 'memory.oom.group') {
    if (!/^[01]$/.test(value.trim())) return -EINVAL;
    memcg.killsTogether = value.trim() === '1';
    return 0;
  }
  if (file === 'memory.reclaim') {
    const pages = value.trim() === 'max' ? undefined : parsePages(k, value);
    return pages === undefined ? -EINVAL : reclaimNow(k, memcg, pages);
  }
  if (file === 'memory.current' || file === 'memory.swap.current') return -EACCES;
  throw new NotModelled(`writing ${file}`);
}

function setLimit(k: Kernel, memcg: MemCgroup, file: LimitFile, pages: number): void {
  if (file === 'memory.max') setMax(k, memcg, pages);
  else if (file === 'memory.high') setHigh(k, memcg, pages);
  else memcg[LIMITS[file]] = pages;
}

/** Text of such a file, or -ENOENT where the group has none. */
export function readMemcgFile(k: Kernel, of: Cpuset, file: string): string | number {
  const { memcg } = of;
  if (memcg === null) return -ENOENT;
  const bytes = (pages: number): string =>
    pages === Number.POSITIVE_INFINITY ? 'max' : String(pages * k.mem.pageBytes);
  if (isLimit(file)) return bytes(memcg[LIMITS[file]]);
  if (file === 'memory.current') return bytes(memcg.used);
  if (file === 'memory.swap.current') return bytes(memcg.swapped);
  if (file === 'memory.oom.group') return memcg.killsTogether ? '1' : '0';
  if (file === 'memory.events') {
    return Object.entries(memcg.events)
      .map(([name, n]) => `${name} ${n}`)
      .join('\n');
  }
  throw new NotModelled(`reading ${file}`);
}
