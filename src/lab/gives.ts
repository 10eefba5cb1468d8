// Stands between a kernel and what gives it frames: the page allocator and the pools of huge pages.
// Holds    EXP1 every frame that is given comes by here, in the order in which it is given.
import type { Frame } from '../base/ids.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { HugePages } from '../mm/hugetlb.ts';

/** Makes a call that may give frames, and returns how many it gave. */
type Around = (call: () => number, order: number, isPool: boolean) => number;

/** Lets every call that may give frames be made by `around`. */
export function watchGives(k: Kernel, around: Around): void {
  const { allocator } = k;
  const alloc = allocator.alloc.bind(allocator);
  const retry = allocator.retry.bind(allocator);
  let lastOrder = 0;
  allocator.alloc = (gfp, order, nid, nodemask, want) => {
    lastOrder = order;
    return around(() => alloc(gfp, order, nid, nodemask, want), order, false);
  };
  allocator.retry = (gfp) => around(() => retry(gfp), lastOrder, false);
  for (const pool of k.pools) watchPool(pool, around);
}

function watchPool(pool: HugePages, around: Around): void {
  const dequeue = pool.dequeue.bind(pool);
  pool.dequeue = (gfp, nid, nodes) => {
    let f: Frame | undefined;
    const call = (): number => {
      f = dequeue(gfp, nid, nodes);
      return f === undefined ? 0 : 1;
    };
    around(call, pool.order, true);
    return f;
  };
}
