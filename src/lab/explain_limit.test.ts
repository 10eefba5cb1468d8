// What is told of the limit of a memory cgroup: whose it was, who was picked, and why.
import { expect, test } from 'vitest';
import { bench } from '../../test/support/play.ts';
import { stock } from '../designs/stock.ts';
import { parseScenario } from '../scenario/parser.ts';
import { deathWords, isToldByResult } from './deaths.ts';
import { explainPage } from './explain.ts';
import { Session } from './session.ts';

const G = '/sys/fs/cgroup';
/** T0 and T1 in a group `a` of 4 MiB, T1 with 800 pages of it; T2 outside. */
const text = (more: string): string => `task T0
  fork T0 T1
  fork T0 T2
  sys mkdir ${G}/a
  sys write ${G}/cgroup.subtree_control +memory
  sys write ${G}/a/memory.max 4M
  sys move T0 ${G}/a
  sys move T1 ${G}/a
  T1 mmap R1 800 anon
  T1 touch R1
  T0 mmap R0 2000 anon
  ${more}`;
const scenarioOf = (more: string) => parseScenario(text(more), { file: 'test.cdm' });

test('[EXP4] a step tells whose limit it hit, who was picked of how many, and of a group that dies', () => {
  const lines = (more: string): string[] => {
    const session = new Session({ machine: bench(), design: stock, scenario: scenarioOf(more) });
    return session
      .finish()
      .flatMap(({ deaths, op }) => deaths.filter((d) => !isToldByResult(d, op.act)))
      .map(deathWords);
  };
  expect(lines('T0 touch R0 0 600')).toEqual([
    'T1 killed by the OOM killer: group /a is at its limit of 1024 pages (memory.max), and T0 ' +
      'asked for more; of 2 tasks that may be taken it has most, 808 pages',
  ]);
  const own = lines('T1 exit\n  T0 touch R0');
  expect(own).toEqual([expect.stringMatching(/^T0 killed .* group \/a .*; no other task may be/)]);
  const together = lines(`sys write ${G}/a/memory.oom.group 1\n  T0 touch R0`);
  expect(together.length).toBe(2);
  expect(together.join()).toMatch(/T0 killed with group \/a, whose tasks die together/);
  const set = lines(`sys write ${G}/a/memory.max 1M`);
  expect(set.join()).toMatch(/T1 .* limit of 256 pages \(memory.max\), which has just been set/);
});

test('[EXP4] an explanation of a page that never came names the group, not the walk', () => {
  const { words } = explainPage({
    machine: bench(),
    design: stock,
    scenario: scenarioOf('T1 exit\n  T0 touch R0'),
    region: 'R0',
    index: 1900,
    task: 'T0',
  });
  expect(words).toMatch(/ended in KILLED at page \d+ of the region, before it came to this one\./);
  expect(words).toMatch(/group \/a is at its limit of 1024 pages \(memory\.max\)/);
  expect(words).not.toMatch(/What that page met/);
});

test('[EXP4] where memory itself ends no group is named', () => {
  const { words } = explainPage({
    machine: bench(),
    design: stock,
    scenario: parseScenario('task T0\n  T0 mmap R0 200000 anon\n  T0 touch R0', {
      file: 'test.cdm',
    }),
    region: 'R0',
    index: 199_999,
  });
  expect(words).toMatch(/ended in KILLED/);
  expect(words).not.toMatch(/memory\.max/);
});
