// Random machines that a guest can be: a few nodes with CPUs, nodes without, device memory, all
// kinds of distances.
// Holds    GST6 the same seed gives the same machine, and every one of them can boot: GST1 holds
//          without renumbering.
import { Bug } from '../base/assert.ts';
import { Prng } from '../base/prng.ts';
import { buildMachine } from '../machine/build.ts';
import type { Machine } from '../machine/machine.ts';

/** A node before it has a number and CPUs. */
export interface NodeDraft {
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly zone: 'boot' | 'movable';
  readonly isDevice: boolean;
}

const FAR = [16, 20, 21, 28, 32, 40, 54, 64, 80, 120];

function randomNodes(p: Prng): NodeDraft[] {
  const nodes: NodeDraft[] = [];
  const nrCpuNodes = p.pick([1, 2, 2, 2, 2, 3, 4]);
  for (let i = 0; i < nrCpuNodes; i++) {
    const hasMemory = i === 0 || !p.chance(6);
    const memoryMiB = i === 0 ? p.pick([320, 384]) : hasMemory ? p.pick([128, 192, 256, 320]) : 0;
    nodes.push({ cpus: p.chance(20) ? 2 : 1, memoryMiB, zone: 'boot', isDevice: false });
  }
  if (p.chance(20)) nodes.push(withoutCpus(p, 'boot', p.chance(25)));
  if (p.chance(15)) nodes.push(withoutCpus(p, 'movable', false));
  const nrDevices = p.pick([1, 1, 1, 2, 2, 3]);
  for (let i = 0; i < nrDevices; i++) nodes.push(withoutCpus(p, 'movable', true));
  if (p.chance(8)) nodes.push({ cpus: 0, memoryMiB: 0, zone: 'boot', isDevice: false });
  return nodes;
}

const withoutCpus = (p: Prng, zone: 'boot' | 'movable', isDevice: boolean): NodeDraft => ({
  cpus: 0,
  memoryMiB: p.pick([128, 128, 256, 384]),
  zone,
  isDevice,
});

/** Distances of one of four kinds: all alike, by kind of node, any, or even one way only. */
function randomDistances(p: Prng, nodes: readonly NodeDraft[]): number[][] {
  const kind = p.pick(['alike', 'by kind', 'by kind', 'any', 'any', 'one way'] as const);
  const [near, far, across] = [p.pick(FAR), p.pick(FAR), p.pick(FAR)] as const;
  const rows = nodes.map(() => nodes.map(() => 10));
  const set = (i: number, j: number, distance: number): void => {
    (rows[i] as number[])[j] = distance;
  };
  for (let i = 0; i < nodes.length; i++) {
    for (let j = 0; j < i; j++) {
      const nrDevices = [nodes[i], nodes[j]].filter((node) => node?.isDevice === true).length;
      const byKind = nrDevices === 0 ? near : nrDevices === 1 ? far : across;
      const distance = kind === 'alike' ? near : kind === 'by kind' ? byKind : p.pick(FAR);
      set(i, j, distance);
      set(j, i, kind === 'one way' ? p.pick(FAR) : distance);
    }
  }
  return rows;
}

/** A machine for a guest; it has at least one device node. */
export function randomMachine(seed: string): Machine {
  const p = new Prng(`machine/${seed}`);
  return machineOf(p, randomNodes(p), seed);
}

/** The machine of these nodes, CPUs in their order, with random distances. */
export function machineOf(p: Prng, drafts: readonly NodeDraft[], seed: string): Machine {
  let nextCpu = 0;
  const file = {
    name: `random-${seed.replace(/[^A-Za-z0-9_.-]/g, '-')}`,
    note: `A random machine for guests, seed ${seed}.`,
    arch: 'x86_64' as const,
    nodes: drafts.map((draft, id) => ({
      id,
      cpus: Array.from({ length: draft.cpus }, () => nextCpu++),
      ...(draft.memoryMiB === 0 ? {} : { memory: `${draft.memoryMiB}MiB` }),
      memoryZone: draft.zone,
      ...(draft.isDevice ? { device: `device${id}` } : {}),
    })),
    distances: randomDistances(p, drafts),
    devices: drafts.flatMap((draft, id) =>
      draft.isDevice ? [{ name: `device${id}`, kind: 'device memory', homeNode: 0 }] : [],
    ),
  };
  return buildMachine(file, (path, message) => {
    throw new Bug(`random machine ${seed}: ${path.join('.')}: ${message}`);
  });
}
