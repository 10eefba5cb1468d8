// The machine file: what is read, what is refused and how, and that writing reads back equal.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UserError } from '../base/assert.ts';
import { nodeSizeBytes } from './machine.ts';
import { presets } from './presets/index.ts';
import { type MachineFile, machineJsonSchema, machineToJson, parseMachine } from './schema.ts';

const GIB = 1024 ** 3;

const small: MachineFile = {
  name: 'small',
  arch: 'x86_64',
  nodes: [
    { id: 0, cpus: '0-3', memory: '2GiB' },
    { id: 1, memory: '1GiB', memoryZone: 'movable', device: 'gpu0' },
  ],
  distances: [
    [10, 80],
    [80, 10],
  ],
  devices: [{ name: 'gpu0', kind: 'a GPU', homeNode: 0 }],
};

const read = (file: object) => parseMachine(JSON.stringify(file), 'm.json');

function errorOf(file: object | string): string {
  try {
    parseMachine(typeof file === 'string' ? file : JSON.stringify(file), 'm.json');
  } catch (error) {
    if (error instanceof UserError) return error.format();
    throw error;
  }
  return 'no error';
}

/** `small` with changes to its second node. */
const withNode1 = (changes: object): object => ({
  ...small,
  nodes: [small.nodes[0], { ...small.nodes[1], ...changes }],
});

describe('the committed schema', () => {
  test('schema/machine.schema.json is what the code makes (vitest -u writes it)', async () => {
    await expect(machineJsonSchema()).toMatchFileSnapshot('../../schema/machine.schema.json');
  });

  test('every field of the schema is described', () => {
    const undescribed: string[] = [];
    const walk = (schema: Record<string, unknown>, at: string): void => {
      const properties = (schema['properties'] ?? {}) as Record<string, Record<string, unknown>>;
      for (const [field, of] of Object.entries(properties)) {
        if (typeof of['description'] !== 'string') undescribed.push(`${at}.${field}`);
        walk(of, `${at}.${field}`);
        if (of['items'] !== undefined)
          walk(of['items'] as Record<string, unknown>, `${at}.${field}`);
      }
    };
    walk(JSON.parse(machineJsonSchema()) as Record<string, unknown>, '');
    expect(undescribed).toEqual([]);
  });
});

