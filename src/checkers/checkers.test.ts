// Every judge finds what it is there for: a healthy kernel, then one thing broken at a time.
import { describe, expect, test } from 'vitest';
import { bench, bootDevice, play } from '../../test/support/play.ts';
import { cpuId, type Frame, nodeId, type ZoneIndex } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import { findDesign } from '../designs/index.ts';
import { stock } from '../designs/stock.ts';
import type { Design } from '../hooks/design.ts';
import type { Cpuset } from '../kernel/cpuset.ts';
import { touchPages } from '../kernel/fault.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { makePte, pteFrame, pteIsPage } from '../kernel/page_table.ts';
import { LIST } from '../mm/zonelist.ts';
import { CHECKERS, checkAll, FreshPages } from './index.ts';

/** A kernel with a bit of everything in it, and no finding. */
function healthy(): { k: Kernel; vpn: number; frame: Frame } {
  const { kernel: k, session } = play(`
    T0 mmap R0 600 anon
    T0 touch R0 0 300
    T0 touch R0 595 5
    T0 read R0 300 10
    T0 mmap R1 16 shared
    T0 touch R1 0 8
    fork T0 T1
    T1 touch R0 0 20
    T0 madvise R0 100 50 dontneed
  `);
  const { startVpn } = session.runner.regionsOf('T0').range({ region: 'R0' });
  const task = k.tasks[0] as (typeof k.tasks)[number];
  expect(checkAll(k)).toEqual([]);
  return { k, vpn: startVpn, frame: pteFrame(task.mm.pageTable.get(startVpn)) };
}

const table = (k: Kernel) => (k.tasks[0] as (typeof k.tasks)[number]).mm.pageTable;

/** A free block on a list: its zone and frame. */
function freeBlock(k: Kernel): { z: number; f: number } {
  const { zones } = k.mem;
  const at = zones.listHead.findIndex((f) => f !== -1);
  return { z: Math.floor(at / (zones.nrOrders * 4)), f: zones.listHead[at] as number };
}

/** A group of the test below, by its path. */
const groupOf = (k: Kernel, path: string): Cpuset =>
  [...k.rootCpuset.descendants()].find((group) => group.path === `/${path}`) as Cpuset;

