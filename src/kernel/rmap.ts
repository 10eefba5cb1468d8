// Finding the entries that map a page.
// Models   linux@v6.1 mm/rmap.c: rmap_walk_anon, rmap_walk_file.
// Omits    the order in which the kernel's trees are walked; huge pages.
import type { Frame } from '../base/ids.ts';
import { KIND_SHMEM } from '../mm/memmap.ts';
import type { AddressSpace } from './address_space.ts';
import type { Kernel } from './kernel.ts';
import { pteFrame, pteIsPage } from './page_table.ts';

export interface Mapper {
  readonly space: AddressSpace;
  readonly vpn: number;
}

/** Every entry that maps a private page or one of shared memory. */
export function* entriesOf(k: Kernel, f: Frame): IterableIterator<Mapper> {
  const index = k.mem.map.index[f] as number;
  if (k.mem.map.kind[f] !== KIND_SHMEM) {
    for (const space of k.spaces.values()) if (maps(space, index, f)) yield { space, vpn: index };
    return;
  }
  const object = k.objects.get(k.mem.map.link[f] as number);
  for (const space of k.spaces.values()) {
    for (const vma of space.vmas) {
      if (vma.object !== object) continue;
      const vpn = vma.startVpn + (index - vma.pgoff);
      const isInside = vpn >= vma.startVpn && vpn < vma.endVpn;
      if (isInside && maps(space, vpn, f)) yield { space, vpn };
    }
  }
}

function maps(space: AddressSpace, vpn: number, f: Frame): boolean {
  const pte = space.pageTable.get(vpn);
  return pteIsPage(pte) && pteFrame(pte) === f;
}
