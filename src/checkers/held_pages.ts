// Judge: pins and locks hold what they say, and broken memory is nobody's.
// Holds    PIN1 pin counts are those of the pins that are held, and no pinned frame is free. PIN2
//          no long-term pin holds a page of ZONE_MOVABLE. HWP1 a poisoned frame is not free, and no
//          entry maps it, unless a pin kept a huge page from being split. LCK1 with pages on lists,
//          a page is unevictable exactly while a locked area maps it.
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';
import {
  FREE_BLOCK,
  freeBlocks,
  mappings,
  NONE,
  THP,
  thpMappings,
  zoneOfFrame,
} from './read_state.ts';

const ZONE_MOVABLE = 3;
const LISTED = 0x1;
const UNEVICTABLE = 0x8;

function checkPins(k: Kernel, findings: Findings): void {
  const counted = new Map<number, number>();
  for (const { task, startVpn, isLongterm, frames } of k.pins) {
    const text = `pin of ${task.name} at page ${startVpn}`;
    findings.expect(task.isAlive, () => `${text} outlives its task`);
    for (const f of frames) {
      counted.set(f, (counted.get(f) ?? 0) + 1);
      const z = zoneOfFrame(k, f);
      const isMovable = z !== undefined && k.mem.zones.type[z] === ZONE_MOVABLE;
      findings.expect(!isLongterm || !isMovable, () => `${text} holds frame ${f} in ZONE_MOVABLE`);
    }
  }
  for (const [f, n] of k.mem.held.pins) {
    const own = counted.get(f) ?? 0;
    findings.expect(n === own, () => `frame ${f} has ${n} pins, but ${own} are held`);
    const kind = k.mem.map.kind[f];
    findings.expect(kind !== NONE && kind !== FREE_BLOCK, () => `frame ${f} is pinned and free`);
  }
  for (const f of counted.keys()) {
    findings.expect(k.mem.held.isPinned(f), () => `frame ${f} is held by a pin and not counted`);
  }
}

function checkPoison(k: Kernel, findings: Findings): void {
  const broken = new Set(k.mem.held.poisoned());
  const { nrPoisoned } = k.mem.held;
  findings.expect(broken.size === nrPoisoned, () => `${nrPoisoned} frames are not ${broken.size}`);
  if (broken.size === 0) return;
  const silent = new Findings('held pages');
  for (let z = 0; z < k.mem.zones.nr; z++) {
    for (const { frame, order } of freeBlocks(k, z, silent)) {
      for (let f = frame; f < frame + 2 ** order; f++) {
        findings.expect(!broken.has(f), () => `poisoned frame ${f} is in a free block`);
      }
    }
  }
  for (const { space, vpn, frame } of mappings(k)) {
    const isWhole = k.mem.map.kind[frame] === THP;
    const isBroken = broken.has(frame) && !isWhole;
    findings.expect(!isBroken, () => `space ${space}, page ${vpn} maps poisoned frame ${frame}`);
  }
}

function checkLocks(k: Kernel, findings: Findings): void {
  const { lru } = k.mem;
  if (!lru.isTracking) return;
  const locked = new Set<number>();
  for (const { space, vpn, frame } of mappings(k)) {
    const vma = k.spaces.get(space)?.vmas.find((v) => vpn >= v.startVpn && vpn < v.endVpn);
    if (vma?.isLocked === true) locked.add(frame);
  }
  checkLockedThps(k, findings);
  for (const { frame } of mappings(k)) {
    const flags = lru.flags[frame] as number;
    if ((flags & LISTED) === 0 || k.mem.map.kind[frame] === THP) continue;
    const isUnevictable = (flags & UNEVICTABLE) !== 0;
    findings.expect(
      isUnevictable === locked.has(frame),
      () => `frame ${frame} is ${isUnevictable ? 'unevictable' : 'evictable'}, against its areas`,
    );
  }
}

/** Of a huge page only the entries that map it whole lock it. */
function checkLockedThps(k: Kernel, findings: Findings): void {
  const locked = new Set<number>();
  for (const { space, vpn, entry } of thpMappings(k)) {
    const vma = k.spaces.get(space)?.vmas.find((v) => vpn >= v.startVpn && vpn < v.endVpn);
    if (entry.is === 'page' && vma?.isLocked === true) locked.add(entry.frame);
  }
  k.thp.forEach((head) => {
    const isUnevictable = ((k.mem.lru.flags[head] as number) & UNEVICTABLE) !== 0;
    findings.expect(
      isUnevictable === locked.has(head),
      () => `huge page at ${head} is ${isUnevictable ? '' : 'not '}unevictable, against its areas`,
    );
  });
}

/** Judges pins, locks and broken memory. */
export function checkHeldPages(k: Kernel): readonly string[] {
  const findings = new Findings('held pages');
  checkPins(k, findings);
  checkPoison(k, findings);
  checkLocks(k, findings);
  return findings.list();
}
