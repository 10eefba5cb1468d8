// Random work with transparent huge pages on nodes that are too small for it, with swap, judged
// after every step.
import fc from 'fast-check';
import { describe, test } from 'vitest';
import { check } from '../../test/support/property.ts';
import { tightMachine } from '../../test/support/small_machine.ts';
import { isKernelPageOfAskingTask, isMovedByCpuset, judge } from '../../test/support/workloads.ts';
import { DESIGNS } from '../designs/index.ts';
import { parseScenario } from '../scenario/parser.ts';

const machine = tightMachine(12);

const task = fc.constantFrom('T0', 'T0', 'T1');
const region = fc.constantFrom('R0', 'R1', 'R2');
/** A stretch that begins and ends where a huge page does, or not. */
const place = fc
  .tuple(region, fc.nat(2500), fc.integer({ min: 1, max: 2500 }), fc.boolean())
  .map(([r, offset, n, isRound]) => {
    const from = isRound ? Math.floor(offset / 512) * 512 : offset;
    const size = isRound ? Math.ceil(n / 512) * 512 : n;
    return `${r} ${from} ${Math.min(size, 3072 - from)}`;
  });
const policy = fc.constantFrom('bind 1', 'bind 2', 'bind 1,2', 'preferred 2', 'interleave 0,1,2');
const advice = fc.constantFrom('pageout', 'cold', 'free', 'dontneed', 'collapse', 'nohugepage');

const line = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(task, place).map(([t, p]) => `${t} touch ${p}`) },
  { weight: 3, arbitrary: fc.tuple(task, place).map(([t, p]) => `${t} read ${p}`) },
  {
    weight: 2,
    arbitrary: fc.tuple(task, place, policy).map(([t, p, m]) => `${t} mbind ${p} ${m}`),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(task, place, advice).map(([t, p, a]) => `${t} madvise ${p} ${a}`),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(task, place, fc.nat(2))
      .map(([t, p, n]) => `${t} move_pages ${p} ${n} moveall`),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(task, place, fc.constantFrom('mlock', 'munlock', 'munmap'))
      .map(([t, p, verb]) => `${t} ${verb} ${p}`),
  },
  { weight: 1, arbitrary: fc.constantFrom('fork T0 T1', 'T1 exit', 'T0 cpu 2', 'T0 cpu 0') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'sys swapon 300',
      'sys swapon 4000 5',
      'sys write /proc/sys/vm/drop_caches 2',
      'sys write /sys/kernel/mm/numa/demotion_enabled 1',
      'sys write /sys/kernel/mm/transparent_hugepage/enabled never',
    ),
  },
);

const FIRST = `
  sys write /sys/kernel/mm/transparent_hugepage/enabled always
  sys swapon 3000
  T0 mmap R0 3072 anon
  T0 mbind R0 0 3072 bind 1
  T0 mmap R1 3072 anon
  T0 mmap R2 3072 anon shift=100`;

/** Reading ahead places pages by the policy of the one that was asked for. */
const isReadAhead = (finding: string): boolean => finding.startsWith('fresh pages:');

describe.each(DESIGNS)('$id', (design) => {
  test('[RCL11] [LRU2] [LRU4] [LCK1] nothing is lost between huge pages and swap', () => {
    check(fc.array(line, { minLength: 1, maxLength: 30 }), 2, (lines) => {
      const text = [...FIRST.trim().split('\n'), ...lines].map((l) => l.trim()).join('\n');
      const scenario = parseScenario(text, { file: 'fuzz.cdm', pageBytes: 4096 });
      const isExpected = (finding: string): boolean =>
        isKernelPageOfAskingTask(finding) || isMovedByCpuset(finding) || isReadAhead(finding);
      const found = judge({ machine, design, isExpected }, scenario, scenario.ops);
      if (found.length > 0) throw new Error(found.join('\n'));
    });
  });
});
