// Memory blocks that go and come: which zone takes a block, how far zones reach, which pages stand
// in the way, and what is worked out anew when a block has changed.
// Models   linux@v6.1 mm/memory_hotplug.c: zone_for_pfn_range, default_zone_for_pfn,
//          default_kernel_zone_for_pfn, move_pfn_range_to_zone, resize_zone_range,
//          remove_pfn_range_from_zone, shrink_zone_span, online_pages, offline_pages,
//          node_states_clear_node; mm/page_isolation.c: has_unmovable_pages,
//          start_isolate_page_range, undo_isolate_page_range.
// Omits    movable_node; the node's own bookkeeping, which stays on the node of boot memory.
// Holds    HPL1 a block is online in one zone or in none, and present pages are those of online
//          blocks. HPL2 lists are built anew before an emptied node loses N_MEMORY.
import { assert, NotModelled } from '../base/assert.ts';
import type { Frame, ZoneIndex } from '../base/ids.ts';
import { NO_DIMM } from './boot_blocks.ts';
import { ZONE_MOVABLE, ZONE_NORMAL } from './gfp.ts';
import { HUGE_PAGE_BYTES } from './huge_page_lists.ts';
import {
  KIND_ANON,
  KIND_DRIVER,
  KIND_FILE,
  KIND_HUGETLB,
  KIND_KERNEL,
  KIND_PAGE_TABLE,
  KIND_POISON,
  KIND_SHMEM,
  KIND_THP,
} from './memmap.ts';
import type { Memory } from './memory.ts';
import type { MemoryBlock } from './memory_block.ts';
import type { Zones } from './mmzone.ts';

/** What is written to a block's state file: online_kernel, online_movable, or plain online. */
export type OnlineType = 'KERNEL' | 'MOVABLE' | undefined;

/** Does a zone reach over a block? (zone_intersects) */
function intersects(zones: Zones, z: ZoneIndex | undefined, block: MemoryBlock): boolean {
  if (z === undefined || zones.spanned[z] === 0) return false;
  const start = zones.startPfn[z] as number;
  const end = start + (zones.spanned[z] as number);
  return block.startPfn < end && block.startPfn + block.nrPages > start;
}

/**
 * The zone that a block comes online in (zone_for_pfn_range): by its name where the run has no such
 * zone on that node, since nobody said that boot memory may come to it.
 */
export function zoneForBlock(
  mem: Memory,
  block: MemoryBlock,
  type: OnlineType,
): ZoneIndex | 'Normal' | 'Movable' {
  const { zones } = mem;
  const below = zones
    .ofNode(block.nid)
    .find((z) => (zones.type[z] as number) < ZONE_NORMAL && intersects(zones, z, block));
  const kernel = below ?? zones.find(block.nid, ZONE_NORMAL);
  const movable = zones.find(block.nid, ZONE_MOVABLE);
  if (type === 'KERNEL') return kernel ?? 'Normal';
  if (type === 'MOVABLE') return movable ?? 'Movable';
  const isMovable = mem.onlinePolicy.isMovable(zones, mem.blocks, block);
  const isInMovable = intersects(zones, movable, block) && !intersects(zones, kernel, block);
  return (isMovable ?? isInMovable) ? (movable ?? 'Movable') : (kernel ?? 'Normal');
}

/** Puts an offline block online in a zone (online_pages). */
export function onlineBlockIn(mem: Memory, block: MemoryBlock, z: ZoneIndex): void {
  assert(block.zone === undefined, 'the block is offline');
  const { zones, buddy } = mem;
  const wasEmpty = zones.present[z] === 0;
  block.zone = z;
  const { startFrame, nrPages } = block;
  buddy.moveToZone(startFrame, startFrame + nrPages, z);
  setSpan(mem, z, block);
  add(zones.present, z, nrPages);
  add(zones.managed, z, nrPages);
  add(mem.freeAtStart, z, nrPages);
  buddy.freeRange(z, startFrame, startFrame + nrPages, true);
  mem.setNodeState(z);
  if (wasEmpty) rebuild(mem);
  mem.updateWatermarks();
}

/** A stretch of frames of one zone. */
export interface ZoneRange {
  readonly zone: ZoneIndex;
  readonly startFrame: number;
  readonly nrPages: number;
}

/** A stretch that nobody is given pages of any more. */
export interface IsolatedRange {
  readonly zone: ZoneIndex;
  /** Users' pages on it, ascending, of transparent huge ones the first: they have to leave. */
  readonly movable: readonly Frame[];
  /** Huge pages of the pool on it, free or used. */
  readonly huge: readonly Frame[];
  /** Pages that boot or page cache has of it. */
  readonly nrTaken: number;
  /** What is free of it. */
  readonly free: { f: Frame; order: number }[];
}

export interface IsolatedBlock extends IsolatedRange {
  readonly block: MemoryBlock;
}

