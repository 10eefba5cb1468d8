// How pages come to their frames and leave them, told for every way there is; and for random work,
// held against the page tables after every step.
import { describe, expect, test } from 'vitest';
import { expectChain } from '../../test/support/page_followed.ts';
import { GPU0, machineFrom, rangeOfMib } from '../../test/support/small_machine.ts';
import type { Frame } from '../base/ids.ts';
import { findDesign } from '../designs/index.ts';
import type { Machine } from '../machine/machine.ts';
import { generateScenario, machineNodes } from '../scenario/generate.ts';
import type { Family } from '../scenario/generate_weights.ts';
import { parseScenario } from '../scenario/parser.ts';
import { explainPage } from './explain.ts';
import { FrameStory } from './frame_story.ts';
import { watchGives } from './gives.ts';
import { pageState } from './page_place.ts';
import { Session } from './session.ts';

/** Two nodes with CPUs, a device, and slow memory that pages are demoted to. */
const machine = machineFrom({
  name: 'small',
  arch: 'x86_64',
  nodes: [
    { id: 0, cpus: '0', memory: '64MiB' },
    { id: 1, cpus: '1', ranges: [rangeOfMib(8192, 16)] },
    { id: 2, memory: '32MiB', memoryZone: 'movable', device: 'gpu0' },
    { id: 3, memory: '64MiB', memoryZone: 'movable', isKmem: true },
  ],
  distances: [
    [10, 20, 40, 30],
    [20, 10, 60, 40],
    [40, 60, 10, 80],
    [30, 40, 80, 10],
  ],
  devices: [GPU0],
});

const THP = '/sys/kernel/mm/transparent_hugepage';

interface Asked {
  readonly region?: string;
  readonly index?: number;
  readonly design?: string;
  readonly on?: Machine;
}

/** Explains a page after a text, and holds what is told against where it was after each step. */
function told(
  text: string,
  { region = 'R0', index = 0, design = 'stock', on = machine }: Asked = {},
) {
  const lines = text.trim().replace(/^\s+/gm, '');
  const scenario = parseScenario(lines, { file: 'test.cdm', pageBytes: on.pageBytes });
  const input = { scenario, machine: on, design: findDesign(design) };
  const e = explainPage({ ...input, region, index, task: 'T0' });
  const session = new Session(input);
  const was: number[] = [];
  for (let step = session.step(); step !== undefined; step = session.step()) {
    expect(step.failed, step.op.text).toEqual([]);
    const state = pageState(session, { task: 'T0', region, index });
    was.push(state.kind === 'page' ? state.frame : -1);
  }
  const chain = (e.chain ?? []).map(({ fromFrame, ...link }) => ({ ...link, from: fromFrame }));
  if (e.state === 'page') expectChain(chain, was, chain[0]?.step, text);
  return { e, how: (e.chain ?? []).map(({ words }) => words) };
}

const FAULT = 'page fault of task T0';

