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

export class MoveCount {
  readonly #counts = new Map<string, { cause: MoveCause; from: NodeId; to: NodeId; n: number }>();

  count(cause: MoveCause, from: NodeId, to: NodeId, nrPages = 1): void {
    const key = `${cause}/${from}/${to}`;
    const row = this.#counts.get(key);
    if (row === undefined) this.#counts.set(key, { cause, from, to, n: nrPages });
    else row.n += nrPages;
  }

  /** One row per cause and pair of nodes, in the order in which they first happened. */
  rows(): MoveRow[] {
    return [...this.#counts.values()].map(({ n, ...row }) => ({ ...row, nrPages: n }));
  }
}
