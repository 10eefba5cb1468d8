// Reads a kernel's state for the judges: one frame, one entry, one link at a time, into Maps. What
// the numbers in the columns mean is stated here a second time, on purpose.
// Holds    Nothing here calls code of what is judged, but for visits and bare columns.
import type { Frame } from '../base/ids.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { MemoryBlock } from '../mm/memory_block.ts';
import type { Findings } from './findings.ts';

export const NONE = 0;
export const FREE_BLOCK = 1;
export const KERNEL = 2;
export const TABLE = 3;
export const ANON = 4;
export const SHMEM = 5;
export const HUGE = 6;
export const FILE = 7;
export const THP = 8;
export const POISON = 9;
export const DRIVER = 10;
/** Small pages in a transparent huge one. */
export const SMALL_IN_THP = 512;
/** Small pages in a huge one of 2 MiB, and in one of 1 GiB. */
export const smallInHuge = (k: Kernel): number => 2 ** 21 / k.mem.pageBytes;
export const smallInGigantic = (k: Kernel): number => 2 ** 30 / k.mem.pageBytes;

export const TYPES = 4;
export const MOVABLE_TYPE = 1;

/** Entries from here on stand for frames of device memory: twice the frame, and a bit to write. */
const DEVICE = 2 ** 31 + 2;
/** Entries from here on are not present; the lower half of them stands for slots of swap areas. */
const SPECIAL = 3 * 2 ** 30;
const SLOTS = 2 ** 29;

/** The meanings of a page table entry. */
export type Entry =
  | { readonly is: 'hole' }
  | { readonly is: 'zero page' }
  | { readonly is: 'slot'; readonly slot: number }
  | { readonly is: 'special' }
  | { readonly is: 'device'; readonly frame: number; readonly isWritable: boolean }
  | { readonly is: 'page'; readonly frame: number; readonly isWritable: boolean };

export function readEntry(pte: number): Entry {
  if (pte === 0) return { is: 'hole' };
  if (pte === 1) return { is: 'zero page' };
  if (pte >= SPECIAL + SLOTS) return { is: 'special' };
  if (pte >= SPECIAL) return { is: 'slot', slot: pte - SPECIAL };
  if (pte >= DEVICE) {
    return { is: 'device', frame: Math.floor((pte - DEVICE) / 2), isWritable: pte % 2 === 1 };
  }
  return { is: 'page', frame: Math.floor(pte / 2) - 1, isWritable: pte % 2 === 1 };
}

export interface FreeBlock {
  readonly zone: number;
  readonly order: number;
  readonly type: number;
  readonly frame: number;
}

/** `zone Movable of node 2`. */
export const zoneText = (k: Kernel, z: number): string =>
  `zone ${k.mem.zoneName(z)} of node ${k.mem.zones.nid[z]}`;

/**
 * Zone that a frame lies in, found by looking at all of them; undefined for none. Zones of
 * hot-plugged memory share a range of frames: there the memory block says which it is.
 */
export function zoneOfFrame(k: Kernel, frame: number): number | undefined {
  const { zones, blocks, bootBlocks } = k.mem;
  for (const { startFrame, nrPages, zone } of [...blocks, ...bootBlocks.changed]) {
    if (frame >= startFrame && frame < startFrame + nrPages) return zone;
  }
  for (let z = 0; z < zones.nr; z++) {
    if (frame >= (zones.startFrame[z] as number) && frame < (zones.endFrame[z] as number)) return z;
  }
  return undefined;
}

/** Stretches of frames that a zone has now: memory that is offline is in none. */
export function stretchesOf(k: Kernel, z: number): { startFrame: number; nrPages: number }[] {
  const { segments, blocks, bootBlocks } = k.mem;
  const loose = [...bootBlocks.changed];
  const isIn = (frame: number, all: readonly MemoryBlock[]) =>
    all.some((b) => frame >= b.startFrame && frame < b.startFrame + b.nrPages);
  const boot = segments
    .filter((s) => !isIn(s.startFrame, blocks))
    .flatMap((s) => withoutBlocks(s, loose))
    .filter(({ startFrame }) => zoneOfFrame(k, startFrame) === z);
  const moved = [...blocks, ...loose].filter((block) => block.zone === z);
  return [...boot, ...moved].sort((a, b) => a.startFrame - b.startFrame);
}

