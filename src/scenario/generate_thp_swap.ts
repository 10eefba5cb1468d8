// Random workloads with transparent huge pages and a swap area: pages are given up, go out by
// advice or because a memory cgroup is full, whole or in pieces, and come back as small ones.
// Notes    Limits lie a MiB beside whole huge pages: what kernel pages a task has of its own then
//          decides nothing.
import type { Prng } from '../base/prng.ts';
import type { Draft } from './finish.ts';
import type { MachineNodes } from './generate_nodes.ts';
import { allowHugePages, type Mapped, stretchOfHuge } from './generate_thp.ts';
import type { Act, SysAct, TaskAct } from './ops.ts';

const GROUP = '/sys/fs/cgroup/a';
const THP_PAGES = 512;
const TASKS = ['T0', 'T1'];
/** What is counted exactly: the program of a real kernel has few pages of its own that move. */
const KEYS = ['thp_swpout', 'thp_swpout_fallback', 'thp_split_page', 'pglazyfreed'];
const MORE_KEYS = [...KEYS, 'thp_split_pmd', 'thp_deferred_split_page', 'pswpout', 'pswpin'];
const ADVICE = ['pageout', 'pageout', 'pageout', 'cold', 'free', 'dontneed', 'collapse'];

class ThpSwapWorkload {
  readonly drafts: Draft[] = [];
  readonly #p: Prng;
  readonly #nodes: readonly number[];
  readonly #cpus: readonly number[];
  readonly #regions = new Map<string, Mapped>();
  #isForked = false;
  /** A memory cgroup limits the tasks; else only advice drives pages out. */
  readonly #isLimited: boolean;

  constructor(p: Prng, nodes: MachineNodes) {
    this.#p = p;
    this.#nodes = nodes.memoryNodes;
    this.#cpus = Object.values(nodes.cpusByNode).flat();
    this.#isLimited = p.chance(40);
  }

  #push(act: Act): void {
    this.drafts.push({ act, expect: [] });
  }

  #task(task: string, act: TaskAct): void {
    this.#push({ on: 'task', task, act });
  }

  #sys(act: SysAct): void {
    this.#push({ on: 'sys', act });
  }

  begin(): void {
    const p = this.#p;
    for (const act of allowHugePages(p)) this.#push(act);
    // One in three areas of swap has no room for every huge page, or for none.
    const isSmall = !this.#isLimited && p.chance(35);
    this.#sys({ verb: 'swapon', nrPages: isSmall ? p.between(300, 3000) : 20_000 });
    if (this.#isLimited) {
      this.#sys({ verb: 'mkdir', path: GROUP });
      this.#write('/sys/fs/cgroup/cgroup.subtree_control', '+memory');
      this.#sys({ verb: 'move', task: 'T0', cgroup: GROUP });
      // Whoever comes into a group may run on all of its CPUs again.
      this.#task('T0', { verb: 'cpu', cpu: p.pick(this.#cpus) });
      this.#limit();
    }
    this.#map();
  }

  #write(path: string, value: string): void {
    this.#sys({ verb: 'write', path, value });
  }

  #limit(): void {
    this.#write(`${GROUP}/memory.max`, `${2 * this.#p.between(3, 8) + 1}M`);
  }

  #map(): void {
    const p = this.#p;
    const region = `R${this.#regions.size}`;
    const nrPages = p.chance(60) ? THP_PAGES * p.between(1, 6) : p.between(300, 6 * THP_PAGES);
    const shift = p.chance(30) ? p.between(1, THP_PAGES) : 0;
    this.#regions.set(region, { nrPages, kind: 'anon', shift });
    this.#task('T0', { verb: 'mmap', region, nrPages, kind: 'anon', shift });
    if (p.chance(30)) {
      const mode = { mode: p.pick(['bind', 'preferred', 'interleave']), flags: [] };
      const nodes = mode.mode === 'interleave' ? this.#nodes : [p.pick(this.#nodes)];
      const how = { words: [], rawFlags: 0, addressOffsetBytes: 0 };
      this.#task('T0', { verb: 'mbind', region, offset: 0, nrPages, mode, nodes, ...how });
    }
  }

  step(): void {
    const p = this.#p;
    const region = p.pick([...this.#regions.keys()]);
    const mapped = this.#regions.get(region) as Mapped;
    const range = { region, ...stretchOfHuge(p, mapped) };
    const task = this.#isForked && p.chance(35) ? 'T1' : 'T0';
    const kind = p.pick([
      ...['touch', 'touch', 'touch', 'read', 'advice', 'advice', 'advice', 'advice', 'where'],
      ...['map', 'fork', 'lock', 'caches', 'limit', 'count'],
    ]);
    if (kind === 'touch' || kind === 'read') this.#task(task, { verb: kind, ...range });
    else if (kind === 'advice') {
      this.#task(task, { verb: 'madvise', ...range, advice: p.pick(ADVICE) });
      this.#count();
    } else if (kind === 'where') this.#look(task, region);
    else if (kind === 'map' && this.#regions.size < 4 && !this.#isForked) this.#map();
    else if (kind === 'fork' && !this.#isForked) {
      this.#isForked = true;
      this.#push({ on: 'fork', parent: 'T0', child: 'T1' });
    } else if (kind === 'lock') {
      this.#task(task, { verb: 'mlock', ...range });
      if (p.chance(70)) this.#task(task, { verb: 'munlock', ...range });
    } else if (kind === 'caches') this.#write('/proc/sys/vm/drop_caches', '2');
    else if (kind === 'limit' && this.#isLimited) this.#limit();
    else this.#count();
  }

  #look(task: string, region: string): void {
    const { nrPages } = this.#regions.get(region) as Mapped;
    this.#task(task, { verb: 'where', region, offset: 0, nrPages });
  }

  #count(): void {
    this.#sys({ verb: 'vmstat', keys: this.#isLimited ? KEYS : MORE_KEYS });
  }

  end(): void {
    for (const task of this.#isForked ? TASKS : ['T0']) {
      for (const region of this.#regions.keys()) this.#look(task, region);
    }
    this.#count();
    this.#sys({ verb: 'tasks' });
    this.#task('T0', { verb: 'get_mempolicy' });
  }
}

/** Operations on huge pages and swap, `ops` of them and a closing look. */
export function thpSwapDrafts(p: Prng, nodes: MachineNodes, ops: number): readonly Draft[] {
  const workload = new ThpSwapWorkload(p, nodes);
  workload.begin();
  while (workload.drafts.length < ops) workload.step();
  workload.end();
  return workload.drafts;
}
