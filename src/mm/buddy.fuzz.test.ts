// The buddy allocator against a naive one: sets of frames, and blocks found by looking at all of
// them.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { machineOf, machineShape } from '../../test/support/machines.ts';
import { check } from '../../test/support/property.ts';
import type { Frame, ZoneIndex } from '../base/ids.ts';
import { checkBuddyShape } from '../checkers/buddy_shape.ts';
import { Findings } from '../checkers/findings.ts';
import { type FreeBlock, freeBlocks, untouched } from '../checkers/read_state.ts';
import { stock } from '../designs/stock.ts';
import { Kernel } from '../kernel/kernel.ts';
import { MIGRATE_MOVABLE, MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE } from './gfp.ts';
import { ALLOC_NOFRAGMENT } from './internal.ts';
import { NIL } from './memmap.ts';

const TYPES = [MIGRATE_MOVABLE, MIGRATE_MOVABLE, MIGRATE_UNMOVABLE, MIGRATE_RECLAIMABLE];

type Step =
  | { readonly do: 'alloc'; readonly order: number; readonly type: number; readonly spare: boolean }
  | { readonly do: 'free'; readonly which: number; readonly toTail: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('alloc' as const),
    order: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 10 })),
    type: fc.constantFrom(...TYPES),
    spare: fc.boolean(),
  }),
  fc.record({
    do: fc.constant('free' as const),
    which: fc.nat(1000),
    toTail: fc.boolean(),
  }),
);

const run = fc.record({
  machine: machineShape({ maxNodes: 3, kinds: ['boot', 'movable'] }),
  zone: fc.nat(10),
  steps: fc.array(step, { minLength: 1, maxLength: 120 }),
});

/** All free blocks of a zone, those that nobody has touched among them. */
function allFree(k: Kernel, z: ZoneIndex): FreeBlock[] {
  const blocks = freeBlocks(k, z, new Findings('test'));
  const order = k.mem.maxOrder;
  const { start, end } = untouched(k, z);
  for (let frame = start; frame < end; frame += 2 ** order) {
    blocks.push({ zone: z, order, type: MIGRATE_MOVABLE, frame });
  }
  return blocks;
}

/** Types to take from when a type has nothing left, nearest kin first. */
const KIN: Readonly<Record<number, readonly number[]>> = {
  [MIGRATE_UNMOVABLE]: [MIGRATE_RECLAIMABLE, MIGRATE_MOVABLE],
  [MIGRATE_MOVABLE]: [MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE],
  [MIGRATE_RECLAIMABLE]: [MIGRATE_UNMOVABLE, MIGRATE_MOVABLE],
};

/**
 * What a request must come out of: the block that its search ends at, and the order taken there.
 */
interface Source {
  readonly type: number;
  readonly orders: readonly number[];
}

/** Undefined when the request must fail. */
function expectedSource(
  k: Kernel,
  free: readonly FreeBlock[],
  order: number,
  type: number,
  spare: boolean,
): Source | undefined {
  const { maxOrder, pageblockOrder } = k.mem.buddy;
  const has = (o: number, t: number) => free.some((b) => b.order === o && b.type === t);
  const kinWith = (o: number) => (KIN[type] as readonly number[]).find((t) => has(o, t));
  for (let o = order; o <= maxOrder; o++) if (has(o, type)) return { orders: [o], type };
  const least = spare ? Math.max(order, pageblockOrder) : order;
  for (let o = maxOrder; o >= least; o--) {
    const kin = kinWith(o);
    if (kin === undefined) continue;
    const isWhole = o >= pageblockOrder / 2 || type !== MIGRATE_MOVABLE;
    if (isWhole && o < pageblockOrder) {
      // The page block changes hands with all that is free in it, and the smallest of that is used.
      const size = 2 ** pageblockOrder;
      const blockOf = (f: number) => Math.floor(f / size);
      const starts = free.filter((b) => b.order === o && b.type === kin).map((b) => b.frame);
      const orders = starts.map((start) => {
        const mates = free.filter((b) => blockOf(b.frame) === blockOf(start) && b.order >= order);
        return Math.min(...mates.map((b) => b.order));
      });
      return { orders, type: -1 };
    }
    if (isWhole || o <= order) return { orders: [o], type: kin };
    for (let small = order; small <= maxOrder; small++) {
      const other = kinWith(small);
      if (other !== undefined) return { orders: [small], type: other };
    }
  }
  return undefined;
}

