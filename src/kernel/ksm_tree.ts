// The two trees of KSM: merged pages by content, and pages of this scan that may have an equal one.
// Models   linux@v6.1 mm/ksm.c: cmp_and_merge_page, stable_tree_search, stable_tree_insert,
//          stable_tree_append, unstable_tree_search_insert, try_to_merge_two_pages,
//          try_to_merge_with_ksm_page, replace_page, remove_rmap_item_from_tree,
//          stable_node_dup, ksm_migrate_page.
// State    A merged page is one of kind anon whose link is -1 minus the number of its node, since
//          it has no one owner. Trees are tables by root and content; a root is a node, where pages
//          are merged within nodes only.
// Holds    KSM3 of two equal pages the one that was come to later becomes the merged page, where it
//          is; further ones join it. KSM4 with merge_across_nodes=0 pages are merged within a node.
//          KSM5 a merged page is never written. KSM6 a page shared by a fork is not merged with
//          itself. KSM8 a merged page that was moved keeps its owners.
import type { Frame } from '../base/ids.ts';
import { KIND_ANON } from '../mm/memmap.ts';
import type { AddressSpace } from './address_space.ts';
import type { Contents } from './contents.ts';
import type { Kernel } from './kernel.ts';
import { unlockUnlessOthers } from './lru_track.ts';
import { makePte, PTE_ZERO_PAGE, pteFrame, pteIsPage } from './page_table.ts';
import { dropPage } from './swap_fault.ts';

/** A page that ksmd has looked at (struct rmap_item). */
export interface RmapItem {
  readonly mm: AddressSpace;
  readonly vpn: number;
  /** Its content at the last look. */
  checksum: number | undefined;
  /** The merged page that it is known to map. */
  node: StableNode | undefined;
  /** Where it waits among the pages of this scan that have no equal yet. */
  waitsAt: number | undefined;
}

/** A merged page (struct stable_node). */
export interface StableNode {
  readonly id: number;
  readonly number: number;
  frame: Frame;
  /** The root of the tree that it is in. */
  root: number;
  /** The page has gone to another node: it waits to be put into that one's tree. */
  isMoved: boolean;
  readonly items: Set<RmapItem>;
}

export interface KsmCounts {
  readonly nrShared: number;
  readonly nrSharing: number;
  readonly nrUnshared: number;
  readonly nrChains: number;
  readonly nrDups: number;
}

export class KsmTree {
  readonly #k: Kernel;
  mergesAcrossNodes = true;
  maxPageSharing = 256;
  usesZeroPages = false;
  readonly #nodes = new Map<number, StableNode>();
  /** Nodes in the trees by root and content; several of one content where pages are full. */
  readonly #stable = new Map<number, StableNode[]>();
  readonly #unstable = new Map<number, RmapItem>();
  #nrUnshared = 0;
  #nextId = 0;

  constructor(k: Kernel) {
    this.#k = k;
  }

  // ---- Merged pages ------------------------------------------------------------------------

  /** The node of a merged page; undefined for any other page. */
  nodeOf(f: number): StableNode | undefined {
    const { kind, link } = this.#k.mem.map;
    const id = -1 - (link[f] as number);
    if (kind[f] !== KIND_ANON || id < 0) return undefined;
    const node = this.#nodes.get(id);
    return node?.frame === f ? node : undefined;
  }

  isMerged(f: number): boolean {
    return this.nodeOf(f) !== undefined;
  }

  /** Virtual pages at which somebody maps the page: where to look for its entries. */
  placesOf(f: number): readonly number[] {
    return [...new Set([...(this.nodeOf(f)?.items ?? [])].map((item) => item.vpn))];
  }

  /** The page is in another frame now (ksm_migrate_page). */
  moved(old: Frame, fresh: Frame): void {
    const node = this.nodeOf(old);
    if (node !== undefined) node.frame = fresh;
  }

