// What a scenario of a claim says of itself, in comments at its head: what was claimed, what a run
// shows of it, and the pages whose decisions show why.
//
//   # Claim   Khandual: nothing but device memory cannot be requested.
//   # Verdict does not hold
//   # Trace   buf:0 under allocator-gate
//   # Trace   more:65434 of greedy at 20 under zonelist
//
// Holds    CLM3 a verdict that something does not hold has a trace, which is the very decision.
import { UserError } from '../base/assert.ts';
import type { Design } from '../hooks/design.ts';
import type { Machine } from '../machine/machine.ts';
import type { Scenario } from '../scenario/ops.ts';
import { type Explanation, explainPage } from './explain.ts';

/** A page and the design under which its decision is told. */
export interface TraceName {
  readonly region: string;
  /** Pages from the region's start. */
  readonly index: number;
  readonly task?: string | undefined;
  /** After this step, from 0; the last when absent. */
  readonly atStep?: number | undefined;
  readonly design: string;
}

export interface Claim {
  /** `Khandual: nothing but device memory cannot be requested.` */
  readonly claim: string;
  /** `does not hold`. */
  readonly verdict: string;
  /** The run contradicts the claim, or a part of it. */
  readonly isContradicted: boolean;
  readonly traces: readonly TraceName[];
}

/** A claim with the decisions that were traced for it. */
export interface JudgedClaim extends Claim {
  readonly explanations: readonly Explanation[];
}

const TRACE =
  /^([A-Za-z]\w*):(\d{1,9})(?: of ([A-Za-z]\w*))?(?: at (\d{1,9}))? under ([a-z0-9-]+)$/;

/** The comment after `# Claim` or `# Verdict`, as one line; empty when there is none. */
function said(text: string, what: 'Claim' | 'Verdict'): string {
  const match = new RegExp(`^# ${what} +((?:.*\n#  {4,})*.*)$`, 'm').exec(text);
  return (match?.[1] ?? '').replaceAll(/\n# +/g, ' ');
}

/**
 * Reads what a scenario's text says of a claim; undefined when it says nothing of one.
 * @throws UserError for a trace that cannot be read.
 */
export function claimOf(text: string, file: string): Claim | undefined {
  const [claim, verdict] = [said(text, 'Claim'), said(text, 'Verdict')];
  if (claim === '' || verdict === '') return undefined;
  const traces = [...text.matchAll(/^# Trace +(.*?) *$/gm)].map((found): TraceName => {
    const match = TRACE.exec(found[1] ?? '');
    if (match === null) {
      const line = text.slice(0, found.index).split('\n').length;
      const expected = 'expected for example "# Trace buf:16 of app at 8 under zonelist"';
      throw new UserError(`"${found[1]}" is no trace; ${expected}`, { file, line });
    }
    const [, region = '', index = '', task, step, design = ''] = match;
    const atStep = step === undefined ? {} : { atStep: Number(step) - 1 };
    return {
      region,
      index: Number(index),
      ...(task === undefined ? {} : { task }),
      ...atStep,
      design,
    };
  });
  return { claim, verdict, isContradicted: /\bdoes not\b/.test(verdict), traces };
}

/** A claim with the decisions behind its traces, of those designs that are among `designs`. */
export function judgeClaim(
  claim: Claim,
  scenario: Scenario,
  machine: Machine,
  designs: readonly Design[],
): JudgedClaim {
  const explanations = claim.traces.flatMap((trace) => {
    const design = designs.find((d) => d.id === trace.design);
    return design === undefined ? [] : [explainPage({ scenario, machine, ...trace, design })];
  });
  return { ...claim, explanations };
}
