// What a device keeps of memory in a cache of its own, where a machine describes one: which visits
// of pages it answers, and what makes it forget.
// Models   a cache that is coherent with the CPUs (CAPI's PSL; GPUs that share their memory with
//          the CPUs): a write of anybody else takes the copy away, a read leaves it to be read
//          only. One that is not coherent is emptied before each computation, since nothing would
//          tell it of writes. Which GPUs cache system memory at all: gpu_should_cache_sysmem of the
//          public GPU driver (595.45.04, uvm_va_block.c).
// Omits    sets and ways: any page may be anywhere. Where in a page accesses fall: those of a visit
//          go on where the last visit of the page stopped. A cache of own memory only: what it
//          answers is not over the link, and nothing is kept of it here.
// State    columns by slot; a slot is a frame of which lines are kept. `newer`/`older` is the order
//          of use. `slotOf` by frame: the slot, plus one.
// Holds    DCH1 to DCH6.
import type { Frame, NodeId } from '../base/ids.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { CacheSpec } from '../machine/machine.ts';
import type { Copy, FrameWatcher } from '../mm/frame_watch.ts';

/** Bytes of a line: what one access of a device reads or writes. */
export const LINE_BYTES = 128;
const NIL = -1;

export class DeviceCache implements FrameWatcher {
  readonly spec: CacheSpec;
  /** Lines that it has room for, and those of a page. */
  readonly nrLines: number;
  readonly pageLines: number;
  /** While its own device works, what is used is no news. */
  isWorking = false;
  /** Lines that are in it. */
  nrUsed = 0;
  readonly #k: Kernel;
  readonly #nid: NodeId;
  readonly #slotOf: Int32Array;
  #frame = new Int32Array(64);
  #lines = new Int32Array(64);
  /** May the device write to its copy without anybody hearing of it? */
  #isOwned = new Uint8Array(64);
  #newer = new Int32Array(64);
  #older = new Int32Array(64);
  #nr = 0;
  #free = NIL;
  #newest = NIL;
  #oldest = NIL;

  /** @param nid the node of the device's own memory. */
  constructor(k: Kernel, spec: CacheSpec, nid: NodeId) {
    this.#k = k;
    this.spec = spec;
    this.#nid = nid;
    this.nrLines = Math.floor(spec.sizeBytes / LINE_BYTES);
    this.pageLines = k.mem.pageBytes / LINE_BYTES;
    this.#slotOf = new Int32Array(k.mem.map.nrFrames);
  }

  /** Starts a computation of its device. */
  begin(): void {
    if (this.spec.isCoherent !== true) this.clear();
    this.isWorking = true;
  }

  end(): void {
    this.isWorking = false;
  }

  /** Would it answer a visit of the page, so that nothing leaves the device? */
  answers(f: Frame, isWrite: boolean): boolean {
    const slot = (this.#slotOf[f] as number) - 1;
    if (slot === NIL || this.#lines[slot] !== this.pageLines) return false;
    // Where writes go through, they leave the device; where not, the copy has to be its alone.
    return !isWrite || (this.spec.isWriteBack === true && this.#isOwned[slot] === 1);
  }

  /** It answered a visit of the page: of all pages, this is the last to go. */
  use(f: Frame): void {
    const slot = (this.#slotOf[f] as number) - 1;
    if (this.#newest === slot) return;
    this.#unlink(slot);
    this.#append(slot);
  }

  /**
   * A visit of the page went out to memory: what it used is kept.
   * @param accesses lines that it used.
   */
  bring(f: Frame, accesses: number, isWrite: boolean): void {
    if (!this.#mayHold(f)) return;
    if (this.#slotOf[f] === 0) this.#enter(f);
    else this.use(f);
    const slot = (this.#slotOf[f] as number) - 1;
    if (isWrite) this.#isOwned[slot] = 1;
    this.#fill(slot, accesses);
  }

  freed(f: Frame, nr: number): void {
    if (this.#newest === NIL) return;
    for (let i = f as number; i < f + nr; i++) {
      const slot = (this.#slotOf[i] as number) - 1;
      if (slot !== NIL) this.#drop(slot);
    }
  }

  used(f: Frame, isWrite: boolean): void {
    if (this.isWorking || this.spec.isCoherent !== true) return;
    const slot = (this.#slotOf[f] as number) - 1;
    if (slot === NIL) return;
    if (isWrite) this.#drop(slot);
    else this.#isOwned[slot] = 0;
  }

  /** Forgets everything. */
  clear(): void {
    while (this.#oldest !== NIL) this.#drop(this.#oldest);
  }

  /** What is in it, the least recently used first. */
  *copies(): IterableIterator<Copy> {
    for (let s = this.#oldest; s !== NIL; s = this.#newer[s] as number) {
      const [f, nrLines] = [this.#frame[s] as Frame, this.#lines[s] as number];
      yield { f, nrLines, isOwned: this.#isOwned[s] === 1 };
    }
  }

  /** Is it memory of which the cache keeps copies? */
  #mayHold(f: Frame): boolean {
    if (this.spec.holds === 'all') return true;
    return this.#k.allocator.nidOf(f) !== this.#nid;
  }

  /** Adds lines of a page, for which the pages used least recently make room. */
  #fill(slot: number, accesses: number): void {
    const has = this.#lines[slot] as number;
    const more = Math.min(accesses, this.pageLines - has);
    while (this.nrUsed + more > this.nrLines && this.#oldest !== slot) this.#drop(this.#oldest);
    if (this.nrUsed + more > this.nrLines) {
      this.#drop(slot);
      return;
    }
    this.#lines[slot] = has + more;
    this.nrUsed += more;
  }

  #enter(f: Frame): void {
    let slot = this.#free;
    if (slot !== NIL) this.#free = this.#newer[slot] as number;
    else {
      slot = this.#nr++;
      if (slot === this.#frame.length) this.#grow();
    }
    this.#frame[slot] = f;
    this.#lines[slot] = 0;
    this.#isOwned[slot] = 0;
    this.#slotOf[f] = slot + 1;
    this.#append(slot);
  }

  #append(slot: number): void {
    this.#older[slot] = this.#newest;
    this.#newer[slot] = NIL;
    if (this.#newest === NIL) this.#oldest = slot;
    else this.#newer[this.#newest] = slot;
    this.#newest = slot;
  }

  #drop(slot: number): void {
    this.#unlink(slot);
    this.#slotOf[this.#frame[slot] as number] = 0;
    this.nrUsed -= this.#lines[slot] as number;
    this.#newer[slot] = this.#free;
    this.#free = slot;
  }

  #unlink(slot: number): void {
    const newer = this.#newer[slot] as number;
    const older = this.#older[slot] as number;
    if (newer === NIL) this.#newest = older;
    else this.#older[newer] = older;
    if (older === NIL) this.#oldest = newer;
    else this.#newer[older] = newer;
  }

  #grow(): void {
    const size = this.#frame.length * 2;
    const wider = <T extends Int32Array | Uint8Array>(fresh: T, old: T): T => {
      fresh.set(old as never);
      return fresh;
    };
    this.#frame = wider(new Int32Array(size), this.#frame);
    this.#lines = wider(new Int32Array(size), this.#lines);
    this.#isOwned = wider(new Uint8Array(size), this.#isOwned);
    this.#newer = wider(new Int32Array(size), this.#newer);
    this.#older = wider(new Int32Array(size), this.#older);
  }
}
