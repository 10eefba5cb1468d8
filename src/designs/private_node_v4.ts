// Private memory nodes, as posted for the fourth time: a flag of the request opens them.
import { NotModelled, UserError } from '../base/assert.ts';
import { Nodemask } from '../base/nodemask.ts';
import type {
  AllocReason,
  DecisionPoint,
  Design,
  DesignAnswers,
  NodesView,
} from '../hooks/design.ts';

/** What the driver of a node may let back in (NP_OPS_*). */
export const NP_OPS = [
  'MIGRATION',
  'MEMPOLICY',
  'DEMOTION',
  'PROTECT_WRITE',
  'RECLAIM',
  'NUMA_BALANCING',
  'COMPACTION',
  'LONGTERM_PIN',
  'OOM_ELIGIBLE',
] as const;
export type NpOp = (typeof NP_OPS)[number];

/** What each cannot do without. */
const NEEDS: Partial<Record<NpOp, NpOp>> = {
  MEMPOLICY: 'MIGRATION',
  NUMA_BALANCING: 'MIGRATION',
  COMPACTION: 'MIGRATION',
};

/** The opt-in that a request needs for its reason; an owner needs none, and nothing collapses. */
const OP_OF: Readonly<Partial<Record<AllocReason, NpOp>>> = {
  policy: 'MEMPOLICY',
  'user migration': 'MIGRATION',
  demotion: 'DEMOTION',
};

const DECISION_POINTS: readonly DecisionPoint[] = [
  {
    kernelFunction: 'mm/memory_hotplug.c: online_pages',
    answer: 'privateMemory',
    change: 'Memory of a device sets N_MEMORY_PRIVATE in the place of N_MEMORY (patch 1).',
  },
  {
    kernelFunction: 'mm/page_alloc.c: build_zonelists',
    answer: 'fallbackListHolds',
    change: 'A private node is in no FALLBACK list but its own (patch 4).',
  },
  {
    kernelFunction: 'mm/page_alloc.c: get_page_from_freelist',
    answer: 'zoneGate',
    change: 'Zones of private nodes need __GFP_PRIVATE, with cpusets or without (patches 2, 3).',
  },
  {
    kernelFunction: 'mm/mempolicy.c: vma_alloc_folio; mm/migrate.c: alloc_migration_target',
    answer: 'selectZonelist',
    change: 'Requests carry the flag where the node has opted in (patches 12 to 14).',
  },
  {
    kernelFunction: 'mm/mempolicy.c: policy_node',
    answer: 'policyNode',
    change:
      'A policy that names private nodes alone starts from the first of them. The posting does ' +
      'not say how its lists are reached; its example of mbind needs this much.',
  },
  {
    kernelFunction: 'mm/mempolicy.c: mpol_set_nodemask; mm/migrate.c: do_pages_move',
    answer: 'mpolSetNodemask',
    change: 'Without MEMPOLICY programs cannot name private nodes (patch 13).',
  },
  {
    kernelFunction: 'mm/gup.c: check_and_migrate_movable_pages',
    answer: 'longtermPinFails',
    change: 'Without LONGTERM_PIN a long-term pin fails (patch 20).',
  },
  {
    kernelFunction: 'mm/vmscan.c: wakeup_kswapd',
    answer: 'kswapdRuns',
    change: 'No daemon is started for a private node: its owner reclaims, if anybody does.',
  },
  {
    kernelFunction: 'mm/vmscan.c: shrink_zones',
    answer: 'directReclaim',
    change: 'Without RECLAIM no request reclaims from a private node (patch 16).',
  },
  {
    kernelFunction: 'mm/compaction.c: kcompactd_run',
    answer: 'kcompactdRuns',
    change: 'No kcompactd is started for a private node.',
  },
  {
    kernelFunction: 'mm/compaction.c: compact_zone',
    answer: 'compactZone',
    change: 'Without COMPACTION zones of a private node are not compacted.',
  },
  {
    kernelFunction: 'mm/madvise.c: madvise_cold_or_pageout_pte_range, madvise_free_pte_range',
    answer: 'madviseColdOrPageout',
    change: 'Pages of a private node are skipped (patch 7).',
  },
  {
    kernelFunction: 'mm/memory-tiers.c: establish_demotion_targets',
    answer: 'setNodeMemoryTier',
    change: 'With DEMOTION a private node is in a tier (patch 14).',
  },
  {
    kernelFunction: 'mm/mprotect.c: change_pte_range',
    answer: 'changePteRange',
    change: 'Without NUMA_BALANCING pages of a private node are not scanned (patch 18).',
  },
  {
    kernelFunction: 'mm/memory_hotplug.c: do_migrate_range',
    answer: 'doMigrateRange',
    change: 'Without MIGRATION pages are not moved off memory that goes (patch 22).',
  },
  {
    kernelFunction: 'mm/khugepaged.c: hpage_collapse_scan_pmd',
    answer: 'collapseScan',
    change: 'Pages of a private node are skipped (patch 9).',
  },
  {
    kernelFunction: 'mm/ksm.c: cmp_and_merge_page',
    answer: 'cmpAndMergePage',
    change: 'Pages of a private node are skipped (patch 8).',
  },
];

