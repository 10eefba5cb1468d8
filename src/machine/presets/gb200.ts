// NVIDIA GB200 tray: two Grace CPUs and four Blackwell GPUs, 34 nodes of which 28 are empty (MIG).
// Source   `numactl -H` in NVIDIA/TensorRT-LLM's technical blog on large-scale expert parallelism
//          ("NUMA Memory to Prevent Page Migration"): sizes, CPUs, PAGE_SIZE 65536, and the
//          distance rows of nodes 0, 1, 2, 3 and 9; the other rows follow from these by symmetry.
// Cache    size as a B200 reports it; the GPU keeps no system memory in its L2, so `own`:
//          NVIDIA/open-gpu-kernel-modules 595.45.04, kernel-open/nvidia-uvm/uvm_va_block.c.
import type { Machine } from '../machine.ts';
import { buildPreset } from './preset.ts';

const NR_GPUS = 4;
/** A GPU's own node and the seven that MIG may use. */
const NODES_PER_GPU = 8;
const IDS = Array.from({ length: 2 + NR_GPUS * NODES_PER_GPU }, (_, id) => id);

/** The GPU that a node belongs to; undefined for the two CPU nodes. */
const gpuOf = (id: number): number | undefined =>
  id < 2 ? undefined : Math.floor((id - 2) / NODES_PER_GPU);
/** The CPU node that a node is, or that its GPU hangs on. */
const homeOf = (id: number): number => {
  const gpu = gpuOf(id);
  return gpu === undefined ? id : Math.floor(gpu / 2);
};

function distance(from: number, to: number): number {
  if (from === to) return 10;
  const a = gpuOf(from);
  const b = gpuOf(to);
  if (a === undefined && b === undefined) return 40;
  if (a !== undefined && b !== undefined) return a === b ? 11 : 40;
  return homeOf(from) === homeOf(to) ? 80 : 120;
}

function node(id: number) {
  if (id === 0) return { id, cpus: '0-71', memory: '489935MiB' };
  if (id === 1) return { id, cpus: '72-143', memory: '489795MiB' };
  const device = { id, memoryZone: 'movable' as const, device: `gpu${gpuOf(id)}` };
  return (id - 2) % NODES_PER_GPU === 0 ? { ...device, memory: '188416MiB' } : device;
}

export const gb200 = (): Machine =>
  buildPreset({
    name: 'gb200',
    note:
      'NVIDIA GB200 tray: two Grace, four Blackwell as nodes 2, 10, 18 and 26, seven empty nodes ' +
      "after each (MIG); from the numactl -H in TensorRT-LLM's blog.",
    arch: 'arm64',
    pageBytes: '64KiB',
    nodes: IDS.map(node),
    distances: IDS.map((from) => IDS.map((to) => distance(from, to))),
    devices: Array.from({ length: NR_GPUS }, (_, gpu) => ({
      name: `gpu${gpu}`,
      kind: 'NVIDIA Blackwell on NVLink-C2C',
      homeNode: Math.floor(gpu / 2),
      cache: {
        size: '129536KiB',
        holds: 'own' as const,
        isCoherent: true,
        source:
          'L2 of 126.50 MB as a B200 reports it: pytorch/ao pull request 4002, 2026-03-05. No ' +
          'system memory in it: public driver 595.45.04, uvm_va_block.c.',
      },
    })),
  });
