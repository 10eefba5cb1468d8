// Per-CPU lists: what they take, keep and give back.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { machineOf } from '../../test/support/machines.ts';
import { check } from '../../test/support/property.ts';
import type { Frame, ZoneIndex } from '../base/ids.ts';
import { checkBuddyShape } from '../checkers/buddy_shape.ts';
import { stock } from '../designs/stock.ts';
import { Kernel } from '../kernel/kernel.ts';
import { GFP_ATOMIC, GFP_HIGHUSER_MOVABLE, GFP_KERNEL } from './gfp.ts';
import { KIND_KERNEL } from './memmap.ts';

const NODE = { gap: 0, nrCpus: 2, nrPages: 65_536, skew: 0, isSplit: false, kind: 'boot' } as const;

/** Two nodes of two CPUs each, with 256 MiB in ZONE_NORMAL. */
const kernel = (): Kernel =>
  new Kernel(
    machineOf({ build: 'arm64', nodes: [NODE, NODE], distances: [20], isSymmetric: true }),
    stock,
  );

const held = (k: Kernel): { cpu: number; type: number; frame: number; order: number }[] => {
  const rows: { cpu: number; type: number; frame: number; order: number }[] = [];
  k.mem.pcp.forEach((_z, cpu, type, frame, order) => {
    rows.push({ cpu, type, frame, order });
  });
  return rows;
};

const out = new Int32Array(512);
/** ZONE_NORMAL of node 0. */
const Z = 1 as ZoneIndex;

test('[PCP2] an empty list takes a batch from the buddy lists and gives its frames in order', () => {
  const k = kernel();
  const batch = k.mem.zones.pcpBatch[Z] as number;
  const before = k.mem.zones.free[Z] as number;
  expect(k.mem.pcp.take(Z, k.mem.pcp.listOf(Z, 1), 1, 0, 1, out, 0, 0)).toBe(1);
  const first = out[0] as number;
  expect(k.mem.zones.free[Z]).toBe(before - batch);
  expect(k.mem.pcp.countOf(Z)).toBe(batch - 1);
  expect(held(k).map((r) => r.frame)).toEqual(
    Array.from({ length: batch - 1 }, (_, i) => first + 1 + i),
  );
  expect(held(k).every((r) => r.cpu === 1 && r.type === 1)).toBe(true);
});

test('[PCP2] what was given back last is taken first', () => {
  const k = kernel();
  k.mem.pcp.take(Z, k.mem.pcp.listOf(Z, 0), 1, 0, 3, out, 0, 0);
  const frames = [...out.subarray(0, 3)] as Frame[];
  for (const f of frames) k.mem.pcp.put(Z, 0, 1, f);
  const again: number[] = [];
  for (let i = 0; i < 3; i++) {
    k.mem.pcp.take(Z, k.mem.pcp.listOf(Z, 0), 1, 0, 1, out, 0, 0);
    again.push(out[0] as number);
  }
  expect(again).toEqual([...frames].reverse());
});

test('[PCP4] CPUs and migrate types do not share lists', () => {
  const k = kernel();
  const batch = k.mem.zones.pcpBatch[Z] as number;
  for (const [cpu, type] of [
    [0, 0],
    [0, 1],
    [1, 1],
  ] as const) {
    k.mem.pcp.take(Z, k.mem.pcp.listOf(Z, cpu), type, 0, 1, out, 0, 0);
  }
  const lists = new Set(held(k).map((r) => `${r.cpu}/${r.type}`));
  expect([...lists].sort()).toEqual(['0/0', '0/1', '1/1']);
  expect(k.mem.pcp.countOf(Z)).toBe(3 * (batch - 1));
});

test('[PCP2] asking for many at once gives what that many single requests give', () => {
  const step = fc.record({
    want: fc.integer({ min: 1, max: 40 }),
    cpu: fc.nat(3),
    type: fc.nat(2),
    nrBack: fc.nat(60),
  });
  check(fc.array(step, { minLength: 1, maxLength: 12 }), 60, (steps) => {
    const [one, many] = [kernel(), kernel()];
    const owned: number[] = [];
    for (const { want, cpu, type, nrBack } of steps) {
      const got: number[] = [];
      while (got.length < want) {
        const n = many.mem.pcp.take(
          Z,
          many.mem.pcp.listOf(Z, cpu),
          type,
          0,
          want - got.length,
          out,
          0,
          0,
        );
        if (n === 0) break;
        got.push(...out.subarray(0, n));
      }
      const single: number[] = [];
      for (let i = 0; i < got.length; i++) {
        one.mem.pcp.take(Z, one.mem.pcp.listOf(Z, cpu), type, 0, 1, out, 0, 0);
        single.push(out[0] as number);
      }
      expect(single).toEqual(got);
      owned.push(...got);
      for (let i = 0; i < nrBack && owned.length > 0; i++) {
        const f = owned.pop() as Frame;
        for (const k of [one, many]) k.mem.pcp.put(Z, cpu, type, f);
      }
      expect(held(one)).toEqual(held(many));
      expect(one.mem.zones.free[Z]).toBe(many.mem.zones.free[Z]);
    }
  });
});

