// The judge of huge pages finds what it is there for: a sound pool, then one thing broken at a
// time.
import { expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import type { Frame } from '../base/ids.ts';
import { isHuge } from '../kernel/hugetlb_area.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { makePte } from '../kernel/page_table.ts';
import { CHECKERS, checkAll } from './index.ts';

const POOL = '/sys/kernel/mm/hugepages/hugepages-2048kB';

/** A kernel with huge pages that are free, used, shared and promised, and no finding. */
function healthy(): { k: Kernel; vpn: number; sharedVpn: number } {
  const { kernel: k, session } = play(`
    sys write ${POOL}/nr_hugepages 9
    T0 mmap R0 4 hugetlb -> 0
    T0 touch R0 0 2 -> 0
    T0 mmap R1 3 hugetlb-shared -> 0
    T0 touch R1 0 1 -> 0
  `);
  expect(checkAll(k)).toEqual([]);
  const regions = session.runner.regionsOf('T0');
  return { k, vpn: regions.startOf('R0'), sharedVpn: regions.startOf('R1') };
}

const table = (k: Kernel) => (k.tasks[0] as (typeof k.tasks)[number]).mm.pageTable;

function firstFree(k: Kernel): Frame {
  let found: Frame | undefined;
  k.huge.forEachFree((_nid, f) => {
    found ??= f;
  });
  return found as Frame;
}

type Broken = [string, string, RegExp, (k: Kernel, vpn: number, sharedVpn: number) => void];

test.each<Broken>([
  ['[HUG1]', 'huge pages', /in all; the nodes have/, (k) => k.huge.nr++],
  ['[HUG1]', 'huge pages', /there are 0 free and 2 in use/, (k, vpn) => table(k).setHuge(vpn, 0)],
  ['[HUG1]', 'huge pages', /-2 surplus/, (k) => k.huge.surplusOf.set([-2], 0)],
  [
    '[HUG1]',
    'huge pages',
    /free in the pool and in use/,
    (k, vpn) => {
      table(k).setHuge(vpn, makePte(firstFree(k), true));
    },
  ],
  ['[HUG1]', 'huge pages', /starts no block/, (k, vpn) => table(k).setHuge(vpn, makePte(7, true))],
  ['[HUG2]', 'huge pages', /5 of 6 free pages are promised; 4 are owed/, (k) => k.huge.reserved++],
  [
    '[HUG2]',
    'huge pages',
    /3 are owed/,
    (k) => {
      const [area] = (k.tasks[0] as (typeof k.tasks)[number]).mm.vmas.filter(isHuge);
      area?.huge.used?.add(3);
    },
  ],
  ['[FRM1]', 'frames', /has no owner/, (k, vpn) => table(k).setHuge(vpn, 0)],
  ['[FRM2]', 'frames', /map count/, (k) => k.mem.map.mapcount.set([1], firstFree(k))],
  [
    '[PT5]',
    'page tables',
    /outside every area of huge pages/,
    (k, vpn) => {
      table(k).setHuge(vpn + 4 * 512, table(k).getHuge(vpn));
    },
  ],
  [
    '[PT5]',
    'page tables',
    /page 0 of its file is/,
    (k, vpn, sharedVpn) => {
      table(k).setHuge(sharedVpn, table(k).getHuge(vpn));
    },
  ],
  [
    '[PT5]',
    'page tables',
    /writable, and 2 entries/,
    (k, vpn) => {
      k.mem.map.mapcount.set([2], Math.floor(table(k).getHuge(vpn) / 2) - 1);
    },
  ],
])('%s %s: %s', (_rule, judge, words, damage) => {
  const { k, vpn, sharedVpn } = healthy();
  damage(k, vpn, sharedVpn);
  expect(CHECKERS[judge]?.(k).join('\n')).toMatch(words);
});
