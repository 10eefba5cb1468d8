// Hinting faults: a page that was taken away is touched, and may follow the CPU that touches it.
// Models   linux@v6.1 mm/memory.c: do_numa_page, numa_migrate_prep; mm/mempolicy.c: mpol_misplaced;
//          kernel/sched/fair.c: should_numa_migrate_memory, task_numa_fault, task_numa_placement,
//          update_task_scan_period, pgdat_free_space_enough, numa_promotion_rate_limit,
//          numa_promotion_adjust_threshold; mm/migrate.c: migrate_misplaced_page,
//          numamigrate_isolate_page, migrate_balanced_pgdat, alloc_misplaced_dst_page.
// Omits    groups of tasks that share pages (numa_group): a shared fault is judged as one before
//          the group is there; moving the task to its pages, since tasks here stay on their CPU.
// Hooks    numaMigratePrep (numa_migrate_prep).
// Holds    NBL4 a page moves to the node of the CPU that touches it, if its policy lets it, and
//          nowhere else. NBL5 the second task to touch a page gets it only when it touches it
//          twice in a row. NBL6 a page does not move to a node that is nearly full.
import { type Frame, type NodeId, NUMA_NO_NODE } from '../base/ids.ts';
import { MPOL_BIND, MPOL_INTERLEAVE, MPOL_LOCAL, MPOL_PREFERRED } from '../hooks/policy_modes.ts';
import {
  __GFP_DIRECT_RECLAIM,
  __GFP_KSWAPD_RECLAIM,
  __GFP_NORETRY,
  __GFP_NOWARN,
  __GFP_THISNODE,
  GFP_HIGHUSER_MOVABLE,
  ZONE_MOVABLE,
} from '../mm/gfp.ts';
import { EVENT, NODE_ITEM } from '../mm/vmstat_items.ts';
import { zoneWatermarkOk } from '../mm/watermark.ts';
import type { Vma } from './address_space.ts';
import { policyOfPage } from './fault.ts';
import type { HintMarks, LastUse } from './hint_marks.ts';
import type { Kernel } from './kernel.ts';
import { type Mempolicy, MPOL_F_MOF, MPOL_F_MORON, offsetInterleaveNode } from './mempolicy.ts';
import { migrateFrames } from './migrate.ts';
import { NUMA_BALANCING_MEMORY_TIERING, type TaskNuma } from './numa_balancing.ts';
import { pteFrame } from './page_table.ts';
import { allocOnNode } from './policy_alloc.ts';
import type { Task } from './task.ts';

/** Rounds in which a page follows its first user at once. */
const EARLY_ROUNDS = 4;
const PERIOD_SLOTS = 10;
const PERIOD_THRESHOLD = 7;
/** Steps in which the threshold of hot pages is moved (NUMA_MIGRATION_ADJUST_STEPS). */
const ADJUST_STEPS = 16;

/** A touch of a page that was taken away (do_numa_page). */
export function numaFault(k: Kernel, task: Task, vma: Vma, vpn: number): void {
  const { pageTable } = task.mm;
  const marks = pageTable.marks as HintMarks;
  marks.hinted.delete(vpn);
  const f = pteFrame(pageTable.get(vpn));
  const { stat } = k.mem;
  const here = k.localNode(task);
  let nid = k.allocator.nidOf(f);
  const isLocal = nid === here;
  stat.count(EVENT.numa_hint_faults, 1);
  if (isLocal) stat.count(EVENT.numa_hint_faults_local, 1);
  const isSlow = isTiering(k) && !k.tiers.isTopTier(nid);
  const page = pageUse(k, vma, vpn, marks);
  const last = isSlow ? undefined : page.last.get(page.key);
  const target = misplaced(k, task, vma, vpn, nid, page);
  let hasFailed = false;
  if (target !== NUMA_NO_NODE) {
    if (migrateMisplaced(k, task, f, target)) {
      // Across tiers a page starts anew: what was kept of it was a time, not a user.
      if (isSlow) page.last.delete(page.key);
      nid = target;
    } else hasFailed = true;
  }
  noteFault(k, task, nid, last, isLocal, hasFailed);
}

