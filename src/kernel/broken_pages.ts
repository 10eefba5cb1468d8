// Broken pages of files and of the pool of huge pages: what each kind is left with.
// Models   linux@v6.1 mm/memory-failure.c: me_pagecache_clean, me_pagecache_dirty, me_huge_page,
//          __page_handle_poison, try_memory_failure_hugetlb, soft_offline_in_use_page;
//          fs/hugetlbfs/inode.c: hugetlbfs_error_remove_page; mm/hugetlb.c:
//          dissolve_free_huge_page as far as broken pages go.
// Omits    which small pages of a huge one broke: it is the first, and a second error in the same
//          one is none.
// Holds    HWP8 a page of a file that was as the disk has it is read again; one that was newer is
//          lost, and fsync says so once. HWP9 a huge page of the pool that broke leaves it, but for
//          the one small page; in a file it stays, and cannot be had.
import { EBUSY, ENOMEM } from '../base/errno.ts';
import type { Frame } from '../base/ids.ts';
import { __GFP_RETRY_MAYFAIL } from '../mm/gfp.ts';
import type { HugePages } from '../mm/hugetlb.ts';
import { KIND_KERNEL } from '../mm/memmap.ts';
import { PGMIGRATE_SUCCESS } from '../mm/vmstat.ts';
import { hugeTarget, moveHuge } from './hugetlb_migrate.ts';
import type { Kernel } from './kernel.ts';
import { migrateFrames } from './migrate.ts';
import { isDirty, removeCachePage } from './page_cache.ts';
import { PTE_NONE, PTE_POISON, pteFrame, pteIsPage } from './page_table.ts';
import type { FoundPolicy } from './policy_alloc.ts';
import { forEachMapping } from './rmap.ts';
import type { Task } from './task.ts';

/** Replaces every entry that maps a page by another (try_to_unmap with TTU_HWPOISON or without). */
export function unmapBroken(k: Kernel, f: Frame, entry: number): void {
  forEachMapping(k, f, (space, vpn) => {
    space.pageTable.set(vpn, entry);
    k.mem.map.removeMap(f);
  });
}

/** A page of a disk's file broke and is marked. @returns 0; -EBUSY when a pin holds it. */
export function breakFilePage(k: Kernel, f: Frame): number {
  const { map, held } = k.mem;
  const inode = k.inodes.get(map.link[f] as number);
  if (inode === undefined) return -EBUSY;
  const isLost = isDirty(k, f);
  unmapBroken(k, f, isLost ? PTE_POISON : PTE_NONE);
  if (isLost) inode.hasLostPages = true;
  const isPinned = held.isPinned(f);
  removeCachePage(k, inode, map.index[f] as number, f);
  return isPinned ? -EBUSY : 0;
}

/**
 * A huge page of the pool broke, free or used, by its first frame.
 * @returns 0; -EBUSY when a pin holds it, or when every free page of the pool is promised; -EBUSY
 *   for a gigantic page that leaves the pool, whose broken page never comes to a list that it could
 *   be taken off.
 */
export function breakHuge(k: Kernel, head: Frame): number {
  const { held } = k.mem;
  const pool = k.poolOf(head);
  held.poison(head);
  if (pool.isFreePage(head)) return pool.dissolve(head) ? scatterBroken(k, head, pool) : -EBUSY;
  for (const { pageTable } of k.spaces.values()) {
    pageTable.forEachHuge((vpn, pte, nrSmall) => {
      if (!pteIsPage(pte) || pteFrame(pte) !== head) return;
      pageTable.setHuge(vpn, PTE_POISON, nrSmall);
      k.mem.map.removeMap(head);
    });
  }
  if (isInFile(k, head)) return held.isPinned(head) ? -EBUSY : 0;
  if (held.keepsHuge(head)) return -EBUSY;
  return pool.retire(head) ? scatterBroken(k, head, pool) : -EBUSY;
}

const isInFile = (k: Kernel, head: Frame): boolean =>
  [...k.hugeInodes.values()].some((inode) => [...inode.pages.values()].includes(head));

/**
 * A huge page has had errors that could be corrected: another of the pool takes its place, or a
 * fresh one, by the list of its node.
 * @returns 0; -EBUSY when a pin holds it, or when it cannot leave the pool; -ENOMEM when there is
 *   no place for it.
 */
export function retireHuge(k: Kernel, head: Frame, task: Task): number {
  const { held, stat } = k.mem;
  const pool = k.poolOf(head);
  const nid = k.allocator.nidOf(head);
  const found: FoundPolicy = { policy: null, from: 'memory offline' };
  const place = { found, nid, nodes: null, isMany: false };
  const target = () => hugeTarget(k, task, pool, __GFP_RETRY_MAYFAIL, place);
  if (held.isPinned(head)) {
    return migrateFrames(k, [head], target, 'soft offline') < 0 ? -ENOMEM : -EBUSY;
  }
  const fresh = target();
  if (fresh === undefined) return -ENOMEM;
  moveHuge(k, head, fresh);
  stat.count(PGMIGRATE_SUCCESS, pool.nrSmall);
  k.moves.count('soft offline', nid, k.allocator.nidOf(fresh), pool.nrSmall);
  k.frameWatch?.moved('soft offline', head, fresh, pool.nrSmall);
  if (!pool.retire(head)) return -EBUSY;
  held.poison(head);
  scatter(k, head, pool);
  // It was freed with the others, and taken off its list then.
  if (pool.isGigantic) stat.countFree(1);
  return 0;
}

/**
 * A huge page that broke is nobody's: what is sound of it goes back.
 * @returns 0; -EBUSY for a gigantic page: its small pages are freed one by one, so that the broken
 *   one never is, and taking it off its list fails.
 */
function scatterBroken(k: Kernel, head: Frame, pool: HugePages): number {
  scatter(k, head, pool);
  if (!pool.isGigantic) return 0;
  pool.nrGivenBack--;
  return -EBUSY;
}

/**
 * Gives what is sound of a huge page back: as blocks (take_page_off_buddy), or of a gigantic one
 * page by page.
 */
function scatter(k: Kernel, head: Frame, pool: HugePages): void {
  const { buddy, held, map } = k.mem;
  held.retire(head);
  if (pool.isGigantic) {
    map.kind.fill(KIND_KERNEL, head + 1, head + pool.nrSmall);
    for (let i = 1; i < pool.nrSmall; i++) k.allocator.free((head + i) as Frame);
    return;
  }
  const z = buddy.zoneOf(head);
  for (let order = pool.order - 1; order >= 0; order--) {
    const f = (head + (1 << order)) as Frame;
    buddy.free(z, f, order, buddy.pageblockType(f));
  }
}
