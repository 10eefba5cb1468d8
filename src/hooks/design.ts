// The Design interface: all that an isolation design can answer, and all that it may see. Each
// member is a decision point that some kernel function really has. No answer means stock Linux.
// Holds    Answers are pure. Everything marked "in advance" is asked when a node comes up or a list
//          is built and compiled into flat tables; `policyNode` is asked once a run of requests,
//          `zoneGate.admits` once a walk, only when the walk meets a zone of a gated node, and
//          `hugetlbNodes` when a pool of huge pages changes its size. Those about services are
//          asked while the service is at work.
import type { NodeId } from '../base/ids.ts';
import type { Nodemask } from '../base/nodemask.ts';

/** What a design may see of the machine while it answers. */
export interface NodesView {
  /** N_POSSIBLE: every node the firmware named. */
  readonly possible: Nodemask;
  readonly online: Nodemask;
  /** N_MEMORY. */
  readonly memory: Nodemask;
  /** N_NORMAL_MEMORY: nodes with memory that the kernel itself can use. */
  readonly normalMemory: Nodemask;
  /** N_CPU. */
  readonly cpu: Nodemask;
  /** N_COHERENT_DEVICE, as the design's own `coherentDevice` answered. */
  readonly coherentDevice: Nodemask;
  /** Nodes whose memory firmware or driver says belongs to a device. */
  readonly device: Nodemask;
  /** N_MEMORY_PRIVATE, as the design's own `privateMemory` answered; they are not in `memory`. */
  readonly privateMemory: Nodemask;
}

/** Where the nodemask of a walk came from. */
export const MASK_NONE = 0;
/** The request carried it: MPOL_BIND, MPOL_PREFERRED_MANY, or a kernel caller's own. */
export const MASK_REQUEST = 1;
/** The request carried none; the cpuset's mems stand in for it on the first attempt. */
export const MASK_CPUSET = 2;
export type MaskOrigin = typeof MASK_NONE | typeof MASK_REQUEST | typeof MASK_CPUSET;

/** get_page_from_freelist: zones that a walk passes over unless the request may have them. */
export interface ZoneGate {
  /** In advance: the nodes whose zones are gated. */
  gated(view: NodesView): Nodemask;
  /**
   * May this request use a gated zone?
   * @param asksPrivate `selectZonelist` said yes to the request.
   */
  admits(thisNode: boolean, mask: MaskOrigin, asksPrivate: boolean): boolean;
  /** Why not, in words, for `explain`. */
  readonly refusal: string;
}

/**
 * Why pages are asked for: a policy that names nodes, the driver that owns the node, a program that
 * moves its pages, reclaim that demotes them, a program that has them collapsed.
 */
export type AllocReason = 'policy' | 'owner' | 'user migration' | 'demotion' | 'collapse';
/** What a design sees of a group's pages on a node when one of its tasks asks for more. */
export interface ChargeView {
  readonly nid: NodeId;
  /** Pages of the node that are counted for the group and those below it. */
  readonly used: number;
  /** What the group may have, as its administrator wrote it; Infinity for no limit. */
  readonly limit: number;
}

/** get_page_from_freelist: nodes whose pages are counted for control groups. */
export interface NodeCharge {
  /** In advance: the nodes whose pages are counted. */
  counted(view: NodesView): Nodemask;
  /**
   * Pages that the group may still take there, asked for the task's group and for each above it; a
   * walk passes over the zones of a node that has no room for the request.
   */
  room(charge: ChargeView): number;
  /** Why not, in words, for `explain`. */
  readonly refusal: string;
}

/** What a design sees of an area that a service comes to. */
export interface AreaView {
  /** `vmaAllocFolio` has marked it. */
  readonly isMarked: boolean;
}

/** What a design sees of a page that compaction would move within its node. */
export interface PageView extends AreaView {
  readonly nid: NodeId;
}

