// Hubbard's "Limited NUMA Node": isolation by the lists, in both directions. Nothing falls back
// onto the device, and nothing falls back from it.
import type { Design } from '../hooks/design.ts';
import { MPOL_BIND } from '../hooks/policy_modes.ts';

export const limitedNode: Design = {
  id: 'limited-node',
  title: 'Limited NUMA node: no automatic use in either direction',
  summary:
    "Device zones are in no other node's FALLBACK list, and a device node's own FALLBACK list holds " +
    'only itself: a request that starts there fails when the device is full instead of eating system ' +
    "RAM. MPOL_BIND starts from the device as in the thread's last patch.",
  sources: [
    {
      author: 'John Hubbard',
      date: '2017-03-08',
      title: 'Re: [PATCH 1/2] mm: Change generic FALLBACK zonelist creation process',
    },
    {
      author: 'John Hubbard',
      date: '2017-03-15',
      title: 'Re: [PATCH 1/2] mm: Change generic FALLBACK zonelist creation process',
    },
  ],
  promise: {
    text: 'No page is on a device node unless its request started there, and no such request spills.',
    isolated: (view) => view.coherentDevice,
    allows: ({ nid, listOwner }, { coherentDevice }) =>
      listOwner === nid || !(coherentDevice.has(nid) || coherentDevice.has(listOwner)),
  },
  decisionPoints: [
    {
      kernelFunction: 'mm/page_alloc.c: free_area_init; mm/memory_hotplug.c: node_states_set_node',
      answer: 'coherentDevice',
      change: 'Memory of a device sets the node state N_COHERENT_DEVICE beside N_MEMORY.',
    },
    {
      kernelFunction: 'mm/page_alloc.c: build_zonelists',
      answer: 'fallbackListHolds',
      change: 'A device node enters no FALLBACK list but its own, which holds nothing else.',
    },
    {
      kernelFunction: 'mm/mempolicy.c: policy_node',
      answer: 'policyNode',
      change:
        'MPOL_BIND off the local node starts from the first node of the mask if that is a device.',
    },
    {
      kernelFunction:
        'mm/hugetlb.c: hugetlb_hstate_alloc_pages, __nr_hugepages_store_common, ' +
        'return_unused_surplus_pages, hugetlb_register_all_nodes',
      answer: 'hugetlbNodes',
      change: 'Pools use system memory nodes where stock uses all memory nodes.',
    },
  ],
  answers: {
    coherentDevice: (nid, view) => view.device.has(nid),
    fallbackListHolds: (owner, candidate, view) =>
      owner === candidate ||
      !(view.coherentDevice.has(candidate) || view.coherentDevice.has(owner)),
    policyNode: ({ mode, nodes, nid }, view) => {
      if (mode !== MPOL_BIND || nodes.has(nid)) return nid;
      const first = nodes.first();
      return view.coherentDevice.has(first) ? first : nid;
    },
    hugetlbNodes: (view) => view.memory.andNot(view.coherentDevice),
  },
};
