// A device with coherent memory, and its driver: what happens to pages when the device computes on
// them and when a CPU comes back to them.
// Models   the driver of the thread's flow (Khandual, 2017-02-21): the device reads and writes the
//          task's own addresses; the driver migrates pages to the device's node first, or leaves
//          them.
// Omits    device page tables, access counters, eviction when the node is full: pages that find no
//          room stay where they are and the device reaches them over the link.
// Hooks    none: a driver asks with __GFP_THISNODE like any kernel user.
// Holds    DRV1 device compute changes where pages are, never what is mapped.
import { NotModelled } from '../base/assert.ts';
import { ENODEV } from '../base/errno.ts';
import type { Frame, NodeId } from '../base/ids.ts';
import { FAULT, type FaultRun, touchPages } from '../kernel/fault.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { migrateFrames, targetOn } from '../kernel/migrate.ts';
import { pteFrame, pteIsPage } from '../kernel/page_table.ts';
import type { Task } from '../kernel/task.ts';

/** What the driver does about placement. */
export const DEVICE_POLICIES = ['migrate', 'migrate-back', 'stay'] as const;
/**
 * `migrate`: to the device before compute, and there they stay. `migrate-back`: and back to the
 * CPU's node when a CPU uses them again. `stay`: never.
 */
export type DevicePolicy = (typeof DEVICE_POLICIES)[number];

export interface ComputeResult {
  /** 0; -ENODEV when the device has no memory node online. */
  readonly ret: number;
  readonly fault: FaultRun;
  /** Pages on the device's node when compute started. */
  readonly nrLocal: number;
  /** Pages the device reached elsewhere. */
  readonly nrRemote: number;
  readonly nrMoved: number;
}

export class CoherentDevice {
  readonly name: string;
  readonly nid: NodeId;
  policy: DevicePolicy = 'migrate';

  constructor(name: string, nid: NodeId) {
    this.name = name;
    this.nid = nid;
  }

  /** The device computes on pages of a task; pages not there yet are faulted in like by a CPU. */
  compute(k: Kernel, task: Task, startVpn: number, nrPages: number): ComputeResult {
    const none = { done: 0, fault: FAULT.OK };
    if (!k.states.memory.has(this.nid)) {
      return { ret: -ENODEV, fault: none, nrLocal: 0, nrRemote: 0, nrMoved: 0 };
    }
    const fault = touchPages(k, task, startVpn, nrPages, true);
    const away = this.#pagesOf(k, task, startVpn, nrPages, (nid) => nid !== this.nid);
    let nrRemote = away.length;
    if (this.policy !== 'stay') {
      const whole = [...new Set(away.map((f) => k.thp.headOf(f)))];
      const alone = whole.filter((f) => k.thp.mapcount(f) === 1);
      migrateFrames(k, alone, targetOn(k, task, this.nid), 'device');
      nrRemote = this.#pagesOf(k, task, startVpn, nrPages, (nid) => nid !== this.nid).length;
    }
    const nrLocal = fault.done - nrRemote;
    return { ret: 0, fault, nrLocal, nrRemote, nrMoved: away.length - nrRemote };
  }

  /**
   * A CPU is about to use pages: with `migrate-back` they come to its node first. Returns pages
   * moved.
   */
  beforeCpuUse(k: Kernel, task: Task, startVpn: number, nrPages: number): number {
    if (this.policy !== 'migrate-back') return 0;
    const here = this.#pagesOf(k, task, startVpn, nrPages, (nid) => nid === this.nid);
    const before = here.length;
    const whole = [...new Set(here.map((f) => k.thp.headOf(f)))];
    migrateFrames(k, whole, targetOn(k, task, nearestMemory(k, task)), 'device back');
    const after = this.#pagesOf(k, task, startVpn, nrPages, (nid) => nid === this.nid).length;
    return before - after;
  }

  #pagesOf(
    k: Kernel,
    task: Task,
    startVpn: number,
    nrPages: number,
    isWanted: (nid: NodeId) => boolean,
  ): Frame[] {
    const frames: Frame[] = [];
    for (const [, pte] of task.mm.pageTable.hugeIn(startVpn, startVpn + nrPages)) {
      if (!isWanted(k.allocator.nidOf(pteFrame(pte)))) continue;
      throw new NotModelled(`huge pages that device ${this.name} would move`);
    }
    task.mm.pageTable.walk(startVpn, startVpn + nrPages, (_vpn, pte) => {
      if (pteIsPage(pte) && isWanted(k.allocator.nidOf(pteFrame(pte)))) frames.push(pteFrame(pte));
    });
    return frames;
  }
}

/** The node of the task's CPU, or the nearest one that has memory and is not a device's. */
function nearestMemory(k: Kernel, task: Task): NodeId {
  const local = k.localNode(task);
  const order = k.mem.lists.fallbackOrder[local] ?? [];
  const usable = k.states.memory.andNot(k.states.device);
  return order.find((nid) => usable.has(nid)) ?? local;
}

/** The devices of a machine, by name. */
export function makeDevices(k: Kernel): Map<string, CoherentDevice> {
  const devices = new Map<string, CoherentDevice>();
  for (const node of k.machine.nodes) {
    if (node.device !== undefined && !devices.has(node.device)) {
      devices.set(node.device, new CoherentDevice(node.device, node.id));
    }
  }
  return devices;
}
