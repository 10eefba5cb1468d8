// The rig of the property tests: a property that fails must say so, in the smallest case, with the
// line that repeats it.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findDesign } from '../../src/designs/index.ts';
import { machineOf, machineShape } from './machines.ts';
import { bench } from './play.ts';
import { check } from './property.ts';
import { judge, scenarioFor, smallest } from './workloads.ts';

test('[RUN2] a canary: what fails is shrunk, and its seed and path are told', () => {
  const failing = () =>
    check(fc.nat(1000), 100, (n) => {
      if (n > 50) throw new Error('too large');
    });
  expect(failing).toThrow(
    /fails for 51\n[\s\S]*repeat with: FC_SEED=\d+ FC_PATH=[\d:]+ npx vitest/,
  );
  expect(failing).toThrow(/test\/support\/property\.test\.ts -t ".RUN2. a canary. what fails/);
  expect(failing).toThrow(/too large/);
});

test('[RUN2] a property that holds says nothing, and draws the same in every run', () => {
  const draw = (): number[] => {
    const drawn: number[] = [];
    check(fc.nat(1_000_000), 5, (n) => {
      drawn.push(n);
    });
    return drawn;
  };
  expect(draw()).toEqual(draw());
});

test('[RUN2] a failing workload is cut down to the operations that it needs', () => {
  const machine = bench();
  const scenarios = Array.from({ length: 20 }, (_, seed) =>
    scenarioFor(machine, { seed, family: 'shared', nrOps: 40 }),
  );
  const hasFork = (s: (typeof scenarios)[number]) => s.ops.some((op) => op.act.on === 'fork');
  const scenario = scenarios.find(hasFork) as (typeof scenarios)[number];
  const find = (ops: typeof scenario.ops) =>
    judge(
      {
        machine,
        design: findDesign('stock'),
        also: (runner) => (runner.tasks.size > 1 ? ['there is a second task'] : []),
      },
      scenario,
      ops,
    );
  expect(scenario.ops.length).toBeGreaterThan(40);
  expect(smallest(scenario.ops, find).map((op) => op.act.on)).toEqual(['fork']);
});

test('[RUN2] drawn machines are of every kind that matters', () => {
  const seen = new Set<string>();
  check(machineShape(), 200, (shape) => {
    const machine = machineOf(shape);
    seen.add(machine.arch);
    for (const node of machine.nodes) {
      if (node.device !== undefined) seen.add(`device in ${node.memoryZone} memory`);
      if (node.ranges.length === 0) seen.add('no memory');
      if (node.cpus.length === 0) seen.add('no CPU');
      if (node.offlineAtStart === true) seen.add('offline');
      if (node.id > 900) seen.add('large id');
    }
    const d = machine.distances;
    if (d.some((row, i) => row.some((x, j) => x !== d[j]?.[i]))) seen.add('asymmetric');
  });
  expect([...seen].sort()).toEqual([
    'arm64',
    'asymmetric',
    'device in boot memory',
    'device in movable memory',
    'large id',
    'no CPU',
    'no memory',
    'offline',
    'ppc64',
    'x86_64',
  ]);
});
