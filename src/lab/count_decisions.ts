// How many page requests a log holds, and how many zones were looked at for them: what a design
// costs those who allocate. The kernel walks anew for each page, so a record of n pages counts n
// times.
import { ATTEMPT, type Decision, type DecisionLog, VERDICT } from '../mm/decision_log.ts';

export interface CountedDecisions {
  /** Requests: one per page given (one per block of a higher order), and one per failure. */
  readonly nrRequests: number;
  readonly nrZones: number;
}

/** Counts a whole log. */
export function countDecisions(log: DecisionLog): CountedDecisions {
  let nrRequests = 0;
  let nrZones = 0;
  let open: Decision | undefined;
  for (const d of log.records()) {
    if (open !== undefined && isNewRequest(open, d)) nrRequests++;
    nrZones += d.steps.length * Math.max(1, d.nrPages);
    nrRequests += d.isGiven ? d.nrPages : 0;
    open = d.isGiven ? undefined : d;
  }
  return { nrRequests: nrRequests + (open === undefined ? 0 : 1), nrZones };
}

/**
 * Does a record open a request of its own, after an attempt that failed? Slower attempts follow
 * fast ones; a second fast one follows when the first passed over zones so as not to mix page
 * blocks.
 */
function isNewRequest(failed: Decision, next: Decision): boolean {
  if (next.attempt === ATTEMPT.POOL) return true;
  if (next.attempt !== ATTEMPT.FAST) return false;
  if (failed.attempt !== ATTEMPT.FAST || failed.context !== next.context) return true;
  return !failed.steps.some((s) => s.verdict > VERDICT.NODEMASK && s.verdict < VERDICT.ZONE_TYPE);
}
