// The machine that QEMU can give to a real kernel in place of the one that was asked for: the same
// nodes, distances and kinds of memory, with 4 KiB pages, few CPUs and little memory.
// Models   how Linux on x86 numbers nodes: in the order in which firmware names them, CPUs first
//          (acpi_map_pxm_to_node, linux@v6.1 drivers/acpi/numa/srat.c).
// Omits    addresses (QEMU lays memory out), caches, links.
// Holds    GST1 nodes with CPUs have the lowest numbers, in the order of their CPUs; the order of
//          all others is kept, so that what the kernel calls node N is node N here.
import { UserError } from '../base/assert.ts';
import { type Machine, type NodeSpec, nodeSizeBytes } from '../machine/machine.ts';

const MIB = 1024 * 1024;
/** A page of the guest. */
export const GUEST_PAGE_BYTES = 4096;
/** Memory blocks of a small x86 machine: what is plugged in has to be a multiple. */
const BLOCK_MIB = 128;
/** The node that the kernel itself is loaded into. */
const LEAST_FIRST_MIB = 256;
const LEAST_BOOT_MIB = 64;
/** A machine that asks for more than this is cut down. */
const MOST_TOTAL_MIB = 6 * 1024;
/** What each node is cut down to, when no size is given. */
const CUT_NODE_MIB = 512;
const CUT_MANY_NODES_MIB = 256;
const MANY_NODES = 8;
/** CPUs under emulation cost time: a guest has no more than this. */
const MOST_CPUS = 32;

export interface GuestNode {
  readonly id: number;
  readonly cpus: readonly number[];
  readonly memoryMiB: number;
  /** `normal`: there at boot. `movable`: a DIMM that comes online into ZONE_MOVABLE. */
  readonly zone: 'normal' | 'movable';
  /** Memory of a device. */
  readonly cdm: boolean;
  readonly offlineAtStart: boolean;
}

export interface GuestMachine {
  readonly name: string;
  readonly note: string;
  readonly nodes: readonly GuestNode[];
  /** distances[i][j]: from node i to node j. */
  readonly distances: readonly (readonly number[])[];
  /** What the guest has otherwise than the machine, each a sentence for people. */
  readonly changes: readonly string[];
  /** Number of a node in the guest, by its number in the machine. */
  readonly nodeOf: ReadonlyMap<number, number>;
  /** Likewise for CPUs that the guest has. */
  readonly cpuOf: ReadonlyMap<number, number>;
}

export interface GuestOptions {
  /** CPUs that a scenario names: the guest keeps these and one a node. All when left out. */
  readonly usedCpus?: ReadonlySet<number> | undefined;
  /** Memory of every node that has any, instead of what the machine says. */
  readonly nodeMiB?: number | undefined;
  /** What a guest may have in all before it is cut down. */
  readonly mostTotalMiB?: number | undefined;
}

/**
 * The guest for a machine.
 * @throws UserError for what no guest can have: distances that Linux on x86 throws away, memory
 * that is partly offline from the start, more CPUs than emulation can bear.
 */
export function guestMachine(machine: Machine, options: GuestOptions = {}): GuestMachine {
  const changes: string[] = [];
  if (machine.arch !== 'x86_64') {
    changes.push(`The guest is x86_64, ${machine.name} is ${machine.arch}.`);
  }
  checkDistances(machine);
  const order = firmwareOrder(machine);
  const nodeOf = new Map(order.map((node, i) => [Number(node.id), i]));
  const renamed = order.filter((node, i) => Number(node.id) !== i);
  if (renamed.length > 0) {
    const words = renamed.map((node) => `${node.id} is ${nodeOf.get(node.id)}`).join(', ');
    changes.push(
      `Linux on x86 numbers nodes without gaps, those with CPUs first: in the guest node ${words}.`,
    );
  }
  const cpus = keptCpus(order, options.usedCpus);
  const cpuOf = new Map(cpus.flat().map((cpu, i) => [cpu, i]));
  const nrCpus = order.reduce((n, node) => n + node.cpus.length, 0);
  if (cpuOf.size > MOST_CPUS) {
    throw new UserError(
      `${cpuOf.size} CPUs are too many for an emulated machine (at most ${MOST_CPUS}): ` +
        'name fewer in the scenario or machine',
    );
  }
  if (cpuOf.size < nrCpus) {
    changes.push(`It has ${cpuOf.size} of the ${nrCpus} CPUs: those that the scenario names.`);
  }
  const sizes = sizesMiB(machine, order, options, changes);
  const offline = order.filter((node) => node.offlineAtStart === true);
  if (offline.some((node) => node.memoryZone !== 'movable')) {
    throw new UserError('memory that is there at boot cannot start offline in a guest');
  }
  if (offline.length > 0 && order.some((n) => n.memoryZone === 'movable' && !offline.includes(n))) {
    throw new UserError('a guest starts with all plugged memory online, or with none of it');
  }
  return {
    name: machine.name,
    note: machine.note,
    nodes: order.map((node, i) => ({
      id: i,
      cpus: (cpus[i] as number[]).map((cpu) => cpuOf.get(cpu) as number),
      memoryMiB: sizes[i] as number,
      zone: node.memoryZone === 'movable' ? 'movable' : 'normal',
      cdm: node.device !== undefined,
      offlineAtStart: node.offlineAtStart === true,
    })),
    distances: order.map((a) => order.map((b) => distanceOf(machine, a, b))),
    changes,
    nodeOf,
    cpuOf,
  };
}

