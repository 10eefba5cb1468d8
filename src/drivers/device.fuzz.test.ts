// Random workloads with devices, under designs where their memory is a node and where it is none,
// judged after every operation.
import fc from 'fast-check';
import { test } from 'vitest';
import { check } from '../../test/support/property.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { judge, smallest } from '../../test/support/workloads.ts';
import { NotModelled } from '../base/assert.ts';
import { findDesign, MAIN_DESIGNS } from '../designs/index.ts';
import type { Machine } from '../machine/machine.ts';
import { parseScenario } from '../scenario/parser.ts';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

const SOURCE = 'made up for a test';

/** Two nodes with CPUs, and two devices of 8 and 4 MiB, whose caches hold 256 and 64 pages. */
const machine: Machine = machineFrom({
  name: 'two-devices',
  arch: 'x86_64',
  nodes: [
    { id: 0, cpus: '0', ranges: [{ start: 0, size: 48 * MIB }] },
    { id: 1, cpus: '1', ranges: [{ start: 4 * GIB, size: 8 * MIB }] },
    { id: 2, ranges: [{ start: 5 * GIB, size: 8 * MIB }], memoryZone: 'movable', device: 'gpu0' },
    { id: 3, ranges: [{ start: 6 * GIB, size: 4 * MIB }], memoryZone: 'movable', device: 'gpu1' },
  ],
  distances: [
    [10, 20, 40, 60],
    [20, 10, 60, 40],
    [40, 60, 10, 80],
    [60, 40, 80, 10],
  ],
  devices: [
    {
      name: 'gpu0',
      kind: 'device',
      homeNode: 0,
      cache: { size: '1MiB', holds: 'all', isCoherent: true, isWriteBack: true, source: SOURCE },
    },
    {
      name: 'gpu1',
      kind: 'device',
      homeNode: 1,
      cache: { size: '256KiB', holds: 'elsewhere', isCoherent: true, source: SOURCE },
    },
  ],
});

/** The ten, those whose drivers keep the memory twice as often, and files on devices. */
const KEPT = ['hmm', 'hmm-coherent', 'hmm-files', 'driver'];
const DESIGNS = [...MAIN_DESIGNS.map((design) => design.id), ...KEPT];

const task = fc.constantFrom('T0', 'T0', 'T1');
const region = fc.constantFrom('R0', 'R1', 'R2');
const device = fc.constantFrom('gpu0', 'gpu1');
const node = fc.constantFrom('0', '1', '2', '0,1', '0,2');
const span = fc
  .tuple(fc.integer({ min: 0, max: 900 }), fc.integer({ min: 1, max: 700 }))
  .map(([off, n]) => `${off} ${n}`);
const few = fc.integer({ min: 0, max: 900 }).map((off) => `${off} 8`);
const line = (...parts: (string | fc.Arbitrary<string>)[]): fc.Arbitrary<string> =>
  fc
    .tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part)))
    .map((words) => words.join(' '));

const anyLine = fc.oneof(
  { weight: 4, arbitrary: line(task, 'touch', region, span) },
  { weight: 2, arbitrary: line(task, 'read', region, span) },
  {
    weight: 8,
    arbitrary: line(
      task,
      'device_compute',
      device,
      region,
      span,
      fc.constantFrom('', 'reading', 'random accesses=300', 'atomic'),
    ),
  },
  {
    weight: 3,
    arbitrary: line(task, 'device_prefetch', fc.constantFrom('gpu0', 'cpu'), region, span),
  },
  {
    weight: 2,
    arbitrary: line(
      task,
      'device_policy',
      device,
      fc.constantFrom('migrate', 'migrate-back', 'counters', 'stay'),
      fc.constantFrom('evict', 'keep'),
    ),
  },
  {
    weight: 1,
    arbitrary: line(
      task,
      'device_advise',
      device,
      region,
      span,
      fc.constantFrom('device', 'cpu', 'none'),
    ),
  },
  {
    weight: 2,
    arbitrary: line(task, 'mmap', region, '1000', fc.constantFrom('anon', 'shared', 'anon-locked')),
  },
  { weight: 2, arbitrary: line(task, 'device_alloc', device, region, '700') },
  { weight: 2, arbitrary: line(task, 'munmap', region, span) },
  {
    weight: 2,
    arbitrary: line(task, 'mbind', region, span, 'bind', node, fc.constantFrom('', 'move')),
  },
  { weight: 1, arbitrary: line(task, 'move_pages', region, few, fc.constantFrom('0', '1', '2')) },
  { weight: 1, arbitrary: line(task, 'migrate_pages', fc.constantFrom('0', '2'), '1') },
  { weight: 1, arbitrary: line(task, fc.constantFrom('mlock', 'munlock'), region, span) },
  { weight: 2, arbitrary: line(task, 'pin', region, few, fc.constantFrom('', 'longterm')) },
  {
    weight: 2,
    arbitrary: line(
      task,
      'madvise',
      region,
      span,
      fc.constantFrom('dontneed', 'free', 'pageout', 'cold'),
    ),
  },
  { weight: 2, arbitrary: line('fork', 'T0', 'T1') },
  { weight: 1, arbitrary: line('T1', 'exit') },
  { weight: 1, arbitrary: line('sys', 'swapon', '4000') },
  { weight: 1, arbitrary: line('sys mkfile data 600') },
  {
    weight: 2,
    arbitrary: line(task, 'mmap', region, '600', fc.constantFrom('file:data', 'file-private:data')),
  },
  { weight: 1, arbitrary: line(task, fc.constantFrom('readfile', 'writefile'), 'data') },
  {
    weight: 1,
    arbitrary: line('sys', fc.constantFrom('drop_caches', 'sync', 'truncate data 100')),
  },
  { weight: 1, arbitrary: line('sys', fc.constantFrom('offline_node', 'online_node'), '3') },
  { weight: 1, arbitrary: line('sys link_failure 3') },
  {
    weight: 2,
    arbitrary: line(
      task,
      'alloc_pages drv',
      fc.constantFrom('1', '40', '3000'),
      fc.constantFrom(
        'GFP_KERNEL',
        'GFP_ATOMIC|__GFP_HARDWALL',
        'GFP_KERNEL_ACCOUNT|__GFP_NOFAIL|__GFP_THISNODE',
        'GFP_USER|__GFP_MEMALLOC|__GFP_RETRY_MAYFAIL',
      ),
      fc.constantFrom('', 'order=2', 'node=1', 'order=4 node=2'),
    ),
  },
  { weight: 1, arbitrary: line(task, 'free_pages drv') },
);

const workload = fc.record({
  design: fc.constantFrom(...DESIGNS),
  lines: fc.array(anyLine, { minLength: 4, maxLength: 24 }),
});

test('[ZDV2] [DVF1] [DRV1] [PRM3] nothing is lost or out of place, whatever devices and programs do', () => {
  check(workload, 20, ({ design, lines }) => {
    const text = ['T0 mmap R0 1000 anon', 'T0 mmap R1 1000 anon', ...lines].join('\n');
    const scenario = parseScenario(text, { file: 'fuzz.cdm', pageBytes: 4096 });
    const input = {
      machine,
      design: findDesign(design),
      refuses: NotModelled,
      isExpected: (finding: string) => /^promise: .*policy: (?:cpuset|task)\)/.test(finding),
    };
    const find = (ops: typeof scenario.ops) => judge(input, scenario, ops);
    if (find(scenario.ops).length === 0) return;
    const ops = smallest(scenario.ops, find);
    throw new Error([`under ${design}:`, ...ops.map((op) => op.text), ...find(ops)].join('\n'));
  });
});
