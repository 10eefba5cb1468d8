// Judge: memory blocks, and the nodes that they belong to, come and go together.
// Holds    HOT13 a block that is not there is offline, and a plugged node is online exactly while
//          some block of it is there or it has CPUs. HOT14 no block of a node whose memory a GPU's
//          driver added is online elsewhere than in ZONE_MOVABLE. BBK1 no block of boot memory
//          that is not whole, or the first of a zone, has ever gone. BBK2 a zone reaches over all
//          that it has, and has as many pages present as its stretches.
import type { Frame, NodeId } from '../base/ids.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';
import { stretchesOf, zoneText } from './read_state.ts';

const ZONE_MOVABLE = 3;

/** Judges blocks of boot memory that have gone, and the zones that they are of. */
function checkBootBlocks(k: Kernel, findings: Findings): void {
  const { bootBlocks, zones } = k.mem;
  for (const { nid, startPfn, isWhole, isFirst } of bootBlocks.changed) {
    const text = `boot memory of node ${nid} at ${startPfn}`;
    findings.expect(isWhole && !isFirst, () => `${text} has gone and cannot go`);
  }
  const touched = new Set([...bootBlocks.changed].map(({ nid }) => nid));
  for (let z = 0; z < zones.nr; z++) {
    if (!touched.has(zones.nid[z] as NodeId)) continue;
    const own = stretchesOf(k, z);
    const nrPages = own.reduce((n, s) => n + s.nrPages, 0);
    const has = `${zoneText(k, z)} has ${nrPages} pages`;
    findings.expect(zones.present[z] === nrPages, () => `${has} and counts ${zones.present[z]}`);
    const start = zones.startPfn[z] as number;
    const end = start + (zones.spanned[z] as number);
    const isIn = own.every(({ startFrame, nrPages: size }) => {
      const first = k.mem.pfnOf(startFrame as Frame);
      return first >= start && first + size <= end;
    });
    findings.expect(isIn, () => `${has}, not all within ${start} to ${end}`);
  }
}

/** Judges memory blocks. */
export function checkMemoryBlocks(k: Kernel): readonly string[] {
  const findings = new Findings('memory blocks');
  checkBootBlocks(k, findings);
  const { blocks, zones } = k.mem;
  for (const { nid, startPfn, zone, isThere } of blocks) {
    const text = `block of node ${nid} at ${startPfn}`;
    findings.expect(isThere || zone === undefined, () => `${text} is online and not there`);
    if (zone === undefined) continue;
    findings.expect(zones.nid[zone] === nid, () => `${text} is in a zone of another node`);
    const isLost = k.driverNodes.has(nid) && zones.type[zone] !== ZONE_MOVABLE;
    findings.expect(!isLost, () => `${text} is a GPU's and not movable`);
  }
  for (const nid of new Set(blocks.map((block) => block.nid))) {
    const isThere = blocks.some((block) => block.nid === nid && block.isThere);
    const isExpected = isThere || k.states.cpu.has(nid);
    findings.expect(
      k.states.online.has(nid) === isExpected,
      () => `node ${nid} is ${isExpected ? 'offline' : 'online'}, against its blocks and CPUs`,
    );
  }
  return findings.list();
}
