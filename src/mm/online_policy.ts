// Which zone a memory block comes online in when whoever brings it does not say, and whether blocks
// come online by themselves when memory is added.
// Models   linux@v6.1 mm/memory_hotplug.c: online_policy, auto_movable_ratio,
//          auto_movable_numa_aware, auto_movable_zone_for_pfn, auto_movable_can_online_movable,
//          auto_movable_stats_account_zone, mhp_default_online_type.
// Omits    dynamic groups (virtio-mem), CMA, movable_node.
// Holds    HOT12 under auto-movable a block is movable when all of its DIMM that is not online yet
//          could be: then movable memory is at most the ratio of what boot gave the kernel.
import type { NodeId } from '../base/ids.ts';
import type { Machine } from '../machine/machine.ts';
import { ZONE_MOVABLE } from './gfp.ts';
import type { MemoryBlock } from './memory_block.ts';
import type { Zones } from './mmzone.ts';

export const AUTO_ONLINE = ['offline', 'online', 'online_kernel', 'online_movable'] as const;
/** What happens to blocks of memory that is added (auto_online_blocks, memhp_default_state). */
export type AutoOnline = (typeof AUTO_ONLINE)[number];

export const ONLINE_POLICIES = ['contig-zones', 'auto-movable'] as const;
export type OnlinePolicyName = (typeof ONLINE_POLICIES)[number];

export class OnlinePolicy {
  autoOnline: AutoOnline;
  readonly #booted: AutoOnline;
  policy: OnlinePolicyName = 'contig-zones';
  /** Movable memory for each hundred parts of kernel memory (auto_movable_ratio). */
  ratioPercent = 301;
  /** The ratio holds on the block's node too (auto_movable_numa_aware). */
  isNumaAware = true;

  /**
   * Plugged memory is movable, or offline where the machine says so; so is what comes later.
   * @param booted what the command line says instead.
   */
  constructor(machine: Machine, booted?: AutoOnline) {
    const plugged = machine.nodes.filter((node) => node.memoryZone === 'movable');
    const isOffline = plugged.length === 0 || plugged.some((node) => node.offlineAtStart === true);
    this.#booted = booted ?? (isOffline ? 'offline' : 'online_movable');
    this.autoOnline = this.#booted;
  }

  /** The settings that somebody changed, as text; empty for none. */
  get changes(): string {
    const { autoOnline, policy, ratioPercent, isNumaAware } = this;
    const text = `${policy}/${ratioPercent}/${isNumaAware}`;
    const isBooted = autoOnline === this.#booted && text === 'contig-zones/301/true';
    return isBooted ? '' : `${autoOnline}/${text}`;
  }

  /**
   * Is a block that comes online without further words movable? Undefined: the zones around it say.
   */
  isMovable(zones: Zones, blocks: readonly MemoryBlock[], block: MemoryBlock): boolean | undefined {
    if (this.policy === 'contig-zones') return undefined;
    if (this.ratioPercent === 0) return false;
    const isWithIt = (b: MemoryBlock) => b.nid === block.nid && b.dimm === block.dimm;
    const group = block.dimm < 0 ? [block] : blocks.filter((b) => b.isThere && isWithIt(b));
    const isKernels = ({ zone }: MemoryBlock) =>
      zone !== undefined && zones.type[zone] !== ZONE_MOVABLE;
    if (group.some(isKernels)) return false;
    const rest = group.filter((b) => b.zone === undefined);
    const nrPages = rest.reduce((n, b) => n + b.nrPages, 0);
    const isRoom = (nid: NodeId | undefined) => this.#isWithinRatio(zones, blocks, nrPages, nid);
    return isRoom(undefined) && (!this.isNumaAware || isRoom(block.nid));
  }

  /** Would so many more movable pages keep the ratio, on one node or on all? */
  #isWithinRatio(
    zones: Zones,
    blocks: readonly MemoryBlock[],
    nrPages: number,
    nid: NodeId | undefined,
  ): boolean {
    const isPlugged = new Set(blocks.map((b) => b.nid));
    let nrKernel = 0;
    let nrMovable = 0;
    for (let z = 0; z < zones.nr; z++) {
      const own = zones.nid[z] as NodeId;
      const present = zones.present[z] as number;
      if (nid !== undefined && own !== nid) continue;
      if (zones.type[z] === ZONE_MOVABLE) nrMovable += present;
      else if (!isPlugged.has(own)) nrKernel += present;
    }
    if (nrKernel === 0) return false;
    return nrMovable + nrPages <= Math.floor((this.ratioPercent * nrKernel) / 100);
  }
}