/**
 * What becomes of memory that a device's driver keeps to itself. `private`: it has page frames, and
 * CPUs cannot map them (MEMORY_DEVICE_PRIVATE). `coherent`: CPUs can (MEMORY_DEVICE_COHERENT).
 * `none`: the kernel never hears of it; programs reach it by mapping the device's file.
 */
export const DEVICE_MEMORY_TYPES = ['private', 'coherent', 'none'] as const;
export type DeviceMemoryType = (typeof DEVICE_MEMORY_TYPES)[number];

/** What firmware tells of memory, as CPUs see it. */
export interface MemorySpeed {
  readonly latencyNs: number;
  readonly bandwidthBytesPerS: number;
}

/** A node whose memory is to get its place among the tiers. */
export interface TieredMemory {
  readonly nid: NodeId;
  /** As its nearest CPUs see it; undefined unless the machine tells latency and bandwidth. */
  readonly speed: MemorySpeed | undefined;
  /** The same of the first node with CPUs. */
  readonly dram: MemorySpeed | undefined;
}

/** What a policy asks of policy_node, before the answer. */
export interface PolicyNodeRequest {
  readonly mode: number;
  readonly nodes: Nodemask;
  /** The node stock Linux would start from when no home node is set. */
  readonly nid: NodeId;
}

/** Where the idea comes from. */
export interface DesignSource {
  readonly author: string;
  /** ISO date. */
  readonly date: string;
  /** Subject of the message or title of the document. */
  readonly title: string;
}

/** A kernel function that the design would change, and how. */
export interface DecisionPoint {
  /** `mm/page_alloc.c: get_page_from_freelist`. */
  readonly kernelFunction: string;
  /** The member of `answers` that stands for it. */
  readonly answer: keyof DesignAnswers;
  /** One sentence. */
  readonly change: string;
}

