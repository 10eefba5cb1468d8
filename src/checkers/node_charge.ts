// Judge: pages of counted nodes are counted for whom they are.
// Holds    NCH1, NCH4, counted here frame by frame. Whether anybody has more than allowed is not
//          judged: a limit written below what a group has takes nothing away (NCH5).
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';
import { FREE_BLOCK, nodeOfFrame } from './read_state.ts';

/** Judges the quota of device pages. */
export function checkNodeCharges(k: Kernel): readonly string[] {
  const findings = new Findings('node charges');
  const { charges, map, segments } = k.mem;
  const counted = k.design.answers.nodeCharge?.counted(k.states);
  if (charges === null || counted === undefined) return findings.list();
  const pages = charges.accounts.map(() => new Map<number, number>());
  for (const { startFrame, nrPages } of segments) {
    for (let f = startFrame; f < startFrame + nrPages; f++) {
      const owner = charges.owner[f] as number;
      if (owner === 0) continue;
      const nid = nodeOfFrame(k, f) as number;
      const isFree = map.kind[f] === FREE_BLOCK;
      findings.expect(!isFree, () => `frame ${f} is free and counts for account ${owner}`);
      findings.expect(counted.has(nid), () => `frame ${f} counts, but not node ${nid}`);
      let account = charges.accounts[owner] ?? null;
      findings.expect(account !== null, () => `frame ${f} counts for nobody, number ${owner}`);
      for (; account !== null; account = account.above) {
        const of = pages[account.id] as Map<number, number>;
        of.set(nid, (of.get(nid) ?? 0) + 1);
      }
    }
  }
  charges.accounts.forEach((account, id) => {
    account?.used.forEach((used, nid) => {
      const has = pages[id]?.get(nid) ?? 0;
      const text = `account ${id} on node ${nid}`;
      findings.expect(used === has, () => `${text} is said to have ${used} pages and has ${has}`);
    });
  });
  return findings.list();
}
