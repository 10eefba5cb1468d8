// Which captured nodes are memory of NVIDIA GPUs: the driver says so in procfs.
// Models   /proc/driver/nvidia/gpus/<PCI address>/numa_status (fields Node and Status), as on
//          POWER9 and Grace; the driver onlines such memory into ZONE_MOVABLE.
// Omits    drivers that say nothing; their nodes can be named by hand.
import { listNames, readNonEmpty, readText, type Tree } from './capture_tree.ts';
import { parseCpuMask } from './cpu_list.ts';
import { nearestCpuNode } from './mark_devices.ts';
import type { MachineFile } from './schema.ts';

type File = MachineFile & { distances: number[][] };

/** The node of the CPUs that a PCI device is next to, if sysfs tells. */
function homeOfPciDevice(tree: Tree, pci: string, file: File): number | undefined {
  const dir = [tree.sysRoot, 'bus', 'pci', 'devices', pci] as const;
  const cpus = parseCpuMask(readNonEmpty(...dir, 'local_cpus') ?? '') ?? [];
  const hasCpu = (node: File['nodes'][number], cpu: number): boolean =>
    Array.isArray(node.cpus) && node.cpus.includes(cpu);
  const byCpus = file.nodes.find((node) => cpus.some((cpu) => hasCpu(node, cpu)));
  const numaNode = Number(readNonEmpty(...dir, 'numa_node') ?? Number.NaN);
  const byNode = file.nodes.find((node) => node.id === numaNode && (node.cpus?.length ?? 0) > 0);
  return (byCpus ?? byNode)?.id;
}

/**
 * The file with each node that an NVIDIA driver calls its own marked as device memory: gpu0, gpu1,
 * ... in the order of PCI addresses. Nodes that have CPUs or are not there are passed over.
 */
export function findGpus(tree: Tree, file: File): File {
  const summaries = file.nodes.map((node) => ({
    id: node.id,
    hasCpus: (node.cpus?.length ?? 0) > 0,
  }));
  const nodes = [...file.nodes];
  const devices: NonNullable<MachineFile['devices']> = [];
  const gpus = [tree.procRoot, 'driver', 'nvidia', 'gpus'] as const;
  for (const pci of listNames(...gpus)) {
    const status = readText(...gpus, pci, 'numa_status') ?? '';
    const id = Number(/^Node:\s+(\d+)/m.exec(status)?.[1] ?? Number.NaN);
    const i = nodes.findIndex((node) => node.id === id);
    const node = nodes[i];
    if (node === undefined || summaries[i]?.hasCpus === true || node.device !== undefined) continue;
    const name = `gpu${devices.length}`;
    const homeNode =
      homeOfPciDevice(tree, pci, file) ?? nearestCpuNode(summaries, file.distances, i);
    devices.push({ name, kind: `NVIDIA GPU ${pci}`, homeNode });
    nodes[i] = { ...node, memoryZone: 'movable', device: name };
  }
  return { ...file, nodes, devices };
}
