// Judge: no frame is lost and none has two owners; what the frame table says of a frame is true.
// Holds    FRM1 every frame is exactly one of: free, untouched, on a per-CPU list, taken at boot,
//          page table, private page, shared page, page of a file, part of a huge page, held by
//          pins only, poisoned with nobody left who uses it, free in the pool of a driver, in a
//          buffer of one. FRM2 the map count is the number of entries that map the frame. FRM3 the
//          kind in the frame table is what the owner makes of it.
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';
import {
  ANON,
  cachedFrames,
  DRIVER,
  FILE,
  FREE_BLOCK,
  freeBlocks,
  freeHugeFrames,
  HUGE,
  hugeMappings,
  KERNEL,
  type Mapping,
  mappings,
  NONE,
  POISON,
  pooledFrames,
  SHMEM,
  SMALL_IN_THP,
  smallInGigantic,
  stretchesOf,
  TABLE,
  THP,
  thpFrames,
  untouched,
  usedHuge,
  zoneOfFrame,
  zoneText,
} from './read_state.ts';

const ZONE_DEVICE = 4;

interface Owned {
  readonly owner: string;
  /** Kind that the frame table must give it. */
  readonly kind: number;
}

/** Who claims each frame: one, or a list where that is wrong. */
type Owners = Map<number, Owned | Owned[]>;

function claim(owners: Owners, frame: number, owned: Owned): void {
  const before = owners.get(frame);
  if (before === undefined) owners.set(frame, owned);
  else if (Array.isArray(before)) before.push(owned);
  else owners.set(frame, [before, owned]);
}

function own(owners: Owners, frame: number, owner: string, kind: number): void {
  claim(owners, frame, { owner, kind });
}

/** Claims a stretch, whose first frame may be of another kind than the rest. */
function ownStretch(
  owners: Owners,
  start: number,
  nrFrames: number,
  owner: string,
  kind: number,
  firstKind = kind,
): void {
  claim(owners, start, { owner, kind: firstKind });
  const rest = { owner, kind };
  for (let i = 1; i < nrFrames; i++) claim(owners, start + i, rest);
}

const ownersOf = (owners: Owners, frame: number): readonly Owned[] => {
  const owned = owners.get(frame);
  if (owned === undefined) return [];
  return Array.isArray(owned) ? owned : [owned];
};

const frameText = (k: Kernel, frame: number): string => {
  const z = zoneOfFrame(k, frame);
  return z === undefined ? `frame ${frame} in no zone` : `frame ${frame} of ${zoneText(k, z)}`;
};

/** Of a gigantic page only the first frame: the rest is passed over as a whole. */
function ownHuge(k: Kernel, owners: Owners, frame: number, nrSmall: number, owner: string): void {
  const nrOwned = nrSmall === smallInGigantic(k) ? 1 : nrSmall;
  ownStretch(owners, frame, nrOwned, owner, NONE, HUGE);
}

/** Whatever has a claim on a frame. */
function collectOwners(k: Kernel, counts: ReadonlyMap<number, number>): Owners {
  const owners: Owners = new Map();
  const silent = new Findings('frames');
  for (let z = 0; z < k.mem.zones.nr; z++) {
    for (const { frame, order, type } of freeBlocks(k, z, silent)) {
      const owner = `free block of order ${order} and type ${type}`;
      ownStretch(owners, frame, 2 ** order, owner, NONE, FREE_BLOCK);
    }
  }
  k.mem.pcp.forEach((z, cpu, _type, f, order) => {
    ownStretch(owners, f, 2 ** order, `list of CPU ${cpu} for ${zoneText(k, z)}`, NONE);
  });
  for (const space of k.spaces.values()) {
    const owner = `page table of space ${space.id}`;
    for (const f of space.pageTable.tableFrames()) own(owners, f, owner, TABLE);
    if (space.pgd !== undefined) own(owners, space.pgd, `top ${owner}`, TABLE);
  }
  const ofObjects = new Set<number>();
  for (const object of k.objects.values()) {
    object.forEachPage((index, f) => {
      own(owners, f, `page ${index} of object ${object.id}`, SHMEM);
      ofObjects.add(f);
    });
  }
  for (const inode of k.inodes.values()) {
    inode.forEachPage((index, f) => {
      own(owners, f, `page ${index} of file ${inode.name}`, FILE);
      ofObjects.add(f);
    });
  }
  const ofThps = new Set<number>();
  for (const head of thpFrames(k)) {
    ownStretch(owners, head, SMALL_IN_THP, `huge page at frame ${head}`, THP);
    for (let f = head; f < head + SMALL_IN_THP; f++) ofThps.add(f);
  }
  const { zeroFrame } = k.thp;
  if (zeroFrame !== undefined) {
    ownStretch(owners, zeroFrame, SMALL_IN_THP, 'huge zero page', NONE, KERNEL);
  }
  const ofUsers = new Set([...counts.keys(), ...cachedFrames(k)]);
  const isPrivate = { owner: 'private page', kind: ANON };
  for (const f of ofUsers) {
    if (!ofObjects.has(f) && !ofThps.has(f)) claim(owners, f, isPrivate);
  }
  const { held } = k.mem;
  for (const f of held.orphans) {
    const kind = k.mem.map.kind[f];
    if (kind !== THP && kind !== HUGE) own(owners, f, 'page that only pins hold', ANON);
  }
  for (const [f, size] of usedHuge(k)) ownHuge(k, owners, f, size, 'huge page in use');
  for (const { frame, nrSmall } of freeHugeFrames(k)) {
    ownHuge(k, owners, frame, nrSmall, 'free huge page');
  }
  for (const { id, frames } of k.buffers.values()) {
    for (const f of frames) own(owners, f, `buffer ${id} of a driver`, DRIVER);
  }
  for (const [name, blocks] of k.kernelPages) {
    for (const { f, order } of blocks) {
      ownStretch(owners, f, 2 ** order, `kernel pages of ${name}`, KERNEL);
    }
  }
  const isPooled = { owner: "free in its driver's pool", kind: NONE };
  for (const f of pooledFrames(k)) claim(owners, f, isPooled);
  for (const f of held.poisoned()) if (!owners.has(f)) own(owners, f, 'poisoned page', POISON);
  return owners;
}

