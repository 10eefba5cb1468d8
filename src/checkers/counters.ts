// Judge: the kernel's counters add up.
// Holds    VMS1 numa_miss and numa_foreign have one sum over all nodes. VMS2 on every node hits
//          and misses are as many as local and other pages. VMS3 pages allocated, and taken by
//          compaction, less pages freed are in use.
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';
import {
  ANON,
  bufferFrames,
  deviceMapOf,
  freeHugeFrames,
  SMALL_IN_THP,
  smallInHuge,
  tableFrames,
  usedHuge,
  userFrames,
} from './read_state.ts';

/** Judges numastat and the allocation events. */
export function checkCounters(k: Kernel): readonly string[] {
  const findings = new Findings('counters');
  let miss = 0;
  let foreign = 0;
  for (const { id } of k.machine.nodes) {
    const n = k.mem.stat.numastat(id);
    miss += n.numa_miss;
    foreign += n.numa_foreign;
    findings.expect(
      n.numa_hit + n.numa_miss === n.local_node + n.other_node,
      () =>
        `node ${id}: ${n.numa_hit} hits and ${n.numa_miss} misses, but ` +
        `${n.local_node} local and ${n.other_node} other pages`,
    );
  }
  findings.expect(
    miss === foreign,
    () => `numa_miss sums up to ${miss}, numa_foreign to ${foreign}`,
  );
  const { pgalloc, pgfree } = k.mem.stat.eventCounts();
  const sizes = [...usedHuge(k).values(), ...freeHugeFrames(k).map((page) => page.nrSmall)];
  const nrHuge = sizes.filter((nrSmall) => nrSmall === smallInHuge(k)).length;
  const { orphans, nrLostInUse } = k.mem.held;
  const nrOrphans = [...orphans].filter((f) => k.mem.map.kind[f] === ANON).length;
  const nrHeld = nrOrphans + nrLostInUse;
  const nrOfBuffers = bufferFrames(k).filter((f) => deviceMapOf(k, f) === undefined).length;
  const nrZero = k.thp.zeroFrame === undefined ? 0 : SMALL_IN_THP;
  const ofUsers = [...userFrames(k)].filter((f) => deviceMapOf(k, f) === undefined);
  const nrOfDevices = [...orphans].filter((f) => deviceMapOf(k, f) !== undefined).length;
  const ofKernel = [...k.kernelPages.values()].flat();
  const nrKernel = ofKernel.reduce((n, { order }) => n + 2 ** order, 0);
  const nrSmall =
    nrKernel + ofUsers.length - nrOfDevices + tableFrames(k).size + nrHeld + nrZero + nrOfBuffers;
  // Gigantic pages are not allocated page by page, and yet are freed so.
  const inUse = nrSmall + nrHuge * smallInHuge(k) - k.gigantic.nrGivenBack;
  const nrGiven = pgalloc + k.compaction.core.state.nrTaken;
  findings.expect(
    nrGiven - pgfree === inUse,
    () => `${nrGiven} pages allocated and ${pgfree} freed, but ${inUse} are in use`,
  );
  return findings.list();
}
