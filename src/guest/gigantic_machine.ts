// Random machines with room for pages of 1 GiB: two or three nodes of some GiB, at times one that
// was plugged in.
// Holds    GST6 the same seed gives the same machine.
import { Prng } from '../base/prng.ts';
import type { Machine } from '../machine/machine.ts';
import { machineOf, type NodeDraft } from './random_machine.ts';

/** Most memory of such a guest, which takes of its host what is touched. */
export const GIGANTIC_GUEST_MIB = 10 * 1024;

/** A machine for workloads of the family `gigantic`. */
export function giganticMachine(seed: string): Machine {
  const p = new Prng(`machine/gigantic/${seed}`);
  const nrNodes = p.pick([2, 2, 3]);
  const sizes = nrNodes === 3 ? [2048, 3072] : [3072, 4096];
  const drafts: NodeDraft[] = Array.from({ length: nrNodes }, () => ({
    cpus: 1,
    memoryMiB: p.pick(sizes),
    zone: 'boot' as const,
    isDevice: false,
  }));
  if (p.chance(30)) drafts.push({ cpus: 0, memoryMiB: 1024, zone: 'movable', isDevice: true });
  return machineOf(p, drafts, seed);
}
