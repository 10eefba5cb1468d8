// Judge: what a design promises of single requests, against the record of decisions, where one is
// kept: whose list was walked and with what mask, whatever became of the page later.
// Holds    PRM3 every page that a walk gave was given as the promise allows.
// Notes    A page from a pool of huge pages is the pool's: no walk for free memory gave it.
import type { NodeId } from '../base/ids.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';

/** As gfp flags and records of decisions have it, said a second time. */
const THISNODE = 0x200000;
const POOL = 4;
const TAKEN = 0;
const FIRST_PRIVATE_LIST = 2;

/** Judges all decisions on record; drop the record to judge only what follows. */
export function checkPromiseOfRequests(k: Kernel): readonly string[] {
  const { allows, text } = k.design.promise;
  const { log } = k.allocator;
  if (allows === undefined || log === null) return [];
  const findings = new Findings('promise of requests');
  for (const d of log.records()) {
    const taken = d.steps.at(-1);
    if (!d.isGiven || d.attempt === POOL || taken?.verdict !== TAKEN) continue;
    const nid = k.mem.zones.nid[taken.zone] as NodeId;
    const page = {
      nid,
      listOwner: d.listOwner as NodeId,
      isPrivateList: d.list >= FIRST_PRIVATE_LIST,
      isThisNode: (d.gfp & THISNODE) !== 0,
      mask: d.maskOrigin,
    };
    if (allows(page, k.states)) continue;
    findings.add(
      `${d.nrPages} pages (${d.context?.purpose}, policy ${d.context?.policy}) of node ${nid} were ` +
        `given from a list of node ${d.listOwner}, though ${k.design.id} promises: ${text}`,
    );
  }
  return findings.list();
}
