// Pages of 1 GiB: which stretches of memory can be one, what boot sets apart, what programs get.
import { describe, expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { checkAll } from '../checkers/index.ts';
import { DEFAULT_DESIGNS, findDesign } from '../designs/index.ts';
import type { Machine } from '../machine/machine.ts';
import type { Kernel } from './kernel.ts';

const NODE = '/sys/devices/system/node';
const H = 'hugepages/hugepages-1048576kB';
const POOL = `/sys/kernel/mm/${H}`;
const GIB_PAGES = 16384;

/** Two nodes of 4 and 3 GiB with CPUs and a plugged device of 3 GiB, with pages of 64 KiB. */
const large = (device: 'movable' | 'boot' = 'movable'): Machine =>
  machineFrom({
    name: 'large',
    arch: 'ppc64',
    pageBytes: '64KiB',
    nodes: [
      { id: 0, cpus: '0', memory: '4GiB' },
      { id: 1, cpus: '1', memory: '3GiB' },
      { id: 2, memory: '3GiB', memoryZone: device, device: 'gpu0' },
    ],
    distances: [
      [10, 20, 40],
      [20, 10, 60],
      [40, 60, 10],
    ],
    devices: [{ name: 'gpu0', kind: 'device', homeNode: 0 }],
  });

const on = (text: string, device?: 'movable' | 'boot', design = findDesign('stock')) =>
  play(text, { machine: large(device), design });
const nodes = (k: Kernel) => [...k.gigantic.nrOf];
const sound = (k: Kernel): void => expect(checkAll(k)).toEqual([]);

describe('the pool at run time', () => {
  test('[HUG14] [HUG15] grows where stretches of 1 GiB can be had, and shrinks', () => {
    const { kernel } = on(`
      sys write ${POOL}/nr_hugepages 1 -> 0
      sys write ${POOL}/nr_hugepages 9 -> 0
      sys hugetlb 1G
      sys read ${POOL}/nr_hugepages_mempolicy -> value 3
      sys write ${POOL}/nr_overcommit_hugepages 1 -> EINVAL
      sys write ${NODE}/node2/${H}/nr_hugepages 2 -> 0
      sys read ${NODE}/node2/${H}/nr_hugepages -> value 0
      sys read ${POOL}/no_such_file -> ENOENT
    `);
    // The kernel is in the first GiB of each node, the table of frames in the last.
    expect(nodes(kernel)).toEqual([2, 1, 0]);
    sound(kernel);
    const { kernel: after } = on(`
      sys write ${POOL}/nr_hugepages 9
      sys write ${POOL}/nr_hugepages 0 -> 0
      sys write ${NODE}/node0/${H}/nr_hugepages 2 -> 0
      sys read /proc/meminfo
    `);
    expect(nodes(after)).toEqual([2, 0, 0]);
    sound(after);
  });

  test('[HUG15] users leave a stretch, to other nodes when theirs is full; a pinned page stays', () => {
    const { kernel } = on(`
      T0 cpu 1
      T0 mmap R0 2560MiB anon
      T0 mbind R0 0 2560MiB preferred 1
      T0 touch R0 -> 0
      sys write ${NODE}/node1/${H}/nr_hugepages 1 -> 0
      sys read ${NODE}/node1/${H}/free_hugepages -> value 1
    `);
    const moved = kernel.moves.rows().filter((row) => row.cause === 'contiguous range');
    expect(moved.reduce((n, row) => n + row.nrPages, 0)).toBe(GIB_PAGES);
    expect(new Set(moved.map((row) => row.to))).toEqual(new Set([0, 1]));
    sound(kernel);
    const { kernel: pinned } = on(`
      T0 cpu 1
      T0 mmap R0 2560MiB anon
      T0 mbind R0 0 2560MiB preferred 1
      T0 touch R0
      T0 pin R0 20000 1
      sys write ${NODE}/node1/${H}/nr_hugepages 1 -> 0
    `);
    expect(nodes(pinned)).toEqual([0, 0, 0]);
    sound(pinned);
  });

  test('[HUG15] pages of 2 MiB make room: a free one for a fresh one, a used one moves', () => {
    const { kernel } = on(`
      T0 cpu 1
      sys write ${NODE}/node1/hugepages/hugepages-2048kB/nr_hugepages 600
      sys write ${NODE}/node1/${H}/nr_hugepages 1 -> 0
      sys read ${NODE}/node1/hugepages/hugepages-2048kB/nr_hugepages -> value 600
    `);
    expect(nodes(kernel)).toEqual([0, 1, 0]);
    sound(kernel);
  });

  test('[HUG14] none is taken from ZONE_MOVABLE; in ZONE_NORMAL a device has its share', () => {
    const text = `sys write ${POOL}/nr_hugepages 9`;
    expect(nodes(on(text).kernel)).toEqual([2, 1, 0]);
    const { kernel } = on(`boot memhp_default_state=online_kernel\n${text}`);
    expect(nodes(kernel)).toEqual([2, 1, 3]);
    sound(kernel);
  });

  test.each(DEFAULT_DESIGNS)(
    '[HUG13] $id: a device in ZONE_NORMAL is kept out where the design says so, unless named',
    (design) => {
      const isKept = design.answers.hugetlbNodes !== undefined;
      const hasMemory = !['hmm', 'hmm-coherent', 'hmm-files', 'driver'].includes(design.id);
      const { kernel, more } = on(
        `boot memhp_default_state=online_kernel\nsys write ${POOL}/nr_hugepages 4 -> 0`,
        'movable',
        design,
      );
      if (isKept) expect(nodes(kernel)).toEqual([2, 1, 0]);
      if (!hasMemory) return;
      more(`sys write ${NODE}/node2/${H}/nr_hugepages 2`);
      const isPrivate = kernel.states.privateMemory.has(2);
      expect(nodes(kernel)[2]).toBe(isPrivate ? 0 : 2);
      // A pool that the whole machine's file spreads breaks what some designs promise.
      const wrong = checkAll(kernel).filter((text) => isKept || !text.startsWith('promise'));
      expect(wrong).toEqual([]);
    },
  );
});

test('[HUG17] a free page that nobody is promised is split into pages of 2 MiB', () => {
  const { kernel, more } = on(`
    boot hugepagesz=1G hugepages=4
    T0 mmap R0 1 hugetlb-1G
    sys read ${POOL}/demote_size -> value 2048kB
    sys write ${POOL}/demote_size 1G -> EINVAL
    sys read ${POOL}/demote -> EACCES
    sys write ${NODE}/node1/${H}/demote 1 -> 0
    sys read ${NODE}/node1/hugepages/hugepages-2048kB/free_hugepages -> value 512
    sys write ${POOL}/demote 9 -> 0
    sys read /sys/kernel/mm/hugepages/hugepages-2048kB/demote_size -> ENOENT
  `);
  expect(kernel.gigantic.nr).toBe(1);
  expect(kernel.huge.nr).toBe(3 * 512);
  sound(kernel);
  more('sys write /proc/sys/vm/nr_hugepages 0');
  expect(kernel.huge.nr).toBe(0);
  sound(kernel);
});

describe('pages of boot', () => {
  test('[HUG16] come from the highest stretch of each node in turn, else of any node', () => {
    const { kernel, more } = on(`
      boot hugepagesz=1G hugepages=4
      sys hugetlb 1G
    `);
    expect(nodes(kernel)).toEqual([2, 2, 0]);
    sound(kernel);
    more(`sys write ${POOL}/nr_hugepages 0`);
    expect(nodes(kernel)).toEqual([0, 0, 0]);
    sound(kernel);
    const all = on('boot hugepagesz=1G hugepages=9\nsys hugetlb 1G').kernel;
    expect(nodes(all)).toEqual([2, 2, 0]);
    const named = on('boot hugepagesz=1G hugepages=1:3\nsys hugetlb 1G').kernel;
    expect(nodes(named)).toEqual([1, 2, 0]);
    sound(named);
    const unknown = on('boot hugepagesz=1G hugepages=0:1,2:1\nsys hugetlb 1G').kernel;
    expect(nodes(unknown)).toEqual([0, 0, 0]);
  });

  test('[HUG16] both sizes, and the pool of 2 MiB by node', () => {
    const { kernel } = on('boot hugepages=0:3,1:1 hugepagesz=1G hugepages=1:1\nsys hugetlb');
    expect([...kernel.huge.nrOf]).toEqual([3, 1, 0]);
    expect(nodes(kernel)).toEqual([0, 1, 0]);
    sound(kernel);
  });

  test('[HUG13] [HUG16] memblock falls back to a device that boot has, whatever the design says', () => {
    const boot = (n: number, id: string) =>
      nodes(on(`boot hugepagesz=1G hugepages=${n}\nsys hugetlb 1G`, 'boot', findDesign(id)).kernel);
    expect(boot(3, 'stock')).toEqual([1, 1, 1]);
    expect(boot(4, 'allocator-gate')).toEqual([2, 2, 0]);
    expect(boot(5, 'allocator-gate')).toEqual([2, 2, 1]);
  });
});

describe('what programs get', () => {
  test('[HUG14] promises, faults, SIGBUS and what comes back', () => {
    const { kernel } = on(`
      boot hugepagesz=1G hugepages=1:2
      T0 mmap R0 3 hugetlb-1G -> ENOMEM
      T0 mmap R0 1 hugetlb-1G -> 0
      sys read ${POOL}/resv_hugepages -> value 1
      T0 mmap R1 2 hugetlb-noreserve-1G
      T0 touch R1 -> SIGBUS
      T0 touch R0 -> 0
      T0 where R0 -> nodes 1:1
      T0 mmap R2 1 hugetlb
      T0 munmap R0
      T0 mmap R3 1 hugetlb-shared-1G
      T0 mbind R3 0 1 bind 0
      T0 touch R3 -> SIGBUS
      T0 munmap R1
      T0 munmap R3
      sys read ${POOL}/free_hugepages -> value 2
      sys read ${POOL}/resv_hugepages -> value 0
      T0 mmap R4 1 shm-hugetlb-1G
      T0 mmap R5 1 shm-hugetlb
    `);
    expect(kernel.hugeSegments.size).toBe(1);
    sound(kernel);
  });

  test('[HUG14] a page moves to one that lies ready, and finds no other place', () => {
    const { kernel } = on(`
      boot hugepagesz=1G hugepages=0:1,1:1
      T0 mmap R0 1 hugetlb-1G
      T0 mbind R0 0 1 bind 0
      T0 touch R0
      T0 mbind R0 0 1 bind 1 move strict -> 0
      T0 where R0 -> nodes 1:1
      T0 migrate_pages 1 0 -> 0
      T0 where R0 -> nodes 0:1
      T0 mmap R1 1 hugetlb-1G
      T0 mbind R1 0 1 bind 1
      T0 touch R1
      T0 migrate_pages 0 1 -> ENOMEM
      T0 mbind R0 0 1 bind 1 move strict -> EIO
      T0 where R0 -> nodes 0:1
    `);
    sound(kernel);
  });

  test('[HUG10] a child copies what it writes to, and the pool shrinks under what is in use', () => {
    const { kernel } = on(`
      boot hugepagesz=1G hugepages=4
      T0 mmap R0 1 hugetlb-1G
      T0 touch R0
      fork T0 T1
      T1 touch R0 -> 0
      T0 touch R0 -> 0
      sys write ${POOL}/nr_hugepages 0
      sys read ${POOL}/surplus_hugepages -> value 2
      T1 exit
      sys read ${POOL}/nr_hugepages -> value 1
    `);
    sound(kernel);
  });

  test('[HUG5] a cpuset without a page is SIGBUS, and explains itself', () => {
    on(`
      boot hugepagesz=1G hugepages=1:2
      sys mkdir /sys/fs/cgroup/a
      sys write /sys/fs/cgroup/a/cpuset.mems 0
      sys move T0 /sys/fs/cgroup/a
      T0 mmap R0 1 hugetlb-1G -> ENOMEM
      T0 mmap R0 1 hugetlb-noreserve-1G
      T0 touch R0 -> SIGBUS
    `);
  });
});
