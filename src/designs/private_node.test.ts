// Private memory nodes: what their documentation and their tests say, request by request.
// Sources  Gregory Price, "Private Memory NUMA Nodes", 2026-07-20, with the documentation and the
//          self-tests of the author's tree; 2026-02-22 for the fourth posting.
import { describe, expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { NotModelled, UserError } from '../base/assert.ts';
import type { NodeId } from '../base/ids.ts';
import { checkAll } from '../checkers/index.ts';
import { breaches } from '../checkers/promise.ts';
import type { Design } from '../hooks/design.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { __GFP_THISNODE, GFP_HIGHUSER_MOVABLE, GFP_KERNEL, GFP_PRIVATE } from '../mm/gfp.ts';
import { FAILURE } from '../mm/internal.ts';
import { makePrivateNode, PRIVATE_CAPS, type PrivateCap, privateNode } from './private_node.ts';
import { makePrivateNodeV4, type NpOp, privateNodeV4 } from './private_node_v4.ts';

/** Two nodes with CPUs, and a device with one memory block of its own. */
const machine = () =>
  machineFrom({
    name: 'private',
    arch: 'x86_64',
    nodes: [
      { id: 0, cpus: '0-1', memory: '192MiB' },
      { id: 1, cpus: '2-3', memory: '64MiB' },
      { id: 2, memory: '128MiB', memoryZone: 'movable', device: 'gpu0' },
      { id: 3, cpus: '4' },
    ],
    distances: [
      [10, 20, 40, 30],
      [20, 10, 60, 20],
      [40, 60, 10, 80],
      [30, 20, 80, 10],
    ],
    devices: [{ name: 'gpu0', kind: 'device', homeNode: 0 }],
  });
const withCaps = (...caps: PrivateCap[]): Design => makePrivateNode('private-node', caps);
const run = (text: string, design: Design = privateNode) => {
  const played = play(text, { machine: machine(), design });
  expect(checkAll(played.kernel)).toEqual([]);
  return played;
};

/** Pages from node `nid` on, by zonelist: how many, and from which node. */
function ask(k: Kernel, gfp: number, nid: number): number | 'NO_ZONE' {
  k.setCurrent(k.tasks[0] as Kernel['tasks'][number]);
  if (k.allocator.alloc(gfp, 0, nid as NodeId, null, 1) > 0) {
    return Number(k.mem.zones.nid[k.allocator.lastZone]);
  }
  expect(k.allocator.failure).toBe(FAILURE.NO_ZONE);
  return 'NO_ZONE';
}

describe('the lists', () => {
  test('[PRV1] private nodes are in the third list only, beside all other memory', () => {
    const { kernel: k } = run('T0 get_mempolicy');
    const nodesOf = (lists: Kernel['mem']['lists']['fallback'], nid: number): number[] => [
      ...new Set(Array.from(lists[nid]?.zones ?? [], (z) => Number(k.mem.zones.nid[z]))),
    ];
    const { fallback, noFallback, private: all, privateNoFallback } = k.mem.lists;
    for (const nid of [0, 1, 2, 3]) {
      expect(nodesOf(fallback, nid)).not.toContain(2);
      expect(nodesOf(noFallback, nid)).not.toContain(2);
      expect(nodesOf(all, nid).sort()).toEqual([0, 1, 2]);
    }
    expect(nodesOf(fallback, 2)).toEqual([0, 1]);
    expect(nodesOf(all, 2)).toEqual([2, 0, 1]);
    expect(nodesOf(privateNoFallback, 2)).toEqual([2]);
    expect([k.states.memory, k.states.privateMemory].map(String)).toEqual(['0-1', '2']);
    expect(String(k.rootCpuset.effectiveMems)).toBe('0-1');
  });

  test('[PRV1] GFP_KERNEL does not reach them, nor does __GFP_THISNODE, but with the third list', () => {
    const { kernel: k } = run('T0 get_mempolicy');
    expect(ask(k, GFP_KERNEL, 2)).toBe(0);
    expect(ask(k, GFP_HIGHUSER_MOVABLE, 2)).toBe(0);
    expect(ask(k, GFP_HIGHUSER_MOVABLE | __GFP_THISNODE, 2)).toBe('NO_ZONE');
    expect(ask(k, GFP_HIGHUSER_MOVABLE | GFP_PRIVATE, 2)).toBe(2);
    expect(ask(k, GFP_HIGHUSER_MOVABLE | __GFP_THISNODE | GFP_PRIVATE, 2)).toBe(2);
    expect(ask(k, GFP_HIGHUSER_MOVABLE | GFP_PRIVATE, 0)).toBe(0);
  });

  test('[PRV1] v4: its own list goes on to system memory, and the flag opens it', () => {
    const { kernel: k } = run('T0 get_mempolicy', privateNodeV4);
    expect(k.mem.lists.private).toEqual([]);
    expect(ask(k, GFP_KERNEL, 2)).toBe(0);
    expect(ask(k, GFP_HIGHUSER_MOVABLE, 2)).toBe(0);
    expect(k.allocator.alloc(GFP_HIGHUSER_MOVABLE | __GFP_THISNODE, 0, 2 as NodeId, null, 1)).toBe(
      0,
    );
    expect(ask(k, GFP_HIGHUSER_MOVABLE | __GFP_THISNODE | GFP_PRIVATE, 2)).toBe(2);
    expect(ask(k, GFP_HIGHUSER_MOVABLE | GFP_PRIVATE, 2)).toBe(2);
  });

  test('[PRV1] a pool of huge pages on the node stays empty', () => {
    run(`
      sys write /sys/devices/system/node/node2/hugepages/hugepages-2048kB/nr_hugepages 4
      sys read /sys/devices/system/node/node2/hugepages/hugepages-2048kB/nr_hugepages -> value 0
    `);
  });
});

describe.each([privateNode, privateNodeV4])('policies under $id', (design) => {
  test('[PRV2] a bind reaches the node; page tables and other kernel pages go to system memory', () => {
    const { kernel: k } = run(
      `
      T0 set_mempolicy bind 2
      T0 mmap R0 600 anon
      T0 touch R0 -> 0
      T0 where R0 -> nodes 2:600
      fork T0 T1
      T1 touch R0 0 4 -> 0
      T1 where R0 0 4 -> nodes 2:4
    `,
      design,
    );
    const kernelPages = k.placements.rows().filter((r) => /table|kernel/.test(r.purpose));
    expect(kernelPages.every((row) => row.nid === 0)).toBe(true);
    expect(breaches(k)).toEqual([]);
  });

  test('[PRV2] without a policy nothing does, full as the rest may be', () => {
    const { kernel: k } = run(
      `
      T0 mmap R0 400MiB anon
      T0 touch R0 -> KILLED
    `,
      design,
    );
    expect(k.mem.zones.ofNode(2).map((z) => k.mem.zones.free[z])).toContain(128 * 256);
  });

  test('[PRV3] the node is full: a bound task is killed, and nothing spills', () => {
    const { kernel: k } = run(
      `
      T0 mmap R0 140MiB anon
      T0 mbind R0 0 140MiB bind 2
      T0 touch R0 -> KILLED
    `,
      design,
    );
    const users = k.placements.rows().filter((r) => r.from === 'area');
    expect(users.map((r) => Number(r.nid))).toEqual([2]);
  });

  test('[PRV4] a cpuset neither gives nor takes the node', () => {
    run(
      `
      sys mkdir /sys/fs/cgroup/a
      sys write /sys/fs/cgroup/a/cpuset.mems 0,2
      sys move T0 /sys/fs/cgroup/a
      T0 mems_allowed -> nodes 0
      T0 mmap R0 8 anon
      T0 touch R0
      T0 where R0 -> nodes 0:8
      T0 mmap R1 8 anon
      T0 mbind R1 0 8 bind 2 -> 0
      sys write /sys/fs/cgroup/a/cpuset.mems 1
      T0 touch R1 -> 0
      T0 where R1 -> nodes 2:8
      T0 mbind R1 0 8 bind+static 1,2 -> 0
      sys write /sys/fs/cgroup/a/cpuset.mems 0
      T0 policy_at R1 0 -> mode bind
      T0 madvise R1 0 8 dontneed
      T0 touch R1 -> 0
      T0 where R1 -> nodes 2:8
    `,
      design,
    );
  });

  test('[PRV5] moves that a program asks for', () => {
    run(
      `
      T0 mmap R0 8 anon
      T0 touch R0
      T0 move_pages R0 0 4 2 -> 0
      T0 where R0 -> nodes 0:4 2:4
      T0 move_pages R0 0 1 1 -> 0
      T0 mbind R0 4 4 bind 2 move -> 0
      T0 where R0 -> nodes 1:1 2:7
      T0 migrate_pages 2 0 -> 0
      T0 where R0 -> nodes 0:7 1:1
    `,
      design,
    );
  });

  test('[PRV7] without opting in a long-term pin fails, and the page stays', () => {
    run(
      `
      T0 mmap R0 8 anon
      T0 mbind R0 0 8 bind 2
      T0 touch R0
      T0 pin R0 0 8 longterm -> EOPNOTSUPP
      T0 where R0 -> nodes 2:8
      T0 pin R0 0 8 -> 0
    `,
      design,
    );
  });

  test('[PRV8] the driver of the device asks as the owner', () => {
    run(
      `
      T0 mmap R0 8 anon
      T0 touch R0
      T0 device_compute gpu0 R0 -> 0; moved 8
      T0 where R0 -> nodes 2:8
      T0 device_policy gpu0 migrate-back
      T0 touch R0
      T0 where R0 -> nodes 0:8
      T0 mmap R1 8 anon
      T0 device_compute gpu0 R1 -> 0
      T0 where R1 -> nodes 2:8
    `,
      design,
    );
  });

  test('[PRV9] KSM and NUMA balancing leave the node alone', () => {
    run(
      `
      sys write /proc/sys/kernel/numa_balancing 1
      sys write /sys/kernel/debug/sched/numa_balancing/scan_period_max_ms 200
      T0 mmap R0 8 anon
      T0 mmap R1 8 anon
      T0 touch R0
      T0 move_pages R0 0 8 2
      T0 work R0 0 8 3000
      T0 where R0 -> nodes 2:8
      T0 madvise R0 0 8 mergeable
      T0 madvise R1 0 8 mergeable
      T0 fill R0 0 8 7
      T0 fill R1 0 8 7
      sys write /sys/kernel/mm/ksm/run 1
      sys ksm_scans 3
      T0 where R0 -> nodes 2:8
    `,
      design,
    );
  });

  test('[PRV6] memory that goes takes the node out of policies, and does not bring it back', () => {
    run(
      `
      T0 mmap R0 8 anon
      T0 mbind R0 0 8 bind 2
      T0 touch R0 0 4
      sys offline_node 2 -> 0
      T0 where R0 -> nodes 0:4
      T0 touch R0 -> 0
      T0 where R0 -> nodes 0:8
      sys online_node 2 MOVABLE -> 0
      T0 madvise R0 0 8 dontneed
      T0 touch R0 -> 0
      T0 where R0 -> nodes 0:8
      T0 mbind R0 0 8 bind 2 move -> 0
      T0 where R0 -> nodes 2:8
    `,
      design,
    );
  });
});

describe('BIND{0,2} from a CPU of node 0', () => {
  const text = (last: string) => `
    T0 mmap R0 240MiB anon
    T0 mbind R0 0 240MiB bind 0,2
    T0 touch R0 -> ${last}
  `;
  test('[PRV2] node 0 first, then the private node', () => {
    const { kernel: k, last } = run(`${text('0')}\nT0 where R0`);
    const counts = last['counts'] as Record<string, number>;
    expect(Object.keys(counts)).toEqual(['0', '2']);
    expect(counts['2']).toBeGreaterThan(5000);
    expect(breaches(k)).toEqual([]);
  });
  test('[PRV2] v4: the list of node 0 does not go on to it', () => {
    run(text('KILLED'), privateNodeV4);
  });
});

describe('what is not let in', () => {
  const closed = withCaps();
  test('[PRV5] programs cannot name the node', () => {
    run(
      `
      T0 mmap R0 8 anon
      T0 touch R0
      T0 mbind R0 0 8 bind 2 -> EINVAL
      T0 set_mempolicy preferred 2 -> EINVAL
      T0 mbind R0 0 8 bind 0,2 -> 0
      T0 policy_at R0 0 -> nodes 0
      T0 set_home R0 0 8 2 -> EINVAL
      T0 move_pages R0 0 8 2 -> ENODEV
      T0 migrate_pages 0 2 -> EINVAL
      T0 mbind R0 0 8 default none
      T0 device_compute gpu0 R0 -> 0; moved 8
      T0 migrate_pages 2 0 -> 0
      T0 mbind R0 0 8 bind 1 move -> 0
      T0 where R0 -> nodes 2:8
      T0 mbind R0 0 8 bind 0 move strict -> EIO
    `,
      closed,
    );
  });

  test('[PRV5] each page is answered ENOENT', () => {
    const { last } = run(
      `
      T0 mmap R0 4 anon
      T0 device_compute gpu0 R0
      T0 move_pages R0 0 4 0
    `,
      closed,
    );
    expect(last['status']).toEqual([['ENOENT', 4]]);
  });

  test('[PRV10] memory with pages on it does not go offline', () => {
    const text = (result: string) => `
      T0 mmap R0 4 anon
      T0 device_compute gpu0 R0
      sys offline_node 2 -> ${result}
    `;
    run(text('EBUSY'), closed);
    run(text('0'), withCaps('HOTUNPLUG'));
  });

  test('[PRV7] with LTPIN a pin does as usual, and holds memory back that is to go', () => {
    const design = withCaps('USER_NUMA', 'LTPIN', 'HOTUNPLUG');
    run(
      `
      T0 mmap R0 4 anon
      T0 mbind R0 0 4 bind 2
      T0 touch R0
      T0 pin R0 0 4 longterm -> 0
      T0 where R0 -> nodes 0:4
      T0 mmap R1 4 anon
      T0 mbind R1 0 4 bind 2
      T0 touch R1
      T0 pin R1 0 4 -> 0
      sys offline_node 2
      T0 where R1 -> nodes 2:4
      T0 unpin R1 0 4
      sys offline_node 2 -> 0
    `,
      design,
    );
  });

  test('[PRV9] reclaim has no page of the node without RECLAIM, whoever asks', () => {
    const text = (last: string) => `
      sys swapon 20000
      T0 mmap R0 136MiB anon
      T0 mbind R0 0 136MiB bind 2
      T0 touch R0 -> ${last}
    `;
    run(text('KILLED'));
    run(text('0'), withCaps('USER_NUMA', 'RECLAIM'));
    const cold = `
      sys swapon 1000
      T0 mmap R0 8 anon
      T0 mbind R0 0 8 bind 2
      T0 touch R0
      T0 madvise R0 0 8 pageout -> 0
      T0 where R0
    `;
    expect(run(cold).last['counts']).toEqual({ 2: 8 });
    const open = withCaps('USER_NUMA', 'RECLAIM');
    expect(run(cold, open).last['counts']).not.toHaveProperty('2');
  });

  test('[PRV11] dependencies are checked when the design is made', () => {
    expect(() => withCaps('DEMOTION')).toThrow(UserError);
    expect(() => withCaps(...PRIVATE_CAPS)).not.toThrow();
    const v4 = (...ops: NpOp[]) => makePrivateNodeV4('private-node-v4', ops);
    for (const op of ['MEMPOLICY', 'NUMA_BALANCING', 'COMPACTION'] as const) {
      expect(() => v4(op)).toThrow(/needs MIGRATION/);
    }
    expect(() => v4('MIGRATION', 'MEMPOLICY', 'PROTECT_WRITE')).toThrow(/exclude/);
    expect(() => v4('PROTECT_WRITE')).toThrow(NotModelled);
  });
});

describe('tiers', () => {
  const slow = () =>
    machineFrom({
      name: 'slow',
      arch: 'x86_64',
      nodes: [
        { id: 0, cpus: '0', memory: '256MiB' },
        { id: 1, memory: '32MiB', memoryZone: 'movable', isKmem: true, device: 'gpu0' },
      ],
      distances: [
        [10, 20],
        [20, 10],
      ],
      devices: [{ name: 'gpu0', kind: 'device', homeNode: 0 }],
    });
  test('[PRV9] pages go down to the node with DEMOTION, and to none without', () => {
    const demotes = (design: Design): string[] => {
      const { kernel: k } = play(
        `
        sys write /sys/kernel/mm/numa/demotion_enabled 1
        sys swapon 8000
        T0 mmap R0 240MiB anon
        T0 touch R0 -> 0
      `,
        { machine: slow(), design },
      );
      expect(checkAll(k)).toEqual([]);
      return k.moves.rows().map(({ cause, from, to }) => `${cause} ${from}>${to}`);
    };
    expect(demotes(withCaps('RECLAIM', 'DEMOTION'))).toEqual(['demotion 0>1']);
    expect(demotes(withCaps('RECLAIM', 'USER_NUMA'))).toEqual([]);
    expect(demotes(makePrivateNodeV4('v4', ['RECLAIM', 'DEMOTION']))).toEqual(['demotion 0>1']);
  });
});

describe('transparent huge pages', () => {
  test('[PRV3] under pressure they stay on the node', () => {
    const { last } = run(`
      sys write /sys/kernel/mm/transparent_hugepage/enabled always
      T0 mmap R0 118MiB anon
      T0 mbind R0 0 118MiB bind 2
      T0 touch R0 -> 0
      T0 mmap R1 4MiB anon
      T0 mbind R1 0 4MiB bind 2
      T0 touch R1 -> 0
      T0 where R1
    `);
    expect(last['counts']).toEqual({ 2: 1024 });
  });
});

describe('a known hole', () => {
  const two = () =>
    machineFrom({
      name: 'two',
      arch: 'x86_64',
      nodes: [
        { id: 0, cpus: '0', memory: '96MiB' },
        { id: 1, memory: '8MiB', memoryZone: 'movable', device: 'gpu0' },
        { id: 2, memory: '32MiB', memoryZone: 'movable', device: 'gpu1' },
      ],
      distances: [
        [10, 20, 40],
        [20, 10, 30],
        [40, 30, 10],
      ],
      devices: [
        { name: 'gpu0', kind: 'device', homeNode: 0 },
        { name: 'gpu1', kind: 'device', homeNode: 0 },
      ],
    });
  // The third list of a node holds every private node, and only MPOL_BIND confines a walk: the
  // author's tree later narrows all other modes to system memory. Lucero, 2026-02-25, had asked how
  // an owner is kept from another owner's node.
  test('[PRV12] a preference for one private node may end on another that nobody named', () => {
    const { kernel: k } = play(
      `
      T0 mmap R0 120MiB anon
      T0 mbind R0 0 120MiB preferred 1
      T0 touch R0
    `,
      { machine: two(), design: privateNode },
    );
    expect(breaches(k).map((b) => `${b.purpose} on ${b.nid}`)).toEqual(['page fault on 2']);
  });
});
