// Settings under /proc/sys/vm.
import { describe, expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import type { ZoneIndex } from '../base/ids.ts';

describe('zone_reclaim_mode', () => {
  const ROOM = 'sys mkfile data 30000\nT0 set_mempolicy bind 1\nT0 cpu 2\nT0 readfile data';
  const TOUCH = 'T0 set_mempolicy default none\nT0 mmap R0 12000 anon\nT0 touch R0\nT0 where R0';
  /** Pages by node of an area that comes after a file has filled node 1, where the task runs. */
  const placed = (mode: number): Record<string, number> =>
    play(`sys write /proc/sys/vm/zone_reclaim_mode ${mode} -> 0\n${ROOM}\n${TOUCH}`).last[
      'counts'
    ] as Record<string, number>;

  test('[SCT1] frees clean pages of files on the own node before a walk leaves it', () => {
    const [without, within] = [placed(0)['1'] ?? 0, placed(1)['1'] ?? 0];
    expect(without).toBeLessThan(4_000);
    // What is freed goes to the lists of a CPU first, so that some walks go on all the same.
    expect(within).toBeGreaterThan(11_000);
  });

  test('[SCT1] is kept, and changes nothing where there are no pages of files', () => {
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
