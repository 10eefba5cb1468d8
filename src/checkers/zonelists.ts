// Judge: every zonelist holds what Linux and the design say, in an order that distance allows.
// Holds    ZL1 a zone is in a list once. ZL2 a node's own zones come first in its FALLBACK list.
//          ZL3 a NOFALLBACK list holds the node's own zones. ZL4 the zones of a node stand
//          together, highest type first. ZL5 nodes do not get nearer along a list. DES2-DES4 PRV1
//          which nodes a list holds.
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';

/** Which nodes with memory a FALLBACK list holds, said anew for each design that we know. */
const HOLDS: Readonly<
  Record<string, (isOwn: boolean, ofDevice: boolean, device: boolean) => boolean>
> = {
  stock: () => true,
  _skeleton: () => true,
  'allocator-gate': () => true,
  zonelist: (isOwn, _ofDevice, device) => isOwn || !device,
  'limited-node': (isOwn, ofDevice, device) => isOwn || (!ofDevice && !device),
  'private-node': (_isOwn, _ofDevice, device) => !device,
  'private-node-v4': (isOwn, _ofDevice, device) => isOwn || !device,
};

/** Designs with a third list, which holds all memory; a device is in no other. */
const WITH_THIRD_LIST: ReadonlySet<string> = new Set(['private-node']);

/** Nodes with memory that counts: zones with managed pages. */
function nodesWithMemory(k: Kernel): number[] {
  const { zones } = k.mem;
  const found = new Set<number>();
  for (let z = 0; z < zones.nr; z++)
    if ((zones.managed[z] as number) > 0) found.add(zones.nid[z] as number);
  return [...found].sort((a, b) => a - b);
}

/** Coherent device memory: a device owns the node, and the node has memory online. */
const isDevice = (k: Kernel, nid: number): boolean =>
  nodesWithMemory(k).includes(nid) &&
  k.machine.nodes.some((node) => node.id === nid && node.device !== undefined);

/** Managed zones of a node, highest type first. */
function zonesOf(k: Kernel, nid: number): number[] {
  const { zones } = k.mem;
  const found: number[] = [];
  for (let z = 0; z < zones.nr; z++) {
    if (zones.nid[z] === nid && (zones.managed[z] as number) > 0) found.push(z);
  }
  return found.sort((a, b) => (zones.type[b] as number) - (zones.type[a] as number));
}

/** CPUs count where they were mapped to nodes before the lists were built for the last time. */
const knowsCpus = (k: Kernel): boolean =>
  k.machine.arch === 'ppc64' ||
  k.mem.hasMemoryComeLater ||
  k.machine.nodes.some(
    (n) =>
      n.memoryZone === 'movable' &&
      n.ranges.length > 0 &&
      n.offlineAtStart !== true &&
      !k.mem.deviceMemory.maps.some(({ nid }) => nid === n.id),
  );

/** Distance with what Linux adds to it before it compares. */
function costOf(k: Kernel, from: number, to: number): number {
  const at = (nid: number) => k.machine.nodes.findIndex((node) => node.id === nid);
  const distance = k.machine.distances[at(from)]?.[at(to)] as number;
  const hasCpu = knowsCpus(k) && (k.machine.nodes[at(to)]?.cpus.length ?? 0) > 0;
  return distance + (to < from ? 1 : 0) + (hasCpu ? 1 : 0);
}

/** The nodes that the list of `owner` should hold, in no order; undefined where we cannot say. */
function expectedNodes(k: Kernel, owner: number): number[] | undefined {
  const known = HOLDS[k.design.id];
  if (known === undefined && k.design.answers.fallbackListHolds !== undefined) return undefined;
  // The list of a device that has gone was built while it still counted as one.
  const isGone = !nodesWithMemory(k).includes(owner) && k.mem.hasMemoryGone;
  if (isGone && k.machine.nodes.some((n) => n.id === owner && n.device !== undefined)) {
    return undefined;
  }
  const holds = known ?? (() => true);
  return nodesWithMemory(k).filter((nid) =>
    holds(nid === owner, isDevice(k, owner), isDevice(k, nid)),
  );
}

/** Judges a list that goes on to other nodes, which should hold the expected ones. */
function checkOrdered(
  k: Kernel,
  owner: number,
  kind: 'fallback' | 'private',
  expected: readonly number[] | undefined,
  findings: Findings,
): void {
  const list = [...(k.mem.lists[kind][owner]?.zones ?? [])];
  const nodes: number[] = [];
  for (const z of list) {
    const nid = k.mem.zones.nid[z] as number;
    if (nodes.at(-1) !== nid) nodes.push(nid);
  }
  const text = `${kind.toUpperCase()} list of node ${owner} (nodes ${nodes.join(' ')})`;
  findings.expect(new Set(list).size === list.length, () => `${text} has a zone twice`);
  findings.expect(new Set(nodes).size === nodes.length, () => `${text} goes back to a node`);
  const hasOwn = zonesOf(k, owner).length > 0 && expected?.includes(owner) !== false;
  findings.expect(!hasOwn || nodes[0] === owner, () => `${text} does not start with its own node`);
  const whole = nodes.flatMap((nid) => zonesOf(k, nid));
  findings.expect(
    whole.join() === list.join(),
    () => `${text} does not hold each node's zones, highest type first`,
  );
  const sorted = [...nodes].sort((a, b) => a - b);
  findings.expect(
    expected === undefined || sorted.join() === expected.join(),
    () => `${text} should hold nodes ${expected?.join(' ')} under ${k.design.id}`,
  );
  const others = nodes.filter((nid) => nid !== owner);
  others.forEach((nid, i) => {
    const before = others[i - 1];
    if (before === undefined || costOf(k, owner, before) <= costOf(k, owner, nid)) return;
    findings.add(`${text}: node ${nid} is nearer than node ${before} before it`);
  });
}

function checkNoFallback(k: Kernel, owner: number, findings: Findings): void {
  const list = [...(k.mem.lists.noFallback[owner]?.zones ?? [])];
  const isHidden = WITH_THIRD_LIST.has(k.design.id) && isDevice(k, owner);
  findings.expect(
    list.join() === (isHidden ? '' : zonesOf(k, owner).join()),
    () => `NOFALLBACK list of node ${owner} holds other zones than the node's own`,
  );
}

function checkThird(k: Kernel, owner: number, findings: Findings): void {
  const { private: all, privateNoFallback } = k.mem.lists;
  if (!WITH_THIRD_LIST.has(k.design.id)) {
    const isKnown = Object.hasOwn(HOLDS, k.design.id);
    findings.expect(!isKnown || all.length === 0, () => `${k.design.id} has a third list`);
    return;
  }
  checkOrdered(k, owner, 'private', nodesWithMemory(k), findings);
  findings.expect(
    [...(privateNoFallback[owner]?.zones ?? [])].join() === zonesOf(k, owner).join(),
    () => `the third list of node ${owner} alone holds other zones than the node's own`,
  );
}

/** Judges the lists of every possible node. */
export function checkZonelists(k: Kernel): readonly string[] {
  const findings = new Findings('zonelists');
  for (const { id } of k.machine.nodes) {
    checkOrdered(k, id, 'fallback', expectedNodes(k, id), findings);
    checkNoFallback(k, id, findings);
    checkThird(k, id, findings);
  }
  return findings.list();
}
