// What the test suites of others (LTP, numactl, kernel selftests) assert of Linux, restated for the
// calls that are modelled; the rest is listed with the reason why not.
// Notes    Ids are those of the collected rows, which are not in the repository.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';

const G = '/sys/fs/cgroup';
const HIERARCHY = `
      sys mkdir ${G}/f
      sys write ${G}/f/cgroup.subtree_control +cpuset
      sys mkdir ${G}/f/c`;
const inside = (mems: number): string => `
      sys mkdir ${G}/a
      sys write ${G}/a/cpuset.mems ${mems}
      sys move T0 ${G}/a
      T0 cpu 0`;

/** Rule, row, and the row as operations with what must come out. */
const ROWS: readonly (readonly [rule: string, id: string, text: string])[] = [
  [
    'MBD6',
    'ltp-mbind01-02',
    `
      T0 mmap R0 1024 anon
      T0 mbind R0 0 1024 default 0 -> EINVAL
    `,
  ],
  [
    'MBD6',
    'ltp-mbind01-03',
    `
      T0 mmap R0 1024 anon
      T0 mbind R0 0 1024 bind none -> EINVAL
    `,
  ],
  [
    'MBD6',
    'ltp-mbind01-05',
    `
      T0 mmap R0 1024 anon
      T0 mbind R0 0 1024 interleave none -> EINVAL
    `,
  ],
  [
    'POL19',
    'ltp-mbind01-06',
    `
      T0 mmap R0 1024 anon
      T0 mbind R0 0 1024 interleave 0 -> 0
      T0 policy_at R0 9 -> mode interleave -> nodes 0
    `,
  ],
  [
    'POL19',
    'ltp-mbind01-08',
    `
      T0 mmap R0 1024 anon
      T0 mbind R0 0 1024 preferred 0 -> 0
      T0 policy_at R0 9 -> mode preferred -> nodes 0
    `,
  ],
  [
    'POL19',
    'ltp-mbind01-09',
    `
      T0 mmap R0 1024 anon
      T0 mbind R0 0 1024 local none -> 0
      T0 policy_at R0 9 -> mode local
    `,
  ],
  [
    'MBD6',
    'ltp-mbind01-11',
    `
      T0 mmap R0 1024 anon
      T0 mbind R0 0 1024 -1 none -> EINVAL
    `,
  ],
  [
    'MBD6',
    'ltp-mbind01-12',
    `
      T0 mmap R0 1024 anon
      T0 mbind R0 0 1024 default none flags=0xffffffff -> EINVAL
    `,
  ],
  [
    'MBD1',
    'ltp-mbind02-MPOL_PREFERRED',
    `
      T0 mmap R0 1 anon
      T0 touch R0
      T0 mbind R0 0 1 preferred 1 strict -> EIO
    `,
  ],
  [
    'MBD1',
    'ltp-mbind02-MPOL_INTERLEAVE',
    `
      T0 mmap R0 1 anon
      T0 touch R0
      T0 mbind R0 0 1 interleave 1 strict -> EIO
    `,
  ],
  [
    'MBD5',
    'ltp-mbind03-MPOL_PREFERRED-MPOL_MF_MOVE',
    `
      T0 mmap R0 1 anon
      T0 touch R0
      T0 mbind R0 0 1 preferred 1 move -> 0
      T0 where R0 -> nodes 1:1
    `,
  ],
  [
    'MBD5',
    'ltp-mbind03-MPOL_BIND-MPOL_MF_MOVE',
    `
      T0 mmap R0 1 anon
      T0 touch R0
      T0 mbind R0 0 1 bind 1 move -> 0
      T0 where R0 -> nodes 1:1
    `,
  ],
  [
    'MBD5',
    'ltp-mbind03-MPOL_BIND-MPOL_MF_MOVE_ALL',
    `
      T0 mmap R0 1 anon
      T0 touch R0
      T0 mbind R0 0 1 bind 1 moveall -> 0
      T0 where R0 -> nodes 1:1
    `,
  ],
  [
    'MBD5',
    'ltp-mbind03-MPOL_INTERLEAVE-MPOL_MF_MOVE_ALL',
    `
      T0 mmap R0 1 anon
      T0 touch R0
      T0 mbind R0 0 1 interleave 1 moveall -> 0
      T0 where R0 -> nodes 1:1
    `,
  ],
  [
    'FRK4',
    'ltp-mbind04-MPOL_PREFERRED-0',
    `
      T0 mmap R0 16 anon
      T0 mbind R0 0 16 preferred 1 -> 0
      fork T0 T1
      T0 touch R0
      T1 touch R0
      T0 where R0 -> nodes 1:16
      T1 where R0 -> nodes 1:16
    `,
  ],
  [
    'FRK4',
    'ltp-mbind04-MPOL_PREFERRED-MPOL_MF_STRICT',
    `
      T0 mmap R0 16 anon
      T0 mbind R0 0 16 preferred 2 strict -> 0
      fork T0 T1
      T0 touch R0
      T1 touch R0
      T0 where R0 -> nodes 2:16
      T1 where R0 -> nodes 2:16
    `,
  ],
  [
    'FRK4',
    'ltp-mbind04-MPOL_BIND-MPOL_MF_STRICT',
    `
      T0 mmap R0 16 anon
      T0 mbind R0 0 16 bind 1 strict -> 0
      fork T0 T1
      T0 touch R0
      T1 touch R0
      T0 where R0 -> nodes 1:16
      T1 where R0 -> nodes 1:16
    `,
  ],
  [
    'FRK4',
    'ltp-mbind04-MPOL_INTERLEAVE-0',
    `
      T0 mmap R0 16 anon
      T0 mbind R0 0 16 interleave 2 -> 0
      fork T0 T1
      T0 touch R0
      T1 touch R0
      T0 where R0 -> nodes 2:16
      T1 where R0 -> nodes 2:16
    `,
  ],
  [
    'FRK4',
    'ltp-set_mempolicy01-MPOL_BIND',
    `
      T0 set_mempolicy bind 1 -> 0
      fork T0 T1
      T0 mmap R0 16 anon
      T1 mmap R0 16 anon
      T0 touch R0
      T1 touch R0
      T0 where R0 -> nodes 1:16
      T1 where R0 -> nodes 1:16
    `,
  ],
  [
    'POL8',
    'ltp-set_mempolicy02-all',
    `
      T0 set_mempolicy interleave 0,1,2 -> 0
      fork T0 T1
      T0 mmap R0 6 anon
      T1 mmap R0 6 anon
      T0 touch R0
      T1 touch R0
      T0 where R0 -> nodes 0:2 1:2 2:2
      T1 where R0 -> nodes 0:2 1:2 2:2
    `,
  ],
  [
    'POL19',
    'ltp-get_mempolicy01-02',
    `
      T0 set_mempolicy bind 1
      T0 get_mempolicy -> 0 -> nodes 1
    `,
  ],
  [
    'POL19',
    'ltp-get_mempolicy01-05',
    `
      T0 set_mempolicy preferred 1
      T0 get_mempolicy -> 0 -> nodes 1
    `,
  ],
  [
    'POL19',
    'ltp-get_mempolicy01-06',
    `
      T0 mmap R0 4 anon
      T0 mbind R0 0 4 default none
      T0 policy_at R0 0 -> 0 -> mode default
    `,
  ],
  [
    'POL19',
    'ltp-get_mempolicy01-08',
    `
      T0 mmap R0 4 anon
      T0 mbind R0 0 4 interleave 1
      T0 policy_at R0 0 -> 0 -> nodes 1
    `,
  ],
  [
    'POL19',
    'ltp-get_mempolicy01-09',
    `
      T0 mmap R0 4 anon
      T0 mbind R0 0 4 preferred none
      T0 policy_at R0 0 -> 0 -> mode local
    `,
  ],
  [
    'POL20',
    'ltp-get_mempolicy02-1',
    `
      T0 get_raw 2 1024 -> EFAULT
    `,
  ],
  [
    'POL20',
    'ltp-get_mempolicy02-2',
    `
      T0 get_raw 0xffff 1024 -> EINVAL
    `,
  ],
  [
    'MIG6',
    'ltp-migrate_pages01-pid-1',
    `
      T0 migrate_pages 0 1 pid=T9 -> ESRCH
    `,
  ],
  [
    'MIG6',
    'ltp-migrate_pages01-pid-unused',
    `
      fork T0 T1
      T1 exit
      T0 migrate_pages 0 1 pid=T1 -> ESRCH
    `,
  ],
  [
    'MIG6',
    'ltp-migrate_pages01-badptr',
    `
      T0 migrate_pages badptr badptr -> EFAULT
    `,
  ],
  [
    'MIG6',
    'ltp-migrate_pages01-protnone',
    `
      T0 migrate_pages 0 badptr -> EFAULT
    `,
  ],
  [
    'MIG6',
    'ltp-migrate_pages01-invalid-node',
    `
      T0 migrate_pages 0 7 -> EINVAL
    `,
  ],
  [
    'MIG1',
    'ltp-migrate_pages02-shared-cap',
    `
      T0 mmap R0 1 shared
      T0 mbind R0 0 1 bind 1
      T0 touch R0
      fork T0 T1
      T1 touch R0
      T1 mmap R1 1 anon
      T1 touch R1
      T1 migrate_pages 0-2 0 -> 0
      T1 where R0 -> nodes 0:1
      T0 where R0 -> nodes 0:1
      T1 where R1 -> nodes 0:1
    `,
  ],
  [
    'MIG1',
    'ltp-migrate_pages02-other-sameuid',
    `
      T0 mmap R0 1 anon
      T0 touch R0
      fork T0 T1
      T1 migrate_pages 0-2 1 pid=T0 -> 0
      T0 where R0 -> nodes 1:1
    `,
  ],
  [
    'MIG4',
    'ltp-move_pages01',
    `
      T0 mmap R0 4 anon
      T0 mbind R0 0 2 bind 1
      T0 touch R0
      T0 where R0 0 2 -> nodes 1:2
      T0 where R0 2 2 -> nodes 0:2
    `,
  ],
  [
    'MIG1',
    'ltp-move_pages03',
    `
      T0 mmap R0 4 shared
      T0 touch R0
      fork T0 T1
      T1 touch R0
      T0 move_pages R0 0 4 1 moveall -> 0
      T0 where R0 -> nodes 1:4
      T1 where R0 -> nodes 1:4
    `,
  ],
  [
    'MIG4',
    'ltp-move_pages04-nopage',
    `
      T0 mmap R0 4 anon
      T0 move_pages R0 0 4 1 -> 0 -> nodes EFAULT:4
    `,
  ],
  [
    'MIG4',
    'ltp-move_pages04-invalid',
    `
      T0 mmap R0 4 anon
      T0 touch R0
      T0 munmap R0
      T0 move_pages R0 0 4 1 -> 0 -> nodes EFAULT:4
    `,
  ],
  [
    'MIG5',
    'ltp-move_pages05',
    `
      T0 mmap R0 1 anon
      T0 touch R0
      fork T0 T1
      T0 move_pages R0 0 1 1 -> 0 -> nodes EACCES:1
    `,
  ],
  [
    'MIG6',
    'ltp-move_pages07',
    `
      T0 mmap R0 1 anon
      T0 move_pages R0 0 1 1 pid=T9 -> ESRCH
    `,
  ],
  [
    'MIG4',
    'ltp-move_pages09',
    `
      T0 mmap R0 2 anon
      T0 touch R0
      T0 move_pages R0 0 2 0 -> 0 -> nodes 0:2
    `,
  ],
  [
    'CPS8',
    'ltp-cpuset-base-mems-01',
    `
      sys mkdir ${G}/1
      sys write ${G}/1/cpuset.mems " " -> 0
    `,
  ],
  [
    'CPS8',
    'ltp-cpuset-base-mems-03',
    `
      sys mkdir ${G}/1
      sys write ${G}/1/cpuset.mems 8 -> EINVAL
    `,
  ],
  [
    'CPS8',
    'ltp-cpuset-base-mems-04',
    `
      sys mkdir ${G}/1
      sys write ${G}/1/cpuset.mems 0,1,2,3 -> 0
      sys read ${G}/1/cpuset.mems -> value 0-3
    `,
  ],
  [
    'CPS8',
    'ltp-cpuset-base-mems-06',
    `
      sys mkdir ${G}/1
      sys write ${G}/1/cpuset.mems 0,0 -> 0
      sys read ${G}/1/cpuset.mems -> value 0
    `,
  ],
  [
    'CPS8',
    'ltp-cpuset-base-mems-07',
    `
      sys mkdir ${G}/1
      sys write ${G}/1/cpuset.mems 0-0 -> 0
      sys read ${G}/1/cpuset.mems -> value 0
    `,
  ],
  [
    'CPS8',
    'ltp-cpuset-base-mems-09',
    `
      sys mkdir ${G}/1
      sys write ${G}/1/cpuset.mems -1 -> EINVAL
    `,
  ],
  [
    'CPS8',
    'ltp-cpuset-base-mems-10',
    `
      sys mkdir ${G}/1
      sys write ${G}/1/cpuset.mems 0-8 -> EINVAL
    `,
  ],
  [
    'CPS8',
    'ltp-cpuset-base-mems-12',
    `
      sys mkdir ${G}/1
      sys write ${G}/1/cpuset.mems 0AAA -> EINVAL
    `,
  ],
  [
    'CPS8',
    'ltp-cpuset-base-mems-13',
    `
      sys mkdir ${G}/1
      sys write ${G}/1/cpuset.mems AAA -> EINVAL
    `,
  ],
  [
    'CPS8',
    'ltp-cpuset-base-mems-15',
    `
      sys mkdir ${G}/1
      sys write ${G}/1/cpuset.mems 0,1-2, -> 0
      sys read ${G}/1/cpuset.mems -> value 0-2
    `,
  ],
  [
    'CPS8',
    'ltp-cpuset-base-mems-16',
    `
      sys mkdir ${G}/1
      sys write ${G}/1/cpuset.mems 0- -> EINVAL
    `,
  ],
  [
    'CPS5',
    'ltp-cpuset-ro-mems',
    `
      sys write ${G}/cpuset.mems 0 -> EACCES
    `,
  ],
  [
    'CPS1',
    'ltp-cpuset-hier-17',
    `
      ${HIERARCHY}
      sys write ${G}/f/cpuset.mems ""
      sys write ${G}/f/c/cpuset.mems "" -> 0
      sys read ${G}/f/c/cpuset.mems.effective -> value 0-2
    `,
  ],
  [
    'CPS1',
    'ltp-cpuset-hier-19',
    `
      ${HIERARCHY}
      sys write ${G}/f/cpuset.mems 0
      sys write ${G}/f/c/cpuset.mems "" -> 0
      sys read ${G}/f/cpuset.mems -> value 0
    `,
  ],
  [
    'CPS1',
    'ltp-cpuset-hier-20',
    `
      ${HIERARCHY}
      sys write ${G}/f/cpuset.mems 0
      sys write ${G}/f/c/cpuset.mems 0
      sys read ${G}/f/cpuset.mems -> value 0
      sys read ${G}/f/c/cpuset.mems -> value 0
    `,
  ],
  [
    'CPS1',
    'ltp-cpuset-hier-23',
    `
      ${HIERARCHY}
      sys write ${G}/f/cpuset.mems 0,1
      sys write ${G}/f/c/cpuset.mems 0
      sys read ${G}/f/cpuset.mems -> value 0-1
      sys read ${G}/f/c/cpuset.mems -> value 0
    `,
  ],
  [
    'CPS1',
    'ltp-cpuset-hier-25',
    `
      ${HIERARCHY}
      sys write ${G}/f/cpuset.mems 0-2
      sys write ${G}/f/c/cpuset.mems ""
      sys write ${G}/f/cpuset.mems "" -> 0
    `,
  ],
  [
    'CPS1',
    'ltp-cpuset-hier-28',
    `
      ${HIERARCHY}
      sys write ${G}/f/cpuset.mems 0-2
      sys write ${G}/f/c/cpuset.mems 0
      sys write ${G}/f/cpuset.mems 0 -> 0
      sys read ${G}/f/c/cpuset.mems -> value 0
    `,
  ],
  [
    'CPS1',
    'ltp-cpuset-hier-31',
    `
      ${HIERARCHY}
      sys write ${G}/f/cpuset.mems 0-2
      sys write ${G}/f/c/cpuset.mems 0
      sys write ${G}/f/cpuset.mems 0,1 -> 0
      sys read ${G}/f/cpuset.mems -> value 0-1
      sys read ${G}/f/c/cpuset.mems -> value 0
    `,
  ],
  [
    'CPS1',
    'ltp-cpuset-inherit-mems-0-0',
    `
      ${HIERARCHY}
      sys write ${G}/f/cpuset.mems 0
      sys mkdir ${G}/f/2
      sys read ${G}/f/2/cpuset.mems.effective -> value 0
    `,
  ],
  [
    'CPS1',
    'ltp-cpuset-inherit-mems-0-all',
    `
      ${HIERARCHY}
      sys write ${G}/f/cpuset.mems 0-2
      sys mkdir ${G}/f/2
      sys read ${G}/f/2/cpuset.mems.effective -> value 0-2
    `,
  ],
  [
    'CPS3',
    'ltp-cpuset-memory-01',
    `
      ${inside(0)}
      T0 mmap R0 4 anon
      T0 touch R0
      T0 where R0 -> nodes 0:4
    `,
  ],
  [
    'CPS3',
    'ltp-cpuset-memory-04',
    `
      ${inside(0)}
      T0 mmap R0 4 anon-locked
      T0 where R0 -> nodes 0:4
    `,
  ],
  [
    'CPS3',
    'ltp-cpuset-memory-05',
    `
      ${inside(0)}
      T0 mmap R0 4 anon
      T0 mlock R0 0 4 -> 0
      T0 where R0 -> nodes 0:4
    `,
  ],
  [
    'CPS3',
    'ltp-cpuset-memory-08',
    `
      ${inside(1)}
      T0 cpu 0 -> node 0
      T0 mmap R0 4 anon
      T0 touch R0
      T0 where R0 -> nodes 1:4
    `,
  ],
  [
    'CPS4',
    'ltp-cpuset-memory-12',
    `
      ${inside(1)}
      T0 mmap R0 2 anon
      T0 touch R0 0 1
      T0 where R0 0 1 -> nodes 1:1
      sys write ${G}/a/cpuset.mems 0
      T0 where R0 0 1 -> nodes 0:1
      T0 touch R0 1 1
      T0 where R0 -> nodes 0:2
    `,
  ],
  [
    'POL4',
    'ltp-numa01-1',
    `
      T0 cpu 2 -> node 1
      T0 set_mempolicy bind 1
      T0 mmap R0 256 anon
      T0 touch R0
      T0 where R0 -> nodes 1:256
    `,
  ],
  [
    'POL8',
    'ltp-numa01-3',
    `
      T0 set_mempolicy interleave 0,1,2
      T0 mmap R0 258 anon
      T0 touch R0
      T0 where R0 -> nodes 0:86 1:86 2:86
    `,
  ],
  [
    'POL17',
    'ltp-numa01-5',
    `
      T0 cpu 2
      T0 set_mempolicy local none
      T0 mmap R0 256 anon
      T0 touch R0
      T0 where R0 -> nodes 1:256
    `,
  ],
  [
    'POL6',
    'numactl-prefered-1',
    `
      T0 mmap R0 1 anon
      T0 mbind R0 0 1 preferred 2
      T0 touch R0
      T0 policy_at R0 0 -> mode preferred -> nodes 2
      T0 where R0 -> nodes 2:1
    `,
  ],
  [
    'MIG4',
    'numactl-mbind_mig-before',
    `
      T0 mmap R0 32 anon
      T0 touch R0 0 2
      T0 touch R0 3 29
      T0 move_pages R0 0 32 0
      T0 where R0 -> nodes 0:31 EFAULT:1
    `,
  ],
  [
    'MBD5',
    'numactl-mbind_mig-move',
    `
      T0 mmap R0 32 anon
      T0 touch R0 0 2
      T0 touch R0 3 29
      T0 mbind R0 0 32 bind 1 move strict -> 0
      T0 where R0 -> nodes 1:31 EFAULT:1
    `,
  ],
  [
    'MIG4',
    'numactl-move_pages-rr',
    `
      T0 mmap R0 32 anon
      T0 touch R0 0 2
      T0 touch R0 3 29
      T0 move_pages R0 0 32 0,1,2 -> 0
      T0 where R0 -> nodes 0:11 1:11 2:9 EFAULT:1
    `,
  ],
  [
    'SHM3',
    'numactl-shm-interleave',
    `
      T0 mmap R0 5120 shm
      T0 mbind R0 512 512 interleave 0,1 strict -> 0
      T0 touch R0 512 512
      T0 where R0 512 512 -> nodes 0:256 1:256
      T0 policy_at R0 511 -> mode default
      T0 policy_at R0 512 -> mode interleave
      T0 policy_at R0 1024 -> mode default
    `,
  ],
  [
    'SHM3',
    'numactl-shm-membind',
    `
      T0 mmap R0 5120 shm
      T0 mbind R0 1024 512 bind 1 strict -> 0
      T0 touch R0 1024 512
      T0 where R0 1024 512 -> nodes 1:512
    `,
  ],
  [
    'NOD2',
    'numactl-issue165-membind',
    `
      T0 mems_allowed -> nodes 0,1,2 -> status 0,1,2
    `,
  ],
  [
    'MIG1',
    'kselftest-migration-shared_anon',
    `
      T0 mmap R0 512 shared
      T0 touch R0
      fork T0 T1
      T1 read R0
      T0 move_pages R0 0 512 1 moveall -> 0
      T0 where R0 -> nodes 1:512
      T0 move_pages R0 0 512 0 moveall -> 0
      T1 where R0 -> nodes 0:512
    `,
  ],
];

