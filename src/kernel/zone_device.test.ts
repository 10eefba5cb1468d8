// Memory that drivers keep (ZONE_DEVICE), under designs that leave it to them.
import { describe, expect, test } from 'vitest';
import { bench, bootDevice, play } from '../../test/support/play.ts';
import { checkAll } from '../checkers/index.ts';
import { driver } from '../designs/driver.ts';
import { hmm } from '../designs/hmm.ts';
import { hmmCoherent } from '../designs/hmm_coherent.ts';
import { hmmFiles } from '../designs/hmm_files.ts';
import type { Machine } from '../machine/machine.ts';
import { findPreset } from '../machine/presets/index.ts';
import { ZONE_DEVICE } from '../mm/gfp.ts';
import { readTextFile, View } from '../observe/files.ts';

const both = [hmm, hmmCoherent];

describe.each(both)('under $id', (design) => {
  test('[ZDV1] the memory is no node: no zone, list, state or cpuset has it', () => {
    for (const machine of [bench(), bootDevice()]) {
      const { kernel } = play('T0 get_mempolicy', { machine, design });
      const { zones, states, lists } = kernel.mem;
      const own = zones.ofNode(2);
      expect(own.map((z) => [zones.type[z], zones.managed[z], zones.free[z]])).toEqual([
        [ZONE_DEVICE, 0, 0],
      ]);
      expect([states.memory.has(2), states.normalMemory.has(2)]).toEqual([false, false]);
      const listed = [...lists.fallback, ...lists.noFallback].flatMap((l) => [...(l?.zones ?? [])]);
      expect(listed).not.toContain(own[0]);
      expect(checkAll(kernel)).toEqual([]);
    }
    play(
      `
      T0 mmap R0 8 anon
      T0 mbind R0 0 8 bind 2 -> EINVAL
      T0 mbind R0 0 8 preferred 2 -> EINVAL
      T0 set_mempolicy interleave 2 -> EINVAL
      T0 touch R0
      T0 move_pages R0 0 8 2 -> ENODEV
      T0 migrate_pages 0 2 -> EINVAL
      sys states
      sys read /sys/devices/system/node/has_memory -> value 0-1
      sys read /sys/devices/system/node/node2/meminfo -> ENOENT
      sys mkdir /sys/fs/cgroup/a
      sys write /sys/fs/cgroup/a/cpuset.mems 2
      sys move T0 /sys/fs/cgroup/a
      T0 where R0 -> nodes 0:8
    `,
      { design },
    );
  });

  test('[ZDV2] frames come from the pool of the driver and go back when nobody has them', () => {
    const { kernel, session } = play(
      `
      T0 mmap R0 300 anon
      T0 touch R0 0 100
      T0 device_compute gpu0 R0 -> computed 300; local 300; moved 100
      fork T0 T1
      T1 exit
      T0 munmap R0 0 40
      T0 madvise R0 40 10 dontneed
    `,
      { design },
    );
    const map = kernel.mem.deviceMemory.ofNode(2);
    expect(map?.ops?.nrFree).toBe(16384 - 250);
    expect(checkAll(kernel)).toEqual([]);
    const { pgalloc, pgfree } = kernel.mem.stat.eventCounts();
    const before = pgalloc - pgfree;
    session.runner.run({
      text: '',
      expect: [],
      act: { on: 'task', task: 'T0', act: { verb: 'exit' } },
    });
    expect(map?.ops?.nrFree).toBe(16384);
    const after = kernel.mem.stat.eventCounts();
    expect(before - (after.pgalloc - after.pgfree)).toBeLessThan(20);
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[ZDV7] pages of files and of shared memory stay, and the device reaches them', () => {
    play(
      `
      T0 mmap R0 16 shared
      T0 touch R0
      T0 device_compute gpu0 R0 -> local 0; remote 16; moved 0
      T0 where R0 -> nodes 0:16
      sys mkfile data 16
      T0 mmap R1 16 file:data
      T0 device_compute gpu0 R1 reading -> local 0; remote 16; moved 0
      T0 device_prefetch gpu0 R1 -> moved 0
    `,
      { design },
    );
  });

  test('[ZDV8] programs do not see where the pages are, but as pages of no node', () => {
    const { kernel } = play(
      `
      T0 mmap R0 8 anon
      T0 device_compute gpu0 R0 -> local 8
      T0 where R0 -> nodes ENOENT:8
      T0 move_pages R0 0 8 1 -> 0
      T0 where R0 -> nodes ENOENT:8
      T0 mbind R0 0 8 bind 1 strict move -> 0
      T0 migrate_pages 0 1 -> 0
      T0 where R0 -> nodes ENOENT:8
    `,
      { design },
    );
    const view = new View(kernel, new Map(kernel.tasks.map((t) => [t.name, t])));
    expect(readTextFile(view, '/proc/T0/numa_maps')).not.toMatch(/N2=|anon=8/);
    expect(readTextFile(view, '/proc/T0/numa_maps')).toMatch(/bind:1/);
  });

  test('[ZDV4] reclaim, NUMA balancing and KSM leave the pages alone', () => {
    const { kernel } = play(
      `
      sys swapon 4096
      T0 mmap R0 64 anon
      T0 fill R0 0 64 7
      T0 device_compute gpu0 R0 -> local 64
      T0 madvise R0 0 64 mergeable -> 0
      sys write /sys/kernel/mm/ksm/run 1
      sys ksm_scans 3
      sys write /proc/sys/kernel/numa_balancing 1
      sys sleep 3000
      T0 madvise R0 0 64 cold -> 0
      T0 madvise R0 0 64 pageout -> 0
      T0 madvise R0 0 64 free -> 0
    `,
      { design },
    );
    expect(kernel.mem.deviceMemory.ofNode(2)?.ops?.nrFree).toBe(16384 - 64);
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[ZDV4] [SWP2] what is in the swap cache stays, since an area of swap maps it too', () => {
    const { kernel } = play(
      `
      sys swapon 4096
      T0 mmap R0 64 anon
      T0 touch R0
      T0 madvise R0 0 64 pageout -> 0
      fork T0 T1
      T0 read R0
      T0 device_compute gpu0 R0 reading
      T1 read R0 -> 0
      T1 where R0 -> nodes 0:64
      T0 where R0 -> nodes 0:64
    `,
      { design },
    );
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[ZDV9] without room the driver evicts, and system memory joins the lists again', () => {
    const { kernel } = play(
      `
      sys swapon 4096
      T0 mmap R0 12288 anon
      T0 mmap R1 8192 anon
      T0 device_compute gpu0 R0 -> local 12288
      T0 mlock R1 0 16 onfault
      T0 device_compute gpu0 R1 -> local 8192; evicted 4096
      T0 device_policy gpu0 migrate keep
      T0 device_compute gpu0 R0 -> local 8192; remote 4096
      T0 device_prefetch cpu R1 0 64 -> moved 64
      T0 where R1 0 64 -> nodes 0:64
    `,
      { design },
    );
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[ZDV10] a device with its memory offline answers ENODEV', () => {
    const machine = bench();
    const nodes = machine.nodes.map((n) => (n.id === 2 ? { ...n, offlineAtStart: true } : n));
    play(
      `
      T0 mmap R0 4 anon
      T0 device_compute gpu0 R0 -> ENODEV
    `,
      { machine: { ...machine, nodes }, design },
    );
  });

  test('[DRV15] what another device holds is reached through the link, or comes back first', () => {
    const isPrivate = design === hmm;
    play(
      `
      T0 mmap R0 8 anon
      T0 device_compute gpu0 R0 -> local 8
      T0 device_policy gpu1 stay
      T0 device_compute gpu1 R0 -> local 0; remote 8; moved 0
      T0 where R0 -> nodes ${isPrivate ? 0 : 'ENOENT'}:8
      T0 device_policy gpu1 migrate
      T0 device_compute gpu1 R0 -> local ${isPrivate ? 8 : 0}; moved ${isPrivate ? 8 : 0}
      `,
      { machine: findPreset('thread') as Machine, design },
    );
  });
});

