// How much of a node may be pages of files that are not written yet, and when all of them are due.
// Models   linux@v6.1 mm/page-writeback.c: node_dirtyable_memory, node_dirty_limit, node_dirty_ok,
//          global_dirtyable_memory, domain_dirty_limits; mm/page_alloc.c:
//          calculate_totalreserve_pages.
// Omits    limits in bytes, limits of one disk, tasks of real-time priority.
// State    nrDirty: dirty pages of files by node id.
// Holds    PGC5 a node over its share is passed over by the first walk of a writer's request.

import { MAX_NR_ZONES } from './gfp.ts';
import type { Lru } from './lru.ts';
import { LRU_ACTIVE_FILE, LRU_INACTIVE_FILE } from './lru.ts';
import type { Zones } from './mmzone.ts';

/** /proc/sys/vm/dirty_ratio and dirty_background_ratio as they boot, in percent. */
const DIRTY_RATIO = 20;
const BACKGROUND_RATIO = 10;

/** Pages that become dirty between two looks at the limits (nr_dirtied_pause). */
const CHECK_PAGES = 32;

export class DirtyLimits {
  readonly nrDirty: Int32Array;
  ratio = DIRTY_RATIO;
  backgroundRatio = BACKGROUND_RATIO;
  readonly #zones: Zones;
  readonly #zonesOf: readonly (readonly number[])[];
  #sinceCheck = 0;
  readonly #lru: Lru;

  constructor(zones: Zones, lru: Lru, nrNodeIds: number) {
    this.#zones = zones;
    this.#lru = lru;
    this.nrDirty = new Int32Array(nrNodeIds);
    this.#zonesOf = Array.from({ length: nrNodeIds }, (_, nid) => zones.ofNode(nid));
  }

  add(nid: number, n: number): void {
    this.nrDirty[nid] = (this.nrDirty[nid] as number) + n;
  }

  /** A page became dirty; is it time to look at the limits again? */
  isCheckDue(): boolean {
    this.#sinceCheck = (this.#sinceCheck + 1) % CHECK_PAGES;
    return this.#sinceCheck === 0;
  }

  /** Dirty pages of all nodes. */
  get total(): number {
    return this.nrDirty.reduce((a, b) => a + b, 0);
  }

  /** Free and cached pages of a node beyond what is kept for the kernel. */
  #dirtyable(nid: number): { free: number; reserve: number; cached: number } {
    const zones = this.#zones;
    let free = 0;
    let reserve = 0;
    for (const z of this.#zonesOf[nid] as readonly number[]) {
      free += zones.free[z] as number;
      const managed = zones.managed[z] as number;
      let most = 0;
      const own = zones.type[z] as number;
      for (let type = own; type < MAX_NR_ZONES; type++) {
        most = Math.max(most, zones.lowmemReserve[z * MAX_NR_ZONES + type] as number);
      }
      reserve += Math.min(most + (zones.wmarkHigh[z] as number), managed);
    }
    const lru = this.#lru;
    return {
      free,
      reserve,
      cached: lru.count(nid, LRU_INACTIVE_FILE) + lru.count(nid, LRU_ACTIVE_FILE),
    };
  }

  /** May another page of the node become dirty (node_dirty_ok)? */
  isNodeOk(nid: number): boolean {
    const { free, reserve, cached } = this.#dirtyable(nid);
    const memory = free - Math.min(free, reserve) + cached;
    return (this.nrDirty[nid] as number) <= Math.floor((memory * this.ratio) / 100);
  }

  /** Dirty pages from which on they are written in the background, by nobody's leave. */
  backgroundLimit(nids: Iterable<number>): number {
    let free = 0;
    let reserve = 0;
    let cached = 0;
    for (const nid of nids) {
      const node = this.#dirtyable(nid);
      free += node.free;
      reserve += node.reserve;
      cached += node.cached;
    }
    const memory = free - Math.min(free, reserve) + cached + 1;
    return Math.floor((memory * this.backgroundRatio) / 100);
  }
}
