// What the calls answer to wrong arguments, row by row: one line of the operation language, one
// result. Nodes of the machine: 0-2 have memory, 3 has a CPU only, 7 is possible and empty.
import { describe, expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import { setHomeNode } from './mempolicy_calls.ts';

type Row = readonly [line: string, result: string];

const SETUP = 'T0 mmap R0 32 anon\nT0 touch R0 0 8\nT0 read R0 8 4\n';

/** Plays a line after the setup and other lines. */
const answer = (line: string, before = ''): string =>
  String(play(`${SETUP}${before}\n${line}`).last.ret);

const MODES: readonly Row[] = [
  ['default 0', 'EINVAL'],
  ['default empty', '0'],
  ['default none', '0'],
  ['default+static none', '0'],
  ['default+relative none', '0'],
  ['default+static+relative none', 'EINVAL'],
  ['local 0', 'EINVAL'],
  ['local empty', '0'],
  ['local none', '0'],
  ['local+static none', 'EINVAL'],
  ['local+relative empty', 'EINVAL'],
  ['preferred none', '0'],
  ['preferred empty', '0'],
  ['preferred+static empty', 'EINVAL'],
  ['preferred+relative none', 'EINVAL'],
  ['preferred 3', 'EINVAL'],
  ['preferred 7', 'EINVAL'],
  ['preferred 2', '0'],
  ['preferred 12,0', '0'],
  ['bind none', 'EINVAL'],
  ['bind empty', 'EINVAL'],
  ['bind 0', '0'],
  ['bind 3', 'EINVAL'],
  ['bind 0,3', '0'],
  ['bind 12', 'EINVAL'],
  ['bind 0,12', '0'],
  ['bind+static 7', 'EINVAL'],
  ['bind+relative 7', '0'],
  ['bind+static+relative 0', 'EINVAL'],
  ['bind+numa_balancing 0', '0'],
  ['bind+0x1000 0', 'EINVAL'],
  ['interleave none', 'EINVAL'],
  ['interleave empty', 'EINVAL'],
  ['interleave 3,7', 'EINVAL'],
  ['interleave 0,3', '0'],
  ['interleave+numa_balancing 0', 'EINVAL'],
  ['preferred_many none', 'EINVAL'],
  ['preferred_many empty', 'EINVAL'],
  ['preferred_many 3', 'EINVAL'],
  ['preferred_many 1,2', '0'],
  ['6 0', 'EINVAL'],
  ['99 0', 'EINVAL'],
  ['-1 0', 'EINVAL'],
  ['bind badptr', 'EFAULT'],
  ['preferred badptr', 'EFAULT'],
];

describe('set_mempolicy', () => {
  test.each(MODES)('[POL16] %s -> %s, and a refused call changes nothing', (args, result) => {
    const { steps } = play(`
      T0 set_mempolicy interleave 1
      T0 set_mempolicy ${args}
      T0 get_mempolicy
    `);
    expect(String(steps[1]?.result.ret)).toBe(result);
    if (result === '0') return;
    expect(steps[2]?.result).toMatchObject({ mode: 'interleave', nodes: [1] });
  });

  test.each([
    ['bind 0 maxnode=0', 'EINVAL'],
    ['bind 0 maxnode=1', 'EINVAL'],
    ['bind 0 maxnode=2', '0'],
    ['bind 1 maxnode=2', 'EINVAL'],
    ['bind 0,2 maxnode=2', '0'],
    ['bind 0 maxnode=32769', '0'],
    ['bind 0 maxnode=32770', 'EINVAL'],
    ['bind badptr maxnode=32770', 'EINVAL'],
    ['default badptr maxnode=1', '0'],
  ])('[POL16] masks count maxnode - 1 bits, a page of them at most: %s -> %s', (args, result) => {
    expect(answer(`T0 set_mempolicy ${args}`)).toBe(result);
  });

  test('[POL16] nodes beyond the number the kernel was built for are refused', () => {
    const options = { maxNodes: 64 };
    expect(play('T0 set_mempolicy bind 0,100', { options }).last.ret).toBe('EINVAL');
    expect(play('T0 set_mempolicy bind 0,100').last.ret).toBe(0);
    expect(play('T0 set_mempolicy bind 0,100 maxnode=65', { options }).last.ret).toBe(0);
  });
});

describe('mbind', () => {
  test.each(MODES)('[MBD6] %s -> %s, as for a task', (args, result) => {
    const { steps } = play(`
      T0 mmap R0 8 anon
      T0 mbind R0 0 8 interleave 1
      T0 mbind R0 0 8 ${args}
      T0 policy_at R0 0
    `);
    expect(String(steps[2]?.result.ret)).toBe(result);
    if (result === '0') return;
    expect(steps[3]?.result).toMatchObject({ mode: 'interleave', nodes: [1] });
  });

  const rows: readonly Row[] = [
    ['0 8 bind 0 addroff=1', 'EINVAL'],
    ['0 8 bind 0 addroff=4095', 'EINVAL'],
    ['0 0 bind 0', '0'],
    ['0 0 bind none', '0'],
    ['0 0 bind 0 addroff=1', 'EINVAL'],
    ['0 0 99 0', 'EINVAL'],
    ['0 33 bind 0', 'EFAULT'],
    ['0 8 bind 0 flags=0x10', 'EINVAL'],
    ['0 8 bind 0 flags=0x80', 'EINVAL'],
    ['0 8 bind 0 lazy', 'EINVAL'],
    ['0 8 default none strict', '0'],
    ['0 8 default none strict move', '0'],
    ['0 8 bind 0 strict', '0'],
    ['0 8 bind 1 strict', 'EIO'],
    ['0 8 bind 1 strict move', '0'],
    ['0 8 bind 1 moveall', '0'],
    ['8 8 bind 1 strict', '0'],
    ['0 8 bind 0 maxnode=40000', 'EINVAL'],
  ];
  test.each(rows)('[MBD6] [MBD1] %s -> %s', (args, result) => {
    expect(answer(`T0 mbind R0 ${args}`)).toBe(result);
  });

  test.each([
    ['T0 mbind R5 0 4 bind 0', 'EFAULT'],
    ['T0 mbind R5 0 4 default none', 'EFAULT'],
    ['T0 mbind R5 0 0 bind 0', '0'],
    ['T0 mbind R0 0 24 bind 0', 'EFAULT'],
    ['T0 mbind R0 0 24 default none', '0'],
    ['T0 mbind R0 8 8 bind 0', 'EFAULT'],
    ['T0 mbind R0 4 8 bind 0', 'EFAULT'],
    ['T0 mbind R0 12 8 bind 0', 'EFAULT'],
    ['T0 mbind R0 12 8 default none', '0'],
  ])('[MBD3] over the hole that munmap R0 8 8 leaves: %s -> %s', (line, result) => {
    expect(answer(line, 'T0 munmap R0 8 8')).toBe(result);
  });
});

describe('get_mempolicy', () => {
  test.each([
    ['0 1', 'EINVAL'],
    ['0 7', 'EINVAL'],
    ['0 8', '0'],
    ['0 0', '0'],
    ['8 1024', 'EINVAL'],
    ['5 1024', 'EINVAL'],
    ['6 1024', 'EINVAL'],
    ['4 1024', '0'],
    ['4 1024 R0 0', '0'],
    ['6 1024 R0 0', 'EINVAL'],
    ['0 1024 R0 0', 'EINVAL'],
    ['1 0 R0 0', 'EINVAL'],
    ['1 0', 'EINVAL'],
    ['2 1024 R0 0', '0'],
    ['2 0', 'EFAULT'],
    ['2 1024 R5 0', 'EFAULT'],
    ['3 0 R0 31', '0'],
    ['3 0 R0 32', 'EFAULT'],
  ])('[POL20] flags and mask size %s -> %s', (args, result) => {
    expect(answer(`T0 get_raw ${args}`)).toBe(result);
  });

  test('[POL20] the next node is told of interleaving tasks only', () => {
    play(`
      T0 next_node -> EINVAL
      T0 set_mempolicy interleave 1,2
      T0 next_node -> node 1
      T0 set_mempolicy bind 1,2
      T0 next_node -> EINVAL
    `);
  });
});

describe('set_mempolicy_home_node', () => {
  const bound = 'T0 mbind R0 0 8 bind 0\n';
  test.each([
    [bound, '0 8 0', '0'],
    [bound, '0 8 2', '0'],
    [bound, '0 8 3', '0'],
    [bound, '0 8 7', 'EINVAL'],
    [bound, '0 8 12', 'EINVAL'],
    [bound, '0 8 -1', 'EINVAL'],
    [bound, '0 8 0 flags=1', 'EINVAL'],
    [bound, '0 8 0 addroff=1', 'EINVAL'],
    [bound, '0 0 0', '0'],
    [bound, '0 0 7', 'EINVAL'],
    [bound, '0 32 0', '0'],
    [bound, '8 8 0', 'ENOENT'],
    ['', '0 8 0', 'ENOENT'],
    ['T0 mbind R0 0 8 preferred 0', '0 8 0', 'EOPNOTSUPP'],
    ['T0 mbind R0 0 8 interleave 0', '0 8 0', 'EOPNOTSUPP'],
    ['T0 mbind R0 0 8 local none', '0 8 0', 'EOPNOTSUPP'],
    ['T0 mbind R0 0 8 preferred_many 0', '0 8 0', '0'],
    [`${bound}T0 mbind R0 8 8 interleave 0`, '0 16 0', 'EOPNOTSUPP'],
  ])('[HOM1] after %j: %s -> %s', (before, args, result) => {
    expect(answer(`T0 set_home R0 ${args}`, before)).toBe(result);
  });

  test('[HOM1] areas before the one that refuses have their home node', () => {
    const { kernel } = play(`
      T0 mmap R0 16 anon
      T0 mbind R0 0 8 bind 0,1
      T0 mbind R0 8 8 preferred 0
      T0 set_home R0 0 16 1 -> EOPNOTSUPP
    `);
    const task = kernel.tasks[0];
    const bindArea = task?.mm.vmas.find((vma) => vma.policy?.homeNode === 1);
    expect(bindArea?.policy?.describe()).toBe('bind 0-1 home 1');
    if (task === undefined) return;
    const nowhere = { startVpn: 7, addressOffsetBytes: 0, nrPages: 3, node: 0, flags: 0 };
    expect(setHomeNode(kernel, task, nowhere)).toBe(-2);
  });
});

describe('move_pages', () => {
  test.each([
    ['0 4 7', 'ENODEV', 'unset,unset,unset,unset'],
    ['0 4 3', 'ENODEV', 'unset,unset,unset,unset'],
    ['0 4 12', 'ENODEV', 'unset,unset,unset,unset'],
    ['0 4 -1', 'ENODEV', 'unset,unset,unset,unset'],
    ['0 4 0,12', 'ENODEV', '0,unset,unset,unset'],
    ['0 4 1,12', 'ENODEV', '1,unset,unset,unset'],
    ['6 4 1', '0', '1,1,EFAULT,EFAULT'],
    ['10 4 1', '0', 'EFAULT,EFAULT,EFAULT,EFAULT'],
    ['30 4 0', '0', 'EFAULT,EFAULT,EFAULT,EFAULT'],
    ['0 2 0 flags=0', '0', '0,0'],
    ['0 2 0 flags=1', 'EINVAL', 'unset,unset'],
    ['0 2 0 flags=8', 'EINVAL', 'unset,unset'],
    ['0 0 0', '0', ''],
    ['0 2 0 pid=T5', 'ESRCH', 'unset,unset'],
    ['0 4 0,1,2', '0', '0,1,2,0'],
  ])('[MIG6] [MIG4] %s -> %s, %s', (args, result, status) => {
    const { last } = play(`${SETUP}T0 move_pages R0 ${args}`);
    expect(String(last.ret)).toBe(result);
    const values = (last['status'] as [unknown, number][]).flatMap(([item, n]) =>
      Array.from({ length: n }, () => item).flat(),
    );
    expect(values.join()).toBe(status);
  });
});

describe('migrate_pages', () => {
  test.each([
    ['0 1', '0'],
    ['0 0', '0'],
    ['0 7', 'EINVAL'],
    ['0 12', 'EINVAL'],
    ['0 3', 'EINVAL'],
    ['0 0,12', '0'],
    ['0 empty', 'EINVAL'],
    ['0 none', 'EINVAL'],
    ['empty 0', '0'],
    ['12 0', '0'],
    ['badptr 0', 'EFAULT'],
    ['0 badptr', 'EFAULT'],
    ['0 0 maxnode=40000', 'EINVAL'],
    ['0 1 pid=T5', 'ESRCH'],
    ['badptr 1 pid=T5', 'EFAULT'],
  ])('[MIG6] %s -> %s', (args, result) => {
    expect(answer(`T0 migrate_pages ${args}`)).toBe(result);
  });
});

describe('madvise and mlock', () => {
  const shared = 'T0 mmap R1 8 shared\nT0 touch R1\n';
  test.each([
    ['', 'madvise R0 0 8 dontneed', '0'],
    ['', 'madvise R0 0 0 dontneed', '0'],
    ['', 'madvise R5 0 4 dontneed', 'ENOMEM'],
    ['', 'madvise R0 28 8 dontneed', 'ENOMEM'],
    ['T0 munmap R0 8 8', 'madvise R0 0 32 dontneed', 'ENOMEM'],
    ['T0 mlock R0 0 8', 'madvise R0 0 8 dontneed', 'EINVAL'],
    ['T0 mlock R0 0 8', 'madvise R0 0 8 free', 'EINVAL'],
    ['', 'madvise R0 0 8 free', '0'],
    [shared, 'madvise R1 0 8 free', 'EINVAL'],
    ['', 'madvise R0 0 8 remove', 'EINVAL'],
    [shared, 'madvise R1 0 8 remove', '0'],
    [`${shared}T0 mlock R1 0 8`, 'madvise R1 0 8 remove', 'EINVAL'],
    ['', 'madvise R0 0 8 wipeonfork', '0'],
    [shared, 'madvise R1 0 8 wipeonfork', 'EINVAL'],
    [shared, 'madvise R1 0 8 dontfork', '0'],
    ['', 'madvise R0 0 32 populate_read', '0'],
    ['', 'madvise R0 30 4 populate_write', 'ENOMEM'],
    ['', 'mlock R0 0 32', '0'],
    ['', 'mlock R0 30 4', 'ENOMEM'],
    ['', 'mlock R5 0 4', 'ENOMEM'],
    ['', 'munlock R0 0 32', '0'],
    ['', 'munlock R0 30 4', 'ENOMEM'],
  ])('[VMA3] after %j: %s -> %s', (before, line, result) => {
    expect(answer(`T0 ${line}`, before)).toBe(result);
  });

  test('[VMA3] a hole in the middle does not keep the areas behind it from being emptied', () => {
    play(`
      T0 mmap R0 8 anon
      T0 touch R0
      T0 munmap R0 3 2
      T0 madvise R0 0 8 dontneed -> ENOMEM
      T0 where R0 -> nodes EFAULT:8
    `);
  });
});

describe('cgroup files', () => {
  const G = '/sys/fs/cgroup';
  const group = `sys mkdir ${G}/a\nsys move T0 ${G}/a\n`;
  test.each([
    ['', `mkdir ${G}/a/b`, 'ENOENT'],
    [`sys mkdir ${G}/a\n`, `mkdir ${G}/a`, 'EEXIST'],
    ['', `rmdir ${G}/a`, 'ENOENT'],
    ['', `rmdir ${G}`, 'EBUSY'],
    [group, `rmdir ${G}/a`, 'EBUSY'],
    [`sys mkdir ${G}/a\nsys mkdir ${G}/a/b\n`, `rmdir ${G}/a`, 'EBUSY'],
    [`${group}sys move T0 ${G}\n`, `rmdir ${G}/a`, '0'],
    ['', `write ${G}/cpuset.mems 0`, 'ENOENT'],
    ['', `write ${G}/a/cpuset.mems 0`, 'ENOENT'],
    [group, `write ${G}/a/cpuset.mems 0-2`, '0'],
    [group, `write ${G}/a/cpuset.mems 7`, '0'],
    [group, `write ${G}/a/cpuset.mems 12`, 'EINVAL'],
    [group, `write ${G}/a/cpuset.mems 2-1`, 'EINVAL'],
    [group, `write ${G}/a/cpuset.mems abc`, 'EINVAL'],
    [group, `write ${G}/a/cpuset.mems 1024`, 'ERANGE'],
    [`${group}sys write ${G}/a/cpuset.mems 1\n`, `write ${G}/a/cpuset.mems ""`, 'ENOSPC'],
    [group, `write ${G}/a/cpuset.mems ""`, '0'],
    [group, `write ${G}/a/cgroup.subtree_control +nothing`, 'EINVAL'],
    ['', `move T0 ${G}/nowhere`, 'ENOENT'],
    ['', `read ${G}/nowhere/cpuset.mems`, 'ENOENT'],
  ])('[CPS5] after %j: sys %s -> %s', (before, line, result) => {
    expect(answer(`sys ${line}`, before)).toBe(result);
  });

  test('[CNF2] files elsewhere are said to be missing', () => {
    expect(() => answer('sys write /proc/sys/vm/overcommit_memory 1')).toThrow(
      '/proc/sys/vm/overcommit_memory',
    );
  });
});
