// Memory tiers: device memory is slower memory, or faster. Cold pages go down to it and hot ones
// come up, and nobody is kept off anything.
import { Nodemask } from '../base/nodemask.ts';
import type { Design, MemorySpeed, TieredMemory } from '../hooks/design.ts';

/** Abstract distance of memory that nobody says anything about (MEMTIER_ADISTANCE_DRAM). */
const ADISTANCE_DRAM = 4 * 128 + 128 / 2;
/** Of memory that a driver hands over without a description (MEMTIER_DEFAULT_DAX_ADISTANCE). */
const ADISTANCE_DAX = 5 * ADISTANCE_DRAM;

/**
 * The distance of memory by what firmware tells of it and of the first node with CPUs: in
 * proportion to latency, and in inverse proportion to bandwidth (6.7: mt_perf_to_adistance). Both
 * are as a CPU sees them, so memory that is fast for its device may count as slower than DRAM.
 */
export function distanceOf(own: MemorySpeed, dram: MemorySpeed): number {
  const byLatency = Math.floor((ADISTANCE_DRAM * own.latencyNs) / dram.latencyNs);
  return Math.floor((byLatency * dram.bandwidthBytesPerS) / own.bandwidthBytesPerS);
}

function calcAdistance({ nid, speed, dram }: TieredMemory, device: Nodemask): number {
  if (!device.has(nid)) return ADISTANCE_DRAM;
  if (speed === undefined || dram === undefined) return ADISTANCE_DAX;
  return distanceOf(speed, dram);
}

export const memoryTiers: Design = {
  id: 'memory-tiers',
  title: 'Memory tiers: demotion and promotion, no isolation',
  summary:
    'Device memory is a node like any other, in a tier by its abstract distance: by latency and ' +
    'bandwidth where the machine tells both, as HMAT does, else as the dax/kmem driver has it, five ' +
    'times that of DRAM. The administrator has switched demotion on, and NUMA balancing to mode 2, ' +
    'which brings hot pages up.',
  sources: [
    {
      author: 'Linux',
      date: '2024-01-07',
      title: 'Linux 6.7, mm/memory-tiers.c: mt_perf_to_adistance',
    },
    { author: 'Linux', date: '2022-12-11', title: 'Linux 6.1, mm/memory-tiers.c and mm/vmscan.c' },
  ],
  promise: {
    text: 'Nothing is promised about who is on the device: tiers are no isolation.',
    isolated: () => Nodemask.EMPTY,
  },
  decisionPoints: [
    {
      kernelFunction: 'mm/memory-tiers.c: mt_calc_adistance',
      answer: 'mtCalcAdistance',
      change: 'Memory of a device gets its distance from firmware, else the default of dax/kmem.',
    },
  ],
  answers: { mtCalcAdistance: (memory, view) => calcAdistance(memory, view.device) },
  agent: {
    delayOps: 0,
    atBoot: ({ nodes }) =>
      nodes.device.isEmpty()
        ? []
        : [
            'sys write /sys/kernel/mm/numa/demotion_enabled 1',
            'sys write /proc/sys/kernel/numa_balancing 2',
          ],
    onEvent: () => [],
    onTask: () => [],
    keepsGroup: () => true,
  },
};
