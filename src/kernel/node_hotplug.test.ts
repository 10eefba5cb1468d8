// Memory that is added and taken away, and the zone that it comes online in. What is expected of
// zones and states here, guests answered with plugged DIMMs too, but for the driver of a GPU.
// Machine: nodes 0 and 1 with CPUs, 512 and 256 MiB at boot; nodes 2 to 4 plugged.
import { describe, expect, test } from 'vitest';
import { type PlayInput, play } from '../../test/support/play.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { checkAll } from '../checkers/index.ts';
import type { Machine } from '../machine/machine.ts';
import { ZONE_MOVABLE } from '../mm/gfp.ts';
import type { Kernel } from './kernel.ts';

const machine = (offlineAtStart: boolean): Machine =>
  machineFrom({
    name: 'plugs',
    arch: 'x86_64',
    nodes: [
      { id: 0, cpus: '0', memory: '512MiB' },
      { id: 1, cpus: '1', memory: '256MiB' },
      { id: 2, memory: '512MiB', memoryZone: 'movable', offlineAtStart },
      { id: 3, memory: '512MiB', memoryZone: 'movable', offlineAtStart },
      { id: 4, memory: '1536MiB', memoryZone: 'movable', offlineAtStart },
    ],
    distances: [
      [10, 20, 40, 42, 50],
      [20, 10, 44, 46, 54],
      [40, 44, 10, 60, 62],
      [42, 46, 60, 10, 64],
      [50, 54, 62, 64, 10],
    ],
  });

const run = (text: string, input: PlayInput = {}) => {
  const played = play(text, { machine: machine(false), ...input });
  expect(checkAll(played.kernel)).toEqual([]);
  return played;
};

/** Blocks of a node that are online, as movable and other ones. */
const onlineOf = (k: Kernel, nid: number): { movable: number; kernel: number } => {
  const own = k.mem.blocks.filter((block) => block.nid === nid && block.zone !== undefined);
  const movable = own.filter((b) => k.mem.zones.type[b.zone as number] === ZONE_MOVABLE).length;
  return { movable, kernel: own.length - movable };
};

const AUTO = 'sys write /sys/devices/system/memory/auto_online_blocks';
const PARAMETERS = '/sys/module/memory_hotplug/parameters';

describe('auto-movable', () => {
  const text = `sys write ${PARAMETERS}/online_policy auto-movable -> 0\n`;
  const offline = { machine: machine(true) };

  test('[HOT12] on a node without boot memory nothing is movable, unless nodes do not count', () => {
    const { kernel } = run(
      `${text}
      sys online_node 2 1
      sys write ${PARAMETERS}/auto_movable_numa_aware N
      sys online_node 3 1`,
      offline,
    );
    expect(onlineOf(kernel, 2)).toEqual({ movable: 0, kernel: 1 });
    expect(onlineOf(kernel, 3)).toEqual({ movable: 1, kernel: 0 });
  });

  test('[HOT12] a DIMM of which the kernel has a block gives it the others too', () => {
    const { kernel } = run(
      `${text}
      sys online_node 2 1
      sys write ${PARAMETERS}/auto_movable_numa_aware N
      sys online_node 2
      sys online_node 3 MOVABLE 1
      sys online_node 3`,
      offline,
    );
    expect(onlineOf(kernel, 2)).toEqual({ movable: 0, kernel: 4 });
    expect(onlineOf(kernel, 3)).toEqual({ movable: 4, kernel: 0 });
  });

  test('[HOT12] the whole DIMM has to fit the ratio before its first block is movable', () => {
    const { kernel, more } = run(
      `${text}
      sys write ${PARAMETERS}/auto_movable_numa_aware 0
      sys online_node 3
      sys online_node 4`,
      offline,
    );
    expect(onlineOf(kernel, 4)).toEqual({ movable: 12, kernel: 0 });
    more('sys offline_node 4');
    more(`sys write ${PARAMETERS}/auto_movable_ratio 150`);
    more('sys online_node 4 1');
    expect(onlineOf(kernel, 4)).toEqual({ movable: 0, kernel: 1 });
    more('sys offline_node 3');
    more(`sys write ${PARAMETERS}/auto_movable_ratio 0`);
    more('sys online_node 3 1');
    expect(onlineOf(kernel, 3)).toEqual({ movable: 0, kernel: 1 });
    more('sys online_node 3 MOVABLE 1');
    expect(onlineOf(kernel, 3)).toEqual({ movable: 1, kernel: 1 });
  });

  test('[HOT12] settings are read back, and nonsense is EINVAL', () => {
    run(`
      sys read /sys/devices/system/memory/auto_online_blocks -> value online_movable
      ${AUTO} nonsense -> EINVAL
      ${AUTO} online_kernel -> 0
      sys read /sys/devices/system/memory/auto_online_blocks -> value online_kernel
      sys read ${PARAMETERS}/online_policy -> value contig-zones
      sys write ${PARAMETERS}/online_policy nonsense -> EINVAL
      sys read ${PARAMETERS}/auto_movable_ratio -> value 301
      sys write ${PARAMETERS}/auto_movable_ratio -1 -> EINVAL
      sys read ${PARAMETERS}/auto_movable_numa_aware -> value Y
      sys write ${PARAMETERS}/auto_movable_numa_aware maybe -> EINVAL`);
  });
});

