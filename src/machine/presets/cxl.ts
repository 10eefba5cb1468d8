// Two-socket Xeon (Sapphire Rapids) with two CXL memory expanders, nodes 2 and 3, without CPUs.
// Source   `numactl -H` in
//          stevescargall.com/blog/2022/12/how-to-map-a-cxl-endpoint-to-a-cpu-socket-in-linux:
//          sizes, CPUs, distances (the expander of the own socket 14, the other 24, between them
//          26).
// Source   ZONE_MOVABLE: what daxctl does by default when it onlines memory of a dax device.
import type { Machine } from '../machine.ts';
import { buildPreset } from './preset.ts';

export const cxl = (): Machine =>
  buildPreset({
    name: 'cxl',
    note:
      'Two-socket Sapphire Rapids with a 64 GiB and a 128 GiB CXL expander as nodes 2 and 3; ' +
      "from the numactl -H in Steve Scargall's blog, December 2022.",
    arch: 'x86_64',
    nodes: [
      { id: 0, cpus: '0-51,104-155', memory: '64167MiB' },
      { id: 1, cpus: '52-103,156-207', memory: '64472MiB' },
      { id: 2, memory: '65536MiB', memoryZone: 'movable', device: 'cxl0' },
      { id: 3, memory: '131072MiB', memoryZone: 'movable', device: 'cxl1' },
    ],
    distances: [
      [10, 21, 14, 24],
      [21, 10, 24, 14],
      [14, 24, 10, 26],
      [24, 14, 26, 10],
    ],
    devices: [
      { name: 'cxl0', kind: 'CXL memory expander, 64 GiB', homeNode: 0 },
      { name: 'cxl1', kind: 'CXL memory expander, 128 GiB', homeNode: 1 },
    ],
  });
