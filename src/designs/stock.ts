// Stock Linux: no isolation. Device memory is a node like any other, the last in everybody's list.
// The baseline of every comparison.
import { Nodemask } from '../base/nodemask.ts';
import type { Design } from '../hooks/design.ts';

export const stock: Design = {
  id: 'stock',
  title: 'Stock Linux: device memory is ordinary memory',
  summary:
    'The device node is in every FALLBACK list at its distance. Nothing keeps anybody off it: it is ' +
    'used when nearer nodes are full, when a policy or a cpuset names it, and when it is nearest.',
  sources: [
    {
      author: 'Linux',
      date: '2022-12-11',
      title: 'Linux 6.1, mm/page_alloc.c and mm/mempolicy.c',
    },
  ],
  promise: {
    text: 'Nothing is promised about the device node.',
    isolated: () => Nodemask.EMPTY,
  },
  decisionPoints: [],
  answers: {},
};
