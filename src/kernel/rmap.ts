// From a page to the entries that map it, and taking it out of them.
// Models   linux@v6.1 mm/rmap.c: rmap_walk, try_to_unmap, try_to_unmap_one.
// Holds    RMP1 every entry that maps a page is found. RMP2 after a private page has been unmapped,
//          each of its entries stands for its slot, and the slot counts them.
import type { Frame } from '../base/ids.ts';
import { LRU_DIRTY, LRU_SWAPBACKED } from '../mm/lru.ts';
import { isMergedFrame, KIND_ANON, KIND_SHMEM } from '../mm/memmap.ts';
import type { AddressSpace } from './address_space.ts';
import type { Kernel } from './kernel.ts';
import { makeSwapPte, PTE_NONE, pteFrame, pteIsPage } from './page_table.ts';

/** Visits every entry that maps a page of private or shared memory, or of a file. */
export function forEachMapping(
  k: Kernel,
  f: Frame,
  visit: (space: AddressSpace, vpn: number) => void,
): void {
  const { map } = k.mem;
  const index = map.index[f] as number;
  const link = map.link[f] as number;
  const maps = (space: AddressSpace, vpn: number): boolean => {
    const pte = space.pageTable.get(vpn);
    return pteIsPage(pte) && pteFrame(pte) === f;
  };
  if (isMergedFrame(map, f)) {
    const places = k.ksm.tree.placesOf(f);
    for (const space of k.spaces.values()) {
      for (const vpn of places) if (maps(space, vpn)) visit(space, vpn);
    }
    return;
  }
  if (map.kind[f] === KIND_ANON) {
    const owner = k.spaces.get(link);
    if (map.mapcount[f] === 1 && owner !== undefined && maps(owner, index)) {
      visit(owner, index);
      return;
    }
    for (const space of k.spaces.values()) if (maps(space, index)) visit(space, index);
    return;
  }
  const object = k.objects.get(link) ?? k.inodes.get(link);
  for (const space of k.spaces.values()) {
    for (const vma of space.vmas) {
      if (object === undefined || (vma.object ?? vma.file?.inode) !== object) continue;
      const vpn = vma.startVpn + (index - vma.pgoff);
      if (vpn >= vma.startVpn && vpn < vma.endVpn && maps(space, vpn)) visit(space, vpn);
    }
  }
}

/**
 * Takes a page out of every page table (try_to_unmap). Private pages leave entries for their slot,
 * those given up by MADV_FREE leave none and are swap-backed again if they were written to.
 * @returns false when somebody still maps it, as with merged pages, which stay.
 */
export function unmapPage(k: Kernel, f: Frame): boolean {
  const { map, lru, swap } = k.mem;
  if (isMergedFrame(map, f)) return false;
  const isAnon = map.kind[f] === KIND_ANON;
  if (isAnon && !lru.has(f, LRU_SWAPBACKED) && lru.has(f, LRU_DIRTY)) {
    lru.set(f, LRU_SWAPBACKED);
    return false;
  }
  const slot = isAnon && lru.has(f, LRU_SWAPBACKED) ? swap.slotOf(f) : undefined;
  const entry = slot === undefined ? PTE_NONE : makeSwapPte(slot);
  if (isAnon && map.mapcount[f] === 1 && unmapOnly(k, f, entry)) {
    if (slot !== undefined) swap.dup(slot);
    map.removeMap(f);
    return true;
  }
  forEachMapping(k, f, (space, vpn) => {
    space.pageTable.set(vpn, entry);
    if (slot !== undefined) swap.dup(slot);
    map.removeMap(f);
  });
  return map.mapcount[f] === 0;
}

/** The usual case: a private page that its first owner alone maps, as the frame table says. */
function unmapOnly(k: Kernel, f: Frame, entry: number): boolean {
  const { map } = k.mem;
  const table = k.spaces.get(map.link[f] as number)?.pageTable;
  const vpn = map.index[f] as number;
  const pte = table?.get(vpn) ?? PTE_NONE;
  if (!pteIsPage(pte) || pteFrame(pte) !== f) return false;
  table?.set(vpn, entry);
  return true;
}

/** A shared page has gone from its object to its slot (shmem_writepage). */
export function moveToSlot(k: Kernel, f: Frame): void {
  const { map, swap } = k.mem;
  if (map.kind[f] !== KIND_SHMEM) return;
  const slot = swap.slotOf(f);
  k.objects.get(map.link[f] as number)?.setSlot(map.index[f] as number, slot);
  swap.dup(slot);
}
