// /proc and /sys as text against a stock kernel that is booted for it: every file that the model
// shows, and how its counters grow. Skipped where QEMU, a kernel or a compiler is missing.
import { describe, expect, test } from 'vitest';
import { machineFrom } from '../../test/support/small_machine.ts';
import { stock } from '../designs/stock.ts';
import { doctorRows, guestTools } from '../guest/host.ts';
import type { Machine } from '../machine/machine.ts';
import { textFiles, View } from '../observe/files.ts';
import { parseScenario } from '../scenario/parser.ts';
import { type KernelRun, kernelRun } from './kernel_run.ts';
import { Session } from './session.ts';

const missing = doctorRows().filter((row) => row.found === undefined && row.isOptional !== true);
const isSkipped = missing.length > 0;
if (isSkipped) {
  const what = missing.map((row) => row.what).join(', ');
  console.warn(`SKIPPED: /proc and /sys of a booted kernel: no ${what} (cdmlab kernel doctor)`);
}

const MINUTES = 60_000;

/** Two nodes with CPUs and memory, one of plugged memory, one with a CPU and no memory. */
const machine = (): Machine =>
  machineFrom({
    name: 'files',
    arch: 'x86_64',
    nodes: [
      { id: 0, cpus: '0-1', memory: '384MiB' },
      { id: 1, cpus: '2', memory: '256MiB' },
      { id: 2, cpus: '3' },
      { id: 3, memory: '256MiB', memoryZone: 'movable' },
    ],
    distances: [
      [10, 20, 30, 40],
      [20, 10, 30, 40],
      [30, 30, 10, 40],
      [40, 40, 40, 10],
    ],
  });

async function onKernel(text: string): Promise<KernelRun> {
  const scenario = parseScenario(text.trim().replace(/^\s+/gm, ''), {
    file: 'test.cdm',
    pageBytes: 4096,
  });
  const tools = guestTools({});
  return await kernelRun({ scenario, machine: machine(), design: 'stock', tools });
}

/** All kinds of areas under all policies, with pages and without, in a parent and a child. */
const AREAS = `
  sys offline_node 3 1
  sys write /proc/sys/vm/nr_hugepages 8
  T0 mmap R0 1000 anon
  T0 touch R0
  T0 mbind R0 0 100 bind 0-1
  T0 mbind R0 100 100 interleave+static 0,1
  T0 mbind R0 200 100 interleave+relative 0,1
  T0 mbind R0 300 100 preferred 1
  T0 mbind R0 400 100 preferred_many 0,3
  T0 mbind R0 500 100 local none
  T0 mbind R0 600 100 bind+numa_balancing 0
  T0 mbind R0 700 100 bind 1 move
  T0 mmap R1 64 anon
  T0 mbind R1 0 32 interleave 0,1,3
  T0 touch R1 0 20
  T0 read R1 40 10
  T0 mmap R2 64 shared
  T0 mbind R2 16 16 bind 1
  T0 read R2 0 8
  T0 touch R2 4 20
  T0 mmap R3 32 shm
  T0 touch R3 0 10
  T0 mmap R4 16 anon-locked
  T0 mmap R5 3 hugetlb
  T0 touch R5 0 2
  T0 mmap R6 2 hugetlb-shared
  T0 touch R6 0 1
  T0 mmap R7 2 hugetlb
  T0 mbind R7 0 2 bind 1
  T0 mmap R8 2 shm-hugetlb
  T0 mmap R9 32 anon
  T0 touch R9
  T0 mlock R9 8 8
  fork T0 T1
  T1 touch R0 0 10
  T1 read R2 0 8
  T1 set_mempolicy interleave 0,1
  T1 mmap R10 16 anon
  T1 touch R10 0 8
`;

const filesOf = (text: string): string[] => {
  const scenario = parseScenario(text, { file: 'test.cdm', pageBytes: 4096 });
  const session = new Session({ machine: machine(), design: stock, scenario });
  session.finish();
  return textFiles(new View(session.kernel, session.runner.tasks));
};

const KEYS = [
  ...['nr_free_pages', 'nr_zone_inactive_anon', 'nr_zone_unevictable', 'nr_mlock'],
  ...['numa_hit', 'numa_miss', 'numa_foreign', 'numa_interleave', 'numa_local', 'numa_other'],
  ...['nr_inactive_anon', 'nr_active_anon', 'nr_unevictable', 'nr_anon_pages', 'nr_mapped'],
  ...['nr_file_pages', 'nr_shmem', 'nr_page_table_pages', 'pgalloc_dma', 'pgalloc_dma32'],
  ...['pgalloc_normal', 'pgalloc_movable', 'pgfree', 'pgfault', 'pgmajfault'],
  ...['pgmigrate_success', 'pgmigrate_fail', 'oom_kill', 'pgreuse'],
  ...['htlb_buddy_alloc_success', 'htlb_buddy_alloc_fail'],
] as const;

