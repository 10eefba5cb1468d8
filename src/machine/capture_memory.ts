// Where the memory of captured nodes is: from /proc/zoneinfo, else from memory blocks in sysfs.
// Models   linux@v6.1 mm/vmstat.c: zoneinfo_show_print; drivers/base/memory.c: block N starts at
//          N times block_size_bytes.
// Omits    holes inside a zone or block: the pages that are present are taken from its start on.
// Holds    A source that contradicts MemTotal (copied from another machine, or cut) is not used.
import { listNames, numberedEntries, readNonEmpty, readText, type Tree } from './capture_tree.ts';
import type { MemoryRange, MemoryZone } from './machine.ts';

/** Memory of one node as found; `source` is for the note of the machine. */
export interface FoundMemory {
  readonly ranges: readonly MemoryRange[];
  readonly memoryZone: MemoryZone;
  readonly isOffline: boolean;
}

interface ZoneinfoZone {
  readonly nid: number;
  readonly zone: string;
  readonly startPfn: number;
  readonly presentPages: number;
}

/** Zones of a /proc/zoneinfo text that have pages. */
export function parseZoneinfo(text: string): readonly ZoneinfoZone[] {
  const zones: ZoneinfoZone[] = [];
  for (const section of text.split(/^(?=Node \d+, zone)/m)) {
    const head = /^Node (\d+), zone\s+(\w+)/.exec(section);
    const present = /^\s+present\s+(\d+)/m.exec(section);
    const start = /^\s+start_pfn:\s+(\d+)/m.exec(section);
    if (head === null || present === null || start === null || Number(present[1]) === 0) continue;
    // Pages of ZONE_DEVICE are not memory that the kernel hands out.
    if (head[2] === 'Device') continue;
    zones.push({
      nid: Number(head[1]),
      zone: head[2] as string,
      startPfn: Number(start[1]),
      presentPages: Number(present[1]),
    });
  }
  return zones;
}

/** Boot keeps part of the memory for itself; more than this much is a sign of two machines. */
const mayBeOf = (presentBytes: number, memTotalBytes: number): boolean =>
  presentBytes >= memTotalBytes && presentBytes <= memTotalBytes * 1.25 + 512 * 1024 ** 2;

const sumBytes = (ranges: readonly MemoryRange[]): number =>
  ranges.reduce((sum, range) => sum + range.sizeBytes, 0);

/** Ascending, neighbours joined; undefined when two overlap. */
function joinRanges(ranges: readonly MemoryRange[]): readonly MemoryRange[] | undefined {
  const joined: MemoryRange[] = [];
  for (const range of [...ranges].sort((a, b) => a.startBytes - b.startBytes)) {
    const last = joined[joined.length - 1];
    const end = last === undefined ? -1 : last.startBytes + last.sizeBytes;
    if (range.startBytes < end) return undefined;
    if (last !== undefined && range.startBytes === end) {
      joined[joined.length - 1] = {
        startBytes: last.startBytes,
        sizeBytes: last.sizeBytes + range.sizeBytes,
      };
    } else joined.push(range);
  }
  return joined;
}

/**
 * Memory of every node by /proc/zoneinfo; undefined when there is none, or when it does not fit
 * `memTotals` (bytes that the kernel manages, by node id).
 */
