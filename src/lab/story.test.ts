// What designs bought and cost, in words and as a matrix: every word from a number.
import { describe, expect, test } from 'vitest';
import { EVERY_DESIGN, findDesign, MAIN_DESIGNS } from '../designs/index.ts';
import { compareDesigns } from './compare.ts';
import type { ComparedDeath, Comparison, DesignOutcome } from './comparison.ts';
import { loadScenario, scenarioNames } from './load_scenario.ts';
import { runMatrix } from './matrix.ts';
import { cellsOf, storiesOf } from './story.ts';

const designs = ['stock', 'allocator-gate', 'zonelist', 'limited-node'].map(findDesign);
const compared = (name: string): Comparison => compareDesigns({ ...loadScenario(name), designs });

const plain: DesignOutcome = {
  design: 'stock',
  title: '',
  summary: '',
  promise: '',
  onDevice: [],
  nrAsked: 10,
  nrNotAsked: 0,
  nrOnDeviceAtEnd: 10,
  refusals: [],
  nrSpilled: 0,
  moves: [],
  nrMovedToDevice: 0,
  nrMovedFromDevice: 0,
  nrRequests: 100,
  nrZonesLookedAt: 100,
  failedExpectations: [],
  steps: [{ index: 0, text: 'app touch buf', ret: 0, regions: [] }],
  zonelists: [],
  stateHash: '',
};
const other = (change: Partial<DesignOutcome>): DesignOutcome => ({
  ...plain,
  design: 'other',
  ...change,
});
const storyOf = (change: Partial<DesignOutcome>, base: Partial<DesignOutcome> = {}) =>
  storiesOf({ outcomes: [{ ...plain, ...base }, other(change)] })[0];
const refusal = (ret: string, step = 0) => ({ step, text: 'app touch buf', ret });

const death = (change: Partial<ComparedDeath>): ComparedDeath => ({
  step: 3,
  text: 'sys link_failure 2',
  task: 'app',
  by: 'SIGBUS',
  ...change,
});

describe('stories', () => {
  test('[STO1] nothing is said where nothing differs, and nothing without stock', () => {
    expect(storyOf({})).toEqual({ design: 'other', bought: [], cost: [] });
    expect(storiesOf({ outcomes: [other({})] })).toEqual([]);
  });

  test.each([
    ['bought', {}, { nrNotAsked: 3328 }, 'keeps 3,328 pages off devices that nobody had asked for'],
    ['cost', { nrNotAsked: 1 }, {}, '1 page more on devices that nobody had asked for'],
    ['cost', { nrAsked: 4 }, {}, '6 pages fewer on devices that had been asked for'],
    ['cost', { nrSpilled: 7 }, {}, '7 pages more spilled into system memory'],
    ['bought', { refusals: [] }, { refusals: [refusal('EINVAL')] }, '1 refusal fewer'],
    [
      'cost',
      { refusals: [refusal('KILLED')] },
      {},
      '1 task more killed by the OOM killer, first at step 1 (app touch buf -> KILLED)',
    ],
    [
      'cost',
      { refusals: [refusal('LIVELOCK', 4)] },
      {},
      '1 fault more that is tried for ever, first at step 5 (app touch buf -> LIVELOCK)',
    ],
    [
      'cost',
      { refusals: [refusal('SIGBUS'), refusal('SIGBUS', 2)] },
      {},
      '2 operations more end in SIGBUS, first at step 1 (app touch buf -> SIGBUS)',
    ],
    [
      'cost',
      { deaths: [death({ by: 'SIGBUS', task: 'hog' })] },
      {},
      '1 task more dies of SIGBUS, first at step 4 (sys link_failure 2: hog SIGBUS)',
    ],
    [
      'bought',
      {},
      { deaths: [death({ by: 'SIGKILL', askedBy: 'app' })], refusals: [refusal('KILLED')] },
      '2 tasks fewer killed by the OOM killer',
    ],
    [
      'cost',
      { refusals: [refusal('PANIC', 1)] },
      { refusals: [refusal('KILLED', 1), refusal('SIGBUS', 2)] },
      'the kernel panics at step 2 (app touch buf -> PANIC), and nothing goes on',
    ],
    ['cost', { nrMovedToDevice: 2000 }, {}, '2,000 page moves to or from devices more'],
    ['cost', { nrZonesLookedAt: 164 }, {}, '1.64 zones looked at for a request, not 1.00'],
    ['bought', { estimatedTimeNs: 75 }, { estimatedTimeNs: 100 }, '25 % less time (estimate)'],
  ] as const)('[STO1] %s: %j against %j', (kind, change, base, sentence) => {
    const story = storyOf(change, base);
    expect(story?.[kind]).toEqual([sentence]);
    expect(story?.[kind === 'cost' ? 'bought' : 'cost']).toEqual([]);
  });

  test('[STO3] a kill that is not there because a policy was refused says so', () => {
    const mbind = { step: 2, text: 'app mbind buf 0 8 bind 2', ret: 'EINVAL' };
    const killed = {
      refusals: [refusal('KILLED', 4), { ...refusal('SIGBUS', 6), text: 'b touch x' }],
    };
    expect(storyOf({ refusals: [mbind] }, killed)?.bought).toEqual([
      '1 task fewer killed by the OOM killer: step 3 was refused (app mbind buf 0 8 bind 2 -> ' +
        'EINVAL), so that pages came from elsewhere',
      '1 operation fewer ends in SIGBUS',
    ]);
    // Stock refuses it too: then that is no reason.
    const both = { refusals: [mbind, refusal('KILLED', 4)] };
    expect(storyOf({ refusals: [mbind] }, both)?.bought).toEqual([
      '1 task fewer killed by the OOM killer',
    ]);
  });

  test('[END2] what a task does that has died in the other run is not held against this one', () => {
    const dead = { deaths: [death({})] };
    const lives = { refusals: [refusal('SIGBUS', 5), refusal('EINVAL', 6), refusal('SIGBUS', 2)] };
    expect(storyOf(dead, lives)).toMatchObject({
      bought: ['1 operation fewer ends in SIGBUS'],
      cost: ['1 task more dies of SIGBUS, first at step 4 (sys link_failure 2: app SIGBUS)'],
    });
  });

  test('a run that stopped says after which step, and why', () => {
    expect(storyOf({ notModelled: 'swap', steps: [] })?.stopped).toBe(
      'stopped after 0 of 1 steps, not modelled: swap',
    );
  });

  test('[STO2] [END1] a cell names all that happened, the worst first', () => {
    const words = (...changes: Partial<DesignOutcome>[]): string[] =>
      cellsOf({ outcomes: [plain, ...changes.map(other)] }).map(({ word, text }) =>
        text.startsWith(word) || word === 'not modelled' ? `${word}: ${text}` : 'wrong',
      );
    expect(words({ nrNotAsked: 3, nrSpilled: 1234 }, { notModelled: 'x', nrSpilled: 1 })).toEqual([
      'kept: kept',
      'leaked: leaked 3, spilled 1,234',
      'not modelled: spilled 1',
    ]);
    expect(words({ refusals: [refusal('EINVAL'), refusal('KILLED')] })[1]).toBe(
      'killed: killed 1, refused 1',
    );
    expect(words({ refusals: [refusal('SIGBUS'), refusal('LIVELOCK')] })[1]).toBe(
      'SIGBUS: SIGBUS 1, stuck 1',
    );
    const both = cellsOf({
      outcomes: [
        { ...plain, refusals: [refusal('EINVAL')] },
        other({ refusals: [refusal('EINVAL')] }),
      ],
    });
    expect(both.map((cell) => cell.text)).toEqual(['kept', 'kept']);
  });

  test('the numbers in a real story are differences of the comparison', () => {
    const comparison = compared('unaware-app');
    const [stock, gate] = comparison.outcomes as [DesignOutcome, DesignOutcome];
    expect(stock.nrNotAsked).toBeGreaterThan(1000);
    const words = storiesOf(comparison)[0]?.bought.join() ?? '';
    expect(words.replaceAll(',', '')).toContain(
      `keeps ${stock.nrNotAsked - gate.nrNotAsked} pages off`,
    );
    expect(storiesOf(comparison)[0]?.cost.join()).toContain('-> KILLED');
  });
});

