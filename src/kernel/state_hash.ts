// The hash of a kernel's whole state: what two runs must share to be the same run.
// Holds    HSH1 equal histories give equal hashes; the design's name is not part of it.
import { StateHash } from '../base/hash.ts';
import { MIGRATE_TYPES } from '../mm/gfp.ts';
import type { HugePages } from '../mm/hugetlb.ts';
import { NR_LRU_LISTS } from '../mm/lru.ts';
import { NIL } from '../mm/memmap.ts';
import type { Vma } from './address_space.ts';
import type { Kernel } from './kernel.ts';
import type { Mempolicy } from './mempolicy.ts';
import type { Task } from './task.ts';

/** Hashes zones, lists, counters, groups, tasks, areas, page tables, objects and huge pages. */
export function stateHash(k: Kernel): string {
  const h = new StateHash();
  const { zones, buddy, pcp, stat } = k.mem;
  for (let z = 0; z < zones.nr; z++) {
    if (zones.present[z] === 0) continue;
    h.add(zones.free[z] as number);
    h.add(zones.virginNext[z] as number);
    h.add(pcp.countOf(z));
    for (let order = 0; order < zones.nrOrders; order++) {
      for (let type = 0; type < MIGRATE_TYPES; type++) h.add(buddy.countFreeOfType(z, order, type));
    }
  }
  for (const nid of k.states.possible) h.addColumn(Object.values(stat.numastat(nid)));
  h.addColumn(Object.values(stat.eventCounts()));
  for (const [name, n] of Object.entries(stat.otherEvents())) h.addText(`${name} ${n}`);
  for (const group of k.rootCpuset.descendants()) {
    h.addText(group.path);
    h.addText(`${group.mems}/${group.effectiveMems}`);
    if (group.isLegacy) h.addText(`${group.cpus.join()}/${[...group.flags].sort().join()}`);
  }
  for (const account of k.mem.charges?.accounts ?? []) {
    if (account !== undefined) h.addColumn([...account.used, ...account.limit]);
  }
  for (const task of k.tasks) {
    h.addText(`${task.name}/${task.end ?? 'alive'}/${task.cpu}/${task.interleavePrev}`);
    addPolicy(h, task.mempolicy);
    for (const vma of task.mm.vmas) {
      h.add(vma.startVpn);
      h.add(vma.endVpn);
      addPolicy(h, vma.policy);
      task.mm.pageTable.walk(vma.startVpn, vma.endVpn, (vpn, pte) => {
        h.add(vpn);
        h.add(pte);
      });
      addHuge(h, task, vma);
      if (k.thp.isInUse) addThps(h, task, vma);
    }
  }
  for (const object of k.objects.values()) {
    h.add(object.ino);
    object.forEachPage((index, f) => {
      h.add(index);
      h.add(f);
    });
  }
  for (const inode of k.inodes.values()) {
    h.addText(`${inode.name}/${inode.nrPages}/${inode.isLinked}`);
    inode.forEachPage((index, f) => {
      h.add(index);
      h.add(f);
    });
  }
  if (k.huge.isInUse) addPool(h, k.huge);
  if (k.gigantic.isInUse) addPool(h, k.gigantic);
  addHugeFiles(h, k);
  if (k.mem.blocks.length > 0) addPlugs(h, k);
  if (k.mem.held.isInUse) addHeld(h, k);
  if (k.thp.isInUse) addThpState(h, k);
  addServices(h, k);
  if (k.mem.lru.isInUse) addLru(h, k);
  if (k.mem.swap.isOn) addSwap(h, k);
  return h.digest();
}

/** Pins and broken pages. */
function addHeld(h: StateHash, k: Kernel): void {
  for (const { task, startVpn, frames } of k.pins) {
    h.addText(`${task.name} pins ${startVpn}`);
    h.addColumn([...frames]);
  }
  h.addColumn([...k.mem.held.orphans].sort((a, b) => a - b));
  for (const f of k.mem.held.poisoned()) h.add(f);
}

