// cpusets of version 1: what may be written, who may move in, and what a change does to tasks,
// policies and pages.
import { describe, expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import { checkAll } from '../checkers/index.ts';

const C = '/cpuset';

/** A group with CPUs 0 and 1 and mems. */
const group = (name: string, mems: string, cpus = '0-1'): string => `
  sys mkdir ${C}/${name}
  sys write ${C}/${name}/cpuset.cpus ${cpus}
  sys write ${C}/${name}/cpuset.mems ${mems}
`;

describe('a group within its parent', () => {
  test('[CPS9] has what it was told, and nothing that the parent has not', () => {
    const { kernel } = play(`
      ${group('p', '0-1')}
      sys mkdir ${C}/p/c
      sys read ${C}/p/c/cpuset.mems -> value ""
      sys read ${C}/p/c/cpuset.effective_mems -> value ""
      sys write ${C}/p/c/cpuset.mems 1 -> 0
      sys write ${C}/p/c/cpuset.cpus 1 -> 0
      sys read ${C}/p/c/cpuset.effective_mems -> value 1
      sys read ${C}/p/c/cpuset.effective_cpus -> value 1
      sys write ${C}/p/c/cpuset.mems 1-2 -> EACCES
      sys write ${C}/p/c/cpuset.cpus 1-2 -> EACCES
      sys write ${C}/p/cpuset.mems 0 -> EBUSY
      sys write ${C}/p/cpuset.cpus 0 -> EBUSY
      sys write ${C}/p/cpuset.mems 0-2 -> 0
      sys write ${C}/p/c/cpuset.mems 1-2 -> 0
      sys read ${C}/cpuset.mems -> value 0-2
      sys read ${C}/cpuset.cpus -> value 0-4
    `);
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[CPS10] is exclusive only in a parent that is, and takes that from the parent', () => {
    play(`
      ${group('p', '0-1')}
      ${group('p/c', '0', '0')}
      sys write ${C}/p/c/cpuset.mem_exclusive 1 -> EACCES
      sys write ${C}/p/c/cpuset.cpu_exclusive 1 -> EACCES
      sys write ${C}/p/cpuset.mem_exclusive 1 -> 0
      sys write ${C}/p/c/cpuset.mem_exclusive 1 -> 0
      sys write ${C}/p/cpuset.mem_exclusive 0 -> EBUSY
      sys write ${C}/cpuset.mem_exclusive 0 -> EBUSY
      sys write ${C}/p/c/cpuset.mem_exclusive 0
      sys write ${C}/p/cpuset.mem_exclusive 0 -> 0
      sys write ${C}/cpuset.cpu_exclusive 0 -> 0
    `);
  });

  test.each([
    ['mem', 'mems', '0', '1', '0-1'],
    ['cpu', 'cpus', '0', '1', '0-1'],
  ])('[CPS10] a %s_exclusive group shares no %s with a sibling', (kind, list, own, other, both) => {
    play(`
      sys mkdir ${C}/a
      sys mkdir ${C}/b
      sys write ${C}/a/cpuset.${list} ${own}
      sys write ${C}/b/cpuset.${list} ${both} -> 0
      sys write ${C}/a/cpuset.${kind}_exclusive 1 -> EINVAL
      sys read ${C}/a/cpuset.${kind}_exclusive -> value 0
      sys write ${C}/b/cpuset.${list} ${other}
      sys write ${C}/a/cpuset.${kind}_exclusive 1 -> 0
      sys read ${C}/a/cpuset.${kind}_exclusive -> value 1
      sys write ${C}/b/cpuset.${list} ${both} -> EINVAL
      sys write ${C}/a/cpuset.${list} ${both} -> EINVAL
      sys read ${C}/a/cpuset.${list} -> value ${own}
    `);
  });
});

describe('tasks and groups', () => {
  test('[CPS14] a group without CPUs or without mems takes no task; one with tasks keeps them', () => {
    play(`
      sys mkdir ${C}/a
      sys move T0 ${C}/a -> ENOSPC
      sys write ${C}/a/cpuset.cpus 0
      sys move T0 ${C}/a -> ENOSPC
      sys write ${C}/a/cpuset.mems 1
      sys move T0 ${C}/a -> 0
      T0 mems_allowed -> nodes 1
      sys write ${C}/a/cpuset.mems "" -> ENOSPC
      sys write ${C}/a/cpuset.cpus "" -> ENOSPC
      sys rmdir ${C}/a -> EBUSY
      sys move T0 ${C}
      T0 mems_allowed -> nodes 0,1,2
      sys write ${C}/a/cpuset.mems "" -> 0
      sys move T0 ${C}/a -> ENOSPC
      sys rmdir ${C}/a -> 0
    `);
  });

  test('[CPS14] tasks in a group below count too', () => {
    play(`
      ${group('p', '1')}
      ${group('p/c', '1')}
      sys move T0 ${C}/p/c
      sys write ${C}/p/c/cpuset.mems "" -> ENOSPC
      sys rmdir ${C}/p -> EBUSY
    `);
  });

  test('[CPS15] tasks run on the CPUs of their group', () => {
    const { kernel } = play(`
      ${group('a', '0-1', '1-2')}
      sys move T0 ${C}/a
      T0 cpu 0 -> EINVAL
      T0 cpu 2 -> cpu 2; node 1
      sys write ${C}/a/cpuset.cpus 1
      T0 cpu 2 -> EINVAL
      T0 mmap R0 4 anon
      T0 touch R0
      T0 where R0 -> nodes 0:4
      sys move T0 ${C}
      T0 cpu 4 -> 0
    `);
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[CPS15] a task whose CPU stays allowed stays on it', () => {
    const { kernel } = play(`
      ${group('a', '0-1', '1-2')}
      T0 cpu 2
      sys move T0 ${C}/a
      sys write ${C}/a/cpuset.cpus 2-3
    `);
    expect(kernel.tasks[0]?.cpu).toBe(2);
  });

  test('[CPS6] a task that writes 0 to tasks or cgroup.procs moves itself', () => {
    play(`
      ${group('a', '2')}
      fork T0 T1
      T1 swrite ${C}/a/tasks 0 -> 0
      T1 mems_allowed -> nodes 2
      T0 mems_allowed -> nodes 0,1,2
      T1 swrite ${C}/cgroup.procs 0 -> 0
      T1 mems_allowed -> nodes 0,1,2
      T1 swrite ${C}/a/tasks x -> EINVAL
      T1 swrite ${C}/b/tasks 0 -> ENOENT
    `);
    expect(() => play(`T0 swrite ${C}/tasks 17`)).toThrow(/not modelled|process ids/);
  });
});

describe('a change of mems', () => {
  const spread = (flag: string): unknown =>
    play(`
      ${group('a', '0-1')}
      sys write ${C}/a/cpuset.memory_migrate ${flag}
      sys move T0 ${C}/a
      T0 mmap R0 8 anon
      T0 set_mempolicy interleave 0,1
      T0 touch R0 0 4
      sys write ${C}/a/cpuset.mems 1-2
      T0 get_mempolicy -> nodes 1,2
      T0 touch R0 4 4
      T0 where R0
    `).last['counts'];

  test('[CPS11] rebinds policies always and moves pages only under memory_migrate', () => {
    expect(spread('0')).toEqual({ 0: 2, 1: 4, 2: 2 });
    expect(spread('1')).toEqual({ 1: 4, 2: 4 });
  });

  const moved = (from: string, to: string): unknown =>
    play(`
      ${group('a', '0')}
      ${group('b', '2')}
      sys write ${C}/a/cpuset.memory_migrate ${from}
      sys write ${C}/b/cpuset.memory_migrate ${to}
      sys move T0 ${C}/a
      T0 mmap R0 4 anon
      T0 touch R0
      sys move T0 ${C}/b
      T0 where R0
    `).last['counts'];

  test('[CPS11] a task that moves takes its pages along if the group it goes to says so', () => {
    expect(moved('1', '0')).toEqual({ 0: 4 });
    expect(moved('0', '1')).toEqual({ 2: 4 });
  });

  test('[CPS11] pages left behind stay there, however the flag is set later', () => {
    play(`
      ${group('a', '0')}
      sys move T0 ${C}/a
      T0 mmap R0 4 anon
      T0 touch R0
      sys write ${C}/a/cpuset.mems 1
      sys write ${C}/a/cpuset.memory_migrate 1
      sys write ${C}/a/cpuset.mems 2
      T0 where R0 -> nodes 0:4
    `);
  });
});

describe('moving where the mems stay the same', () => {
  const shownAfter = (to: string): unknown => {
    const { kernel } = play(`
      ${group('a', '0-2')}
      ${group('b', '0-2')}
      sys move T0 ${C}/a
      T0 set_mempolicy preferred+static 1
      T0 mmap R0 4 anon
      T0 mbind R0 0 4 preferred+relative 2
      sys move T0 ${C}/${to}
      T0 get_mempolicy
    `);
    const [task] = kernel.tasks;
    return [String(task?.mempolicy?.stored), String(task?.mm.vmas.at(-1)?.policy?.stored)];
  };

  test('[CPS18] rebinds policies, of the task and of its areas', () => {
    expect(shownAfter('b')).toEqual(['0-2', '0-2']);
  });

  test('[CPS18] and does nothing where the task is there already', () => {
    expect(shownAfter('a')).toEqual(['1', '2']);
  });
});

describe('a hard wall', () => {
  const tablesOn = (flags: string): readonly number[] => {
    const { kernel } = play(`
      ${group('p', '1-2')}
      ${group('p/c', '2')}
      ${flags}
      sys move T0 ${C}/p/c
      T0 mmap R0 4 anon
      T0 touch R0 -> 0
      T0 where R0 -> nodes 2:4
    `);
    const frames = [...(kernel.tasks[0]?.mm.pageTable.tableFrames() ?? [])];
    return [...new Set(frames.map((f) => Number(kernel.allocator.nidOf(f))))].sort();
  };

  test('[CPS12] keeps requests of the kernel inside the nearest group that has one', () => {
    expect(tablesOn('')).toEqual([0]);
    expect(tablesOn(`sys write ${C}/p/cpuset.mem_hardwall 1`)).toEqual([0, 1]);
    expect(tablesOn(`sys write ${C}/p/cpuset.mem_exclusive 1`)).toEqual([0, 1]);
  });

  test('[CPS12] around nothing but Movable memory leaves the kernel no page', () => {
    const text = `
      ${group('a', '2')}
      sys write ${C}/a/cpuset.mem_hardwall 1
      sys move T0 ${C}/a
      T0 mmap R8 4 anon
      T0 touch R8
    `;
    expect(play(text).last.ret).toBe('KILLED');
    const open = text.replace('mem_hardwall 1', 'mem_hardwall 0');
    expect(play(open).last).toMatchObject({ ret: 0, touched: 4 });
  });
});

describe('files', () => {
  test.each([
    ['mems of the root', `sys write ${C}/cpuset.mems 0`, 'EACCES'],
    ['cpus of the root', `sys write ${C}/cpuset.cpus 0`, 'EACCES'],
    ['a node without memory', `sys write ${C}/a/cpuset.mems 3`, 'EINVAL'],
    ['a CPU that is not there', `sys write ${C}/a/cpuset.cpus 0-5`, 'ERANGE'],
    ['a CPU that no machine has', `sys write ${C}/a/cpuset.cpus 70000`, 'ERANGE'],
    ['a list that is none', `sys write ${C}/a/cpuset.cpus 1-0`, 'EINVAL'],
    ['a number that no node has', `sys write ${C}/a/cpuset.mems 5000`, 'ERANGE'],
    ['a flag that is no number', `sys write ${C}/a/cpuset.mem_hardwall yes`, 'EINVAL'],
    ['effective mems', `sys write ${C}/a/cpuset.effective_mems 0`, 'EINVAL'],
    ['a group that is not there', `sys write ${C}/b/cpuset.mems 0`, 'ENOENT'],
    ['a group made twice', `sys mkdir ${C}/a`, 'EEXIST'],
    ['all CPUs', `sys write ${C}/a/cpuset.cpus all`, '0'],
    ['a hexadecimal flag', `sys write ${C}/a/cpuset.memory_spread_page 0x10`, '0'],
  ])('[CPS13] %s', (_what, line, result) => {
    play(`sys mkdir ${C}/a\n${line} -> ${result}`);
  });

  test('[CPS13] flags read as 0 or 1, and start at 0 but for sched_load_balance', () => {
    play(`
      sys mkdir ${C}/a
      sys read ${C}/a/cpuset.memory_migrate -> value 0
      sys read ${C}/a/cpuset.sched_load_balance -> value 1
      sys read ${C}/cpuset.mem_exclusive -> value 1
      sys write ${C}/a/cpuset.memory_spread_slab 010
      sys read ${C}/a/cpuset.memory_spread_slab -> value 1
      sys write ${C}/a/cpuset.memory_spread_slab 00
      sys read ${C}/a/cpuset.memory_spread_slab -> value 0
    `);
  });

  test('[CPS16] under clone_children a new group starts as its parent is, unless one is exclusive', () => {
    play(`
      ${group('p', '1-2')}
      sys write ${C}/p/cgroup.clone_children 1
      sys mkdir ${C}/p/c
      sys read ${C}/p/c/cpuset.mems -> value 1-2
      sys read ${C}/p/c/cpuset.effective_cpus -> value 0-1
      sys mkdir ${C}/p/c/d
      sys read ${C}/p/c/d/cpuset.mems -> value 1-2
      sys move T0 ${C}/p/c/d -> 0
      T0 mems_allowed -> nodes 1,2
      sys write ${C}/p/cpuset.cpu_exclusive 1
      sys write ${C}/p/c/cpuset.cpu_exclusive 1
      sys mkdir ${C}/p/e
      sys read ${C}/p/e/cpuset.mems -> value ""
      sys read ${C}/p/e/cgroup.clone_children -> value 1
    `);
  });

  test('[CPS17] a run has cpusets of one version', () => {
    for (const [first, second] of [
      [C, '/sys/fs/cgroup'],
      ['/sys/fs/cgroup', C],
    ]) {
      const text = `sys mkdir ${first}/a\nsys mkdir ${second}/a`;
      expect(() => play(text)).toThrow(/both cpuset hierarchies/);
    }
  });
});
