// Broken memory and pins where pages are huge or of files; what is expected here a real kernel
// answered too. Machine: nodes 0 and 1 with CPUs, node 2 a device in ZONE_MOVABLE.
import { describe, expect, test } from 'vitest';
import { type PlayInput, play } from '../../test/support/play.ts';
import { checkAll } from '../checkers/index.ts';

const run = (text: string, input: PlayInput = {}) => {
  const played = play(text, input);
  expect(checkAll(played.kernel)).toEqual([]);
  return played;
};

/** Counters of /proc/vmstat by name. */
const events = (more: (line: string) => { readonly [field: string]: unknown }, keys: string) =>
  more(`sys vmstat ${keys}`).vmstat;

const THP = 'sys write /sys/kernel/mm/transparent_hugepage/enabled always\n';

describe('transparent huge pages', () => {
  test('[HWP10] one that breaks is split, and loses one small page', () => {
    const { kernel, more } = run(`${THP}
      T0 mmap R0 2048 anon
      T0 touch R0
      T0 madvise R0 5 1 hwpoison -> 0
      T0 where R0 -> nodes 0:2047
      T0 touch R0 -> SIGBUS; touched 5
      fork T0 T1
      sys poison T0 R0 600 -> 0
      T1 read R0 512 512 -> SIGBUS; read 88
      T0 madvise R0 1600 1 soft_offline -> 0
      T0 where R0 -> nodes 0:2046`);
    const split = { thp_split_page: 3, thp_split_pmd: 5 };
    expect(events(more, 'thp_split_page,thp_split_pmd')).toEqual(split);
    expect(kernel.mem.held.nrPoisoned).toBe(3);
  });

  test('[HWP10] madvise goes on a huge page further than the one that it broke', () => {
    run(`${THP}
      T0 mmap R0 2048 anon
      T0 touch R0
      T0 madvise R0 1100 4 hwpoison -> 0
      T0 where R0 -> nodes 0:2047
      T0 madvise R0 1100 4 hwpoison -> EFAULT
      T0 madvise R0 0 600 hwpoison -> 0
      T0 where R0 -> nodes 0:2045`);
  });

  test('[PIN7] a long-term pin of a part moves the whole out of movable memory, as one', () => {
    const { more } = run(`${THP}
      T0 mmap R0 2048 anon
      T0 mbind R0 0 2048 bind 2
      T0 touch R0
      T0 pin R0 5 1 longterm -> 0
      T0 where R0 -> nodes 0:512 2:1536
      T0 pin R0 1000 200 longterm -> 0
      T0 where R0 -> nodes 0:1536 2:512
      T0 move_pages R0 6 1 1 -> 1`);
    const moved = { thp_migration_success: 3, thp_migration_fail: 1 };
    expect(events(more, 'thp_migration_success,thp_migration_fail')).toEqual(moved);
    const left = { thp_split_page: 0, pgmigrate_fail: 512 };
    expect(events(more, 'thp_split_page,pgmigrate_fail')).toEqual(left);
  });

  test('[PIN7] a pinned one is not split: not for a broken page, nor for MADV_FREE', () => {
    const { kernel, more: first } = run(`${THP}
      T0 mmap R0 1024 anon
      T0 touch R0
      T0 pin R0 5 1 longterm
      T0 madvise R0 6 1 hwpoison -> EBUSY
      T0 touch R0 -> 0
      T0 madvise R0 7 1 soft_offline -> EBUSY
      T0 madvise R0 8 1 free
      T0 munmap R0 0 512
      T0 where R0 512 512 -> nodes 0:512`);
    const failed = { thp_split_page_failed: 3 };
    expect(events(first, 'thp_split_page_failed')).toEqual(failed);
    expect(kernel.mem.held.orphans.size).toBe(1);
    const { more } = run(`${THP}
      T0 mmap R0 512 anon
      T0 pin R0 5 1
      T0 pin R0 6 1
      T0 munmap R0
      T0 unpin R0 5 1`);
    expect(more('T0 unpin R0 6 1')).toMatchObject({ ret: 0 });
  });

  test('[PIN7] a child has small copies of all of a pinned one', () => {
    const { more } = run(`${THP}
      T0 mmap R0 1024 anon
      T0 touch R0
      T0 pin R0 5 1 longterm
      T0 mbind R0 0 1024 bind 1
      fork T0 T1
      T1 where R0 -> nodes 0:512 1:512
      T0 where R0 -> nodes 0:1024`);
    expect(events(more, 'thp_split_pmd')).toEqual({ thp_split_pmd: 1 });
  });

  test('[PIN7] what is faulted in for a long-term pin comes from kernel memory, or is a small page', () => {
    const { kernel } = run(`${THP}
      T0 mmap R0 1024 anon
      T0 mbind R0 0 1024 bind 2
      T0 pin R0 0 1 longterm -> ENOMEM
      T0 where R0 -> nodes none
      T0 mbind R0 512 512 preferred 2
      T0 pin R0 512 1 longterm -> 0
      T0 where R0 512 512 -> nodes 0:1`);
    expect(kernel.pins.length).toBe(1);
  });

  test('[THP12] collapsing meets pins with EAGAIN and broken pages with EINVAL', () => {
    run(`${THP}
      T0 mmap R0 512 anon
      T0 madvise R0 0 512 nohugepage
      T0 touch R0
      T0 pin R0 7 1 longterm
      T0 madvise R0 0 512 hugepage
      T0 madvise R0 0 512 collapse -> EAGAIN
      T0 unpin R0 7 1
      T0 madvise R0 9 1 hwpoison
      T0 madvise R0 0 512 collapse -> EINVAL
      T0 madvise R0 9 1 dontneed
      T0 madvise R0 0 512 collapse -> 0
      T0 where R0 -> nodes 0:512`);
  });
});

