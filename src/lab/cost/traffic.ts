// What a run moved, as bytes: counted step by step from what the model counts anyway, and from one
// look at the range that a step worked on. Nothing is counted page by page while the model works.
// Models   COST3 a CPU that touches pages, or a device that computes on them, works through all of
//          their bytes: it reads them, and unless it only reads, it writes as many. COST5 what a
//          device's cache answers is no traffic.
// Omits    caches of CPUs, what the code of a program reads, traffic of the page allocator's own
//          tables.
import type { Frame } from '../../base/ids.ts';
import { streamFaults } from '../../drivers/block_faults.ts';
import { LINE_BYTES } from '../../drivers/device_cache.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { anyFrameOf } from '../../kernel/page_table.ts';
import type { Purpose } from '../../kernel/placement_count.ts';
import { EVENT } from '../../mm/vmstat_items.ts';
import type { TaskAct } from '../../scenario/ops.ts';
import type { Session, Step } from '../session.ts';
import { deviceNode, type EventFigure } from './figures.ts';

/** Bytes and events of a step, or of several steps that work at once. */
export class Traffic {
  /** Bytes that a node's memory gave or took, by node. */
  readonly memory = new Map<number, number>();
  /** Bytes that went from one node to another, by `from.to`. */
  readonly links = new Map<string, number>();
  readonly events = new Map<EventFigure, number>();

  /** Somebody at node `at` reads memory of `nid`. */
  read(nid: number, at: number, bytes: number): void {
    add(this.memory, nid, bytes);
    if (nid !== at) add(this.links, `${nid}.${at}`, bytes);
  }

  /** Somebody at node `at` writes memory of `nid`. */
  write(nid: number, at: number, bytes: number): void {
    add(this.memory, nid, bytes);
    if (nid !== at) add(this.links, `${at}.${nid}`, bytes);
  }

  /** Bytes are copied from memory to memory. */
  copy(from: number, to: number, bytes: number): void {
    this.read(from, to, bytes);
    add(this.memory, to, bytes);
  }

  count(event: EventFigure, n: number): void {
    add(this.events, event, n);
  }

  /** Adds what works at the same time. */
  plus(other: Traffic): this {
    for (const [nid, bytes] of other.memory) add(this.memory, nid, bytes);
    for (const [link, bytes] of other.links) add(this.links, link, bytes);
    for (const [event, n] of other.events) add(this.events, event, n);
    return this;
  }
}

function add<K>(map: Map<K, number>, key: K, n: number): void {
  if (n !== 0) map.set(key, (map.get(key) ?? 0) + n);
}

/** Pages that somebody fills with zeros or copies into, when they are given. */
const FILLED: ReadonlySet<Purpose> = new Set([
  'page fault',
  'copy on write',
  'shared page',
  'page table',
  'kernel page',
  'huge page pool',
]);

type Counts = Map<string, number>;

/** Watches a session, and gives the traffic of each step after it has run. */
export class TrafficMeter {
  readonly #session: Session;
  #placed: Counts;
  #moved: Counts;
  #visits: Counts;
  #events: Counts;

  constructor(session: Session) {
    this.#session = session;
    this.#placed = this.#placements();
    this.#moved = this.#moves();
    this.#visits = this.#nrVisits();
    this.#events = eventsOf(session.kernel);
  }

  /** The traffic of the step that has just run. */
  after(step: Step): Traffic {
    const traffic = new Traffic();
    const { act } = step.op;
    const own = act.on === 'task' ? act.act : undefined;
    const task = act.on === 'task' ? this.#session.runner.tasks.get(act.task) : undefined;
    const device = own !== undefined && 'device' in own ? own.device : undefined;
    const at = this.#placeOf(device) ?? this.#cpuNode(Number(task?.cpu ?? -1));
    const placed = this.#filled(traffic, at);
    const moved = this.#movedPages(traffic);
    const visits = this.#newVisits();
    const isShared = own?.verb === 'device_compute' && own.words.includes('shared');
    if (own !== undefined && task !== undefined) {
      if (own.verb === 'device_compute') {
        this.#compute(traffic, own, at, visits);
        this.#countDeviceFaults(traffic, own, placed + moved.toDevice);
        // Each page that is taken for atomic accesses is a fault of its own.
        traffic.count('fault.device', Number(step.result.exclusive ?? 0));
        if (isShared) this.#cpuTurns(traffic, own, step, this.#cpuNode(Number(task.cpu)));
      } else if (device === undefined) this.#cpu(traffic, own, step, at);
    }
    // What a CPU has back for its turn it faults for; what made room for others it does not.
    const isBack = device === undefined || isShared;
    const nrBack = isBack ? moved.fromDevice - Number(step.result.evicted ?? 0) : 0;
    this.#countEvents(traffic, Math.max(0, nrBack));
    return traffic;
  }

