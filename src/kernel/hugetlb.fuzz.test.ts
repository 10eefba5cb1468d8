// Random work on huge pages under every design, judged after every step: the pool's arithmetic, its
// promises, and every frame.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bench } from '../../test/support/play.ts';
import { check, share } from '../../test/support/property.ts';
import { judge } from '../../test/support/workloads.ts';
import { DESIGNS } from '../designs/index.ts';
import { parseOpLine } from '../scenario/parser.ts';
import { Runner } from '../scenario/runner.ts';
import { exitTask } from './fork.ts';

const H = 'hugepages/hugepages-2048kB';
const POOL = `/sys/kernel/mm/${H}`;

const task = fc.constantFrom('T0', 'T0', 'T1', 'T2');
const region = fc.integer({ min: 0, max: 3 }).map((n) => `R${n}`);
const nodes = fc.constantFrom('0', '1', '2', '0,1', '1,2', '0,2', '0-2');
const mode = fc.constantFrom('bind', 'preferred_many', 'interleave', 'preferred');
const small = fc.integer({ min: 0, max: 5 });
const some = fc.integer({ min: 1, max: 4 });
const kind = fc.constantFrom('hugetlb', 'hugetlb-noreserve', 'hugetlb-shared', 'shm-hugetlb');

/** A line of the language out of parts. */
const line = (...parts: (string | fc.Arbitrary<string | number>)[]): fc.Arbitrary<string> =>
  fc
    .tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part)))
    .map((words) => words.join(' '));

const sizing = fc.oneof(
  line('sys write', `${POOL}/nr_hugepages`, fc.integer({ min: 0, max: 14 })),
  line('sys write', `${POOL}/nr_overcommit_hugepages`, fc.integer({ min: 0, max: 6 })),
  line(
    'sys write',
    small.map((n) => `/sys/devices/system/node/node${n % 3}/${H}/nr_hugepages`),
    fc.integer({ min: 0, max: 5 }),
  ),
  line(task, 'swrite', `${POOL}/nr_hugepages_mempolicy`, fc.integer({ min: 0, max: 14 })),
);

const using = fc.oneof(
  line(task, 'mmap', region, some, kind),
  line(task, 'touch', region, small, some),
  line(task, 'read', region, small, some),
  line(task, 'munmap', region, small, some),
  line(task, 'munmap', region),
  line(task, 'madvise', region, small, some, fc.constantFrom('dontneed', 'remove')),
);

const placing = fc.oneof(
  line(task, 'set_mempolicy', mode, nodes),
  line(task, 'mbind', region, small, some, mode, nodes, fc.constantFrom('', 'move', 'moveall')),
  line(task, 'move_pages', region, small, some, fc.constantFrom('0', '1', '2', '0,1,2')),
  line(task, 'migrate_pages', nodes, nodes),
  line(task, 'cpu', fc.integer({ min: 0, max: 4 })),
);

const living = fc.oneof(
  fc.constantFrom('fork T0 T1', 'fork T0 T2', 'T1 exit', 'T2 exit'),
  fc.constantFrom('sys mkdir /sys/fs/cgroup/a', 'sys move T0 /sys/fs/cgroup/a'),
  line('sys write', '/sys/fs/cgroup/a/cpuset.mems', nodes),
);

const work = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: sizing },
    { weight: 8, arbitrary: using },
    { weight: 4, arbitrary: placing },
    { weight: 2, arbitrary: living },
  ),
  { minLength: 5, maxLength: 40 },
);

const FIRST = [`sys write ${POOL}/nr_hugepages 8`, 'T0 mmap R0 3 hugetlb', 'fork T0 T1'];

const slots = (prefix: string, count: number): Record<string, number> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${prefix}${i}`, i]));
const NAMES = { tasks: slots('T', 16), regions: slots('R', 32) };

const parse = (lines: readonly string[]) =>
  lines.map((text, i) => parseOpLine(text.trim(), { file: 'drawn', line: i + 1 }));

/** A pool on a device serves whoever walks there: no gate stands before it (HUG5). */
const isPromise = (finding: string): boolean => finding.startsWith('promise: ');

describe.each(DESIGNS)('$id', (design) => {
  test('[HUG1] [HUG2] pools, promises and frames add up, whatever happens', () => {
    check(work, share(105, DESIGNS.length), (lines) => {
      const input = { machine: bench(), design, isExpected: isPromise };
      const found = judge(input, NAMES, parse([...FIRST, ...lines]));
      if (found.length > 0) throw new Error([...lines, ...found].join('\n'));
    });
  });

  test('[HUG1] surplus stays within overcommit while no pool shrinks', () => {
    const growing = fc.array(fc.oneof(using, placing), { minLength: 5, maxLength: 40 });
    check(
      fc.tuple(growing, fc.integer({ min: 0, max: 6 })),
      share(70, DESIGNS.length),
      ([lines, overcommit]) => {
        const first = [...FIRST, `sys write ${POOL}/nr_overcommit_hugepages ${overcommit}`];
        const ops = parse([...first, ...lines]);
        const runner = new Runner(bench(), design, { ...NAMES, ops });
        for (const op of ops) {
          runner.run(op);
          const { huge } = runner.kernel;
          expect(huge.surplus).toBeLessThanOrEqual(overcommit);
          expect(huge.persistent).toBe(8);
        }
      },
    );
  });

  test('[HUG1] when all are gone, nothing is promised and the pool is whole again', () => {
    check(work, share(70, DESIGNS.length), (lines) => {
      const noSegments = lines.map((text) => text.replace('shm-hugetlb', 'hugetlb-shared'));
      const ops = parse([...FIRST, ...noSegments]);
      const runner = new Runner(bench(), design, { ...NAMES, ops });
      for (const op of ops) runner.run(op);
      const { kernel } = runner;
      for (const last of kernel.liveTasks()) exitTask(kernel, last, 'exit');
      expect(kernel.huge.reserved).toBe(0);
      expect(kernel.huge.free).toBe(kernel.huge.nr);
    });
  });
});
