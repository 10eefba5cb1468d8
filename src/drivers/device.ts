// A device that computes on the pages of a task: it walks ranges of addresses, through the task's
// own page tables, and its driver sees to the pages that are not where the device wants them.
// Models   the thread's flow (Khandual, 2017-02-21); a device MMU that shares the page tables of
//          the process (ATS, as NVLink and C2C have it); several devices, each of which reaches the
//          others' memory like any other node.
//          What the device caches: device_cache.ts.
// Omits    page tables of the device's own (HMM).
// Holds    DRV1.
import { ENODEV, EOPNOTSUPP } from '../base/errno.ts';
import type { NodeId } from '../base/ids.ts';
import { FAULT, type Fault, type FaultRun, touchPages } from '../kernel/fault.ts';
import type { Kernel } from '../kernel/kernel.ts';
import {
  anyFrameOf,
  type Leaf,
  type PageTable,
  PTRS_PER_LEAF,
  pteFrame,
  pteIsPage,
  pteIsWritable,
} from '../kernel/page_table.ts';
import type { Task } from '../kernel/task.ts';
import { FrameWatch } from '../mm/frame_watch.ts';
import { DEFAULT_STRIDE_PAGES, type Pattern, Visits } from './access_pattern.ts';
import { AtomicAccesses } from './atomics.ts';
import { DeviceCache, LINE_BYTES } from './device_cache.ts';
import { Driver, type Need } from './driver.ts';

/** Visits are taken in stretches of this many. */
const STRETCH = 4096;

/** How a device walks a range; by default once, page after page, writing. */
export interface Walk {
  readonly pattern?: Pattern | undefined;
  /** Times over the range. */
  readonly passes?: number | undefined;
  /** For `strided`, pages. */
  readonly stridePages?: number | undefined;
  /** For `random` and `hot`. */
  readonly seed?: number | undefined;
  /**
   * Accesses of 128 bytes that a visit stands for: by default all of the page, or one where visits
   * are drawn.
   */
  readonly accesses?: number | undefined;
  readonly isRead?: boolean | undefined;
  /** Its accesses are atomic (atomics.ts); they write. */
  readonly isAtomic?: boolean | undefined;
}

export interface ComputeResult {
  /**
   * 0; -ENODEV when the device has no memory node online; -EOPNOTSUPP when it can do no atomic
   * access to a page.
   */
  readonly ret: number;
  /** Visits done, and what stopped the device. */
  readonly fault: FaultRun;
  /** Visits of pages on the device's own node. */
  readonly nrLocal: number;
  /** Visits of pages that are elsewhere. */
  readonly nrRemote: number;
  /** Those of them that the device's cache answered. */
  readonly nrCached: number;
  /** Pages that came to the device, or with `toCpu` that left it. */
  readonly nrMoved: number;
  /** Pages that left it to make room. */
  readonly nrEvicted: number;
  /** Pages elsewhere that it took from CPUs for its atomic accesses. */
  readonly nrExclusive: number;
}

export class Device {
  readonly name: string;
  readonly driver: Driver;
  /** Visits that reached memory so far, by the node of the page. */
  readonly visits: Float64Array;
  /** Its cache, where the machine describes one that holds memory elsewhere. */
  cache: DeviceCache | undefined;
  readonly #k: Kernel;
  readonly #offsets = new Int32Array(STRETCH);
  #done = 0;
  #local = 0;
  #cached = 0;
  #atomics: AtomicAccesses | undefined;
  #isRefused = false;

  constructor(k: Kernel, name: string, driver: Driver) {
    this.#k = k;
    this.name = name;
    this.driver = driver;
    this.visits = new Float64Array(k.mem.nrNodeIds);
  }

