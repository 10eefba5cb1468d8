// Zone limits and block orders per architecture and page size.
import { describe, expect, test } from 'vitest';
import { ARCHES } from './machine.ts';
import { DEFAULT_PAGE_BYTES, maxOrder, pageblockOrder, pageSizesOf, zoneLimits } from './zones.ts';

const GIB = 1024 ** 3;

describe('zones', () => {
  test('x86_64 has DMA below 16 MiB and DMA32 below 4 GiB', () => {
    expect(zoneLimits('x86_64', 4096)).toEqual({
      dmaEndBytes: 16 * 1024 ** 2,
      dma32EndBytes: 4 * GIB,
    });
  });

  test('arm64 servers have DMA below 4 GiB and no DMA32', () => {
    expect(zoneLimits('arm64', 65536)).toEqual({ dmaEndBytes: 4 * GIB, dma32EndBytes: 4 * GIB });
  });

  test('POWER servers have only Normal on 6.1, and only DMA on the 4.10 of the thread', () => {
    expect(zoneLimits('ppc64', 65536)).toEqual({ dmaEndBytes: 0, dma32EndBytes: 0 });
    const inf = Number.POSITIVE_INFINITY;
    expect(zoneLimits('ppc64', 65536, '4.10')).toEqual({ dmaEndBytes: inf, dma32EndBytes: inf });
  });

  test('the largest block is 4 MiB, on POWER 16 MiB, on arm64 with 64 KiB pages 512 MiB', () => {
    const blockBytes = (arch: (typeof ARCHES)[number], page: number) =>
      page * 2 ** maxOrder(arch, page);
    expect(blockBytes('x86_64', 4096)).toBe(4 * 1024 ** 2);
    expect(blockBytes('arm64', 4096)).toBe(4 * 1024 ** 2);
    expect(blockBytes('arm64', 65536)).toBe(512 * 1024 ** 2);
    expect(blockBytes('ppc64', 65536)).toBe(16 * 1024 ** 2);
    expect(blockBytes('ppc64', 4096)).toBe(16 * 1024 ** 2);
  });

  test('a page block is a default huge page', () => {
    expect(4096 * 2 ** pageblockOrder('x86_64', 4096)).toBe(2 * 1024 ** 2);
    expect(65536 * 2 ** pageblockOrder('ppc64', 65536)).toBe(2 * 1024 ** 2);
    expect(65536 * 2 ** pageblockOrder('arm64', 65536)).toBe(512 * 1024 ** 2);
    expect(16384 * 2 ** pageblockOrder('arm64', 16384)).toBe(32 * 1024 ** 2);
  });

  test('a page block is never larger than the largest block', () => {
    for (const arch of ARCHES) {
      expect(pageSizesOf(arch)).toContain(DEFAULT_PAGE_BYTES[arch]);
      for (const page of pageSizesOf(arch)) {
        expect(pageblockOrder(arch, page)).toBeLessThanOrEqual(maxOrder(arch, page));
      }
    }
  });

  test('a page size that the architecture does not have is a bug of the caller', () => {
    expect(() => maxOrder('x86_64', 65536)).toThrow('x86_64 has no pages of 65536 bytes');
    expect(() => zoneLimits('ppc64', 16384)).toThrow('ppc64 has no pages of 16384 bytes');
  });
});
