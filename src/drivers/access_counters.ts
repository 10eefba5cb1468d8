// Access counters of a device: how often it reached stretches of addresses over the link.
// Models   the public GPU driver (uvm_gpu_access_counters.c): a counter for each stretch of 64 KiB,
//          2 MiB, 16 MiB or 16 GiB, by default 2 MiB, which is served when it reaches a threshold,
//          by default 256, and then starts anew. Releases up to 2022 let an operator choose the
//          size of a stretch (uvm_perf_access_counter_granularity); later ones have 2 MiB.
// Omits    notifications in batches: a counter that reaches the threshold is served at once.
//          Counters are of addresses here, on hardware of the memory behind them.
// Holds    DRV10, DRV21.
import { BlockTable } from './block_table.ts';

/** Accesses over the link after which a stretch is served, 1..65535. */
const DEFAULT_THRESHOLD = 256;
/** What a counter may count, bytes. */
export const GRANULARITIES: readonly number[] = [2 ** 16, 2 ** 21, 2 ** 24, 2 ** 34];

export class AccessCounters {
  threshold = DEFAULT_THRESHOLD;
  readonly #blocks: BlockTable;
  readonly #pageBytes: number;
  /** Counters of stretches that are no blocks; without them each block has one. */
  #own: BlockTable | undefined;
  /** Pages that come together: of a stretch, but of one block at most. */
  unitPages: number;

  /** @param blocks what the driver knows of blocks of 2 MiB. */
  constructor(blocks: BlockTable, pageBytes: number) {
    this.#blocks = blocks;
    this.#pageBytes = pageBytes;
    this.unitPages = blocks.blockPages;
  }

  /** Counters start anew, of stretches of so many bytes, one of GRANULARITIES. */
  setGranularity(bytes: number): void {
    const pages = Math.max(1, bytes / this.#pageBytes);
    this.#own = pages === this.#blocks.blockPages ? undefined : new BlockTable(pages);
    this.unitPages = Math.min(pages, this.#blocks.blockPages);
  }

  /**
   * The device reached pages of one unit over the link. Is the counter due, which then starts anew?
   * @param slot of the block that the pages are in.
   */
  isDue(space: number, vpn: number, slot: number, accesses: number): boolean {
    const table = this.#own ?? this.#blocks;
    const counter = this.#own === undefined ? slot : this.#own.slotOf(space, vpn);
    if (table.countRemote(counter, accesses) < this.threshold) return false;
    table.clearCounter(counter);
    return true;
  }
}
