// Areas and their policies: splitting, merging, what mbind moves, what shared objects keep.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import { check } from '../../test/support/property.ts';
import { Nodemask } from '../base/nodemask.ts';
import { MPOL_BIND } from '../hooks/policy_modes.ts';
import { AddressSpace, type Vma } from './address_space.ts';
import { Mempolicy, policiesEqual } from './mempolicy.ts';
import { ShmemObject } from './shmem.ts';

const areasOf = (text: string): string[] => {
  const { kernel, session } = play(text);
  const { startVpn } = session.runner.regionsOf('T0').range({ region: 'R0' });
  return (kernel.tasks[0]?.mm.vmas ?? [])
    .filter((vma) => vma.startVpn >= startVpn)
    .map(
      (vma) =>
        `${vma.startVpn - startVpn}-${vma.endVpn - startVpn} ${vma.policy?.describe() ?? 'default'}`,
    );
};

describe('mbind and areas', () => {
  test('[MBD4] cuts areas at the edges of its range, and equal neighbours grow together again', () => {
    const first = 'T0 mmap R0 10 anon\nT0 mbind R0 2 4 bind 1\n';
    expect(areasOf(first)).toEqual(['0-2 default', '2-6 bind 1', '6-10 default']);
    expect(areasOf(`${first}T0 mbind R0 6 2 bind 1`)).toEqual([
      '0-2 default',
      '2-8 bind 1',
      '8-10 default',
    ]);
    expect(areasOf(`${first}T0 mbind R0 0 10 default none`)).toEqual(['0-10 default']);
    expect(areasOf(`${first}T0 mbind R0 4 4 interleave 0,1`)).toEqual([
      '0-2 default',
      '2-4 bind 1',
      '4-8 interleave 0-1',
      '8-10 default',
    ]);
  });

  test('[MBD4] locking and advice on fork keep areas apart, and so does another home node', () => {
    expect(areasOf('T0 mmap R0 6 anon\nT0 mlock R0 2 2')).toEqual([
      '0-2 default',
      '2-4 default',
      '4-6 default',
    ]);
    expect(areasOf('T0 mmap R0 6 anon\nT0 mlock R0 2 2\nT0 munlock R0 0 6')).toEqual([
      '0-6 default',
    ]);
    expect(areasOf('T0 mmap R0 4 anon\nT0 mbind R0 0 4 bind 1\nT0 set_home R0 2 2 0')).toEqual([
      '0-2 bind 1',
      '2-4 bind 1 home 0',
    ]);
    expect(areasOf('T0 mmap R0 4 anon\nT0 madvise R0 0 2 dontfork')).toHaveLength(2);
  });

  test('[MBD1] strict alone finds the first misplaced page and then sets nothing', () => {
    play(`
      T0 mmap R0 8 anon
      T0 touch R0 4 1
      T0 mbind R0 0 8 bind 1 strict -> EIO
      T0 policy_at R0 0 -> mode default
      T0 mbind R0 0 4 bind 1 strict -> 0
      T0 mbind R0 4 4 bind 0 strict -> 0
    `);
  });

  test('[MBD5] move brings misplaced pages to where the new policy puts them', () => {
    play(`
      T0 mmap R0 8 anon
      T0 touch R0
      T0 mbind R0 0 8 interleave 1,2 move -> 0
      T0 where R0 -> nodes 1:4 2:4
      T0 mbind R0 0 8 bind 1,2 move -> 0
      T0 where R0 -> nodes 1:4 2:4
      T0 mbind R0 0 8 preferred 0 move -> 0
      T0 where R0 -> nodes 0:8
      T0 mbind R0 0 8 default none move -> 0
      T0 where R0 -> nodes 0:8
    `);
  });

  test('[MBD2] pages that others map stay, unless moveall takes them, for all who map them', () => {
    play(`
      T0 mmap R0 4 anon
      T0 touch R0
      fork T0 T1
      T0 mbind R0 0 4 bind 1 move -> 0
      T0 where R0 -> nodes 0:4
      T0 mbind R0 0 4 bind 1 strict move -> 0
      T0 mbind R0 0 4 bind 1 moveall -> 0
      T0 where R0 -> nodes 1:4
      T1 where R0 -> nodes 1:4
    `);
  });

  test('[MBD5] strict with move is EIO when a page finds no room, and the policy stands', () => {
    play(`
      T0 mmap R1 16270 anon
      T0 mbind R1 0 16270 bind 2
      T0 touch R1
      T0 mmap R0 64 anon
      T0 touch R0
      T0 mbind R0 0 64 bind 2 strict move -> EIO
      T0 policy_at R0 0 -> mode bind; nodes 2
      T0 mbind R0 0 64 bind 2 move -> 0
    `);
  });

  test('[MBD8] an area that has an equal policy already is passed over', () => {
    expect(
      areasOf(
        'T0 mmap R0 4 anon\nT0 mbind R0 0 4 bind 1\nT0 set_home R0 0 4 0\nT0 mbind R0 0 4 bind 1',
      ),
    ).toEqual(['0-4 bind 1']);
    expect(areasOf('T0 mmap R0 4 anon\nT0 mbind R0 0 4 bind 1\nT0 mbind R0 1 2 bind 1')).toEqual([
      '0-4 bind 1',
    ]);
  });

  test('[HOM3] a home node is that of a range, and a new policy forgets it', () => {
    play(`
      T0 cpu 2
      T0 mmap R0 8 anon
      T0 mbind R0 0 8 bind 0,1,2
      T0 set_home R0 4 4 2
      T0 touch R0
      T0 where R0 -> nodes 1:4 2:4
      T0 mbind R0 0 8 bind 0,1,2 -> 0
      T0 madvise R0 0 8 dontneed
      T0 touch R0
      T0 where R0 -> nodes 1:8
    `);
  });
});

