// Sets of nodes against plain JavaScript sets, and the set arithmetic that mempolicies are made of.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { check } from '../../test/support/property.ts';
import { MAX_NUMNODES } from './ids.ts';
import { Nodemask, parseNodelist, relativeNodemask, remapNode, remapNodemask } from './nodemask.ts';

const nodes = fc.uniqueArray(
  fc.oneof(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: 1023 })),
  { maxLength: 12 },
);
const filled = fc.uniqueArray(fc.integer({ min: 0, max: 1023 }), { minLength: 1, maxLength: 12 });
const ascending = (list: Iterable<number>): number[] => [...list].sort((a, b) => a - b);

describe('a mask is a set', () => {
  test('[NOD4] its members are those it was made of, ascending, each once', () => {
    check(nodes, 100, (list) => {
      const mask = Nodemask.from([...list, ...list]);
      expect(mask.toArray()).toEqual(ascending(list));
      expect([...mask]).toEqual(ascending(list));
      expect(mask.weight).toBe(list.length);
      expect(mask.isEmpty()).toBe(list.length === 0);
      for (let n = 0; n < MAX_NUMNODES; n += 17) expect(mask.has(n)).toBe(list.includes(n));
    });
  });

  test('[NOD4] and, or, without, subset and meeting are those of sets', () => {
    check(fc.tuple(nodes, nodes), 200, ([a, b]) => {
      const [x, y] = [Nodemask.from(a), Nodemask.from(b)];
      const both = a.filter((n) => b.includes(n));
      expect(x.and(y).toArray()).toEqual(ascending(both));
      expect(x.or(y).toArray()).toEqual(ascending(new Set([...a, ...b])));
      expect(x.andNot(y).toArray()).toEqual(ascending(a.filter((n) => !b.includes(n))));
      expect(x.intersects(y)).toBe(both.length > 0);
      expect(x.isSubsetOf(y)).toBe(both.length === a.length);
      expect(x.equals(y)).toBe(both.length === a.length && a.length === b.length);
      for (const n of b) {
        expect(x.with(n).has(n)).toBe(true);
        expect(x.without(n).has(n)).toBe(false);
      }
      expect(x.toArray()).toEqual(ascending(a));
    });
  });

  test('[NOD4] first, next, n-th and ordinal walk the members upward and say so at the end', () => {
    check(fc.tuple(nodes, fc.integer({ min: -1, max: 1023 })), 200, ([list, from]) => {
      const mask = Nodemask.from(list);
      const sorted = ascending(list);
      const above = sorted.filter((n) => n > from);
      expect(mask.first()).toBe(sorted[0] ?? MAX_NUMNODES);
      expect(mask.nextAfter(from)).toBe(above[0] ?? MAX_NUMNODES);
      expect(mask.nextIn(from)).toBe(above[0] ?? sorted[0] ?? MAX_NUMNODES);
      sorted.forEach((n, i) => {
        expect(mask.nth(i)).toBe(n);
        expect(mask.ordinal(n)).toBe(i);
      });
      expect(mask.nth(sorted.length)).toBe(MAX_NUMNODES);
      if (from >= 0 && !list.includes(from)) expect(mask.ordinal(from)).toBe(-1);
    });
  });

  test('[NOD4] prints as the kernel prints masks, and reads back', () => {
    expect(String(Nodemask.of(0, 1, 2, 8, 254, 255))).toBe('0-2,8,254-255');
    expect(String(Nodemask.EMPTY)).toBe('');
    check(nodes, 200, (list) => {
      const mask = Nodemask.from(list);
      const read = parseNodelist(String(mask));
      expect(read instanceof Nodemask && read.equals(mask)).toBe(true);
    });
  });
});

describe('a list of nodes is read as cpuset.mems takes it', () => {
  test.each([
    ['0', '0'],
    ['0,1-3,', '0-3'],
    [' 2 \n', '2'],
    ['0,0', '0'],
    ['0-0', '0'],
    ['', ''],
    [' ', ''],
    ['0-6:2/4', '0-1,4-5'],
    ['0-6:1/2,1023', '0,2,4,6,1023'],
    ['all', '0-1023'],
  ])('[CPS8] %j is %j', (text, shown) => {
    expect(String(parseNodelist(text))).toBe(shown);
  });

  test.each([
    ['-1', 'EINVAL'],
    ['0-', 'EINVAL'],
    ['0AAA', 'EINVAL'],
    ['AAA', 'EINVAL'],
    ['3-1', 'EINVAL'],
    ['0-6:5/4', 'EINVAL'],
    ['0-6:0/0', 'EINVAL'],
    ['1.5', 'EINVAL'],
    ['1024', 'ERANGE'],
    ['0-1024', 'ERANGE'],
  ])('[CPS8] %j is refused: %s', (text, error) => {
    expect(parseNodelist(text)).toBe(error);
  });
});

describe('masks laid over masks', () => {
  test('[POL12] a relative mask takes the members of the set at its numbers, modulo its size', () => {
    expect(String(relativeNodemask(Nodemask.of(0, 2), Nodemask.of(3, 5, 9)))).toBe('3,9');
    expect(String(relativeNodemask(Nodemask.of(4), Nodemask.of(3, 5, 9)))).toBe('5');
    check(fc.tuple(filled, filled), 200, ([relative, onto]) => {
      const got = relativeNodemask(Nodemask.from(relative), Nodemask.from(onto));
      const sorted = ascending(onto);
      const expected = new Set(relative.map((n) => sorted[n % sorted.length] as number));
      expect(got.toArray()).toEqual(ascending(expected));
      expect(got.isEmpty()).toBe(false);
    });
    expect(relativeNodemask(Nodemask.of(1), Nodemask.EMPTY).isEmpty()).toBe(true);
  });

  test('[POL10] remapping sends the n-th node of one set to the n-th of the other, round again', () => {
    expect(remapNode(1, Nodemask.of(0, 1, 2), Nodemask.of(4, 5))).toBe(5);
    expect(remapNode(2, Nodemask.of(0, 1, 2), Nodemask.of(4, 5))).toBe(4);
    expect(remapNode(7, Nodemask.of(0, 1, 2), Nodemask.of(4, 5))).toBe(7);
    expect(remapNode(1, Nodemask.of(0, 1), Nodemask.EMPTY)).toBe(1);
    check(fc.tuple(nodes, filled, filled), 300, ([mask, from, to]) => {
      const [a, b] = [ascending(from), ascending(to)];
      const expected = mask.map((n) => {
        const at = a.indexOf(n);
        return at < 0 ? n : (b[at % b.length] as number);
      });
      const got = remapNodemask(Nodemask.from(mask), Nodemask.from(from), Nodemask.from(to));
      expect(got.toArray()).toEqual(ascending(new Set(expected)));
    });
  });

  test('[POL10] between sets of one size, remapping is one to one and can be undone', () => {
    const pair = filled.chain((from) =>
      fc.tuple(
        fc.constant(from),
        fc.uniqueArray(fc.integer({ min: 0, max: 1023 }), {
          minLength: from.length,
          maxLength: from.length,
        }),
        fc.subarray(from),
      ),
    );
    check(pair, 200, ([from, to, part]) => {
      const [x, y] = [Nodemask.from(from), Nodemask.from(to)];
      const there = remapNodemask(Nodemask.from(part), x, y);
      expect(there.weight).toBe(part.length);
      expect(there.isSubsetOf(y)).toBe(true);
      expect(remapNodemask(there, y, x).toArray()).toEqual(ascending(part));
    });
  });
});
