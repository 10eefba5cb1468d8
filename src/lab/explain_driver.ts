// Where a page is that a driver handed out: no walk of the page allocator gave it, so what can be
// told is whose memory it is and which step put it there. And why a driver left a page where it is:
// its device's cache answered.
import type { Frame } from '../base/ids.ts';
import { thousands } from '../base/units.ts';
import type { DeviceMemoryType } from '../hooks/design.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { KIND_DRIVER } from '../mm/memmap.ts';
import type { PageName } from './comparison.ts';
import type { PageEvent } from './explain.ts';
import type { Session, Step } from './session.ts';

const TYPE_WORDS: Readonly<Record<DeviceMemoryType, string>> = {
  private: 'CPUs cannot map it, and their touch brings the page back (ZONE_DEVICE, private)',
  coherent: 'CPUs use it in place (ZONE_DEVICE, coherent)',
  none: 'the kernel does not know of it',
};

/** A frame that the page allocator does not have, in words; undefined for all others. */
export interface DriversFrame {
  /** `in the memory of gpu0 (node 2), which ...`. */
  readonly where: string;
  readonly isBuffer: boolean;
}

/** Whose memory a frame is, when a driver handed it out. */
export function driversFrame(k: Kernel, f: Frame): DriversFrame | undefined {
  const map = k.mem.deviceMemory.mapOf(f);
  if (map === undefined) return undefined;
  const device = k.machine.nodes.find((node) => node.id === map.nid)?.device ?? 'a device';
  const where =
    `in the memory of ${device} (node ${map.nid} of the machine), which its driver keeps and hands ` +
    `out itself: ${TYPE_WORDS[map.type]}`;
  return { where, isBuffer: k.mem.map.kind[f] === KIND_DRIVER };
}

/** Who put the page there: the last step that gave it a frame, up to `untilStep`. */
export function putThereBy(history: readonly PageEvent[], untilStep: number): string {
  const event = history.findLast(
    ({ state, step, note }) => state === 'page' && note === undefined && step <= untilStep,
  );
  return event === undefined ? '' : `Step ${event.step + 1} (${event.text}) put it there.`;
}

/** Visits of a page that a device's cache answered in a step, in words; if there are any. */
export function cacheWords(session: Session, step: Step, page: PageName): string | undefined {
  const { act } = step.op;
  const nrCached = Number(step.result.cached ?? 0);
  if (act.on !== 'task' || act.task !== page.task || nrCached === 0) return undefined;
  if (act.act.verb !== 'device_compute' || act.act.region !== page.region) return undefined;
  const { offset = 0, nrPages = Number.POSITIVE_INFINITY, device } = act.act;
  if (page.index < offset || page.index >= offset + nrPages) return undefined;
  const all = thousands(Number(step.result.computed ?? 0));
  const is = session.runner.devices.get(device)?.driver.policy === 'counters';
  const unseen = is ? ', and no access counter saw them' : '';
  return `the cache of ${device} answered ${thousands(nrCached)} of ${all} visits${unseen}`;
}

/** What kept a page where it is at the use of a CPU: a driver that saw it go to and fro. */
export function pinWords(session: Session, step: Step, page: PageName): string | undefined {
  const { act } = step.op;
  if (act.on !== 'task' || act.task !== page.task) return undefined;
  if (act.act.verb !== 'touch' && act.act.verb !== 'read') return undefined;
  const { region, offset = 0, nrPages = Number.POSITIVE_INFINITY } = act.act;
  const isIn = page.index >= offset && page.index < offset + nrPages;
  const task = session.runner.tasks.get(page.task);
  if (region !== page.region || !isIn || task?.isAlive !== true) return undefined;
  const { startVpn } = session.runner.regionsOf(page.task).range({ region });
  for (const { name, driver } of session.runner.devices.values()) {
    if (driver.policy !== 'migrate-back' || !driver.isPinned(task, startVpn + page.index)) continue;
    return `${name} keeps its block, which went to and fro too fast`;
  }
  return undefined;
}
