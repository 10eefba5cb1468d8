// One attempt of the page allocator in words: the list it walked, why that one, and what became of
// every zone on it and of the nodes that are not on it.
import { nodeId } from '../base/ids.ts';
import { MASK_CPUSET, MASK_REQUEST } from '../hooks/design.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { ATTEMPT, type Decision, type DecisionStep, VERDICT } from '../mm/decision_log.ts';
import { gfpZone, MAX_NR_ZONES, ZONE_NAMES } from '../mm/gfp.ts';
import { FAILURE, type Failure } from '../mm/internal.ts';
import { LIST, nodeZonelist } from '../mm/zonelist.ts';
import type { ExplainedZone, ZoneLabel } from './comparison.ts';

/** A zone of a walk, with a word or two for narrow columns. */
export interface WalkedZone extends ExplainedZone {
  readonly short: string;
}

/** Names of a node's lists, by their numbers in the log. */
const LIST_NAMES = {
  [LIST.FALLBACK]: 'FALLBACK',
  [LIST.NOFALLBACK]: 'NOFALLBACK',
  [LIST.PRIVATE]: 'PRIVATE',
  [LIST.PRIVATE_NOFALLBACK]: 'PRIVATE, only itself',
} as const;
export type ListName = (typeof LIST_NAMES)[keyof typeof LIST_NAMES];

export interface ExplainedAttempt {
  /**
   * `fast`: above the low watermark; `slow`: above min; `drained`: again, after the
   * per-CPU lists were emptied; `last`: above high, before an OOM kill;
   * `pool`: over the pools of huge pages.
   */
  readonly attempt: AttemptName;
  /** Whose list, and which of the node's. */
  readonly list: { readonly owner: number; readonly kind: ListName };
  /** Which nodes the walk was confined to, and who said so. */
  readonly mask: string;
  /** In the order of the walk. */
  readonly zones: readonly WalkedZone[];
  /** Zones of the list behind the one that was taken. */
  readonly notReached: readonly ZoneLabel[];
  /** Nodes with memory that the list does not hold, each with the reason. */
  readonly missing: readonly { readonly nid: number; readonly why: string }[];
  readonly isGiven: boolean;
}

const ATTEMPT_NAMES = {
  [ATTEMPT.FAST]: 'fast',
  [ATTEMPT.SLOW]: 'slow',
  [ATTEMPT.DRAINED]: 'drained',
  [ATTEMPT.OOM]: 'last',
  [ATTEMPT.POOL]: 'pool',
  [ATTEMPT.RESERVES]: 'reserves',
} as const;
/** The tries of one request, in their order. */
export type AttemptName = (typeof ATTEMPT_NAMES)[keyof typeof ATTEMPT_NAMES];
/** A pool has no watermark; the column needs one. */
const MARKS = {
  fast: 'low',
  slow: 'min',
  drained: 'min',
  last: 'high',
  pool: 'low',
  reserves: 'min',
} as const;

/** Why a request failed, for people. */
export const FAILURE_WORDS: Readonly<Record<Failure, string>> = {
  [FAILURE.NONE]: 'nothing failed',
  [FAILURE.NO_ZONE]:
    'the list holds no zone that the request may ever use: it fails at once and nobody is killed, ' +
    'so a page fault is tried again for ever',
  [FAILURE.NOT_ADMITTED]: 'design or cpuset keep it off every zone: the OOM killer is asked',
  [FAILURE.NO_PAGES]:
    'the zones that admit it are down to their min watermark, and there is nothing to reclaim: ' +
    'the OOM killer is asked',
  [FAILURE.OVER_QUOTA]:
    "the task's group may have no more of the nodes that would admit it: one of the group is killed",
  [FAILURE.NO_RECLAIM]: 'the caller asked for no reclaim and no OOM kill: it gets nothing',
  [FAILURE.STUCK]:
    'the request must not fail, and neither reclaim nor the OOM killer has a page for it: it is ' +
    'tried again for ever',
  [FAILURE.KILLED]: 'the OOM killer took the task itself',
  [FAILURE.NO_HUGE_PAGE]:
    'no node that the request may use has a free huge page: the task gets SIGBUS, unless ' +
    'overcommit allows a page beyond the pool',
};

/**
 * Puts an attempt into words.
 * @param freeBefore free pages by zone before the request.
 */
export function explainAttempt(
  k: Kernel,
  d: Decision,
  freeBefore: ArrayLike<number>,
): ExplainedAttempt {
  const attempt = ATTEMPT_NAMES[d.attempt as keyof typeof ATTEMPT_NAMES];
  const { zones, lists } = k.mem;
  const isAlone = d.list === LIST.NOFALLBACK || d.list === LIST.PRIVATE_NOFALLBACK;
  const list = nodeZonelist(lists, nodeId(d.listOwner), d.gfp);
  const all = Array.from(list.zones);
  const label = (z: number): ZoneLabel => ({
    nid: zones.nid[z] as number,
    zone: k.mem.zoneName(z),
  });
  const last = d.isGiven ? all.indexOf(d.steps.at(-1)?.zone ?? -1) : all.length;
  return {
    attempt,
    list: { owner: d.listOwner, kind: LIST_NAMES[d.list] },
    mask: maskWords(d),
    zones: d.steps.map((step) => ({
      ...label(step.zone),
      ...verdictWords(k, d, step, MARKS[attempt], freeBefore),
    })),
    notReached: all.slice(last + 1).map(label),
    missing: isAlone ? [] : missingNodes(k, d.listOwner, all),
    isGiven: d.isGiven,
  };
}

