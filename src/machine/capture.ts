// Reads a machine from sysfs and procfs: the one this runs on, or a tree unpacked elsewhere.
// Models   linux@v6.1 drivers/base/node.c: node_read_distance, node_read_cpumap, node_read_meminfo.
// Omits    caches, PCI; nodes that are possible but not online; CPUs that are offline.
// Holds    What the tree does not show is not guessed: it is asked for, or the note says what rule
//          stands in for it. CPU-less nodes are device memory only where a driver or the caller
//          says so.
import { UserError } from '../base/assert.ts';
import type { Cpu } from '../base/ids.ts';
import { parseNodelist } from '../base/nodemask.ts';
import { buildMachine, defaultDistances } from './build.ts';
import { findGpus } from './capture_gpus.ts';
import {
  type FoundMemory,
  hasOfflineBlocks,
  memoryFromBlocks,
  memoryFromZoneinfo,
} from './capture_memory.ts';
import { captureArch, capturePageBytes } from './capture_platform.ts';
import {
  numberedEntries,
  parseMeminfo,
  readNonEmpty,
  readText,
  type Tree,
} from './capture_tree.ts';
import { parseCpuList, parseCpuMask } from './cpu_list.ts';
import { formatPath } from './json_text.ts';
import type { Arch, Machine } from './machine.ts';
import { markDeviceNodes } from './mark_devices.ts';
import type { MachineFile } from './schema.ts';

export { addDeviceNode, type DeviceNodeOptions, parseAddDeviceNode } from './add_device_node.ts';

export interface CaptureOptions {
  /** `/sys` when left out. */
  readonly sysRoot?: string | undefined;
  /** `/proc` when left out. */
  readonly procRoot?: string | undefined;
  /** Told by the tree when left out. */
  readonly arch?: Arch | undefined;
  /** Bytes; told by the tree when left out. */
  readonly pageBytes?: number | undefined;
  /** `captured` when left out. */
  readonly name?: string | undefined;
  /** Ids of CPU-less nodes whose memory belongs to a device. */
  readonly deviceNodes?: readonly number[] | undefined;
}

type FileNode = MachineFile['nodes'][number];

interface NodeFacts {
  readonly id: number;
  readonly cpus: readonly Cpu[];
  readonly memTotalBytes: number;
  readonly distances: readonly number[] | undefined;
}

const nodePath = (tree: Tree, ...rest: string[]): string[] => [
  tree.sysRoot,
  'devices',
  'system',
  'node',
  ...rest,
];

/** Ids of the online nodes, ascending; empty when there are no node directories. */
function onlineNodes(tree: Tree): readonly number[] {
  const dirs = numberedEntries('node', ...nodePath(tree));
  const text = readNonEmpty(...nodePath(tree, 'online'));
  const online = text === undefined ? undefined : parseNodelist(text);
  if (dirs.length === 0 || online === undefined || typeof online === 'string') return dirs;
  for (const id of online) {
    if (!dirs.includes(id)) {
      throw new UserError(`node ${id} is online but its directory is missing`, {
        file: nodePath(tree, `node${id}`).join('/'),
      });
    }
  }
  return online.toArray();
}

/** CPUs that are online; undefined when the tree does not tell. */
function onlineCpus(tree: Tree): ReadonlySet<number> | undefined {
  const text = readNonEmpty(tree.sysRoot, 'devices', 'system', 'cpu', 'online');
  const list = text === undefined ? undefined : parseCpuList(text);
  return list === undefined ? undefined : new Set<number>(list);
}

/** CPUs of a node by cpumap, else cpulist, else its cpuN entries; undefined without all three. */
function nodeCpus(tree: Tree, id: number): readonly Cpu[] | undefined {
  const dir = nodePath(tree, `node${id}`);
  const mask = readNonEmpty(...dir, 'cpumap');
  const list = readText(...dir, 'cpulist');
  const found =
    mask !== undefined ? parseCpuMask(mask) : list !== undefined ? parseCpuList(list) : null;
  if (found === undefined) {
    throw new UserError('not a list or mask of CPUs', {
      file: [...dir, mask !== undefined ? 'cpumap' : 'cpulist'].join('/'),
    });
  }
  if (found !== null) return found;
  const entries = numberedEntries('cpu', ...dir);
  return entries.length > 0 ? parseCpuList(entries.join(',')) : undefined;
}

function readNode(tree: Tree, id: number, online: ReadonlySet<number> | undefined): NodeFacts {
  const dir = nodePath(tree, `node${id}`);
  const memTotal = parseMeminfo(readText(...dir, 'meminfo') ?? '').get('MemTotal');
  if (memTotal === undefined) {
    throw new UserError('no MemTotal: the size of the node cannot be told', {
      file: [...dir, 'meminfo'].join('/'),
    });
  }
  const cpus = nodeCpus(tree, id);
  if (cpus === undefined) {
    throw new UserError('neither cpumap nor cpulist: the CPUs of the node cannot be told', {
      file: dir.join('/'),
    });
  }
  const distance = readNonEmpty(...dir, 'distance');
  return {
    id,
    cpus: online === undefined ? cpus : cpus.filter((cpu) => online.has(cpu)),
    memTotalBytes: memTotal * 1024,
    distances: distance?.split(/\s+/).map(Number),
  };
}

