// Plays a text of the operation language on a small machine and holds it to its own expectations.
import { expect } from 'vitest';
import { stock } from '../../src/designs/stock.ts';
import type { Design } from '../../src/hooks/design.ts';
import type { Kernel, KernelOptions } from '../../src/kernel/kernel.ts';
import { Session, type Step } from '../../src/lab/session.ts';
import type { Machine } from '../../src/machine/machine.ts';
import type { OpResult } from '../../src/scenario/ops.ts';
import { parseScenario } from '../../src/scenario/parser.ts';
import { machineFrom } from './small_machine.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

const range = (start: number, sizeMib: number) => ({ start, size: sizeMib * MIB });

/**
 * The machine of most tests, 4 KiB pages: nodes 0 and 1 with CPUs 0-1 and 2-3 and memory, node 2
 * device memory in ZONE_MOVABLE, node 3 with CPU 4 and no memory, node 7 possible and empty.
 */
export const bench = (): Machine => benchOf(1);

/** The same with half of the memory a node, for checks of every frame after every step. */
export const smallBench = (): Machine => benchOf(2);

const benchOf = (part: number): Machine =>
  machineFrom({
    name: 'bench',
    arch: 'x86_64',
    nodes: [
      { id: 0, cpus: '0-1', ranges: [range(0, 64 / part), range(4 * GIB, 128 / part)] },
      { id: 1, cpus: '2-3', ranges: [range(5 * GIB, 128 / part)] },
      { id: 2, ranges: [range(6 * GIB, 64 / part)], memoryZone: 'movable', device: 'gpu0' },
      { id: 3, cpus: '4' },
      { id: 7 },
    ],
    distances: [
      [10, 20, 40, 30, 50],
      [20, 10, 60, 20, 50],
      [40, 60, 10, 80, 50],
      [30, 20, 80, 10, 50],
      [50, 50, 50, 50, 10],
    ],
    devices: [{ name: 'gpu0', kind: 'device', homeNode: 0 }],
  });

/** Two nodes with CPUs, and a device whose memory is ordinary boot memory (node 2). */
export const bootDevice = (): Machine =>
  machineFrom({
    name: 'boot-device',
    arch: 'ppc64',
    nodes: [
      { id: 0, cpus: '0-1', memory: '128MiB' },
      { id: 1, cpus: '2-3', memory: '64MiB' },
      { id: 2, memory: '64MiB', device: 'gpu0' },
    ],
    distances: [
      [10, 20, 40],
      [20, 10, 80],
      [40, 80, 10],
    ],
    devices: [{ name: 'gpu0', kind: 'device', homeNode: 0 }],
  });

export interface Played {
  readonly kernel: Kernel;
  readonly session: Session;
  readonly steps: readonly Step[];
  /** Result of the last operation. */
  readonly last: OpResult;
  /** Runs one more line, which may name what the text has named by slot (T0, R0). */
  readonly more: (line: string) => OpResult;
}

export interface PlayInput {
  readonly machine?: Machine;
  readonly design?: Design;
  readonly options?: KernelOptions;
}

/** Runs a text; every expectation in it must hold. */
export function play(text: string, input: PlayInput = {}): Played {
  const { machine = bench(), design = stock, options } = input;
  const { pageBytes } = machine;
  const scenario = parseScenario(text.trim().replace(/^\s+/gm, ''), {
    file: 'test.cdm',
    pageBytes,
  });
  const session = new Session({ machine, design, scenario, options });
  const steps = session.finish();
  const wrong = steps.flatMap((step) =>
    step.failed.map(
      (f) =>
        `${step.op.text} -> expected ${f.expected}, found ${f.found} ${JSON.stringify(step.result)}`,
    ),
  );
  expect(wrong, `under ${design.id}`).toEqual([]);
  const last = steps.at(-1)?.result ?? { ret: 0 };
  const more = (line: string): OpResult => {
    const [op] = parseScenario(line, { file: 'more.cdm', pageBytes }).ops;
    if (op === undefined) throw new Error(`no operation: ${line}`);
    return session.runner.run(op);
  };
  return { kernel: session.kernel, session, steps, last, more };
}
