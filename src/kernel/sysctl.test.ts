// Settings under /proc/sys/vm.
import { expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import type { ZoneIndex } from '../base/ids.ts';

test('[SCT1] zone_reclaim_mode is kept, and pages land where they would without it', () => {
  const touch = 'T0 mmap R0 60000 anon\nT0 touch R0\nT0 where R0';
  const without = play(touch).last;
  const { last } = play(`
    sys read /proc/sys/vm/zone_reclaim_mode -> value 0
    sys write /proc/sys/vm/zone_reclaim_mode 1 -> 0
    sys write /proc/sys/vm/zone_reclaim_mode yes -> EINVAL
    sys read /proc/sys/vm/zone_reclaim_mode -> value 1
    ${touch}`);
  expect(last['where']).toEqual(without['where']);
});

test('[SCT3] min_free_kbytes moves the marks, and with them the end of a node', () => {
  const full = 'T0 set_mempolicy bind 2\nT0 mmap R0 20000 anon\nT0 touch R0 -> KILLED';
  const before = play(full).last['touched'] as number;
  const write = 'sys write /proc/sys/vm/min_free_kbytes 4096 -> 0\n';
  const { kernel } = play(`${write}sys read /proc/sys/vm/min_free_kbytes -> value 4096`);
  const { zones } = kernel.mem;
  const z = zones.ofNode(2).find((row) => zones.isManaged(row)) as ZoneIndex;
  const { wmarkMin } = zones;
  const was = play('sys zones').kernel.mem.zones.wmarkMin[z] as number;
  const grown = (wmarkMin[z] as number) - was;
  expect(grown).toBeGreaterThan(50);
  // A CPU takes pages by the batch, so the last few are not exact.
  const sooner = before - (play(write + full).last['touched'] as number);
  expect(Math.abs(sooner - grown)).toBeLessThan(kernel.mem.zones.pcpBatch[z] as number);
});

test('[SCT2] watermark_boost_factor takes any number and reads back, and 15000 at first', () => {
  const { kernel, more } = play('sys read /proc/sys/vm/watermark_boost_factor -> value 15000');
  expect(more('sys write /proc/sys/vm/watermark_boost_factor -1').ret).toBe('EINVAL');
  expect(more('sys write /proc/sys/vm/watermark_boost_factor 0').ret).toBe(0);
  expect(kernel.mem.buddy.boostFactor).toBe(0);
  expect(more('sys read /proc/sys/vm/watermark_boost_factor')).toMatchObject({ value: '0' });
});
