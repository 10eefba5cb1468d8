// The two patches at the end of the thread: isolation by the lists themselves. Coherent device
// memory is in no other node's FALLBACK list; MPOL_BIND learns to start from the device's own list.
import type { Design } from '../hooks/design.ts';
import { MPOL_BIND } from '../hooks/policy_modes.ts';

export const zonelist: Design = {
  id: 'zonelist',
  title: 'Isolation by zonelist, MPOL_BIND starts from the device',
  summary:
    "Device zones are in no other node's FALLBACK list. A device node's own FALLBACK list is itself, " +
    'then system RAM. When the local node is not in the mask of an MPOL_BIND policy and the first ' +
    'node of the mask is a device, the walk starts from that node. HugeTLB pools use system memory.',
  sources: [
    {
      author: 'Anshuman Khandual',
      date: '2017-03-08',
      title: '[PATCH 1/2] mm: Change generic FALLBACK zonelist creation process',
    },
    {
      author: 'Anshuman Khandual',
      date: '2017-03-08',
      title: '[PATCH 2/2] mm: Change mbind(MPOL_BIND) implementation for CDM nodes',
    },
  ],
  promise: {
    text: "No page is on a device node unless its request started from that node's own list.",
    isolated: (view) => view.coherentDevice,
    allows: ({ nid, listOwner }, view) => !view.coherentDevice.has(nid) || listOwner === nid,
  },
  decisionPoints: [
    {
      kernelFunction: 'mm/page_alloc.c: free_area_init; mm/memory_hotplug.c: node_states_set_node',
      answer: 'coherentDevice',
      change:
        'Memory of a device sets the node state N_COHERENT_DEVICE beside N_MEMORY (patch 1/4).',
    },
    {
      kernelFunction: 'mm/page_alloc.c: build_zonelists',
      answer: 'fallbackListHolds',
      change: 'A device node enters no FALLBACK list but its own.',
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
      change: 'Pools use system memory nodes where stock uses all memory nodes (patch 2/4).',
    },
  ],
  answers: {
    coherentDevice: (nid, view) => view.device.has(nid),
    fallbackListHolds: (owner, candidate, view) =>
      owner === candidate || !view.coherentDevice.has(candidate),
    policyNode: ({ mode, nodes, nid }, view) => {
      if (mode !== MPOL_BIND || nodes.has(nid)) return nid;
      const first = nodes.first();
      return view.coherentDevice.has(first) ? first : nid;
    },
    hugetlbNodes: (view) => view.memory.andNot(view.coherentDevice),
  },
};
