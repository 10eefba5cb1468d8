// Which zones a machine has and which stretches of physical memory fill them when a run starts.
// Models   linux@v6.1 mm/page_alloc.c: free_area_init; mm/memory_hotplug.c: online_pages for memory
//          that was plugged in before the run starts; drivers/base/memory.c: struct memory_block
//          (what hot-plugged memory comes and goes by).
// Holds    ZPL1 plans ascend by node, then by zone type. ZPL2 a node of hot-plugged memory has a
//          plan for every zone that its blocks may be put online in, empty ones too.
import type { NodeId } from '../base/ids.ts';
import type { Machine, NodeSpec } from '../machine/machine.ts';
import { memoryBlockBytes, zoneLimits } from '../machine/zones.ts';
import { ZONE_DEVICE, ZONE_DMA, ZONE_DMA32, ZONE_MOVABLE, ZONE_NORMAL } from './gfp.ts';
import type { AutoOnline } from './online_policy.ts';

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

/** A stretch of physical memory, in pages. */
export interface Stretch {
  readonly startPfn: number;
  readonly nrPages: number;
}

export interface ZonePlan {
  readonly nid: NodeId;
  readonly type: number;
  /** What the zone holds when the run starts. */
  readonly stretches: readonly Stretch[];
  /** All memory of the node, if it comes and goes by blocks; one array for all its plans. */
  readonly hotplug: readonly Stretch[] | undefined;
  readonly snapshot: ZoneSnapshot | undefined;
}

/** The zone that plugged memory comes online in when nothing else is on its node. */
const ONLINE_ZONE: Readonly<Record<AutoOnline, number | undefined>> = {
  offline: undefined,
  online: ZONE_NORMAL,
  online_kernel: ZONE_NORMAL,
  online_movable: ZONE_MOVABLE,
};

/** Zones that a block of hot-plugged memory may be put online in, where it meets no lower zone. */
const HOTPLUG_ZONES = [ZONE_NORMAL, ZONE_MOVABLE];

/**
 * Cuts the machine's ranges at the zone limits of its architecture.
 * @param autoOnline what becomes of plugged memory; the machine says when left out.
 */
export function planZones(machine: Machine, autoOnline?: AutoOnline): ZonePlan[] {
  const limits = zoneLimits(machine.arch, machine.pageBytes);
  const cuts = [
    { type: ZONE_DMA, endBytes: limits.dmaEndBytes },
    { type: ZONE_DMA32, endBytes: limits.dma32EndBytes },
    { type: ZONE_NORMAL, endBytes: Number.POSITIVE_INFINITY },
  ];
  const plans: ZonePlan[] = [];
  for (const node of machine.nodes) {
    if (node.memoryZone === 'movable') {
      plans.push(...planHotplug(machine, node, autoOnline));
      continue;
    }
    let startBytes = 0;
    for (const cut of cuts) {
      const stretches = stretchesOf(machine, node, startBytes, cut.endBytes);
      if (stretches.length > 0) plans.push(planOf(node.id, cut.type, stretches));
      startBytes = Math.max(startBytes, cut.endBytes);
    }
  }
  return plans;
}

const planOf = (nid: NodeId, type: number, stretches: readonly Stretch[]): ZonePlan => ({
  nid,
  type,
  stretches,
  hotplug: undefined,
  snapshot: undefined,
});

function planHotplug(machine: Machine, node: NodeSpec, autoOnline?: AutoOnline): ZonePlan[] {
  const all = stretchesOf(machine, node, 0, Number.POSITIVE_INFINITY);
  if (all.length === 0) return [];
  const ofMachine: AutoOnline = node.offlineAtStart === true ? 'offline' : 'online_movable';
  const zone = ONLINE_ZONE[autoOnline ?? ofMachine];
  return HOTPLUG_ZONES.map((type) => {
    return { ...planOf(node.id, type, type === zone ? all : []), hotplug: all };
  });
}

