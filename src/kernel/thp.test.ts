// Transparent huge pages: who gets them, from where, and what becomes of them.
import { describe, expect, test } from 'vitest';
import { type PlayInput, play } from '../../test/support/play.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { checkAll } from '../checkers/index.ts';
import { cxl } from '../machine/presets/cxl.ts';
import {
  __GFP_DIRECT_RECLAIM,
  __GFP_KSWAPD_RECLAIM,
  __GFP_NORETRY,
  GFP_TRANSHUGE_LIGHT,
} from '../mm/gfp.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import type { Vma } from './address_space.ts';
import type { Kernel } from './kernel.ts';
import { pteFrame } from './page_table.ts';
import { THP_DEFRAG, type ThpDefrag } from './thp.ts';

const DIR = '/sys/kernel/mm/transparent_hugepage';

/** Settings as they are on a machine with memory enough, and huge pages for all. */
const ON = `
  sys write ${DIR}/defrag madvise
  sys write ${DIR}/use_zero_page 1
  sys write ${DIR}/enabled always
`;

/** Plays a text with huge pages allowed; no judge may find anything afterwards. */
function run(text: string, input: PlayInput = {}) {
  const played = play(`${ON}\n${text}`, input);
  expect(checkAll(played.kernel)).toEqual([]);
  return played;
}

/** A node with a CPU, and a DIMM of one memory block. */
const plugged = () =>
  machineFrom({
    name: 'plugged',
    arch: 'x86_64',
    nodes: [
      { id: 0, cpus: '0', memory: '256MiB' },
      { id: 1, memory: '128MiB', memoryZone: 'movable' },
    ],
    distances: [
      [10, 20],
      [20, 10],
    ],
  });

const event = (k: Kernel, name: keyof typeof EVENT): number => k.mem.stat.event(EVENT[name]);

