// Who died in a step, and for whom: what the OOM killer does to a task shows in no result of its
// own.
import type { Kill } from '../kernel/oom.ts';
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
  /** Whose limit was hit and how the choice fell, in words, where it was that of a group. */
  readonly why?: string | undefined;
}

/** Does the result of the operation, `KILLED` or `LIVELOCK`, say all there is to say? */
export const isToldByResult = (death: Death, act: Act): boolean =>
  death.why === undefined && isOfResult(death, act);

/** Is it the death that the result of the operation tells of? */
export function isOfResult(death: Death, act: Act): boolean {
  const own = act.on === 'task' ? act.task : act.on === 'fork' ? act.parent : undefined;
  return death.task === own && (death.askedBy ?? own) === own;
}

/** `worker killed by the OOM killer, for a page of app`. */
export function deathWords({ task, by, askedBy, why }: Death): string {
  if (askedBy === undefined) return `${task} died of ${by}`;
  if (why !== undefined) return why;
  return `${task} killed by the OOM killer, for memory that ${askerOf(askedBy)} asked for`;
}

const askerOf = (name: string): string => (name === 'kthread' ? 'the kernel itself' : name);

/** What a kill was for: whose limit was hit, and who was picked of how many, and why. */
export function killWords(kill: Kill): string {
  const { victim, asking, lack, group, points, nrCandidates, withGroup } = kill;
  const who = askerOf(asking);
  if (withGroup !== undefined) {
    return `${victim} killed with group ${withGroup}, whose tasks die together (memory.oom.group)`;
  }
  const need = asking === 'kthread' ? 'which has just been set' : `and ${who} asked for more`;
  const limits: Readonly<Record<Kill['lack'], string>> = {
    memory: `${who} found no page`,
    share: `the group of ${who} has had its share of the node`,
    group: `group ${group?.path} is at its limit of ${group?.maxPages} pages (memory.max), ${need}`,
  };
  const choice =
    nrCandidates === 1
      ? 'no other task may be taken'
      : `of ${nrCandidates} tasks that may be taken it has most, ${points} pages`;
  return `${victim} killed by the OOM killer: ${limits[lack]}; ${choice}`;
}