/** Pages by which a counter may grow otherwise: other work of the kernel, and a CPU's batches. */
const TOLERANCE = 100;
/** Of free pages more: every CPU keeps some of each zone on lists, for longer or shorter. */
const FREE_TOLERANCE = 600;

const toleranceOf = (key: string): number => {
  if (key === 'nr_free_pages') return FREE_TOLERANCE;
  return key.startsWith('htlb_') ? 0 : TOLERANCE;
};

/** A real pool that grows takes a huge page or so more from the buddy lists and gives it back. */
const isAllocation = (key: string): boolean => /^pg(?:alloc|free)/.test(key);

const GROWTH = [
  'T0 mmap R0 2000 anon\nT0 touch R0',
  'T0 mmap R1 1500 shared\nT0 touch R1 0 1000\nT0 read R1 1000 500',
  'T0 mmap R2 900 anon\nT0 mbind R2 0 900 interleave 0,1,3\nT0 touch R2',
  'T0 mlock R0 0 800',
  'T0 move_pages R0 0 500 1',
  'T0 cpu 3\nT0 mmap R3 1200 anon\nT0 touch R3',
  'T0 munlock R0 0 800',
  'T0 munmap R1 0 1500',
  'T0 madvise R0 0 2000 dontneed',
  'T0 mmap R4 40000 anon\nT0 tables R4',
  'fork T0 T1\nT1 touch R2 0 300',
  'T1 exit',
  'T0 touch R2',
  'sys write /proc/sys/vm/nr_hugepages 6',
] as const;

/** Counters that grew otherwise in one boot, by what was done, and how many grew in the model. */
async function grownWrong(): Promise<{ wrong: Map<string, string>; nrGrown: number }> {
  const look = `sys vmstat ${KEYS.join(',')}`;
  const ran = await onKernel([look, ...GROWTH.flatMap((ops) => [ops, look])].join('\n'));
  expect(ran.verdict, ran.words).toBe('equal');
  const looks = ran.steps.filter((step) => step.text.startsWith('sys vmstat'));
  const counts = (step: (typeof looks)[number] | undefined, side: 'model' | 'kernel') =>
    step?.[side]?.['vmstat'] as Record<string, number>;
  const wrong = new Map<string, string>();
  let nrGrown = 0;
  for (const [i, ops] of GROWTH.entries()) {
    const [before, after] = [looks[i], looks[i + 1]];
    for (const key of KEYS) {
      const grew = (side: 'model' | 'kernel') =>
        (counts(after, side)[key] as number) - (counts(before, side)[key] as number);
      if (Math.abs(grew('model')) > TOLERANCE) nrGrown++;
      if (isAllocation(key) && ops.includes('nr_hugepages')) continue;
      if (Math.abs(grew('model') - grew('kernel')) <= toleranceOf(key)) continue;
      wrong.set(`${ops}: ${key}`, `grew by ${grew('model')}, on the kernel ${grew('kernel')}`);
    }
  }
  return { wrong, nrGrown };
}

describe.skipIf(isSkipped)('files of a booted kernel', () => {
  test('[PRC5] [PRC7] [PRC9] [PRC10] [PRC11] [PRC13] [PRC14] every file is as a kernel shows it', {
    timeout: MINUTES,
  }, async () => {
    const files = [...filesOf(AREAS), '/proc/sys/vm/swappiness', '/proc/sys/vm/page-cluster'];
    expect(files.length).toBeGreaterThan(100);
    const ran = await onKernel(`${AREAS}\n${files.map((file) => `sys read ${file}`).join('\n')}`);
    expect(ran.verdict, ran.words).toBe('equal');
  });

  test(`[PRC3] [PRC4] counters grow as on a kernel, within ${TOLERANCE} pages`, {
    timeout: 2 * MINUTES,
  }, async () => {
    const { wrong, nrGrown } = await grownWrong();
    expect(nrGrown).toBeGreaterThan(30);
    // Work of the kernel's own takes pages now and then; what it does in each boot is no chance.
    const again = wrong.size === 0 ? wrong : (await grownWrong()).wrong;
    const both = [...wrong].filter(([what]) => again.has(what));
    expect(both.map(([what, words]) => `${what} ${words}`)).toEqual([]);
  });
});