describe('faults', () => {
  test('[THP1] [THP7] a whole place of 2 MiB in the area gets 512 frames in a row', () => {
    const { kernel: k, session } = run(`
      T0 mmap R0 1024 anon shift=100
      T0 touch R0 100 1
      T0 touch R0 600 1
      T0 touch R0 1100 1
      T0 where R0 -> nodes 0:514
    `);
    expect(event(k, 'thp_fault_alloc')).toBe(1);
    expect(event(k, 'thp_fault_fallback')).toBe(0);
    const { startVpn } = session.runner.regionsOf('T0').range({ region: 'R0' });
    const table = (k.tasks[0] as (typeof k.tasks)[number]).mm.pageTable;
    const head = pteFrame(table.get(startVpn + 412));
    expect(head % 512).toBe(0);
    for (let i = 0; i < 512; i++) expect(pteFrame(table.get(startVpn + 412 + i))).toBe(head + i);
  });

  test('[THP7] where a page table is already, small pages come', () => {
    const { kernel: k } = play(`
      T0 mmap R0 512 anon
      T0 read R0 9 1
      sys write ${DIR}/enabled always
      T0 touch R0 0 2
      T0 where R0 -> nodes 0:2
    `);
    expect(event(k, 'thp_fault_alloc')).toBe(0);
  });

  test('[THP16] areas get them by advice, or by all, or not', () => {
    const { kernel: k } = run(`
      T0 mmap R0 1024 anon
      T0 madvise R0 0 512 nohugepage -> 0
      T0 touch R0 0 1
      T0 touch R0 512 1
      T0 where R0 -> nodes 0:513
      sys write ${DIR}/enabled madvise
      T0 mmap R1 1024 anon
      T0 madvise R1 0 512 hugepage -> 0
      T0 touch R1 0 1
      T0 touch R1 512 1
      T0 where R1 -> nodes 0:513
      sys write ${DIR}/enabled never
      T0 mmap R2 512 anon
      T0 madvise R2 0 512 hugepage -> 0
      T0 touch R2 0 1
      T0 where R2 -> nodes 0:1
      T0 mmap R3 512 shared
      T0 touch R3 0 1
      T0 where R3 -> nodes 0:1
    `);
    expect(event(k, 'thp_fault_alloc')).toBe(2);
  });

  test('[THP3] the near node alone is asked, unless the request may reclaim', () => {
    const { kernel: k } = run(`
      T0 cpu 4
      T0 mmap R0 512 anon
      T0 touch R0 0 1
      T0 where R0 -> nodes 1:1
      sys write ${DIR}/defrag always
      T0 mmap R1 512 anon
      T0 touch R1 0 1
      T0 where R1 -> nodes 1:512
    `);
    expect(event(k, 'thp_fault_fallback')).toBe(1);
  });

  test('[THP3] a preferred node is near; a home node is not, where the local one may serve', () => {
    run(`
      T0 mmap R0 512 anon
      T0 mbind R0 0 512 preferred 2
      T0 touch R0 0 1
      T0 where R0 -> nodes 2:512
      T0 mmap R1 512 anon
      T0 mbind R1 0 512 bind 0,1
      T0 set_home R1 0 512 1
      T0 touch R1 0 1
      T0 where R1 -> nodes 0:512
      T0 madvise R1 0 512 nohugepage
      T0 madvise R1 0 512 dontneed
      T0 touch R1 0 1
      T0 where R1 -> nodes 1:1
      T0 mmap R2 512 anon
      T0 mbind R2 0 512 bind 1,2
      T0 set_home R2 0 512 2
      T0 touch R2 0 1
      T0 where R2 -> nodes 2:512
    `);
  });

  test('[THP4] interleaving goes by 2 MiB, from the start of the area', () => {
    run(`
      T0 mmap R0 1024 anon
      T0 mbind R0 0 1024 interleave 0,1
      T0 touch R0
      T0 where R0 0 512 -> nodes 0:512
      T0 where R0 512 512 -> nodes 1:512
      T0 mmap R1 1792 anon shift=256
      T0 mbind R1 256 1792 interleave 0,1
      T0 touch R1 512 1
      T0 where R1 512 512 -> nodes 0:512
      T0 touch R1 1024 1
      T0 where R1 1024 512 -> nodes 1:512
    `);
  });

  test('[THP8] [THP15] the huge zero page comes after its tables, by the policy of its first user', () => {
    const { kernel: k } = run(`
      T0 set_mempolicy interleave 0,1
      T0 mmap R0 512 anon
      T0 read R0 0 1
      T0 next_node -> node 0
      T0 node_at R0 7 -> node 1
      T0 where R0
      fork T0 T1
      T1 touch R0 3 1
      T1 where R0 3 1 -> nodes 1:1
      sys drop_caches
    `);
    expect(k.thp.zeroFrame).toBeDefined();
    expect(event(k, 'thp_zero_page_alloc')).toBe(1);
  });

  test('[THP15] the huge zero page goes when memory is short and nobody has it', () => {
    const { kernel: k } = run(`
      fork T0 T1
      T1 mmap R0 512 anon
      T1 read R0 0 1
      T1 munmap R0
      sys drop_caches
      T1 exit
    `);
    expect(k.thp.zeroFrame).toBeDefined();
    const again = run('fork T0 T1\nT1 mmap R0 512 anon\nT1 read R0 0 1\nT1 exit\nsys drop_caches');
    expect(again.kernel.thp.zeroFrame).toBeUndefined();
  });

  test('[THP15] without it a read gives a huge page', () => {
    run(`
      sys write ${DIR}/use_zero_page 0
      T0 mmap R0 512 anon
      T0 read R0 0 1
      T0 where R0 -> nodes 0:512
    `);
  });
});

describe('splitting', () => {
  test('[THP2] [THP5] an area that is cut leaves the page whole, and it moves as one', () => {
    const { kernel: k } = run(`
      T0 mmap R0 1024 anon
      T0 touch R0 0 1
      T0 munmap R0 100 50
      T0 where R0 0 100 -> nodes 0:100
      T0 move_pages R0 0 1 1 -> 0
      T0 where R0 0 100 -> nodes 1:100
      T0 where R0 150 362 -> nodes 1:362
    `);
    expect(event(k, 'thp_split_pmd')).toBe(1);
    expect(event(k, 'thp_split_page')).toBe(0);
    expect(event(k, 'thp_migration_success')).toBe(1);
  });

  test('[THP5] [THP14] what is unmapped of it is free only when memory is short', () => {
    const text = `
      T0 mmap R0 512 anon
      T0 touch R0 0 1
      T0 madvise R0 100 50 dontneed
    `;
    const before = run(text).kernel;
    expect([...before.thp.splitQueue]).toHaveLength(1);
    expect(event(before, 'thp_deferred_split_page')).toBe(1);
    const after = run(`${text}\nsys drop_caches`).kernel;
    expect([...after.thp.splitQueue]).toEqual([]);
    expect(event(after, 'pgfree') - event(before, 'pgfree')).toBe(50);
  });

  test('[THP6] its last entry takes it along, however it went', () => {
    const { kernel: k } = run(`
      T0 mmap R0 1024 anon
      T0 touch R0
      T0 munmap R0 0 512
      T0 munmap R0 512 200
      T0 munmap R0 712 312
    `);
    let n = 0;
    k.thp.forEach(() => {
      n++;
    });
    expect(n).toBe(0);
  });

  test('[THP17] MADV_FREE of a part splits the page', () => {
    const { kernel: k } = run(`
      T0 mmap R0 1024 anon
      T0 touch R0
      T0 madvise R0 0 512 free
      T0 madvise R0 600 10 free
    `);
    expect(event(k, 'thp_split_page')).toBe(1);
  });

  test('[THP5] a lock, a policy or advice that changes nothing splits nothing', () => {
    const { kernel: k } = run(`
      T0 mmap R0 512 anon
      T0 touch R0
      T0 munlock R0 7 9
      T0 mbind R0 7 9 default none
      T0 madvise R0 0 512 hugepage
      T0 madvise R0 7 9 hugepage
    `);
    expect(event(k, 'thp_split_pmd')).toBe(0);
  });
});

