// Pages that a part of the kernel asks for itself, as a driver does, on behalf of a task that
// called it, and keeps until it gives them back.
// Models   linux@v6.1 mm/mempolicy.c: alloc_pages; include/linux/gfp.h: alloc_pages_node,
//          __free_pages; mm/memcontrol.c: __memcg_kmem_charge_page.
// Omits    requests from interrupts, which see no policy and no cpuset; flags that keep reclaim
//          from reading and writing (GFP_NOIO, GFP_NOFS); pages that their owner could move.
// Holds    KRQ1 a request follows the task's policy unless it names a node. KRQ2 its pages are the
//          kernel's: nobody moves or reclaims them.
import type { Frame, NodeId } from '../base/ids.ts';
import { __GFP_ACCOUNT } from '../mm/gfp.ts';
import { KIND_KERNEL, KIND_NONE } from '../mm/memmap.ts';
import type { Kernel } from './kernel.ts';
import { chargeGiven } from './memcg.ts';
import { allocOnNode, allocPages } from './policy_alloc.ts';
import type { Task } from './task.ts';

/** Blocks that one part of the kernel holds. */
export interface KernelBlock {
  readonly f: Frame;
  /** The block has 2^order frames. */
  readonly order: number;
}

export interface KernelRequest {
  readonly nrBlocks: number;
  /** 0..10. */
  readonly order: number;
  readonly gfp: number;
  /** Where alloc_pages_node starts; undefined: alloc_pages, by the task's policy. */
  readonly nid: NodeId | undefined;
}

/**
 * Asks for blocks one after another; those it gets are held under `name`, beside others there.
 * @returns the blocks given: fewer than asked for when one could not be had, and then
 *   allocator.failure says why.
 */
export function allocKernelPages(
  k: Kernel,
  task: Task,
  name: string,
  request: KernelRequest,
): readonly KernelBlock[] {
  const { nrBlocks, order } = request;
  const given: KernelBlock[] = [];
  const held = k.kernelPages.get(name) ?? [];
  k.kernelPages.set(name, held);
  while (given.length < nrBlocks && task.isAlive) {
    const f = allocBlock(k, task, request);
    if (f === undefined) break;
    const block = { f, order };
    given.push(block);
    held.push(block);
    k.mem.map.claim(f, KIND_KERNEL, 0, 0, 0);
    k.mem.map.kind.fill(KIND_KERNEL, f, f + (1 << order));
  }
  return given;
}

function allocBlock(k: Kernel, task: Task, request: KernelRequest): Frame | undefined {
  const { order, gfp, nid } = request;
  if (nid === undefined) {
    const n = allocPages(k, task, gfp, order, 'kernel page');
    // Single pages are charged where they are allocated.
    const left = order === 0 ? n : charge(k, task, n, request);
    return left === 0 ? undefined : (k.allocator.out[0] as Frame);
  }
  const f = allocOnNode(k, task, gfp, nid, 'kernel page', 'node named', null, order);
  return f === undefined || charge(k, task, 1, request) === 0 ? undefined : f;
}

const charge = (k: Kernel, task: Task, n: number, { order, gfp }: KernelRequest): number =>
  gfp & __GFP_ACCOUNT ? chargeGiven(k, task, n, order, gfp, 'kernel page') : n;

/**
 * Gives back all that is held under a name.
 * @returns blocks; undefined when nothing ever was held there.
 */
export function freeKernelPages(k: Kernel, name: string): number | undefined {
  const held = k.kernelPages.get(name);
  if (held === undefined) return undefined;
  k.kernelPages.delete(name);
  for (const { f, order } of held) {
    k.mem.map.kind.fill(KIND_NONE, f + 1, f + (1 << order));
    k.allocator.freeBlock(f, order);
  }
  return held.length;
}