describe('pages of files', () => {
  test('[HWP8] a page that the disk has too is dropped and read again', () => {
    const { kernel } = run(`
      sys mkfile F 64
      T0 mmap R0 64 file:F
      T0 read R0
      T0 madvise R0 3 1 hwpoison -> 0
      T0 where R0 -> nodes 0:63
      T0 read R0 3 1 -> 0
      T0 fsync F -> 0
      sys cached F -> nodes 0:64`);
    expect(kernel.mem.held.nrPoisoned).toBe(1);
  });

  test('[HWP8] one that was newer is lost: SIGBUS where it was mapped, and EIO to one fsync', () => {
    run(`
      sys mkfile F 64
      T0 mmap R0 64 file:F
      T0 touch R0 0 8
      fork T0 T1
      T1 munmap R0
      T1 mmap R0 64 file-private:F
      T1 read R0 5 1
      T0 madvise R0 5 1 hwpoison -> 0
      T0 read R0 5 1 -> SIGBUS
      T1 read R0 5 1 -> SIGBUS
      T0 fsync F -> EIO
      T0 fsync F -> 0
      sys cached F -> nodes 0:31
      T0 readfile F -> 0
      T0 read R0 5 1 -> SIGBUS
      T0 madvise R0 5 1 dontneed
      T0 read R0 5 1 -> 0`);
  });

  test('[HWP8] soft offline moves them, private copies break as private pages do', () => {
    run(`
      sys mkfile F 64
      T0 mmap R2 64 file-private:F
      T0 read R2
      T0 touch R2 10 1
      T0 madvise R2 10 1 hwpoison -> 0
      T0 touch R2 10 1 -> SIGBUS
      T0 madvise R2 10 1 dontneed
      T0 touch R2 10 1 -> 0
      T0 mmap R3 64 file:F
      T0 touch R3 30 1
      T0 madvise R3 30 1 soft_offline -> 0
      T0 touch R3 30 1 -> 0
      sys cached F -> nodes 0:64`);
  });

  test('[HWP3] a file in tmpfs keeps the page, and gives it to nobody: EIO, SIGBUS', () => {
    run(`
      sys mkfile G 16 tmpfs
      T0 writefile G
      T0 mmap R2 16 file:G
      T0 read R2
      T0 madvise R2 3 1 hwpoison -> 0
      T0 munmap R2
      sys drop_caches
      sys cached G -> nodes 0:15
      T0 readfile G 2 8 -> EIO; read 1
      T0 readfile G 4 4 -> 0
      T0 writefile G 3 1 -> EIO; written 0
      T0 mmap R3 16 file-private:G
      T0 touch R3 -> SIGBUS; touched 3
      sys truncate G 2
      sys truncate G 8
      T0 readfile G -> 0
      T0 touch R3 0 8 -> 0`);
  });

  test('[PIN2] a file of a disk takes no long-term pin, but its pages have moved by then', () => {
    const { kernel } = run(`
      sys mkfile F 16
      T0 mmap R0 16 file:F
      T0 set_mempolicy bind 2
      T0 read R0
      T0 pin R0 5 1 longterm -> EOPNOTSUPP
      T0 where R0 -> nodes 0:1 2:15
      T0 pin R0 6 1 -> 0
      T0 madvise R0 6 1 hwpoison -> EBUSY
      T0 unpin R0 6 1 -> 0`);
    expect(kernel.mem.held.pins.size).toBe(0);
  });
});

