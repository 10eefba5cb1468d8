// What a guest did, as a record of the same form as recorded runs of real kernels: so one
// comparison judges both.
import type { Boot } from '../guest/boot.ts';
import type { GuestMachine } from '../guest/guest_machine.ts';
import type { GuestStart } from '../guest/protocol.ts';
import { kernelCommandLine } from '../guest/qemu.ts';
import type { OracleCase, OracleOp } from './oracle_case.ts';

/** A case as it was given to a guest. */
export interface GivenCase {
  readonly id: string;
  readonly family: string;
  readonly purpose: string;
  readonly lines: readonly string[];
}

export interface GuestRunOptions {
  readonly machine: GuestMachine;
  /** Id of the design that the guest's kernel has. */
  readonly design: string;
  /** Words added to the kernel's command line. */
  readonly append: string;
  /** MAX_NUMNODES, when the person knows better. */
  readonly maxNodes?: number | undefined;
}

/** A case of a boot, or why there is none. */
export type RecordedCase =
  | { readonly record: OracleCase; readonly problem?: undefined }
  | { readonly record?: undefined; readonly problem: string };

/** Distributions build for 1024 nodes, kernels with a configuration of their own for 64. */
const maxNodesOf = (kernel: string): number =>
  /-(amd64|generic)$|\.(fc|el)\d+|-default$/.test(kernel) ? 1024 : 64;

/** Did the kernel stop since nobody was left whom the OOM killer may take (out_of_memory)? */
const isDeadlocked = (boot: Boot): boolean =>
  boot.tail.some((line) => line.includes('System is deadlocked on memory'));

/** The record of one case of a boot. */
export function recordCase(
  boot: Boot,
  number: number,
  given: GivenCase,
  options: GuestRunOptions,
): RecordedCase {
  const ran = boot.cases.get(number);
  const why = boot.failure ?? 'the guest did not come to it';
  if (ran?.start === undefined) return { problem: `no start of the case: ${why}` };
  const ops: OracleOp[] = [];
  for (const [i, op] of given.lines.entries()) {
    const result = ran.results[i];
    if (result === undefined && isDeadlocked(boot)) {
      ops.push({ op, result: { ret: 'PANIC' } });
      break;
    }
    if (result === undefined) {
      const error = ran.errors.get(i);
      const said = error === undefined ? why : `the test program says: ${error}`;
      return { problem: `step ${i + 1}, ${op}: ${said}` };
    }
    ops.push({ op, result });
  }
  return { record: toRecord(ran.start, ops, given, boot, options) };
}

function toRecord(
  start: GuestStart,
  ops: readonly OracleOp[],
  given: GivenCase,
  boot: Boot,
  { machine, design, append, maxNodes }: GuestRunOptions,
): OracleCase {
  const kernel = boot.kernel ?? 'unknown';
  return {
    id: given.id,
    family: given.family,
    kind: 'random',
    purpose: given.purpose,
    kernel,
    maxNodes: maxNodes ?? start.maxNodes ?? maxNodesOf(kernel),
    design,
    bootCmdline: boot.cmdline ?? kernelCommandLine(machine, append),
    machine: {
      name: machine.name,
      note: machine.note,
      nodes: machine.nodes,
      distances: machine.distances,
    },
    fallbackOrder: start.fallbackOrder,
    nodeStates: start.nodeStates,
    zonesAtStart: start.zonesAtStart,
    ops,
  };
}
