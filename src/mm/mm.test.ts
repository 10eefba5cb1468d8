// The small parts of mm: request flags, the frame table, counters, the record of decisions.
import { describe, expect, test } from 'vitest';
import { frame } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import { MASK_CPUSET, MASK_REQUEST } from '../hooks/design.ts';
import { ATTEMPT, DecisionLog, type RequestContext, VERDICT } from './decision_log.ts';
import {
  __GFP_DMA,
  __GFP_DMA32,
  __GFP_HIGHMEM,
  __GFP_MOVABLE,
  __GFP_RECLAIMABLE,
  __GFP_THISNODE,
  GFP_ANON_FAULT,
  GFP_ATOMIC,
  GFP_HIGHUSER,
  GFP_HIGHUSER_MOVABLE,
  GFP_KERNEL,
  GFP_PGTABLE_USER,
  gfpMigratetype,
  gfpNames,
  gfpZone,
  MIGRATE_MOVABLE,
  MIGRATE_RECLAIMABLE,
  MIGRATE_UNMOVABLE,
  ZONE_DMA,
  ZONE_DMA32,
  ZONE_MOVABLE,
  ZONE_NORMAL,
} from './gfp.ts';
import { KIND_ANON, MemMap } from './memmap.ts';
import { VmStat } from './vmstat.ts';

describe('flags of a request', () => {
  test.each([
    [GFP_KERNEL, ZONE_NORMAL],
    [GFP_HIGHUSER, ZONE_NORMAL],
    [GFP_HIGHUSER_MOVABLE, ZONE_MOVABLE],
    [GFP_KERNEL | __GFP_MOVABLE, ZONE_NORMAL],
    [GFP_KERNEL | __GFP_DMA32, ZONE_DMA32],
    [GFP_KERNEL | __GFP_DMA | __GFP_HIGHMEM, ZONE_DMA],
    [GFP_PGTABLE_USER, ZONE_NORMAL],
  ])('[ALC1] 0x%s may go up to zone type %d', (gfp, type) => {
    expect(gfpZone(gfp)).toBe(type);
  });

  test('[BUD6] the migrate type follows from the flags', () => {
    expect(gfpMigratetype(GFP_HIGHUSER_MOVABLE)).toBe(MIGRATE_MOVABLE);
    expect(gfpMigratetype(GFP_KERNEL)).toBe(MIGRATE_UNMOVABLE);
    expect(gfpMigratetype(GFP_KERNEL | __GFP_RECLAIMABLE)).toBe(MIGRATE_RECLAIMABLE);
    expect(gfpMigratetype(GFP_ATOMIC)).toBe(MIGRATE_UNMOVABLE);
  });

  test('flags print by the names that the kernel logs', () => {
    expect(gfpNames(GFP_ANON_FAULT)).toBe('GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO');
    expect(gfpNames(GFP_PGTABLE_USER)).toBe('GFP_KERNEL_ACCOUNT|__GFP_ZERO');
    expect(gfpNames(GFP_HIGHUSER_MOVABLE | __GFP_THISNODE)).toBe(
      'GFP_HIGHUSER_MOVABLE|__GFP_THISNODE',
    );
    expect(gfpNames(0)).toBe('none');
  });
});

describe('the frame table', () => {
  test('[FRM2] a map count never leaves 0..65535', () => {
    const map = new MemMap(4);
    const f = frame(2);
    map.claim(f, KIND_ANON, 7, 99, 0);
    expect(() => map.removeMap(f)).toThrow(/more often/);
    map.claim(f, KIND_ANON, 7, 99, 65_535);
    expect(() => map.addMap(f)).toThrow(/65535/);
    expect(map.removeMap(f)).toBe(65_534);
    expect([map.kind[f], map.link[f], map.index[f]]).toEqual([KIND_ANON, 7, 99]);
  });
});

