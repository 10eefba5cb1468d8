// Watermarks and reserves: the formulas, and what real kernels showed in /proc/zoneinfo.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { check } from '../../test/support/property.ts';
import { nodeId, type ZoneIndex } from '../base/ids.ts';
import {
  MAX_NR_ZONES,
  MIGRATE_MOVABLE,
  MIGRATE_TYPES,
  ZONE_DMA,
  ZONE_DMA32,
  ZONE_MOVABLE,
  ZONE_NAMES,
  ZONE_NORMAL,
} from './gfp.ts';
import {
  ALLOC_HIGHATOMIC,
  ALLOC_MIN_RESERVE,
  ALLOC_NON_BLOCK,
  ALLOC_WMARK_HIGH,
  ALLOC_WMARK_LOW,
  ALLOC_WMARK_MIN,
} from './internal.ts';
import { setPcpLimits, Zones } from './mmzone.ts';
import {
  minFreeKbytes,
  setupLowmemReserve,
  setupPerZoneWmarks,
  wmarkPages,
  zoneWatermarkOk,
} from './watermark.ts';

interface Spec {
  readonly nid: number;
  readonly type: number;
  readonly managed: number;
}

function zonesOf(specs: readonly Spec[]): Zones {
  const zones = new Zones(
    specs.map(({ nid, type }) => ({ nid: nodeId(nid), type })),
    11,
  );
  specs.forEach(({ managed }, z) => {
    zones.managed[z] = managed;
    zones.present[z] = managed;
  });
  return zones;
}

const anySpecs = fc.array(
  fc.record({
    nid: fc.nat(3),
    type: fc.constantFrom(ZONE_DMA, ZONE_DMA32, ZONE_NORMAL, ZONE_MOVABLE),
    managed: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 50_000_000 })),
  }),
  { minLength: 1, maxLength: 8 },
);

describe('marks', () => {
  test('[WMK1] in every zone min <= low <= high, and the gaps are equal', () => {
    check(fc.tuple(anySpecs, fc.integer({ min: 128, max: 262_144 })), 200, ([specs, kb]) => {
      const zones = zonesOf(specs);
      setupPerZoneWmarks(zones, kb, 4096);
      for (let z = 0; z < zones.nr; z++) {
        const [min, low, high] = [zones.wmarkMin[z], zones.wmarkLow[z], zones.wmarkHigh[z]].map(
          Number,
        ) as [number, number, number];
        expect(low - min).toBe(high - low);
        expect(low - min).toBe(
          Math.max(Math.floor(min / 4), Math.floor((zones.managed[z] as number) / 1000)),
        );
        expect(wmarkPages(zones, z, ALLOC_WMARK_MIN)).toBe(min);
        expect(wmarkPages(zones, z, ALLOC_WMARK_LOW)).toBe(low);
        expect(wmarkPages(zones, z, ALLOC_WMARK_HIGH)).toBe(high);
      }
    });
  });

  test.each([
    [1, 128],
    [1024, 128],
    [1024 * 1024, 4096],
    [4 * 1024 * 1024, 8192],
    [2 ** 34, 262_144],
  ])('[WMK2] %d KiB of low memory keep %d KiB free', (lowmem, free) => {
    expect(minFreeKbytes(lowmem)).toBe(free);
  });

  test('[WMK3] min_free_kbytes is shared out by size, Movable zones included', () => {
    const zones = zonesOf([
      { nid: 0, type: ZONE_NORMAL, managed: 30_000 },
      { nid: 1, type: ZONE_MOVABLE, managed: 10_000 },
      { nid: 2, type: ZONE_NORMAL, managed: 0 },
    ]);
    setupPerZoneWmarks(zones, 1600, 4096);
    expect([...zones.wmarkMin]).toEqual([300, 100, 0]);
    expect([...zones.wmarkLow]).toEqual([375, 125, 0]);
  });

  test('[WMK4] a zone keeps back a share of the zones above it on its node, Movable nothing', () => {
    const zones = zonesOf([
      { nid: 0, type: ZONE_DMA, managed: 3974 },
      { nid: 0, type: ZONE_DMA32, managed: 449_237 },
      { nid: 0, type: ZONE_NORMAL, managed: 15_990_165 },
      { nid: 1, type: ZONE_NORMAL, managed: 16_514_387 },
      { nid: 1, type: ZONE_MOVABLE, managed: 320 },
    ]);
    setupLowmemReserve(zones);
    const row = (z: number) => [
      ...zones.lowmemReserve.subarray(z * MAX_NR_ZONES, (z + 1) * MAX_NR_ZONES),
    ];
    expect(row(0)).toEqual([0, 1754, 64_216, 64_216, 64_216]);
    expect(row(1)).toEqual([0, 0, 62_461, 62_461, 62_461]);
    expect(row(2)).toEqual([0, 0, 0, 0, 0]);
    expect(row(3)).toEqual([0, 0, 0, 10, 10]);
    expect(row(4)).toEqual([0, 0, 0, 0, 0]);
  });
});

