// The estimate of time: its rules, and the ratios of a published table that come out of it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { UserError } from '../../base/assert.ts';
import { findDesign } from '../../designs/index.ts';
import { streamFaults } from '../../drivers/block_faults.ts';
import { loadMachine } from '../../machine/load.ts';
import { printAct } from '../../scenario/print.ts';
import { compareDesigns } from '../compare.ts';
import { loadScenario, parseWithMachine } from '../load_scenario.ts';
import { Session } from '../session.ts';
import { EstimateSum, estimateStep, type StepEstimate } from './estimate.ts';
import { Figures, figuresOf, figureValue, readFigure, refuseUnknownNodes } from './figures.ts';
import { readCosts } from './read_costs.ts';
import { Traffic, TrafficMeter } from './traffic.ts';

const FILE = fileURLToPath(new URL('../../../scenarios/cost/gh200-two.cdm', import.meta.url));
const figure = (name: string, value: string) => readFigure(name, value, 'a test');
const folder = mkdtempSync(join(tmpdir(), 'cdmlab-cost-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('figures', () => {
  test('[COST1] a machine gives figures by its links, each with the source of its link', () => {
    const figures = figuresOf(loadMachine('gh200'));
    expect(figures.get('memory.0')?.value).toBe(348e9);
    expect(figures.get('memory.1')?.value).toBe(3728e9);
    expect(figures.get('link.0.1')?.value).toBe(377e9);
    expect(figures.get('link.1.0')?.value).toBe(297e9);
    expect(figures.get('latency.0.1')?.value).toBe(621);
    expect(figures.get('memory.0')?.source).toContain('dnhkng.github.io, 2026-04-25');
    expect(figures.get('fault.device')?.source).toContain('another device than this');
    expect(figuresOf(loadMachine('thread')).hasBandwidth).toBe(false);
  });

  test('[COST1] a figure of a node that is not there, or of no such name, is refused', () => {
    const machines = ['thread', 'gh200'].map((name) => loadMachine(name));
    const given = (name: string) => [figure(name, '1GB/s')];
    expect(() => refuseUnknownNodes(given('memory.9'), machines.slice(0, 1))).toThrow(
      'cost "memory.9": machine thread has no node 9; its nodes are 0, 1, 2, 3, 4',
    );
    expect(() => refuseUnknownNodes(given('link.0.9'), machines)).toThrow('no machine of these');
    refuseUnknownNodes([...given('memory.8'), figure('move.page', '1us')], machines);
    expect(() => figure('memry.2', '1GB/s')).toThrow('did you mean "memory.2"?');
    expect(() => figure('move.pge', '1us')).toThrow('did you mean "move.page"?');
  });

  test('[COST1] what is given takes the place of the own figure, and says so', () => {
    const given = readCosts(['memory.0=200GB/s', 'fault.cpu=0.5us']);
    const figures = figuresOf(loadMachine('gh200')).with(given);
    expect(figures.get('memory.0')).toMatchObject({ value: 200e9, source: 'given by hand' });
    expect(figures.get('fault.cpu')?.value).toBe(500);
    expect(figures.get('memory.1')?.value).toBe(3728e9);
    const file = join(folder, 'costs.json');
    const entry = { value: '2us', source: 'a stopwatch' };
    writeFileSync(file, JSON.stringify({ 'move.page': entry, 'links.0.1': '50GB/s' }));
    expect(readCosts([file])).toMatchObject([
      { name: 'move.page', value: 2000, unit: 'ns', source: 'a stopwatch' },
      { name: 'links.0.1', value: 50e9, unit: 'B/s', source: `given in ${file}` },
    ]);
  });

  test.each([
    'memory=3GB/s',
    'memory.0=3',
    'memory.0=-1GB/s',
    'memory.0=3us',
    'links.2.0=3GB/s',
    'fault.cpu=3GB/s',
    'fault.gpu=3us',
    'nowhere.json',
  ])('%s is refused with a message', (text) => {
    expect(() => readCosts([text])).toThrow(UserError);
  });

  test('are shown with three or four digits and a unit', () => {
    expect(figureValue(figure('memory.1', '3.728TB/s'))).toBe('3.728 TB/s');
    expect(figureValue(figure('fault.device', '45us'))).toBe('45 us');
  });
});

