// Pages that come back from a swap area, and slots that are given up.
// Models   linux@v6.1 mm/memory.c: do_swap_page; mm/swap_state.c: swap_cluster_readahead,
//          swap_vma_readahead, free_swap_cache; mm/swapfile.c: free_swap_and_cache,
//          folio_free_swap; mm/shmem.c: shmem_swapin_folio.
// Omits    what reading costs; swapoff.
// Holds    RCL8 a page that comes back is placed by the policy that holds at its address then,
//          not by the one it was first placed by. RCL9 what is read ahead is placed by the policy
//          of the page that was asked for.
import type { Frame } from '../base/ids.ts';
import { GFP_HIGHUSER_MOVABLE } from '../mm/gfp.ts';
import { LRU_DIRTY, LRU_SWAPBACKED, LRU_SWAPCACHE, LRU_YOUNG } from '../mm/lru.ts';
import { KIND_ANON, KIND_SHMEM, NIL } from '../mm/memmap.ts';
import { windowFor } from '../mm/swap.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import type { Vma } from './address_space.ts';
import type { Kernel } from './kernel.ts';
import { LOCKED_PAGE } from './lru_track.ts';
import { payerOfSlot } from './memcg.ts';
import { makePte, PTRS_PER_LEAF, pteIsSwap, pteSlot } from './page_table.ts';
import { allocUserPages, type FoundPolicy } from './policy_alloc.ts';
import type { ShmemObject } from './shmem.ts';
import type { Task } from './task.ts';

/** Pages read at once at most: 2 to the power of /proc/sys/vm/page-cluster. */
const MOST_AHEAD = 8;
/** Pages that an area that never read ahead is taken to have had use of. */
const FIRST_HITS = 4;
/** Hits are counted up to this (SWAP_RA_HITS_MAX). */
const MOST_HITS = 63;

/** Who asks, for what policy, and the page's number for interleaving. */
interface SwapinRequest {
  readonly k: Kernel;
  readonly task: Task;
  readonly found: FoundPolicy;
  readonly interleaveIndex: number;
}

/**
 * A frame for the contents of a slot, on the lists of its node; -1 when there is none to be had.
 */
function readSlot(
  k: Kernel,
  task: Task,
  found: FoundPolicy,
  interleaveIndex: number,
  slot: number,
): Frame | -1 {
  const { lru, map, stat } = k.mem;
  const payer = k.memcg === null ? undefined : payerOfSlot(k.memcg, slot);
  if (k.memcg !== null) k.memcg.payer = payer;
  const n = allocUserPages(k, task, GFP_HIGHUSER_MOVABLE, found, interleaveIndex, 1, 'swap in');
  if (k.memcg !== null) k.memcg.payer = undefined;
  if (n === 0) return -1;
  const f = k.allocator.out[0] as Frame;
  map.claim(f, KIND_ANON, task.mm.id, 0, 0);
  stat.count(EVENT.pswpin, 1);
  lru.set(f, LRU_SWAPBACKED);
  noteReturn(k, f, slot);
  lru.add(f);
  return f;
}

/** The same, and the page is in the cache too; the frame that is there already if one is. */
function readIntoCache(request: SwapinRequest, slot: number): Frame | -1 {
  const { swap } = request.k.mem;
  const there = swap.cached(slot);
  if (there !== NIL) return there as Frame;
  const { k, task, found, interleaveIndex } = request;
  const f = readSlot(k, task, found, interleaveIndex, slot);
  if (f === -1) return -1;
  swap.addToCache(slot, f);
  return f;
}

/** What the fault of a page in a swap area came to: 0, or -1 when no page was to be had. */
export type SwapFault = 0 | -1;

/**
 * Brings a private page back (do_swap_page). A page that nobody else has comes alone and leaves its
 * slot; one that was forked comes with those around it.
 * @param found the policy at the address, and its page's number for interleaving.
 */
export function swapIn(
  k: Kernel,
  task: Task,
  vma: Vma,
  vpn: number,
  isWrite: boolean,
  found: FoundPolicy,
): SwapFault {
  const { swap, lru, map, stat } = k.mem;
  const { pageTable } = task.mm;
  const slot = pteSlot(pageTable.get(vpn));
  const interleaveIndex = vma.pgoff + (vpn - vma.startVpn);
  let f = swap.cached(slot);
  if (f === NIL) {
    const isOwn = swap.count[slot] === 1;
    f = isOwn
      ? readSlot(k, task, found, interleaveIndex, slot)
      : readAround({ k, task, found, interleaveIndex }, vma, vpn, slot);
    if (f < 0) return -1;
    stat.count(EVENT.pgmajfault, 1);
  } else noteHit(k, vma, vpn, slot);
  const frame = f as Frame;
  if (map.mapcount[frame] === 0) map.claim(frame, KIND_ANON, task.mm.id, vpn, 0);
  map.addMap(frame);
  swap.free(slot);
  if (vma.isLocked) lru.move(frame, LOCKED_PAGE, 0);
  const isCached = lru.has(frame, LRU_SWAPCACHE);
  if (isCached && (isWrite || swap.isFullFor(frame) || vma.isLocked) && map.mapcount[frame] === 1) {
    swap.freeSlotOf(frame);
  }
  const isAlone = map.mapcount[frame] === 1 && !isSharedWithSlot(k, frame);
  if (!lru.has(frame, LRU_SWAPCACHE)) lru.set(frame, LRU_DIRTY);
  lru.set(frame, isWrite ? LRU_YOUNG | LRU_DIRTY : LRU_YOUNG);
  pageTable.set(vpn, makePte(frame, isWrite && isAlone));
  return 0;
}

