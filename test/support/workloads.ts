// Random workloads run step by step under the eyes of all judges, and cut down to the operations
// that a failure needs.
import { checkAll, FreshPages } from '../../src/checkers/index.ts';
import type { Design } from '../../src/hooks/design.ts';
import type { KernelOptions } from '../../src/kernel/kernel.ts';
import { deviceNodes, type Machine } from '../../src/machine/machine.ts';
import { DecisionLog } from '../../src/mm/decision_log.ts';
import { generateScenario, machineNodes } from '../../src/scenario/generate.ts';
import type { Family } from '../../src/scenario/generate_weights.ts';
import type { Op, Scenario } from '../../src/scenario/ops.ts';
import { Runner } from '../../src/scenario/runner.ts';

export interface Workload {
  readonly seed: number;
  readonly family: Family;
  readonly nrOps: number;
}

/** Families with huge pages, which are modelled for pages of 4 KiB only, or nearly so. */
const OF_SMALL_PAGES: readonly Family[] = ['thp', 'thpswap', 'hugetlb', 'faults'];

/** A random workload that the machine can have. */
export function scenarioFor(machine: Machine, w: Workload): Scenario {
  const isOther = machine.pageBytes !== 4096 && OF_SMALL_PAGES.includes(w.family);
  const family = isOther ? 'mbind' : w.family;
  return generateScenario({ seed: w.seed, ops: w.nrOps, family, ...machineNodes(machine) });
}

export interface JudgedRun {
  readonly machine: Machine;
  readonly design: Design;
  readonly options?: KernelOptions;
  /** What else must hold after a step; by default nothing. */
  readonly also?: (runner: Runner, op: Op) => readonly string[];
  /** Findings that are no fault here. */
  readonly isExpected?: (finding: string) => boolean;
  /** Errors by which an operation may be refused: nothing is judged then. */
  readonly refuses?: new (
    message: string,
  ) => Error;
}

/**
 * Breaches of promises that the designs of the thread really have. Page tables and other kernel
 * pages of a task whose own policy names a device land on it where its memory is boot memory.
 */
export const isKernelPageOfAskingTask = (finding: string): boolean =>
  /^promise: \d+ pages \((?:page table|kernel page), policy: task\)/.test(finding);

/** When a cpuset that holds the device takes a task in, its pages are moved onto it. */
export const isMovedByCpuset = (finding: string): boolean =>
  /^promise: \d+ pages \(migration target, policy: cpuset\)/.test(finding);

/**
 * Where one list holds the private nodes of all owners, a preference or an interleave that names
 * one of several spills onto another (PRV12).
 */
const isPrivateSpill = ({ design, machine }: JudgedRun, finding: string): boolean =>
  design.answers.privateListHolds !== undefined &&
  deviceNodes(machine).length > 1 &&
  /^promise: \d+ pages \([^)]*, policy: (?:task|area)\)/.test(finding);

/**
 * Runs operations and judges after each; the first findings, or none. An agent knows from them, as
 * in a scenario, which hierarchy of cpusets there is and who is to use devices.
 */
export function judge(
  input: JudgedRun,
  names: Pick<Scenario, 'tasks' | 'regions'>,
  ops: readonly Op[],
): readonly string[] {
  const runner = new Runner(input.machine, input.design, { ...names, ops }, input.options);
  const fresh = new FreshPages();
  const k = runner.kernel;
  // Promises of single requests are judged by the record of decisions, a step at a time.
  const isRecorded = input.design.promise.allows !== undefined;
  fresh.note(k);
  for (const [i, op] of ops.entries()) {
    const found: string[] = [];
    if (isRecorded) k.allocator.log = new DecisionLog();
    try {
      runner.run(op);
      const { act } = op;
      const task = act.on === 'task' ? runner.tasks.get(act.task) : undefined;
      const isTouch = act.on === 'task' && (act.act.verb === 'touch' || act.act.verb === 'read');
      if (isTouch && task !== undefined) found.push(...fresh.check(k, task));
      else fresh.note(k);
      found.push(...checkAll(k), ...(input.also?.(runner, op) ?? []));
    } catch (error) {
      if (input.refuses !== undefined && error instanceof input.refuses) continue;
      found.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    const faults = found.filter(
      (text) => input.isExpected?.(text) !== true && !isPrivateSpill(input, text),
    );
    if (faults.length > 0) return [`after step ${i + 1}, ${op.text}`, ...faults];
  }
  return [];
}

/** Leaves out operations one after another as long as something is still found. */
export function smallest(
  ops: readonly Op[],
  find: (ops: readonly Op[]) => readonly string[],
): readonly Op[] {
  let kept = ops;
  for (let size = Math.ceil(kept.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < kept.length; ) {
      const fewer = [...kept.slice(0, at), ...kept.slice(at + size)];
      if (find(fewer).length > 0) kept = fewer;
      else at += size;
    }
  }
  return kept;
}

/** Runs a workload under the judges; throws with the fewest operations that still fail. */
export function expectNoFindings(input: JudgedRun, workload: Workload): void {
  const scenario = scenarioFor(input.machine, workload);
  const find = (ops: readonly Op[]) => judge(input, scenario, ops);
  if (find(scenario.ops).length === 0) return;
  const ops = smallest(scenario.ops, find);
  throw new Error(
    [`under ${input.design.id}:`, ...ops.map((op) => `  ${op.text}`), ...find(ops)].join('\n'),
  );
}