function stretchesOf(
  machine: Machine,
  node: NodeSpec,
  startBytes: number,
  endBytes: number,
): Stretch[] {
  const stretches: Stretch[] = [];
  for (const range of node.ranges) {
    const start = Math.max(range.startBytes, startBytes);
    const end = Math.min(range.startBytes + range.sizeBytes, endBytes);
    if (end <= start) continue;
    stretches.push({
      startPfn: start / machine.pageBytes,
      nrPages: (end - start) / machine.pageBytes,
    });
  }
  return stretches;
}

const byNode = (a: ZonePlan, b: ZonePlan): number => a.nid - b.nid || a.type - b.type;

/** Gives every node of boot memory a ZONE_MOVABLE too, over the same frames and empty. */
export function addMovable(plans: ZonePlan[]): void {
  for (const nid of new Set(plans.filter((p) => p.hotplug === undefined).map((p) => p.nid))) {
    const isThere = plans.some((plan) => plan.nid === nid && plan.type === ZONE_MOVABLE);
    if (!isThere) plans.push(planOf(nid, ZONE_MOVABLE, []));
  }
  plans.sort(byNode);
}

/** The same plans, with one zone of device memory for each node whose driver keeps it to itself. */
export function planDeviceMemory(
  machine: Machine,
  plans: readonly ZonePlan[],
  isKept: (nid: NodeId) => boolean,
): ZonePlan[] {
  const kept = machine.nodes.filter((node) => isKept(node.id));
  if (kept.length === 0) return [...plans];
  const others = plans.filter((plan) => !isKept(plan.nid));
  const own = kept.flatMap((node) => {
    const all = stretchesOf(machine, node, 0, Number.POSITIVE_INFINITY);
    return all.length === 0 ? [] : [planOf(node.id, ZONE_DEVICE, all)];
  });
  return [...others, ...own].sort(byNode);
}

/** Zones as found on a real kernel; what hot-plugged nodes have beyond them is offline. */
export function planSnapshot(machine: Machine, zones: readonly ZoneSnapshot[]): ZonePlan[] {
  const blockPages = memoryBlockBytes(machine) / machine.pageBytes;
  const plans: ZonePlan[] = zones.map((snapshot) => ({
    nid: snapshot.nid as NodeId,
    type: snapshot.type,
    stretches: [{ startPfn: snapshot.startPfn, nrPages: snapshot.presentPages }],
    hotplug: undefined,
    snapshot,
  }));
  for (const node of machine.nodes) {
    if (node.memoryZone !== 'movable') continue;
    const own = plans.filter((plan) => plan.nid === node.id);
    const online = own.flatMap((plan) => plan.stretches).sort((a, b) => a.startPfn - b.startPfn);
    const named = stretchesOf(machine, node, 0, Number.POSITIVE_INFINITY);
    const isNamed = online.every((s) =>
      named.some((whole) => isMadeOfBlocks(s, whole, blockPages)),
    );
    const hotplug = isNamed ? named : online;
    if (hotplug.length === 0) continue;
    const types = new Set([...own.map((plan) => plan.type), ...HOTPLUG_ZONES]);
    const others = plans.filter((plan) => plan.nid !== node.id);
    const planned = [...types].map((type) => ({
      ...(own.find((plan) => plan.type === type) ?? planOf(node.id, type, [])),
      hotplug,
    }));
    plans.splice(0, plans.length, ...others, ...planned);
  }
  return plans.sort(byNode);
}

/** Is a stretch part of another, cut from it at the ends of blocks? */
function isMadeOfBlocks(part: Stretch, whole: Stretch, blockPages: number): boolean {
  const partEnd = part.startPfn + part.nrPages;
  const wholeEnd = whole.startPfn + whole.nrPages;
  const startsWell = part.startPfn === whole.startPfn || part.startPfn % blockPages === 0;
  const endsWell = partEnd === wholeEnd || partEnd % blockPages === 0;
  return part.startPfn >= whole.startPfn && partEnd <= wholeEnd && startsWell && endsWell;
}
