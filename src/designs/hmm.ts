// HMM as the thread knew it: ZONE_DEVICE memory that CPUs cannot map. Pages of programs go there
// while the device works on them, and come back when a CPU touches them.
import type { Design } from '../hooks/design.ts';

export const hmm: Design = {
  id: 'hmm',
  title: 'HMM: private device memory, from which a CPU fault brings pages back',
  summary:
    'The driver gives the memory page frames and keeps them (MEMORY_DEVICE_PRIVATE): no zone of ' +
    'the page allocator, no node with memory, no list of reclaim. It mirrors the page tables of ' +
    'the process, and moves private pages there when the device uses them. A touch by a CPU, a ' +
    'pin, mlock: each is a fault that brings the page to system memory, wherever the policy of ' +
    'its area says. Pages of files and of shared memory stay where they are.',
  sources: [
    {
      author: 'Jerome Glisse',
      date: '2017-02-21',
      title: 'Re: [PATCH V3 0/4] Define coherent device memory node',
    },
    { author: 'Jerome Glisse', date: '2017-08-16', title: '[HMM-v25 00/19] HMM (Linux 4.14)' },
  ],
  promise: {
    text:
      'Only private pages that a device used or that its driver was asked for are on a device, and ' +
      'no CPU maps them: one that touches them has them back first.',
    isolated: (view) => view.device.andNot(view.cpu),
    // No walk of the page allocator gives memory of a device: it is in none of its zones.
    allows: ({ nid }, view) => !view.device.has(nid),
    inDriverMemory: { privatePages: true, filePages: false },
  },
  decisionPoints: [
    {
      kernelFunction: 'mm/memremap.c: memremap_pages',
      answer: 'memremapPages',
      change: "Memory of a device is the driver's, out of reach of CPUs and the page allocator.",
    },
  ],
  answers: {
    memremapPages: () => 'private',
  },
};
