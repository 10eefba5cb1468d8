// Machines of a few MiB, written out by the tests that need them: what is wrong in one is thrown.
import { buildMachine } from '../../src/machine/build.ts';
import type { Machine } from '../../src/machine/machine.ts';
import type { MachineFile } from '../../src/machine/schema.ts';

const MIB = 1024 ** 2;

/** Builds a machine; throws where the file would be refused, with the path of the key. */
export const machineFrom = (file: MachineFile): Machine =>
  buildMachine(file, (path, message) => {
    throw new Error(`${path.join('.')}: ${message}`);
  });

/** A range of memory, as a node of a machine file has it. */
export const rangeOfMib = (startMib: number, sizeMib: number): { start: number; size: number } => ({
  start: startMib * MIB,
  size: sizeMib * MIB,
});

/** The device that goes with nodes of `device: 'gpu0'`. */
export const GPU0 = { name: 'gpu0', kind: 'device', homeNode: 0 } as const;

/** A node of 64 MiB for the kernel, and two of `sizeMib`: one with a CPU, and a device's. */
export const tightMachine = (sizeMib: number): Machine =>
  machineFrom({
    name: 'tight',
    arch: 'x86_64',
    nodes: [
      { id: 0, cpus: '0-1', ranges: [rangeOfMib(0, 64)] },
      { id: 1, cpus: '2', ranges: [rangeOfMib(8192, sizeMib)] },
      {
        id: 2,
        ranges: [rangeOfMib(16384, sizeMib)],
        memoryZone: 'movable',
        device: GPU0.name,
      },
    ],
    distances: [
      [10, 20, 40],
      [20, 10, 60],
      [40, 60, 10],
    ],
    devices: [GPU0],
  });
