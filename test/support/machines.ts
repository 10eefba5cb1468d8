// Small machines of every odd kind, as fast-check arbitraries: they shrink to two plain nodes.
// Holds    The first node has CPUs, boot memory and at least 64 MiB, so that a kernel starts.
import fc from 'fast-check';
import type { Machine } from '../../src/machine/machine.ts';
import type { MachineFile } from '../../src/machine/schema.ts';
import { machineFrom } from './small_machine.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

export const NODE_KINDS = [
  'boot',
  'movable',
  'device',
  'device in boot memory',
  'device offline',
] as const;
export type NodeKind = (typeof NODE_KINDS)[number];

/** A node as drawn; what makes no sense is mended by `machineOf`. */
export interface NodeShape {
  /** Ids left out before this node. */
  readonly gap: number;
  readonly nrCpus: number;
  readonly nrPages: number;
  /** Pages by which memory misses the alignment of blocks. */
  readonly skew: number;
  /** Memory in two ranges with a hole between them. */
  readonly isSplit: boolean;
  readonly kind: NodeKind;
}

export interface MachineShape {
  readonly build: 'x86_64' | 'arm64' | 'ppc64';
  readonly nodes: readonly NodeShape[];
  /** Distances between different nodes, row by row, used in turn. */
  readonly distances: readonly number[];
  readonly isSymmetric: boolean;
}

export interface ShapeLimits {
  readonly maxNodes?: number;
  readonly kinds?: readonly NodeKind[];
  readonly hasWideGaps?: boolean;
}

const nodeShape = (limits: ShapeLimits): fc.Arbitrary<NodeShape> =>
  fc.record({
    gap: limits.hasWideGaps === false ? fc.constant(0) : fc.constantFrom(0, 0, 0, 1, 7, 240),
    nrCpus: fc.integer({ min: 0, max: 2 }),
    nrPages: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1500 }), fc.constant(1024)),
    skew: fc.constantFrom(0, 0, 1, 3, 100),
    isSplit: fc.boolean(),
    kind: fc.constantFrom(...(limits.kinds ?? NODE_KINDS)),
  });

/** Machines of 2 to 8 nodes: devices, no memory or no CPUs, sparse ids, odd distances. */
export const machineShape = (limits: ShapeLimits = {}): fc.Arbitrary<MachineShape> =>
  fc.record({
    build: fc.constantFrom('x86_64', 'arm64', 'ppc64'),
    nodes: fc.array(nodeShape(limits), { minLength: 2, maxLength: limits.maxNodes ?? 8 }),
    distances: fc.array(fc.constantFrom(10, 11, 15, 20, 21, 40, 80, 255), {
      minLength: 1,
      maxLength: 56,
    }),
    isSymmetric: fc.boolean(),
  });

const PAGE_BYTES = { x86_64: 4096, arm64: 4096, ppc64: 65536 } as const;

type FileNode = MachineFile['nodes'][number];

function rangesOf(
  node: NodeShape,
  startBytes: number,
  pageBytes: number,
): { start: number; size: number }[] {
  if (node.nrPages === 0) return [];
  const start = startBytes + node.skew * pageBytes;
  if (!node.isSplit || node.nrPages < 2) return [{ start, size: node.nrPages * pageBytes }];
  const first = Math.floor(node.nrPages / 2);
  return [
    { start, size: first * pageBytes },
    { start: start + GIB / 2, size: (node.nrPages - first) * pageBytes },
  ];
}

/** The machine of a shape. Device nodes have no CPUs. */
export function machineOf(shape: MachineShape): Machine {
  const pageBytes = PAGE_BYTES[shape.build];
  const devices: { name: string; kind: string; homeNode: number }[] = [];
  let id = -1;
  let cpu = 0;
  const nodes = shape.nodes.map((node, i): FileNode => {
    id = Math.min(id + 1 + node.gap, 1024 - shape.nodes.length + i);
    const isDevice = node.kind.startsWith('device') && i > 0;
    const isBoot = i === 0 || node.kind === 'boot' || node.kind === 'device in boot memory';
    const nrCpus = i === 0 ? Math.max(1, node.nrCpus) : isDevice ? 0 : node.nrCpus;
    const cpus = Array.from({ length: nrCpus }, () => cpu++);
    const first = [
      { start: shape.build === 'arm64' ? 2 * GIB : 0, size: 64 * MIB },
      ...rangesOf(node, 4 * GIB, pageBytes),
    ];
    const ranges = i === 0 ? first : rangesOf(node, (4 + i) * GIB, pageBytes);
    if (isDevice)
      devices.push({ name: `device${id}`, kind: 'device', homeNode: nodesFirstId(shape) });
    return {
      id,
      cpus,
      ...(ranges.length === 0 ? {} : { ranges }),
      memoryZone: isBoot ? 'boot' : 'movable',
      ...(isDevice ? { device: `device${id}` } : {}),
      ...(node.kind === 'device offline' && i > 0 && ranges.length > 0
        ? { offlineAtStart: true }
        : {}),
    };
  });
  const n = nodes.length;
  const drawn = (i: number, j: number): number =>
    shape.distances[(i * n + j) % shape.distances.length] as number;
  const distances = nodes.map((_, i) =>
    nodes.map((_, j) => {
      if (i === j) return 10;
      return shape.isSymmetric ? drawn(Math.min(i, j), Math.max(i, j)) : drawn(i, j);
    }),
  );
  const file = { name: 'drawn', arch: shape.build, pageBytes, nodes, distances, devices };
  return machineFrom(file);
}

const nodesFirstId = (shape: MachineShape): number =>
  Math.min((shape.nodes[0] as NodeShape).gap, 1024 - shape.nodes.length);
