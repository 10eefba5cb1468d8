// The judge of transparent huge pages finds what it is there for.
import { describe, expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import type { Frame } from '../base/ids.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { makePte, pteFrame } from '../kernel/page_table.ts';
import { CHECKERS, checkAll } from './index.ts';

/** A huge page mapped whole by two tasks, another mapped in part, a third by its owner alone. */
function healthy() {
  const { kernel: k, session } = play(`
    sys write /sys/kernel/mm/transparent_hugepage/use_zero_page 1
    sys write /sys/kernel/mm/transparent_hugepage/enabled always
    T0 mmap R0 1536 anon
    T0 touch R0 0 1024
    T0 read R0 1024 1
    fork T0 T1
    T0 madvise R0 600 10 dontneed
    T1 munmap R0 512 512
    T0 mmap R1 512 anon
    T0 touch R1
  `);
  expect(checkAll(k)).toEqual([]);
  const of = (region: string) => session.runner.regionsOf('T0').range({ region }).startVpn;
  const table = (k.tasks[0] as (typeof k.tasks)[number]).mm.pageTable;
  return { k, table, shared: of('R0'), part: of('R0') + 512, own: of('R1') };
}

type Healthy = ReturnType<typeof healthy>;
const headOf = (h: Healthy, vpn: number): Frame => h.k.thp.headOf(pteFrame(h.table.get(vpn)));

const broken: readonly [string, RegExp, (h: Healthy) => void][] = [
  [
    '[THP6] entries that map it whole',
    /counts 3 entries that map it whole; there are 2/,
    (h) => {
      h.k.thp.pageOf(headOf(h, h.shared)).pmdMaps++;
    },
  ],
  [
    '[THP6] all entries',
    /counts 0 entries in all; there are 1/,
    (h) => {
      h.k.thp.pageOf(headOf(h, h.own)).refs--;
    },
  ],
  [
    '[THP1] a frame of another kind',
    /is of kind 4/,
    (h) => h.k.mem.map.kind.fill(4, headOf(h, h.own) + 9, headOf(h, h.own) + 10),
  ],
  ['[THP14] mapped in part and not queued', /not queued/, (h) => h.k.thp.splitQueue.clear()],
  ['[THP14] queued and whole', /is queued/, (h) => h.k.thp.splitQueue.add(headOf(h, h.own))],
  [
    '[THP9] writable and shared',
    /is writable, and 2 map it/,
    (h) => h.table.setThp(h.shared, makePte(headOf(h, h.shared), true)),
  ],
  [
    '[THP2] one table page for two',
    /shares table page/,
    (h) => {
      const table = h.table.removeThp(h.own);
      h.table.removeThp(h.shared);
      h.table.setThp(h.own, makePte(headOf(h, h.part), true), table);
      h.table.setThp(h.shared, 1, table);
    },
  ],
  [
    '[THP5] beyond its area',
    /reaches beyond its area/,
    (h) => {
      const task = h.k.tasks[0] as Kernel['tasks'][number];
      const vma = task.mm.lookup(h.own);
      if (vma !== undefined) vma.endVpn -= 1;
    },
  ],
  ['[THP15] the zero page is gone', /is used and gone/, (h) => (h.k.thp.zeroFrame = undefined)],
];

describe('one thing broken', () => {
  test.each(broken)('%s', (_name, finding, breakIt) => {
    const h = healthy();
    breakIt(h);
    expect(CHECKERS['transparent huge pages']?.(h.k).join('\n')).toMatch(finding);
  });
});