/** Plays the steps on one zone; `visit` sees each allocation before and after. */
function play(
  drawn: { readonly machine: Parameters<typeof machineOf>[0]; readonly zone: number },
  steps: readonly Step[],
): void {
  const k = new Kernel(machineOf(drawn.machine), stock);
  const { zones, buddy, maxOrder } = k.mem;
  const z = (drawn.zone % zones.nr) as ZoneIndex;
  const framesOf = (frame: number, order: number) =>
    Array.from({ length: 2 ** order }, (_, i) => frame + i);
  const free = new Set(allFree(k, z).flatMap((b) => framesOf(b.frame, b.order)));
  const nrAtStart = free.size;
  const held: { frame: Frame; order: number }[] = [];
  const giveBack = (which: number, toTail: boolean): void => {
    const [block] = held.splice(which, 1) as [{ frame: Frame; order: number }];
    buddy.free(z, block.frame, block.order, buddy.pageblockType(block.frame), toTail);
    for (const f of framesOf(block.frame, block.order)) free.add(f);
  };
  for (const s of steps) {
    if (s.do === 'free') {
      if (held.length > 0) giveBack(s.which % held.length, s.toTail);
    } else {
      const order = Math.min(s.order, maxOrder);
      const before = allFree(k, z);
      const source = expectedSource(k, before, order, s.type, s.spare);
      const got = buddy.alloc(z, order, s.type, s.spare ? ALLOC_NOFRAGMENT : 0);
      if (source === undefined) expect(got).toBe(NIL);
      else {
        expect(got % 2 ** order).toBe(0);
        const from = before.find((b) => got >= b.frame && got < b.frame + 2 ** b.order);
        expect(source.orders).toContain(from?.order);
        if (source.type >= 0) expect(from?.type).toBe(source.type);
        expect(got, 'the first part of the block').toBe(from?.frame);
        for (const f of framesOf(got, order)) expect(free.delete(f)).toBe(true);
        held.push({ frame: got as Frame, order });
      }
    }
    expect(zones.free[z]).toBe(free.size);
    expect(checkBuddyShape(k)).toEqual([]);
  }
  while (held.length > 0) giveBack(held.length - 1, false);
  expect(checkBuddyShape(k)).toEqual([]);
  expect(zones.free[z]).toBe(nrAtStart);
  expect(new Set(allFree(k, z).flatMap((b) => framesOf(b.frame, b.order)))).toEqual(free);
}

describe('blocks', () => {
  test('[BUD1] [BUD2] [BUD3] [BUD4] [BUD5] [BUD6] come and go as with a naive allocator', () => {
    check(run, 60, (drawn) => play(drawn, drawn.steps));
  });

  test('[BUD4] everything taken and given back in any order is one free memory again', () => {
    const exhaust = fc.record({
      machine: machineShape({ maxNodes: 2, kinds: ['movable'] }),
      order: fc.integer({ min: 0, max: 3 }),
      type: fc.constantFrom(...TYPES),
      seed: fc.infiniteStream(fc.nat(1_000_000)),
    });
    check(exhaust, 10, ({ machine, order, type, seed }) => {
      const k = new Kernel(machineOf(machine), stock);
      const { zones, buddy } = k.mem;
      const z = (zones.nr - 1) as ZoneIndex;
      const before = allFree(k, z).map((b) => `${b.frame}/${b.order}`);
      const held: Frame[] = [];
      for (;;) {
        const got = buddy.alloc(z, order, type, 0);
        if (got === NIL) break;
        held.push(got);
      }
      expect(zones.free[z]).toBeLessThan(2 ** order * allFree(k, z).length + 1);
      while (held.length > 0) {
        const [f] = held.splice((seed.next().value as number) % held.length, 1) as [Frame];
        buddy.free(z, f, order, buddy.pageblockType(f));
      }
      expect(checkBuddyShape(k)).toEqual([]);
      expect(
        allFree(k, z)
          .map((b) => `${b.frame}/${b.order}`)
          .sort(),
      ).toEqual(before.sort());
    });
  });
});

/** All lists of a zone in order, as text. */
const listsOf = (k: Kernel, z: ZoneIndex): string =>
  freeBlocks(k, z, new Findings('test'))
    .map((b) => `${b.order}/${b.type}/${b.frame}`)
    .concat(`${untouched(k, z).start}`, `${k.mem.zones.free[z]}`)
    .join(' ');

test('[BUD7] taking many single frames at once is taking them one by one', () => {
  const bulk = fc.record({
    machine: machineShape({ maxNodes: 2, kinds: ['boot', 'movable'] }),
    zone: fc.nat(10),
    before: fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.constantFrom(...TYPES)), {
      maxLength: 20,
    }),
    counts: fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 8 }),
    type: fc.constantFrom(...TYPES),
    spare: fc.boolean(),
  });
  check(bulk, 60, ({ machine, zone, before, counts, type, spare }) => {
    const [one, many] = [0, 0].map(() => new Kernel(machineOf(machine), stock)) as [Kernel, Kernel];
    const z = (zone % one.mem.zones.nr) as ZoneIndex;
    const flags = spare ? ALLOC_NOFRAGMENT : 0;
    for (const k of [one, many]) {
      const held = before.map(([order, t]) => ({
        order: Math.min(order, k.mem.maxOrder),
        f: k.mem.buddy.alloc(z, Math.min(order, k.mem.maxOrder), t, 0),
      }));
      held.forEach(({ order, f }, i) => {
        if (f !== NIL && i % 2 === 0) k.mem.buddy.free(z, f, order, k.mem.buddy.pageblockType(f));
      });
    }
    for (const count of counts) {
      const out = new Int32Array(256);
      const got = many.mem.buddy.allocBulk(z, count, type, flags, out);
      const single: number[] = [];
      for (let i = 0; i < count; i++) {
        const f = one.mem.buddy.alloc(z, 0, type, flags);
        if (f === NIL) break;
        single.push(f);
      }
      expect([...out.subarray(0, got)]).toEqual(single);
      expect(listsOf(many, z)).toBe(listsOf(one, z));
    }
  });
});
