// Memory that programs ask a driver for, where it is a node and where it is none.
import { describe, expect, test } from 'vitest';
import { bench, bootDevice, play } from '../../test/support/play.ts';
import { checkAll } from '../checkers/index.ts';
import { breaches } from '../checkers/promise.ts';
import { allocatorGate } from '../designs/allocator_gate.ts';
import { driver } from '../designs/driver.ts';
import { hmm } from '../designs/hmm.ts';
import { hmmCoherent } from '../designs/hmm_coherent.ts';
import { stock } from '../designs/stock.ts';
import type { Machine } from '../machine/machine.ts';
import { findPreset } from '../machine/presets/index.ts';
import { readTextFile, View } from '../observe/files.ts';

const all = [stock, allocatorGate, hmm, hmmCoherent, driver];

describe.each(all)('a buffer under $id', (design) => {
  const isPrivate = design === hmm;

  test('[DVF1] has all its frames on the device until nobody maps a page of it', () => {
    const { kernel, more } = play(
      `
      T0 device_alloc gpu0 R0 300 -> 0
      T0 device_compute gpu0 R0 -> local 300; moved 0
      T0 device_compute gpu0 R0 random reading -> local 300
      T0 touch R0 -> ${isPrivate ? 'SIGBUS' : '0; touched 300'}
      fork T0 T1
      T1 device_compute gpu0 R0 10 20 -> local 20
      T0 munmap R0 0 200
      T0 exit
    `,
      { design },
    );
    const used = () => [...kernel.buffers.values()].reduce((n, b) => n + b.frames.length, 0);
    expect(used()).toBe(300);
    expect(
      [...(kernel.buffers.values().next().value?.frames ?? [])].map((f) =>
        kernel.allocator.nidOf(f),
      ),
    ).toEqual(new Array(300).fill(2));
    expect(checkAll(kernel)).toEqual([]);
    expect(breaches(kernel)).toEqual([]);
    more('T1 munmap R0');
    expect(used()).toBe(0);
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[DVF2] is no memory to the rest of the kernel', () => {
    const { kernel } = play(
      `
      sys swapon 4096
      T0 device_alloc gpu0 R0 32
      T0 where R0 -> nodes EFAULT:32
      T0 node_at R0 0 -> EFAULT
      T0 move_pages R0 0 32 0
      T0 pin R0 0 4 -> EFAULT
      T0 pin R0 0 4 longterm -> EFAULT
      T0 mlock R0 0 32 -> 0
      T0 mbind R0 0 32 bind 1 strict move -> 0
      T0 migrate_pages 2 1
      T0 madvise R0 0 32 dontneed -> EINVAL
      T0 madvise R0 0 32 free -> EINVAL
      T0 madvise R0 0 32 pageout -> EINVAL
      T0 madvise R0 0 32 remove -> ENODEV
      T0 madvise R0 0 32 wipeonfork -> EINVAL
      T0 madvise R0 0 32 populate_write -> EINVAL
      T0 madvise R0 0 32 hwpoison -> EFAULT
      T0 madvise R0 0 32 mergeable -> 0
      T0 madvise R0 0 32 dontfork -> 0
      fork T0 T1
      T1 touch R0 -> SIGSEGV
      T0 device_compute gpu0 R0 -> local 32
    `,
      { design },
    );
    const view = new View(kernel, new Map(kernel.tasks.map((t) => [t.name, t])));
    expect(readTextFile(view, '/proc/T0/numa_maps')).toMatch(/bind:1 file=\/dev\/gpu0\n/);
    expect(readTextFile(view, '/proc/T0/maps')).toMatch(/rw-s 00000000 00:05 .*\/dev\/gpu0\n/);
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[DVF3] is had whole or not at all, whatever system memory has left', () => {
    const { kernel } = play(
      `
      T0 device_alloc gpu0 R0 8192 -> 0
      T0 device_alloc gpu0 R1 8193 -> ENOMEM
      T0 device_compute gpu0 R1 -> SIGSEGV
      T0 munmap R0
      T0 device_alloc gpu0 R1 8193 -> 0
    `,
      { design },
    );
    expect(kernel.kills).toEqual([]);
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[DVF4] drives out what the driver brought for others', () => {
    const isNone = design === driver;
    const { kernel } = play(
      `
      T0 mmap R0 12288 anon
      T0 touch R0
      T0 device_compute gpu0 R0 -> local ${isNone ? 0 : 12288}
      T0 device_alloc gpu0 R1 8192 -> 0
      T0 where R0 0 512 -> nodes 0:512
      T0 device_policy gpu0 migrate keep
      T0 device_alloc gpu0 R2 12288 -> ENOMEM
    `,
      { design },
    );
    expect(kernel.moves.rows().some((row) => row.cause === 'device evict')).toBe(!isNone);
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[DVF5] is lost with the link, and stands in the way of an unloaded driver', () => {
    const { kernel } = play(
      `
      T0 device_alloc gpu0 R0 16
      T0 mmap R1 16 anon
      T0 device_compute gpu0 R1
      sys offline_node 2 -> ${design.answers.memremapPages === undefined ? 'EINVAL' : 'EBUSY'}
      sys link_failure 2
      T0 touch R0 -> SIGBUS
      T0 device_alloc gpu0 R2 16
      T0 munmap R0
    `,
      { design, machine: bench() },
    );
    expect(checkAll(kernel)).toEqual([]);
  });
});

