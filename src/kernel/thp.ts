// Transparent huge pages: the settings, the pages there are, and how often each is mapped.
// Models   linux@v6.1 mm/huge_memory.c: transparent_hugepage_flags, hugepage_init,
//          hugepage_vma_check, transhuge_vma_suitable, vma_thp_gfp_mask, get_huge_zero_page,
//          put_huge_zero_page, deferred_split_huge_page, free_transhuge_page; mm/rmap.c:
//          page_add_anon_rmap, page_remove_rmap, page_remove_anon_compound_rmap as far as counting
//          goes.
// Omits    huge pages of shared memory and of files; which of several deposited tables a split
//          takes; huge pages on machines whose pages are not of 4 KiB.
// State    one record a huge page, by its first frame: entries of the pmd level that map it, and
//          all entries that map any of it. Entries that map a small page of it are counted at that
//          frame's row.
// Holds    THP1 a huge page is 512 frames in a row, all of this kind, until it is split or freed.
//          THP6 it is freed when its last entry goes, and only then.
import { assert, NotModelled } from '../base/assert.ts';
import type { Frame } from '../base/ids.ts';
import {
  __GFP_DIRECT_RECLAIM,
  __GFP_KSWAPD_RECLAIM,
  __GFP_NORETRY,
  GFP_TRANSHUGE,
  GFP_TRANSHUGE_LIGHT,
} from '../mm/gfp.ts';
import { KIND_NONE, KIND_THP } from '../mm/memmap.ts';
import type { Memory } from '../mm/memory.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import type { Vma } from './address_space.ts';
import { PTRS_PER_LEAF } from './page_table.ts';

/** Order of a transparent huge page, and its small pages (HPAGE_PMD_ORDER, HPAGE_PMD_NR). */
export const THP_ORDER = 9;
export const THP_PAGES = PTRS_PER_LEAF;

export const THP_ENABLED = ['always', 'madvise', 'never'] as const;
export type ThpEnabled = (typeof THP_ENABLED)[number];
export const THP_DEFRAG = ['always', 'defer', 'defer+madvise', 'madvise', 'never'] as const;
export type ThpDefrag = (typeof THP_DEFRAG)[number];

/** What madvise said about huge pages for an area (VM_HUGEPAGE, VM_NOHUGEPAGE). */
export type ThpAdvice = 'none' | 'hugepage' | 'nohugepage';

/** A huge page in use. */
export interface HugePage {
  /** Entries of the pmd level that map it whole (compound_mapcount). */
  pmdMaps: number;
  /** All entries that map it, or a small page of it (what its reference count comes to). */
  refs: number;
}

/** First page of the huge page that would hold a virtual page. */
export const thpStart = (vpn: number): number => vpn - (vpn % THP_PAGES);

/** Does a whole huge page's place lie in an area (transhuge_vma_suitable)? */
export const hasRoomForThp = ({ startVpn, endVpn }: Vma): boolean =>
  thpStart(endVpn) - THP_PAGES >= startVpn;

export class TransparentHuge {
  readonly #mem: Memory;
  #enabled: ThpEnabled = 'never';
  defrag: ThpDefrag = 'madvise';
  shmemEnabled: 'never' | 'deny' = 'never';
  usesZeroPage = true;
  /** Static key: huge pages have been allowed at some time, so there may be some. */
  isInUse = false;
  /** Settings of khugepaged that were changed. */
  readonly khugepaged = new Map<string, number>();
  readonly #pages = new Map<Frame, HugePage>();
  /** Huge pages of which a part is mapped nowhere any more, in the order in which that came. */
  readonly splitQueue = new Set<Frame>();
  /** First frame of the huge zero page, while there is one. */
  zeroFrame: Frame | undefined;
  /** Address spaces that have ever mapped it; each keeps it until it ends. */
  readonly zeroUsers = new Set<number>();

  /** @param enabled as the command line has it. */
  constructor(mem: Memory, enabled: ThpEnabled = 'never') {
    this.#mem = mem;
    if (mem.hasRoomForThps) this.enable(enabled);
    else {
      this.defrag = 'never';
      this.usesZeroPage = false;
      this.khugepaged.set('defrag', 0);
    }
  }

  get enabled(): ThpEnabled {
    return this.#enabled;
  }

  /**
   * Allows huge pages, or not. @throws NotModelled on machines with pages of another size than
   * 4 KiB.
   */
  enable(enabled: ThpEnabled): void {
    const { machine, pageBytes } = this.#mem;
    if (enabled !== 'never') {
      if (pageBytes !== 4096) {
        throw new NotModelled(
          `transparent huge pages on ${machine.arch} with pages of ${pageBytes / 1024} KiB`,
        );
      }
      this.isInUse = true;
    }
    this.#enabled = enabled;
  }

  // ---- Who gets huge pages -------------------------------------------------------------------

