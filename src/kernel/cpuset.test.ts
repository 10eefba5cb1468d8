// cpusets: whose mems count, what a change does to tasks, policies and pages, and when the OOM
// killer is asked.
import { describe, expect, test } from 'vitest';
import { bench, bootDevice, play } from '../../test/support/play.ts';
import { checkAll } from '../checkers/index.ts';
import { findDesign } from '../designs/index.ts';
import { MAX_NR_ZONES, ZONE_MOVABLE } from '../mm/gfp.ts';

const G = '/sys/fs/cgroup';
const inGroup = (mems: string): string =>
  `sys mkdir ${G}/a\nsys write ${G}/a/cpuset.mems ${mems}\nsys move T0 ${G}/a\n`;

describe('mems of a group', () => {
  test('[CPS1] are what was written, cut to the parent, or the parent when nothing is left', () => {
    play(`
      sys write ${G}/cgroup.subtree_control +cpuset
      sys mkdir ${G}/p
      sys write ${G}/p/cgroup.subtree_control +cpuset
      sys mkdir ${G}/p/c
      sys write ${G}/p/cpuset.mems 0-1
      sys write ${G}/p/c/cpuset.mems 1-2 -> 0
      sys read ${G}/p/c/cpuset.mems -> value 1-2
      sys read ${G}/p/c/cpuset.mems.effective -> value 1
      sys write ${G}/p/cpuset.mems 0,2
      sys read ${G}/p/c/cpuset.mems.effective -> value 2
      sys write ${G}/p/cpuset.mems 0
      sys read ${G}/p/c/cpuset.mems.effective -> value 0
      sys read ${G}/cpuset.mems.effective -> value 0-2
    `);
  });

  test('[CPS2] a task may use the effective mems of its group, and policies are made within them', () => {
    play(`
      ${inGroup('1-2')}
      T0 mems_allowed -> nodes 1,2
      T0 set_mempolicy bind 0 -> EINVAL
      T0 set_mempolicy bind 0,1 -> 0
      T0 get_mempolicy -> nodes 1
    `);
  });

  test('[CPS7] a group whose parent does not delegate follows the nearest one that is a cpuset', () => {
    play(`
      sys mkdir ${G}/p
      sys write ${G}/p/cpuset.mems 1
      sys mkdir ${G}/p/c
      sys move T0 ${G}/p/c
      T0 mems_allowed -> nodes 1
    `);
  });

  test('[CPS18] another cpuset rebinds policies where the mems are the same, and only another', () => {
    play(`
      sys mkdir ${G}/p
      sys mkdir ${G}/p/c
      T0 mmap R0 4 anon
      T0 set_mempolicy preferred_many+relative 1
      sys move T0 ${G}/p/c -> 0
      T0 get_mempolicy -> mode preferred_many; flags relative; nodes 0,1,2
      T0 set_mempolicy preferred_many+relative 1
      T0 mbind R0 0 4 preferred+static 1
      sys move T0 ${G}/p -> 0
      T0 get_mempolicy -> nodes 1
      T0 policy_at R0 0 -> nodes 1
      sys move T0 ${G}/p/c -> 0
      sys write ${G}/p/cgroup.subtree_control +cpuset -> 0
      T0 get_mempolicy -> nodes 0,1,2
      T0 policy_at R0 0 -> nodes 0,1,2
    `);
  });

  test('[CPS3] [ALC5] pages of a task land inside, the nearest node first', () => {
    play(`
      ${inGroup('1-2')}
      T0 mmap R0 4 anon
      T0 touch R0
      T0 where R0 -> nodes 1:4
      T0 set_mempolicy preferred 0 -> EINVAL
      T0 mbind R0 0 4 preferred 2 move
      T0 where R0 -> nodes 2:4
    `);
  });
});

