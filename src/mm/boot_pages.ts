// What boot takes of memory before there is a page allocator: the table of frames, the kernel, and
// the gigantic pages that the command line asks for, without which zones come up.
// Models   linux@v6.1 mm/hugetlb.c: hugetlb_hstate_alloc_pages, hugetlb_hstate_alloc_pages_onenode,
//          __alloc_bootmem_huge_page, gather_bootmem_prealloc; mm/memblock.c:
//          memblock_alloc_try_nid_raw.
// Hooks    hugetlbNodes (alloc_bootmem_huge_page of the thread's patch 2/4).
// Notes    memblock falls back: when the node that is asked has no room, the page comes from the
//          highest address of any node that was there at boot, devices among them.
// Holds    BPG1 each page is a stretch of contigStarts, and none is given twice.
import type { Frame, NodeId, ZoneIndex } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import { contigStarts } from './contig_range.ts';
import { ZONE_MOVABLE } from './gfp.ts';
import { GIGANTIC_PAGE_BYTES } from './huge_page_lists.ts';
import type { Memory } from './memory.ts';

/** `hugepages=` on the kernel's command line: one number, or one a node. */
export type BootPool = number | ReadonlyMap<NodeId, number>;

/** Nodes with memory that is there at boot: what is plugged in comes later. */
export function bootNodes({ states, blocks }: Memory): Nodemask {
  return states.normalMemory.andNot(Nodemask.from(blocks.map((block) => block.nid)));
}

/** Does `hugepages=NODE:N,...` name a node that was not there? Then all of it is ignored. */
export const isPoolWrong = (mem: Memory, pool: ReadonlyMap<NodeId, number>): boolean =>
  [...pool.keys()].some((nid) => !bootNodes(mem).has(nid) && !mem.states.cpu.has(nid));

/** struct page of a frame on the real kernel, which boot takes from each node's own memory. */
const STRUCT_PAGE_BYTES = 64;
/** What a kernel image and its early tables take of the first node. */
const KERNEL_IMAGE_BYTES = 32 * 1024 * 1024;

/** Pages that boot takes of a zone before the allocator exists: the frame table, the kernel. */
export function takenByBoot({ zones, pageBytes, machine }: Memory, z: number, present: number) {
  if (zones.type[z] === ZONE_MOVABLE || machine.sizesAre === 'managed') return 0;
  const span = (o: number): number =>
    (zones.endFrame[o] as number) - (zones.startFrame[o] as number);
  let pages = Math.ceil((present * STRUCT_PAGE_BYTES) / pageBytes);
  const isLargestOfFirst =
    zones.nid[z] === zones.nid[0] &&
    zones.ofNode(zones.nid[0] as number).every((o) => span(o) <= span(z));
  if (isLargestOfFirst) pages += KERNEL_IMAGE_BYTES / pageBytes;
  return Math.min(pages, present);
}

/**
 * Those of them that lie at the zone's end: memblock gives the highest address, so the table of
 * frames is there, while the kernel's image is where the first node's memory begins.
 */
export function takenAtEnd({ zones, pageBytes }: Memory, z: ZoneIndex): number {
  const nrTaken = (zones.present[z] as number) - (zones.managed[z] as number);
  const nrImage = KERNEL_IMAGE_BYTES / pageBytes;
  const ofFirst = zones.ofNode(zones.nid[0] as number);
  const ofImage = ofFirst.find((o) => (zones.present[o] as number) >= nrImage);
  return z === ofImage ? Math.max(0, nrTaken - nrImage) : nrTaken;
}

/** A piece of memory without what boot took of it. */
interface LeftOver {
  readonly start: number;
  readonly end: number;
  readonly of: Piece;
}

interface Piece {
  readonly start: number;
  readonly end: number;
}

/**
 * What is left of pieces of memory, ascending, of which boot took `nrTaken` pages: the last
 * `nrAtEnd`, and the rest from the start.
 */
