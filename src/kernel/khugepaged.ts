// khugepaged: the thread that goes through address spaces in which somebody wants huge pages and
// collapses places that have enough small pages.
// Models   linux@v6.1 mm/khugepaged.c: khugepaged_enter_vma, khugepaged_fork,
//          khugepaged_do_scan,
//          khugepaged_scan_mm_slot, hpage_collapse_scan_pmd as far as its limits go,
//          khugepaged_wait_work.
// Omits    whether pages were used lately: all that are there count as used. Pages in a swap area,
//          which keep a place as it is. Huge pages of files and shared memory. The time of a scan.
// Holds    KHP1 it looks at once when the first space comes up, then each scan_sleep_millisecs, at
//          pages_to_scan pages; after a block that was not to be had alloc_sleep_millisecs later.
//          KHP2 a place is collapsed when no more of it is empty or shared than the limits say,
//          none is swapped out, and one page is writable; where to is as in THP12.
import { ENOMEM } from '../base/errno.ts';
import { GFP_TRANSHUGE, GFP_TRANSHUGE_LIGHT } from '../mm/gfp.ts';
import type { Kernel } from './kernel.ts';
import { PTE_NONE, pteFrame, pteIsPage, pteIsSpecial } from './page_table.ts';
import type { Task } from './task.ts';
import { THP_PAGES } from './thp.ts';
import { collapsePlace } from './thp_collapse.ts';

/** Settings as the kernel boots with them. */
export const KHUGEPAGED_DEFAULTS: Readonly<Record<string, number>> = {
  alloc_sleep_millisecs: 60_000,
  defrag: 1,
  max_ptes_none: THP_PAGES - 1,
  max_ptes_shared: THP_PAGES / 2,
  max_ptes_swap: THP_PAGES / 8,
  pages_to_scan: 8 * THP_PAGES,
  scan_sleep_millisecs: 10_000,
};

export class Khugepaged {
  readonly #k: Kernel;
  /** Address spaces to go through, by id, in the order in which they came up. */
  readonly #spaces: number[] = [];
  /** The space that is next, and the address in it from which on. */
  #at = 0;
  #vpn = 0;
  /** When it wakes next, ms since boot; never while there is nothing to do. */
  #wakesAtMs = Number.POSITIVE_INFINITY;
  /** Places that it has collapsed, and times that it was through all spaces. */
  nrCollapsed = 0;
  nrFullScans = 0;

  constructor(k: Kernel) {
    this.#k = k;
  }

  #setting(name: string): number {
    return this.#k.thp.khugepaged.get(name) ?? (KHUGEPAGED_DEFAULTS[name] as number);
  }

  /** An area of a space may have huge pages (khugepaged_enter_vma). */
  enter(space: number): void {
    if (this.#spaces.includes(space)) return;
    if (this.#spaces.length === 0) this.#wakesAtMs = this.#k.nowMs;
    this.#spaces.push(space);
  }

  /** A child goes the way of its parent (khugepaged_fork). */
  fork(parent: number, child: number): void {
    if (this.#spaces.includes(parent)) this.enter(child);
  }

  /** Time has passed up to now. */
  pass(): void {
    while (this.#wakesAtMs <= this.#k.nowMs) {
      const isShort = !this.#scan();
      const sleep = isShort ? 'alloc_sleep_millisecs' : 'scan_sleep_millisecs';
      this.#wakesAtMs += Math.max(1, this.#setting(sleep));
      if (this.#spaces.length === 0) this.#wakesAtMs = Number.POSITIVE_INFINITY;
    }
  }

  /** State for the hash. */
  get columns(): readonly number[] {
    const wakes = Number.isFinite(this.#wakesAtMs) ? this.#wakesAtMs : -1;
    return [...this.#spaces, this.#at, this.#vpn, wakes, this.nrCollapsed, this.nrFullScans];
  }

  /** One wake: so many pages, and no space twice. False when a block could not be had. */
  #scan(): boolean {
    if (this.#k.thp.enabled === 'never') return true;
    let left = this.#setting('pages_to_scan');
    for (let heads = 0; left > 0 && heads < 2; ) {
      if (this.#at === 0 && this.#vpn === 0) heads++;
      if (heads === 2 || this.#spaces.length === 0) break;
      const seen = this.#scanSpace(left);
      if (seen < 0) return false;
      left -= seen;
    }
    return true;
  }

  /** Goes on in a space. Returns pages looked at, -1 when a block could not be had. */
  #scanSpace(most: number): number {
    const task = this.#k.liveTasks().find(({ mm }) => mm.id === this.#spaces[this.#at]);
    if (task === undefined) {
      this.#spaces.splice(this.#at, 1);
      this.#next(this.#at);
      return 1;
    }
    let seen = 1;
    for (const vma of [...task.mm.vmas]) {
      const first = Math.ceil(vma.startVpn / THP_PAGES) * THP_PAGES;
      const end = Math.floor(vma.endVpn / THP_PAGES) * THP_PAGES;
      if (end <= this.#vpn) continue;
      if (!vma.hasAnonVma || !this.#k.thp.allows(vma) || first >= end) {
        seen++;
        continue;
      }
      for (let vpn = Math.max(first, this.#vpn); vpn < end; vpn += THP_PAGES) {
        this.#vpn = vpn + THP_PAGES;
        const result = this.#look(task, vpn);
        if (result === 'short') return -1;
        seen += THP_PAGES;
        if (seen >= most) return seen;
      }
    }
    this.#next(this.#at + 1);
    return seen;
  }

  /** Another space is next, from its start on; behind the last one the first. */
  #next(at: number): void {
    this.#vpn = 0;
    this.#at = at;
    if (at < this.#spaces.length) return;
    this.#at = 0;
    this.nrFullScans++;
  }

  /** Collapses a place if the limits let it. */
  #look(task: Task, start: number): 'done' | 'left' | 'short' {
    if (!this.#isWanted(task, start)) return 'left';
    const gfp = this.#setting('defrag') === 1 ? GFP_TRANSHUGE : GFP_TRANSHUGE_LIGHT;
    const result = collapsePlace(this.#k, this.#k.kthread, task.mm, start, gfp);
    if (result === 0) this.nrCollapsed++;
    return result === 0 ? 'done' : result === -ENOMEM ? 'short' : 'left';
  }

  #isWanted(task: Task, start: number): boolean {
    const { pageTable } = task.mm;
    if (pageTable.getThp(start) !== PTE_NONE || pageTable.leafOf(start) === undefined) return false;
    let nrThere = 0;
    let nrSwapped = 0;
    let nrShared = 0;
    pageTable.walk(start, start + THP_PAGES, (_vpn, pte) => {
      if (pteIsPage(pte)) {
        nrThere++;
        if (this.#k.thp.mapcount(pteFrame(pte)) > 1) nrShared++;
      } else if (pteIsSpecial(pte)) nrSwapped++;
    });
    return (
      nrThere > 0 &&
      nrSwapped === 0 &&
      nrShared <= this.#setting('max_ptes_shared') &&
      THP_PAGES - nrThere <= this.#setting('max_ptes_none')
    );
  }
}
