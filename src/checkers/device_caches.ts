// Judge: what caches of devices keep is what is in memory.
// Holds    DCH1 a cache has room for what it keeps, and counts it. DCH3 nothing is kept of a frame
//          that is free. DCH4 a copy that one device may write to is the only one.
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';
import { FREE_BLOCK } from './read_state.ts';

const LINES_IN_KIB = 8;

/** Judges the caches of all devices of a machine. */
export function checkDeviceCaches(k: Kernel): readonly string[] {
  const findings = new Findings('device caches');
  const caches = k.allocator.watch?.watchers ?? [];
  const keepers = new Map<number, number>();
  const owned = new Set<number>();
  caches.forEach((cache, i) => {
    const seen = new Set<number>();
    let nrLines = 0;
    for (const copy of cache.copies()) {
      const text = `cache ${i}, frame ${copy.f}`;
      nrLines += copy.nrLines;
      findings.expect(!seen.has(copy.f), () => `${text} is there twice`);
      seen.add(copy.f);
      keepers.set(copy.f, (keepers.get(copy.f) ?? 0) + 1);
      if (copy.isOwned) owned.add(copy.f);
      const most = (k.mem.pageBytes / 1024) * LINES_IN_KIB;
      const isPart = copy.nrLines > 0 && copy.nrLines <= most;
      findings.expect(isPart, () => `${text} has ${copy.nrLines} lines of ${most}`);
      const kind = k.mem.map.kind[copy.f] as number;
      findings.expect(kind > FREE_BLOCK, () => `${text} is free`);
    }
    findings.expect(
      nrLines === cache.nrUsed && nrLines <= cache.nrLines,
      () => `cache ${i} keeps ${nrLines} lines, counts ${cache.nrUsed}, has ${cache.nrLines}`,
    );
  });
  for (const f of owned) {
    findings.expect(
      keepers.get(f) === 1,
      () => `frame ${f} is written to here, and kept elsewhere`,
    );
  }
  return findings.list();
}
