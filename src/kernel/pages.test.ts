// Pages: how faults fill them, how forks share them, how they move, and where kernel pages come
// from.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { machineOf, machineShape } from '../../test/support/machines.ts';
import { bench, play } from '../../test/support/play.ts';
import { check } from '../../test/support/property.ts';
import { checkAll } from '../checkers/index.ts';
import { DESIGNS, findDesign } from '../designs/index.ts';
import { stock } from '../designs/stock.ts';
import type { OpResult, TaskAct } from '../scenario/ops.ts';
import { Runner } from '../scenario/runner.ts';
import { touchPages } from './fault.ts';
import { residentPages } from './oom.ts';
import type { PageTable } from './page_table.ts';
import { stateHash } from './state_hash.ts';

describe('faults', () => {
  test('[FLT1] the tables above a page come first, from the top down, and only once', () => {
    const { kernel, session } = play('T0 mmap R0 1030 anon');
    const table = session.runner.tasks.get('T0')?.mm.pageTable as PageTable;
    const { startVpn } = session.runner.regionsOf('T0').range({ region: 'R0' });
    const nrTables = (): number => [...table.tableFrames()].length;
    const before = nrTables();
    expect(table.missing(startVpn)).toBe(3);
    const task = kernel.tasks[0] as (typeof kernel.tasks)[number];
    touchPages(kernel, task, startVpn, 1, false);
    expect(nrTables()).toBe(before + 3);
    touchPages(kernel, task, startVpn, 512, true);
    expect(nrTables()).toBe(before + 3);
    touchPages(kernel, task, startVpn + 512, 1, true);
    expect(nrTables()).toBe(before + 4);
    expect(table.missing(startVpn + 1024)).toBe(1);
  });

  test('[FLT4] a read of private memory maps the zero page, and a write replaces it', () => {
    play(`
      T0 mmap R0 4 anon
      T0 read R0 -> 0; read 4
      T0 where R0 -> nodes EFAULT:4
      T0 node_at R0 0 -> node 0
      T0 mbind R0 0 4 bind 1
      T0 touch R0 1 2
      T0 where R0 -> nodes 1:2 EFAULT:2
    `);
  });

  test('[FLT5] a hole ends the touch; the pages before it are done', () => {
    play(`
      T0 mmap R0 8 anon
      T0 munmap R0 5 1
      T0 touch R0 0 8 -> SIGSEGV; touched 5
      T0 where R0 0 5 -> nodes 0:5
      T0 touch R3 0 1 -> SIGSEGV; touched 0
      T0 touch R0 6 2 -> 0
    `);
  });

  test('[FLT2] the only owner writes in place, others get a copy by their own policy', () => {
    play(`
      T0 mmap R0 6 anon
      T0 touch R0
      fork T0 T1
      T1 set_mempolicy bind 1
      T1 touch R0 0 2
      T1 where R0 -> nodes 0:4 1:2
      T0 set_mempolicy bind 1
      T0 touch R0 0 4
      T0 where R0 -> nodes 0:4 1:2
      T1 where R0 -> nodes 0:4 1:2
      T1 exit
      T0 touch R0
      T0 where R0 -> nodes 0:4 1:2
    `);
  });
});

test('[FLT7] faults by mlock, populating and a question for a node are not retried', () => {
  const text = (line: string) => `
    T0 set_mempolicy preferred 2
    T0 mmap R0 4 anon
    T0 ${line}
    T0 get_mempolicy -> mode preferred
  `;
  const input = { design: findDesign('limited-node') };
  play(text('mlock R0 0 4 -> EAGAIN'), input);
  play(text('madvise R0 0 4 populate_write -> ENOMEM'), input);
  play(text('node_at R0 0 -> ENOMEM'), input);
  play(text('mmap R1 4 anon-populate -> 0'), input);
});

/** A drawn run of touches over a few areas with policies, and memory that may run out. */
const touches = fc.record({
  shape: machineShape({ maxNodes: 4 }),
  design: fc.nat(DESIGNS.length - 1),
  before: fc.array(
    fc.constantFrom(
      'set_mempolicy bind 1',
      'set_mempolicy preferred 1',
      'set_mempolicy interleave 0,1',
      'set_mempolicy preferred_many 1,2',
      'mbind R0 10 50 bind 0',
      'mbind R0 40 60 interleave 0,1',
      'mbind R1 0 30 preferred 1',
      'read R0 20 30',
      'touch R0 35 5',
      'mlock R0 60 10',
      'fork',
    ),
    { maxLength: 6 },
  ),
  ranges: fc.array(
    fc.record({
      region: fc.constantFrom('R0', 'R1'),
      offset: fc.nat(600),
      nrPages: fc.integer({ min: 1, max: 700 }),
      isWrite: fc.boolean(),
    }),
    { minLength: 1, maxLength: 6 },
  ),
});