describe('private memory', () => {
  test("[ZDV6] a CPU's touch brings a page to where its area's policy says, for all who have it", () => {
    const { kernel } = play(
      `
      T0 mmap R0 32 anon
      T0 mbind R0 8 8 bind 1
      T0 device_compute gpu0 R0 16 16 -> local 16
      T0 touch R0 0 16
      T0 device_prefetch gpu0 R0 -> moved 16
      T0 touch R0 0 16
      T0 where R0 -> nodes 0:8 1:8 ENOENT:16
      fork T0 T1
      T1 read R0 16 4
      T1 where R0 16 16 -> nodes 0:4 ENOENT:12
      T0 where R0 16 16 -> nodes 0:4 ENOENT:12
      T1 touch R0 20 4
      T0 where R0 16 16 -> nodes 0:8 ENOENT:8
      T0 node_at R0 24 -> node 0
      T0 where R0 24 1 -> nodes 0:1
    `,
      { design: hmm },
    );
    expect(checkAll(kernel)).toEqual([]);
    const causes = kernel.moves.rows().map((row) => `${row.cause} ${row.from}>${row.to}`);
    expect(causes).toEqual(['device 0>2', 'device 1>2', 'device back 2>0', 'device back 2>1']);
  });

  test('[ZDV6] so do pins, mlock and populate; without a page for it the task gets SIGBUS or dies', () => {
    const { kernel } = play(
      `
      T0 mmap R0 12 anon
      T0 device_compute gpu0 R0 -> local 12
      T0 pin R0 0 2 longterm -> 0
      T0 pin R0 2 2 -> 0
      T0 mlock R0 4 2 -> 0
      T0 madvise R0 6 2 populate_read -> 0
      T0 where R0 -> nodes 0:8 ENOENT:4
      T0 device_compute gpu0 R0 -> local 8; remote 4; moved 4
      T0 mmap R1 80000 anon
      T0 mmap R2 512 anon
      T0 device_compute gpu0 R2 -> local 512
      T0 touch R1 -> KILLED
    `,
      { design: hmm },
    );
    expect(checkAll(kernel)).toEqual([]);
  });
});