export interface DesignAnswers {
  /**
   * In advance, when memory of a node comes up: is it coherent device memory (N_COHERENT_DEVICE)?
   */
  readonly coherentDevice?: (nid: NodeId, view: NodesView) => boolean;
  /**
   * In advance, before zones are laid out: does a driver keep the memory of a node out of the page
   * allocator, and as what (memremap_pages)? No answer: it is memory like any other.
   */
  readonly memremapPages?: (nid: NodeId, view: NodesView) => DeviceMemoryType | undefined;
  /**
   * When a driver moves pages to memory that it keeps: may those of files and of shared memory go
   * there (migrate_vma_pages)? No answer: private pages only.
   */
  readonly migrateVmaPages?: (nid: NodeId, view: NodesView) => boolean;
  /** In advance, while a FALLBACK list is built: may `candidate` follow in the list of `owner`? */
  readonly fallbackListHolds?: (owner: NodeId, candidate: NodeId, view: NodesView) => boolean;
  /** While a list is walked: zones kept from requests that did not ask. */
  readonly zoneGate?: ZoneGate;
  /**
   * In advance, when memory of a node comes up: does that set N_MEMORY_PRIVATE in the place of
   * N_MEMORY (online_pages)? Everything that goes by N_MEMORY then passes the node over: FALLBACK
   * lists, cpusets, tiers, pools.
   */
  readonly privateMemory?: (nid: NodeId, view: NodesView) => boolean;
  /** In advance: does the NOFALLBACK list of a node hold it (build_thisnode_zonelists)? */
  readonly noFallbackListHolds?: (owner: NodeId, view: NodesView) => boolean;
  /**
   * In advance, while a third list is built for each node: may `candidate` follow in that of
   * `owner` (build_zonelists)? No answer: there is no third list.
   */
  readonly privateListHolds?: (owner: NodeId, candidate: NodeId, view: NodesView) => boolean;
  /**
   * At each request for users' pages that names nodes: does it ask for private memory, so that it
   * walks the third list, if there is one, and shows itself to `zoneGate` (node_zonelist)?
   */
  readonly selectZonelist?: (reason: AllocReason, nodes: Nodemask, view: NodesView) => boolean;
  /**
   * When a program names a node of private memory in a policy or moves pages to it or off it: may
   * it (mpol_set_nodemask, do_pages_move, add_page_for_migration)?
   */
  readonly mpolSetNodemask?: (nid: NodeId, view: NodesView) => boolean;
  /** While a list is walked: whose tasks may take how much of a node. */
  readonly nodeCharge?: NodeCharge;
  /** At each request under a policy: the node whose list it starts from. A home node still wins. */
  readonly policyNode?: (request: PolicyNodeRequest, view: NodesView) => NodeId;
  /**
   * While a page is pinned for long: does the pin fail because of its node, wherever the page could
   * go (check_and_migrate_movable_pages)?
   */
  readonly longtermPinFails?: (nid: NodeId, view: NodesView) => boolean;
  /**
   * When reclaim is to have pages that a program names, MADV_COLD, MADV_PAGEOUT and MADV_FREE: may
   * it have those of the node (madvise_cold_or_pageout_pte_range, madvise_free_pte_range)?
   */
  readonly madviseColdOrPageout?: (nid: NodeId, view: NodesView) => boolean;
  /** When small pages are collapsed: may those of the node (hpage_collapse_scan_pmd)? */
  readonly collapseScan?: (nid: NodeId, view: NodesView) => boolean;
  /** When a memory block goes offline: may its pages be moved away (do_migrate_range)? */
  readonly doMigrateRange?: (nid: NodeId, view: NodesView) => boolean;
  /**
   * When fresh private pages have been given to an area: does that mark the area for good, as
   * VM_CDM of the thread does (vma_alloc_folio)?
   */
  readonly vmaAllocFolio?: (nid: NodeId, view: NodesView) => boolean;
  /** At each round of NUMA balancing: is the area looked at (task_numa_work)? */
  readonly taskNumaWork?: (area: AreaView) => boolean;
  /** In that round: may pages of the node be taken away for a hinting fault (change_pte_range)? */
  readonly changePteRange?: (nid: NodeId, view: NodesView) => boolean;
  /** At a hinting fault: may a page go from node to node (numa_migrate_prep)? */
  readonly numaMigratePrep?: (from: NodeId, to: NodeId, view: NodesView) => boolean;
  /** When a program asks for its pages to be merged: may the area take part (ksm_madvise)? */
  readonly ksmMadvise?: (area: AreaView) => boolean;
  /** When ksmd comes to a page: may pages of the node be merged (cmp_and_merge_page)? */
  readonly cmpAndMergePage?: (nid: NodeId, view: NodesView) => boolean;
  /** When tiers are asked for: the abstract distance of a node's memory (mt_calc_adistance). */
  readonly mtCalcAdistance?: (memory: TieredMemory, view: NodesView) => number;
  /** In advance: is a node of private memory in a tier (set_node_memory_tier)? No answer: no. */
  readonly setNodeMemoryTier?: (nid: NodeId, view: NodesView) => boolean;
  /** In advance: may pages of a node be demoted to another (establish_demotion_targets)? */
  readonly demotionTarget?: (from: NodeId, to: NodeId, view: NodesView) => boolean;
  /**
   * When a pool is filled at boot or sized, and when surplus returns: the nodes that HugeTLB pools
   * use when no policy names any (hugetlb_hstate_alloc_pages, __nr_hugepages_store_common,
   * return_unused_surplus_pages, hugetlb_register_all_nodes).
   */
  readonly hugetlbNodes?: (view: NodesView) => Nodemask;
  /** When a daemon would be woken: does kswapd run for the node (wakeup_kswapd)? */
  readonly kswapdRuns?: (nid: NodeId, view: NodesView) => boolean;
  /**
   * When a request frees pages itself: may it do so on the node (shrink_zones)? Stock Linux asks
   * list, nodemask and cpuset only, so that a gate which keeps the request off the node's pages
   * does not keep it from driving others' pages out.
   */
  readonly directReclaim?: (nid: NodeId, view: NodesView) => boolean;
  /**
   * When a request, a daemon or a program has a zone compacted: may that be done with zones of the
   * node (compact_zone)?
   */
  readonly compactZone?: (nid: NodeId, view: NodesView) => boolean;
  /** When a daemon would be woken or time passes: has the node a kcompactd (kcompactd_run)? */
  readonly kcompactdRuns?: (nid: NodeId, view: NodesView) => boolean;
  /**
   * When compaction comes to a page: may it move the page within its node
   * (isolate_migratepages_block)? The page is marked if an area that maps it is.
   */
  readonly isolateMigratepagesBlock?: (page: PageView, view: NodesView) => boolean;
}