describe('under driver', () => {
  test('[DVF6] other memory never goes to the device, which is first to use it on its CPU node', () => {
    const { kernel } = play(
      `
      T0 cpu 2
      T0 mmap R0 64 anon
      T0 touch R0 0 16
      T0 device_compute gpu0 R0 -> local 0; remote 64; moved 0
      T0 where R0 -> nodes 1:16 0:48
      T0 device_prefetch gpu0 R0 -> moved 0
      T0 device_policy gpu0 counters threshold=1
      T0 device_compute gpu0 R0 passes=4 -> moved 0; remote 256
      T0 mmap R1 16 anon
      T0 mbind R1 0 16 bind 1
      T0 device_compute gpu0 R1 -> remote 16
      T0 where R1 -> nodes 1:16
      T0 mbind R1 0 16 bind 2 -> EINVAL
    `,
      { design: driver },
    );
    expect(kernel.moves.rows()).toEqual([]);
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[DVF6] the known hole: a program dies for want of memory with the device empty', () => {
    const { kernel } = play(
      `
      T0 mmap R0 90000 anon
      T0 touch R0 -> KILLED
    `,
      { design: driver },
    );
    expect(kernel.mem.deviceMemory.ofNode(2)?.ops?.nrFree).toBe(16384);
  });

  test('[ZDV1] a device in boot memory and one with many nodes are none of the kernel', () => {
    for (const machine of [bootDevice(), findPreset('gb200') as Machine]) {
      const { kernel } = play('T0 device_alloc gpu0 R0 64 -> 0', { design: driver, machine });
      expect(kernel.states.memory.intersects(kernel.states.device)).toBe(false);
    }
  });
});

describe.each([hmm, hmmCoherent, driver])('memory of a driver under $id', (design) => {
  test('[ZDV10] comes when the driver brings it, and leaves with what lay there gone to RAM', () => {
    const machine = bench();
    const nodes = machine.nodes.map((n) => (n.id === 2 ? { ...n, offlineAtStart: true } : n));
    const { kernel } = play(
      `
      T0 mmap R0 64 anon
      T0 mbind R0 0 64 preferred 1
      T0 device_alloc gpu0 R1 16 -> ENODEV
      T0 device_compute gpu0 R0 -> ENODEV
      sys online_node 2 MOVABLE -> 0; already 0
      sys online_node 2 -> 0; already 1
      T0 mmap R2 64 anon
      T0 device_compute gpu0 R2 -> computed 64
      T0 device_alloc gpu0 R1 16 -> 0
      T0 munmap R1
      sys offline_node 2 -> 0; already 0
      T0 where R2 -> nodes 0:64
      T0 device_compute gpu0 R2 -> ENODEV
      sys read /sys/devices/system/node/has_memory -> value 0-1
    `,
      { machine: { ...machine, nodes }, design },
    );
    expect(checkAll(kernel)).toEqual([]);
  });

  test("[ZDV12] a link failure takes what lay there; errors in single pages are the driver's", () => {
    const isNone = design === driver;
    const { kernel } = play(
      `
      T0 mmap R0 64 anon
      T0 device_compute gpu0 R0
      T0 where R0 -> nodes ${isNone ? '0:64' : 'ENOENT:64'}
      fork T0 T1
      sys poison T0 R0 60 -> ${isNone ? 0 : 'ENXIO'}
      sys soft_offline T0 R0 59 -> ${isNone ? 0 : 'EIO'}
      sys link_failure 2 -> 0; used ${isNone ? 0 : 64}
      T0 touch R0 0 1 -> ${isNone ? 0 : 'SIGBUS'}
      T1 touch R0 0 1 -> ${isNone ? 0 : 'SIGBUS'}
      T0 device_compute gpu0 R0 -> ENODEV
      sys link_failure 2 -> ENODEV
    `,
      { design },
    );
    expect(checkAll(kernel)).toEqual([]);
  });
});
