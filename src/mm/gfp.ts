// Allocation flags by name, and what follows from them: the highest zone, the list to walk, the
// migrate type.
// Models   linux@v6.1 include/linux/gfp_types.h, gfp.h: gfp_zone, gfp_migratetype, gfp_zonelist.
// Omits    flags that decide nothing about placement (__GFP_ZERO is kept for its name only).

/** Zone types in the kernel's order; a zone index compares by these numbers. */
export const ZONE_DMA = 0;
export const ZONE_DMA32 = 1;
export const ZONE_NORMAL = 2;
export const ZONE_MOVABLE = 3;
export const ZONE_DEVICE = 4;
export const MAX_NR_ZONES = 5;
export const ZONE_NAMES = ['DMA', 'DMA32', 'Normal', 'Movable', 'Device'] as const;

export const __GFP_DMA = 0x1;
export const __GFP_HIGHMEM = 0x2;
export const __GFP_DMA32 = 0x4;
export const __GFP_MOVABLE = 0x8;
export const __GFP_RECLAIMABLE = 0x10;
export const __GFP_HIGH = 0x20;
export const __GFP_IO = 0x40;
export const __GFP_FS = 0x80;
export const __GFP_ZERO = 0x100;
export const __GFP_ATOMIC = 0x200;
export const __GFP_DIRECT_RECLAIM = 0x400;
export const __GFP_KSWAPD_RECLAIM = 0x800;
export const __GFP_WRITE = 0x1000;
export const __GFP_NOWARN = 0x2000;
export const __GFP_RETRY_MAYFAIL = 0x4000;
export const __GFP_NOFAIL = 0x8000;
export const __GFP_NORETRY = 0x10000;
export const __GFP_MEMALLOC = 0x20000;
export const __GFP_COMP = 0x40000;
export const __GFP_NOMEMALLOC = 0x80000;
export const __GFP_HARDWALL = 0x100000;
export const __GFP_THISNODE = 0x200000;
export const __GFP_ACCOUNT = 0x400000;
/**
 * Not a flag of Linux 6.1: the request asks for private memory. In the fourth posting of private
 * nodes it is a flag (__GFP_PRIVATE), in the fifth the choice of a list.
 */
export const GFP_PRIVATE = 0x800000;
export const asksPrivate = (gfp: number): boolean => (gfp & GFP_PRIVATE) !== 0;

export const __GFP_RECLAIM = __GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM;
export const GFP_ATOMIC = __GFP_HIGH | __GFP_ATOMIC | __GFP_KSWAPD_RECLAIM;
export const GFP_KERNEL = __GFP_RECLAIM | __GFP_IO | __GFP_FS;
export const GFP_KERNEL_ACCOUNT = GFP_KERNEL | __GFP_ACCOUNT;
export const GFP_USER = GFP_KERNEL | __GFP_HARDWALL;
export const GFP_HIGHUSER = GFP_USER | __GFP_HIGHMEM;
export const GFP_HIGHUSER_MOVABLE = GFP_HIGHUSER | __GFP_MOVABLE;
/** Page tables of user processes (asm-generic/pgalloc.h: GFP_PGTABLE_USER). */
export const GFP_PGTABLE_USER = GFP_KERNEL_ACCOUNT | __GFP_ZERO;
/** An anonymous page at a fault (do_anonymous_page). */
export const GFP_ANON_FAULT = GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_ZERO;
/** A transparent huge page without reclaim and compaction, and with both. */
export const GFP_TRANSHUGE_LIGHT =
  (GFP_HIGHUSER_MOVABLE | __GFP_COMP | __GFP_NOMEMALLOC | __GFP_NOWARN) & ~__GFP_RECLAIM;
export const GFP_TRANSHUGE = GFP_TRANSHUGE_LIGHT | __GFP_DIRECT_RECLAIM;

/** Migrate types of page blocks and free lists. */
export const MIGRATE_UNMOVABLE = 0;
export const MIGRATE_MOVABLE = 1;
export const MIGRATE_RECLAIMABLE = 2;
/** The types that have per-CPU lists. */
export const MIGRATE_PCPTYPES = 3;
export const MIGRATE_HIGHATOMIC = 3;
export const MIGRATE_TYPES = 4;
export const MIGRATE_NAMES = ['Unmovable', 'Movable', 'Reclaimable', 'HighAtomic'] as const;

/** Highest zone type by the lowest four flag bits (GFP_ZONE_TABLE). */
const HIGHEST_ZONE = Uint8Array.from({ length: 16 }, (_, bits) => {
  if (bits & __GFP_DMA) return ZONE_DMA;
  if (bits & __GFP_DMA32) return ZONE_DMA32;
  const isMovable = (bits & (__GFP_HIGHMEM | __GFP_MOVABLE)) === (__GFP_HIGHMEM | __GFP_MOVABLE);
  return isMovable ? ZONE_MOVABLE : ZONE_NORMAL;
});

