// Where a driver gets frames of its device's memory: from the page allocator, where that memory is
// a node, else from its own pool.
// Models   the public GPU driver (595.45.04): os_alloc_pages_node with __GFP_THISNODE and
//          __GFP_RETRY_MAYFAIL, and no reclaim below 4 % free; drivers with memremap_pages.
// Hooks    selectZonelist (node_zonelist): a driver asks as the owner of its node. Where that takes
//          a list of its own, as in the fifth posting of private nodes, drivers of today would have
//          to be changed to select it; ours does.
// Holds    DRV1.
import type { NodeId } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import type { DeviceMemoryType } from '../hooks/design.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { chargeGiven, wantWithin } from '../kernel/memcg.ts';
import type { DeviceFrames } from '../kernel/migrate_vma.ts';
import type { Purpose } from '../kernel/placement_count.ts';
import { allocManyOnNode } from '../kernel/policy_alloc.ts';
import { privateFlag } from '../kernel/private_nodes.ts';
import type { Task } from '../kernel/task.ts';
import {
  __GFP_COMP,
  __GFP_NOWARN,
  __GFP_RECLAIM,
  __GFP_RETRY_MAYFAIL,
  __GFP_THISNODE,
  GFP_HIGHUSER_MOVABLE,
} from '../mm/gfp.ts';
import { MAX_RUN } from '../mm/internal.ts';
import type { DevicePagemap } from '../mm/memremap.ts';
import { DevicePool } from './device_pool.ts';

/** Below this share of free frames the driver asks without reclaim. */
const SKIP_RECLAIM_PERCENT = 4;

const GFP_DEVICE =
  GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_NOWARN | __GFP_RETRY_MAYFAIL | __GFP_THISNODE;

/** Frames of a device, and what became of its memory. */
export interface DriverFrames extends DeviceFrames {
  /** undefined: it is a node, and the page allocator has it. */
  readonly type: DeviceMemoryType | undefined;
  /** Has the device memory that can be used now? */
  readonly isThere: boolean;
}

/** Memory that is a node: the driver asks like any other kernel user. */
export class NodeFrames implements DriverFrames {
  readonly nid: NodeId;
  readonly type = undefined;
  readonly isPrivate = false;
  readonly #k: Kernel;

  constructor(k: Kernel, nid: NodeId) {
    this.#k = k;
    this.nid = nid;
  }

  get isThere(): boolean {
    return this.#k.states.anyMemory.has(this.nid);
  }

  take(task: Task, want: number, out: Int32Array, why: Purpose): number {
    const most = Math.min(want, MAX_RUN);
    const n = allocManyOnNode(this.#k, task, this.#gfp(), this.nid, most, why);
    const given = this.#k.allocator.out;
    for (let i = 0; i < n; i++) out[i] = given[i] as number;
    return n;
  }

  /** How the driver asks for a frame: without reclaim when few are free. */
  #gfp(): number {
    const { zones } = this.#k.mem;
    let free = 0;
    let managed = 0;
    for (let z = 0; z < zones.nr; z++) {
      if (zones.nid[z] !== this.nid) continue;
      free += zones.free[z] as number;
      managed += zones.managed[z] as number;
    }
    const gfp = GFP_DEVICE | privateFlag(this.#k, 'owner', Nodemask.of(this.nid));
    return free * 100 < managed * SKIP_RECLAIM_PERCENT ? gfp & ~__GFP_RECLAIM : gfp;
  }
}

/** Memory that the driver kept: it hands frames out of its pool. */
export class PoolFrames implements DriverFrames {
  readonly nid: NodeId;
  readonly type: DeviceMemoryType;
  readonly isPrivate: boolean;
  readonly #k: Kernel;
  readonly #map: DevicePagemap;
  readonly #pool: DevicePool;

  constructor(k: Kernel, map: DevicePagemap) {
    this.#k = k;
    this.#map = map;
    this.nid = map.nid;
    this.type = map.type;
    this.isPrivate = map.type === 'private';
    this.#pool = map.ops instanceof DevicePool ? map.ops : new DevicePool(k.mem.map, map);
    map.ops = this.#pool;
  }

  get isThere(): boolean {
    return this.#map.isThere;
  }

  take(task: Task, want: number, out: Int32Array, why: Purpose): number {
    if (!this.#map.isThere) return 0;
    const most = wantWithin(this.#k, task, Math.min(want, MAX_RUN), why);
    const given = this.#pool.take(most, out);
    this.#k.frameWatch?.taken('driver', out, given);
    const { allocator } = this.#k;
    allocator.out.set(out.subarray(0, given));
    const n = chargeGiven(this.#k, task, given, 0, GFP_HIGHUSER_MOVABLE, why);
    if (n > 0) this.#k.placements.count(why, 'node named', true, this.nid, n);
    return n;
  }
}

/** What the driver of a node's memory asks for frames. */
export function framesOf(k: Kernel, nid: NodeId): DriverFrames {
  const map = k.mem.deviceMemory.ofNode(nid);
  return map === undefined ? new NodeFrames(k, nid) : new PoolFrames(k, map);
}
