// Memory that goes offline and comes online while tasks run. Machine: nodes 0 and 1 with a CPU and
// RAM, node 2 a device of two blocks, node 3 a plain expander of three, node 4 a device of two
// blocks that starts offline.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type PlayInput, play } from '../../test/support/play.ts';
import { check } from '../../test/support/property.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { checkAll } from '../checkers/index.ts';
import { DESIGNS, findDesign } from '../designs/index.ts';
import type { Machine } from '../machine/machine.ts';
import { ZONE_MOVABLE, ZONE_NORMAL } from '../mm/gfp.ts';
import type { Kernel } from './kernel.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
/** Pages of a block. */
const BLOCK = (128 * MIB) / 4096;

const range = (start: number, sizeMib: number) => ({ start, size: sizeMib * MIB });

const machine = (ramMib = 192): Machine =>
  machineFrom({
    name: 'plugs',
    arch: 'x86_64',
    nodes: [
      { id: 0, cpus: '0', ranges: [range(4 * GIB, ramMib)] },
      { id: 1, cpus: '1', ranges: [range(5 * GIB, ramMib)] },
      { id: 2, ranges: [range(6 * GIB, 256)], memoryZone: 'movable', device: 'gpu0' },
      { id: 3, ranges: [range(7 * GIB, 384)], memoryZone: 'movable' },
      {
        id: 4,
        ranges: [range(8 * GIB, 256)],
        memoryZone: 'movable',
        device: 'gpu1',
        offlineAtStart: true,
      },
    ],
    distances: [
      [10, 20, 40, 30, 40],
      [20, 10, 60, 30, 60],
      [40, 60, 10, 50, 80],
      [30, 30, 50, 10, 50],
      [40, 60, 80, 50, 10],
    ],
    devices: [
      { name: 'gpu0', kind: 'device', homeNode: 0 },
      { name: 'gpu1', kind: 'device', homeNode: 0 },
    ],
  });

const run = (text: string, input: PlayInput = {}) => {
  const played = play(text, { machine: machine(), ...input });
  expect(checkAll(played.kernel)).toEqual([]);
  return played;
};

const design = (id: string) => {
  const found = findDesign(id);
  if (found === undefined) throw new Error(id);
  return found;
};

const zone = (k: Kernel, nid: number, type: number) => {
  const z = k.mem.zones.find(nid, type);
  if (z === undefined) throw new Error(`node ${nid} has no zone ${type}`);
  const { present, managed, spanned, startPfn, free } = k.mem.zones;
  return {
    present: present[z],
    managed: managed[z],
    spanned: spanned[z],
    startPfn: startPfn[z],
    free: (free[z] as number) + k.mem.pcp.countOf(z),
  };
};

