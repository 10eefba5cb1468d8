// Memory that a driver allocates when a program asks it to, mapped from the device's file: the only
// way there is to a device's memory where the kernel never hears of it.
// Models   what public drivers do in mmap of their device file; linux@v6.1 mm/memory.c:
//          remap_pfn_range, copy_page_range for VM_PFNMAP; mm/gup.c: check_vma_flags.
// Omits    buffers shared by other files (dma-buf), handles without a mapping: a buffer lives as
//          long as some area maps a page of it. What a driver keeps about one is nobody's page.
// Notes    Entries of such areas are special: they map a frame, and no page that the kernel could
//          look at. Where CPUs cannot map the memory, they stand for the device's own tables.
// Holds    DVF1 a buffer has all its frames from the first to the last moment. DVF2 its pages are
//          on no list, are counted in no resident size, move nowhere, and cannot be pinned.
import { assert, NotModelled } from '../base/assert.ts';
import { EFAULT, EINVAL, ENODEV, ENOMEM } from '../base/errno.ts';
import type { Frame, NodeId } from '../base/ids.ts';
import { KIND_DRIVER } from '../mm/memmap.ts';
import { FRAMES_IN_ENTRIES } from '../mm/memremap.ts';
import type { Vma } from './address_space.ts';
import { allocTables, FAULT } from './fault.ts';
import type { Kernel } from './kernel.ts';
import { munmap } from './mmap.ts';
import { leafEnd, makeDevicePte } from './page_table.ts';
import type { Task } from './task.ts';

/** Memory that a driver allocated for a program. */
export interface DriverBuffer {
  readonly id: number;
  /** Name of the device. */
  readonly device: string;
  readonly nid: NodeId;
  /** By page. */
  readonly frames: Int32Array;
  /** False where CPUs cannot reach the memory: their touch is SIGBUS. */
  readonly isForCpus: boolean;
  /** The memory is gone, with its link. */
  isLost: boolean;
}

export interface DeviceVma extends Vma {
  readonly buffer: DriverBuffer;
}

/** Does an area map a device's file? */
export const isOfDevice = (vma: Vma): vma is DeviceVma => vma.buffer !== undefined;

/**
 * Maps a buffer at a fixed place, from its first page to its last (mmap of the device's file).
 * @returns 0; -ENOMEM when page tables could not be had: the buffer is gone then.
 */
export function mapBuffer(
  k: Kernel,
  task: Task,
  startVpn: number,
  { device, nid, frames, isForCpus }: Omit<DriverBuffer, 'id' | 'isLost'>,
): number {
  const buffer = { id: k.newBufferId(), device, nid, frames, isForCpus, isLost: false };
  for (const [i, f] of frames.entries()) {
    if (f >= FRAMES_IN_ENTRIES) throw new NotModelled('a device buffer beyond frame 2^29');
    k.mem.map.claim(f as Frame, KIND_DRIVER, buffer.id, i, 0);
  }
  k.buffers.set(buffer.id, buffer);
  munmap(k, task, startVpn, frames.length);
  const endVpn = startVpn + frames.length;
  task.mm.insertApart({
    startVpn,
    endVpn,
    pgoff: 0,
    object: null,
    file: null,
    huge: null,
    buffer,
    policy: null,
    isLocked: false,
    wipesOnFork: false,
    isKeptFromChild: false,
    thp: 'none',
    isMergeable: false,
    isMarked: false,
    hasAnonVma: false,
  });
  for (let vpn = startVpn; vpn < endVpn; ) {
    if (allocTables(k, task, vpn, 'gup') !== FAULT.OK) {
      munmap(k, task, startVpn, frames.length);
      return -ENOMEM;
    }
    for (const end = Math.min(endVpn, leafEnd(vpn)); vpn < end; vpn++) {
      const f = frames[vpn - startVpn] as number;
      task.mm.pageTable.set(vpn, makeDevicePte(f, true));
    }
  }
  return 0;
}

/** An area of a buffer is gone; with the last one, the driver takes its frames back. */
export function releaseBuffer(k: Kernel, buffer: DriverBuffer): void {
  for (const space of k.spaces.values()) {
    if (space.vmas.some((vma) => vma.buffer === buffer)) return;
  }
  const wasThere = k.buffers.delete(buffer.id);
  assert(wasThere, 'a buffer is given back once');
  for (const f of buffer.frames) k.allocator.free(f as Frame);
}

/**
 * Advice about memory of a device, which is none that advice is for.
 * @returns an errno; undefined where the area takes the advice as any other does.
 */
export function adviceOnDevice(advice: string): number | undefined {
  switch (advice) {
    case 'remove':
      return -ENODEV;
    case 'hwpoison':
    case 'soft_offline':
      return -EFAULT;
    case 'mergeable':
    case 'unmergeable':
      return 0;
    case 'hugepage':
    case 'nohugepage':
    case 'dontfork':
      return undefined;
    default:
      return -EINVAL;
  }
}