describe('huge pages of the pool', () => {
  const POOL = 'sys write /proc/sys/vm/nr_hugepages 6\n';

  test('[HWP9] a private one leaves the pool: all of it but one small page is free', () => {
    const { kernel } = run(`${POOL}
      T0 mmap R0 3 hugetlb
      T0 touch R0
      T0 madvise R0 1 1 hwpoison -> 0
      T0 where R0 -> nodes 0:1 1:1
      fork T0 T1
      T0 touch R0 -> SIGBUS; touched 1
      T1 touch R0 -> SIGBUS; touched 1
      T0 madvise R0 1 1 populate_read -> EHWPOISON
      T0 madvise R0 1 1 dontneed
      T0 touch R0 1 1 -> 0
      sys poison T0 R0 2 -> 0
      sys poison T0 R0 2 -> EFAULT`);
    expect([kernel.huge.nr, kernel.mem.held.nrPoisoned]).toEqual([4, 2]);
  });

  test('[HWP9] one of a file stays in it, and in the books when the file is gone', () => {
    const { kernel, more } = run(`${POOL}
      T0 mmap R0 2 hugetlb-shared
      T0 touch R0
      fork T0 T1
      T0 madvise R0 0 1 hwpoison -> 0
      T0 touch R0 -> SIGBUS; touched 0
      T1 touch R0 1 1 -> 0
      T0 madvise R0 0 2 populate_write -> EHWPOISON
      T0 madvise R0 0 1 remove -> 0
      T0 touch R0 -> 0
      T1 touch R0 -> 0`);
    more('T0 munmap R0');
    more('T1 munmap R0');
    expect([kernel.huge.nr, kernel.huge.free]).toEqual([6, 5]);
    more('sys write /proc/sys/vm/nr_hugepages 0');
    expect([kernel.huge.nr, kernel.huge.surplus]).toEqual([1, 1]);
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[HWP9] soft offline takes another page of the pool for it', () => {
    const { kernel } = run(`${POOL}
      T0 mmap R0 3 hugetlb
      T0 touch R0
      fork T0 T1
      T0 madvise R0 2 1 soft_offline -> 0
      T0 munmap R0
      T1 touch R0 -> 0`);
    expect([kernel.huge.nr, kernel.huge.free, kernel.mem.held.nrPoisoned]).toEqual([5, 2, 1]);
  });

  test('[HWP9] a pinned one stays, broken, and nobody gets it again', () => {
    const { kernel, more } = run(`${POOL}
      T0 mmap R0 2 hugetlb
      T0 touch R0
      T0 pin R0 0 1 longterm -> 0
      T0 madvise R0 0 1 soft_offline -> EBUSY
      T0 madvise R0 0 1 hwpoison -> EBUSY
      T0 munmap R0`);
    expect([kernel.huge.nr, kernel.huge.free]).toEqual([6, 5]);
    more('T0 unpin R0 0 1');
    expect([kernel.huge.nr, kernel.huge.free]).toEqual([6, 6]);
    more('T0 mmap R1 6 hugetlb');
    expect(more('T0 touch R1 0 6')).toMatchObject({ ret: 'SIGBUS', touched: 5 });
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[PIN2] a long-term pin passes over pages in movable memory, and moves none', () => {
    run(`${POOL}
      T0 mmap R0 2 hugetlb
      T0 mbind R0 0 2 bind 2
      T0 pin R0 0 1 longterm -> EFAULT
      T0 mbind R0 0 2 bind 0-2
      T0 touch R0 0 1
      T0 pin R0 0 2 longterm -> 0
      T0 mmap R1 2 hugetlb
      T0 mbind R1 0 2 bind 2
      T0 touch R1
      T0 pin R1 0 1 longterm -> ENOMEM
      T0 where R1 -> nodes 2:2`);
  });
});

test('[HWP6] a link failure takes pages of files and huge ones too', () => {
  const { kernel } = run(`${THP}
    sys write /sys/devices/system/node/node2/hugepages/hugepages-2048kB/nr_hugepages 3
    sys mkfile F 8
    T0 mmap R0 512 anon
    T0 mbind R0 0 512 bind 2
    T0 touch R0
    T0 mmap R1 1 hugetlb
    T0 mbind R1 0 1 bind 2
    T0 touch R1
    T0 mmap R3 1 hugetlb-shared
    T0 mbind R3 0 1 bind 2
    T0 touch R3
    T0 set_mempolicy bind 2
    T0 readfile F
    T0 mmap R2 8 file:F
    T0 touch R2 0 1
    T0 set_mempolicy default none
    sys link_failure 2 -> 0; used 1544
    T0 touch R0 -> SIGBUS
    T0 touch R1 -> SIGBUS
    T0 touch R3 -> SIGBUS
    T0 read R2 0 1 -> SIGBUS
    T0 read R2 1 7 -> 0
    sys cached F -> nodes 0:8`);
  expect([kernel.huge.nrOf[2], kernel.huge.freeOf[2]]).toEqual([1, 0]);
});

test('[HUG3] regression: parts of an area of a shared file go at once, and the file with them', () => {
  const { kernel } = run(`sys write /proc/sys/vm/nr_hugepages 6
    T0 mmap R0 4 hugetlb-shared
    T0 touch R0 2 2
    T0 mbind R0 0 3 bind 1 move
    T0 munmap R0 0 4 -> 0`);
  expect([kernel.huge.free, kernel.huge.reserved]).toEqual([6, 0]);
});
