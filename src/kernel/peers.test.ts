// What the test suites of others (LTP, numactl, kernel selftests) assert of Linux, restated for the
// calls that are modelled; the rest is listed with the reason why not.
// Notes    Ids are those of the collected rows, which are not in the repository.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';

interface Row {
  readonly name: string;
  readonly id: string;
  readonly text: string;
}

/** Rows of the table beside this file: rule, id, and operations with what must come out. */
function readRows(): Row[] {
  const file = fileURLToPath(new URL('./fixtures/peers.txt', import.meta.url));
  const blocks = readFileSync(file, 'utf8')
    .replace(/^#.*\n/gm, '')
    .trim()
    .split(/\n\n+/);
  return blocks.map((block) => {
    const [name = '', ...lines] = block.split('\n');
    const text = lines.join('\n').replaceAll('$G', '/sys/fs/cgroup');
    return { name, id: name.replace(/^\[\w+\] /, ''), text };
  });
}

const ROWS = readRows();

test.each(ROWS)('$name', ({ text }) => {
  expect(text).toContain('->');
  play(text);
});

/** Pages of 15 MiB, as numactl's regression test allocates them. */
const P = 3840;

type Numastat = Record<string, Record<string, number>>;

/** How counters of the nodes grow while a text is played. */
function growth(text: string): Numastat {
  const { steps } = play(`sys numastat\n${text}\nsys numastat`);
  const [was, is] = [steps[0], steps.at(-1)].map((s) => s?.result['numastat'] as Numastat);
  return Object.fromEntries(
    Object.entries(is ?? {}).map(([nid, row]) => [
      nid,
      Object.fromEntries(Object.entries(row).map(([k, n]) => [k, n - (was?.[nid]?.[k] ?? 0)])),
    ]),
  );
}

describe('counters', () => {
  const interleaved = (policy: string): void => {
    const grown = growth(`T0 mmap R0 ${P} anon\n${policy}\nT0 touch R0`);
    for (const nid of ['0', '1']) {
      expect(grown[nid]?.['interleave_hit']).toBeGreaterThanOrEqual(P / 2 - 100);
    }
  };

  test('[VMS1] numactl-regress-interleave2', () => {
    interleaved('T0 set_mempolicy interleave 0,1');
  });

  test('[VMS1] numactl-regress-mbind-interleave', () => {
    interleaved(`T0 mbind R0 0 ${P} interleave 0,1`);
  });

  test('[VMS1] numactl-regress-membind1+preferred1', () => {
    for (const nid of ['0', '1', '2']) {
      const grown = growth(`
        T0 set_mempolicy bind ${nid}
        T0 mmap R0 ${P} anon
        T0 touch R0
        T0 set_mempolicy preferred ${nid}
        T0 mmap R1 ${P} anon
        T0 touch R1
      `);
      expect(grown[nid]?.['numa_hit']).toBeGreaterThanOrEqual(2 * P - 200);
    }
  });

  test('[VMS1] numastat-identity', () => {
    const grown = growth(`
      T0 mmap R0 60000 anon
      T0 mbind R0 0 60000 preferred 2
      T0 touch R0
    `);
    const sum = (counter: string): number =>
      Object.values(grown).reduce((n, row) => n + (row[counter] ?? 0), 0);
    expect(sum('numa_miss')).toBe(sum('numa_foreign'));
    expect(sum('numa_miss')).toBeGreaterThan(10_000);
  });
});

const COUNTERS = [
  'numactl-regress-interleave2',
  'numactl-regress-mbind-interleave',
  'numactl-regress-membind1+preferred1',
  'numastat-identity',
];

/** Rows that tests elsewhere restate, by pattern. */
const ELSEWHERE: readonly (readonly [RegExp, string])[] = [
  [
    /^fallback-(amd-2s-nps4-8n-after-5.16|qemu-cxl-hotadd-node|syzkaller|rpi5|power-lpar)/,
    'src/mm/zonelist.test.ts',
  ],
  [/^watermark-pcp-00[57]$/, 'src/mm/watermark.test.ts'],
];

/** Rows that are not restated, by pattern, and why. */
const LEFT_OUT: readonly (readonly [RegExp, string])[] = [
  [/^ltp-set_mempolicy0[34]/, 'pages of files'],
  [/^ltp-(migrate_pages01-perm|migrate_pages02-shared-nocap|move_pages11)$/, 'permissions'],
  [
    /^ltp-cpuset-(ro-memory_pressure|flag|attach|memexcl|hier-(22|26|29))/,
    'files or refusals of cpuset version 1',
  ],
  [/^ltp-cpuset-inherit-(mems-1|mem_|memory_)/, 'files of cpuset version 1'],
  [/^ltp-cpuset-memory-(09|11)$/, 'memory_migrate=0 of cpuset version 1'],
  [/^ltp-cpuset-memory-(14|15)$/, 'threads'],
  [/^ltp-cpuset-(memory-02|spread)/, 'pages of files'],
  [/^ltp-cpuset-hotplug/, 'CPUs that come and go'],
  [/^ltp-numa01-9$|_thp$/, 'transparent huge pages'],
  [/^kselftest-cpuset-v1/, 'files of cpuset version 1'],
  [/^numactl-(bind_range|issue165-N)/, 'a mistake or option of the program itself'],
  [/^numactl-(checktopology|distance)/, 'what the hardware is like, which importers test'],
  [/^numactl-realloc$/, 'mremap'],
  [/^memtierd/, 'a daemon of its own, and reclaim'],
  [/^hwloc/, 'reading machines, which importers test'],
  [/^fallback-.*before-5.16$/, 'an older rule: see src/mm/zonelist.test.ts'],
  [/^fallback-epyc/, 'distances are not in the row'],
  [/^(demotion|tiers)/, 'memory tiers and demotion'],
  [/^watermark-pcp-001$/, 'an older rule'],
];

const ASSERTIONS = fileURLToPath(new URL('../../../shared/assertions.json', import.meta.url));
const isThere = existsSync(ASSERTIONS);
if (!isThere) console.warn(`skipped: are all collected rows told of? ${ASSERTIONS} is absent`);

test.skipIf(!isThere)('every collected row is restated, or left out for a reason', () => {
  const ids = (JSON.parse(readFileSync(ASSERTIONS, 'utf8')) as { id: string }[]).map((r) => r.id);
  const here = new Set([...ROWS.map(({ id }) => id), ...COUNTERS]);
  const matching = (list: readonly (readonly [RegExp, string])[], id: string) =>
    list.filter(([pattern]) => pattern.test(id)).length;
  const told = ids.map((id) => [
    id,
    Number(here.has(id)) + matching(ELSEWHERE, id) + matching(LEFT_OUT, id),
  ]);
  expect(told.filter(([, n]) => n !== 1)).toEqual([]);
  expect([...here].filter((id) => !ids.includes(id))).toEqual([]);
  const restated = ids.filter((id) => here.has(id) || matching(ELSEWHERE, id) > 0).length;
  expect(restated).toBe(RESTATED);
});

/** Of 161 collected rows. */
const RESTATED = 90;
