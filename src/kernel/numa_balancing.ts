// NUMA balancing: pages of a running task are taken away in rounds, so that the next touch says
// which node uses them.
// Models   linux@v6.1 kernel/sched/fair.c: init_numa_balancing, task_tick_numa, task_numa_work,
//          task_scan_min, task_scan_start, task_scan_max, reset_ptenuma_scan; mm/mprotect.c:
//          change_pte_range for MM_CP_PROT_NUMA; mm/mempolicy.c: change_prot_numa, vma_policy_mof;
//          kernel/sched/core.c: sysctl_numa_balancing.
// Omits    huge pages mapped by one entry, threads, and the pages of the last batch that a CPU has
//          not yet put on the lists of pages in use: the kernel passes them over for a round.
// Hooks    taskNumaWork (task_numa_work), changePteRange (change_pte_range).
// State    settings of the machine; of each task its clock and counts, of each address space the
//          place of the scan.
// Holds    NBL1 a task that uses no processor time is never scanned. NBL2 a round covers what the
//          scan size says and goes on where the last ended. NBL3 pages that cannot profit are left
//          alone: where the task runs, of the zero page or KSM, shared copy on write.
import { EINVAL } from '../base/errno.ts';
import { NUMA_NO_NODE } from '../base/ids.ts';
import { isMergedFrame } from '../mm/memmap.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import type { AddressSpace, Vma } from './address_space.ts';
import { HintMarks, type LastUse } from './hint_marks.ts';
import { isHuge } from './hugetlb_area.ts';
import type { Kernel } from './kernel.ts';
import { type Mempolicy, MPOL_F_MOF } from './mempolicy.ts';
import { residentPages } from './oom.ts';
import { pteFrame, pteIsPage } from './page_table.ts';
import type { Task } from './task.ts';
import { isZoneDevice } from './zone_device.ts';

export const NUMA_BALANCING_NORMAL = 1;
export const NUMA_BALANCING_MEMORY_TIERING = 2;

/** Time between two looks of the scheduler at a running task, ms (HZ of 250). */
export const TICK_MS = 4;
/** MiB that may be scanned a second, over all (MAX_SCAN_WINDOW). */
const MAX_SCAN_WINDOW = 2560;
/** Virtual memory passed over in a round, in scan sizes. */
const VIRTUAL_FACTOR = 8;

/** What the scheduler keeps of a task for balancing. */
export interface TaskNuma {
  /** Processor time at which the next look at the clock is due, ms. */
  stampMs: number;
  scanPeriodMs: number;
  /** Rounds that the task has seen the end of. */
  scanSeq: number;
  preferredNid: number;
  /** Faults by node, decayed and of the round now: shared at 2 nid, private at 2 nid + 1. */
  faults: { readonly decayed: Float64Array; readonly now: Float64Array } | undefined;
  /** Faults since the last round: of remote pages, of local ones, failed moves. */
  readonly locality: [remote: number, local: number, failed: number];
  /** Before this the task's place is not worked out anew, ms since boot. */
  retryAtMs: number;
}

/** Where the scan of an address space stands. */
export interface MmNuma {
  nextScanMs: number;
  /** Rounds that came to the end. */
  scanSeq: number;
  /** Virtual page at which the next round starts. */
  offsetVpn: number;
}

export const NUMA_SETTINGS = [
  'scan_delay_ms',
  'scan_period_min_ms',
  'scan_period_max_ms',
  'scan_size_mb',
  'hot_threshold_ms',
] as const;
export type NumaSetting = (typeof NUMA_SETTINGS)[number];

/** What a node keeps of pages that are promoted to it. */
export interface Promotion {
  /** Pages touched later than this after they were taken away are not hot; 0: the default. */
  thresholdMs: number;
  thresholdStartMs: number;
  /** Candidates counted when that stretch began. */
  thresholdBase: number;
  limitStartMs: number;
  limitBase: number;
}