interface Span {
  readonly startFrame: number;
  readonly nrPages: number;
}

/** The pieces of a stretch between blocks that lie in it. */
function withoutBlocks({ startFrame, nrPages }: Span, blocks: readonly MemoryBlock[]): Span[] {
  const end = startFrame + nrPages;
  const inside = blocks.filter((b) => b.startFrame >= startFrame && b.startFrame < end);
  inside.sort((a, b) => a.startFrame - b.startFrame);
  const starts = [startFrame, ...inside.map((b) => b.startFrame + b.nrPages)];
  const ends = [...inside.map((b) => b.startFrame), end];
  return starts
    .map((start, i) => ({ startFrame: start, nrPages: (ends[i] as number) - start }))
    .filter((piece) => piece.nrPages > 0);
}

/** Node of a frame; undefined when it is in no zone. */
export function nodeOfFrame(k: Kernel, frame: number): number | undefined {
  const z = zoneOfFrame(k, frame);
  return z === undefined ? undefined : (k.mem.zones.nid[z] as number);
}

/** The device memory that a frame belongs to, found by looking at all stretches. */
export const deviceMapOf = (k: Kernel, frame: number) =>
  k.mem.deviceMemory.maps.find(({ stretches }) =>
    stretches.some(({ start, end }) => frame >= start && frame < end),
  );

/** Frames that drivers have in their pools. */
export function pooledFrames(k: Kernel): number[] {
  return k.mem.deviceMemory.maps.flatMap(({ ops, stretches }) =>
    ops === undefined
      ? stretches.flatMap(({ start, end }) =>
          Array.from({ length: end - start }, (_, i) => start + i),
        )
      : [...ops.freeFrames()],
  );
}

/** Every block on the lists of a zone, found by following the links from each head. */
export function freeBlocks(k: Kernel, z: number, findings: Findings): FreeBlock[] {
  const { zones, map } = k.mem;
  const blocks: FreeBlock[] = [];
  const seen = new Set<number>();
  for (let order = 0; order < zones.nrOrders; order++) {
    for (let type = 0; type < TYPES; type++) {
      const list = (z * zones.nrOrders + order) * TYPES + type;
      const where = `${zoneText(k, z)}, order ${order}, type ${type}`;
      let before = -1;
      let n = 0;
      for (let at = zones.listHead[list] as number; at !== -1; at = map.link[at] as number) {
        if (seen.has(at)) {
          findings.add(`${where}: frame ${at} is on the lists twice`);
          break;
        }
        seen.add(at);
        blocks.push({ zone: z, order, type, frame: at });
        if (map.index[at] !== before) findings.add(`${where}: frame ${at} links back wrongly`);
        before = at;
        n++;
      }
      findings.expect(zones.listTail[list] === before, () => `${where}: the tail is not the end`);
      findings.expect(
        zones.listCount[list] === n,
        () => `${where}: the list counts ${zones.listCount[list]} blocks and has ${n}`,
      );
    }
  }
  return blocks;
}

/** Blocks of the largest order that nobody has touched, and so stand on no list. */
export function untouched(k: Kernel, z: number): { start: number; end: number } {
  const { zones } = k.mem;
  return { start: zones.virginNext[z] as number, end: zones.virginEnd[z] as number };
}

/** One entry of one address space that maps a page. */
export interface Mapping {
  readonly space: number;
  readonly vpn: number;
  readonly frame: number;
  readonly isWritable: boolean;
}

/**
 * Every entry of every address space that maps a page, or stands for one of device memory; those
 * of buffers of drivers map no page.
 */
export function mappings(k: Kernel): Mapping[] {
  const found: Mapping[] = [];
  for (const space of k.spaces.values()) {
    space.pageTable.forEachEntry((vpn, pte) => {
      const entry = readEntry(pte);
      if (entry.is !== 'page' && entry.is !== 'device') return;
      if (k.mem.map.kind[entry.frame] === DRIVER) return;
      found.push({ space: space.id, vpn, frame: entry.frame, isWritable: entry.isWritable });
    });
  }
  return found;
}

/** Every entry of every address space that maps a huge page; frame and page are the first ones. */
export function hugeMappings(k: Kernel): Mapping[] {
  const found: Mapping[] = [];
  for (const space of k.spaces.values()) {
    space.pageTable.forEachHuge((vpn, pte) => {
      const entry = readEntry(pte);
      if (entry.is !== 'page') return;
      found.push({ space: space.id, vpn, frame: entry.frame, isWritable: entry.isWritable });
    });
  }
  return found;
}

