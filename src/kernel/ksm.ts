// KSM: a kernel thread that looks for equal pages in areas that asked for it, and lets them share
// one frame until somebody writes.
// Models   linux@v6.1 mm/ksm.c: ksm_madvise, __ksm_enter, ksm_fork, scan_get_next_rmap_item,
//          cmp_and_merge_page, unmerge_and_remove_all_rmap_items, break_ksm, run_store,
//          merge_across_nodes_store.
// Omits    the order in the trees: they are tables by content; a page whose content changes in the
//          middle of a scan is compared as it is now. Memory of the trees themselves.
// Hooks    ksmMadvise (ksm_madvise), cmpAndMergePage (cmp_and_merge_page).
// State    a slot an address space that asked, an item a page looked at; the trees (ksm_tree.ts).
// Holds    KSM1 spaces are scanned in the order in which they asked, pages by address. KSM2 a page
//          is compared with merged pages at once, with others only when it has not changed since
//          the last scan. KSM7 a written merged page is copied, whoever else maps it.
import { EBUSY, EINVAL, ENOENT, ENOMEM, ETIMEDOUT } from '../base/errno.ts';
import type { Frame } from '../base/ids.ts';
import { GFP_HIGHUSER_MOVABLE } from '../mm/gfp.ts';
import { KIND_ANON } from '../mm/memmap.ts';
import type { AddressSpace, Vma } from './address_space.ts';
import { Contents } from './contents.ts';
import { policyOfPage } from './fault.ts';
import type { Kernel } from './kernel.ts';
import { KsmTree, type RmapItem } from './ksm_tree.ts';
import { joinLru } from './lru_track.ts';
import { makePte, pteFrame, pteIsPage } from './page_table.ts';
import { allocUserPages } from './policy_alloc.ts';
import type { Task } from './task.ts';
import { isZoneDevice } from './zone_device.ts';

export const KSM_RUN_STOP = 0;
export const KSM_RUN_MERGE = 1;
export const KSM_RUN_UNMERGE = 2;

/** How long somebody waits for scans that do not come, ms. */
const PATIENCE_MS = 20_000;

/** An address space with areas that asked (struct mm_slot). */
interface Slot {
  readonly mm: AddressSpace;
  readonly items: Map<number, RmapItem>;
}

export class Ksm {
  readonly #k: Kernel;
  readonly tree: KsmTree;
  run = KSM_RUN_STOP;
  pagesToScan = 100;
  sleepMs = 20;
  /** Scans of all memory that have ended (full_scans). */
  nrScans = 0;
  /** Something was merged since this was last cleared. */
  hasMerged = false;
  readonly #slots: Slot[] = [];
  /** The slot that is being scanned, and the page to go on at; none between two scans. */
  #at: Slot | undefined;
  #nextVpn = 0;
  /** Time that ksmd has still to make use of, ms. */
  #creditMs = 0;

  constructor(k: Kernel) {
    this.#k = k;
    this.tree = new KsmTree(k);
  }

