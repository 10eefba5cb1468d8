// Runs are functions: the same input gives the same steps and the same hash, and models do not
// disturb each other.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { machineOf, machineShape } from '../../test/support/machines.ts';
import { play } from '../../test/support/play.ts';
import { check } from '../../test/support/property.ts';
import { scenarioFor } from '../../test/support/workloads.ts';
import { DESIGNS } from '../designs/index.ts';
import { stock } from '../designs/stock.ts';
import { Session } from '../lab/session.ts';
import { findPreset } from '../machine/presets/index.ts';
import { FAMILIES } from '../scenario/generate_weights.ts';
import { Kernel } from './kernel.ts';
import { stateHash } from './state_hash.ts';

const drawn = fc.record({
  shape: machineShape(),
  design: fc.nat(DESIGNS.length - 1),
  seed: fc.nat(1_000_000),
  family: fc.constantFrom(...FAMILIES),
});

test('[RUN1] [SES1] the same session gives the same steps and hashes, alone or beside another', () => {
  check(fc.tuple(drawn, drawn), 20, ([one, other]) => {
    const make = (d: typeof one): Session => {
      const machine = machineOf(d.shape);
      const w = { seed: d.seed, family: d.family, nrOps: 50 };
      const scenario = scenarioFor(machine, w);
      return new Session({ machine, design: DESIGNS[d.design] ?? stock, scenario });
    };
    const trace = (session: Session): string[] => {
      const lines: string[] = [];
      for (let s = session.step(); s !== undefined; s = session.step()) {
        lines.push(`${s.op.text} ${JSON.stringify(s.result)} ${session.hash()}`);
      }
      return lines;
    };
    const alone = trace(make(one));
    const [a, b] = [make(one), make(other)];
    const beside: string[] = [];
    for (let s = a.step(); s !== undefined; s = a.step()) {
      beside.push(`${s.op.text} ${JSON.stringify(s.result)} ${a.hash()}`);
      b.step();
    }
    expect(beside).toEqual(alone);
    expect(trace(make(one))).toEqual(alone);
  });
});

describe('the state hash', () => {
  const hashOf = (text: string): string => stateHash(play(text).kernel);
  const base = 'T0 mmap R0 8 anon\nT0 touch R0 0 4\n';

  test('[HSH1] depends on pages, areas, policies, groups, turns and tasks', () => {
    const variants = [
      base,
      `${base}T0 touch R0 4 1`,
      `${base}T0 touch R0 5 1`,
      `${base}T0 read R0 4 1`,
      `${base}T0 mbind R0 0 4 bind 0`,
      `${base}T0 mbind R0 0 4 bind 1`,
      `${base}T0 mbind R0 0 4 bind+static 0`,
      `${base}T0 set_mempolicy bind 0`,
      `${base}T0 set_mempolicy interleave 0,1`,
      `${base}T0 cpu 1`,
      `${base}sys mkdir /sys/fs/cgroup/a`,
      `${base}sys mkdir /sys/fs/cgroup/b`,
      `${base}fork T0 T1`,
      `${base}T0 mmap R1 8 shared`,
      `${base}T0 mmap R1 8 shared\nT0 touch R1 0 1`,
      `${base}T0 munmap R0 0 1`,
      `${base}T0 exit`,
    ].map(hashOf);
    expect(new Set(variants).size).toBe(variants.length);
  });

  test("[HSH1] does not depend on the design's name, nor on looking", () => {
    const looking = `${base}T0 where R0\nT0 get_mempolicy\nsys zones\nsys free\nsys states\nsys tasks`;
    expect(hashOf(looking)).toBe(hashOf(base));
    const renamed = { ...stock, id: 'other' };
    expect(stateHash(play(base, { design: renamed }).kernel)).toBe(hashOf(base));
  });

  test('[HSH1] regression: what a run hashes to is the same on every computer', () => {
    const machine = findPreset('thread') as NonNullable<ReturnType<typeof findPreset>>;
    expect(stateHash(new Kernel(machine, stock))).toMatchInlineSnapshot(`"08b5d0aadbe7c7a6"`);
    expect(hashOf(base)).toMatchInlineSnapshot(`"07703cd9f57f7e63"`);
  });
});

test('[RUN1] operations on the controller show the machine as it is', () => {
  const { steps } = play(`
    sys states
    sys zones
    sys free
    sys numastat
    sys fallback
    sys tasks
    sys drop_caches -> 0
    sys sleep 5 -> 0
  `);
  expect(steps[0]?.result['nodeStates']).toMatchObject({
    possible: [0, 1, 2, 3, 7],
    hasCpu: [0, 1, 3],
  });
  const zones = steps[1]?.result['zones'] as { node: number; zone: string; managed: number }[];
  expect(zones.map((z) => `${z.node} ${z.zone}`)).toEqual([
    '0 DMA',
    '0 DMA32',
    '0 Normal',
    '1 Normal',
    '2 Movable',
  ]);
  expect((steps[2]?.result['free'] as unknown[] | undefined)?.length).toBe(zones.length);
  expect(Object.keys(steps[3]?.result['numastat'] as object)).toEqual(['0', '1', '2', '3']);
  expect(steps[4]?.result['fallbackOrder']).toMatchObject({ 1: [1, 0, 2] });
  expect(steps[5]?.result['tasks']).toEqual({ T0: 'alive' });
});