/** The highest zone type a request may use (gfp_zone). */
export const gfpZone = (gfp: number): number => HIGHEST_ZONE[gfp & 0xf] as number;

/** The migrate type a request is served from (gfp_migratetype). */
export function gfpMigratetype(gfp: number): number {
  if (gfp & __GFP_MOVABLE) return MIGRATE_MOVABLE;
  return gfp & __GFP_RECLAIMABLE ? MIGRATE_RECLAIMABLE : MIGRATE_UNMOVABLE;
}

const COMPOUND_NAMES: readonly (readonly [string, number])[] = [
  ['GFP_TRANSHUGE', GFP_TRANSHUGE],
  ['GFP_TRANSHUGE_LIGHT', GFP_TRANSHUGE_LIGHT],
  ['GFP_HIGHUSER_MOVABLE', GFP_HIGHUSER_MOVABLE],
  ['GFP_HIGHUSER', GFP_HIGHUSER],
  ['GFP_USER', GFP_USER],
  ['GFP_KERNEL_ACCOUNT', GFP_KERNEL_ACCOUNT],
  ['GFP_KERNEL', GFP_KERNEL],
  ['GFP_ATOMIC', GFP_ATOMIC],
];

/** In the order in which the kernel's log names them (trace/events/mmflags.h). */
const SINGLE_NAMES: readonly (readonly [string, number])[] = [
  ['__GFP_DMA', __GFP_DMA],
  ['__GFP_HIGHMEM', __GFP_HIGHMEM],
  ['__GFP_DMA32', __GFP_DMA32],
  ['__GFP_HIGH', __GFP_HIGH],
  ['__GFP_ATOMIC', __GFP_ATOMIC],
  ['__GFP_IO', __GFP_IO],
  ['__GFP_FS', __GFP_FS],
  ['__GFP_NOWARN', __GFP_NOWARN],
  ['__GFP_RETRY_MAYFAIL', __GFP_RETRY_MAYFAIL],
  ['__GFP_NOFAIL', __GFP_NOFAIL],
  ['__GFP_NORETRY', __GFP_NORETRY],
  ['__GFP_COMP', __GFP_COMP],
  ['__GFP_ZERO', __GFP_ZERO],
  ['__GFP_NOMEMALLOC', __GFP_NOMEMALLOC],
  ['__GFP_MEMALLOC', __GFP_MEMALLOC],
  ['__GFP_HARDWALL', __GFP_HARDWALL],
  ['__GFP_THISNODE', __GFP_THISNODE],
  ['__GFP_RECLAIMABLE', __GFP_RECLAIMABLE],
  ['__GFP_MOVABLE', __GFP_MOVABLE],
  ['__GFP_ACCOUNT', __GFP_ACCOUNT],
  ['__GFP_WRITE', __GFP_WRITE],
  ['__GFP_DIRECT_RECLAIM', __GFP_DIRECT_RECLAIM],
  ['__GFP_KSWAPD_RECLAIM', __GFP_KSWAPD_RECLAIM],
  ['private memory', GFP_PRIVATE],
];

/** Flags as the kernel's log prints them: `GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO`. */
export function gfpNames(gfp: number): string {
  const names: string[] = [];
  let rest = gfp;
  for (const [name, bits] of [...COMPOUND_NAMES, ...SINGLE_NAMES]) {
    if (bits !== 0 && (rest & bits) === bits) {
      names.push(name);
      rest &= ~bits;
    }
  }
  return names.join('|') || 'none';
}

/** Flags that a request of the kernel may name: no movable pages, no request that may not write. */
export const REQUESTABLE_GFP: readonly string[] = [
  'GFP_KERNEL',
  'GFP_KERNEL_ACCOUNT',
  'GFP_ATOMIC',
  'GFP_NOWAIT',
  'GFP_USER',
  'GFP_HIGHUSER',
  'GFP_DMA32',
  '__GFP_HIGH',
  '__GFP_DMA32',
  '__GFP_ACCOUNT',
  '__GFP_HARDWALL',
  '__GFP_THISNODE',
  '__GFP_RETRY_MAYFAIL',
  '__GFP_NOFAIL',
  '__GFP_NORETRY',
  '__GFP_MEMALLOC',
  '__GFP_NOMEMALLOC',
  '__GFP_NOWARN',
  '__GFP_COMP',
  '__GFP_ZERO',
];

const BITS_BY_NAME: ReadonlyMap<string, number> = new Map([
  ...COMPOUND_NAMES,
  ...SINGLE_NAMES,
  ['GFP_NOWAIT', __GFP_KSWAPD_RECLAIM],
  ['GFP_DMA32', __GFP_DMA32],
]);

/** Bits of named flags, each one of REQUESTABLE_GFP. */
export const gfpNamed = (names: readonly string[]): number =>
  names.reduce((bits, name) => bits | (BITS_BY_NAME.get(name) as number), 0);
