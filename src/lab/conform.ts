// Runs cases of real kernels in the model and compares every result.
// Notes    In families with pressure, counts at a spill are compared with a tolerance (FORMAT.md).
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

export type CaseVerdict = 'equal' | 'different' | 'not modelled' | 'out of memory';

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
  /** The step, from 0, that differs or is not modelled. */
  readonly step?: number | undefined;
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

/**
 * Runs one case and says how it compares.
 * @param onStep is told what the model makes of each step, up to the first that differs.
 */
export function conformCase(
  c: OracleCase,
  onStep?: (step: number, model: OpResult) => void,
): CaseOutcome {
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
  const numastat: NumastatPair = { was: undefined, real: undefined };
  for (const [i, step] of c.ops.entries()) {
    let result: OpResult;
    try {
      const op = parseOpLine(step.op, { file: c.id, line: i + 1 });
      takeInode(runner, op, step);
      result = runner.run(op);
    } catch (error) {
      if (!(error instanceof NotModelled)) throw error;
      return { ...head, verdict: 'not modelled', missing: error.message, step: i };
    }
    onStep?.(i, result);
    if (step.variable === true) continue;
    const difference =
      compareResults(result, step.result, tolerance) ??
      compareNumastat(result, step.result, numastat);
    if (difference === undefined) continue;
    const words = `step ${i + 1}, ${step.op}: ${difference}`;
    const isMemory = isOutOfMemory(step.result, result);
    const verdict = isMemory ? 'out of memory' : 'different';
    return { ...head, verdict, difference: words, step: i };
  }
  return { ...head, verdict: 'equal' };
}

/** A kill for lack of pages, which reclaim would have to decide. */
function isOutOfMemory(real: OpResult, model: OpResult): boolean {
  return real.ret === 'KILLED' && model.ret === 'EXHAUSTED';
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
export function compareResults(model: OpResult, real: OpResult, tolerance = 0): string | undefined {
  if (model.ret !== real.ret) return `model ${show(model.ret)}, kernel ${show(real.ret)}`;
  for (const field of Object.keys(real)) {
    if (field === 'ret' || IGNORED.has(field) || LOOSE.has(field)) continue;
    if (isSame(field, model[field], real[field])) continue;
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

/**
 * Pages by which counts may differ in such a case: 2 % of the pages that the largest node manages,
 * at least 512; 0 in all other families.
 */
function spillTolerance(c: OracleCase): number {
  if (!PRESSURE_FAMILIES.has(c.family)) return 0;
  const managed = new Map<number, number>();
  for (const z of c.zonesAtStart) managed.set(z.node, (managed.get(z.node) ?? 0) + z.managed);
  return Math.max(512, Math.ceil(Math.max(...managed.values()) * 0.02));
}

/** The same nodes in the same order, with counts within the tolerance. */
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
  if (!isRunList(ours) || !isRunList(theirs) || ours.length !== theirs.length) return false;
  return ours.every(([value, n], i) => {
    const [other, m] = theirs[i] as RunList[number];
    return JSON.stringify(value) === JSON.stringify(other) && Math.abs(n - m) <= tolerance;
  });
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
function compareNumastat(model: OpResult, real: OpResult, pair: NumastatPair): string | undefined {
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
      if (Math.abs(realGrew - grew) > COUNTER_TOLERANCE) {
        return `numastat of node ${nid}, ${name} grew by: model ${grew}, kernel ${realGrew}`;
      }
    }
  }
  return undefined;
}
