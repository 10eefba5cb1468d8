// The sample machine of the coherent-device-memory V3 thread: two RAM nodes with CPUs, three nodes
// of device memory in ZONE_MOVABLE.
// Source   Anshuman Khandual, "[PATCH 1/2] mm: Change generic FALLBACK zonelist creation process",
//          2017-03-08, "Sample zonelist configuration". Told there: the five nodes, which are RAM
//          and which CDM, the zones, the order of every list. Node 1's zones stand at physical 4
//          GiB, so node 0 holds 4 GiB. 64 KiB pages are what POWER kernels of the time had.
// Chosen   the other sizes, the CPUs, and distances under which stock Linux prints the order of the
//          sample: every device list goes on with node 0, then node 1.
import type { Machine } from '../machine.ts';
import { buildPreset } from './preset.ts';

const DEVICE_NODES = [2, 3, 4];

const sample = (name: string, note: string, hasLateDevices: boolean): Machine =>
  buildPreset({
    name,
    note,
    arch: 'ppc64',
    pageBytes: '64KiB',
    nodes: [
      { id: 0, cpus: '0-7', memory: '4GiB' },
      { id: 1, cpus: '8-15', memory: '4GiB' },
      ...DEVICE_NODES.map((id) => ({
        id,
        memory: '4GiB',
        memoryZone: 'movable' as const,
        device: `gpu${id - 2}`,
        ...(hasLateDevices ? { offlineAtStart: true } : {}),
      })),
    ],
    distances: [
      [10, 20, 40, 40, 40],
      [20, 10, 80, 80, 80],
      [40, 80, 10, 80, 80],
      [40, 80, 80, 10, 80],
      [40, 80, 80, 80, 10],
    ],
    devices: DEVICE_NODES.map((id) => ({
      name: `gpu${id - 2}`,
      kind: 'coherent device of the thread',
      homeNode: 0,
    })),
  });

export const thread = (): Machine =>
  sample(
    'thread',
    'The five-node sample of the CDM V3 thread (Khandual, 2017-03-08): nodes 0 and 1 RAM, ' +
      'nodes 2-4 coherent device memory; sizes, CPUs and distances chosen.',
    false,
  );

/** The same before a driver has found its device: nodes are there, and their memory is offline. */
export const threadLate = (): Machine =>
  sample(
    'thread-late',
    'The sample of the thread before drivers have plugged in the memory of nodes 2-4, as POWER ' +
      'boots nodes without memory to hotplug it later (Khandual, 2017-03-06).',
    true,
  );
