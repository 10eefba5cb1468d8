// Private memory nodes, as posted for the fifth time: device memory is in no list that an ordinary
// request walks, not even in its own, and services come back one by one.
import { UserError } from '../base/assert.ts';
import { Nodemask } from '../base/nodemask.ts';
import type {
  AllocReason,
  DecisionPoint,
  Design,
  DesignAnswers,
  NodesView,
} from '../hooks/design.ts';

/** What the driver of a node may let back in (NODE_PRIVATE_CAP_*). */
export const PRIVATE_CAPS = [
  'RECLAIM',
  'USER_NUMA',
  'HOTUNPLUG',
  'DEMOTION',
  'NUMA_BALANCING',
  'LTPIN',
] as const;
export type PrivateCap = (typeof PRIVATE_CAPS)[number];

/** The capability that a request needs for its reason; an owner needs none. */
const CAP_OF: Readonly<Record<Exclude<AllocReason, 'owner'>, PrivateCap>> = {
  policy: 'USER_NUMA',
  'user migration': 'USER_NUMA',
  collapse: 'USER_NUMA',
  demotion: 'DEMOTION',
};

const DECISION_POINTS: readonly DecisionPoint[] = [
  {
    kernelFunction: 'mm/memory_hotplug.c: online_pages',
    answer: 'privateMemory',
    change: 'Memory of a device sets N_MEMORY_PRIVATE in the place of N_MEMORY.',
  },
  {
    kernelFunction: 'mm/page_alloc.c: build_zonelists',
    answer: 'fallbackListHolds',
    change: 'Private nodes are in no FALLBACK list, their own not excepted.',
  },
  {
    kernelFunction: 'mm/page_alloc.c: build_thisnode_zonelists',
    answer: 'noFallbackListHolds',
    change: 'The NOFALLBACK list of a private node is empty.',
  },
  {
    kernelFunction: 'mm/page_alloc.c: build_zonelists',
    answer: 'privateListHolds',
    change: 'ZONELIST_PRIVATE of every node holds nodes with memory and private ones.',
  },
  {
    kernelFunction: 'mm/page_alloc.c: prepare_alloc_pages',
    answer: 'selectZonelist',
    change:
      'ZONELIST_PRIVATE is walked by policies that name a private node (MPOL_F_PRIVATE), by moves ' +
      'that programs ask for, by demotion where it is let in, and by the owner.',
  },
  {
    kernelFunction: 'mm/mempolicy.c: mpol_set_nodemask; mm/migrate.c: do_pages_move',
    answer: 'mpolSetNodemask',
    change:
      'Without USER_NUMA policies lose private nodes from their masks, and move_pages knows ' +
      'neither the node (ENODEV) nor pages on it (ENOENT).',
  },
  {
    kernelFunction: 'mm/gup.c: check_and_migrate_movable_pages',
    answer: 'longtermPinFails',
    change: 'Without LTPIN a long-term pin fails and the page stays.',
  },
  {
    kernelFunction: 'mm/vmscan.c: wakeup_kswapd',
    answer: 'kswapdRuns',
    change: 'Without RECLAIM no daemon reclaims from a private node.',
  },
  {
    kernelFunction: 'mm/vmscan.c: shrink_zones',
    answer: 'directReclaim',
    change: 'Without RECLAIM no request reclaims from a private node.',
  },
  {
    kernelFunction: 'mm/compaction.c: kcompactd_run',
    answer: 'kcompactdRuns',
    change: 'A private node has no kcompactd.',
  },
  {
    kernelFunction: 'mm/compaction.c: compact_zone',
    answer: 'compactZone',
    change: 'No capability lets compaction in: zones of a private node stay as they are.',
  },
  {
    kernelFunction: 'mm/madvise.c: madvise_cold_or_pageout_pte_range, madvise_free_pte_range',
    answer: 'madviseColdOrPageout',
    change: 'Without RECLAIM programs cannot hand pages of a private node to reclaim.',
  },
  {
    kernelFunction: 'mm/memory-tiers.c: set_node_memory_tier',
    answer: 'setNodeMemoryTier',
    change: 'With DEMOTION a private node is in a tier.',
  },
  {
    kernelFunction: 'mm/mprotect.c: change_pte_range',
    answer: 'changePteRange',
    change: 'Without NUMA_BALANCING pages of a private node are not scanned.',
  },
  {
    kernelFunction: 'mm/memory_hotplug.c: do_migrate_range',
    answer: 'doMigrateRange',
    change: 'Without HOTUNPLUG pages are not moved off memory that goes, which stays (EBUSY).',
  },
  {
    kernelFunction: 'mm/khugepaged.c: hpage_collapse_scan_pmd',
    answer: 'collapseScan',
    change: 'MADV_COLLAPSE takes pages of a private node with USER_NUMA only.',
  },
  {
    kernelFunction: 'mm/ksm.c: cmp_and_merge_page',
    answer: 'cmpAndMergePage',
    change: 'Pages of a private node are not merged.',
  },
];

