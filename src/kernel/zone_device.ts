// Pages of memory that a driver hands out, as the rest of the kernel meets them: what they are
// excepted from, which entries stand for them, and which lists they are on.
// Models   linux@v6.1 include/linux/mm.h: is_zone_device_page; include/linux/swapops.h:
//          make_writable_device_private_entry; mm/migrate.c: remove_migration_pte;
//          mm/migrate_device.c: migrate_vma_finalize as far as pages leave and join lists.
// Holds    ZDV4 pages of such memory are on no list of reclaim. ZDV5 an entry stands for a page
//          that CPUs cannot map without mapping it.
import type { Frame, NodeId } from '../base/ids.ts';
import { LRU_DIRTY, LRU_SWAPBACKED } from '../mm/lru.ts';
import { KIND_FILE } from '../mm/memmap.ts';
import type { Kernel } from './kernel.ts';
import { LOCKED_PAGE, unlockUnlessOthers } from './lru_track.ts';
import { makeDevicePte, makePte } from './page_table.ts';

/** Flags of a page that was first made on a device. */
const LRU_FROM_DEVICE = LRU_SWAPBACKED | LRU_DIRTY;

/** The entry for a frame that a page table is to have. */
export const entryFor = (k: Kernel, f: Frame, isWritable: boolean): number =>
  k.mem.deviceMemory.isPrivate(f) ? makeDevicePte(f, isWritable) : makePte(f, isWritable);

/**
 * Is a page passed over by what looks at users' pages: mbind and its like, NUMA balancing, KSM,
 * madvise (is_zone_device_page)?
 */
export const isZoneDevice = (k: Kernel, f: Frame): boolean => k.mem.deviceMemory.has(f);

/**
 * The node that programs are told for a page: memory that a driver keeps belongs to the node of the
 * device's host (dev_to_node).
 */
export function nodeTold(k: Kernel, f: Frame): NodeId {
  const nid = k.allocator.nidOf(f);
  if (!isZoneDevice(k, f)) return nid;
  const { nodes, devices } = k.machine;
  const name = nodes.find((node) => node.id === nid)?.device;
  return devices.find((device) => device.name === name)?.homeNode ?? nid;
}

/**
 * Contents have moved, and all entries with them: the lists of reclaim follow, and the memory
 * cgroup that pays. Device memory is on no list; what comes from there joins one, with the flags
 * that it left with.
 */
export function moveOnLists(k: Kernel, old: Frame, fresh: Frame): void {
  const { lru, deviceMemory, map } = k.mem;
  if (!lru.isInUse) {
    lru.handOver(old, fresh);
    return;
  }
  const isFromDevice = deviceMemory.has(old);
  if (!isFromDevice && !deviceMemory.has(fresh)) {
    lru.migrate(old, fresh);
    return;
  }
  lru.park(old, fresh);
  const isOfFile = map.kind[fresh] === KIND_FILE;
  if (!isFromDevice || deviceMemory.has(fresh) || !(lru.isTracking || isOfFile)) return;
  if (!isOfFile && lru.flags[fresh] === 0) lru.set(fresh, LRU_FROM_DEVICE);
  if (lru.isTracking) lru.set(fresh, LOCKED_PAGE);
  lru.add(fresh);
  unlockUnlessOthers(k, fresh);
}