describe('sharing', () => {
  const forked = `
    T0 mmap R0 512 anon
    T0 touch R0
    fork T0 T1
  `;

  test('[THP9] who writes to a shared huge page copies small pages; the other keeps it whole', () => {
    const { kernel: k } = run(`${forked}
      T1 cpu 2
      T1 touch R0 7 1
      T1 where R0 -> nodes 0:511 1:1
      T1 exit
      T0 cpu 2
      T0 touch R0 3 1
      T0 where R0 -> nodes 0:512
    `);
    expect(event(k, 'thp_split_pmd')).toBe(1);
  });

  test('[THP9] a small page of a huge one is copied even by the last who maps it', () => {
    run(`${forked}
      T0 cpu 2
      T0 touch R0 7 1
      T1 exit
      T0 touch R0 8 1
      T0 where R0 -> nodes 0:510 1:2
    `);
  });

  test('[THP10] what others map stays without moveall, whole pages and small ones', () => {
    run(`${forked}
      T0 mbind R0 0 9 bind 1 move -> 0
      T0 where R0 -> nodes 0:512
      T0 mbind R0 0 9 bind 1 moveall -> 0
      T1 where R0 -> nodes 1:512
    `);
  });
});

describe('moving', () => {
  test('[THP10] any part moves the whole; a second look is a failure under STRICT', () => {
    run(`
      T0 mmap R0 512 anon
      T0 touch R0
      T0 mbind R0 0 10 bind 1 move strict -> 0
      T0 where R0 -> nodes 1:512
      T0 mbind R0 0 10 bind 0 move strict -> EIO
      T0 where R0 -> nodes 0:512
    `);
  });

  test('[THP10] move_pages says EBUSY of a second page of one that is queued', () => {
    const { last } = run('T0 mmap R0 512 anon\nT0 touch R0\nT0 move_pages R0 0 4 1 -> 0');
    expect(last['status']).toEqual([
      [1, 1],
      ['EBUSY', 1],
      [1, 2],
    ]);
  });

  test('[THP11] migrate_pages and offline memory move it whole', () => {
    const { kernel: k } = run(
      `
      T0 mmap R0 512 anon
      T0 touch R0
      T0 migrate_pages 0 1 -> 0
      T0 where R0 -> nodes 1:512
      sys offline_node 1 -> 0
      T0 where R0 -> nodes 0:512
    `,
      { machine: plugged() },
    );
    expect(event(k, 'thp_migration_success')).toBe(2);
    expect(event(k, 'thp_split_pmd')).toBe(0);
  });

  test('[THP11] without a block for it, its small pages move from the last down', () => {
    const { kernel: k, last } = run(`
      T0 mmap R1 16384 anon
      T0 madvise R1 0 16384 nohugepage
      T0 mbind R1 0 16384 preferred 2
      T0 touch R1
      T0 madvise R1 1000 300 dontneed
      T0 mmap R0 512 anon
      T0 touch R0
      T0 move_pages R0 0 1 2 -> ENOMEM
      T0 where R0 0 1 -> nodes 0:1
      T0 where R0 511 1 -> nodes 2:1
      T0 where R0
    `);
    expect(event(k, 'thp_migration_split')).toBe(1);
    expect(last['where']).toEqual([
      [0, expect.any(Number)],
      [2, expect.any(Number)],
    ]);
  });

  test('[THP18] a driver splits it to move it', () => {
    const { kernel: k } = run(`
      T0 mmap R0 512 anon
      T0 touch R0
      T0 device_compute gpu0 R0 100 10 -> 0
      T0 where R0 -> nodes 0:502 2:10
    `);
    expect(event(k, 'thp_split_page')).toBe(1);
  });
});

