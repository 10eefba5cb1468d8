// Random workloads on random small machines under every design, judged after every step.
import fc from 'fast-check';
import { describe, test } from 'vitest';
import { anyAct, onMachine } from '../../test/support/acts.ts';
import { machineOf, machineShape } from '../../test/support/machines.ts';
import { check, share } from '../../test/support/property.ts';
import {
  expectNoFindings,
  isKernelPageOfAskingTask,
  isMovedByCpuset,
  judge,
} from '../../test/support/workloads.ts';
import { UserError } from '../base/assert.ts';
import { DESIGNS } from '../designs/index.ts';
import { FAMILIES } from '../scenario/generate_weights.ts';
import type { Act } from '../scenario/ops.ts';

const workload = fc.record({
  seed: fc.integer({ min: 0, max: 1_000_000 }),
  family: fc.constantFrom(...FAMILIES),
  nrOps: fc.integer({ min: 1, max: 40 }),
});

const isExpected = (finding: string): boolean =>
  isKernelPageOfAskingTask(finding) || isMovedByCpuset(finding);

const slots = (prefix: string, count: number): Record<string, number> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${prefix}${i}`, i]));
const NAMES = { tasks: slots('T', 16), regions: slots('R', 32) };

/** So that there is something to do things to. */
const FIRST: readonly Act[] = (['anon', 'shared', 'shm'] as const).map((kind, i) => ({
  on: 'task',
  task: 'T0',
  act: { verb: 'mmap', region: `R${i}`, nrPages: 64, kind, shift: 0 },
}));

describe.each(DESIGNS)('$id', (design) => {
  test('[FRM1] [FRM2] no frame is lost and no rule is broken, whatever happens', () => {
    check(fc.tuple(machineShape(), workload), share(84, DESIGNS.length), ([shape, w]) => {
      const machine = machineOf(shape);
      expectNoFindings({ machine, design, isExpected }, w);
    });
  });

  test('[LRU1] [LRU4] nor when every page is on the lists of reclaim', () => {
    check(fc.tuple(machineShape(), workload), share(84, DESIGNS.length), ([shape, w]) => {
      const options = { tracksPages: true };
      const machine = machineOf(shape);
      expectNoFindings({ machine, design, isExpected, options }, w);
    });
  });

  test('[FRM1] [FRM3] nor when operations make no sense', () => {
    const drawn = fc.record({
      shape: machineShape({ maxNodes: 5 }),
      acts: fc.array(anyAct, { minLength: 1, maxLength: 60 }),
    });
    check(drawn, share(105, DESIGNS.length), ({ shape, acts }) => {
      const machine = machineOf(shape);
      const ids = machine.nodes.map((n) => n.id);
      const devices = machine.devices.map((d) => d.name);
      const ops = [...FIRST, ...acts].map((act) => {
        const fitting = onMachine(act, ids, devices);
        return { act: fitting, text: JSON.stringify(fitting), expect: [] };
      });
      const options = { hasWeightedInterleave: true };
      const found = judge({ machine, design, options, isExpected, refuses: UserError }, NAMES, ops);
      if (found.length > 0) throw new Error(found.join('\n'));
    });
  });
});
