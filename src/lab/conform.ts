// Runs cases of real kernels in the model and compares every result.
// Notes    Where memory runs out, counts are compared within the spread of real kernels
//          (spread.ts); so are the pools of huge pages once one grew until a node was full. Figures
//          of free pages and zones of the machine are not compared, its counters by their growth.
// Holds    CNF1 a case is equal when every result that the real kernel gave twice alike is equal,
//          up to a death within the spread, which is said.
//          CNF2 operations that are not modelled make their case fail, and are named. CNF3 cpusets
//          may hear of memory a few operations late, as on a real kernel.
import { NotModelled } from '../base/assert.ts';
import type { Design } from '../hooks/design.ts';
import { followMemory } from '../kernel/cpuset_hotplug.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Machine } from '../machine/machine.ts';
import { isTextFile } from '../observe/files.ts';
import { mayMoveBootMemory } from '../scenario/later_zones.ts';
import type { Op, OpResult } from '../scenario/ops.ts';
import { parseOpLine } from '../scenario/parser.ts';
import { sameRunLists } from '../scenario/run_list.ts';
import { Runner } from '../scenario/runner.ts';
import {
  diedForTables,
  type EndStep,
  isChance,
  nodesAtEnd,
  UnsureRegions,
} from './end_of_memory.ts';
import { type CountsPair, compareFileText, compareVmstat } from './file_text.ts';
import {
  caseOptions,
  designOfCase,
  machineOfCase,
  type OracleCase,
  type OracleOp,
} from './oracle_case.ts';
import { otherStarts } from './other_starts.ts';
import { isRunList, isWithinSpread, type Spread } from './spread.ts';

export type CaseVerdict = 'equal' | 'different' | 'not modelled';

export interface CaseOutcome {
  readonly id: string;
  readonly family: string;
  readonly kind: string;
  readonly design: string;
  readonly verdict: CaseVerdict;
  /** The first difference, in words; absent when equal. */
  readonly difference?: string | undefined;
  /** Steps that could be compared, when a death within the spread of real kernels ended that. */
  readonly comparedSteps?: number | undefined;
  /** Equal from another start than the record's, within the spread of boots: which. */
  readonly start?: string | undefined;
  /** What is not modelled, by operation. */
  readonly missing?: string | undefined;
  /** The step, from 0, that differs or is not modelled. */
  readonly step?: number | undefined;
}

/** Fields that say nothing about placement, or that no two runs share. */
const IGNORED = new Set(['note', 'klog', 'oom', 'ino', 'killedBy', 'freeAtOom']);
/** Fields that count pages of the whole machine: compared loosely, if at all. */
const LOOSE = new Set(['free', 'zones', 'numastat', 'vmstat']);
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
  const atOnce = runCase(c, design, {}, onStep);
  if (atOnce.at === undefined) return { ...head, ...atOnce.outcome };
  const run = tryLater(c, design, atOnce);
  return { ...head, ...(run.at === undefined ? run : tryOtherStarts(c, design, run)).outcome };
}

type Verdict = Omit<CaseOutcome, 'id' | 'family' | 'kind' | 'design'>;

interface CaseRun {
  readonly outcome: Verdict;
  /** The operation whose result differs first. */
  readonly at?: number | undefined;
}

/** Memory of a node is switched: cpusets hear of it by work that runs a little later. */
const isSwitch = ({ op }: OracleOp): boolean => /^sys (?:offline|online)_node /.test(op);

/** Operations that a kernel may get through before that work has run. */
const LATEST_WORK = 8;

/**
 * Tells cpusets of memory a few operations late, where the real kernel has been late: for each
 * switch, the latest first, the delay that gets the case furthest. The kernel promises no moment.
 */
