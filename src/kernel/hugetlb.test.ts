// Areas of huge pages as programs see them: promises, faults, copies, moves; and the pool's files.
import { describe, expect, test } from 'vitest';
import { bench, play } from '../../test/support/play.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { NotModelled } from '../base/assert.ts';
import { checkAll } from '../checkers/index.ts';
import { findDesign, THREAD_DESIGNS } from '../designs/index.ts';
import { gh200 } from '../machine/presets/gh200.ts';
import type { Kernel } from './kernel.ts';

const NODE = '/sys/devices/system/node';
const H = 'hugepages/hugepages-2048kB';
const POOL = `/sys/kernel/mm/${H}`;

/** nr, free, reserved, surplus of the whole machine. */
const pool = (k: Kernel) => [k.huge.nr, k.huge.free, k.huge.reserved, k.huge.surplus];
const onNodes = (k: Kernel) => [...k.huge.nrOf].slice(0, 3);

const sound = (k: Kernel): void => expect(checkAll(k)).toEqual([]);

describe('the size of the pool', () => {
  test('[HUG6] grows and shrinks node by node in turn', () => {
    const { kernel } = play(`
      sys write ${POOL}/nr_hugepages 7 -> 0
      sys write ${POOL}/nr_hugepages 5 -> 0
    `);
    // Node 0, 1, 2, 0, 1, 2, 0; then 0 and 1 give one back.
    expect(onNodes(kernel)).toEqual([2, 1, 2]);
    expect(pool(kernel)).toEqual([5, 5, 0, 0]);
    sound(kernel);
  });

  test('[HUG6] a node has a file of its own; its number counts its pages alone', () => {
    const { kernel, last } = play(`
      sys write ${NODE}/node1/${H}/nr_hugepages 3 -> 0
      sys write ${NODE}/node2/${H}/nr_hugepages 2 -> 0
      sys write ${NODE}/node1/${H}/nr_hugepages 1 -> 0
      sys read ${NODE}/node2/${H}/free_hugepages -> value 2
      sys read /proc/sys/vm/nr_hugepages -> value 3
      sys write ${NODE}/node7/${H}/nr_hugepages 1 -> ENOENT
      sys write ${NODE}/node3/${H}/nr_hugepages 1 -> 0
      sys read ${NODE}/node3/${H}/nr_hugepages -> value 0
      sys write ${NODE}/node1/${H}/free_hugepages 1 -> EACCES
      sys read ${NODE}/node1/${H}/resv_hugepages -> ENOENT
      sys write ${POOL}/nr_hugepages many -> EINVAL
      sys hugetlb
    `);
    expect(onNodes(kernel)).toEqual([0, 1, 2]);
    expect(last['hugetlb']).toMatchObject({
      nr: 3,
      nodes: { 1: { nr: 1, free: 1, surplus: 0, sysfs: true } },
    });
  });

  test('[HUG6] nr_hugepages_mempolicy obeys the policy of the task that writes', () => {
    const { kernel } = play(`
      T0 set_mempolicy bind 1,2 -> 0
      T0 swrite ${POOL}/nr_hugepages_mempolicy 4 -> 1
      T0 swrite /proc/sys/vm/nr_hugepages 10 -> 2
      T0 swrite ${POOL}/nr_hugepages_mempolicy 5 -> 1
    `);
    expect(onNodes(kernel)).toEqual([2, 1, 2]);
  });

  test('[HUG8] a pool below what is in use is surplus, and growing takes it back first', () => {
    const { kernel } = play(`
      sys write ${POOL}/nr_hugepages 4
      T0 mmap R0 3 hugetlb -> 0
      T0 touch R0 -> 0
      sys write ${POOL}/nr_hugepages 1 -> 0
      sys read ${POOL}/surplus_hugepages -> value 2
      sys read ${POOL}/nr_hugepages -> value 3
      sys write ${POOL}/nr_hugepages 3 -> 0
      sys read ${POOL}/surplus_hugepages -> value 0
      sys write ${POOL}/nr_hugepages 1
      T0 munmap R0
    `);
    expect(pool(kernel)).toEqual([1, 1, 0, 0]);
    sound(kernel);
  });

  test('[HUG12] a pool that outgrows memory stays smaller than it was told to be, and says so', () => {
    const { kernel, last } = play(`sys write ${NODE}/node2/${H}/nr_hugepages 1000`);
    expect(last['note']).toContain('neither compaction nor reclaim made one');
    expect(kernel.huge.nr).toBeGreaterThan(25);
    expect(kernel.huge.nr).toBeLessThanOrEqual(32);
    sound(kernel);
  });

  test('[HUG7] boot fills the pool from memory that is there at boot', () => {
    const { kernel } = play('sys hugetlb', { options: { bootPool: 4 } });
    expect(onNodes(kernel)).toEqual([2, 2, 0]);
    sound(kernel);
  });

  test('[HUG7] a list by node leaves the turn of the pool where it is', () => {
    const options = { bootPool: new Map([[1, 1]]) as never };
    const { kernel } = play(`sys write ${POOL}/nr_hugepages 2 -> 0`, { options });
    expect(onNodes(kernel)).toEqual([1, 1, 0]);
  });

  test('[HUG7] a list by node that names a node that is not there is ignored as a whole', () => {
    const byNode = (pairs: [number, number][]) =>
      play('sys hugetlb', { options: { bootPool: new Map(pairs) as never } }).kernel;
    expect(onNodes(byNode([[1, 3]]))).toEqual([0, 3, 0]);
    expect(
      onNodes(
        byNode([
          [1, 3],
          [2, 1],
        ]),
      ),
    ).toEqual([0, 0, 0]);
  });

  test('[HUG12] machines with huge pages of other sizes are refused by name', () => {
    const expected = [NotModelled, /arm64 with pages of 64 KiB/];
    for (const error of expected)
      expect(() => play('sys hugetlb', { machine: gh200() })).toThrow(error);
    expect(() => play('sys hugetlb', { machine: gh200() })).toThrow(/arm64 with pages of 64 KiB/);
  });
});

