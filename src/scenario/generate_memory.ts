// What random workloads say of memory itself: pools of huge pages, blocks that go and come, pages
// that break.
// Notes    Pools are sized node by node: whose turn it is in a pool of all nodes, a kernel knows
//          from the cases before.
import type { Prng } from '../base/prng.ts';
import type { MachineNodes } from './generate_nodes.ts';
import type { Mapped } from './generate_thp.ts';
import type { Family } from './generate_weights.ts';
import type { Act, MmapKind, SysAct } from './ops.ts';

/** A stretch of a region, in its pages. */
export interface PageRange {
  readonly region: string;
  readonly offset: number;
  readonly nrPages: number;
}

const HUGE_KINDS: readonly MmapKind[] = [
  ...(['hugetlb', 'hugetlb', 'hugetlb'] as const),
  ...(['hugetlb-noreserve', 'hugetlb-shared', 'shm-hugetlb'] as const),
];
/** Nodes get so many huge pages at most. */
const MOST_HUGE_PAGES = 5;

const poolOf = (nid: number): string =>
  `/sys/devices/system/node/node${nid}/hugepages/hugepages-2048kB/nr_hugepages`;

const resize = (p: Prng, nid: number): SysAct => ({
  verb: 'write',
  path: poolOf(nid),
  value: String(p.between(0, MOST_HUGE_PAGES)),
});

/** Pools of huge pages where a family is about them. */
export const beginPools = (p: Prng, family: Family, nodes: readonly number[]): SysAct[] =>
  family === 'hugetlb' ? nodes.map((nid) => resize(p, nid)) : [];

/** A pool changes its size, or somebody looks at all of them. */
export const poolStep = (p: Prng, nodes: readonly number[]): SysAct =>
  p.chance(50) ? { verb: 'hugetlb' } : resize(p, p.pick(nodes));

/** A region of huge pages; pages count 2 MiB. */
export const hugeTlbRegion = (p: Prng): Mapped => ({
  nrPages: p.between(1, 4),
  kind: p.pick(HUGE_KINDS),
  shift: 0,
});

/** One in so many times it is boot memory that goes or comes. */
const BOOT_PERCENT = 25;

/** Blocks of a node go offline or come online, one of them or all; mostly plugged ones. */
export function plugStep(
  p: Prng,
  { pluggedNodes: plugged = [], bootNodes: boot = [] }: MachineNodes,
): SysAct {
  const isBoot = plugged.length === 0 || (boot.length > 0 && p.chance(BOOT_PERCENT));
  const from = isBoot ? boot : plugged;
  if (from.length === 0) return { verb: 'states' };
  const node = p.pick(from);
  const some = p.chance(35) ? { nrBlocks: 1 } : {};
  if (p.chance(50)) return { verb: 'offline_node', node, ...some };
  const zone = p.pick(['MOVABLE', 'MOVABLE', 'KERNEL', undefined] as const);
  return { verb: 'online_node', node, ...(zone === undefined ? {} : { zone }), ...some };
}

/** Memory under a few pages breaks, or is about to; then perhaps somebody touches them. */
export function breakStep(p: Prng, task: string, range: PageRange): Act[] {
  const advice = p.pick(['hwpoison', 'soft_offline']);
  const verb = p.pick(['poison', 'soft_offline'] as const);
  const { region, offset } = range;
  const few = { region, offset, nrPages: Math.min(range.nrPages, 3) };
  const acts: Act[] = p.chance(60)
    ? [{ on: 'task', task, act: { verb: 'madvise', ...few, advice } }]
    : [{ on: 'sys', act: { verb, task, region, offset } }];
  if (p.chance(50)) acts.push({ on: 'task', task, act: { verb: 'touch', ...few } });
  return acts;
}

/** A stretch of a region, at its very start or end more often than chance has it. */
export function stretchOf(p: Prng, size: number): { offset: number; nrPages: number } {
  const nrPages = p.chance(10) ? size : p.between(1, Math.min(size, 16));
  const last = size - nrPages;
  const offset = p.chance(15) ? 0 : p.chance(15) ? last : p.between(0, last);
  return { offset, nrPages };
}

/** Advice for a part of a region that fits its kind, as a family wants it. */
export function adviceFor(p: Prng, family: Family, kind: MmapKind): string {
  const common = ['dontneed', 'populate_read', 'populate_write'];
  const more = kind.startsWith('anon') ? ['free', 'dontneed'] : ['remove', 'remove'];
  if (family === 'thp') more.push('hugepage', 'nohugepage', 'hugepage', 'collapse');
  if (family === 'pins') more.push('dontneed_locked', 'dontneed');
  return p.pick([...common, ...more]);
}

/** What mbind is told beside a policy. */
export function mbindFlags(p: Prng): {
  words: string[];
  rawFlags: number;
  addressOffsetBytes: number;
} {
  const words: string[] = [];
  if (p.chance(30)) words.push(p.chance(75) ? 'move' : 'moveall');
  if (p.chance(18)) words.push('strict');
  const rawFlags = p.chance(1) ? p.pick([0x10, 0x80]) : 0;
  return { words, rawFlags, addressOffsetBytes: p.chance(1) ? 1 : 0 };
}
