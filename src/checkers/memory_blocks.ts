// Judge: memory blocks, and the nodes that they belong to, come and go together.
// Holds    HOT13 a block that is not there is offline, and a plugged node is online exactly while
//          some block of it is there or it has CPUs. HOT14 no block of a node whose memory a GPU's
//          driver added is online elsewhere than in ZONE_MOVABLE.
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';

const ZONE_MOVABLE = 3;

/** Judges the blocks of plugged memory. */
export function checkMemoryBlocks(k: Kernel): readonly string[] {
  const findings = new Findings('memory blocks');
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
