// Random workloads on pages of 1 GiB: pools that boot filled, that shrink, grow and are split, and
// tasks that map, touch, move and inherit pages under policies and cpusets.
// Notes    A page that is touched has to be cleared, and an emulated machine takes seconds for it,
//          so few are. Pools grow seldom: which stretch a real kernel can clear hangs on where its
//          own pages happen to lie.
import { Prng } from '../base/prng.ts';
import type { Draft } from './finish.ts';
import type { MachineNodes } from './generate_nodes.ts';
import { PolicyDraw } from './generate_policy.ts';
import type { Family } from './generate_weights.ts';
import type { Act, MmapKind, Scenario, SysAct, TaskAct } from './ops.ts';

const H = 'hugepages/hugepages-1048576kB';
const POOL = `/sys/kernel/mm/${H}`;
const CGROUP = '/sys/fs/cgroup';
const MOST_TASKS = 3;
const MOST_REGIONS = 5;
const MOST_TOUCHES = 10;
const MOST_BOOT_PAGES = 4;
const KINDS: readonly MmapKind[] = [
  ...(['hugetlb-1G', 'hugetlb-1G', 'hugetlb-noreserve-1G'] as const),
  ...(['hugetlb-shared-1G', 'shm-hugetlb-1G'] as const),
];
const ACTIONS = [
  ...(['map', 'map', 'touch', 'touch', 'touch', 'where', 'policy', 'mbind', 'mbind'] as const),
  ...(['move', 'migrate', 'unmap', 'fork', 'exit', 'cpu', 'shrink', 'shrink', 'grow'] as const),
  ...(['demote', 'look', 'look', 'small', 'mems', 'group', 'plug', 'drop'] as const),
];

interface LiveTask {
  readonly name: string;
  /** Pages of each region that it has. */
  readonly regions: Map<string, number>;
}

/** What a scenario of a family says of its boot: words that fill the pool of 1 GiB. */
export function bootOfFamily(
  options: MachineNodes & { readonly family: Family; readonly seed: string | number },
): Pick<Scenario, 'boot'> {
  if (options.family !== 'gigantic') return {};
  return { boot: wordsOf(new Prng(`boot/gigantic/${options.seed}`), options) };
}

function wordsOf(p: Prng, { memoryNodes, deviceNodes }: MachineNodes): string[] {
  const nodes = memoryNodes.filter((nid) => !deviceNodes.includes(nid));
  const some = nodes.filter(() => p.chance(70)).map((nid) => `${nid}:${p.between(1, 2)}`);
  const isByNode = some.length > 0 && p.chance(50);
  return [
    'hugepagesz=1G',
    `hugepages=${isByNode ? some.join(',') : p.between(1, MOST_BOOT_PAGES)}`,
  ];
}

class GiganticWorkload {
  readonly drafts: Draft[] = [];
  readonly #p: Prng;
  readonly #draw: PolicyDraw;
  readonly #nodes: MachineNodes;
  readonly #cpus: readonly number[];
  readonly #alive: LiveTask[] = [{ name: 'T0', regions: new Map() }];
  readonly #hasGroups: boolean;
  #nrTasks = 1;
  #nrTouches = 0;

  constructor(p: Prng, nodes: MachineNodes) {
    this.#p = p;
    this.#draw = new PolicyDraw(p, nodes, 'gigantic');
    this.#nodes = nodes;
    this.#cpus = Object.values(nodes.cpusByNode).flat();
    this.#hasGroups = p.chance(40);
  }