function distanceOf(machine: Machine, a: NodeSpec, b: NodeSpec): number {
  return machine.distances[machine.nodes.indexOf(a)]?.[machine.nodes.indexOf(b)] as number;
}

/** Linux drops the whole table when one distance is out of order (slit_valid). */
function checkDistances(machine: Machine): void {
  for (const [i, row] of machine.distances.entries()) {
    for (const [j, distance] of row.entries()) {
      if (i === j ? distance === 10 : distance > 10) continue;
      const ids = `${machine.nodes[i]?.id} to ${machine.nodes[j]?.id}`;
      throw new UserError(
        `the distance from node ${ids} is ${distance}: Linux on x86 takes 10 for a node itself ` +
          'and more than 10 for others, else it ignores all distances',
      );
    }
  }
}

/** Nodes in the order in which Linux will number them. */
function firmwareOrder(machine: Machine): NodeSpec[] {
  const ofCpus = machine.nodes.filter((node) => node.cpus.length > 0);
  if (ofCpus.length === 0) throw new UserError(`no node of ${machine.name} has a CPU`);
  return [...ofCpus, ...machine.nodes.filter((node) => node.cpus.length === 0)];
}

/** CPUs of each node that the guest keeps, as the machine numbers them. */
function keptCpus(
  order: readonly NodeSpec[],
  used: ReadonlySet<number> | undefined,
): readonly number[][] {
  return order.map((node) => {
    const all = node.cpus.map(Number).sort((a, b) => a - b);
    if (used === undefined) return all;
    const named = all.filter((cpu) => used.has(cpu));
    return named.length > 0 ? named : all.slice(0, 1);
  });
}

const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step;

/** Memory of each node in MiB; what had to be changed is told in `changes`. */
function sizesMiB(
  machine: Machine,
  order: readonly NodeSpec[],
  { nodeMiB, mostTotalMiB = MOST_TOTAL_MIB }: GuestOptions,
  changes: string[],
): number[] {
  const pageFactor = machine.pageBytes / GUEST_PAGE_BYTES;
  const asked = order.map((node) => Math.ceil(nodeSizeBytes(node) / MIB / pageFactor));
  const total = asked.reduce((sum, size) => sum + size, 0);
  const nrWithMemory = asked.filter((size) => size > 0).length;
  const cut = nrWithMemory > MANY_NODES ? CUT_MANY_NODES_MIB : CUT_NODE_MIB;
  const most = nodeMiB ?? (total > mostTotalMiB ? cut : Number.POSITIVE_INFINITY);
  const firstBoot = order.findIndex((n, i) => n.memoryZone !== 'movable' && (asked[i] ?? 0) > 0);
  const sizes = order.map((node, i) => {
    const size = asked[i] as number;
    if (size === 0) return 0;
    const wanted = nodeMiB ?? Math.min(size, most);
    if (node.memoryZone === 'movable') return roundUp(wanted, BLOCK_MIB);
    return Math.max(roundUp(wanted, 2), i === firstBoot ? LEAST_FIRST_MIB : LEAST_BOOT_MIB);
  });
  if (firstBoot < 0) throw new UserError(`no node of ${machine.name} has memory at boot`);
  if (pageFactor !== 1) {
    changes.push(
      `Its pages are of 4 KiB, not ${machine.pageBytes / 1024} KiB: the same number of pages is ` +
        `1/${pageFactor} of the bytes.`,
    );
  }
  if (sizes.some((size, i) => size < (asked[i] as number))) {
    changes.push(
      `Nodes have at most ${Math.max(...sizes)} MiB: a scenario that fills one needs smaller ` +
        'parameters.',
    );
  }
  return sizes;
}