  /** Visits merged pages that somebody still maps, for checkers and the state hash. */
  forEachNode(visit: (node: StableNode) => void): void {
    for (const node of this.#nodes.values()) if (this.nodeOf(node.frame) === node) visit(node);
  }

  /** What the files of /sys/kernel/mm/ksm count. */
  counts(): KsmCounts {
    let nrShared = 0;
    let nrSharing = 0;
    for (const { items } of this.#nodes.values()) {
      if (items.size === 0) continue;
      nrShared++;
      nrSharing += items.size - 1;
    }
    const chains = [...this.#stable.values()].filter((list) => list.length > 1);
    const nrDups = chains.reduce((n, list) => n + list.length, 0);
    return { nrShared, nrSharing, nrUnshared: this.#nrUnshared, nrChains: chains.length, nrDups };
  }

  // ---- A scan ------------------------------------------------------------------------------

  /** The pages of the last scan that found no equal are forgotten. */
  beginScan(): void {
    this.#unstable.clear();
    for (const node of this.#nodes.values()) {
      if (node.items.size === 0 && this.nodeOf(node.frame) !== node) this.#drop(node);
    }
  }

  /** Looks at one page (cmp_and_merge_page). True when it shares a frame now and did not before. */
  merge(item: RmapItem, f: Frame): boolean {
    const own = this.nodeOf(f);
    if (own !== undefined) {
      if (!own.isMoved && this.#rootOf(f) !== own.root) {
        this.#takeOut(own);
        own.isMoved = true;
      }
      if (!own.isMoved && item.node === own) return false;
    }
    const equal = this.#searchStable(f, own);
    if (equal === f && own !== undefined && item.node === own) return false;
    this.remove(item);
    if (equal !== undefined) {
      if (!this.#join(item, f, equal)) return false;
      this.#append(item, this.nodeOf(equal) as StableNode);
      return equal !== f;
    }
    const number = this.#contents.get(f);
    if (item.checksum !== number) {
      item.checksum = number;
      return false;
    }
    if (own !== undefined) return false;
    if (this.usesZeroPages && number === 0) return this.#toZeroPage(item, f);
    return this.#mergeTwo(item, f);
  }

  get #contents(): Contents {
    return this.#k.contents as Contents;
  }

  #rootOf(f: Frame): number {
    return this.mergesAcrossNodes ? 0 : this.#k.allocator.nidOf(f);
  }

  #key(root: number, number: number): number {
    return root * 2 ** 32 + number;
  }

  #hasRoom(node: StableNode): boolean {
    return node.items.size < this.maxPageSharing;
  }

