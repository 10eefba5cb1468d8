// The lists of pages that reclaim looks at: who is on which, and in what order.
import { expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { trackPages } from '../kernel/lru_track.ts';
import { pteFrame } from '../kernel/page_table.ts';
import {
  LRU_ACTIVE,
  LRU_ACTIVE_ANON,
  LRU_DIRTY,
  LRU_INACTIVE_ANON,
  LRU_INACTIVE_FILE,
  LRU_REFERENCED,
  LRU_SWAPBACKED,
  LRU_UNEVICTABLE,
  LRU_YOUNG,
} from './lru.ts';
import { NIL } from './memmap.ts';

function listed(k: Kernel, nid: number, list: number): number[] {
  const found: number[] = [];
  for (let f = k.mem.lru.head(nid, list); f !== NIL; f = k.mem.lru.next[f] as number) found.push(f);
  return found;
}

/** Four pages of one task in the order of their addresses, on node 0, and tracking on. */
function fourPages(): { k: Kernel; frames: number[] } {
  const { kernel: k, session } = play('T0 mmap R0 4 anon\nT0 touch R0 0 4');
  trackPages(k);
  const { startVpn } = session.runner.regionsOf('T0').range({ region: 'R0' });
  const table = (k.tasks[0] as (typeof k.tasks)[number]).mm.pageTable;
  return { k, frames: [0, 1, 2, 3].map((i) => pteFrame(table.get(startVpn + i))) };
}

test('[LRU5] tracking that comes on late finds pages by address, each new one at the head', () => {
  const { k, frames } = fourPages();
  // The last one is the page of the program itself, which lies below.
  expect(listed(k, 0, LRU_INACTIVE_ANON).slice(0, 4)).toEqual([...frames].reverse());
  expect(listed(k, 0, LRU_INACTIVE_ANON)).toHaveLength(5);
  expect(k.mem.lru.tail(0, LRU_INACTIVE_ANON)).not.toBe(frames[0]);
});

test('[LRU1] flags decide the list; a page that moves goes to the head of the new one', () => {
  const { k, frames } = fourPages();
  const { lru } = k.mem;
  const [a, b] = frames as [number, number];
  lru.move(a, LRU_ACTIVE, 0);
  lru.move(b, LRU_ACTIVE, 0);
  expect(listed(k, 0, LRU_ACTIVE_ANON)).toEqual([b, a]);
  lru.rotate(b);
  expect(listed(k, 0, LRU_ACTIVE_ANON)).toEqual([a, b]);
  lru.move(a, 0, LRU_SWAPBACKED | LRU_ACTIVE);
  expect(listed(k, 0, LRU_INACTIVE_FILE)).toEqual([a]);
});

test('[LRU2] counts of nodes and zones follow, a page of 2^n frames counts for all', () => {
  const { k, frames } = fourPages();
  const { lru } = k.mem;
  const [a] = frames as [number];
  const z = k.mem.buddy.zoneOf(a);
  expect(lru.count(0, LRU_INACTIVE_ANON)).toBe(5);
  expect(lru.countOfZone(z, LRU_INACTIVE_ANON)).toBe(5);
  lru.remove(a);
  lru.setOrder(a, 3);
  lru.add(a);
  expect(lru.nrPagesOf(a)).toBe(8);
  expect(lru.count(0, LRU_INACTIVE_ANON)).toBe(12);
  expect(lru.countOfZone(z, LRU_INACTIVE_ANON)).toBe(12);
});

test('[LRU3] a page that is freed leaves its list and forgets its flags', () => {
  const { kernel: k, more } = play('T0 mmap R0 4 anon\nT0 touch R0 0 4');
  trackPages(k);
  more('T0 munmap R0');
  expect(listed(k, 0, LRU_INACTIVE_ANON)).toHaveLength(1);
  expect(k.mem.lru.flags.filter((flags) => flags !== 0)).toHaveLength(1);
});

test('[LRU4] pages join when they are faulted in, a page in use is marked', () => {
  const { kernel: k, more } = play('T0 mmap R0 4 anon', { options: { tracksPages: true } });
  const { lru } = k.mem;
  more('T0 touch R0 0 2');
  const [second, first] = listed(k, 0, LRU_INACTIVE_ANON) as [number, number];
  for (const f of [first, second]) lru.clear(f, LRU_YOUNG | LRU_DIRTY);
  more('T0 read R0 0 1');
  expect([lru.has(first, LRU_YOUNG), lru.has(first, LRU_DIRTY)]).toEqual([true, false]);
  more('T0 touch R0 1 1');
  expect([lru.has(second, LRU_YOUNG), lru.has(second, LRU_DIRTY)]).toEqual([true, true]);
});

test('[LRU1] pages of a locked area are unevictable', () => {
  const { kernel: k } = play('T0 mmap R0 3 anon-locked', { options: { tracksPages: true } });
  expect(k.mem.lru.count(0, LRU_UNEVICTABLE)).toBe(3);
});

test('[LRU1] a page that moves to another node takes its flags along', () => {
  const { kernel: k, more } = play('T0 mmap R0 1 anon\nT0 touch R0 0 1', {
    options: { tracksPages: true },
  });
  const { lru } = k.mem;
  const [f] = listed(k, 0, LRU_INACTIVE_ANON) as [number];
  lru.move(f, LRU_ACTIVE | LRU_REFERENCED, 0);
  more('T0 move_pages R0 0 1 1');
  const [fresh] = listed(k, 1, LRU_ACTIVE_ANON) as [number];
  expect(lru.has(fresh, LRU_REFERENCED)).toBe(true);
  expect(lru.flags[f]).toBe(0);
});
