// Judge: each pool of huge pages adds up, and every promise it counts was made to somebody.
// Holds    HUG1 free pages and pages in use are all pages, on every node, and each is a whole block
//          of its node. HUG2 no more pages are promised than are free, and as many as files and
//          areas have coming to them.
// Notes    Surplus may exceed overcommit, and on one node even the pages there: a pool that shrinks
//          below what is in use or promised counts surplus where it can, and takes free pages
//          elsewhere without asking whether they are surplus. Linux does the same.
import type { Frame } from '../base/ids.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';
import { freeHugeFrames, nodeOfFrame, usedHuge } from './read_state.ts';

type Pool = Kernel['huge'];
type Vma = Kernel['tasks'][number]['mm']['vmas'][number];

/** Pages on a node, from a list of frames. */
function perNode(k: Kernel, frames: Iterable<number>): Map<number, number> {
  const counts = new Map<number, number>();
  for (const f of frames) {
    const nid = nodeOfFrame(k, f) ?? -1;
    counts.set(nid, (counts.get(nid) ?? 0) + 1);
  }
  return counts;
}

/** Pages that an area was promised and has not had, by its own record. */
function owedTo(pool: Pool, vma: Vma): number {
  const used = vma.huge?.used ?? null;
  if (used === null || vma.huge?.inode.pool !== pool) return 0;
  let owed = 0;
  for (let page = 0; page < vma.endVpn - vma.startVpn; page += pool.nrSmall) {
    if (!used.has((vma.pgoff + page) / pool.nrSmall)) owed++;
  }
  return owed;
}

/** Promises counted anew: of the areas of all spaces, and of the files that are shared. */
function countPromises(k: Kernel, pool: Pool): number {
  let owed = 0;
  for (const space of k.spaces.values()) for (const vma of space.vmas) owed += owedTo(pool, vma);
  for (const inode of k.hugeInodes.values()) {
    if (inode.pool !== pool) continue;
    for (const index of inode.promised) if (!inode.pages.has(index)) owed++;
  }
  return owed;
}

/** Judges counters and lists of the pools. */
export function checkHugePages(k: Kernel): readonly string[] {
  const findings = new Findings('huge pages');
  for (const pool of k.pools) checkPool(k, pool, findings);
  return findings.list();
}

function checkPool(k: Kernel, huge: Pool, findings: Findings): void {
  const free = freeHugeFrames(k).filter((page) => page.nrSmall === huge.nrSmall);
  const ofPool = [...usedHuge(k)].filter(([, nrSmall]) => nrSmall === huge.nrSmall);
  const used = new Set(ofPool.map(([f]) => f));
  for (const { nid, frame } of free) {
    findings.expect(!used.has(frame), () => `frame ${frame} is free in the pool and in use`);
    findings.expect(nodeOfFrame(k, frame) === nid, () => `frame ${frame} is not of node ${nid}`);
  }
  for (const frame of [...used, ...free.map((page) => page.frame)]) {
    const at = huge.isGigantic ? k.mem.pfnOf(frame as Frame) : frame;
    const size = `${huge.bytes / 2 ** 20} MiB`;
    findings.expect(at % huge.nrSmall === 0, () => `frame ${frame} starts no block of ${size}`);
  }
  const freeOf = perNode(
    k,
    free.map((page) => page.frame),
  );
  const usedOf = perNode(k, used);
  const sums = { nr: 0, free: 0, surplus: 0 };
  huge.nrOf.forEach((nr, nid) => {
    const [nrFree, nrUsed] = [freeOf.get(nid) ?? 0, usedOf.get(nid) ?? 0];
    const counted = `node ${nid} counts ${nr} pages, ${huge.freeOf[nid]} free`;
    findings.expect(
      nr === nrFree + nrUsed && huge.freeOf[nid] === nrFree,
      () => `${counted}; there are ${nrFree} free and ${nrUsed} in use`,
    );
    const surplus = huge.surplusOf[nid] as number;
    findings.expect(surplus >= 0, () => `${counted}, ${surplus} surplus`);
    sums.nr += nr;
    sums.free += nrFree;
    sums.surplus += surplus;
  });
  findings.expect(
    sums.nr === huge.nr && sums.free === huge.free && sums.surplus === huge.surplus,
    () =>
      `${huge.nr} pages, ${huge.free} free, ${huge.surplus} surplus in all; the nodes have ` +
      `${sums.nr}, ${sums.free} and ${sums.surplus}`,
  );
  findings.expect(huge.surplus <= huge.nr, () => `${huge.surplus} of ${huge.nr} pages are surplus`);
  const owed = countPromises(k, huge);
  findings.expect(
    // A node that split promised pages (HUG17) leaves fewer free.
    huge.reserved === owed && (huge.reserved <= huge.free || huge.hasSplitPromised),
    () => `${huge.reserved} of ${huge.free} free pages are promised; ${owed} are owed`,
  );
}
