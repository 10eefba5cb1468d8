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
import {
  EVENT,
  NODE_ITEM,
  NODE_ITEMS,
  NUMA_ITEMS,
  VM_EVENTS,
  ZONE_ITEM,
  ZONE_ITEMS,
} from './vmstat_items.ts';
import { LIST } from './zonelist.ts';

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
    const [zone0, zone2, zone8] = [0, 1, 2];
    const zones = { nr: 3, nid: [0, 2, 8], type: [ZONE_DMA32, ZONE_NORMAL, ZONE_MOVABLE] };
    const stat = new VmStat(zones, 9);
    stat.countAllocation(zone2, zone2, 2, 10);
    stat.countAllocation(zone2, zone8, 0, 3);
    stat.countAllocation(zone0, zone8, 8, 1);
    stat.countInterleaveHit(zone8);
    stat.countBlock(zone8, 9);
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
    expect(stat.eventCounts().pgalloc).toBe(14 + 511);
    const byType = [EVENT.pgalloc_dma32, EVENT.pgalloc_normal, EVENT.pgalloc_movable];
    expect(byType.map((event) => stat.event(event))).toEqual([0, 10, 4 + 511]);
    expect(stat.numaOf(zone2)).toEqual({
      numa_hit: 10,
      numa_miss: 0,
      numa_foreign: 3,
      numa_interleave: 0,
      numa_local: 10,
      numa_other: 0,
    });
  });

  test('[PRC1] every counter has one name, and its number is where it stands', () => {
    const tables = [ZONE_ITEMS, NUMA_ITEMS, NODE_ITEMS, VM_EVENTS] as const;
    const names = tables.flatMap((table) => [...table]);
    expect(new Set(names).size).toBe(names.length);
    expect(VM_EVENTS.map((name) => EVENT[name])).toEqual([...VM_EVENTS.keys()]);
    expect(NODE_ITEMS.map((name) => NODE_ITEM[name])).toEqual([...NODE_ITEMS.keys()]);
    expect(ZONE_ITEMS.map((name) => ZONE_ITEM[name])).toEqual([...ZONE_ITEMS.keys()]);
  });

  test('[PRC2] a counter is what was added and what its source says, else 0', () => {
    const stat = new VmStat({ nr: 2, nid: [0, 4], type: [ZONE_NORMAL, ZONE_MOVABLE] }, 5);
    expect([stat.node(NODE_ITEM.nr_dirty, 4), stat.zone(ZONE_ITEM.nr_mlock, 1)]).toEqual([0, 0]);
    stat.addNode(NODE_ITEM.nr_dirty, 4, 3);
    stat.addNode(NODE_ITEM.nr_dirty, 4, -1);
    stat.nodeSource(NODE_ITEM.nr_dirty, (nid) => nid * 100);
    stat.addZone(ZONE_ITEM.nr_mlock, 1, 7);
    stat.zoneSource(ZONE_ITEM.nr_mlock, (z) => z);
    stat.count(EVENT.pgmajfault, 2);
    stat.eventSource(EVENT.pgmajfault, () => 5);
    expect([0, 4].map((nid) => stat.node(NODE_ITEM.nr_dirty, nid))).toEqual([0, 402]);
    expect([0, 1].map((z) => stat.zone(ZONE_ITEM.nr_mlock, z))).toEqual([0, 8]);
    expect(stat.event(EVENT.pgmajfault)).toBe(7);
    expect(stat.otherEvents()).toEqual({ pgmajfault: 2 });
    expect(stat.hasNodeSource(NODE_ITEM.nr_mapped)).toBe(false);
    expect(stat.hasZoneSource(ZONE_ITEM.nr_mlock)).toBe(true);
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
    log.begin(
      GFP_HIGHUSER_MOVABLE,
      3,
      4095,
      ATTEMPT.SLOW,
      MASK_REQUEST,
      1023,
      LIST.PRIVATE_NOFALLBACK,
    );
    log.step(65_535, VERDICT.GATED, 123_456_789);
    log.step(2, VERDICT.TAKEN, 7);
    log.end(true, 512);
    log.setContext(context('T1'));
    log.begin(GFP_KERNEL, 0, 0, ATTEMPT.OOM, MASK_CPUSET, 0, LIST.FALLBACK);
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
      list: LIST.PRIVATE_NOFALLBACK,
      nrPages: 512,
      steps: [
        { zone: 65_535, verdict: VERDICT.GATED, freePages: 123_456_789 },
        { zone: 2, verdict: VERDICT.TAKEN, freePages: 7 },
      ],
    });
    expect(first?.context?.task).toBe('T0');
    expect(second).toMatchObject({ isGiven: false, list: LIST.FALLBACK, nrPages: 0, steps: [] });
    expect(second?.context?.task).toBe('T1');
    expect([log.nrRecords, log.nrPages]).toEqual([2, 512]);
    expect(log.recordAt(log.lastRecord)).toEqual(second);
  });

  test('[DEC1] keeps as many records as there are', () => {
    const log = new DecisionLog();
    log.setContext(context('T0'));
    for (let i = 0; i < 5000; i++) {
      log.begin(i, 0, 0, ATTEMPT.FAST, MASK_CPUSET, 0, LIST.FALLBACK);
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
    expect(log.isContextOf(task, 'page table', policy, 1, Nodemask.of(1, 2), 5)).toBe(false);
    log.forgetContext();
    expect(log.isContextOf(task, 'page table', policy, 1, mask, 5)).toBe(false);
  });
});
