// NUMA balancing, time and memory tiers, by what happens to the pages of tasks that work.
import { describe, expect, test } from 'vitest';
import { bench, play } from '../../test/support/play.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import type { Machine } from '../machine/machine.ts';

const ON = 'sys write /proc/sys/kernel/numa_balancing 1';
const QUICK = `${ON}
  sys write /sys/kernel/debug/sched/numa_balancing/scan_period_max_ms 200`;

/** Two nodes with CPUs, and slow memory of the dax/kmem driver: node 2 near node 0, 3 near 1. */
const tiered = (fastMib = 128): Machine =>
  machineFrom({
    name: 'tiered',
    arch: 'x86_64',
    nodes: [
      { id: 0, cpus: '0-1', memory: `${fastMib}MiB` },
      { id: 1, cpus: '2-3', memory: `${fastMib}MiB` },
      { id: 2, memory: '256MiB', memoryZone: 'movable', isKmem: true },
      { id: 3, memory: '256MiB', memoryZone: 'movable', isKmem: true },
    ],
    distances: [
      [10, 20, 30, 40],
      [20, 10, 40, 30],
      [30, 40, 10, 40],
      [40, 30, 40, 10],
    ],
  });

const vmstat = (played: ReturnType<typeof play>): Readonly<Record<string, number>> =>
  played.last['vmstat'] as Readonly<Record<string, number>>;

describe('rounds', () => {
  test('[NBL1] [CLK1] pages of a task that only sleeps and touches stay where they are', () => {
    const played = play(`
      ${ON}
      T0 mmap R0 64 anon
      T0 touch R0
      T0 move_pages R0 0 64 1
      sys sleep 60000
      T0 touch R0
      sys sleep 60000
      T0 touch R0
      T0 where R0 -> nodes 1:64
      sys vmstat numa_pte_updates,numa_hint_faults,numa_pages_migrated
    `);
    expect(vmstat(played)).toEqual({
      numa_pte_updates: 0,
      numa_hint_faults: 0,
      numa_pages_migrated: 0,
    });
    expect(played.kernel.nowMs).toBe(120_000);
  });

  test('[NBL1] [CLK1] nothing moves while it is switched off', () => {
    const { kernel } = play(`
      T0 mmap R0 8 anon
      T0 touch R0
      T0 move_pages R0 0 8 1
      T0 work R0 0 8 20000
      T0 where R0 -> nodes 1:8
    `);
    expect(kernel.nowMs).toBe(20_000);
  });

  test('[NBL2] a round covers scan_size_mb, and the next goes on behind it', () => {
    const text = (ms: number) => `
      ${QUICK}
      sys write /sys/kernel/debug/sched/numa_balancing/scan_size_mb 4
      T0 mmap R0 4096 anon
      T0 touch R0
      T0 move_pages R0 0 4096 1
      T0 work R0 0 4096 ${ms}
      sys vmstat numa_pte_updates
    `;
    const first = vmstat(play(text(1004)))['numa_pte_updates'] as number;
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThanOrEqual(1024 + 512);
    expect(vmstat(play(text(60_000)))['numa_pte_updates']).toBe(4096);
  });

  test('[NBL3] pages of the node where the task runs, shared copies and the zero page are left alone', () => {
    const played = play(`
      ${QUICK}
      T0 mmap R0 32 anon
      T0 mmap R1 16 anon
      T0 mmap R2 16 anon
      T0 read R0 0 16
      T0 touch R1
      T0 move_pages R1 0 16 1
      fork T0 T1
      T0 touch R2
      T0 work R2 0 16 3000
      T0 where R1 -> nodes 1:16
      sys vmstat numa_pte_updates
    `);
    expect(vmstat(played)['numa_pte_updates']).toBe(0);
  });

  test('[NBL3] areas whose policy does not let pages move on a fault are not scanned', () => {
    const played = play(`
      ${QUICK}
      T0 mmap R0 16 anon
      T0 mmap R1 16 anon
      T0 mmap R2 16 shared
      T0 mbind R0 0 16 preferred 1
      T0 mbind R1 0 16 bind 0,1
      T0 touch R0
      T0 touch R1
      T0 touch R2
      T0 move_pages R1 0 16 1
      T0 move_pages R2 0 16 1
      T0 work R0 0 16 2000
      T0 work R1 0 16 2000
      T0 work R2 0 16 2000
      T0 where R0 -> nodes 1:16
      T0 where R1 -> nodes 1:16
      T0 where R2 -> nodes 1:16
      sys vmstat numa_pte_updates
    `);
    expect(vmstat(played)['numa_pte_updates']).toBe(0);
  });
});

