// Judge: memory cgroups have what counts for them.
// Holds    MCG1 a group has as many pages, and slots of swap areas, as say so or name a group below
//          it, counted here one by one. A free frame and a free slot count for nobody.
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';
import { FREE_BLOCK } from './read_state.ts';

/** How much each number counts, with all that is below it. */
function sums(k: Kernel, counts: ReadonlyMap<number, number>): Map<number, number> {
  const all = new Map<number, number>();
  for (const [owner, n] of counts) {
    let group = k.memcg?.groups[owner] ?? null;
    for (; group !== null; group = group.parent) {
      all.set(group.id, (all.get(group.id) ?? 0) + n);
    }
  }
  return all;
}

/** Judges the accounts of memory cgroups. */
export function checkMemcg(k: Kernel): readonly string[] {
  const findings = new Findings('memory cgroups');
  const { memcg } = k;
  if (memcg === null) return findings.list();
  const { map, swap } = k.mem;
  const pages = new Map<number, number>();
  memcg.owner.forEach((owner, f) => {
    if (owner === 0) return;
    pages.set(owner, (pages.get(owner) ?? 0) + 1);
    const isFree = map.kind[f] === FREE_BLOCK;
    findings.expect(!isFree, () => `frame ${f} is free and counts for group ${owner}`);
  });
  const slots = new Map<number, number>();
  for (let slot = 0; slot < swap.nrSlots; slot++) {
    const owner = memcg.swapOwnerOf(slot);
    if (owner === 0) continue;
    slots.set(owner, (slots.get(owner) ?? 0) + 1);
    const isUsed = swap.count[slot] !== 0 || swap.cache[slot] !== 0;
    findings.expect(isUsed, () => `slot ${slot} is free and counts for group ${owner}`);
  }
  const [used, swapped] = [sums(k, pages), sums(k, slots)];
  for (const group of memcg.groups) {
    if (group === null) continue;
    const [n, s] = [used.get(group.id) ?? 0, swapped.get(group.id) ?? 0];
    findings.expect(group.used === n, () => `group ${group.id} counts ${group.used}, has ${n}`);
    findings.expect(
      group.swapped === s,
      () => `group ${group.id} counts ${group.swapped} slots, has ${s}`,
    );
  }
  return findings.list();
}