/**
 * Keeps everybody off a block (start_isolate_page_range). @returns undefined when pages of the
 * kernel's own lie on it, which cannot move: -EBUSY.
 */
export function isolateBlock(mem: Memory, block: MemoryBlock): IsolatedBlock | undefined {
  const { zone, startFrame, nrPages } = block;
  assert(zone !== undefined, 'the block is online');
  const range = isolateRange(mem, { zone, startFrame, nrPages });
  return range === undefined ? undefined : { ...range, block };
}

/** The same for any stretch of whole buddy blocks. */
export function isolateRange(
  mem: Memory,
  { zone, startFrame, nrPages }: ZoneRange,
): IsolatedRange | undefined {
  mem.pcp.drain(zone);
  const free = mem.buddy.takeRange(zone, startFrame, startFrame + nrPages);
  const movable: Frame[] = [];
  const huge: Frame[] = [];
  const nrSmall = HUGE_PAGE_BYTES / mem.pageBytes;
  let nrMovable = 0;
  let nrUnmovable = 0;
  let nrFree = 0;
  const isolated = new Map<number, number>(free.map(({ f, order }) => [f, 1 << order]));
  for (let f = startFrame; f < startFrame + nrPages; ) {
    const kind = mem.map.kind[f] as number;
    if (mem.held.isPoisoned(f) && kind !== KIND_POISON) {
      throw new NotModelled('taking memory offline under a broken page that somebody still has');
    }
    const isHuge = (kind === KIND_HUGETLB || kind === KIND_THP) && !isolated.has(f);
    const size = isHuge ? nrSmall : (isolated.get(f) ?? 1);
    const isUsers = kind === KIND_ANON || kind === KIND_SHMEM || kind === KIND_FILE;
    if (isolated.has(f)) nrFree += size;
    else if (kind === KIND_HUGETLB) huge.push(f as Frame);
    else if (isUsers || kind === KIND_THP) {
      movable.push(f as Frame);
      nrMovable += size;
    } else if (kind === KIND_POISON) nrFree++;
    else if (kind === KIND_KERNEL || kind === KIND_PAGE_TABLE || kind === KIND_DRIVER)
      nrUnmovable++;
    f += size;
  }
  const nrTaken = nrPages - nrFree - nrMovable - nrUnmovable - huge.length * nrSmall;
  const isMovableZone = mem.zones.type[zone] === ZONE_MOVABLE;
  const range = { zone, movable, huge, nrTaken, free };
  if (nrUnmovable === 0 && (isMovableZone || nrTaken === 0)) return range;
  releaseRange(mem, range);
  return undefined;
}

/** Gives an isolated stretch back to its zone (undo_isolate_page_range). */
export function releaseRange(mem: Memory, { zone, free }: IsolatedRange): void {
  for (const { f, order } of free) {
    mem.buddy.free(zone, f, order, mem.buddy.pageblockType(f), true);
  }
}

/** Takes an isolated block that holds no page any more out of its zone (offline_pages). */
export function removeBlock(mem: Memory, { block, zone, nrTaken }: IsolatedBlock): void {
  const { zones, states } = mem;
  const { nid, nrPages } = block;
  block.zone = undefined;
  mem.held.forget(block.startFrame, block.startFrame + nrPages);
  add(zones.present, zone, -nrPages);
  add(zones.managed, zone, -nrPages);
  add(mem.freeAtStart, zone, nrTaken - nrPages);
  mem.hasMemoryGone = true;
  mem.updateWatermarks();
  if (zones.present[zone] === 0) rebuild(mem);
  const left = zones.ofNode(nid).filter((z) => (zones.present[z] as number) > 0);
  if (!left.some((z) => (zones.type[z] as number) <= ZONE_NORMAL)) states.clearNormalMemory(nid);
  if (left.length === 0) states.clearMemory(nid);
  mem.compile();
  setSpan(mem, zone, block);
}

/** Lists are built again, now that it is known which nodes have CPUs. */
function rebuild(mem: Memory): void {
  mem.hasMemoryComeLater = true;
  mem.rebuild();
}

/** A block has come or gone: a zone reaches from its first online block to its last. */
function setSpan(mem: Memory, z: ZoneIndex, block: MemoryBlock): void {
  const { zones } = mem;
  if (block.dimm === NO_DIMM) {
    mem.bootBlocks.setSpan(z, block);
    return;
  }
  const own = mem.blocks.filter((block) => block.zone === z);
  const first = own[0];
  const last = own.at(-1);
  zones.startPfn[z] = first?.startPfn ?? 0;
  zones.spanned[z] =
    first === undefined || last === undefined ? 0 : last.startPfn + last.nrPages - first.startPfn;
}

function add(column: Int32Array, z: number, n: number): void {
  column[z] = (column[z] as number) + n;
}
