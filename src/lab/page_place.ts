// Pages by the names that scenarios give them: task, region, number from the region's start.
import { UserError } from '../base/assert.ts';
import type { Frame } from '../base/ids.ts';
import { type HugeVma, hugeIndex, isHuge } from '../kernel/hugetlb_area.ts';
import {
  anyFrameOf,
  PTE_POISON,
  PTE_ZERO_PAGE,
  pteFrame,
  pteIsPage,
  pteIsSwap,
} from '../kernel/page_table.ts';
import type { Task } from '../kernel/task.ts';
import { nearMisses } from '../machine/near_misses.ts';
import type { Act, Scenario } from '../scenario/ops.ts';
import type { PageName } from './comparison.ts';
import type { Session, Step } from './session.ts';

/** What is at a page of a task. */
export type PageState =
  | {
      readonly kind:
        | 'no task'
        | 'dead task'
        | 'not mapped'
        | 'empty'
        | 'zero page'
        | 'in swap'
        | 'broken';
    }
  /** `isMapped` is false for a page of a shared object that the task has not touched itself. */
  | { readonly kind: 'page'; readonly frame: Frame; readonly isMapped: boolean };

/** Looks a page up as it is now. */
export function pageState(session: Session, page: PageName): PageState {
  const { runner } = session;
  const task = runner.tasks.get(page.task);
  if (task === undefined) return { kind: 'no task' };
  if (!task.isAlive) return { kind: 'dead task' };
  const vpn = runner.regionsOf(page.task).vpnOf(page.region, page.index);
  const vma = task.mm.lookup(vpn);
  if (vma === undefined) return { kind: 'not mapped' };
  if (isHuge(vma)) return hugeState(task, vma, vpn);
  const pte = task.mm.pageTable.get(vpn);
  const frame = anyFrameOf(pte);
  if (frame !== -1) return { kind: 'page', frame, isMapped: true };
  if (pte === PTE_ZERO_PAGE) return { kind: 'zero page' };
  if (pte === PTE_POISON) return { kind: 'broken' };
  if (pteIsSwap(pte)) return { kind: 'in swap' };
  const index = vma.pgoff + (vpn - vma.startVpn);
  const shared = (vma.object ?? vma.file?.inode)?.page(index);
  if (shared === undefined && vma.object?.slot(index) !== undefined) return { kind: 'in swap' };
  return shared === undefined
    ? { kind: 'empty' }
    : { kind: 'page', frame: shared, isMapped: false };
}

function hugeState(task: Task, vma: HugeVma, vpn: number): PageState {
  const pte = task.mm.pageTable.getHuge(vpn);
  if (pteIsPage(pte)) return { kind: 'page', frame: pteFrame(pte), isMapped: true };
  const shared = vma.huge.inode.pages.get(hugeIndex(vma, vpn));
  return shared === undefined
    ? { kind: 'empty' }
    : { kind: 'page', frame: shared, isMapped: false };
}

/** The page at which a run of faults stopped, or undefined for other operations. */
export function stoppedAt(session: Session, step: Step): PageName | undefined {
  const { act } = step.op;
  const { result } = step;
  if (act.on !== 'task' || result.ret === 0) return undefined;
  const done = result.touched ?? result.read ?? result.computed;
  const range = rangeOf(session, act);
  if (typeof done !== 'number' || range === undefined) return undefined;
  return { task: act.task, region: range.region, index: range.start + done };
}

/** The last page that an operation on a range did; undefined when it does not count its pages. */
export function lastOf(session: Session, step: Step): PageName | undefined {
  const { act } = step.op;
  const done = step.result.touched ?? step.result.read ?? step.result.computed;
  const range = rangeOf(session, act);
  if (act.on !== 'task' || range === undefined || typeof done !== 'number') return undefined;
  return { task: act.task, region: range.region, index: range.start + Math.max(0, done - 1) };
}

/** Pages that an operation of a task names, as numbers from the region's start. */
export function rangeOf(
  session: Session,
  act: Act,
): { region: string; start: number; end: number } | undefined {
  if (act.on !== 'task' || !('region' in act.act) || act.act.region === undefined) return undefined;
  const { region } = act.act;
  const table = session.runner.regionsOf(act.task);
  const { startVpn, nrPages } = table.range({ ...act.act, region });
  const unit = table.unitOf(region);
  const start = (startVpn - table.startOf(region)) / unit;
  return { region, start, end: start + nrPages / unit };
}

/**
 * Checks that a scenario has a page's region and task; without a task, finds the one meant.
 * @throws UserError that lists what there is.
 */
export function findPage(
  scenario: Scenario,
  page: { readonly region: string; readonly index: number; readonly task?: string | undefined },
): PageName {
  const { region, index } = page;
  const among = (known: readonly string[], word: string): string => {
    const near = nearMisses(word, known)[0];
    return near === undefined ? `there are ${known.join(', ') || 'none'}` : `did you mean ${near}?`;
  };
  const regions = Object.keys(scenario.regions);
  if (!regions.includes(region)) {
    throw new UserError(`no region "${region}" in ${scenario.name}; ${among(regions, region)}`);
  }
  const tasks = Object.keys(scenario.tasks);
  if (page.task !== undefined) {
    if (tasks.includes(page.task)) return { task: page.task, region, index };
    const hint = among(tasks, page.task);
    throw new UserError(`no task "${page.task}" in ${scenario.name}; ${hint}`);
  }
  const mapped = new Set(
    scenario.ops.flatMap(({ act }) =>
      act.on === 'task' && act.act.verb === 'mmap' && act.act.region === region ? [act.task] : [],
    ),
  );
  const [only] = mapped;
  if (only === undefined) throw new UserError(`${scenario.name} never maps region "${region}"`);
  if (mapped.size > 1) {
    throw new UserError(`tasks ${[...mapped].join(', ')} map region "${region}": name one`);
  }
  return { task: only, region, index };
}
