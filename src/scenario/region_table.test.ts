// Where regions are, long ones among them.
import { describe, expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import { NotModelled } from '../base/assert.ts';
import { checkAll } from '../checkers/index.ts';
import { RegionTable } from './region_table.ts';

/** The first length that has no room in its slot. */
const LONG = 840 * 5 * 512 + 1;

describe('regions longer than their slot', () => {
  test('[MIG1] [DRV1] have pages that move, swap, fork and go like all others', () => {
    const { kernel } = play(`
      sys swapon 500
      T0 mmap R0 ${LONG + 1000} anon
      T0 mmap R1 ${LONG} shared
      T0 touch R0 ${LONG} 100
      T0 touch R1 ${LONG - 100} 100
      T0 migrate_pages 0 1
      T0 where R0 ${LONG} 100 -> nodes 1:100
      T0 where R1 ${LONG - 100} 100 -> nodes 1:100
      T0 device_compute gpu0 R0 ${LONG} 100 -> local 100
      fork T0 T1
      T1 touch R0 ${LONG} 50 -> 0
      T0 madvise R0 ${LONG} 100 pageout
      T0 touch R0 ${LONG} 100 -> 0
      T1 exit`);
    expect(checkAll(kernel)).toEqual([]);
  });

  test('are below page 2^31, apart, and modulo 840 where the test program has them', () => {
    const slots = { a: 0, b: 1, c: 5 };
    const table = new RegionTable(slots);
    let end = 0;
    for (const [name, slot] of Object.entries(slots)) {
      const base = table.place(name, LONG * 30, 0);
      expect(base).toBeGreaterThanOrEqual(end);
      expect(base % 840).toBe(((4 + slot) * 2 ** 31) % 840);
      end = base + LONG * 30;
      expect(end).toBeLessThan(2 ** 31);
      expect(table.place(name, LONG, 0)).toBe(base);
      expect(table.copy().baseFor(name, LONG)).toBe(base);
    }
  });

  test('that come to more than there is room for are told', () => {
    const table = new RegionTable({ a: 0, b: 1 });
    table.place('a', 2 ** 30, 0);
    expect(() => table.place('b', 2 ** 30, 0)).toThrow(NotModelled);
    expect(() => play(`T0 mmap R0 ${2 ** 31} anon`)).toThrow(/not modelled|regions of more/i);
  });
});
