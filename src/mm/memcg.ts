// Memory cgroups: what each has, may have and is spared, and whom each page and slot counts for.
// Models   linux@v6.1 mm/page_counter.c: page_counter_charge, page_counter_uncharge,
//          propagate_protected_usage; mm/memcontrol.c: struct mem_cgroup, mem_cgroup_margin,
//          mem_cgroup_calculate_protection, effective_protection, __mem_cgroup_try_charge_swap,
//          mem_cgroup_get_nr_swap_pages, mem_cgroup_iter as far as its order goes.
// Omits    pages that a CPU has charged ahead (up to 63 each), charges of slab, stacks and sockets,
//          memory.swap.high, statistics.
// State    owner, by frame: number of the group that the page counts for, 0 for the root. swapOwner
//          likewise by slot. A group has its pages with those of the groups below it.
// Holds    MCG1 a group has as many pages, and slots, as say so or name a group below it. MCG2 a
//          group that is gone keeps its pages until they are freed.
import { assert } from '../base/assert.ts';

const NO_LIMIT = Number.POSITIVE_INFINITY;

export class MemCgroup {
  /** Its number; the lists of its pages are found by it. */
  readonly id: number;
  /** The group above that is not the root, or null. */
  readonly parent: MemCgroup | null;
  readonly children: MemCgroup[] = [];
  /** Pages that count for it. */
  used = 0;
  /** Slots of swap areas that count for it. */
  swapped = 0;
  /** memory.max, memory.high, memory.low, memory.min, memory.swap.max: pages. */
  max = NO_LIMIT;
  high = NO_LIMIT;
  low = 0;
  min = 0;
  swapMax = NO_LIMIT;
  /** memory.oom.group: all its tasks die together. */
  killsTogether = false;
  /** memory.events: how often what happened in it or below it. */
  readonly events = { low: 0, high: 0, max: 0, oom: 0, oom_kill: 0, oom_group_kill: 0 };
  /** The control group has been removed. */
  isGone = false;

  constructor(id: number, parent: MemCgroup | null) {
    this.id = id;
    this.parent = parent;
    parent?.children.push(this);
  }

  /** This group and all below it, parents first. */
  *descendants(): IterableIterator<MemCgroup> {
    yield this;
    for (const child of this.children) yield* child.descendants();
  }

  /** Counts an event here and above (memcg_memory_event). */
  note(event: keyof MemCgroup['events']): void {
    for (let g: MemCgroup | null = this; g !== null; g = g.parent) g.events[event]++;
  }

  /** The control group is gone: what it has left is spared no more (mem_cgroup_css_offline). */
  goOffline(): void {
    this.isGone = true;
    this.min = 0;
    this.low = 0;
  }

  isWithin(above: MemCgroup): boolean {
    for (let g: MemCgroup | null = this; g !== null; g = g.parent) if (g === above) return true;
    return false;
  }
}

/** What a group is spared in a run of reclaim, pages. */
export interface Protection {
  readonly min: number;
  readonly low: number;
}

export class MemCgroups {
  /** Groups by number; number 0 is the root, which has no account. */
  readonly groups: (MemCgroup | null)[] = [null];
  readonly owner: Uint16Array;
  /** Pages are charged to this group meanwhile, whoever asks; undefined for the task's own. */
  payer: MemCgroup | null | undefined = undefined;
  /** The last charge was refused: it is the group that is full, and not the memory. */
  isRefused = false;
  #swapOwner = new Uint16Array(0);

  constructor(nrFrames: number) {
    this.owner = new Uint16Array(nrFrames);
  }

  newGroup(parent: MemCgroup | null): MemCgroup {
    const group = new MemCgroup(this.groups.length, parent);
    this.groups.push(group);
    return group;
  }

  /** The group that a page counts for; null for the root. */
  groupOf(f: number): MemCgroup | null {
    return this.groups[this.owner[f] as number] ?? null;
  }

  /** The lowest group, from one upward, that has no room for so many pages; or none. */
  overLimit(group: MemCgroup | null, nrPages: number): MemCgroup | null {
    for (let g = group; g !== null; g = g.parent) if (g.used + nrPages > g.max) return g;
    return null;
  }

