// Pins and locks: what a driver holds stays, and what is locked is never looked at.
// Machine: nodes 0 and 1 with CPUs, node 2 a device in ZONE_MOVABLE.
import { describe, expect, test } from 'vitest';
import { type PlayInput, play } from '../../test/support/play.ts';
import { checkAll } from '../checkers/index.ts';
import { LRU_UNEVICTABLE } from '../mm/lru.ts';

const run = (text: string, input: PlayInput = {}) => {
  const played = play(text, input);
  expect(checkAll(played.kernel)).toEqual([]);
  return played;
};

describe('pins', () => {
  test('[PIN1] pages that are given up stay taken until they are unpinned', () => {
    const { kernel } = run(`
      T0 mmap R0 8 anon
      T0 pin R0 0 8 -> 0
      T0 madvise R0 0 4 dontneed -> 0
      T0 where R0 -> nodes 0:4
      T0 munmap R0 -> 0`);
    expect(kernel.mem.held.orphans.size).toBe(8);
    const after = run(`
      T0 mmap R0 8 anon
      T0 pin R0 0 8 -> 0
      T0 pin R0 0 8 -> 0
      T0 munmap R0
      T0 unpin R0 0 8 -> 0
      T0 unpin R0 0 8 -> 0
      T0 unpin R0 0 8 -> ENXIO`);
    expect(after.kernel.mem.held.orphans.size).toBe(0);
    expect(after.kernel.mem.held.pins.size).toBe(0);
  });

  test('[PIN2] a long-term pin takes pages off movable memory, a short one does not', () => {
    run(`
      T0 mmap R0 8 anon
      T0 mbind R0 0 8 bind 2
      T0 touch R0
      T0 pin R0 0 4 -> 0
      T0 where R0 -> nodes 2:8
      T0 pin R0 4 4 longterm -> 0
      T0 where R0 -> nodes 0:4 2:4`);
  });

  test('[PIN2] pages of shared memory leave too, for all who map them', () => {
    run(`
      T0 mmap R0 8 shared
      T0 mbind R0 0 8 bind 2
      T0 touch R0
      fork T0 T1
      T1 read R0
      T0 pin R0 0 4 longterm -> 0
      T1 where R0 -> nodes 0:4 2:4`);
  });

  test('[PIN3] what cannot be pinned is not pinned in part', () => {
    const { kernel } = run(`
      T0 mmap R0 8 anon
      T0 mbind R0 0 8 bind 2
      T0 touch R0 0 4
      T0 pin R0 4 4 longterm -> ENOMEM
      T0 pin R0 0 8 longterm -> EFAULT
      T0 where R0 -> nodes 0:4
      T0 mmap R1 8 anon
      T0 pin R1 0 9 longterm -> EFAULT`);
    expect(kernel.pins).toEqual([]);
    expect(kernel.mem.held.pins.size).toBe(0);
  });

  test('[PIN3] a page that somebody else pins cannot leave movable memory', () => {
    run(`
      T0 mmap R0 4 anon
      T0 mbind R0 0 4 bind 2
      T0 touch R0
      T0 pin R0 1 1 -> 0
      T0 pin R0 0 4 longterm -> ENOMEM
      T0 where R0 -> nodes 0:3 2:1`);
  });

  test('[PIN4] pinned pages stay, and callers hear how many', () => {
    const { kernel } = run(`
      T0 mmap R0 8 anon
      T0 touch R0
      T0 pin R0 2 2 longterm
      T0 migrate_pages 0 1 -> 2
      T0 where R0 -> nodes 0:2 1:6
      T0 mbind R0 0 8 bind 1 move strict -> EIO
      T0 mbind R0 0 8 bind 1 move -> 0
      T0 move_pages R0 2 2 1 -> 2
      T0 move_pages R0 0 8 1 -> 5
      T0 unpin R0 2 2
      T0 move_pages R0 0 8 1 -> 0
      T0 where R0 -> nodes 1:8`);
    expect(kernel.mem.stat.eventCounts().pgmigrate_fail).toBe(10);
  });

  test('[PIN4] move_pages tries nothing behind the batch of a pinned page', () => {
    const { steps } = run(`
      T0 mmap R0 8 anon
      T0 touch R0
      T0 pin R0 1 1
      T0 move_pages R0 0 8 1,1,2,2 -> 7
      T0 where R0 -> nodes 0:7 1:1`);
    expect(steps[3]?.result.status).toEqual([['unset', 8]]);
  });

  test('[PIN5] a child has copies of pinned pages at once', () => {
    run(`
      T0 mmap R0 8 anon
      T0 touch R0
      T0 pin R0 0 4 longterm
      T0 mbind R0 0 8 bind 1
      fork T0 T1
      T1 where R0 -> nodes 0:4 1:4
      T1 madvise R0 4 4 dontneed
      T0 touch R0
      T0 where R0 -> nodes 0:8`);
  });

  test('[PIN6] pins end with their task', () => {
    const { kernel } = run(`
      T0 mmap R0 8 anon
      fork T0 T1
      T1 pin R0 0 8 longterm
      T1 munmap R0
      T1 exit`);
    expect(kernel.mem.held.pins.size).toBe(0);
    expect(kernel.mem.held.orphans.size).toBe(0);
  });
});

