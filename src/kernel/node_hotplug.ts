// Memory that is added and taken away while the system runs, and the nodes that come and go with
// it.
// Models   linux@v6.1 mm/memory_hotplug.c: add_memory_resource, online_memory_block,
//          offline_and_remove_memory, try_reonline_memory_block, try_remove_memory,
//          try_offline_node; drivers/acpi/acpi_memhotplug.c as far as a DIMM is one piece. The
//          driver of a GPU: os_numa_add_gpu_memory, os_numa_remove_gpu_memory and its notifier in
//          the public driver (open-gpu-kernel-modules 595.45.04, kernel-open/nvidia).
// Omits    memory maps that lie on the memory that is added (memmap_on_memory), addresses other
//          than those that the machine gives the node.
// Holds    HOT13 a node without memory and CPUs is not online once its memory is removed. HOT14
//          memory of a GPU's driver comes online in ZONE_MOVABLE or not at all.
import { EBUSY, EEXIST, EIO, ENODEV } from '../base/errno.ts';
import type { NodeId } from '../base/ids.ts';
import { ZONE_MOVABLE } from '../mm/gfp.ts';
import type { MemoryBlock } from '../mm/memory_block.ts';
import type { OnlineType } from '../mm/memory_hotplug.ts';
import { followMemory } from './cpuset_hotplug.ts';
import type { Kernel } from './kernel.ts';
import { type NodeChange, offlineBlock, onlineBlock } from './memory_hotplug.ts';

/** Pieces in which the driver of a GPU adds and removes its memory at most. */
const MOST_SEGMENTS = 128;

/** Who adds memory: the platform, a DIMM at a time, or the driver of the node's device. */
export type Adder = 'platform' | 'driver';

const blocksOf = (k: Kernel, nid: number): MemoryBlock[] =>
  k.mem.blocks.filter((block) => block.nid === nid);

/** What a state file means that says nothing of a zone. */
const typeOf: Readonly<Record<string, OnlineType>> = {
  online_kernel: 'KERNEL',
  online_movable: 'MOVABLE',
};

/**
 * Adds all memory that the machine has for a node; its blocks come online if that is the default
 * (auto_online_blocks).
 * @returns 0; -ENODEV when the machine has none; -EEXIST when it is there; -EIO when a driver finds
 *   its memory elsewhere than in ZONE_MOVABLE, and has taken it away again.
 */
export function addNode(k: Kernel, nid: NodeId, by: Adder): NodeChange {
  const blocks = blocksOf(k, nid);
  if (blocks.length === 0) return failed(-ENODEV, 0);
  if (blocks.some((block) => block.isThere)) return failed(-EEXIST, blocks.length);
  k.states.online = k.states.online.with(nid);
  if (by === 'driver') k.driverNodes.add(nid);
  const { autoOnline } = k.mem.onlinePolicy;
  for (const segment of piecesOf(k, nid, blocks)) {
    for (const block of segment) block.isThere = true;
    if (autoOnline === 'offline') continue;
    for (const block of segment) onlineBlock(k, block, typeOf[autoOnline]);
  }
  follow(k);
  const nrOnline = blocks.filter((block) => block.zone !== undefined).length;
  if (by === 'driver' && nrOnline < blocks.length) {
    removeNode(k, nid);
    return failed(-EIO, blocks.length);
  }
  return { ret: 0, nrBlocks: blocks.length, nrChanged: nrOnline, nrAlready: 0, errors: new Map() };
}

const failed = (ret: number, nrBlocks: number): NodeChange => ({
  ret,
  nrBlocks,
  nrChanged: 0,
  nrAlready: 0,
  errors: new Map(),
});

/** The pieces in which a node's memory comes and goes: DIMMs, or a driver's segments. */
function piecesOf(k: Kernel, nid: NodeId, blocks: readonly MemoryBlock[]): MemoryBlock[][] {
  const perSegment = Math.ceil(blocks.length / MOST_SEGMENTS);
  const isDrivers = k.driverNodes.has(nid);
  const pieces = new Map<number, MemoryBlock[]>();
  for (const [i, block] of blocks.entries()) {
    const key = isDrivers ? Math.floor(i / perSegment) : block.dimm;
    pieces.set(key, [...(pieces.get(key) ?? []), block]);
  }
  return [...pieces.values()];
}

/**
 * Takes the memory of a node offline and away, piece by piece; a piece of which a block cannot go
 * stays, as it was. The node goes with the last piece, unless it has CPUs.
 * @returns as offlining; what changed counts blocks that are gone.
 */
export function removeNode(k: Kernel, nid: NodeId): NodeChange {
  const blocks = blocksOf(k, nid).filter((block) => block.isThere);
  if (blocks.length === 0) return failed(-ENODEV, 0);
  const errors = new Map<number, number>();
  let nrChanged = 0;
  for (const piece of piecesOf(k, nid, blocks)) {
    const error = offlineAll(k, piece);
    if (error !== 0) {
      errors.set(blocks.indexOf(piece[0] as MemoryBlock), error);
      continue;
    }
    for (const block of piece) block.isThere = false;
    nrChanged += piece.length;
  }
  if (nrChanged === blocks.length) {
    if (!k.states.cpu.has(nid)) k.states.online = k.states.online.without(nid);
    k.driverNodes.delete(nid);
  }
  follow(k);
  const [first] = errors.values();
  const ret = first === undefined ? 0 : -EBUSY;
  return { ret, nrBlocks: blocks.length, nrChanged, nrAlready: 0, errors };
}

/** Takes blocks offline, the lowest first; when one cannot go, those that went come back. */
function offlineAll(k: Kernel, piece: readonly MemoryBlock[]): number {
  const gone: [MemoryBlock, OnlineType][] = [];
  for (const block of piece) {
    if (block.zone === undefined) continue;
    const type = k.mem.zones.type[block.zone] === ZONE_MOVABLE ? 'MOVABLE' : 'KERNEL';
    const error = offlineBlock(k, block);
    if (error === 0) {
      gone.push([block, type]);
      continue;
    }
    for (const [back, was] of gone) onlineBlock(k, back, was);
    return error;
  }
  return 0;
}

function follow(k: Kernel): void {
  if (!k.defersCpusetWork) followMemory(k);
}
