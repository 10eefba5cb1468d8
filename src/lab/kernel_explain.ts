// Why the model decided otherwise than a real kernel: the page at which their results part and the
// decision that placed it, or what the model holds of task, area and cpuset before the step.
import { UserError } from '../base/assert.ts';
import type { OpResult, Scenario, TaskAct } from '../scenario/ops.ts';
import { fromRunList, type RunList } from '../scenario/run_list.ts';
import { type Explanation, explainPage } from './explain.ts';
import { caseOptions, designOfCase, machineOfCase, type OracleCase } from './oracle_case.ts';
import { Session, type SessionInput } from './session.ts';

export interface KernelExplanation {
  /** The decision about the page at which the results part. */
  readonly page?: Explanation | undefined;
  /** What the model holds before the step, by name. */
  readonly state: readonly (readonly [string, OpResult])[];
}

/** The model's run of a record, as sessions take it. */
export function sessionOf(record: OracleCase, scenario: Scenario): SessionInput | undefined {
  const design = designOfCase(record);
  if (design === undefined) return undefined;
  const inodes = new Map<number, number>();
  for (const [i, { result }] of record.ops.entries()) {
    if (typeof result.ino === 'number') inodes.set(i, result.ino);
  }
  const options = caseOptions(record);
  return { machine: machineOfCase(record), design, scenario, options, inodes };
}

/** Explains a step that came out otherwise; `scenario` is the one that the guest ran. */
export function explainDifference(
  record: OracleCase,
  scenario: Scenario,
  step: number,
  model: OpResult,
): KernelExplanation {
  const input = sessionOf(record, scenario);
  const real = record.ops[step]?.result;
  if (input === undefined || real === undefined) return { state: [] };
  const state = stateBefore(input, step);
  const page = differingPage(scenario, step, model, real);
  if (page === undefined) return { state };
  try {
    return { state, page: explainPage({ ...input, ...page, atStep: step }) };
  } catch (error) {
    // A page that the model has never mapped has no decision to tell.
    if (error instanceof UserError) return { state };
    throw error;
  }
}

interface PageAt {
  readonly task: string;
  readonly region: string;
  readonly index: number;
}

/** The first page of a step at which two results part. */
export function differingPage(
  scenario: Scenario,
  step: number,
  model: OpResult,
  real: OpResult,
): PageAt | undefined {
  const act = scenario.ops[step]?.act;
  if (act?.on !== 'task' || !('region' in act.act) || act.act.region === undefined)
    return undefined;
  const { region } = act.act;
  const start = startOf(scenario, step, act.act);
  const at = (index: number): PageAt => ({ task: act.task, region, index: start + index });
  for (const field of ['where', 'status']) {
    if (!Array.isArray(model[field]) || !Array.isArray(real[field])) continue;
    const ours = fromRunList(model[field] as RunList);
    const theirs = fromRunList(real[field] as RunList);
    const index = ours.findIndex((node, i) => node !== theirs[i]);
    if (index >= 0) return at(index);
  }
  if (act.act.verb === 'node_at') return at(0);
  const done = [model.touched ?? model.read, real.touched ?? real.read];
  const counts = done.filter((n) => typeof n === 'number');
  return counts.length === 0 || act.act.verb === 'where' ? undefined : at(Math.min(...counts));
}

/** First page of an operation: its offset, or how far the region was shifted when mapped. */
function startOf(scenario: Scenario, step: number, act: TaskAct): number {
  if ('offset' in act && act.offset !== undefined) return act.offset;
  const region = 'region' in act ? act.region : undefined;
  const maps = scenario.ops
    .slice(0, step)
    .map(({ act: a }) => (a.on === 'task' ? a.act : undefined));
  const map = maps.findLast((a) => a?.verb === 'mmap' && a.region === region);
  return map?.verb === 'mmap' ? map.shift : 0;
}

/** What the acting task and the area are under, before a step. */
function stateBefore(input: SessionInput, step: number): [string, OpResult][] {
  const act = input.scenario.ops[step]?.act;
  if (act?.on !== 'task') return [];
  const session = new Session(input);
  for (let i = 0; i < step; i++) session.step();
  const ask = (what: TaskAct): OpResult =>
    session.runner.run({ act: { on: 'task', task: act.task, act: what }, text: '', expect: [] });
  const state: [string, OpResult][] = [
    [`policy of ${act.task}`, ask({ verb: 'get_mempolicy' })],
    [`mems of ${act.task}`, ask({ verb: 'mems_allowed' })],
  ];
  if ('region' in act.act && act.act.region !== undefined && act.act.verb !== 'mmap') {
    const { region } = act.act;
    const offset = startOf(input.scenario, step, act.act);
    state.push([`policy at ${region} ${offset}`, ask({ verb: 'policy_at', region, offset })]);
  }
  return state;
}
