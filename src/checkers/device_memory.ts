// Judge: memory that drivers keep is theirs alone: the page allocator has none of it, pages there
// are of the kinds that may be, and CPUs map what they can.
// Holds    ZDV1 zones of such memory are not managed and in no zonelist, and their nodes have no
//          N_MEMORY. ZDV2 a pool counts what is in it. ZDV4 its pages are on no list of reclaim.
//          ZDV5 an entry stands for a page that CPUs cannot map exactly where that is so. ZDV7 only
//          pages of programs, of files where they may, and buffers lie there; no long-term pin
//          holds one.
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';
import { ANON, DRIVER, deviceMapOf, FILE, readEntry, SHMEM } from './read_state.ts';

const ZONE_DEVICE = 4;
const LISTED = 0x1;

function checkZones(k: Kernel, findings: Findings): void {
  const { zones, lists, states } = k.mem;
  const all = [lists.fallback, lists.noFallback, lists.private, lists.privateNoFallback].flat();
  const listed = all.flatMap((list) => [...(list?.zones ?? [])]);
  for (let z = 0; z < zones.nr; z++) {
    if (zones.type[z] !== ZONE_DEVICE) continue;
    const nid = zones.nid[z] as number;
    const text = `device memory of node ${nid}`;
    findings.expect(zones.managed[z] === 0, () => `${text} has managed pages`);
    findings.expect(zones.free[z] === 0, () => `${text} has free pages of the allocator`);
    findings.expect(!listed.includes(z), () => `${text} is in a zonelist`);
    findings.expect(!states.memory.has(nid), () => `${text} has N_MEMORY`);
  }
}

function checkPools(k: Kernel, findings: Findings): void {
  const { map, lru } = k.mem;
  for (const { nid, ops, stretches, type } of k.mem.deviceMemory.maps) {
    if (ops === undefined) continue;
    const free = new Set(ops.freeFrames());
    findings.expect(
      free.size === ops.nrFree,
      () => `the driver of node ${nid} counts ${ops.nrFree} free frames and has ${free.size}`,
    );
    for (const { start, end } of stretches) {
      for (let f = start; f < end; f++) {
        if (lru.isInUse && ((lru.flags[f] as number) & LISTED) !== 0) {
          findings.add(`frame ${f} of a driver on node ${nid} is on a list of reclaim`);
        }
        if (free.has(f)) continue;
        const kind = map.kind[f] as number;
        const isUsers = kind === ANON || kind === SHMEM || kind === FILE;
        const isRight = kind === DRIVER || (isUsers && type !== 'none');
        if (!isRight) findings.add(`frame ${f} of a driver is of kind ${kind}`);
      }
    }
  }
}

function checkEntries(k: Kernel, findings: Findings): void {
  for (const space of k.spaces.values()) {
    space.pageTable.forEachEntry((vpn, pte) => {
      const entry = readEntry(pte);
      if (entry.is !== 'page' && entry.is !== 'device') return;
      const type = deviceMapOf(k, entry.frame)?.type;
      const text = `space ${space.id}, page ${vpn}`;
      const vma = space.vmas.find((v) => vpn >= v.startVpn && vpn < v.endVpn);
      if (vma?.buffer !== undefined) {
        const own = vma.buffer.frames[vma.pgoff + vpn - vma.startVpn];
        findings.expect(
          entry.is === 'device' && entry.frame === own,
          () => `${text} maps frame ${entry.frame}, and its buffer has ${own} there`,
        );
        return;
      }
      if (entry.is === 'page') {
        findings.expect(type !== 'private', () => `${text} is mapped where no CPU can map it`);
      } else {
        findings.expect(type === 'private', () => `${text} is not mapped, though a CPU could`);
      }
    });
  }
}

function checkPins(k: Kernel, findings: Findings): void {
  for (const { task, startVpn, isLongterm, frames } of k.pins) {
    if (!isLongterm) continue;
    for (const f of frames) {
      const isKept = deviceMapOf(k, f) !== undefined;
      findings.expect(!isKept, () => `pin of ${task.name} at page ${startVpn} holds device memory`);
    }
  }
}

/** Judges memory that drivers keep. */
export function checkDeviceMemory(k: Kernel): readonly string[] {
  const findings = new Findings('device memory');
  if (k.mem.deviceMemory.maps.length === 0) return findings.list();
  checkZones(k, findings);
  checkPools(k, findings);
  checkEntries(k, findings);
  checkPins(k, findings);
  return findings.list();
}