describe('blocks', () => {
  test('[HOT1] go offline from the highest down and come online from the lowest up', () => {
    const { kernel, steps } = run(`
      sys offline_node 3 1 -> 0; blocks 3; changed 1; already 0
      sys offline_node 3 1 -> 0; blocks 3; changed 1; already 1
      sys online_node 3 MOVABLE 1 -> 0; blocks 3; changed 1; already 1
      sys offline_node 3 -> 0; changed 2; already 1
      sys offline_node 3 -> 0; changed 0; already 3
    `);
    expect(steps.map((step) => step.result['errors'])).toEqual([{}, {}, {}, {}, {}]);
    expect(kernel.mem.blocks.filter((b) => b.nid === 3).map((b) => b.zone)).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('[HOT1] a zone reaches from its first online block to its last', () => {
    const { kernel } = run('sys offline_node 3 1');
    const startPfn = (7 * GIB) / 4096;
    const size = 2 * BLOCK;
    const expected = { present: size, managed: size, spanned: size, free: size, startPfn };
    expect(zone(kernel, 3, ZONE_MOVABLE)).toEqual(expected);
    const none = { present: 0, managed: 0, spanned: 0, startPfn: 0, free: 0 };
    expect(zone(run('sys offline_node 3').kernel, 3, ZONE_MOVABLE)).toEqual(none);
  });

  test('[HOT13] boot memory is never taken away', () => {
    expect(() => run('sys remove_node 0')).toThrow(/node 0: none of its memory was hot-plugged/);
  });

  test('[HOT1] a block that memory fills in part only cannot go offline', () => {
    const odd = machine();
    const nodes = odd.nodes.map((n) =>
      n.id === 3 ? { ...n, ranges: [{ startBytes: 7 * GIB, sizeBytes: 192 * MIB }] } : n,
    );
    const { steps } = run('sys offline_node 3 -> EINVAL; blocks 2; changed 1', {
      machine: { ...odd, nodes },
    });
    expect(steps[0]?.result['errors']).toEqual({ block1: 'EINVAL' });
  });

  test('[HOT2] online_kernel gives Normal, online_movable Movable, online what is there', () => {
    const { kernel } = run(`
      sys offline_node 3
      sys online_node 3 KERNEL 1
      sys online_node 3 MOVABLE 1
      sys online_node 4 1
    `);
    expect(zone(kernel, 3, ZONE_NORMAL)).toMatchObject({ present: BLOCK });
    expect(zone(kernel, 3, ZONE_MOVABLE)).toMatchObject({ present: BLOCK });
    expect(zone(kernel, 4, ZONE_NORMAL)).toMatchObject({ present: BLOCK });
    // The middle block of a Movable zone inherits it; one beyond every zone does not.
    const middle = run(`
      sys offline_node 3
      sys online_node 3 MOVABLE
      sys offline_node 3 1
      sys online_node 3
    `);
    expect(zone(middle.kernel, 3, ZONE_NORMAL)).toMatchObject({ present: BLOCK });
    expect(zone(middle.kernel, 3, ZONE_MOVABLE)).toMatchObject({ present: 2 * BLOCK });
  });
});

describe('states and lists', () => {
  test('[HOT3] N_MEMORY and its kin come and go with the blocks, N_ONLINE does not', () => {
    const input = { design: design('allocator-gate') };
    const masks = ({ states }: Kernel) =>
      [states.online, states.memory, states.normalMemory, states.coherentDevice].map(String);
    expect(masks(run('T0 cpu 0', input).kernel)).toEqual(['0-4', '0-3', '0-1', '2']);
    expect(masks(run('sys offline_node 2 1', input).kernel)).toEqual(['0-4', '0-3', '0-1', '2']);
    expect(masks(run('sys offline_node 2', input).kernel)).toEqual(['0-4', '0-1,3', '0-1', '']);
    const kernelZone = run('sys online_node 4 KERNEL', input).kernel;
    expect(masks(kernelZone)).toEqual(['0-4', '0-4', '0-1,4', '2,4']);
    const back = run('sys online_node 4 KERNEL\n sys offline_node 4', input).kernel;
    expect(masks(back)).toEqual(['0-4', '0-3', '0-1', '2']);
  });

  test('[HOT4] lists are built before an emptied node loses its state: the order names it on', () => {
    const { kernel } = run('sys offline_node 2');
    expect(kernel.mem.lists.fallbackOrder[0]).toContain(2);
    const nids = [...(kernel.mem.lists.fallback[0]?.zones ?? [])].map(
      (z) => kernel.mem.zones.nid[z],
    );
    expect(nids).not.toContain(2);
    const next = run('sys offline_node 2\n sys offline_node 3').kernel;
    expect(next.mem.lists.fallbackOrder[0]).not.toContain(2);
    expect(next.mem.lists.fallbackOrder[0]).toContain(3);
  });

  test('[HOT4] a change within a zone that has memory builds no lists', () => {
    const { kernel } = run('sys offline_node 2\n sys online_node 4 1');
    expect(kernel.mem.lists.fallbackOrder[0]).toContain(4);
    const before = kernel.mem.lists;
    kernel.mem.updateWatermarks();
    expect(kernel.mem.lists).toBe(before);
  });

  test('[HOT5] marks are shared out anew over the zones that are left', () => {
    const first = run('T0 cpu 0').kernel.mem;
    const none = run('sys offline_node 2\n sys offline_node 3').kernel.mem;
    expect(none.zones.wmarkMin[0]).toBeGreaterThan((first.zones.wmarkMin[0] as number) * 2);
    const sum = none.zones.wmarkMin.reduce((a, b) => a + b, 0);
    const pages = Math.floor(none.minFreeKb / 4);
    expect(sum).toBeLessThanOrEqual(pages);
    expect(sum).toBeGreaterThan(pages - 5);
  });

  test('[HOT5] min_free_kbytes counts what lies above the high marks of the moment', () => {
    const { mem } = run('sys offline_node 2').kernel;
    const boot = run('T0 cpu 0').kernel.mem;
    expect(mem.minFreeKb).toBeLessThan(boot.minFreeKb);
    expect(mem.minFreeKb).toBeGreaterThan(boot.minFreeKb * 0.98);
  });
});

describe('pages on a block that goes', () => {
  test('[HOT6] go to the next node of its own list, whatever policy and cpuset say', () => {
    run(`
      sys mkdir /sys/fs/cgroup/a
      sys write /sys/fs/cgroup/a/cpuset.mems 1,2
      sys move T0 /sys/fs/cgroup/a
      T0 mmap R0 16 anon
      T0 set_mempolicy bind 2
      T0 touch R0 0 8
      T0 where R0 0 8 -> nodes 2:8
      sys offline_node 2 -> 0
      T0 where R0 0 8 -> nodes 0:8
      T0 get_mempolicy -> mode bind; nodes 1
      T0 touch R0 8 8
      T0 where R0 8 8 -> nodes 1:8
    `);
  });

  test('[HOT6] shared pages go too, mapped or not, and all who map them see it', () => {
    run(`
      T0 mmap R0 16 shared
      T0 touch R0
      T0 move_pages R0 0 16 2
      fork T0 T1
      T1 read R0
      T0 munmap R0 0 8
      sys offline_node 2 -> 0
      T1 where R0 -> nodes 0:16
    `);
  });

  test('[HOT7] stay where the kernel itself has pages: EBUSY, and nothing has moved', () => {
    const { steps } = run(`
      sys online_node 4 KERNEL -> 0
      T0 mmap R0 16 anon
      T0 set_mempolicy bind 4
      T0 touch R0 0 8
      T0 where R0 0 8 -> nodes 4:8
      sys offline_node 4 -> EBUSY; changed 1
      T0 where R0 0 8 -> nodes 4:8
    `);
    expect(steps[5]?.result['errors']).toEqual({ block0: 'EBUSY' });
  });

  test('[HOT8] that find no room stay, and the block with them', () => {
    const text = `
      T0 mmap R0 40000 anon
      T0 mbind R0 0 40000 bind 3
      T0 touch R0 0 40000
      T0 mmap R1 50000 anon
      T0 mbind R1 0 50000 bind 0,1
      T0 touch R1 0 50000 -> 0
      sys offline_node 2 -> 0
      sys offline_node 3 -> EINTR
    `;
    const { kernel, session } = run(text, { machine: machine(128) });
    const rows = kernel.moves.rows().filter((row) => row.cause === 'memory offline');
    expect(new Set(rows.map((row) => row.from))).toEqual(new Set([3]));
    expect(rows.reduce((n, row) => n + row.nrPages, 0)).toBeGreaterThan(1000);
    expect(kernel.states.memory.has(3)).toBe(true);
    expect(session.runner.tasks.get('T0')?.isAlive).toBe(true);
  });

  test('[HOT8] under limited-node nothing ever leaves a device: its list holds no other', () => {
    const text = `
      T0 mmap R0 8 anon
      T0 mbind R0 0 8 bind 2
      T0 touch R0
      sys offline_node 2 -> EINTR; changed 1
      T0 where R0 -> nodes 2:8
    `;
    run(text, { design: design('limited-node') });
    run(text.replace('EINTR; changed 1', '0; changed 2').replace('2:8\n    ', '0:8\n    '), {
      design: design('zonelist'),
    });
  });
});

describe('cpusets and policies', () => {
  test('[HOT9] effective mems follow, falling back to the parent where nothing is left', () => {
    run(`
      sys mkdir /sys/fs/cgroup/a
      sys write /sys/fs/cgroup/a/cpuset.mems 1,2
      sys write /sys/fs/cgroup/a/cgroup.subtree_control +cpuset
      sys mkdir /sys/fs/cgroup/a/x
      sys write /sys/fs/cgroup/a/x/cpuset.mems 2
      sys offline_node 2
      sys read /sys/fs/cgroup/a/cpuset.mems -> value 1-2
      sys read /sys/fs/cgroup/a/cpuset.mems.effective -> value 1
      sys read /sys/fs/cgroup/a/x/cpuset.mems.effective -> value 1
      T0 mems_allowed -> nodes 0,1,3
      sys online_node 2 MOVABLE
      sys read /sys/fs/cgroup/a/x/cpuset.mems.effective -> value 2
      T0 mems_allowed -> nodes 0,1,2,3
    `);
  });

  test('[HOT10] a policy that names a node without memory is cut or refused', () => {
    run(`
      T0 set_mempolicy bind 4 -> EINVAL
      T0 set_mempolicy interleave 0,4 -> 0
      T0 get_mempolicy -> nodes 0
      sys online_node 4 MOVABLE
      T0 get_mempolicy -> nodes 0
      T0 set_mempolicy bind 4 -> 0
      sys offline_node 4
      T0 get_mempolicy -> mode bind; nodes 0
    `);
  });

  test('[HOT10] area policies are remapped with the root cpuset, preferred ones keep their node', () => {
    run(`
      T0 mmap R0 32 anon
      T0 mbind R0 0 16 bind 2
      T0 mbind R0 16 16 preferred 2
      sys offline_node 2
      T0 policy_at R0 0 -> mode bind; nodes 3
      T0 policy_at R0 16 -> mode preferred; nodes 2
      T0 touch R0 16 4
      T0 where R0 16 4 -> nodes 0:4
      sys online_node 2 MOVABLE
      T0 touch R0 20 4
      T0 where R0 20 4 -> nodes 2:4
    `);
  });
});

test('[HOT15] a group of version 1 loses what goes for good; tasks leave one that is empty', () => {
  run(`
    sys mkdir /cpuset/a
    sys write /cpuset/a/cpuset.cpus 0-1
    sys write /cpuset/a/cpuset.mems 0,2-3
    sys mkdir /cpuset/a/b
    sys write /cpuset/a/b/cpuset.cpus 0-1
    sys write /cpuset/a/b/cpuset.mems 2
    sys move T0 /cpuset/a/b -> 0
    T0 mems_allowed -> nodes 2
    sys offline_node 2
    sys read /cpuset/a/cpuset.mems -> value 0,3
    sys read /cpuset/a/cpuset.effective_mems -> value 0,3
    sys read /cpuset/a/b/cpuset.mems -> value ""
    T0 mems_allowed -> nodes 0,3
    sys online_node 2 MOVABLE
    sys read /cpuset/cpuset.mems -> value 0-3
    sys read /cpuset/a/cpuset.mems -> value 0,3
    sys read /cpuset/a/b/cpuset.mems -> value ""
    T0 mems_allowed -> nodes 0,3
  `);
});

/** Something that happens: memory switched, or pages used. */
const happening = fc.oneof(
  fc.record({
    node: fc.constantFrom(2, 3, 4),
    verb: fc.constantFrom('offline_node', 'online_node', 'online_node'),
    zone: fc.constantFrom('KERNEL', 'MOVABLE', ''),
    blocks: fc.constantFrom('', ' 1'),
  }),
  fc.record({
    region: fc.constantFrom('R0', 'R1', 'R2'),
    mode: fc.constantFrom('bind', 'preferred', 'interleave', 'preferred_many'),
    nodes: fc.constantFrom('2', '3', '2,3', '0,2,3,4', '4', '1'),
    does: fc.constantFrom('touch', 'move_pages', 'munmap'),
  }),
);

const lineOf = (what: typeof happening extends fc.Arbitrary<infer T> ? T : never): string => {
  if ('verb' in what) {
    const type = what.verb === 'online_node' && what.zone !== '' ? ` ${what.zone}` : '';
    return `sys ${what.verb} ${what.node}${type}${what.blocks}`;
  }
  const { region, mode, nodes, does } = what;
  if (does === 'munmap') return `T0 munmap ${region} 0 20`;
  if (does === 'move_pages') return `T0 move_pages ${region} 0 90 ${nodes.split(',')[0]}`;
  return `T0 mbind ${region} 0 200 ${mode} ${nodes}\nT0 touch ${region} 0 90`;
};

const ofMemory = DESIGNS.filter(({ answers }) => answers.memremapPages === undefined);

describe.each(ofMemory)('$id', (of) => {
  test('[HOT11] no frame is lost and no rule is broken, however memory comes and goes', () => {
    check(fc.array(happening, { minLength: 1, maxLength: 14 }), 20, (list) => {
      const first = 'T0 mmap R0 200 anon\nT0 mmap R1 200 shared\nT0 mmap R2 200 anon';
      const { kernel } = run([first, ...list.map(lineOf)].join('\n'), { design: of });
      const { present, free } = kernel.mem.zones;
      for (const [z, n] of free.entries()) expect(n).toBeLessThanOrEqual(present[z] as number);
    });
  });
});