function tryLater(c: OracleCase, design: Design, atOnce: CaseRun): CaseRun {
  const delays = new Map<number, number>();
  let best = atOnce;
  const switches = [...c.ops.keys()].filter((i) => isSwitch(c.ops[i] as OracleOp));
  for (const at of switches.reverse()) {
    if (best.at === undefined || at >= best.at) continue;
    for (let delay = 1; delay <= LATEST_WORK && best.at !== undefined; delay += 0.5) {
      const run = runCase(c, design, { delays: new Map([...delays, [at, delay]]) });
      if (run.at !== undefined && run.at <= best.at) continue;
      best = run;
      delays.set(at, delay);
    }
  }
  return best.at === undefined ? best : atOnce;
}

/** Where memory ends: the case from starts that differ by less than those of boots (SPR8). */
function tryOtherStarts(c: OracleCase, design: Design, run: CaseRun): CaseRun {
  if (run.at === undefined || run.at < firstStepUnderPressure(c)) return run;
  for (const { zones, words } of otherStarts(c)) {
    const other = runCase(c, design, { zones });
    // It has to answer for the step that differed, and not end before.
    const { comparedSteps = c.ops.length } = other.outcome;
    const answers = other.at === undefined && comparedSteps > run.at;
    if (answers) return { outcome: { ...other.outcome, start: words } };
  }
  return run;
}

/** What may differ between a run and the record without anybody being wrong. */
interface Variation {
  /**
   * By number of a switch: operations after it before cpusets hear of it. A half is within an
   * operation, which shows only where one reads the mems twice.
   */
  readonly delays?: ReadonlyMap<number, number>;
  /** Free memory to start from, instead of the record's. */
  readonly zones?: OracleCase['zonesAtStart'];
}

const asksForMovable = (line: string, machine: Machine): boolean =>
  mayMoveBootMemory([parseOpLine(line)], machine);

function runCase(
  c: OracleCase,
  design: Design,
  { delays, zones }: Variation,
  onStep?: (step: number, result: OpResult) => void,
): CaseRun {
  const machine = machineOfCase(c);
  const mayMove = c.ops.some(({ op }) => /movable/i.test(op) && asksForMovable(op, machine));
  const options = {
    ...caseOptions(zones === undefined ? c : { ...c, zonesAtStart: zones }),
    mayMoveBootMemory: mayMove,
  };
  const runner = new Runner(machine, design, NAMES, options);
  const k = runner.kernel;
  let workAt = Number.POSITIVE_INFINITY;
  const judge = new Judge(c, k);
  const pressedFrom = firstStepUnderPressure(c);
  const differs = compareFallback(runner, c);
  if (differs !== undefined) return { outcome: { verdict: 'different', difference: differs } };
  const unsure = new UnsureRegions();
  for (const [i, step] of c.ops.entries()) {
    let result: OpResult;
    let op: Op;
    const nrKills = k.kills.length;
    const isWithin = workAt === i - 0.5 && / mems_allowed$/.test(step.op);
    if (i > workAt) {
      workAt = Number.POSITIVE_INFINITY;
      if (!isWithin) followMemory(k);
    }
    const delay = delays?.get(i);
    k.defersCpusetWork = delay !== undefined;
    if (delay !== undefined) workAt = i + delay;
    try {
      op = parseOpLine(step.op, { file: c.id, line: i + 1 });
      takeInode(runner, op, step);
      result = runner.run(op);
      if (isWithin) {
        followMemory(k);
        result = { ...result, status: runner.run(op)['status'] };
      }
    } catch (error) {
      if (!(error instanceof NotModelled)) throw error;
      return { outcome: { verdict: 'not modelled', missing: error.message, step: i } };
    }
    onStep?.(i, result);
    if (step.variable === true) continue;
    const tolerance = i >= pressedFrom ? pressureTolerance(c, k.reclaim !== null) : 0;
    const difference = judge.difference(op, result, step.result, tolerance);
    const both = { model: result, real: step.result };
    if (difference === undefined) {
      unsure.note(op, both);
      continue;
    }
    const end: EndStep = {
      ...both,
      kernel: k,
      kills: k.kills.slice(nrKills),
      task: op.act.on === 'task' ? runner.tasks.get(op.act.task) : undefined,
      tolerance,
    };
    if (diedForTables(end)) continue;
    if (isChance(end) || unsure.explains(op, both)) {
      return { outcome: { verdict: 'equal', comparedSteps: i } };
    }
    const words = `step ${i + 1}, ${step.op}: ${difference}`;
    return { outcome: { verdict: 'different', difference: words, step: i }, at: i };
  }
  return { outcome: { verdict: 'equal' } };
}

