// One scenario on one machine under one design, step by step: results, expectations, and where
// every region's pages are after each step. Everything a person asks for is built on this.
// Holds    SES1 running a session twice gives the same steps and the same hash.
import { UserError } from '../base/assert.ts';
import { errnoName } from '../base/errno.ts';
import { findDesign } from '../designs/index.ts';
import type { Design } from '../hooks/design.ts';
import type { Kernel, KernelOptions } from '../kernel/kernel.ts';
import { pageNodes } from '../kernel/move_pages.ts';
import { stateHash } from '../kernel/state_hash.ts';
import type { Machine } from '../machine/machine.ts';
import { DecisionLog } from '../mm/decision_log.ts';
import type { Expectation, Op, OpResult, Scenario } from '../scenario/ops.ts';
import { countRunList, type RunList } from '../scenario/run_list.ts';
import { Runner } from '../scenario/runner.ts';
import { type Death, killWords } from './deaths.ts';
import { RegionCounts } from './region_counts.ts';

/** Where the pages of one task's region are. */
export interface RegionPlacement {
  readonly task: string;
  readonly region: string;
  /** Pages mapped, zero pages and holes not among them. */
  readonly nrPages: number;
  /** Pages by node. */
  readonly byNode: ReadonlyMap<number, number>;
}

export interface FailedExpectation {
  readonly expected: string;
  readonly found: string;
}

export interface Step {
  readonly index: number;
  readonly op: Op;
  readonly result: OpResult;
  readonly failed: readonly FailedExpectation[];
  /** Regions whose placement this step changed, as they are now. */
  readonly changed: readonly RegionPlacement[];
  /** Tasks that died in it, whoever asked. */
  readonly deaths: readonly Death[];
}

export interface SessionInput {
  readonly machine: Machine;
  readonly design: Design;
  readonly scenario: Scenario;
  readonly options?: KernelOptions | undefined;
  /** Inode numbers that shared objects get, by the step that maps them. */
  readonly inodes?: ReadonlyMap<number, number> | undefined;
  /** Told after each step, for whoever waits. */
  readonly onStep?: ((done: number, total: number) => void) | undefined;
  /** Keep the decisions of the page allocator. */
  readonly logsDecisions?: boolean | undefined;
}

export class Session {
  readonly input: SessionInput;
  readonly runner: Runner;
  #next = 0;
  readonly #counts: RegionCounts;
  #placements = new Map<string, RegionPlacement>();

  constructor(input: SessionInput) {
    this.input = input;
    const { ops, expects = [] } = input.scenario;
    for (const design of expects) knownDesign(design, ops[0]);
    for (const op of ops) {
      for (const { design } of op.expect) if (design !== undefined) knownDesign(design, op);
    }
    this.runner = new Runner(input.machine, input.design, input.scenario, input.options ?? {});
    this.#counts = new RegionCounts(this.runner);
    if (input.logsDecisions === true) this.kernel.allocator.log = new DecisionLog();
  }

  get kernel(): Kernel {
    return this.runner.kernel;
  }

