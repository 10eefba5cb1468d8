// The node_states masks: which nodes are possible, online, have memory, have CPUs, are devices.
// Models   linux@v6.1 include/linux/nodemask.h: enum node_states; mm/memory_hotplug.c:
//          node_states_set_node, node_states_clear_node. N_COHERENT_DEVICE and the system memory
//          mask are those of the thread's patch 1/4 (Khandual, 2017-02-15); N_MEMORY_PRIVATE is
//          that of "Private Memory NUMA Nodes" (Price, 2026-07-20).
// Notes    4.10 says N_HIGH_MEMORY where 6.1 on 64 bits says N_NORMAL_MEMORY.
import type { NodeId } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import type { NodesView } from '../hooks/design.ts';
import type { Machine, NodeSpec } from '../machine/machine.ts';

export class NodeStates implements NodesView {
  possible: Nodemask = Nodemask.EMPTY;
  online: Nodemask = Nodemask.EMPTY;
  memory: Nodemask = Nodemask.EMPTY;
  normalMemory: Nodemask = Nodemask.EMPTY;
  cpu: Nodemask = Nodemask.EMPTY;
  coherentDevice: Nodemask = Nodemask.EMPTY;
  device: Nodemask = Nodemask.EMPTY;
  privateMemory: Nodemask = Nodemask.EMPTY;

  /** Memory minus coherent device memory (system_mem_nodemask of the thread's patch 1/4). */
  get systemMemory(): Nodemask {
    return this.memory.andNot(this.coherentDevice);
  }

  /** Nodes whose memory is online, private or not. */
  get anyMemory(): Nodemask {
    return this.privateMemory.isEmpty() ? this.memory : this.memory.or(this.privateMemory);
  }

  /** Private memory of a node has come online: a state beside which there is no other. */
  setPrivateMemory(nid: NodeId): void {
    this.privateMemory = this.privateMemory.with(nid);
  }

  /** Memory of a node has come online. */
  setMemory(nid: NodeId, hasNormalZone: boolean, isCoherentDevice: boolean): void {
    if (isCoherentDevice) this.coherentDevice = this.coherentDevice.with(nid);
    if (hasNormalZone) this.normalMemory = this.normalMemory.with(nid);
    this.memory = this.memory.with(nid);
  }

  /** A node's last memory that the kernel itself can use has gone offline. */
  clearNormalMemory(nid: NodeId): void {
    this.normalMemory = this.normalMemory.without(nid);
  }

  /** A node's last memory has gone offline. */
  clearMemory(nid: NodeId): void {
    this.coherentDevice = this.coherentDevice.without(nid);
    this.normalMemory = this.normalMemory.without(nid);
    this.memory = this.memory.without(nid);
    this.privateMemory = this.privateMemory.without(nid);
  }
}

/** Node of each CPU, -1 for none. */
export function nodesOfCpus(machine: Machine, nrCpus: number): Int32Array {
  const nodeOfCpu = new Int32Array(nrCpus).fill(-1);
  for (const node of machine.nodes) {
    for (const cpu of node.cpus) if (nodeOfCpu[cpu] === -1) nodeOfCpu[cpu] = node.id;
  }
  return nodeOfCpu;
}

/**
 * Nodes that are online after boot: on x86 those with CPUs or memory, even if that is offline
 * (numa_register_memblks, init_cpu_to_node); elsewhere every node that the firmware names.
 * @param kept memory that drivers keep to themselves, by node.
 */
export function onlineNodes(machine: Machine, kept: ReadonlyMap<NodeId, unknown>): Nodemask {
  const hasMemory = (n: NodeSpec) => n.ranges.length > 0 && !kept.has(n.id);
  const isOnline = (n: NodeSpec) => machine.arch !== 'x86_64' || n.cpus.length > 0 || hasMemory(n);
  return Nodemask.from(machine.nodes.filter(isOnline).map((n) => n.id));
}
