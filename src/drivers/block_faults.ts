// How many faults a device takes for pages that come in a stream.
// Models   the tree of the public GPU driver, as Ganguly and others describe it (ISCA 2019).
// Omits    faults of other orders: one a page.

/** A driver's leaf: what one fault of a device brings at least. */
const LEAF_BYTES = 64 * 1024;
/** The most that one brings: what access counters count, what moves by them, what is evicted. */
export const BLOCK_BYTES = 2 * 1024 * 1024;

/**
 * Faults of a device that streams over pages which have to come: a fault brings a leaf of 64 KiB,
 * and once more than half of a part of the block of 2 MiB is there, the rest of that part comes
 * along. In a stream that is leaf 1, 2, 3, 5, 9 and 17 of 32.
 */
export function streamFaults(nrPages: number, pageBytes: number): number {
  const bytes = nrPages * pageBytes;
  const ofBlock = (size: number): number =>
    size <= 0 ? 0 : 1 + Math.ceil(Math.log2(Math.max(1, size / LEAF_BYTES)));
  return Math.floor(bytes / BLOCK_BYTES) * ofBlock(BLOCK_BYTES) + ofBlock(bytes % BLOCK_BYTES);
}