describe('a request', () => {
  const zones = zonesOf([{ nid: 0, type: ZONE_NORMAL, managed: 1000 }]);
  const z = 0 as ZoneIndex;
  const ok = (free: number, order: number, mark: number, flags = 0): boolean => {
    zones.free[z] = free;
    zones.orderMask[MIGRATE_MOVABLE] = 0b1111;
    return zoneWatermarkOk(zones, z, order, mark, ZONE_NORMAL, flags);
  };

  test('[WMK5] may take pages while more than mark and reserve stay free', () => {
    expect(ok(101, 0, 100)).toBe(true);
    expect(ok(100, 0, 100)).toBe(false);
    zones.lowmemReserve[ZONE_NORMAL] = 30;
    expect(ok(130, 0, 100)).toBe(false);
    expect(ok(131, 0, 100)).toBe(true);
    zones.lowmemReserve[ZONE_NORMAL] = 0;
  });

  test('[WMK5] of 2^n pages needs that many, and a block of the order', () => {
    expect(ok(107, 3, 100)).toBe(false);
    expect(ok(108, 3, 100)).toBe(true);
    expect(ok(10_000, 4, 100)).toBe(false);
    zones.orderMask[MIGRATE_TYPES - 1] = 1 << 4;
    expect(ok(10_000, 4, 100)).toBe(false);
    expect(ok(10_000, 4, 100, ALLOC_NON_BLOCK)).toBe(false);
    expect(ok(10_000, 4, 100, ALLOC_HIGHATOMIC)).toBe(true);
    zones.orderMask[MIGRATE_TYPES - 1] = 0;
  });

  test('[WMK6] of high priority may go to half of the mark, an atomic one to three eighths', () => {
    expect(ok(51, 0, 100, ALLOC_MIN_RESERVE)).toBe(true);
    expect(ok(50, 0, 100, ALLOC_MIN_RESERVE)).toBe(false);
    expect(ok(39, 0, 100, ALLOC_MIN_RESERVE | ALLOC_NON_BLOCK)).toBe(true);
    expect(ok(38, 0, 100, ALLOC_MIN_RESERVE | ALLOC_NON_BLOCK)).toBe(false);
    expect(ok(100, 0, 100, ALLOC_NON_BLOCK)).toBe(false);
  });

  test('[WMK7] leaves pages reserved for atomic requests alone, unless it may use reserves', () => {
    zones.reservedHighatomic[z] = 20;
    expect(ok(120, 0, 100)).toBe(false);
    expect(ok(121, 0, 100)).toBe(true);
    expect(ok(101, 0, 100, ALLOC_NON_BLOCK)).toBe(true);
    expect(ok(51, 0, 100, ALLOC_MIN_RESERVE)).toBe(true);
    zones.reservedHighatomic[z] = 0;
  });
});

