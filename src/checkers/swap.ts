// Judge: every slot of a swap area has as many owners as it counts, and its cache is true.
// Holds    SWP1 a slot counts the entries and object pages that stand for it; it is free when there
//          are none and no page in memory has it. SWP2 a page in the cache is a page in memory, has
//          one slot, and says so. SWP3 what stands for a slot names one that exists.
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';
import { readEntry } from './read_state.ts';

const SWAPCACHE = 0x400;

/** Entries and object pages that stand for each slot. */
function countSlots(k: Kernel, findings: Findings): Map<number, number> {
  const counts = new Map<number, number>();
  const add = (slot: number, whose: string): void => {
    if (slot >= k.mem.swap.nrSlots) findings.add(`${whose} names slot ${slot}, which is none`);
    counts.set(slot, (counts.get(slot) ?? 0) + 1);
  };
  for (const space of k.spaces.values()) {
    space.pageTable.forEachEntry((vpn, pte) => {
      const entry = readEntry(pte);
      if (entry.is === 'slot') add(entry.slot, `page ${vpn} of space ${space.id}`);
    });
  }
  for (const object of k.objects.values()) {
    object.forEachSlot((index, slot) => add(slot, `page ${index} of object ${object.id}`));
  }
  return counts;
}

/** Judges the slots of all areas. */
export function checkSwap(k: Kernel): readonly string[] {
  const findings = new Findings('swap');
  const { swap, lru } = k.mem;
  const counts = countSlots(k, findings);
  let nrFree = 0;
  let nrCached = 0;
  for (let slot = 0; slot < swap.nrSlots; slot++) {
    const owners = counts.get(slot) ?? 0;
    findings.expect(
      swap.count[slot] === owners,
      () => `slot ${slot} counts ${swap.count[slot]} owners and has ${owners}`,
    );
    const stored = swap.cache[slot] as number;
    if (owners === 0 && stored === 0) nrFree++;
    if (stored === 0) continue;
    nrCached++;
    const f = stored - 1;
    const isSaid = ((lru.flags[f] as number) & SWAPCACHE) !== 0 && swap.slotOf(f) === slot;
    findings.expect(isSaid, () => `slot ${slot} is in frame ${f}, which does not say so`);
  }
  findings.expect(
    swap.nrFree === nrFree,
    () => `${swap.nrFree} slots are counted as free, ${nrFree} are`,
  );
  const sum = swap.areas.reduce((n, area) => n + area.nrFree, 0);
  findings.expect(sum === nrFree, () => `areas count ${sum} free slots, ${nrFree} are`);
  findings.expect(
    swap.nrCached === nrCached,
    () => `${swap.nrCached} pages are counted as cached, ${nrCached} are`,
  );
  let nrFlagged = 0;
  if (lru.isInUse) for (const flags of lru.flags) if ((flags & SWAPCACHE) !== 0) nrFlagged++;
  findings.expect(
    nrFlagged === nrCached,
    () => `${nrFlagged} pages say that they are cached, ${nrCached} are`,
  );
  return findings.list();
}
