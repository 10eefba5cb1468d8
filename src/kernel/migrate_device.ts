// How pages of device memory come back to system memory: a CPU touched them, or somebody pins them
// for long.
// Models   linux@v6.1 mm/memory.c: do_swap_page; drivers/gpu/drm/nouveau/nouveau_dmem.c:
//          nouveau_dmem_migrate_to_ram; drivers/gpu/drm/amd/amdkfd/kfd_migrate.c:
//          svm_migrate_to_ram (both ask for a page under the policy of the area);
//          mm/migrate_device.c: migrate_device_coherent_page.
// Omits    drivers that bring a whole range back at the fault of one page.
// Holds    ZDV6 a CPU's touch of a page that it cannot map brings it to system memory, wherever the
//          policy of its area says, for all who have it.
import { EBUSY } from '../base/errno.ts';
import type { Frame } from '../base/ids.ts';
import { __GFP_NOWARN, GFP_HIGHUSER, GFP_USER } from '../mm/gfp.ts';
import type { Kernel } from './kernel.ts';
import { migrateFrames } from './migrate.ts';
import { allocPages, allocUserPages, type FoundPolicy } from './policy_alloc.ts';
import type { Task } from './task.ts';

/**
 * Brings a page that CPUs cannot map to system memory, since a CPU needs it (migrate_to_ram).
 * @param found the policy at the address, and `index` the page's number for interleaving.
 * @returns false when there is no page to be had for it.
 */
export function migrateToRam(
  k: Kernel,
  task: Task,
  f: Frame,
  found: FoundPolicy,
  index: number,
): boolean {
  const target = (): Frame | undefined =>
    allocUserPages(k, task, GFP_HIGHUSER, found, index, 1, 'migration target') === 0
      ? undefined
      : (k.allocator.out[0] as Frame);
  return migrateFrames(k, [f], target, 'device back') === 0;
}

/**
 * Moves a page of coherent device memory out before it is pinned for long
 * (migrate_device_coherent_page). The page for it is asked for as the kernel's own: under the
 * task's policy, and not the area's.
 * @returns 0; -EBUSY when something holds the page, or there is no other for it.
 */
export function migrateCoherentOut(k: Kernel, task: Task, f: Frame): number {
  const target = (): Frame | undefined =>
    allocPages(k, task, GFP_USER | __GFP_NOWARN, 0, 'migration target') === 0
      ? undefined
      : (k.allocator.out[0] as Frame);
  return migrateFrames(k, [f], target, 'long-term pin') === 0 ? 0 : -EBUSY;
}
