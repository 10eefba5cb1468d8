// The yardsticks of speed, measured in one process and one run: what they compare takes turns, and
// medians are quoted.
// Omits    the time of parsing scenarios; nothing here is asserted, `bench` only reports.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Frame, NodeId } from '../base/ids.ts';
import { cpuId, nodeId } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import { findDesign, THREAD_DESIGNS } from '../designs/index.ts';
import type { Design } from '../hooks/design.ts';
import { MPOL_INTERLEAVE } from '../hooks/policy_modes.ts';
import { touchPages } from '../kernel/fault.ts';
import { Kernel } from '../kernel/kernel.ts';
import { setMempolicy } from '../kernel/mempolicy_calls.ts';
import { migrateBetweenNodes } from '../kernel/migrate.ts';
import { mmap } from '../kernel/mmap.ts';
import { stateHash } from '../kernel/state_hash.ts';
import type { Task } from '../kernel/task.ts';
import { layOutMemory } from '../machine/layout.ts';
import type { Machine } from '../machine/machine.ts';
import { findPreset } from '../machine/presets/index.ts';
import { DecisionLog } from '../mm/decision_log.ts';
import { GFP_HIGHUSER_MOVABLE } from '../mm/gfp.ts';
import { KIND_KERNEL, MEMMAP_ROW_BYTES } from '../mm/memmap.ts';
import { benchDevice } from './bench_device.ts';
import { benchReclaim } from './bench_reclaim.ts';
import { type BenchRow, median, timeNs } from './bench_time.ts';

export type { BenchRow } from './bench_time.ts';

export interface BenchReport {
  readonly rows: readonly BenchRow[];
  /** Hash of what the measured runs did: equal for equal sizes, so nothing was optimised away. */
  readonly workHash: string;
}

export interface BenchOptions {
  /** `small` takes a second or two and runs in tests; `full` about a minute. */
  readonly size: 'small' | 'full';
  readonly onProgress?: ((what: string) => void) | undefined;
}

interface Sizes {
  readonly rounds: number;
  readonly touchPages: number;
  readonly pairs: number;
  readonly movePages: number;
  readonly largeBytes: number;
  readonly touchesLarge: boolean;
}

const SIZES: Readonly<Record<BenchOptions['size'], Sizes>> = {
  small: {
    rounds: 3,
    touchPages: 100_000,
    pairs: 100_000,
    movePages: 10_000,
    largeBytes: 2 ** 40,
    touchesLarge: false,
  },
  full: {
    rounds: 9,
    touchPages: 2_000_000,
    pairs: 2_000_000,
    movePages: 500_000,
    largeBytes: 2 ** 40,
    touchesLarge: true,
  },
};

const START_VPN = 1 << 28;
const stock = findDesign('stock');

interface Bed {
  readonly k: Kernel;
  readonly task: Task;
}

function makeBed(machine: Machine, design: Design, nrPages: number): Bed {
  const k = new Kernel(machine, design);
  const task = k.newTask('bench');
  const request = { startVpn: START_VPN, nrPages, object: null, isLocked: false, populates: false };
  mmap(k, task, request);
  return { k, task };
}

/** A machine of two plain nodes of one size, for work that needs room. */
function twoNodes(sizeBytes: number): Machine {
  const ranges = layOutMemory('x86_64', 4096, [
    { sizeBytes, memoryZone: 'boot' },
    { sizeBytes, memoryZone: 'boot' },
  ]);
  return {
    name: 'bench',
    note: 'two plain nodes',
    arch: 'x86_64',
    pageBytes: 4096,
    nodes: [0, 1].map((i) => ({
      id: nodeId(i),
      cpus: [cpuId(i)],
      ranges: ranges[i] ?? [],
      memoryZone: 'boot',
    })),
    distances: [
      [10, 20],
      [20, 10],
    ],
    devices: [],
    links: [],
  };
}

/** Runs every yardstick. */
export function runBench(options: BenchOptions): BenchReport {
  const sizes = SIZES[options.size];
  const say = options.onProgress ?? (() => undefined);
  const hashes: string[] = [];
  const rows: BenchRow[] = [];
  say('first touches, against the host kernel');
  rows.push(...benchTouch(sizes, hashes));
  say('allocation and free');
  rows.push(benchPairs(sizes));
  say('designs and tracing');
  rows.push(...benchDesigns(sizes, hashes), ...benchTracing(sizes));
  say('interleave and migration');
  rows.push(benchInterleave(sizes), benchMigration(sizes));
  say('a device');
  rows.push(...benchDevice(sizes.movePages, sizes.rounds));
  say('permanent reclaim');
  rows.push(benchReclaim(sizes.movePages * 2, sizes.rounds));
  say('a machine of 1 TiB');
  rows.push(...benchLarge(sizes));
  return { rows, workHash: hashes.join('-') };
}