export class NumaBalancing {
  readonly #k: Kernel;
  /** /proc/sys/kernel/numa_balancing: bits NORMAL and MEMORY_TIERING. */
  mode = 0;
  /** /proc/sys/kernel/numa_balancing_promote_rate_limit_MBps. */
  promoteRateLimitMb = 65536;
  /** Files of /sys/kernel/debug/sched/numa_balancing. */
  readonly debug: Record<NumaSetting, number> = {
    scan_delay_ms: 1000,
    scan_period_min_ms: 1000,
    scan_period_max_ms: 60_000,
    scan_size_mb: 256,
    hot_threshold_ms: 1000,
  };

  /** Last users of pages of shared objects, by object and page number in it. */
  readonly #shared = new Map<number, Map<number, LastUse>>();
  readonly #promotions = new Map<number, Promotion>();

  constructor(k: Kernel) {
    this.#k = k;
  }

  lastUseOf(objectId: number): Map<number, LastUse> {
    let uses = this.#shared.get(objectId);
    if (uses === undefined) {
      uses = new Map();
      this.#shared.set(objectId, uses);
    }
    return uses;
  }

  promotionTo(nid: number): Promotion {
    let promotion = this.#promotions.get(nid);
    if (promotion === undefined) {
      promotion = {
        thresholdMs: 0,
        thresholdStartMs: 0,
        thresholdBase: 0,
        limitStartMs: 0,
        limitBase: 0,
      };
      this.#promotions.set(nid, promotion);
    }
    return promotion;
  }

  /** Sets the mode (sysctl_numa_balancing). Returns 0 or -EINVAL. */
  setMode(value: string): number {
    if (!/^\s*[0-4]\s*$/.test(value)) return -EINVAL;
    this.mode = Number(value);
    return 0;
  }

  /** A task's own record, made when it is first asked for. */
  of(task: Task): TaskNuma {
    task.numa ??= {
      stampMs: 0,
      scanPeriodMs: this.debug.scan_delay_ms,
      scanSeq: 0,
      preferredNid: NUMA_NO_NODE,
      faults: undefined,
      locality: [0, 0, 0],
      retryAtMs: 0,
    };
    return task.numa;
  }

  mmOf(mm: AddressSpace): MmNuma {
    mm.numa ??= { nextScanMs: mm.bornMs + this.debug.scan_delay_ms, scanSeq: 0, offsetVpn: 0 };
    return mm.numa;
  }

  /**
   * The scheduler's look at a task that is running (task_tick_numa).
   * @returns whether pages were taken away.
   */
  tick(task: Task): boolean {
    if (this.mode === 0) return false;
    const numa = this.of(task);
    const mm = this.mmOf(task.mm);
    const period = numa.scanPeriodMs;
    if (task.execMs <= numa.stampMs + period) return false;
    if (numa.stampMs === 0) numa.scanPeriodMs = this.scanMinMs(task);
    numa.stampMs += period;
    if (this.#k.nowMs < mm.nextScanMs) return false;
    mm.nextScanMs = this.#k.nowMs + numa.scanPeriodMs;
    numa.stampMs += 2 * TICK_MS;
    return this.#scan(task, mm) > 0;
  }

  #windows(task: Task): number {
    const windowPages = (this.debug.scan_size_mb * 2 ** 20) / this.#k.mem.pageBytes;
    return Math.max(1, Math.ceil(residentPages(task) / windowPages));
  }