describe('promises', () => {
  test('[HUG2] [HUG3] mmap promises pages, touching uses promises up, unmapping gives back', () => {
    const { kernel } = play(`
      sys write ${POOL}/nr_hugepages 6
      T0 mmap R0 4 hugetlb -> 0
      sys read ${POOL}/resv_hugepages -> value 4
      T0 mmap R1 3 hugetlb -> ENOMEM
      T0 touch R0 0 3 -> 0
      sys read ${POOL}/resv_hugepages -> value 1
      T0 munmap R0 2 2 -> 0
      sys read ${POOL}/free_hugepages -> value 4
      sys read ${POOL}/resv_hugepages -> value 0
    `);
    expect(pool(kernel)).toEqual([6, 4, 0, 0]);
    sound(kernel);
  });

  test('[HUG3] without a reservation only what is promised to nobody is given', () => {
    const { kernel, last } = play(`
      sys write ${POOL}/nr_hugepages 4
      T0 mmap R0 3 hugetlb -> 0
      T0 mmap R1 3 hugetlb-noreserve -> 0
      T0 touch R1 -> SIGBUS
      T0 touch R0 -> 0
      T0 where R1
    `);
    expect(last['where']).toEqual([
      [0, 1],
      ['ENOENT', 2],
    ]);
    expect(kernel.tasks[0]?.isAlive).toBe(true);
    sound(kernel);
  });

  test("[HUG3] a bind policy and a cpuset count only their own nodes' free pages", () => {
    const { kernel } = play(`
      sys write ${NODE}/node0/${H}/nr_hugepages 4
      sys write ${NODE}/node2/${H}/nr_hugepages 2
      T0 set_mempolicy bind 2
      T0 mmap R0 3 hugetlb -> ENOMEM
      T0 mmap R0 2 hugetlb -> 0
      T0 set_mempolicy default none
      sys mkdir /sys/fs/cgroup/a
      sys write /sys/fs/cgroup/a/cpuset.mems 1,2
      sys move T0 /sys/fs/cgroup/a
      T0 mmap R1 3 hugetlb -> ENOMEM
    `);
    sound(kernel);
  });

  test('[HUG9] surplus pages are promised from the near node, and go with the mapping', () => {
    const { kernel } = play(`
      sys write ${POOL}/nr_overcommit_hugepages 4
      T0 mmap R0 3 hugetlb -> 0
      sys read ${NODE}/node0/${H}/surplus_hugepages -> value 3
      T0 mmap R1 2 hugetlb -> ENOMEM
      T0 touch R0 0 1 -> 0
      T0 munmap R0
    `);
    expect(pool(kernel)).toEqual([0, 0, 0, 0]);
    sound(kernel);
  });

  test('[HUG9] a fault without a promise takes surplus by policy, as far as overcommit goes', () => {
    const { kernel } = play(`
      sys write ${POOL}/nr_overcommit_hugepages 3
      T0 mmap R0 4 hugetlb-noreserve
      T0 mbind R0 0 1 bind 2
      T0 mbind R0 1 1 preferred 1
      T0 mbind R0 2 2 preferred_many 2
      T0 touch R0 -> SIGBUS
      T0 where R0 0 3 -> nodes 2:2 1:1
    `);
    expect(pool(kernel)).toEqual([3, 0, 0, 3]);
    sound(kernel);
  });

  test('[HUG3] what a segment was promised stays with the segment', () => {
    const { kernel } = play(`
      sys write ${POOL}/nr_hugepages 3
      T0 mmap R0 2 shm-hugetlb -> 0
      T0 touch R0 0 1 -> 0
      T0 exit
    `);
    expect(pool(kernel)).toEqual([3, 2, 1, 0]);
    sound(kernel);
  });
});

