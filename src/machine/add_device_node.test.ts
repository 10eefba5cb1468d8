// Adding a device node: where it goes, what it is called, which options are refused.
import { describe, expect, test } from 'vitest';
import { UserError } from '../base/assert.ts';
import { addDeviceNode, parseAddDeviceNode } from './capture.ts';
import { presets } from './presets/index.ts';
import { parseMachine } from './schema.ts';

const GIB = 1024 ** 3;

const pc = parseMachine(
  '{"name": "pc", "arch": "x86_64", "nodes": [{"id": 0, "cpus": "0-7", "memory": "16GiB"}]}',
  'pc.json',
);

function errorOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof UserError) return error.format();
    throw error;
  }
  return 'no error';
}

describe('addDeviceNode', () => {
  test('adds a movable node above all memory, at the given distance, with a device', () => {
    const machine = addDeviceNode(pc, { sizeBytes: 8 * GIB, distance: 80 });
    expect(machine.nodes[1]).toEqual({
      id: 1,
      cpus: [],
      ranges: [{ startBytes: 17 * GIB, sizeBytes: 8 * GIB }],
      memoryZone: 'movable',
      device: 'gpu0',
    });
    expect(machine.distances).toEqual([
      [10, 80],
      [80, 10],
    ]);
    expect(machine.devices[0]).toMatchObject({ name: 'gpu0', homeNode: 0 });
    expect(pc.nodes).toHaveLength(1);
  });

  test('a node id in the middle keeps ids ascending and rows in step', () => {
    const first = addDeviceNode(pc, { sizeBytes: GIB, distance: 80, nid: 255 });
    const both = addDeviceNode(first, { sizeBytes: GIB, distance: 40, nid: 7, name: 'cxl0' });
    expect(both.nodes.map((node) => [node.id, node.device])).toEqual([
      [0, undefined],
      [7, 'cxl0'],
      [255, 'gpu0'],
    ]);
    expect(both.distances).toEqual([
      [10, 40, 80],
      [40, 10, 40],
      [80, 40, 10],
    ]);
    const next = addDeviceNode(first, { sizeBytes: GIB, distance: 80 });
    expect(next.nodes[2]).toMatchObject({ id: 256, device: 'gpu1' });
  });

  test('fits every preset', () => {
    for (const [name, make] of presets) {
      const machine = make();
      const more = addDeviceNode(machine, { sizeBytes: GIB, distance: 100, name: 'extra' });
      expect(more.nodes, name).toHaveLength(machine.nodes.length + 1);
      expect(more.distances.every((row) => row.length === more.nodes.length)).toBe(true);
    }
  });

  test.each([
    [
      { sizeBytes: GIB, distance: 80, nid: 0 },
      'node: 0 is in use; leave `node=` out for the next free id',
    ],
    [{ sizeBytes: GIB, distance: 80, nid: 1024 }, 'node: ids are 0..1023, not 1024'],
    [
      { sizeBytes: 5000, distance: 80 },
      'size: 5000 bytes is not a positive number of 4096-byte pages',
    ],
    [{ sizeBytes: GIB, distance: 9 }, 'distances[0][1]: distances are 10..255, not 9'],
    [
      { sizeBytes: GIB, distance: 80, name: 'a b' },
      'devices[0].name: expected letters, digits, `-`, `_` or `.`',
    ],
  ])('%j is refused', (options, message) => {
    expect(errorOf(() => addDeviceNode(pc, options))).toBe(message);
  });

  test('a name that is taken, and a machine whose ids are used up, are refused', () => {
    const one = addDeviceNode(pc, { sizeBytes: GIB, distance: 80, nid: 1023 });
    expect(errorOf(() => addDeviceNode(one, { sizeBytes: GIB, distance: 80 }))).toBe(
      'node: ids are 0..1023, not 1024',
    );
    expect(
      errorOf(() => addDeviceNode(one, { sizeBytes: GIB, distance: 80, nid: 3, name: 'gpu0' })),
    ).toBe('devices[1].name: gpu0 is given twice');
  });
});

describe('parseAddDeviceNode', () => {
  test('reads a size, the distance, and what else is given', () => {
    expect(parseAddDeviceNode('16GiB,distance=80')).toEqual({ sizeBytes: 16 * GIB, distance: 80 });
    expect(parseAddDeviceNode('512M, distance=20, node=255, name=hbm')).toEqual({
      sizeBytes: GIB / 2,
      distance: 20,
      nid: 255,
      name: 'hbm',
    });
  });

  test.each([
    ['', '`` is not a size'],
    ['0,distance=80', '`0` is not a size'],
    ['big,distance=80', '`big` is not a size'],
    ['1G', 'no distance'],
    ['1G,80', '`80` is not a setting'],
    ['1G,distance=5', 'distance: `5` is not a number 10..255'],
    ['1G,distance=8e1', 'distance: `8e1` is not a number 10..255'],
    ['1G,distance=80,node=1024', 'node: `1024` is not a number 0..1023'],
    ['1G,distance=80,distance=90', '`distance` is given twice'],
    ['1G,distance=80,zone=movable', '`zone=movable` is not a setting'],
  ])('%j is refused and the form is shown', (text, message) => {
    const error = errorOf(() => parseAddDeviceNode(text));
    expect(error).toBe(
      `${message}; expected SIZE,distance=N[,node=ID][,name=NAME], ` +
        'for example 16GiB,distance=80,name=gpu0',
    );
  });
});
