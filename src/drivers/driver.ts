// The driver of a device with coherent memory: where the pages that its device uses are to be, and
// what it does when they are elsewhere or when there is no room.
// Models   the public GPU driver (595.45.04): first frames by residency (residency.ts), migration
//          at the first touch or by access counters, advice, prefetch, eviction of what was used
//          least recently, whoever's it is, and an end to it when a block only goes to and fro; and
//          the driver of the thread's flow, which brings pages back when a CPU uses them. How it
//          asks for frames: device_frames.ts.
//          A transparent huge page is split before it moves (migrate_vma_collect_pmd); one of which
//          small pages are mapped singly stays where it is.
//          Counters: access_counters.ts; what goes to and fro between CPUs and device: thrash.ts.
// Omits    time: what comes back after evictions is counted, not timed.
// Hooks    migrateVmaPages (migrate_vma_pages).
// Holds    DRV1 a driver changes where pages are, never what is mapped.
import { NotModelled } from '../base/assert.ts';
import type { Frame, NodeId } from '../base/ids.ts';
import type { Vma } from '../kernel/address_space.ts';
import { isOfDevice } from '../kernel/device_file.ts';
import { allocTables, FAULT, type FaultRun, touchPages } from '../kernel/fault.ts';
import { isHuge } from '../kernel/hugetlb_area.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { migrateFrames, type TargetSource, targetOn } from '../kernel/migrate.ts';
import { type FrameSpan, frameSpanOf, insertVma, migrateVma } from '../kernel/migrate_vma.ts';
import {
  anyFrameOf,
  type Leaf,
  makeDevicePte,
  makePte,
  PTE_NONE,
  PTRS_PER_LEAF,
  pteFrame,
  pteIsPage,
} from '../kernel/page_table.ts';
import type { Task } from '../kernel/task.ts';
import { splitThps } from '../kernel/thp_split.ts';
import { MAX_RUN } from '../mm/internal.ts';
import { KIND_DRIVER } from '../mm/memmap.ts';
import { AccessCounters } from './access_counters.ts';
import { BLOCK_BYTES } from './block_faults.ts';
import { ADVICE, type Advice, BlockTable, NO_SLOT } from './block_table.ts';
import { type DriverFrames, framesOf, NodeFrames } from './device_frames.ts';
import { nearestSystemMemory, residencyOf } from './residency.ts';
import { HINT, SIDE, Thrash } from './thrash.ts';

/** What the driver does about pages that are elsewhere. */
export const DEVICE_POLICIES = ['migrate', 'migrate-back', 'counters', 'stay'] as const;
/**
 * `migrate`: to the device when it first uses a page, and there it stays. `migrate-back`: and back
 * to the CPU's node when a CPU uses it again. `counters`: a block of pages, once the device has
 * reached it often enough over the link. `stay`: never.
 */
export type DevicePolicy = (typeof DEVICE_POLICIES)[number];

/** A block that came back this often after evictions is left where it is. */
const THRASH_RETURNS = 3;

/** What the driver is asked to see to. */
export interface Need {
  readonly task: Task;
  readonly isWrite: boolean;
  /** Accesses that the device makes to each page. */
  readonly accesses: number;
  /** Whatever the policy says, the pages are to come now. */
  readonly isPrefetch: boolean;
}

export class Driver {
  readonly k: Kernel;
  /** The node of the device's memory. */
  readonly nid: NodeId;
  /** The node of the CPUs that the device hangs on. */
  readonly homeNode: NodeId;
  policy: DevicePolicy = 'migrate';
  readonly counters: AccessCounters;
  /** May it send away what was used least recently, to make room? */
  evicts = true;
  /** Pages that it brought to the device, and that it sent away to make room, so far. */
  nrBrought = 0;
  /** Programs have had buffers of it. */
  hasBuffers = false;
  nrEvicted = 0;
  readonly #blocks: BlockTable;
  /** What goes to and fro. */
  readonly thrash: Thrash;
  /** Pages of a block that lie under one leaf of a page table: a block never crosses a leaf. */
  readonly blockPages: number;
  readonly #span: FrameSpan | undefined;
  /** Entries for its frames are from `low` to below `high`, where it has a span. */
  readonly #low: number;
  readonly #high: number;
  readonly frames: DriverFrames;

