// Properties: fast-check with a seed that is the same in every run, and a line that says how to
// repeat a failure.
// Usage    FC_SEED and FC_PATH repeat one failure, FC_RUNS asks for more runs (a whole number).
import fc from 'fast-check';
import { expect } from 'vitest';
import { hashText } from '../../src/base/prng.ts';

const numberFrom = (name: string): number | undefined => {
  const text = process.env[name];
  return text === undefined ? undefined : Number(text);
};

/**
 * Checks a property of what `arbitrary` draws; `holds` throws where it does not hold.
 * @param runs how many draws, unless FC_RUNS says otherwise.
 */
export function check<T>(
  arbitrary: fc.Arbitrary<T>,
  runs: number,
  holds: (value: T) => void,
): void {
  const { currentTestName = '', testPath = '' } = expect.getState();
  const path = process.env['FC_PATH'];
  const details = fc.check(
    fc.property(arbitrary, (value) => holds(value)),
    {
      seed: numberFrom('FC_SEED') ?? hashText(currentTestName) >>> 1,
      numRuns: numberFrom('FC_RUNS') ?? runs,
      ...(path === undefined ? {} : { path }),
    },
  );
  if (!details.failed) return;
  const file = testPath.replace(/^.*?\/(src|test)\//, '$1/');
  const name = (currentTestName.split(' > ').at(-1) ?? '').replace(/[^\w ,]/g, '.');
  const seed = `FC_SEED=${details.seed} FC_PATH=${details.counterexamplePath}`;
  throw new Error(
    [
      `fails for ${fc.stringify(details.counterexample?.[0])}`,
      `after ${details.numRuns} runs and ${details.numShrinks} steps of shrinking`,
      `repeat with: ${seed} npx vitest run ${file} -t "${name}"`,
      `${details.errorInstance instanceof Error ? details.errorInstance.message : ''}`,
    ].join('\n'),
    { cause: details.errorInstance },
  );
}

/**
 * Draws for one of `nr` subjects that share `total` of them, at least 4 each: the suite keeps its
 * length as subjects are added. FC_RUNS asks for more.
 */
export const share = (total: number, nr: number): number => Math.max(4, Math.ceil(total / nr));
