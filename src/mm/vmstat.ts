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

/** Whole-machine event counters, /proc/vmstat names. */
export const VM_EVENTS = [
  'pgfault',
  'pgalloc',
  'pgfree',
  'pgmigrate_success',
  'pgmigrate_fail',
  'oom_kill',
] as const;
export type VmEvent = (typeof VM_EVENTS)[number];

export class VmStat {
  readonly numaHit: Float64Array;
  readonly numaMiss: Float64Array;
  readonly numaForeign: Float64Array;
  readonly interleaveHit: Float64Array;
  readonly localNode: Float64Array;
  readonly otherNode: Float64Array;
  readonly events: Record<VmEvent, number>;

  constructor(nrNodeIds: number) {
    const column = () => new Float64Array(nrNodeIds);
    this.numaHit = column();
    this.numaMiss = column();
    this.numaForeign = column();
    this.interleaveHit = column();
    this.localNode = column();
    this.otherNode = column();
    this.events = {
      pgfault: 0,
      pgalloc: 0,
      pgfree: 0,
      pgmigrate_success: 0,
      pgmigrate_fail: 0,
      oom_kill: 0,
    };
  }

  /** `count` pages came from `got` where `preferred` was wanted, asked by a CPU of `local`. */
  countAllocation(preferred: number, got: number, local: number, count: number): void {
    if (got === preferred) add(this.numaHit, got, count);
    else {
      add(this.numaMiss, got, count);
      add(this.numaForeign, preferred, count);
    }
    add(got === local ? this.localNode : this.otherNode, got, count);
    this.events.pgalloc += count;
  }

  countInterleaveHit(nid: number): void {
    add(this.interleaveHit, nid, 1);
  }

  /** The lines of a node's numastat file. */
  numastat(nid: number): Record<NumaEvent, number> {
    return {
      numa_hit: this.numaHit[nid] as number,
      numa_miss: this.numaMiss[nid] as number,
      numa_foreign: this.numaForeign[nid] as number,
      interleave_hit: this.interleaveHit[nid] as number,
      local_node: this.localNode[nid] as number,
      other_node: this.otherNode[nid] as number,
    };
  }
}

function add(column: Float64Array, i: number, n: number): void {
  column[i] = (column[i] as number) + n;
}
