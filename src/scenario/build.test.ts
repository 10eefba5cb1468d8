// The API builds what the parser reads: for arbitrary acts, not only for those anybody thought of.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { scenario } from './build.ts';
import {
  type Act,
  DEVICE_ADVICE,
  DEVICE_POLICY_WORDS,
  type Expectation,
  MADVICE,
  MMAP_KINDS,
  type ModeArg,
  type NodesArg,
  type Op,
  type Scenario,
  type SysAct,
  type TaskAct,
} from './ops.ts';
import { parseOpLine, parseScenario } from './parser.ts';
import { printOp, printScenario } from './print.ts';
import { MBIND_WORDS, MODE_FLAGS, MODES } from './words.ts';

const withoutPlaces = (s: Scenario): Scenario => ({
  ...s,
  ops: s.ops.map(({ text, act, expect }): Op => ({ text, act, expect })),
});

const count = fc.oneof(fc.nat({ max: 200 }), fc.nat({ max: 2 ** 31 }));
const atLeastOne = count.map((n) => n + 1);
const node = fc.nat({ max: 1023 });
const anyNode = fc.oneof(node, fc.integer({ min: -5, max: 5000 }));
const region = fc.nat({ max: 31 }).map((n) => `R${n}`);
const task = fc.nat({ max: 15 }).map((n) => `T${n}`);
const nodes: fc.Arbitrary<NodesArg> = fc.oneof(
  fc.array(node, { minLength: 1, maxLength: 5 }),
  fc.constantFrom('none' as const, 'empty' as const, 'badptr' as const),
);
const mode: fc.Arbitrary<ModeArg> = fc.record({
  mode: fc.oneof(fc.constantFrom(...MODES, '-1', '99', '0x8'), fc.nat().map(String)),
  flags: fc.array(fc.constantFrom(...MODE_FLAGS, '0x1000', '3'), { maxLength: 3 }),
});
const value = fc.oneof(
  fc.stringMatching(/^[ -!#-~]{0,12}$/),
  fc.constantFrom('', '0-2', '->', '# x', '$i', 'a;', '+cpuset'),
);
const path = fc.stringMatching(/^\/[a-z0-9./_-]{0,20}$/);
const where = { region, offset: count, nrPages: count };
const optional = <T>(arbitrary: fc.Arbitrary<T>): { arbitrary: fc.Arbitrary<T> } => ({ arbitrary });

/** A record whose keys marked `optional` are there or absent. */
function record(verb: string, shape: Record<string, unknown>): fc.Arbitrary<TaskAct> {
  const all: Record<string, fc.Arbitrary<unknown>> = { verb: fc.constant(verb) };
  const requiredKeys = ['verb'];
  for (const [key, entry] of Object.entries(shape)) {
    const isOptional = typeof entry === 'object' && entry !== null && 'arbitrary' in entry;
    all[key] = (isOptional ? entry.arbitrary : entry) as fc.Arbitrary<unknown>;
    if (!isOptional) requiredKeys.push(key);
  }
  return fc.record(all, { requiredKeys, noNullPrototype: true }) as fc.Arbitrary<unknown> as never;
}

/** A range that is there or not as a whole. */
const onRange = (verb: string, more: Record<string, unknown> = {}): fc.Arbitrary<TaskAct> =>
  fc.oneof(record(verb, { ...more, ...where }), record(verb, { ...more, region }));

/** Kinds of mappings with a name behind a colon: of a file, or of a device. */
const NAMES_ITS_FILE = /^(?:file|text|device)/;

const taskAct: fc.Arbitrary<TaskAct> = fc.oneof(
  record('cpu', { cpu: count }),
  record('set_mempolicy', { mode, nodes, maxnode: optional(count) }),
  ...['get_mempolicy', 'next_node', 'mems_allowed', 'exit'].map((verb) => record(verb, {})),
  ...['policy_at', 'node_at'].map((verb) => record(verb, { region, offset: count })),
  record('get_raw', { flags: count, maxnode: count }),
  record('get_raw', { flags: count, maxnode: count, region, offset: count }),
  record('mmap', {
    region,
    nrPages: count,
    kind: fc.constantFrom(...MMAP_KINDS.filter((kind) => !NAMES_ITS_FILE.test(kind))),
    shift: fc.nat({ max: 9 }),
  }),
  record('mmap', {
    region,
    nrPages: count,
    kind: fc.constantFrom(...MMAP_KINDS.filter((kind) => NAMES_ITS_FILE.test(kind))),
    shift: fc.nat({ max: 9 }),
    file: fc.constantFrom('gpu0', 'fa'),
    at: count,
  }),
  ...['munmap', 'where'].map((verb) => onRange(verb)),
  ...['touch', 'read', 'mlock', 'munlock'].map((verb) => record(verb, where)),
  onRange('tables'),
  record('tables', { region, offset: count }),
  record('mbind', {
    ...where,
    mode,
    nodes,
    words: fc.uniqueArray(fc.constantFrom(...MBIND_WORDS)),
    rawFlags: count,
    maxnode: optional(count),
    addressOffsetBytes: count,
  }),
  record('set_home', { ...where, node: anyNode, flags: count, addressOffsetBytes: count }),
  record('move_pages', {
    ...where,
    nodes: fc.array(anyNode, { minLength: 1, maxLength: 5 }),
    moveAll: fc.boolean(),
    rawFlags: optional(count),
    pid: optional(task),
  }),
  record('migrate_pages', {
    from: nodes,
    to: nodes,
    pid: optional(task),
    maxnode: optional(count),
  }),
  record('madvise', { ...where, advice: fc.constantFrom(...MADVICE) }),
  record('swrite', { path, value }),
  onRange('device_compute', {
    device: fc.constantFrom('gpu0', 'gpu1'),
    words: fc.constantFrom<string[][]>([], ['reading'], ['hot'], ['random', 'reading']),
    passes: optional(atLeastOne),
    stride: optional(atLeastOne),
    seed: optional(count),
    accesses: optional(atLeastOne),
  }),
  record('device_policy', {
    device: fc.constant('gpu0'),
    policy: fc.constant('on-fault'),
    words: fc.subarray([...DEVICE_POLICY_WORDS]),
    threshold: optional(count),
  }),
  onRange('device_prefetch', { device: fc.constantFrom('gpu0', 'cpu') }),
  record('device_advise', {
    ...where,
    device: fc.constant('gpu0'),
    advice: fc.constantFrom(...DEVICE_ADVICE),
  }),
);

const sysAct: fc.Arbitrary<SysAct> = fc.oneof(
  fc.record({ verb: fc.constant('write' as const), path, value }),
  fc.record({ verb: fc.constantFrom('read' as const, 'mkdir' as const, 'rmdir' as const), path }),
  fc.record({ verb: fc.constant('move' as const), task, cgroup: path }),
  fc.record({
    verb: fc.constantFrom('zones', 'free', 'numastat', 'hugetlb', 'states', 'tasks' as const),
  }) as fc.Arbitrary<SysAct>,
  fc.record({
    verb: fc.constant('vmstat' as const),
    keys: fc.array(fc.stringMatching(/^[a-z_]{1,8}$/), { minLength: 1, maxLength: 3 }),
  }),
  fc.record(
    { verb: fc.constant('offline_node' as const), node, nrBlocks: count },
    { requiredKeys: ['verb', 'node'] },
  ),
  fc.record(
    { verb: fc.constant('swapon' as const), nrPages: count, priority: count },
    { requiredKeys: ['verb', 'nrPages'] },
  ),
  fc.record(
    {
      verb: fc.constant('online_node' as const),
      node,
      zone: fc.constantFrom('KERNEL' as const, 'MOVABLE' as const),
      nrBlocks: count,
    },
    { requiredKeys: ['verb', 'node'] },
  ),
  fc.record({ verb: fc.constant('sleep' as const), ms: count }),
);

/** Records of fast-check may lack a prototype, which those of the parser have. */
const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ on: fc.constant('task' as const), task, act: taskAct }) },
  { weight: 3, arbitrary: fc.record({ on: fc.constant('sys' as const), act: sysAct }) },
  fc.record({ on: fc.constant('fork' as const), parent: task, child: task }),
);

