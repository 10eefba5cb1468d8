// IBM Power System AC922 (8335-GTW): two POWER9 and six NVIDIA V100, whose memory is nodes 250-255.
// Source   the /sys and /proc tree `nvidiagpunumanodes` of hwloc's test suite (open-mpi/hwloc,
//          tests/hwloc/linux, commit 3b37b024, BSD-3-Clause), Linux 4.14: node ids, MemTotal of
//          each node, distances, 64 KiB pages, which GPU is which node (proc/driver/nvidia) and
//          hangs on which socket (local_cpus). CPUs as cpulist and cpuinfo have them, 88 a socket;
//          the tree's online mask was cut to 16 a socket.
// Source   addresses: open-power/skiboot hw/phys-map.c, phys_map_table_nimbus (4 TiB a chip number,
//          GPU memory from 4 TiB up, 128 GiB apart); the GPUs report 0x40000000000 themselves.
// Cache    the GPU keeps no system memory in its L2, so `own`: NVIDIA/open-gpu-kernel-modules
//          595.45.04, kernel-open/nvidia-uvm/uvm_va_block.c and uvm_channel.c (Volta on P9).
// Links    CPU to DDR4, IBM's headline figure. That of CPU to GPU is for the four-GPU model.
import type { Machine } from '../machine.ts';
import { buildPreset } from './preset.ts';

/** Chip 8 (node 8) starts here: the chip number selects from bit 42 on. */
const CHIP_8 = 8 * 2 ** 42;
/** Memory of the GPUs of a chip, from the chip's start. */
const GPU_BASE = 4 * 2 ** 40;
const GPU_STRIDE = 128 * 2 ** 30;

/** gpu0..gpu5 in the order of their PCI addresses. */
const GPUS = [
  { pci: '0004:05:00.0', node: 255, home: 0 },
  { pci: '0004:06:00.0', node: 254, home: 0 },
  { pci: '0006:00:00.0', node: 253, home: 0 },
  { pci: '0007:00:00.0', node: 252, home: 8 },
  { pci: '0035:04:00.0', node: 251, home: 8 },
  { pci: '0035:05:00.0', node: 250, home: 8 },
] as const;

const IDS = [0, 8, 250, 251, 252, 253, 254, 255];

const IBM = 'IBM AC922 headline figure: CPU to DDR4 170 GB/s a socket';

export const ac922 = (): Machine =>
  buildPreset({
    name: 'ac922',
    note:
      'IBM AC922 8335-GTW: two POWER9, six V100 with 15 GiB each as nodes 250-255; from the ' +
      'capture nvidiagpunumanodes in the test suite of hwloc.',
    arch: 'ppc64',
    pageBytes: '64KiB',
    nodes: [
      { id: 0, cpus: '0-87', ranges: [{ start: 0, size: '129839104KiB' }] },
      { id: 8, cpus: '88-175', ranges: [{ start: CHIP_8, size: '133952000KiB' }] },
      ...GPUS.map((gpu, i) => ({
        id: gpu.node,
        ranges: [
          {
            start: (gpu.home === 8 ? CHIP_8 : 0) + GPU_BASE + (i % 3) * GPU_STRIDE,
            size: '15GiB',
          },
        ],
        memoryZone: 'movable' as const,
        device: `gpu${i}`,
      })).reverse(),
    ],
    distances: IDS.map((from) =>
      IDS.map((to) => {
        if (from === to) return 10;
        return from <= 8 && to <= 8 ? 40 : 80;
      }),
    ),
    devices: GPUS.map((gpu, i) => ({
      name: `gpu${i}`,
      kind: `NVIDIA V100 on NVLink 2.0 (${gpu.pci})`,
      homeNode: gpu.home,
      cache: {
        size: '6144KiB',
        holds: 'own' as const,
        isCoherent: true,
        source:
          'L2 of 6,144 KB: NVIDIA Tesla V100 GPU Architecture (2017). No system memory in it: ' +
          'public driver 595.45.04, uvm_va_block.c, uvm_channel.c.',
      },
    })),
    links: [
      { from: 'node:0', to: 'node:0', bandwidthBytesPerS: 170e9, source: IBM },
      { from: 'node:8', to: 'node:8', bandwidthBytesPerS: 170e9, source: IBM },
    ],
  });
