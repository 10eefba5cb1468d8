// The memory of a machine as the kernel sees it after boot: frames, zones, lists, states,
// allocator.
// Models   linux@v6.1 mm/page_alloc.c: free_area_init, memblock_free_all,
//          setup_per_zone_pageset, init_per_zone_wmark_min; mm/memory_hotplug.c: online_pages for
//          memory that was plugged in before the run starts.
// Omits    what boot itself allocates, but for the frame table and the kernel image (SPEC BOOT2).
// State    the parts own their tables; this file lays frames out and wires the parts together.
// Holds    MEM1 frames of a zone are one dense stretch, each range congruent to its pfns modulo the
//          largest block.
import { assert, UserError } from '../base/assert.ts';
import { type Frame, type NodeId, type Pfn, pfn, type ZoneIndex } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import type { Design } from '../hooks/design.ts';
import type { Machine, NodeSpec } from '../machine/machine.ts';
import { maxOrder, pageblockOrder, zoneLimits } from '../machine/zones.ts';
import { Buddy } from './buddy.ts';
import { ZONE_DMA, ZONE_DMA32, ZONE_MOVABLE, ZONE_NAMES, ZONE_NORMAL } from './gfp.ts';
import { MEMMAP_ROW_BYTES, MemMap } from './memmap.ts';
import { setPcpLimits, Zones } from './mmzone.ts';
import { NodeStates } from './node_states.ts';
import { PageAllocator } from './page_alloc.ts';
import { PerCpuLists } from './pcp.ts';
import { VmStat } from './vmstat.ts';
import { minFreeKbytes, setupLowmemReserve, setupPerZoneWmarks } from './watermark.ts';
import { buildZonelists, type Zonelists } from './zonelist.ts';

/** What is known of a zone from a real kernel; replaces what boot would have worked out. */
export interface ZoneSnapshot {
  readonly nid: number;
  /** Zone type, ZONE_DMA .. ZONE_MOVABLE. */
  readonly type: number;
  readonly startPfn: number;
  readonly spannedPages: number;
  readonly presentPages: number;
  readonly managedPages: number;
  /** Free pages, those on per-CPU lists included. */
  readonly freePages: number;
  readonly wmarkMin: number;
  readonly wmarkLow: number;
  readonly wmarkHigh: number;
}

export interface MemoryOptions {
  /** Start from these zones instead of laying out the machine's ranges. */
  readonly zones?: readonly ZoneSnapshot[] | undefined;
}

/** Where a stretch of frames lies in physical memory. */
export interface Segment {
  readonly startFrame: number;
  readonly startPfn: number;
  readonly nrPages: number;
}

interface ZonePlan {
  readonly nid: NodeId;
  readonly type: number;
  readonly segments: { startPfn: number; nrPages: number }[];
  readonly snapshot: ZoneSnapshot | undefined;
}

/** struct page of a frame on the real kernel, which boot takes from each node's own memory. */
const STRUCT_PAGE_BYTES = 64;
/** Frames must fit page table entries and 32-bit columns with room to spare. */
const MAX_FRAMES = 2 ** 30;
/** What a kernel image and its early tables take of the first node. */
const KERNEL_IMAGE_BYTES = 32 * 1024 * 1024;

export class Memory {
  readonly machine: Machine;
  readonly design: Design;
  readonly pageBytes: number;
  readonly maxOrder: number;
  readonly zones: Zones;
  readonly map: MemMap;
  readonly buddy: Buddy;
  readonly pcp: PerCpuLists;
  readonly states = new NodeStates();
  readonly stat: VmStat;
  readonly allocator: PageAllocator;
  /** One more than the highest possible node id (nr_node_ids). */
  readonly nrNodeIds: number;
  readonly nrCpus: number;
  readonly onlineCpus: readonly number[];
  /** Node of each CPU. */
  readonly nodeOfCpu: Int32Array;
  minFreeKb = 0;
  /** By zone: pages that were free when it came up; its other pages are boot's for good. */
  readonly freeAtStart: Int32Array;
  readonly #segments: Segment[] = [];
  readonly #position = new Map<number, number>();

