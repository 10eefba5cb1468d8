// The nodes of a machine that a random workload may name.
import { type Machine, nodeSizeBytes } from '../machine/machine.ts';

/** The nodes that a workload may name. */
export interface MachineNodes {
  /** All nodes, ascending, those without memory too. */
  readonly nodes: readonly number[];
  /** Nodes with memory at the start. */
  readonly memoryNodes: readonly number[];
  /** Nodes whose memory belongs to a device; named more often than others. */
  readonly deviceNodes: readonly number[];
  /** Nodes whose memory was plugged in, and may go. */
  readonly pluggedNodes?: readonly number[] | undefined;
  /** Nodes of boot memory, some of which may go too. */
  readonly bootNodes?: readonly number[] | undefined;
  /** CPUs by node; nodes without CPUs may be absent. */
  readonly cpusByNode: Readonly<Record<number, readonly number[]>>;
}

/** The nodes of a machine, as generators want them. */
export function machineNodes(machine: Machine): MachineNodes {
  const ids = (nodes: Machine['nodes']): number[] => nodes.map((node) => node.id);
  const hasMemory = machine.nodes.filter((n) => nodeSizeBytes(n) > 0 && n.offlineAtStart !== true);
  return {
    nodes: ids(machine.nodes),
    memoryNodes: ids(hasMemory),
    deviceNodes: ids(hasMemory.filter((node) => node.device !== undefined)),
    pluggedNodes: ids(hasMemory.filter((node) => node.memoryZone === 'movable')),
    bootNodes: ids(hasMemory.filter((node) => node.memoryZone === 'boot')),
    cpusByNode: Object.fromEntries(machine.nodes.map((node) => [node.id, [...node.cpus]])),
  };
}
