// Which nodes are drawn together.
import { describe, expect, test } from 'vitest';
import { summarizeMachine } from '../lab/compare.ts';
import type { MachineSummary } from '../lab/comparison.ts';
import { loadMachine } from '../machine/load.ts';
import { presets } from '../machine/presets/index.ts';
import { groupNodes } from './machine_picture.ts';

const machineOf = (name: string): MachineSummary => summarizeMachine(loadMachine(name));
const idsOf = (machine: MachineSummary): number[][][] =>
  groupNodes(machine).map((g) => [g.homes.map((n) => n.id), g.others.map((n) => n.id)]);

describe('groups of nodes', () => {
  test('nodes without CPUs stand with the CPUs that are nearest', () => {
    expect(idsOf(machineOf('thread'))).toEqual([
      [[0], [2, 3, 4]],
      [[1], []],
    ]);
    expect(idsOf(machineOf('cxl'))).toEqual([
      [[0], [2]],
      [[1], [3]],
    ]);
    expect(idsOf(machineOf('pc'))).toEqual([[[0], []]]);
  });

  test('a node as near to several stands between them', () => {
    expect(idsOf(machineOf('ac922'))).toEqual([
      [[0], []],
      [[8], []],
      [
        [0, 8],
        [250, 251, 252, 253, 254, 255],
      ],
    ]);
  });

  test('a machine whose nodes have no CPUs is one group', () => {
    const pc = machineOf('pc');
    const nodes = pc.nodes.map((node) => ({ ...node, cpus: [] }));
    expect(idsOf({ ...pc, nodes })).toEqual([[[], [0]]]);
  });

  test.each([...presets.keys()])('[MPC1] every node of %s is in one group', (name) => {
    const machine = machineOf(name);
    const grouped = groupNodes(machine).flatMap((g) =>
      g.homes.length > 1 ? g.others : [...g.homes, ...g.others],
    );
    const ids = grouped.map((node) => node.id).sort((a, b) => a - b);
    expect(ids).toEqual(machine.nodes.map((node) => node.id));
  });
});
