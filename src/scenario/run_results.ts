// Shapes of results that several operations share, named as runs on real kernels name them.
import { errnoName } from '../base/errno.ts';
import type { Nodemask } from '../base/nodemask.ts';
import { MODE_NAMES } from '../hooks/policy_modes.ts';
import { FAULT, type FaultRun } from '../kernel/fault.ts';
import type { PolicyShown } from '../kernel/mempolicy_calls.ts';
import type { OpResult } from './ops.ts';

/** `ret` of a kernel number: a negative errno by name, anything else as it is. */
export const ret = (value: number): number | string => (value < 0 ? errnoName(value) : value);

export const plain = (value: number): OpResult => ({ ret: ret(value) });

/** The words for what stopped a task, and what a person should know about it. */
export const FAULT_WORDS: Readonly<Record<number, string>> = {
  [FAULT.SIGSEGV]: 'SIGSEGV',
  [FAULT.RETRY]: 'LIVELOCK',
  [FAULT.KILLED]: 'KILLED',
  [FAULT.SIGBUS]: 'SIGBUS',
  [FAULT.HWPOISON]: 'SIGBUS',
};

const FAULT_NOTES: Readonly<Record<number, string>> = {
  [FAULT.RETRY]:
    'an allocation that the fault needs fails without an OOM kill: the fault is retried for ever',
};

/**
 * Result of an operation that faults pages; `counted` names the pages done.
 * @param unit small pages in a page of the region.
 */
export function faultResult(run: FaultRun, counted: string, unit = 1): OpResult {
  const done = Math.floor(run.done / unit);
  if (run.fault === FAULT.OK) return { ret: 0, [counted]: done };
  const note = FAULT_NOTES[run.fault];
  return {
    ret: FAULT_WORDS[run.fault] as string,
    ...(run.fault === FAULT.KILLED ? { killedBy: 'SIGKILL' } : {}),
    ...(note === undefined ? {} : { note }),
    [counted]: done,
  };
}

/** mode, flags and nodes as get_mempolicy shows them. */
export const policyResult = (shown: PolicyShown): OpResult => ({
  ret: 0,
  mode: MODE_NAMES[shown.mode] as string,
  flags: shown.flags,
  nodes: numbers(shown.nodes),
});

export const numbers = (mask: Nodemask): number[] => mask.toArray().map(Number);