describe('a change of mems', () => {
  test('[CPS4] moves pages along, node by node', () => {
    const { kernel } = play(`
      ${inGroup('0-1')}
      T0 mmap R0 8 anon
      T0 mbind R0 0 4 bind 0
      T0 mbind R0 4 4 bind 1
      T0 touch R0
      sys write ${G}/a/cpuset.mems 1-2
      T0 where R0 0 4 -> nodes 1:4
      T0 where R0 4 4 -> nodes 2:4
      T0 policy_at R0 0 -> nodes 1
      T0 policy_at R0 4 -> nodes 2
      T0 madvise R0 0 8 dontneed
      T0 touch R0
      T0 where R0 -> nodes 1:4 2:4
    `);
    expect(kernel.moves.rows().every((row) => row.cause === 'cpuset')).toBe(true);
  });

  test('[POL10] [POL11] [POL12] rebinds the policy of the task by its flags', () => {
    const spread = (policy: string, from: string, to: string): unknown =>
      play(`
        ${inGroup(from)}
        T0 set_mempolicy ${policy}
        sys write ${G}/a/cpuset.mems ${to}
        T0 mmap R0 6 anon
        T0 touch R0
        T0 where R0
      `).last['counts'];
    expect(spread('interleave 0,1', '0-1', '1-2')).toEqual({ 1: 3, 2: 3 });
    expect(spread('interleave 0,1', '0-1', '2')).toEqual({ 2: 6 });
    expect(spread('interleave+static 0,1', '0-1', '1-2')).toEqual({ 1: 6 });
    expect(spread('interleave+relative 0,2', '0-1', '0-2')).toEqual({ 0: 3, 2: 3 });
    expect(spread('preferred 0', '0-1', '1-2')).toEqual({ 1: 6 });
  });

  test('[CPS6] moving a task does the same, and the root takes it back without moving pages', () => {
    play(`
      sys mkdir ${G}/a
      sys write ${G}/a/cpuset.mems 2
      T0 mmap R0 4 anon
      T0 touch R0
      sys move T0 ${G}/a
      T0 where R0 -> nodes 2:4
      sys move T0 ${G}
      T0 where R0 -> nodes 2:4
      T0 mems_allowed -> nodes 0,1,2
    `);
  });

  test('[CPS6] children forked afterwards are in the group, those forked before are not', () => {
    play(`
      fork T0 T1
      ${inGroup('1')}
      fork T0 T2
      T1 mems_allowed -> nodes 0,1,2
      T2 mems_allowed -> nodes 1
      sys write ${G}/a/cpuset.mems 0
      T2 mems_allowed -> nodes 0
    `);
  });
});

