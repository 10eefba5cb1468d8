// Memory policies: where pages land, what follows the cpuset, what programs are shown.
import { describe, expect, test } from 'vitest';
import { bench, bootDevice, play } from '../../test/support/play.ts';
import { findDesign } from '../designs/index.ts';
import { MPOL_INTERLEAVE, MPOL_LOCAL } from '../hooks/policy_modes.ts';
import { ZONE_DMA32, ZONE_MOVABLE, ZONE_NORMAL } from '../mm/gfp.ts';
import { fromRunList, type RunList } from '../scenario/run_list.ts';
import { Mempolicy } from './mempolicy.ts';

describe('where pages of a task land', () => {
  test('[POL17] without a policy on the node of the CPU, wherever the task has moved', () => {
    play(`
      T0 mmap R0 8 anon
      T0 touch R0 0 2
      T0 cpu 3 -> node 1
      T0 touch R0 2 2
      T0 set_mempolicy local none
      T0 touch R0 4 2
      T0 where R0 0 6 -> nodes 0:2 1:4
    `);
  });

  test('[POL17] on the nearest node when the CPU is on a node without memory', () => {
    play(`
      T0 cpu 4 -> node 3
      T0 mmap R0 4 anon
      T0 touch R0
      T0 where R0 -> nodes 1:4
    `);
  });

  test('[POL4] bound: on the nodes of the mask, the nearest to the CPU first', () => {
    play(`
      T0 set_mempolicy bind 1,2
      T0 mmap R0 8 anon
      T0 touch R0 0 4
      T0 where R0 0 4 -> nodes 1:4
      T0 set_mempolicy bind 0,2
      T0 cpu 2
      T0 touch R0 4 4
      T0 where R0 4 4 -> nodes 0:4
    `);
  });

  test('[POL4] [EXH2] bound and full: nothing outside the mask, and the task is killed', () => {
    play(`
      T0 set_mempolicy bind 2
      T0 mmap R0 20000 anon
      T0 touch R0 -> KILLED
      T0 where R0 -> DEAD
    `);
  });

  test('[POL6] preferred: on the node while it has room, then by its own list', () => {
    const { last } = play(`
      T0 set_mempolicy preferred 2
      T0 mmap R0 20000 anon
      T0 touch R0 -> 0
      T0 where R0
    `);
    const counts = last['counts'] as Record<string, number>;
    expect(Object.keys(counts)).toEqual(['0', '2']);
    expect(counts[2]).toBeGreaterThan(15_000);
  });

  test('[POL7] preferred_many: on any of the nodes first, then anywhere', () => {
    const { last } = play(`
      T0 cpu 2
      T0 set_mempolicy preferred_many 2
      T0 mmap R0 20000 anon
      T0 touch R0 -> 0
      T0 where R0
    `);
    const counts = last['counts'] as Record<string, number>;
    expect(Object.keys(counts)).toEqual(['1', '2']);
    expect(counts[1]).toBeLessThan(5000);
  });

  test('[POL8] interleaved: each page of an area by its own number, whoever is first', () => {
    play(`
      T0 set_mempolicy interleave 0,1,2
      T0 mmap R0 12 anon
      T0 touch R0 5 1
      T0 touch R0
      T0 where R0 0 1 -> nodes 0:1
      T0 where R0 1 1 -> nodes 1:1
      T0 where R0 5 1 -> nodes 2:1
      T0 where R0 -> nodes 0:4 1:4 2:4
      T0 munmap R0
      T0 mmap R0 6 anon shift=1
      T0 touch R0
      T0 where R0 1 1 -> nodes 1:1
    `);
  });

  test('[POL8] a node of an interleave that is full passes the page on by its list', () => {
    play(`
      T0 set_mempolicy bind 2
      T0 mmap R1 16270 anon
      T0 touch R1
      T0 set_mempolicy interleave 1,2
      T0 mmap R0 4 anon
      T0 touch R0
      T0 where R0 -> nodes 0:2 1:2
    `);
  });

  test('[POL9] kernel pages of an interleaving task take the turns of its counter', () => {
    play(`
      T0 set_mempolicy interleave 0,1
      T0 next_node -> node 0
      T0 mmap R0 4 anon
      T0 tables R0 0 1
      T0 next_node -> node 1
      T0 touch R0
      T0 next_node -> node 1
    `);
  });

  test('[POL3] page tables follow the policy of the task, not that of the area', () => {
    const text = (policy: string) => `
      T0 set_mempolicy ${policy}
      T0 mmap R0 4 anon
      T0 mbind R0 0 4 bind 0
      T0 touch R0
      T0 where R0 -> nodes 0:4
    `;
    const tables = (policy: string): number[] => {
      const { kernel } = play(text(policy));
      const space = kernel.tasks[0]?.mm;
      return [...(space?.pageTable.tableFrames() ?? [])].map((f) => kernel.allocator.nidOf(f));
    };
    const atStart = tables('default none').length - 3;
    expect(tables('bind 1').filter((nid) => nid === 1).length).toBe(3);
    expect(tables('preferred 1').filter((nid) => nid === 1).length).toBe(3);
    expect(tables('default none').filter((nid) => nid === 0).length).toBe(3 + atStart);
  });

  test('[POL5] a mask of Movable memory does not bind requests that cannot use such memory', () => {
    play(`
      T0 set_mempolicy bind 2
      T0 mmap R0 4 anon
      T0 touch R0 -> 0
      T0 where R0 -> nodes 2:4
    `);
    const { kernel } = play('T0 set_mempolicy bind 2\nT0 mmap R0 4 anon\nT0 touch R0');
    const frames = [...(kernel.tasks[0]?.mm.pageTable.tableFrames() ?? [])];
    expect(frames.every((f) => kernel.allocator.nidOf(f) === 0)).toBe(true);
  });

  test('[POL5] a mask of memory the kernel can use binds its requests from policy_zone up', () => {
    const types = (nodes: string): Set<number> => {
      const { kernel } = play(`T0 set_mempolicy bind ${nodes}\nT0 mmap R0 4 anon\nT0 touch R0`);
      const frames = [...(kernel.tasks[0]?.mm.pageTable.tableFrames() ?? [])].slice(-3);
      return new Set(
        frames.map((f) => kernel.mem.zones.type[kernel.mem.buddy.zoneOf(f)] as number),
      );
    };
    expect(play('T0 get_mempolicy').kernel.mem.lists.policyZone).toBe(ZONE_NORMAL);
    expect([...types('0')]).toEqual([ZONE_NORMAL]);
    expect([...types('2')]).not.toContain(ZONE_MOVABLE);
    expect(ZONE_DMA32).toBeLessThan(ZONE_NORMAL);
  });
});