/** Compares the results of a case one after another: counters by how much they grew. */
class Judge {
  readonly #c: OracleCase;
  readonly #k: Kernel;
  readonly #isolated: ReadonlySet<number>;
  readonly #numastat: NumastatPair = { was: undefined, real: undefined };
  readonly #vmstat: CountsPair = { ours: undefined, theirs: undefined };
  #isPoolShort = false;

  constructor(c: OracleCase, k: Kernel) {
    this.#c = c;
    this.#k = k;
    this.#isolated = isolatedNodes(c);
  }

  /** The first difference of a step, in words; undefined when there is none. */
  difference(op: Op, model: OpResult, real: OpResult, tolerance: number): string | undefined {
    const { huge, mem, reclaim } = this.#k;
    const atEnd = tolerance > 0 ? nodesAtEnd(this.#k, tolerance) : undefined;
    const spread = { tolerance, isolated: this.#isolated, swaps: reclaim !== null, atEnd };
    this.#isPoolShort ||= huge.isShort;
    const poolTolerance = this.#isPoolShort ? pressureTolerance(this.#c) / huge.nrSmall : 0;
    const counterTolerance = Math.max(COUNTER_TOLERANCE, tolerance);
    const [ours, theirs] = [withoutText(op, model), withoutText(op, real)];
    return (
      compareFile(op, model, real, tolerance * mem.pageBytes) ??
      compareResults(ours, theirs, spread, poolTolerance) ??
      compareNumastat(model, real, this.#numastat, counterTolerance) ??
      compareVmstat(countsOf(model), countsOf(real), this.#vmstat, counterTolerance)
    );
  }
}

/**
 * Shared objects get the inode number they had on the real kernel, since placement depends on it.
 */
function takeInode(runner: Runner, op: Op, step: OracleOp): void {
  const { act } = op;
  if (typeof step.result.ino !== 'number') return;
  if (act.on === 'sys' && act.act.verb === 'mkfile') {
    runner.kernel.inoHints.set(`file:${act.act.file}`, step.result.ino);
  }
  if (act.on !== 'task' || act.act.verb !== 'mmap') return;
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

/** The file of /proc or /sys that an operation reads, or undefined. */
function fileOf({ act }: Op): string | undefined {
  if (act.on !== 'sys' || act.act.verb !== 'read') return undefined;
  const { path } = act.act;
  return isTextFile(path) || CHARGES.test(path) ? path : undefined;
}

/** Bytes that count for a memory cgroup. */
const CHARGES = /\/memory\.(?:swap\.)?current$/;

/** Texts of files are compared by their own rules, and left out of the comparison of results. */
function compareFile(
  op: Op,
  model: OpResult,
  real: OpResult,
  toleranceBytes: number,
): string | undefined {
  const path = fileOf(op);
  if (path === undefined || model.ret !== real.ret) return undefined;
  const [ours, theirs] = [String(model['value'] ?? ''), String(real['value'] ?? '')];
  if (!CHARGES.test(path)) return compareFileText(path, ours, theirs);
  if (Math.abs(Number(ours) - Number(theirs)) <= toleranceBytes) return undefined;
  return `value: model ${ours}, kernel ${theirs}`;
}

const withoutText = (op: Op, result: OpResult): OpResult =>
  fileOf(op) === undefined ? result : { ...result, value: undefined };

const countsOf = (result: OpResult): Record<string, number> | undefined =>
  result['vmstat'] as Record<string, number> | undefined;

const EXACT: Spread = { tolerance: 0, isolated: new Set() };

/** Device nodes, where the kernel was booted with a design that isolates them. */
const isolatedNodes = (c: OracleCase): ReadonlySet<number> =>
  new Set(
    c.design === 'none' || c.design === 'off'
      ? []
      : c.machine.nodes.filter((n) => n.cdm).map((n) => n.id),
  );

/** The first field that differs, in words; undefined when none does. */
export function compareResults(
  model: OpResult,
  real: OpResult,
  spread: Spread = EXACT,
  poolTolerance = 0,
): string | undefined {
  if (model.ret !== real.ret) return `model ${show(model.ret)}, kernel ${show(real.ret)}`;
  for (const field of Object.keys(real)) {
    if (field === 'ret' || IGNORED.has(field) || LOOSE.has(field)) continue;
    if (isSame(field, model[field], real[field])) continue;
    if (field === 'hugetlb' && isNearPool(model[field], real[field], poolTolerance)) continue;
    if (spread.tolerance > 0 && isWithinSpread(field, model[field], real[field], spread)) continue;
    return `${field}: model ${show(model[field])}, kernel ${show(real[field])}`;
  }
  const died = model['died'];
  return died === undefined || real['died'] !== undefined
    ? undefined
    : `died: model ${show(died)}, kernel nothing`;
}

/** Lists of one value a page are compared page by page, everything else as it is. */
function isSame(field: string, ours: unknown, theirs: unknown): boolean {
  const isPerPage = field === 'where' || field === 'status';
  if (isPerPage && isRunList(ours) && isRunList(theirs)) return sameRunLists(ours, theirs);
  if (field === 'nodeStates') return sameStates(ours, theirs);
  return canonical(ours) === canonical(theirs);
}

/** A kernel that does not know a node state shows none; all that it shows has to be the same. */
function sameStates(ours: unknown, theirs: unknown): boolean {
  const shown = Object.keys(theirs as object);
  const known = ours as Readonly<Record<string, unknown>>;
  return canonical(Object.fromEntries(shown.map((s) => [s, known[s]]))) === canonical(theirs);
}

function canonical(value: unknown): string {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  return JSON.stringify(value);
}

/** Families in which nodes run full: where a node spills is not exact on a real kernel either. */
const PRESSURE_FAMILIES = new Set(['exhaust', 'oom', 'rnd-pressure', 'memcg']);

/**
 * Where groups run full: pages that CPUs have charged ahead, 63 each, and those of the kernel that
 * count for a group (SPEC MCG6).
 */
const GROUP_TOLERANCE = 512;

/**
 * Step from which on memory runs out: at once in those, else where the real kernel first kills or
 * tasks have touched more pages than the smallest node had free.
 */
function firstStepUnderPressure(c: OracleCase): number {
  if (PRESSURE_FAMILIES.has(c.family)) return 0;
  const free = new Map<number, number>();
  for (const z of c.zonesAtStart) free.set(z.node, (free.get(z.node) ?? 0) + z.free + z.pcp);
  const smallest = Math.min(...free.values());
  let touched = 0;
  const at = c.ops.findIndex(({ result }) => {
    if (typeof result.touched === 'number') touched += result.touched;
    return result.oom !== undefined || touched > smallest;
  });
  return at < 0 ? c.ops.length : at;
}

/**
 * Pages by which counts may differ then: 2 % of those of the largest node, at least 512; 5 % where
 * pages leave memory, since the daemon that drives them out runs beside the task and what swap
 * itself takes of memory is not modelled.
 */
function pressureTolerance(c: OracleCase, swaps = false): number {
  if (c.family === 'memcg') return GROUP_TOLERANCE;
  const managed = new Map<number, number>();
  for (const z of c.zonesAtStart) managed.set(z.node, (managed.get(z.node) ?? 0) + z.managed);
  return Math.max(512, Math.ceil(Math.max(...managed.values()) * (swaps ? 0.05 : 0.02)));
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
