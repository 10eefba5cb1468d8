// Seeded random workloads: the same seed, size, family and nodes give the same operations.
// Holds    GEN1 every operation prints as a line that reads back equal, and a real kernel can run
//          it. GEN2 a task acts only while it lives and on regions that it has mapped or inherited.
import { UserError } from '../base/assert.ts';
import { Prng } from '../base/prng.ts';
import { type Draft, finish } from './finish.ts';
import { draftsApart } from './generate_apart.ts';
import { fileStep, type MadeFile, mapFileArgs, withoutTurns } from './generate_files.ts';
import { bootOfFamily } from './generate_gigantic.ts';
import {
  adviceFor,
  beginPools,
  breakStep,
  hugeTlbRegion,
  mbindFlags,
  type PageRange,
  plugStep,
  poolStep,
  stretchOf,
} from './generate_memory.ts';
import { type MachineNodes, machineNodes } from './generate_nodes.ts';
import { PolicyDraw } from './generate_policy.ts';
import { beginService, scansOfKsm } from './generate_services.ts';
import { allowHugePages, hugeRegion, type Mapped, stretchOfHuge } from './generate_thp.ts';
import { type Action, type Family, WEIGHTS } from './generate_weights.ts';
import type { Act, MmapKind, Scenario, SysAct, TaskAct } from './ops.ts';

export { type MachineNodes, machineNodes };

export interface GenerateOptions extends MachineNodes {
  /** Any text or number. */
  readonly seed: string | number;
  /** Operations before the closing look at every region and policy, 1..1,000,000. */
  readonly ops: number;
  readonly family: Family;
  /** Name of the machine, for the scenario's header. */
  readonly machine?: string | undefined;
}

const [MOST_TASKS, MOST_REGIONS, MOST_PINS] = [4, 8, 8] as const;
const MOST_OF: Readonly<Partial<Record<Family, number>>> = { thp: 4, balance: 1 };
const CGROUP = '/sys/fs/cgroup';
const CPUSET = '/cpuset';
const FLAGS = ['memory_migrate', 'memory_migrate', 'mem_hardwall', 'mem_exclusive'];

/** How many regions of a hundred are shared memory. */
const SHARING: Partial<Record<Family, number>> = { shared: 75, mixed: 25, pins: 25, faults: 25 };

/** Contents of pages: few, so that many pages are equal, and some equal to a touched one. */
const NUMBERS = [1, 1, 2, 3, 257];

interface LiveTask {
  readonly name: string;
  readonly regions: Map<string, Mapped>;
}

class Workload {
  readonly drafts: Draft[] = [];
  readonly #prng: Prng;
  readonly #draw: PolicyDraw;
  readonly #family: Family;
  readonly #cpus: readonly number[];
  /** Each action as often as its weight says. */
  readonly #actions: readonly Action[];
  readonly #alive: LiveTask[] = [{ name: 'T0', regions: new Map() }];
  readonly #pins: { readonly task: LiveTask; readonly range: PageRange }[] = [];
  #nrTasks = 1;
  readonly #files: MadeFile[] = [];
  readonly #memory: readonly number[];
  readonly #plugs: MachineNodes;
  /** Transparent huge pages are allowed, and regions have room for some. */
  #hasThps: boolean;