  /** Pages that may be charged to a group before some limit is reached. */
  room(group: MemCgroup | null): number {
    let room = NO_LIMIT;
    for (let g = group; g !== null; g = g.parent) room = Math.min(room, g.max - g.used);
    return Math.max(0, room);
  }

  /** Counts `n` blocks of 2^order frames for a group. */
  charge(group: MemCgroup | null, frames: ArrayLike<number>, n: number, order: number): void {
    if (group === null) return;
    for (let i = 0; i < n; i++) {
      const f = frames[i] as number;
      this.owner.fill(group.id, f, f + (1 << order));
    }
    add(group, n << order);
  }

  /** A block of 2^order frames is free. */
  uncharge(f: number, order: number): void {
    for (let g = f; g < f + (1 << order); g++) {
      const owner = this.owner[g] as number;
      if (owner === 0) continue;
      this.owner[g] = 0;
      add(this.groups[owner] as MemCgroup, -1);
    }
  }

  // ---- Swap ----------------------------------------------------------------------------------

  /** Slots that a group may yet have, by its own limits. */
  swapRoom(group: MemCgroup | null): number {
    let room = NO_LIMIT;
    for (let g = group; g !== null; g = g.parent) room = Math.min(room, g.swapMax - g.swapped);
    return room;
  }

  /** Has a group more than half of the slots that it may have (mem_cgroup_swap_full)? */
  isSwapFull(f: number): boolean {
    for (let g = this.groupOf(f); g !== null; g = g.parent) {
      if (g.swapped * 2 >= g.swapMax) return true;
    }
    return false;
  }

  /** A page gets a slot, for its group or the nearest above that is still there. */
  chargeSlot(slot: number, nrSlots: number, f: number): void {
    let group = this.groupOf(f);
    while (group?.isGone === true) group = group.parent;
    if (group === null) return;
    if (this.#swapOwner.length < nrSlots) {
      const larger = new Uint16Array(nrSlots);
      larger.set(this.#swapOwner);
      this.#swapOwner = larger;
    }
    this.#swapOwner[slot] = group.id;
    for (let g: MemCgroup | null = group; g !== null; g = g.parent) g.swapped++;
  }

  /** A slot is free. */
  unchargeSlot(slot: number): void {
    const owner = this.#swapOwner[slot] ?? 0;
    if (owner === 0) return;
    this.#swapOwner[slot] = 0;
    for (let g = this.groups[owner] ?? null; g !== null; g = g.parent) g.swapped--;
  }

  /** Number of the group that a slot counts for. */
  swapOwnerOf(slot: number): number {
    return this.#swapOwner[slot] ?? 0;
  }

  // ---- Protection ----------------------------------------------------------------------------

  /**
   * What a group is spared when pages of `target` and below are reclaimed, null for all memory
   * (mem_cgroup_calculate_protection). The target itself is spared nothing.
   */
  protection(group: MemCgroup, target: MemCgroup | null): Protection {
    if (group === target) return { min: 0, low: 0 };
    const { parent } = group;
    if (parent === null || parent === target) return { min: group.min, low: group.low };
    const above = this.protection(parent, target);
    return {
      min: share(group, parent, above.min, (g) => g.min),
      low: share(group, parent, above.low, (g) => g.low),
    };
  }
}

/** A group's part of what the one above is spared (effective_protection). */
function share(
  group: MemCgroup,
  parent: MemCgroup,
  above: number,
  settingOf: (g: MemCgroup) => number,
): number {
  const own = (g: MemCgroup): number => Math.min(g.used, settingOf(g));
  const all = parent.children.reduce((sum, g) => sum + own(g), 0);
  return all > above ? Math.floor((own(group) * above) / all) : own(group);
}

function add(group: MemCgroup, nrPages: number): void {
  for (let g: MemCgroup | null = group; g !== null; g = g.parent) {
    g.used += nrPages;
    assert(g.used >= 0, 'a page is counted off once');
  }
}