function benchTouch(sizes: Sizes, hashes: string[]): BenchRow[] {
  const n = sizes.touchPages;
  const machine = twoNodes(16 * 2 ** 30);
  const host = new HostTouch();
  const ours: number[] = [];
  const theirs: number[] = [];
  try {
    for (let i = 0; i < sizes.rounds + 2; i++) {
      const { k, task } = makeBed(machine, stock, n);
      const ns = timeNs(() => touchPages(k, task, START_VPN, n, true));
      const hostNs = host.touchNs(n);
      if (i < 2) continue;
      ours.push(ns / n);
      if (hostNs !== undefined) theirs.push(hostNs / n);
      if (i === 2) hashes.push(stateHash(k));
    }
  } finally {
    host.close();
  }
  const perSecond = 1e9 / median(ours);
  const rows: BenchRow[] = [
    { name: 'first touches', value: perSecond / 1e6, unit: 'M/s', goal: 'at least 15' },
  ];
  if (theirs.length === 0) {
    rows.push({ name: 'host kernel', value: Number.NaN, unit: 'M/s', note: host.whyNot });
    return rows;
  }
  const hostPerSecond = 1e9 / median(theirs);
  rows.push(
    { name: 'the host kernel, same touches', value: hostPerSecond / 1e6, unit: 'M/s' },
    {
      name: 'ratio to the host kernel',
      value: perSecond / hostPerSecond,
      unit: 'x',
      goal: 'at least 20',
    },
  );
  return rows;
}

/** Runs the C program beside the package; where there is no compiler it says so. */
class HostTouch {
  readonly #dir: string | undefined;
  readonly #program: string | undefined;
  whyNot = '';

