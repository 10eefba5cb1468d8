// The memory of a machine as the kernel sees it after boot: frames, zones, lists, states,
// allocator.
// Models   linux@v6.1 mm/page_alloc.c: free_area_init, memblock_free_all,
//          setup_per_zone_pageset, init_per_zone_wmark_min; mm/memory_hotplug.c:
//          node_states_set_node.
// Omits    what boot itself allocates, but for the frame table and the kernel image (SPEC BOOT2).
// State    the parts own their tables; this file lays frames out and wires the parts together.
// Holds    MEM1 frames of a zone are one dense stretch, each range congruent to its pfns modulo the
//          largest block.
import { assert, UserError } from '../base/assert.ts';
import { type Frame, type NodeId, type Pfn, pfn, type ZoneIndex } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import type { Design, DeviceMemoryType } from '../hooks/design.ts';
import type { Machine } from '../machine/machine.ts';
import { maxOrder, memoryBlockBytes, pageblockOrder } from '../machine/zones.ts';
import { BootBlocks } from './boot_blocks.ts';
import {
  type BootPages,
  type BootPool,
  bootPagesIn,
  takeBootPages,
  takenAtEnd,
  takenByBoot,
  withoutBootPages,
  withoutTaken,
} from './boot_pages.ts';
import { Buddy } from './buddy.ts';
import { DirtyLimits } from './dirty.ts';
import { ZONE_DEVICE, ZONE_MOVABLE, ZONE_NAMES, ZONE_NORMAL } from './gfp.ts';
import { HeldPages } from './held_pages.ts';
import { FreeWatchers } from './internal.ts';
import { Lru } from './lru.ts';
import { MemMap } from './memmap.ts';
import { cutBlocks, type MemoryBlock } from './memory_block.ts';
import { DeviceMemory, keptMemory } from './memremap.ts';
import { setPcpLimits, Zones } from './mmzone.ts';
import { NodeCharges } from './node_charge.ts';
import { NodeStates, nodesOfCpus, onlineNodes } from './node_states.ts';
import { type AutoOnline, OnlinePolicy } from './online_policy.ts';
import { PageAllocator } from './page_alloc.ts';
import { PerCpuLists } from './pcp.ts';
import { Swap } from './swap.ts';
import { VmStat } from './vmstat.ts';
import { NODE_ITEM } from './vmstat_items.ts';
import {
  minFreeKbytes,
  recommendedMinFree,
  setupLowmemReserve,
  setupPerZoneWmarks,
} from './watermark.ts';
import {
  addMovable,
  planDeviceMemory,
  planSnapshot,
  planZones,
  type Stretch,
  type ZonePlan,
  type ZoneSnapshot,
} from './zone_plan.ts';
import { buildZonelists, type Zonelists } from './zonelist.ts';

export interface MemoryOptions {
  /** Start from these zones instead of laying out the machine's ranges. */
  readonly zones?: readonly ZoneSnapshot[] | undefined;
  /** `memhp_default_state=` on the command line; where it is left out the machine says. */
  readonly memhpDefaultState?: AutoOnline | undefined;
  /** Boot memory may come back in ZONE_MOVABLE, so its nodes have that zone, empty at first. */
  readonly mayMoveBootMemory?: boolean | undefined;
  /** `hugepagesz=1G hugepages=` on the command line. */
  readonly giganticBootPool?: BootPool | undefined;
  /** Keep page blocks of every type free from the start; see keepBlocksFree. */
  readonly keepsBlocks?: boolean | undefined;
}

/** Where a stretch of frames lies in physical memory. */
export interface Segment {
  readonly startFrame: number;
  readonly startPfn: number;
  readonly nrPages: number;
  /** The zone that boot gave it to; undefined for memory that was plugged in. */
  readonly zone: ZoneIndex | undefined;
}

/** Frames must fit page table entries and 32-bit columns with room to spare. */
const MAX_FRAMES = 2 ** 30;
/** With less boot memory, the kernel starts with transparent huge pages switched off. */
const LEAST_BYTES_FOR_THPS = 512 * 1024 * 1024;

