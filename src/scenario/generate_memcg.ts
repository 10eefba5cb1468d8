// Random workloads in memory cgroups: a tree of groups with limits, tasks that move between them
// and make more pages than they may.
// Notes    Sizes are whole MiB of 4 KiB pages, limits lie between them: what kernel pages a task
//          has of its own, some hundred KiB, then decides nothing. Without swap there is no
//          memory.high: above it a real kernel lets tasks sleep for minutes.
import type { Prng } from '../base/prng.ts';
import type { Draft } from './finish.ts';
import type { MachineNodes } from './generate_nodes.ts';
import type { MmapKind, SysAct, TaskAct } from './ops.ts';

const ROOT = '/sys/fs/cgroup';
const MIB_PAGES = 256;
const REGION_MIB = 24;
const TASKS = ['T0', 'T1', 'T2', 'T3'];

class MemcgWorkload {
  readonly drafts: Draft[] = [];
  readonly #p: Prng;
  readonly #nodes: readonly number[];
  readonly #cpus: readonly number[];
  readonly #hasSwap: boolean;
  readonly #leaves: string[] = ['', '/b'];
  readonly #limited: string[] = ['/a', '/b'];
  readonly #mapped = new Set<string>();

  constructor(p: Prng, nodes: MachineNodes) {
    this.#p = p;
    this.#nodes = nodes.memoryNodes;
    this.#cpus = Object.values(nodes.cpusByNode).flat();
    this.#hasSwap = p.chance(50);
  }

  #task(task: string, act: TaskAct): void {
    this.drafts.push({ act: { on: 'task', task, act }, expect: [] });
  }

  #sys(act: SysAct): void {
    this.drafts.push({ act: { on: 'sys', act }, expect: [] });
  }

  #write(group: string, file: string, value: string): void {
    this.#sys({ verb: 'write', path: `${ROOT}${group}/${file}`, value });
  }

  begin(): void {
    const p = this.#p;
    for (const group of ['/a', '/b']) this.#sys({ verb: 'mkdir', path: ROOT + group });
    this.#write('', 'cgroup.subtree_control', '+memory');
    if (p.chance(60)) {
      this.#write('/a', 'cgroup.subtree_control', '+memory');
      for (const group of ['/a/x', '/a/y']) {
        this.#sys({ verb: 'mkdir', path: ROOT + group });
        this.#leaves.push(group);
        if (p.chance(50)) this.#limited.push(group);
      }
    } else this.#leaves.push('/a');
    if (this.#hasSwap) this.#sys({ verb: 'swapon', nrPages: 40_000 });
    for (const child of TASKS.slice(1)) {
      this.drafts.push({ act: { on: 'fork', parent: 'T0', child }, expect: [] });
    }
    for (const task of TASKS) this.#move(task);
    for (const group of this.#limited) this.#limit(group);
  }

  #move(task: string): void {
    this.#sys({ verb: 'move', task, cgroup: ROOT + this.#p.pick(this.#leaves) });
    // Whoever comes into a cpuset may run on all of its CPUs again.
    this.#task(task, { verb: 'cpu', cpu: this.#p.pick(this.#cpus) });
  }

  #limit(group: string): void {
    const p = this.#p;
    // Half a MiB beside all sums of sizes.
    const value = p.chance(10) ? 'max' : `${p.between(4, 30) * 1024 + 512}K`;
    this.#write(group, 'memory.max', value);
    this.#sys({ verb: 'read', path: `${ROOT}${group}/memory.max` });
  }

  /** A setting of some group, or of a task. */
  #set(task: string): void {
    const p = this.#p;
    const group = p.pick(this.#limited);
    const kind = p.pick(['max', 'max', 'high', 'swap', 'together', 'adj', 'adj', 'low'] as const);
    if (kind === 'max') this.#limit(group);
    if (kind === 'high' && this.#hasSwap) {
      this.#write(group, 'memory.high', `${p.between(4, 20)}M`);
    }
    if (kind === 'swap') this.#write(group, 'memory.swap.max', p.chance(30) ? '0' : '12M');
    if (kind === 'low') this.#write(group, p.pick(['memory.low', 'memory.min']), '6M');
    if (kind === 'together') this.#write(group, 'memory.oom.group', p.pick(['0', '1']));
    if (kind === 'adj') {
      const value = p.pick(['-1000', '-500', '0', '300', '1000']);
      this.#task(task, { verb: 'swrite', path: '/proc/self/oom_score_adj', value });
    }
  }

  #map(task: string): string {
    const region = `R${TASKS.indexOf(task) * 2 + this.#p.below(2)}`;
    if (this.#mapped.has(region)) return region;
    this.#mapped.add(region);
    const kind = this.#p.pick<MmapKind>(['anon', 'anon', 'anon', 'shared']);
    const nrPages = REGION_MIB * MIB_PAGES;
    this.#task(task, { verb: 'mmap', region, nrPages, kind, shift: 0 });
    return region;
  }

  step(): void {
    const p = this.#p;
    const task = p.pick(TASKS);
    const kind = p.pick([
      ...['touch', 'touch', 'touch', 'touch', 'touch', 'where', 'where'],
      ...['set', 'move', 'drop', 'policy', 'current', 'read'],
    ]);
    if (kind === 'set') this.#set(task);
    else if (kind === 'move') this.#move(task);
    else if (kind === 'current') {
      this.#sys({ verb: 'read', path: `${ROOT}${p.pick(this.#limited)}/memory.current` });
    } else if (kind === 'policy') {
      const mode = { mode: p.pick(['bind', 'preferred', 'interleave', 'local']), flags: [] };
      const nodes = mode.mode === 'local' ? ('none' as const) : [p.pick(this.#nodes)];
      this.#task(task, { verb: 'set_mempolicy', mode, nodes });
    } else this.#onRegion(task, kind);
  }

  #onRegion(task: string, kind: string): void {
    const p = this.#p;
    const region = this.#map(task);
    const nrMib = p.between(1, 12);
    const range = {
      region,
      offset: p.below(REGION_MIB - nrMib) * MIB_PAGES,
      nrPages: nrMib * MIB_PAGES,
    };
    if (kind === 'touch') this.#task(task, { verb: 'touch', ...range });
    else if (kind === 'read') this.#task(task, { verb: 'read', ...range });
    else if (kind === 'drop') this.#task(task, { verb: 'madvise', ...range, advice: 'dontneed' });
    else this.#task(task, { verb: 'where', ...range, offset: 0, nrPages: REGION_MIB * MIB_PAGES });
  }

  end(): void {
    for (const region of this.#mapped) {
      const task = TASKS[Math.floor(Number(region.slice(1)) / 2)] as string;
      const nrPages = REGION_MIB * MIB_PAGES;
      this.#task(task, { verb: 'where', region, offset: 0, nrPages });
    }
    this.#sys({ verb: 'tasks' });
    for (const group of this.#limited) {
      this.#sys({ verb: 'read', path: `${ROOT}${group}/memory.current` });
    }
    this.#task('T0', { verb: 'get_mempolicy' });
  }
}

/** Operations on memory cgroups, `ops` of them and a closing look. */
export function memcgDrafts(p: Prng, nodes: MachineNodes, ops: number): readonly Draft[] {
  const workload = new MemcgWorkload(p, nodes);
  workload.begin();
  while (workload.drafts.length < ops) workload.step();
  workload.end();
  return workload.drafts;
}
