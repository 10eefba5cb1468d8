// Sets of nodes, and the set arithmetic that mempolicies are made of (linux lib/bitmap.c:
// bitmap_onto and bitmap_fold by way of relative masks, bitmap_remap, bitmap_bitremap).
// Holds    A Nodemask never changes after it is made; equal sets print equally.
import { MAX_NUMNODES, type NodeId } from './ids.ts';

const WORDS = MAX_NUMNODES / 32;
/** Sets of one node, by that. */
const SINGLES: Nodemask[] = [];

export class Nodemask {
  /** 32 words of 32 bits; bit n of word w is node 32w+n. Never written after construction. */
  readonly #words: Uint32Array;
  /** How many members, once that was asked for: interleaving asks at every page. */
  #weight = -1;

  private constructor(words: Uint32Array) {
    this.#words = words;
  }

  /** The set without members. */
  static get EMPTY(): Nodemask {
    return EMPTY;
  }

  /** The set of the given nodes, each 0..1023. */
  static of(...nodes: readonly number[]): Nodemask {
    const [only] = nodes;
    if (only === undefined || nodes.length > 1) return Nodemask.from(nodes);
    // Sets of one node are asked for at every turn, and never change: each is made once.
    SINGLES[only] ??= Nodemask.from(nodes);
    return SINGLES[only];
  }

  static from(nodes: Iterable<number>): Nodemask {
    const words = new Uint32Array(WORDS);
    for (const n of nodes) words[n >> 5] = (words[n >> 5] as number) | (1 << (n & 31));
    return new Nodemask(words);
  }