/** Breaks one thing; the judge named must say so. */
const broken: readonly [string, RegExp, (k: Kernel, vpn: number, f: Frame) => void][] = [
  ['[FRM1] frames', /has no owner/, (k, vpn) => table(k).set(vpn + 5, 0)],
  [
    '[FRM1] frames',
    /has 2 owners: .*private page/,
    (k, _vpn, f) => k.mem.buddy.free(0 as ZoneIndex, f, 0, 1),
  ],
  [
    '[FRM1] frames',
    /has 2 owners: .*list of CPU/,
    (k, _vpn, f) => k.mem.pcp.put(0 as ZoneIndex, 0, 1, f),
  ],
  [
    '[FRM1] frames',
    /does not exist or is untouched, but is free/,
    (k) => k.mem.buddy.free(0 as ZoneIndex, 0 as Frame, 0, 1),
  ],
  [
    '[FRM1] frames',
    /untouched/,
    (k, vpn) => table(k).set(vpn + 400, makePte((k.mem.zones.virginEnd[2] as number) - 1, true)),
  ],
  ['[FRM2] frames', /has map count 2, but 1 entries map it/, (k, _vpn, f) => k.mem.map.addMap(f)],
  ['[FRM2] frames', /map count/, (k, vpn) => table(k).set(vpn + 31, table(k).get(vpn + 32))],
  ['[FRM3] frames', /is of kind 3/, (k, _vpn, f) => k.mem.map.kind.fill(3, f, f + 1)],
  [
    '[BUD1] buddy',
    /not aligned/,
    (k) => {
      const { z, f } = freeBlock(k);
      k.mem.zones.listHead.set([f + 1], k.mem.zones.listHead.indexOf(f));
      expect(z).toBeGreaterThanOrEqual(0);
    },
  ],
  [
    '[BUD2] buddy',
    /not merged/,
    (k) => {
      const at = k.mem.zones.listHead.findIndex((f) => f !== -1);
      const f = k.mem.zones.listHead[at] as number;
      const order = Math.floor(at / 4) % k.mem.zones.nrOrders;
      const buddy = f ^ (1 << order);
      k.mem.map.link.set([buddy], f);
      k.mem.map.link.set([-1], buddy);
    },
  ],
  ['[ZON2] buddy', /counts \d+ free pages and has \d+/, (k) => k.mem.zones.free.set([7], 0)],
  ['[ZON2] buddy', /order mask/, (k) => k.mem.zones.orderMask.set([0x7ff], 1)],
  [
    '[ZON2] buddy',
    /the list counts/,
    (k) => {
      const at = k.mem.zones.listHead.findIndex((f) => f !== -1);
      k.mem.zones.listCount.set([99], at);
    },
  ],
  [
    '[ZON2] buddy',
    /tail is not the end/,
    (k) => {
      const at = k.mem.zones.listHead.findIndex((f) => f !== -1);
      k.mem.zones.listTail.set([5], at);
    },
  ],
  [
    '[ZON2] buddy',
    /on the lists twice/,
    (k) => {
      const { f } = freeBlock(k);
      k.mem.map.link.set([f], f);
    },
  ],
  ['[ZON2] buddy', /links back wrongly/, (k) => k.mem.map.index.set([5], freeBlock(k).f)],
  ['[PT2] page tables', /outside every area/, (k, vpn) => table(k).set(vpn + 601, 1)],
  ['[PT3] page tables', /says it is page/, (k, _vpn, f) => k.mem.map.index.set([1], f)],
  [
    '[PT3] page tables',
    /is writable, and 2 entries/,
    (k, vpn) => {
      const shared = vpn + 200;
      table(k).set(shared, table(k).get(shared) | 1);
    },
  ],
  ['[PT3] page tables', /no private page/, (k, _vpn, f) => k.mem.map.kind.fill(5, f, f + 1)],
  [
    '[PT4] page tables',
    /of its object is/,
    (k) => {
      const object = [...k.objects.values()][0];
      object?.setPage(0, object.page(1) as Frame);
    },
  ],
  [
    '[VMA1] page tables',
    /overlaps|is empty/,
    (k) => {
      const [first, second] = (k.tasks[0] as (typeof k.tasks)[number]).mm.vmas;
      if (first !== undefined && second !== undefined) first.endVpn = second.startVpn + 1;
    },
  ],
  [
    '[VMA1] page tables',
    /is empty/,
    (k) => {
      const [first] = (k.tasks[0] as (typeof k.tasks)[number]).mm.vmas;
      if (first !== undefined) first.endVpn = first.startVpn;
    },
  ],
  [
    '[VMS1] counters',
    /2 hits and 1 misses[\s\S]*numa_miss sums up to 5, numa_foreign to 0/,
    (k) => {
      const row = { numa_hit: 2, numa_miss: 1, numa_foreign: 0, interleave_hit: 0 };
      const numastat = () => ({ ...row, local_node: 2, other_node: 0 });
      Object.defineProperty(k.mem.stat, 'numastat', { value: numastat });
    },
  ],
  ['[VMS3] counters', /are in use/, (k) => k.mem.stat.countFree(1)],
];

describe('one thing broken', () => {
  test.each(broken)('%s: %s', (name, finding, breakIt) => {
    const { k, vpn, frame } = healthy();
    breakIt(k, vpn, frame);
    const judge = CHECKERS[name.replace(/^\S+ /, '')] as (typeof CHECKERS)[string];
    expect(judge(k).join('\n')).toMatch(finding);
    expect(checkAll(k).length).toBeGreaterThan(0);
  });

  test('findings after the first twenty are counted', () => {
    const { k, vpn } = healthy();
    for (let i = 0; i < 90; i++) table(k).set(vpn + i, 0);
    const found = CHECKERS['frames']?.(k) ?? [];
    expect(found).toHaveLength(21);
    expect(found.at(-1)).toMatch(/^frames: and \d+ more$/);
  });
});

