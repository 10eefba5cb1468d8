// What comes with the project: the scenarios and the reference. Both are read by the parser, so
// neither can go stale.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { DESIGNS } from '../designs/index.ts';
import { loadMachine } from '../machine/load.ts';
import type { Machine } from '../machine/machine.ts';
import { findPreset } from '../machine/presets/index.ts';
import { machineNodes } from './generate.ts';
import { lintScenario } from './lint.ts';
import { type Expectation, MADVICE, MMAP_KINDS, type Scenario } from './ops.ts';
import { parseScenario } from './parser.ts';
import { kernelLines, printScenario } from './print.ts';
import { STATEMENTS, SYS_USAGE, TASK_USAGE } from './words.ts';

const FOLDER = new URL('../../scenarios/', import.meta.url);
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.cdm'));

/** The machine that a scenario names, or the thread's own. */
function machineOf(text: string): Machine {
  const name = /^machine (\S+)$/m.exec(text)?.[1] ?? 'thread';
  if (name.endsWith('.json')) return loadMachine(fileURLToPath(new URL(name, FOLDER)));
  return findPreset(name) as Machine;
}

function read(text: string, file: string): Scenario {
  const machine = machineOf(text);
  return parseScenario(text, { file, pageBytes: machine.pageBytes, nodes: machineNodes(machine) });
}

const unplaced = (s: Scenario): Scenario => ({
  ...s,
  ops: s.ops.map(({ text, act, expect }) => ({ text, act, expect })),
});

test('at least eight scenarios come with the project', () => {
  expect(files.length).toBeGreaterThanOrEqual(8);
});

describe.each(files)('scenarios/%s', (name) => {
  const text = readFileSync(new URL(name, FOLDER), 'utf8');
  const s = read(text, `scenarios/${name}`);

  test('says what it shows and where it is from, under the name of its file', () => {
    expect(`${s.name}.cdm`).toBe(name);
    expect(s.title.length).toBeGreaterThan(20);
    const document = /^Documentation\/\S+\.rst of Linux /;
    const site = /^[A-Z][A-Za-z ]+, [\w-]+, [\w/.-]+: .{20}/;
    const mail = /^[A-Z][a-z]+ [A-Z][a-z]+, 2017-0[23]-\d\d, .{20}/;
    expect([/^generated$/, document, site, mail].some((form) => form.test(s.source))).toBe(true);
    expect(s.machine).toMatch(machineOf(text).name);
    expect(text).toMatch(/^# [A-Z]/);
  });

  test('is free of what the linter warns of', () => {
    expect(lintScenario(s, machineOf(text).pageBytes)).toEqual([]);
  });

  test('prints as a scenario that reads back equal', () => {
    expect(unplaced(read(printScenario(s), name))).toStrictEqual(unplaced(s));
  });

  test('names designs that there are, none twice for one claim, and expects something', () => {
    const designs = DESIGNS.map((design) => design.id);
    const kindOf = (e: Expectation): string =>
      `${e.kind}${e.kind === 'field' ? e.field : ''}/${e.design ?? 'all'}`;
    for (const { expect: list } of s.ops) {
      for (const e of list) expect(designs).toContain(e.design ?? 'stock');
      expect(new Set(list.map(kindOf)).size).toBe(list.length);
    }
    const isRandom = s.source === 'generated';
    expect(s.ops.some((op) => op.expect.length > 0)).toBe(!isRandom);
  });

  test('runs on a real kernel unless it needs a device', () => {
    const needsDevice = /device_(?:compute|prefetch)|link_failure|add_node/.test(text);
    if (needsDevice) expect(() => kernelLines(s)).toThrow(/needs a device/);
    else expect(kernelLines(s)).toHaveLength(s.ops.length);
  });
});

describe('docs/SCENARIOS.md', () => {
  const text = readFileSync(new URL('../../docs/SCENARIOS.md', import.meta.url), 'utf8');
  const blocks = [...text.matchAll(/^```cdm\n(.*?)^```/gms)].map((match) => match[1] as string);

  test.each(blocks.map((block, i) => [i + 1, block] as const))(
    'example %i is right',
    (_, block) => {
      const s = read(block, 'docs/SCENARIOS.md');
      expect(s.ops.length).toBeGreaterThan(3);
      expect(lintScenario(s, machineOf(text).pageBytes)).toEqual([]);
    },
  );

  test('shows every verb with its arguments', () => {
    const plain = text.replaceAll('\\|', '|');
    for (const [verb, usage] of Object.entries({ ...TASK_USAGE, ...SYS_USAGE })) {
      expect(plain).toContain(`\`${`${verb} ${usage}`.trimEnd()}`);
    }
    for (const [word, usage] of Object.entries(STATEMENTS)) {
      if (word === 'sys') continue;
      const isHeader = ['scenario', 'title', 'source', 'machine', 'task'].includes(word);
      expect(plain).toContain(isHeader ? `\n${word} ` : `${word} ${usage}`);
    }
  });

  test('names every kind of mapping and every advice', () => {
    for (const word of [...MMAP_KINDS, ...MADVICE]) {
      expect(text).toMatch(new RegExp(`(?:^|[ |])${word}(?=[ ,.|])`, 'm'));
    }
  });
});
