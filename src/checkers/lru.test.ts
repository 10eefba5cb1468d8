// The judge of the lists of reclaim finds what it is there for: sound lists, then one thing broken.
import { expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { CHECKERS, checkAll } from './index.ts';

/** Pages of two nodes on lists, and one of them. */
function healthy(): { k: Kernel; f: number } {
  const { kernel: k } = play(
    `
    T0 mmap R0 20 anon
    T0 mbind R0 0 20 interleave 0,1
    T0 touch R0 0 20
    T0 mmap R1 8 shared
    T0 touch R1 0 8
  `,
    { options: { tracksPages: true } },
  );
  expect(checkAll(k)).toEqual([]);
  return { k, f: k.mem.lru.head(0, 0) };
}

test.each<[string, RegExp, (k: Kernel, f: number) => void]>([
  ['[LRU1]', /should be on the active anon list/, (k, f) => k.mem.lru.set(f, 0x2)],
  ['[LRU1]', /is on a list and does not know it/, (k, f) => k.mem.lru.clear(f, 0x1)],
  ['[LRU1]', /links back wrongly/, (k, f) => k.mem.lru.prev.fill(f, f, f + 1)],
  ['[LRU1]', /goes in a circle/, (k, f) => k.mem.lru.next.fill(f, f, f + 1)],
  ['[LRU2]', /node 0 counts 19 inactive anon pages and has 34/, (k, f) => k.mem.lru.set(f, 0x4000)],
  ['[LRU3]', /is free and has flags/, (k, f) => k.mem.map.kind.fill(0, f, f + 1)],
  ['[LRU4]', /is a user's and on no list/, (k, f) => k.mem.lru.forget(f)],
])('%s the judge finds %s', (_rule, finding, breakIt) => {
  const { k, f } = healthy();
  breakIt(k, f);
  expect((CHECKERS.lru as (k: Kernel) => readonly string[])(k).join('\n')).toMatch(finding);
});
