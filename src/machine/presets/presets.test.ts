// The presets against the captures that they are from.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { deviceNodes, type Machine, nodeSizeBytes } from '../machine.ts';
import { parseNumactl } from '../numactl.ts';
import { findPreset, presets } from './index.ts';

const TEXTS = fileURLToPath(new URL('../../../../shared/captures/numactl-H/', import.meta.url));
const hasTexts = existsSync(TEXTS);
if (!hasTexts) console.warn(`presets against numactl -H SKIPPED: ${TEXTS} is not there`);

const preset = (name: string): Machine => {
  const machine = findPreset(name);
  if (machine === undefined) throw new Error(`no preset ${name}`);
  return machine;
};

const facts = (machine: Machine) => ({
  nodes: machine.nodes.map((node) => ({
    id: node.id,
    cpus: node.cpus,
    sizeBytes: nodeSizeBytes(node),
  })),
  distances: machine.distances,
});

describe('presets', () => {
  test('each is found by its own name, is equal each time, and cites a source in its note', () => {
    for (const [name, make] of presets) {
      const machine = make();
      expect(machine.name).toBe(name);
      expect(make()).toEqual(machine);
      expect(machine.note, name).toMatch(/Khandual|hwloc|commit|blog|arXiv|chosen/);
    }
    expect(findPreset('gh201')).toBeUndefined();
  });

  test('device memory has no CPUs, comes up in ZONE_MOVABLE and belongs to a device', () => {
    for (const [name, make] of presets) {
      for (const node of make().nodes) {
        const isDevice = node.device !== undefined;
        expect(node.memoryZone === 'movable', `${name} node ${node.id}`).toBe(isDevice);
        if (isDevice) expect(node.cpus).toEqual([]);
      }
    }
  });

  test('every figure of a link names its source', () => {
    for (const make of presets.values()) {
      for (const link of make().links) expect(link.source).toMatch(/measured|figure/);
    }
  });

  test.skipIf(!hasTexts).each([
    ['gh200', 'gh200-1gpu-9nodes.txt', 'arm64', 65536],
    ['gb200', 'gb200-4gpu-34nodes.txt', 'arm64', 65536],
    ['cxl', 'spr-cxl-2expanders.txt', 'x86_64', 4096],
  ] as const)(
    '%s has the nodes, sizes, CPUs and distances of its capture',
    (name, file, arch, pageBytes) => {
      const captured = parseNumactl(readFileSync(TEXTS + file, 'utf8'), { arch, pageBytes });
      expect(facts(preset(name))).toEqual(facts(captured));
    },
  );

  test('thread: stock Linux goes from each device node to node 0, then to node 1', () => {
    const machine = preset('thread');
    expect(deviceNodes(machine).map((node) => node.id)).toEqual([2, 3, 4]);
    for (const row of machine.distances.slice(2)) expect(row[0]).toBeLessThan(row[1] as number);
    expect(machine.nodes[1]?.ranges[0]?.startBytes).toBe(0x1_0000_0000);
    expect(machine.pageBytes).toBe(65536);
  });

  test('ac922: six GPU nodes, three on each socket, far above the memory of it', () => {
    const machine = preset('ac922');
    expect(machine.nodes.map((node) => node.id)).toEqual([0, 8, 250, 251, 252, 253, 254, 255]);
    expect(deviceNodes(machine).map((node) => node.device)).toEqual([
      'gpu5',
      'gpu4',
      'gpu3',
      'gpu2',
      'gpu1',
      'gpu0',
    ]);
    expect(machine.devices.map((device) => device.homeNode)).toEqual([0, 0, 0, 8, 8, 8]);
    const start = (id: number) =>
      machine.nodes.find((node) => node.id === id)?.ranges[0]?.startBytes;
    expect(start(255)).toBe(0x400_0000_0000);
    expect(start(253)).toBe(0x440_0000_0000);
    expect(start(252)).toBe(0x2400_0000_0000);
    expect(machine.nodes.flatMap((node) => node.cpus)).toHaveLength(176);
  });

  test('mi300a: the kernel lives in the memory of the GPUs, so no node is marked', () => {
    const machine = preset('mi300a');
    expect(deviceNodes(machine)).toEqual([]);
    expect(machine.devices.map((device) => device.homeNode)).toEqual([0, 1, 2, 3]);
  });
});