export class Memory {
  readonly machine: Machine;
  readonly design: Design;
  readonly pageBytes: number;
  readonly maxOrder: number;
  readonly zones: Zones;
  readonly map: MemMap;
  readonly buddy: Buddy;
  readonly pcp: PerCpuLists;
  readonly lru: Lru;
  readonly held: HeldPages;
  /** Memory that drivers hand out. */
  readonly deviceMemory: DeviceMemory;
  readonly dirty: DirtyLimits;
  /** Pages by control group, where the design counts them. */
  readonly charges: NodeCharges | null;
  readonly swap: Swap;
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
  /** Page blocks of every type are kept free, for the sake of transparent huge pages. */
  #keepsBlocks = false;
  /** By zone: pages that were free when it came up; its other pages are boot's for good. */
  readonly freeAtStart: Int32Array;
  /** By zone: those of boot's pages that are its last; the others are its first. */
  readonly takenAtEnd: Int32Array;
  /** Gigantic pages that boot has set apart. */
  readonly bootPages: BootPages;
  /** Hot-plugged memory, by node and address: what can go offline and come online. */
  readonly blocks: readonly MemoryBlock[];
  /** Likewise boot memory, as far as it can go at all. */
  readonly bootBlocks = new BootBlocks(this);
  /** What becomes of memory that is added, and of blocks for which nobody names a zone. */
  readonly onlinePolicy: OnlinePolicy;
  /** Memory has come or gone since boot, which made the kernel build its lists again. */
  hasMemoryComeLater: boolean;
  /** Memory has gone offline during the run: marks have risen while zones stayed as full. */
  hasMemoryGone = false;
  readonly #freeWatchers = new FreeWatchers();
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
    this.nodeOfCpu = nodesOfCpus(machine, this.nrCpus);
    this.#setNodes();
    const kept = keptMemory(design, this.states);
    const plans = this.#plan(options, kept);
    this.zones = new Zones(plans, this.maxOrder + 1);
    this.freeAtStart = new Int32Array(this.zones.nr);
    this.takenAtEnd = new Int32Array(this.zones.nr);
    const nrFrames = this.#layOut(plans);
    this.map = new MemMap(nrFrames);
    this.buddy = new Buddy(this.zones, this.map, pageblockOrder(machine.arch, machine.pageBytes));
    this.pcp = new PerCpuLists(this.buddy, this.nrCpus);
    this.lru = new Lru(this.buddy, this.nrNodeIds, this.#freeWatchers);
    this.held = new HeldPages(this.map, this.#freeWatchers);
    this.deviceMemory = new DeviceMemory(this.buddy, this.#freeWatchers);
    this.dirty = new DirtyLimits(this.zones, this.lru, this.nrNodeIds);
    const { nodeCharge } = design.answers;
    this.charges =
      nodeCharge === undefined
        ? null
        : new NodeCharges(nodeCharge, this.states, this.nrNodeIds, nrFrames);
    this.swap = new Swap(this.lru);
    this.stat = new VmStat(this.zones, this.nrNodeIds);
    this.stat.nodeSource(NODE_ITEM.nr_dirty, (nid) => this.dirty.nrDirty[nid] as number);
    this.allocator = new PageAllocator({
      zones: this.zones,
      map: this.map,
      buddy: this.buddy,
      pcp: this.pcp,
      lru: this.lru,
      held: this.held,
      deviceMemory: this.deviceMemory,
      freeWatchers: this.#freeWatchers,
      dirty: this.dirty,
      charges: this.charges,
      states: this.states,
      stat: this.stat,
      nodeOfCpu: this.nodeOfCpu,
      nrNodeIds: this.nrNodeIds,
    });
    this.onlinePolicy = new OnlinePolicy(machine, options.memhpDefaultState);
    this.blocks = cutBlocks(plans, this.#segments, memoryBlockBytes(machine) / this.pageBytes);
    for (const { startFrame, nrPages, zone } of [...this.#segments, ...this.blocks]) {
      if (zone !== undefined) this.buddy.moveToZone(startFrame, startFrame + nrPages, zone);
    }
    plans.forEach((plan, z) => {
      const type = kept.get(plan.nid);
      if (type !== undefined) this.#addDeviceMemory(z as ZoneIndex, plan, type);
      else if (plan.stretches.length > 0) this.#sizeZone(z as ZoneIndex, plan);
    });
    this.#setStates(kept);
    this.bootPages = takeBootPages(this, options.giganticBootPool);
    plans.forEach((plan, z) => {
      if (this.zones.isManaged(z as ZoneIndex)) this.#fillZone(z as ZoneIndex, plan);
    });
    this.hasMemoryComeLater = this.blocks.some((block) => block.zone !== undefined);
    this.rebuild();
    this.#keepsBlocks = (options.keepsBlocks ?? false) && this.hasRoomForThps;
    this.#setWatermarks(plans);
  }

  /** Has it enough boot memory for transparent huge pages to be of use (hugepage_init)? */
  get hasRoomForThps(): boolean {
    const { zones, pageBytes } = this;
    let pages = 0;
    for (let z = 0; z < zones.nr; z++) {
      if (zones.type[z] !== ZONE_MOVABLE) pages += zones.managed[z] as number;
    }
    return pages * pageBytes >= LEAST_BYTES_FOR_THPS;
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
    return this.machine.arch === 'ppc64' || this.hasMemoryComeLater;
  }

  /** Rebuilds everything that follows from which nodes have memory (build_all_zonelists). */
  rebuild(): void {
    const { zones, states, design, distance } = this;
    const knowsCpus = this.listsKnowCpus;
    this.allocator.lists = buildZonelists({ zones, states, distance, design, knowsCpus });
    this.compile();
  }

  /** Lets the allocator take over the node states and what the design makes of them. */
  compile(): void {
    this.allocator.compile(this.design.answers.zoneGate);
  }

  /** Stretches of frames that a zone has now: memory that is offline is in none. */
  stretchesOf(z: ZoneIndex): { readonly start: number; readonly end: number }[] {
    const isHotplug = this.blocks.some((block) => block.nid === this.zones.nid[z]);
    const from: readonly { startFrame: number; nrPages: number }[] = isHotplug
      ? this.blocks.filter((block) => block.zone === z)
      : this.#segments.filter((s) => s.zone === z);
    const own = from.map((s) => ({ start: s.startFrame, end: s.startFrame + s.nrPages }));
    return isHotplug ? own : this.bootBlocks.stretchesOf(z, own);
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

  #sizeZone(z: ZoneIndex, plan: ZonePlan): void {
    const { zones } = this;
    const first = plan.stretches[0];
    const last = plan.stretches.at(-1);
    assert(first !== undefined && last !== undefined);
    const present = plan.stretches.reduce((n, s) => n + s.nrPages, 0);
    const snapshot = plan.snapshot;
    zones.startPfn[z] = first.startPfn;
    zones.spanned[z] = snapshot?.spannedPages ?? last.startPfn + last.nrPages - first.startPfn;
    zones.present[z] = present;
    const taken = plan.hotplug === undefined ? takenByBoot(this, z, present) : 0;
    zones.managed[z] = snapshot?.managedPages ?? present - taken;
  }

  /** Frees what boot has not taken; what is free in a snapshot does not count its pages. */
  #fillZone(z: ZoneIndex, { snapshot, stretches }: ZonePlan): void {
    const { present, managed } = this.zones;
    this.takenAtEnd[z] = takenAtEnd(this, z);
    const free = snapshot === undefined ? undefined : snapshot.freePages + bootPagesIn(this, z);
    this.freeAtStart[z] = free ?? (managed[z] as number);
    const nrTaken = (present[z] as number) - (this.freeAtStart[z] as number);
    assert(nrTaken >= 0, 'a zone has no more free pages than it has pages');
    const pieces = stretches.flatMap((stretch) => {
      const { startFrame: start, nrPages } = this.#segmentOf(z, stretch);
      return withoutBootPages({ start, end: start + nrPages }, this.bootPages);
    });
    const untouched = pieces.reduce((a, b) => (b.end - b.start > a.end - a.start ? b : a));
    for (const piece of withoutTaken(pieces, nrTaken, this.takenAtEnd[z] as number)) {
      this.buddy.freeRange(z, piece.start, piece.end, piece.of === untouched);
    }
  }

  /** Where a stretch that a zone holds lies in the frame table. */
  #segmentOf(z: ZoneIndex, { startPfn, nrPages }: Stretch): Segment {
    const whole = this.#segments.find(
      (s) =>
        s.startFrame >= (this.zones.startFrame[z] as number) &&
        s.startFrame < (this.zones.endFrame[z] as number) &&
        startPfn >= s.startPfn &&
        startPfn < s.startPfn + s.nrPages,
    );
    assert(whole !== undefined, 'a zone holds memory that was laid out');
    const startFrame = whole.startFrame + startPfn - whole.startPfn;
    return { startFrame, startPfn, nrPages, zone: whole.zone };
  }

  /**
   * Gives every stretch its frames, each zone's in a row; zones that share hot-plugged memory share
   * its frames. Returns the number of frames.
   */
  #layOut(plans: readonly ZonePlan[]): number {
    const blockFrames = 1 << this.maxOrder;
    const shared = new Map<readonly Stretch[], { start: number; end: number }>();
    let nextFrame = 0;
    plans.forEach((plan, z) => {
      const known = plan.hotplug === undefined ? undefined : shared.get(plan.hotplug);
      const isLater = plan.hotplug === undefined && plan.stretches.length === 0;
      const first = isLater ? (this.zones.ofNode(plan.nid)[0] as number) : z;
      const start = isLater ? this.zones.startFrame[first] : (known?.start ?? nextFrame);
      for (const stretch of known === undefined ? (plan.hotplug ?? plan.stretches) : []) {
        const startFrame = nextFrame + (stretch.startPfn % blockFrames);
        const zone = plan.hotplug === undefined ? (z as ZoneIndex) : undefined;
        this.#segments.push({ startFrame, ...stretch, zone });
        nextFrame = roundUp(startFrame + stretch.nrPages, blockFrames);
      }
      const end = known?.end ?? nextFrame;
      if (plan.hotplug !== undefined) shared.set(plan.hotplug, { start, end });
      this.zones.startFrame[z] = start;
      this.zones.endFrame[z] = end;
    });
    if (nextFrame > MAX_FRAMES) {
      const { name } = this.machine;
      throw new UserError(
        `machine ${name} has ${nextFrame} page frames; at most ${MAX_FRAMES} are modelled ` +
          `(4 TiB of 4 KiB pages): give it less memory or larger pages`,
      );
    }
    return nextFrame;
  }