  /** The device computes on pages of a task. */
  compute(task: Task, startVpn: number, nrPages: number, walk: Walk = {}): ComputeResult {
    const { pattern = 'stream', passes = 1 } = walk;
    const isWhole = pattern === 'stream' || pattern === 'strided';
    const nrLines = this.#k.mem.pageBytes / LINE_BYTES;
    const asked = walk.accesses ?? (isWhole ? nrLines : 1);
    // What a visit uses more than once a cache has from the second time on.
    const accesses = this.cache === undefined ? asked : Math.min(asked, nrLines);
    const need: Need = { task, isWrite: walk.isRead !== true, accesses, isPrefetch: false };
    this.#atomics = walk.isAtomic === true ? new AtomicAccesses(this.driver) : undefined;
    this.cache?.begin();
    const result = this.#work(() => {
      for (let pass = 0; pass < passes; pass++) {
        const fault =
          pattern === 'stream'
            ? this.#stream(need, startVpn, nrPages)
            : this.#scatter(need, startVpn, this.#visitsOf(walk, nrPages, pass));
        if (fault !== FAULT.OK) return fault;
      }
      return FAULT.OK;
    });
    this.cache?.end();
    return result;
  }

  /** Brings pages to the device ahead of its use; those that are not there yet are made there. */
  prefetch(task: Task, startVpn: number, nrPages: number): ComputeResult {
    const need: Need = { task, isWrite: true, accesses: 0, isPrefetch: true };
    this.#atomics = undefined;
    return this.#work(() => this.#stream(need, startVpn, nrPages));
  }

  /** Brings pages from the device to the node of the task's CPU. */
  prefetchToCpu(task: Task, startVpn: number, nrPages: number): ComputeResult {
    const sendBack = () => this.driver.sendBack(task, startVpn, nrPages, false);
    // A CPU's touch would bring pages that it cannot map itself, by the policy of their area.
    const nrSent = this.driver.frames.isPrivate ? sendBack() : 0;
    const fault = touchPages(this.#k, task, startVpn, nrPages, true);
    const nrMoved = fault.fault === FAULT.OK ? nrSent + sendBack() : 0;
    const none = { nrLocal: 0, nrRemote: 0, nrCached: 0, nrEvicted: 0, nrExclusive: 0 };
    return { ret: 0, fault, nrMoved, ...none };
  }

  #visitsOf(walk: Walk, nrPages: number, pass: number): Visits {
    const { pattern = 'stream', stridePages = DEFAULT_STRIDE_PAGES, seed = 0 } = walk;
    return new Visits(pattern, nrPages, stridePages, `${seed}/${pass}`);
  }

  /** Runs a piece of work and says what came of it. */
  #work(run: () => Fault): ComputeResult {
    const { driver } = this;
    const { nrBrought, nrEvicted } = driver;
    this.#done = 0;
    this.#local = 0;
    this.#cached = 0;
    this.#isRefused = false;
    const { isThere } = driver.frames;
    const fault = isThere ? run() : FAULT.OK;
    return {
      ret: !isThere ? -ENODEV : this.#isRefused ? -EOPNOTSUPP : 0,
      fault: { done: this.#done, fault },
      nrLocal: this.#local,
      nrRemote: this.#done - this.#local,
      nrCached: this.#cached,
      nrMoved: driver.nrBrought - nrBrought,
      nrEvicted: driver.nrEvicted - nrEvicted,
      nrExclusive: this.#atomics?.nrExclusive ?? 0,
    };
  }

  /** After the driver has seen to pages: may atomic accesses go on? Else the device stops. */
  #takes(task: Task, vpn: number, end: number): boolean {
    this.#isRefused = this.#atomics?.take(task, vpn, end) === false;
    return !this.#isRefused;
  }

  /** Page after page, a block at a time. */
  #stream(need: Need, startVpn: number, nrPages: number): Fault {
    const { driver } = this;
    const { task } = need;
    const endVpn = startVpn + nrPages;
    const isWatched = this.#isWatched(need);
    for (let vpn = startVpn; vpn < endVpn; ) {
      const end = Math.min(endVpn, driver.blockEnd(vpn));
      const fault = isWatched ? this.#block(need, vpn, end) : this.#reach(need, vpn, end);
      if (fault !== FAULT.OK) return fault;
      driver.noteUse(task, vpn);
      vpn = end;
    }
    return FAULT.OK;
  }

  /** Visits pages of one block: those that are elsewhere come, or are reached there. */
  #reach(need: Need, startVpn: number, endVpn: number): Fault {
    const { driver } = this;
    const { task } = need;
    const nr = endVpn - startVpn;
    if (driver.countHere(task, startVpn, endVpn) === nr) return this.#stop(nr, FAULT.OK);
    const run = driver.serve(need, startVpn, endVpn);
    if (run.fault === FAULT.OK && !this.#takes(task, startVpn, endVpn)) return FAULT.SIGBUS;
    this.#visit(task, startVpn, run.fault === FAULT.OK ? endVpn : startVpn + run.done);
    return run.fault;
  }

  #visitOne(need: Need, vpn: number, isWatched: boolean): Fault {
    return isWatched ? this.#block(need, vpn, vpn + 1) : this.#reach(need, vpn, vpn + 1);
  }

  /** As #reach, where there are caches. */
  #block(need: Need, startVpn: number, endVpn: number): Fault {
    const { pageTable } = need.task.mm;
    for (let vpn = startVpn; vpn < endVpn; ) {
      if (this.#isAnswered(need, pageTable.get(vpn))) {
        this.#countAnswer(pageTable.get(vpn));
        vpn++;
        continue;
      }
      let end = vpn + 1;
      while (end < endVpn && !this.#isAnswered(need, pageTable.get(end))) end++;
      const before = this.#done;
      const fault = this.#reach(need, vpn, end);
      this.#noteReached(need, vpn, vpn + this.#done - before);
      if (fault !== FAULT.OK) return fault;
      vpn = end;
    }
    return FAULT.OK;
  }

  /** Are there caches that see to visits, or hear of them? A prefetch visits nothing. */
  #isWatched({ isPrefetch }: Need): boolean {
    return this.#k.allocator.watch !== null && !isPrefetch;
  }

  /** Does the device's cache answer the visit of a page? It is asked of pages elsewhere only. */
  #isAnswered({ isWrite }: Need, pte: number): boolean {
    const { cache } = this;
    if (cache === undefined || this.#atomics !== undefined || !pteIsPage(pte)) return false;
    if (isWrite && !pteIsWritable(pte)) return false;
    return !this.driver.isHereEntry(pte) && cache.answers(pteFrame(pte), isWrite);
  }

  #countAnswer(pte: number): void {
    this.cache?.use(pteFrame(pte));
    this.#done++;
    this.#cached++;
  }

  /** Pages were visited: the device's cache keeps them, and others hear of it. */
  #noteReached({ task, accesses, isWrite }: Need, startVpn: number, endVpn: number): void {
    const { watch } = this.#k.allocator;
    task.mm.pageTable.walk(startVpn, endVpn, (_vpn, pte) => {
      const f = anyFrameOf(pte);
      if (f === -1) return;
      watch?.used(f, isWrite);
      // Over a coherent link the memory itself does atomic accesses.
      if (this.#atomics === undefined) this.cache?.bring(f, accesses, isWrite);
      else this.cache?.freed(f, 1);
    });
  }

  /** Pages in any order. */
  #scatter(need: Need, startVpn: number, visits: Visits): Fault {
    const { driver } = this;
    const { task } = need;
    const out = this.#offsets;
    const leaves = new LeafView(task, startVpn, visits.nrPages);
    const firstBlock = Math.floor(startVpn / driver.blockPages);
    const slots = new Int32Array(Math.ceil(visits.nrPages / driver.blockPages) + 1).fill(-1);
    const isWatched = this.#isWatched(need);
    let blockStart = 0;
    let blockEnd = 0;
    for (let n = visits.fill(out); n > 0; n = visits.fill(out)) {
      let nrHere = 0;
      for (let i = 0; i < n; i++) {
        const vpn = startVpn + (out[i] as number);
        const pte = leaves.get(vpn);
        if (driver.isHereEntry(pte) && !isWatched) nrHere++;
        else {
          const fault = this.#visitOne(need, vpn, isWatched);
          if (fault !== FAULT.OK) return this.#stop(nrHere, fault);
        }
        if (vpn >= blockStart && vpn < blockEnd) continue;
        blockEnd = driver.blockEnd(vpn);
        blockStart = blockEnd - driver.blockPages;
        const block = Math.floor(blockStart / driver.blockPages) - firstBlock;
        let slot = slots[block] as number;
        if (slot < 0) slot = slots[block] = driver.slotOf(task, vpn);
        driver.noteUseOf(slot);
      }
      this.#stop(nrHere, FAULT.OK);
    }
    return FAULT.OK;
  }

  /** Adds visits of pages on the device that were not counted yet. */
  #stop(nrHere: number, fault: Fault): Fault {
    this.#done += nrHere;
    this.#local += nrHere;
    this.#count(this.driver.nid, nrHere);
    return fault;
  }

  /** Counts visits of pages of one block that are there, by node. */
  #visit(task: Task, startVpn: number, endVpn: number): void {
    const { driver } = this;
    const nr = endVpn - startVpn;
    const here = driver.countHere(task, startVpn, endVpn);
    this.#done += nr;
    this.#local += here;
    this.#count(driver.nid, here);
    if (here === nr) return;
    task.mm.pageTable.walk(startVpn, endVpn, (_vpn, pte) => {
      const f = anyFrameOf(pte);
      if (f !== -1 && !driver.isHereEntry(pte)) this.#count(this.#k.allocator.nidOf(f), 1);
    });
  }

  #count(nid: NodeId, n: number): void {
    this.visits[nid] = (this.visits[nid] as number) + n;
  }
}

