// Operations that keep pages of a task where they are: locks and pins.
import { pinPages, unpinPages } from '../kernel/gup.ts';
import { mlock, mlockall, munlock, munlockall } from '../kernel/mlock.ts';
import type { OpResult, TaskAct } from './ops.ts';
import { plain } from './run_results.ts';
import type { TaskContext } from './run_task.ts';
import type { HoldVerb } from './words.ts';

/** Runs one of them. */
export function runHold(c: TaskContext, act: Extract<TaskAct, { verb: HoldVerb }>): OpResult {
  const { k, task } = c;
  if (act.verb === 'munlockall') return plain(munlockall(k, task));
  if (act.verb === 'mlockall') {
    const { words } = act;
    const which = { current: words.includes('current'), future: words.includes('future') };
    return plain(mlockall(k, task, which, words.includes('onfault') ? 'on fault' : 'at once'));
  }
  const { startVpn, nrPages } = c.regions.range(act);
  switch (act.verb) {
    case 'mlock':
      return plain(mlock(k, task, startVpn, nrPages, act.onFault ? 'on fault' : 'at once'));
    case 'munlock':
      return plain(munlock(k, task, startVpn, nrPages));
    case 'pin':
      return plain(pinPages(k, task, startVpn, nrPages, act.longterm === true));
    case 'unpin':
      return plain(unpinPages(k, task, startVpn, nrPages));
  }
}
