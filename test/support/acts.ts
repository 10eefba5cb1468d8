// Arbitrary operations, sensible or not: every verb that is modelled, with arguments of every kind.
import fc from 'fast-check';
import { DEVICE_POLICIES } from '../../src/drivers/driver.ts';
import {
  type Act,
  DEVICE_ADVICE,
  FADVICE,
  type ModeArg,
  type NodesArg,
  type SysAct,
  type TaskAct,
} from '../../src/scenario/ops.ts';

const TASKS = ['T0', 'T0', 'T0', 'T1', 'T1', 'T2', 'T3'];
const GROUPS = ['/a', '/b', '/a/x', ''];

const task = fc.constantFrom(...TASKS);
const region = fc.constantFrom('R0', 'R1', 'R2');
/** Nodes by position; the machine decides which ids they are. */
const node = fc.oneof(fc.nat(7), fc.constantFrom(-1, 12, 1023));
const someNodes = fc.array(fc.nat(7), { minLength: 1, maxLength: 4 });
const nodesArg: fc.Arbitrary<NodesArg> = fc.oneof(
  { weight: 8, arbitrary: someNodes },
  { weight: 1, arbitrary: fc.constantFrom('none' as const, 'empty' as const, 'badptr' as const) },
);
const mode: fc.Arbitrary<ModeArg> = fc.record({
  mode: fc.constantFrom(
    'default',
    'local',
    'bind',
    'bind',
    'preferred',
    'interleave',
    'interleave',
    'preferred_many',
    '6',
    '99',
  ),
  flags: fc.subarray(['static', 'relative', 'numa_balancing'], { maxLength: 1 }),
});
const range = { region, offset: fc.nat(70), nrPages: fc.nat(40) };
const maxnode = fc.constantFrom(undefined, undefined, undefined, 0, 2, 65, 40_000);
const addressOffsetBytes = fc.constantFrom(0, 0, 0, 0, 1);

const is = <V extends string>(verb: V) => ({ verb: fc.constant(verb) });

/** Files that random operations make, read, write and map. */
const file = fc.constantFrom('fa', 'fb');
const fileRange = { file, offset: fc.nat(70), nrPages: fc.nat(40) };

const fileAct: fc.Arbitrary<TaskAct> = fc.oneof(
  fc.record({ verb: fc.constantFrom('readfile', 'writefile'), ...fileRange }),
  fc.record({ ...is('fadvise'), ...fileRange, advice: fc.constantFrom(...FADVICE) }),
  fc.record({ ...is('fsync'), file }),
  fc.record({
    ...is('mmap'),
    region,
    nrPages: fc.constant(64),
    kind: fc.constantFrom('file', 'file-private', 'text'),
    shift: fc.constantFrom(0, 0, 3),
    file,
    at: fc.constantFrom(0, 0, 5),
  }),
);

const fileSysAct: fc.Arbitrary<SysAct> = fc.oneof(
  fc.record({ ...is('mkfile'), file, nrPages: fc.nat(96), isTmpfs: fc.constant(false) }),
  fc.record({
    ...is('mkfile'),
    file,
    nrPages: fc.nat(96),
    isTmpfs: fc.constant(true),
    mpol: fc.option(
      fc.record({
        mode: fc.record({
          mode: fc.constantFrom('bind', 'preferred', 'interleave', 'local', 'default'),
          flags: fc.subarray(['static', 'relative'], { maxLength: 1 }),
        }),
        nodes: fc.oneof(someNodes, fc.constant('none' as const)),
      }),
      { nil: undefined },
    ),
  }),
  fc.record({ ...is('rmfile'), file }),
  fc.record({ ...is('truncate'), file, nrPages: fc.nat(96) }),
  fc.record({ ...is('cached'), file }),
  fc.record({ verb: fc.constantFrom('sync', 'drop_caches') }),
  fc.record({
    ...is('write'),
    path: fc.constant('/proc/sys/vm/drop_caches'),
    value: fc.constantFrom('1', '2', '3', '0'),
  }),
);

