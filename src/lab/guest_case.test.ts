// From what a guest says to a verdict and its explanation, with a guest that is made up here: it
// has the zones of a small machine and answers as Linux does, or wrongly on purpose.
import { describe, expect, test } from 'vitest';
import type { Boot } from '../guest/boot.ts';
import { guestMachine } from '../guest/guest_machine.ts';
import type { GuestZone } from '../guest/protocol.ts';
import { randomMachine } from '../guest/random_machine.ts';
import type { OpResult } from '../scenario/ops.ts';
import { parseScenario } from '../scenario/parser.ts';
import { conformCase } from './conform.ts';
import { differenceText } from './fuzz_report.ts';
import { recordCase } from './guest_case.ts';
import { differingPage, explainDifference } from './kernel_explain.ts';
import { deviceWords } from './kernel_run.ts';
import { loadScenario } from './load_scenario.ts';
import type { OracleCase } from './oracle_case.ts';

/** Two nodes with CPUs and a device node, as random machines go. */
const seedOf = (): string => {
  for (let i = 0; ; i++) {
    const { nodes } = randomMachine(`case/${i}`);
    const kinds = nodes.map((n) => `${n.cpus.length > 0}${n.ranges.length}${n.memoryZone}`);
    if (kinds.join() === 'true1boot,true1boot,false1movable') return `case/${i}`;
  }
};
const MACHINE = randomMachine(seedOf());
const GUEST = guestMachine(MACHINE);

const zone = (node: number, name: string, startPfn: number, pages: number): GuestZone => ({
  node,
  zone: name,
  spanned: pages,
  present: pages,
  managed: pages,
  free: pages - 2000,
  pcp: 0,
  min: 200,
  low: 300,
  high: 400,
  startPfn,
});

const ZONES = [
  zone(0, 'DMA32', 4096, 65536),
  zone(1, 'DMA32', 131072, 65536),
  zone(2, 'Movable', 1048576, 32768),
];

const LINES = [
  'T0 cpu 0',
  'T0 mmap R0 8 anon',
  'T0 mbind R0 0 8 interleave 0,2',
  'T0 touch R0 0 8',
  'T0 where R0',
];
const RESULTS: OpResult[] = [
  { ret: 0, cpu: 0, node: 0 },
  { ret: 0, pageBytes: 4096 },
  { ret: 0 },
  { ret: 0, touched: 8 },
  { ret: 0, where: [[[0, 2], 4]], counts: { 0: 4, 2: 4 } },
];

function bootWith(results: readonly (OpResult | undefined)[], kernel = '6.1.0-9-amd64'): Boot {
  const start = {
    zonesAtStart: ZONES,
    nodeStates: { possible: [0, 1, 2], online: [0, 1, 2], hasMemory: [0, 1, 2] },
  };
  const ran = { start, results, errors: new Map([[7, 'no such verb']]), isEnded: true };
  return {
    kernel,
    cmdline: 'transparent_hugepage=never',
    cases: new Map([[0, ran]]),
    isDone: true,
    hasBegun: true,
    tail: [],
    durationMs: 1,
    folder: undefined,
    failure: undefined,
  };
}

const GIVEN = { id: 'made-up', family: 'run', purpose: '', lines: LINES };
const OPTIONS = { machine: GUEST, design: 'stock', append: '' };

function recordOf(results: readonly OpResult[]): OracleCase {
  const { record, problem } = recordCase(bootWith(results), 0, GIVEN, OPTIONS);
  if (record === undefined) throw new Error(problem);
  return record;
}

describe('records of guests', () => {
  test('[KRN1] a guest that answers as the model does is equal, on its own zones', () => {
    const record = recordOf(RESULTS);
    expect(record.zonesAtStart).toBe(ZONES);
    expect(conformCase(record)).toMatchObject({ verdict: 'equal' });
  });

  test('kernels of distributions know 1024 nodes, others 64, unless told', () => {
    const maxNodes = (kernel: string, given?: number): number | undefined =>
      recordCase(bootWith(RESULTS, kernel), 0, GIVEN, { ...OPTIONS, maxNodes: given }).record
        ?.maxNodes;
    expect(maxNodes('6.1.0-56-cloud-amd64')).toBe(1024);
    expect(maxNodes('6.1.192-mine')).toBe(64);
    expect(maxNodes('6.1.192-mine', 512)).toBe(512);
  });

  test('an operation without an answer is told, with what the test program says', () => {
    const missing = recordCase(bootWith(RESULTS.slice(0, 3)), 0, GIVEN, OPTIONS);
    expect(missing.problem).toContain('step 4, T0 touch R0 0 8');
    const lines = [...LINES, 'T0 exit', 'T0 exit', 'T0 fly'];
    const answers = [...RESULTS, { ret: 0 }, { ret: 0 }];
    const refused = recordCase(bootWith(answers), 0, { ...GIVEN, lines }, OPTIONS);
    expect(refused.problem).toContain('the test program says: no such verb');
    expect(recordCase(bootWith([]), 3, GIVEN, OPTIONS).problem).toContain('no start');
  });

  test('{device} becomes the device nodes', () => {
    expect(deviceWords('cdm={device} x={device}', GUEST)).toBe('cdm=2 x=2');
  });
});

describe('differences', () => {
  const wrong: OpResult = {
    ret: 0,
    where: [
      [[0, 2], 3],
      [0, 2],
    ],
    counts: { 0: 5, 2: 3 },
  };
  const record = recordOf([...RESULTS.slice(0, 4), wrong]);
  const scenario = parseScenario(LINES.join('\n'), { file: 'x' });
  const model = RESULTS[4] as OpResult;

  test('the step that differs is told, and what the model made of each step before', () => {
    const seen: OpResult[] = [];
    const outcome = conformCase(record, (_, result) => seen.push(result));
    expect(outcome).toMatchObject({ verdict: 'different', step: 4 });
    expect(seen.length).toBe(5);
    expect(seen[4]).toMatchObject({ counts: { 0: 4, 2: 4 } });
  });

  test('the first page at which results part is explained by its own decision', () => {
    expect(differingPage(scenario, 4, model, wrong)).toEqual({
      task: 'T0',
      region: 'R0',
      index: 7,
    });
    const { page, state } = explainDifference(record, scenario, 4, model);
    expect(page).toMatchObject({ index: 7, nid: 2 });
    expect(page?.request?.policyFrom).toBe('area');
    expect(state.map(([what]) => what)).toEqual(['policy of T0', 'mems of T0', 'policy at R0 0']);
    expect(state[2]?.[1]).toMatchObject({ mode: 'interleave', nodes: [0, 2] });
  });

  test('a run that stops early differs at the page where the shorter one stopped', () => {
    const at = differingPage(scenario, 3, { ret: 0, touched: 8 }, { ret: 'SIGBUS', touched: 3 });
    expect(at?.index).toBe(3);
  });

  test('what is written down reads back, with what the kernel did as its expectation', () => {
    const found = {
      number: 7,
      machine: MACHINE,
      lines: LINES,
      outcome: conformCase(record),
      record,
    };
    const names = { name: 'k-7', again: 'cdmlab kernel fuzz --only 7', machine: 'thread' };
    const text = differenceText(found, names);
    expect(text).toContain('# Again: cdmlab kernel fuzz --only 7');
    const read = parseScenario(text, { file: 'k-7' });
    expect(read.ops.map((op) => op.text)).toEqual(LINES);
    expect(read.ops.at(-1)?.expect).toContainEqual({ kind: 'nodes', counts: { 0: 5, 2: 3 } });
    expect(loadScenario('bind-device').scenario.machine).toBe('thread');
  });
});
