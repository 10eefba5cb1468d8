// The layout rule, by example and over random nodes.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { layOutMemory } from './layout.ts';
import { ARCHES, type MemoryZone } from './machine.ts';
import { maxOrder, pageSizesOf } from './zones.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const boot = (sizeBytes: number) => ({ sizeBytes, memoryZone: 'boot' as const });
const movable = (sizeBytes: number) => ({ sizeBytes, memoryZone: 'movable' as const });

describe('layOutMemory', () => {
  test('x86 puts RAM below 3 GiB and the rest from 4 GiB on', () => {
    expect(layOutMemory('x86_64', 4096, [boot(16 * GIB)])).toEqual([
      [
        { startBytes: 0, sizeBytes: 3 * GIB },
        { startBytes: 4 * GIB, sizeBytes: 13 * GIB },
      ],
    ]);
  });

  test('x86 splits the node that meets the hole, whichever it is', () => {
    expect(layOutMemory('x86_64', 4096, [boot(2 * GIB), boot(2 * GIB), boot(GIB)])).toEqual([
      [{ startBytes: 0, sizeBytes: 2 * GIB }],
      [
        { startBytes: 2 * GIB, sizeBytes: GIB },
        { startBytes: 4 * GIB, sizeBytes: GIB },
      ],
      [{ startBytes: 5 * GIB, sizeBytes: GIB }],
    ]);
  });

  test('x86 hot-plugs from 4 GiB on even when RAM ends far below, as QEMU does', () => {
    const laidOut = layOutMemory('x86_64', 4096, [
      boot(320 * MIB),
      movable(256 * MIB),
      boot(320 * MIB),
    ]);
    expect(laidOut.map((ranges) => ranges[0]?.startBytes)).toEqual([0, 4 * GIB, 320 * MIB]);
  });

  test('hot-plugged nodes stand at whole GiB above all boot memory', () => {
    const laidOut = layOutMemory('x86_64', 4096, [
      boot(4 * GIB + 4096),
      movable(GIB + 4096),
      movable(GIB),
    ]);
    expect(laidOut.slice(1).map((ranges) => ranges[0]?.startBytes)).toEqual([6 * GIB, 8 * GIB]);
  });

  test('arm64 starts at 2 GiB and ppc64 at 0', () => {
    expect(layOutMemory('arm64', 65536, [boot(GIB)])[0]?.[0]?.startBytes).toBe(2 * GIB);
    expect(layOutMemory('ppc64', 65536, [boot(GIB)])[0]?.[0]?.startBytes).toBe(0);
  });

  test('node boundaries are aligned: 4 MiB with 4 KiB pages, 16 MiB on POWER', () => {
    const second = (arch: 'x86_64' | 'arm64' | 'ppc64', page: number) =>
      layOutMemory(arch, page, [boot(page), boot(page)])[1]?.[0]?.startBytes;
    expect(second('x86_64', 4096)).toBe(4 * MIB);
    expect(second('arm64', 4096)).toBe(2 * GIB + 4 * MIB);
    expect(second('ppc64', 65536)).toBe(16 * MIB);
  });

  test('what is taken already stays below everything laid out', () => {
    const laidOut = layOutMemory('x86_64', 4096, [boot(GIB), movable(GIB)], 9 * GIB + 4096);
    expect(laidOut.map((ranges) => ranges[0]?.startBytes)).toEqual([9 * GIB + 4 * MIB, 11 * GIB]);
  });

  test('a node without memory gets no range', () => {
    expect(layOutMemory('x86_64', 4096, [boot(0), boot(GIB), movable(0)])).toEqual([
      [],
      [{ startBytes: 0, sizeBytes: GIB }],
      [],
    ]);
  });

  test('any nodes keep their sizes, overlap nowhere and share no largest block', () => {
    const node = fc.record({
      pages: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 4_000_000 })),
      memoryZone: fc.constantFrom<MemoryZone>('boot', 'movable'),
    });
    fc.assert(
      fc.property(fc.constantFrom(...ARCHES), fc.array(node, { maxLength: 8 }), (arch, nodes) => {
        for (const page of pageSizesOf(arch)) {
          const sized = nodes.map((n) => ({ sizeBytes: n.pages * page, memoryZone: n.memoryZone }));
          const laidOut = layOutMemory(arch, page, sized);
          const blockBytes = page * 2 ** maxOrder(arch, page);
          let end = 0;
          const order = [...laidOut.keys()].sort(
            (a, b) => (laidOut[a]?.[0]?.startBytes ?? 0) - (laidOut[b]?.[0]?.startBytes ?? 0),
          );
          for (const i of order) {
            const ranges = laidOut[i] ?? [];
            expect(ranges.reduce((sum, r) => sum + r.sizeBytes, 0)).toBe(sized[i]?.sizeBytes);
            if (ranges[0] !== undefined) expect(ranges[0].startBytes % blockBytes).toBe(0);
            for (const r of ranges) {
              expect(r.startBytes).toBeGreaterThanOrEqual(end);
              expect(r.startBytes % page).toBe(0);
              end = r.startBytes + r.sizeBytes;
              if (arch === 'x86_64') expect(end <= 3 * GIB || r.startBytes >= 4 * GIB).toBe(true);
            }
          }
        }
      }),
      { numRuns: 60, seed: 4 },
    );
  });
});