const isPrivate = (nid: number, view: NodesView): boolean => view.privateMemory.has(nid);

/** The answers of a driver that has let some services in. */
function answersWith(has: (cap: PrivateCap) => boolean): DesignAnswers {
  const unlessPrivate =
    (cap: PrivateCap) =>
    (nid: number, view: NodesView): boolean =>
      !isPrivate(nid, view) || has(cap);
  return {
    privateMemory: (nid, view) => view.device.has(nid),
    fallbackListHolds: (_owner, candidate, view) => !isPrivate(candidate, view),
    noFallbackListHolds: (owner, view) => !isPrivate(owner, view),
    privateListHolds: () => true,
    selectZonelist: (reason, nodes, view) =>
      nodes.intersects(view.privateMemory) && (reason === 'owner' || has(CAP_OF[reason])),
    mpolSetNodemask: unlessPrivate('USER_NUMA'),
    longtermPinFails: (nid, view) => isPrivate(nid, view) && !has('LTPIN'),
    kswapdRuns: unlessPrivate('RECLAIM'),
    directReclaim: unlessPrivate('RECLAIM'),
    kcompactdRuns: (nid, view) => !isPrivate(nid, view),
    compactZone: (nid, view) => !isPrivate(nid, view),
    madviseColdOrPageout: unlessPrivate('RECLAIM'),
    setNodeMemoryTier: () => has('DEMOTION'),
    changePteRange: unlessPrivate('NUMA_BALANCING'),
    doMigrateRange: unlessPrivate('HOTUNPLUG'),
    collapseScan: unlessPrivate('USER_NUMA'),
    cmpAndMergePage: (nid, view) => !isPrivate(nid, view),
  };
}

/**
 * The design with the capabilities of a driver's choice. Dependencies are checked once, as
 * node_private_register does.
 * @throws UserError where a capability lacks another.
 */
export function makePrivateNode(id: string, caps: readonly PrivateCap[]): Design {
  const has = (cap: PrivateCap): boolean => caps.includes(cap);
  if (has('DEMOTION') && !has('RECLAIM')) {
    throw new UserError(`${id}: DEMOTION needs RECLAIM, or the node would only fill up`);
  }
  return {
    id,
    title: 'Private memory node: a list of its own, services by request',
    summary:
      'Memory of a device sets N_MEMORY_PRIVATE and not N_MEMORY. Its zones are in no FALLBACK and ' +
      'in no NOFALLBACK list, so that not even __GFP_THISNODE finds them, but in a third list, ' +
      'ZONELIST_PRIVATE, beside all other memory. That is walked for a policy that names such a ' +
      'node, for moves that a program asks for, and for the driver that owns the node. Cpusets have ' +
      `no say. Of the services let in: ${caps.join(', ') || 'none'}. khugepaged and KSM never are.`,
    sources: [
      {
        author: 'Gregory Price',
        date: '2026-07-20',
        title: '[RFC v5] Private Memory NUMA Nodes',
      },
    ],
    promise: has('DEMOTION')
      ? {
          text: 'Nothing more: reclaim puts pages on private nodes, as their driver let it.',
          isolated: () => Nodemask.EMPTY,
        }
      : {
          text:
            'No page is on a private node unless its policy, a program or the owner named that ' +
            'node.',
          isolated: (view) => view.privateMemory,
          allows: ({ nid, isPrivateList }, view) => isPrivateList || !view.privateMemory.has(nid),
        },
    decisionPoints: DECISION_POINTS,
    answers: answersWith(has),
  };
}

/** What a driver lets in that wants its memory bound to, and nothing else to happen to it. */
export const privateNode: Design = makePrivateNode('private-node', ['USER_NUMA', 'HOTUNPLUG']);