const design = fc.option(fc.constantFrom('stock', 'zonelist', 'limited-node'), { nil: undefined });
const ret: fc.Arbitrary<Expectation> = fc.record({
  kind: fc.constant('ret' as const),
  ret: fc.oneof(fc.constantFrom('EINVAL', 'KILLED', 'LIVELOCK'), fc.nat({ max: 99 })),
});
const counts: fc.Arbitrary<Expectation> = fc.record({
  kind: fc.constant('nodes' as const),
  counts: fc.dictionary(fc.oneof(node.map(String), fc.constant('ENOENT')), count, {
    maxKeys: 4,
    noNullPrototype: true,
  }),
});
const killedBy: fc.Arbitrary<Expectation> = fc.record({
  kind: fc.constant('field' as const),
  field: fc.constant('killedBy'),
  value,
});

/** Expectations that suit any act; counts only where `withCounts`. */
const expected = (withCounts: boolean): fc.Arbitrary<Expectation[]> => {
  const claim = withCounts ? fc.oneof(ret, counts, killedBy) : fc.oneof(ret, killedBy);
  const one = fc
    .tuple(claim, design)
    .map(([c, d]): Expectation => (d === undefined ? c : { ...c, design: d }));
  return fc.array(one, { maxLength: 4 });
};

describe('what is printed reads back equal', () => {
  test('for any act with any expectations', () => {
    const hasCounts = (a: Act): boolean => a.on === 'task' && a.act.verb === 'where';
    const pair = act.chain((a) => expected(hasCounts(a)).map((e) => ({ act: a, expect: e })));
    fc.assert(
      fc.property(pair, (op) => {
        const again = parseOpLine(printOp({ ...op, text: '' }));
        expect(again.act).toStrictEqual(plain(op.act));
        expect(again.expect).toStrictEqual(plain(op.expect));
      }),
      { numRuns: 3000 },
    );
  });

  test('two acts print alike only when they are equal', () => {
    fc.assert(
      fc.property(act, act, (a, b) => {
        const line = (x: Act): string => printOp({ act: x, expect: [], text: '' });
        if (line(a) === line(b)) expect(plain(a)).toStrictEqual(plain(b));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('the API', () => {
  /** Names for regions and tasks instead of slots. */
  const name = fc.constantFrom('buf', 'other', 'R3', 'heap_1');

  test('builds exactly the acts that it was given, and the same as its text is parsed to', () => {
    const input = fc.record({
      acts: fc.array(taskAct, { maxLength: 12 }),
      first: fc.option(fc.constantFrom('app', 'T0'), { nil: undefined }),
      regions: fc.uniqueArray(name, { maxLength: 4 }),
      title: fc.stringMatching(/^([!-~]([ -~]*[!-~])?)?$/),
    });
    fc.assert(
      fc.property(input, ({ acts, first, regions, title }) => {
        const builder = scenario('any', { title, machine: 'thread' });
        if (first !== undefined) builder.task(first);
        for (const r of regions) builder.mmap(r, { nrPages: 8 }).touch(r);
        builder.fork('worker').task('worker');
        for (const a of acts) builder.do(a);
        const built = builder.build();
        const given = built.ops.slice(regions.length * 2 + 1);
        // A pid of T0 comes out as the first task's own name: the same task under its one name.
        const own = (pid: string): string => (pid === 'T0' ? (first ?? 'T0') : pid);
        const wanted = acts.map((a) =>
          'pid' in a && a.pid !== undefined ? { ...a, pid: own(a.pid) } : a,
        );
        expect(given.map((op) => op.act.on === 'task' && op.act.act)).toStrictEqual(plain(wanted));
        const parsed = parseScenario(printScenario(built), { file: 'any' });
        expect(withoutPlaces(parsed)).toStrictEqual(built);
      }),
      { numRuns: 300 },
    );
  });

  test('the example of the header comment is a scenario', () => {
    const s = scenario('bind-device', { title: 'mbind to a device node', machine: 'thread' })
      .task('app')
      .mmap('buf', { nrPages: 64 })
      .mbind('buf', { mode: 'bind', nodes: [2] })
      .touch('buf')
      .where('buf')
      .expect({ nodes: { 2: 64 } })
      .mbind('buf', { mode: 'bind+static', nodes: [0], words: ['move'] })
      .expect({ ret: 'EIO', design: ['zonelist', 'limited-node'] })
      .fork('worker')
      .task('worker')
      .do({ verb: 'get_mempolicy' })
      .expect({ field: 'mode', value: 'default' })
      .sys({ verb: 'free' })
      .build();
    expect(printScenario(s)).toBe(
      `scenario bind-device
title mbind to a device node
machine thread
task app

app mmap buf 64 anon
app mbind buf 0 64 bind 2
app touch buf
app where buf -> nodes 2:64
app mbind buf 0 64 bind+static 0 move -> [zonelist,limited-node] EIO
fork app worker
worker get_mempolicy -> mode default
sys free
`,
    );
  });

  test('every short form builds the line it stands for', () => {
    const s = scenario('short')
      .cpu(8)
      .setMempolicy({ mode: 'local' })
      .mmap('R0', { nrPages: 8, kind: 'shared', shift: 1 })
      .read('R0', { offset: 1, nrPages: 2 })
      .setHome('R0', 1)
      .movePages('R0', [2, 0], { offset: 0, nrPages: 4 })
      .migratePages([0], [1])
      .madvise('R0', 'dontneed')
      .deviceCompute('gpu0', 'R0')
      .munmap('R0')
      .build();
    expect(s.ops.map((op) => op.text)).toEqual([
      'T0 cpu 8',
      'T0 set_mempolicy local none',
      'T0 mmap R0 8 shared shift=1',
      'T0 read R0 1 2',
      'T0 set_home R0 0 8 1',
      'T0 move_pages R0 0 4 2,0',
      'T0 migrate_pages 0 1',
      'T0 madvise R0 0 8 dontneed',
      'T0 device_compute gpu0 R0',
      'T0 munmap R0',
    ]);
  });

  test('mistakes are refused with the operation that holds them', () => {
    expect(() => scenario('x').task('app').touch('buf').build()).toThrow(
      /operation 1, "app touch buf": no region "buf"/,
    );
    expect(() =>
      scenario('x').sys({ verb: 'sleep', ms: 1 }).do({ verb: 'cpu', cpu: -1 }).build(),
    ).toThrow(/operation 2, "T0 cpu -1": "-1" is no number/);
    expect(() =>
      scenario('x')
        .setMempolicy({ mode: 'bnd', nodes: [0] })
        .build(),
    ).toThrow(/"bind"/);
    expect(() => scenario('x').mbind('buf', { mode: 'bind', nodes: [0] })).toThrow(/size of buf/);
    expect(() => scenario('x').expect({ ret: 0 })).toThrow(/before any operation/);
    expect(() => scenario('x', { title: 'a\nsys free' }).build()).toThrow(/line break/);
    expect(() => scenario('a b').build()).toThrow(/scenario a b: "b" is one word too many/);
    const twoLines = { verb: 'write', path: '/a', value: '1\nsys free' } as const;
    expect(() => scenario('x').sys(twoLines).build()).toThrow(/operation 1/);
    const hidden = { verb: 'write', path: '/a', value: '1 # x" # y' } as const;
    expect(() => scenario('x').sys(hidden).build()).toThrow(/operation 1/);
  });
});