/** What is kept of a page: of a shared one at its object, so that all who map it see the same. */
interface PageUse {
  readonly last: Map<number, LastUse>;
  readonly key: number;
  /** When it was taken away, where that counts. */
  readonly takenAtMs: number;
}

function pageUse(k: Kernel, vma: Vma, vpn: number, marks: HintMarks): PageUse {
  const takenAtMs = marks.takenAt.get(vpn) ?? 0;
  if (vma.object === null) return { last: marks.lastUse, key: vpn, takenAtMs };
  const key = vma.pgoff + (vpn - vma.startVpn);
  return { last: k.numa.lastUseOf(vma.object.id), key, takenAtMs };
}

const isTiering = (k: Kernel): boolean => (k.numa.mode & NUMA_BALANCING_MEMORY_TIERING) !== 0;

/** The node that a page should be on instead, or NUMA_NO_NODE (mpol_misplaced). */
function misplaced(
  k: Kernel,
  task: Task,
  vma: Vma,
  vpn: number,
  nid: NodeId,
  page: PageUse,
): NodeId {
  const { policy } = policyOfPage(task, vma, vpn);
  const here = k.localNode(task);
  let wanted = here;
  let followsCpu = true;
  if (policy === null) {
    // The default policy prefers the CPU's node, and lets pages go after the CPU.
    if (nid === here) return NUMA_NO_NODE;
  } else {
    if ((policy.flags & MPOL_F_MOF) === 0) return NUMA_NO_NODE;
    const node = policyTarget(k, policy, vma, vpn, nid, here);
    if (node === NUMA_NO_NODE) return NUMA_NO_NODE;
    wanted = node;
    followsCpu = (policy.flags & MPOL_F_MORON) !== 0;
  }
  if (followsCpu) {
    wanted = here;
    if (!shouldMigrate(k, task, nid, here, page)) return NUMA_NO_NODE;
  }
  if (nid === wanted) return NUMA_NO_NODE;
  const mayMove = k.design.answers.numaMigratePrep;
  return mayMove === undefined || mayMove(nid, wanted, k.states) ? wanted : NUMA_NO_NODE;
}

/** What the policy itself says of a page's node, or NUMA_NO_NODE where it is content. */
function policyTarget(
  k: Kernel,
  policy: Mempolicy,
  vma: Vma,
  vpn: number,
  nid: NodeId,
  here: NodeId,
): NodeId {
  switch (policy.mode) {
    case MPOL_INTERLEAVE:
      return offsetInterleaveNode(policy, vma.pgoff + (vpn - vma.startVpn), here);
    case MPOL_PREFERRED:
      return policy.nodes.has(nid) ? NUMA_NO_NODE : policy.nodes.first();
    case MPOL_LOCAL:
      return here;
    case MPOL_BIND:
      if (policy.flags & MPOL_F_MORON) return policy.nodes.has(here) ? here : NUMA_NO_NODE;
  }
  if (policy.nodes.has(nid)) return NUMA_NO_NODE;
  const list = k.mem.lists.fallback[here]?.zones ?? [];
  const zone = [...list].find((z) => policy.nodes.has(k.mem.zones.nid[z] as number));
  return zone === undefined ? NUMA_NO_NODE : (k.mem.zones.nid[zone] as NodeId);
}

/** Does the page go after the CPU that touched it (should_numa_migrate_memory)? */
function shouldMigrate(k: Kernel, task: Task, from: NodeId, to: NodeId, page: PageUse): boolean {
  if (isTiering(k) && !k.tiers.isTopTier(from)) return isHot(k, to, page.takenAtMs);
  const last = page.last.get(page.key);
  page.last.set(page.key, { pid: task.pid, cpu: task.cpu });
  if (!isTiering(k) && !k.tiers.isTopTier(from) && last === undefined) return false;
  const numa = k.numa.of(task);
  const isOwn = last !== undefined && isSamePid(last.pid, task.pid);
  const isEarly = numa.preferredNid === NUMA_NO_NODE || numa.scanSeq <= EARLY_ROUNDS;
  if (isEarly && (last === undefined || isOwn)) return true;
  if (last !== undefined && k.mem.nodeOfCpu[last.cpu] !== to) return false;
  // A page of this task alone; or a shared one, which is judged as before its tasks are a group.
  return true;
}