test('[FLT3] touching a range at once is touching it page by page', () => {
  check(touches, 60, ({ shape, design, before, ranges }) => {
    const machine = machineOf(shape);
    const names = { tasks: { T0: 0, T1: 1 }, regions: { R0: 0, R1: 1 } };
    const make = () => new Runner(machine, DESIGNS[design] ?? stock, names);
    const [whole, single] = [make(), make()];
    const ids = machine.nodes.map((n) => n.id);
    const onNodes = (text: string): string =>
      text.replace(/(?<=bind |preferred |interleave |preferred_many )[\d,]+/, (list) =>
        list
          .split(',')
          .map((i) => ids[Number(i) % ids.length])
          .join(),
      );
    for (const line of ['mmap R0 900 anon', 'mmap R1 1300 shared', ...before.map(onNodes)]) {
      for (const runner of [whole, single]) runLine(runner, line);
    }
    for (const { region, offset, nrPages, isWrite } of ranges) {
      const act = (from: number, count: number): TaskAct => ({
        verb: isWrite ? 'touch' : 'read',
        region,
        offset: from,
        nrPages: count,
      });
      const atOnce = runAct(whole, act(offset, nrPages));
      let done = 0;
      let last: OpResult = { ret: 0 };
      for (; done < nrPages; done++) {
        last = runAct(single, act(offset + done, 1));
        if (last.ret !== 0) break;
      }
      expect(last.ret).toBe(atOnce.ret);
      if (typeof atOnce['touched'] === 'number') expect(done).toBe(atOnce['touched']);
      expect(stateHash(single.kernel)).toBe(stateHash(whole.kernel));
    }
    // What is given back later must find the per-CPU lists in the same state too.
    for (const runner of [whole, single]) runLine(runner, 'munmap R0');
    expect(stateHash(single.kernel)).toBe(stateHash(whole.kernel));
  });
});

const runAct = (runner: Runner, act: TaskAct): OpResult =>
  runner.run({ text: act.verb, expect: [], act: { on: 'task', task: 'T0', act } });

/** A few lines of the language by hand, without a scenario around them. */
function runLine(runner: Runner, line: string): void {
  const [verb = '', ...w] = line.split(' ');
  const n = (i: number) => Number(w[i]);
  const nodes = (text: string | undefined) => (text ?? '').split(',').map(Number);
  const mode = (text: string | undefined) => ({ mode: text ?? '', flags: [] });
  const region = w[0] ?? '';
  const range = { region, offset: n(1), nrPages: n(2) };
  if (verb === 'fork') {
    if (runner.tasks.has('T1')) return;
    runner.run({ text: line, expect: [], act: { on: 'fork', parent: 'T0', child: 'T1' } });
  } else if (verb === 'mmap') {
    const kind = w[2] === 'shared' ? 'shared' : 'anon';
    runAct(runner, { verb, region, nrPages: n(1), kind, shift: 0 });
  } else if (verb === 'set_mempolicy') {
    runAct(runner, { verb, mode: mode(w[0]), nodes: nodes(w[1]) });
  } else if (verb === 'mbind') {
    const more = { words: [], rawFlags: 0, addressOffsetBytes: 0 };
    runAct(runner, { verb, ...range, mode: mode(w[3]), nodes: nodes(w[4]), ...more });
  } else if (verb === 'touch' || verb === 'read' || verb === 'mlock') {
    runAct(runner, { verb, ...range });
  } else if (verb === 'munmap') runAct(runner, { verb, region });
  else throw new Error(line);
}