  constructor() {
    const source = fileURLToPath(new URL('../../bench/first_touch.c', import.meta.url));
    if (process.platform !== 'linux' || !existsSync(source)) {
      this.whyNot = 'skipped: needs Linux and bench/first_touch.c of a clone';
      return;
    }
    this.#dir = mkdtempSync(join(tmpdir(), 'cdmlab-bench-'));
    const program = join(this.#dir, 'first_touch');
    try {
      execFileSync('cc', ['-O2', source, '-o', program], { stdio: 'ignore' });
      this.#program = program;
    } catch {
      this.whyNot = 'skipped: no C compiler (cc) to build bench/first_touch.c';
    }
  }

  touchNs(nrPages: number): number | undefined {
    if (this.#program === undefined) return undefined;
    return Number(execFileSync(this.#program, [String(nrPages)], { encoding: 'utf8' }));
  }

  close(): void {
    if (this.#dir !== undefined) rmSync(this.#dir, { recursive: true, force: true });
  }
}

function benchPairs(sizes: Sizes): BenchRow {
  const { k, task } = makeBed(twoNodes(16 * 2 ** 30), stock, 1);
  k.setCurrent(task);
  const times: number[] = [];
  for (let i = 0; i < sizes.rounds + 2; i++) {
    const ns = timeNs(() => allocFreePairs(k, sizes.pairs)) / sizes.pairs;
    if (i >= 2) times.push(ns);
  }
  return {
    name: 'order-0 alloc + free pairs',
    value: 1e3 / median(times),
    unit: 'M/s',
    goal: 'at least 30',
  };
}

function allocFreePairs(k: Kernel, count: number): void {
  const { allocator } = k;
  const { out } = allocator;
  const { kind } = k.mem.map;
  const nid = 0 as NodeId;
  for (let i = 0; i < count; i++) {
    allocator.alloc(GFP_HIGHUSER_MOVABLE, 0, nid, null, 1);
    const f = out[0] as Frame;
    kind[f] = KIND_KERNEL;
    allocator.free(f);
  }
}

/** Time per first touch under each design, in turns, as a ratio to stock. */
function benchDesigns(sizes: Sizes, hashes: string[]): BenchRow[] {
  const machine = findPreset('thread');
  if (machine === undefined) return [];
  const n = Math.min(sizes.touchPages, 60_000);
  const repeat = Math.max(1, Math.floor(sizes.touchPages / n / 4));
  const times = new Map<string, number[]>(THREAD_DESIGNS.map((d) => [d.id, []]));
  for (let i = 0; i < sizes.rounds + 2; i++) {
    for (const design of THREAD_DESIGNS) {
      let ns = 0;
      for (let r = 0; r < repeat; r++) {
        const { k, task } = makeBed(machine, design, n);
        ns += timeNs(() => touchPages(k, task, START_VPN, n, true));
        if (i === 2 && r === 0) hashes.push(stateHash(k));
      }
      if (i >= 2) times.get(design.id)?.push(ns);
    }
  }
  const base = times.get(stock.id) ?? [];
  return THREAD_DESIGNS.filter((d) => d.id !== stock.id).map((d) => ({
    name: `${d.id} against stock, same touches`,
    value: median((times.get(d.id) ?? []).map((ns, i) => ns / (base[i] as number))),
    unit: 'x time',
    goal: 'at most 1.1',
  }));
}

function benchTracing(sizes: Sizes): BenchRow[] {
  const n = sizes.touchPages;
  const machine = twoNodes(16 * 2 ** 30);
  const ratios: number[] = [];
  let bytes = 0;
  for (let i = 0; i < sizes.rounds + 2; i++) {
    const off = makeBed(machine, stock, n);
    const offNs = timeNs(() => touchPages(off.k, off.task, START_VPN, n, true));
    const on = makeBed(machine, stock, n);
    const log = new DecisionLog();
    on.k.allocator.log = log;
    const onNs = timeNs(() => touchPages(on.k, on.task, START_VPN, n, true));
    if (i >= 2) ratios.push(onNs / offNs);
    bytes = log.sizeBytes / log.nrRecords;
  }
  return [
    {
      name: 'tracing on against off',
      value: median(ratios),
      unit: 'x time',
      goal: 'at most 2',
    },
    {
      name: 'bytes per recorded decision',
      value: bytes,
      unit: 'B',
      goal: 'at most 48',
      note: 'touches in a row that take the same decision share a record',
    },
  ];
}

/** First touches under interleave: every page its own decision. */
function benchInterleave(sizes: Sizes): BenchRow {
  const n = sizes.touchPages;
  const machine = twoNodes(16 * 2 ** 30);
  const times: number[] = [];
  for (let i = 0; i < sizes.rounds + 2; i++) {
    const { k, task } = makeBed(machine, stock, n);
    setMempolicy(k, task, MPOL_INTERLEAVE, { mask: Nodemask.of(0, 1), maxnode: 1025 });
    const ns = timeNs(() => touchPages(k, task, START_VPN, n, true));
    if (i >= 2) times.push(ns / n);
  }
  return {
    name: 'first touches, interleaved (a decision a page)',
    value: 1e3 / median(times),
    unit: 'M/s',
  };
}

function benchMigration(sizes: Sizes): BenchRow {
  const n = sizes.movePages;
  const times: number[] = [];
  const { k, task } = makeBed(twoNodes(16 * 2 ** 30), stock, n);
  touchPages(k, task, START_VPN, n, true);
  for (let i = 0; i < sizes.rounds + 2; i++) {
    const from = Nodemask.of(i % 2);
    const to = Nodemask.of(1 - (i % 2));
    const ns = timeNs(() => migrateBetweenNodes(k, task, task.mm, from, to, true, 'migrate_pages'));
    if (i >= 2) times.push(ns / n);
  }
  return { name: 'pages migrated', value: 1e3 / median(times), unit: 'M/s' };
}

function benchLarge(sizes: Sizes): BenchRow[] {
  const half = sizes.largeBytes / 2;
  const ready: number[] = [];
  for (let i = 0; i < 5; i++) ready.push(timeNs(() => new Kernel(twoNodes(half), stock)) / 1e6);
  const rows: BenchRow[] = [
    { name: '1 TiB machine ready', value: median(ready), unit: 'ms', goal: 'under 100' },
    {
      name: 'model state per touched frame',
      value: MEMMAP_ROW_BYTES + 4,
      unit: 'B',
      goal: 'at most 24',
      note: 'frame table row and page table entry; an untouched frame costs none that is backed',
    },
  ];
  if (!sizes.touchesLarge) return rows;
  const bed = makeBed(twoNodes(half), stock, sizes.largeBytes / 4096);
  const before = process.memoryUsage().rss;
  let done = 0;
  const ns = timeNs(() => {
    done = touchPages(bed.k, bed.task, START_VPN, sizes.largeBytes / 4096, true).done;
  });
  const grown = process.memoryUsage().rss - before;
  rows.push(
    {
      name: '1 TiB first-touched, all that there is',
      value: ns / 1e9,
      unit: 's',
      goal: 'under 20',
      note: `${done} pages until the last zone is down to its min watermark`,
    },
    {
      name: 'resident memory it took, per frame',
      value: grown / done,
      unit: 'B',
      goal: 'at most 24',
    },
  );
  return rows;
}
