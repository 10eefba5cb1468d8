// Runs one scenario on one machine under several designs and gathers what they differ in.
// Holds    CMP1 every design starts from the same boot and sees the same operations in the same
//          order. CMP2 pages are counted where they were placed, so a page that moves later counts
//          in both.
import { NotModelled, UserError } from '../base/assert.ts';
import type { Design } from '../hooks/design.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { anyFrameOf } from '../kernel/page_table.ts';
import { deviceNodes, type Machine, nodeSizeBytes } from '../machine/machine.ts';
import { DecisionLog } from '../mm/decision_log.ts';
import type { Scenario } from '../scenario/ops.ts';
import { printAct } from '../scenario/print.ts';
import { type Claim, judgeClaim } from './claim.ts';
import type {
  ComparedDeath,
  ComparedStep,
  Comparison,
  DesignOutcome,
  MachineSummary,
  PageExample,
  Refusal,
  RegionSnapshot,
} from './comparison.ts';
import { EstimateSum, estimateStep } from './cost/estimate.ts';
import { type Figure, type Figures, figuresOf } from './cost/figures.ts';
import { TrafficMeter } from './cost/traffic.ts';
import { countDecisions } from './count_decisions.ts';
import { isOfResult } from './deaths.ts';
import { lastOf, stoppedAt } from './page_place.ts';
import { Session, type Step } from './session.ts';
import { zonelistRows } from './zonelist_text.ts';

export interface CompareInput {
  readonly scenario: Scenario;
  readonly machine: Machine;
  /** At least one; each once. */
  readonly designs: readonly Design[];
  /** What the scenario says of a claim; its decisions are traced. */
  readonly claim?: Claim | undefined;
  /** Costs that take the place of those of the machine. */
  readonly costs?: readonly Figure[] | undefined;
  /** Told after each design. */
  readonly onProgress?: ((done: number, total: number, design: Design) => void) | undefined;
  /** Told after each step of a design. */
  readonly onStep?: ((done: number, total: number, design: Design) => void) | undefined;
}

/** Results of operations on tasks that are gone, or never were. */
const AFTER_DEATH = new Set(['DEAD', 'ENOTASK']);
/** A log larger than this is counted and dropped. */
const MAX_LOG_BYTES = 4 * 1024 ** 2;

/**
 * Runs every design.
 * @throws UserError for a scenario that does not fit the machine, no design, or one named twice.
 */
export function compareDesigns(input: CompareInput): Comparison {
  const { scenario, machine, designs } = input;
  if (designs.length === 0) throw new UserError('no design to compare');
  const twice = designs.find((d, i) => designs.indexOf(d) !== i);
  if (twice !== undefined) throw new UserError(`design "${twice.id}" is named twice`);
  const figures = figuresOf(machine).with(input.costs ?? []);
  const outcomes = designs.map((design, i) => {
    const outcome = new Run(input, design, figures).outcome();
    input.onProgress?.(i + 1, designs.length, design);
    return outcome;
  });
  const { name, title, source } = scenario;
  return {
    scenario: { name, title, source },
    parameters: scenario.parameters,
    machine: summarizeMachine(machine),
    outcomes,
    ...(input.claim === undefined
      ? {}
      : { claim: judgeClaim(input.claim, scenario, machine, designs) }),
  };
}

/** What a comparison tells of its machine. */
export function summarizeMachine(machine: Machine): MachineSummary {
  return {
    name: machine.name,
    note: machine.note,
    arch: machine.arch,
    pageBytes: machine.pageBytes,
    nodes: machine.nodes.map((node) => ({
      id: node.id,
      cpus: node.cpus.map(Number),
      sizeBytes: nodeSizeBytes(node),
      device: node.device,
      memoryZone: node.memoryZone,
    })),
    distances: machine.distances,
  };
}

/** One design's run, as it goes. */
class Run {
  readonly #design: Design;
  readonly #session: Session;
  readonly #figures: Figures;
  readonly #meter: TrafficMeter;
  readonly #time = new EstimateSum();
  readonly #devices: ReadonlySet<number>;
  readonly #steps: ComparedStep[] = [];
  readonly #refusals: Refusal[] = [];
  readonly #deaths: ComparedDeath[] = [];
  readonly #failed: { step: number; text: string }[] = [];
  readonly #examples: PageExample[] = [];
  readonly #regions = new Map<string, RegionSnapshot>();
  #snapshot: readonly RegionSnapshot[] = [];
  #nrAfterDeath = 0;
  #nrRequests = 0;
  #nrZones = 0;

  constructor(input: CompareInput, design: Design, figures: Figures) {
    const { scenario, machine } = input;
    this.#design = design;
    const onStep = (done: number, total: number) => input.onStep?.(done, total, design);
    this.#session = new Session({ machine, design, scenario, logsDecisions: true, onStep });
    this.#figures = figures;
    this.#meter = new TrafficMeter(this.#session);
    this.#devices = new Set(deviceNodes(machine).map((node) => Number(node.id)));
  }

