// Random histories of a tree of cpusets of version 1: whatever is written and whoever moves, the
// judges find every group within its parent, alone where it claims to be, and its tasks inside.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bench } from '../../test/support/play.ts';
import { check } from '../../test/support/property.ts';
import { judge } from '../../test/support/workloads.ts';
import { stock } from '../designs/stock.ts';
import type { Act, Op } from '../scenario/ops.ts';
import { Runner } from '../scenario/runner.ts';

const NAMES = {
  tasks: { T0: 0, T1: 1, T2: 2 },
  regions: { R0: 0 },
};

const path = fc.constantFrom('/a', '/b', '/a/x', '/a/y', '').map((group) => `/cpuset${group}`);
const list = (most: number): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 6, arbitrary: fc.uniqueArray(fc.nat(most), { maxLength: 4 }).map((n) => n.join()) },
    { weight: 1, arbitrary: fc.constantFrom('0-2', 'x', '') },
  );
const flag = fc.constantFrom(
  'cpu_exclusive',
  'mem_exclusive',
  'mem_exclusive',
  'mem_hardwall',
  'memory_migrate',
);

const act: fc.Arbitrary<Act> = fc.oneof(
  fc
    .tuple(fc.constantFrom('mkdir' as const, 'mkdir' as const, 'rmdir' as const), path)
    .map(([verb, at]): Act => ({ on: 'sys', act: { verb, path: at } })),
  fc.tuple(path, list(3)).map(([at, value]): Act => written(`${at}/cpuset.mems`, value)),
  fc.tuple(path, list(4)).map(([at, value]): Act => written(`${at}/cpuset.cpus`, value)),
  fc
    .tuple(path, flag, fc.constantFrom('0', '1', '1'))
    .map(([at, name, value]): Act => written(`${at}/cpuset.${name}`, value)),
  fc
    .tuple(path, fc.constantFrom('0', '1'))
    .map(([at, value]): Act => written(`${at}/cgroup.clone_children`, value)),
  fc
    .tuple(fc.constantFrom('T0', 'T1', 'T2'), path)
    .map(([task, cgroup]): Act => ({ on: 'sys', act: { verb: 'move', task, cgroup } })),
  fc
    .tuple(fc.constantFrom('T0', 'T1', 'T2'), fc.nat(4))
    .map(([task, cpu]): Act => ({ on: 'task', task, act: { verb: 'cpu', cpu } })),
  fc.constantFrom('T0', 'T1', 'T2').map(
    (task): Act => ({
      on: 'task',
      task,
      act: { verb: 'touch', region: 'R0', offset: 0, nrPages: 8 },
    }),
  ),
);

const written = (at: string, value: string): Act => ({
  on: 'sys',
  act: { verb: 'write', path: at, value },
});

const opOf = (one: Act): Op => ({ act: one, text: JSON.stringify(one), expect: [] });

/** A region, two children, and groups a and b that take tasks. */
const START: readonly Act[] = [
  {
    on: 'task',
    task: 'T0',
    act: { verb: 'mmap', region: 'R0', nrPages: 8, kind: 'anon', shift: 0 },
  },
  { on: 'fork', parent: 'T0', child: 'T1' },
  { on: 'fork', parent: 'T0', child: 'T2' },
  ...['a', 'b', 'a/x'].flatMap((group): Act[] => [
    { on: 'sys', act: { verb: 'mkdir', path: `/cpuset/${group}` } },
    written(`/cpuset/${group}/cpuset.cpus`, group === 'b' ? '2-4' : '0-1'),
    written(`/cpuset/${group}/cpuset.mems`, group === 'b' ? '1-2' : '0-1'),
  ]),
  { on: 'sys', act: { verb: 'move', task: 'T0', cgroup: '/cpuset/a/x' } },
];

test('[CPS9] [CPS10] [CPS14] [CPS15] every group keeps to its parent and siblings, and tasks to it', () => {
  const machine = bench();
  check(fc.array(act, { minLength: 1, maxLength: 50 }), 60, (acts) => {
    const found = judge({ machine, design: stock }, NAMES, [...START, ...acts].map(opOf));
    if (found.length > 0) throw new Error(found.join('\n'));
  });
});

test('[CPS13] a write that is refused changes nothing', () => {
  const machine = bench();
  check(fc.array(act, { minLength: 1, maxLength: 40 }), 40, (acts) => {
    const runner = new Runner(machine, stock, NAMES);
    const { rootCpuset } = runner.kernel;
    const shown = (): string =>
      [...rootCpuset.descendants()]
        .map((g) => `${g.path} ${g.mems} ${g.effectiveMems} ${g.cpus} ${[...g.flags].sort()}`)
        .join('\n');
    for (const op of [...START, ...acts].map(opOf)) {
      const before = shown();
      const { ret } = runner.run(op);
      if (op.act.on === 'sys' && ret !== 0) expect(shown(), op.text).toBe(before);
    }
  });
});
