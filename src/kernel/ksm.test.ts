// KSM, by which page becomes the merged one and where, and what a write makes of it.
import { describe, expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';

const RUN = 'sys write /sys/kernel/mm/ksm/run 1';
const SCAN = `${RUN}
  sys ksm_scans 3 -> 0
  sys write /sys/kernel/mm/ksm/run 0`;
const SHARED = 'sys read /sys/kernel/mm/ksm/pages_shared -> value';
const SHARING = 'sys read /sys/kernel/mm/ksm/pages_sharing -> value';

/** Two areas of equal pages: R0 on node 0, R1 on node 1. */
const TWO = `
  T0 mmap R0 8 anon
  T0 mmap R1 8 anon
  T0 mbind R1 0 8 bind 1
  T0 madvise R0 0 8 mergeable -> 0
  T0 madvise R1 0 8 mergeable -> 0
`;

describe('which page is kept', () => {
  test('[KSM3] of two equal pages the one that was come to later, where it is', () => {
    play(`
      ${TWO}
      T0 fill R0 0 1 7
      T0 fill R1 0 1 7
      ${SCAN}
      T0 where R0 0 1 -> nodes 1:1
      T0 where R1 0 1 -> nodes 1:1
      ${SHARED} 1
      ${SHARING} 1
    `);
  });

  test('[KSM1] [KSM3] more of them join the second, by address and by space', () => {
    const { kernel } = play(`
      ${TWO}
      T0 fill R0 0 8 7
      T0 fill R1 0 8 7
      ${SCAN}
      T0 where R0 -> nodes 0:8
      T0 where R1 -> nodes 0:8
      ${SHARED} 1
      ${SHARING} 15
    `);
    expect(kernel.mem.map.mapcount.reduce((n, m) => Math.max(n, m), 0)).toBe(16);
  });

  test('[KSM1] the space that asked first is scanned first', () => {
    play(`
      T0 mmap R0 2 anon
      fork T0 T1
      T1 cpu 2
      T1 madvise R0 0 2 mergeable
      T0 madvise R0 0 2 mergeable
      T0 fill R0 0 1 7
      T1 fill R0 0 1 7
      ${SCAN}
      T0 where R0 0 1 -> nodes 0:1
      T1 where R0 0 1 -> nodes 0:1
    `);
  });

  test('[KSM2] one scan merges nothing, two do; pages that change wait', () => {
    play(`
      ${TWO}
      T0 fill R0 0 1 7
      T0 fill R1 0 1 7
      ${RUN}
      sys ksm_scans 1
      ${SHARED} 0
      T0 fill R0 0 1 9
      sys ksm_scans 1
      ${SHARED} 0
      T0 fill R0 0 1 7
      sys ksm_scans 2
      ${SHARED} 1
      T0 fill R0 1 1 7
      sys ksm_scans 1
      ${SHARING} 2
    `);
  });

  test('[KSM4] with merge_across_nodes=0 pages are merged within a node', () => {
    play(`
      sys write /sys/kernel/mm/ksm/merge_across_nodes 0 -> 0
      ${TWO}
      T0 fill R0 0 8 7
      T0 fill R1 0 8 7
      ${SCAN}
      T0 where R0 -> nodes 0:8
      T0 where R1 -> nodes 1:8
      ${SHARED} 2
      ${SHARING} 14
      sys write /sys/kernel/mm/ksm/merge_across_nodes 1 -> EBUSY
      sys write /sys/kernel/mm/ksm/run 2
      sys write /sys/kernel/mm/ksm/merge_across_nodes 1 -> 0
    `);
  });

  test('[KSM6] pages that a fork shares are not merged with themselves', () => {
    play(`
      T0 mmap R0 8 anon
      T0 madvise R0 0 8 mergeable
      T0 fill R0 0 1 7
      T0 fill R0 1 1 8
      fork T0 T1
      ${SCAN}
      ${SHARED} 0
      T0 fill R0 2 1 7
      ${SCAN}
      ${SHARED} 1
      ${SHARING} 2
    `);
  });

  test('[KSM2] shared areas and those that did not ask take no part', () => {
    play(`
      T0 mmap R0 8 shared
      T0 mmap R1 8 anon
      T0 mmap R2 8 anon
      T0 madvise R0 0 8 mergeable -> 0
      T0 madvise R2 0 1 mergeable -> 0
      T0 fill R0 0 8 7
      T0 fill R1 0 8 7
      T0 fill R2 0 8 7
      ${SCAN}
      ${SHARED} 0
    `);
  });
});

describe('a merged page', () => {
  test('[KSM5] [KSM7] is copied for who writes, under the policy of the area', () => {
    play(`
      ${TWO}
      T0 fill R0 0 8 7
      T0 fill R1 0 8 7
      ${SCAN}
      T0 where R1 -> nodes 0:8
      T0 touch R1 0 4
      T0 where R1 -> nodes 1:4 0:4
      T0 cpu 2
      T0 touch R0 0 2
      T0 where R0 -> nodes 1:2 0:6
      sys vmstat cow_ksm
    `);
  });

  test('[KSM7] is copied even for its last owner', () => {
    play(`
      T0 mmap R0 2 anon
      T0 madvise R0 0 2 mergeable
      T0 fill R0 0 2 7
      ${SCAN}
      T0 madvise R0 0 1 dontneed
      T0 cpu 2
      T0 touch R0 1 1
      T0 where R0 1 1 -> nodes 1:1
    `);
  });

  test('[KSM8] can be moved by whoever may move pages of others, and keeps its owners', () => {
    play(
      `
      ${TWO}
      T0 fill R0 0 8 7
      T0 fill R1 0 8 7
      ${SCAN}
      T0 move_pages R0 0 1 1 -> status -13
    `.replace(' -> status -13', ''),
    );
    play(`
      ${TWO}
      T0 fill R0 0 8 7
      T0 fill R1 0 8 7
      ${SCAN}
      T0 move_pages R0 0 1 1 moveall
      T0 where R0 -> nodes 1:8
      T0 where R1 -> nodes 1:8
      ${SHARING} 15
    `);
  });

  test('[KSM8] [KSM4] that was moved to another node goes into the tree of that node', () => {
    play(`
      sys write /sys/kernel/mm/ksm/merge_across_nodes 0
      ${TWO}
      T0 fill R0 0 2 7
      T0 fill R1 0 2 7
      ${SCAN}
      T0 move_pages R0 0 1 1 moveall
      T0 where R0 0 2 -> nodes 1:2
      ${SCAN}
      ${SHARED} 2
      T0 fill R1 2 1 7
      ${SCAN}
      T0 where R1 2 1 -> nodes 1:1
    `);
  });

  test('[KSM7] unmergeable and run=2 give every owner a page of its own', () => {
    play(`
      ${TWO}
      T0 fill R0 0 8 7
      T0 fill R1 0 8 7
      ${SCAN}
      T0 cpu 2
      T0 madvise R0 0 4 unmergeable -> 0
      T0 where R0 -> nodes 1:4 0:4
      sys write /sys/kernel/mm/ksm/run 2 -> 0
      T0 where R0 -> nodes 1:4 0:4
      T0 where R1 -> nodes 1:8
      ${SHARED} 0
      ${SHARING} 0
      sys read /sys/kernel/mm/ksm/full_scans -> value 0
    `);
  });

  test('[KSM3] no more than max_page_sharing owners share one', () => {
    play(`
      sys write /sys/kernel/mm/ksm/max_page_sharing 1 -> EINVAL
      sys write /sys/kernel/mm/ksm/max_page_sharing 4 -> 0
      T0 mmap R0 8 anon
      T0 madvise R0 0 8 mergeable
      T0 fill R0 0 8 7
      ${SCAN}
      ${SHARED} 2
      ${SHARING} 6
    `);
  });
});

test('[KSM2] ksmd takes pages_to_scan pages every sleep_millisecs', () => {
  play(`
    sys write /sys/kernel/mm/ksm/pages_to_scan 4
    sys write /sys/kernel/mm/ksm/sleep_millisecs 100
    T0 mmap R0 8 anon
    T0 madvise R0 0 8 mergeable
    T0 fill R0 0 8 7
    ${RUN}
    sys sleep 250
    sys read /sys/kernel/mm/ksm/full_scans -> value 0
    sys sleep 100
    sys read /sys/kernel/mm/ksm/full_scans -> value 1
    sys ksm_scans 1
    ${SHARED} 1
    sys write /sys/kernel/mm/ksm/run 3 -> EINVAL
    sys write /sys/kernel/mm/ksm/run 0
    sys ksm_scans 1 -> EINVAL
  `);
});
