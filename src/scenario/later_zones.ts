// Does a scenario bring boot memory back in ZONE_MOVABLE? Only then have nodes of boot memory that
// zone, since a zone that nothing is ever in would be one more to look at in every run.
import type { Machine } from '../machine/machine.ts';
import type { Op } from './ops.ts';

/** Could an operation put a block that went offline into a zone that boot did not fill? */
export function mayMoveBootMemory(ops: readonly Pick<Op, 'act'>[], machine: Machine): boolean {
  const boot = new Set<number>(
    machine.nodes.filter((n) => n.memoryZone === 'boot' && n.ranges.length > 0).map((n) => n.id),
  );
  return ops.some(({ act }) => {
    if (act.on !== 'sys') return false;
    if (act.act.verb === 'online_node') return act.act.zone === 'MOVABLE' && boot.has(act.act.node);
    if (act.act.verb !== 'write') return false;
    const { path, value } = act.act;
    const isPolicy = path.endsWith('/online_policy') && value.startsWith('auto-movable');
    return isPolicy || (path.endsWith('/state') && value === 'online_movable');
  });
}
