// What the kernel tells user space of devices that come and go: events that udev, or any agent that
// listens, may act upon.
// Models   linux@v6.1 lib/kobject_uevent.c: kobject_uevent; drivers/base/core.c: device_online,
//          device_offline, as far as memory blocks go.
// Omits    events of all other devices, of blocks and nodes that are added or removed, the
//          environment of an event, and the netlink socket: who wants to know reads the log.
// State    the events since boot, in order.
// Holds    UEV1 a memory block makes one event when it has come online and one when it has gone.
import { memoryBlockBytes } from '../machine/zones.ts';
import type { MemoryBlock } from '../mm/memory_block.ts';
import type { Kernel } from './kernel.ts';

/** One event, as `udevadm monitor --kernel` would show it. */
export interface Uevent {
  readonly action: 'online' | 'offline';
  /** `/devices/system/memory/memory32`. */
  readonly devpath: string;
  /** The node whose memory it is. */
  readonly nid: number;
  /** Clock of the model, ms since boot. */
  readonly atMs: number;
}

/** A memory block has come online or gone (device_online, device_offline). */
export function tellOfBlock(k: Kernel, block: MemoryBlock, action: Uevent['action']): void {
  const pages = memoryBlockBytes(k.machine) / k.mem.pageBytes;
  const devpath = `/devices/system/memory/memory${Math.floor(block.startPfn / pages)}`;
  k.uevents.push({ action, devpath, nid: Number(block.nid), atMs: k.nowMs });
}
