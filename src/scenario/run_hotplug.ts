// Operations by which memory goes offline and comes online, is taken away and brought back.
import { NotModelled } from '../base/assert.ts';
import type { NodeId } from '../base/ids.ts';
import { bringDeviceMemory, takeDeviceMemory } from '../kernel/device_presence.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { errorWords, type NodeChange, offlineNode, onlineNode } from '../kernel/memory_hotplug.ts';
import { addNode, removeNode } from '../kernel/node_hotplug.ts';
import type { DevicePagemap } from '../mm/memremap.ts';
import type { OpResult, SysAct } from './ops.ts';
import { plain } from './run_results.ts';

type HotplugAct = Extract<
  SysAct,
  { verb: 'offline_node' | 'online_node' | 'add_node' | 'remove_node' }
>;

/** Runs one of them. */
export function runHotplug(k: Kernel, act: HotplugAct): OpResult {
  const nid = act.node as NodeId;
  switch (act.verb) {
    case 'offline_node':
      return nodeChange(k, act, () => offlineNode(k, nid, act.nrBlocks));
    case 'online_node':
      return nodeChange(k, act, () => onlineNode(k, nid, act.zone, act.nrBlocks));
    case 'add_node':
      return nodeChange(k, act, () => addNode(k, nid, act.isDriver ? 'driver' : 'platform'));
    case 'remove_node':
      return nodeChange(k, act, () => removeNode(k, nid));
  }
}

/** What came of writing a node's memory blocks. */
function nodeChange(
  k: Kernel,
  { verb, node: nid }: { readonly verb: string; readonly node: number },
  write: () => NodeChange,
): OpResult {
  const kept = k.mem.deviceMemory.ofNode(nid);
  if (kept !== undefined)
    return driverChange(k, kept, verb === 'online_node' || verb === 'add_node');
  const isPlugged = k.mem.blocks.some((block) => block.nid === nid);
  if (!isPlugged && (verb === 'add_node' || verb === 'remove_node')) {
    throw new NotModelled(`${verb} of node ${nid}: none of its memory was hot-plugged`);
  }
  const { ret, nrBlocks, nrChanged, nrAlready, errors } = write();
  return {
    ...plain(ret),
    blocks: nrBlocks,
    changed: nrChanged,
    already: nrAlready,
    errors: errorWords(errors),
  };
}

/** A driver brings memory that it keeps, or takes it away; there are no blocks of it. */
function driverChange(k: Kernel, map: DevicePagemap, isOnline: boolean): OpResult {
  const already = map.isThere === isOnline ? 1 : 0;
  const error = already || isOnline ? 0 : takeDeviceMemory(k, map);
  if (isOnline) bringDeviceMemory(map);
  return { ...plain(error), blocks: 0, changed: 0, already, note: KEPT_BY_DRIVER };
}

const KEPT_BY_DRIVER = 'the memory is kept by its driver, which is loaded or unloaded';