  has(node: number): boolean {
    return (((this.#words[node >> 5] as number) >>> (node & 31)) & 1) !== 0;
  }

  and(other: Nodemask): Nodemask {
    return this.#combine(other, (a, b) => a & b);
  }

  or(other: Nodemask): Nodemask {
    return this.#combine(other, (a, b) => a | b);
  }

  andNot(other: Nodemask): Nodemask {
    return this.#combine(other, (a, b) => a & ~b);
  }

  with(node: number): Nodemask {
    return this.or(Nodemask.of(node));
  }

  without(node: number): Nodemask {
    return this.andNot(Nodemask.of(node));
  }

  #combine(other: Nodemask, op: (a: number, b: number) => number): Nodemask {
    const words = new Uint32Array(WORDS);
    for (let i = 0; i < WORDS; i++) {
      words[i] = op(this.#words[i] as number, other.#words[i] as number);
    }
    return new Nodemask(words);
  }

  isEmpty(): boolean {
    return this.#words.every((w) => w === 0);
  }

  equals(other: Nodemask): boolean {
    return this.#words.every((w, i) => w === other.#words[i]);
  }

  isSubsetOf(other: Nodemask): boolean {
    return this.#words.every((w, i) => (w & ~(other.#words[i] as number)) === 0);
  }

  intersects(other: Nodemask): boolean {
    return this.#words.some((w, i) => (w & (other.#words[i] as number)) !== 0);
  }

  /** How many nodes (nodes_weight). */
  get weight(): number {
    if (this.#weight >= 0) return this.#weight;
    let n = 0;
    for (const word of this.#words) for (let w = word; w !== 0; w &= w - 1) n++;
    this.#weight = n;
    return n;
  }

  /** The lowest node, or MAX_NUMNODES when empty (first_node). */
  first(): NodeId {
    return this.nextAfter(-1);
  }

  /** The lowest node above `node`, or MAX_NUMNODES (next_node). */
  nextAfter(node: number): NodeId {
    for (let n = node + 1; n < MAX_NUMNODES; n++) {
      if ((n & 31) === 0 && this.#words[n >> 5] === 0) n += 31;
      else if (this.has(n)) return n as NodeId;
    }
    return MAX_NUMNODES as NodeId;
  }

  /**
   * As nextAfter, but starts again from the lowest node (next_node_in); MAX_NUMNODES when empty.
   */
  nextIn(node: number): NodeId {
    const next = this.nextAfter(node);
    return next === MAX_NUMNODES ? this.first() : next;
  }

  /** The n-th node of the set, n from 0; MAX_NUMNODES when there is none. */
  nth(n: number): NodeId {
    let node = this.first();
    for (let i = 0; i < n && node !== MAX_NUMNODES; i++) node = this.nextAfter(node);
    return node;
  }

  /**
   * How many nodes of the set are below `node`; -1 when `node` is not in it (bitmap_pos_to_ord).
   */
  ordinal(node: number): number {
    if (!this.has(node)) return -1;
    let ord = 0;
    for (let n = this.first(); n < node; n = this.nextAfter(n)) ord++;
    return ord;
  }

  toArray(): NodeId[] {
    const nodes: NodeId[] = [];
    for (let n = this.first(); n < MAX_NUMNODES; n = this.nextAfter(n)) nodes.push(n);
    return nodes;
  }

  [Symbol.iterator](): Iterator<NodeId> {
    return this.toArray()[Symbol.iterator]();
  }

  /** As the kernel prints a mask with %*pbl: `0-2,8`; the empty set is the empty text. */
  toString(): string {
    const parts: string[] = [];
    const nodes = this.toArray();
    for (let i = 0; i < nodes.length; ) {
      let j = i;
      while (j + 1 < nodes.length && nodes[j + 1] === (nodes[j] as number) + 1) j++;
      parts.push(i === j ? `${nodes[i]}` : `${nodes[i]}-${nodes[j]}`);
      i = j + 1;
    }
    return parts.join(',');
  }
}

const EMPTY = Nodemask.from([]);

/**
 * The nodes of `relative` counted within `onto`: fold the numbers modulo the size of `onto`, then
 * take the members of `onto` at those places (linux mm/mempolicy.c: mpol_relative_nodemask).
 */
export function relativeNodemask(relative: Nodemask, onto: Nodemask): Nodemask {
  const size = onto.weight;
  if (size === 0) return Nodemask.EMPTY;
  return Nodemask.from(relative.toArray().map((n) => onto.nth(n % size)));
}

/**
 * Where `node` goes when the set `from` is laid over the set `to`, place by place and round again
 * when `to` is the smaller; a node outside `from`, and any node when `to` is empty, stays
 * (linux lib/bitmap.c: bitmap_bitremap).
 */
export function remapNode(node: number, from: Nodemask, to: Nodemask): NodeId {
  const ord = from.ordinal(node);
  const size = to.weight;
  if (ord < 0 || size === 0) return node as NodeId;
  return to.nth(ord % size);
}

/** Each node of `mask` put through remapNode (linux lib/bitmap.c: bitmap_remap). */
export function remapNodemask(mask: Nodemask, from: Nodemask, to: Nodemask): Nodemask {
  return Nodemask.from(mask.toArray().map((n) => remapNode(n, from, to)));
}

/**
 * Reads a node list as cpuset.mems takes it (`0-2,8`, `0-6:2/4`). Returns the mask, or the kernel's
 * name for what is wrong: EINVAL for a malformed list, ERANGE for a node beyond MAX_NUMNODES
 * (linux lib/bitmap.c: bitmap_parselist).
 */
export function parseNodelist(text: string): Nodemask | 'EINVAL' | 'ERANGE' {
  const nodes: number[] = [];
  for (const part of text.split(/[\s,]+/)) {
    if (part === '') continue;
    const match = /^(\d+)(?:-(\d+)(?::(\d+)\/(\d+))?)?$/.exec(part === 'all' ? '0-1023' : part);
    if (match === null) return 'EINVAL';
    const start = Number(match[1]);
    const end = match[2] === undefined ? start : Number(match[2]);
    const used = match[3] === undefined ? 1 : Number(match[3]);
    const group = match[4] === undefined ? 1 : Number(match[4]);
    if (start > end || group === 0 || used > group) return 'EINVAL';
    if (end >= MAX_NUMNODES) return 'ERANGE';
    for (let n = start; n <= end; n++) if ((n - start) % group < used) nodes.push(n);
  }
  return Nodemask.from(nodes);
}