/** The page of a slot is back: was it gone too short a time? */
function noteReturn(k: Kernel, f: Frame, slot: number): void {
  const { swap } = k.mem;
  const shadow = swap.shadow[slot] as number;
  if (shadow === 0) return;
  const vec = (shadow - 1) >> 1;
  const wasInUse = ((shadow - 1) & 1) !== 0;
  k.reclaim?.vmscan.noteRefault(f, vec, swap.age[slot] as number, wasInUse, false);
  swap.shadow[slot] = 0;
}

/** Do entries of others stand for the contents of a page in memory? */
export function isSharedWithSlot(k: Kernel, f: Frame): boolean {
  const { swap, lru } = k.mem;
  if (!swap.isOn || !lru.has(f, LRU_SWAPCACHE)) return false;
  return (swap.count[swap.slotOf(f)] as number) > 0;
}

/** Reads the pages around one that has others, by address (swap_vma_readahead). */
function readAround(request: SwapinRequest, vma: Vma, vpn: number, slot: number): Frame | -1 {
  const { k, task } = request;
  const ahead = vma.readAhead ?? { vpn: 0, window: 0, hits: FIRST_HITS };
  const window = windowFor(ahead.vpn, vpn, ahead.hits, MOST_AHEAD, ahead.window);
  vma.readAhead = { vpn, window, hits: 0 };
  if (window > 1) {
    const [from, to] = aroundOf(ahead.vpn, vpn, window);
    const leaf = vpn - (vpn % PTRS_PER_LEAF);
    const start = Math.max(from, vma.startVpn, leaf);
    const end = Math.min(to, vma.endVpn, leaf + PTRS_PER_LEAF);
    for (let v = start; v < end; v++) {
      const pte = task.mm.pageTable.get(v);
      if (!pteIsSwap(pte) || k.mem.swap.cached(pteSlot(pte)) !== NIL) continue;
      if (readIntoCache(request, pteSlot(pte)) === -1) break;
      if (v !== vpn) noteAhead(k, pteSlot(pte));
    }
  }
  // Whoever was killed for what is read ahead has no page table any more.
  return task.isAlive ? readIntoCache(request, slot) : -1;
}

/** The stretch that is read: onward, backward, or to both sides, as the last fault was. */
function aroundOf(last: number, vpn: number, window: number): [number, number] {
  if (vpn === last + 1) return [vpn, vpn + window];
  if (last === vpn + 1) return [vpn - window + 1, vpn + 1];
  const left = (window - 1) >> 1;
  return [vpn - left, vpn - left + window];
}

function noteAhead(k: Kernel, slot: number): void {
  k.mem.swap.ahead[slot] = 1;
  k.mem.stat.count(EVENT.swap_ra, 1);
}

/** A page was found in memory: reading ahead was of use, or goes on from here at least. */
function noteHit(k: Kernel, vma: Vma | null, vpn: number, slot: number): void {
  const { swap, stat } = k.mem;
  const wasAhead = swap.ahead[slot] as number;
  swap.ahead[slot] = 0;
  stat.count(EVENT.swap_ra_hit, wasAhead);
  if (vma === null) swap.hits += wasAhead;
  else {
    const { window, hits } = vma.readAhead ?? { window: 0, hits: FIRST_HITS };
    vma.readAhead = { vpn, window, hits: Math.min(hits + wasAhead, MOST_HITS) };
  }
}

/**
 * Brings a page of a shared object back, with those in the slots around it
 * (shmem_swapin_folio, swap_cluster_readahead).
 * @returns the frame, or -1 when none was to be had.
 */
export function swapInShared(
  k: Kernel,
  task: Task,
  object: ShmemObject,
  index: number,
  found: FoundPolicy,
): Frame | -1 {
  const { swap, lru, map, stat } = k.mem;
  const slot = object.slot(index) as number;
  const request = { k, task, found, interleaveIndex: index + object.ino };
  let f = swap.cached(slot);
  if (f === NIL) {
    const area = swap.areaOf(slot);
    const offset = slot - area.start;
    const window = swap.window(offset, MOST_AHEAD);
    const start = offset - (offset % window);
    const end = Math.min(start + window, area.nrSlots);
    for (let o = start; o < end && window > 1; o++) {
      const s = area.start + o;
      if (swap.count[s] === 0 || swap.cached(s) !== NIL) continue;
      if (readIntoCache(request, s) === -1) break;
      if (s !== slot) noteAhead(k, s);
    }
    f = task.isAlive ? readIntoCache(request, slot) : -1;
    if (f < 0) return -1;
    stat.count(EVENT.pgmajfault, 1);
  } else noteHit(k, null, 0, slot);
  const frame = f as Frame;
  swap.free(slot);
  swap.removeFromCache(frame);
  map.claim(frame, KIND_SHMEM, object.id, index, 0);
  lru.set(frame, LRU_DIRTY | LRU_YOUNG);
  object.setPage(index, frame);
  return frame;
}

/** An entry or an object no longer stands for a slot (free_swap_and_cache). */
export function dropSlot(k: Kernel, slot: number): void {
  const { swap, map } = k.mem;
  if (swap.free(slot) > 0) return;
  const f = swap.cached(slot);
  if (f !== NIL && map.mapcount[f] === 0) {
    swap.removeFromCache(f);
    k.allocator.free(f as Frame);
  }
}

/**
 * A private page that nobody maps any more is freed, unless it is in the cache and others' entries
 * stand for its slot (free_swap_cache).
 */
export function dropPage(k: Kernel, f: Frame): void {
  if (k.mem.swap.isOn && !k.mem.swap.freeSlotOf(f)) return;
  k.allocator.free(f);
}
