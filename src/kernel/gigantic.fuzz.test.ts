// Random work on pools of 1 GiB pages under the designs that keep HugeTLB off devices, and under
// stock: what is there adds up, and nobody who did not name a device has a page of it.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { check } from '../../test/support/property.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { checkAll } from '../checkers/index.ts';
import { DEFAULT_DESIGNS } from '../designs/index.ts';
import { generateScenario, machineNodes } from '../scenario/generate.ts';
import { parseOpLine } from '../scenario/parser.ts';
import { Runner } from '../scenario/runner.ts';

const H = 'hugepages/hugepages-1048576kB/nr_hugepages';
const POOL = `/sys/kernel/mm/${H}`;

/** Two nodes with CPUs and a plugged device, 64 KiB pages: 1 GiB is 16384 of them. */
const MACHINE = machineFrom({
  name: 'pair',
  arch: 'ppc64',
  pageBytes: '64KiB',
  nodes: [
    { id: 0, cpus: '0', memory: '3GiB' },
    { id: 1, cpus: '1', memory: '3GiB' },
    { id: 2, memory: '2GiB', memoryZone: 'movable', device: 'gpu0' },
  ],
  distances: [
    [10, 20, 40],
    [20, 10, 60],
    [40, 60, 10],
  ],
  devices: [{ name: 'gpu0', kind: 'device', homeNode: 0 }],
});

const line = (...parts: (string | fc.Arbitrary<string | number>)[]): fc.Arbitrary<string> =>
  fc
    .tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part)))
    .map((words) => words.join(' '));

const some = fc.integer({ min: 1, max: 2 });
const count = fc.integer({ min: 0, max: 4 });
const near = fc.constantFrom('0', '1', '0,1');
const kind = fc.constantFrom('hugetlb-1G', 'hugetlb-noreserve-1G', 'hugetlb-shared-1G');

/** Nothing here names the device, but for the file of its node. */
const step = fc.oneof(
  line('sys write', POOL, count),
  line('sys write', `/sys/devices/system/node/node1/${H}`, count),
  line('T0 swrite', POOL.replace('nr_hugepages', 'nr_hugepages_mempolicy'), count),
  line('T0 mmap', fc.constantFrom('R1', 'R2'), some, kind),
  line('T0 touch', fc.constantFrom('R1', 'R2'), '0', some),
  line('T0 munmap', fc.constantFrom('R1', 'R2'), '0', some),
  line('T0 mmap R4', fc.constantFrom(20_000, 40_000), 'anon'),
  line('T0 touch R4 0', fc.constantFrom(5_000, 40_000)),
  line('T0 mbind R1 0 1 bind', near, 'move'),
  line('T0 set_mempolicy preferred', fc.constantFrom('0', '1')),
  line('T0 migrate_pages', near, near),
  line('sys write /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages', count),
  fc.constantFrom('fork T0 T1', 'T1 touch R1 0 1', 'T1 exit'),
);

const designs = DEFAULT_DESIGNS.filter(
  ({ id, answers }) => id === 'stock' || answers.hugetlbNodes !== undefined,
);

describe.each(designs)('$id', (design) => {
  test('[HUG1] [HUG2] [HUG13] [HUG15] pools of 1 GiB add up, and stay where they may be', () => {
    check(fc.array(step, { minLength: 6, maxLength: 20 }), 2, (lines) => {
      const names = { tasks: { T0: 0, T1: 1 }, regions: { R1: 1, R2: 2, R4: 4 } };
      const boot = ['hugepagesz=1G', 'hugepages=1', 'memhp_default_state=online_kernel'];
      const { kernel, run } = runnerFor(design, { ...names, boot });
      for (const text of lines) run(text);
      expect(checkAll(kernel).filter((text) => isJudged(design.id, text))).toEqual([]);
      if (design.id !== 'stock') expect(kernel.gigantic.nrOf[2]).toBe(0);
    });
  });
});

/** What `kernel fuzz --family gigantic` gives real kernels, on a smaller machine. */
test('[HUG1] [HUG2] [HUG17] [HUG18] [HOT11] the workloads for real kernels leave nothing wrong', () => {
  check(fc.integer({ min: 0, max: 100_000 }), 5, (seed) => {
    const family = 'gigantic' as const;
    const scenario = generateScenario({ ...machineNodes(MACHINE), seed, ops: 40, family });
    const { kernel, run } = runnerFor(DEFAULT_DESIGNS[0] as (typeof designs)[number], scenario);
    for (const { text } of scenario.ops) run(text);
    expect(checkAll(kernel).filter((text) => isJudged('stock', text))).toEqual([]);
  });
});

/** What stock does not promise is not held against it. */
const isJudged = (design: string, finding: string): boolean =>
  design !== 'stock' || !finding.startsWith('promise');

function runnerFor(
  design: (typeof designs)[number],
  names: ConstructorParameters<typeof Runner>[2],
) {
  const runner = new Runner(MACHINE, design, names);
  const run = (text: string): unknown => runner.run(parseOpLine(text));
  return { kernel: runner.kernel, run };
}
