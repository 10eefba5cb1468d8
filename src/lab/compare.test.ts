// Comparisons: what they count, on workloads whose outcome is known, and that every shipped
// scenario does under every design what it says.
import { describe, expect, test } from 'vitest';
import { DESIGNS, findDesign, THREAD_DESIGNS } from '../designs/index.ts';
import { Kernel } from '../kernel/kernel.ts';
import { deviceNodes, type Machine } from '../machine/machine.ts';
import { presets } from '../machine/presets/index.ts';
import { compareDesigns, pagesInUse } from './compare.ts';
import type { Comparison, DesignOutcome } from './comparison.ts';
import { loadScenario, parseWithMachine, shippedScenarios } from './load_scenario.ts';

const compareText = (text: string, ...designs: string[]): Comparison =>
  compareDesigns({
    ...parseWithMachine(`machine thread\ntask app\n${text}`, 'test.cdm'),
    designs: designs.map(findDesign),
  });

const only = (text: string, design = 'stock'): DesignOutcome =>
  compareText(text, design).outcomes[0] as DesignOutcome;

/** What takes ten seconds and more: at a sixteenth of its size, on as much memory of devices. */
const SIXTEENTH: ReadonlyMap<string, Readonly<Record<string, string>>> = new Map([
  ['hybrid-oversubscribed', { SIZE: '480MiB' }],
]);

const sixteenth = (machine: Machine): Machine => ({
  ...machine,
  nodes: machine.nodes.map((node) => ({
    ...node,
    ranges: node.ranges.map((range) => {
      return node.device === undefined ? range : { ...range, sizeBytes: range.sizeBytes / 16 };
    }),
  })),
});

describe.each(shippedScenarios())('scenario %s', (name) => {
  test('does what it says under the usual designs and those that it names', () => {
    const parameters = SIXTEENTH.get(name);
    const { scenario, machine } = loadScenario(name, { parameters });
    const named = new Set(scenario.ops.flatMap((op) => op.expect.map((e) => e.design)));
    const designs = DESIGNS.filter((d) => THREAD_DESIGNS.includes(d) || named.has(d.id));
    const { outcomes } = compareDesigns({
      scenario,
      machine: parameters === undefined ? machine : sixteenth(machine),
      designs,
    });
    for (const o of outcomes) {
      expect([o.design, o.failedExpectations, o.notModelled]).toEqual([o.design, [], undefined]);
      expect(o.steps).toHaveLength(scenario.ops.length);
    }
  });
});

test('a task that dies at the limit of its own group is told once', () => {
  const o = only(
    'sys write /sys/fs/cgroup/cgroup.subtree_control +memory\nsys mkdir /sys/fs/cgroup/job\n' +
      'sys write /sys/fs/cgroup/job/memory.max 8M\nsys move app /sys/fs/cgroup/job\n' +
      'app mmap buf 4096 anon\napp touch buf\n',
  );
  expect(o.refusals.map(({ ret }) => ret)).toEqual(['KILLED']);
  expect(o.deaths).toEqual([]);
});

describe('[CMP2] pages', () => {
  test('that a policy asks for, and pages that spill, are apart', () => {
    const text =
      'app mmap buf 32 anon\napp mbind buf 0 16 bind 2\napp mbind buf 16 16 preferred 2\n' +
      'app touch buf\n';
    const gate = only(text, 'allocator-gate');
    expect(gate).toMatchObject({ nrAsked: 16, nrNotAsked: 0, nrSpilled: 16, nrOnDeviceAtEnd: 16 });
    expect(gate.onDevice).toEqual([
      { purpose: 'page fault', from: 'area', isAsked: true, nid: 2, nrPages: 16 },
    ]);
    expect(only(text)).toMatchObject({ nrAsked: 32, nrNotAsked: 0, nrSpilled: 0 });
  });

  test('that nobody asked for are not asked for, with their kind', () => {
    const { scenario, machine } = loadScenario('unaware-app');
    const designs = ['stock', 'allocator-gate'].map(findDesign);
    const [stock, gate] = compareDesigns({ scenario, machine, designs }).outcomes;
    expect(stock?.nrNotAsked).toBeGreaterThan(5000);
    expect(stock?.nrNotAsked).toBe(stock?.nrOnDeviceAtEnd);
    expect(stock?.onDevice).toMatchObject([{ purpose: 'page fault', from: 'default', nid: 2 }]);
    expect(stock?.examples).toMatchObject([{ task: 'app', region: 'more', step: 6, nid: 2 }]);
    expect(gate).toMatchObject({ nrNotAsked: 0, nrOnDeviceAtEnd: 0, examples: [] });
    const [refusal] = gate?.refusals ?? [];
    expect(refusal).toMatchObject({ step: 6, text: 'app touch more', ret: 'KILLED' });
    expect(refusal?.page?.index).toBeGreaterThan(50_000);
  });

  test('that moved count where they came from and went to', () => {
    const o = only(
      'app mmap buf 8 anon\napp touch buf\napp move_pages buf 0 8 2\napp move_pages buf 0 4 3\n' +
        'app move_pages buf 0 2 0\n',
    );
    expect(o).toMatchObject({ nrMovedToDevice: 8, nrMovedFromDevice: 2, nrOnDeviceAtEnd: 6 });
    expect(o.moves).toEqual([
      { cause: 'move_pages', from: 0, to: 2, nrPages: 8 },
      { cause: 'move_pages', from: 2, to: 3, nrPages: 4 },
      { cause: 'move_pages', from: 3, to: 0, nrPages: 2 },
    ]);
  });

  test('of an untouched machine are none on any device node', () => {
    for (const make of presets.values()) {
      const machine = make();
      const kernel = new Kernel(machine, findDesign('stock'));
      for (const node of deviceNodes(machine)) expect(pagesInUse(kernel, node.id)).toBe(0);
    }
  });
});

