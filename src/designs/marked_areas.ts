// VM_CDM, which V3 of the thread leaves for later: an area that is given a page of device memory is
// marked for good, and NUMA balancing and KSM leave marked areas alone. With V3's gate.
import type { Design } from '../hooks/design.ts';
import { MASK_REQUEST } from '../hooks/design.ts';

export const markedAreas: Design = {
  id: 'marked-areas',
  title: 'VM_CDM: the gate, and services kept off by area',
  summary:
    'V3 with the part that was to follow. A fault that gives an area a page of coherent device ' +
    'memory marks the area (VM_CDM). NUMA balancing does not scan marked areas, they ignore ' +
    'MADV_MERGEABLE, and compaction does not move their pages. The mark never goes; pages that a driver moves to the device set none; an ' +
    'area that was mergeable before stays so.',
  sources: [
    {
      author: 'Anshuman Khandual',
      date: '2017-01-29',
      title: '[RFC V2 00/12] Define coherent device memory node',
    },
    {
      author: 'Anshuman Khandual',
      date: '2017-02-15',
      title: '[PATCH V3 0/4] Define coherent device memory node',
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
      kernelFunction: 'mm/mempolicy.c: alloc_pages_vma (6.1: vma_alloc_folio)',
      answer: 'vmaAllocFolio',
      change: 'A page of coherent device memory marks the area that it is given to.',
    },
    {
      kernelFunction: 'kernel/sched/fair.c: task_numa_work',
      answer: 'taskNumaWork',
      change: 'Marked areas are not scanned.',
    },
    {
      kernelFunction: 'mm/ksm.c: ksm_madvise',
      answer: 'ksmMadvise',
      change: 'Marked areas ignore MADV_MERGEABLE.',
    },
    {
      kernelFunction: 'mm/compaction.c: isolate_migratepages_block',
      answer: 'isolateMigratepagesBlock',
      change: 'Pages of marked areas are passed over. The posting does not name compaction.',
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
    vmaAllocFolio: (nid, view) => view.coherentDevice.has(nid),
    taskNumaWork: (area) => !area.isMarked,
    ksmMadvise: (area) => !area.isMarked,
    isolateMigratepagesBlock: (page) => !page.isMarked,
  },
};
