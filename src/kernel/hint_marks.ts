// What NUMA balancing keeps of the pages of one address space, beside the entries themselves.
// Models   linux@v6.1 arch/x86/include/asm/pgtable.h: pte_protnone; include/linux/mm.h:
//          page_cpupid_last, xchg_page_access_time.
// Omits    the width of the kernel's fields: it keeps the low 8 bits of a pid, and 20 bits of time.
// State    sets and maps by virtual page number; there only while somebody balances.
// Holds    A mark is of the page that the entry maps now: whoever maps another one forgets it.

/** The last hinting fault of a page: who, and from which CPU. */
export interface LastUse {
  readonly pid: number;
  readonly cpu: number;
}

export class HintMarks {
  /** Pages taken away until their next touch, which is a hinting fault. */
  readonly hinted = new Set<number>();
  /** Last hinting fault of a page; absent: none so far. */
  readonly lastUse = new Map<number, LastUse>();
  /** When a page of slow memory was last taken away, in ms since boot. */
  readonly takenAt = new Map<number, number>();

  /** Another page is mapped there now, or none. */
  forget(vpn: number): void {
    this.hinted.delete(vpn);
    this.lastUse.delete(vpn);
    this.takenAt.delete(vpn);
  }
}
