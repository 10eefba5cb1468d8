// Judge: transparent huge pages, their entries and their counts tell one story.
// Holds    THP1 a huge page is 512 frames of one kind, aligned, and its record is there. THP2 no
//          leaf is where an entry of the pmd level is; each such entry has a table page of its own.
//          THP5 an entry of the pmd level lies in one area, where a huge page may be. THP6 what is
//          counted of a huge page is the entries that map it; nothing is mapped of it elsewhere.
//          THP9 an entry is writable only while no other maps the page. THP14 pages with unmapped
//          parts are queued to be split, and no others; the huge zero page is there while used.
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';
import { areaOf } from './page_tables.ts';
import { mappings, SMALL_IN_THP, THP, thpMappings } from './read_state.ts';

/** Entries that map a huge page: whole, and each small page of it. */
interface Counted {
  whole: number;
  readonly small: Map<number, number>;
}

const newCount = (): Counted => ({ whole: 0, small: new Map() });

/** Counts anew what maps each huge page, and judges where its entries are. */
function countEntries(k: Kernel, findings: Findings): Map<number, Counted> {
  const counted = new Map<number, Counted>();
  const of = (head: number): Counted => {
    const known = counted.get(head) ?? newCount();
    counted.set(head, known);
    return known;
  };
  const { map } = k.mem;
  for (const { space, vpn, entry } of thpMappings(k)) {
    if (entry.is === 'page') {
      of(entry.frame).whole++;
      const at = map.index[entry.frame];
      findings.expect(
        at === vpn,
        () => `space ${space} maps frame ${entry.frame} at ${vpn}, which says it is page ${at}`,
      );
    }
  }
  for (const { space, vpn, frame } of mappings(k)) {
    if (map.kind[frame] !== THP) continue;
    const head = frame - (frame % SMALL_IN_THP);
    const { small } = of(head);
    small.set(frame, (small.get(frame) ?? 0) + 1);
    const expected = (map.index[head] as number) + (frame - head);
    findings.expect(
      expected === vpn,
      () => `space ${space} maps frame ${frame} at ${vpn}, which should be page ${expected}`,
    );
  }
  return counted;
}

/** Entries of the pmd level: in one area, without a leaf, with a table page that no other has. */
function checkEntries(k: Kernel, findings: Findings): void {
  const tables = new Set<number>();
  for (const { space, vpn, entry, table } of thpMappings(k)) {
    const text = `space ${space}, huge page at ${vpn}`;
    const owner = k.spaces.get(space);
    if (owner === undefined) continue;
    findings.expect(owner.pageTable.leafOf(vpn) === undefined, () => `${text} has a leaf too`);
    findings.expect(!tables.has(table), () => `${text} shares table page ${table}`);
    tables.add(table);
    const vma = areaOf(owner, vpn);
    if (vma === undefined || vpn + SMALL_IN_THP > vma.endVpn) {
      findings.add(`${text} reaches beyond its area`);
      continue;
    }
    const isPrivate = vma.object === null && vma.huge === null && vma.hasAnonVma;
    findings.expect(isPrivate, () => `${text} is in an area that cannot have one`);
    if (entry.is !== 'page') {
      findings.expect(k.thp.zeroUsers.has(space), () => `${text} is the zero page, not its user's`);
      continue;
    }
    if (!entry.isWritable) continue;
    const record = k.thp.pageOf(entry.frame);
    findings.expect(record.refs === 1, () => `${text} is writable, and ${record.refs} map it`);
  }
}

/** One record against what was counted anew. */
function checkPage(k: Kernel, head: number, counted: Counted, findings: Findings): void {
  const { map } = k.mem;
  const text = `huge page at frame ${head}`;
  findings.expect(head % SMALL_IN_THP === 0, () => `${text} is not aligned`);
  let unmapped = 0;
  for (let f = head; f < head + SMALL_IN_THP; f++) {
    findings.expect(map.kind[f] === THP, () => `${text}: frame ${f} is of kind ${map.kind[f]}`);
    if (!counted.small.has(f)) unmapped++;
  }
  const { pmdMaps, refs } = k.thp.pageOf(head);
  const small = [...counted.small.values()].reduce((a, b) => a + b, 0);
  findings.expect(
    pmdMaps === counted.whole,
    () => `${text} counts ${pmdMaps} entries that map it whole; there are ${counted.whole}`,
  );
  findings.expect(
    refs === counted.whole + small,
    () => `${text} counts ${refs} entries in all; there are ${counted.whole + small}`,
  );
  const isPart = counted.whole === 0 && unmapped > 0 && refs > 0;
  findings.expect(refs > 0 || k.mem.held.isPinned(head), () => `${text} is mapped nowhere`);
  const isQueued = [...k.thp.splitQueue].some((f) => f === head);
  findings.expect(isPart === isQueued, () =>
    isPart ? `${text} is mapped in part and not queued` : `${text} is queued to be split`,
  );
}

/** Judges all transparent huge pages. */
export function checkThps(k: Kernel): readonly string[] {
  const findings = new Findings('transparent huge pages');
  checkEntries(k, findings);
  const counted = countEntries(k, findings);
  const known = new Set<number>();
  k.thp.forEach((head) => {
    known.add(head);
    checkPage(k, head, counted.get(head) ?? newCount(), findings);
  });
  for (const head of counted.keys()) {
    findings.expect(known.has(head), () => `frame ${head} is mapped, and there is no such page`);
  }
  if (k.thp.zeroUsers.size > 0) {
    findings.expect(k.thp.zeroFrame !== undefined, () => 'the huge zero page is used and gone');
  }
  return findings.list();
}
