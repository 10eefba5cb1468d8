// Coherent ZONE_DEVICE memory that also takes pages of files and of shared memory, as Glisse says
// it could where CPUs can reach the memory.
import type { Design } from '../hooks/design.ts';

export const hmmFiles: Design = {
  id: 'hmm-files',
  title: 'HMM with coherent memory that takes pages of files too',
  summary:
    'As hmm-coherent, and the driver may move pages of the page cache and of shared memory there ' +
    'that no other program maps. They leave the lists of reclaim and stay in their file, where ' +
    'reads, writes and write-back find them; a long-term pin moves them out.',
  sources: [
    {
      author: 'Jerome Glisse',
      date: '2017-02-21',
      title: 'Re: [PATCH V3 0/4] Define coherent device memory node',
    },
    {
      author: 'Jerome Glisse',
      date: '2017-04-07',
      title: 'Cache coherent device memory (CDM) with HMM',
    },
  ],
  promise: {
    text: 'Only pages that a device used or that its driver was asked for are on a device.',
    isolated: (view) => view.device.andNot(view.cpu),
    // No walk of the page allocator gives memory of a device: it is in none of its zones.
    allows: ({ nid }, view) => !view.device.has(nid),
    inDriverMemory: { privatePages: true, filePages: true },
  },
  decisionPoints: [
    {
      kernelFunction: 'mm/memremap.c: memremap_pages',
      answer: 'memremapPages',
      change: "Memory of a device is the driver's, coherent, and not of the page allocator.",
    },
    {
      kernelFunction: 'mm/migrate_device.c: migrate_vma_pages',
      answer: 'migrateVmaPages',
      change: 'Pages with a mapping may go there, where Linux moves anonymous pages only.',
    },
  ],
  answers: {
    memremapPages: () => 'coherent',
    migrateVmaPages: () => true,
  },
};
