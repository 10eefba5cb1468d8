// What the architecture fixes about zones and blocks: page sizes, where the low zones end, the
// largest buddy block and the page block.
// Models   linux@v6.1 arch/x86/mm/init.c: zone_sizes_init; arch/arm64/mm/init.c: zone_sizes_init,
//          max_zone_phys; arch/powerpc/mm/mem.c: paging_init; the Kconfig defaults of
//          ARCH_FORCE_MAX_ORDER; mm/page_alloc.c: set_pageblock_order.
// Omits    the Raspberry Pi's 30-bit ZONE_DMA, hash-MMU POWER (16 MiB huge pages), 32-bit kernels.
import { assert } from '../base/assert.ts';
import type { Arch, Machine } from './machine.ts';

const GIB = 1024 ** 3;

interface BlockOrders {
  /** Order of the largest buddy block, inclusive (the kernel's MAX_ORDER - 1 before 6.4). */
  readonly maxOrder: number;
  readonly pageblockOrder: number;
}

/**
 * Per architecture and page size. A page block is a default huge page, but never more than the
 * largest buddy block (set_pageblock_order). ppc64 has 2 MiB huge pages under the radix MMU
 * (hugetlbpage_init_defaultsize), so 64 KiB pages give order 5.
 */
const BLOCK_ORDERS: Readonly<Record<Arch, ReadonlyMap<number, BlockOrders>>> = {
  x86_64: new Map([[4096, { maxOrder: 10, pageblockOrder: 9 }]]),
  arm64: new Map([
    [4096, { maxOrder: 10, pageblockOrder: 9 }],
    [16384, { maxOrder: 11, pageblockOrder: 11 }],
    [65536, { maxOrder: 13, pageblockOrder: 13 }],
  ]),
  ppc64: new Map([
    [4096, { maxOrder: 12, pageblockOrder: 9 }],
    [65536, { maxOrder: 8, pageblockOrder: 5 }],
  ]),
};

/** The page size that a machine of this architecture has when nothing says otherwise. */
export const DEFAULT_PAGE_BYTES: Readonly<Record<Arch, number>> = {
  x86_64: 4096,
  arm64: 4096,
  ppc64: 65536,
};

/** The page sizes that Linux can be built with on this architecture, ascending, in bytes. */
export const pageSizesOf = (arch: Arch): readonly number[] => [...BLOCK_ORDERS[arch].keys()];

function blockOrders(arch: Arch, pageBytes: number): BlockOrders {
  const orders = BLOCK_ORDERS[arch].get(pageBytes);
  assert(orders !== undefined, `${arch} has no pages of ${pageBytes} bytes`);
  return orders;
}

/** Order of the largest buddy block, inclusive. `pageBytes` is one of `pageSizesOf(arch)`. */
export const maxOrder = (arch: Arch, pageBytes: number): number =>
  blockOrders(arch, pageBytes).maxOrder;

/** Order of a page block, the unit of migrate types. `pageBytes` is one of `pageSizesOf(arch)`. */
export const pageblockOrder = (arch: Arch, pageBytes: number): number =>
  blockOrders(arch, pageBytes).pageblockOrder;

/** Physical addresses at which low zones end: DMA is below the first, DMA32 between the two. */
export interface ZoneLimits {
  /** 0 when the kernel has no ZONE_DMA; Infinity when all boot memory is in it. */
  readonly dmaEndBytes: number;
  /** Equal to `dmaEndBytes` when ZONE_DMA32 is empty; Normal starts here. */
  readonly dma32EndBytes: number;
}

/** Kernels whose zone limits differ: the modelled one, and that of the thread's patches. */
export const ZONE_KERNELS = ['6.1', '4.10'] as const;
export type ZoneKernel = (typeof ZONE_KERNELS)[number];

/**
 * Where the low zones end. Only POWER changed between the two kernels: until 4.20 every page of a
 * 64-bit server was in ZONE_DMA (the thread's sample lists show it: limit_zone_pfn left all lower
 * zones as wide as memory); since 5.0 ("powerpc: use mm zones more sensibly") ZONE_DMA exists on
 * Book3E only, and every page is in ZONE_NORMAL.
 */
export function zoneLimits(arch: Arch, pageBytes: number, kernel: ZoneKernel = '6.1'): ZoneLimits {
  blockOrders(arch, pageBytes);
  switch (arch) {
    case 'x86_64':
      return { dmaEndBytes: 16 * 1024 ** 2, dma32EndBytes: 4 * GIB };
    case 'arm64':
      // ACPI servers: 32 address bits for ZONE_DMA, which leaves nothing for ZONE_DMA32.
      return { dmaEndBytes: 4 * GIB, dma32EndBytes: 4 * GIB };
    case 'ppc64': {
      const end = kernel === '4.10' ? Number.POSITIVE_INFINITY : 0;
      return { dmaEndBytes: end, dma32EndBytes: end };
    }
  }
}

const MIB = 1024 ** 2;
/** x86 makes blocks larger where there is so much boot memory (MEM_SIZE_FOR_LARGE_BLOCK). */
const LARGE_BLOCK_FROM_BYTES = 64 * GIB;

/**
 * Size of a memory block, the unit in which memory goes offline and comes online
 * (memory_block_size_bytes): x86 128 MiB, on real hardware with 64 GiB of boot memory and more
 * 2 GiB; arm64 a section of its sparse memory map; POWER the common size of a logical block.
 */
export function memoryBlockBytes(machine: Machine): number {
  switch (machine.arch) {
    case 'x86_64': {
      const boot = machine.nodes.filter((node) => node.memoryZone === 'boot');
      const ends = boot.flatMap((n) => n.ranges.map((r) => r.startBytes + r.sizeBytes));
      return Math.max(0, ...ends) >= LARGE_BLOCK_FROM_BYTES ? 2 * GIB : 128 * MIB;
    }
    case 'arm64':
      return machine.pageBytes === 65536 ? 512 * MIB : 128 * MIB;
    case 'ppc64':
      return 256 * MIB;
  }
}