function maskWords(d: Decision): string {
  if (d.maskOrigin === MASK_REQUEST) return `nodes ${d.context?.nodemask}, a mask of the request`;
  if (d.maskOrigin === MASK_CPUSET) {
    return `the cpuset's nodes (${d.context?.cpuset}) stand in for a mask the request has not`;
  }
  return 'no nodemask';
}

function missingNodes(
  k: Kernel,
  owner: number,
  list: readonly number[],
): { nid: number; why: string }[] {
  const held = new Set(list.map((z) => k.mem.zones.nid[z]));
  const holds = k.design.answers.fallbackListHolds;
  return k.states.anyMemory
    .toArray()
    .filter((nid) => !held.has(nid))
    .map((nid) => {
      const isByDesign =
        k.states.privateMemory.has(nid) || holds?.(nodeId(owner), nid, k.states) === false;
      const why = isByDesign
        ? `not in this list: the design (${k.design.id}) keeps it out when lists are built`
        : 'not in this list: no zone with pages';
      return { nid: Number(nid), why };
    });
}

type Words = Pick<WalkedZone, 'verdict' | 'short' | 'freePages' | 'watermarkPages'>;

function verdictWords(
  k: Kernel,
  d: Decision,
  step: DecisionStep,
  mark: 'low' | 'min' | 'high',
  freeBefore: ArrayLike<number>,
): Words {
  const { zones } = k.mem;
  const column = { low: zones.wmarkLow, min: zones.wmarkMin, high: zones.wmarkHigh }[mark];
  const watermarkPages = column[step.zone] as number;
  // A record of pages taken has what is left after them; a first try is told with what there was.
  const isFirstTaken = step.verdict === VERDICT.TAKEN && d.attempt === ATTEMPT.FAST;
  const freePages = isFirstTaken ? (freeBefore[step.zone] as number) : step.freePages;
  const reserve = zones.lowmemReserve[step.zone * MAX_NR_ZONES + gfpZone(d.gfp)] as number;
  const looked = { freePages, watermarkPages };
  switch (step.verdict) {
    case VERDICT.TAKEN:
      if (d.attempt === ATTEMPT.POOL) {
        return { freePages, verdict: "taken from the node's pool", short: 'taken' };
      }
      return { ...looked, verdict: 'taken', short: 'taken' };
    case VERDICT.WATERMARK: {
      if (d.order > 0 && freePages - (2 ** d.order - 1) > watermarkPages + reserve) {
        const what = `no free block of order ${d.order} among ${freePages} free pages`;
        return { ...looked, verdict: what, short: 'no block' };
      }
      const kept = reserve > 0 ? ` with ${reserve} more kept for lower zones` : '';
      const verdict = `too full: ${freePages} free, ${mark} watermark ${watermarkPages}${kept}`;
      return { ...looked, verdict, short: `below ${mark}` };
    }
    case VERDICT.NODEMASK: {
      const isCpuset = d.maskOrigin === MASK_CPUSET;
      const verdict = isCpuset ? "not among the cpuset's nodes" : 'not in the nodemask';
      return { freePages, verdict, short: isCpuset ? 'not in cpuset' : 'not in mask' };
    }
    case VERDICT.CPUSET:
      return { freePages, verdict: "not among the cpuset's nodes", short: 'not in cpuset' };
    case VERDICT.GATED: {
      const refusal = k.design.answers.zoneGate?.refusal ?? 'kept off';
      return { freePages, verdict: `passed over by the design: ${refusal}`, short: 'gated' };
    }
    case VERDICT.QUOTA: {
      const refusal = k.design.answers.nodeCharge?.refusal ?? 'counted';
      return { freePages, verdict: `passed over by the design: ${refusal}`, short: 'over quota' };
    }
    case VERDICT.NO_BLOCK:
      return { ...looked, verdict: `no free block of order ${d.order}`, short: 'no block' };
    case VERDICT.ZONE_TYPE: {
      const highest = ZONE_NAMES[gfpZone(d.gfp)];
      const verdict = `this kind of request goes up to zone ${highest}`;
      return { freePages, verdict, short: 'zone type' };
    }
    case VERDICT.DIRTY:
      return {
        freePages,
        verdict: 'has its share of dirty file pages, and this one is to be written',
        short: 'too dirty',
      };
    case VERDICT.NO_HUGE_PAGE:
      return {
        freePages,
        verdict: "no free huge page in the node's pool",
        short: 'pool empty',
      };
    case VERDICT.NOFRAGMENT: {
      const verdict = 'on another node: first the near zones again, mixing page blocks there';
      return { freePages, verdict, short: 'near first' };
    }
  }
}
