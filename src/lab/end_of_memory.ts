// Where memory ends, what a real kernel does hangs on pages that no record shows: whether it still
// has one decides who dies, and when. Says which results of a real kernel are of that sort.
// Notes    Cases that were run again on the same kernel and machine, with the same free pages at
//          the start to within 30, came out otherwise in these very ways (SPEC SPR5 to SPR8 say how
//          often). Every rule asks the model whether memory does end at that step.
// Holds    SPR5 a death counts the pages that one page of the kind that ran out serves. SPR6 the
//          controller's own requests may kill at the end only. SPR7 a fresh slab page may lack
//          only where the task's list has none. SPR10 pages that came while a killed task gave
//          back its own are anywhere, and a strict mbind finds what is where.
import type { NodeId } from '../base/ids.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { isInterleaving } from '../kernel/mempolicy.ts';
import type { Kill } from '../kernel/oom.ts';
import { policyNode, taskPolicy } from '../kernel/policy_alloc.ts';
import type { Task } from '../kernel/task.ts';
import { GFP_KERNEL, MAX_NR_ZONES, ZONE_MOVABLE, ZONE_NORMAL } from '../mm/gfp.ts';
import { nodeZonelist } from '../mm/zonelist.ts';
import type { Op, OpResult } from '../scenario/ops.ts';
import { sameRunLists } from '../scenario/run_list.ts';
import { isRunList } from './spread.ts';

/** Pages that a page table of the lowest level maps. */
const PAGES_OF_TABLE = 512;

/** A step as both sides went through it. */
export interface EndStep {
  readonly model: OpResult;
  readonly real: OpResult;
  /** The model after the step, and whom it killed in it. */
  readonly kernel: Kernel;
  readonly kills: readonly Kill[];
  /** The task that the operation is of. */
  readonly task: Task | undefined;
  /** Pages of a zone within which memory is at its end. */
  readonly tolerance: number;
}

/** A kill as the record tells it. */
interface RecordedKill {
  readonly task?: string;
  readonly by?: string;
  readonly gfp?: string;
}

const killsOf = (real: OpResult): readonly RecordedKill[] =>
  Array.isArray(real['oom']) ? (real['oom'] as RecordedKill[]) : [];

/** Did a record's kill come of a page table that a task asked for? */
const isForTable = ({ gfp, by }: RecordedKill): boolean =>
  by !== CONTROLLER && gfp === 'GFP_KERNEL_ACCOUNT|__GFP_ZERO';

/** The name of the program that runs operations and writes down what they do. */
const CONTROLLER = 'probe';

/**
 * Both sides were killed in the same touch for a page table: counts differ by no more than page
 * tables of the tolerance map, and nothing else does.
 */
export function diedForTables({ model, real, kills, tolerance }: EndStep): boolean {
  if (model.ret !== 'KILLED' || real.ret !== 'KILLED') return false;
  if (!killsOf(real).some(isForTable) || !kills.some(({ isKernels }) => isKernels)) return false;
  return nrBetween(model, real) <= tolerance * PAGES_OF_TABLE;
}

/**
 * What follows cannot be compared: one side was killed so late in a touch that the other just got
 * through it, or the controller's own request killed a task, or a call found no fresh slab page.
 */
export function isChance(step: EndStep): boolean {
  return isDeathAtTheEnd(step) || isControllersKill(step) || lacksSlabPage(step);
}

/** One side was killed late in a touch, and the other got through it without killing anybody. */
function isDeathAtTheEnd({ model, real, kernel, kills, tolerance }: EndStep): boolean {
  const isOneKilled = (model.ret === 'KILLED') !== (real.ret === 'KILLED');
  const survivor = model.ret === 'KILLED' ? real : model;
  if (!isOneKilled || survivor['died'] !== undefined) return false;
  const nrPages = nrBetween(model, real);
  if (nrPages <= tolerance) return true;
  const isTable =
    survivor === real ? kills.some((k) => k.isKernels) : killsOf(real).some(isForTable);
  if (!isTable || nrPages > tolerance * PAGES_OF_TABLE) return false;
  return survivor === real || isKernelMemoryAtEnd(kernel, tolerance);
}

/** Regions whose pages lie otherwise on both sides, and no side is wrong. */
export class UnsureRegions {
  /** Touched while a killed task gave its memory back (the model gives all back at once). */
  readonly #touchedInKill = new Set<string>();
  /** Shown to lie otherwise, within the spread. */
  readonly #spread = new Set<string>();