  /** Runs the next operation; undefined at the end. */
  step(): Step | undefined {
    const op = this.input.scenario.ops[this.#next];
    if (op === undefined) return undefined;
    const index = this.#next++;
    this.#takeInode(index, op);
    const nrKills = this.kernel.kills.length;
    const wasLost = this.kernel.panic !== undefined;
    const result = this.runner.run(op);
    const { design, scenario } = this.input;
    const isAsked = scenario.expects?.includes(design.id) ?? true;
    const failed = expectationsOf(op, design.id)
      .filter((e) => isAsked || e.design !== undefined)
      .filter((e) => !wasLost || e.design !== undefined)
      .map((e) => checkExpectation(e, e.kind === 'nodes' ? this.#withCounts(op, result) : result))
      .filter((f) => f !== undefined);
    const deaths = this.#deathsOf(result, nrKills);
    this.input.onStep?.(this.#next, this.input.scenario.ops.length);
    return { index, op, result, failed, changed: this.#placementChanges(), deaths };
  }

  /** Who died in a step before which the OOM killer had taken `nrKills` tasks. */
  #deathsOf(result: OpResult, nrKills: number): Death[] {
    const kills = this.kernel.kills.slice(nrKills);
    const died = Array.isArray(result.died) ? result.died.map(String) : [];
    return died.map((task) => {
      const kill = kills.find(({ victim }) => victim === task);
      const end = this.runner.tasks.get(task)?.end ?? 'SIGKILL';
      if (kill !== undefined) {
        const why = kill.lack === 'group' ? { why: killWords(kill) } : {};
        return { task, by: end, askedBy: kill.asking, ...why };
      }
      return { task, by: result.ret === 'LIVELOCK' ? 'LIVELOCK' : end };
    });
  }

  #takeInode(index: number, { act }: Op): void {
    const inode = this.input.inodes?.get(index);
    if (inode === undefined || act.on !== 'task' || act.act.verb !== 'mmap') return;
    this.kernel.inoHints.set(act.act.region, inode);
  }

  /** Runs what is left. */
  finish(): Step[] {
    const steps: Step[] = [];
    for (let step = this.step(); step !== undefined; step = this.step()) steps.push(step);
    return steps;
  }

  /** Hash of the state now. */
  hash(): string {
    return stateHash(this.kernel);
  }

  /** A result with where the pages of the operation's range are, if it does not say so itself. */
  #withCounts(op: Op, result: OpResult): OpResult {
    const { act } = op;
    if (result.counts !== undefined || result.status !== undefined) return result;
    if (act.on !== 'task' || !('region' in act.act) || act.act.region === undefined) return result;
    const task = this.runner.tasks.get(act.task);
    if (task?.isAlive !== true) return result;
    const { startVpn, nrPages } = this.runner.regionsOf(act.task).range({
      region: act.act.region,
      offset: 'offset' in act.act ? act.act.offset : undefined,
      nrPages: 'nrPages' in act.act ? act.act.nrPages : undefined,
    });
    const counts: Record<string, number> = {};
    const unit = this.runner.regionsOf(act.task).unitOf(act.act.region);
    const nodes = pageNodes(this.kernel, task, startVpn, nrPages);
    for (const nid of nodes.filter((_, i) => i % unit === 0)) {
      const key = nid < 0 ? errnoName(nid) : String(nid);
      counts[key] = (counts[key] ?? 0) + 1;
    }
    return { ...result, counts };
  }

  /** Where the pages of all regions of all live tasks are now; of a huge page its small ones. */
  placements(): RegionPlacement[] {
    return this.#counts.rows();
  }

  #placementChanges(): RegionPlacement[] {
    const now = new Map(this.placements().map((p) => [`${p.task} ${p.region}`, p]));
    const changed: RegionPlacement[] = [];
    for (const [key, row] of now) {
      const was = this.#placements.get(key);
      if (was === row) continue;
      const isSame = was !== undefined && sameCounts(was.byNode, row.byNode);
      if (!isSame && (was !== undefined || row.nrPages > 0)) changed.push(row);
    }
    for (const [key, was] of this.#placements) {
      if (!now.has(key) && was.nrPages > 0) changed.push({ ...was, nrPages: 0, byNode: new Map() });
    }
    this.#placements = now;
    return changed;
  }
}

/**
 * What an operation must come to under a design: what names it, and what names no design and is not
 * replaced. An expected `ret` of the design's own replaces all of that, another one its like.
 */
function expectationsOf(op: Op, design: string): readonly Expectation[] {
  const own = op.expect.filter((e) => e.design === design);
  if (own.length === 0) return op.expect.filter((e) => e.design === undefined);
  const isReplaced = (e: Expectation): boolean =>
    own.some((o) => o.kind === 'ret' || (o.kind === e.kind && fieldOf(o) === fieldOf(e)));
  return op.expect.filter((e) => e.design === design || (e.design === undefined && !isReplaced(e)));
}

const fieldOf = (e: Expectation): string => (e.kind === 'field' ? e.field : '');

/** An expectation for a design that does not exist would never be judged. */
function knownDesign(id: string, op: Op | undefined): void {
  try {
    findDesign(id);
  } catch (error) {
    throw error instanceof UserError ? new UserError(error.message, op?.place) : error;
  }
}

function sameCounts(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): boolean {
  return a.size === b.size && [...a].every(([nid, n]) => b.get(nid) === n);
}

/** What of an expectation does not hold, or undefined. */
function checkExpectation(e: Expectation, result: OpResult): FailedExpectation | undefined {
  if (e.kind === 'ret') {
    if (String(e.ret) === String(result.ret)) return undefined;
    return { expected: String(e.ret), found: String(result.ret) };
  }
  if (e.kind === 'field') {
    const value = result[e.field];
    const found = Array.isArray(value) ? value.join(',') : String(value);
    if (found === e.value) return undefined;
    return { expected: `${e.field} ${e.value || 'none'}`, found: `${e.field} ${found || 'none'}` };
  }
  const found = countsOf(result);
  const text = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .filter(([, n]) => n > 0)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([node, n]) => `${node}:${n}`)
      .join(' ') || 'none';
  const isErrnoNamed = (node: string) => Object.hasOwn(e.counts, node) || /^\d+$/.test(node);
  const relevant = Object.fromEntries(Object.entries(found).filter(([node]) => isErrnoNamed(node)));
  if (text(relevant) === text(e.counts)) return undefined;
  return { expected: `nodes ${text(e.counts)}`, found: `nodes ${text(found)}` };
}

/** Pages by node as a result reports them. */
function countsOf(result: OpResult): Record<string, number> {
  if (typeof result.counts === 'object' && result.counts !== null) {
    return result.counts as Record<string, number>;
  }
  return countRunList((result.where ?? result.status ?? []) as RunList);
}
