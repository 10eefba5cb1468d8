// V3 of the thread: the page allocator passes over coherent device memory unless the request
// asked for that very node or carried a nodemask of its own.
import type { Design } from '../hooks/design.ts';
import { MASK_REQUEST } from '../hooks/design.ts';

export const allocatorGate: Design = {
  id: 'allocator-gate',
  title: 'V3: a gate in the page allocator',
  summary:
    'Device nodes are marked N_COHERENT_DEVICE. While a list is walked their zones are passed over ' +
    'unless the request has __GFP_THISNODE, or carries a nodemask itself. A mask that only stands in ' +
    'for the cpuset does not count, which is what V3 added over V2. HugeTLB pools use system memory.',
  sources: [
    {
      author: 'Anshuman Khandual',
      date: '2017-02-15',
      title: '[PATCH V3 0/4] Define coherent device memory node',
    },
    {
      author: 'Anshuman Khandual',
      date: '2017-02-15',
      title: '[PATCH V3 4/4] mm: Enable Buddy allocation isolation for CDM nodes',
    },
  ],
  promise: {
    text: 'No page is on a device node unless its request named nodes itself.',
    isolated: (view) => view.coherentDevice,
    allows: ({ nid, isThisNode, mask }, view) =>
      !view.coherentDevice.has(nid) || isThisNode || mask === MASK_REQUEST,
  },
  decisionPoints: [
    {
      kernelFunction: 'mm/page_alloc.c: free_area_init; mm/memory_hotplug.c: node_states_set_node',
      answer: 'coherentDevice',
      change:
        'Memory of a device sets the node state N_COHERENT_DEVICE beside N_MEMORY (patch 1/4).',
    },
    {
      kernelFunction: 'mm/page_alloc.c: get_page_from_freelist',
      answer: 'zoneGate',
      change:
        'Zones of such nodes are passed over without __GFP_THISNODE and without a mask of the ' +
        "request's own (patches 3/4 and 4/4).",
    },
    {
      kernelFunction:
        'mm/hugetlb.c: hugetlb_hstate_alloc_pages, __nr_hugepages_store_common, ' +
        'return_unused_surplus_pages, hugetlb_register_all_nodes',
      answer: 'hugetlbNodes',
      change: 'Pools use system memory nodes where stock uses all memory nodes (patch 2/4).',
    },
  ],
  answers: {
    coherentDevice: (nid, view) => view.device.has(nid),
    zoneGate: {
      gated: (view) => view.coherentDevice,
      admits: (thisNode, mask) => thisNode || mask === MASK_REQUEST,
      refusal: 'coherent device memory: needs __GFP_THISNODE or a nodemask of the request itself',
    },
    hugetlbNodes: (view) => view.memory.andNot(view.coherentDevice),
  },
};