test.each(ROWS)('[%s] %s', (_rule, _id, text) => {
  play(text);
});

/** Pages of 15 MiB, as numactl's regression test allocates them. */
const P = 3840;

type Numastat = Record<string, Record<string, number>>;

/** How counters of the nodes grow while a text is played. */
function growth(text: string): Numastat {
  const { steps } = play(`sys numastat\n${text}\nsys numastat`);
  const [was, is] = [steps[0], steps.at(-1)].map((s) => s?.result['numastat'] as Numastat);
  return Object.fromEntries(
    Object.entries(is ?? {}).map(([nid, row]) => [
      nid,
      Object.fromEntries(Object.entries(row).map(([k, n]) => [k, n - (was?.[nid]?.[k] ?? 0)])),
    ]),
  );
}

describe('counters', () => {
  const interleaved = (policy: string): void => {
    const grown = growth(`T0 mmap R0 ${P} anon\n${policy}\nT0 touch R0`);
    for (const nid of ['0', '1']) {
      expect(grown[nid]?.['interleave_hit']).toBeGreaterThanOrEqual(P / 2 - 100);
    }
  };

  test('[VMS1] numactl-regress-interleave2', () => {
    interleaved('T0 set_mempolicy interleave 0,1');
  });

  test('[VMS1] numactl-regress-mbind-interleave', () => {
    interleaved(`T0 mbind R0 0 ${P} interleave 0,1`);
  });

  test('[VMS1] numactl-regress-membind1+preferred1', () => {
    for (const nid of ['0', '1', '2']) {
      const grown = growth(`
        T0 set_mempolicy bind ${nid}
        T0 mmap R0 ${P} anon
        T0 touch R0
        T0 set_mempolicy preferred ${nid}
        T0 mmap R1 ${P} anon
        T0 touch R1
      `);
      expect(grown[nid]?.['numa_hit']).toBeGreaterThanOrEqual(2 * P - 200);
    }
  });

  test('[VMS1] numastat-identity', () => {
    const grown = growth(`
      T0 mmap R0 60000 anon
      T0 mbind R0 0 60000 preferred 2
      T0 touch R0
    `);
    expect(grown['0']?.['numa_miss']).toBe(grown['2']?.['numa_foreign']);
    expect(grown['0']?.['numa_miss']).toBeGreaterThan(10_000);
  });
});

