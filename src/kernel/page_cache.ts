// The page cache: where pages of files come from, and when they go.
// Models   linux@v6.1 mm/filemap.c: filemap_alloc_folio, filemap_add_folio, __filemap_get_folio as
//          far as pages come by it, delete_from_page_cache; mm/truncate.c:
//          invalidate_mapping_pages; fs/drop_caches.c: drop_pagecache_sb; mm/page-writeback.c:
//          write_cache_pages, folio_clear_dirty_for_io, balance_dirty_pages;
//          kernel/cgroup/cpuset.c: cpuset_mem_spread_node.
// Omits    the time that writing takes: a page is dirty or written. Buffer heads, nodes of the
//          tree and other slabs of a file. A task that spreads starts at the first of its nodes,
//          where the kernel starts anywhere.
// Holds    PGC1 a page of the cache is in one slot of one file. PGC3 pages of a file follow the
//          policy of the task that brings them in, whatever area maps them. PGC4 a page that is
//          mapped or dirty is not dropped.
import type { Frame } from '../base/ids.ts';
import { __GFP_COMP, __GFP_WRITE, GFP_HIGHUSER_MOVABLE } from '../mm/gfp.ts';
import { LRU_ACTIVE, LRU_DIRTY, LRU_REFERENCED } from '../mm/lru.ts';
import { KIND_FILE } from '../mm/memmap.ts';
import { NODE_ITEM } from '../mm/vmstat_items.ts';
import type { Vma } from './address_space.ts';
import type { FileInode } from './file_inode.ts';
import type { Kernel } from './kernel.ts';
import { makePte, pteFrame, pteIsPage, pteIsWritable } from './page_table.ts';
import { allocNear, allocPages } from './policy_alloc.ts';
import { startReclaim } from './reclaim.ts';
import type { ShmemObject } from './shmem.ts';
import { dropSlot } from './swap_fault.ts';
import type { Task } from './task.ts';

/** Request for a page that a program writes to a disk's file: its node must not be too dirty. */
export const GFP_WRITE_PAGE = GFP_HIGHUSER_MOVABLE | __GFP_WRITE;

/** A page for the cache, asked for by a task: its policy, or its cpuset in turn. */
function allocCachePage(k: Kernel, task: Task, gfp: number): Frame | undefined {
  const flags = gfp | __GFP_COMP;
  let n: number;
  if (task.cpuset.flags.has('memory_spread_page')) {
    const nid = task.memsAllowed.nextIn(task.spreadRotor);
    task.spreadRotor = nid;
    n = allocNear(k, task, flags, nid, 'page cache');
  } else n = allocPages(k, task, flags, 0, 'page cache');
  return n === 0 ? undefined : (k.allocator.out[0] as Frame);
}

/**
 * Brings a page of a file in that is not there.
 * @returns its frame, or undefined when there is no memory for it: `allocator.failure` says why.
 */
export function addCachePage(
  k: Kernel,
  task: Task,
  inode: FileInode,
  index: number,
  gfp: number,
): Frame | undefined {
  tellReclaim(k);
  const f = allocCachePage(k, task, gfp);
  if (f === undefined) return undefined;
  k.mem.map.claim(f, KIND_FILE, inode.id, index, 0);
  inode.setPage(index, f);
  k.mem.lru.addNew(f, 0);
  k.mem.stat.addNode(NODE_ITEM.nr_file_pages, k.allocator.nidOf(f), 1);
  return f;
}

/** Has the contents of a page of a disk's file been written since they changed? */
export const isDirty = (k: Kernel, f: Frame): boolean => k.mem.lru.has(f, LRU_DIRTY);

/** Takes a page that nobody maps out of its file; its contents are gone if it was dirty. */
export function removeCachePage(k: Kernel, inode: FileInode, index: number, f: Frame): void {
  detachPage(k, inode, index, f);
  k.allocator.free(f);
}

function detachPage(k: Kernel, inode: FileInode, index: number, f: Frame): void {
  cleanPage(k, f);
  inode.removePage(index);
  k.mem.stat.addNode(NODE_ITEM.nr_file_pages, k.allocator.nidOf(f), -1);
}

/** Reclaim may have pages of files from now on, and has dirty ones written. */
function tellReclaim(k: Kernel): void {
  const reclaim = startReclaim(k);
  reclaim.files ??= {
    removeFromFile: (f) => {
      const inode = k.inodes.get(k.mem.map.link[f] as number);
      if (k.mem.map.kind[f] !== KIND_FILE || inode === undefined) return false;
      detachPage(k, inode, k.mem.map.index[f] as number, f as Frame);
      return true;
    },
    flush: () => syncFiles(k),
  };
}

