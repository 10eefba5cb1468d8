// The files through which the pool of huge pages is seen and sized.
// Models   linux@v6.1 mm/hugetlb.c: __nr_hugepages_store_common, nr_hugepages_mempolicy_store,
//          nr_overcommit_hugepages_store, demote_store, demote_size_store, hugetlb_sysctl_handler,
//          hugetlb_overcommit_handler, hugetlb_register_all_nodes, hugetlb_register_node;
//          mm/mempolicy.c: init_nodemask_of_mempolicy.
// Omits    /proc/sys/vm/hugetlb_shm_group.
// Hooks    hugetlbNodes.
import { EACCES, EBUSY, EINVAL, ENOENT } from '../base/errno.ts';
import { type NodeId, nodeId } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import { MPOL_LOCAL } from '../hooks/policy_modes.ts';
import type { HugePages } from '../mm/hugetlb.ts';
import { requireHugePages } from './hugetlb_area.ts';
import type { Kernel } from './kernel.ts';
import type { PolicyFrom } from './placement_count.ts';
import { noteRequest } from './policy_alloc.ts';
import type { Task } from './task.ts';

const SYSCTL = /^\/proc\/sys\/vm\/(nr_hugepages|nr_hugepages_mempolicy|nr_overcommit_hugepages)$/;
const GLOBAL = /^\/sys\/kernel\/mm\/hugepages\/hugepages-(\d+)kB\/(\w+)$/;
const OF_NODE = /^\/sys\/devices\/system\/node\/node(\d+)\/hugepages\/hugepages-(\d+)kB\/(\w+)$/;
const HUGE_PAGE_KB = '2048';
const GIGANTIC_PAGE_KB = '1048576';

interface HugeFile {
  readonly pool: HugePages;
  readonly name: string;
  /** undefined: the whole machine's. */
  readonly nid: NodeId | undefined;
}

/** The file of the pool at a path; undefined for other files, -ENOENT for none. */
function findFile(k: Kernel, path: string): HugeFile | number | undefined {
  const sysctl = SYSCTL.exec(path);
  const global = GLOBAL.exec(path);
  const ofNode = OF_NODE.exec(path);
  if (sysctl === null && global === null && ofNode === null) return undefined;
  requireHugePages(k);
  const size = global?.[1] ?? ofNode?.[2] ?? HUGE_PAGE_KB;
  if (size !== HUGE_PAGE_KB && size !== GIGANTIC_PAGE_KB) return -ENOENT;
  const pool = size === HUGE_PAGE_KB ? k.huge : k.gigantic;
  if (ofNode === null) {
    return { pool, name: (sysctl?.[1] ?? global?.[2]) as string, nid: undefined };
  }
  const nid = Number(ofNode[1]);
  if (!hasPoolDir(k, nid)) return -ENOENT;
  return { pool, name: ofNode[3] as string, nid: nodeId(nid) };
}

/** Is this a file of the pool? */
export const isHugeFile = (path: string): boolean =>
  SYSCTL.test(path) || GLOBAL.test(path) || OF_NODE.test(path);

/**
 * Has a node a directory for its pool? Boot makes one for each node, or for each that a design
 * gives to the pool; nodes that come later bring their own.
 */
export const hasPoolDir = (k: Kernel, nid: number): boolean =>
  k.states.online.has(nid) && !k.huge.withoutDir.has(nid);

const READERS: Readonly<Record<string, (pool: HugePages, nid: number | undefined) => number>> = {
  nr_hugepages: (pool, nid) => (nid === undefined ? pool.nr : (pool.nrOf[nid] as number)),
  nr_hugepages_mempolicy: (pool) => pool.nr,
  nr_overcommit_hugepages: (pool) => pool.overcommit,
  free_hugepages: (pool, nid) => (nid === undefined ? pool.free : (pool.freeOf[nid] as number)),
  resv_hugepages: (pool) => pool.reserved,
  surplus_hugepages: (pool, nid) =>
    nid === undefined ? pool.surplus : (pool.surplusOf[nid] as number),
};
/** What a node's directory holds. */
const OF_EACH_NODE = new Set(['nr_hugepages', 'free_hugepages', 'surplus_hugepages']);