  /** May a fault in the area try a huge page (hugepage_vma_check)? */
  allows(vma: Vma): boolean {
    if (this.#enabled === 'never' || vma.thp === 'nohugepage') return false;
    if (vma.object !== null || vma.huge !== null || vma.file !== null) return false;
    return this.#enabled === 'always' || vma.thp === 'hugepage';
  }

  /** Flags of a fault's request (vma_thp_gfp_mask). */
  gfpMask(vma: Vma): number {
    const isAdvised = vma.thp === 'hugepage';
    switch (this.defrag) {
      case 'always':
        return isAdvised ? GFP_TRANSHUGE : GFP_TRANSHUGE | __GFP_NORETRY;
      case 'defer':
        return GFP_TRANSHUGE_LIGHT | __GFP_KSWAPD_RECLAIM;
      case 'defer+madvise':
        return GFP_TRANSHUGE_LIGHT | (isAdvised ? __GFP_DIRECT_RECLAIM : __GFP_KSWAPD_RECLAIM);
      case 'madvise':
        return isAdvised ? GFP_TRANSHUGE : GFP_TRANSHUGE_LIGHT;
      default:
        return GFP_TRANSHUGE_LIGHT;
    }
  }

  // ---- The pages -----------------------------------------------------------------------------

  /** Is a frame part of a huge page? */
  isPart(f: number): boolean {
    return this.#mem.map.kind[f] === KIND_THP;
  }

  /** First frame of the huge page that a frame is part of; any other frame itself. */
  headOf(f: Frame): Frame {
    return this.isPart(f) ? ((f - (f % THP_PAGES)) as Frame) : f;
  }

  /** Record of the huge page that a frame is part of. */
  pageOf(f: number): HugePage {
    const page = this.#pages.get((f - (f % THP_PAGES)) as Frame);
    assert(page !== undefined, 'a frame of this kind is part of a huge page');
    return page;
  }

  /** Visits every huge page in use. */
  forEach(visit: (head: Frame, page: HugePage) => void): void {
    for (const [head, page] of this.#pages) visit(head, page);
  }

  /** Entries that map a frame, by itself or with the huge page it is part of (page_mapcount). */
  mapcount(f: number): number {
    const own = this.#mem.map.mapcount[f] as number;
    return this.isPart(f) ? own + this.pageOf(f).pmdMaps : own;
  }

  /** A block from the allocator becomes a huge page. */
  claim(head: Frame, space: number, vpn: number, page: HugePage): void {
    const { map } = this.#mem;
    assert(head % THP_PAGES === 0, 'a huge page is aligned');
    map.kind.fill(KIND_THP, head, head + THP_PAGES);
    map.mapcount.fill(0, head, head + THP_PAGES);
    map.link[head] = space;
    map.index[head] = vpn;
    this.#pages.set(head, page);
  }

  /** Takes a huge page out of the books; its frames are whoever's asked. */
  forget(head: Frame): HugePage {
    const page = this.pageOf(head);
    this.#pages.delete(head);
    this.splitQueue.delete(head);
    return page;
  }

  /** One more entry of the pmd level maps a huge page. */
  addPmdMap(head: Frame): void {
    const page = this.pageOf(head);
    page.pmdMaps++;
    page.refs++;
  }

  /** An entry of the pmd level maps a huge page no more (page_remove_anon_compound_rmap). */
  removePmdMap(head: Frame): void {
    const page = this.pageOf(head);
    page.pmdMaps--;
    if (page.pmdMaps === 0) this.#queueIfPartlyMapped(head);
    this.#dropRef(head, page);
  }

  /** An entry that mapped a huge page whole is now 512 entries. */
  mapSmall(head: Frame): void {
    const { map } = this.#mem;
    const page = this.pageOf(head);
    for (let i = 0; i < THP_PAGES; i++) map.addMap((head + i) as Frame);
    page.pmdMaps--;
    page.refs += THP_PAGES - 1;
  }

  #queueIfPartlyMapped(head: Frame): void {
    const counts = this.#mem.map.mapcount.subarray(head, head + THP_PAGES);
    const nrUnmapped = counts.reduce((n, count) => (count === 0 ? n + 1 : n), 0);
    if (nrUnmapped > 0 && nrUnmapped < THP_PAGES) this.#queue(head);
  }

  #queue(head: Frame): void {
    if (this.splitQueue.has(head)) return;
    this.splitQueue.add(head);
    this.#mem.stat.count(EVENT.thp_deferred_split_page, 1);
  }

  /** One more entry maps a small page of a huge one; its row is counted too. */
  addSmallMap(f: Frame): void {
    this.#mem.map.addMap(f);
    this.pageOf(f).refs++;
  }

  /** An entry maps a small page of a huge one no more. */
  removeSmallMap(f: Frame): void {
    const page = this.pageOf(f);
    const head = this.headOf(f);
    if (this.#mem.map.removeMap(f) === 0 && page.pmdMaps === 0) this.#queue(head);
    this.#dropRef(head, page);
  }

  #dropRef(head: Frame, page: HugePage): void {
    page.refs--;
    assert(page.refs >= 0, 'a huge page is unmapped more often than it was mapped');
    if (page.refs > 0) return;
    if (this.#mem.held.keepsHuge(head)) this.splitQueue.delete(head);
    else this.free(head);
  }

  /** Gives a huge page that nobody maps back to the allocator. */
  free(head: Frame): void {
    this.forget(head);
    const { map, lru } = this.#mem;
    map.kind.fill(KIND_NONE, head + 1, head + THP_PAGES);
    if (lru.isInUse) lru.forget(head, THP_PAGES);
    this.#mem.allocator.freeBlock(head, THP_ORDER);
  }

  /** Small pages of the huge ones that are mapped whole, on a node (NR_ANON_THPS). */
  mappedOn(nid: number): number {
    let n = 0;
    for (const [head, page] of this.#pages) {
      if (page.pmdMaps > 0 && this.#mem.allocator.nidOf(head) === nid) n += THP_PAGES;
    }
    return n;
  }
}
