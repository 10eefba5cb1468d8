// Capture on small trees made here, each with one trait of real ones, and on this machine.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { UserError } from '../base/assert.ts';
import { type CaptureOptions, captureMachine } from './capture.ts';
import { parseZoneinfo } from './capture_memory.ts';
import { nodeSizeBytes } from './machine.ts';
import { machineToJson, parseMachine } from './schema.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

const dirs: string[] = [];
afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true });
});

const X86_CPUINFO = 'vendor_id\t: GenuineIntel\nflags\t\t: fpu vme lm pae\n';

/** Captures a tree of the given files; paths from its root. */
function capture(files: Readonly<Record<string, string>>, options: CaptureOptions = {}) {
  const root = mkdtempSync(join(tmpdir(), 'cdmlab-tree-'));
  dirs.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return captureMachine({ sysRoot: join(root, 'sys'), procRoot: join(root, 'proc'), ...options });
}

function errorOf(files: Readonly<Record<string, string>>, options: CaptureOptions = {}): string {
  try {
    capture(files, options);
  } catch (error) {
    if (error instanceof UserError) return error.format().replace(/^.*cdmlab-tree-\w+\//, '');
    throw error;
  }
  return 'no error';
}

const NODE = 'sys/devices/system/node';
const MEMORY = 'sys/devices/system/memory';

/** Files of a node: CPUs as a mask, memory in kB, a row of distances. */
const node = (id: number, cpumap: string, kib: number, distance: string) => ({
  [`${NODE}/node${id}/cpumap`]: `${cpumap}\n`,
  [`${NODE}/node${id}/meminfo`]: `\nNode ${id} MemTotal:  ${kib} kB\nNode ${id} MemFree: 4 kB\n`,
  [`${NODE}/node${id}/distance`]: `${distance}\n`,
});

const SPARSE: Readonly<Record<string, string>> = {
  'proc/cpuinfo': X86_CPUINFO,
  [`${NODE}/online`]: '0,8,252\n',
  ...node(0, '00000003', 4 * MIB, '10 40 80'),
  ...node(8, '0000000c', 0, '40 10 80'),
  ...node(252, '00000000', 2 * MIB, '80 80 10'),
};

const GIVE_ARCH =
  'give the architecture (x86_64, arm64 or ppc64) to read its nodes as such a machine';

describe('captureMachine', () => {
  test('sparse ids: a distance column is a position in the list of online nodes', () => {
    const machine = capture(SPARSE);
    expect(machine.nodes.map((n) => [n.id, n.cpus, nodeSizeBytes(n), n.memoryZone])).toEqual([
      [0, [0, 1], 4 * GIB, 'boot'],
      [8, [2, 3], 0, 'boot'],
      [252, [], 2 * GIB, 'boot'],
    ]);
    expect(machine.distances[2]).toEqual([80, 80, 10]);
    expect(machine).toMatchObject({ arch: 'x86_64', pageBytes: 4096, devices: [] });
  });

  test('only CPUs that are online count; cpulist and cpuN entries stand in for cpumap', () => {
    const machine = capture({
      ...SPARSE,
      'sys/devices/system/cpu/online': '0,2-3\n',
      [`${NODE}/node8/cpumap`]: '',
      [`${NODE}/node8/cpulist`]: '2-3\n',
    });
    expect(machine.nodes.map((n) => n.cpus)).toEqual([[0], [2, 3], []]);
    const entries = capture({
      'proc/cpuinfo': X86_CPUINFO,
      [`${NODE}/node0/cpu4/online`]: '1',
      [`${NODE}/node0/cpu12/online`]: '1',
      [`${NODE}/node0/meminfo`]: 'Node 0 MemTotal: 1048576 kB\n',
    });
    expect(entries.nodes[0]?.cpus).toEqual([4, 12]);
  });

  test('nodes named by the caller become device memory', () => {
    const machine = capture(SPARSE, { deviceNodes: [252], name: 'box' });
    expect(machine.nodes[2]).toMatchObject({ memoryZone: 'movable', device: 'gpu0' });
    expect(machine.name).toBe('box');
  });

  test('nodes that an NVIDIA driver calls its own are device memory without being named', () => {
    const gpu = 'proc/driver/nvidia/gpus/0004:05:00.0/numa_status';
    const machine = capture({ ...SPARSE, [gpu]: 'Node:      252\nStatus:    online\n' });
    expect(machine.nodes[2]).toMatchObject({ memoryZone: 'movable', device: 'gpu0' });
    expect(machine.devices).toEqual([
      { name: 'gpu0', kind: 'NVIDIA GPU 0004:05:00.0', homeNode: 0 },
    ]);
    const next = capture({
      ...SPARSE,
      [gpu]: 'Node: 252\n',
      'sys/bus/pci/devices/0004:05:00.0/local_cpus': '00000008\n',
    });
    expect(next.devices[0]?.homeNode).toBe(8);
  });

  test('without node directories everything is node 0, and the note says so', () => {
    const machine = capture({
      'proc/cpuinfo': `processor\t: 0\n${X86_CPUINFO}processor\t: 1\n${X86_CPUINFO}`,
      'proc/meminfo': 'MemTotal:        8388608 kB\nMemFree:  1 kB\n',
    });
    expect(machine.nodes).toHaveLength(1);
    expect(machine.nodes[0]).toMatchObject({ id: 0, cpus: [0, 1] });
    expect(nodeSizeBytes(machine.nodes[0] as (typeof machine.nodes)[number])).toBe(8 * GIB);
    expect(machine.note).toContain('no NUMA nodes shown');
  });

  test('without distance files distances are 10 and 20, and the note says so', () => {
    const { [`${NODE}/node0/distance`]: _a, [`${NODE}/node8/distance`]: _b, ...rest } = SPARSE;
    const { [`${NODE}/node252/distance`]: _c, ...none } = rest;
    const machine = capture(none);
    expect(machine.distances[0]).toEqual([10, 20, 20]);
    expect(machine.note).toContain('no distances shown');
    expect(errorOf(rest)).toBe(
      'sys/devices/system/node/node0/distance: expected 3 numbers, one for each online node',
    );
  });

  test.each([
    [
      'a cut row',
      { [`${NODE}/node8/distance`]: '40 10' },
      'sys/devices/system/node/node8/distance: expected 3 numbers, one for each online node',
    ],
    [
      'no meminfo',
      { [`${NODE}/node8/meminfo`]: '' },
      'sys/devices/system/node/node8/meminfo: no MemTotal: the size of the node cannot be told',
    ],
    [
      'no CPUs',
      { [`${NODE}/node8/cpumap`]: '' },
      `${NODE}/node8: neither cpumap nor cpulist: the CPUs of the node cannot be told`,
    ],
    [
      'a bad mask',
      { [`${NODE}/node8/cpumap`]: 'xyz' },
      'sys/devices/system/node/node8/cpumap: not a list or mask of CPUs',
    ],
    [
      'a missing directory',
      { [`${NODE}/online`]: '0,8,252-253' },
      'sys/devices/system/node/node253: node 253 is online but its directory is missing',
    ],
    ['no cpuinfo', { 'proc/cpuinfo': '' }, `proc: no cpuinfo tells the architecture; ${GIVE_ARCH}`],
    [
      'another architecture',
      { 'proc/cpuinfo': 'vendor    : GenuineIntel\narch       : IA-64\n' },
      `proc: not modelled: architecture ia64; ${GIVE_ARCH}`,
    ],
    [
      'a 32-bit kernel',
      { 'proc/meminfo': 'HighTotal: 4 kB\n' },
      `proc: not modelled: architecture 32-bit x86; ${GIVE_ARCH}`,
    ],
  ])('%s is an error that names the file', (_, files, message) => {
    expect(errorOf({ ...SPARSE, ...files })).toBe(message);
  });

  test('an empty tree is refused', () => {
    expect(errorOf({ 'proc/cpuinfo': X86_CPUINFO })).toBe(
      `${NODE}: neither node directories nor a MemTotal in meminfo: not a tree of /sys and /proc`,
    );
  });
});

describe('the page size of a tree', () => {
  const POWER = 'processor\t: 0\ncpu\t\t: POWER9, altivec supported\n';
  /** meminfo whose page counts are multiples of `kib`. */
  const meminfo = (kib: number): string =>
    ['MemTotal', 'MemFree', 'Cached', 'Active', 'Inactive', 'AnonPages', 'Mapped', 'Shmem', 'Slab']
      .concat(['SReclaimable', 'SUnreclaim', 'PageTables', 'Dirty'])
      .map((field, i) => `${field}:  ${(1_000_003 + i) * kib} kB`)
      .join('\n');

  test('is told by figures that are all multiples of it', () => {
    const tree = (kib: number) => ({
      'proc/cpuinfo': POWER,
      'proc/meminfo': meminfo(kib),
      'sys/devices/system/cpu/online': '0-3',
    });
    expect(capture(tree(64)).pageBytes).toBe(65536);
    expect(capture(tree(4)).pageBytes).toBe(4096);
  });

  test('is asked for when there are too few figures to tell', () => {
    const files = { 'proc/cpuinfo': POWER, 'proc/meminfo': 'MemTotal:  1048576 kB\n' };
    expect(errorOf(files)).toBe(
      'proc: the page size cannot be told from this tree; give it (4096, 65536 bytes on ppc64)',
    );
    expect(capture(files, { pageBytes: 65536 }).pageBytes).toBe(65536);
  });
});

describe('where captured memory is', () => {
  const zone = (nid: number, name: string, start: number, present: number): string =>
    `Node ${nid}, zone ${name.padStart(8)}\n  pages free     1\n        spanned  ${present}\n` +
    `        present  ${present}\n        managed  ${present}\n  start_pfn:           ${start}\n`;
  const GIB_PAGES = 262144;

  test('zoneinfo gives the ranges and says what is in ZONE_MOVABLE', () => {
    const machine = capture({
      ...SPARSE,
      'proc/zoneinfo':
        zone(0, 'DMA', 1, 4095) +
        zone(0, 'DMA32', 4096, 3 * GIB_PAGES - 4096) +
        zone(0, 'Normal', 4 * GIB_PAGES, GIB_PAGES + 4096) +
        zone(252, 'Movable', 64 * GIB_PAGES, 2 * GIB_PAGES),
    });
    expect(machine.nodes.map((n) => n.ranges)).toEqual([
      [
        { startBytes: 4096, sizeBytes: 3 * GIB - 4096 },
        { startBytes: 4 * GIB, sizeBytes: GIB + 4096 * 4096 },
      ],
      [],
      [{ startBytes: 64 * GIB, sizeBytes: 2 * GIB }],
    ]);
    expect(machine.nodes.map((n) => n.memoryZone)).toEqual(['boot', 'boot', 'movable']);
    expect(machine.note).toContain('addresses from zoneinfo');
  });

  test('zoneinfo of another machine is not used', () => {
    const machine = capture({ ...SPARSE, 'proc/zoneinfo': zone(0, 'Normal', 0, 100 * GIB_PAGES) });
    expect(machine.note).toContain('addresses laid out by rule');
    expect(machine.nodes.map(nodeSizeBytes)).toEqual([4 * GIB, 0, 2 * GIB]);
  });

  /** Memory blocks of 1 GiB. */
  const blocks = (nid: number, state: string, validZones: string, ...numbers: number[]) =>
    Object.fromEntries(
      numbers.flatMap((n) => [
        [`${NODE}/node${nid}/memory${n}/state`, `${state}\n`],
        [`${NODE}/node${nid}/memory${n}/valid_zones`, `${validZones}\n`],
      ]),
    );

  test('memory blocks give the ranges where there is no zoneinfo', () => {
    const machine = capture({
      ...SPARSE,
      [`${MEMORY}/block_size_bytes`]: '40000000\n',
      [`${NODE}/node0/memory_side_cache/x`]: '',
      ...blocks(0, 'online', 'Normal', 0, 1, 2, 4),
      ...blocks(252, 'online', 'Movable', 64, 65),
    });
    expect(machine.nodes.map((n) => n.ranges)).toEqual([
      [
        { startBytes: 0, sizeBytes: 3 * GIB },
        { startBytes: 4 * GIB, sizeBytes: GIB },
      ],
      [],
      [{ startBytes: 64 * GIB, sizeBytes: 2 * GIB }],
    ]);
    expect(machine.nodes[2]?.memoryZone).toBe('movable');
    expect(machine.note).toContain('addresses from memory blocks');
  });

  test('a node whose blocks are all offline keeps its memory and starts offline', () => {
    const machine = capture({
      ...SPARSE,
      [`${MEMORY}/block_size_bytes`]: '40000000\n',
      [`${NODE}/node252/meminfo`]: 'Node 252 MemTotal: 0 kB\n',
      ...blocks(0, 'online', 'Normal', 0, 1, 2, 3),
      ...blocks(252, 'offline', 'Movable', 64, 65),
    });
    expect(machine.nodes[2]).toMatchObject({
      ranges: [{ startBytes: 64 * GIB, sizeBytes: 2 * GIB }],
      memoryZone: 'movable',
      offlineAtStart: true,
    });
  });

  test('offline blocks of a node that has others are left out, and the note says so', () => {
    const machine = capture({
      ...SPARSE,
      [`${MEMORY}/block_size_bytes`]: '40000000\n',
      ...blocks(0, 'online', 'Normal', 0, 1, 2, 3),
      ...blocks(252, 'online', 'Movable', 64, 65),
      ...blocks(252, 'offline', 'Movable', 66),
    });
    expect(machine.nodes.map(nodeSizeBytes)).toEqual([4 * GIB, 0, 2 * GIB]);
    expect(machine.note).toContain('offline memory blocks of node 252 left out');
  });

  test('blocks that do not add up to MemTotal are not used', () => {
    const machine = capture({
      ...SPARSE,
      [`${MEMORY}/block_size_bytes`]: '40000000\n',
      ...blocks(0, 'online', 'Normal', 0),
      ...blocks(252, 'online', 'Movable', 64, 65),
    });
    expect(machine.note).toContain('addresses laid out by rule');
  });

  test('a zone without pages, and ZONE_DEVICE, are no memory', () => {
    const text = zone(0, 'Normal', 5, 0) + zone(0, 'Device', 7, 8) + zone(1, 'DMA', 1, 2);
    expect(parseZoneinfo(text)).toEqual([{ nid: 1, zone: 'DMA', startPfn: 1, presentPages: 2 }]);
  });
});

const isLinux = process.platform === 'linux' && existsSync('/proc/meminfo');
if (!isLinux) console.warn('capture of this machine SKIPPED: it has no /proc');

describe.skipIf(!isLinux)('this machine', () => {
  test('is captured with its page size, its CPUs and at least one node, and reads back', () => {
    const machine = captureMachine();
    expect(machine.pageBytes).toBe(Number(execFileSync('getconf', ['PAGESIZE'])));
    const cpus = new Set(machine.nodes.flatMap((n) => n.cpus));
    expect(cpus.size).toBeGreaterThanOrEqual(availableParallelism());
    expect(machine.nodes.reduce((sum, n) => sum + nodeSizeBytes(n), 0)).toBeGreaterThan(64 * MIB);
    expect(parseMachine(machineToJson(machine), 'm.json')).toEqual(machine);
  });
});