/** The kernel keeps the low 8 bits of a pid. */
const isSamePid = (a: number, b: number): boolean => (a & 0xff) === (b & 0xff);

/** Was a page of slow memory touched soon enough after it was taken away to be promoted? */
function isHot(k: Kernel, to: NodeId, takenAtMs: number): boolean {
  const promotion = k.numa.promotionTo(to);
  if (hasRoomToSpare(k, to)) {
    promotion.thresholdMs = 0;
    return true;
  }
  const limitPages = (k.numa.promoteRateLimitMb * 2 ** 20) / k.mem.pageBytes;
  adjustThreshold(k, to, limitPages);
  const threshold =
    promotion.thresholdMs === 0 ? k.numa.debug.hot_threshold_ms : promotion.thresholdMs;
  if (k.nowMs - takenAtMs >= threshold) return false;
  k.mem.stat.addNode(NODE_ITEM.pgpromote_candidate, to, 1);
  const candidates = k.mem.stat.node(NODE_ITEM.pgpromote_candidate, to);
  if (k.nowMs - promotion.limitStartMs > 1000) {
    promotion.limitStartMs = k.nowMs;
    promotion.limitBase = candidates;
  }
  return candidates - promotion.limitBase < limitPages;
}

/** A node with much free memory takes every page (pgdat_free_space_enough). */
function hasRoomToSpare(k: Kernel, nid: NodeId): boolean {
  const { zones, pageBytes } = k.mem;
  const own = zones.ofNode(nid).filter((z) => (zones.present[z] as number) > 0);
  const present = own.reduce((n, z) => n + (zones.present[z] as number), 0);
  const enough = Math.max(2 ** 30 / pageBytes, present >> 4);
  return own.some((z) => {
    const high = zones.wmarkHigh[z] as number;
    const promo = high + (high - (zones.wmarkLow[z] as number));
    return zoneWatermarkOk(zones, z, 0, promo + enough, ZONE_MOVABLE, 0);
  });
}

/** Moves the threshold so that about as many pages count as hot as may be promoted. */
function adjustThreshold(k: Kernel, nid: NodeId, limitPages: number): void {
  const promotion = k.numa.promotionTo(nid);
  const scanPeriodMaxMs = k.numa.debug.scan_period_max_ms;
  const hotThresholdMs = k.numa.debug.hot_threshold_ms;
  if (k.nowMs - promotion.thresholdStartMs <= scanPeriodMaxMs) return;
  promotion.thresholdStartMs = k.nowMs;
  const wanted = (limitPages * scanPeriodMaxMs) / 1000;
  const candidates = k.mem.stat.node(NODE_ITEM.pgpromote_candidate, nid);
  const nr = candidates - promotion.thresholdBase;
  const step = Math.floor((hotThresholdMs * 2) / ADJUST_STEPS);
  const now = promotion.thresholdMs === 0 ? hotThresholdMs : promotion.thresholdMs;
  promotion.thresholdBase = candidates;
  if (nr > (wanted * 11) / 10) promotion.thresholdMs = Math.max(now - step, step);
  else if (nr < (wanted * 9) / 10) {
    promotion.thresholdMs = Math.min(now + step, hotThresholdMs * 2);
  } else promotion.thresholdMs = now;
}

/** Would the node stay above a high watermark with one page more? (migrate_balanced_pgdat) */
function hasRoom(k: Kernel, nid: NodeId): boolean {
  const { zones } = k.mem;
  return zones.ofNode(nid).some((z) => {
    const mark = (zones.wmarkHigh[z] as number) + 1;
    return zones.isManaged(z) && zoneWatermarkOk(zones, z, 0, mark, ZONE_MOVABLE, 0);
  });
}

const GFP_MISPLACED =
  (GFP_HIGHUSER_MOVABLE | __GFP_THISNODE | __GFP_NORETRY | __GFP_NOWARN) &
  ~(__GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM);