  /** A merged page with the same content; the page itself if it is one already. */
  #searchStable(f: Frame, own: StableNode | undefined): Frame | undefined {
    if (own !== undefined && !own.isMoved) return f;
    const root = this.#rootOf(f);
    const key = this.#key(root, this.#contents.get(f));
    const list = (this.#stable.get(key) ?? []).filter((node) => {
      const isThere = this.nodeOf(node.frame) === node;
      if (!isThere) this.#drop(node);
      return isThere;
    });
    const isShared = (this.#k.mem.map.mapcount[f] as number) > 1;
    if (list.length === 0 || (own !== undefined && isShared)) {
      if (own === undefined) return undefined;
      this.#putIn(own, root);
      return this.#hasRoom(own) ? f : undefined;
    }
    const best = list
      .filter((node) => this.#hasRoom(node))
      .reduce<StableNode | undefined>(
        (a, b) => (a !== undefined && a.items.size >= b.items.size ? a : b),
        undefined,
      );
    if (best === undefined) return undefined;
    if (this.#rootOf(best.frame) === best.root) return best.frame;
    // The page of the tree has itself gone to another node: it leaves the tree.
    this.#takeOut(best);
    best.isMoved = true;
    if (own === undefined) return undefined;
    this.#putIn(own, root);
    return this.#hasRoom(own) ? f : undefined;
  }

  #putIn(node: StableNode, root: number): void {
    node.isMoved = false;
    node.root = root;
    const key = this.#key(root, node.number);
    this.#stable.set(key, [node, ...(this.#stable.get(key) ?? [])]);
  }

  #takeOut(node: StableNode): void {
    const key = this.#key(node.root, node.number);
    const rest = (this.#stable.get(key) ?? []).filter((other) => other !== node);
    if (rest.length === 0) this.#stable.delete(key);
    else this.#stable.set(key, rest);
  }

  #drop(node: StableNode): void {
    this.#takeOut(node);
    for (const item of node.items) item.node = undefined;
    node.items.clear();
    this.#nodes.delete(node.id);
  }

  /** Finds an equal page of this scan, or lets the page wait for one. */
  #mergeTwo(item: RmapItem, f: Frame): boolean {
    const number = this.#contents.get(f);
    const root = this.#rootOf(f);
    const key = this.#key(root, number);
    const other = this.#unstable.get(key);
    const page = other === undefined ? undefined : this.#pageOf(other);
    if (other !== undefined) {
      if (page === undefined || page === f) return false;
      if (this.#contents.get(page) === number) {
        if (!this.mergesAcrossNodes && this.#k.allocator.nidOf(page) !== root) return false;
        return this.#makeMerged(item, f, other, page);
      }
    }
    this.#unstable.set(key, item);
    item.waitsAt = key;
    this.#nrUnshared++;
    return false;
  }

  /** The page that ksmd came to last becomes the merged one, and takes in the other's owner. */
  #makeMerged(item: RmapItem, f: Frame, other: RmapItem, page: Frame): boolean {
    const { map } = this.#k.mem;
    const id = this.#nextId++;
    const node: StableNode = {
      id,
      number: this.#contents.get(f),
      frame: f,
      root: this.#rootOf(f),
      isMoved: false,
      items: new Set(),
    };
    this.#nodes.set(id, node);
    map.link[f] = -1 - id;
    item.mm.pageTable.set(item.vpn, makePte(f, false));
    this.#putIn(node, node.root);
    if (this.#join(other, page, f)) {
      this.remove(other);
      this.#append(other, node);
    }
    this.#append(item, node);
    return true;
  }

  /** Lets the owner of a page map a merged one instead. */
  #join(item: RmapItem, f: Frame, merged: Frame): boolean {
    if (f === merged) return true;
    if (
      item.mm.vmas.every((v) => !v.isMergeable || item.vpn < v.startVpn || item.vpn >= v.endVpn)
    ) {
      return false;
    }
    this.#k.mem.map.addMap(merged);
    this.replace(item.mm, item.vpn, f, makePte(merged, false));
    this.#k.frameWatch?.merged(item.mm, item.vpn, f, merged);
    return true;
  }

  #toZeroPage(item: RmapItem, f: Frame): boolean {
    this.replace(item.mm, item.vpn, f, PTE_ZERO_PAGE);
    this.#k.frameWatch?.merged(item.mm, item.vpn, f, undefined);
    return true;
  }

  /** Puts another entry in the place of one that maps `old`, which is freed with its last owner. */
  replace(mm: AddressSpace, vpn: number, old: Frame, pte: number): void {
    mm.pageTable.set(vpn, pte);
    if (this.#k.mem.map.removeMap(old) === 0) dropPage(this.#k, old);
    else if (mm.lookup(vpn)?.isLocked === true) unlockUnlessOthers(this.#k, old);
  }

  #append(item: RmapItem, node: StableNode): void {
    item.node = node;
    node.items.add(item);
  }

  #pageOf({ mm, vpn }: RmapItem): Frame | undefined {
    const isOpen = mm.vmas.some((v) => v.isMergeable && vpn >= v.startVpn && vpn < v.endVpn);
    const pte = mm.pageTable.get(vpn);
    return isOpen && pteIsPage(pte) ? pteFrame(pte) : undefined;
  }

  /** Takes an item out of the tree that it is in (remove_rmap_item_from_tree). */
  remove(item: RmapItem): void {
    if (item.node !== undefined) {
      item.node.items.delete(item);
      item.node = undefined;
    }
    if (item.waitsAt === undefined) return;
    if (this.#unstable.get(item.waitsAt) === item) this.#unstable.delete(item.waitsAt);
    item.waitsAt = undefined;
    this.#nrUnshared--;
  }

  /** Forgets merged pages that nobody has; false when there are others. */
  removeUnused(): boolean {
    if (this.counts().nrShared > 0) return false;
    let isEmpty = true;
    for (const node of this.#nodes.values()) {
      if (this.nodeOf(node.frame) === node) isEmpty = false;
      else this.#drop(node);
    }
    return isEmpty;
  }

  /** All pages have been taken apart. */
  clear(): void {
    for (const node of this.#nodes.values()) this.#drop(node);
    this.#unstable.clear();
    this.#nrUnshared = 0;
  }
}
