// Random workloads on random small machines under every design, judged after every step.
import fc from 'fast-check';
import { describe, test } from 'vitest';
import { machineOf, machineShape } from '../../test/support/machines.ts';
import { check } from '../../test/support/property.ts';
import {
  expectNoFindings,
  isKernelPageOfAskingTask,
  isMovedByCpuset,
} from '../../test/support/workloads.ts';
import { DESIGNS } from '../designs/index.ts';
import { FAMILIES } from '../scenario/generate_weights.ts';

const workload = fc.record({
  seed: fc.integer({ min: 0, max: 1_000_000 }),
  family: fc.constantFrom(...FAMILIES),
  nrOps: fc.integer({ min: 1, max: 40 }),
});

const isExpected = (finding: string): boolean =>
  isKernelPageOfAskingTask(finding) || isMovedByCpuset(finding);

describe.each(DESIGNS)('$id', (design) => {
  test('[FRM1] [FRM2] no frame is lost and no rule is broken, whatever happens', () => {
    check(fc.tuple(machineShape(), workload), 12, ([shape, w]) => {
      expectNoFindings({ machine: machineOf(shape), design, isExpected }, w);
    });
  });
});