/** A machine without node directories (a container, a kernel without NUMA): all in node 0. */
function singleNode(tree: Tree): NodeFacts {
  const memTotal = parseMeminfo(readText(tree.procRoot, 'meminfo') ?? '').get('MemTotal');
  if (memTotal === undefined) {
    throw new UserError(
      'neither node directories nor a MemTotal in meminfo: not a tree of /sys and /proc',
      {
        file: nodePath(tree).join('/'),
      },
    );
  }
  const listed =
    onlineCpus(tree) ?? numberedEntries('cpu', tree.sysRoot, 'devices', 'system', 'cpu');
  const inCpuinfo = (readText(tree.procRoot, 'cpuinfo') ?? '').matchAll(
    /^processor\s*:?\s*(\d+)/gm,
  );
  const numbers = [...listed].length > 0 ? [...listed] : [...inCpuinfo].map((m) => Number(m[1]));
  return {
    id: 0,
    cpus: parseCpuList(numbers.join(',')) ?? [],
    memTotalBytes: memTotal * 1024,
    distances: [10],
  };
}

/** The distance matrix; undefined when no node has one. A column is a position in `nodes`. */
function distanceMatrix(tree: Tree, nodes: readonly NodeFacts[]): number[][] | undefined {
  if (nodes.every((node) => node.distances === undefined)) return undefined;
  return nodes.map((node) => {
    const row = node.distances;
    if (row?.length !== nodes.length || !row.every(Number.isInteger)) {
      throw new UserError(`expected ${nodes.length} numbers, one for each online node`, {
        file: nodePath(tree, `node${node.id}`, 'distance').join('/'),
      });
    }
    return [...row];
  });
}

/** Where the memory of the nodes is, with a word on how that is known; nothing found: undefined. */
function findMemory(
  tree: Tree,
  pageBytes: number,
  nodes: readonly NodeFacts[],
  hasNodeDirs: boolean,
): { found: ReadonlyMap<number, FoundMemory>; remark: string } | undefined {
  const totals = new Map(nodes.map((node) => [node.id, node.memTotalBytes]));
  const byZones = memoryFromZoneinfo(tree, pageBytes, totals);
  const found = new Map<number, FoundMemory>();
  let isComplete = true;
  for (const { id, memTotalBytes } of nodes) {
    const online = byZones?.get(id);
    const byBlocks =
      online !== undefined && online.ranges.length > 0
        ? undefined
        : memoryFromBlocks(tree, hasNodeDirs ? id : undefined, memTotalBytes);
    const memory = byBlocks ?? online;
    if (memory !== undefined) found.set(id, memory);
    else if (memTotalBytes > 0) isComplete = false;
  }
  if (!isComplete || found.size === 0) return undefined;
  const remark = byZones === undefined ? 'addresses from memory blocks' : 'addresses from zoneinfo';
  return { found, remark };
}

function toFileNode(node: NodeFacts, pageBytes: number, memory: FoundMemory | undefined): FileNode {
  const base: FileNode = { id: node.id, cpus: [...node.cpus] };
  if (memory === undefined) {
    const whole = Math.floor(node.memTotalBytes / pageBytes) * pageBytes;
    return whole === 0 ? base : { ...base, memory: whole };
  }
  const ranges = memory.ranges.map((range) => ({ start: range.startBytes, size: range.sizeBytes }));
  return {
    ...base,
    ranges,
    memoryZone: memory.memoryZone,
    ...(memory.isOffline ? { offlineAtStart: true } : {}),
  };
}

/**
 * Captures a machine. Throws UserError that names the file when the tree is incomplete, or the
 * option to give when the tree does not tell architecture or page size.
 */
export function captureMachine(options: CaptureOptions = {}): Machine {
  const sysRoot = options.sysRoot ?? '/sys';
  const procRoot = options.procRoot ?? '/proc';
  const tree: Tree = { sysRoot, procRoot, isLive: sysRoot === '/sys' && procRoot === '/proc' };
  const ids = onlineNodes(tree);
  const hasNodeDirs = ids.length > 0;
  const cpusOnline = onlineCpus(tree);
  const facts = hasNodeDirs ? ids.map((id) => readNode(tree, id, cpusOnline)) : [singleNode(tree)];
  const arch = captureArch(tree, options.arch);
  const pageBytes = capturePageBytes(tree, arch, options.pageBytes);
  const memory = findMemory(tree, pageBytes, facts, hasNodeDirs);
  const distances = distanceMatrix(tree, facts);
  const remarks = [
    ...(hasNodeDirs ? [] : ['no NUMA nodes shown, so all in node 0']),
    memory?.remark ?? 'sizes from MemTotal, addresses laid out by rule',
    ...(distances === undefined ? ['no distances shown, so 10 and 20'] : []),
    ...ids
      .filter((id) => memory?.found.get(id)?.isOffline !== true && hasOfflineBlocks(tree, id))
      .map((id) => `offline memory blocks of node ${id} left out`),
  ];
  const nodes = facts.map((node) => toFileNode(node, pageBytes, memory?.found.get(node.id)));
  const file = {
    name: options.name ?? 'captured',
    note: `Captured from ${sysRoot}: ${remarks.join('; ')}.`,
    arch,
    pageBytes,
    ...(memory === undefined ? { sizesAre: 'managed' as const } : {}),
    nodes,
    distances: distances ?? defaultDistances(nodes.length).map((row) => [...row]),
  };
  const marked = markDeviceNodes(findGpus(tree, file), options.deviceNodes ?? []);
  return buildMachine(marked, (path, message) => {
    throw new UserError(`${formatPath(path)}: ${message}`, { file: sysRoot });
  });
}