const DEMOTE_SIZE = '2048kB';
/** demote and demote_size: of the pool that has a smaller one below it. */
const isDemotion = ({ pool, name }: HugeFile): boolean => pool.isGigantic && /^demote/.test(name);

/** Splits free pages (demote_store), or says into which (demote_size_store): there is one size. */
function writeDemotion(k: Kernel, { pool, name, nid }: HugeFile, text: string): number {
  if (name === 'demote_size') return /^(?:2M|2048[kK])B?$/.test(text) ? 0 : -EINVAL;
  if (!/^\d+$/.test(text)) return -EINVAL;
  return pool.demote(Number(text), nid, k.huge) ? 0 : -EBUSY;
}

/** Value of a file of the pool, or -ENOENT; -EACCES for the one that is for writing only. */
export function readHugeFile(k: Kernel, path: string): string | number {
  const file = findFile(k, path);
  if (file === undefined) return -ENOENT;
  if (typeof file === 'number') return file;
  if (isDemotion(file)) return file.name === 'demote_size' ? DEMOTE_SIZE : -EACCES;
  const read = READERS[file.name];
  if (read === undefined || (file.nid !== undefined && !OF_EACH_NODE.has(file.name))) {
    return -ENOENT;
  }
  return String(read(file.pool, file.nid));
}

/**
 * Writes a file of the pool on behalf of a task.
 * @returns 0, -EINVAL for what is no count, -EACCES for files that only tell, -ENOENT.
 */
export function writeHugeFile(k: Kernel, task: Task, path: string, value: string): number {
  const file = findFile(k, path);
  if (typeof file === 'number') return file;
  if (file === undefined || (readsNothing(k, path) && !isDemotion(file))) return -ENOENT;
  const { pool, name, nid } = file;
  if (isDemotion(file)) return writeDemotion(k, file, value.trim());
  if (!name.startsWith('nr_')) return -EACCES;
  const text = value.trim();
  if (!/^\d+$/.test(text)) return -EINVAL;
  const count = Number(text);
  if (name === 'nr_overcommit_hugepages') {
    if (pool.isGigantic) return -EINVAL;
    pool.overcommit = count;
    return 0;
  }
  resizePool(k, task, pool, count, nid, name === 'nr_hugepages_mempolicy');
  return 0;
}

const readsNothing = (k: Kernel, path: string): boolean =>
  typeof readHugeFile(k, path) === 'number';

/** Nodes that a task's own policy names (init_nodemask_of_mempolicy); undefined without one. */
function policyNodes(k: Kernel, task: Task): Nodemask | undefined {
  const { mempolicy } = task;
  if (mempolicy === null) return undefined;
  return mempolicy.mode === MPOL_LOCAL ? Nodemask.of(k.localNode(task)) : mempolicy.nodes;
}

function resizePool(
  k: Kernel,
  task: Task,
  huge: HugePages,
  count: number,
  nid: NodeId | undefined,
  obeysPolicy: boolean,
): void {
  const named = obeysPolicy ? policyNodes(k, task) : undefined;
  const ofNode = nid === undefined ? undefined : Nodemask.of(nid);
  const nodes = ofNode ?? named ?? huge.poolNodes;
  const byPolicy = named === undefined ? 'default' : 'task';
  const from: PolicyFrom = ofNode === undefined ? byPolicy : 'node named';
  k.setCurrent(task);
  noteRequest(k, task, 'huge page pool', { policy: null, from }, huge.gfp, nodes.first(), nodes);
  const before = Int32Array.from(huge.nrOf);
  huge.isShort = false;
  huge.resize(count, nid, nodes);
  before.forEach((was, at) => {
    const grown = (huge.nrOf[at] as number) - was;
    const isAsked = from !== 'default';
    if (grown > 0) k.placements.count('huge page pool', from, isAsked, at, grown * huge.nrSmall);
  });
}