export function memoryFromZoneinfo(
  tree: Tree,
  pageBytes: number,
  memTotals: ReadonlyMap<number, number>,
): ReadonlyMap<number, FoundMemory> | undefined {
  const zones = parseZoneinfo(readText(tree.procRoot, 'zoneinfo') ?? '');
  if (zones.some((zone) => !memTotals.has(zone.nid))) return undefined;
  const found = new Map<number, FoundMemory>();
  const everything: MemoryRange[] = [];
  for (const [nid, memTotal] of memTotals) {
    const own = zones.filter((zone) => zone.nid === nid);
    const ranges = joinRanges(
      own.map((zone) => ({
        startBytes: zone.startPfn * pageBytes,
        sizeBytes: zone.presentPages * pageBytes,
      })),
    );
    if (ranges === undefined || !mayBeOf(sumBytes(ranges), memTotal)) return undefined;
    if (own.length === 0 && memTotal > 0) return undefined;
    everything.push(...ranges);
    const isMovable = own.length > 0 && own.every((zone) => zone.zone === 'Movable');
    found.set(nid, { ranges, memoryZone: isMovable ? 'movable' : 'boot', isOffline: false });
  }
  if (everything.length === 0 || joinRanges(everything) === undefined) return undefined;
  return found;
}

interface Block {
  readonly startBytes: number;
  readonly isOnline: boolean;
  readonly validZones: string;
}

/** The memory blocks named in `dir`; empty when sysfs does not say how large a block is. */
function readBlocks(tree: Tree, dir: readonly string[], blockBytes: number): readonly Block[] {
  const memory = [tree.sysRoot, 'devices', 'system', 'memory'] as const;
  return numberedEntries('memory', ...dir).map((n) => {
    const read = (file: string): string | undefined =>
      readNonEmpty(...dir, `memory${n}`, file) ?? readNonEmpty(...memory, `memory${n}`, file);
    return {
      startBytes: n * blockBytes,
      isOnline: (read('state') ?? 'online') !== 'offline',
      validZones: read('valid_zones') ?? '',
    };
  });
}

/** Bytes of a memory block, or undefined. */
function blockSizeBytes(tree: Tree): number | undefined {
  const text = readNonEmpty(tree.sysRoot, 'devices', 'system', 'memory', 'block_size_bytes');
  const bytes = text === undefined ? Number.NaN : Number.parseInt(text, 16);
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
}

/**
 * Memory of a node by the memory blocks of its directory; undefined when there are none or they do
 * not fit `memTotalBytes`. A node whose blocks are all offline is reported so, with their memory.
 *
 * @param nid undefined for a machine without node directories: then all blocks count.
 */
export function memoryFromBlocks(
  tree: Tree,
  nid: number | undefined,
  memTotalBytes: number,
): FoundMemory | undefined {
  const blockBytes = blockSizeBytes(tree);
  if (blockBytes === undefined) return undefined;
  const system = [tree.sysRoot, 'devices', 'system'] as const;
  const dir = nid === undefined ? [...system, 'memory'] : [...system, 'node', `node${nid}`];
  const blocks = readBlocks(tree, dir, blockBytes);
  const online = blocks.filter((block) => block.isOnline);
  const isOffline = blocks.length > 0 && online.length === 0;
  const used = isOffline ? blocks : online;
  const ranges = joinRanges(
    used.map((block) => ({ startBytes: block.startBytes, sizeBytes: blockBytes })),
  );
  if (ranges === undefined || ranges.length === 0) return undefined;
  if (isOffline)
    return memTotalBytes === 0 ? { ranges, memoryZone: 'movable', isOffline } : undefined;
  // Reserved memory and holes inside blocks: up to one block and a quarter more than is managed.
  if (
    !mayBeOf(sumBytes(ranges), memTotalBytes + blockBytes) &&
    !mayBeOf(sumBytes(ranges), memTotalBytes)
  ) {
    return undefined;
  }
  const isMovable = used.every((block) => block.validZones.split(' ')[0] === 'Movable');
  return { ranges, memoryZone: isMovable ? 'movable' : 'boot', isOffline };
}

/** True when some memory block of the node is offline: memory that the capture leaves out. */
export function hasOfflineBlocks(tree: Tree, nid: number): boolean {
  const dir = [tree.sysRoot, 'devices', 'system', 'node', `node${nid}`];
  return (
    listNames(...dir).some((name) => /^memory\d+$/.test(name)) &&
    readBlocks(tree, dir, 1).some((block) => !block.isOnline)
  );
}