const isPrivate = (nid: number, view: NodesView): boolean => view.privateMemory.has(nid);

/** The answers of a driver that has let some services in. */
function answersWith(has: (cap: NpOp) => boolean): DesignAnswers {
  const unlessPrivate =
    (cap: NpOp) =>
    (nid: number, view: NodesView): boolean =>
      !isPrivate(nid, view) || has(cap);
  const never = (nid: number, view: NodesView): boolean => !isPrivate(nid, view);
  return {
    privateMemory: (nid, view) => view.device.has(nid),
    fallbackListHolds: (owner, candidate, view) =>
      owner === candidate || !isPrivate(candidate, view),
    zoneGate: {
      gated: (view) => view.privateMemory,
      admits: (_thisNode, _mask, asksPrivate) => asksPrivate,
      refusal: 'private memory: needs __GFP_PRIVATE',
    },
    selectZonelist: (reason, nodes, view) => {
      const op = OP_OF[reason];
      const isIn = reason === 'owner' || (op !== undefined && has(op));
      return isIn && nodes.intersects(view.privateMemory);
    },
    policyNode: ({ nodes, nid }, view) => {
      const isOpen = nodes.has(nid) || nodes.isEmpty();
      return isOpen || !nodes.isSubsetOf(view.privateMemory) ? nid : nodes.first();
    },
    mpolSetNodemask: unlessPrivate('MEMPOLICY'),
    longtermPinFails: (nid, view) => isPrivate(nid, view) && !has('LONGTERM_PIN'),
    kswapdRuns: never,
    directReclaim: unlessPrivate('RECLAIM'),
    kcompactdRuns: never,
    compactZone: unlessPrivate('COMPACTION'),
    madviseColdOrPageout: never,
    setNodeMemoryTier: () => has('DEMOTION'),
    changePteRange: unlessPrivate('NUMA_BALANCING'),
    doMigrateRange: unlessPrivate('MIGRATION'),
    collapseScan: never,
    cmpAndMergePage: never,
  };
}

/**
 * The design with the opt-ins of a driver's choice, checked as node_private_set_ops does.
 * @throws UserError where they do not go together; NotModelled for PROTECT_WRITE and OOM_ELIGIBLE.
 */
export function makePrivateNodeV4(id: string, ops: readonly NpOp[]): Design {
  const has = (op: NpOp): boolean => ops.includes(op);
  for (const op of ops) {
    const needed = NEEDS[op];
    if (needed !== undefined && !has(needed)) throw new UserError(`${id}: ${op} needs ${needed}`);
  }
  if (has('MEMPOLICY') && has('PROTECT_WRITE')) {
    throw new UserError(`${id}: MEMPOLICY and PROTECT_WRITE exclude each other`);
  }
  if (has('PROTECT_WRITE')) throw new NotModelled('memory of a private node that is read only');
  if (has('OOM_ELIGIBLE')) throw new NotModelled('OOM_ELIGIBLE of a private node');
  return {
    id,
    title: 'Private memory node, fourth posting: a flag opens it',
    summary:
      'Memory of a device sets N_MEMORY_PRIVATE and not N_MEMORY, and every walk passes its zones ' +
      'over unless the request carries __GFP_PRIVATE. The lists of other nodes do not hold it; its ' +
      'own FALLBACK list goes on to system memory, for what the kernel allocates on its behalf, and ' +
      'its NOFALLBACK list holds it alone. A policy that names such a node carries the flag, and one ' +
      `that names no other starts from its list. Let in: ${ops.join(', ')}.`,
    sources: [
      {
        author: 'Gregory Price',
        date: '2026-02-22',
        title: '[LSF/MM/BPF TOPIC][RFC PATCH v4 00/27] Private Memory Nodes (w/ Compressed RAM)',
      },
    ],
    promise: has('DEMOTION')
      ? {
          text: 'Nothing more: reclaim puts pages on private nodes, as their driver let it.',
          isolated: () => Nodemask.EMPTY,
        }
      : {
          text: 'No page is on a private node unless its request carried __GFP_PRIVATE.',
          isolated: (view) => view.privateMemory,
        },
    decisionPoints: DECISION_POINTS,
    answers: answersWith(has),
  };
}

/** The posting's basic driver: programs may bind to the memory and move pages. */
export const privateNodeV4: Design = makePrivateNodeV4('private-node-v4', [
  'MIGRATION',
  'MEMPOLICY',
]);