describe('which policy counts', () => {
  test('[POL18] the area before the task, the task before the default', () => {
    play(`
      T0 set_mempolicy bind 1
      T0 mmap R0 6 anon
      T0 mbind R0 2 2 preferred 2
      T0 touch R0
      T0 where R0 -> nodes 1:4 2:2
      T0 mbind R0 2 2 default none
      T0 madvise R0 2 2 dontneed
      T0 touch R0
      T0 where R0 -> nodes 1:6
    `);
  });

  test('[POL18] a policy set later moves nothing that is there', () => {
    play(`
      T0 mmap R0 4 anon
      T0 touch R0 0 2
      T0 set_mempolicy bind 1
      T0 touch R0
      T0 where R0 -> nodes 0:2 1:2
    `);
  });
});

describe('home nodes', () => {
  test('[HOM2] bound areas with a home node start from its list', () => {
    play(`
      T0 cpu 2
      T0 mmap R0 8 anon
      T0 mbind R0 0 8 bind 0,1,2
      T0 touch R0 0 2
      T0 set_home R0 0 8 2 -> 0
      T0 touch R0 2 2
      T0 set_home R0 0 8 3 -> 0
      T0 touch R0 4 2
      T0 where R0 0 6 -> nodes 1:4 2:2
    `);
  });

  test('[HOM2] a home node outside the mask decides only which node of the mask is nearest', () => {
    play(`
      T0 cpu 2
      T0 mmap R0 4 anon
      T0 mbind R0 0 4 bind 0,1 -> 0
      T0 set_home R0 0 4 2 -> 0
      T0 touch R0
      T0 where R0 -> nodes 0:4
    `);
  });
});

describe('what programs are shown', () => {
  test('[POL19] mode, the flags that were given, and the mask as kept', () => {
    play(`
      T0 get_mempolicy -> mode default
      T0 set_mempolicy bind 0,3 -> 0
      T0 get_mempolicy -> mode bind; nodes 0
      T0 set_mempolicy bind+static 0,3 -> 0
      T0 get_mempolicy -> mode bind; flags static; nodes 0,3
      T0 set_mempolicy interleave+relative 4,5 -> 0
      T0 get_mempolicy -> mode interleave; flags relative; nodes 4,5
      T0 set_mempolicy preferred 1,2 -> 0
      T0 get_mempolicy -> mode preferred; nodes 1
      T0 set_mempolicy preferred none -> 0
      T0 get_mempolicy -> mode local
      T0 set_mempolicy bind+numa_balancing 0,1 -> 0
      T0 get_mempolicy -> mode bind; flags numa_balancing; nodes 0,1
      T0 mems_allowed -> nodes 0,1,2; status 0,1,2
    `);
  });

  test('[POL19] relative masks count within the allowed nodes', () => {
    play(`
      T0 set_mempolicy interleave+relative 4,5
      T0 mmap R0 6 anon
      T0 touch R0
      T0 where R0 -> nodes 1:3 2:3
    `);
  });

  test('[POL19] the node of a page is asked by reading it first', () => {
    play(`
      T0 mmap R0 4 anon
      T0 mbind R0 0 4 bind 1
      T0 node_at R0 1 -> node 0
      T0 where R0 -> nodes EFAULT:4
      T0 touch R0 2 1
      T0 node_at R0 2 -> node 1
      T0 policy_at R0 0 -> mode bind; nodes 1
      T0 mmap R1 4 shared
      T0 mbind R1 0 4 bind 2
      T0 node_at R1 3 -> node 2
    `);
  });

  test('[POL19] policies describe themselves in one line', () => {
    const { kernel } = play('T0 set_mempolicy bind+static 0-2');
    expect(kernel.tasks[0]?.mempolicy?.describe()).toBe('bind+static 0-2');
    const local = new Mempolicy(
      MPOL_LOCAL,
      0,
      kernel.states.cpu.andNot(kernel.states.cpu),
      kernel.states.cpu,
    );
    expect(local.describe()).toBe('local');
    expect(local.dup()).toEqual(local);
  });
});