/** Moves a page to the node that uses it (migrate_misplaced_page). False: it stays. */
function migrateMisplaced(k: Kernel, task: Task, f: Frame, to: NodeId): boolean {
  if (!hasRoom(k, to)) return false;
  const from = k.allocator.nidOf(f);
  const target = () =>
    allocOnNode(k, task, GFP_MISPLACED, to, 'migration target', 'numa balancing');
  if (migrateFrames(k, [f], target, 'numa balancing') !== 0) return false;
  k.mem.stat.count(EVENT.numa_pages_migrated, 1);
  if (!k.tiers.isTopTier(from) && k.tiers.isTopTier(to)) {
    k.mem.stat.addNode(NODE_ITEM.pgpromote_success, to, 1);
  }
  return true;
}

/** Counts a fault for the task that met it (task_numa_fault). */
function noteFault(
  k: Kernel,
  task: Task,
  nid: NodeId,
  last: LastUse | undefined,
  isLocal: boolean,
  hasFailed: boolean,
): void {
  if (k.numa.mode === 0) return;
  if (!k.tiers.isTopTier(nid) && (isTiering(k) || last === undefined)) return;
  const numa = k.numa.of(task);
  const column = () => new Float64Array(2 * k.mem.nrNodeIds);
  numa.faults ??= { decayed: column(), now: column() };
  const isPrivate = last === undefined || isSamePid(last.pid, task.pid);
  if (k.nowMs > numa.retryAtMs || numa.retryAtMs === 0) placeTask(k, task, numa);
  const at = 2 * nid + (isPrivate ? 1 : 0);
  numa.faults.now[at] = (numa.faults.now[at] as number) + 1;
  if (hasFailed) numa.locality[2]++;
  numa.locality[isLocal ? 1 : 0]++;
}

/** Works out where a task's pages are, once a round (task_numa_placement). */
function placeTask(k: Kernel, task: Task, numa: TaskNuma): void {
  if (numa.preferredNid !== NUMA_NO_NODE) {
    numa.retryAtMs = k.nowMs + Math.min(1000, Math.floor(numa.scanPeriodMs / 16));
  }
  const { scanSeq } = k.numa.mmOf(task.mm);
  if (numa.scanSeq === scanSeq || numa.faults === undefined) return;
  numa.scanSeq = scanSeq;
  const { decayed, now } = numa.faults;
  let most = 0;
  let best: number = NUMA_NO_NODE;
  const byType: [shared: number, ofOne: number] = [0, 0];
  for (const nid of k.states.online) {
    let faults = 0;
    for (const type of [0, 1] as const) {
      const at = 2 * nid + type;
      byType[type] += now[at] as number;
      decayed[at] = (decayed[at] as number) - Math.floor((decayed[at] as number) / 2);
      decayed[at] = (decayed[at] as number) + (now[at] as number);
      now[at] = 0;
      faults += decayed[at] as number;
    }
    if (faults > most) {
      most = faults;
      best = nid;
    }
  }
  if (most > 0) numa.preferredNid = best;
  updateScanPeriod(k, task, numa, byType[0], byType[1]);
}

/** Scans more often while pages are in the wrong place (update_task_scan_period). */
function updateScanPeriod(
  k: Kernel,
  task: Task,
  numa: TaskNuma,
  nrShared: number,
  nrPrivate: number,
): void {
  const [remote, local, failed] = numa.locality;
  const longest = k.numa.scanMaxMs(task);
  if (local + nrShared === 0 || failed > 0) {
    numa.scanPeriodMs = Math.min(longest, numa.scanPeriodMs * 2);
    k.numa.mmOf(task.mm).nextScanMs = k.nowMs + numa.scanPeriodMs;
    return;
  }
  const slot = Math.ceil(numa.scanPeriodMs / PERIOD_SLOTS);
  const ratio = (a: number, b: number) => Math.floor((a * PERIOD_SLOTS) / Math.max(1, a + b));
  const localRatio = ratio(local, remote);
  const privateRatio = ratio(nrPrivate, nrShared);
  const high = privateRatio >= PERIOD_THRESHOLD ? privateRatio : localRatio;
  const diff =
    high >= PERIOD_THRESHOLD
      ? Math.max(1, high - PERIOD_THRESHOLD) * slot
      : -(PERIOD_THRESHOLD - Math.max(localRatio, privateRatio)) * slot;
  const period = Math.max(k.numa.scanMinMs(task), numa.scanPeriodMs + diff);
  numa.scanPeriodMs = Math.min(longest, period);
  numa.locality.fill(0);
}
