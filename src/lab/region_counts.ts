// Where the pages of every region are, by node, kept up to date step by step: only what has changed
// in page tables since the last look is counted again.
// State    by region and leaf of the page table: node * 1024 + pages where all are on one node,
//          else a map; and their sum.
// Holds    SES2 the counts are what counting everything anew would give.
import type { AddressSpace } from '../kernel/address_space.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { anyFrameOf, PTRS_PER_LEAF, pteFrame } from '../kernel/page_table.ts';
import type { PageRange } from '../scenario/region_table.ts';
import type { Runner } from '../scenario/runner.ts';
import type { RegionPlacement } from './session.ts';

type Counts = number | ReadonlyMap<number, number>;

interface Region extends PageRange {
  readonly space: AddressSpace;
  readonly leaves: Map<number, Counts>;
  readonly small: Map<number, number>;
  hugeVersion: number;
  row: RegionPlacement;
}

const NODE_STEP = 1024;

export class RegionCounts {
  readonly #runner: Runner;
  readonly #regions = new Map<string, Region>();

  constructor(runner: Runner) {
    this.#runner = runner;
  }

  /** All regions of all live tasks. A row is the same object as long as nothing has changed. */
  rows(): RegionPlacement[] {
    const rows: RegionPlacement[] = [];
    const tables = new Set<AddressSpace>();
    for (const [task, { isAlive, mm }] of this.#runner.tasks) {
      if (!isAlive) continue;
      tables.add(mm);
      const isKnown = mm.pageTable.changed !== null;
      if (!isKnown) mm.pageTable.changed = new Set();
      const table = this.#runner.regionsOf(task);
      for (const region of table.names()) {
        rows.push(this.#rowOf(task, region, mm, table.range({ region }), isKnown));
      }
    }
    for (const { pageTable } of tables) pageTable.changed?.clear();
    return rows;
  }

  #rowOf(
    task: string,
    region: string,
    space: AddressSpace,
    range: PageRange,
    isKnown: boolean,
  ): RegionPlacement {
    const key = `${task} ${region}`;
    let known = this.#regions.get(key);
    const isSame =
      isKnown &&
      known?.space === space &&
      known.startVpn === range.startVpn &&
      known.nrPages === range.nrPages;
    if (known === undefined || !isSame) {
      const row = { task, region, nrPages: 0, byNode: new Map() };
      known = { ...range, space, leaves: new Map(), small: new Map(), hugeVersion: -1, row };
      this.#regions.set(key, known);
      for (const vpn of space.pageTable.tablesIn(range.startVpn, range.startVpn + range.nrPages)) {
        this.#countLeaf(known, Math.floor(vpn / PTRS_PER_LEAF));
      }
      known.row = this.#sum(known);
      return known.row;
    }
    let isChanged = known.hugeVersion !== space.pageTable.hugeVersion;
    const first = Math.floor(range.startVpn / PTRS_PER_LEAF);
    const end = Math.ceil((range.startVpn + range.nrPages) / PTRS_PER_LEAF);
    for (const leaf of space.pageTable.changed ?? []) {
      if (leaf < first || leaf >= end) continue;
      this.#countLeaf(known, leaf);
      isChanged = true;
    }
    if (isChanged) known.row = this.#sum(known);
    return known.row;
  }

  /** Counts the pages of a region under one leaf. */
  #countLeaf(region: Region, leaf: number): void {
    const { startVpn, nrPages, space, leaves, small } = region;
    addTo(small, leaves.get(leaf) ?? 0, -1);
    const { allocator } = this.#runner.kernel;
    const counts = new Map<number, number>();
    let nid = -1;
    let run = 0;
    const from = Math.max(startVpn, leaf * PTRS_PER_LEAF);
    const to = Math.min(startVpn + nrPages, (leaf + 1) * PTRS_PER_LEAF);
    space.pageTable.walk(from, to, (_vpn, pte) => {
      const f = anyFrameOf(pte);
      if (f === -1) return;
      const at = Number(allocator.nidOf(f));
      if (at !== nid && run > 0) {
        counts.set(nid, (counts.get(nid) ?? 0) + run);
        run = 0;
      }
      nid = at;
      run++;
    });
    if (counts.size === 0 && run > 0) leaves.set(leaf, nid * NODE_STEP + run);
    else if (run > 0) leaves.set(leaf, counts.set(nid, (counts.get(nid) ?? 0) + run));
    else leaves.delete(leaf);
    addTo(small, leaves.get(leaf) ?? 0, 1);
  }

  /** The row of a region: its small pages as counted, and of huge ones the small ones in them. */
  #sum(region: Region): RegionPlacement {
    const { space, startVpn, nrPages, small, row } = region;
    const k: Kernel = this.#runner.kernel;
    region.hugeVersion = space.pageTable.hugeVersion;
    const byNode = new Map([...small].filter(([, n]) => n > 0));
    for (const [, pte] of space.pageTable.hugeIn(startVpn, startVpn + nrPages)) {
      const nid = k.allocator.nidOf(pteFrame(pte));
      byNode.set(nid, (byNode.get(nid) ?? 0) + k.poolOf(pteFrame(pte)).nrSmall);
    }
    const total = [...byNode.values()].reduce((n, each) => n + each, 0);
    return { task: row.task, region: row.region, nrPages: total, byNode };
  }
}

function addTo(sums: Map<number, number>, counts: Counts, sign: 1 | -1): void {
  if (typeof counts === 'number') {
    const n = counts % NODE_STEP;
    if (n === 0) return;
    const nid = Math.floor(counts / NODE_STEP);
    sums.set(nid, (sums.get(nid) ?? 0) + sign * n);
    return;
  }
  for (const [nid, n] of counts) sums.set(nid, (sums.get(nid) ?? 0) + sign * n);
}