describe('forks', () => {
  test('[FRK1] private pages are shared until one writes, shared memory stays shared', () => {
    const { kernel } = play(`
      T0 mmap R0 4 anon
      T0 touch R0
      T0 mmap R1 4 shared
      T0 touch R1
      fork T0 T1
      T1 where R0 -> nodes 0:4
      T1 touch R1
      T1 touch R0 0 1
      T0 mbind R0 0 4 bind 1 move
      T0 where R0 -> nodes 0:3 1:1
      T1 where R0 -> nodes 0:4
    `);
    expect(checkAll(kernel)).toEqual([]);
  });

  test('[FRK2] entries of shared memory are not copied: the child faults them in', () => {
    play(`
      T0 mmap R0 4 shared
      T0 touch R0
      fork T0 T1
      T1 where R0 -> nodes ENOENT:4
      T1 read R0 2 1
      T1 where R0 -> nodes 0:4
    `);
  });

  test('[FRK4] the child has policy, turn, CPU, cpuset and areas of its parent', () => {
    const { kernel } = play(`
      sys mkdir /sys/fs/cgroup/a
      sys write /sys/fs/cgroup/a/cpuset.mems 0,1
      sys move T0 /sys/fs/cgroup/a
      T0 cpu 3
      T0 set_mempolicy preferred 1
      T0 mmap R0 4 anon
      T0 mbind R0 0 4 bind 0
      fork T0 T1
      T1 get_mempolicy -> mode preferred; nodes 1
      T1 policy_at R0 0 -> mode bind; nodes 0
      T1 mems_allowed -> nodes 0,1
      T1 set_mempolicy default none
      T0 get_mempolicy -> mode preferred; nodes 1
    `);
    const [parent, child] = kernel.tasks;
    expect(child?.cpu).toBe(parent?.cpu);
    expect(child?.cpuset).toBe(parent?.cpuset);
  });

  test('[FRK5] dontfork keeps an area from the child, wipeonfork empties it there', () => {
    play(`
      T0 mmap R0 4 anon
      T0 mmap R1 4 anon
      T0 touch R0
      T0 touch R1
      T0 madvise R0 0 2 dontfork
      T0 madvise R1 0 2 wipeonfork
      fork T0 T1
      T1 touch R0 0 1 -> SIGSEGV
      T1 where R0 2 2 -> nodes 0:2
      T1 where R1 -> nodes 0:2 EFAULT:2
      T1 touch R1 0 1 -> 0
      T0 where R1 -> nodes 0:4
    `);
  });

  test('[FRK3] kernel pages of a fork show in the turn of an interleaving parent, and nowhere else', () => {
    const turn = (nodes: string): number => {
      const { kernel } = play(`T0 set_mempolicy interleave ${nodes}\nfork T0 T1`);
      return kernel.tasks[0]?.interleavePrev ?? -1;
    };
    expect([turn('0,1'), turn('0,1,2')]).toMatchInlineSnapshot(`
      [
        0,
        0,
      ]
    `);
    const { kernel } = play('T0 set_mempolicy interleave 0,1\nfork T0 T1');
    expect(kernel.mem.map.kind.includes(2)).toBe(false);
  });

  test('[FRK7] the child has the leaves of written areas even where their entries are gone', () => {
    const { session } = play(`
      T0 mmap R0 1030 anon
      T0 touch R0 512 1
      T0 madvise R0 512 1 dontneed
      T0 mmap R1 4 anon
      T0 read R1
      fork T0 T1
    `);
    const table = session.runner.tasks.get('T1')?.mm.pageTable;
    const at = (region: string) => session.runner.regionsOf('T1').range({ region }).startVpn;
    expect(table?.missing(at('R0') + 512)).toBe(0);
    expect(table?.missing(at('R0'))).toBe(1);
    expect(table?.missing(at('R1'))).toBe(2);
  });

  test('[FRK6] exit gives back all that only the task used; the dead do nothing more', () => {
    const { kernel } = play(`
      T0 mmap R0 600 anon
      T0 touch R0
      fork T0 T1
      T1 touch R0 0 100
      T0 exit -> 0
      T0 touch R0 -> DEAD
      T0 get_mempolicy -> DEAD
      fork T0 T2 -> DEAD
      T3 touch R0 -> ENOTASK
      T1 where R0 -> nodes 0:600
      T1 exit
    `);
    expect(checkAll(kernel)).toEqual([]);
    expect(kernel.mem.map.kind.some((kind) => kind > 1)).toBe(false);
    expect(kernel.liveTasks()).toEqual([]);
  });
});