describe('a step', () => {
  const figures = new Figures([
    figure('memory.0', '100GB/s'),
    figure('memory.1', '400GB/s'),
    figure('link.0.1', '50GB/s'),
    figure('link.1.0', '25GB/s'),
    figure('latency.0.1', '700ns'),
    figure('fault.cpu', '1us'),
  ]);

  test('[COST2] takes as long as the busiest memory or link, and events come on top', () => {
    const traffic = new Traffic();
    traffic.read(0, 1, 1e9);
    const read = estimateStep(traffic, figures);
    expect(read).toMatchObject({ timeNs: 20e6, decidedBy: 'link.0.1' });
    traffic.write(0, 1, 1e9);
    expect(estimateStep(traffic, figures)).toMatchObject({ timeNs: 40e6, decidedBy: 'link.1.0' });
    traffic.read(1, 1, 40e9);
    expect(estimateStep(traffic, figures)).toMatchObject({ timeNs: 100e6, decidedBy: 'memory.1' });
    traffic.count('fault.cpu', 1000);
    expect(estimateStep(traffic, figures).timeNs).toBe(101e6);
  });

  test('[COST2] takes at least the latency of what it reaches; steps are added', () => {
    const traffic = new Traffic();
    traffic.read(0, 1, 128);
    expect(estimateStep(traffic, figures)).toMatchObject({ timeNs: 700, decidedBy: 'latency.0.1' });
    const sum = new EstimateSum();
    sum.add(estimateStep(traffic, figures));
    sum.add(estimateStep(traffic, figures));
    expect(sum.estimate.timeNs).toBe(1400);
    expect(sum.estimate.figures.map((f) => f.name)).toEqual([
      'latency.0.1',
      'link.0.1',
      'memory.0',
    ]);
  });

  test('[COST4] without a bandwidth there is no estimate; a cost that is missing is left out', () => {
    const traffic = new Traffic();
    traffic.read(2, 0, 1);
    traffic.count('move.page', 3);
    const step = estimateStep(traffic, figures);
    expect(step.timeNs).toBeUndefined();
    expect([...step.missing].sort()).toEqual(['link.2.0', 'memory.2']);
    expect(step.without).toEqual(['move.page']);
    const { outcomes } = compareDesigns({
      ...parseWithMachine('machine thread\nT0 mmap R0 8 anon\nT0 touch R0\n', 'a.cdm'),
      designs: [findDesign('stock')],
    });
    expect(outcomes[0]?.estimatedTimeNs).toBeUndefined();
    expect(outcomes[0]?.estimate).toMatchObject({ missing: ['memory.0'] });
  });

  test('a driver that streams faults six times a block of 2 MiB, once for a leaf', () => {
    expect(streamFaults(32, 65536)).toBe(6);
    expect(streamFaults(512, 4096)).toBe(6);
    expect(streamFaults(1, 65536)).toBe(1);
    expect(streamFaults(1, 4096)).toBe(1);
    expect(streamFaults(0, 65536)).toBe(0);
    expect(streamFaults(64, 65536)).toBe(12);
  });
});

describe('traffic', () => {
  test('[COST5] what a cache of the device answers is none', () => {
    const { scenario, machine } = loadScenario('device-cache');
    const session = new Session({ machine, scenario, design: findDesign('stock') });
    const meter = new TrafficMeter(session);
    const bytes: (number | undefined)[] = [];
    for (let step = session.step(); step !== undefined; step = session.step()) {
      bytes.push(meter.after(step).links.get('0.1'));
    }
    // One pass of 50, none of the next, and half of the one after a CPU's write.
    expect(bytes.slice(4, 10)).toEqual([
      64 * 4096,
      undefined,
      undefined,
      undefined,
      undefined,
      32 * 4096,
    ]);
  });

  test('[COST3] bytes are those that the run moved: zeroing, reading, writing, moving, visits', () => {
    const page = 65536;
    const text = `machine thread
T0 cpu 0
T0 mmap R0 32 anon
T0 touch R0
T0 read R0 0 16
T0 move_pages R0 0 8 2
T0 device_policy gpu0 stay
T0 device_compute gpu0 R0 0 8 reading passes=3
T0 device_compute gpu0 R0 8 8 random accesses=2
T0 work R0 0 8 10
sys mkfile f 16
T0 readfile f
`;
    const { scenario, machine } = parseWithMachine(text, 'b.cdm');
    const session = new Session({ machine, scenario, design: findDesign('stock') });
    const meter = new TrafficMeter(session);
    const steps: Traffic[] = [];
    for (let step = session.step(); step !== undefined; step = session.step()) {
      steps.push(meter.after(step));
    }
    const [, , touch, read, move, , stream, random, work, , file] = steps as Traffic[];
    const tables = (touch?.memory.get(0) ?? 0) / page - 3 * 32;
    expect(tables).toBeGreaterThanOrEqual(1);
    expect(tables).toBeLessThan(8);
    expect(touch?.events.get('fault.cpu')).toBe(32);
    expect(read?.memory).toEqual(new Map([[0, 16 * page]]));
    expect(move?.links).toEqual(new Map([['0.2', 8 * page]]));
    expect(move?.memory.get(0)).toBe(8 * page);
    expect(move?.memory.get(2)).toBe(8 * page);
    expect(move?.events.get('move.page')).toBe(8);
    expect(stream?.memory).toEqual(new Map([[2, 24 * page]]));
    expect(random?.links.get('0.2')).toBe(8 * 2 * 128);
    expect(random?.links.get('2.0')).toBe(8 * 2 * 128);
    expect(work?.memory.size).toBe(0);
    expect(file?.memory.get(0)).toBe(2 * 16 * page);
    expect(file?.events.get('file.page')).toBe(16);
  });
});