describe('cpusets', () => {
  const broken: readonly [string, RegExp, (k: Kernel) => void][] = [
    [
      '[CPS2] mems of a task',
      /T0 may use 0, its cpuset 0-1/,
      (k) => {
        (k.tasks[0] as (typeof k.tasks)[number]).memsAllowed = Nodemask.of(0);
      },
    ],
    [
      '[CPS9] effective mems',
      /effective 1/,
      (k) => {
        groupOf(k, 'a').effectiveMems = Nodemask.of(1);
      },
    ],
    [
      '[CPS9] more than the parent',
      /has mems 2, its parent 0-1/,
      (k) => {
        groupOf(k, 'a/x').mems = Nodemask.of(2);
      },
    ],
    [
      '[CPS9] CPUs the parent has not',
      /has CPUs 3, its parent 0,1/,
      (k) => {
        groupOf(k, 'a/x').cpus = [cpuId(3)];
      },
    ],
    [
      '[CPS10] exclusive alone',
      /is mem_exclusive, its parent is not/,
      (k) => {
        groupOf(k, 'a/x').flags = new Set(['mem_exclusive']);
      },
    ],
    [
      '[CPS10] shared mems',
      /share mems/,
      (k) => {
        groupOf(k, 'b').flags = new Set(['mem_exclusive']);
      },
    ],
    [
      '[CPS10] shared CPUs',
      /share CPUs/,
      (k) => {
        groupOf(k, 'a').flags = new Set(['cpu_exclusive']);
      },
    ],
    [
      '[CPS14] emptied',
      /has no mems/,
      (k) => {
        groupOf(k, 'a').mems = Nodemask.EMPTY;
      },
    ],
    [
      '[CPS15] on a foreign CPU',
      /runs on CPU 3/,
      (k) => {
        (k.tasks[0] as (typeof k.tasks)[number]).cpu = cpuId(3);
      },
    ],
  ];

  test.each(broken)('%s', (_name, finding, breakIt) => {
    const made = (name: string, mems: string): string =>
      `sys mkdir /cpuset/${name}
      sys write /cpuset/${name}/cpuset.cpus 0-1
      sys write /cpuset/${name}/cpuset.mems ${mems}`;
    const { kernel: k } = play(`
      ${made('a', '0-1')}
      ${made('a/x', '1')}
      ${made('b', '1-2')}
      sys move T0 /cpuset/a
    `);
    expect(checkAll(k)).toEqual([]);
    breakIt(k);
    expect(CHECKERS['cpusets']?.(k).join('\n')).toMatch(finding);
  });
});

describe('zonelists', () => {
  const withLists = (
    fallback: Record<number, number[]>,
    design: Design = stock,
  ): readonly string[] => {
    const { kernel: k } = play('T0 get_mempolicy', { machine: bootDevice(), design });
    const lists = { ...k.mem.lists, fallback: [...k.mem.lists.fallback] };
    for (const [nid, zones] of Object.entries(fallback)) {
      const list = {
        zones: Int16Array.from(zones),
        owner: nodeId(Number(nid)),
        kind: LIST.FALLBACK,
      };
      lists.fallback[Number(nid)] = list;
    }
    k.allocator.lists = lists;
    return CHECKERS['zonelists']?.(k) ?? [];
  };

  test.each([
    ['[ZL1] a zone twice', { 0: [0, 1, 1, 2] }, /has a zone twice/],
    ['[ZL2] another node first', { 0: [1, 0, 2] }, /does not start with its own/],
    ['[ZL5] a nearer node later', { 0: [0, 2, 1] }, /nearer than/],
    ['[ZL4] back to a node', { 0: [0, 1, 0, 2] }, /goes back to a node/],
    ['[DES1] a node left out', { 1: [1, 0] }, /should hold nodes 0 1 2 under stock/],
  ])('%s', (_name, fallback, finding) => {
    expect(withLists(fallback).join('\n')).toMatch(finding);
  });

  test('[DES3] [DES4] a device in the list of another, and of a device going on', () => {
    expect(withLists({ 0: [0, 1, 2] }, findDesign('zonelist')).join()).toMatch(
      /should hold nodes 0 1 /,
    );
    expect(withLists({ 2: [2, 0, 1] }, findDesign('limited-node')).join()).toMatch(/nodes 2 under/);
  });

  test('[ZL3] a NOFALLBACK list with a foreign zone', () => {
    const { kernel: k } = play('T0 get_mempolicy');
    const noFallback = [...k.mem.lists.noFallback];
    const foreign = { zones: Int16Array.of(0), owner: nodeId(1), kind: LIST.NOFALLBACK };
    noFallback[1] = foreign;
    k.allocator.lists = { ...k.mem.lists, noFallback };
    expect(checkAll(k).join()).toMatch(/NOFALLBACK list of node 1/);
  });

  test('[ZL1] a design that we do not know is judged by what all lists must be', () => {
    const design: Design = {
      ...stock,
      id: 'unknown',
      answers: { fallbackListHolds: (owner, candidate) => owner === candidate },
    };
    expect(withLists({}, design)).toEqual([]);
    expect(withLists({ 0: [0, 0] }, design).join()).toMatch(/twice/);
  });
});