  constructor(machine: Machine, design: Design, options: MemoryOptions = {}) {
    this.machine = machine;
    this.design = design;
    this.pageBytes = machine.pageBytes;
    this.maxOrder = maxOrder(machine.arch, machine.pageBytes);
    machine.nodes.forEach((node, i) => {
      this.#position.set(node.id, i);
    });
    this.nrNodeIds = Math.max(...machine.nodes.map((n) => n.id)) + 1;
    this.onlineCpus = machine.nodes.flatMap((n) => n.cpus);
    this.nrCpus = Math.max(0, ...this.onlineCpus) + 1;
    this.nodeOfCpu = new Int32Array(this.nrCpus).fill(-1);
    for (const node of machine.nodes) {
      for (const cpu of node.cpus) if (this.nodeOfCpu[cpu] === -1) this.nodeOfCpu[cpu] = node.id;
    }

    const plans = options.zones === undefined ? planZones(machine) : planSnapshot(options.zones);
    this.zones = new Zones(plans, this.maxOrder + 1);
    this.freeAtStart = new Int32Array(this.zones.nr);
    const blockFrames = 1 << this.maxOrder;
    let nextFrame = 0;
    plans.forEach((plan, z) => {
      this.zones.startFrame[z] = nextFrame;
      for (const segment of plan.segments) {
        const startFrame = nextFrame + (segment.startPfn % blockFrames);
        this.#segments.push({ startFrame, ...segment });
        nextFrame = roundUp(startFrame + segment.nrPages, blockFrames);
      }
      this.zones.endFrame[z] = nextFrame;
    });
    if (nextFrame > MAX_FRAMES) {
      throw new UserError(
        `machine ${machine.name} has ${nextFrame} page frames; at most ${MAX_FRAMES} are modelled ` +
          `(4 TiB of 4 KiB pages): give it less memory or larger pages`,
      );
    }
    this.map = new MemMap(nextFrame);
    this.buddy = new Buddy(this.zones, this.map, pageblockOrder(machine.arch, machine.pageBytes));
    this.pcp = new PerCpuLists(this.buddy, this.nrCpus);
    this.stat = new VmStat(this.nrNodeIds);
    this.allocator = new PageAllocator({
      zones: this.zones,
      map: this.map,
      buddy: this.buddy,
      pcp: this.pcp,
      states: this.states,
      stat: this.stat,
      nodeOfCpu: this.nodeOfCpu,
      nrNodeIds: this.nrNodeIds,
    });
    plans.forEach((plan, z) => {
      this.#fillZone(z as ZoneIndex, plan);
    });
    this.#setStates();
    this.rebuild();
    this.#setWatermarks(plans);
  }

  /** Distance between two nodes as the machine's firmware states it. */
  readonly distance = (from: NodeId, to: NodeId): number => {
    const row = this.machine.distances[this.#position.get(from) ?? -1];
    const d = row?.[this.#position.get(to) ?? -1];
    assert(d !== undefined, 'both nodes are possible');
    return d;
  };

  /** Node of the zero page, which is part of the kernel image: where the first zone is. */
  get zeroPageNid(): NodeId {
    return this.zones.nid[0] as NodeId;
  }

  /** Stretches of frames that exist, ascending; frames between two of them are padding. */
  get segments(): readonly Segment[] {
    return this.#segments;
  }

  get lists(): Zonelists {
    return this.allocator.lists;
  }

  /**
   * Were the lists built when CPUs were mapped to nodes? On x86 and arm64 that is after boot has
   * built them, so only where memory that came later made the kernel build them again.
   */
  get listsKnowCpus(): boolean {
    return this.machine.arch === 'ppc64' || this.zones.type.includes(ZONE_MOVABLE);
  }

  /** Rebuilds everything that follows from which nodes have memory (build_all_zonelists). */
  rebuild(): void {
    const { zones, states, design, distance } = this;
    const knowsCpus = this.listsKnowCpus;
    this.allocator.lists = buildZonelists({ zones, states, distance, design, knowsCpus });
    this.allocator.compile(design.answers.zoneGate);
  }

  /** Physical page frame number of a frame. */
  pfnOf(f: Frame): Pfn {
    const segment = this.#segments.find((s) => f >= s.startFrame && f < s.startFrame + s.nrPages);
    assert(segment !== undefined, 'a frame in use exists in physical memory');
    return pfn(segment.startPfn + (f - segment.startFrame));
  }

  zoneName(z: number): string {
    return ZONE_NAMES[this.zones.type[z] as number] as string;
  }

  /** Bytes of model state that every touched frame costs here. */
  get rowBytes(): number {
    return MEMMAP_ROW_BYTES;
  }

  #fillZone(z: ZoneIndex, plan: ZonePlan): void {
    const { zones } = this;
    const first = plan.segments[0];
    const last = plan.segments.at(-1);
    assert(first !== undefined && last !== undefined);
    const present = plan.segments.reduce((n, s) => n + s.nrPages, 0);
    const snapshot = plan.snapshot;
    zones.startPfn[z] = first.startPfn;
    zones.spanned[z] = snapshot?.spannedPages ?? last.startPfn + last.nrPages - first.startPfn;
    zones.present[z] = present;
    const managed = snapshot?.managedPages ?? present - this.#bootTakes(z, present);
    zones.managed[z] = managed;
    this.freeAtStart[z] = snapshot?.freePages ?? managed;
    let skip = present - (this.freeAtStart[z] as number);
    assert(skip >= 0, 'a zone has no more free pages than it has pages');
    const segments = this.#segments.filter(
      (s) =>
        s.startFrame >= (zones.startFrame[z] as number) &&
        s.startFrame < (zones.endFrame[z] as number),
    );
    const untouched = segments.reduce((a, b) => (b.nrPages > a.nrPages ? b : a));
    for (const segment of segments) {
      const taken = Math.min(skip, segment.nrPages);
      skip -= taken;
      const start = segment.startFrame + taken;
      this.#freeStretch(z, start, segment.startFrame + segment.nrPages, segment === untouched);
    }
  }