describe('the matrix', () => {
  const scenarios = ['text-stays', 'claims/policy-is-enough', 'move-pages'];
  const whole = new Map<string, Comparison>();
  const told: string[] = [];
  const matrix = runMatrix({
    designs,
    scenarios,
    onComparison: (name, comparison) => whole.set(name, comparison),
    onProgress: (text) => told.push(text),
  });

  test('[MTX1] has a row a scenario and a cell a design, as the comparison says', () => {
    expect(matrix.rows.map((row) => row.name)).toEqual(scenarios);
    for (const row of matrix.rows) {
      const comparison = whole.get(row.name) as Comparison;
      expect(row.cells).toEqual(cellsOf(comparison));
      expect(row.stories).toEqual(storiesOf(comparison));
      expect(row.numbers.map((n) => n.stateHash)).toEqual(
        comparison.outcomes.map((o) => o.stateHash),
      );
    }
    const done = told.filter((text) => text.includes(' done, '));
    expect(done).toHaveLength(scenarios.length * designs.length);
    expect(done[0]).toBe('text-stays (1 of 3): stock done, 1 of 4');
  });

  test('[MTX2] verdicts add up cells', () => {
    const limited = matrix.verdicts.find((v) => v.design === 'limited-node');
    expect(limited?.sentences).toContain(
      'Leaves faults that are tried for ever in 1 scenario: text-stays.',
    );
    const kept = matrix.rows.filter((row) => row.cells[3]?.word === 'kept').length;
    expect(limited?.sentences[0]).toBe(`Keeps everything in ${kept} of 3 scenarios.`);
    expect(matrix.verdicts[0]?.sentences.join()).not.toContain('Against stock');
  });

  test('scenarios of the folders go by their folder; the sets of designs begin with stock', () => {
    expect(scenarioNames()).toContain('claims/policy-is-enough');
    expect(scenarioNames()).toContain('findings/every-request');
    expect(MAIN_DESIGNS.slice(0, 4)).toEqual(designs);
    expect(EVERY_DESIGN.map((d) => d.id)).toContain('by-page');
    expect(MAIN_DESIGNS.every((d) => EVERY_DESIGN.includes(d))).toBe(true);
    expect(new Set(MAIN_DESIGNS).size).toBe(MAIN_DESIGNS.length);
  });
});
