// Counters: what the kernel counts per node, under the kernel's names.
// Models   linux@v6.1 mm/vmstat.c; mm/page_alloc.c: zone_statistics.
// State    columns by node id, whole numbers.

/** Per-node event counters, in the order of /sys/devices/system/node/nodeN/numastat. */
export const NUMA_EVENTS = [
  'numa_hit',
  'numa_miss',
  'numa_foreign',
  'interleave_hit',
  'local_node',
  'other_node',
] as const;
export type NumaEvent = (typeof NUMA_EVENTS)[number];

/** Whole-machine event counters, by their /proc/vmstat names. */
export const VM_EVENTS = [
  'pgfault',
  'pgalloc',
  'pgfree',
  'pgmigrate_success',
  'pgmigrate_fail',
  'oom_kill',
] as const;
export type VmEvent = (typeof VM_EVENTS)[number];

export const PGFAULT = 0;
export const PGMIGRATE_SUCCESS = 1;
export const PGMIGRATE_FAIL = 2;
export const OOM_KILL = 3;
const NR_EVENTS = 4;

export class VmStat {
  /** Pages given on the preferred node: to a CPU of that node, to a CPU of another. */
  readonly #hitLocal: Float64Array;
  readonly #hitOther: Float64Array;
  /** Pages given on a node that was not the preferred one, likewise. */
  readonly #missLocal: Float64Array;
  readonly #missOther: Float64Array;
  readonly #foreign: Float64Array;
  readonly #interleaveHit: Float64Array;
  readonly #events = new Float64Array(NR_EVENTS);
  #freed = 0;
  /** Pages of blocks given, beyond the first of each. */
  #blockTails = 0;
  /** Whoever keeps counts of its own for a while adds them here before anybody looks. */
  beforeReading: () => void = () => undefined;

  constructor(nrNodeIds: number) {
    const column = () => new Float64Array(nrNodeIds);
    this.#hitLocal = column();
    this.#hitOther = column();
    this.#missLocal = column();
    this.#missOther = column();
    this.#foreign = column();
    this.#interleaveHit = column();
  }

  /** Counts `n` events of one kind, PGFAULT .. OOM_KILL. */
  count(event: number, n: number): void {
    add(this.#events, event, n);
  }

  countFree(n: number): void {
    this.#freed += n;
  }

  /** `count` pages came from `got` where `preferred` was wanted, asked by a CPU of `local`. */
  countAllocation(preferred: number, got: number, local: number, count: number): void {
    if (got === preferred) {
      this.countHit(got, local, count);
      return;
    }
    add(got === local ? this.#missLocal : this.#missOther, got, count);
    add(this.#foreign, preferred, count);
  }

  /** `count` pages came from the preferred node `nid`, asked by a CPU of `local`. */
  countHit(nid: number, local: number, count: number): void {
    add(nid === local ? this.#hitLocal : this.#hitOther, nid, count);
  }

  /** A block of 2^order pages was given, which numastat counts as one. */
  countBlock(order: number): void {
    this.#blockTails += (1 << order) - 1;
  }

  countInterleaveHit(nid: number): void {
    add(this.#interleaveHit, nid, 1);
  }

  /** All event counters by name. */
  eventCounts(): Record<VmEvent, number> {
    this.beforeReading();
    const given = [this.#hitLocal, this.#hitOther, this.#missLocal, this.#missOther];
    return {
      pgfault: this.#events[PGFAULT] as number,
      pgalloc: given.reduce(
        (sum, column) => sum + column.reduce((a, b) => a + b, 0),
        this.#blockTails,
      ),
      pgfree: this.#freed,
      pgmigrate_success: this.#events[PGMIGRATE_SUCCESS] as number,
      pgmigrate_fail: this.#events[PGMIGRATE_FAIL] as number,
      oom_kill: this.#events[OOM_KILL] as number,
    };
  }

  /** The lines of a node's numastat file (zone_statistics). */
  numastat(nid: number): Record<NumaEvent, number> {
    this.beforeReading();
    const hitLocal = this.#hitLocal[nid] as number;
    const hitOther = this.#hitOther[nid] as number;
    const missLocal = this.#missLocal[nid] as number;
    const missOther = this.#missOther[nid] as number;
    return {
      numa_hit: hitLocal + hitOther,
      numa_miss: missLocal + missOther,
      numa_foreign: this.#foreign[nid] as number,
      interleave_hit: this.#interleaveHit[nid] as number,
      local_node: hitLocal + missLocal,
      other_node: hitOther + missOther,
    };
  }
}

function add(column: Float64Array, i: number, n: number): void {
  column[i] = (column[i] as number) + n;
}
