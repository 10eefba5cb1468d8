// ZONE_DEVICE memory that CPUs can map: pages of programs are moved there by the driver and used
// from both sides, and neither the page allocator nor reclaim knows of it.
import type { Design } from '../hooks/design.ts';

export const hmmCoherent: Design = {
  id: 'hmm-coherent',
  title: 'HMM with coherent memory: mapped from both sides, handed out by the driver',
  summary:
    'The driver gives the memory page frames and keeps them (MEMORY_DEVICE_COHERENT): no zone of ' +
    'the page allocator, no node with memory, no list of reclaim. It moves private pages of ' +
    'programs there, which CPUs go on to use where they are; pages of files and of shared memory ' +
    'stay. Policies and cpusets cannot name it, move_pages does not see it, and a long-term pin ' +
    'moves the page out first.',
  sources: [
    {
      author: 'Jerome Glisse',
      date: '2017-04-07',
      title: 'Cache coherent device memory (CDM) with HMM',
    },
    {
      author: 'Alex Sierra',
      date: '2022-07-15',
      title: '[PATCH v9 00/14] Add MEMORY_DEVICE_COHERENT for coherent device memory mapping',
    },
  ],
  promise: {
    text:
      'Only private pages that a device used or that its driver was asked for are on a device, and ' +
      'none of them is pinned for long: a pin moves it out first.',
    isolated: (view) => view.device.andNot(view.cpu),
    // No walk of the page allocator gives memory of a device: it is in none of its zones.
    allows: ({ nid }, view) => !view.device.has(nid),
    inDriverMemory: { privatePages: true, filePages: false },
  },
  decisionPoints: [
    {
      kernelFunction: 'mm/memremap.c: memremap_pages',
      answer: 'memremapPages',
      change: "Memory of a device is the driver's, coherent, and not of the page allocator.",
    },
  ],
  answers: {
    memremapPages: () => 'coherent',
  },
};
