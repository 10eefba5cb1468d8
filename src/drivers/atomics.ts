// Atomic accesses of a device to memory that is not its own. Over a coherent link (NVLink, C2C,
// CXL) the memory does them, and they are accesses like others. A device that only mirrors page
// tables has none: a page has to be its alone while it works on it.
// Models   the public GPU driver (580): native atomics on system memory where there is a coherent
//          window (uvm_va_space.c), else hmm_block_atomic_fault_locked (uvm_hmm.c), which takes
//          private pages away from CPUs and refuses shared ones for good; linux@v6.1 mm/rmap.c:
//          make_device_exclusive_range, which works on private pages only.
// Omits    what CPUs pay to have such a page back: their entries stay as they are here. Buffers of
//          other devices: the link between the two decides, and no machine tells of it.
// Holds    DRV16.
import { isOfDevice } from '../kernel/device_file.ts';
import type { Task } from '../kernel/task.ts';
import type { Driver } from './driver.ts';

/** The atomic accesses of one operation of a device. */
export class AtomicAccesses {
  readonly #driver: Driver;
  /** Pages that were taken from CPUs. */
  readonly #taken = new Set<number>();

  constructor(driver: Driver) {
    this.#driver = driver;
  }

  /** Pages taken from CPUs, each counted once. */
  get nrExclusive(): number {
    return this.#taken.size;
  }

  /**
   * Sees to pages that the driver has seen to and that are mapped now.
   * @returns false when one of them is elsewhere, and cannot be the device's alone.
   */
  take(task: Task, startVpn: number, endVpn: number): boolean {
    if (!this.#driver.frames.isPrivate) return true;
    const { pageTable } = task.mm;
    for (let vpn = startVpn; vpn < endVpn; vpn++) {
      const pte = pageTable.get(vpn);
      if (this.#driver.isHereEntry(pte) || this.#taken.has(vpn)) continue;
      const vma = task.mm.lookup(vpn);
      if (vma === undefined || isOfDevice(vma)) continue;
      if (vma.object !== null || vma.file?.isShared === true) return false;
      this.#taken.add(vpn);
    }
    return true;
  }
}