/** Leaves of a range at hand: visits in any order would look most of them up anew. */
class LeafView {
  readonly #pageTable: PageTable;
  readonly #first: number;
  readonly #leaves: (Leaf | undefined)[];

  constructor(task: Task, startVpn: number, nrPages: number) {
    this.#pageTable = task.mm.pageTable;
    this.#first = Math.floor(startVpn / PTRS_PER_LEAF);
    const last = Math.floor((startVpn + nrPages - 1) / PTRS_PER_LEAF);
    this.#leaves = new Array(last - this.#first + 1).fill(undefined);
  }

  /** The entry of a page of the range. */
  get(vpn: number): number {
    const i = Math.floor(vpn / PTRS_PER_LEAF) - this.#first;
    let leaf = this.#leaves[i];
    if (leaf === undefined) {
      leaf = this.#pageTable.leafOf(vpn);
      if (leaf === undefined) return this.#pageTable.get(vpn);
      this.#leaves[i] = leaf;
    }
    return leaf.entries[leaf.base + (vpn % PTRS_PER_LEAF)] as number;
  }
}

/** The devices of a machine, by name. A device has one driver, for the first node that names it. */
export function makeDevices(k: Kernel): Map<string, Device> {
  const devices = new Map<string, Device>();
  for (const node of k.machine.nodes) {
    if (node.device === undefined || devices.has(node.device)) continue;
    const spec = k.machine.devices.find((d) => d.name === node.device);
    const driver = new Driver(k, node.id, spec?.homeNode ?? node.id);
    const device = new Device(k, node.device, driver);
    devices.set(node.device, device);
    if (spec?.cache !== undefined && spec.cache.holds !== 'own') {
      device.cache = new DeviceCache(k, spec.cache, node.id);
      k.allocator.watch ??= new FrameWatch();
      k.allocator.watch.watchers.push(device.cache);
    }
  }
  return devices;
}