describe('shared objects', () => {
  test('[SHM3] a policy set through one mapping rules all, and outlives that mapping', () => {
    play(`
      T0 mmap R0 8 shm
      T0 mbind R0 0 4 bind 1
      fork T0 T1
      T1 touch R0 0 2
      T1 where R0 0 2 -> nodes 1:2
      T1 munmap R0
      T0 munmap R0
      T0 mmap R0 8 shm
      T0 touch R0
      T0 where R0 0 4 -> nodes 1:4
      T0 where R0 4 4 -> nodes 0:4
    `);
  });

  test('[SHM2] interleaving counts pages of the object from its inode number on', () => {
    for (const ino of [1, 2, 30]) {
      const { last } = play(
        'T0 mmap R0 6 shared\nT0 mbind R0 0 6 interleave 0,1,2\nT0 touch R0 4 1\nT0 node_at R0 4',
        { options: { firstIno: ino } },
      );
      expect(last['node']).toBe((4 + ino) % 3);
    }
  });

  test('[SHM4] a read maps what the object has nearby; of a segment it maps one page', () => {
    const read = (kind: string) => `
      T0 mmap R0 32 ${kind}
      T0 touch R0 0 20
      fork T0 T1
      T1 read R0 3 1
      T1 where R0`;
    expect(play(read('shared')).last['counts']).toEqual({ 0: 16, ENOENT: 16 });
    expect(play(read('shm')).last['counts']).toEqual({ 0: 1, ENOENT: 31 });
  });

  test('[SHM5] the last mapping takes the pages of an object along, but not of a segment', () => {
    const pages = (kind: string): number => {
      const { kernel } = play(`T0 mmap R0 8 ${kind}\nT0 touch R0\nT0 munmap R0`);
      let n = 0;
      for (const object of kernel.objects.values()) object.forEachPage(() => n++);
      return n;
    };
    expect(pages('shared')).toBe(0);
    expect(pages('shm')).toBe(8);
  });

  test('[SHM6] remove takes pages out of the object, and of every page table', () => {
    play(`
      T0 mmap R0 8 shared
      T0 touch R0
      fork T0 T1
      T1 read R0
      T0 madvise R0 2 4 remove -> 0
      T0 where R0 -> nodes 0:4 ENOENT:4
      T1 where R0 -> nodes 0:4 ENOENT:4
      T1 read R0 2 1
      T0 where R0 2 1 -> nodes ENOENT:1
    `);
  });

  test('[MBD7] an area is merged before its object gets the policy, over all of it', () => {
    play(`
      T0 mmap R0 9 shared
      T0 mbind R0 0 3 bind 1
      fork T0 T1
      T1 mbind R0 0 3 default none
      T1 mbind R0 3 3 bind 2
      T1 policy_at R0 0 -> mode default
      T0 mbind R0 3 3 bind 1
      T0 policy_at R0 0 -> mode bind; nodes 1
      T0 policy_at R0 4 -> mode bind; nodes 1
      T0 policy_at R0 7 -> mode default
    `);
  });

  test('[SHM1] ranges of a shared policy ascend, do not overlap, and answer as a plain array would', () => {
    const step = fc.record({
      start: fc.nat(19),
      length: fc.integer({ min: 1, max: 20 }),
      node: fc.option(fc.nat(3), { nil: undefined }),
    });
    check(fc.array(step, { maxLength: 25 }), 200, (steps) => {
      const object = new ShmemObject(1, 1, 40, false);
      const plain = new Array<number | undefined>(40).fill(undefined);
      for (const { start, length, node } of steps) {
        const mask = node === undefined ? undefined : Nodemask.of(node);
        const policy = mask === undefined ? null : new Mempolicy(MPOL_BIND, 0, mask, mask);
        object.setPolicy(start, start + length, policy);
        plain.fill(node, start, start + length);
      }
      plain.forEach((node, i) => {
        expect(object.policyAt(i)?.nodes.first()).toBe(node);
        let end = i + 1;
        while (end < 40 && plain[end] === node) end++;
        const told = object.policyEnd(i);
        expect(told).toBeGreaterThan(i);
        for (let j = i; j < Math.min(told, 40); j++) expect(plain[j]).toBe(node);
      });
    });
  });
});