describe('hinting faults', () => {
  test('[NBL4] pages follow the CPU of the task that works on them, and no further', () => {
    const played = play(`
      ${QUICK}
      T0 mmap R0 64 anon
      T0 touch R0
      T0 move_pages R0 0 64 1
      T0 work R0 0 64 3000
      T0 where R0 -> nodes 0:64
      T0 work R0 0 64 3000
      sys vmstat numa_hint_faults,numa_hint_faults_local,numa_pages_migrated,pgmigrate_success
    `);
    expect(vmstat(played)).toEqual({
      numa_hint_faults: 64,
      numa_hint_faults_local: 0,
      numa_pages_migrated: 64,
      pgmigrate_success: 128,
    });
  });

  test('[NBL4] bind with MPOL_F_NUMA_BALANCING: to the CPU, if its node is in the mask', () => {
    play(`
      ${QUICK}
      T0 mmap R0 32 anon
      T0 mbind R0 0 16 bind+numa_balancing 0,1
      T0 mbind R0 16 16 bind+numa_balancing 1,2
      T0 touch R0
      T0 move_pages R0 0 32 1
      T0 work R0 0 32 3000
      T0 where R0 0 16 -> nodes 0:16
      T0 where R0 16 16 -> nodes 1:16
    `);
  });

  test('[NBL4] shared pages under such a policy follow too', () => {
    play(`
      ${QUICK}
      T0 mmap R0 16 shared
      T0 mbind R0 0 16 bind+numa_balancing 0,1
      T0 touch R0
      T0 move_pages R0 0 16 1
      T0 work R0 0 16 3000
      T0 where R0 -> nodes 0:16
    `);
  });

  test('[NBL4] a node without memory draws no pages', () => {
    play(`
      ${QUICK}
      T0 mmap R0 16 anon
      T0 touch R0
      T0 cpu 4
      T0 work R0 0 16 5000
      T0 where R0 -> nodes 0:16
    `);
  });

  test('[NBL5] a page that another task used last is given at its second touch in a row', () => {
    const played = play(`
      ${QUICK}
      T0 mmap R0 16 shared
      T0 mbind R0 0 16 bind+numa_balancing 0,1
      T0 touch R0
      fork T0 T1
      T0 move_pages R0 0 16 1
      T0 work R0 0 16 3000
      T0 where R0 -> nodes 0:16
      T1 cpu 2
      T1 work R0 0 16 1004
      T1 where R0 -> nodes 0:16
      T1 work R0 0 16 3000
      T1 where R0 -> nodes 1:16
    `);
    expect(played.last.ret).toBe(0);
  });

  test('[NBL6] a page does not go to a node that is nearly full', () => {
    const played = play(`
      ${QUICK}
      T0 mmap R0 16 anon
      T0 mbind R0 0 16 bind 1
      T0 touch R0
      T0 mbind R0 0 16 default none
      T0 mmap R1 200MiB anon
      T0 touch R1
      T0 work R0 0 16 3000
      T0 where R0 -> nodes 1:16
      sys vmstat numa_hint_faults,numa_pages_migrated
    `);
    expect(vmstat(played)['numa_hint_faults']).toBeGreaterThan(0);
    expect(vmstat(played)['numa_pages_migrated']).toBe(0);
  });
});

describe('memory tiers', () => {
  test('[TIR1] memory of the dax/kmem driver is a tier of its own, all other memory the first', () => {
    play(
      `
      sys read /sys/devices/virtual/memory_tiering/memory_tier4/nodelist -> value 0-1
      sys read /sys/devices/virtual/memory_tiering/memory_tier22/nodelist -> value 2-3
      sys read /sys/devices/virtual/memory_tiering/memory_tier5/nodelist -> ENOENT
      sys read /sys/kernel/mm/numa/demotion_enabled -> value false
      sys write /sys/kernel/mm/numa/demotion_enabled 1 -> 0
      sys read /sys/kernel/mm/numa/demotion_enabled -> value true
      sys write /sys/kernel/mm/numa/demotion_enabled maybe -> EINVAL
    `,
      { machine: tiered() },
    );
    play('sys read /sys/devices/virtual/memory_tiering/memory_tier4/nodelist -> value 0-2', {
      machine: bench(),
    });
  });

  test('[TIR2] the targets of a node are the nearest ones of the next tier', () => {
    const { kernel } = play('sys states', { machine: tiered() });
    const targets = kernel.states.memory.toArray().map((nid) => `${kernel.tiers.targetsOf(nid)}`);
    expect(targets).toEqual(['2', '3', '', '']);
    expect(`${kernel.tiers.allowedTargetsOf(kernel.states.memory.first())}`).toBe('2-3');
  });

  test('[TIR3] from slow memory pages are promoted in mode 2, and nothing else moves', () => {
    const text = (mode: number) => `
      sys write /proc/sys/kernel/numa_balancing ${mode}
      sys write /sys/kernel/debug/sched/numa_balancing/scan_period_max_ms 200
      T0 mmap R0 32 anon
      T0 touch R0
      T0 move_pages R0 0 16 2
      T0 move_pages R0 16 16 1
      T0 work R0 0 32 3000
      T0 where R0 0 16
      T0 where R0 16 16
      sys vmstat pgpromote_success,pgpromote_candidate
    `;
    const tiering = play(text(2), { machine: tiered() });
    expect(tiering.steps.at(-3)?.result['counts']).toEqual({ 0: 16 });
    expect(tiering.steps.at(-2)?.result['counts']).toEqual({ 1: 16 });
    expect(vmstat(tiering)).toEqual({ pgpromote_success: 16, pgpromote_candidate: 16 });
    const normal = play(text(1), { machine: tiered() });
    expect(normal.steps.at(-2)?.result['counts']).toEqual({ 0: 16 });
  });

  test('[TIR3] a page touched long after it was taken away is not hot', () => {
    const played = play(
      `
      sys write /proc/sys/kernel/numa_balancing 2
      sys write /sys/kernel/debug/sched/numa_balancing/scan_period_max_ms 200
      T0 mmap R0 16 anon
      T0 mmap R1 16 anon
      T0 touch R0
      T0 move_pages R0 0 16 2
      T0 work R1 0 16 3000
      sys sleep 1500
      T0 touch R0
      T0 where R0 -> nodes 2:16
      T0 work R0 0 16 3000
      T0 where R0 -> nodes 0:16
    `,
      { machine: tiered() },
    );
    expect(played.last.ret).toBe(0);
  });
});
