// Random workloads with KSM and NUMA balancing at work, under every design, judged step by step.
import fc from 'fast-check';
import { describe, test } from 'vitest';
import { machineOf, machineShape } from '../../test/support/machines.ts';
import { check, share } from '../../test/support/property.ts';
import {
  expectNoFindings,
  isKernelPageOfAskingTask,
  isMovedByCpuset,
} from '../../test/support/workloads.ts';
import { DESIGNS } from '../designs/index.ts';

const workload = fc.record({
  seed: fc.integer({ min: 0, max: 1_000_000 }),
  family: fc.constantFrom('ksm' as const, 'balance' as const),
  nrOps: fc.integer({ min: 10, max: 60 }),
});

/** NUMA balancing takes pages to the CPU that uses them, even onto a device that has CPUs. */
const isBalanced = (finding: string): boolean =>
  /^promise: \d+ pages \(migration target, policy: numa balancing\)/.test(finding);

const isExpected = (finding: string): boolean =>
  isKernelPageOfAskingTask(finding) || isMovedByCpuset(finding) || isBalanced(finding);

describe.each(DESIGNS)('$id', (design) => {
  test('[KSM5] [KSM9] [NBL7] [FRM2] no rule is broken while services are at work', () => {
    check(fc.tuple(machineShape(), workload), share(105, DESIGNS.length), ([shape, w]) => {
      expectNoFindings({ machine: machineOf(shape), design, isExpected }, w);
    });
  });
});
