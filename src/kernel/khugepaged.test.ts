// khugepaged, as a guest with the same settings answered. Machine: nodes 0 and 1 with CPUs, node 2
// a device.
import { describe, expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import { checkAll } from '../checkers/index.ts';

const DIR = '/sys/kernel/mm/transparent_hugepage';

const run = (text: string) => {
  const played = play(`
    sys write ${DIR}/khugepaged/scan_sleep_millisecs 1000
    sys write ${DIR}/khugepaged/max_ptes_none 100
    sys write ${DIR}/enabled madvise
    ${text}`);
  expect(checkAll(played.kernel)).toEqual([]);
  return played;
};

/** Places of huge pages that are full, 112 and 12 pages short, and on two nodes. */
const PLACES = `
  T0 mmap R0 2048 anon
  T0 touch R0 0 912
  T0 touch R0 1024 500
  T0 touch R0 1536 512
  T0 move_pages R0 0 300 1
  T0 move_pages R0 1024 250 2
  T0 move_pages R0 1536 256 2
  T0 read R0 1524 12
`;

describe('khugepaged', () => {
  test('[KHP2] a place is collapsed on its first fullest node, unless too much of it is empty', () => {
    run(`${PLACES}
      T0 madvise R0 0 2048 hugepage
      sys sleep 1
      T0 where R0 -> nodes 0:1424 1:512
      sys vmstat thp_collapse_alloc
      sys read ${DIR}/khugepaged/pages_collapsed -> value 3
      sys write ${DIR}/khugepaged/max_ptes_none 511
      sys sleep 1000
      T0 where R0 -> nodes 0:1536 1:512`);
  });

  test('[KHP1] it looks at once when somebody first asks, and then each scan_sleep_millisecs', () => {
    run(`
      T0 mmap R0 1024 anon
      T0 touch R0 0 512
      T0 madvise R0 0 1024 hugepage
      sys sleep 10
      sys read ${DIR}/khugepaged/pages_collapsed -> value 1
      T0 munmap R0 0 1
      T0 madvise R0 1 511 dontneed
      T0 madvise R0 512 512 nohugepage
      T0 touch R0 512 512
      T0 madvise R0 512 512 hugepage
      sys sleep 500
      sys read ${DIR}/khugepaged/pages_collapsed -> value 1
      sys sleep 500
      sys read ${DIR}/khugepaged/pages_collapsed -> value 2`);
  });

  test('[KHP1] one look is at pages_to_scan pages, and the next goes on behind them', () => {
    run(`
      sys write ${DIR}/khugepaged/pages_to_scan 1024
      T0 mmap R0 2048 anon
      T0 touch R0
      T0 madvise R0 0 2048 hugepage
      sys sleep 1
      sys read ${DIR}/khugepaged/pages_collapsed -> value 2
      sys sleep 1000
      sys read ${DIR}/khugepaged/pages_collapsed -> value 4`);
  });

  test('[KHP2] pages that others map too count, and what nobody may write stays', () => {
    run(`
      T0 mmap R1 1024 anon
      T0 touch R1
      fork T0 T1
      T0 madvise R1 0 1024 hugepage
      sys sleep 1
      sys read ${DIR}/khugepaged/pages_collapsed -> value 0
      T0 touch R1 0 300
      sys sleep 1000
      sys read ${DIR}/khugepaged/pages_collapsed -> value 1
      sys write ${DIR}/khugepaged/max_ptes_shared 511
      sys sleep 1000
      sys read ${DIR}/khugepaged/pages_collapsed -> value 1
      T1 exit
      T0 touch R1 512 1
      sys sleep 1000
      sys read ${DIR}/khugepaged/pages_collapsed -> value 2`);
  });

  test('[KHP2] a task that is gone is forgotten, a pinned page keeps its place', () => {
    const { kernel } = run(`
      T0 mmap R0 512 anon
      T0 touch R0
      T0 pin R0 3 1
      fork T0 T1
      T1 madvise R0 0 512 hugepage
      T0 madvise R0 0 512 hugepage
      T1 exit
      sys sleep 5000
      sys read ${DIR}/khugepaged/pages_collapsed -> value 0`);
    expect(kernel.khugepaged.columns[0]).toBe(kernel.tasks[0]?.mm.id);
  });
});
