// Marks nodes of a machine that was read from elsewhere as device memory, because a person says so.
// Holds    A CPU-less node is not a device by itself: Xeon HBM, CXL and PowerVM have such nodes
//          too.
import { UserError } from '../base/assert.ts';
import type { MachineFile } from './schema.ts';

type FileNode = MachineFile['nodes'][number];
type FileDevice = NonNullable<MachineFile['devices']>[number];

/** The lowest `gpuN` that is not among `taken`. */
export function freeDeviceName(taken: Iterable<string>): string {
  const names = new Set(taken);
  let n = 0;
  while (names.has(`gpu${n}`)) n++;
  return `gpu${n}`;
}

/**
 * The node with CPUs that is nearest to `nodes[index]`, the lowest id among equals; the node itself
 * when no node has CPUs.
 */
export function nearestCpuNode(
  nodes: readonly { readonly id: number; readonly hasCpus: boolean }[],
  distances: readonly (readonly number[])[],
  index: number,
): number {
  let best: { id: number; distance: number } | undefined;
  nodes.forEach((node, j) => {
    const distance = distances[index]?.[j] ?? Number.POSITIVE_INFINITY;
    if (node.hasCpus && (best === undefined || distance < best.distance)) {
      best = { id: node.id, distance };
    }
  });
  return best?.id ?? (nodes[index]?.id as number);
}

/**
 * The file with each node of `deviceNodes` in ZONE_MOVABLE and owned by a device of its own, gpu0,
 * gpu1, ... by ascending node id. Throws UserError for a node that is not there or has CPUs.
 */
export function markDeviceNodes(
  file: MachineFile & { distances: number[][] },
  deviceNodes: readonly number[],
): MachineFile {
  const summaries = file.nodes.map((node) => ({
    id: node.id,
    hasCpus: node.cpus !== undefined && node.cpus.length > 0,
  }));
  for (const id of deviceNodes) {
    const node = summaries.find((summary) => summary.id === id);
    if (node === undefined) {
      const known = summaries.map((summary) => summary.id).join(', ');
      throw new UserError(
        `device node ${id}: the machine has no such node; its nodes are ${known}`,
      );
    }
    if (node.hasCpus) {
      throw new UserError(`device node ${id}: the node has CPUs, so a kernel runs in its memory`);
    }
  }
  const devices: FileDevice[] = [...(file.devices ?? [])];
  const nodes = file.nodes.map((node, i): FileNode => {
    if (!deviceNodes.includes(node.id) || node.device !== undefined) return node;
    const name = freeDeviceName(devices.map((device) => device.name));
    devices.push({
      name,
      kind: 'device memory by request',
      homeNode: nearestCpuNode(summaries, file.distances, i),
    });
    return { ...node, memoryZone: 'movable', device: name };
  });
  return { ...file, nodes, devices };
}