describe('[EXP5] a page that moved is told with what moved it', () => {
  test('by a call, by a cpuset, and by NUMA balancing', () => {
    const touched = 'T0 cpu 0\nT0 mmap R0 64 anon\nT0 touch R0\n';
    expect(told(`${touched}T0 move_pages R0 0 4 1`).how).toEqual([FAULT, 'moved by move_pages']);
    expect(told(`${touched}T0 mbind R0 0 64 bind 2 move`).how).toEqual([FAULT, 'moved by mbind']);
    const { e, how } = told(`${touched}T0 migrate_pages 0 1\nT0 migrate_pages 1 2`);
    expect(how).toEqual([FAULT, 'moved by migrate_pages', 'moved by migrate_pages']);
    expect(e.words).toMatch(
      /^The page is on node 2\. In step 5 .*by migrate_pages, from node 1\.$/,
    );
    expect(e.request?.purpose).toBe('migration target');
    const balanced = `${touched}T0 move_pages R0 0 64 1
      sys write /proc/sys/kernel/numa_balancing 1
      sys write /sys/kernel/debug/sched/numa_balancing/scan_period_max_ms 200
      T0 work R0 0 64 20000`;
    expect(told(balanced).how.at(-1)).toBe('moved by NUMA balancing');
  });

  test('by compaction: not with the request of whoever had the frame before', () => {
    // Node 2 in pieces: every second page of R0 goes, and R1 asks for huge pages.
    const { e, how } = told(
      `sys write ${THP}/defrag madvise
       sys write ${THP}/enabled madvise
       T0 cpu 0
       T0 mmap R0 7168 anon
       T0 mbind R0 0 7168 bind 2
       T0 touch R0
       T0 move_pages R0 0 7168 0,2
       T0 mmap R1 4096 anon
       T0 mbind R1 0 4096 bind 2
       T0 madvise R1 0 4096 hugepage
       T0 touch R1 0 2048 -> 0`,
      { index: 1 },
    );
    expect(how).toEqual([FAULT, 'moved by compaction']);
    expect(e.words).toMatch(/In step 11 .*moved by compaction.*without a request of its own/);
    expect(e.words).toMatch(/Before that it had come as follows\.$/);
    expect(e.request).toMatchObject({ step: 5, text: 'T0 touch R0' });
    expect(e.history.at(-1)).toMatchObject({ step: 10, how: ['moved by compaction'] });
  });

  test('by collapse and split, of a page that was there and of one that was not', () => {
    const text = `T0 mmap R0 1024 anon
      T0 touch R0 0 511
      T0 madvise R0 0 1024 collapse
      T0 madvise R0 0 1 dontneed
      sys write /proc/sys/vm/drop_caches 2`;
    const { e, how } = told(text, { index: 5 });
    expect(how).toEqual([FAULT, 'copied into a huge page', 'its huge page split']);
    expect(e.request).toMatchObject({ order: 9, purpose: 'migration target' });
    expect(told(text, { index: 511 }).how).toEqual([
      'migration target of task T0',
      'its huge page split',
    ]);
  });

  test('by soft offline, demotion, and memory that goes offline', () => {
    const touched = 'T0 mmap R0 8 anon\nT0 mbind R0 0 8 preferred 3\nT0 touch R0\n';
    expect(told(`${touched}T0 madvise R0 0 1 soft_offline`).how[1]).toMatch(/that had errors$/);
    // The frames of node 3 have been somebody's before.
    const demoted = `
      sys write /sys/kernel/mm/numa/demotion_enabled 1
      T0 mmap R1 8MiB anon
      T0 mbind R1 0 8MiB bind 3
      T0 touch R1 -> 0
      T0 munmap R1
      T0 mmap R0 66MiB anon
      T0 mbind R0 0 66MiB bind 0
      T0 touch R0 -> 0`;
    const { e, how } = told(demoted);
    expect(how).toEqual([FAULT, 'demoted to slower memory']);
    expect(e.request).toMatchObject({ step: 7, purpose: 'page fault' });
  });

  test('by KSM, which is told with the page that is shared; and apart from it by a write', () => {
    const text = `
      T0 mmap R0 8 anon
      T0 mmap R1 8 anon
      T0 mbind R1 0 8 bind 1
      T0 madvise R0 0 8 mergeable
      T0 madvise R1 0 8 mergeable
      T0 fill R0 0 1 7
      T0 fill R1 0 1 7
      sys write /sys/kernel/mm/ksm/run 1
      sys ksm_scans 3
      fork T0 T1`;
    const { e, how } = told(text);
    expect(how).toEqual([FAULT, 'merged by KSM with an equal page']);
    expect(e.words).toMatch(/^The page is on node 1\. In step 9 .* its own was on node 0\. What/);
    expect(e.request).toMatchObject({ text: 'T0 fill R1 0 1 7' });
    expect(told(text, { region: 'R1' }).how).toEqual([FAULT]);
    expect(told(`${text}\nT0 move_pages R1 0 1 0 moveall`).how.at(-1)).toBe('moved by move_pages');
    expect(told(`${text}\nT0 fill R0 0 1 8`).how).toEqual(['copy on write of task T0']);
    const zeroes = text
      .replace(
        'T0 fill R0 0 1 7',
        'sys write /sys/kernel/mm/ksm/use_zero_pages 1\nT0 fill R0 0 1 0',
      )
      .replace('T0 fill R1 0 1 7', '');
    expect(told(zeroes).e).toMatchObject({ state: 'zero page', request: { step: 6 } });
    expect(told(zeroes).e.words).toMatch(/step 9 .* let it share the page of zeroes/);
  });

  test('by the driver of a device: there, back, and out of the way of others', () => {
    const there = 'T0 mmap R0 8 anon\nT0 touch R0\nT0 device_compute gpu0 R0\n';
    const asked = { design: 'hmm' };
    expect(told(there, asked).how).toEqual([FAULT, 'moved by the driver of a device']);
    const { e, how } = told(`${there}T0 touch R0`, asked);
    expect(how[2]).toBe('brought back from the device');
    expect(e.request).toMatchObject({ step: 3, purpose: 'migration target' });
    // What the device touches first it gets from its driver, and later buffers push it out.
    const crowded = `
      T0 mmap R0 4096 anon
      T0 mmap R1 7168 anon
      T0 device_compute gpu0 R0
      T0 device_compute gpu0 R1`;
    expect(told(crowded, asked).how).toEqual([
      'handed out by the driver of its device',
      'evicted from the device',
    ]);
  });
});