  /**
   * Frees boot memory: the whole blocks of the largest stretch stay untouched, the rest goes on
   * lists.
   */
  #freeStretch(z: ZoneIndex, start: number, end: number, isVirgin: boolean): void {
    const block = 1 << this.maxOrder;
    const firstBlock = Math.min(roundUp(start, block), end);
    const lastBlock = Math.max(firstBlock, end - (end % block));
    const free = (from: number, to: number): void => {
      for (let f = from; f < to; ) {
        let order = this.maxOrder;
        while (f % (1 << order) !== 0 || f + (1 << order) > to) order--;
        this.buddy.free(z, f as Frame, order, this.buddy.pageblockType(f), true);
        f += 1 << order;
      }
    };
    free(start, firstBlock);
    if (isVirgin && firstBlock % block === 0) this.buddy.setVirgin(z, firstBlock, lastBlock);
    else free(firstBlock, lastBlock);
    free(lastBlock, end);
  }

  /** Pages that boot takes of a zone before the allocator exists: the frame table, the kernel. */
  #bootTakes(z: number, present: number): number {
    const { zones, pageBytes } = this;
    if (zones.type[z] === ZONE_MOVABLE || this.machine.sizesAre === 'managed') return 0;
    let pages = Math.ceil((present * STRUCT_PAGE_BYTES) / pageBytes);
    const isLargestOfFirst =
      zones.nid[z] === zones.nid[0] &&
      zones.ofNode(zones.nid[0] as number).every((o) => span(zones, o) <= span(zones, z));
    if (isLargestOfFirst) pages += KERNEL_IMAGE_BYTES / pageBytes;
    return Math.min(pages, present);
  }

  #setStates(): void {
    const { machine, states, zones } = this;
    states.possible = Nodemask.from(machine.nodes.map((n) => n.id));
    states.online = onlineNodes(machine);
    states.cpu = Nodemask.from(machine.nodes.filter((n) => n.cpus.length > 0).map((n) => n.id));
    states.device = Nodemask.from(
      machine.nodes.filter((n) => n.device !== undefined).map((n) => n.id),
    );
    const answer = this.design.answers.coherentDevice;
    for (let z = 0; z < zones.nr; z++) {
      const nid = zones.nid[z] as NodeId;
      if (!zones.isManaged(z as ZoneIndex)) continue;
      const isCoherent = answer?.(nid, states) ?? false;
      states.setMemory(nid, (zones.type[z] as number) <= ZONE_NORMAL, isCoherent);
    }
  }

  /** Pages that are not Movable in the boot CPU's FALLBACK list (nr_free_buffer_pages). */
  #lowmemPages(): number {
    const { zones } = this;
    const bootNid = this.nodeOfCpu[Math.min(...this.onlineCpus)] as number;
    let pages = 0;
    for (const z of this.lists.fallback[bootNid]?.zones ?? []) {
      if ((zones.type[z] as number) <= ZONE_NORMAL) pages += zones.managed[z] as number;
    }
    return pages;
  }

  #setWatermarks(plans: readonly ZonePlan[]): void {
    const { zones, pageBytes } = this;
    this.minFreeKb = minFreeKbytes((this.#lowmemPages() * pageBytes) / 1024);
    setupPerZoneWmarks(zones, this.minFreeKb, pageBytes);
    setupLowmemReserve(zones);
    plans.forEach((plan, z) => {
      if (plan.snapshot !== undefined) {
        zones.wmarkMin[z] = plan.snapshot.wmarkMin;
        zones.wmarkLow[z] = plan.snapshot.wmarkLow;
        zones.wmarkHigh[z] = plan.snapshot.wmarkHigh;
      }
    });
    this.#setPcpLimits();
  }

  /** Spreads a new min_free_kbytes over the zones (min_free_kbytes_sysctl_handler). */
  setMinFreeKbytes(kb: number): void {
    this.minFreeKb = kb;
    setupPerZoneWmarks(this.zones, kb, this.pageBytes);
    this.#setPcpLimits();
    this.allocator.forgetRequest();
  }

  /** Sets what CPUs may hold of each zone, which follows from its low mark (zone_pcp_update). */
  #setPcpLimits(): void {
    const { zones, machine, pageBytes } = this;
    for (let z = 0; z < zones.nr; z++) {
      const local = machine.nodes.find((n) => n.id === zones.nid[z])?.cpus.length ?? 0;
      setPcpLimits(zones, z as ZoneIndex, pageBytes, local, this.onlineCpus.length);
    }
    this.pcp.updateHigh();
  }
}

