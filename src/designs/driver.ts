// The driver owns the memory: the kernel never hears of it. A program gets it by mapping the
// device's file, and what it allocates otherwise stays in system memory for good.
import type { Design } from '../hooks/design.ts';

export const driver: Design = {
  id: 'driver',
  title: 'The driver owns the memory: mmap of the device file, and no node',
  summary:
    'Memory of a device is none of the kernel: no page frames, no node, no policy. A program asks ' +
    "the driver for it (mmap of the device's file), and has it or an error. Its other memory is " +
    'never moved to the device, which reaches it over the link; what the device is first to use ' +
    'comes from the nearest CPU node. NVIDIA calls it CDMM.',
  sources: [
    {
      author: 'Michal Hocko',
      date: '2017-02-21',
      title: 'Re: [PATCH V3 0/4] Define coherent device memory node',
    },
    {
      author: 'NVIDIA',
      date: '2025-10-14',
      title: 'Understanding Memory Management on Hardware-Coherent Platforms',
    },
  ],
  promise: {
    text:
      'Only buffers that a program allocated from the driver are in the memory of a device: no ' +
      'fault, policy or move brings other memory there.',
    isolated: (view) => view.device.andNot(view.cpu),
    // No walk of the page allocator gives memory of a device: it is in none of its zones.
    allows: ({ nid }, view) => !view.device.has(nid),
    inDriverMemory: { privatePages: false, filePages: false },
  },
  decisionPoints: [
    {
      kernelFunction: 'mm/memremap.c: memremap_pages',
      answer: 'memremapPages',
      change: 'It is never called: memory of a device stays out of the kernel.',
    },
  ],
  answers: {
    memremapPages: () => 'none',
  },
};
