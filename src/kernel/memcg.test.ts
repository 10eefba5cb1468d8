// Memory cgroups: who pays, what is freed and who dies at a limit, and that what counts is what
// there is, after every step of random work.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bench, play } from '../../test/support/play.ts';
import { check } from '../../test/support/property.ts';
import { judge } from '../../test/support/workloads.ts';
import { checkMemcg } from '../checkers/memcg.ts';
import { findDesign } from '../designs/index.ts';
import { stock } from '../designs/stock.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import { generateScenario, machineNodes } from '../scenario/generate.ts';

const G = '/sys/fs/cgroup';

/** A group `a` of 4 MiB with T0 in it; T1 and T2 outside. */
const LIMITED = `
  fork T0 T1
  fork T0 T2
  sys mkdir ${G}/a -> 0
  sys write ${G}/cgroup.subtree_control +memory -> 0
  sys write ${G}/a/memory.max 4M -> 0
  sys move T0 ${G}/a -> 0`;

describe('at the limit', () => {
  test('[MCG5] without swap a task of the group dies, whoever else is larger', () => {
    const { kernel } = play(`
      ${LIMITED}
      T1 mmap R1 6000 anon
      T1 touch R1
      T0 mmap R0 2000 anon
      T0 touch R0 -> KILLED
      T1 where R1 -> nodes 0:6000
      sys read ${G}/a/memory.current -> value 0
    `);
    expect(kernel.kills).toMatchObject([{ victim: 'T0', asking: 'T0', lack: 'group' }]);
    expect(checkMemcg(kernel)).toEqual([]);
  });

  test('[MCG5] the largest of the group dies, and who asks goes on', () => {
    play(`
      ${LIMITED}
      sys move T1 ${G}/a
      T1 mmap R1 800 anon
      T1 touch R1
      T0 mmap R0 2000 anon
      T0 touch R0 0 600 -> 0
      sys tasks
      T1 touch R1 -> DEAD
    `);
  });

  test('[MCG5] with swap the pages of the group leave, and no others', () => {
    const { kernel } = play(`
      ${LIMITED}
      sys swapon 5000
      T1 mmap R1 3000 anon
      T1 touch R1
      T0 mmap R0 2000 anon
      T0 touch R0 -> 0; touched 2000
      T1 where R1 -> nodes 0:3000
      T0 touch R0 0 200 -> 0
    `);
    const group = kernel.memcg?.groups[1];
    expect(group?.used).toBeLessThanOrEqual(1024);
    expect(group?.swapped).toBeGreaterThan(900);
  });

  test('[MCG5] the page cache of the group makes room first', () => {
    play(`
      ${LIMITED}
      sys mkfile f 900
      T0 readfile f -> 0; read 900
      T0 mmap R0 900 anon
      T0 touch R0 -> 0
      T0 where R0 -> nodes 0:900
    `);
  });

  test('[MCG5] memory.swap.max ends it as no swap does', () => {
    play(`
      ${LIMITED}
      sys swapon 5000
      sys write ${G}/a/memory.swap.max 1M -> 0
      T0 mmap R0 2000 anon
      T0 touch R0 -> KILLED
      sys read ${G}/a/memory.swap.current -> value 0
    `);
  });

  test('[MCG5] a limit written below what there is takes pages, then a task', () => {
    play(`
      ${LIMITED}
      sys swapon 500
      T0 mmap R0 1000 anon
      T0 touch R0
      sys write ${G}/a/memory.max 3M -> 0
      T0 touch R0 0 1 -> 0
      sys write ${G}/a/memory.max 1M -> 0
      T0 touch R0 0 1 -> DEAD
    `);
  });

  test('[MCG7] memory.oom.group takes all of the group', () => {
    const { kernel } = play(`
      ${LIMITED}
      sys move T1 ${G}/a
      sys write ${G}/a/memory.oom.group 1 -> 0
      T0 mmap R0 2000 anon
      T0 touch R0 -> KILLED
      T1 exit -> DEAD
      sys read ${G}/a/memory.events -> 0
      T2 exit
    `);
    const { events } = kernel.memcg?.groups[1] ?? {};
    expect(events).toMatchObject({ oom_kill: 2, oom_group_kill: 1 });
  });

  test('[MCG7] above memory.high pages leave and nobody dies', () => {
    const { kernel } = play(`
      ${LIMITED}
      sys swapon 5000
      sys write ${G}/a/memory.high 2M -> 0
      T0 mmap R0 900 anon
      T0 touch R0 -> 0
    `);
    expect(kernel.memcg?.groups[1]?.used).toBeLessThan(512 + 65);
    expect(kernel.kills).toEqual([]);
  });

  test('[MCG7] memory.min keeps pages of a group out of the reclaim of the one above', () => {
    const { kernel } = play(`
      ${LIMITED}
      sys move T0 ${G}
      sys write ${G}/a/cgroup.subtree_control +memory -> 0
      sys mkdir ${G}/a/x
      sys mkdir ${G}/a/y
      sys write ${G}/a/x/memory.min 2M -> 0
      sys swapon 5000
      sys move T0 ${G}/a/x
      sys move T1 ${G}/a/y
      T0 mmap R0 500 anon
      T0 touch R0
      T1 mmap R1 2000 anon
      T1 touch R1 -> 0
      T0 where R0 -> nodes 0:500
    `);
    expect(kernel.mem.swap.nrFree).toBeLessThan(4000);
  });
});

