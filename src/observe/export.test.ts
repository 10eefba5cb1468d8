// A machine that is read back from the files that the model shows of it.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { type MachineShape, machineOf, machineShape } from '../../test/support/machines.ts';
import { check } from '../../test/support/property.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { stock } from '../designs/stock.ts';
import { Kernel } from '../kernel/kernel.ts';
import { captureMachine } from '../machine/capture.ts';
import type { Machine, MemoryRange } from '../machine/machine.ts';
import { readTextFile, textFiles, View } from './files.ts';

/** Writes all files below a folder of its own and captures a machine from them. */
function throughFiles(machine: Machine): Machine {
  const view = new View(new Kernel(machine, stock), new Map());
  const folder = mkdtempSync(join(tmpdir(), 'cdmlab-export-'));
  try {
    for (const path of textFiles(view)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), readTextFile(view, path) as string);
    }
    return captureMachine({
      sysRoot: join(folder, 'sys'),
      procRoot: join(folder, 'proc'),
      arch: machine.arch,
      pageBytes: machine.pageBytes,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Neighbouring ranges as one. */
function joined(ranges: readonly MemoryRange[]): MemoryRange[] {
  const list: MemoryRange[] = [];
  for (const { startBytes, sizeBytes } of ranges) {
    const last = list.at(-1);
    if (last !== undefined && last.startBytes + last.sizeBytes === startBytes) {
      list[list.length - 1] = { ...last, sizeBytes: last.sizeBytes + sizeBytes };
    } else list.push({ startBytes, sizeBytes });
  }
  return list;
}

/** What the files can tell of a machine: its nodes that are online, and nothing of devices. */
function shownPart(machine: Machine) {
  const isShown = (i: number): boolean => {
    const node = machine.nodes[i];
    if (node === undefined || machine.arch !== 'x86_64') return node !== undefined;
    return node.cpus.length > 0 || node.ranges.length > 0;
  };
  return {
    arch: machine.arch,
    pageBytes: machine.pageBytes,
    nodes: machine.nodes
      .filter((_, i) => isShown(i))
      .map(({ id, cpus, ranges, memoryZone, offlineAtStart }) => ({
        id,
        cpus: [...cpus],
        ranges: joined(ranges),
        zone: ranges.length === 0 ? 'none' : memoryZone,
        isOffline: offlineAtStart === true,
      })),
    distances: machine.distances
      .filter((_, i) => isShown(i))
      .map((row) => row.filter((_, j) => isShown(j))),
  };
}

/** A zone's files do not tell where a hole in it is: drawn machines have none. */
test('[PRC12] a machine read back from its own files is the same machine', () => {
  const kinds = ['boot', 'movable', 'device', 'device in boot memory'] as const;
  check(machineShape({ kinds }), 40, (shape: MachineShape) => {
    const nodes = shape.nodes.map((node, i) => {
      const hasHole = i === 0 && shape.build === 'ppc64';
      return { ...node, isSplit: false, nrPages: hasHole ? 0 : node.nrPages };
    });
    const machine = machineOf({ ...shape, nodes });
    expect(shownPart(throughFiles(machine))).toEqual(shownPart(machine));
  });
});

test('[PRC12] a node whose blocks are all offline is read back with its memory', () => {
  const machine = machineFrom({
    name: 'offline',
    arch: 'x86_64',
    nodes: [
      { id: 0, cpus: '0', memory: '256MiB' },
      { id: 1, memory: '256MiB', memoryZone: 'movable', offlineAtStart: true },
    ],
    distances: [
      [10, 40],
      [40, 10],
    ],
  });
  const again = throughFiles(machine);
  expect(shownPart(again)).toEqual(shownPart(machine));
  expect(again.nodes[1]?.offlineAtStart).toBe(true);
});
