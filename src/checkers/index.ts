// All judges that need no memory of their own, in one list.
import type { Kernel } from '../kernel/kernel.ts';
import { checkBuddyShape } from './buddy_shape.ts';
import { checkCounters } from './counters.ts';
import { checkCpusets } from './cpusets.ts';
import { checkDeviceCaches } from './device_caches.ts';
import { checkDeviceMemory } from './device_memory.ts';
import { checkFiles } from './files.ts';
import { checkFrames } from './frames.ts';
import { checkHeldPages } from './held_pages.ts';
import { checkHugePages } from './hugetlb.ts';
import { checkLru } from './lru.ts';
import { checkMemcg } from './memcg.ts';
import { checkMemoryBlocks } from './memory_blocks.ts';
import { checkNodeCharges } from './node_charge.ts';
import { checkPageTables } from './page_tables.ts';
import { checkPromise } from './promise.ts';
import { checkPromiseOfRequests } from './promise_requests.ts';
import { checkServices } from './services.ts';
import { checkSwap } from './swap.ts';
import { checkThps } from './thp.ts';
import { checkZonelists } from './zonelists.ts';

export { FreshPages } from './fresh_pages.ts';
export { type Breach, breaches } from './promise.ts';

/** A read-only judge of a whole kernel: findings in words, none when all is well. */
export type Checker = (k: Kernel) => readonly string[];

export const CHECKERS: Readonly<Record<string, Checker>> = {
  frames: checkFrames,
  buddy: checkBuddyShape,
  'page tables': checkPageTables,
  zonelists: checkZonelists,
  counters: checkCounters,
  'huge pages': checkHugePages,
  services: checkServices,
  lru: checkLru,
  'device memory': checkDeviceMemory,
  'device caches': checkDeviceCaches,
  'held pages': checkHeldPages,
  files: checkFiles,
  swap: checkSwap,
  'memory blocks': checkMemoryBlocks,
  'node charges': checkNodeCharges,
  'memory cgroups': checkMemcg,
  'transparent huge pages': checkThps,
  cpusets: checkCpusets,
  promise: checkPromise,
  'promise of requests': checkPromiseOfRequests,
};

/** What all judges find. */
export const checkAll: Checker = (k) => Object.values(CHECKERS).flatMap((check) => check(k));
