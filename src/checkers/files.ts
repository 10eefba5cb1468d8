// Judge: files and their pages tell one story.
// Holds    PGC1 every page of a file is in one slot of one file that is there, within its size, and
//          the frame table says which. PGC4 dirty pages are counted by node. PGC8 a file without a
//          name and without a mapping has no pages and is gone.
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';
import { FILE, nodeOfFrame } from './read_state.ts';

const DIRTY = 0x80;

/** Judges the page cache. */
export function checkFiles(k: Kernel): readonly string[] {
  const findings = new Findings('files');
  const { map, lru, dirty } = k.mem;
  const slotOf = new Map<number, string>();
  const nrDirty = new Map<number, number>();
  for (const inode of k.inodes.values()) {
    let n = 0;
    inode.forEachPage((index, f) => {
      const slot = `page ${index} of ${inode.name}`;
      n++;
      findings.expect(!slotOf.has(f), () => `frame ${f} is ${slotOf.get(f)} and ${slot}`);
      slotOf.set(f, slot);
      findings.expect(map.kind[f] === FILE, () => `${slot} is frame ${f} of kind ${map.kind[f]}`);
      findings.expect(
        map.link[f] === inode.id && map.index[f] === index,
        () => `${slot} is frame ${f}, which says page ${map.index[f]} of ${map.link[f]}`,
      );
      findings.expect(index < inode.nrPages, () => `${slot} lies past the end, ${inode.nrPages}`);
      if (((lru.flags[f] as number) & DIRTY) === 0) return;
      const nid = nodeOfFrame(k, f) as number;
      nrDirty.set(nid, (nrDirty.get(nid) ?? 0) + 1);
    });
    findings.expect(n === inode.nrCached, () => `${inode.name} counts ${inode.nrCached}, has ${n}`);
    const isMapped = [...k.spaces.values()].some((space) =>
      space.vmas.some((vma) => vma.file?.inode === inode),
    );
    findings.expect(inode.isLinked || isMapped, () => `${inode.name} has no name and no mapping`);
    if (inode.isLinked) {
      findings.expect(
        k.files.get(inode.name) === inode,
        () => `${inode.name} is not found by name`,
      );
    }
  }
  dirty.nrDirty.forEach((n, nid) => {
    const found = nrDirty.get(nid) ?? 0;
    findings.expect(n === found, () => `node ${nid} counts ${n} dirty pages and has ${found}`);
  });
  return findings.list();
}