describe('weighted interleave, an extension from Linux 6.9', () => {
  const options = { hasWeightedInterleave: true };

  test('[POL15] is refused unless it is switched on', () => {
    play('T0 set_mempolicy 6 0,1 -> EINVAL');
    play('T0 set_mempolicy 6 0,1 -> 0', { options });
    play('T0 set_mempolicy 7 0,1 -> EINVAL', { options });
  });

  test('[POL15] gives each node as many pages in a row as it weighs, 1 without a weight', () => {
    const { session, kernel } = play(
      'T0 set_mempolicy 6 0,1,2\nT0 mmap R0 30 anon\nT0 get_mempolicy -> mode weighted_interleave',
      { options },
    );
    kernel.interleaveWeights.set(0, 3);
    kernel.interleaveWeights.set(2, 2);
    const task = session.runner.tasks.get('T0');
    if (task === undefined) throw new Error('there is a first task');
    session.runner.run({
      text: '',
      expect: [],
      act: { on: 'task', task: 'T0', act: { verb: 'touch', region: 'R0' } },
    });
    const where = session.runner.run({
      text: '',
      expect: [],
      act: { on: 'task', task: 'T0', act: { verb: 'where', region: 'R0' } },
    });
    expect(where['counts']).toEqual({ 0: 15, 1: 5, 2: 10 });
    const round = [0, 0, 0, 1, 2, 2];
    expect(fromRunList(where['where'] as RunList)).toEqual(
      [round, round, round, round, round].flat(),
    );
  });

  test('[POL15] without weights it is plain interleave', () => {
    const text = (mode: number) =>
      `T0 set_mempolicy ${mode} 0,2\nT0 mmap R0 10 anon\nT0 touch R0\nT0 where R0`;
    const weighted = play(text(6), { options }).last;
    expect(weighted).toEqual(play(text(MPOL_INTERLEAVE), { options }).last);
  });
});

describe('designs and policies', () => {
  test('[DES3] zonelist and limited-node let a bound task start from the device', () => {
    for (const id of ['zonelist', 'limited-node']) {
      play(
        `
        T0 mmap R0 8 anon
        T0 mbind R0 0 4 bind 2 -> 0
        T0 mbind R0 4 4 bind 0,2 -> 0
        T0 touch R0 -> 0
        T0 where R0 -> nodes 0:4 2:4
        T0 mmap R1 4 anon
        T0 mbind R1 0 4 preferred 2
        T0 touch R1
        T0 where R1 -> nodes 2:4
      `,
        { machine: bench(), design: findDesign(id) },
      );
    }
  });

  test('[FLT6] [DES4] limited-node: kernel pages of a task that prefers the device are never had', () => {
    const { kernel } = play(
      `
      T0 set_mempolicy preferred 2
      T0 mmap R0 4 anon
      T0 touch R0 -> LIVELOCK; touched 0
      sys tasks
    `,
      { design: findDesign('limited-node') },
    );
    expect(kernel.tasks[0]?.end).toBe('SIGKILL');
    expect(kernel.mem.stat.eventCounts().oom_kill).toBe(0);
  });

  test('[DES2] the gate lets bound tasks in, and those that only prefer or interleave not', () => {
    play(
      `
      T0 mmap R0 4 anon
      T0 mbind R0 0 4 bind 2
      T0 touch R0
      T0 where R0 -> nodes 2:4
      T0 mmap R1 4 anon
      T0 mbind R1 0 4 preferred 2
      T0 touch R1
      T0 where R1 -> nodes 0:4
      T0 mmap R2 4 anon
      T0 mbind R2 0 4 interleave 1,2
      T0 touch R2
      T0 where R2 -> nodes 0:2 1:2
      T0 mmap R3 4 anon
      T0 mbind R3 0 4 preferred_many 2
      T0 touch R3
      T0 where R3 -> nodes 2:4
    `,
      { design: findDesign('allocator-gate') },
    );
  });

  test('[DES6] on a device with boot memory, page tables of a task bound to it land there', () => {
    for (const id of ['allocator-gate', 'zonelist', 'limited-node']) {
      const text =
        'T0 set_mempolicy bind 2\nT0 mmap R0 4 anon\nT0 touch R0\nT0 where R0 -> nodes 2:4';
      const { kernel } = play(text, { machine: bootDevice(), design: findDesign(id) });
      const rows = kernel.placements.rows().filter((row) => row.nid === 2 && !row.isAsked);
      expect(
        rows.map((row) => `${row.purpose}/${row.from}`),
        id,
      ).toEqual(['page table/task']);
    }
  });
});