describe('nodes that vanish and appear', () => {
  test('[HOT13] a node goes with its memory: masks, lists, policies, files', () => {
    const { kernel } = run(`
      T0 mmap R0 16 anon
      T0 set_mempolicy bind 2
      T0 mmap R1 16 anon
      T0 mbind R1 0 16 preferred 3
      T0 touch R0
      T0 touch R1
      sys remove_node 2 -> 0; changed 4
      T0 where R0 -> nodes 0:16
      T0 get_mempolicy -> mode bind; nodes 3
      T0 mems_allowed -> nodes 0,1,3,4
      T0 policy_at R1 0 -> mode preferred; nodes 3
      sys read /sys/devices/system/node/online -> value 0-1,3-4
      sys read /sys/devices/system/node/possible -> value 0-4
      sys remove_node 3 -> 0
      sys remove_node 3 -> ENODEV
      sys offline_node 3 -> 0; blocks 0
      T0 mbind R1 0 16 bind 3 -> EINVAL
      T0 set_mempolicy preferred 2 -> EINVAL
      T0 mbind R1 0 16 bind 1 -> 0
      T0 set_home R1 0 16 3 -> EINVAL
      T0 move_pages R1 0 4 3 -> ENODEV`);
    expect(kernel.mem.lists.fallbackOrder[0]).not.toContain(2);
  });

  test('[HOT13] it appears with offline blocks, or online ones, as auto_online_blocks says', () => {
    const { kernel, more } = run(`
      sys remove_node 2
      ${AUTO} offline
      sys add_node 2 -> 0; blocks 4; changed 0
      sys add_node 2 -> EEXIST
      sys read /sys/devices/system/node/online -> value 0-4
      T0 mems_allowed -> nodes 0,1,3,4
      sys online_node 2 KERNEL 1 -> 0
      sys remove_node 2 -> 0
      ${AUTO} online_movable
      sys add_node 2 -> 0; changed 4
      T0 mems_allowed -> nodes 0,1,2,3,4
      sys remove_node 2
      ${AUTO} online
      sys add_node 2 -> 0`);
    expect(onlineOf(kernel, 2)).toEqual({ movable: 0, kernel: 4 });
    more('sys remove_node 2');
    more(`${AUTO} online_kernel`);
    more('sys add_node 2');
    expect(onlineOf(kernel, 2)).toEqual({ movable: 0, kernel: 4 });
  });

  test('[HOT13] what cannot go stays as it was, all of its DIMM', () => {
    const { kernel } = run(`
      sys offline_node 2
      sys online_node 2 MOVABLE 1
      sys online_node 2 KERNEL
      T0 mmap R0 16 anon
      T0 set_mempolicy bind 2
      T0 touch R0
      T0 set_mempolicy default none
      sys remove_node 2 -> EBUSY; blocks 4; changed 0
      sys read /sys/devices/system/node/online -> value 0-4`);
    expect(onlineOf(kernel, 2)).toEqual({ movable: 1, kernel: 3 });
    // Blocks that went and came back tell both (UEV1).
    const last = new Map(kernel.uevents.map(({ devpath, action }) => [devpath, action]));
    expect(
      [...last].filter(([path]) => /memory\d+$/.test(path)).map(([, action]) => action),
    ).toEqual(['online', 'online', 'online', 'online']);
  });
});

describe('memory of the driver of a GPU', () => {
  test('[HOT14] comes online in ZONE_MOVABLE, or is taken away again', () => {
    const { kernel } = run(`
      sys remove_node 2
      ${AUTO} online
      sys add_node 2 driver -> EIO
      sys read /sys/devices/system/node/online -> value 0-1,3-4
      ${AUTO} offline
      sys add_node 2 driver -> EIO
      ${AUTO} online_movable
      sys add_node 2 driver -> 0; changed 4
      sys offline_node 2
      sys online_node 2 KERNEL 1 -> EPERM
      sys online_node 2 -> EPERM; changed 0
      sys online_node 2 MOVABLE -> 0
      sys remove_node 2 -> 0; changed 4`);
    expect(kernel.driverNodes.size).toBe(0);
  });

  test('[HOT14] goes segment by segment: one that is held leaves the others free to go', () => {
    const { kernel } = run(`
      sys remove_node 2
      sys add_node 2 driver
      T0 mmap R0 16 anon
      T0 mbind R0 0 16 bind 2
      T0 touch R0
      T0 pin R0 0 1
      sys remove_node 2 -> EBUSY; blocks 4; changed 3
      sys read /sys/devices/system/node/online -> value 0-4
      T0 unpin R0 0 1
      sys remove_node 2 -> 0; changed 1`);
    expect(kernel.states.online.has(2)).toBe(false);
  });
});
