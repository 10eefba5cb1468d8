// Case by case against real kernels: everything that is modelled comes out equal.
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type CaseOutcome, compareResults, conformCase } from './conform.ts';
import { type OracleCase, type OracleOp, readCases } from './oracle_case.ts';

const FOLDER = fileURLToPath(new URL('../../../shared/oracle/', import.meta.url));
const isThere = existsSync(FOLDER);
if (!isThere)
  console.warn(`skipped: every comparison with real kernels, since ${FOLDER} is absent`);

const casesOf = (family: string): OracleCase[] => readCases(`${FOLDER}${family}.jsonl.gz`);

/** Directed families: every case must come out equal, those under pressure within the spread. */
const EXACT = [
  ['policy', 1302],
  ['mbind', 326],
  ['home', 110],
  ['fork', 220],
  ['migrate', 330],
  ['errno', 75],
  ['shared', 255],
  ['misc', 225],
  ['cpuset2', 485],
  ['cpuset1', 194],
  ['hugetlb', 157],
  ['exhaust', 340],
  ['oom', 99],
  ['hotplug', 211],
] as const;

/** Seeded random families without pressure. */
const RANDOM = ['rnd-policy', 'rnd-shared', 'rnd-cpuset2', 'rnd-hugetlb', 'rnd-hotplug'] as const;

/** Filling whole machines takes its time on a slow one. */
const MINUTES = 300_000;

const remembered = new Map<string, readonly CaseOutcome[]>();

/** Outcomes of a family's cases, worked out once. */
function outcomesOf(family: string): readonly CaseOutcome[] {
  const known = remembered.get(family);
  if (known !== undefined) return known;
  const outcomes = casesOf(family).map((c) => conformCase(c));
  remembered.set(family, outcomes);
  return outcomes;
}

const keyOf = (o: CaseOutcome): string => `${o.id} ${o.design}`;

const describeOutcome = (o: CaseOutcome): string =>
  `${keyOf(o)}: ${o.verdict}, ${o.difference ?? o.missing ?? ''}`;

describe.skipIf(!isThere)('cases', () => {
  test.each(EXACT)(
    '[CNF1] every case of %s is equal to the real kernel',
    (family, atLeast) => {
      const outcomes = outcomesOf(family);
      expect(outcomes.length).toBeGreaterThanOrEqual(atLeast);
      const rest = outcomes.filter((o) => o.verdict !== 'equal');
      expect(rest.map(describeOutcome)).toEqual([]);
    },
    MINUTES,
  );

  test.each(RANDOM)('[CNF1] 995 of 1000 random cases of %s are equal', (family) => {
    const outcomes = outcomesOf(family);
    expect(outcomes.length).toBeGreaterThan(30);
    const rest = outcomes.filter((o) => o.verdict !== 'equal');
    expect(rest.length / outcomes.length, rest.map(describeOutcome).join('\n')).toBeLessThan(0.005);
  });
});

/** Families that need what is not modelled, in part or in whole. */
const ROUGH = ['thp', 'numabalancing'] as const;

describe.skipIf(!isThere)('cases under pressure', () => {
  test('[CNF1] every random one is equal within the spread', () => {
    const rest = outcomesOf('rnd-pressure').filter((o) => o.verdict !== 'equal');
    expect(rest.map(describeOutcome)).toEqual([]);
  });

  test('[CNF1] a kill that only one side makes is a difference, whoever dies', () => {
    const c = casesOf('oom').find((o) => o.id.endsWith('victim')) as OracleCase;
    const at = c.ops.findIndex((o) => o.result['died'] !== undefined);
    const { died: _, ...spared } = (c.ops[at] as OracleOp).result;
    expect(conformCase(c).verdict).toBe('equal');
    expect(conformCase(planted(c, at, spared as OracleOp['result'])).verdict).toBe('different');
  });
});

describe.skipIf(!isThere)('cases that need what is not modelled', () => {
  test.each(ROUGH)('[CNF2] no case of %s breaks the model', (family) => {
    const crashes: string[] = [];
    const outcomes: CaseOutcome[] = [];
    for (const c of casesOf(family)) {
      try {
        outcomes.push(conformCase(c));
      } catch (error) {
        crashes.push(`${c.id} ${c.design}: ${String(error)}`);
      }
    }
    expect(crashes).toEqual([]);
    for (const o of outcomes) if (o.verdict === 'not modelled') expect(o.missing).toMatch(/\S/);
    remembered.set(family, outcomes);
  });

  test('[CNF2] a design that we do not have is named, not guessed', () => {
    const [c] = casesOf('errno') as [OracleCase];
    expect(conformCase({ ...c, design: 'marked' })).toMatchObject({
      verdict: 'not modelled',
      missing: 'design marked',
    });
  });
});

/** The same case with one result replaced. */
const planted = (c: OracleCase, at: number, result: OracleOp['result']): OracleCase => ({
  ...c,
  ops: c.ops.map((op, i) => (i === at ? { ...op, result } : op)),
});

