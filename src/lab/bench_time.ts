// What every yardstick of speed needs: a clock, a median, a row of the table.

export interface BenchRow {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What the project wants to reach, in words. */
  readonly goal?: string | undefined;
  readonly note?: string | undefined;
}

/** Nanoseconds that `work` takes. */
export function timeNs(work: () => void): number {
  const start = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - start);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const mid = sorted.length >> 1;
  const high = sorted[mid] as number;
  return sorted.length % 2 === 1 ? high : (high + (sorted[mid - 1] as number)) / 2;
}
