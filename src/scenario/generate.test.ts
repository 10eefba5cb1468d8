// Generated workloads: reproducible, printable, fit for a real kernel, and of the kind asked for.
import { describe, expect, test } from 'vitest';
import { hashText } from '../base/prng.ts';
import { thread } from '../machine/presets/thread.ts';
import { verbOf } from './acts.ts';
import { type GenerateOptions, generateScenario, machineNodes } from './generate.ts';
import { FAMILIES, type Family } from './generate_weights.ts';
import { lintScenario } from './lint.ts';
import type { Scenario } from './ops.ts';
import { parseScenario } from './parser.ts';
import { kernelLines, printScenario } from './print.ts';

const NODES = machineNodes(thread());

const generate = (more: Partial<GenerateOptions>): Scenario =>
  generateScenario({ seed: 7, ops: 60, family: 'mixed', machine: 'thread', ...NODES, ...more });

const withoutPlaces = (s: Scenario): Scenario => ({
  ...s,
  ops: s.ops.map(({ text, act, expect }) => ({ text, act, expect })),
});

const seeds = Array.from({ length: 60 }, (_, i) => i);

describe.each(FAMILIES)('family %s', (family) => {
  test('the same seed gives the same operations, another seed others', () => {
    const text = printScenario(generate({ family }));
    expect(printScenario(generate({ family }))).toBe(text);
    expect(printScenario(generate({ family, seed: 8 }))).not.toBe(text);
  });

  test('[GEN1] what is generated prints as a file that reads back equal, lines and all', () => {
    for (const seed of seeds) {
      const s = generate({ family, seed });
      const again = parseScenario(printScenario(s), { file: 'g.cdm', pageBytes: 65536 });
      expect(withoutPlaces(again)).toStrictEqual(s);
      expect(kernelLines(s)).toEqual(s.ops.map((op) => op.text));
    }
  });

  test('[GEN2] tasks act while they live, on regions they have, within their bounds', () => {
    for (const seed of seeds) expect(lintScenario(generate({ family, seed }))).toEqual([]);
  });

  test('has as many operations as asked for, and ends with a look at everything', () => {
    for (const ops of [1, 40, 500]) {
      const s = generate({ family, ops });
      expect(s.ops.length).toBeGreaterThanOrEqual(ops);
      expect(s.ops.length).toBeLessThan(ops + 45);
      expect(s.ops.at(-1)?.text).toMatch(/get_mempolicy$/);
    }
  });
});

describe('what a family is about', () => {
  const share = (family: Family, verb: string): number => {
    const all = seeds.flatMap((seed) => generate({ family, seed }).ops);
    return all.filter((op) => verbOf(op.act) === verb).length / all.length;
  };

  test('mbind binds, shared shares, cpuset2 writes cpusets and the others do not', () => {
    expect(share('mbind', 'mbind')).toBeGreaterThan(2 * share('policy', 'mbind'));
    expect(share('cpuset2', 'sys write')).toBeGreaterThan(0.05);
    expect(share('policy', 'sys write')).toBe(0);
    const kinds = (family: Family): Set<string> =>
      new Set(
        seeds.flatMap((seed) =>
          generate({ family, seed }).ops.flatMap(({ act }) =>
            act.on === 'task' && act.act.verb === 'mmap' ? [act.act.kind] : [],
          ),
        ),
      );
    expect(kinds('policy')).toEqual(new Set(['anon']));
    expect(kinds('shared')).toEqual(new Set(['anon', 'shared', 'shm']));
  });

  test('every mode, flag and advice that a family can use comes up', () => {
    const text = seeds.map((seed) => printScenario(generate({ seed, ops: 200 }))).join();
    const words = ['bind', 'preferred', 'preferred_many', 'interleave', 'local', 'default'];
    const more = ['dontneed', 'free', 'remove', 'populate_read', 'moveall', 'strict', 'empty'];
    for (const word of [...words, ...more]) expect(text).toMatch(new RegExp(` ${word}\\b`));
    for (const flag of ['static', 'relative', 'numa_balancing']) expect(text).toContain(`+${flag}`);
  });

  test('device nodes are named, and CPUs and nodes are those of the machine', () => {
    const text = seeds.map((seed) => printScenario(generate({ seed }))).join('\n');
    for (const node of NODES.deviceNodes)
      expect(text).toMatch(new RegExp(`bind (?:\\d+,)*${node}\\b`));
    for (const [, cpu] of text.matchAll(/ cpu (\d+)/g)) expect(Number(cpu)).toBeLessThan(16);
    for (const [, nodes] of text.matchAll(/ bind ([\d,]+)/g)) {
      for (const node of (nodes as string).split(',')) expect(NODES.nodes).toContain(Number(node));
    }
  });
});

test('regression: seeds keep meaning what they meant, so that reports can be replayed', () => {
  const hashes = FAMILIES.map((family) => hashText(printScenario(generate({ family, ops: 300 }))));
  expect(hashes.map((h) => h.toString(16))).toMatchInlineSnapshot(`
    [
      "8de7f784",
      "699c100a",
      "3c379dcf",
      "c9ee3dc",
      "b91a2e0c",
      "b9d286ab",
      "ce0fa8ba",
      "13cfbeb8",
      "80c2516d",
      "42d1f135",
      "b985aa2a",
      "f967cec7",
      "b4891cb",
      "1d5e242e",
      "8bbaf84",
      "ad13db2d",
    ]
  `);
});

test('a machine without CPUs or memory is refused', () => {
  expect(() => generate({ cpusByNode: {} })).toThrow(/needs a machine with a CPU/);
  expect(() => generate({ memoryNodes: [] })).toThrow(/node with memory/);
});

describe('generate in a file', () => {
  const read = (text: string): Scenario => parseScenario(text, { file: 'g.cdm', nodes: NODES });

  test('gives the operations of generateScenario, placed at its line', () => {
    const s = read('machine thread\n  generate seed=7 ops=60 family=policy\n');
    expect(s.ops.map((op) => op.text)).toEqual(
      generate({ family: 'policy' }).ops.map((op) => op.text),
    );
    expect(s.ops[5]?.place).toEqual({ file: 'g.cdm', line: 2, column: 3 });
    expect(read('generate ops=9 seed=x')).toEqual(read('generate seed=x ops=9'));
  });

  test('acts as the first task under its own name, and takes loop variables', () => {
    const s = read('task app\nrepeat 2 as i {\ngenerate seed=s$i ops=5 family=mbind\n}\n');
    expect(s.tasks['app']).toBe(0);
    expect(s.tasks['T0']).toBeUndefined();
    const wanted = ['s0', 's1'].flatMap((seed) => generate({ seed, ops: 5, family: 'mbind' }).ops);
    expect(s.ops.map((op) => op.text)).toEqual(wanted.map((op) => op.text));
  });

  test('an unknown family and an impossible number are refused', () => {
    expect(() => read('generate seed=1 ops=5 family=polcy')).toThrow(/did you mean "policy"/);
    expect(() => read('generate seed=1 ops=0')).toThrow(/ops=0 is out of range/);
    expect(() => read('generate seed=1 ops=5 size=3')).toThrow(/"size=3" does not belong here/);
  });
});