describe('faults', () => {
  test('[HUG5] each policy says where the walk over the pools starts and what it may take', () => {
    const { kernel } = play(`
      sys write ${NODE}/node0/${H}/nr_hugepages 3
      sys write ${NODE}/node1/${H}/nr_hugepages 3
      sys write ${NODE}/node2/${H}/nr_hugepages 3
      T0 mmap R0 9 hugetlb
      T0 mbind R0 0 1 bind 2
      T0 mbind R0 1 1 preferred 1
      T0 mbind R0 2 1 preferred_many 1,2
      T0 mbind R0 3 3 interleave 0,1,2
      T0 touch R0 0 6 -> 0
      T0 where R0 0 3 -> nodes 2:1 1:2
      T0 where R0 3 3 -> nodes 0:1 1:1 2:1
      T0 touch R0 6 3 -> 0
      T0 where R0 6 3 -> nodes 0:2 2:1
    `);
    sound(kernel);
  });

  test('[HUG4] [HUG5] a bind to a node without free pages is SIGBUS, promised or not', () => {
    const { kernel } = play(`
      sys write ${NODE}/node0/${H}/nr_hugepages 2
      T0 mmap R0 2 hugetlb -> 0
      T0 mbind R0 0 2 bind 2 -> 0
      T0 touch R0 -> SIGBUS
      T0 node_at R0 0 -> EFAULT
      T0 mlock R0 0 1 -> ENOMEM
      T0 madvise R0 0 1 populate_write -> EFAULT
      T0 mbind R0 0 2 preferred 2 -> 0
      T0 touch R0 -> 0
      T0 node_at R0 0 -> node 0
    `);
    sound(kernel);
  });

  test('[HUG5] the policy of a shared area is the area’s own', () => {
    const { kernel } = play(`
      sys write ${POOL}/nr_hugepages 6
      T0 mmap R0 2 hugetlb-shared
      fork T0 T1
      T0 mbind R0 0 2 bind 2
      T1 touch R0 0 1 -> 0
      T1 where R0 0 1 -> nodes 0:1
      T0 touch R0 1 1 -> 0
      T0 where R0 1 1 -> nodes 2:1
      T0 where R0 0 1 -> nodes ENOENT:1
      T0 read R0 0 1
      T0 where R0 0 1 -> nodes 0:1
    `);
    sound(kernel);
  });

  test('[HUG5] a read takes a page of its own, there is no huge page of zeroes', () => {
    const { kernel } = play(`
      sys write ${POOL}/nr_hugepages 2
      T0 mmap R0 1 hugetlb
      T0 read R0 -> 0
      T0 where R0 -> nodes 0:1
      T0 touch R0 -> 0
    `);
    expect(kernel.huge.free).toBe(1);
    sound(kernel);
  });

  test('[HUG4] advice: dontneed empties, remove is for shared areas, free and wipeonfork are none', () => {
    const { kernel } = play(`
      sys write ${POOL}/nr_hugepages 4
      T0 mmap R0 2 hugetlb
      T0 mmap R1 2 hugetlb-shared
      T0 touch R0
      T0 touch R1
      T0 madvise R0 0 1 dontneed -> 0
      T0 where R0 -> nodes ENOENT:1 0:1
      T0 madvise R0 0 1 remove -> EACCES
      T0 madvise R0 0 1 free -> EINVAL
      T0 madvise R0 0 1 wipeonfork -> EINVAL
      T0 madvise R1 0 1 remove -> 0
      T0 where R1 0 1 -> nodes ENOENT:1
    `);
    expect(pool(kernel)).toEqual([4, 2, 0, 0]);
    sound(kernel);
  });
});

