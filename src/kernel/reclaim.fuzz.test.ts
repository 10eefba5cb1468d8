// Random work on nodes that are too small for it, with swap, judged after every step.
import fc from 'fast-check';
import { describe, test } from 'vitest';
import { check, share } from '../../test/support/property.ts';
import { tightMachine } from '../../test/support/small_machine.ts';
import { isKernelPageOfAskingTask, isMovedByCpuset, judge } from '../../test/support/workloads.ts';
import { DESIGNS } from '../designs/index.ts';
import { parseScenario } from '../scenario/parser.ts';

const machine = tightMachine(8);

const task = fc.constantFrom('T0', 'T0', 'T1');
const region = fc.constantFrom('R0', 'R1', 'R2');
const place = fc
  .tuple(region, fc.nat(2500), fc.integer({ min: 1, max: 2500 }))
  .map(([r, offset, n]) => `${r} ${offset} ${Math.min(n, 3000 - offset)}`);
const policy = fc.constantFrom(
  'bind 1',
  'bind 2',
  'bind 1,2',
  'preferred 2',
  'preferred_many 1,2',
  'interleave 0,1,2',
  'default none',
);

const line = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(task, place).map(([t, p]) => `${t} touch ${p}`) },
  { weight: 3, arbitrary: fc.tuple(task, place).map(([t, p]) => `${t} read ${p}`) },
  {
    weight: 2,
    arbitrary: fc.tuple(task, place, policy).map(([t, p, m]) => `${t} mbind ${p} ${m}`),
  },
  { weight: 1, arbitrary: fc.tuple(task, policy).map(([t, m]) => `${t} set_mempolicy ${m}`) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(task, place, fc.constantFrom('pageout', 'cold', 'free', 'dontneed'))
      .map(([t, p, advice]) => `${t} madvise ${p} ${advice}`),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(task, place, fc.nat(2))
      .map(([t, p, n]) => `${t} move_pages ${p} ${n} moveall`),
  },
  { weight: 1, arbitrary: fc.tuple(task, fc.nat(2)).map(([t, n]) => `${t} migrate_pages 1 ${n}`) },
  { weight: 1, arbitrary: fc.tuple(task, place).map(([t, p]) => `${t} mlock ${p}`) },
  { weight: 1, arbitrary: fc.tuple(task, place).map(([t, p]) => `${t} munmap ${p}`) },
  { weight: 1, arbitrary: fc.constant('fork T0 T1') },
  { weight: 1, arbitrary: fc.constant('T1 exit') },
  { weight: 1, arbitrary: fc.constantFrom('sys swapon 300', 'sys swapon 4000 5') },
  { weight: 1, arbitrary: fc.constantFrom('T0 cpu 2', 'T0 cpu 0') },
);

const FIRST = `
  sys swapon 3000
  T0 mmap R0 3000 anon
  T0 mbind R0 0 3000 bind 1
  T0 mmap R1 3000 anon
  T0 mmap R2 3000 shared`;

/** Reading ahead places pages by the policy of the one that was asked for. */
const isReadAhead = (finding: string): boolean => finding.startsWith('fresh pages:');

describe.each(DESIGNS)('$id', (design) => {
  test('[RCL4] [SWP1] [RMP1] [RMP2] [LRU4] nothing is lost between memory and swap', () => {
    check(fc.array(line, { minLength: 1, maxLength: 40 }), share(140, DESIGNS.length), (lines) => {
      const text = [...FIRST.trim().split('\n'), ...lines].map((l) => l.trim()).join('\n');
      const scenario = parseScenario(text, { file: 'fuzz.cdm', pageBytes: 4096 });
      const isExpected = (finding: string): boolean =>
        isKernelPageOfAskingTask(finding) || isMovedByCpuset(finding) || isReadAhead(finding);
      const found = judge({ machine, design, isExpected }, scenario, scenario.ops);
      if (found.length > 0) throw new Error(found.join('\n'));
    });
  });
});
