// Pages of 1 GiB when memory breaks or goes offline under them, and when a node splits more of them
// than nobody is promised. Machine: two nodes of 4 GiB, 64 KiB pages, blocks of 256 MiB: a page is
// four of them.
import { describe, expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { checkAll } from '../checkers/index.ts';

const H = 'hugepages/hugepages-1048576kB';
const NODE = '/sys/devices/system/node';
const MEMORY = '/sys/devices/system/memory';

const MACHINE = machineFrom({
  name: 'pair',
  arch: 'ppc64',
  pageBytes: '64KiB',
  nodes: [
    { id: 0, cpus: '0', memory: '4GiB' },
    { id: 1, cpus: '1', memory: '4GiB' },
  ],
  distances: [
    [10, 20],
    [20, 10],
  ],
});

const run = (text: string) => {
  const played = play(text, { machine: MACHINE });
  expect(checkAll(played.kernel)).toEqual([]);
  return played.kernel;
};

describe('memory that goes offline', () => {
  test('[HUG18] of the blocks under a free page only the last can go, and the page with it', () => {
    const { gigantic } = run(`
      boot hugepagesz=1G hugepages=1:1
      sys write ${MEMORY}/memory24/state offline -> EBUSY
      sys write ${MEMORY}/memory26/state offline -> EBUSY
      sys write ${MEMORY}/memory27/state offline -> 0
      sys write ${MEMORY}/memory24/state offline -> 0
      sys write ${MEMORY}/memory27/state online -> 0
      sys offline_node 1 -> EBUSY; already 1; changed 13
    `);
    expect([gigantic.nr, gigantic.free]).toEqual([0, 0]);
  });

  test('[HUG18] a used page moves to a free one of another node, or stays for want of one', () => {
    run(`
      boot hugepagesz=1G hugepages=1:1
      T0 mmap R0 1 hugetlb-1G
      T0 touch R0 -> 0
      sys write ${MEMORY}/memory27/state offline -> EINTR
      T0 where R0 -> nodes 1:1
    `);
    const { gigantic, moves } = run(`
      boot hugepagesz=1G hugepages=0:1,1:1
      T0 cpu 1
      T0 mmap R0 1 hugetlb-1G
      T0 touch R0 -> 0
      T0 where R0 -> nodes 1:1
      sys write ${MEMORY}/memory26/state offline -> EBUSY
      sys write ${MEMORY}/memory27/state offline -> 0
      T0 where R0 -> nodes 0:1
    `);
    expect([gigantic.nr, gigantic.free]).toEqual([1, 0]);
    expect(moves.rows().map(({ cause, nrPages }) => [cause, nrPages])).toEqual([
      ['memory offline', 16384],
    ]);
  });

  test('[HUG18] what is promised or pinned stays', () => {
    run(`
      boot hugepagesz=1G hugepages=1:1
      T0 mmap R0 1 hugetlb-1G
      sys write ${MEMORY}/memory27/state offline -> EBUSY
    `);
    run(`
      boot hugepagesz=1G hugepages=0:1,1:1
      T0 cpu 1
      T0 mmap R0 1 hugetlb-1G
      T0 touch R0
      T0 pin R0 0 1
      sys write ${MEMORY}/memory27/state offline -> EINTR
    `);
  });

  test('[HOT16] boot pages lie before the memory that the kernel begins with', () => {
    run(`
      boot hugepagesz=1G hugepages=1:3
      sys write ${MEMORY}/memory19/state offline -> 0
      sys write ${MEMORY}/memory16/state offline -> 0
      sys write ${MEMORY}/memory28/state offline -> EBUSY
    `);
  });
});

describe('memory that breaks', () => {
  test('[HWP11] a private page leaves the pool with EBUSY, all but one small page of it is free', () => {
    const kernel = run(`
      boot hugepagesz=1G hugepages=1:1
      T0 mmap R0 1 hugetlb-1G
      T0 touch R0 -> 0
      T0 madvise R0 0 1 hwpoison -> EBUSY
      T0 touch R0 -> SIGBUS
      T0 munmap R0 0 1 -> 0
    `);
    expect(kernel.gigantic.nr).toBe(0);
    expect([...kernel.mem.held.poisoned()].length).toBe(1);
    const z = kernel.mem.zones.find(1, 2) as number;
    const { free, managed } = kernel.mem.zones;
    expect(managed[z]).toBe((free[z] as number) + kernel.mem.pcp.countOf(z) + 1);
  });

  test('[HWP11] a page of a file stays, counted in the pool for ever', () => {
    const { gigantic } = run(`
      boot hugepagesz=1G hugepages=1:1
      T0 mmap R0 1 hugetlb-shared-1G
      T0 touch R0 -> 0
      T0 madvise R0 0 1 hwpoison -> 0
      T0 touch R0 -> SIGBUS
      T0 munmap R0 0 1 -> 0
    `);
    expect([gigantic.nr, gigantic.free]).toEqual([1, 0]);
  });

  test('[HWP11] soft offline takes another page of the pool, ENOMEM where there is none', () => {
    const { gigantic } = run(`
      boot hugepagesz=1G hugepages=1:2
      T0 mmap R0 1 hugetlb-1G
      T0 touch R0 -> 0
      T0 madvise R0 0 1 soft_offline -> 0
      T0 where R0 -> nodes 1:1
      T0 madvise R0 0 1 soft_offline -> ENOMEM
      T0 where R0 -> nodes 1:1
    `);
    expect([gigantic.nr, gigantic.free]).toEqual([1, 0]);
  });
});

test('[HUG17] a node gives what it has when that is not just what is promised of all', () => {
  const kernel = run(`
    boot hugepagesz=1G hugepages=0:1,1:2
    T0 mmap R0 3 hugetlb-1G -> 0
    sys write ${NODE}/node1/${H}/demote 2 -> 0
    sys write ${NODE}/node1/${H}/demote 1 -> EBUSY
    T0 mmap R1 1 hugetlb-noreserve-1G
    T0 touch R1 -> 0
    T0 touch R0 -> SIGBUS
    T0 munmap R0 0 3 -> 0
    T0 munmap R1 0 1 -> 0
  `);
  expect([kernel.gigantic.nr, kernel.gigantic.free, kernel.gigantic.reserved]).toEqual([1, 1, 0]);
  run(`
    boot hugepagesz=1G hugepages=0:1,1:2
    T0 mmap R0 2 hugetlb-1G -> 0
    sys write ${NODE}/node1/${H}/demote 1 -> 0
    sys read ${NODE}/node1/${H}/free_hugepages -> value 2
  `);
});
