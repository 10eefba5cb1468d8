// The files through which transparent huge pages are allowed.
// Models   linux@v6.1 mm/huge_memory.c: enabled_store, defrag_store, use_zero_page_store,
//          hpage_pmd_size_show; mm/shmem.c: shmem_enabled_store; mm/khugepaged.c: its settings,
//          start_stop_khugepaged, set_recommended_min_free_kbytes.
// Omits    shmem_enabled but never and deny.
// Holds    THP13 with huge pages allowed, min_free_kbytes is at least what keeps page blocks of
//          each type free in every zone that is not Movable, up to a twentieth of that memory.
import { NotModelled } from '../base/assert.ts';
import { EACCES, EINVAL, ENOENT } from '../base/errno.ts';
import type { Kernel } from './kernel.ts';
import { KHUGEPAGED_DEFAULTS } from './khugepaged.ts';
import { THP_DEFRAG, THP_ENABLED, THP_PAGES } from './thp.ts';

const DIR = '/sys/kernel/mm/transparent_hugepage/';
const SHMEM_ENABLED = ['always', 'within_size', 'advise', 'never', 'deny', 'force'] as const;

/** The most that each setting of khugepaged takes. */
const MOST: Readonly<Record<string, number>> = {
  alloc_sleep_millisecs: 2 ** 32 - 1,
  defrag: 1,
  max_ptes_none: THP_PAGES - 1,
  max_ptes_shared: THP_PAGES - 1,
  max_ptes_swap: THP_PAGES - 1,
  pages_to_scan: 2 ** 32 - 1,
  scan_sleep_millisecs: 2 ** 32 - 1,
};

/** Is this a file of transparent huge pages? */
export const isThpFile = (path: string): boolean => path.startsWith(DIR);

/** A choice as the kernel shows it: `always [madvise] never`. */
const shown = (words: readonly string[], chosen: string): string =>
  words.map((word) => (word === chosen ? `[${word}]` : word)).join(' ');

const khugepagedName = (name: string): string | undefined => {
  const own = name.startsWith('khugepaged/') ? name.slice('khugepaged/'.length) : '';
  return Object.hasOwn(MOST, own) ? own : undefined;
};

/** Value of a file, or -ENOENT. */
export function readThpFile(k: Kernel, path: string): string | number {
  const name = path.slice(DIR.length);
  const { thp } = k;
  switch (name) {
    case 'enabled':
      return shown(THP_ENABLED, thp.enabled);
    case 'defrag':
      return shown(THP_DEFRAG, thp.defrag);
    case 'shmem_enabled':
      return shown(SHMEM_ENABLED, thp.shmemEnabled);
    case 'use_zero_page':
      return thp.usesZeroPage ? '1' : '0';
    case 'hpage_pmd_size':
      return String(THP_PAGES * k.mem.pageBytes);
    default:
      break;
  }
  const own = khugepagedName(name);
  if (own !== undefined) return String(thp.khugepaged.get(own) ?? KHUGEPAGED_DEFAULTS[own]);
  if (name === 'khugepaged/pages_collapsed') return String(k.khugepaged.nrCollapsed);
  if (name === 'khugepaged/full_scans') return String(k.khugepaged.nrFullScans);
  return -ENOENT;
}

const oneOf = <W extends string>(words: readonly W[], text: string): W | undefined =>
  words.find((word) => word === text);

/**
 * Writes a file.
 * @returns 0, -EINVAL for what is no value of it, -EACCES for files that only tell, -ENOENT.
 * @throws NotModelled for huge pages of shared memory.
 */
export function writeThpFile(k: Kernel, path: string, value: string): number {
  const name = path.slice(DIR.length);
  const text = value.replace(/\n$/, '');
  const { thp } = k;
  switch (name) {
    case 'enabled': {
      const enabled = oneOf(THP_ENABLED, text);
      if (enabled === undefined) return -EINVAL;
      thp.enable(enabled);
      k.mem.keepBlocksFree(enabled !== 'never');
      return 0;
    }
    case 'defrag': {
      const defrag = oneOf(THP_DEFRAG, text);
      if (defrag === undefined) return -EINVAL;
      thp.defrag = defrag;
      return 0;
    }
    case 'shmem_enabled': {
      const enabled = oneOf(SHMEM_ENABLED, text);
      if (enabled === undefined) return -EINVAL;
      if (enabled !== 'never' && enabled !== 'deny') {
        throw new NotModelled(`huge pages of shared memory, shmem_enabled ${enabled}`);
      }
      thp.shmemEnabled = enabled;
      return 0;
    }
    case 'use_zero_page': {
      const number = readNumber(text, 1);
      if (number === undefined) return -EINVAL;
      thp.usesZeroPage = number === 1;
      return 0;
    }
    default:
      return writeOther(k, path, name, text);
  }
}

function writeOther(k: Kernel, path: string, name: string, text: string): number {
  const own = khugepagedName(name);
  if (own === undefined) return typeof readThpFile(k, path) === 'string' ? -EACCES : -ENOENT;
  const number = readNumber(text, MOST[own] as number);
  if (number === undefined || (own === 'pages_to_scan' && number === 0)) return -EINVAL;
  k.thp.khugepaged.set(own, number);
  return 0;
}

/** A number from 0 to `most`, or undefined. */
function readNumber(text: string, most: number): number | undefined {
  const number = /^\+?(?:0[xX][0-9a-fA-F]+|\d+)$/.test(text) ? Number(text) : Number.NaN;
  return number <= most ? number : undefined;
}
