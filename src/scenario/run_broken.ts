// Operations under which memory breaks: errors in pages, and links that go down.
import type { NodeId } from '../base/ids.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { breakEntry, failLink, injectErrors } from '../kernel/memory_failure.ts';
import type { Task } from '../kernel/task.ts';
import type { OpResult } from './ops.ts';
import { plain } from './run_results.ts';
import type { TaskContext } from './run_task.ts';

/** Is this advice of madvise one that breaks pages? */
export const breaksPages = (advice: string): boolean =>
  advice === 'hwpoison' || advice === 'soft_offline';

/** madvise of a task on its own pages. */
export function breakPages(
  c: TaskContext,
  range: { readonly startVpn: number; readonly nrPages: number },
  advice: string,
): OpResult {
  const { startVpn, nrPages } = range;
  return plain(injectErrors(c.k, c.task, startVpn, nrPages, advice === 'soft_offline'));
}

/** An error that the controller reports, in the page of a task: hard_offline_page and its like. */
export function breakPageOf(k: Kernel, task: Task, vpn: number, isSoft: boolean): OpResult {
  const { pageTable } = task.mm;
  const huge = pageTable.getHuge(vpn);
  return plain(breakEntry(k, k.kthread, huge === 0 ? pageTable.get(vpn) : huge, isSoft));
}

/** A link goes down; what was lost. When the kernel's own pages were, nothing runs any more. */
export function runLinkFailure(k: Kernel, node: number): OpResult {
  const { ret, nrFree, nrUsed } = failLink(k, node as NodeId);
  if (k.panic !== undefined) return { ret: 'PANIC', note: k.panic };
  return { ...plain(ret), free: nrFree, used: nrUsed };
}
