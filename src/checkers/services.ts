// Judge: merged pages of KSM and pages taken away by NUMA balancing are what they may be.
// Holds    KSM5 no entry of a merged page can be written. KSM9 a merged page is known by one node,
//          whose content it has. NBL7 a page taken away is mapped, is not merged, is in no area of
//          huge pages, and is on a node that the design lets NUMA balancing take pages from.
import type { NodeId } from '../base/ids.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';
import { areaOf } from './page_tables.ts';
import { ANON, mappings, nodeOfFrame, readEntry } from './read_state.ts';

/** Merged pages: those of private memory that say they have no one owner. */
const isMerged = (k: Kernel, frame: number): boolean =>
  k.mem.map.kind[frame] === ANON && (k.mem.map.link[frame] as number) <= -1;

function checkMerged(k: Kernel, findings: Findings): void {
  const nodes = new Map<number, number>();
  k.ksm.tree.forEachNode(({ id, frame, number }) => {
    findings.expect(!nodes.has(frame), () => `frame ${frame} is a merged page twice`);
    nodes.set(frame, id);
    findings.expect(isMerged(k, frame), () => `frame ${frame} of node ${id} is no merged page`);
    const content = k.contents?.get(frame);
    findings.expect(
      content === number,
      () => `frame ${frame} holds ${content}, and was merged as ${number}`,
    );
  });
  for (const { space, vpn, frame, isWritable } of mappings(k)) {
    if (!isMerged(k, frame)) continue;
    const text = `space ${space}, page ${vpn} maps merged frame ${frame}`;
    findings.expect(!isWritable, () => `${text} and can be written`);
    findings.expect(nodes.has(frame), () => `${text}, which KSM does not know`);
  }
}

function checkTakenAway(k: Kernel, findings: Findings): void {
  const mayTake = k.design.answers.changePteRange;
  for (const space of k.spaces.values()) {
    for (const vpn of space.pageTable.marks?.hinted ?? []) {
      const text = `space ${space.id}, page ${vpn}`;
      const entry = readEntry(space.pageTable.get(vpn));
      if (entry.is !== 'page') {
        findings.add(`${text} is taken away and is no page`);
        continue;
      }
      findings.expect(!isMerged(k, entry.frame), () => `${text} is taken away and merged`);
      const area = areaOf(space, vpn);
      const mayScan = area !== undefined && area.huge === null;
      findings.expect(mayScan, () => `${text} is taken away in an area of huge pages or none`);
      const nid = nodeOfFrame(k, entry.frame) as NodeId;
      const isOpen = mayTake === undefined || mayTake(nid, k.states);
      findings.expect(isOpen, () => `${text} is taken away on node ${nid}, which is shut to that`);
    }
  }
}

/** Judges what services have done. */
export function checkServices(k: Kernel): readonly string[] {
  const findings = new Findings('services');
  checkMerged(k, findings);
  checkTakenAway(k, findings);
  return findings.list();
}