describe('collapsing', () => {
  const mixed = `
    sys write ${DIR}/enabled never
    T0 mmap R0 1024 anon
    T0 mbind R0 0 1024 preferred 0
    T0 touch R0 0 200
    T0 move_pages R0 50 120 1
  `;

  test('[THP12] goes where most of the pages are, whatever the policy', () => {
    const { kernel: k } = run(`${mixed}
      T0 madvise R0 0 512 collapse -> 0
      T0 where R0 0 512 -> nodes 1:512
    `);
    expect(event(k, 'thp_collapse_alloc')).toBe(1);
  });

  test('[THP12] is refused where nothing is, within one place, and against advice', () => {
    run(`${mixed}
      T0 madvise R0 512 512 collapse -> EINVAL
      T0 madvise R0 100 300 collapse -> EINVAL
      T0 madvise R0 0 1024 nohugepage
      T0 madvise R0 0 512 collapse -> EINVAL
      T0 mmap R1 512 shared
      T0 touch R1
      T0 madvise R1 0 512 collapse -> EINVAL
    `);
  });
});

describe('settings', () => {
  test.each([
    ['enabled', '[always] madvise never'],
    ['defrag', 'always defer defer+madvise [madvise] never'],
    ['shmem_enabled', 'always within_size advise [never] deny force'],
    ['use_zero_page', '1'],
    ['hpage_pmd_size', '2097152'],
    ['khugepaged/max_ptes_none', '511'],
    ['khugepaged/scan_sleep_millisecs', '10000'],
  ])('[THP16] %s reads %s', (file, value) => {
    const options = { transparentHugepage: 'always' } as const;
    const { last } = play(`sys read ${DIR}/${file} -> 0`, { machine: cxl(), options });
    expect(last['value']).toBe(value);
  });

  test('[THP19] a small machine starts with all of it off, whatever the command line says', () => {
    const options = { transparentHugepage: 'always' } as const;
    const { kernel: k } = play(
      `sys read ${DIR}/enabled -> value "always madvise [never]"
       sys read ${DIR}/defrag -> value "always defer defer+madvise madvise [never]"
       sys read ${DIR}/use_zero_page -> value 0
       sys read ${DIR}/khugepaged/defrag -> value 0`,
      { options },
    );
    expect(k.mem.minFreeKb).toBe(play('T0 get_mempolicy').kernel.mem.minFreeKb);
  });

  test('[THP16] what is no value of a file is refused', () => {
    run(`
      sys write ${DIR}/enabled sometimes -> EINVAL
      sys write ${DIR}/defrag defer+ -> EINVAL
      sys write ${DIR}/use_zero_page 2 -> EINVAL
      sys write ${DIR}/shmem_enabled x -> EINVAL
      sys write ${DIR}/hpage_pmd_size 1 -> EACCES
      sys write ${DIR}/khugepaged/pages_to_scan 0 -> EINVAL
      sys write ${DIR}/khugepaged/max_ptes_none 512 -> EINVAL
      sys write ${DIR}/khugepaged/max_ptes_none 0 -> 0
      sys read ${DIR}/khugepaged/max_ptes_none -> value 0
      sys read ${DIR}/nothing -> ENOENT
      T0 swrite ${DIR}/defrag never -> 5
      sys read ${DIR}/defrag -> value "always defer defer+madvise madvise [never]"
    `);
    expect(() => run(`sys write ${DIR}/shmem_enabled force`)).toThrow(
      /huge pages of shared memory/,
    );
  });

  test('[THP16] how hard a fault looks for one follows defrag and advice', () => {
    const { kernel: k } = run('T0 mmap R0 512 anon');
    const flagsOf = (defrag: ThpDefrag, thp: Vma['thp']): number => {
      k.thp.defrag = defrag;
      return k.thp.gfpMask({ thp } as Vma) & ~GFP_TRANSHUGE_LIGHT;
    };
    const direct = __GFP_DIRECT_RECLAIM;
    const wakes = __GFP_KSWAPD_RECLAIM;
    expect(THP_DEFRAG.map((d) => flagsOf(d, 'none'))).toEqual([
      direct | __GFP_NORETRY,
      wakes,
      wakes,
      0,
      0,
    ]);
    expect(THP_DEFRAG.map((d) => flagsOf(d, 'hugepage'))).toEqual([
      direct,
      wakes,
      direct,
      direct,
      0,
    ]);
  });

  test('[THP13] min_free_kbytes rises with them and falls without', () => {
    const before = play('T0 get_mempolicy').kernel.mem.minFreeKb;
    const during = run('T0 get_mempolicy').kernel.mem;
    expect(during.minFreeKb).toBeGreaterThan(before);
    expect(during.minFreeKb).toBeLessThanOrEqual((320 * 1024) / 20);
    expect(run(`sys write ${DIR}/enabled never`).kernel.mem.minFreeKb).toBeLessThanOrEqual(before);
  });
});
