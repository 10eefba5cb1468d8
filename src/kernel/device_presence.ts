// Memory that a driver keeps comes when the driver brings it, and goes when it is unloaded or the
// link fails.
// Models   linux@v6.1 mm/memremap.c: memremap_pages, memunmap_pages;
//          drivers/gpu/drm/nouveau/nouveau_dmem.c: nouveau_dmem_evict_chunk (what leaves goes to
//          system memory);
//          mm/memory-failure.c: memory_failure_dev_pagemap.
// Omits    waiting for those who hold pages: the answer is EBUSY at once.
// Holds    ZDV10 memory that is not there is handed out to nobody, and no page lies in it.
import { NotModelled } from '../base/assert.ts';
import { EBUSY, EIO, ENXIO } from '../base/errno.ts';
import type { Frame } from '../base/ids.ts';
import { GFP_HIGHUSER_MOVABLE } from '../mm/gfp.ts';
import { KIND_ANON } from '../mm/memmap.ts';
import type { DevicePagemap } from '../mm/memremap.ts';
import type { Kernel } from './kernel.ts';
import { migrateFrames } from './migrate.ts';
import { anyFrameOf, PTE_POISON } from './page_table.ts';
import { allocOnNode } from './policy_alloc.ts';
import { nodeTold } from './zone_device.ts';

/** Pages of programs that lie in such memory, ascending. */
function pagesIn(k: Kernel, map: DevicePagemap): Frame[] {
  const frames = new Set<Frame>();
  const { kind } = k.mem.map;
  for (const { pageTable, vmas } of k.spaces.values()) {
    for (const vma of vmas) {
      pageTable.walk(vma.startVpn, vma.endVpn, (_vpn, pte) => {
        const f = anyFrameOf(pte);
        if (f !== -1 && kind[f] === KIND_ANON && k.mem.deviceMemory.mapOf(f) === map) frames.add(f);
      });
    }
  }
  for (const f of filePagesIn(k, map)) frames.add(f);
  return [...frames].sort((a, b) => a - b);
}

/** Pages of files and of shared memory that lie in such memory, mapped or not. */
function filePagesIn(k: Kernel, map: DevicePagemap): Frame[] {
  const frames: Frame[] = [];
  const note = (_index: number, f: Frame): void => {
    if (k.mem.deviceMemory.mapOf(f) === map) frames.push(f);
  };
  for (const object of k.objects.values()) object.forEachPage(note);
  for (const inode of k.inodes.values()) inode.forEachPage(note);
  return frames;
}

const holdsBuffers = (k: Kernel, { nid }: DevicePagemap): boolean =>
  [...k.buffers.values()].some((buffer) => buffer.nid === nid);

/** The driver brings its memory (memremap_pages). Returns whether it was not there before. */
export function bringDeviceMemory(map: DevicePagemap): boolean {
  const isNew = !map.isThere;
  map.isThere = true;
  return isNew;
}

/**
 * The driver is unloaded: pages of programs go to system memory, from the node of the device's host
 * on (memunmap_pages).
 * @returns 0; -EBUSY while a program has a buffer there, something holds a page, or system memory
 *   has no room: what has left stays where it is then.
 */
export function takeDeviceMemory(k: Kernel, map: DevicePagemap): number {
  if (holdsBuffers(k, map)) return -EBUSY;
  const target = (old: Frame): Frame | undefined =>
    allocOnNode(
      k,
      k.kthread,
      GFP_HIGHUSER_MOVABLE,
      nodeTold(k, old),
      'migration target',
      'memory offline',
      k.states.memory,
    );
  if (migrateFrames(k, pagesIn(k, map), target, 'memory offline') !== 0) return -EBUSY;
  if ([...k.mem.held.orphans].some((f) => k.mem.deviceMemory.mapOf(f) === map)) return -EBUSY;
  map.isThere = false;
  return 0;
}

/** What a link failure took of memory that a driver keeps. */
export interface LostDeviceMemory {
  readonly nrFree: number;
  readonly nrUsed: number;
}

/** The link is down: whoever touches what was there gets SIGBUS, and the driver has no memory. */
export function loseDeviceMemory(k: Kernel, map: DevicePagemap): LostDeviceMemory {
  if (filePagesIn(k, map).length > 0) {
    throw new NotModelled('a link failure under pages of files in memory that a driver keeps');
  }
  const nrFree = map.ops?.nrFree ?? 0;
  let nrUsed = 0;
  const lost = new Set<number>(pagesIn(k, map));
  for (const { pageTable, vmas } of k.spaces.values()) {
    for (const vma of vmas) {
      pageTable.walk(vma.startVpn, vma.endVpn, (vpn, pte) => {
        const f = anyFrameOf(pte);
        if (f === -1 || !lost.has(f)) return;
        pageTable.set(vpn, PTE_POISON);
        if (k.mem.map.removeMap(f) === 0) k.allocator.free(f);
      });
    }
  }
  nrUsed += lost.size;
  for (const buffer of k.buffers.values()) {
    if (buffer.nid !== map.nid) continue;
    buffer.isLost = true;
    nrUsed += buffer.frames.length;
  }
  map.isThere = false;
  return { nrFree, nrUsed };
}

/** A memory error in a page that a driver keeps: the kernel leaves it to the driver. */
export const errorInDeviceMemory = (isSoft: boolean): number => (isSoft ? -EIO : -ENXIO);
