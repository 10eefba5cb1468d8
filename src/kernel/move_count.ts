// How many pages moved between which nodes, and why: the split that the kernel's own counters,
// which know only success and failure, cannot give.
// State    whole numbers by cause and pair of nodes.
import type { NodeId } from '../base/ids.ts';
import type { MoveCause } from './migrate.ts';

export interface MoveRow {
  readonly cause: MoveCause;
  readonly from: NodeId;
  readonly to: NodeId;
  readonly nrPages: number;
}

interface Row {
  readonly cause: MoveCause;
  readonly from: NodeId;
  readonly to: NodeId;
  n: number;
}

export class MoveCount {
  readonly #counts = new Map<string, Row>();
  /** The row counted last: pages that move together are counted together. */
  #last: Row | undefined;

  count(cause: MoveCause, from: NodeId, to: NodeId, nrPages = 1): void {
    let row = this.#last;
    if (row === undefined || row.cause !== cause || row.from !== from || row.to !== to) {
      const key = `${cause}/${from}/${to}`;
      row = this.#counts.get(key) ?? { cause, from, to, n: 0 };
      this.#counts.set(key, row);
      this.#last = row;
    }
    row.n += nrPages;
  }

  /** One row per cause and pair of nodes, in the order in which they first happened. */
  rows(): MoveRow[] {
    return [...this.#counts.values()].map(({ n, ...row }) => ({ ...row, nrPages: n }));
  }
}