/** Map counts, counted anew. */
function countMappings(all: readonly Mapping[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { frame } of all) counts.set(frame, (counts.get(frame) ?? 0) + 1);
  return counts;
}

/** Frames that exist, zone by zone; those taken at boot are the first and last of their zone. */
function checkEveryFrame(k: Kernel, owners: Owners, findings: Findings): void {
  const { zones, freeAtStart, takenAtEnd, bootPages } = k.mem;
  const gigantic = giganticFrames(k);
  const seen = new Uint8Array(k.mem.map.kind.length);
  const hasBootPages = bootPages.frames.length > 0;
  let giganticEnd = 0;
  for (let z = 0; z < zones.nr; z++) {
    const own = stretchesOf(k, z);
    const isKept = zones.type[z] === ZONE_DEVICE;
    const nrPages = own.reduce((n, s) => n + s.nrPages, 0);
    const nrLast = isKept ? 0 : (takenAtEnd[z] as number);
    let nrTaken = isKept ? 0 : nrPages - (freeAtStart[z] as number) - nrLast;
    const tail = tailOf(own, nrLast);
    const { start, end } = untouched(k, z);
    for (const segment of own) {
      for (let f = segment.startFrame; f < segment.startFrame + segment.nrPages; f++) {
        const last = Math.min(end, segment.startFrame + segment.nrPages) - 1;
        if (f >= start && f < end) f = last;
        const isUntouched = f >= start && f < end;
        const isOfBoot =
          hasBootPages && bootPages.frames.some((g) => f >= g && f < g + bootPages.nrPages);
        const isTaken = !isOfBoot && (nrTaken-- > 0 || f >= tail);
        if (f < giganticEnd) continue;
        const owned = owners.get(f);
        if (owned !== undefined) seen[f] = 1;
        if (gigantic.has(f)) giganticEnd = f + smallInGigantic(k);
        const nrClaims = owned === undefined ? 0 : Array.isArray(owned) ? owned.length : 1;
        const nrOwners = nrClaims + (isUntouched ? 1 : 0) + (isTaken ? 1 : 0);
        if (nrOwners === 1) continue;
        const names = [
          ...ownersOf(owners, f).map((o) => o.owner),
          ...(isUntouched ? ['untouched memory'] : []),
          ...(isTaken ? ['taken at boot'] : []),
        ];
        const told =
          nrOwners === 0 ? 'has no owner' : `has ${nrOwners} owners: ${names.join(', ')}`;
        findings.add(`${frameText(k, f)} ${told}`);
      }
    }
  }
  for (const f of owners.keys()) {
    if (seen[f] === 1) continue;
    const [first] = ownersOf(owners, f);
    findings.add(`${frameText(k, f)} does not exist or is untouched, but is ${first?.owner}`);
  }
}

/** Where the last pages of a zone begin: the first frame of them, or past all frames. */
function tailOf(own: readonly { startFrame: number; nrPages: number }[], nrLast: number): number {
  let left = nrLast;
  let at = Number.POSITIVE_INFINITY;
  for (const { startFrame, nrPages } of [...own].reverse()) {
    if (left === 0) break;
    at = startFrame + Math.max(0, nrPages - left);
    left = Math.max(0, left - nrPages);
  }
  return at;
}

/** First frames of gigantic pages, free or used. */
function giganticFrames(k: Kernel): Set<number> {
  const free = freeHugeFrames(k).map(({ frame, nrSmall }) => [frame, nrSmall] as const);
  const all = [...usedHuge(k), ...free];
  return new Set(all.filter(([, size]) => size === smallInGigantic(k)).map(([f]) => f));
}

/** Judges who owns which frame. */
export function checkFrames(k: Kernel): readonly string[] {
  const findings = new Findings('frames');
  const counts = countMappings(mappings(k));
  const huge = countMappings(hugeMappings(k));
  const owners = collectOwners(k, counts);
  checkEveryFrame(k, owners, findings);
  const { map } = k.mem;
  for (const [f, owned] of owners) {
    if (Array.isArray(owned)) continue;
    const { kind, owner } = owned;
    findings.expect(
      map.kind[f] === kind,
      () => `${frameText(k, f)} is of kind ${map.kind[f]}, as ${owner} it should be ${kind}`,
    );
    const isUsers = kind === ANON || kind === SHMEM || kind === FILE;
    if (!isUsers && kind !== HUGE && kind !== THP) continue;
    const mapped = (kind === HUGE ? huge : counts).get(f) ?? 0;
    findings.expect(
      map.mapcount[f] === mapped,
      () => `${frameText(k, f)} has map count ${map.mapcount[f]}, but ${mapped} entries map it`,
    );
  }
  return findings.list();
}
