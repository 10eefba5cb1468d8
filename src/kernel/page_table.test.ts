// Page tables of an address space: levels, entries, and what goes when memory is unmapped.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { check } from '../../test/support/property.ts';
import { type Frame, frame } from '../base/ids.ts';
import { AddressSpace } from './address_space.ts';
import {
  makePte,
  PageTable,
  PTE_SPECIAL,
  PTE_ZERO_PAGE,
  pteFrame,
  pteIsPage,
  pteIsWritable,
} from './page_table.ts';

describe('page tables', () => {
  test('[PT1] a leaf exists only under a pmd, a pmd only under a pud', () => {
    const drawn = fc.array(fc.integer({ min: 0, max: 2 ** 35 - 1 }), {
      minLength: 1,
      maxLength: 20,
    });
    check(drawn, 100, (vpns) => {
      const table = new PageTable();
      let next = 1;
      const cover = (vpn: number, shift: number) => Math.floor(vpn / 2 ** shift);
      const have = { leaf: new Set<number>(), pmd: new Set<number>(), pud: new Set<number>() };
      for (const vpn of vpns) {
        const missing =
          Number(!have.leaf.has(cover(vpn, 9))) +
          Number(!have.pmd.has(cover(vpn, 18))) +
          Number(!have.pud.has(cover(vpn, 27)));
        expect(table.missing(vpn)).toBe(missing);
        while (table.missing(vpn) > 0) table.addLevel(vpn, frame(next++));
        have.leaf.add(cover(vpn, 9));
        have.pmd.add(cover(vpn, 18));
        have.pud.add(cover(vpn, 27));
        table.set(vpn, makePte(frame(vpn % 1000), vpn % 2 === 1));
      }
      const frames = [...table.tableFrames()].map(Number).sort((a, b) => a - b);
      expect(frames).toEqual(Array.from({ length: next - 1 }, (_, i) => i + 1));
      const seen = new Map<number, number>();
      table.forEachEntry((vpn, pte) => {
        seen.set(vpn, pte);
      });
      expect([...seen.keys()].sort((a, b) => a - b)).toEqual(
        [...new Set(vpns)].sort((a, b) => a - b),
      );
      for (const [vpn, pte] of seen) {
        expect(table.get(vpn)).toBe(pte);
        expect([pteFrame(pte), pteIsWritable(pte)]).toEqual([vpn % 1000, vpn % 2 === 1]);
      }
      const freed: Frame[] = [];
      for (const vpn of vpns) table.set(vpn, 0);
      table.freeTables(0, Number.POSITIVE_INFINITY, (f) => freed.push(f));
      expect(freed.map(Number).sort((a, b) => a - b)).toEqual(frames);
      expect(table.missing(vpns[0] as number)).toBe(3);
    });
  });

  test('[PT1] tables go only when nothing mapped needs what they cover', () => {
    const table = new PageTable();
    for (const vpn of [0, 512, 2 ** 18]) {
      let f = vpn + 1;
      while (table.missing(vpn) > 0) table.addLevel(vpn, frame(f++));
    }
    const freed: number[] = [];
    table.freeTables(1, 2 ** 18, (f) => freed.push(f));
    expect(freed).toEqual([513]);
    expect(table.missing(0)).toBe(0);
    expect(table.missing(513)).toBe(1);
    expect(table.missing(2 ** 18)).toBe(0);
  });

  test('[PT1] an entry is empty, the zero page, or a frame with its right to be written', () => {
    expect([0, PTE_ZERO_PAGE].map(pteIsPage)).toEqual([false, false]);
    expect(pteIsWritable(PTE_ZERO_PAGE)).toBe(false);
    const frames = fc.integer({ min: 0, max: PTE_SPECIAL / 2 - 2 });
    check(fc.tuple(frames, fc.boolean()), 100, ([f, isWritable]) => {
      const pte = makePte(f, isWritable);
      expect([pteIsPage(pte), pteFrame(pte), pteIsWritable(pte)]).toEqual([true, f, isWritable]);
    });
    expect(new AddressSpace(3).vmas).toEqual([]);
  });

  test('[PT1] a walk visits present entries in order and stops when told', () => {
    const table = new PageTable();
    for (const vpn of [3, 700, 512]) {
      while (table.missing(vpn) > 0) table.addLevel(vpn, frame(9));
      table.set(vpn, PTE_ZERO_PAGE);
    }
    // A wide range goes by the tables there are, a narrow one by place.
    for (const endVpn of [2000, 2 ** 36]) {
      const visited: number[] = [];
      table.walk(0, endVpn, (vpn) => {
        visited.push(vpn);
        return vpn < 512;
      });
      expect(visited).toEqual([3, 512]);
      expect([...table.tablesIn(1, endVpn)]).toEqual([1, 512]);
    }
  });
});