describe('who pays', () => {
  test('[MCG3] [MCG4] pages stay with the group that made them, wherever they and the task go', () => {
    play(`
      ${LIMITED}
      T0 mmap R0 100 anon
      T0 touch R0
      sys read ${G}/a/memory.current -> value ${103 * 4096}
      sys move T0 ${G}
      T0 move_pages R0 0 50 1
      T0 touch R0 -> 0
      sys read ${G}/a/memory.current -> value ${103 * 4096}
      T0 madvise R0 0 60 dontneed
      T0 touch R0
      sys read ${G}/a/memory.current -> value ${43 * 4096}
    `);
  });

  test('[MCG3] [MCG2] a page that comes back counts for whom it did, unless the group is gone', () => {
    play(`
      ${LIMITED}
      sys swapon 500
      T0 mmap R0 100 anon
      T0 touch R0
      T0 madvise R0 0 100 pageout
      T0 madvise R0 0 100 pageout
      sys read ${G}/a/memory.swap.current -> value ${100 * 4096}
      sys move T0 ${G}
      T0 touch R0 0 40
      sys read ${G}/a/memory.current -> value ${43 * 4096}
      sys mkdir ${G}/b -> 0
      sys move T0 ${G}/b -> 0
      T0 touch R0 0 40
      sys read ${G}/b/memory.current -> value 0
      sys rmdir ${G}/a -> 0
      T0 touch R0
      sys read ${G}/b/memory.current -> value ${60 * 4096}
    `);
  });

  test('[MCG3] a page of the root that comes back counts for no group', () => {
    play(`
      ${LIMITED}
      sys swapon 500
      T1 mmap R1 100 anon
      T1 touch R1
      T1 madvise R1 0 100 pageout
      sys move T1 ${G}/a
      T1 touch R1 0 100 -> 0
      sys read ${G}/a/memory.current -> value 0
    `);
  });

  test('[MCG3] what khugepaged collapses goes on counting, and one without room is EBUSY', () => {
    const { kernel } = play(`
      ${LIMITED}
      sys write /sys/kernel/mm/transparent_hugepage/enabled madvise
      T0 mmap R0 600 anon
      T0 touch R0
      sys read ${G}/a/memory.current -> value ${604 * 4096}
      sys write ${G}/a/memory.max 3M -> 0
      T0 madvise R0 0 512 collapse -> EBUSY
      sys write ${G}/a/memory.max max -> 0
      T0 madvise R0 0 600 hugepage
      sys sleep 60000
      sys vmstat thp_collapse_alloc
      sys read ${G}/a/memory.current -> value ${604 * 4096}
    `);
    expect(kernel.mem.stat.event(EVENT.thp_collapse_alloc)).toBe(2);
    expect(checkMemcg(kernel)).toEqual([]);
  });

  test('[MCG2] a group that is gone is spared no more', () => {
    play(`
      ${LIMITED}
      sys swapon 5000
      sys write ${G}/a/memory.max max
      sys write ${G}/a/cgroup.subtree_control +memory -> EBUSY
      sys move T0 ${G}
      sys write ${G}/a/cgroup.subtree_control +memory -> 0
      sys mkdir ${G}/a/c -> 0
      sys write ${G}/a/c/memory.min 1G -> 0
      sys move T0 ${G}/a/c -> 0
      T0 mmap R0 1000 anon
      T0 touch R0
      sys write ${G}/a/memory.reclaim 1M -> EAGAIN
      sys move T0 ${G}
      sys rmdir ${G}/a/c -> 0
      sys write ${G}/a/memory.reclaim 1M -> 0
    `);
  });

  test.each(['stock', 'hmm'])(
    '[MCG5] a driver evicts nothing for a group that is full, %s',
    (id) => {
      play(
        `
      ${LIMITED}
      T0 mmap R0 900 anon
      T0 device_compute gpu0 R0 0 900 -> 0
      T0 mmap R1 900 anon
      T0 device_compute gpu0 R1 -> KILLED
    `,
        { design: findDesign(id) },
      );
    },
  );

  test.each(['stock', 'hmm', 'hmm-coherent'])('[MCG3] [MCG4] pages on a device count, %s', (id) => {
    const { kernel } = play(
      `
      ${LIMITED}
      T0 mmap R0 500 anon
      T0 touch R0 0 300
      T0 device_compute gpu0 R0
      sys read ${G}/a/memory.current -> value ${503 * 4096}
      T0 touch R0
      sys read ${G}/a/memory.current -> value ${503 * 4096}
      T0 madvise R0 0 500 dontneed
      sys read ${G}/a/memory.current -> value ${3 * 4096}
    `,
      { design: findDesign(id) },
    );
    expect(checkMemcg(kernel)).toEqual([]);
  });

  test('[MCG3] +memory is there unless the kernel was booted without', () => {
    const text = `sys write ${G}/cgroup.subtree_control +memory -> EINVAL`;
    play(text, { machine: bench(), design: stock, options: { hasMemoryController: false } });
    play(`
      sys mkdir ${G}/a
      sys read ${G}/a/memory.max -> ENOENT
      sys write ${G}/cgroup.subtree_control "+memory" -> 0
      sys read ${G}/a/memory.max -> value max
      sys write ${G}/a/memory.max 5000 -> 0
      sys read ${G}/a/memory.max -> value 4096
      sys write ${G}/a/memory.max 1x -> EINVAL
      sys write ${G}/a/memory.oom.group 2 -> EINVAL
      sys write ${G}/a/memory.reclaim 4096 -> EAGAIN
    `);
  });
});