/**
 * Nodes that are online after boot: on x86 those with CPUs or memory, even if that is offline
 * (numa_register_memblks, init_cpu_to_node); elsewhere every node that the firmware names.
 */
function onlineNodes(machine: Machine): Nodemask {
  const isOnline = (n: NodeSpec) =>
    machine.arch !== 'x86_64' || n.cpus.length > 0 || n.ranges.length > 0;
  return Nodemask.from(machine.nodes.filter(isOnline).map((n) => n.id));
}

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

const span = (zones: Zones, z: number): number =>
  (zones.endFrame[z] as number) - (zones.startFrame[z] as number);

/** Cuts the machine's ranges at the zone limits of its architecture. */
function planZones(machine: Machine): ZonePlan[] {
  const limits = zoneLimits(machine.arch, machine.pageBytes);
  const cuts = [
    { type: ZONE_DMA, endBytes: limits.dmaEndBytes },
    { type: ZONE_DMA32, endBytes: limits.dma32EndBytes },
    { type: ZONE_NORMAL, endBytes: Number.POSITIVE_INFINITY },
  ];
  const plans: ZonePlan[] = [];
  for (const node of machine.nodes) {
    if (node.memoryZone === 'movable') {
      if (node.ranges.length > 0 && node.offlineAtStart !== true) {
        plans.push(planOf(machine, node, ZONE_MOVABLE, 0, Number.POSITIVE_INFINITY));
      }
      continue;
    }
    let startBytes = 0;
    for (const cut of cuts) {
      const plan = planOf(machine, node, cut.type, startBytes, cut.endBytes);
      if (plan.segments.length > 0) plans.push(plan);
      startBytes = Math.max(startBytes, cut.endBytes);
    }
  }
  return plans;
}

function planOf(
  machine: Machine,
  node: NodeSpec,
  type: number,
  startBytes: number,
  endBytes: number,
): ZonePlan {
  const segments: { startPfn: number; nrPages: number }[] = [];
  for (const range of node.ranges) {
    const start = Math.max(range.startBytes, startBytes);
    const end = Math.min(range.startBytes + range.sizeBytes, endBytes);
    if (end <= start) continue;
    segments.push({
      startPfn: start / machine.pageBytes,
      nrPages: (end - start) / machine.pageBytes,
    });
  }
  return { nid: node.id, type, segments, snapshot: undefined };
}

function planSnapshot(zones: readonly ZoneSnapshot[]): ZonePlan[] {
  return [...zones]
    .sort((a, b) => a.nid - b.nid || a.type - b.type)
    .map((snapshot) => ({
      nid: snapshot.nid as NodeId,
      type: snapshot.type,
      segments: [{ startPfn: snapshot.startPfn, nrPages: snapshot.presentPages }],
      snapshot,
    }));
}
