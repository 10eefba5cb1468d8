// When users' pages join the lists that reclaim looks at, and when they are marked as used.
// Models   linux@v6.1 mm/swap.c: lru_cache_add_inactive_or_unevictable, folio_add_lru;
//          mm/mlock.c: mlock_folio, munlock_folio; the accessed and dirty bits that a CPU sets.
// Omits    the batches of a CPU (lru_add_drain): a page joins its list at once.
// Holds    LRU4 while tracking is on, every page of a user is on a list, a transparent huge one as
//          one. LRU5 tracking that
//          comes on late finds pages in this order: address spaces by number, in each by address;
//          then shared objects by number, in each by page; a page met again stays where it is.
import type { Frame } from '../base/ids.ts';
import {
  LRU_DIRTY,
  LRU_MLOCKED,
  LRU_SWAPBACKED,
  LRU_UNEVICTABLE_PAGE,
  LRU_YOUNG,
  type Lru,
} from '../mm/lru.ts';
import { isMergedFrame, KIND_ANON } from '../mm/memmap.ts';
import type { Vma } from './address_space.ts';
import { isHuge } from './hugetlb_area.ts';
import type { Kernel } from './kernel.ts';
import { pteFrame, pteIsPage } from './page_table.ts';
import { THP_ORDER, THP_PAGES } from './thp.ts';

/** Flags of a page just faulted in and written to. */
const FRESH = LRU_SWAPBACKED | LRU_YOUNG | LRU_DIRTY;
/** Flags of a page that a locked area maps. */
export const LOCKED_PAGE = LRU_MLOCKED | LRU_UNEVICTABLE_PAGE;

/** Switches tracking on, for whoever can use the lists from now on; again does nothing. */
export function trackPages(k: Kernel): void {
  const { lru } = k.mem;
  if (lru.isTracking) return;
  lru.prepare();
  lru.isTracking = true;
  for (const space of k.spaces.values()) {
    for (const vma of space.vmas) {
      if (isHuge(vma)) continue;
      space.pageTable.walk(vma.startVpn, vma.endVpn, (_vpn, pte) => {
        if (!pteIsPage(pte)) return;
        if (k.thp.isPart(pteFrame(pte))) joinThp(k, pteFrame(pte));
        else if (!k.mem.deviceMemory.has(pteFrame(pte))) joinLru(lru, pteFrame(pte), vma);
      });
    }
  }
  for (const object of k.objects.values()) {
    object.forEachPage((_index, f) => joinLru(lru, f, null));
  }
}

/** A page of anonymous or shared memory joins its list; `vma` is the area it was faulted in for. */
export function joinLru(lru: Lru, f: Frame, vma: Vma | null): void {
  if (!lru.isTracking) return;
  if (lru.isListed(f)) {
    if (vma?.isLocked === true) mlockPage(lru, f);
    return;
  }
  lru.addNew(f, vma?.isLocked === true ? FRESH | LOCKED_PAGE : FRESH);
}

/** The transparent huge page that a frame is part of, mapped already, joins its list. */
export function joinThp(k: Kernel, f: Frame): void {
  const { lru } = k.mem;
  const head = k.thp.headOf(f);
  if (!lru.isTracking || lru.isListed(head)) return;
  lru.addNew(head, FRESH, THP_ORDER);
  if (isLockedWhole(k, head)) mlockPage(lru, head);
  else if (k.thp.pageOf(head).pmdMaps === 0) markParts(lru, head);
}

/** Each small page of a huge one counts as used, by its entry. */
export function markParts(lru: Lru, head: Frame): void {
  for (let f: number = head; f < head + THP_PAGES; f++) lru.set(f, LRU_YOUNG);
}

/** The same for frames just given for one area: the first `n` of `frames`. */
export function joinLruRun(lru: Lru, frames: Int32Array, n: number, vma: Vma): void {
  const flags = vma.isLocked ? FRESH | LOCKED_PAGE : FRESH;
  for (let i = 0; i < n; i++) lru.addNew(frames[i] as number, flags);
}

/** A CPU uses a page that is mapped: the bits of its entry. */
export function markUsed(lru: Lru, f: Frame, isWrite: boolean): void {
  lru.set(f, isWrite ? LRU_YOUNG | LRU_DIRTY : LRU_YOUNG);
}

/** A locked area maps the page: reclaim leaves it alone (mlock_folio). */
export function mlockPage(lru: Lru, f: Frame): void {
  if (lru.isListed(f)) lru.move(f, LOCKED_PAGE, 0);
}

/** No locked area maps the page any more (munlock_folio). */
export function munlockPage(lru: Lru, f: Frame): void {
  if (lru.isListed(f)) lru.move(f, 0, LOCKED_PAGE);
}

/** An entry of a locked area is gone: is nobody left who locks the page? */
export function unlockUnlessOthers(k: Kernel, f: Frame): void {
  const { lru, map } = k.mem;
  if (!lru.isTracking || !lru.isListed(f)) return;
  if ((map.mapcount[f] as number) > 0 && isLockedBySome(k, f)) return;
  munlockPage(lru, f);
}

/** An entry that mapped a huge page whole is gone, or split: the same for the huge page. */
export function unlockThpUnlessOthers(k: Kernel, head: Frame): void {
  const { lru } = k.mem;
  if (lru.isTracking && lru.has(head, LRU_MLOCKED) && !isLockedWhole(k, head)) {
    munlockPage(lru, head);
  }
}

/** Does an entry of the pmd level in some locked area map the huge page (munlock_vma_page)? */
function isLockedWhole(k: Kernel, head: Frame): boolean {
  const vpn = k.mem.map.index[head] as number;
  for (const space of k.spaces.values()) {
    if (!maps(space.pageTable.getThp(vpn), head)) continue;
    if (space.lookup(vpn)?.isLocked === true) return true;
  }
  return false;
}

/** Does an entry of some locked area map the page? */
function isLockedBySome(k: Kernel, f: Frame): boolean {
  const { map } = k.mem;
  // A private page is at one address in all spaces that share it since a fork.
  const isAnon = map.kind[f] === KIND_ANON && !isMergedFrame(map, f);
  const vpn = map.index[f] as number;
  for (const { pageTable, vmas } of k.spaces.values()) {
    if (isAnon && !maps(pageTable.get(vpn), f)) continue;
    for (const vma of vmas) {
      if (!vma.isLocked) continue;
      if (isAnon && vpn >= vma.startVpn && vpn < vma.endVpn) return true;
      if (isAnon) continue;
      let isFound = false;
      pageTable.walk(vma.startVpn, vma.endVpn, (_vpn, pte) => {
        isFound ||= maps(pte, f);
        return !isFound;
      });
      if (isFound) return true;
    }
  }
  return false;
}

const maps = (pte: number, f: Frame): boolean => pteIsPage(pte) && pteFrame(pte) === f;