describe('requests that a cpuset keeps off', () => {
  test('[ALC10] kernel pages go outside when nothing inside will do', () => {
    const { kernel } = play(`
      ${inGroup('2')}
      T0 mmap R0 4 anon
      T0 touch R0 -> 0
      T0 where R0 -> nodes 2:4
    `);
    const tables = [...(kernel.tasks[0]?.mm.pageTable.tableFrames() ?? [])];
    expect(tables.every((f) => kernel.allocator.nidOf(f) === 0)).toBe(true);
  });

  test('[ALC5] [EXH2] user pages do not, though the rest of memory is empty', () => {
    play(`
      ${inGroup('2')}
      T0 mmap R0 20000 anon
      T0 touch R0 0 16000
      T0 where R0 0 16000 -> nodes 2:16000
      T0 touch R0 16000 4000 -> KILLED
    `);
  });

  test('[OOM2] [ALC9] a gate on every node inside makes the OOM killer choose', () => {
    const { kernel } = play(
      `
      sys mkdir ${G}/a
      sys write ${G}/a/cpuset.mems 2
      T0 mmap R0 4 anon
      sys mkdir ${G}/b
      sys write ${G}/b/cpuset.mems 0-1
      fork T0 T1
      sys move T0 ${G}/b
      sys move T1 ${G}/a
      T1 touch R0 -> KILLED
      T1 touch R0 -> DEAD
      T0 touch R0 -> 0
    `,
      { design: findDesign('allocator-gate') },
    );
    expect(kernel.mem.stat.eventCounts().oom_kill).toBe(1);
    expect(kernel.log.join()).toContain('killed T1');
  });

  test('[OOM1] of tasks that share nodes with the one that asks, the largest dies', () => {
    const { kernel } = play(
      `
      sys mkdir ${G}/a
      T0 mmap R0 64 anon
      fork T0 T1
      fork T0 T2
      T1 touch R0 0 40
      T0 touch R0 0 60
      sys move T1 ${G}/a
      sys move T2 ${G}/a
      sys write ${G}/a/cpuset.mems 2
      T2 touch R0 0 1 -> KILLED
      sys tasks
    `,
      { design: findDesign('allocator-gate') },
    );
    // T0 may use node 2 as well as T1, and has most pages; it helps nobody, so the others follow.
    expect(kernel.tasks.map((t) => `${t.name} ${t.end ?? 'lives'}`)).toEqual([
      'T0 SIGKILL',
      'T1 SIGKILL',
      'T2 SIGKILL',
    ]);
    expect(kernel.mem.stat.eventCounts().oom_kill).toBe(3);
  });

  test('[OOM3] a request with a nodemask spares tasks that are bound elsewhere, however large', () => {
    play(`
      T0 mmap R0 20000 anon
      fork T0 T1
      fork T0 T2
      T1 set_mempolicy bind 0
      T1 touch R0
      T2 set_mempolicy bind 2
      T2 touch R0 -> KILLED
      T1 touch R0 -> 0
    `);
  });

  test('[OOM3] and takes tasks of no policy first where they are larger, though that helps nobody', () => {
    const { kernel } = play(`
      T0 mmap R0 20000 anon
      fork T0 T1
      T1 cpu 2
      T1 touch R0
      T0 set_mempolicy bind 2
      T0 touch R0 -> KILLED
      T1 touch R0 -> DEAD
    `);
    expect(kernel.mem.stat.eventCounts().oom_kill).toBe(2);
  });

  test('[OOM3] a mask of all memory confines nobody: then it is the cpusets that count', () => {
    const kill = (nodes: string) =>
      play(`
      sys mkdir ${G}/a
      sys mkdir ${G}/b
      sys write ${G}/a/cpuset.mems 2
      sys write ${G}/b/cpuset.mems 0-1
      T0 mmap R0 20000 shared
      T0 mbind R0 0 20000 bind ${nodes}
      T0 mmap R1 30000 anon
      fork T0 T1
      fork T0 T2
      sys move T1 ${G}/a
      sys move T2 ${G}/b
      T2 touch R1
      T1 touch R0 -> KILLED
      sys tasks`).kernel.tasks.map((t) => t.isAlive);
    expect(kill('0-2')[2]).toBe(true);
    expect(kill('1-2')[2]).toBe(false);
  });

  test('[FRM1] a page that two tasks share is freed with the last, even in the midst of its copy', () => {
    const { kernel } = play(`
      T0 mmap R0 3000 anon
      T0 mbind R0 0 3000 bind 2
      T0 touch R0
      fork T0 T1
      T0 mmap R1 16000 anon
      T0 mbind R1 0 16000 bind 2
      T0 touch R1 0 12000
      T1 touch R0 -> 0
      T0 touch R0 -> DEAD
    `);
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[EXH2] the task that asked goes on when another one was killed for it', () => {
    play(`
      T0 mmap R0 20000 anon
      fork T0 T1
      T1 set_mempolicy bind 2
      T1 touch R0 0 16000
      T0 set_mempolicy bind 2
      T0 touch R0 0 8000 -> 0
      T0 where R0 0 8000 -> nodes 2:8000
      T1 touch R0 -> DEAD
    `);
  });

  test('[FLT6] a cpuset of Movable memory only is noted, and its user pages fail at once elsewhere', () => {
    const { kernel } = play(`${inGroup('2')}T0 mems_allowed -> nodes 2`);
    expect(kernel.allocator.cpusetsInsane).toBe(true);
    expect(play(`${inGroup('1')}T0 mems_allowed`).kernel.allocator.cpusetsInsane).toBe(false);
  });
});

describe('exhaustion', () => {
  /** Touches as many pages as there are for the asking. */
  const fill = (options: Parameters<typeof play>[1]) => {
    const over = play('T0 mmap R0 90000 anon\nT0 touch R0 -> KILLED', options);
    const most = over.last['touched'] as number;
    return play(`T0 mmap R0 90000 anon\nT0 touch R0 0 ${most} -> 0\nT0 where R0`, options);
  };

  test('[EXH1] the nodes of the list are used one after another, each down to its low mark, then to min', () => {
    const { kernel, last } = fill({});
    const { zones } = kernel.mem;
    for (let z = 0; z < zones.nr; z++) {
      const reserve = zones.lowmemReserve[z * MAX_NR_ZONES + ZONE_MOVABLE] as number;
      expect(zones.free[z]).toBeLessThanOrEqual((zones.wmarkMin[z] as number) + reserve);
    }
    const order = (last['where'] as [number, number][])
      .filter(([node, n]) => typeof node === 'number' && n > 100)
      .map(([node]) => node);
    const firsts = [...new Set(order)];
    expect(firsts).toEqual([0, 1, 2]);
  });

  test('[EXH1] under designs that isolate it, the device is not used even then', () => {
    for (const id of ['allocator-gate', 'zonelist', 'limited-node']) {
      for (const machine of [bench(), bootDevice()]) {
        const { session } = fill({ machine, design: findDesign(id) });
        const nodes = session.placements().flatMap((row) => [...row.byNode.keys()]);
        expect(new Set(nodes), id).toEqual(new Set([0, 1]));
      }
    }
  });
});