describe('frames given back', () => {
  test('[PCP1] never leave a list at its high mark or above', () => {
    const k = kernel();
    const high = k.mem.zones.pcpHigh[Z] as number;
    const owned: number[] = [];
    while (owned.length < 6 * high) {
      const n = k.mem.pcp.take(Z, k.mem.pcp.listOf(Z, 0), 1, 0, 64, out, 0, 0);
      owned.push(...out.subarray(0, n));
    }
    let most = 0;
    for (const f of owned) {
      k.mem.pcp.put(Z, 0, 1, f as Frame);
      const count = k.mem.pcp.countOf(Z);
      most = Math.max(most, count);
      expect(count).toBeLessThan(high);
    }
    expect(most).toBe(high - 1);
    expect(checkBuddyShape(k)).toEqual([]);
  });

  test('[PCP5] leave by a batch when a list is full, then by twice as many each time', () => {
    const k = kernel();
    const zones = k.mem.zones;
    zones.pcpHigh[Z] = 64;
    k.mem.pcp.updateHigh();
    zones.pcpBatch[Z] = 4;
    const owned: number[] = [];
    while (owned.length < 400) {
      const n = k.mem.pcp.take(Z, k.mem.pcp.listOf(Z, 0), 1, 0, 64, out, 0, 0);
      owned.push(...out.subarray(0, n));
    }
    k.mem.pcp.drain(Z);
    const drops: number[] = [];
    for (const f of owned) {
      const before = k.mem.pcp.countOf(Z);
      k.mem.pcp.put(Z, 0, 1, f as Frame);
      const after = k.mem.pcp.countOf(Z);
      if (after < before + 1) drops.push(before + 1 - after);
    }
    expect(drops.slice(0, 6)).toEqual([4, 8, 16, 32, 60, 60]);
  });

  test('[PCP6] drain returns every frame of a zone to the buddy lists', () => {
    const k = kernel();
    const before = k.mem.zones.free[Z] as number;
    for (const cpu of [0, 1, 2]) k.mem.pcp.take(Z, k.mem.pcp.listOf(Z, cpu), 1, 0, 1, out, 0, 0);
    k.mem.pcp.drain(Z);
    expect(k.mem.pcp.countOf(Z)).toBe(0);
    expect(k.mem.zones.free[Z]).toBe(before - 3);
    expect(checkBuddyShape(k)).toEqual([]);
  });
});

describe('blocks of several pages', () => {
  test('[PCP7] of order 1 to 3 have lists of their own, larger ones go past the lists', () => {
    const k = kernel();
    k.setCurrent(k.kthread);
    const orders: number[] = [];
    for (const order of [1, 2, 3, 4, 5]) {
      const before = held(k).length;
      expect(k.allocator.alloc(GFP_KERNEL, order, k.localNode(k.kthread), null, 1)).toBe(1);
      if (held(k).length > before) orders.push(order);
    }
    expect(orders).toEqual([1, 2, 3]);
    expect(checkBuddyShape(k)).toEqual([]);
  });

  test('[PCP7] come back whole and merge: all memory is free again at the end', () => {
    const ask = fc.record({
      order: fc.nat(5),
      gfp: fc.constantFrom(GFP_KERNEL, GFP_HIGHUSER_MOVABLE, GFP_ATOMIC),
      back: fc.nat(30),
    });
    check(fc.array(ask, { minLength: 1, maxLength: 60 }), 40, (asks) => {
      const k = kernel();
      k.setCurrent(k.kthread);
      const { zones } = k.mem;
      const free = (): number => zones.free.reduce((a, b) => a + b, 0);
      const before = free();
      const owned: { f: Frame; order: number }[] = [];
      for (const { order, gfp, back } of asks) {
        if (k.allocator.alloc(gfp, order, k.localNode(k.kthread), null, 1) === 0) continue;
        const f = k.allocator.out[0] as Frame;
        k.mem.map.claim(f, KIND_KERNEL, 0, 0, 0);
        owned.push({ f, order });
        if (back >= owned.length) continue;
        const [block] = owned.splice(back, 1) as [{ f: Frame; order: number }];
        k.allocator.freeBlock(block.f, block.order);
        expect(checkBuddyShape(k)).toEqual([]);
      }
      for (const { f, order } of owned) k.allocator.freeBlock(f, order);
      for (let z = 0; z < zones.nr; z++) k.mem.pcp.drain(z as ZoneIndex);
      expect(free()).toBe(before);
      expect(checkBuddyShape(k)).toEqual([]);
    });
  });
});

test('[PCP2] giving many back at once is giving them back one by one', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 512 }), { minLength: 1, maxLength: 12 });
  check(sizes, 30, (runs) => {
    const states = [true, false].map((isMany) => {
      const k = kernel();
      k.setCurrent(k.newTask('T0'));
      const nr = runs.reduce((a, b) => a + b, 0);
      const frames = new Int32Array(nr);
      for (let done = 0; done < nr; ) {
        const base = k.mem.pcp.listOf(Z, 0);
        const n = k.mem.pcp.take(Z, base, 1, 0, Math.min(nr - done, 512), out, 0, 0);
        frames.set(out.subarray(0, n), done);
        done += n;
      }
      for (const f of frames) k.mem.map.kind[f] = KIND_KERNEL;
      let from = 0;
      for (const n of runs) {
        if (isMany) k.allocator.freeMany(frames, from, from + n);
        else for (let i = 0; i < n; i++) k.allocator.free(frames[from + i] as Frame);
        from += n;
      }
      expect(checkBuddyShape(k)).toEqual([]);
      return [held(k), [...k.mem.zones.free]];
    });
    expect(states[0]).toEqual(states[1]);
  });
});