/** Merged pages, what is in pages that were written, and pages taken away. */
function addServices(h: StateHash, k: Kernel): void {
  if (k.nowMs > 0) h.add(k.nowMs);
  k.ksm.tree.forEachNode((node) => h.addColumn([node.frame, node.number, node.items.size]));
  for (const space of k.spaces.values()) {
    const hinted = space.pageTable.marks?.hinted;
    if (hinted !== undefined) h.addColumn([...hinted].sort((a, b) => a - b));
  }
}

/** Entries of huge pages, and the promises of the area. */
function addHuge(h: StateHash, task: Task, vma: Vma): void {
  if (vma.huge === null) return;
  h.addText(`${vma.huge.isShared}/${vma.huge.hasNoReserve}/${vma.huge.isRobbed}`);
  h.addColumn([...(vma.huge.used ?? [])].sort((a, b) => a - b));
  for (const [vpn, pte] of task.mm.pageTable.hugeEntriesIn(vma.startVpn, vma.endVpn)) {
    h.add(vpn);
    h.add(pte);
  }
}

/** Which pages of an area are mapped by entries of the pmd level. */
function addThps(h: StateHash, task: Task, vma: Vma): void {
  h.addText(vma.thp);
  for (const [vpn] of task.mm.pageTable.thpsIn(vma.startVpn, vma.endVpn)) h.add(vpn);
}

/** Settings of transparent huge pages, and the pages there are. */
function addThpState(h: StateHash, k: Kernel): void {
  const { thp } = k;
  h.addText(`${thp.enabled}/${thp.defrag}/${thp.usesZeroPage}`);
  h.addColumn(k.khugepaged.columns);
  h.addColumn([thp.zeroFrame ?? -1, ...thp.zeroUsers, ...thp.splitQueue]);
  thp.forEach((head, page) => {
    h.addColumn([head, page.pmdMaps, page.refs]);
  });
}

/** Slots: who stands for them, and which page has them. */
function addSwap(h: StateHash, k: Kernel): void {
  const { swap } = k.mem;
  for (const area of swap.areas) h.addColumn([area.priority, area.nrSlots, area.next]);
  h.addColumn(swap.count);
  h.addColumn(swap.cache);
  h.addColumn(swap.shadow);
  h.addColumn(swap.ahead);
  for (const object of k.objects.values()) {
    object.forEachSlot((index, slot) => h.addColumn([index, slot]));
  }
}

/** The lists of pages, in order, with flags. */
function addLru(h: StateHash, k: Kernel): void {
  const { lru } = k.mem;
  for (let vec = 0; vec < lru.nrVecs; vec++) {
    if (!k.states.possible.has(vec % lru.nrNodeIds)) continue;
    for (let list = 0; list < NR_LRU_LISTS; list++) {
      h.add(lru.countOf(vec, list));
      for (let f = lru.head(vec, list); f !== NIL; f = lru.next[f] as number) {
        h.add(f);
        h.add(lru.flags[f] as number);
      }
    }
  }
}

/** Plugged memory: which of it is there, and what becomes of more. */
function addPlugs(h: StateHash, k: Kernel): void {
  const { blocks, onlinePolicy } = k.mem;
  const gone = blocks.flatMap((block, i) => (block.isThere ? [] : [i]));
  if (onlinePolicy.changes !== '') h.addText(onlinePolicy.changes);
  if (k.driverNodes.size + gone.length > 0) h.addColumn([...k.driverNodes, -1, ...gone]);
}

/** A pool of huge pages. */
function addPool(h: StateHash, huge: HugePages): void {
  h.addColumn([huge.nr, huge.reserved, huge.surplus, huge.overcommit, ...huge.turns]);
  for (const column of [huge.nrOf, huge.freeOf, huge.surplusOf]) h.addColumn([...column]);
  huge.forEachFree((nid, f) => {
    h.add(nid);
    h.add(f);
  });
}

function addHugeFiles(h: StateHash, k: Kernel): void {
  for (const inode of k.hugeInodes.values()) {
    h.add(inode.ino);
    h.addColumn([...inode.promised].sort((a, b) => a - b));
    for (const [index, f] of inode.pages) {
      h.add(index);
      h.add(f);
    }
  }
}

function addPolicy(h: StateHash, policy: Mempolicy | null): void {
  h.addText(policy === null ? 'default' : `${policy.describe()}/${policy.stored}`);
}