describe('parseMachine', () => {
  test('sizes become ranges, lists become CPUs, what is left out gets its default', () => {
    expect(read(small)).toEqual({
      name: 'small',
      note: '',
      arch: 'x86_64',
      pageBytes: 4096,
      nodes: [
        {
          id: 0,
          cpus: [0, 1, 2, 3],
          ranges: [{ startBytes: 0, sizeBytes: 2 * GIB }],
          memoryZone: 'boot',
        },
        {
          id: 1,
          cpus: [],
          ranges: [{ startBytes: 4 * GIB, sizeBytes: GIB }],
          memoryZone: 'movable',
          device: 'gpu0',
        },
      ],
      distances: [
        [10, 80],
        [80, 10],
      ],
      devices: [{ name: 'gpu0', kind: 'a GPU', homeNode: 0 }],
      links: [],
    });
  });

  test('distances left out are 10 and 20; ppc64 has 64 KiB pages when nothing else is said', () => {
    const machine = read({
      name: 'p',
      arch: 'ppc64',
      nodes: [{ id: 0, cpus: [1, 0], memory: '1GiB' }, { id: 8 }],
    });
    expect(machine.pageBytes).toBe(65536);
    expect(machine.distances).toEqual([
      [10, 20],
      [20, 10],
    ]);
    expect(machine.nodes[0]?.cpus).toEqual([0, 1]);
    expect(machine.nodes[1]).toEqual({ id: 8, cpus: [], ranges: [], memoryZone: 'boot' });
  });

  test('sizes are numbers of bytes or texts, addresses may be hexadecimal', () => {
    const ranges = [
      { start: 0, size: 8192 },
      { start: '0x40000000', size: '1.5 GiB' },
    ];
    const machine = read({ name: 'r', arch: 'x86_64', nodes: [{ id: 0, cpus: '0', ranges }] });
    expect(machine.nodes[0]?.ranges).toEqual([
      { startBytes: 0, sizeBytes: 8192 },
      { startBytes: GIB, sizeBytes: 1.5 * GIB },
    ]);
  });

  test('memory given by size lies above memory given by ranges', () => {
    const machine = read({
      name: 'mixed',
      arch: 'arm64',
      nodes: [
        { id: 0, cpus: '0', ranges: [{ start: '64GiB', size: '8GiB' }] },
        { id: 1, memory: '1GiB', memoryZone: 'movable' },
      ],
    });
    expect(machine.nodes[1]?.ranges[0]?.startBytes).toBe(72 * GIB);
  });

  test.each([
    [
      'an unknown field',
      { ...small, distance: [] },
      'distance: unknown field; did you mean `distances`?',
    ],
    [
      'an unknown field of a node',
      withNode1({ mem: 1 }),
      'nodes[1].mem: unknown field; did you mean `memory`?',
    ],
    [
      'a missing field',
      { arch: 'x86_64', nodes: small.nodes },
      'name: expected a text, but it is missing',
    ],
    ['no object', [1], 'the file: expected an object, not [1]'],
    [
      'an unknown architecture',
      { ...small, arch: 'ia64' },
      'arch: expected one of "x86_64", "arm64", "ppc64", not "ia64"',
    ],
    ['a bad name', { ...small, name: 'a b' }, 'name: expected letters, digits, `-`, `_` or `.`'],
    [
      'a bad size',
      withNode1({ memory: 'lots' }),
      'nodes[1].memory: expected a size such as "64GiB" (KiB, MiB, GiB, TiB), or a number of bytes',
    ],
    [
      'a fraction of a byte',
      withNode1({ memory: '0.3KiB' }),
      'nodes[1].memory: expected a whole number of bytes such as "64GiB", not "0.3KiB"',
    ],
    [
      'half a page',
      withNode1({ memory: 6144 }),
      'nodes[1].memory: 6144 bytes is not a whole number of 4096-byte pages',
    ],
    [
      'a negative size',
      withNode1({ memory: -4096 }),
      'nodes[1].memory: expected a size such as "64GiB" (KiB, MiB, GiB, TiB), or a number of bytes',
    ],
    [
      'a page size that x86 has not',
      { ...small, pageBytes: '64KiB' },
      'pageBytes: x86_64 has pages of 4 KiB, not of 65536 bytes',
    ],
    [
      'memory and ranges',
      withNode1({ ranges: [] }),
      'nodes[1]: give `memory` or `ranges`, not both',
    ],
    [
      'bad CPUs',
      withNode1({ cpus: '0-' }),
      'nodes[1].cpus: expected a CPU list such as "0-7,16" of CPUs 0..4095, not "0-"',
    ],
    [
      'a CPU beyond 4095',
      withNode1({ cpus: '4096' }),
      'nodes[1].cpus: expected a CPU list such as "0-7,16" of CPUs 0..4095, not "4096"',
    ],
    [
      'CPUs of another kind',
      withNode1({ cpus: 3 }),
      'nodes[1].cpus: expected a CPU list such as "0-7,16", or an array of CPU numbers',
    ],
    ['a repeated id', withNode1({ id: 0 }), 'nodes[1].id: node 0 is given twice'],
    ['an id beyond 1023', withNode1({ id: 1024 }), 'nodes[1].id: expected at most 1023, not 1024'],
    [
      'a fraction of an id',
      withNode1({ id: 1.5 }),
      'nodes[1].id: expected a whole number, not 1.5',
    ],
    ['no nodes', { ...small, nodes: [] }, 'nodes: expected at least 1 entries'],
    [
      'ids out of order',
      { ...small, nodes: [...small.nodes].reverse() },
      'nodes[1].id: nodes ascend by id, but 0 comes after 1',
    ],
    [
      'a device that does not exist',
      withNode1({ device: 'gpu9' }),
      'nodes[1].device: `gpu9` is not in `devices`; there are gpu0',
    ],
    [
      'a repeated device',
      { ...small, devices: [small.devices?.[0], small.devices?.[0]] },
      'devices[1].name: gpu0 is given twice',
    ],
    [
      'a device at no node',
      { ...small, devices: [{ name: 'gpu0', kind: '', homeNode: 7 }] },
      'devices[0].homeNode: there is no node 7',
    ],
    [
      'too few rows',
      { ...small, distances: [[10, 80]] },
      'distances: 1 rows for 2 nodes; expected one row a node',
    ],
    [
      'too few columns',
      { ...small, distances: [[10, 80], [80]] },
      'distances[1]: the row of node 1 has 1 columns for 2 nodes; ' +
        'a column is a position in the list of nodes, not a node id',
    ],
    [
      'a distance to itself',
      {
        ...small,
        distances: [
          [10, 80],
          [80, 20],
        ],
      },
      'distances[1][1]: node 1 to itself is 10, not 20',
    ],
    [
      'a distance beyond a byte',
      {
        ...small,
        distances: [
          [10, 256],
          [80, 10],
        ],
      },
      'distances[0][1]: expected at most 255, not 256',
    ],
    [
      'memory offline at boot',
      { ...small, nodes: [{ ...small.nodes[0], offlineAtStart: true }] },
      'nodes[0].offlineAtStart: boot memory is online from the start; use memoryZone "movable"',
    ],
    [
      'nothing that is offline',
      withNode1({ memory: 0, offlineAtStart: true }),
      'nodes[1].offlineAtStart: node 1 has no memory that could be offline',
    ],
    [
      'no CPUs',
      { ...small, nodes: [{ id: 0, memory: '1GiB' }], distances: [[10]] },
      'nodes: no node has CPUs; give at least one node `cpus`',
    ],
    [
      'no boot memory',
      {
        ...small,
        nodes: [{ id: 0, cpus: '0', memory: '1GiB', memoryZone: 'movable' }],
        distances: [[10]],
      },
      'nodes: no node has boot memory, and a kernel cannot start in hot-plugged memory',
    ],
    [
      'a link from nowhere',
      { ...small, links: [{ from: 'cpu:9', to: 'node:1', latencyNs: 1, source: 's' }] },
      'links[0].from: `cpu:9` is no `cpu:N`, `node:N` or `device:NAME` of this machine',
    ],
    [
      'a link to no memory',
      { ...small, links: [{ from: 'cpu:0', to: 'cpu:1', latencyNs: 1, source: 's' }] },
      'links[0].to: `cpu:1` is no `node:N` of this machine',
    ],
    [
      'a link given twice',
      {
        ...small,
        links: [
          { from: 'cpu:0', to: 'node:1', latencyNs: 1, source: 's' },
          { from: 'cpu:0', to: 'node:1', bandwidthBytesPerS: 1, source: 's' },
          { from: 'cpu:0', to: 'node:1', latencyNs: 2, source: 's' },
        ],
      },
      'links[2].latencyNs: from `cpu:0` to `node:1` it is given twice, first in links[0]',
    ],
    [
      'a bandwidth of nothing',
      { ...small, links: [{ from: 'cpu:0', to: 'node:1', bandwidthBytesPerS: 0, source: 's' }] },
      'links[0].bandwidthBytesPerS: expected more than 0, not 0',
    ],
    [
      'a link without a figure',
      { ...small, links: [{ from: 'device:gpu0', to: 'node:1', source: 's' }] },
      'links[0]: a link states `bandwidthBytesPerS`, `latencyNs` or both',
    ],
    [
      'a link without a source',
      { ...small, links: [{ from: 'node:0', to: 'node:1', latencyNs: 1, source: ' ' }] },
      'links[0].source: say where the figure is from',
    ],
  ])('%s is refused', (_, file, message) => {
    expect(errorOf(file)).toMatch(/^m\.json:1:\d+: /);
    expect(errorOf(file).replace(/^m\.json:1:\d+: /, '')).toBe(message);
  });

  test.each([
    [
      'overlapping',
      [{ start: 0, size: '2GiB' }],
      [{ start: '1GiB', size: '1GiB' }],
      'nodes[1].ranges[0]: starts at 0x40000000, inside the memory of node 0, ' +
        'which ends at 0x80000000',
    ],
    [
      'unaligned',
      [{ start: 0, size: '2GiB' }],
      [{ start: 0xc0000001, size: '1GiB' }],
      'nodes[1].ranges[0].start: 3221225473 is not a whole number of 4096-byte pages',
    ],
    [
      'of an odd size',
      [{ start: 0, size: 4097 }],
      [],
      'nodes[0].ranges[0].size: 4097 is not a whole number of 4096-byte pages',
    ],
    ['empty', [{ start: 0, size: 0 }], [], 'nodes[0].ranges[0].size: an empty range; leave it out'],
    [
      'descending',
      [
        { start: '2GiB', size: '1GiB' },
        { start: 0, size: '1GiB' },
      ],
      [],
      'nodes[0].ranges[1]: the ranges of node 0 do not ascend',
    ],
    [
      'beyond 52 bits',
      [{ start: '0xffffffffff000', size: '1GiB' }],
      [],
      'nodes[0].ranges[0]: ends above 4096 TiB, the largest physical address (52 bits)',
    ],
  ])('ranges that are %s are refused', (_, first, second, message) => {
    const nodes = [
      { id: 0, cpus: '0', ranges: first },
      { id: 1, ranges: second },
    ];
    expect(errorOf({ name: 'r', arch: 'x86_64', nodes })).toContain(message);
  });

  test('a mistake in the values has the line of the value', () => {
    const text =
      '{ "name": "x", "arch": "x86_64",\n  "nodes": [\n    { "id": 0, "cpus": "0", "memory": 7 }]}';
    expect(errorOf(text)).toBe(
      'm.json:3:39: nodes[0].memory: 7 bytes is not a whole number of 4096-byte pages',
    );
    expect(errorOf('{"name": "x",\n "arch"')).toMatch(/^m\.json:2:8: not valid JSON/);
  });

  test('no text makes it fail otherwise than with a UserError', () => {
    const mangle = fc.record({ cut: fc.nat(), insert: fc.string({ maxLength: 3 }) });
    const text = JSON.stringify(small);
    fc.assert(
      fc.property(mangle, ({ cut, insert }) => {
        const at = cut % text.length;
        expect(typeof errorOf(text.slice(0, at) + insert + text.slice(at + 1))).toBe('string');
      }),
      { numRuns: 500, seed: 2 },
    );
  });
});