describe.skipIf(!isThere)('cpusets that hear of memory late', () => {
  const withValue = (value: string) => {
    const whole = casesOf('hotplug').find(
      (c) => c.id === 'hotplug/ram2cdm1/offline-cpuset' && c.design === 'none',
    ) as OracleCase;
    const at = whole.ops.findIndex((o) => o.op.startsWith('sys online_node')) + 1;
    return conformCase(planted(whole, at, { ret: 0, value })).verdict;
  };

  test('[CNF3] the mems of before count for a few operations, any others never', () => {
    expect(withValue('1-2')).toBe('equal');
    expect(withValue('1')).toBe('equal');
    expect(withValue('2')).toBe('different');
    expect(withValue('0-1')).toBe('different');
  });
});

describe.skipIf(!isThere)('a planted difference is found', () => {
  const cases = isThere ? casesOf('policy').filter((_, i) => i % 40 === 0) : [];

  test('[CNF1] in the result of any operation', () => {
    let nrPlanted = 0;
    for (const c of cases) {
      for (const [at, op] of c.ops.entries()) {
        const ret = op.result.ret === 0 ? 'EINVAL' : 0;
        const outcome = conformCase(planted(c, at, { ...op.result, ret }));
        expect(outcome.verdict, `${c.id}, ${op.op}`).toBe('different');
        expect(outcome.difference).toContain(`step ${at + 1}, ${op.op}`);
        nrPlanted++;
      }
    }
    expect(nrPlanted).toBeGreaterThan(100);
  });

  test('[CNF1] in where a single page is, in a mask, and in the fallback order', () => {
    let nrWhere = 0;
    for (const c of cases) {
      for (const [at, op] of c.ops.entries()) {
        const list = op.result['where'] as [unknown, number][] | undefined;
        const [first] = list ?? [];
        if (first === undefined || typeof first[0] !== 'number') continue;
        const moved = [[first[0] + 1, 1], [first[0], first[1] - 1], ...(list ?? []).slice(1)];
        const where = moved.filter(([, n]) => (n as number) > 0);
        expect(conformCase(planted(c, at, { ...op.result, where })).verdict).toBe('different');
        nrWhere++;
      }
      const nodes = c.ops.findIndex((op) => Array.isArray(op.result['nodes']));
      if (nodes >= 0) {
        const result = { ...(c.ops[nodes] as OracleOp).result, nodes: [63] };
        expect(conformCase(planted(c, nodes, result)).verdict).toBe('different');
      }
      const order = c.fallbackOrder?.['0'];
      if (order === undefined || order.length < 2) continue;
      const fallbackOrder = { ...c.fallbackOrder, 0: [...order].reverse() };
      expect(conformCase({ ...c, fallbackOrder }).difference).toMatch(/fallback order of node 0/);
    }
    expect(nrWhere).toBeGreaterThan(10);
  });

  test('[CNF1] unless the kernel itself was of two minds about it', () => {
    const [c] = cases as [OracleCase];
    const [op] = c.ops as [OracleOp];
    const wrong = { ...op, result: { ret: 'ENODEV' }, variable: true };
    expect(conformCase({ ...c, ops: [wrong] }).verdict).toBe('equal');
    expect(conformCase({ ...c, ops: [{ ...wrong, variable: false }] }).verdict).toBe('different');
  });
});

describe('results', () => {
  test('[CNF1] lists of pages are compared page by page, other fields as they stand', () => {
    const real = { ret: 0, where: [[[0, 1], 2]] };
    expect(
      compareResults(
        {
          ret: 0,
          where: [
            [0, 1],
            [1, 1],
            [0, 1],
            [1, 1],
          ],
        },
        real,
      ),
    ).toBeUndefined();
    expect(
      compareResults(
        {
          ret: 0,
          where: [
            [0, 2],
            [1, 2],
          ],
        },
        real,
      ),
    ).toMatch(/^where: model/);
    expect(compareResults({ ret: 0 }, { ret: 0, nodes: [1] })).toBe(
      'nodes: model nothing, kernel [1]',
    );
    expect(compareResults({ ret: 'EIO' }, { ret: 0 })).toBe('model EIO, kernel 0');
    expect(
      compareResults({ ret: 0, counts: { 1: 2, 0: 1 } }, { ret: 0, counts: { 0: 1, 1: 2 } }),
    ).toBe(undefined);
  });

  test('[CNF1] what no two runs share is not compared: inode numbers, log lines', () => {
    expect(compareResults({ ret: 0, ino: 1 }, { ret: 0, ino: 77, klog: ['x'] })).toBeUndefined();
  });
});

test.skipIf(!isThere)('[CNF1] every family that lies there is looked at by some test here', () => {
  const present = readdirSync(FOLDER)
    .filter((name) => name.endsWith('.jsonl.gz'))
    .map((name) => name.replace('.jsonl.gz', ''));
  const known = new Set<string>([
    ...EXACT.map(([family]) => family),
    ...RANDOM,
    ...ROUGH,
    'rnd-pressure',
  ]);
  expect(present.filter((family) => !known.has(family))).toEqual([]);
});