  outcome(): DesignOutcome {
    const notModelled = this.#runAll();
    const { kernel } = this.#session;
    const onDevice = kernel.placements.rows().filter((row) => this.#devices.has(row.nid));
    const moves = kernel.moves.rows();
    const sum = (rows: readonly { nrPages: number }[]): number =>
      rows.reduce((n, row) => n + row.nrPages, 0);
    const isOn = (nid: number): boolean => this.#devices.has(nid);
    const { id, title, summary, promise } = this.#design;
    const { estimate } = this.#time;
    return {
      design: id,
      title,
      summary,
      promise: promise.text,
      onDevice,
      nrAsked: sum(onDevice.filter((row) => row.isAsked)),
      nrNotAsked: sum(onDevice.filter((row) => !row.isAsked)),
      nrOnDeviceAtEnd: [...this.#devices].reduce((n, nid) => n + pagesInUse(kernel, nid), 0),
      refusals: this.#refusals,
      deaths: this.#deaths,
      nrAfterDeath: this.#nrAfterDeath,
      examples: this.#examples,
      nrSpilled: [...this.#devices].reduce((n, nid) => n + kernel.placements.spilledFrom(nid), 0),
      moves,
      nrMovedToDevice: sum(moves.filter((m) => isOn(m.to) && !isOn(m.from))),
      nrMovedFromDevice: sum(moves.filter((m) => isOn(m.from) && !isOn(m.to))),
      ...this.#windows(),
      nrRequests: this.#nrRequests,
      nrZonesLookedAt: this.#nrZones,
      ...(estimate.timeNs === undefined ? {} : { estimatedTimeNs: estimate.timeNs }),
      estimate,
      failedExpectations: this.#failed,
      ...(notModelled === undefined ? {} : { notModelled }),
      steps: this.#steps,
      zonelists: zonelistRows(kernel),
      stateHash: this.#session.hash(),
    };
  }

  /** Where pages came to a device before an agent had answered. */
  #windows(): Pick<DesignOutcome, 'windows'> {
    const windows = this.#session.runner.agent?.windows.filter((w) => w.nrPages > 0) ?? [];
    return windows.length === 0 ? {} : { windows };
  }

  /** Runs to the end, or to what is not modelled, which it returns in words. */
  #runAll(): string | undefined {
    try {
      this.#countLog(0);
      for (let step = this.#session.step(); step !== undefined; step = this.#session.step()) {
        this.#note(step);
        this.#time.add(estimateStep(this.#meter.after(step), this.#figures));
        this.#countLog(MAX_LOG_BYTES);
      }
      this.#countLog(0);
      return undefined;
    } catch (error) {
      if (error instanceof NotModelled) {
        this.#countLog(0);
        return error.format();
      }
      throw error;
    }
  }

  /** Counts what was decided, and drops the log, when it is larger than this. */
  #countLog(minBytes: number): void {
    const { allocator } = this.#session.kernel;
    const { log } = allocator;
    if (log === null || log.sizeBytes <= minBytes) return;
    const counted = countDecisions(log);
    this.#nrRequests += counted.nrRequests;
    this.#nrZones += counted.nrZones;
    allocator.log = new DecisionLog();
  }

  #note(step: Step): void {
    const text = printAct(step.op.act);
    const { ret } = step.result;
    for (const row of step.changed) {
      const byNode = Object.fromEntries([...row.byNode].sort(([a], [b]) => a - b));
      const snapshot = { task: row.task, region: row.region, byNode };
      this.#regions.set(`${row.task} ${row.region}`, snapshot);
      this.#findExample(step, snapshot);
    }
    if (step.changed.length > 0) {
      this.#snapshot = [...this.#regions.values()].filter((r) => Object.keys(r.byNode).length > 0);
    }
    this.#steps.push({ index: step.index, text, ret, regions: this.#snapshot });
    for (const { expected, found } of step.failed) {
      const words = `${text}: expected ${expected}, found ${found}`;
      this.#failed.push({ step: step.index, text: words });
    }
    this.#noteDeaths(step, text);
    if (typeof ret !== 'string') return;
    const isAfterPanic = ret === 'PANIC' && this.#refusals.some((r) => r.ret === 'PANIC');
    if (AFTER_DEATH.has(ret) || isAfterPanic) this.#nrAfterDeath++;
    else this.#refusals.push({ step: step.index, text, ret, page: stoppedAt(this.#session, step) });
  }

  #noteDeaths(step: Step, text: string): void {
    const line = step.op.place?.line;
    const at = { step: step.index, text, ...(line === undefined ? {} : { line }) };
    for (const death of step.deaths) {
      if (isOfResult(death, step.op.act)) continue;
      this.#deaths.push({ ...at, ...death, page: lastOf(this.#session, step) });
    }
  }

  /** The first page of a region that is on a device node for the first time. */
  #findExample(step: Step, row: RegionSnapshot): void {
    const { task, region } = row;
    if (this.#examples.some((e) => e.task === task && e.region === region)) return;
    if (!Object.keys(row.byNode).some((nid) => this.#devices.has(Number(nid)))) return;
    const { kernel, runner } = this.#session;
    const owner = runner.tasks.get(task);
    const table = runner.regionsOf(task);
    const { startVpn, nrPages } = table.range({ region });
    const look = (vpn: number, pte: number): boolean => {
      const f = anyFrameOf(pte);
      if (f === -1) return true;
      const nid = Number(kernel.allocator.nidOf(f));
      if (!this.#devices.has(nid)) return true;
      const index = (vpn - table.startOf(region)) / table.unitOf(region);
      this.#examples.push({ task, region, index, step: step.index, nid });
      return false;
    };
    owner?.mm.pageTable.walk(startVpn, startVpn + nrPages, look);
    for (const [vpn, pte] of owner?.mm.pageTable.hugeIn(startVpn, startVpn + nrPages) ?? []) {
      if (!look(vpn, pte)) return;
    }
  }
}

/** Pages of a node that are neither free nor on a per-CPU list. */
export function pagesInUse(k: Kernel, nid: number): number {
  const { zones, pcp } = k.mem;
  return zones
    .ofNode(nid)
    .reduce(
      (n, z) => n + (zones.managed[z] as number) - (zones.free[z] as number) - pcp.countOf(z),
      0,
    );
}
