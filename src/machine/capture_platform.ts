// Architecture and page size of a captured tree: told by an option, by this machine, or by what the
// tree itself shows. Never assumed.
import { execFileSync } from 'node:child_process';
import { UserError } from '../base/assert.ts';
import { listNames, parseMeminfo, readNonEmpty, readText, type Tree } from './capture_tree.ts';
import type { Arch } from './machine.ts';
import { pageSizesOf } from './zones.ts';

const ARCH_NAMES: ReadonlyMap<string, Arch> = new Map([
  ['x64', 'x86_64'],
  ['x86_64', 'x86_64'],
  ['amd64', 'x86_64'],
  ['arm64', 'arm64'],
  ['aarch64', 'arm64'],
  ['ppc64', 'ppc64'],
  ['ppc64le', 'ppc64'],
]);

/** A field of hwloc-gather-topology's own record (`Architecture: aarch64`). */
const hwlocField = (tree: Tree, field: string): string | undefined =>
  new RegExp(`^${field}: (.+)$`, 'm').exec(readText(tree.procRoot, 'hwloc-nofile-info') ?? '')?.[1];

/** What /proc/cpuinfo is of: an Arch, another name for one that is not modelled, or undefined. */
function cpuinfoArch(tree: Tree): string | undefined {
  const cpuinfo = readText(tree.procRoot, 'cpuinfo') ?? '';
  if (/^cpu\s*: POWER/m.test(cpuinfo)) return 'ppc64';
  if (/^CPU architecture\s*: 8/m.test(cpuinfo)) return 'arm64';
  if (/^CPU implementer/m.test(cpuinfo)) return '32-bit arm';
  if (/^arch\s*: IA-64/m.test(cpuinfo)) return 'ia64';
  if (/^vendor_id\s*: IBM\/S390/m.test(cpuinfo)) return 's390x';
  // A 32-bit kernel has high memory, whatever its CPU could do.
  const hasHighMemory = /^HighTotal:/m.test(readText(tree.procRoot, 'meminfo') ?? '');
  if (/^flags\s*:.* lm( |$)/m.test(cpuinfo)) return hasHighMemory ? '32-bit x86' : 'x86_64';
  if (/^vendor_id\s*: /m.test(cpuinfo)) return '32-bit x86';
  return undefined;
}

/** The architecture of the tree. Throws UserError when it cannot be told or is not modelled. */
export function captureArch(tree: Tree, given: Arch | undefined): Arch {
  if (given !== undefined) return given;
  const recorded = hwlocField(tree, 'Architecture');
  const seen = cpuinfoArch(tree);
  const found = tree.isLive
    ? process.arch
    : ARCH_NAMES.has(recorded ?? '')
      ? recorded
      : (seen ?? recorded);
  const hint = 'give the architecture (x86_64, arm64 or ppc64) to read its nodes as such a machine';
  if (found === undefined) {
    throw new UserError(`no cpuinfo tells the architecture; ${hint}`, { file: tree.procRoot });
  }
  const arch = ARCH_NAMES.get(found);
  if (arch === undefined) {
    throw new UserError(`not modelled: architecture ${found}; ${hint}`, { file: tree.procRoot });
  }
  return arch;
}

/** Fields of meminfo that count whole pages. */
const PAGE_FIELDS = [
  'MemTotal',
  'MemFree',
  'Cached',
  'Active',
  'Inactive',
  'Active(anon)',
  'Inactive(anon)',
  'Active(file)',
  'Inactive(file)',
  'AnonPages',
  'Mapped',
  'Dirty',
  'Shmem',
  'FilePages',
  'Slab',
  'SReclaimable',
  'SUnreclaim',
  'PageTables',
];
/** So many figures that are all multiples of a large page are no chance. */
const ENOUGH_FIGURES = 12;

/** The meminfo texts of the tree: of the whole machine and of each node. */
function meminfoTexts(tree: Tree): readonly string[] {
  const base = [tree.sysRoot, 'devices', 'system', 'node'] as const;
  const nodes = listNames(...base)
    .filter((name) => /^node\d+$/.test(name))
    .map((name) => readNonEmpty(...base, name, 'meminfo'));
  return [readNonEmpty(tree.procRoot, 'meminfo'), ...nodes].filter((text) => text !== undefined);
}

/**
 * The largest of `sizes` that divides every page count of every meminfo: with 64 KiB pages all of
 * them are multiples of 64 kB, with 4 KiB pages hardly ever.
 */
function pageBytesByDivisor(tree: Tree, sizes: readonly number[]): number | undefined {
  const figures = meminfoTexts(tree)
    .flatMap((text) => {
      const fields = parseMeminfo(text);
      return PAGE_FIELDS.map((field) => fields.get(field) ?? 0);
    })
    .filter((kib) => kib !== 0);
  if (figures.length < ENOUGH_FIGURES) return undefined;
  return sizes.findLast((size) => figures.every((kib) => (kib * 1024) % size === 0));
}

/** The page size of this very machine. */
function livePageBytes(tree: Tree): number | undefined {
  const smaps = readText(tree.procRoot, 'self', 'smaps') ?? '';
  const kernel = [...smaps.matchAll(/^KernelPageSize:\s+(\d+) kB$/gm)].map((m) => Number(m[1]));
  if (kernel.length > 0) return Math.min(...kernel) * 1024;
  try {
    return Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' }));
  } catch {
    return undefined;
  }
}

/** The page size in bytes. Throws UserError when the tree does not show it. */
export function capturePageBytes(tree: Tree, arch: Arch, given: number | undefined): number {
  if (given !== undefined) return given;
  const sizes = pageSizesOf(arch);
  const recorded = Number(hwlocField(tree, 'PageSize') ?? Number.NaN);
  const only = sizes.length === 1 ? sizes[0] : undefined;
  const found = tree.isLive ? livePageBytes(tree) : (only ?? (recorded || undefined));
  const pageBytes = found ?? pageBytesByDivisor(tree, sizes);
  if (pageBytes === undefined) {
    throw new UserError(
      `the page size cannot be told from this tree; give it (${sizes.join(', ')} bytes on ${arch})`,
      { file: tree.procRoot },
    );
  }
  return pageBytes;
}