describe('counters', () => {
  test('[VMS1] [VMS2] a page elsewhere is a miss where it is and foreign where it was wanted', () => {
    const stat = new VmStat(9);
    stat.countAllocation(2, 2, 2, 10);
    stat.countAllocation(2, 8, 0, 3);
    stat.countAllocation(0, 8, 8, 1);
    stat.countInterleaveHit(8);
    expect(stat.numastat(2)).toEqual({
      numa_hit: 10,
      numa_miss: 0,
      numa_foreign: 3,
      interleave_hit: 0,
      local_node: 10,
      other_node: 0,
    });
    expect(stat.numastat(8)).toMatchObject({
      numa_hit: 0,
      numa_miss: 4,
      numa_foreign: 0,
      interleave_hit: 1,
      local_node: 1,
      other_node: 3,
    });
    expect(stat.eventCounts().pgalloc).toBe(14);
  });
});

describe('the record of decisions', () => {
  const context = (task: string): RequestContext => ({
    task,
    purpose: 'page fault',
    gfp: 'GFP_KERNEL',
    policy: 'default (local)',
    policyFrom: 'default',
    startWhy: 'node of CPU 0',
    cpuset: undefined,
    nodemask: undefined,
  });

  test('[DEC1] reads back what was written: request, list, zones looked at, outcome', () => {
    const log = new DecisionLog();
    log.setContext(context('T0'));
    log.begin(GFP_HIGHUSER_MOVABLE, 3, 4095, ATTEMPT.SLOW, MASK_REQUEST, 1023, true);
    log.step(65_535, VERDICT.GATED, 123_456_789);
    log.step(2, VERDICT.TAKEN, 7);
    log.end(true, 512);
    log.setContext(context('T1'));
    log.begin(GFP_KERNEL, 0, 0, ATTEMPT.OOM, MASK_CPUSET, 0, false);
    log.end(false, 0);
    const [first, second] = [...log.records()];
    expect(first).toMatchObject({
      gfp: GFP_HIGHUSER_MOVABLE,
      order: 3,
      cpu: 4095,
      attempt: ATTEMPT.SLOW,
      maskOrigin: MASK_REQUEST,
      isGiven: true,
      listOwner: 1023,
      isNoFallback: true,
      nrPages: 512,
      steps: [
        { zone: 65_535, verdict: VERDICT.GATED, freePages: 123_456_789 },
        { zone: 2, verdict: VERDICT.TAKEN, freePages: 7 },
      ],
    });
    expect(first?.context?.task).toBe('T0');
    expect(second).toMatchObject({ isGiven: false, isNoFallback: false, nrPages: 0, steps: [] });
    expect(second?.context?.task).toBe('T1');
    expect([log.nrRecords, log.nrPages]).toEqual([2, 512]);
    expect(log.recordAt(log.lastRecord)).toEqual(second);
  });

  test('[DEC1] keeps as many records as there are', () => {
    const log = new DecisionLog();
    log.setContext(context('T0'));
    for (let i = 0; i < 5000; i++) {
      log.begin(i, 0, 0, ATTEMPT.FAST, MASK_CPUSET, 0, false);
      for (let z = 0; z < i % 4; z++) log.step(z, VERDICT.WATERMARK, i);
      log.end(true, 1);
    }
    const all = [...log.records()];
    expect(all.length).toBe(5000);
    expect(all.every((d, i) => d.gfp === i && d.steps.length === i % 4)).toBe(true);
    expect(log.sizeBytes).toBe((5000 * 5 + (5000 / 4) * 6 * 2) * 4);
  });

  test('[DEC1] asks for a context again only when something about the request changed', () => {
    const log = new DecisionLog();
    const [task, policy, mask] = [{}, {}, Nodemask.of(1)];
    expect(log.isContextOf(task, 'page fault', policy, 1, mask, 5)).toBe(false);
    expect(log.isContextOf(task, 'page fault', policy, 1, mask, 5)).toBe(true);
    expect(log.isContextOf(task, 'page table', policy, 1, mask, 5)).toBe(false);
    expect(log.isContextOf(task, 'page table', policy, 1, Nodemask.of(1), 5)).toBe(false);
    log.forgetContext();
    expect(log.isContextOf(task, 'page table', policy, 1, mask, 5)).toBe(false);
  });
});