describe('[EXP5] a page that was given is told with the request that gave it', () => {
  test('of a pool of huge pages, with how the pool had come by it', () => {
    const text = `
      sys write /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages 4
      T0 mmap R0 2 hugetlb
      T0 touch R0`;
    const fault = `${FAULT}, from the pool of huge pages`;
    expect(told(text).how).toEqual(['huge page pool of task kthread', fault]);
    const again = `${text}\nT0 munmap R0\nT0 mmap R0 2 hugetlb\nT0 touch R0`;
    const { e, how } = told(again);
    expect(how).toEqual(['huge page pool of task kthread', fault]);
    expect(e.chain?.map(({ step }) => step)).toEqual([0, 5]);
  });

  test('of 1 GiB, whose stretch was cleared of others, which are told too', () => {
    const large = machineFrom({
      name: 'large',
      arch: 'ppc64',
      pageBytes: '64KiB',
      nodes: [
        { id: 0, cpus: '0', memory: '2GiB' },
        { id: 1, cpus: '1', memory: '3GiB' },
      ],
    });
    const H = '/sys/devices/system/node/node1/hugepages/hugepages-1048576kB';
    const text = `
      T0 cpu 1
      T0 mmap R1 2560MiB anon
      T0 mbind R1 0 2560MiB preferred 1
      T0 touch R1 -> 0
      sys write ${H}/nr_hugepages 1 -> 0
      T0 mmap R0 1 hugetlb-1G
      T0 touch R0 -> 0`;
    expect(told(text, { on: large }).how).toEqual([
      'cleared for the pool of huge pages, as a stretch of a zone',
      `${FAULT}, from the pool of huge pages`,
    ]);
    const driven = told(text, { on: large, region: 'R1', index: 20_000 }).how;
    expect(driven).toEqual([FAULT, 'driven off to clear a stretch for a gigantic page']);
  });

  test('from a swap area, and while it is there; of a file, and of a copy', () => {
    const text = `
      sys swapon 8000
      T0 mmap R0 5000 anon
      T0 mbind R0 0 5000 bind 1
      T0 touch R0 -> 0`;
    const gone = told(text).e;
    expect(gone).toMatchObject({ state: 'in swap', request: { step: 3 } });
    expect(gone.words).toMatch(/step 4 .* got it, and before its end a swap area had it/);
    const later = told(text.replace('T0 touch R0', 'T0 touch R0 0 9\nT0 touch R0')).e;
    expect(later).toMatchObject({ state: 'in swap', request: { step: 3 } });
    expect(later.words).toMatch(/step 5 .* wrote it to a swap area and took it from node 1/);
    expect(told(`${text}\nT0 read R0 0 1`).how).toEqual(['swap in of task T0']);
    const forked = 'T0 mmap R0 4 anon\nT0 touch R0\nfork T0 T1\nT1 exit\nT0 touch R0';
    expect(told(forked).how).toEqual([FAULT]);
    const copied = 'T0 mmap R0 4 anon\nT0 touch R0\nfork T0 T1\nT0 touch R0';
    expect(told(copied).how).toEqual(['copy on write of task T0']);
  });

  test('that broke, is told with the step that broke it', () => {
    const { e } = told('T0 mmap R0 4 anon\nT0 touch R0\nsys poison T0 R0 0');
    expect(e.state).toBe('broken');
    expect(e.words).toMatch(/step 3 .* broke it, and took it from node \d\. It had come/);
  });
});

