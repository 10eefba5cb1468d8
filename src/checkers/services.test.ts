// The judge of services finds what it is there for.
import { expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import type { Frame } from '../base/ids.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { makePte, pteFrame } from '../kernel/page_table.ts';
import { checkServices } from './services.ts';

/** Two merged pages and, in another area, pages that are taken away; and a page to spoil. */
function busy(): { k: Kernel; vpnOf: (region: string) => number; frameOf: (r: string) => Frame } {
  const { kernel, session } = play(`
    sys write /proc/sys/kernel/numa_balancing 1
    sys write /sys/kernel/debug/sched/numa_balancing/scan_period_max_ms 200
    T0 mmap R0 2 anon
    T0 mmap R1 2 anon
    T0 mmap R2 2 anon
    T0 madvise R0 0 2 mergeable
    T0 fill R0 0 2 7
    sys write /sys/kernel/mm/ksm/run 1
    sys ksm_scans 3
    sys write /sys/kernel/mm/ksm/run 0
    T0 touch R1
    T0 move_pages R1 0 2 1
    T0 touch R2
    T0 work R2 0 2 2000
  `);
  const task = kernel.tasks[0] as Kernel['tasks'][number];
  const regions = session.runner.regionsOf('T0');
  const vpnOf = (region: string) => regions.vpnOf(region, 0);
  const frameOf = (region: string) => pteFrame(task.mm.pageTable.get(vpnOf(region)));
  return { k: kernel, vpnOf, frameOf };
}

const spaceOf = (k: Kernel) => (k.tasks[0] as Kernel['tasks'][number]).mm;

test('[KSM5] [KSM9] [NBL7] nothing is found where services did their work', () => {
  const { k, vpnOf } = busy();
  expect(checkServices(k)).toEqual([]);
  expect(spaceOf(k).pageTable.marks?.hinted.has(vpnOf('R1'))).toBe(true);
});

test('[KSM5] a merged page that can be written is found', () => {
  const { k, vpnOf, frameOf } = busy();
  spaceOf(k).pageTable.set(vpnOf('R0'), makePte(frameOf('R0'), true));
  expect(checkServices(k).join()).toContain('can be written');
});

test('[KSM9] a merged page with another content, and one that nobody knows, are found', () => {
  const spoilt = busy();
  spoilt.k.contents?.set(spoilt.frameOf('R0'), 8);
  expect(checkServices(spoilt.k).join()).toContain('holds 8, and was merged as 7');
  const { k, frameOf } = busy();
  k.mem.map.link[frameOf('R2')] = -77;
  expect(checkServices(k).join()).toContain('which KSM does not know');
});

test('[NBL7] pages taken away that are merged, or no pages, are found', () => {
  const { k, vpnOf } = busy();
  const { marks } = spaceOf(k).pageTable;
  marks?.hinted.add(vpnOf('R0'));
  expect(checkServices(k).join()).toContain('is taken away and merged');
  marks?.hinted.clear();
  marks?.hinted.add(vpnOf('R0') - 1);
  expect(checkServices(k).join()).toContain('is taken away and is no page');
});
