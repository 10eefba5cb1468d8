// Which cases of a fuzzing run share a boot, and what their outcomes come to.
import type { Family } from '../scenario/generate_weights.ts';
import { bootOf, CASES_PER_BOOT, type FuzzOutcome } from './kernel_fuzz.ts';

/** Numbers by boot, without those that are done. @param wanted how many from 0, or which. */
export function planBoots(
  wanted: number | readonly number[],
  done: ReadonlySet<number>,
  family?: Family,
): readonly (readonly number[])[] {
  const numbers =
    typeof wanted === 'number' ? Array.from({ length: wanted }, (_, i) => i) : [...wanted];
  const boots = new Map<number, number[]>();
  for (const number of numbers) {
    if (done.has(number)) continue;
    const of = bootOf(number, family);
    const boot = boots.get(of);
    if (boot === undefined || boot.length === CASES_PER_BOOT) boots.set(of, [number]);
    else boot.push(number);
  }
  return [...boots.values()];
}

export interface KernelVerdicts {
  readonly equal: number;
  readonly different: number;
  readonly notModelled: number;
  readonly notRun: number;
  /** Among all of them, those whose verdict is of a boot of their own. */
  readonly second: number;
}

/** How many cases have each verdict. */
export function kernelVerdicts(outcomes: readonly FuzzOutcome[]): KernelVerdicts {
  const nr = (verdict: FuzzOutcome['verdict']): number =>
    outcomes.filter((o) => o.verdict === verdict).length;
  return {
    equal: nr('equal'),
    different: nr('different'),
    notModelled: nr('not modelled'),
    notRun: nr('not run'),
    second: outcomes.filter((o) => o.isSecond).length,
  };
}
