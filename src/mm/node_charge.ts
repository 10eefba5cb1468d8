// Pages of counted nodes by the account that they were taken for: who may take more of a node whose
// memory is scarce, and how much. Linux has nothing of the kind for nodes; a design switches it on.
// Models   after linux@v6.1 mm/page_counter.c (an account counts for those above it too) and, for
//          what is counted, the dmem controller of 6.14 (a limit for each region of device memory).
// Hooks    nodeCharge (get_page_from_freelist).
// State    owner, by frame: number of the account that a frame of a counted node was taken for, 0
//          for nobody. An account has its pages by node, those of the accounts below it included.
// Holds    NCH1 an account has as many pages as frames name it or an account below it. NCH2 no
//          page is given beyond a limit of the account or of one above. NCH4 frames of nodes that
//          are not counted, and free frames, have no owner.
import { assert } from '../base/assert.ts';
import type { NodeId } from '../base/ids.ts';
import type { NodeCharge, NodesView } from '../hooks/design.ts';
import type { AllocTask } from './internal.ts';

/** No request is for more pages, blocks of the largest order times the longest run. */
const MOST = 2 ** 30;

/** Whom pages are counted for: a control group. */
export class Account {
  /** Its number in the table of accounts; 0 is nobody's. */
  readonly id: number;
  readonly above: Account | null;
  /** Pages that it may have, by node; Infinity for no limit. */
  readonly limit: Float64Array;
  /** Pages that it has, by node. */
  readonly used: Float64Array;

  constructor(id: number, above: Account | null, nrNodeIds: number) {
    this.id = id;
    this.above = above;
    this.limit = new Float64Array(nrNodeIds).fill(Number.POSITIVE_INFINITY);
    this.used = new Float64Array(nrNodeIds);
  }
}

export class NodeCharges {
  /** By node: 1 where pages are counted. */
  readonly isCounted: Uint8Array;
  readonly owner: Uint16Array;
  /** Whom frames are for meanwhile, instead of the task that asks: null for the task itself. */
  payer: Account | null = null;
  readonly refusal: string;
  readonly #rule: NodeCharge;
  readonly #view: NodesView;
  readonly #accounts: (Account | undefined)[] = [undefined];

  constructor(rule: NodeCharge, view: NodesView, nrNodeIds: number, nrFrames: number) {
    this.#rule = rule;
    this.#view = view;
    this.refusal = rule.refusal;
    this.isCounted = new Uint8Array(nrNodeIds);
    this.owner = new Uint16Array(nrFrames);
  }

  /** Asks the design anew which nodes are counted: when memory has come or gone. */
  compile(): void {
    this.isCounted.fill(0);
    for (const nid of this.#rule.counted(this.#view)) this.isCounted[nid] = 1;
  }

  newAccount(above: Account | null): Account {
    const account = new Account(this.#accounts.length, above, this.isCounted.length);
    assert(account.id <= 0xffff, 'accounts fit the column of owners');
    this.#accounts.push(account);
    return account;
  }

  /** All accounts there ever were: those of groups that are gone may still have pages. */
  get accounts(): readonly (Account | undefined)[] {
    return this.#accounts;
  }

  /** The account that a frame counts for. */
  accountOf(f: number): Account | undefined {
    return this.#accounts[this.owner[f] as number];
  }

  /** Whom a request is counted for. */
  #payer(task: AllocTask): Account | null {
    return this.payer ?? task.account ?? null;
  }

  /** Pages that a task may take of a node, MOST at most. */
  room(task: AllocTask, nid: number): number {
    let most = MOST;
    if (this.isCounted[nid] !== 1) return most;
    for (let a = this.#payer(task); a !== null; a = a.above) {
      most = Math.min(most, this.#roomOf(a, nid));
    }
    return most;
  }

  /** The lowest account of a task that has no room for so many pages of some counted node. */
  exceeded(task: AllocTask, nrPages: number): Account | undefined {
    for (let a = this.#payer(task); a !== null; a = a.above) {
      for (let nid = 0; nid < this.isCounted.length; nid++) {
        if (this.isCounted[nid] === 1 && this.#roomOf(a, nid) < nrPages) return a;
      }
    }
    return undefined;
  }

  #roomOf(account: Account, nid: number): number {
    const used = account.used[nid] as number;
    return this.#rule.room({ nid: nid as NodeId, used, limit: account.limit[nid] as number });
  }

  /** Counts blocks of 2^order frames of one node, just given for a task. */
  charge(task: AllocTask, nid: number, frames: Int32Array, n: number, order: number): void {
    const payer = this.#payer(task);
    if (payer === null || this.isCounted[nid] !== 1) return;
    for (let i = 0; i < n; i++) {
      const f = frames[i] as number;
      this.owner.fill(payer.id, f, f + (1 << order));
    }
    add(payer, nid, n << order);
  }

  /** A page moves to another frame of its node, and counts for whom it counted before. */
  handOver(old: number, fresh: number): void {
    this.owner[fresh] = this.owner[old] as number;
    this.owner[old] = 0;
  }

  /** Frames of a node are free. */
  uncharge(nid: number, f: number, order: number): void {
    for (let g = f; g < f + (1 << order); g++) {
      const account = this.accountOf(g);
      if (account === undefined) continue;
      add(account, nid, -1);
      this.owner[g] = 0;
    }
  }
}

function add(account: Account, nid: number, nrPages: number): void {
  for (let a: Account | null = account; a !== null; a = a.above) {
    a.used[nid] = (a.used[nid] as number) + nrPages;
    assert((a.used[nid] as number) >= 0, 'a page is counted off once');
  }
}