describe('steps', () => {
  test('carry every region after them, dead tasks without pages', () => {
    const o = only(
      'app cpu 0\napp mmap buf 4 anon\napp touch buf\nfork app child\napp munmap buf\nchild exit\n',
    );
    expect(o.steps.map((s) => s.regions.map((r) => [r.task, r.byNode]))).toEqual([
      [],
      [],
      [['app', { 0: 4 }]],
      [
        ['app', { 0: 4 }],
        ['child', { 0: 4 }],
      ],
      [['child', { 0: 4 }]],
      [],
    ]);
  });

  test('of dead tasks are a count, refusals a list', () => {
    const o = only('app exit\napp cpu 0\napp cpu 1\nT3 cpu 0\n');
    expect(o.nrAfterDeath).toBe(3);
    expect(o.refusals).toEqual([]);
    const refused = only('app mmap buf 4 anon\napp set_home buf 0 4 2\n').refusals;
    expect(refused).toMatchObject([{ step: 1, text: 'app set_home buf 0 4 2', ret: 'ENOENT' }]);
  });

  test('end at what is not modelled, which is named', () => {
    const o = only(
      'app mmap buf 4 anon\nsys write /proc/sys/vm/watermark_scale_factor 9\napp cpu 1\n',
    );
    expect(o.steps).toHaveLength(1);
    expect(o.notModelled).toMatch(/^test.cdm:4: .*watermark_scale_factor/);
  });
});

describe('decisions', () => {
  test('a preferred device costs one zone more a page under the gate, which passes over it', () => {
    const text = 'app cpu 0\napp mmap buf 64 anon\napp mbind buf 0 64 preferred 2\napp touch buf\n';
    const [stock, gate] = compareText(text, 'stock', 'allocator-gate').outcomes;
    expect(stock?.nrRequests).toBe(gate?.nrRequests);
    // 64 pages on node 2 at once, or one gated zone before each; and three tables on node 0.
    expect(stock?.nrZonesLookedAt).toBe(stock?.nrRequests);
    expect((gate?.nrZonesLookedAt ?? 0) - (stock?.nrZonesLookedAt ?? 0)).toBe(64);
  });
});

describe('[CMP1] a comparison', () => {
  test('is the same twice', () => {
    const { scenario, machine } = loadScenario('move-pages');
    const designs = THREAD_DESIGNS;
    const input = { scenario, machine, designs };
    expect(compareDesigns(input)).toEqual(compareDesigns(input));
  });

  test('tells its progress', () => {
    const told: string[] = [];
    compareDesigns({
      ...loadScenario('move-pages'),
      designs: THREAD_DESIGNS,
      onProgress: (done, total, design) => told.push(`${done}/${total} ${design.id}`),
    });
    expect(told[0]).toBe('1/4 stock');
    expect(told).toHaveLength(4);
  });

  test('of no design, or of one twice, is refused', () => {
    const loaded = loadScenario('move-pages');
    const stock = findDesign('stock');
    expect(() => compareDesigns({ ...loaded, designs: [] })).toThrow(/no design/);
    expect(() => compareDesigns({ ...loaded, designs: [stock, stock] })).toThrow(/named twice/);
  });
});
