// Four AMD MI300A: CPU cores and GPU of a package share one pool of HBM3, which is the node's
// memory.
// Source   24 cores and 128 GiB HBM3 in one pool an APU: arXiv 2508.12743. Four APUs, each a NUMA
//          node of 128 GB: hpc.llnl.gov/node/1244 (El Capitan). Four nodes of about 124 GiB, where
//          GPU allocations compete with everything else: a report to ROCm/amdgpu of July 2025.
// Source   distance 32 between packages: what AMD firmware gives remote sockets (two EPYC 7601:
//          gist.github.com/kazuki/c6ea34136c767d3b4bacbda5d39970dd). No numactl -H of an MI300A was
//          at hand.
// Note     The kernel boots in this memory, so no node is marked as device memory: gpu0..gpu3 have
//          a home node and no node of their own. Nothing can isolate them by node.
import type { Machine } from '../machine.ts';
import { buildPreset } from './preset.ts';

const APUS = [0, 1, 2, 3];

export const mi300a = (): Machine =>
  buildPreset({
    name: 'mi300a',
    note:
      'Four AMD MI300A: 24 cores and 128 GiB of HBM3 shared with the GPU in each node ' +
      '(arXiv 2508.12743, hpc.llnl.gov/node/1244); one thread a core.',
    arch: 'x86_64',
    nodes: APUS.map((id) => ({ id, cpus: `${24 * id}-${24 * id + 23}`, memory: '128GiB' })),
    distances: APUS.map((from) => APUS.map((to) => (from === to ? 10 : 32))),
    devices: APUS.map((id) => ({
      name: `gpu${id}`,
      kind: 'GPU of an AMD MI300A, memory shared with the CPUs of its node',
      homeNode: id,
    })),
  });