  /** Shortest time between two rounds (task_scan_min). */
  scanMinMs(task: Task): number {
    const windows = Math.floor(MAX_SCAN_WINDOW / this.debug.scan_size_mb);
    const floor = Math.floor(1000 / Math.max(1, windows));
    return Math.max(floor, Math.floor(this.debug.scan_period_min_ms / this.#windows(task)));
  }

  /** Longest time between two rounds (task_scan_max). */
  scanMaxMs(task: Task): number {
    const longest = Math.floor(this.debug.scan_period_max_ms / this.#windows(task));
    return Math.max(this.scanMinMs(task), longest);
  }

  /** One round (task_numa_work). Returns pages taken away. */
  #scan(task: Task, mm: MmNuma): number {
    const { mem, huge } = this.#k;
    let pages = (this.debug.scan_size_mb * 2 ** 20) / mem.pageBytes;
    let virtualPages = pages * VIRTUAL_FACTOR;
    let updates = 0;
    let start = mm.offsetVpn;
    let vma = task.mm.findVma(start);
    if (vma === undefined) {
      this.#endRound(mm);
      start = 0;
      vma = task.mm.findVma(0);
    }
    while (vma !== undefined) {
      const { endVpn } = vma;
      start = Math.max(start, vma.startVpn);
      if (this.#isScanned(task, vma)) {
        while (start < endVpn) {
          const aligned = Math.ceil((start + pages) / huge.nrSmall) * huge.nrSmall;
          const end = Math.min(aligned, endVpn);
          const n = this.#takeAway(task, vma, start, end);
          updates += n;
          if (n > 0) pages -= end - start;
          virtualPages -= end - start;
          start = end;
          if (pages <= 0 || virtualPages <= 0) {
            mm.offsetVpn = start;
            return updates;
          }
        }
      }
      vma = task.mm.findVma(endVpn);
    }
    this.#endRound(mm);
    return updates;
  }

  #endRound(mm: MmNuma): void {
    mm.scanSeq++;
    mm.offsetVpn = 0;
  }

  /** Does the scan look at an area? */
  #isScanned(task: Task, vma: Vma): boolean {
    if (isHuge(vma) || vma.file !== null || !policyMovesOnFault(task, vma)) return false;
    return this.#k.design.answers.taskNumaWork?.(vma) ?? true;
  }

  /** Takes pages of an area away until their next touch (change_pte_range). */
  #takeAway(task: Task, vma: Vma, startVpn: number, endVpn: number): number {
    const k = this.#k;
    const { map } = k.mem;
    const { pageTable } = task.mm;
    const isPrivate = vma.object === null;
    const here = isPrivate ? k.localNode(task) : NUMA_NO_NODE;
    const isNormal = (this.mode & NUMA_BALANCING_NORMAL) !== 0;
    const isTiering = (this.mode & NUMA_BALANCING_MEMORY_TIERING) !== 0;
    const mayHint = k.design.answers.changePteRange;
    pageTable.marks ??= new HintMarks();
    const { hinted, takenAt } = pageTable.marks;
    let updates = 0;
    pageTable.walk(startVpn, endVpn, (vpn, pte) => {
      if (!pteIsPage(pte) || hinted.has(vpn)) return;
      const f = pteFrame(pte);
      if (k.thp.isPart(f) || isMergedFrame(map, f) || (isPrivate && map.mapcount[f] !== 1)) return;
      const nid = k.allocator.nidOf(f);
      if (nid === here || isZoneDevice(k, f)) return;
      if (mayHint !== undefined && !mayHint(nid, k.states)) return;
      const isTop = k.tiers.isTopTier(nid);
      if (!isNormal && isTop) return;
      if (isTiering && !isTop) takenAt.set(vpn, k.nowMs);
      hinted.add(vpn);
      updates++;
    });
    if (updates > 0) k.mem.stat.count(EVENT.numa_pte_updates, updates);
    return updates;
  }
}

/**
 * May pages of an area move on a fault (vma_policy_mof)? Where nobody has set a policy for a shared
 * object, they may not: the kernel does not ask for the task's then.
 */
export function policyMovesOnFault(task: Task, vma: Vma): boolean {
  if (vma.object !== null) {
    const shared = vma.object.policyAt(vma.pgoff);
    return shared !== null && movesOnFault(shared);
  }
  return movesOnFault(vma.policy ?? task.mempolicy);
}

/** The default policy lets pages move; a program's own does where it asks for it. */
export const movesOnFault = (policy: Mempolicy | null): boolean =>
  policy === null || (policy.flags & MPOL_F_MOF) !== 0;
