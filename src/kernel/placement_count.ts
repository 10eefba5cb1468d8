// Where pages were placed, for whom, and whether anybody asked for that node: what a comparison of
// isolation designs is about. The kernel has no such counter.
// State    whole numbers by purpose, origin of the policy, asked or not, and node.
// Holds    PLC1 every page given to a user or to the kernel for a task is counted once. PLC2 a page
//          is asked for when a policy or the request itself names its node; kernel pages never are.
import type { NodeId } from '../base/ids.ts';

/** What a page is allocated for. */
export const PURPOSES = [
  'page fault',
  'copy on write',
  'shared page',
  'page cache',
  'swap in',
  'page table',
  'kernel page',
  'migration target',
  'huge page pool',
  'device buffer',
] as const;
export type Purpose = (typeof PURPOSES)[number];

/**
 * Where the policy of a request was found. `node named`: the request itself names its node, because
 * a program or a driver does. `cpuset`: the kernel moves pages after a task's cpuset. `memory
 * offline`: the kernel drives pages off memory that goes, onto the nodes that its mask names.
 * `contiguous range`: off a stretch that becomes a gigantic page.
 * `long-term pin`: off memory that must stay movable, before a driver keeps them. `numa balancing`:
 * a page goes after the CPU that uses it. `demotion`: a page goes to slower memory.
 */
export const POLICY_ORIGINS = [
  'default',
  'task',
  'area',
  'shared object',
  'node named',
  'cpuset',
  'memory offline',
  'contiguous range',
  'long-term pin',
  'numa balancing',
  'demotion',
] as const;
export type PolicyFrom = (typeof POLICY_ORIGINS)[number];

export interface PlacementRow {
  readonly purpose: Purpose;
  readonly from: PolicyFrom;
  readonly isAsked: boolean;
  readonly nid: NodeId;
  readonly nrPages: number;
}

const NR_PURPOSES = PURPOSES.length;
const NR_ORIGINS = POLICY_ORIGINS.length;

export class PlacementCount {
  readonly #nrNodeIds: number;
  readonly #counts: Float64Array;
  /**
   * Pages whose request started at a node, or was confined to nodes, and that landed elsewhere, by
   * the node wanted.
   */
  readonly #spilled: Float64Array;
  /** Pages that no promise is broken by, by row; few rows ever have any. */
  readonly #excused = new Map<string, number>();

  constructor(nrNodeIds: number) {
    this.#nrNodeIds = nrNodeIds;
    this.#counts = new Float64Array(NR_PURPOSES * NR_ORIGINS * 2 * nrNodeIds);
    this.#spilled = new Float64Array(nrNodeIds);
  }

  /** Counts `nrPages` pages on `nid`. */
  count(purpose: Purpose, from: PolicyFrom, isAsked: boolean, nid: number, nrPages: number): void {
    const kind = PURPOSES.indexOf(purpose) * NR_ORIGINS + POLICY_ORIGINS.indexOf(from);
    const at = (kind * 2 + (isAsked ? 1 : 0)) * this.#nrNodeIds + nid;
    this.#counts[at] = (this.#counts[at] as number) + nrPages;
  }

  /** Pages of a row about which the design's promise says nothing. */
  excuse({ purpose, from, isAsked, nid }: PlacementRow, nrPages: number): void {
    const key = `${purpose}/${from}/${isAsked}/${nid}`;
    this.#excused.set(key, (this.#excused.get(key) ?? 0) + nrPages);
  }

  /** How many of a row's pages are excused. */
  excused({ purpose, from, isAsked, nid }: PlacementRow): number {
    return this.#excused.get(`${purpose}/${from}/${isAsked}/${nid}`) ?? 0;
  }

  /** Counts pages that wanted a node and landed on another. */
  countSpill(wanted: number, nrPages: number): void {
    this.#spilled[wanted] = (this.#spilled[wanted] as number) + nrPages;
  }

  /** Pages that wanted the node and landed elsewhere. */
  spilledFrom(nid: number): number {
    return this.#spilled[nid] as number;
  }

  /** Every count that is not zero. */
  rows(): PlacementRow[] {
    const rows: PlacementRow[] = [];
    this.#counts.forEach((nrPages, at) => {
      if (nrPages === 0) return;
      const nid = at % this.#nrNodeIds;
      const kind = Math.floor(at / this.#nrNodeIds);
      const origin = kind >> 1;
      rows.push({
        purpose: PURPOSES[Math.floor(origin / NR_ORIGINS)] as Purpose,
        from: POLICY_ORIGINS[origin % NR_ORIGINS] as PolicyFrom,
        isAsked: (kind & 1) === 1,
        nid: nid as NodeId,
        nrPages,
      });
    });
    return rows;
  }
}