describe('children', () => {
  test('[HUG10] a child inherits pages and no promises; its copy needs a page left over', () => {
    const { kernel } = play(`
      sys write ${NODE}/node0/${H}/nr_hugepages 3
      T0 mmap R0 2 hugetlb
      T0 touch R0 0 1
      fork T0 T1
      T1 touch R0 0 1 -> 0
      T1 touch R0 1 1 -> SIGBUS
      T0 touch R0 1 1 -> 0
    `);
    expect(pool(kernel)).toEqual([3, 0, 0, 0]);
    sound(kernel);
  });

  test('[HUG10] an owner that finds no page for its copy takes the one its child has', () => {
    const { kernel } = play(`
      sys write ${NODE}/node0/${H}/nr_hugepages 2
      T0 mmap R0 2 hugetlb
      T0 touch R0
      fork T0 T1
      T0 touch R0 0 1 -> 0
      T1 where R0 -> nodes ENOENT:1 0:1
      T1 touch R0 0 1 -> SIGBUS
      T1 exit
      T0 touch R0 -> 0
    `);
    expect(kernel.huge.free).toBe(0);
    sound(kernel);
  });
});

describe('moves', () => {
  test('[HUG11] a target is a free page of the pool, else a fresh one that replaces the old', () => {
    const { kernel } = play(`
      sys write ${NODE}/node0/${H}/nr_hugepages 3
      sys write ${NODE}/node1/${H}/nr_hugepages 1
      T0 mmap R0 3 hugetlb
      T0 touch R0
      T0 where R0 -> nodes 0:3
      T0 move_pages R0 0 2 1 -> 0
      T0 where R0 -> nodes 0:1 1:2
      T0 mbind R0 2 1 bind 2 move strict -> 0
      T0 where R0 -> nodes 1:2 2:1
      T0 migrate_pages 1 0 -> 0
      T0 where R0 -> nodes 0:2 2:1
    `);
    expect(kernel.huge.nr).toBe(4);
    sound(kernel);
  });

  test('[HUG11] STRICT finds misplaced huge pages; shared ones move with moveall only', () => {
    const { kernel } = play(`
      sys write ${POOL}/nr_hugepages 4
      T0 mmap R0 1 hugetlb-shared
      T0 touch R0
      fork T0 T1
      T1 read R0
      T0 mbind R0 0 1 bind 1 strict -> EIO
      T0 move_pages R0 0 1 1
      T0 where R0 -> nodes 0:1
      T0 move_pages R0 0 1 1 moveall
      T1 where R0 -> nodes 1:1
    `);
    sound(kernel);
  });

  test('[HUG11] surplus moves along', () => {
    const { kernel } = play(`
      sys write ${POOL}/nr_overcommit_hugepages 1
      T0 mmap R0 1 hugetlb
      T0 touch R0
      T0 move_pages R0 0 1 2 -> 0
    `);
    expect([...kernel.huge.surplusOf].slice(0, 3)).toEqual([0, 0, 1]);
    sound(kernel);
  });

  test('[HUG11] a cpuset that changes moves huge pages too', () => {
    const { kernel } = play(`
      sys write ${NODE}/node0/${H}/nr_hugepages 2
      sys mkdir /sys/fs/cgroup/a
      sys write /sys/fs/cgroup/a/cpuset.mems 0
      sys move T0 /sys/fs/cgroup/a
      T0 mmap R0 2 hugetlb -> 0
      T0 touch R0 -> 0
      sys write /sys/fs/cgroup/a/cpuset.mems 1 -> 0
      T0 where R0 -> nodes 1:2
    `);
    sound(kernel);
  });
});