  constructor(options: GenerateOptions) {
    this.#prng = new Prng(`generate/${options.family}/${options.seed}`);
    this.#draw = new PolicyDraw(this.#prng, options, options.family);
    this.#family = options.family;
    this.#cpus = Object.values(options.cpusByNode).flat();
    this.#memory = options.memoryNodes;
    this.#plugs = options;
    this.#hasThps = options.family === 'thp';
    if (this.#cpus.length === 0 || options.memoryNodes.length === 0) {
      throw new UserError('generate needs a machine with a CPU and a node with memory');
    }
    this.#actions = Object.entries(WEIGHTS[options.family]).flatMap(([action, weight]) =>
      new Array<Action>(weight).fill(action as Action),
    );
  }

  #task(task: string, act: TaskAct): void {
    this.#push({ on: 'task', task, act });
  }

  #sys(act: SysAct): void {
    this.#push({ on: 'sys', act });
  }

  #push(act: Act): void {
    this.drafts.push({ act, expect: [] });
  }

  /** Where the groups of the family are. */
  get #mount(): string {
    return this.#family === 'cpuset1' ? CPUSET : CGROUP;
  }

  /** What a workload begins with: settings, or groups. */
  begin(): void {
    if (this.#family === 'files') this.#fileStep(this.#alive[0] as LiveTask, 'mkfile');
    for (const act of beginService(this.#prng, this.#family)) this.#sys(act);
    for (const act of beginPools(this.#prng, this.#family, this.#memory)) this.#sys(act);
    if (this.#family === 'faults') {
      this.#fileStep(this.#alive[0] as LiveTask, 'mkfile');
      this.#hasThps = this.#prng.chance(50);
    }
    if (this.#hasThps) for (const act of allowHugePages(this.#prng)) this.#push(act);
    else this.#makeGroups();
  }

  /** Two cgroups with the first task in one of them, where the family is about cpusets. */
  #makeGroups(): void {
    if (!['cpuset1', 'cpuset2', 'mixed'].includes(this.#family)) return;
    for (const group of ['a', 'b']) {
      const path = `${this.#mount}/${group}`;
      this.#sys({ verb: 'mkdir', path });
      if (this.#family === 'cpuset1') {
        const value = [...this.#cpus].sort((x, y) => x - y).join(',');
        this.#sys({ verb: 'write', path: `${path}/cpuset.cpus`, value });
      }
      this.#writeMems(group);
    }
    this.#sys({ verb: 'move', task: 'T0', cgroup: `${this.#mount}/a` });
    this.#task('T0', { verb: 'cpu', cpu: this.#prng.pick(this.#cpus) });
  }

  /** One action, which is one to three operations. */
  step(): void {
    const task = this.#prng.pick(this.#alive);
    const action = this.#prng.pick(this.#actions);
    const region = task.regions.size === 0 ? undefined : this.#prng.pick([...task.regions.keys()]);
    if (!this.#stepOfTask(task, action)) {
      if (region === undefined) this.#mmap(task);
      else this.#stepOnRegion(task, action, region);
    }
  }

  /** Actions that need no region; false for any other. */
  #stepOfTask(task: LiveTask, action: Action): boolean {
    switch (action) {
      case 'mmap':
        this.#mmap(task);
        return true;
      case 'cpu':
        this.#task(task.name, { verb: 'cpu', cpu: this.#prng.pick(this.#cpus) });
        return true;
      case 'set_mempolicy':
        this.#task(task.name, {
          verb: 'set_mempolicy',
          ...(this.#family === 'files' ? withoutTurns(this.#draw.policy()) : this.#draw.policy()),
        });
        if (this.#prng.chance(70)) this.#task(task.name, { verb: 'get_mempolicy' });
        return true;
      case 'migrate_pages':
        this.#migratePages(task);
        return true;
      case 'fork':
        this.#fork(task);
        return true;
      case 'exit':
        if (this.#alive.length > 1) {
          this.#task(task.name, { verb: 'exit' });
          this.#alive.splice(this.#alive.indexOf(task), 1);
        }
        return true;
      case 'mems':
        this.#writeMems(this.#prng.pick(['a', 'a', 'b']));
        if (this.#prng.chance(60)) this.#look(task);
        return true;
      case 'cgroup':
        this.#moveToCgroup(task);
        return true;
      case 'flag':
        this.#writeFlag();
        return true;
      case 'unpin':
        this.#unpin(task);
        return true;
      case 'lockall':
        this.#task(task.name, this.#draw.lockAll());
        return true;
      case 'scans':
        this.#scans();
        return true;
      case 'pool':
        this.#sys(poolStep(this.#prng, this.#memory));
        return true;
      case 'plug':
        this.#sys(plugStep(this.#prng, this.#plugs));
        return true;
      default:
        return this.#fileStep(task, action);
    }
  }

  #stepOnRegion(task: LiveTask, action: Action, region: string): void {
    const mapped = task.regions.get(region) as Mapped;
    const range = { region, ...this.#rangeOf(mapped) };
    switch (action) {
      case 'touch':
        this.#task(task.name, { verb: 'touch', ...range });
        if (this.#prng.chance(40)) this.#task(task.name, { verb: 'where', region });
        break;
      case 'read':
        this.#task(task.name, { verb: 'read', ...range });
        break;
      case 'where':
        this.#task(task.name, { verb: 'where', region });
        break;
      case 'look':
        this.#look(task, region);
        break;
      case 'mbind':
        this.#mbind(task, range);
        break;
      case 'set_home':
        this.#setHome(task, range);
        break;
      case 'move_pages':
        this.#movePages(task, range);
        break;
      case 'madvise':
        this.#madvise(task, range, mapped.kind);
        break;
      case 'fill':
        this.#task(task.name, { verb: 'fill', ...range, value: this.#prng.pick(NUMBERS) });
        break;
      case 'merge': {
        const advice = this.#prng.pick(['mergeable', 'mergeable', 'unmergeable']);
        this.#task(task.name, { verb: 'madvise', ...range, advice });
        break;
      }
      case 'work':
        this.#work(task, region, mapped.nrPages);
        break;
      case 'lock':
        this.#lock(task, range);
        break;
      case 'pin':
        this.#pin(task, range, mapped.kind);
        break;
      case 'break':
        for (const act of breakStep(this.#prng, task.name, range)) this.#push(act);
        break;
      default:
        this.#munmap(task, range);
    }
  }

  #fileStep(task: LiveTask, action: Action): boolean {
    const act = fileStep(this.#prng, action, this.#files, () => this.#draw.someNodes());
    if (act?.on === 'sys') this.#sys(act.act);
    else if (act !== undefined) this.#task(task.name, act.act);
    return act !== undefined;
  }

  /** A stretch of a region; where huge pages matter, one that begins or ends with one at times. */
  #rangeOf(mapped: Mapped): { offset: number; nrPages: number } {
    const { nrPages, shift } = mapped;
    if (!this.#hasThps || nrPages < 64) return stretchOf(this.#prng, nrPages);
    if (!this.#prng.chance(30)) return stretchOfHuge(this.#prng, mapped);
    const any = stretchOf(this.#prng, nrPages);
    return { ...any, offset: shift + any.offset };
  }

  #mmap(task: LiveTask): void {
    const free = [];
    const most = MOST_OF[this.#family] ?? MOST_REGIONS;
    for (let i = 0; i < most; i++) if (!task.regions.has(`R${i}`)) free.push(`R${i}`);
    if (free.length === 0) {
      this.#look(task);
      return;
    }
    const region = this.#prng.pick(free);
    const sharing = SHARING[this.#family] ?? 0;
    const kind: MmapKind = this.#prng.chance(sharing) ? this.#prng.pick(['shared', 'shm']) : 'anon';
    const nrPages = this.#prng.between(8, 64);
    const ofFiles = this.#family === 'files' ? 80 : this.#family === 'faults' ? 25 : 0;
    if (ofFiles > 0 && this.#prng.chance(ofFiles)) {
      const args = mapFileArgs(this.#prng, this.#prng.pick(this.#files));
      task.regions.set(region, { nrPages, kind: args.kind, shift: 0 });
      this.#task(task.name, { verb: 'mmap', region, nrPages, ...args, shift: 0 });
      return;
    }
    const shift = this.#prng.chance(8) ? this.#prng.between(1, 5) : 0;
    const isThp = this.#hasThps;
    const isOfPool = this.#family === 'hugetlb';
    const small = isOfPool ? hugeTlbRegion(this.#prng) : { nrPages, kind, shift };
    const mapped = isThp ? hugeRegion(this.#prng) : small;
    task.regions.set(region, mapped);
    this.#task(task.name, { verb: 'mmap', region, ...mapped });
    const isAdvised = isThp ? this.#prng.chance(40) : this.#family === 'ksm';
    if (isAdvised) {
      const offset = isThp ? mapped.shift : 0;
      const advice = isThp ? 'hugepage' : 'mergeable';
      this.#task(task.name, { verb: 'madvise', region, offset, nrPages: mapped.nrPages, advice });
    }
    if (this.#prng.chance(50)) {
      this.#task(task.name, { verb: 'touch', region, ...this.#rangeOf(mapped) });
    }
  }

  /** Lets ksmd merge all that it can, and looks where the pages are. */
  #scans(): void {
    for (const act of scansOfKsm()) this.#sys(act);
    const { name, regions } = this.#prng.pick(this.#alive);
    for (const region of [...regions.keys()].sort()) this.#task(name, { verb: 'where', region });
  }

  /** Works on a region until its pages are where NUMA balancing wants them. */
  #work(task: LiveTask, region: string, nrPages: number): void {
    this.#sys({ verb: 'drop_caches' });
    this.#task(task.name, { verb: 'work', region, offset: 0, nrPages, ms: 2500 });
    this.#task(task.name, { verb: 'where', region });
  }

  #munmap(task: LiveTask, range: { region: string; offset: number; nrPages: number }): void {
    if (this.#prng.chance(60)) {
      this.#task(task.name, { verb: 'munmap', ...range });
    } else {
      task.regions.delete(range.region);
      this.#task(task.name, { verb: 'munmap', region: range.region });
    }
  }

  /** What a task can ask about itself. */
  #look(task: LiveTask, region?: string): void {
    const verb = this.#prng.pick([
      'get',
      'get',
      'next',
      'mems',
      'policy',
      'policy',
      'node',
    ] as const);
    if (verb === 'next') this.#task(task.name, { verb: 'next_node' });
    else if (verb === 'mems') this.#task(task.name, { verb: 'mems_allowed' });
    else if (verb === 'get' || region === undefined) {
      this.#task(task.name, { verb: 'get_mempolicy' });
    } else {
      const { nrPages, shift } = task.regions.get(region) as Mapped;
      const offset = this.#prng.below(nrPages) + (this.#hasThps ? shift : 0);
      const asked = verb === 'policy' ? 'policy_at' : 'node_at';
      this.#task(task.name, { verb: asked, region, offset });
    }
  }

  #mbind(task: LiveTask, range: { region: string; offset: number; nrPages: number }): void {
    const p = this.#prng;
    const how = mbindFlags(p);
    this.#task(task.name, { verb: 'mbind', ...range, ...this.#draw.policy(), ...how });
    if (p.chance(35)) {
      this.#task(task.name, { verb: 'policy_at', region: range.region, offset: range.offset });
    }
    if (how.words.length > 0 && p.chance(50)) {
      this.#task(task.name, { verb: 'where', region: range.region });
    }
  }

  #setHome(task: LiveTask, range: { region: string; offset: number; nrPages: number }): void {
    const node = this.#prng.pick(this.#draw.someNodes());
    const flags = this.#prng.chance(3) ? 1 : 0;
    this.#task(task.name, { verb: 'set_home', ...range, node, flags, addressOffsetBytes: 0 });
  }

  #movePages(task: LiveTask, range: { region: string; offset: number; nrPages: number }): void {
    const nodes = this.#prng.chance(70)
      ? [this.#prng.pick(this.#draw.someNodes())]
      : this.#draw.someNodes();
    const moveAll = this.#prng.chance(20);
    this.#task(task.name, { verb: 'move_pages', ...range, nodes, moveAll });
    if (this.#prng.chance(50)) this.#task(task.name, { verb: 'where', region: range.region });
  }

  #migratePages(task: LiveTask): void {
    const from = this.#draw.someNodes();
    const to = this.#draw.someNodes();
    const other = this.#prng.pick(this.#alive);
    const pid = other === task || this.#prng.chance(50) ? {} : { pid: other.name };
    this.#task(task.name, { verb: 'migrate_pages', from, to, ...pid });
  }

  #madvise(
    task: LiveTask,
    range: { region: string; offset: number; nrPages: number },
    kind: MmapKind,
  ): void {
    const advice = adviceFor(this.#prng, this.#family, kind);
    this.#task(task.name, { verb: 'madvise', ...range, advice });
  }

  /** A lock; in the family of pins now and then one that waits for a touch. */
  #lock(task: LiveTask, range: PageRange): void {
    const verb = this.#prng.pick(['mlock', 'munlock'] as const);
    const waits = this.#family === 'pins' && verb === 'mlock' && this.#prng.chance(40);
    this.#task(task.name, { verb, ...range, ...(waits ? { onFault: true } : {}) });
  }

  /** A driver pins a range, but no SysV segment: io_uring refuses those on a real kernel. */
  #pin(task: LiveTask, range: PageRange, kind: MmapKind): void {
    if (this.#pins.length === MOST_PINS || kind === 'shm') {
      this.#unpin(task);
      return;
    }
    this.#pins.push({ task, range });
    this.#task(task.name, { verb: 'pin', ...range, longterm: true });
    if (this.#prng.chance(60)) this.#task(task.name, { verb: 'where', region: range.region });
  }

  /** One of the task's pins goes, if it has any; a pin that failed is taken back in vain. */
  #unpin(task: LiveTask): void {
    const own = this.#pins.filter((pin) => pin.task === task);
    if (own.length === 0) {
      this.#look(task);
      return;
    }
    const pin = this.#prng.pick(own);
    this.#pins.splice(this.#pins.indexOf(pin), 1);
    this.#task(task.name, { verb: 'unpin', ...pin.range });
  }

  #fork(parent: LiveTask): void {
    if (this.#nrTasks === MOST_TASKS) {
      this.#look(parent);
      return;
    }
    const child = `T${this.#nrTasks++}`;
    this.#push({ on: 'fork', parent: parent.name, child });
    this.#alive.push({ name: child, regions: new Map(parent.regions) });
  }

  #writeMems(group: string): void {
    const value = this.#prng.chance(4) ? '' : this.#draw.livableNodes().join(',');
    this.#sys({ verb: 'write', path: `${this.#mount}/${group}/cpuset.mems`, value });
  }

  #writeFlag(): void {
    const file = `cpuset.${this.#prng.pick(FLAGS)}`;
    const path = `${this.#mount}/${this.#prng.pick(['a', 'b'])}/${file}`;
    this.#sys({ verb: 'write', path, value: this.#prng.chance(60) ? '1' : '0' });
  }

  /** A task that moves between cpusets may find its CPUs reset, so it chooses one again. */
  #moveToCgroup(task: LiveTask): void {
    const cgroup = this.#prng.pick([`${this.#mount}/a`, `${this.#mount}/b`, this.#mount]);
    this.#sys({ verb: 'move', task: task.name, cgroup });
    this.#task(task.name, { verb: 'cpu', cpu: this.#prng.pick(this.#cpus) });
  }

  /** The closing look: where all pages are, and each task's policy. */
  end(): void {
    for (const { name, regions } of this.#alive) {
      for (const region of [...regions.keys()].sort()) this.#task(name, { verb: 'where', region });
      this.#task(name, { verb: 'get_mempolicy' });
    }
  }
}

/**
 * The operations of a random workload, tasks as T<n> and regions as R<n>.
 * @throws UserError when no node has memory or no node has a CPU.
 */
export function generateDrafts(options: GenerateOptions): readonly Draft[] {
  const apart = draftsApart(options);
  if (apart !== undefined) return apart;
  const workload = new Workload(options);
  workload.begin();
  while (workload.drafts.length < options.ops) workload.step();
  workload.end();
  return workload.drafts;
}

/** A random workload as a scenario, named after its family and seed. */
export function generateScenario(options: GenerateOptions): Scenario {
  const { tasks, regions, ops } = finish(generateDrafts(options), 'T0');
  const seed = String(options.seed).replace(/[^A-Za-z0-9_.-]/g, '-');
  return {
    ...bootOfFamily(options),
    name: `generated-${options.family}-${seed}`,
    title: `Random ${options.family} workload, seed ${options.seed}`,
    source: `generate seed=${options.seed} ops=${options.ops} family=${options.family}`,
    machine: options.machine,
    tasks,
    regions,
    ops,
    parameters: {},
  };
}
