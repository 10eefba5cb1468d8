// From the friendly form (a machine file, a preset, a capture) to a checked Machine: sizes become
// ranges, CPU lists become arrays, what was left out gets its default.
import { nodeId } from '../base/ids.ts';
import { parseSizeBytes } from '../base/units.ts';
import { checkMachine, checkPageBytes, type Fail, LOCAL_DISTANCE } from './check.ts';
import { parseCpuList } from './cpu_list.ts';
import type { JsonPath } from './json_text.ts';
import { layOutMemory } from './layout.ts';
import type { CacheSpec, LinkSpec, Machine, MemoryRange, NodeSpec } from './machine.ts';
import type { MachineFile } from './schema.ts';
import { DEFAULT_PAGE_BYTES } from './zones.ts';

type FileNode = MachineFile['nodes'][number];
type FileCache = NonNullable<NonNullable<MachineFile['devices']>[number]['cache']>;

/** The distance between two nodes when nothing says otherwise (linux REMOTE_DISTANCE). */
export const REMOTE_DISTANCE = 20;

/** 10 on the diagonal, 20 elsewhere: what Linux takes when firmware gives no distances. */
export const defaultDistances = (nrNodes: number): readonly (readonly number[])[] =>
  Array.from({ length: nrNodes }, (_, i) =>
    Array.from({ length: nrNodes }, (_, j) => (i === j ? LOCAL_DISTANCE : REMOTE_DISTANCE)),
  );

/** Bytes of `64GiB`, `0x40000000` or a number. */
function toBytes(value: string | number, path: JsonPath, fail: Fail): number {
  const isHex = typeof value === 'string' && /^0x/i.test(value);
  const bytes = typeof value === 'number' || isHex ? Number(value) : parseSizeBytes(value);
  if (bytes === undefined || !Number.isSafeInteger(bytes)) {
    return fail(
      path,
      `expected a whole number of bytes such as "64GiB", not ${JSON.stringify(value)}`,
    );
  }
  return bytes;
}

function toCpus(node: FileNode, path: JsonPath, fail: Fail): NodeSpec['cpus'] {
  const { cpus } = node;
  if (cpus === undefined) return [];
  const list = parseCpuList(typeof cpus === 'string' ? cpus : cpus.join(','));
  if (list === undefined) {
    return fail(
      path,
      `expected a CPU list such as "0-7,16" of CPUs 0..4095, not ${JSON.stringify(cpus)}`,
    );
  }
  return list;
}

/** The ranges of nodes that give them; undefined for nodes that give a size or nothing. */
function explicitRanges(file: MachineFile, fail: Fail): readonly (MemoryRange[] | undefined)[] {
  return file.nodes.map((node, i) => {
    const at: JsonPath = ['nodes', i];
    if (node.ranges === undefined) return undefined;
    if (node.memory !== undefined) fail(at, 'give `memory` or `ranges`, not both');
    return node.ranges.map((range, r) => ({
      startBytes: toBytes(range.start, [...at, 'ranges', r, 'start'], fail),
      sizeBytes: toBytes(range.size, [...at, 'ranges', r, 'size'], fail),
    }));
  });
}

/** Ranges of every node: the given ones, and the sizes laid out above them. */
function allRanges(
  file: MachineFile,
  pageBytes: number,
  fail: Fail,
): readonly (readonly MemoryRange[])[] {
  const given = explicitRanges(file, fail);
  const sizes = file.nodes.map((node, i) => {
    const path: JsonPath = ['nodes', i, 'memory'];
    const sizeBytes = node.memory === undefined ? 0 : toBytes(node.memory, path, fail);
    if (sizeBytes % pageBytes !== 0) {
      fail(path, `${sizeBytes} bytes is not a whole number of ${pageBytes}-byte pages`);
    }
    return { sizeBytes, memoryZone: node.memoryZone ?? 'boot' };
  });
  const ends = given.flatMap((ranges) => ranges ?? []).map((r) => r.startBytes + r.sizeBytes);
  const laidOut = layOutMemory(file.arch, pageBytes, sizes, Math.max(0, ...ends));
  return given.map((ranges, i) => ranges ?? (laidOut[i] as readonly MemoryRange[]));
}

/** Fills in defaults, lays out memory and checks. Calls `fail` at the first mistake. */
export function buildMachine(file: MachineFile, fail: Fail): Machine {
  const { arch } = file;
  const pageBytes =
    file.pageBytes === undefined
      ? DEFAULT_PAGE_BYTES[arch]
      : toBytes(file.pageBytes, ['pageBytes'], fail);
  checkPageBytes(arch, pageBytes, fail);
  const ranges = allRanges(file, pageBytes, fail);
  const nodes = file.nodes.map(
    (node, i): NodeSpec => ({
      id: nodeId(node.id),
      cpus: toCpus(node, ['nodes', i, 'cpus'], fail),
      ranges: ranges[i] as readonly MemoryRange[],
      memoryZone: node.memoryZone ?? 'boot',
      ...(node.device === undefined ? {} : { device: node.device }),
      ...(node.isKmem === undefined ? {} : { isKmem: node.isKmem }),
      ...(node.offlineAtStart === undefined ? {} : { offlineAtStart: node.offlineAtStart }),
    }),
  );
  const machine: Machine = {
    name: file.name,
    note: file.note ?? '',
    arch,
    pageBytes,
    ...(file.sizesAre === undefined ? {} : { sizesAre: file.sizesAre }),
    nodes,
    distances: file.distances ?? defaultDistances(nodes.length),
    devices: (file.devices ?? []).map((device, i) => ({
      name: device.name,
      kind: device.kind,
      homeNode: nodeId(device.homeNode),
      ...(device.cache === undefined
        ? {}
        : { cache: toCache(device.cache, ['devices', i, 'cache'], fail) }),
    })),
    links: (file.links ?? []).map(toLink),
  };
  checkMachine(machine, fail);
  return machine;
}

function toCache(cache: FileCache, at: JsonPath, fail: Fail): CacheSpec {
  const { holds, isCoherent, isWriteBack, source } = cache;
  return {
    sizeBytes: toBytes(cache.size, [...at, 'size'], fail),
    holds,
    ...(isCoherent === undefined ? {} : { isCoherent }),
    ...(isWriteBack === undefined ? {} : { isWriteBack }),
    source,
  };
}

/** A link without the fields that were left out, so that equal links compare equal. */
const toLink = (link: NonNullable<MachineFile['links']>[number]): LinkSpec => ({
  from: link.from,
  to: link.to,
  ...(link.bandwidthBytesPerS === undefined ? {} : { bandwidthBytesPerS: link.bandwidthBytesPerS }),
  ...(link.latencyNs === undefined ? {} : { latencyNs: link.latencyNs }),
  source: link.source,
});
