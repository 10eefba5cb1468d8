// What random workloads with transparent huge pages have beside others: settings, regions with room
// for a few of them, and stretches that begin or end where one does.
import type { Prng } from '../base/prng.ts';
import type { Act, MmapKind } from './ops.ts';

/** A region of a task. */
export interface Mapped {
  readonly nrPages: number;
  readonly kind: MmapKind;
  /** Pages from the region's place, where a huge page could begin, to its start. */
  readonly shift: number;
}

/** Small pages in a transparent huge one. */
const THP_PAGES = 512;

/**
 * Transparent huge pages for all or for those who ask. khugepaged wakes when the first area asks
 * for them: one that it must leave alone makes it look, find nothing, and sleep from then on.
 */
export function allowHugePages(p: Prng): Act[] {
  const set = (file: string, value: string): Act => ({
    on: 'sys',
    act: { verb: 'write', path: `/sys/kernel/mm/transparent_hugepage/${file}`, value },
  });
  const decoy = { region: 'R31', nrPages: THP_PAGES };
  const task = { on: 'task', task: 'T0' } as const;
  return [
    set('khugepaged/scan_sleep_millisecs', '4000000000'),
    set('khugepaged/max_ptes_none', '0'),
    { ...task, act: { verb: 'mmap', ...decoy, kind: 'anon', shift: 0 } },
    { ...task, act: { verb: 'touch', ...decoy, offset: 0, nrPages: 1 } },
    set('defrag', p.pick(['always', 'defer', 'defer+madvise', 'madvise', 'never'])),
    set('use_zero_page', p.chance(75) ? '1' : '0'),
    set('enabled', p.chance(70) ? 'always' : 'madvise'),
    { ...task, act: { verb: 'madvise', ...decoy, offset: 0, advice: 'hugepage' } },
    { on: 'sys', act: { verb: 'sleep', ms: 30 } },
  ];
}

/** A region with room for a few huge pages, or for none if it begins badly. */
export function hugeRegion(p: Prng): Mapped {
  const nrPages = p.chance(50) ? THP_PAGES * p.between(1, 3) : p.between(64, 3 * THP_PAGES);
  const kind = p.pick(['anon', 'anon', 'anon', 'anon', 'anon-populate', 'anon-locked'] as const);
  return { nrPages, kind, shift: p.chance(40) ? p.between(1, THP_PAGES) : 0 };
}

/** A stretch of a region, most often from one edge of huge pages to another. */
export function stretchOfHuge(
  p: Prng,
  { nrPages, shift }: Mapped,
): { offset: number; nrPages: number } {
  const end = shift + nrPages;
  const edges = [shift, end];
  for (let at = THP_PAGES; at < end; at += THP_PAGES) if (at > shift) edges.push(at);
  const any = (): number => (p.chance(75) ? p.pick(edges) : p.between(shift, end));
  const [a, b] = [any(), any()];
  const offset = Math.min(a, b, end - 1);
  return { offset, nrPages: Math.max(1, Math.max(a, b) - offset) };
}
