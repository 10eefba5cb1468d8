// The hardware as firmware tells it, before any kernel has run: nodes, CPUs, distances, memory
// ranges, devices and links. Plain data; everything that makes or reads a machine ends here.
// Models   what Linux learns from SRAT/SLIT/HMAT or the device tree.
// Omits    caches of CPUs, PCI topology.
// Holds    node ids and range starts ascend; ranges do not overlap; the distance matrix is square.
import type { Cpu, NodeId } from '../base/ids.ts';

/** The instruction set decides page size, block orders and where the low zones end. */
export const ARCHES = ['x86_64', 'arm64', 'ppc64'] as const;
export type Arch = (typeof ARCHES)[number];

/** How a node's memory comes up: at boot into the zones its addresses belong to, or hot-plugged. */
export const MEMORY_ZONES = ['boot', 'movable'] as const;
export type MemoryZone = (typeof MEMORY_ZONES)[number];

/** A stretch of physical memory. */
export interface MemoryRange {
  /** Physical address, a multiple of the page size. */
  readonly startBytes: number;
  /** A positive multiple of the page size. */
  readonly sizeBytes: number;
}

export interface NodeSpec {
  /** 0..1023; sparse ids are real (0, 8, 250-255). */
  readonly id: NodeId;
  /** CPUs of the node; empty for a CPU-less node. */
  readonly cpus: readonly Cpu[];
  /** Memory, ascending; empty for a memory-less node. */
  readonly ranges: readonly MemoryRange[];
  /**
   * `boot`: present from the start, in DMA/DMA32/Normal by address. `movable`: a hot-plugged range
   * onlined into ZONE_MOVABLE.
   */
  readonly memoryZone: MemoryZone;
  /** Set when the memory belongs to a device: the name of an entry of `devices`. */
  readonly device?: string | undefined;
  /** The memory is handed to the kernel by the dax/kmem driver, which makes it a lower tier. */
  readonly isKmem?: boolean | undefined;
  /** The memory exists but is offline when the run starts. */
  readonly offlineAtStart?: boolean | undefined;
}

/** Which memory a device's cache keeps copies of: its own only, that elsewhere, or both. */
export const CACHE_HOLDS = ['own', 'elsewhere', 'all'] as const;
export type CacheHolds = (typeof CACHE_HOLDS)[number];

/** A cache of a device, with its source, or it does not exist. */
export interface CacheSpec {
  readonly sizeBytes: number;
  readonly holds: CacheHolds;
  /** Do writes of CPUs and of other devices take its copies away? */
  readonly isCoherent?: boolean | undefined;
  /** Does it keep what the device writes, until the copy leaves it? Else writes go through. */
  readonly isWriteBack?: boolean | undefined;
  /** Where this is from. */
  readonly source: string;
}

/** A device that owns memory: what an isolation design wants to keep others off. */
export interface DeviceSpec {
  /** `gpu0`; unique. */
  readonly name: string;
  /** What it is, for people: `NVIDIA V100 on NVLink 2.0`. */
  readonly kind: string;
  /** The node of the CPU it hangs on. */
  readonly homeNode: NodeId;
  readonly cache?: CacheSpec | undefined;
}

/** A cost figure with its source, or it does not exist. */
export interface LinkSpec {
  /** `cpu:0`, `node:1`, `device:gpu0`: the side that asks. */
  readonly from: string;
  /** `node:1`: the memory that answers. */
  readonly to: string;
  readonly bandwidthBytesPerS?: number | undefined;
  readonly latencyNs?: number | undefined;
  /** Where the figure is from: a document, a paper, a measurement with its command. */
  readonly source: string;
}

export interface Machine {
  /** `gh200`; letters, digits, `-`, `_`, `.`. */
  readonly name: string;
  /** One sentence for people. */
  readonly note: string;
  readonly arch: Arch;
  /** 4096 or 65536 in practice; a power of two. */
  readonly pageBytes: number;
  /**
   * What the sizes are: `present`, all that firmware names (the default), of which boot takes its
   * share; or `managed`, what a running kernel reports as MemTotal, with that share taken already.
   */
  readonly sizesAre?: 'present' | 'managed' | undefined;
  /** Ascending by id. */
  readonly nodes: readonly NodeSpec[];
  /** distances[i][j]: from the i-th to the j-th node of `nodes`; 10 is local; may be asymmetric. */
  readonly distances: readonly (readonly number[])[];
  readonly devices: readonly DeviceSpec[];
  readonly links: readonly LinkSpec[];
}

/** Bytes of a node. */
export const nodeSizeBytes = (node: NodeSpec): number =>
  node.ranges.reduce((sum, range) => sum + range.sizeBytes, 0);

/** The nodes whose memory belongs to a device, ascending. */
export const deviceNodes = (machine: Machine): readonly NodeSpec[] =>
  machine.nodes.filter((node) => node.device !== undefined);
