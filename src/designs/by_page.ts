// Services kept off by page, as the thread answers to VM_CDM: what decides is the memory that a
// page is in, and not the area that maps it. With V3's gate.
import type { Design } from '../hooks/design.ts';
import { MASK_REQUEST } from '../hooks/design.ts';

export const byPage: Design = {
  id: 'by-page',
  title: 'The gate, and services kept off device pages',
  summary:
    'V3, with NUMA balancing and KSM stopped at pages of coherent device memory, wherever they are ' +
    'mapped: they are not taken away for hinting faults, no page is moved onto or off a device, they ' +
    'are not merged, and compaction does not move them. Pages of the same area in system memory take part as ever. Nothing is ' +
    'demoted onto a device.',
  sources: [
    {
      author: 'Jerome Glisse',
      date: '2017-02-21',
      title: 'Re: [PATCH V3 0/4] Define coherent device memory node',
    },
    {
      author: 'Balbir Singh',
      date: '2017-03-01',
      title: 'Re: [PATCH V3 0/4] Define coherent device memory node',
    },
  ],
  promise: {
    text: 'No page is on a device node unless its request named nodes itself.',
    isolated: (view) => view.coherentDevice,
  },
  decisionPoints: [
    {
      kernelFunction: 'mm/page_alloc.c: free_area_init; mm/memory_hotplug.c: node_states_set_node',
      answer: 'coherentDevice',
      change: 'Memory of a device sets the node state N_COHERENT_DEVICE beside N_MEMORY.',
    },
    {
      kernelFunction: 'mm/page_alloc.c: get_page_from_freelist',
      answer: 'zoneGate',
      change: 'The gate of V3: zones of such nodes need __GFP_THISNODE or a mask of the request.',
    },
    {
      kernelFunction: 'mm/hugetlb.c: hugetlb_hstate_alloc_pages, __nr_hugepages_store_common',
      answer: 'hugetlbNodes',
      change: 'Pools use system memory nodes where stock uses all memory nodes.',
    },
    {
      kernelFunction: 'mm/mprotect.c: change_pte_range',
      answer: 'changePteRange',
      change: 'Pages of device nodes are not taken away for hinting faults.',
    },
    {
      kernelFunction: 'mm/memory.c: numa_migrate_prep',
      answer: 'numaMigratePrep',
      change: 'No page goes onto or off a device node at a hinting fault.',
    },
    {
      kernelFunction: 'mm/ksm.c: cmp_and_merge_page',
      answer: 'cmpAndMergePage',
      change: 'Pages of device nodes are passed over.',
    },
    {
      kernelFunction: 'mm/compaction.c: isolate_migratepages_block',
      answer: 'isolateMigratepagesBlock',
      change: 'Pages of device nodes are passed over.',
    },
    {
      kernelFunction: 'mm/memory-tiers.c: establish_demotion_targets',
      answer: 'demotionTarget',
      change: 'Device nodes are no targets of demotion.',
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
    changePteRange: (nid, view) => !view.coherentDevice.has(nid),
    numaMigratePrep: (from, to, view) =>
      !view.coherentDevice.has(from) && !view.coherentDevice.has(to),
    cmpAndMergePage: (nid, view) => !view.coherentDevice.has(nid),
    isolateMigratepagesBlock: ({ nid }, view) => !view.coherentDevice.has(nid),
    demotionTarget: (_from, to, view) => !view.coherentDevice.has(to),
  },
};
