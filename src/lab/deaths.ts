// Who died in a step, and for whom: what the OOM killer does to a task shows in no result of its
// own.
import type { Act } from '../scenario/ops.ts';

/** Results that end a task, or with PANIC all of them. */
export const KILLED: ReadonlySet<string> = new Set(['KILLED', 'SIGBUS', 'SIGSEGV', 'PANIC']);
/** Results of a task that goes on for ever without a page. */
export const STUCK: ReadonlySet<string> = new Set(['LIVELOCK']);
/** Results after which a task does nothing any more. */
export const FATAL: ReadonlySet<string> = new Set([...KILLED, ...STUCK]);

/** A task that died in a step without having asked for it. */
export interface Death {
  readonly task: string;
  /** The signal, or `LIVELOCK` for a task that was taken away from a fault retried for ever. */
  readonly by: string;
  /** Whose request the OOM killer took it for; absent when it was not the OOM killer. */
  readonly askedBy?: string | undefined;
}

/** True when the result of the operation, `KILLED` or `LIVELOCK`, says all there is to say. */
export function isToldByResult(death: Death, act: Act): boolean {
  const own = act.on === 'task' ? act.task : act.on === 'fork' ? act.parent : undefined;
  return death.task === own && (death.askedBy ?? own) === own;
}

/** `worker killed by the OOM killer, for a page of app`. */
export function deathWords({ task, by, askedBy }: Death): string {
  if (askedBy === undefined) return `${task} died of ${by}`;
  const whose = askedBy === 'kthread' ? 'the kernel itself' : askedBy;
  return `${task} killed by the OOM killer, for memory that ${whose} asked for`;
}