describe('machineToJson', () => {
  test.each([...presets.keys()])('the preset %s reads back equal', (name) => {
    const machine = presets.get(name)?.();
    expect(machine).toBeDefined();
    if (machine !== undefined) {
      expect(parseMachine(machineToJson(machine), 'm.json')).toEqual(machine);
    }
  });

  test('memory is written as a size where the layout is by rule, else as ranges', () => {
    const machine = read(small);
    expect(machineToJson(machine)).toContain('"memory": "2GiB"');
    const moved = {
      ...machine,
      nodes: machine.nodes.map((node, i) =>
        i === 1 ? { ...node, ranges: [{ startBytes: 64 * GIB, sizeBytes: GIB }] } : node,
      ),
    };
    expect(machineToJson(moved)).toContain('{ "start": "0x1000000000", "size": "1GiB" }');
    expect(parseMachine(machineToJson(moved), 'm.json')).toEqual(moved);
  });

  test('any machine that can be read is written so that it reads back equal', () => {
    const pages = fc.integer({ min: 1, max: 100_000 });
    const node = fc.record({
      gap: fc.integer({ min: 1, max: 100 }),
      pages,
      byRange: fc.boolean(),
      isDevice: fc.boolean(),
      offline: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(node, { maxLength: 6 }), fc.boolean(), (nodes, useRanges) => {
        let id = 0;
        let start = 1;
        const file: MachineFile = {
          name: 'any',
          note: 'a "quoted" note\n',
          arch: 'arm64',
          nodes: [
            { id: 0, cpus: [0, 2, 4], memory: 65536 },
            ...nodes.map((n) => {
              id += n.gap;
              start += n.gap;
              const at = start * 2 ** 36;
              return {
                id,
                ...(useRanges && n.byRange
                  ? { ranges: [{ start: at, size: n.pages * 4096 }] }
                  : { memory: n.pages * 4096 }),
                ...(n.isDevice
                  ? { memoryZone: 'movable' as const, device: 'gpu0', offlineAtStart: n.offline }
                  : {}),
              };
            }),
          ],
          devices: [{ name: 'gpu0', kind: 'GPU', homeNode: 0 }],
          links: [{ from: 'device:gpu0', to: 'node:0', latencyNs: 1.5, source: 'none' }],
        };
        const machine = read(file);
        expect(parseMachine(machineToJson(machine), 'm.json')).toEqual(machine);
        expect(nodeSizeBytes(machine.nodes[0] as (typeof machine.nodes)[number])).toBe(65536);
      }),
      { numRuns: 100, seed: 3 },
    );
  });
});
