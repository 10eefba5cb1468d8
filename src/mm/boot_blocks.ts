// Memory blocks of boot memory: which of them may go offline at all, and which have gone.
// Models   linux@v6.1 drivers/base/memory.c: add_boot_memory_block,
//          early_node_zone_for_memory_block, memory_block_offline; mm/memory_hotplug.c:
//          offline_pages (memory that has holes), shrink_zone_span, resize_zone_range.
// Omits    where in its first block each of the kernel's pages lies: the block stays whole.
// Notes    Measured on booted guests of 128 MiB to 9 GiB a node: early allocations come from the
//          first memory that each zone brings up, and the table of a node's frames is taken from
//          the top of the node before any zone is there.
// State    the blocks, cut when somebody first asks; those that have gone at some time.
// Holds    BBK1 a block that is not whole is never offline, nor is the first of a zone. BBK2 a zone
//          reaches over every one of its blocks that is online.
import type { NodeId, ZoneIndex } from '../base/ids.ts';
import { memoryBlockBytes } from '../machine/zones.ts';
import type { Memory } from './memory.ts';
import type { MemoryBlock } from './memory_block.ts';

/** Number that blocks of boot memory have in place of a DIMM's. */
export const NO_DIMM = -1;

/** Frames [start, end). */
export interface Frames {
  readonly start: number;
  readonly end: number;
}

export class BootBlocks {
  readonly #mem: Memory;
  #all: readonly MemoryBlock[] | undefined;
  /** Blocks that are offline, or have been and may be in another zone than boot's. */
  readonly changed = new Set<MemoryBlock>();

  constructor(mem: Memory) {
    this.#mem = mem;
  }

  /** Every block by node, then by address; one that two nodes or zones share is there for each. */
  get all(): readonly MemoryBlock[] {
    this.#all ??= this.#cut();
    return this.#all;
  }

  /** Blocks that sysfs names in a node's directory, ascending: each number once. */
  ofNode(nid: NodeId): MemoryBlock[] {
    const seen = new Map<number, MemoryBlock>();
    for (const block of this.all) {
      if (block.nid === nid && !seen.has(this.numberOf(block))) {
        seen.set(this.numberOf(block), block);
      }
    }
    return [...seen.values()];
  }

  /** The N of memoryN. */
  numberOf({ startPfn }: MemoryBlock): number {
    return Math.floor(startPfn / this.#blockPages);
  }

  get #blockPages(): number {
    return memoryBlockBytes(this.#mem.machine) / this.#mem.pageBytes;
  }

  #cut(): MemoryBlock[] {
    const blocks: MemoryBlock[] = [];
    const size = this.#blockPages;
    for (const { zone, startFrame, startPfn, nrPages } of this.#mem.segments) {
      if (zone === undefined || !this.#mem.zones.isManaged(zone)) continue;
      const endPfn = startPfn + nrPages;
      for (let at = startPfn; at < endPfn; ) {
        const next = Math.min((Math.floor(at / size) + 1) * size, endPfn);
        blocks.push({
          nid: this.#mem.zones.nid[zone] as NodeId,
          startPfn: at,
          nrPages: next - at,
          startFrame: startFrame + at - startPfn,
          isWhole: next - at === size,
          dimm: NO_DIMM,
          isFirst: false,
          isThere: true,
          zone,
        });
        at = next;
      }
    }
    return this.#markFirst(blocks);
  }

  /** The kernel's own pages come from the first memory of a zone that boot has not set apart. */
  #markFirst(blocks: readonly MemoryBlock[]): MemoryBlock[] {
    const { frames, nrPages: nrBoot } = this.#mem.bootPages;
    const seen = new Set<ZoneIndex>();
    return blocks.map((block) => {
      const { startFrame, nrPages, zone } = block;
      const end = startFrame + nrPages;
      const isApart = frames.some((f) => f <= startFrame && f + nrBoot >= end);
      if (zone === undefined || isApart || seen.has(zone)) return block;
      seen.add(zone);
      return { ...block, isFirst: true };
    });
  }

  /** Do the kernel's own pages lie in a stretch: does it meet the first block of a zone? */
  isKernels(start: number, nrPages: number): boolean {
    return this.all.some(
      (block) =>
        block.isFirst &&
        start < block.startFrame + block.nrPages &&
        block.startFrame < start + nrPages,
    );
  }

  /** What a zone of boot memory has of frames now. @param own what boot gave it. */
  stretchesOf(z: ZoneIndex, own: readonly Frames[]): Frames[] {
    let left = [...own];
    for (const block of this.changed) {
      const start = block.startFrame;
      const end = start + block.nrPages;
      left = left.flatMap((s) =>
        end <= s.start || start >= s.end
          ? [s]
          : [
              { start: s.start, end: start },
              { start: end, end: s.end },
            ],
      );
      if (block.zone === z) left.push({ start, end });
    }
    return left.filter((s) => s.start < s.end).sort((a, b) => a.start - b.start);
  }

  /** A block has gone from a zone or come to it: the zone reaches as far as it must. */
  setSpan(z: ZoneIndex, block: MemoryBlock): void {
    const { zones } = this.#mem;
    const oldStart = zones.startPfn[z] as number;
    const oldEnd = oldStart + (zones.spanned[z] as number);
    const isEmpty = oldStart === oldEnd;
    const endPfn = block.startPfn + block.nrPages;
    this.changed.add(block);
    if (block.zone === z) {
      const start = isEmpty ? block.startPfn : Math.min(oldStart, block.startPfn);
      zones.startPfn[z] = start;
      zones.spanned[z] = Math.max(isEmpty ? 0 : oldEnd, endPfn) - start;
      return;
    }
    if (block.startPfn !== oldStart && endPfn !== oldEnd) return;
    const left = this.#mem.stretchesOf(z);
    const [first] = left;
    const last = left.at(-1);
    if (first === undefined || last === undefined) {
      zones.startPfn[z] = 0;
      zones.spanned[z] = 0;
      return;
    }
    const start = block.startPfn === oldStart ? this.#pfnOf(first.start) : oldStart;
    const end = endPfn === oldEnd ? this.#pfnOf(last.end - 1) + 1 : oldEnd;
    zones.startPfn[z] = start;
    zones.spanned[z] = end - start;
  }

  #pfnOf(f: number): number {
    return this.#mem.pfnOf(f as Parameters<Memory['pfnOf']>[0]);
  }
}