/** A program as an administrator knows it. */
export interface AgentTask {
  readonly name: string;
  /** It is to use devices, or was started by one that is. */
  readonly isUser: boolean;
}

/** What a program in user space can see of the machine. */
export interface AgentView {
  readonly nodes: NodesView;
  /** CPUs that are online, as files have lists: `0-3`. */
  readonly cpus: string;
  /** The hierarchy that cpusets are in, where others have chosen one: a machine has one of them. */
  readonly cpusetVersion: 1 | 2 | undefined;
  /** Programs that run, oldest first. */
  readonly tasks: readonly AgentTask[];
  /** What a file holds, or undefined where there is none. */
  readonly read: (path: string) => string | undefined;
}

/** An event of the kernel that an agent hears of (kobject_uevent). */
export interface AgentEvent {
  readonly action: 'online' | 'offline';
  readonly nid: number;
}

/**
 * A program in user space that does the design's work: it answers with operations, as lines of the
 * scenario language, and they are system calls and writes to files like those of anybody else.
 */
export interface DesignAgent {
  /** Operations of others that pass between an event and its answer. */
  readonly delayOps: number;
  /** Before the first program does anything. */
  atBoot(view: AgentView): readonly string[];
  onEvent(event: AgentEvent, view: AgentView): readonly string[];
  /** A program has been started; nothing else has run since. */
  onTask(task: AgentTask, view: AgentView): readonly string[];
  /** Is a group, by its path, one of those that the agent keeps? */
  keepsGroup(path: string): boolean;
}

/** A page that a walk of the allocator gave, as the record of its decisions has it. */
export interface GivenPage {
  /** The node of the page. */
  readonly nid: NodeId;
  /** The node whose list was walked. */
  readonly listOwner: NodeId;
  /** It was the list of those who ask for private memory. */
  readonly isPrivateList: boolean;
  /** The request had __GFP_THISNODE. */
  readonly isThisNode: boolean;
  readonly mask: MaskOrigin;
}

/** What the design promises, as a property that checkers test. */
export interface DesignPromise {
  /** In words. */
  readonly text: string;
  /**
   * The nodes on which no page may be that nobody asked for; empty when the design promises
   * nothing.
   */
  isolated(view: NodesView): Nodemask;
  /**
   * May a page have been given so? What the design promises of single requests, whatever their
   * nodes were named by; no answer: nothing of single requests.
   */
  readonly allows?: ((page: GivenPage, view: NodesView) => boolean) | undefined;
  /** What may lie in memory that drivers keep, beside their buffers; for designs that let them. */
  readonly inDriverMemory?: DriverMemoryPromise | undefined;
}

/** Kinds of pages of programs that may be in memory which a driver keeps. */
export interface DriverMemoryPromise {
  readonly privatePages: boolean;
  /** Of files and of shared memory. */
  readonly filePages: boolean;
}

export interface Design {
  /** `allocator-gate`. */
  readonly id: string;
  readonly title: string;
  /** A paragraph: what it does. */
  readonly summary: string;
  readonly sources: readonly DesignSource[];
  readonly promise: DesignPromise;
  readonly decisionPoints: readonly DecisionPoint[];
  readonly answers: DesignAnswers;
  /** What does its work in user space, for a design that leaves the kernel as it is. */
  readonly agent?: DesignAgent | undefined;
}
