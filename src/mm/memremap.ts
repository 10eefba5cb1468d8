// Memory that the page allocator never gets: its frames are handed out by the driver that brought
// it, and go back there when their last user lets go.
// Models   linux@v6.1 mm/memremap.c: memremap_pages, memunmap_pages, pagemap_range,
//          free_zone_device_page; include/linux/memremap.h: struct dev_pagemap, struct
//          dev_pagemap_ops (page_free, migrate_to_ram); include/linux/mm.h: is_zone_device_page,
//          is_device_private_page, is_device_coherent_page.
// Omits    what struct pages of such memory cost other nodes; FS_DAX, generic and PCI P2P pages.
// Notes    Linux files such a zone under the node of the device's host (dev_to_node). Here it keeps
//          the number that the machine gives the memory, so that people can see where pages are;
//          what the kernel shows to programs (kernel/zone_device.ts) never tells that number.
// State    one map a node that has such memory; which maps a zone by its number.
// Holds    ZDV1 no zone of such memory has managed pages, so none is in a zonelist, has watermarks
//          or free lists, and its node has no N_MEMORY. ZDV2 a frame is in its driver's pool
//          exactly while nobody holds it.

import { assert, UserError } from '../base/assert.ts';
import type { Frame, NodeId, ZoneIndex } from '../base/ids.ts';
import type { Design, DeviceMemoryType, NodesView } from '../hooks/design.ts';
import type { Buddy } from './buddy.ts';
import { ZONE_DEVICE } from './gfp.ts';
import type { FreeWatchers } from './internal.ts';

/** Entries that stand for a frame without mapping it have room for so many. */
export const FRAMES_IN_ENTRIES = 2 ** 29 - 1;

/** Half-open stretch of frames. */
export interface FrameStretch {
  readonly start: number;
  readonly end: number;
}

/** What a driver does for memory that it brought (struct dev_pagemap_ops). */
export interface PagemapOps {
  /** The last user of a page is gone (page_free). */
  pageFree(f: Frame): void;
  /** Free frames, for checkers, in no order. */
  freeFrames(): IterableIterator<number>;
  readonly nrFree: number;
}

/** A stretch of memory under its driver (struct dev_pagemap). */
export interface DevicePagemap {
  readonly nid: NodeId;
  readonly type: DeviceMemoryType;
  readonly zone: ZoneIndex;
  readonly stretches: readonly FrameStretch[];
  /** False before the driver brings it, after it took it away, and when its link is down. */
  isThere: boolean;
  ops: PagemapOps | undefined;
}

/**
 * Memory that a design leaves to drivers, by node, and what it is then. Memory of a node with CPUs
 * is what the kernel runs in, and never a driver's.
 */
export function keptMemory(
  { answers }: Pick<Design, 'answers'>,
  view: NodesView,
): ReadonlyMap<NodeId, DeviceMemoryType> {
  const kept = new Map<NodeId, DeviceMemoryType>();
  if (answers.memremapPages === undefined) return kept;
  for (const nid of view.device.andNot(view.cpu)) {
    const type = answers.memremapPages(nid, view);
    if (type !== undefined) kept.set(nid, type);
  }
  return kept;
}

export class DeviceMemory {
  readonly maps: DevicePagemap[] = [];
  readonly #buddy: Buddy;
  readonly #watchers: FreeWatchers;
  /** Static flag: there is such memory. */
  isInUse = false;
  /** Static flag: there is some that CPUs cannot map. */
  hasPrivate = false;

  constructor(buddy: Buddy, watchers: FreeWatchers) {
    this.#watchers = watchers;
    this.#buddy = buddy;
  }

  /** A driver brings the memory of a node (memremap_pages). */
  add(map: DevicePagemap): void {
    const last = map.stretches.at(-1);
    if (map.type !== 'coherent' && last !== undefined && last.end > FRAMES_IN_ENTRIES) {
      throw new UserError(
        `the machine has too many page frames for memory that CPUs cannot map: at most ` +
          `${FRAMES_IN_ENTRIES} are modelled (2 TiB of 4 KiB pages); give it less memory`,
      );
    }
    this.maps.push(map);
    this.isInUse = true;
    this.#watchers.isAny = true;
    if (map.type === 'private') this.hasPrivate = true;
  }

  ofNode(nid: number): DevicePagemap | undefined {
    return this.isInUse ? this.maps.find((map) => map.nid === nid) : undefined;
  }

  /** The map that a frame belongs to; undefined for frames of the page allocator. */
  mapOf(f: number): DevicePagemap | undefined {
    if (!this.isInUse) return undefined;
    const { zones } = this.#buddy;
    const z = this.#buddy.zoneOf(f);
    return zones.type[z] === ZONE_DEVICE ? this.maps.find((map) => map.zone === z) : undefined;
  }

  /** Is it a frame of such memory (is_zone_device_page)? */
  has(f: number): boolean {
    return this.isInUse && this.#buddy.zones.type[this.#buddy.zoneOf(f)] === ZONE_DEVICE;
  }

  isPrivate(f: number): boolean {
    return this.hasPrivate && this.mapOf(f)?.type === 'private';
  }

  isCoherent(f: number): boolean {
    return this.isInUse && this.mapOf(f)?.type === 'coherent';
  }

  /** A page of such memory has no user any more: it goes back to its driver. */
  free(f: Frame): void {
    const ops = this.mapOf(f)?.ops;
    assert(ops !== undefined, 'a page of device memory has a driver to go back to');
    ops.pageFree(f);
  }
}
