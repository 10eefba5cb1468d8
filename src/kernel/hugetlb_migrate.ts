// Moving huge pages: where the target comes from, and what becomes of pool and surplus.
// Models   linux@v6.1 mm/hugetlb.c: alloc_huge_page_nodemask, alloc_huge_page_vma,
//          move_hugetlb_state; mm/migrate.c: unmap_and_move_huge_page; mm/mempolicy.c:
//          queue_pages_hugetlb.
// Omits    pages that are pinned or poisoned.
// Holds    HUG11 a target is a free page of the pool that is promised to nobody, else a fresh one;
//          a fresh one takes the old one's place in the pool.
import type { Frame } from '../base/ids.ts';
import type { HugePages } from '../mm/hugetlb.ts';
import { KIND_HUGETLB } from '../mm/memmap.ts';
import { countPlaced, type HugePlace } from './hugetlb_fault.ts';
import type { Kernel } from './kernel.ts';
import { makePte, pteFrame, pteIsWritable } from './page_table.ts';
import { noteRequest } from './policy_alloc.ts';
import type { Task } from './task.ts';

export const isHugeFrame = (k: Kernel, f: Frame): boolean => k.mem.map.kind[f] === KIND_HUGETLB;

/**
 * A huge page for one of a pool that moves.
 * @param extra flags beside those of the pool's requests.
 * @param isNamed the request itself names the node.
 */
export function hugeTarget(
  k: Kernel,
  task: Task,
  pool: HugePages,
  extra: number,
  place: HugePlace,
  isNamed = false,
): Frame | undefined {
  k.setCurrent(task);
  const { found, nid, nodes } = place;
  const gfp = pool.gfp | extra;
  noteRequest(k, task, 'migration target', found, gfp, nid, nodes);
  const f = pool.allocTarget(gfp, nid, nodes);
  if (f === undefined) return undefined;
  if (isNamed) {
    k.placements.count('migration target', 'node named', true, k.allocator.nidOf(f), pool.nrSmall);
  } else countPlaced(k, found, 'migration target', f);
  return f;
}

/** Lets the file and every entry that refer to `old` refer to `fresh`. */
export function moveHuge(k: Kernel, old: Frame, fresh: Frame): void {
  const { link, index, mapcount } = k.mem.map;
  k.mem.map.claim(
    fresh,
    KIND_HUGETLB,
    link[old] as number,
    index[old] as number,
    mapcount[old] as number,
  );
  for (const space of k.spaces.values()) {
    for (const vma of space.vmas) {
      if (vma.huge === null) continue;
      for (const [vpn, pte] of space.pageTable.hugeIn(vma.startVpn, vma.endVpn)) {
        if (pteFrame(pte) !== old) continue;
        space.pageTable.setHuge(vpn, makePte(fresh, pteIsWritable(pte)), vma.huge.inode.nrSmall);
      }
    }
  }
  for (const inode of k.hugeInodes.values()) {
    for (const [index, f] of inode.pages) if (f === old) inode.pages.set(index, fresh);
  }
  k.poolOf(old).settleMove(old, fresh);
}
