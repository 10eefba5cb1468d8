// What a driver knows of blocks: the order of use, and what it counts.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { check } from '../../test/support/property.ts';
import { BlockTable } from './block_table.ts';

test('[BLK1] blocks that were brought are in the order of use, and no others', () => {
  const step = fc.record({
    does: fc.constantFrom('use', 'use', 'use', 'evict', 'forget'),
    space: fc.integer({ min: 1, max: 3 }),
    block: fc.nat(12),
  });
  check(fc.array(step, { maxLength: 120 }), 200, (steps) => {
    const table = new BlockTable(512);
    let expected: number[] = [];
    for (const { does, space, block } of steps) {
      const slot = table.slotOf(space, block * 512 + 7);
      expect(table.slotOf(space, block * 512)).toBe(slot);
      expect([table.spaceOf(slot), table.startVpnOf(slot)]).toEqual([space, block * 512]);
      expected = expected.filter((s) => s !== slot);
      if (does === 'use') {
        table.use(slot);
        expected.push(slot);
      } else if (does === 'evict') table.evict(slot);
      else table.forget(slot);
      expect([...table.brought()]).toEqual(expected);
      expect(table.isBrought(slot)).toBe(does === 'use');
      expect(table.leastRecent(slot)).toBe(expected.find((s) => s !== slot));
    }
  });
});

test('[BLK2] returns are counted after evictions only', () => {
  const table = new BlockTable(32);
  const slot = table.slotOf(1, 0);
  table.use(slot);
  table.forget(slot);
  table.use(slot);
  expect(table.nrReturnsOf(slot)).toBe(0);
  table.evict(slot);
  table.use(slot);
  table.evict(slot);
  table.use(slot);
  expect(table.nrReturnsOf(slot)).toBe(2);
});
