// Moving transparent huge pages.
// Models   linux@v6.1 mm/migrate.c: alloc_migration_target and try_split_thp for huge pages;
//          mm/huge_memory.c: set_pmd_migration_entry, remove_migration_pmd.
import type { Frame, NodeId } from '../base/ids.ts';
import type { Nodemask } from '../base/nodemask.ts';
import { __GFP_RECLAIM, GFP_TRANSHUGE } from '../mm/gfp.ts';
import { KIND_NONE } from '../mm/memmap.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import type { Kernel } from './kernel.ts';
import { makePte, pteFrame, pteIsPage, pteIsWritable } from './page_table.ts';
import { allocOnNode, type NamedFrom } from './policy_alloc.ts';
import type { Task } from './task.ts';
import { THP_ORDER, THP_PAGES } from './thp.ts';
import { splitPage } from './thp_split.ts';

/** A block for a huge page that moves to a node, by a request with these flags for small pages. */
export function thpTarget(
  k: Kernel,
  task: Task,
  gfp: number,
  nid: NodeId,
  from: NamedFrom,
  nodemask: Nodemask | null = null,
): Frame | undefined {
  const flags = (gfp & ~__GFP_RECLAIM) | GFP_TRANSHUGE;
  return allocOnNode(k, task, flags, nid, 'migration target', from, nodemask, THP_ORDER);
}

/** Lets every entry that refers to a huge page refer to a fresh block, which takes its place. */
export function moveThp(k: Kernel, old: Frame, fresh: Frame): void {
  const { map } = k.mem;
  const vpn = map.index[old] as number;
  const counts = map.mapcount.slice(old, old + THP_PAGES);
  const isQueued = k.thp.splitQueue.has(old);
  const page = k.thp.forget(old);
  k.thp.claim(fresh, map.link[old] as number, vpn, page);
  map.mapcount.set(counts, fresh);
  if (k.mem.lru.isInUse) k.mem.lru.migrate(old, fresh, THP_PAGES);
  if (isQueued) k.thp.splitQueue.add(fresh);
  map.kind.fill(KIND_NONE, old + 1, old + THP_PAGES);
  const isOld = (pte: number) => {
    const f = pteFrame(pte);
    return f >= old && f < old + THP_PAGES;
  };
  const moved = (pte: number) =>
    makePte((fresh + (pteFrame(pte) - old)) as Frame, pteIsWritable(pte));
  for (const { pageTable } of k.spaces.values()) {
    const thp = pageTable.getThp(vpn);
    if (pteIsPage(thp)) {
      if (isOld(thp)) pageTable.setThp(vpn, moved(thp));
      continue;
    }
    if (pageTable.leafOf(vpn) === undefined) continue;
    pageTable.walk(vpn, vpn + THP_PAGES, (at, pte) => {
      if (pteIsPage(pte) && isOld(pte)) pageTable.set(at, moved(pte));
    });
  }
  k.mem.stat.count(EVENT.thp_migration_success, 1);
}

/**
 * Splits a huge page that found no block.
 * @returns its pages in the order in which they move: from the last down, then the first; undefined
 * when it is pinned.
 */
export function splitToMove(k: Kernel, head: Frame): Frame[] | undefined {
  const isMapped = (f: number) => (k.mem.map.mapcount[f] as number) > 0;
  if (splitPage(k, head) < 0) return undefined;
  const frames: Frame[] = [];
  for (let i = THP_PAGES - 1; i > 0; i--) frames.push((head + i) as Frame);
  frames.push(head);
  return frames.filter(isMapped);
}
