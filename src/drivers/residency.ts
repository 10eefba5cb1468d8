// Where a driver wants a page that its device uses: on the device, unless the program's memory
// policy or its advice says otherwise.
// Models   the public GPU driver's ATS residency (uvm_ats_faults.c, 595.45.04): without a policy
//          that binds or prefers, the device's node; with one, its home node if it has one, else
//          the device's node if the mask has it, else the nearest CPU node of the mask, else the
//          mask's first node. Memory that is no node at all (CDMM): the nearest CPU node.
// Omits    advice to duplicate read-mostly pages: system memory is never duplicated.
import type { NodeId } from '../base/ids.ts';
import { NUMA_NO_NODE } from '../base/ids.ts';
import type { DeviceMemoryType } from '../hooks/design.ts';
import { MPOL_BIND, MPOL_PREFERRED, MPOL_PREFERRED_MANY } from '../hooks/policy_modes.ts';
import type { Vma } from '../kernel/address_space.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { ADVICE, type Advice } from './block_table.ts';

/** A device's own node, that of its CPUs, and whether the kernel knows of its memory. */
export interface DeviceNodes {
  readonly nid: NodeId;
  readonly homeNode: NodeId;
  readonly frames: { readonly type: DeviceMemoryType | undefined };
}

/** The node for pages of an area that the device uses. The task's own policy is not asked. */
export function residencyOf(k: Kernel, vma: Vma, device: DeviceNodes, advice: Advice): NodeId {
  const { policy } = vma;
  const isBinding =
    policy !== null &&
    (policy.mode === MPOL_BIND ||
      policy.mode === MPOL_PREFERRED ||
      policy.mode === MPOL_PREFERRED_MANY);
  const isNoNode = device.frames.type === 'none';
  const prefersCpu = isNoNode || advice === ADVICE.PREFER_CPU;
  if (!isBinding) return prefersCpu ? nearestCpuMemory(k, device) : device.nid;
  if (policy.homeNode !== NUMA_NO_NODE) return policy.homeNode;
  if (policy.nodes.has(device.nid)) return device.nid;
  const order = k.mem.lists.fallbackOrder[device.homeNode] ?? [];
  const near = order.find((nid) => policy.nodes.has(nid) && k.states.cpu.has(nid));
  return near ?? policy.nodes.first();
}

/** The nearest node to the device's CPUs that has memory of its own. */
export function nearestCpuMemory(k: Kernel, device: { readonly homeNode: NodeId }): NodeId {
  return nearestSystemMemory(k, device.homeNode);
}

/** The node itself, or the nearest one that has memory and is not a device's. */
export function nearestSystemMemory(k: Kernel, nid: NodeId): NodeId {
  const order = k.mem.lists.fallbackOrder[nid] ?? [];
  const usable = k.states.memory.andNot(k.states.device);
  return order.find((candidate) => usable.has(candidate)) ?? nid;
}