  constructor(k: Kernel, nid: NodeId, homeNode: NodeId) {
    this.k = k;
    this.nid = nid;
    this.homeNode = homeNode;
    this.blockPages = Math.min(PTRS_PER_LEAF, Math.max(1, BLOCK_BYTES / k.mem.pageBytes));
    this.#blocks = new BlockTable(this.blockPages);
    this.counters = new AccessCounters(this.#blocks, k.mem.pageBytes);
    this.thrash = new Thrash(k);
    this.#span = frameSpanOf(k, nid);
    this.frames = framesOf(k, nid);
    const make = this.frames.isPrivate ? makeDevicePte : makePte;
    this.#low = make(this.#span?.start ?? 0, false);
    this.#high = make(this.#span?.end ?? 0, false);
  }

  /** Where the block of a page ends. */
  blockEnd(vpn: number): number {
    return (Math.floor(vpn / this.blockPages) + 1) * this.blockPages;
  }

  isHere(f: Frame): boolean {
    const span = this.#span;
    if (span === undefined) return this.k.allocator.nidOf(f) === this.nid;
    return f >= span.start && f < span.end;
  }

  /** Does an entry stand for a frame of the device? */
  isHereEntry(pte: number): boolean {
    if (this.#span !== undefined && !this.hasBuffers) return pte >= this.#low && pte < this.#high;
    const f = anyFrameOf(pte);
    return f !== -1 && this.isHere(f);
  }

  /** Pages of [startVpn, endVpn), all under one leaf, that are on the device. */
  countHere(task: Task, startVpn: number, endVpn: number): number {
    const leaf = task.mm.pageTable.leafOf(startVpn);
    if (leaf === undefined) {
      const thp = task.mm.pageTable.getThp(startVpn);
      return pteIsPage(thp) && this.isHere(pteFrame(thp)) ? endVpn - startVpn : 0;
    }
    const { entries, base } = leaf;
    const first = base + (startVpn % PTRS_PER_LEAF);
    const end = first + (endVpn - startVpn);
    let n = 0;
    if (this.#span === undefined || this.hasBuffers) {
      for (let i = first; i < end; i++) {
        if (this.isHereEntry(entries[i] as number)) n++;
      }
      return n;
    }
    // Entries rise with frames: those of the device's frames are between these two.
    const low = this.#low;
    const high = this.#high;
    for (let i = first; i < end; i++) {
      const pte = entries[i] as number;
      if (pte >= low && pte < high) n++;
    }
    return n;
  }

  /** The device used a block: among those that the driver brought, it is the last to be evicted. */
  noteUse(task: Task, vpn: number): void {
    this.noteUseOf(this.slotOf(task, vpn));
  }

  /** The number under which the driver knows the block of a page. */
  slotOf(task: Task, vpn: number): number {
    return this.#blocks.slotOf(task.mm.id, vpn);
  }

  /** Does the block of a page stay on the device, because it went to and fro too fast? */
  isPinned(task: Task, vpn: number): boolean {
    return this.nrBrought > 0 && this.thrash.isPinned(this.slotOf(task, vpn));
  }

  /** As noteUse, by the block's number. */
  noteUseOf(slot: number): void {
    if (this.#blocks.isBrought(slot)) this.#blocks.use(slot);
  }

  /**
   * Allocates memory of the device for a program that asks for it, all of it or none; what the
   * driver brought for others makes room.
   * @returns the frames, by page; undefined when there is not as much.
   */
  allocate(task: Task, nrPages: number): Int32Array | undefined {
    const got = new Int32Array(nrPages);
    const part = new Int32Array(MAX_RUN);
    let nr = 0;
    while (nr < nrPages) {
      const n = this.frames.take(task, Math.min(nrPages - nr, MAX_RUN), part, 'device buffer');
      got.set(part.subarray(0, n), nr);
      for (let i = nr; i < nr + n; i++) this.k.mem.map.claim(got[i] as Frame, KIND_DRIVER, 0, 0, 0);
      nr += n;
      if (n === 0 && !this.#makeRoom(task, NO_SLOT, nrPages - nr)) break;
    }
    this.hasBuffers = true;
    if (nr === nrPages) return got;
    for (let i = 0; i < nr; i++) this.k.allocator.free(got[i] as Frame);
    return undefined;
  }

  /** Notes for the blocks of a range where the program wants them. */
  advise(task: Task, startVpn: number, nrPages: number, advice: Advice): void {
    this.#eachBlock(startVpn, startVpn + nrPages, (vpn) => {
      this.#blocks.advise(this.#blocks.slotOf(task.mm.id, vpn), advice);
    });
  }

  /**
   * Sees to pages of one block that are not all on the device: empty ones get a frame where they
   * are to reside, and the policy says whether others come.
   */
  serve(need: Need, startVpn: number, endVpn: number): FaultRun {
    const { task, isPrefetch } = need;
    const slot = this.#blocks.slotOf(task.mm.id, startVpn);
    const advice = this.#blocks.adviceOf(slot);
    for (let vpn = startVpn; vpn < endVpn; ) {
      const vma = task.mm.lookup(vpn);
      if (vma === undefined) return { done: vpn - startVpn, fault: FAULT.SIGSEGV };
      if (isHuge(vma)) this.#refuseHuge();
      const end = Math.min(endVpn, vma.endVpn);
      if (isOfDevice(vma)) {
        if (vma.buffer.isLost) return { done: vpn - startVpn, fault: FAULT.SIGBUS };
        vpn = end;
        continue;
      }
      const home = residencyOf(this.k, vma, this, advice);
      const isOurs = this.frames.type !== 'none' && (isPrefetch || home === this.nid);
      const source = isOurs ? this.frames : this.#sourceAt(home);
      const run = this.#fill(need, vma, vpn, end, source, slot);
      if (run.fault !== FAULT.OK) return { done: vpn - startVpn + run.done, fault: run.fault };
      if (isOurs) this.#bringDue(need, vma, vpn, end, slot);
      vpn = end;
    }
    return { done: endVpn - startVpn, fault: FAULT.OK };
  }

  /**
   * A CPU is about to use pages: under `migrate-back` they come to its node first, unless the
   * program advised that they belong to the device.
   */
  beforeCpuUse(task: Task, startVpn: number, nrPages: number): void {
    // From memory that CPUs cannot map, pages come back by the CPU's own fault.
    if (this.frames.isPrivate) this.#noteBack(task, startVpn, nrPages);
    else if (this.policy === 'migrate-back') this.sendBack(task, startVpn, nrPages, true);
  }

  /** Pages will come back by a CPU's faults: that is a move too. */
  #noteBack(task: Task, startVpn: number, nrPages: number): void {
    if (this.nrBrought === 0) return;
    this.#eachBlock(startVpn, startVpn + nrPages, (vpn, end) => {
      const nrHere = this.countHere(task, vpn, end);
      if (nrHere === 0) return;
      const slot = this.#blocks.slotOf(task.mm.id, vpn);
      this.thrash.hint(slot, SIDE.CPU, true);
      this.thrash.served(SIDE.CPU, nrHere);
      this.thrash.moved(slot, SIDE.CPU);
    });
  }

  /**
   * Sends pages to the node of the task's CPU. Returns pages moved.
   * @param isUsed a CPU uses them: what belongs to the device by advice is left alone, and what has
   *   gone to and fro; else a program said so.
   */
  sendBack(task: Task, startVpn: number, nrPages: number, isUsed: boolean): number {
    const nid = nearestSystemMemory(this.k, this.k.localNode(task));
    let nrMoved = 0;
    this.#eachBlock(startVpn, startVpn + nrPages, (vpn, end) => {
      const slot = this.#blocks.slotOf(task.mm.id, vpn);
      if (isUsed && this.#blocks.adviceOf(slot) === ADVICE.PREFER_DEVICE) return;
      const here = this.#pagesHere(task, vpn, end);
      if (here.length === 0) return;
      if (!isUsed) this.thrash.forget(slot);
      else if (this.thrash.hint(slot, SIDE.CPU, false) === HINT.PIN) return;
      migrateFrames(this.k, here, targetOn(this.k, task, nid), 'device back');
      const left = this.#pagesHere(task, vpn, end).length;
      nrMoved += here.length - left;
      if (isUsed && left < here.length) {
        this.thrash.served(SIDE.CPU, here.length - left);
        this.thrash.moved(slot, SIDE.CPU);
      }
      if (left === 0) this.#blocks.forget(slot);
    });
    return nrMoved;
  }

  /** Empty pages get a frame: on the device if they reside there, else as at a CPU's fault. */
  #fill(
    { task, isWrite }: Need,
    vma: Vma,
    startVpn: number,
    endVpn: number,
    source: DriverFrames | undefined,
    slot: number,
  ): FaultRun {
    const isThp = task.mm.pageTable.getThp(startVpn) !== PTE_NONE;
    const isPrivate = vma.object === null && vma.file === null;
    if (source !== undefined && isWrite && isPrivate && !isThp) {
      const tables = allocTables(this.k, task, startVpn, 'cpu');
      if (tables !== FAULT.OK) return { done: 0, fault: tables };
      let empty = countEmpty(task, startVpn, endVpn);
      while (empty > 0) {
        vma.hasAnonVma = true;
        const filled = insertVma(this.k, task, vma, startVpn, endVpn, source);
        if (filled > 0 && source === this.frames) this.#blocks.use(slot);
        empty -= filled;
        if (empty > 0 && source !== this.frames) break;
        // Moving others away gives a memory cgroup no room.
        if (this.k.memcg?.isRefused === true) break;
        if (empty > 0 && !this.#makeRoom(task, slot, empty)) break;
      }
    }
    if (this.frames.isPrivate) return this.#touchAway(task, startVpn, endVpn, isWrite);
    return touchPages(this.k, task, startVpn, endVpn - startVpn, isWrite);
  }

  /**
   * Frames for a page that does not reside on the device. Only where its memory is none of the
   * kernel's does the driver place such pages itself, on the node of its own CPUs; elsewhere they
   * come as at a CPU's fault.
   */
  #sourceAt(home: NodeId): DriverFrames | undefined {
    if (this.frames.type !== 'none' || !this.k.states.memory.has(home)) return undefined;
    return new NodeFrames(this.k, home);
  }

  /**
   * Sees that pages which are not on the device are in memory that it can reach, as at a CPU's
   * fault (hmm_range_fault): pages of its own stay, those of another device come back.
   */
  #touchAway(task: Task, startVpn: number, endVpn: number, isWrite: boolean): FaultRun {
    const { pageTable } = task.mm;
    for (let vpn = startVpn; vpn < endVpn; ) {
      if (this.isHereEntry(pageTable.get(vpn))) {
        vpn++;
        continue;
      }
      let end = vpn + 1;
      while (end < endVpn && !this.isHereEntry(pageTable.get(end))) end++;
      const run = touchPages(this.k, task, vpn, end - vpn, isWrite);
      if (run.fault !== FAULT.OK) return { done: vpn - startVpn + run.done, fault: run.fault };
      vpn = end;
    }
    return { done: endVpn - startVpn, fault: FAULT.OK };
  }

  /** Brings what is to come of pages of one area and block: under `counters` by whole units. */
  #bringDue(need: Need, vma: Vma, startVpn: number, endVpn: number, slot: number): void {
    const isCounted = this.policy === 'counters' && !need.isPrefetch;
    const unit = isCounted ? this.counters.unitPages : this.blockPages;
    for (let vpn = startVpn; vpn < endVpn; ) {
      const first = vpn - (vpn % unit);
      const end = Math.min(endVpn, first + unit);
      if (need.isPrefetch || this.#isDue(need, vpn, end, slot)) {
        const start = isCounted ? Math.max(vma.startVpn, first) : vpn;
        this.#bring(need, start, isCounted ? Math.min(vma.endVpn, first + unit) : end, slot);
      }
      vpn = end;
    }
  }

  /** Is it time for pages that are elsewhere to come? Counts what accesses they get meanwhile. */
  #isDue({ task, accesses }: Need, startVpn: number, endVpn: number, slot: number): boolean {
    if (this.policy === 'stay' || this.#blocks.nrReturnsOf(slot) >= THRASH_RETURNS) return false;
    const isPinned = this.thrash.hint(slot, SIDE.DEVICE, this.frames.isPrivate) === HINT.PIN;
    if (isPinned || this.policy !== 'counters') return true;
    const nrAway = endVpn - startVpn - this.countHere(task, startVpn, endVpn);
    return this.counters.isDue(task.mm.id, startVpn, slot, nrAway * accesses);
  }

  /** Brings the pages of a range to the device, making room as far as the driver may. */
  #bring({ task, isPrefetch }: Need, startVpn: number, endVpn: number, slot: number): void {
    const { nrBrought } = this;
    this.#bringPages(task, startVpn, endVpn, slot);
    if (isPrefetch) this.thrash.forget(slot);
    else if (this.nrBrought > nrBrought) {
      this.thrash.served(SIDE.DEVICE, this.nrBrought - nrBrought);
      this.thrash.moved(slot, SIDE.DEVICE);
    }
  }

  #bringPages(task: Task, startVpn: number, endVpn: number, slot: number): void {
    splitThps(this.k, task.mm, startVpn, endVpn);
    for (;;) {
      const run = migrateVma(this.k, task, startVpn, endVpn, this.frames, 'device');
      this.nrBrought += run.nrMoved;
      if (run.nrMoved > 0) this.#blocks.use(slot);
      if (run.nrLeft === 0) break;
      if (!this.#makeRoom(task, slot, run.nrLeft)) return;
    }
    if (this.#takesOthers()) this.#bringOthers(task, startVpn, endVpn);
  }

  /** Pages of files and of shared memory do not go to memory that drivers keep, as 6.1 has it. */
  #takesOthers(): boolean {
    const { design, states } = this.k;
    if (this.frames.type === undefined) return true;
    return design.answers.migrateVmaPages?.(this.nid, states) ?? false;
  }

  /** One frame of the device, for a page that moves there by itself. */
  #targetHere(task: Task): TargetSource {
    if (this.frames.type === undefined) {
      return targetOn(this.k, task, this.nid, 'node named', 'owner');
    }
    const one = new Int32Array(1);
    return () =>
      this.frames.take(task, 1, one, 'migration target') === 0 ? undefined : (one[0] as Frame);
  }

  /** Brings pages of shared objects that nobody else maps. */
  #bringOthers(task: Task, startVpn: number, endVpn: number): void {
    const { map } = this.k.mem;
    const away = (): Frame[] => {
      const frames: Frame[] = [];
      task.mm.pageTable.walk(startVpn, endVpn, (_vpn, pte) => {
        if (!pteIsPage(pte)) return;
        const f = pteFrame(pte);
        if (this.isHere(f) || this.k.thp.isPart(f) || this.k.mem.deviceMemory.has(f)) return;
        if (map.mapcount[f] === 1) frames.push(f);
      });
      return frames;
    };
    const frames = away();
    if (frames.length === 0) return;
    migrateFrames(this.k, frames, this.#targetHere(task), 'device');
    this.nrBrought += frames.length - away().length;
  }

  /**
   * Sends blocks that were used least recently to the CPUs' memory until `nrWanted` pages are free.
   * Returns false when there is none but the one in work.
   */
  #makeRoom(task: Task, slot: number, nrWanted: number): boolean {
    if (!this.evicts) return false;
    const mine = this.#ownBlocksOnly(task);
    let nrFreed = 0;
    while (nrFreed < nrWanted) {
      const victim = this.#blocks.leastRecent(slot, mine);
      if (victim === undefined) break;
      nrFreed += this.#evict(task, victim);
    }
    this.nrEvicted += nrFreed;
    return nrFreed > 0;
  }

  /** Where the group of the task has its share, blocks of others would make no room for it. */
  #ownBlocksOnly(task: Task): ((slot: number) => boolean) | undefined {
    const { charges } = this.k.mem;
    if (charges === null || charges.room(task, this.nid) > 0) return undefined;
    const full = charges.exceeded(task, 1);
    return (slot) => {
      const space = this.#blocks.spaceOf(slot);
      const owner = this.k.liveTasks().find((other) => other.mm.id === space);
      for (let a = owner?.account ?? null; a !== null; a = a.above) if (a === full) return true;
      return false;
    };
  }

  #evict(asking: Task, victim: number): number {
    this.#blocks.evict(victim);
    const mm = this.k.spaces.get(this.#blocks.spaceOf(victim));
    const owner = this.k.liveTasks().find((task) => task.mm === mm);
    if (owner === undefined) return 0;
    const start = this.#blocks.startVpnOf(victim);
    const end = start + this.blockPages;
    const here = this.#pagesHere(owner, start, end);
    const nid = nearestSystemMemory(this.k, this.homeNode);
    migrateFrames(this.k, here, targetOn(this.k, asking, nid), 'device evict');
    return here.length - this.#pagesHere(owner, start, end).length;
  }

  #pagesHere(task: Task, startVpn: number, endVpn: number): Frame[] {
    const frames: Frame[] = [];
    for (const [, pte] of task.mm.pageTable.hugeIn(startVpn, endVpn)) {
      if (this.isHere(pteFrame(pte))) this.#refuseHuge();
    }
    splitThps(this.k, task.mm, startVpn, endVpn);
    task.mm.pageTable.walk(startVpn, endVpn, (_vpn, pte) => {
      if (!this.isHereEntry(pte)) return;
      const f = anyFrameOf(pte) as Frame;
      if (!this.k.thp.isPart(f) && this.k.mem.map.kind[f] !== KIND_DRIVER) frames.push(f);
    });
    return frames;
  }

  #refuseHuge(): never {
    throw new NotModelled('huge pages that a device would use');
  }

  #eachBlock(startVpn: number, endVpn: number, visit: (vpn: number, end: number) => void): void {
    for (let vpn = startVpn; vpn < endVpn; ) {
      const end = Math.min(endVpn, this.blockEnd(vpn));
      visit(vpn, end);
      vpn = end;
    }
  }
}

/** Entries of [startVpn, endVpn), all under one leaf that exists, that are empty. */
function countEmpty(task: Task, startVpn: number, endVpn: number): number {
  const { entries, base } = task.mm.pageTable.leafOf(startVpn) as Leaf;
  const first = base + (startVpn % PTRS_PER_LEAF);
  let n = 0;
  for (let i = first; i < first + (endVpn - startVpn); i++) if (entries[i] === PTE_NONE) n++;
  return n;
}
