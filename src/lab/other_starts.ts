// Starts that the same kernel could have had: how many pages the kernel itself takes between two
// looks at free memory differs from boot to boot, and with it where a node spills.
// Notes    A record says what was free when its case began, and no more of what the kernel took
//          since. FORMAT.md of the recorded cases counts this spread: a median of 140 pages, nine
//          in ten under 2,100, the largest 3,300.
// Holds    SPR8 one node at a time, kernel memory only, no more than the tolerance of that node.
import type { OracleCase } from './oracle_case.ts';

type Zones = OracleCase['zonesAtStart'];

export interface OtherStart {
  readonly zones: Zones;
  /** `64 pages fewer on node 1`. */
  readonly words: string;
}

/** Least pages that count as a node's spread, and its share of the node's memory. */
const LEAST_TOLERANCE = 512;
const SHARE = 0.02;

/** What boots differ by as a rule: about twice the median. */
const SOME = 256;

/** Pages by which a node that nearly runs full may differ (FORMAT.md). */
export const nodeTolerance = (managed: number): number =>
  Math.max(LEAST_TOLERANCE, Math.ceil(managed * SHARE));

/** Fewer and more free pages on each node that kernel pages come from, small changes first. */
export function otherStarts({ zonesAtStart }: OracleCase): OtherStart[] {
  const nodes = [...new Set(zonesAtStart.map(({ node }) => node))];
  const starts: (OtherStart & { readonly size: number })[] = [];
  for (const node of nodes) {
    const ofNode = zonesAtStart.filter((z) => z.node === node);
    const kernels = ofNode.filter(({ zone }) => zone !== 'Movable');
    const largest = [...kernels].sort((a, b) => b.managed - a.managed)[0];
    if (largest === undefined) continue;
    const most = nodeTolerance(ofNode.reduce((sum, z) => sum + z.managed, 0));
    for (const size of [SOME, most]) {
      for (const sign of [-1, 1]) {
        const free = Math.min(Math.max(largest.free + sign * size, 0), largest.managed);
        const zones = zonesAtStart.map((z) => (z === largest ? { ...z, free } : z));
        const words = `${size} pages ${sign < 0 ? 'fewer' : 'more'} on node ${node}`;
        starts.push({ zones, words, size });
      }
    }
  }
  return starts.sort((a, b) => a.size - b.size);
}