/** An entry of the pmd level: what it maps, and the table page that came with it. */
export interface ThpMapping {
  readonly space: number;
  readonly vpn: number;
  readonly entry: Entry;
  readonly table: number;
}

/** Every entry of every address space that maps a transparent huge page, or the huge zero page. */
export function thpMappings(k: Kernel): ThpMapping[] {
  const found: ThpMapping[] = [];
  for (const space of k.spaces.values()) {
    space.pageTable.forEachThp((vpn, { pte, tableFrame }) => {
      found.push({ space: space.id, vpn, entry: readEntry(pte), table: tableFrame });
    });
  }
  return found;
}

/** First frames of transparent huge pages in use: mapped, whole or in part, or pinned. */
export function thpFrames(k: Kernel): Set<number> {
  const frames = new Set<number>();
  for (const { entry } of thpMappings(k)) if (entry.is === 'page') frames.add(entry.frame);
  for (const { frame } of mappings(k)) {
    if (k.mem.map.kind[frame] === THP) frames.add(frame - (frame % SMALL_IN_THP));
  }
  for (const f of k.mem.held.orphans) if (k.mem.map.kind[f] === THP) frames.add(f);
  return frames;
}

/** First frames of huge pages in use, with their small pages: mapped, in a file, pinned, lost. */
export function usedHuge(k: Kernel): Map<number, number> {
  const sizes = new Map<number, number>();
  for (const space of k.spaces.values()) {
    space.pageTable.forEachHuge((_vpn, pte, nrSmall) => {
      const entry = readEntry(pte);
      if (entry.is === 'page') sizes.set(entry.frame, nrSmall);
    });
  }
  for (const inode of k.hugeInodes.values()) {
    for (const f of inode.pages.values()) sizes.set(f, inode.nrSmall);
  }
  for (const pool of k.pools) {
    const isOwn = (f: number): boolean =>
      k.mem.map.kind[f] === HUGE && k.poolOf(f as Frame) === pool;
    for (const f of k.mem.held.orphans) if (isOwn(f)) sizes.set(f, pool.nrSmall);
    for (const f of pool.lost) sizes.set(f, pool.nrSmall);
  }
  return sizes;
}

export const usedHugeFrames = (k: Kernel): Set<number> => new Set(usedHuge(k).keys());

/** First frames of huge pages that are free, by node as their pool has them. */
export function freeHugeFrames(k: Kernel): { nid: number; frame: number; nrSmall: number }[] {
  const found: { nid: number; frame: number; nrSmall: number }[] = [];
  for (const pool of k.pools) {
    pool.forEachFree((nid, frame) => {
      found.push({ nid, frame, nrSmall: pool.nrSmall });
    });
  }
  return found;
}

/** Frames of pages that are in memory only because a slot's contents were read. */
export function cachedFrames(k: Kernel): number[] {
  const frames: number[] = [];
  for (const stored of k.mem.swap.cache) if (stored !== 0) frames.push(stored - 1);
  return frames;
}

/**
 * Frames of users' small pages: private ones by their entries, shared ones by their objects, either
 * by their slots. Of a transparent huge page all frames, mapped or not.
 */
export function userFrames(k: Kernel): Set<number> {
  const frames = new Set(mappings(k).map((m) => m.frame));
  for (const f of cachedFrames(k)) frames.add(f);
  for (const head of thpFrames(k)) {
    for (let i = 0; i < SMALL_IN_THP; i++) frames.add(head + i);
  }
  for (const object of k.objects.values()) object.forEachPage((_index, f) => frames.add(f));
  for (const inode of k.inodes.values()) inode.forEachPage((_index, f) => frames.add(f));
  return frames;
}

/** Frames of page tables, those at the top included. */
export function tableFrames(k: Kernel): Set<number> {
  const frames = new Set<number>();
  for (const space of k.spaces.values()) {
    for (const f of space.pageTable.tableFrames()) frames.add(f);
    if (space.pgd !== undefined) frames.add(space.pgd);
  }
  return frames;
}

/** Frames of buffers that drivers allocated for programs. */
export const bufferFrames = (k: Kernel): number[] =>
  [...k.buffers.values()].flatMap(({ frames }) => [...frames]);
