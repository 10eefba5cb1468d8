// Files: which pages come into memory, whose policy places them, and when they go.
import { describe, expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import { checkAll } from '../checkers/index.ts';
import { DISK_BYTES, diskStretches } from '../guest/disk_image.ts';

describe('what comes into memory', () => {
  test('[PGC2] reads bring windows in, and a mark the next one', () => {
    const { kernel } = play(`
      sys mkfile data 1000            -> 0
      T0 readfile data 0 1            -> 0; read 1
      sys cached data                 -> nodes 0:4 ENOENT:996
      T0 readfile data 500 8          -> 0; read 8
      sys cached data                 -> nodes 0:12 ENOENT:988
      T0 readfile data 508 4          -> 0; read 4
      sys cached data                 -> nodes 0:24 ENOENT:976
      T0 readfile data 990 40         -> 0; read 10
      sys cached data 990 10          -> nodes 0:10
      T0 fadvise data 700 8 willneed  -> 0
      sys cached data 700 9           -> nodes 0:8 ENOENT:1
    `);
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[PGC2] a fault brings half a window in on either side', () => {
    play(`
      sys mkfile data 256
      T0 mmap R0 256 file:data
      T0 read R0 100 1                -> 0; read 1
      sys cached data 84 32           -> nodes 0:32
      sys cached data                 -> nodes 0:32 ENOENT:224
    `);
  });

  test('[PGC10] a read maps the 64 KiB around, but for the marked page, and for reading', () => {
    play(`
      sys mkfile data 256
      T0 mmap R0 256 file:data
      T0 read R0 100 1
      T0 where R0                     -> nodes 0:15 ENOENT:241
      T0 touch R0 100 1
      sys write /proc/sys/vm/drop_caches 1
      T0 munmap R0
      sys write /proc/sys/vm/drop_caches 1
      sys cached data                 -> nodes 0:1 ENOENT:255
      T0 fsync data
      sys write /proc/sys/vm/drop_caches 1
      sys cached data                 -> nodes ENOENT:256
    `);
  });

  test('[PGC7] past the end of the file is SIGBUS, text cannot be written', () => {
    play(`
      sys mkfile data 8
      T0 mmap R0 16 file:data
      T0 read R0                      -> SIGBUS; read 8
      T0 mmap R1 8 text:data
      T0 read R1                      -> 0
      T0 touch R1 0 1                 -> SIGSEGV
      T0 madvise R1 0 8 populate_write -> EINVAL
      T0 mmap R2 8 file:nothing       -> ENOENT
    `);
  });
});

describe('whose policy', () => {
  test('[PGC3] the page cache follows the task, not the area', () => {
    play(`
      sys mkfile data 64
      T0 mmap R0 64 file:data
      T0 mbind R0 0 64 bind 2         -> 0
      T0 policy_at R0 0               -> mode bind
      T0 read R0 0 1
      sys cached data 0 16            -> nodes 0:16
      T0 set_mempolicy interleave 0-1
      T0 readfile data 32 32
      sys cached data 32 32           -> nodes 0:16 1:16
    `);
  });

  test('[PGC3] memory_spread_page takes the mems in turn', () => {
    play(`
      sys mkdir /cpuset/a
      sys write /cpuset/a/cpuset.cpus 0-1
      sys write /cpuset/a/cpuset.mems 0,2
      sys write /cpuset/a/cpuset.memory_spread_page 1
      sys move T0 /cpuset/a
      sys mkfile data 32
      T0 set_mempolicy bind 0
      T0 readfile data
      sys cached data                 -> nodes 0:16 2:16
    `);
  });

  test('[PGC6] a private copy goes by the area', () => {
    const { kernel } = play(`
      sys mkfile data 64
      T0 mmap R0 64 file-private:data
      T0 mbind R0 0 64 bind 2
      T0 read R0 0 16
      T0 where R0 0 12                -> nodes 0:12
      T0 touch R0 0 4
      T0 touch R0 40 4
      T0 where R0 0 44                -> nodes 0:12 2:8 ENOENT:24
      T0 madvise R0 0 64 dontneed     -> 0
      T0 madvise R0 0 64 free         -> EINVAL
      T0 read R0 0 4
      T0 where R0 0 4                 -> nodes 0:4
    `);
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[PGC11] files in tmpfs have a policy of their own', () => {
    play(`
      sys mkfile a 32 tmpfs mpol=bind:1
      T0 writefile a 0 8              -> 0; written 8
      T0 readfile a 8 8               -> 0; read 8
      sys cached a                    -> nodes 1:8 ENOENT:24
      T0 mmap R0 32 file-private:a
      T0 mbind R0 0 32 preferred 2    -> 0
      T0 read R0 8 1
      T0 touch R0 9 1
      sys cached a 8 2                -> nodes 2:2
      T0 where R0 9 1                 -> nodes 2:1
      sys mkfile b 8 tmpfs mpol=bind  -> EINVAL
      sys mkfile c 8 tmpfs mpol=bind:7 -> EINVAL
      sys mkfile a 8                  -> EEXIST
    `);
  });

  test('[PGC12] pages of files move when one address space maps them', () => {
    const { kernel } = play(`
      sys mkfile data 32
      T0 mmap R0 32 file:data
      T0 read R0 0 12
      T0 mbind R0 0 8 bind 1 move     -> 0
      sys cached data 0 16            -> nodes 0:8 1:8
      fork T0 T1
      T1 read R0 0 4
      T0 move_pages R0 0 4 2          -> 0
      T0 move_pages R0 0 4 2 moveall  -> 0
      sys cached data 0 16            -> nodes 0:8 1:4 2:4
    `);
    expect(checkAll(kernel)).toEqual([]);
  });
});

describe('when pages go', () => {
  test('[PGC4] what is mapped or dirty stays', () => {
    play(`
      sys mkfile data 64
      T0 writefile data 0 8
      T0 readfile data 8 56
      T0 mmap R0 64 file:data
      T0 read R0 32 1
      sys write /proc/sys/vm/drop_caches 2
      sys cached data                 -> nodes 0:64
      sys write /proc/sys/vm/drop_caches 1
      sys cached data 0 32            -> nodes 0:8 ENOENT:24
      sys cached data 32 16           -> nodes 0:16
      sys drop_caches
      sys cached data 0 32            -> nodes ENOENT:32
      T0 munmap R0
      T0 fadvise data 0 0 dontneed    -> 0
      sys cached data                 -> nodes ENOENT:64
    `);
  });

  test('[PGC5] a writer spreads over nodes when one has its share of dirty pages', () => {
    const { kernel, more } = play(`
      sys mkfile data 1
      T0 set_mempolicy preferred 2
      T0 writefile data 0 4000
    `);
    const cached = more('sys cached data').counts as Record<string, number>;
    expect(cached['2']).toBeGreaterThan(2000);
    expect(cached['2']).toBeLessThan(3277);
    expect(kernel.mem.dirty.nrDirty[2]).toBe(cached['2']);
    expect(checkAll(kernel)).toEqual([]);
    more('T0 set_mempolicy bind 2');
    more('T0 writefile data 4000 100');
    expect(more('sys cached data 4000 100').counts).toEqual({ 2: 100 });
  });

  test('[PGC8] a file without a name lives as long as it is mapped', () => {
    const { kernel } = play(`
      sys mkfile data 32
      T0 mmap R0 32 file-private:data
      T0 touch R0 0 4
      T0 touch R0 20 4
      T0 madvise R0 0 4 remove        -> EACCES
      sys truncate data 16            -> 0
      T0 where R0                     -> nodes 0:4 ENOENT:28
      T0 touch R0 20 1                -> SIGBUS
      T0 mmap R1 16 file:data
      T0 read R1 0 1
      T0 madvise R1 0 4 remove        -> 0
      T0 where R0 0 4                 -> nodes 0:4
      sys cached data 0 4             -> nodes ENOENT:4
      sys rmfile data                 -> 0
      sys cached data                 -> ENOENT
      T0 read R1 8 1                  -> 0
      T0 munmap R1
      T0 munmap R0
    `);
    expect(kernel.inodes.size).toBe(0);
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[PGC1] every page of a file is in one slot, and a broken slot is found', () => {
    const { kernel } = play('sys mkfile data 32\nT0 readfile data');
    expect(checkAll(kernel)).toEqual([]);
    const inode = [...kernel.inodes.values()][0];
    inode?.setPage(40, inode.page(0) as never);
    expect(checkAll(kernel).join('\n')).toMatch(/page 40 of data/);
  });
});

test('[PGC9] the disk of a guest is small, and equal each time', () => {
  const bytes = diskStretches().reduce((n, s) => n + s.bytes.length, 0);
  expect(bytes).toBeLessThan(200_000);
  expect(DISK_BYTES).toBe(2 ** 30);
  expect(diskStretches()).toEqual(diskStretches());
});