/** A page of a file is in use: twice makes it active (folio_mark_accessed). */
export function markAccessed(k: Kernel, f: Frame): void {
  const { lru } = k.mem;
  if (!lru.has(f, LRU_REFERENCED)) lru.set(f, LRU_REFERENCED);
  else if (!lru.has(f, LRU_ACTIVE)) lru.move(f, LRU_ACTIVE, LRU_REFERENCED);
}

/** The contents of a page are newer than its file's on the disk. */
export function markDirty(k: Kernel, f: Frame): void {
  const { lru, dirty } = k.mem;
  if (lru.has(f, LRU_DIRTY)) return;
  lru.set(f, LRU_DIRTY);
  dirty.add(k.allocator.nidOf(f), 1);
}

/** A page is as its file is, or is no more. */
function cleanPage(k: Kernel, f: Frame): boolean {
  const { lru, dirty } = k.mem;
  if (!lru.has(f, LRU_DIRTY)) return false;
  lru.clear(f, LRU_DIRTY);
  dirty.add(k.allocator.nidOf(f), -1);
  return true;
}

/** A page of a file moves, with its place on the lists next: the counters of its nodes follow. */
export function movedCachePage(k: Kernel, old: Frame, fresh: Frame): void {
  const { lru, dirty, stat } = k.mem;
  const from = k.allocator.nidOf(old);
  const to = k.allocator.nidOf(fresh);
  stat.addNode(NODE_ITEM.nr_file_pages, from, -1);
  stat.addNode(NODE_ITEM.nr_file_pages, to, 1);
  if (!lru.has(old, LRU_DIRTY)) return;
  dirty.add(from, -1);
  dirty.add(to, 1);
}

/** Areas that map a file, with their address spaces. */
export function* areasOf(
  k: Kernel,
  inode: object,
): IterableIterator<{ vma: Vma; table: Task['mm']['pageTable'] }> {
  for (const space of k.spaces.values()) {
    for (const vma of space.vmas) {
      if (vma.file?.inode === inode || vma.object === inode) {
        yield { vma, table: space.pageTable };
      }
    }
  }
}

/**
 * Writes the dirty pages [start, end) of a file to its disk. Whoever maps them asks again before
 * the next write.
 */
export function writeBack(k: Kernel, inode: FileInode, start = 0, end = Infinity): void {
  const written = new Set<number>();
  inode.forEachPage(
    (index, f) => {
      if (!cleanPage(k, f)) return;
      inode.marks.delete(index);
      written.add(f);
    },
    start,
    end,
  );
  if (written.size === 0) return;
  for (const { vma, table } of areasOf(k, inode)) {
    if (vma.file?.isShared !== true) continue;
    table.walk(vma.startVpn, vma.endVpn, (vpn, pte) => {
      if (!pteIsPage(pte) || !pteIsWritable(pte) || !written.has(pteFrame(pte))) return;
      table.set(vpn, makePte(pteFrame(pte), false));
    });
  }
}

/** Writes all files (sync). */
export function syncFiles(k: Kernel): void {
  for (const inode of k.diskFiles()) writeBack(k, inode);
}

/** After a page became dirty: too many of them are written at once (balance_dirty_pages). */
export function balanceDirty(k: Kernel): void {
  const { dirty } = k.mem;
  if (!dirty.isCheckDue()) return;
  if (dirty.total > dirty.backgroundLimit(k.states.memory)) syncFiles(k);
}

/** Drops pages [start, end) of a file that are clean and that nobody maps. Returns how many. */
export function invalidate(k: Kernel, inode: FileInode, start = 0, end = Infinity): number {
  const { map, lru } = k.mem;
  const gone: [number, Frame][] = [];
  inode.forEachPage(
    (index, f) => {
      if (map.mapcount[f] === 0 && !lru.has(f, LRU_DIRTY)) gone.push([index, f]);
    },
    start,
    end,
  );
  for (const [index, f] of gone) removeCachePage(k, inode, index, f);
  return gone.length;
}

/** Frees pages [start, end) of a shared object, and the slots of those that a swap area has. */
export function freeObjectPages(k: Kernel, object: ShmemObject, start: number, end: number): void {
  object.removePages(
    start,
    end,
    (f) => k.allocator.free(f),
    (slot) => dropSlot(k, slot),
  );
}

/** Drops what can be dropped of all files (drop_caches with bit 0). */
export function dropCaches(k: Kernel, by: Task): void {
  k.setCurrent(by);
  for (const inode of k.diskFiles()) invalidate(k, inode);
  const { map } = k.mem;
  for (const object of k.objects.values()) {
    const gone: number[] = [];
    object.forEachPage((index, f) => {
      const isKept = map.mapcount[f] !== 0 || k.mem.held.isPoisoned(f);
      if (!isKept && object.isClean(index)) gone.push(index);
    });
    for (const i of gone) freeObjectPages(k, object, i, i + 1);
  }
}
