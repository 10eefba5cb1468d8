// The tree of control groups: who has cpuset files, who may hand the controller on, where tasks may
// go.
import { expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import { checkAll } from '../checkers/index.ts';

const G = '/sys/fs/cgroup';

test('[CGR1] a group has cpuset files only while its parent hands the controller on', () => {
  play(`
    sys read ${G}/cpuset.mems.effective -> value 0-2
    sys write ${G}/cpuset.mems 0 -> ENOENT
    sys mkdir ${G}/p
    sys mkdir ${G}/p/c
    sys read ${G}/p/cpuset.mems -> 0
    sys read ${G}/p/c/cpuset.mems -> ENOENT
    sys write ${G}/p/c/cpuset.mems 1 -> ENOENT
    sys write ${G}/p/cgroup.subtree_control +cpuset -> 0
    sys write ${G}/p/c/cpuset.mems 1 -> 0
    sys write ${G}/p/cgroup.subtree_control -cpuset -> 0
    sys read ${G}/p/c/cpuset.mems -> ENOENT
    sys write ${G}/p/cgroup.subtree_control +cpuset -> 0
    sys read ${G}/p/c/cpuset.mems.effective -> value 0-2
  `);
});

test.each([
  ['the word is no controller of ours', '', 'p', '+pids', 'EINVAL'],
  ['the parent does not hand that one on', '', 'p', '+memory', 'ENOENT'],
  ['the parent does not hand it on', `sys mkdir ${G}/p/c`, 'p/c', '+cpuset', 'ENOENT'],
  ['it does so already', `sys write ${G}/p/cgroup.subtree_control +cpuset`, 'p', '+cpuset', '0'],
  ['it does not do so', '', 'p', '-cpuset', '0'],
  ['there are tasks, but no children', `sys move T0 ${G}/p`, 'p', '+cpuset', '0'],
  [
    'there are tasks beside a child with tasks',
    `sys mkdir ${G}/p/c\nsys move T0 ${G}/p/c\nfork T0 T1\nsys move T1 ${G}/p`,
    'p',
    '+cpuset',
    'EBUSY',
  ],
  [
    'a child hands it on itself',
    `sys write ${G}/p/cgroup.subtree_control +cpuset\nsys mkdir ${G}/p/c\n` +
      `sys write ${G}/p/c/cgroup.subtree_control +cpuset`,
    'p',
    '-cpuset',
    'EBUSY',
  ],
  [
    'a group above has tasks and hands it on',
    `sys mkdir ${G}/p/c\nsys move T0 ${G}/p\nsys write ${G}/p/cgroup.subtree_control +cpuset`,
    'p/c',
    '+cpuset',
    'EOPNOTSUPP',
  ],
])('[CGR2] handing the controller on where %s', (_where, before, group, word, result) => {
  play(`
    sys mkdir ${G}/p
    ${before}
    sys write ${G}/${group}/cgroup.subtree_control ${word} -> ${result}
  `);
});

test('[CGR3] no task goes below tasks of a group that hands the controller on, nor beside them', () => {
  play(`
    sys mkdir ${G}/p
    sys mkdir ${G}/p/c
    fork T0 T1
    sys move T0 ${G}/p
    sys write ${G}/p/cgroup.subtree_control +cpuset
    sys move T1 ${G}/p/c -> EOPNOTSUPP
    sys move T0 ${G}
    sys move T1 ${G}/p/c -> 0
    sys move T0 ${G}/p -> EBUSY
  `);
});

test('[CPS7] [CGR1] tasks follow the nearest cpuset above as it comes and goes', () => {
  const { kernel } = play(`
    sys mkdir ${G}/p
    sys write ${G}/p/cpuset.mems 0-1
    sys mkdir ${G}/p/c
    sys move T0 ${G}/p/c
    T0 mems_allowed -> nodes 0,1
    sys write ${G}/p/cgroup.subtree_control +cpuset
    sys write ${G}/p/c/cpuset.mems 1
    T0 mmap R0 4 anon
    T0 touch R0
    T0 mems_allowed -> nodes 1
    sys write ${G}/p/cgroup.subtree_control -cpuset
    T0 mems_allowed -> nodes 0,1
    T0 where R0 -> nodes 1:4
  `);
  expect(checkAll(kernel)).toEqual([]);
});
