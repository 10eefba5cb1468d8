// Scenarios on a real kernel in a guest and in the model, step beside step.
// Holds    KRN1 the model starts from the guest's own zones, and every result of the kernel is
//          compared by the rules that recorded cases are compared by (CNF).
import { type Boot, bootGuest, needsDisk, needsMemcg } from '../guest/boot.ts';
import { type GuestMachine, guestMachine } from '../guest/guest_machine.ts';
import type { GuestTools } from '../guest/host.ts';
import { guestBootWords, guestScenario, usedCpus } from '../guest/lower.ts';
import { cpusetOf } from '../guest/protocol.ts';
import type { Machine } from '../machine/machine.ts';
import type { OpResult, Scenario } from '../scenario/ops.ts';
import { pageBytesOfKind } from '../scenario/parse_act.ts';
import { printAct } from '../scenario/print.ts';
import { type CaseVerdict, conformCase } from './conform.ts';
import { type GivenCase, recordCase } from './guest_case.ts';
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

/** A scenario as a guest runs it. */
interface Prepared {
  readonly input: KernelRunInput;
  readonly guest: GuestMachine;
  readonly scenario: Scenario;
  readonly append: string;
  readonly given: GivenCase;
}

/** @throws UserError for what a guest cannot have or run. */
function prepare(input: KernelRunInput, cpus = usedCpus(input.scenario)): Prepared {
  const { nodeMiB } = input;
  const made = guestMachine(input.machine, { usedCpus: cpus, nodeMiB });
  const scenario = guestScenario(input.scenario, made);
  const guest = { ...made, changes: [...made.changes, ...sizeWords(scenario, made)] };
  const given = {
    id: scenario.name,
    family: familyOf(scenario, guest, 'run'),
    purpose: scenario.title,
    lines: scenario.ops.map((op) => op.text),
  };
  const words = [...guestBootWords(input.scenario, made), input.append ?? ''];
  return { input, guest, scenario, append: deviceWords(words.join(' ').trim(), guest), given };
}

/** Boots one guest for scenarios that share its machine. */
async function bootFor(prepared: readonly Prepared[]): Promise<KernelRun[]> {
  const { guest, append, input } = prepared[0] as Prepared;
  const cases = prepared.map(({ given: { lines } }) => ({ lines, cpuset: cpusetOf(lines) }));
  const { tools, keeps } = input;
  const boot = await bootGuest({ machine: guest, cases, tools, append, keeps });
  return prepared.map((one, number) => judge(one, boot, number));
}

/** What a boot says of its scenario of that number. */
function judge(
  { input, guest, scenario, append, given }: Prepared,
  boot: Boot,
  number: number,
): KernelRun {
  const { kernel, durationMs, folder } = boot;
  const head = { guest, kernel, durationMs, folder };
  const { design, maxNodes } = input;
  const options = { machine: guest, design, append, maxNodes };
  const { record, problem } = recordCase(boot, number, given, options);
  const answers = boot.cases.get(number)?.results ?? [];
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

/**
 * Boots a guest for a scenario and compares.
 * @throws UserError for what a guest cannot have or run.
 */
export async function kernelRun(input: KernelRunInput): Promise<KernelRun> {
  return (await bootFor([prepare(input)]))[0] as KernelRun;
}

/** CPUs that scenarios name, by machine: those on one machine can then share a guest. */
function usedTogether(inputs: readonly KernelRunInput[]): Map<string, Set<number>> {
  const used = new Map<string, Set<number>>();
  for (const { machine, scenario } of inputs) {
    const key = JSON.stringify(machine);
    used.set(key, new Set([...(used.get(key) ?? []), ...usedCpus(scenario)]));
  }
  return used;
}

/** What a boot is of; equal for scenarios that one guest can run one after another. */
function bootKey({ guest, append, given }: Prepared): string {
  const { nodes, distances } = guest;
  const { lines } = given;
  const cases = [{ lines, cpuset: undefined }];
  const devices = [needsDisk(cases), needsMemcg(cases)];
  return JSON.stringify([nodes, distances, append, cpusetOf(lines) === 'v1', devices]);
}

/**
 * Runs scenarios that share tools and options, many to a boot: those on equal machines together,
 * those that come to the end of memory in boots of their own. Whatever did not come out equal in a
 * shared boot, or did not come to its end, has another boot to itself, whose answer counts.
 * @param nrJobs boots at a time, at least 1.
 * @returns outcomes in the order of `inputs`.
 * @throws UserError for what a guest cannot have or run.
 */
export async function kernelRunAll(
  inputs: readonly KernelRunInput[],
  nrJobs: number,
): Promise<KernelRun[]> {
  const runs: KernelRun[] = [];
  const boots = new Map<string, number[]>();
  const used = usedTogether(inputs);
  const prepared = inputs.map((input) => prepare(input, used.get(JSON.stringify(input.machine))));
  for (const [i, one] of prepared.entries()) {
    const key = one.given.family === 'exhaust' ? String(i) : bootKey(one);
    boots.set(key, [...(boots.get(key) ?? []), i]);
  }
  const boot = async (numbers: readonly number[]): Promise<void> => {
    const ran = await bootFor(numbers.map((i) => prepared[i] as Prepared));
    for (const [at, i] of numbers.entries()) runs[i] = ran[at] as KernelRun;
  };
  /** Shared boots may have left traces, and an emulated machine may die under a scenario. */
  const isSure = (i: number, isAlone: boolean): boolean => {
    const verdict = runs[i]?.verdict;
    return verdict === 'equal' || (isAlone && verdict !== 'not run');
  };
  const bootAll = async (numbers: readonly number[]): Promise<void> => {
    await boot(numbers);
    for (const i of numbers) if (!isSure(i, numbers.length === 1)) await boot([i]);
  };
  const queue = [...boots.values()];
  const worker = async (): Promise<void> => {
    for (let numbers = queue.shift(); numbers !== undefined; numbers = queue.shift()) {
      await bootAll(numbers);
    }
  };
  await Promise.all(Array.from({ length: nrJobs }, worker));
  return runs;
}
