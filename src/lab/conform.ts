// Runs cases of real kernels in the model and compares every result.
// Notes    In families with pressure, counts at a spill are compared with a tolerance (FORMAT.md);
//          so are the pools of huge pages once one of them grew until a node was full.
// Holds    CNF1 a case is equal when every result that the real kernel gave twice alike is equal.
//          CNF2 operations that are not modelled make their case fail, and are named.
import { NotModelled } from '../base/assert.ts';
import type { Op, OpResult } from '../scenario/ops.ts';
import { parseOpLine } from '../scenario/parser.ts';
import { type RunList, sameRunLists } from '../scenario/run_list.ts';
import { Runner } from '../scenario/runner.ts';
import {
  caseOptions,
  designOfCase,
  machineOfCase,
  type OracleCase,
  type OracleOp,
} from './oracle_case.ts';

export type CaseVerdict = 'equal' | 'different' | 'not modelled';

export interface CaseOutcome {
  readonly id: string;
  readonly family: string;
  readonly kind: string;
  readonly design: string;
  readonly verdict: CaseVerdict;
  /** The first difference, in words; absent when equal. */
  readonly difference?: string | undefined;
  /** What is not modelled, by operation. */
  readonly missing?: string | undefined;
}

/** Fields that say nothing about placement, or that no two runs share. */
const IGNORED = new Set(['note', 'klog', 'oom', 'ino', 'killedBy', 'freeAtOom']);
/** Fields that count pages of the whole machine: compared loosely, if at all. */
const LOOSE = new Set(['free', 'zones', 'numastat']);
/** Pages by which whole-machine counters may differ (FORMAT.md: a few hundred). */
const COUNTER_TOLERANCE = 600;