  /** MADV_MERGEABLE of a range of an area; areas that cannot take part ignore it. */
  allow(mm: AddressSpace, vma: Vma, start: number, end: number): void {
    const isPrivate = vma.object === null && vma.huge === null && vma.file === null;
    if (!isPrivate || vma.isMergeable) return;
    if (this.#k.design.answers.ksmMadvise?.(vma) === false) return;
    this.#k.contents ??= new Contents(this.#k.mem.map.nrFrames);
    mm.change(start, end, (part) => {
      part.isMergeable = true;
    });
    this.#enter(mm);
  }

  /**
   * MADV_UNMERGEABLE: merged pages of the range get frames of their own, asked for by the task.
   * Returns 0 or -ENOMEM.
   */
  forbid(task: Task, vma: Vma, start: number, end: number): number {
    if (!vma.isMergeable) return 0;
    const error = this.#unmerge(task, task.mm, vma, start, end);
    if (error !== 0) return error;
    task.mm.change(start, end, (part) => {
      part.isMergeable = false;
    });
    return 0;
  }

  /** A child inherits the areas, and so the place in the scan. */
  fork(parent: AddressSpace, child: AddressSpace): void {
    if (this.#slots.some((slot) => slot.mm === parent)) this.#enter(child);
  }

  /** A space joins just before the one that is being scanned: it is the last to come. */
  #enter(mm: AddressSpace): void {
    if (this.#slots.some((slot) => slot.mm === mm)) return;
    const slot: Slot = { mm, items: new Map() };
    const at = this.#at === undefined ? -1 : this.#slots.indexOf(this.#at);
    if (at < 0 || this.run === KSM_RUN_UNMERGE) this.#slots.push(slot);
    else this.#slots.splice(at, 0, slot);
  }

  /** Lets ksmd have the time that passes. */
  pass(ms: number): void {
    if (this.run !== KSM_RUN_MERGE || this.#slots.length === 0) return;
    this.#creditMs += ms;
    const pause = Math.max(1, this.sleepMs);
    for (; this.#creditMs >= pause; this.#creditMs -= pause) this.#batch();
  }

  /** Waits for so many scans of all memory. Returns 0; -EINVAL while it is off; -ETIMEDOUT. */
  waitForScans(nrScans: number): number {
    if (this.run !== KSM_RUN_MERGE) return -EINVAL;
    const until = this.nrScans + nrScans;
    for (let ms = 0; this.nrScans < until; ms += Math.max(1, this.sleepMs)) {
      if (ms > PATIENCE_MS || this.#slots.length === 0) return -ETIMEDOUT;
      this.#k.nowMs += this.sleepMs;
      this.#batch();
    }
    return 0;
  }

  /** One waking of ksmd: up to pages_to_scan pages, or to the end of the scan (ksm_do_scan). */
  #batch(): void {
    this.#k.setCurrent(this.#k.kthread);
    for (let i = 0; i < this.pagesToScan; i++) {
      const next = this.#next();
      if (next === undefined) return;
      const nid = this.#k.allocator.nidOf(next.f);
      if (this.#k.design.answers.cmpAndMergePage?.(nid, this.#k.states) === false) continue;
      if (this.tree.merge(next.item, next.f)) this.hasMerged = true;
    }
  }

  /** The next page to look at; undefined at the end of a scan (scan_get_next_rmap_item). */
  #next(): { item: RmapItem; f: Frame } | undefined {
    if (this.#slots.length === 0) return undefined;
    if (this.#at === undefined) {
      this.tree.beginScan();
      this.#at = this.#slots[0] as Slot;
      this.#nextVpn = 0;
    }
    for (let slot: Slot | undefined = this.#at; slot !== undefined; slot = this.#at) {
      const first = this.#nextVpn;
      const vpn = this.#nextPage(slot);
      this.#dropItems(slot, first, vpn ?? Number.POSITIVE_INFINITY);
      if (vpn !== undefined) {
        this.#nextVpn = vpn + 1;
        return { item: itemOf(slot, vpn), f: pteFrame(slot.mm.pageTable.get(vpn)) };
      }
      const at: number = this.#slots.indexOf(slot);
      const isOver: boolean = !slot.mm.vmas.some((vma) => vma.isMergeable);
      if (isOver) this.#slots.splice(at, 1);
      this.#at = this.#slots[isOver ? at : at + 1];
      this.#nextVpn = 0;
    }
    this.nrScans++;
    return undefined;
  }

  /** The first private page at or above the place of the scan in an area that takes part. */
  #nextPage(slot: Slot): number | undefined {
    const { map } = this.#k.mem;
    for (const vma of slot.mm.vmas) {
      if (!vma.isMergeable || !vma.hasAnonVma || vma.endVpn <= this.#nextVpn) continue;
      let found: number | undefined;
      slot.mm.pageTable.walk(Math.max(vma.startVpn, this.#nextVpn), vma.endVpn, (vpn, pte) => {
        if (!pteIsPage(pte) || map.kind[pteFrame(pte)] !== KIND_ANON) return true;
        if (isZoneDevice(this.#k, pteFrame(pte))) return true;
        found = vpn;
        return false;
      });
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Forgets the items of pages that were passed over, since they are gone. */
  #dropItems(slot: Slot, from: number, to: number): void {
    for (const [vpn, item] of slot.items) {
      if (vpn < from || vpn >= to) continue;
      this.tree.remove(item);
      slot.items.delete(vpn);
    }
  }

  /** Gives merged pages of a range frames of their own (unmerge_ksm_pages). */
  #unmerge(asker: Task, mm: AddressSpace, vma: Vma, start: number, end: number): number {
    for (let vpn = start; vpn < end; vpn++) {
      const pte = mm.pageTable.get(vpn);
      if (!pteIsPage(pte) || !this.tree.isMerged(pteFrame(pte))) continue;
      if (!this.breakOne(asker, mm, vma, vpn)) return -ENOMEM;
    }
    return 0;
  }

  /** Copies a merged page for one of its owners (break_ksm). False when there is no page for it. */
  breakOne(asker: Task, mm: AddressSpace, vma: Vma, vpn: number): boolean {
    const k = this.#k;
    const old = pteFrame(mm.pageTable.get(vpn));
    const found = policyOfPage(asker, vma, vpn);
    const index = vma.pgoff + (vpn - vma.startVpn);
    if (allocUserPages(k, asker, GFP_HIGHUSER_MOVABLE, found, index, 1, 'copy on write') === 0) {
      return false;
    }
    const f = k.allocator.out[0] as Frame;
    k.contents?.copy(f, old);
    this.tree.replace(mm, vpn, old, makePte(f, true));
    k.mem.map.claim(f, KIND_ANON, mm.id, vpn, 1);
    joinLru(k.mem.lru, f, vma);
    return true;
  }

  /** Writes `run`: 0 stops ksmd, 1 lets it merge, 2 stops it and takes all pages apart. */
  setRun(value: number): number {
    if (value > KSM_RUN_UNMERGE) return -EINVAL;
    if (this.run === value) return 0;
    this.run = value;
    this.#creditMs = 0;
    return value === KSM_RUN_UNMERGE ? this.#unmergeAll() : 0;
  }

  #unmergeAll(): number {
    const { kthread } = this.#k;
    for (const slot of [...this.#slots]) {
      for (const vma of slot.mm.vmas) {
        if (!vma.isMergeable || !vma.hasAnonVma) continue;
        const error = this.#unmerge(kthread, slot.mm, vma, vma.startVpn, vma.endVpn);
        if (error !== 0) {
          this.run = KSM_RUN_STOP;
          return error;
        }
      }
      this.#dropItems(slot, 0, Number.POSITIVE_INFINITY);
      if (!this.#k.spaces.has(slot.mm.id)) this.#slots.splice(this.#slots.indexOf(slot), 1);
    }
    this.tree.clear();
    this.#at = undefined;
    this.nrScans = 0;
    return 0;
  }

  /** Writes a file of /sys/kernel/mm/ksm by its name. Returns 0 or a negative errno. */
  write(name: string, text: string): number {
    if (!isFile(name) || READ_ONLY.has(name)) return -ENOENT;
    if (!/^\s*\d+\s*$/.test(text)) return -EINVAL;
    this.#k.contents ??= new Contents(this.#k.mem.map.nrFrames);
    const value = Number(text);
    switch (name) {
      case 'run':
        return this.setRun(value);
      case 'pages_to_scan':
        this.pagesToScan = value;
        return 0;
      case 'sleep_millisecs':
        this.sleepMs = value;
        return 0;
      case 'merge_across_nodes':
        if (value > 1) return -EINVAL;
        if ((value === 1) === this.tree.mergesAcrossNodes) return 0;
        if (!this.tree.removeUnused()) return -EBUSY;
        this.tree.mergesAcrossNodes = value === 1;
        return 0;
      case 'max_page_sharing':
        if (value < 2) return -EINVAL;
        if (value === this.tree.maxPageSharing) return 0;
        if (!this.tree.removeUnused()) return -EBUSY;
        this.tree.maxPageSharing = value;
        return 0;
      case 'use_zero_pages':
        if (value > 1) return -EINVAL;
        this.tree.usesZeroPages = value === 1;
        return 0;
    }
    return 0;
  }

  /** Reads a file by its name: its number as text, or -ENOENT. */
  read(name: string): string | number {
    if (!isFile(name)) return -ENOENT;
    return String(this.#valueOf(name));
  }

  #valueOf(name: KsmFile): number {
    const { tree } = this;
    const { nrShared, nrSharing, nrUnshared, nrChains, nrDups } = tree.counts();
    const nrItems = this.#slots.reduce((n, slot) => n + slot.items.size, 0);
    const values: Record<KsmFile, number> = {
      run: this.run,
      pages_to_scan: this.pagesToScan,
      sleep_millisecs: this.sleepMs,
      merge_across_nodes: tree.mergesAcrossNodes ? 1 : 0,
      max_page_sharing: tree.maxPageSharing,
      use_zero_pages: tree.usesZeroPages ? 1 : 0,
      stable_node_chains_prune_millisecs: 2000,
      full_scans: this.nrScans,
      pages_shared: nrShared,
      pages_sharing: nrSharing,
      pages_unshared: nrUnshared,
      pages_volatile: Math.max(0, nrItems - nrShared - nrSharing - nrUnshared),
      stable_node_chains: nrChains,
      stable_node_dups: nrDups,
    };
    return values[name];
  }
}

const FILES = [
  'run',
  'pages_to_scan',
  'sleep_millisecs',
  'merge_across_nodes',
  'max_page_sharing',
  'use_zero_pages',
  'stable_node_chains_prune_millisecs',
  'full_scans',
  'pages_shared',
  'pages_sharing',
  'pages_unshared',
  'pages_volatile',
  'stable_node_chains',
  'stable_node_dups',
] as const;
type KsmFile = (typeof FILES)[number];
const READ_ONLY: ReadonlySet<string> = new Set(FILES.slice(7));

const isFile = (name: string): name is KsmFile => (FILES as readonly string[]).includes(name);

function itemOf(slot: Slot, vpn: number): RmapItem {
  let item = slot.items.get(vpn);
  if (item === undefined) {
    item = { mm: slot.mm, vpn, checksum: undefined, node: undefined, waitsAt: undefined };
    slot.items.set(vpn, item);
  }
  return item;
}
