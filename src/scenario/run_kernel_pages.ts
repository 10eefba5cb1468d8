// Operations of parts of the kernel that a task has called: pages for their own use.
import { UserError } from '../base/assert.ts';
import { ENOENT, ENOMEM } from '../base/errno.ts';
import { type NodeId, nodeId } from '../base/ids.ts';
import { exitTask } from '../kernel/fork.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { allocKernelPages, freeKernelPages } from '../kernel/kernel_pages.ts';
import { gfpNamed } from '../mm/gfp.ts';
import { FAILURE } from '../mm/internal.ts';
import type { OpResult, TaskAct } from './ops.ts';
import { plain } from './run_results.ts';
import type { TaskContext } from './run_task.ts';

type Act<V extends TaskAct['verb']> = Extract<TaskAct, { verb: V }>;

function nodeOf(k: Kernel, node: number): NodeId {
  if (k.mem.lists.fallback[node] !== undefined) return nodeId(node);
  const nodes = k.machine.nodes.map(({ id }) => id).join(', ');
  throw new UserError(`node=${node}: the machine has no such node; it has: ${nodes}`);
}

/** Asks for blocks: `given` of them, and `counts` pages by node. */
export function runAllocPages({ k, task }: TaskContext, act: Act<'alloc_pages'>): OpResult {
  const { nrBlocks, order = 0, node } = act;
  const gfp = gfpNamed(act.gfp);
  const nid = node === undefined ? undefined : nodeOf(k, node);
  if (order > k.mem.maxOrder) {
    throw new UserError(`order=${order}: the largest block has order ${k.mem.maxOrder}`);
  }
  const blocks = allocKernelPages(k, task, act.name, { nrBlocks, order, gfp, nid });
  const counts: Record<string, number> = {};
  for (const { f } of blocks) {
    const key = String(k.allocator.nidOf(f));
    counts[key] = (counts[key] ?? 0) + 2 ** order;
  }
  const came = { given: blocks.length, counts };
  if (blocks.length === nrBlocks) return { ret: 0, ...came };
  if (k.allocator.failure !== FAILURE.STUCK) return { ...plain(-ENOMEM), ...came };
  if (task.isAlive) exitTask(k, task, 'SIGKILL');
  const note = 'the request must not fail, and there is no page for it: it is retried for ever';
  return { ret: 'LIVELOCK', note, ...came };
}

/** Gives back all that is held under a name. */
export function runFreePages({ k }: TaskContext, act: Act<'free_pages'>): OpResult {
  const freed = freeKernelPages(k, act.name);
  return freed === undefined ? plain(-ENOENT) : { ret: 0, freed };
}