/** Areas against one plain cell a page. */
describe('an address space', () => {
  type Cell = { readonly node: number | undefined; readonly isLocked: boolean } | undefined;
  const SIZE = 40;

  const step = fc.record({
    do: fc.constantFrom('map', 'unmap', 'policy', 'lock', 'unlock'),
    start: fc.nat(SIZE - 1),
    length: fc.integer({ min: 1, max: 16 }),
    node: fc.option(fc.nat(2), { nil: undefined }),
  });

  const policyOf = (node: number | undefined): Mempolicy | null =>
    node === undefined ? null : new Mempolicy(MPOL_BIND, 0, Nodemask.of(node), Nodemask.EMPTY);

  const fresh = (startVpn: number, endVpn: number): Vma => ({
    startVpn,
    endVpn,
    pgoff: startVpn,
    object: null,
    huge: null,
    file: null,
    policy: null,
    isLocked: false,
    wipesOnFork: false,
    isKeptFromChild: false,
    thp: 'none',
    isMergeable: false,
    isMarked: false,
    hasAnonVma: false,
  });

  test('[VMA1] [VMA2] areas are the runs of equal pages, whatever was mapped, cut and changed', () => {
    check(fc.array(step, { maxLength: 30 }), 300, (steps) => {
      const mm = new AddressSpace(1);
      const cells: Cell[] = new Array<Cell>(SIZE).fill(undefined);
      for (const s of steps) {
        const [start, end] = [s.start, Math.min(s.start + s.length, SIZE)];
        if (s.do === 'map' || s.do === 'unmap') {
          mm.remove(start, end);
          cells.fill(undefined, start, end);
        }
        if (s.do === 'map') {
          mm.insert(fresh(start, end));
          cells.fill({ node: undefined, isLocked: false }, start, end);
        } else if (s.do !== 'unmap') {
          mm.change(start, end, (vma) => {
            if (s.do === 'policy') vma.policy = policyOf(s.node);
            else vma.isLocked = s.do === 'lock';
          });
          for (let i = start; i < end; i++) {
            const cell = cells[i];
            if (cell === undefined) continue;
            cells[i] =
              s.do === 'policy'
                ? { ...cell, node: s.node }
                : { ...cell, isLocked: s.do === 'lock' };
          }
        }
        const key = (cell: Cell): string => JSON.stringify(cell ?? null);
        const runs: string[] = [];
        for (let i = 0; i < SIZE; ) {
          let j = i;
          while (j < SIZE && key(cells[j]) === key(cells[i])) j++;
          if (cells[i] !== undefined) runs.push(`${i}-${j} ${key(cells[i])}`);
          i = j;
        }
        const areas = mm.vmas.map((v) => {
          expect(v.pgoff).toBe(v.startVpn);
          const node = v.policy?.nodes.first();
          return `${v.startVpn}-${v.endVpn} ${JSON.stringify({ node, isLocked: v.isLocked })}`;
        });
        expect(areas).toEqual(runs);
        for (let i = 0; i < SIZE; i++) {
          expect(mm.lookup(i) !== undefined).toBe(cells[i] !== undefined);
          const next = cells.findIndex((cell, at) => at >= i && cell !== undefined);
          const found = mm.findVma(i);
          if (next < 0) expect(found).toBeUndefined();
          else expect(found !== undefined && found.endVpn > i && found.startVpn <= next).toBe(true);
        }
      }
    });
  });

  test('[VMA2] policies count as equal by mode, flags, home node, and what they keep of the mask', () => {
    const a = new Mempolicy(MPOL_BIND, 0, Nodemask.of(1), Nodemask.of(0, 1));
    const b = new Mempolicy(MPOL_BIND, 0, Nodemask.of(1), Nodemask.of(1));
    expect(policiesEqual(a, b)).toBe(true);
    expect(policiesEqual(a, a.dup())).toBe(true);
    expect(policiesEqual(a, null)).toBe(false);
    expect(policiesEqual(null, null)).toBe(true);
    b.nodes = Nodemask.of(2);
    expect(policiesEqual(a, b)).toBe(false);
    const home = a.dup();
    home.homeNode = Nodemask.of(1).first();
    expect(policiesEqual(a, home)).toBe(false);
  });
});