  /** Notes a step that came out alike, within the spread. */
  note(op: Op, { model, real }: Pick<EndStep, 'model' | 'real'>): void {
    const region = regionOf(op);
    if (region === undefined || model.ret !== 0 || real.ret !== 0) return;
    const bothKilled = model['died'] !== undefined && real['died'] !== undefined;
    if (region.verb === 'touch' && bothKilled) this.#touchedInKill.add(region.key);
    const [ours, theirs] = [model['where'], real['where']];
    if (!isRunList(ours) || !isRunList(theirs)) return;
    if (!sameRunLists(ours, theirs)) this.#spread.add(region.key);
  }

  /** Does a difference come of nothing but where pages of such a region lie? */
  explains(op: Op, { model, real }: Pick<EndStep, 'model' | 'real'>): boolean {
    const region = regionOf(op);
    if (region === undefined) return false;
    if (region.verb === 'where') return this.#touchedInKill.has(region.key);
    const isStrict = region.verb === 'mbind' && this.#spread.has(region.key);
    return isStrict && [model.ret, real.ret].sort().join() === '0,EIO';
  }
}

function regionOf({ act }: Op): { verb: string; key: string } | undefined {
  if (act.on !== 'task' || !('region' in act.act)) return undefined;
  return { verb: act.act.verb, key: `${act.task} ${String(act.act.region)}` };
}

/** Pages by which the progress of two touches differs; infinite for other operations. */
function nrBetween(model: OpResult, real: OpResult): number {
  if (typeof model.touched !== 'number' || typeof real.touched !== 'number') {
    return Number.POSITIVE_INFINITY;
  }
  return Math.abs(model.touched - real.touched);
}

/** A task was killed for what the controller needed to look or to write down. */
function isControllersKill({ model, real, kernel, tolerance }: EndStep): boolean {
  if (model['died'] !== undefined) return false;
  if (!killsOf(real).some(({ by }) => by === CONTROLLER)) return false;
  return isKernelMemoryAtEnd(kernel, tolerance);
}

/** Nodes that a request for users' pages is about to pass over, within a tolerance of pages. */
export function nodesAtEnd(k: Kernel, tolerance: number): ReadonlySet<number> {
  const { zones, pcp } = k.mem;
  const left = new Map<number, number>();
  for (let z = 0; z < zones.nr; z++) {
    if ((zones.managed[z] as number) === 0) continue;
    const nid = zones.nid[z] as number;
    const reserve = zones.lowmemReserve[z * MAX_NR_ZONES + ZONE_MOVABLE] as number;
    const free = (zones.free[z] as number) + pcp.countOf(z);
    const above = Math.max(0, free - (zones.wmarkLow[z] as number) - reserve);
    left.set(nid, (left.get(nid) ?? 0) + above);
  }
  return new Set([...left].filter(([, n]) => n <= tolerance).map(([nid]) => nid));
}

/** All zones that pages of the kernel itself come from are down to their min marks. */
function isKernelMemoryAtEnd(k: Kernel, tolerance: number): boolean {
  const { zones, pcp } = k.mem;
  const system = k.states.normalMemory.andNot(k.states.coherentDevice);
  let nrLeft = 0;
  for (let z = 0; z < zones.nr; z++) {
    if ((zones.type[z] as number) > ZONE_NORMAL || !system.has(zones.nid[z] as number)) continue;
    const reserve = zones.lowmemReserve[z * MAX_NR_ZONES + ZONE_NORMAL] as number;
    const free = (zones.free[z] as number) + pcp.countOf(z);
    nrLeft += Math.max(0, free - (zones.wmarkMin[z] as number) - reserve);
  }
  return nrLeft <= tolerance;
}

/**
 * A call failed with ENOMEM that took no page in the model, for a task whose list holds no kernel
 * memory: whether slab caches have room left is of the boot (DEV-6).
 */
function lacksSlabPage({ model, real, kernel, task }: EndStep): boolean {
  if (task === undefined || real.ret !== 'ENOMEM' || model.ret === 'ENOMEM') return false;
  const { policy } = taskPolicy(task);
  const isTurning = policy !== null && isInterleaving(policy);
  const start = policyNode(kernel, policy, kernel.localNode(task));
  const { zones, lists } = kernel.mem;
  return [...(isTurning ? policy.nodes : [start])].some((nid) => {
    const list = nodeZonelist(lists, nid as NodeId, GFP_KERNEL).zones;
    return !Array.from(list).some((z) => (zones.type[z] as number) <= ZONE_NORMAL);
  });
}