describe('the promise', () => {
  test('[PRM1] is broken by any page that nobody asked for, and says which', () => {
    const design: Design = {
      ...stock,
      id: 'boaster',
      promise: { text: 'Nothing lands on node 2.', isolated: () => Nodemask.of(2) },
    };
    const { kernel } = play('T0 mmap R0 90000 anon\nT0 touch R0 -> KILLED', {
      machine: bench(),
      design,
    });
    expect(checkAll(kernel).join()).toMatch(
      /promise: \d+ pages \(page fault, policy: default\) are on node 2, .*Nothing lands on node 2/,
    );
  });

  test('[PRM1] is kept by pages that a policy or the request itself asked for', () => {
    const { kernel } = play(
      'T0 mmap R0 8 anon\nT0 mbind R0 0 4 bind 2\nT0 touch R0\nT0 move_pages R0 4 4 2',
      { machine: bench(), design: findDesign('zonelist') },
    );
    expect(checkAll(kernel)).toEqual([]);
  });
});

describe('fresh pages', () => {
  test('[PLC3] a page outside the mask that binds its area is found, once', () => {
    const { kernel: k, session } = play('T0 mmap R0 8 anon\nT0 mbind R0 0 4 bind 1');
    const fresh = new FreshPages();
    const task = k.tasks[0] as (typeof k.tasks)[number];
    const { startVpn } = session.runner.regionsOf('T0').range({ region: 'R0' });
    fresh.note(k);
    touchPages(k, task, startVpn, 2, true);
    expect(fresh.check(k, task)).toEqual([]);
    touchPages(k, task, startVpn + 2, 6, true);
    const area = task.mm.lookup(startVpn);
    if (area?.policy != null) area.policy.nodes = Nodemask.of(0);
    expect(fresh.check(k, task).join()).toMatch(/is on node 1, though bound to 0/);
    expect(fresh.check(k, task)).toEqual([]);
  });

  test('[CPS3] a page outside the cpuset of its task is found', () => {
    const { kernel: k, session } = play('T0 mmap R0 8 anon');
    const fresh = new FreshPages();
    const task = k.tasks[0] as (typeof k.tasks)[number];
    const { startVpn } = session.runner.regionsOf('T0').range({ region: 'R0' });
    fresh.note(k);
    touchPages(k, task, startVpn, 1, true);
    task.cpuset.effectiveMems = Nodemask.of(1);
    expect(fresh.check(k, task).join()).toMatch(/is on node 0, outside cpuset mems 1/);
  });

  test('[PLC3] a mask that the cpuset shares nothing with binds nobody, and moved pages are not fresh', () => {
    const { kernel: k, session } = play(
      'T0 mmap R0 8 anon\nT0 touch R0 0 1\nT0 set_mempolicy bind 0',
    );
    const fresh = new FreshPages();
    const task = k.tasks[0] as (typeof k.tasks)[number];
    fresh.note(k);
    session.runner.run({
      text: '',
      expect: [],
      act: {
        on: 'task',
        task: 'T0',
        act: {
          verb: 'move_pages',
          region: 'R0',
          offset: 0,
          nrPages: 1,
          nodes: [1],
          moveAll: false,
        },
      },
    });
    expect(fresh.check(k, task)).toEqual([]);
    const { startVpn } = session.runner.regionsOf('T0').range({ region: 'R0' });
    expect(pteIsPage(task.mm.pageTable.get(startVpn))).toBe(true);
  });
});