const slots = (prefix: string, count: number): Record<string, number> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${prefix}${i}`, i]));

const NAMES = { tasks: slots('T', 16), regions: slots('R', 32) };

/** Runs one case and says how it compares. */
export function conformCase(c: OracleCase): CaseOutcome {
  const head = { id: c.id, family: c.family, kind: c.kind, design: c.design };
  const design = designOfCase(c);
  if (design === undefined) {
    return { ...head, verdict: 'not modelled', missing: `design ${c.design}` };
  }
  if (!c.bootCmdline.includes('transparent_hugepage=never')) {
    return { ...head, verdict: 'not modelled', missing: 'transparent huge pages' };
  }
  const runner = new Runner(machineOfCase(c), design, NAMES, caseOptions(c));
  const tolerance = spillTolerance(c);
  const differs = compareFallback(runner, c);
  if (differs !== undefined) return { ...head, verdict: 'different', difference: differs };
  let isPoolShort = false;
  const numastat: NumastatPair = { was: undefined, real: undefined };
  for (const [i, step] of c.ops.entries()) {
    let result: OpResult;
    try {
      const op = parseOpLine(step.op, { file: c.id, line: i + 1 });
      takeInode(runner, op, step);
      result = runner.run(op);
    } catch (error) {
      if (!(error instanceof NotModelled)) throw error;
      return { ...head, verdict: 'not modelled', missing: error.message };
    }
    if (step.variable === true) continue;
    isPoolShort ||= runner.kernel.huge.isShort;
    const poolTolerance = isPoolShort ? pressureTolerance(c) / runner.kernel.huge.nrSmall : 0;
    const difference =
      compareResults(result, step.result, tolerance, poolTolerance) ??
      compareNumastat(result, step.result, numastat, Math.max(COUNTER_TOLERANCE, tolerance));
    if (difference === undefined) continue;
    if (isDeathAtTheEnd(result, step.result, tolerance)) break;
    const words = `step ${i + 1}, ${step.op}: ${difference}`;
    return { ...head, verdict: 'different', difference: words };
  }
  return { ...head, verdict: 'equal' };
}

/**
 * One side was killed so late in a touch that the other may just have got through it: what follows
 * cannot be compared.
 */
function isDeathAtTheEnd(model: OpResult, real: OpResult, tolerance: number): boolean {
  const isOneKilled = (model.ret === 'KILLED') !== (real.ret === 'KILLED');
  if (!isOneKilled || typeof model.touched !== 'number' || typeof real.touched !== 'number') {
    return false;
  }
  return Math.abs(model.touched - real.touched) <= tolerance;
}

/**
 * Shared objects get the inode number they had on the real kernel, since placement depends on it.
 */
function takeInode(runner: Runner, op: Op, step: OracleOp): void {
  const { act } = op;
  if (act.on !== 'task' || act.act.verb !== 'mmap' || typeof step.result.ino !== 'number') return;
  runner.kernel.inoHints.set(act.act.region, step.result.ino);
}

function compareFallback(runner: Runner, c: OracleCase): string | undefined {
  for (const [nid, order] of Object.entries(c.fallbackOrder ?? {})) {
    const ours = (runner.kernel.mem.lists.fallbackOrder[Number(nid)] ?? []).map(Number);
    if (ours.join() === order.join()) continue;
    return `fallback order of node ${nid}: model ${ours.join(' ')}, kernel ${order.join(' ')}`;
  }
  return undefined;
}

/** The first field that differs, in words; undefined when none does. */
export function compareResults(
  model: OpResult,
  real: OpResult,
  tolerance = 0,
  poolTolerance = 0,
): string | undefined {
  if (model.ret !== real.ret) return `model ${show(model.ret)}, kernel ${show(real.ret)}`;
  for (const field of Object.keys(real)) {
    if (field === 'ret' || IGNORED.has(field) || LOOSE.has(field)) continue;
    if (isSame(field, model[field], real[field])) continue;
    if (field === 'hugetlb' && isNearPool(model[field], real[field], poolTolerance)) continue;
    if (tolerance > 0 && isNear(field, model[field], real[field], tolerance)) continue;
    return `${field}: model ${show(model[field])}, kernel ${show(real[field])}`;
  }
  return undefined;
}

/** Lists of one value a page are compared page by page, everything else as it is. */
function isSame(field: string, ours: unknown, theirs: unknown): boolean {
  const isPerPage = field === 'where' || field === 'status';
  if (isPerPage && isRunList(ours) && isRunList(theirs)) return sameRunLists(ours, theirs);
  return canonical(ours) === canonical(theirs);
}

function canonical(value: unknown): string {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  return JSON.stringify(value);
}

/** Families in which nodes run full: where a node spills is not exact on a real kernel either. */
const PRESSURE_FAMILIES = new Set(['exhaust', 'oom', 'rnd-pressure']);

/** Did memory run out: by the family, or because the real kernel killed for lack of it. */
const isUnderPressure = (c: OracleCase): boolean =>
  PRESSURE_FAMILIES.has(c.family) || c.ops.some((o) => o.result.oom !== undefined);

/** Pages by which counts may differ in such a case; 0 in all other cases. */
const spillTolerance = (c: OracleCase): number => (isUnderPressure(c) ? pressureTolerance(c) : 0);

/** 2 % of the pages that the largest node manages, at least 512. */
function pressureTolerance(c: OracleCase): number {
  const managed = new Map<number, number>();
  for (const z of c.zonesAtStart) managed.set(z.node, (managed.get(z.node) ?? 0) + z.managed);
  return Math.max(512, Math.ceil(Math.max(...managed.values()) * 0.02));
}

/**
 * The same nodes in the same order, with counts within the tolerance. Runs that the tolerance would
 * allow to be empty do not count: at the watermark a few pages go to and fro between nodes.
 */
function isNear(field: string, ours: unknown, theirs: unknown, tolerance: number): boolean {
  if (typeof ours === 'number' && typeof theirs === 'number') {
    return (field === 'touched' || field === 'read') && Math.abs(ours - theirs) <= tolerance;
  }
  if (field === 'counts') {
    const a = ours as Record<string, number>;
    const b = theirs as Record<string, number>;
    return [...new Set([...Object.keys(a), ...Object.keys(b)])].every(
      (key) => Math.abs((a[key] ?? 0) - (b[key] ?? 0)) <= tolerance,
    );
  }
  if (!isRunList(ours) || !isRunList(theirs)) return false;
  const lengths = [...ours, ...theirs].map(runPages).filter((n) => n <= tolerance);
  return [0, ...new Set(lengths)].some((shortest) => {
    const a = withoutShortRuns(ours, shortest);
    const b = withoutShortRuns(theirs, shortest);
    if (a.length !== b.length) return false;
    return a.every((run, i) => {
      const other = b[i] as LongRun;
      return run.values === other.values && Math.abs(run.nrPages - other.nrPages) <= tolerance;
    });
  });
}

const runPages = ([value, times]: RunList[number]): number =>
  Array.isArray(value) ? times * value.length : times;

interface LongRun {
  /** The node, or the nodes of a repeating pattern from its least rotation on. */
  readonly values: string;
  nrPages: number;
}

/** Drops runs of up to `shortest` pages, and joins what they had kept apart. */
function withoutShortRuns(list: RunList, shortest: number): LongRun[] {
  const long: LongRun[] = [];
  for (const run of list) {
    const [value] = run;
    const values = Array.isArray(value) ? leastRotation(value) : String(value);
    const nrPages = runPages(run);
    if (nrPages <= shortest) continue;
    const last = long.at(-1);
    if (last?.values === values) last.nrPages += nrPages;
    else long.push({ values, nrPages });
  }
  return long;
}

/** Where an interleaved run starts to be counted is chance: its nodes in turn are not. */
function leastRotation(values: readonly unknown[]): string {
  const rotations = values.map((_, i) => [...values.slice(i), ...values.slice(0, i)].join(' '));
  return rotations.sort()[0] as string;
}

type PoolNode = Readonly<Record<string, number | boolean>>;
type Pool = PoolNode & { readonly nodes: Readonly<Record<string, PoolNode>> };

/** Pools of the same nodes, with counts within the tolerance, in huge pages a node. */
function isNearPool(ours: unknown, theirs: unknown, tolerance: number): boolean {
  const a = ours as Pool | undefined;
  const b = theirs as Pool;
  if (tolerance === 0 || a === undefined) return false;
  const isNearRow = (x: PoolNode | undefined, y: PoolNode, most: number): boolean =>
    Object.entries(y).every(([key, value]) => {
      const other = x?.[key];
      if (typeof value !== 'number' || typeof other !== 'number') return value === other;
      return Math.abs(other - value) <= (key === 'overcommit' ? 0 : most);
    });
  const nodes = Object.entries(b.nodes);
  const { nodes: _ours, ...totals } = a as unknown as Record<string, number>;
  const { nodes: _theirs, ...realTotals } = b as unknown as Record<string, number>;
  return (
    Object.keys(a.nodes).length === nodes.length &&
    isNearRow(totals, realTotals, tolerance * nodes.length) &&
    nodes.every(([nid, row]) => isNearRow(a.nodes[nid], row, tolerance))
  );
}

const isRunList = (value: unknown): value is RunList =>
  Array.isArray(value) && value.every((item) => Array.isArray(item) && item.length === 2);

const show = (value: unknown): string => {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text === undefined ? 'nothing' : text.length > 160 ? `${text.slice(0, 160)}...` : text;
};

type Numastat = Readonly<Record<string, Readonly<Record<string, number>>>>;

interface NumastatPair {
  was: Numastat | undefined;
  real: Numastat | undefined;
}

/** numastat is compared by how much it grew between two looks. */
function compareNumastat(
  model: OpResult,
  real: OpResult,
  pair: NumastatPair,
  tolerance: number,
): string | undefined {
  const ours = model.numastat as Numastat | undefined;
  const theirs = real.numastat as Numastat | undefined;
  if (ours === undefined || theirs === undefined) return undefined;
  const { was, real: realWas } = pair;
  pair.was = ours;
  pair.real = theirs;
  if (was === undefined || realWas === undefined) return undefined;
  for (const [nid, counters] of Object.entries(theirs)) {
    for (const [name, value] of Object.entries(counters)) {
      const realGrew = value - (realWas[nid]?.[name] ?? 0);
      const grew = (ours[nid]?.[name] ?? 0) - (was[nid]?.[name] ?? 0);
      if (Math.abs(realGrew - grew) > tolerance) {
        return `numastat of node ${nid}, ${name} grew by: model ${grew}, kernel ${realGrew}`;
      }
    }
  }
  return undefined;
}