/** Runs random work with a story kept, and holds what it says of every page at the end. */
function checkStories(on: Machine, family: Family, seed: number, ops: number, more = ''): number {
  const work = generateScenario({ seed, ops, family, ...machineNodes(on) });
  const before = parseScenario(more, { file: 'services', pageBytes: on.pageBytes }).ops;
  const scenario = { ...work, ops: [...before, ...work.ops] };
  const session = new Session({ scenario, machine: on, design: findDesign('stock') });
  const story = new FrameStory(session.kernel);
  /** Steps in which each frame was given. */
  const given = new Map<number, number[]>();
  watchGives(session.kernel, (call, order) => {
    const n = call();
    const { out } = session.kernel.allocator;
    for (let i = 0; i < (order > 0 && n > 0 ? 1 : n); i++) {
      for (let f = out[i] as number; f < (out[i] as number) + (1 << order); f++) {
        given.set(f, [...(given.get(f) ?? []), story.step]);
      }
    }
    return n;
  });
  const was = new Map<string, number[]>();
  for (story.step = 0; session.step() !== undefined; story.step++)
    noteAll(session, was, story.step);
  let nrTold = 0;
  for (const [name, frames] of was) {
    const frame = frames.at(-1) as Frame;
    if (frame === -1 || frames.length < scenario.ops.length) continue;
    const [task = '', region = '', index = ''] = name.split(' ');
    const vpn = session.runner.regionsOf(task).vpnOf(region, Number(index));
    const space = session.runner.tasks.get(task)?.mm;
    const links = story.storyOf(space, vpn, frame, story.codeOf(frame));
    const give = links[0]?.give;
    const givenIn = give === undefined ? undefined : given.get(give.frame)?.[give.nth - 1];
    expectChain(links, frames, givenIn, `${family} ${seed}, ${name}`);
    nrTold++;
  }
  return nrTold;
}

/** Notes where all pages of all regions are. */
function noteAll(session: Session, was: Map<string, number[]>, step: number): void {
  for (const [task, { isAlive, mm }] of session.runner.tasks) {
    if (!isAlive) continue;
    const table = session.runner.regionsOf(task);
    for (const region of table.names()) {
      const { startVpn, nrPages } = table.range({ region });
      if (mm.lookup(startVpn) === undefined) continue;
      for (let index = 0; index < nrPages / table.unitOf(region); index++) {
        const state = pageState(session, { task, region, index });
        const name = `${task} ${region} ${index}`;
        const frames = was.get(name) ?? [];
        while (frames.length < step) frames.push(-1);
        frames.push(state.kind === 'page' ? state.frame : -1);
        was.set(name, frames);
      }
    }
  }
}

const SERVICES = [
  `sys write ${THP}/enabled always`,
  'sys write /sys/kernel/mm/ksm/run 1',
  'sys write /proc/sys/kernel/numa_balancing 3',
  'sys write /sys/kernel/mm/numa/demotion_enabled 1',
  'sys swapon 2000',
].join('\n');

test.each(['mbind', 'ksm', 'balance', 'pins', 'thp', 'hugetlb', 'files', 'shared'] as const)(
  '[EXP5] with all services on, every page of random work (%s) came as is told, to where it is',
  (family) => {
    const seeds = [1, 2];
    const nrTold = seeds.map((seed) => checkStories(machine, family, seed, 60, SERVICES));
    expect(Math.max(...nrTold)).toBeGreaterThan(0);
  },
);