describe('two GH200 as measured on 2026-04-25 (docs/COST.md)', () => {
  const { scenario, machine } = loadScenario(FILE);
  const B = 64 * 1024 ** 2;
  // Both directions together is what STREAM counts: the mean of 112.2 and 119.2 GB/s.
  const figures = figuresOf(machine).with([figure('links.0.1', '115.7GB/s')]);
  const session = new Session({ machine, scenario, design: findDesign('stock') });
  const meter = new TrafficMeter(session);
  const steps: [string, Traffic][] = [];
  for (let step = session.step(); step !== undefined; step = session.step()) {
    expect(step.failed).toEqual([]);
    steps.push([printAct(step.op.act), meter.after(step)]);
  }
  /** The estimate of steps that work at once: of each the last that begins so, or the first. */
  const estimate = (starts: readonly string[], at: 0 | -1 = -1): StepEstimate => {
    const together = new Traffic();
    for (const start of starts) {
      const found = steps.filter(([text]) => text.startsWith(start)).at(at);
      together.plus((found as [string, Traffic])[1]);
    }
    return estimateStep(together, figures);
  };
  /** GB/s when so many bytes are counted. */
  const rate = (bytes: number, e: StepEstimate): number => bytes / (e.timeNs as number);
  const near = (found: number, least: number, most = least): void => {
    expect(found).toBeGreaterThan(least * 0.8);
    expect(found).toBeLessThan(most * 1.2);
  };
  const host = estimate(['grace0 device_compute gpu0 host'], 0);
  const remote = estimate(['grace0 device_compute gpu0 remote']);
  const hbm = estimate(['grace0 device_compute gpu0 host']);

  test('a kernel on memory of its CPU: 331-339, bound by that memory and not by the link', () => {
    expect(host.decidedBy).toBe('memory.0');
    near(rate(2 * B, host), 331, 339);
  });

  test('a kernel on memory of the other CPU: 221, and the ratio to its own CPU 1.5', () => {
    expect(remote.decidedBy).toBe('link.2.1');
    near(rate(2 * B, remote), 221);
    near(rate(2 * B, host) / rate(2 * B, remote), 335 / 221);
  });

  test('copies inside HBM: 1,802 copied, so 3,604 read and written', () => {
    expect(hbm.decidedBy).toBe('memory.2');
    near(rate(2 * B, hbm) / rate(2 * B, host), 3604 / 335);
    near(rate(2 * B, hbm), 3604);
  });

  test('a managed buffer touched in turns: 18-29, bound by faults', () => {
    const managed = estimate(['grace0 device_compute gpu0 managed']);
    expect(managed.decidedBy).toBe('fault.device');
    near(rate(2 * B, managed), 18.1, 29.3);
  });

  test('STREAM over interleaved memory: 255, bound by what is between the modules', () => {
    const both = ['grace0', 'grace1'].flatMap((t) => [`${t} read a`, `${t} read b`, `${t} fill c`]);
    const e = estimate(both);
    expect(e.decidedBy).toBe('links.0.1');
    near(rate(6 * B, e), 255);
  });
});
