// Where a page is that a driver handed out: no walk of the page allocator gave it, so what can be
// told is whose memory it is and which step put it there.
import type { Frame } from '../base/ids.ts';
import type { DeviceMemoryType } from '../hooks/design.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { KIND_DRIVER } from '../mm/memmap.ts';
import type { PageEvent } from './explain.ts';

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
  const event = history.findLast(({ state, step }) => state === 'page' && step <= untilStep);
  return event === undefined ? '' : `Step ${event.step + 1} (${event.text}) put it there.`;
}