describe('locks', () => {
  const unevictable = (text: string): number => {
    const { kernel } = run(text, { options: { tracksPages: true } });
    return kernel.mem.lru.count(0, LRU_UNEVICTABLE);
  };

  test('[LCK1] pages are unevictable while a locked area maps them', () => {
    const locked = 'T0 mmap R0 8 anon\nT0 touch R0 0 2\nT0 mlock R0 0 8 -> 0\n';
    expect(unevictable(locked)).toBe(8);
    expect(unevictable(`${locked}T0 munlock R0 0 3`)).toBe(5);
    expect(unevictable(`${locked}T0 munmap R0`)).toBe(0);
    const shared = `
      T0 mmap R0 8 shared
      T0 touch R0
      fork T0 T1
      T1 mlock R0 0 8
      T0 mlock R0 0 4`;
    expect(unevictable(shared)).toBe(8);
    expect(unevictable(`${shared}\nT1 munmap R0`)).toBe(4);
    expect(unevictable(`${shared}\nT1 exit\nT0 munlockall`)).toBe(0);
  });

  test('[LCK2] on fault waits for a touch; the future is every later mapping', () => {
    run(`
      T0 mmap R0 8 anon
      T0 mlock R0 0 8 onfault -> 0
      T0 where R0 -> nodes none
      T0 mlockall future -> 0
      T0 mmap R1 4 anon
      T0 where R1 -> nodes 0:4
      T0 mlockall future onfault -> 0
      T0 mmap R2 4 anon
      T0 where R2 -> nodes none
      T0 mlockall onfault -> EINVAL
      T0 mlockall current -> 0
      T0 where R2 -> nodes 0:4
      T0 munlockall -> 0
      T0 mmap R3 4 anon
      T0 where R3 -> nodes none
      T0 move_pages R1 0 4 1 -> 0`);
  });

  test('[LCK3] advice to drop pages does not fit a locked area, unless it says so', () => {
    run(`
      T0 mmap R0 8 anon
      T0 mlock R0 0 8
      T0 madvise R0 0 8 dontneed -> EINVAL
      T0 madvise R0 0 8 free -> EINVAL
      T0 madvise R0 0 8 dontneed_locked -> 0
      T0 where R0 -> nodes none`);
  });
});

test('[PIN1] reclaim takes no pinned page', () => {
  run(`
    sys swapon 1024 -> 0
    T0 mmap R0 8 anon
    T0 touch R0
    T0 pin R0 2 2 longterm
    T0 madvise R0 0 8 pageout -> 0
    T0 where R0 -> nodes 0:2`);
});