const COUNTERS = [
  'numactl-regress-interleave2',
  'numactl-regress-mbind-interleave',
  'numactl-regress-membind1+preferred1',
  'numastat-identity',
];

/** Rows that tests elsewhere restate, by pattern. */
const ELSEWHERE: readonly (readonly [RegExp, string])[] = [
  [
    /^fallback-(amd-2s-nps4-8n-after-5.16|qemu-cxl-hotadd-node|syzkaller|rpi5|power-lpar)/,
    'src/mm/zonelist.test.ts',
  ],
  [/^watermark-pcp-00[57]$/, 'src/mm/watermark.test.ts'],
];

/** Rows that are not restated, by pattern, and why. */
const LEFT_OUT: readonly (readonly [RegExp, string])[] = [
  [/^ltp-set_mempolicy0[34]/, 'pages of files'],
  [/^ltp-(migrate_pages01-perm|migrate_pages02-shared-nocap|move_pages11)$/, 'permissions'],
  [
    /^ltp-cpuset-(ro-memory_pressure|flag|attach|memexcl|hier-(22|26|29))/,
    'files or refusals of cpuset version 1',
  ],
  [/^ltp-cpuset-inherit-(mems-1|mem_|memory_)/, 'files of cpuset version 1'],
  [/^ltp-cpuset-memory-(09|11)$/, 'memory_migrate=0 of cpuset version 1'],
  [/^ltp-cpuset-memory-(14|15)$/, 'threads'],
  [/^ltp-cpuset-(memory-02|spread)/, 'pages of files'],
  [/^ltp-cpuset-hotplug/, 'CPUs that come and go'],
  [/^ltp-numa01-9$|_thp$/, 'transparent huge pages'],
  [/^kselftest-cpuset-v1/, 'files of cpuset version 1'],
  [/^numactl-(bind_range|issue165-N)/, 'a mistake or option of the program itself'],
  [/^numactl-(checktopology|distance)/, 'what the hardware is like, which importers test'],
  [/^numactl-realloc$/, 'mremap'],
  [/^memtierd/, 'a daemon of its own, and reclaim'],
  [/^hwloc/, 'reading machines, which importers test'],
  [/^fallback-.*before-5.16$/, 'an older rule: see src/mm/zonelist.test.ts'],
  [/^fallback-epyc/, 'distances are not in the row'],
  [/^(demotion|tiers)/, 'memory tiers and demotion'],
  [/^watermark-pcp-001$/, 'an older rule'],
];

const ASSERTIONS = fileURLToPath(new URL('../../../shared/assertions.json', import.meta.url));
const isThere = existsSync(ASSERTIONS);
if (!isThere) console.warn(`skipped: are all collected rows told of? ${ASSERTIONS} is absent`);

test.skipIf(!isThere)('every collected row is restated, or left out for a reason', () => {
  const ids = (JSON.parse(readFileSync(ASSERTIONS, 'utf8')) as { id: string }[]).map((r) => r.id);
  const here = new Set([...ROWS.map(([, id]) => id), ...COUNTERS]);
  const matching = (list: readonly (readonly [RegExp, string])[], id: string) =>
    list.filter(([pattern]) => pattern.test(id)).length;
  const told = ids.map((id) => [
    id,
    Number(here.has(id)) + matching(ELSEWHERE, id) + matching(LEFT_OUT, id),
  ]);
  expect(told.filter(([, n]) => n !== 1)).toEqual([]);
  expect([...here].filter((id) => !ids.includes(id))).toEqual([]);
  const restated = ids.filter((id) => here.has(id) || matching(ELSEWHERE, id) > 0).length;
  expect(restated).toBe(RESTATED);
});

/** Of 161 collected rows. */
const RESTATED = 0;
