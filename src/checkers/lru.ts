// Judge: the lists of pages that reclaim looks at hold the pages that they should, and no other.
// Holds    LRU1 a page with LRU_LISTED is on exactly the list that its other flags, its node and
//          its memory cgroup say. LRU2 counts of lists and zones are what is on them. LRU3 a free
//          frame has no flags. LRU4 while pages are tracked, every user's page is on a list: a
//          small one as one frame, a transparent huge one by its first frame for all 512 of them.
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';
import {
  ANON,
  deviceMapOf,
  FREE_BLOCK,
  NONE,
  nodeOfFrame,
  SHMEM,
  SMALL_IN_THP,
  THP,
  userFrames,
  zoneOfFrame,
} from './read_state.ts';

const LISTS = ['inactive anon', 'active anon', 'inactive file', 'active file', 'unevictable'];
const LISTED = 0x1;
const ACTIVE = 0x2;
const SWAPBACKED = 0x4;
const UNEVICTABLE = 0x8;
const ORDER_BITS_FROM = 4096;

/** The list that a page's flags say, spelt out a second time. */
function expectedList(flags: number): number {
  if ((flags & UNEVICTABLE) !== 0) return 4;
  const isActive = (flags & ACTIVE) !== 0;
  if ((flags & SWAPBACKED) !== 0) return isActive ? 1 : 0;
  return isActive ? 3 : 2;
}

const sizeOf = (flags: number): number => 2 ** Math.floor(flags / ORDER_BITS_FROM);

/** Walks one list of a node and a memory cgroup. Returns the pages on it, in order. */
function walkList(
  k: Kernel,
  nid: number,
  group: number,
  list: number,
  findings: Findings,
): number[] {
  const { lru } = k.mem;
  const where = `${LISTS[list]} list of node ${nid}${group === 0 ? '' : ` for group ${group}`}`;
  const vec = group * k.mem.nrNodeIds + nid;
  const pages: number[] = [];
  const seen = new Set<number>();
  let before = -1;
  for (let f = lru.head(vec, list); f !== -1; f = lru.next[f] as number) {
    if (seen.has(f)) {
      findings.add(`the ${where} goes in a circle`);
      return [];
    }
    if (lru.prev[f] !== before) findings.add(`the ${where} links back wrongly at frame ${f}`);
    before = f;
    seen.add(f);
    pages.push(f);
  }
  findings.expect(lru.tail(vec, list) === before, () => `the tail of the ${where} is not its end`);
  let nr = 0;
  for (const f of pages) {
    nr += sizeOf(lru.flags[f] as number);
    const owner = lru.owner?.[f] ?? 0;
    findings.expect(owner === group, () => `frame ${f} of group ${owner} is on the ${where}`);
  }
  const counted = lru.countOf(vec, list);
  findings.expect(counted === nr, () => `the ${where} counts ${counted} pages and has ${nr}`);
  return pages;
}

/** Judges the lists of every node. */
export function checkLru(k: Kernel): readonly string[] {
  const findings = new Findings('lru');
  const { lru, map, zones } = k.mem;
  if (!lru.isInUse) return findings.list();
  const listOfPage = new Map<number, number>();
  const zoneCounts = new Map<number, number>();
  for (const { id } of k.machine.nodes) {
    for (let list = 0; list < LISTS.length; list++) {
      let n = 0;
      const groups = Array.from({ length: lru.nrVecs / k.mem.nrNodeIds }, (_, group) => group);
      for (const f of groups.flatMap((group) => walkList(k, id, group, list, findings))) {
        if (listOfPage.has(f)) findings.add(`frame ${f} is on two lists`);
        listOfPage.set(f, list);
        const flags = lru.flags[f] as number;
        n += sizeOf(flags);
        const z = zoneOfFrame(k, f) ?? -1;
        const at = z * LISTS.length + list;
        zoneCounts.set(at, (zoneCounts.get(at) ?? 0) + sizeOf(flags));
        const node = nodeOfFrame(k, f);
        findings.expect(node === id, () => `frame ${f} of node ${node} is on a list of node ${id}`);
      }
      findings.expect(
        lru.count(id, list) === n,
        () =>
          `node ${id} counts ${lru.count(id, list)} ${LISTS[list]} pages and has ${n} on the list`,
      );
    }
  }
  for (let z = 0; z < zones.nr; z++) {
    for (let list = 0; list < LISTS.length; list++) {
      const n = zoneCounts.get(z * LISTS.length + list) ?? 0;
      findings.expect(
        lru.countOfZone(z, list) === n,
        () => `zone ${z} counts ${lru.countOfZone(z, list)} ${LISTS[list]} pages and has ${n}`,
      );
    }
  }
  checkFlags(k, listOfPage, findings);
  if (lru.isTracking) {
    checkThps(k, listOfPage, findings);
    for (const f of userFrames(k)) {
      const kind = map.kind[f];
      if ((kind !== ANON && kind !== SHMEM) || deviceMapOf(k, f) !== undefined) continue;
      if (k.mem.held.isPoisoned(f)) continue;
      findings.expect(listOfPage.has(f), () => `frame ${f} is a user's and on no list`);
    }
  }
  return findings.list();
}

/** A transparent huge page is on a list once, as large as it is, and no part of it is on one. */
function checkThps(k: Kernel, listOfPage: ReadonlyMap<number, number>, findings: Findings): void {
  const { lru, map } = k.mem;
  k.thp.forEach((head) => {
    findings.expect(listOfPage.has(head), () => `huge page at frame ${head} is on no list`);
    const size = sizeOf(lru.flags[head] as number);
    findings.expect(size === SMALL_IN_THP, () => `huge page at frame ${head} counts ${size} pages`);
    for (let f = head + 1; f < head + SMALL_IN_THP; f++) {
      findings.expect(!listOfPage.has(f), () => `frame ${f}, part of a huge page, is on a list`);
    }
  });
  for (const f of listOfPage.keys()) {
    const isLarge = sizeOf(lru.flags[f] as number) > 1;
    findings.expect(
      map.kind[f] === THP || !isLarge,
      () => `frame ${f} is no huge page and counts as more than one`,
    );
  }
}

/** Flags and lists must say the same of every frame. */
function checkFlags(k: Kernel, listOfPage: ReadonlyMap<number, number>, findings: Findings): void {
  const { lru, map } = k.mem;
  for (let f = 0; f < map.nrFrames; f++) {
    const flags = lru.flags[f] as number;
    if (flags === 0 && !listOfPage.has(f)) continue;
    const kind = map.kind[f] as number;
    if (kind === NONE || kind === FREE_BLOCK) {
      findings.add(`frame ${f} is free and has flags ${flags}`);
    }
    const list = listOfPage.get(f);
    if ((flags & LISTED) === 0) {
      if (list !== undefined) findings.add(`frame ${f} is on a list and does not know it`);
      continue;
    }
    const expected = expectedList(flags);
    if (list !== expected) {
      const is = list === undefined ? 'none' : `the ${LISTS[list]} one`;
      findings.add(`frame ${f} should be on the ${LISTS[expected]} list and is on ${is}`);
    }
  }
}