test.each([
  // managed, low mark, CPUs of the node, all CPUs, page size -> batch, high
  [262_144, 706, 0, 4, 4096, 63, 252],
  [16_000_000, 13_662, 8, 16, 4096, 63, 1707],
  [3840, 9, 2, 4, 4096, 1, 4],
  [400, 5, 2, 4, 4096, 1, 4],
  [65_536, 300, 2, 4, 65_536, 3, 150],
])('[PCP3] batch and high of a zone of %d pages, low %d, CPUs %d of %d', (...row) => {
  const [managed, low, nrLocal, nrAll, pageBytes, batch, high] = row;
  const zones = zonesOf([{ nid: 0, type: ZONE_NORMAL, managed }]);
  zones.wmarkLow[0] = low;
  setPcpLimits(zones, 0 as ZoneIndex, pageBytes, nrLocal, nrAll);
  expect([zones.pcpBatch[0], zones.pcpHigh[0]]).toEqual([batch, high]);
});

const ORACLE = fileURLToPath(new URL('../../../shared/oracle/', import.meta.url));
const hasOracle = existsSync(ORACLE);
if (!hasOracle) console.warn(`skipped: watermarks of real kernels, since ${ORACLE} is absent`);

interface SeenZone {
  readonly node: number;
  readonly zone: string;
  readonly managed: number;
  readonly min: number;
  readonly low: number;
  readonly high: number;
  readonly protection: readonly number[];
}

describe.skipIf(!hasOracle)('marks that real kernels of 6.1 showed after boot', () => {
  /** By machine, kernel and design; `out`: nodes that the boot CPU's zonelist does not hold. */
  const machines = new Map<string, { out: readonly number[]; seen: readonly SeenZone[] }>();
  if (hasOracle) {
    for (const family of ['policy', 'exhaust']) {
      const text = gunzipSync(readFileSync(`${ORACLE}${family}.jsonl.gz`)).toString();
      for (const line of text.split('\n').filter((l) => l !== '')) {
        const c = JSON.parse(line) as {
          machine: { name: string; nodes: { id: number; cdm: boolean }[] };
          kernel: string;
          design: string;
          zonesAtBoot: SeenZone[];
        };
        const isolates = c.design === 'zonelist' || c.design === 'limited';
        const out = c.machine.nodes.filter((n) => n.cdm && isolates).map((n) => n.id);
        machines.set(`${c.machine.name} ${c.kernel} ${c.design}`, { out, seen: c.zonesAtBoot });
      }
    }
  }
  // The kernel sets marks before boot has given back all it took, so its zones were smaller then.
  const close = (ours: number, real: number): boolean =>
    Math.abs(ours - real) <= Math.max(2, real * 0.06);

  test('[WMK1] low and high stand above min as the formula says', () => {
    expect(machines.size).toBeGreaterThan(15);
    for (const [name, { seen }] of machines) {
      for (const { managed, min, low, high } of seen) {
        const gap = Math.max(min >> 2, Math.floor(managed / 1000));
        expect(close(min + gap, low) && close(min + 2 * gap, high), `${name}: ${managed}`).toBe(
          true,
        );
      }
    }
  });

  test('[WMK2] [WMK3] [WMK4] min and reserves are what we work out from the zones', () => {
    for (const [name, { out, seen }] of machines) {
      const zones = zonesOf(
        seen.map(({ node, zone, managed }) => ({
          nid: node,
          type: ZONE_NAMES.indexOf(zone as (typeof ZONE_NAMES)[number]),
          managed,
        })),
      );
      const low = seen.filter(({ zone, node }) => zone !== 'Movable' && !out.includes(node));
      const lowmemKb = low.reduce((n, { managed }) => n + managed * 4, 0);
      setupPerZoneWmarks(zones, minFreeKbytes(lowmemKb), 4096);
      setupLowmemReserve(zones);
      seen.forEach(({ min, protection, node, zone }, z) => {
        expect(
          close(zones.wmarkMin[z] as number, min),
          `${name} node ${node} ${zone}: ${min}`,
        ).toBe(true);
        const all = [0, 1, 2, 3, 4];
        const types = protection.length === 5 ? all : all.slice(1);
        types.forEach((type, i) => {
          const ours = zones.lowmemReserve[z * MAX_NR_ZONES + type] as number;
          expect(close(ours, protection[i] as number), `${name} node ${node} ${zone}`).toBe(true);
        });
      });
    }
  });
});