describe('designs', () => {
  const isolating = THREAD_DESIGNS.filter((d) => d.answers.hugetlbNodes !== undefined);

  test.each(isolating)('[HUG13] $id: the global pool uses system memory', (design) => {
    const { kernel } = play(
      `
      sys write ${POOL}/nr_hugepages 4
      sys write ${NODE}/node3/${H}/nr_hugepages 1 -> ENOENT
      sys write ${NODE}/node2/${H}/nr_hugepages 1 -> 0
      T0 set_mempolicy bind 2
      T0 swrite ${POOL}/nr_hugepages_mempolicy 7 -> 1
      T0 set_mempolicy default none
      sys write ${POOL}/nr_hugepages 2
    `,
      { design },
    );
    expect(onNodes(kernel)).toEqual([0, 0, 3]);
    sound(kernel);
  });

  const BOOT_DEVICE = machineFrom({
    name: 'boot-device-x86',
    arch: 'x86_64',
    nodes: [
      { id: 0, cpus: '0', memory: '128MiB' },
      { id: 1, memory: '128MiB', device: 'gpu0' },
    ],
    distances: [
      [10, 20],
      [20, 10],
    ],
    devices: [{ name: 'gpu0', kind: 'device', homeNode: 0 }],
  });

  test.each(THREAD_DESIGNS)('[HUG13] $id: a device of boot memory, and its directory', (design) => {
    const isKept = isolating.includes(design);
    const { kernel } = play(
      `
      sys read ${NODE}/node0/${H}/nr_hugepages -> value ${isKept ? 4 : 2}
      sys read ${NODE}/node1/${H}/nr_hugepages -> ${isKept ? 'ENOENT' : 0}
    `,
      { design, machine: BOOT_DEVICE, options: { bootPool: 4 } },
    );
    expect([...kernel.huge.nrOf]).toEqual(isKept ? [4, 0] : [2, 2]);
  });

  test('[HUG5] the gate does not stand before pages that a pool has already', () => {
    play(
      `
      sys write ${NODE}/node2/${H}/nr_hugepages 1
      T0 mmap R0 1 hugetlb
      T0 touch R0 -> 0
      T0 where R0 -> nodes 2:1
      sys write ${POOL}/nr_overcommit_hugepages 1
      T0 mmap R1 1 hugetlb-noreserve
      T0 mbind R1 0 1 preferred 2
      T0 touch R1 -> 0
      T0 where R1 -> nodes 0:1
    `,
      { design: findDesign('allocator-gate'), machine: bench() },
    );
  });
});