  #placeOf(device: string | undefined): number | undefined {
    if (device === undefined || device === 'cpu') return undefined;
    return deviceNode(this.#session.input.machine, device);
  }

  #cpuNode(cpu: number): number {
    const { nodes } = this.#session.input.machine;
    const own = nodes.find((n) => n.cpus.map(Number).includes(cpu));
    return Number((own ?? nodes.find((n) => n.cpus.length > 0) ?? nodes[0])?.id);
  }

  /** Pages that were given in the step; returns those of users. */
  #filled(traffic: Traffic, at: number): number {
    const { pageBytes } = this.#session.kernel.mem;
    const now = this.#placements();
    let nrOfUsers = 0;
    for (const [key, n] of difference(now, this.#placed)) {
      const [purpose, node] = key.split('/') as [Purpose, string];
      const nid = Number(node);
      if (FILLED.has(purpose)) traffic.write(nid, at, n * pageBytes);
      if (purpose === 'page fault') nrOfUsers += n;
      if (purpose === 'copy on write') add(traffic.memory, nid, n * pageBytes);
      // From a disk or from swap: no node gives it.
      if (purpose === 'page cache' || purpose === 'swap in') {
        add(traffic.memory, nid, n * pageBytes);
      }
      if (purpose === 'page cache') traffic.count('file.page', n);
    }
    this.#placed = now;
    return nrOfUsers;
  }

  #movedPages(traffic: Traffic): { toDevice: number; fromDevice: number } {
    const { pageBytes } = this.#session.kernel.mem;
    const now = this.#moves();
    let toDevice = 0;
    let fromDevice = 0;
    for (const [key, n] of difference(now, this.#moved)) {
      const [cause, from, to] = key.split('/') as [string, string, string];
      traffic.copy(Number(from), Number(to), n * pageBytes);
      traffic.count('move.page', n);
      if (cause === 'device') toDevice += n;
      if (cause === 'device back') fromDevice += n;
    }
    this.#moved = now;
    return { toDevice, fromDevice };
  }

  /** Visits of devices in the step, by node; those of a prefetch move pages and touch none. */
  #newVisits(): Counts {
    const now = this.#nrVisits();
    const visits = difference(now, this.#visits);
    this.#visits = now;
    return visits;
  }

  /** The turns of a CPU on a range that it shares with a device, where the pages are after them. */
  #cpuTurns(
    traffic: Traffic,
    act: Extract<TaskAct, { verb: 'device_compute' }>,
    step: Step,
    at: number,
  ): void {
    const name = step.op.act.on === 'task' ? step.op.act.task : '';
    const nrTurns = act.passes ?? 1;
    for (const [nid, bytes] of this.#bytesOfRange(name, act)) {
      traffic.read(nid, at, nrTurns * bytes);
      if (!act.words.includes('reading')) traffic.write(nid, at, nrTurns * bytes);
    }
  }

  /** What a device read and wrote. */
  #compute(
    traffic: Traffic,
    act: Extract<TaskAct, { verb: 'device_compute' }>,
    at: number,
    visits: Counts,
  ): void {
    const { pageBytes } = this.#session.kernel.mem;
    const isWhole = !act.words.includes('random') && !act.words.includes('hot');
    const nrLines = pageBytes / LINE_BYTES;
    const asked = act.accesses ?? (isWhole ? nrLines : 1);
    const { cache } = this.#session.runner.devices.get(act.device) ?? {};
    const accesses = cache === undefined ? asked : Math.min(asked, nrLines);
    for (const [node, n] of visits) {
      const bytes = n * accesses * LINE_BYTES;
      traffic.read(Number(node), at, bytes);
      if (!act.words.includes('reading')) traffic.write(Number(node), at, bytes);
    }
  }

  /** Faults of a device that brought or made pages; counters bring blocks without any. */
  #countDeviceFaults(
    traffic: Traffic,
    act: Extract<TaskAct, { verb: 'device_compute' }>,
    nrPages: number,
  ): void {
    if (this.#session.runner.devices.get(act.device)?.driver.policy === 'counters') return;
    const { pageBytes } = this.#session.kernel.mem;
    const isStream = !act.words.some((w) => w === 'strided' || w === 'random' || w === 'hot');
    traffic.count('fault.device', isStream ? streamFaults(nrPages, pageBytes) : nrPages);
  }

  /** What a CPU did to a range or a file. */
  #cpu(traffic: Traffic, act: TaskAct, step: Step, at: number): void {
    if (act.verb === 'readfile' || act.verb === 'writefile') {
      const { pageBytes } = this.#session.kernel.mem;
      for (const [nid, n] of this.#filePages(act)) {
        if (act.verb === 'readfile') traffic.read(nid, at, n * pageBytes);
        else traffic.write(nid, at, n * pageBytes);
      }
      return;
    }
    if (act.verb !== 'touch' && act.verb !== 'read' && act.verb !== 'fill') return;
    const name = step.op.act.on === 'task' ? step.op.act.task : '';
    for (const [nid, bytes] of this.#bytesOfRange(name, act)) {
      if (act.verb !== 'fill') traffic.read(nid, at, bytes);
      if (act.verb !== 'read') traffic.write(nid, at, bytes);
    }
  }

  /** Bytes of the pages of a range that are mapped now, by node. */
  #bytesOfRange(
    name: string,
    act: { readonly region: string; offset?: number | undefined; nrPages?: number | undefined },
  ): Map<number, number> {
    const { kernel, runner } = this.#session;
    const byNode = new Map<number, number>();
    const task = runner.tasks.get(name);
    if (task?.isAlive !== true) return byNode;
    const { startVpn, nrPages } = runner.regionsOf(name).range(act);
    const { pageBytes } = kernel.mem;
    const { pageTable } = task.mm;
    pageTable.walk(startVpn, startVpn + nrPages, (_vpn, pte) => {
      const f = anyFrameOf(pte);
      if (f !== -1) add(byNode, kernel.allocator.nidOf(f), pageBytes);
    });
    for (const [, pte] of pageTable.hugeIn(startVpn, startVpn + nrPages)) {
      add(
        byNode,
        kernel.allocator.nidOf(anyFrameOf(pte) as Frame),
        pageBytes * kernel.poolOf(anyFrameOf(pte) as Frame).nrSmall,
      );
    }
    return byNode;
  }

  #filePages(act: Extract<TaskAct, { verb: 'readfile' | 'writefile' }>): Map<number, number> {
    const { kernel } = this.#session;
    const byNode = new Map<number, number>();
    const inode = kernel.files.get(act.file);
    if (inode === undefined) return byNode;
    const start = act.offset ?? 0;
    const end = Math.min(inode.nrPages, start + (act.nrPages ?? inode.nrPages));
    for (let i = start; i < end; i++) {
      const f = inode.page(i);
      if (f !== undefined) add(byNode, kernel.allocator.nidOf(f), 1);
    }
    return byNode;
  }

  /** Faults of CPUs, and pages to and from swap and disks. */
  #countEvents(traffic: Traffic, nrBack: number): void {
    const now = eventsOf(this.#session.kernel);
    const grown = difference(now, this.#events);
    this.#events = now;
    const nrFaults = Math.max(grown.get('pgfault') ?? 0, nrBack);
    if (!traffic.events.has('fault.device')) traffic.count('fault.cpu', nrFaults);
    traffic.count('swap.page', (grown.get('pswpin') ?? 0) + (grown.get('pswpout') ?? 0));
  }

  #placements(): Counts {
    const counts: Counts = new Map();
    for (const row of this.#session.kernel.placements.rows()) {
      add(counts, `${row.purpose}/${row.nid}`, row.nrPages);
    }
    return counts;
  }

  #moves(): Counts {
    const counts: Counts = new Map();
    for (const row of this.#session.kernel.moves.rows()) {
      add(counts, `${row.cause}/${row.from}/${row.to}`, row.nrPages);
    }
    return counts;
  }

  #nrVisits(): Counts {
    const counts: Counts = new Map();
    for (const { visits } of this.#session.runner.devices.values()) {
      for (const [nid, n] of visits.entries()) add(counts, `${nid}`, n);
    }
    return counts;
  }
}

const EVENTS = ['pgfault', 'pswpin', 'pswpout'] as const;

function eventsOf(k: Kernel): Counts {
  return new Map(EVENTS.map((name) => [name, k.mem.stat.event(EVENT[name])]));
}

/** What has grown since. */
function difference(now: Counts, before: Counts): Counts {
  const grown: Counts = new Map();
  for (const [key, n] of now) add(grown, key, n - (before.get(key) ?? 0));
  return grown;
}
