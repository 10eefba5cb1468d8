// Judge: page tables, areas, shared objects and the frame table tell one story.
// Holds    VMA1 areas ascend, do not overlap, are not empty. PT2 entries are inside areas. PT3 a
//          private page carries its virtual page number, and is writable by one mapper at most.
//          PT4 an entry of a shared area maps the page that the object has there. SHM1 ranges of a
//          shared policy ascend. PT5 an entry of a huge page is inside an area of huge pages, and
//          maps its file's page if that area is shared.
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';
import { ANON, type Entry, HUGE, hugeMappings, readEntry, THP } from './read_state.ts';

type Space = Kernel['spaces'] extends Map<number, infer S> ? S : never;
type Area = Space['vmas'][number];

/** The area that holds a page, found by looking at all of them. */
export const areaOf = (space: Space, vpn: number): Area | undefined =>
  space.vmas.find((vma) => vpn >= vma.startVpn && vpn < vma.endVpn);

function checkAreas(space: Space, findings: Findings): void {
  let end = 0;
  for (const vma of space.vmas) {
    const text = `space ${space.id}: area [${vma.startVpn}, ${vma.endVpn})`;
    findings.expect(vma.startVpn < vma.endVpn, () => `${text} is empty`);
    findings.expect(vma.startVpn >= end, () => `${text} overlaps the one before`);
    end = vma.endVpn;
  }
}

function checkEntry(k: Kernel, space: Space, vpn: number, entry: Entry, findings: Findings): void {
  const { map } = k.mem;
  const text = `space ${space.id}, page ${vpn}`;
  const vma = areaOf(space, vpn);
  if (vma === undefined) {
    findings.add(`${text} has an entry outside every area`);
    return;
  }
  if (entry.is === 'zero page') {
    findings.expect(vma.object === null, () => `${text} of a shared area is the zero page`);
    return;
  }
  if (entry.is === 'slot') {
    findings.expect(vma.object === null, () => `${text} of a shared area stands for a slot`);
    return;
  }
  if (vma.buffer !== undefined || (entry.is !== 'page' && entry.is !== 'device')) return;
  const { frame, isWritable } = entry;
  if (vma.file !== null && map.kind[frame] !== ANON) {
    const index = vma.pgoff + (vpn - vma.startVpn);
    const held = vma.file.inode.page(index);
    findings.expect(
      held === frame,
      () => `${text} maps frame ${frame}; page ${index} of its file is ${held ?? 'not there'}`,
    );
    findings.expect(
      !isWritable || vma.file.isShared,
      () => `${text} of a private mapping lets a page of its file be written`,
    );
    return;
  }
  if (vma.object === null) {
    findings.expect(vma.hasAnonVma, () => `${text} is mapped, and fork would not copy its entry`);
    if (map.kind[frame] === THP) return;
    findings.expect(map.kind[frame] === ANON, () => `${text} maps frame ${frame}, no private page`);
    findings.expect(
      map.index[frame] === vpn || (map.link[frame] as number) < 0,
      () => `${text} maps frame ${frame}, which says it is page ${map.index[frame]}`,
    );
    findings.expect(
      !isWritable || map.mapcount[frame] === 1,
      () => `${text} is writable, and ${map.mapcount[frame]} entries map its frame`,
    );
    return;
  }
  const index = vma.pgoff + (vpn - vma.startVpn);
  const held = vma.object.page(index);
  findings.expect(
    held === frame,
    () => `${text} maps frame ${frame}; page ${index} of its object is ${held ?? 'not there'}`,
  );
}

/** Entries of huge pages: inside areas of huge pages, and of the page that is meant. */
function checkHuge(k: Kernel, findings: Findings): void {
  const { map } = k.mem;
  for (const { space, vpn, frame, isWritable } of hugeMappings(k)) {
    const text = `space ${space}, huge page at ${vpn}`;
    const vma = areaOf(k.spaces.get(space) as Space, vpn);
    const huge = vma?.huge ?? null;
    if (vma === undefined || huge === null) {
      findings.add(`${text} is mapped outside every area of huge pages`);
      continue;
    }
    findings.expect(map.kind[frame] === HUGE, () => `${text} maps frame ${frame}, no huge page`);
    if (!huge.isShared) {
      findings.expect(
        !isWritable || map.mapcount[frame] === 1,
        () => `${text} is writable, and ${map.mapcount[frame]} entries map its frame`,
      );
      continue;
    }
    const index = (vma.pgoff + vpn - vma.startVpn) / huge.inode.nrSmall;
    const held = huge.inode.pages.get(index);
    findings.expect(
      held === frame,
      () => `${text} maps frame ${frame}; page ${index} of its file is ${held ?? 'not there'}`,
    );
  }
}

/** Shared policies and the number of mappings of each object. */
function checkObjects(k: Kernel, findings: Findings): void {
  for (const object of k.objects.values()) {
    let at = 0;
    let nrSteps = 0;
    while (at < object.nrPages && nrSteps++ <= object.nrPages) {
      const next = object.policyEnd(at);
      findings.expect(next > at, () => `object ${object.id}: policy ranges do not ascend at ${at}`);
      if (next <= at) break;
      at = next;
    }
  }
}

/** Judges all address spaces and shared objects. */
export function checkPageTables(k: Kernel): readonly string[] {
  const findings = new Findings('page tables');
  for (const space of k.spaces.values()) {
    checkAreas(space, findings);
    space.pageTable.forEachEntry((vpn, pte) => {
      checkEntry(k, space, vpn, readEntry(pte), findings);
    });
  }
  checkHuge(k, findings);
  checkObjects(k, findings);
  return findings.list();
}