describe('whom the OOM killer takes', () => {
  const fill = `
    fork T0 T1
    T0 mmap R0 60000 anon
    T0 mbind R0 0 60000 bind 1
    T1 mmap R1 1000 anon
    T1 touch R1`;

  test('[OOM4] oom_score_adj adds thousandths of memory, and -1000 spares', () => {
    play(`
      ${fill}
      T1 swrite /proc/self/oom_score_adj 1000 -> 4
      T0 touch R0 -> KILLED
      T1 exit -> DEAD
    `);
    play(`
      ${fill}
      T0 swrite /proc/self/oom_score_adj -1000 -> 5
      T0 swrite /proc/self/oom_score_adj 1001 -> EINVAL
      T1 touch R1 0 1 -> 0
      T0 touch R0 0 30000 -> 0
      T1 touch R1 0 1 -> 0
    `);
  });

  test('[OOM5] the machine stops when nobody may be taken', () => {
    const { kernel } = play(`
      ${fill}
      T0 swrite /proc/self/oom_score_adj -1000
      T1 swrite /proc/self/oom_score_adj -1000
      T0 touch R0 -> PANIC
      T1 touch R1 -> PANIC
    `);
    expect(kernel.panic).toContain('no task that may be killed');
  });
});

test('[MCG1] the judge sees a page too much', () => {
  const { kernel } = play(`
    ${LIMITED}
    T0 mmap R0 10 anon
    T0 touch R0
  `);
  const group = kernel.memcg?.groups[1];
  if (group) group.used++;
  expect(checkMemcg(kernel).join()).toContain('counts 14, has 13');
});

test('[MCG1] [LRU1] what counts is what there is, after every step of random work', () => {
  const machine = bench();
  check(fc.nat(1_000_000), 3, (seed) => {
    const scenario = generateScenario({
      ...machineNodes(machine),
      seed,
      ops: 36,
      family: 'memcg',
      machine: 'bench',
    });
    const isExpected = (finding: string): boolean =>
      finding.startsWith('fresh pages:') || finding.startsWith('promise:');
    const found = judge({ machine, design: stock, isExpected }, scenario, scenario.ops);
    if (found.length > 0) throw new Error(found.join('\n'));
  });
});