describe('pages that move', () => {
  test('[MIG1] a moved page is where it was for all who map it', () => {
    const { kernel } = play(`
      T0 mmap R0 4 anon
      T0 touch R0
      T0 mmap R1 4 shared
      T0 touch R1
      fork T0 T1
      T1 read R1
      T1 move_pages R0 0 4 1 moveall -> 0
      T1 move_pages R1 0 4 2 moveall -> 0
      T0 where R0 -> nodes 1:4
      T1 where R0 -> nodes 1:4
      T0 where R1 -> nodes 2:4
      T1 where R1 -> nodes 2:4
    `);
    expect(checkAll(kernel)).toEqual([]);
    const moves = kernel.moves
      .rows()
      .map((row) => `${row.cause} ${row.from}>${row.to} ${row.nrPages}`);
    expect(moves).toEqual(['move_pages 0>1 4', 'move_pages 0>2 4']);
  });

  test('[MIG2] policies do not matter to a move with a target', () => {
    play(`
      T0 set_mempolicy bind 0
      T0 mmap R0 4 anon
      T0 mbind R0 0 4 bind 0
      T0 touch R0
      T0 move_pages R0 0 4 2 -> 0
      T0 where R0 -> nodes 2:4
      T0 migrate_pages 2 1 -> 0
      T0 where R0 -> nodes 1:4
    `);
  });

  test('[MIG3] migrate_pages keeps relative places, and does not chase its own pages', () => {
    play(`
      T0 mmap R0 6 anon
      T0 mbind R0 0 2 bind 0
      T0 mbind R0 2 2 bind 1
      T0 mbind R0 4 2 bind 2
      T0 touch R0
      T0 migrate_pages 0,1 1,2 -> 0
      T0 where R0 0 2 -> nodes 1:2
      T0 where R0 2 4 -> nodes 2:4
      T0 migrate_pages 1,2 1 -> 0
      T0 where R0 -> nodes 1:6
      T0 migrate_pages 1 0,1,2 -> 0
      T0 where R0 -> nodes 1:6
    `);
  });

  test('[MIG5] a page that others map is EACCES unless moveall is asked for', () => {
    const { steps } = play(`
      T0 mmap R0 4 anon
      T0 touch R0
      fork T0 T1
      T0 touch R0 0 1
      T0 move_pages R0 0 4 1
      T0 where R0 -> nodes 0:3 1:1
      T0 migrate_pages 0 1 -> 0
      T1 where R0 -> nodes 0:1 1:3
    `);
    expect(steps[4]?.result['status']).toEqual([
      [1, 1],
      ['EACCES', 3],
    ]);
  });

  test('[MIG6] targets outside the cpuset of the owner are EACCES', () => {
    play(`
      sys mkdir /sys/fs/cgroup/a
      sys write /sys/fs/cgroup/a/cpuset.mems 0,1
      fork T0 T1
      sys move T1 /sys/fs/cgroup/a
      T1 mmap R0 4 anon
      T1 touch R0
      T0 move_pages R0 0 4 2 pid=T1 -> EACCES
      T0 move_pages R0 0 4 1 pid=T1 -> 0
      T1 migrate_pages 1 2 -> EINVAL
    `);
  });

  test('[EXH3] [MIG7] a full target ends the move with ENOMEM; what is not moved stays', () => {
    const { kernel, last } = play(`
      T0 mmap R1 16270 anon
      T0 mbind R1 0 16270 bind 2
      T0 touch R1
      T0 mmap R0 64 anon
      T0 touch R0
      T0 move_pages R0 0 64 2 -> ENOMEM
      T0 where R0
    `);
    const counts = last['counts'] as Record<string, number>;
    expect((counts[0] ?? 0) + (counts[2] ?? 0)).toBe(64);
    expect(counts[0]).toBeGreaterThan(0);
    const { pgmigrate_fail: failed, pgmigrate_success: moved } = kernel.mem.stat.eventCounts();
    expect([failed, moved]).toEqual([counts[0], counts[2] ?? 0]);
  });

  test('[PLC1] [PLC2] every page is counted once, asked for or not', () => {
    const { kernel } = play(`
      T0 mmap R0 8 anon
      T0 touch R0 0 2
      T0 mbind R0 2 4 preferred 2
      T0 touch R0 0 6
      T0 move_pages R0 0 1 1
      T0 set_mempolicy bind 1
      T0 touch R0 6 2
    `);
    const rows = kernel.placements.rows().filter((row) => row.purpose !== 'page table');
    const text = rows.map((r) => `${r.purpose}/${r.from}/${r.isAsked}/${r.nid}: ${r.nrPages}`);
    // The page of the program itself is one more under the default policy.
    expect(text.sort()).toEqual([
      'migration target/node named/true/1: 1',
      'page fault/area/true/2: 4',
      'page fault/default/false/0: 3',
      'page fault/task/true/1: 2',
    ]);
  });
});

test('[FRK3] the program itself is one page that no operation names', () => {
  const { kernel } = play('T0 get_mempolicy');
  const task = kernel.tasks[0] as (typeof kernel.tasks)[number];
  expect(residentPages(task)).toBe(1);
  expect(task.mm.vmas.map((vma) => vma.endVpn - vma.startVpn)).toEqual([1]);
  expect(bench().nodes.length).toBe(5);
});
