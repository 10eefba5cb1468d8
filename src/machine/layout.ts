// Lays nodes of a given size out in physical memory, as firmware of the architecture usually does.
// Models   x86: QEMU's pc/q35 and PCs (RAM below 3 GiB, a hole for devices up to 4 GiB, the rest
//          above; hot-plugged DIMMs from the next GiB on, never below 4 GiB). arm64: NVIDIA Grace
//          (RAM from 2 GiB on). ppc64: PowerVM and KVM guests (RAM from 0 on).
// Omits    firmware tables, the first megabyte of a PC, interleaved nodes.
// Holds    A node starts at a multiple of the largest buddy block (4 MiB on x86 and arm64 with 4
//          KiB pages, 16 MiB on ppc64), so no block belongs to two nodes.
import { assert } from '../base/assert.ts';
import type { Arch, MemoryRange, MemoryZone } from './machine.ts';
import { maxOrder } from './zones.ts';

const GIB = 1024 ** 3;
/** On x86 addresses from here to 4 GiB belong to devices. */
const X86_HOLE_START = 3 * GIB;
const X86_HOLE_END = 4 * GIB;
/** Hot-plugged memory starts at a multiple of this. */
export const HOTPLUG_ALIGN_BYTES = GIB;

const FIRST_ADDRESS: Readonly<Record<Arch, number>> = {
  x86_64: 0,
  arm64: 0x8000_0000,
  ppc64: 0,
};

export interface NodeToPlace {
  /** A multiple of the page size; 0 for a node without memory. */
  readonly sizeBytes: number;
  readonly memoryZone: MemoryZone;
}

/** The smallest multiple of `align` that is not below `value`; both in bytes, below 2^53. */
export const alignUp = (value: number, align: number): number => Math.ceil(value / align) * align;

/** Cuts `sizeBytes` at `startBytes` around the hole that x86 keeps for devices. */
function placeBoot(arch: Arch, startBytes: number, sizeBytes: number): MemoryRange[] {
  if (arch !== 'x86_64') return [{ startBytes, sizeBytes }];
  const ranges: MemoryRange[] = [];
  const low = Math.min(sizeBytes, Math.max(0, X86_HOLE_START - startBytes));
  if (low > 0) ranges.push({ startBytes, sizeBytes: low });
  if (low < sizeBytes) {
    const high = low > 0 ? X86_HOLE_END : Math.max(startBytes, X86_HOLE_END);
    ranges.push({ startBytes: high, sizeBytes: sizeBytes - low });
  }
  return ranges;
}

/**
 * Gives every node its ranges: boot memory first, in the order of `nodes`, then hot-plugged memory,
 * each such node at a whole GiB. Result `i` belongs to `nodes[i]` and ascends.
 *
 * @param aboveBytes addresses below this are taken already (0: none).
 */
export function layOutMemory(
  arch: Arch,
  pageBytes: number,
  nodes: readonly NodeToPlace[],
  aboveBytes = 0,
): readonly (readonly MemoryRange[])[] {
  const blockBytes = pageBytes * 2 ** maxOrder(arch, pageBytes);
  const result: (readonly MemoryRange[])[] = nodes.map(() => []);
  let next = Math.max(FIRST_ADDRESS[arch], aboveBytes);
  const place = (zone: MemoryZone, align: number): void => {
    nodes.forEach((node, i) => {
      assert(node.sizeBytes % pageBytes === 0 && node.sizeBytes >= 0, 'a size of whole pages');
      if (node.memoryZone !== zone || node.sizeBytes === 0) return;
      next = alignUp(next, align);
      const ranges =
        zone === 'boot'
          ? placeBoot(arch, next, node.sizeBytes)
          : [{ startBytes: next, sizeBytes: node.sizeBytes }];
      const last = ranges[ranges.length - 1];
      assert(last !== undefined);
      next = last.startBytes + last.sizeBytes;
      result[i] = ranges;
    });
  };
  place('boot', blockBytes);
  if (arch === 'x86_64') next = Math.max(next, X86_HOLE_END);
  place('movable', Math.max(HOTPLUG_ALIGN_BYTES, blockBytes));
  return result;
}
