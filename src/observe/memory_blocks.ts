// The tree /sys/devices/system/memory: its blocks, online or offline, and where each may go.
// Models   linux@v6.1 drivers/base/memory.c: block_size_bytes_show, phys_index_show, state_show,
//          valid_zones_show, removable_show, early_node_zone_for_memory_block.
// Omits    phys_device beyond 0, crash_hotplug, probe.
// Holds    PRC11 a block of boot memory that lies in two zones or nodes names none.

import { memoryBlockBytes } from '../machine/zones.ts';
import type { MemoryBlock } from '../mm/memory_block.ts';
import { zoneForBlock } from '../mm/memory_hotplug.ts';
import { NODE_DIR } from './nodes.ts';
import { type FileKind, fileAt, type View } from './view.ts';

const MEMORY_DIR = '/sys/devices/system/memory';

const pagesOf = ({ k }: View): number => memoryBlockBytes(k.machine) / k.mem.pageBytes;

/** A block by its number, as the files tell of it. */
interface BlockFacts {
  /** Nodes whose memory lies in it; one, but for blocks of boot memory on a border. */
  readonly nodes: ReadonlySet<number>;
  readonly isOnline: boolean;
  /** Zones that have or may take it, the default first; empty for none. */
  readonly zones: readonly string[];
}

const numberOf = (view: View, block: MemoryBlock): number =>
  Math.floor(block.startPfn / pagesOf(view));

/** Names of the zones of a whole block: the one that has it, or those that may take it. */
function zonesOfBlock({ k }: View, block: MemoryBlock): string[] {
  if (block.zone !== undefined) return [k.mem.zoneName(block.zone)];
  const types = [undefined, 'KERNEL', 'MOVABLE'] as const;
  const names = types.map((type) => {
    const z = zoneForBlock(k.mem, block, type);
    return typeof z === 'string' ? z : k.mem.zoneName(z);
  });
  return [...new Set(names)];
}

/** Zones with pages that reach into pages [start, end), as indices. */
function zonesAcross({ k }: View, start: number, end: number): number[] {
  const { zones } = k.mem;
  return [...Array(zones.nr).keys()].filter((z) => {
    const first = zones.startPfn[z] as number;
    const isFilled = (zones.present[z] as number) > 0;
    return isFilled && first < end && first + (zones.spanned[z] as number) > start;
  });
}

/** Every block by its number, ascending. */
function makeBlocks(view: View): ReadonlyMap<number, BlockFacts> {
  const { k } = view;
  const facts = new Map<number, BlockFacts>();
  for (const number of bootBlocks(view)) {
    const start = number * pagesOf(view);
    const across = zonesAcross(view, start, start + pagesOf(view));
    facts.set(number, {
      nodes: new Set(across.map((z) => k.mem.zones.nid[z] as number)),
      isOnline: true,
      zones: across.length === 1 ? [k.mem.zoneName(across[0] as number)] : [],
    });
  }
  for (const block of k.mem.bootBlocks.changed) {
    const isOnline = block.zone !== undefined;
    const nodes = new Set<number>([block.nid]);
    facts.set(numberOf(view, block), { nodes, isOnline, zones: zonesOfBlock(view, block) });
  }
  for (const block of k.mem.blocks) {
    if (!block.isThere) continue;
    const known = facts.get(numberOf(view, block));
    facts.set(numberOf(view, block), {
      nodes: new Set([...(known?.nodes ?? []), block.nid]),
      isOnline: block.zone !== undefined && known?.isOnline !== false,
      zones: known === undefined ? zonesOfBlock(view, block) : known.zones,
    });
  }
  return new Map([...facts].sort(([a], [b]) => a - b));
}

const blocksOf = (view: View): ReadonlyMap<number, BlockFacts> => view.once(makeBlocks);

/** Numbers of the blocks that boot memory lies in. */
function bootBlocks(view: View): Set<number> {
  const { k } = view;
  const size = pagesOf(view);
  const plugged = new Set(k.mem.blocks.map((block) => block.startFrame));
  const numbers = new Set<number>();
  for (const { startFrame, startPfn, nrPages } of k.mem.segments) {
    if (plugged.has(startFrame)) continue;
    const last = Math.floor((startPfn + nrPages - 1) / size);
    for (let n = Math.floor(startPfn / size); n <= last; n++) numbers.add(n);
  }
  return numbers;
}

const FILES_OF_BLOCK: Readonly<Record<string, (facts: BlockFacts, number: number) => string>> = {
  online: ({ isOnline }) => (isOnline ? '1' : '0'),
  phys_device: () => '0',
  phys_index: (_facts, number) => number.toString(16).padStart(8, '0'),
  removable: () => '1',
  state: ({ isOnline }) => (isOnline ? 'online' : 'offline'),
  valid_zones: ({ zones }) => zones.join(' ') || 'none',
};
const FILE_NAMES = Object.keys(FILES_OF_BLOCK);

const isOnlineNode = ({ k }: View, nid: number): boolean => k.states.online.has(nid);

export const MEMORY_BLOCK_FILES: readonly FileKind[] = [
  fileAt(`${MEMORY_DIR}/block_size_bytes`, (view) => {
    return `${memoryBlockBytes(view.k.machine).toString(16)}\n`;
  }),
  {
    pattern: new RegExp(`^${MEMORY_DIR}/memory(\\d+)/(${FILE_NAMES.join('|')})$`),
    read: (view, number, file) => {
      const facts = blocksOf(view).get(Number(number));
      if (facts === undefined) return undefined;
      return `${FILES_OF_BLOCK[file as string]?.(facts, Number(number))}\n`;
    },
    paths: (view) =>
      [...blocksOf(view).keys()].flatMap((number) =>
        FILE_NAMES.map((file) => `${MEMORY_DIR}/memory${number}/${file}`),
      ),
  },
  {
    pattern: new RegExp(`^${NODE_DIR}/node(\\d+)/memory(\\d+)/(${FILE_NAMES.join('|')})$`),
    read: (view, id, number, file) => {
      const facts = blocksOf(view).get(Number(number));
      if (!facts?.nodes.has(Number(id)) || !isOnlineNode(view, Number(id))) return undefined;
      return `${FILES_OF_BLOCK[file as string]?.(facts, Number(number))}\n`;
    },
    paths: (view) =>
      [...blocksOf(view)].flatMap(([number, { nodes }]) =>
        [...nodes]
          .filter((nid) => isOnlineNode(view, nid))
          .flatMap((nid) =>
            FILE_NAMES.map((file) => `${NODE_DIR}/node${nid}/memory${number}/${file}`),
          ),
      ),
  },
];
