// NVIDIA GH200: one Grace CPU and one H100, whose HBM3 is node 1; nodes 2-8 wait for MIG and are
// empty.
// Source   `numactl -H` in the Linux commit "mm/numa_emulation, ACPI: fake-numa pxm remap" (Bruno
//          Faccini, NVIDIA, 2025-01-06,
//          lkml.kernel.org/r/20250106120659.359610-2-bfaccini@nvidia.com).
// Source   64 KiB pages: the capture does not say; "The recommended default value for the page
//          size is 64K" (docs.nvidia.com/grace-perf-tuning-guide/os-settings.html), and the GB200
//          capture, the same CPU, has them.
// Source   the driver onlines the HBM into ZONE_MOVABLE and refuses anything else
//          (NVIDIA/open-gpu-kernel-modules 595.45.04, kernel-open/nvidia/os-interface.c).
// Cache    the GPU keeps no system memory in its L2, so `own`: NVIDIA/open-gpu-kernel-modules
//          595.45.04, kernel-open/nvidia-uvm/uvm_va_block.c and uvm_channel.c.
// Links    measured by one author, dnhkng.github.io, 2026-04-25: two GH200, driver 580.105.08, CUDA
//          13.
import type { Machine } from '../machine.ts';
import { buildPreset } from './preset.ts';

const IDS = Array.from({ length: 9 }, (_, id) => id);

const measured = (what: string): string =>
  `${what}, measured on GH200 with driver 580.105.08 and CUDA 13 (dnhkng.github.io, 2026-04-25)`;

export const gh200 = (): Machine =>
  buildPreset({
    name: 'gh200',
    note:
      'NVIDIA GH200: Grace with 72 cores, H100 HBM3 as node 1, nodes 2-8 empty (MIG); from the ' +
      'numactl -H of a Linux commit by Bruno Faccini, 2025-01-06.',
    arch: 'arm64',
    pageBytes: '64KiB',
    nodes: IDS.map((id) => {
      if (id === 0) return { id, cpus: '0-71', memory: '490037MiB' };
      const device = { id, memoryZone: 'movable' as const, device: 'gpu0' };
      return id === 1 ? { ...device, memory: '97280MiB' } : device;
    }),
    distances: IDS.map((from) =>
      IDS.map((to) => {
        if (from === to) return 10;
        return from === 0 || to === 0 ? 80 : 255;
      }),
    ),
    devices: [
      {
        name: 'gpu0',
        kind: 'NVIDIA H100 on NVLink-C2C',
        homeNode: 0,
        cache: {
          size: '60MiB',
          holds: 'own',
          isCoherent: true,
          source:
            'L2 of 60 MB: NVIDIA Grace Hopper Superchip Architecture In-Depth ' +
            '(developer.nvidia.com/blog). No system memory in it: public driver 595.45.04, ' +
            'uvm_va_block.c, uvm_channel.c.',
        },
      },
    ],
    links: [
      {
        from: 'node:0',
        to: 'node:0',
        bandwidthBytesPerS: 348e9,
        source: measured('Grace LPDDR5X, 348 GB/s'),
      },
      {
        from: 'device:gpu0',
        to: 'node:1',
        bandwidthBytesPerS: 3728e9,
        source: measured('HBM, 3,728 GB/s'),
      },
      {
        from: 'device:gpu0',
        to: 'node:0',
        bandwidthBytesPerS: 377e9,
        latencyNs: 621,
        source: measured('C2C host to device, 377-380 GB/s and 618-624 ns'),
      },
      {
        from: 'node:0',
        to: 'node:1',
        bandwidthBytesPerS: 297e9,
        source: measured('C2C device to host, 297-298 GB/s'),
      },
    ],
  });