describe('coherent memory', () => {
  test('[ZDV5] CPUs use the pages where they are; a write to one that is shared copies it', () => {
    const { kernel } = play(
      `
      T0 mmap R0 8 anon
      T0 device_compute gpu0 R0 -> local 8
      T0 touch R0
      T0 where R0 -> nodes ENOENT:8
      fork T0 T1
      T1 touch R0 0 2
      T1 where R0 -> nodes 0:2 ENOENT:6
      T0 where R0 -> nodes ENOENT:8
      T0 node_at R0 0 -> node 0
    `,
      { design: hmmCoherent },
    );
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[ZDV11] a long-term pin moves the pages out, by the policy of the task; a short one does not', () => {
    const { kernel } = play(
      `
      T0 mmap R0 16 anon
      T0 mbind R0 0 16 bind 0
      T0 set_mempolicy bind 1
      T0 device_policy gpu0 migrate
      T0 touch R0
      T0 device_prefetch gpu0 R0 -> moved 16
      T0 pin R0 0 4 -> 0
      T0 pin R0 8 4 longterm -> 0
      T0 where R0 -> nodes 1:4 ENOENT:12
      T0 pin R0 0 2 longterm -> EBUSY
      T0 unpin R0 0 4
      T0 pin R0 0 2 longterm -> 0
      T0 where R0 -> nodes 1:6 ENOENT:10
    `,
      { design: hmmCoherent },
    );
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[ZDV11] the known hole: with system memory full the pin fails, and the task pays for it', () => {
    const { kernel } = play(
      `
      T0 mmap R0 64 anon
      T0 device_compute gpu0 R0 -> local 64
      fork T0 T1
      T0 exit
      T1 mmap R1 80000 anon
      T1 touch R1 0 20000
      T1 pin R0 0 64 longterm
    `,
      { design: hmmCoherent },
    );
    expect(checkAll(kernel)).toEqual([]);
  });
});

describe('coherent memory that takes pages of files (hmm-files)', () => {
  test('[ZDV13] pages of files and of shared memory go there, and live on in their file', () => {
    const { kernel } = play(
      `
      T0 mmap R0 16 shared
      T0 touch R0
      T0 device_compute gpu0 R0 -> local 16; moved 16
      T0 where R0 -> nodes ENOENT:16
      T0 touch R0
      sys mkfile data 32
      T0 mmap R1 32 file:data
      T0 touch R1 0 8
      T0 device_compute gpu0 R1 -> local 32; moved 32
      T0 readfile data -> read 32
      T0 writefile data 0 4 -> written 4
      sys sync
      fork T0 T1
      T1 touch R0 0 4
      T1 exit
      T0 pin R0 0 4 longterm -> 0
      T0 where R0 -> nodes 0:4 ENOENT:12
      T0 unpin R0 0 4
      T0 munmap R0
      T0 device_policy gpu0 migrate-back
      T0 touch R1 4 4
      T0 where R1 -> nodes 0:4 ENOENT:28
      T0 munmap R1
      sys drop_caches
      sys rmfile data
    `,
      { design: hmmFiles },
    );
    expect(kernel.mem.deviceMemory.ofNode(2)?.ops?.nrFree).toBe(16384);
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[ZDV13] a file in use keeps its driver, and a lost link with files is not modelled', () => {
    const { kernel, more } = play(
      `
      sys mkfile data 32
      T0 readfile data
      T0 mmap R1 32 file:data
      T0 device_compute gpu0 R1 reading -> local 32; moved 32
      T0 munmap R1
      sys cached data -> nodes 2:32
      sys offline_node 2 -> 0
      sys cached data -> nodes 0:32
    `,
      { design: hmmFiles },
    );
    expect(checkAll(kernel)).toEqual([]);
    expect(more('sys online_node 2').ret).toBe(0);
  });

  test('[PRM2] the promise names what may lie there, and a page of another kind breaks it', () => {
    for (const [design, isKept] of [
      [hmmFiles, true],
      [{ ...hmmFiles, promise: hmmCoherent.promise }, false],
    ] as const) {
      const { kernel } = play(
        `
        T0 mmap R0 16 shared
        T0 touch R0
        T0 device_compute gpu0 R0 -> local 16
      `,
        { design },
      );
      const found = checkAll(kernel);
      expect(found.length).toBe(isKept ? 0 : 1);
      if (!isKept) expect(found[0]).toMatch(/^promise: 16 pages of files are in memory of node 2/);
    }
    const { kernel } = play('T0 mmap R0 4 anon\nT0 device_compute gpu0 R0 -> local 4', {
      design: { ...hmmCoherent, promise: driver.promise },
    });
    expect(checkAll(kernel)).toEqual([expect.stringMatching(/^promise: 4 pages of programs/)]);
  });
});