export function withoutTaken(pieces: readonly Piece[], nrTaken: number, nrAtEnd: number) {
  let nrFirst = nrTaken - nrAtEnd;
  let nrLast = nrAtEnd;
  const ends = new Map<Piece, number>();
  for (const piece of [...pieces].reverse()) {
    const taken = Math.min(nrLast, piece.end - piece.start);
    nrLast -= taken;
    ends.set(piece, piece.end - taken);
  }
  return pieces.map((piece): LeftOver => {
    const end = ends.get(piece) as number;
    const taken = Math.min(nrFirst, end - piece.start);
    nrFirst -= taken;
    return { start: piece.start + taken, end, of: piece };
  });
}

export interface BootPages {
  /** First frames, in the order in which they were got. */
  readonly frames: readonly Frame[];
  /** How often it was some node's turn, where no node was named. */
  readonly nrTurns: number;
  /** Small pages of each. */
  readonly nrPages: number;
}

/** Sets gigantic pages apart in zones whose sizes are known and that are not filled yet. */
export function takeBootPages(mem: Memory, pool: BootPool | undefined): BootPages {
  const nrPages = GIGANTIC_PAGE_BYTES / mem.pageBytes;
  if (pool === undefined) return { frames: [], nrTurns: 0, nrPages };
  const rooms = new Rooms(mem, nrPages);
  const frames: Frame[] = [];
  let nrTurns = 0;
  if (typeof pool === 'number') {
    const { design, states } = mem;
    const nodes = design.answers.hugetlbNodes?.(states) ?? states.memory;
    const turns = nodes.and(bootNodes(mem)).toArray();
    while (nrTurns < pool && turns.length > 0) {
      const f = rooms.take(turns[nrTurns % turns.length] as NodeId);
      if (f === undefined) break;
      frames.push(f);
      nrTurns++;
    }
  } else if (!isPoolWrong(mem, pool)) {
    for (const [nid, count] of [...pool].sort(([a], [b]) => a - b)) {
      for (let i = 0; i < count; i++) {
        const f = rooms.take(nid);
        if (f === undefined) break;
        frames.push(f);
      }
    }
  }
  return { frames, nrTurns, nrPages };
}

/** What is left of a piece of memory when the pages are taken out of it. */
export function withoutBootPages(
  piece: { readonly start: number; readonly end: number },
  { frames, nrPages }: BootPages,
): { readonly start: number; readonly end: number }[] {
  const inside = frames.filter((f) => f >= piece.start && f < piece.end).sort((a, b) => a - b);
  const starts = [piece.start, ...inside.map((f) => f + nrPages)];
  const ends = [...inside, piece.end];
  return starts.map((start, i) => ({ start, end: ends[i] as number }));
}

/** Small pages that the pages have of a zone. */
export const bootPagesIn = (mem: Memory, z: ZoneIndex): number =>
  mem.bootPages.frames.filter((f) => mem.buddy.zoneOf(f) === z).length * mem.bootPages.nrPages;

/** What memblock could give, by node, the highest address first. */
class Rooms {
  readonly #mem: Memory;
  readonly #free: { readonly nid: NodeId; readonly f: Frame }[] = [];

  constructor(mem: Memory, nrPages: number) {
    this.#mem = mem;
    const { zones } = mem;
    const nodes = bootNodes(mem);
    for (let z = 0; z < zones.nr; z++) {
      const nid = zones.nid[z] as NodeId;
      if (!nodes.has(nid) || zones.managed[z] === 0) continue;
      for (const f of contigStarts(mem, z as ZoneIndex, nrPages)) {
        if (!this.#isOfKernelImage(f)) this.#free.push({ nid, f });
      }
    }
    this.#free.sort((a, b) => mem.pfnOf(b.f) - mem.pfnOf(a.f));
  }

  /** The kernel's image lies where memory begins. */
  #isOfKernelImage(f: Frame): boolean {
    return f === this.#mem.segments[0]?.startFrame;
  }

  take(nid: NodeId): Frame | undefined {
    const own = this.#free.findIndex((room) => room.nid === nid);
    return this.#free.splice(Math.max(own, 0), 1)[0]?.f;
  }
}