const taskAct: fc.Arbitrary<TaskAct> = fc.oneof(
  { weight: 4, arbitrary: fileAct },
  fc.record({ ...is('cpu'), cpu: fc.nat(9) }),
  fc.record({ ...is('set_mempolicy'), mode, nodes: nodesArg, maxnode }),
  fc.record(is('get_mempolicy')),
  fc.record({ ...is('policy_at'), region, offset: fc.nat(70) }),
  fc.record({ ...is('node_at'), region, offset: fc.nat(70) }),
  fc.record(is('next_node')),
  fc.record(is('mems_allowed')),
  fc.record({
    ...is('mmap'),
    region,
    nrPages: fc.constant(64),
    kind: fc.constantFrom('anon', 'anon', 'anon-populate', 'anon-locked', 'shared', 'shm'),
    shift: fc.constantFrom(0, 0, 3),
  }),
  fc.record({ ...is('munmap'), ...range }),
  fc.record({
    ...is('mbind'),
    ...range,
    mode,
    nodes: nodesArg,
    words: fc.subarray(['strict', 'move', 'moveall']),
    rawFlags: fc.constantFrom(0, 0, 0, 16),
    maxnode,
    addressOffsetBytes,
  }),
  fc.record({ ...is('set_home'), ...range, node, flags: fc.constant(0), addressOffsetBytes }),
  fc.record({ verb: fc.constantFrom('touch', 'touch', 'touch', 'read', 'where'), ...range }),
  fc.record({ ...is('tables'), region }),
  fc.record({
    ...is('move_pages'),
    ...range,
    nodes: fc.array(node, { minLength: 1, maxLength: 3 }),
    moveAll: fc.boolean(),
    pid: fc.constantFrom(undefined, 'T0', 'T1', 'T9'),
  }),
  fc.record({
    ...is('migrate_pages'),
    from: nodesArg,
    to: nodesArg,
    pid: fc.constantFrom(undefined, 'T0', 'T1'),
    maxnode,
  }),
  fc.record({
    ...is('madvise'),
    ...range,
    advice: fc.constantFrom(
      'dontneed',
      'free',
      'remove',
      'wipeonfork',
      'dontfork',
      'populate_read',
      'populate_write',
    ),
  }),
  fc.record({ verb: fc.constantFrom('mlock', 'munlock'), ...range }),
  fc.record({
    ...is('device_compute'),
    device: fc.nat(3).map(String),
    ...range,
    words: fc.constantFrom<string[][]>([], ['random'], ['hot'], ['strided'], ['reading']),
    passes: fc.constantFrom(1, 1, 2, 4),
    seed: fc.nat(9),
  }),
  fc.record({
    ...is('device_policy'),
    device: fc.nat(3).map(String),
    policy: fc.constantFrom(...DEVICE_POLICIES),
    words: fc.constantFrom<string[][]>([], ['evict'], ['keep']),
    threshold: fc.constantFrom(1, 256, 65535),
  }),
  fc.record({ ...is('device_prefetch'), device: fc.nat(3).map(String), ...range }),
  fc.record({ ...is('device_prefetch'), device: fc.constant('cpu'), ...range }),
  fc.record({
    ...is('device_advise'),
    device: fc.nat(3).map(String),
    ...range,
    advice: fc.constantFrom(...DEVICE_ADVICE),
  }),
);

const path = fc.constantFrom(...GROUPS).map((group) => `/sys/fs/cgroup${group}`);

const sysAct: fc.Arbitrary<SysAct> = fc.oneof(
  { weight: 3, arbitrary: fileSysAct },
  fc.record({ verb: fc.constantFrom('mkdir', 'mkdir', 'rmdir'), path }),
  fc.record({ ...is('move'), task, cgroup: path }),
  fc.record({
    ...is('write'),
    path: path.map((p) => `${p}/cpuset.mems`),
    value: fc.oneof(
      someNodes.map((list) => list.join()),
      fc.constantFrom('', '0-1', 'x'),
    ),
  }),
  fc.record({
    ...is('write'),
    path: path.map((p) => `${p}/cgroup.subtree_control`),
    value: fc.constantFrom('+cpuset', '+cpuset', '-cpuset'),
  }),
  fc.record({ ...is('swapon'), nrPages: fc.nat(40), priority: fc.constantFrom(undefined, 3) }),
  fc.record({ verb: fc.constantFrom('zones', 'free', 'numastat', 'states', 'fallback', 'tasks') }),
);

/** Any operation; most are of the first tasks, on the same few pages. */
export const anyAct: fc.Arbitrary<Act> = fc.oneof(
  { weight: 40, arbitrary: fc.record({ on: fc.constant('task' as const), task, act: taskAct }) },
  { weight: 9, arbitrary: fc.record({ on: fc.constant('sys' as const), act: sysAct }) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      { on: 'fork' as const, parent: 'T0', child: 'T1' },
      { on: 'fork' as const, parent: 'T0', child: 'T2' },
      { on: 'fork' as const, parent: 'T1', child: 'T3' },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.record({ on: fc.constant('task' as const), task, act: fc.record(is('exit')) }),
  },
);

/** Names of nodes and devices that a machine has, for an operation drawn without knowing it. */
export function onMachine(act: Act, ids: readonly number[], devices: readonly string[]): Act {
  const id = (n: number): number => (n >= 0 && n < 8 ? (ids[n % ids.length] as number) : n);
  const fitted = (value: unknown, key: string): unknown => {
    if (key === 'node' && typeof value === 'number') return id(value);
    if (key === 'device') return devices[Number(value) % Math.max(1, devices.length)] ?? 'none';
    if (['nodes', 'from', 'to'].includes(key) && Array.isArray(value)) return value.map(id);
    if (key === 'value' && typeof value === 'string' && /^[\d,]+$/.test(value)) {
      return value
        .split(',')
        .map((n) => id(Number(n)))
        .join();
    }
    return value;
  };
  if (act.on === 'fork') return act;
  const inner = Object.fromEntries(
    Object.entries(act.act).map(([key, v]) => [key, fitted(v, key)]),
  );
  return { ...act, act: inner } as Act;
}
