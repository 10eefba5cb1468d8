// Branded integers: the kinds of number that must not be mixed up.
// Holds    A branded value is a plain number at run time; arithmetic decays to `number` and goes
//          back only through the constructors here.

export type Brand<T, B extends string> = T & { readonly __brand: B };

/** A NUMA node number as Linux shows it, 0..1023; sparse (0, 8, 250-255 is a real machine). */
export type NodeId = Brand<number, 'NodeId'>;
/** A CPU number, 0..4095. */
export type Cpu = Brand<number, 'Cpu'>;
/** A physical page frame number: physical address / page size of the machine. */
export type Pfn = Brand<number, 'Pfn'>;
/**
 * A row of the frame table. Frames of all memory ranges lie densely one after another, each range
 * starting at a multiple of the largest buddy block plus the offset its pfn has in such a block, so
 * that buddy arithmetic on frames and on pfns agrees.
 */
export type Frame = Brand<number, 'Frame'>;
/** An index into the zone table (not a zone type). */
export type ZoneIndex = Brand<number, 'ZoneIndex'>;
/** A virtual page number: virtual address / page size. */
export type Vpn = Brand<number, 'Vpn'>;

export const nodeId = (n: number): NodeId => n as NodeId;
export const cpuId = (n: number): Cpu => n as Cpu;
export const pfn = (n: number): Pfn => n as Pfn;
export const frame = (n: number): Frame => n as Frame;
export const zoneIndex = (n: number): ZoneIndex => n as ZoneIndex;
export const vpn = (n: number): Vpn => n as Vpn;

/** linux MAX_NUMNODES with CONFIG_NODES_SHIFT=10, as Debian's kernels have it. */
export const MAX_NUMNODES = 1024;
/** linux NUMA_NO_NODE. */
export const NUMA_NO_NODE = -1 as NodeId;