  /** The masks that firmware decides. */
  #setNodes(): void {
    const { machine, states } = this;
    states.possible = Nodemask.from(machine.nodes.map((n) => n.id));
    states.cpu = Nodemask.from(machine.nodes.filter((n) => n.cpus.length > 0).map((n) => n.id));
    states.device = Nodemask.from(
      machine.nodes.filter((n) => n.device !== undefined).map((n) => n.id),
    );
  }

  #plan(
    { zones, memhpDefaultState, mayMoveBootMemory }: MemoryOptions,
    kept: ReadonlyMap<NodeId, unknown>,
  ): ZonePlan[] {
    const { machine } = this;
    const plans =
      zones === undefined ? planZones(machine, memhpDefaultState) : planSnapshot(machine, zones);
    if (mayMoveBootMemory === true) addMovable(plans);
    return planDeviceMemory(machine, plans, (nid) => kept.has(nid));
  }

  /** A zone whose frames a driver hands out: none of it is managed. */
  #addDeviceMemory(z: ZoneIndex, { nid, stretches }: ZonePlan, type: DeviceMemoryType): void {
    assert(this.zones.type[z] === ZONE_DEVICE);
    const [first] = stretches;
    const last = stretches.at(-1);
    assert(first !== undefined && last !== undefined);
    this.zones.startPfn[z] = first.startPfn;
    this.zones.spanned[z] = last.startPfn + last.nrPages - first.startPfn;
    const node = this.machine.nodes.find((n) => n.id === nid);
    this.deviceMemory.add({
      nid,
      type,
      zone: z,
      stretches: stretches.map((stretch) => {
        const { startFrame, nrPages } = this.#segmentOf(z, stretch);
        return { start: startFrame, end: startFrame + nrPages };
      }),
      isThere: node?.offlineAtStart !== true,
      ops: undefined,
    });
  }

  #setStates(kept: ReadonlyMap<NodeId, unknown>): void {
    const { states, zones } = this;
    states.online = onlineNodes(this.machine, kept);
    for (let z = 0; z < zones.nr; z++) {
      if (zones.isManaged(z as ZoneIndex)) this.setNodeState(z as ZoneIndex);
    }
  }

  /** A zone of a node has memory now: its node's states follow (node_states_set_node). */
  setNodeState(z: ZoneIndex): void {
    const { zones, states } = this;
    const nid = zones.nid[z] as NodeId;
    const { privateMemory, coherentDevice } = this.design.answers;
    const isCoherent = coherentDevice?.(nid, states) ?? false;
    if (privateMemory?.(nid, states)) states.setPrivateMemory(nid);
    else states.setMemory(nid, (zones.type[z] as number) <= ZONE_NORMAL, isCoherent);
  }

  /**
   * Pages above the high watermark that are not Movable, in the boot CPU's FALLBACK list
   * (nr_free_buffer_pages).
   */
  #lowmemPages(): number {
    const { zones } = this;
    const bootNid = this.nodeOfCpu[Math.min(...this.onlineCpus)] as number;
    let pages = 0;
    for (const z of this.lists.fallback[bootNid]?.zones ?? []) {
      if ((zones.type[z] as number) > ZONE_NORMAL) continue;
      pages += Math.max(0, (zones.managed[z] as number) - (zones.wmarkHigh[z] as number));
    }
    return pages;
  }

  #setWatermarks(plans: readonly ZonePlan[]): void {
    const { zones } = this;
    this.updateWatermarks();
    plans.forEach(({ snapshot }, z) => {
      if (snapshot === undefined) return;
      zones.wmarkMin[z] = snapshot.wmarkMin;
      zones.wmarkLow[z] = snapshot.wmarkLow;
      zones.wmarkHigh[z] = snapshot.wmarkHigh;
    });
    this.#setPcpLimits();
  }

  /**
   * Works watermarks, lowmem reserves and per-CPU limits out anew, as boot and every change of
   * memory do (init_per_zone_wmark_min).
   */
  updateWatermarks(): void {
    const { zones, pageBytes } = this;
    const lowmem = this.#lowmemPages();
    this.minFreeKb = minFreeKbytes((lowmem * pageBytes) / 1024);
    if (this.#keepsBlocks) {
      const recommended = recommendedMinFree(zones, this.buddy.pageblockOrder, lowmem);
      this.minFreeKb = Math.max(this.minFreeKb, (recommended * pageBytes) / 1024);
    }
    setupPerZoneWmarks(zones, this.minFreeKb, pageBytes);
    setupLowmemReserve(zones);
    this.#setPcpLimits();
  }

  /**
   * Transparent huge pages are allowed, which keeps page blocks of every type free from now on, or
   * no more (set_recommended_min_free_kbytes).
   */
  keepBlocksFree(keeps: boolean): void {
    if (keeps === this.#keepsBlocks) return;
    const { minFreeKb } = this;
    this.#keepsBlocks = keeps;
    this.updateWatermarks();
    if (keeps && this.minFreeKb < minFreeKb) this.setMinFreeKbytes(minFreeKb);
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
    this.allocator.forgetRequest();
  }
}

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;