  #push(act: Act): void {
    this.drafts.push({ act, expect: [] });
  }

  #task({ name }: LiveTask, act: TaskAct): void {
    this.#push({ on: 'task', task: name, act });
  }

  #sys(act: SysAct): void {
    this.#push({ on: 'sys', act });
  }

  begin(): void {
    this.#sys({ verb: 'hugetlb', size: '1G' });
    if (!this.#hasGroups) return;
    for (const group of ['a', 'b']) {
      this.#sys({ verb: 'mkdir', path: `${CGROUP}/${group}` });
      this.#mems(group);
    }
    this.#group(this.#alive[0] as LiveTask);
  }

  #mems(group: string): void {
    const value = this.#draw.someNodes().join(',');
    this.#sys({ verb: 'write', path: `${CGROUP}/${group}/cpuset.mems`, value });
  }

  /** A task that comes into a cpuset may run on all of its CPUs again. */
  #group(task: LiveTask): void {
    const cgroup = this.#p.pick([`${CGROUP}/a`, `${CGROUP}/b`, CGROUP]);
    this.#sys({ verb: 'move', task: task.name, cgroup });
    this.#task(task, { verb: 'cpu', cpu: this.#p.pick(this.#cpus) });
  }

  step(): void {
    const task = this.#p.pick(this.#alive);
    const action = this.#p.pick(ACTIONS);
    if (!this.#stepOfPool(task, action) && !this.#stepOfTask(task, action)) {
      if (task.regions.size === 0) this.#map(task);
      else this.#onRegion(task, action, this.#p.pick([...task.regions.keys()]));
    }
  }

  /** Pools, blocks and groups; false for any other. */
  #stepOfPool(task: LiveTask, action: (typeof ACTIONS)[number]): boolean {
    const p = this.#p;
    const node = p.pick(this.#nodes.memoryNodes);
    const ofNode = `/sys/devices/system/node/node${node}/${H}`;
    const write = (path: string, value: number): void =>
      this.#sys({ verb: 'write', path, value: String(value) });
    if (action === 'shrink') {
      if (p.chance(50)) write(`${ofNode}/nr_hugepages`, p.between(0, 1));
      else write(`${POOL}/nr_hugepages`, p.between(0, 3));
    } else if (action === 'grow') {
      const path = `${POOL}/nr_hugepages_mempolicy`;
      if (p.chance(50)) write(`${ofNode}/nr_hugepages`, p.between(1, 2));
      else this.#task(task, { verb: 'swrite', path, value: String(p.between(1, 4)) });
    } else if (action === 'demote') {
      write(`${p.chance(50) ? ofNode : POOL}/demote`, p.between(1, 2));
    } else if (action === 'plug') {
      const verb = p.pick(['offline_node', 'online_node'] as const);
      this.#sys({ verb, node, nrBlocks: p.between(1, 2) });
    } else if (action === 'look') this.#sys({ verb: 'hugetlb', size: '1G' });
    else if (action === 'small') this.#sys({ verb: 'hugetlb' });
    else if (action === 'mems' && this.#hasGroups) this.#mems(p.pick(['a', 'b']));
    else if (action === 'group' && this.#hasGroups) this.#group(task);
    else return false;
    return true;
  }

  #stepOfTask(task: LiveTask, action: (typeof ACTIONS)[number]): boolean {
    const p = this.#p;
    if (action === 'map') this.#map(task);
    else if (action === 'cpu') this.#task(task, { verb: 'cpu', cpu: p.pick(this.#cpus) });
    else if (action === 'policy') {
      this.#task(task, { verb: 'set_mempolicy', ...this.#draw.policy() });
    } else if (action === 'migrate') {
      const [from, to] = [this.#draw.someNodes(), this.#draw.someNodes()];
      this.#task(task, { verb: 'migrate_pages', from, to });
    } else if (action === 'fork' && this.#nrTasks < MOST_TASKS) {
      const child = `T${this.#nrTasks++}`;
      this.#push({ on: 'fork', parent: task.name, child });
      this.#alive.push({ name: child, regions: new Map(task.regions) });
    } else if (action === 'exit' && this.#alive.length > 1) {
      this.#task(task, { verb: 'exit' });
      this.#alive.splice(this.#alive.indexOf(task), 1);
    } else return false;
    return true;
  }

  #map(task: LiveTask): void {
    const names = Array.from({ length: MOST_REGIONS }, (_, i) => `R${i}`);
    const free = names.filter((name) => !task.regions.has(name));
    if (free.length === 0) {
      this.#sys({ verb: 'hugetlb', size: '1G' });
      return;
    }
    const region = this.#p.pick(free);
    const nrPages = this.#p.between(1, 2);
    task.regions.set(region, nrPages);
    const kind = this.#p.pick(KINDS);
    this.#task(task, { verb: 'mmap', region, nrPages, kind, shift: 0 });
  }

  #onRegion(task: LiveTask, action: (typeof ACTIONS)[number], region: string): void {
    const p = this.#p;
    const size = task.regions.get(region) as number;
    const offset = p.below(size);
    const one = { region, offset, nrPages: 1 };
    const all = { region, offset: 0, nrPages: size };
    if (action === 'touch' && this.#nrTouches < MOST_TOUCHES) {
      this.#nrTouches++;
      this.#task(task, { verb: p.chance(80) ? 'touch' : 'read', ...one });
      this.#task(task, { verb: 'where', region });
    } else if (action === 'mbind') {
      const words = p.chance(40) ? [p.pick(['move', 'moveall', 'strict'])] : [];
      const how = { words, rawFlags: 0, addressOffsetBytes: 0 };
      this.#task(task, { verb: 'mbind', ...all, ...this.#draw.policy(), ...how });
      if (words.length > 0) this.#task(task, { verb: 'where', region });
    } else if (action === 'move') {
      const nodes = [p.pick(this.#draw.someNodes())];
      this.#task(task, { verb: 'move_pages', ...all, nodes, moveAll: false });
    } else if (action === 'drop') {
      this.#task(task, { verb: 'madvise', ...one, advice: 'dontneed' });
    } else if (action === 'unmap') {
      task.regions.delete(region);
      this.#task(task, { verb: 'munmap', region });
    } else this.#task(task, { verb: 'where', region });
  }

  /** The closing look: pools, pages, policies. */
  end(): void {
    this.#sys({ verb: 'hugetlb', size: '1G' });
    this.#sys({ verb: 'hugetlb' });
    for (const task of this.#alive) {
      for (const region of [...task.regions.keys()].sort()) {
        this.#task(task, { verb: 'where', region });
      }
      this.#task(task, { verb: 'get_mempolicy' });
    }
  }
}

/** Operations on pages of 1 GiB, `ops` of them and a closing look. */
export function giganticDrafts(p: Prng, nodes: MachineNodes, ops: number): readonly Draft[] {
  const workload = new GiganticWorkload(p, nodes);
  workload.begin();
  while (workload.drafts.length < ops) workload.step();
  workload.end();
  return workload.drafts;
}
