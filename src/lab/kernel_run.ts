// One scenario on a real kernel in a guest and in the model, step beside step.
// Holds    KRN1 the model starts from the guest's own zones, and every result of the kernel is
//          compared by the rules that recorded cases are compared by (CNF).
import { bootGuest } from '../guest/boot.ts';
import { type GuestMachine, guestMachine } from '../guest/guest_machine.ts';
import type { GuestTools } from '../guest/host.ts';
import { guestScenario, usedCpus } from '../guest/lower.ts';
import { cpusetOf } from '../guest/protocol.ts';
import type { Machine } from '../machine/machine.ts';
import type { OpResult, Scenario } from '../scenario/ops.ts';
import { pageBytesOfKind } from '../scenario/parse_act.ts';
import { printAct } from '../scenario/print.ts';
import { type CaseVerdict, conformCase } from './conform.ts';
import { recordCase } from './guest_case.ts';
import { explainDifference, type KernelExplanation } from './kernel_explain.ts';
import type { OracleCase } from './oracle_case.ts';

export interface KernelRunInput {
  readonly scenario: Scenario;
  readonly machine: Machine;
  /** Id of the design that the kernel has, `stock` for an unpatched one. */
  readonly design: string;
  readonly tools: GuestTools;
  /** Words for the kernel's command line; `{device}` becomes the list of device nodes. */
  readonly append?: string | undefined;
  readonly nodeMiB?: number | undefined;
  readonly maxNodes?: number | undefined;
  readonly keeps?: boolean | undefined;
}

export interface KernelStep {
  readonly index: number;
  readonly text: string;
  /** Left out after the first difference. */
  readonly model?: OpResult | undefined;
  /** Left out where the guest gave no answer. */
  readonly kernel?: OpResult | undefined;
}

export interface KernelRun {
  readonly guest: GuestMachine;
  readonly kernel: string | undefined;
  readonly steps: readonly KernelStep[];
  readonly verdict: CaseVerdict | 'not run';
  /** The first difference, what is not modelled, or why it did not run. */
  readonly words?: string | undefined;
  readonly step?: number | undefined;
  readonly explanation?: KernelExplanation | undefined;
  readonly record?: OracleCase | undefined;
  readonly durationMs: number;
  readonly folder?: string | undefined;
}

/** `{device}` in words for a kernel's command line: the guest's device nodes, with commas. */
export function deviceWords(template: string, guest: GuestMachine): string {
  const ids = guest.nodes.filter((node) => node.cdm).map((node) => node.id);
  return template.replaceAll('{device}', ids.join(','));
}

const MIB = 1024 * 1024;
const GUEST_PAGE_BYTES = 4096;

/** A page count per node that makes a run depend on what only reclaim decides. */
const PRESSURE_SHARE = 0.5;

/** Cases that come near the end of a node's memory are compared with a tolerance. */
export function familyOf(scenario: Scenario, guest: GuestMachine, otherwise: string): string {
  const sizes = guest.nodes.map((node) => node.memoryMiB).filter((size) => size > 0);
  let nrPages = 0;
  for (const { act } of scenario.ops) {
    if (act.on === 'task' && act.act.verb === 'mmap') nrPages += act.act.nrPages;
  }
  const smallest = Math.min(...sizes) * 256;
  return nrPages > smallest * PRESSURE_SHARE ? 'exhaust' : otherwise;
}

/** What to say of a scenario that maps more than the guest has; nothing where it fits. */
export function sizeWords(scenario: Scenario, guest: GuestMachine): string[] {
  const mib = guest.nodes.reduce((sum, node) => sum + node.memoryMiB, 0);
  let nrPages = 0;
  for (const { act } of scenario.ops) {
    if (act.on !== 'task' || act.act.verb !== 'mmap') continue;
    nrPages +=
      act.act.nrPages * (pageBytesOfKind(act.act.kind, GUEST_PAGE_BYTES) / GUEST_PAGE_BYTES);
  }
  const mapped = Math.ceil((nrPages * GUEST_PAGE_BYTES) / MIB);
  if (mapped <= mib) return [];
  return [
    `The scenario maps ${mapped} MiB and the guest has ${mib} MiB: where it touches all of that, ` +
      'both run out of memory. Give smaller parameters, or more with --node-memory.',
  ];
}

/**
 * Boots a guest for a scenario and compares.
 * @throws UserError for what a guest cannot have or run.
 */
export async function kernelRun(input: KernelRunInput): Promise<KernelRun> {
  const { design, tools, nodeMiB, maxNodes, keeps } = input;
  const made = guestMachine(input.machine, { usedCpus: usedCpus(input.scenario), nodeMiB });
  const scenario = guestScenario(input.scenario, made);
  const guest = { ...made, changes: [...made.changes, ...sizeWords(scenario, made)] };
  const append = deviceWords(input.append ?? '', guest);
  const lines = scenario.ops.map((op) => op.text);
  const cases = [{ lines, cpuset: cpusetOf(lines) }];
  const boot = await bootGuest({ machine: guest, cases, tools, append, keeps });
  const { kernel, durationMs, folder } = boot;
  const head = { guest, kernel, durationMs, folder };
  const given = {
    id: scenario.name,
    family: familyOf(scenario, guest, 'run'),
    purpose: scenario.title,
    lines,
  };
  const { record, problem } = recordCase(boot, 0, given, {
    machine: guest,
    design,
    append,
    maxNodes,
  });
  const answers = boot.cases.get(0)?.results ?? [];
  const model: OpResult[] = [];
  const outcome =
    record === undefined ? undefined : conformCase(record, (i, result) => (model[i] = result));
  const steps = scenario.ops.map((op, index): KernelStep => {
    return { index, text: printAct(op.act), model: model[index], kernel: answers[index] };
  });
  if (record === undefined || outcome === undefined) {
    return { ...head, steps, verdict: 'not run', words: problem };
  }
  const { verdict, step } = outcome;
  const isDifferent = verdict === 'different' && step !== undefined && model[step] !== undefined;
  return {
    ...head,
    steps,
    verdict,
    words: outcome.difference ?? outcome.missing,
    step,
    explanation: isDifferent
      ? explainDifference(record, scenario, step, model[step] as OpResult)
      : undefined,
    record,
  };
}
