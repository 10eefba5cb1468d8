// The model against a stock kernel that is booted for it: every shipped scenario that needs no
// device, and hundreds of random ones. Skipped where QEMU, a kernel or a compiler is missing.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { doctorRows, type GuestTools, guestTools } from '../guest/host.ts';
import { kernelLines } from '../scenario/print.ts';
import { planBoots } from './fuzz_plan.ts';
import { type FuzzOutcome, type FuzzTarget, fuzzBoot, fuzzCase } from './kernel_fuzz.ts';
import { type KernelRun, type KernelRunInput, kernelRun, kernelRunAll } from './kernel_run.ts';
import { loadScenario, shippedScenarios } from './load_scenario.ts';

const missing = doctorRows().filter((row) => row.found === undefined && row.isOptional !== true);
const isSkipped = missing.length > 0;
if (isSkipped) {
  const what = missing.map((row) => row.what).join(', ');
  console.warn(`SKIPPED: the model against a booted kernel: no ${what} (cdmlab kernel doctor)`);
}

const SEED = 'suite';
const NR_CASES = 200;
/** Cases that differ in some boots at least (SPEC KD-9): scenarios/regressions has them shrunk. */
const KNOWN: readonly number[] = [91];
/** The shrunk scenarios that differ in some boots at least (SPEC KD-9). */
const DIFFERENT: readonly string[] = ['kernel-fuzz-suite-91.cdm'];
/** They turn on the last pages of a node, where kswapd has a say: they must agree up to there. */
const ON_THE_BRINK: readonly string[] = ['unaware-app', 'device-depleted', 'one-percent-over'];
const JOBS = 2;
const MINUTES = 60_000;

const FOLDER = fileURLToPath(new URL('../../scenarios', import.meta.url));
const inFolder = (name: string): string[] =>
  readdirSync(`${FOLDER}/${name}`)
    .filter((file) => file.endsWith('.cdm'))
    .map((file) => `${FOLDER}/${name}/${file}`);

/** Pages of 1 GiB need nodes of some GiB; scenarios/gigantic has what is run by hand. */
const TOO_LARGE: readonly string[] = ['hugetlb-gigantic'];

/** Scenarios that a kernel without devices can run. */
const RUNNABLE = [
  ...shippedScenarios().filter((name) => !TOO_LARGE.includes(name)),
  ...inFolder('findings'),
  ...inFolder('regressions'),
].filter((name) => {
  try {
    kernelLines(loadScenario(name).scenario);
    return true;
  } catch {
    return false;
  }
});

test('[KRN3] a case is the same whatever ran before it', () => {
  const again = fuzzCase(SEED, 30);
  fuzzCase(SEED, 3);
  expect(fuzzCase(SEED, 30)).toEqual(again);
  expect(fuzzCase('other', 30).given.lines).not.toEqual(again.given.lines);
});

test('cases that are done are planned no more, and a boot has one machine', () => {
  const plan = planBoots(60, new Set([0, 1, 2, 30]));
  expect(plan.map((numbers) => numbers.length)).toEqual([22, 24, 10]);
  expect(plan.flat()).not.toContain(30);
  expect(planBoots([7, 99], new Set())).toEqual([[7], [99]]);
});

describe.skipIf(isSkipped)('the model against a booted kernel', () => {
  const toolsOf = (): GuestTools => guestTools({});
  const targetOf = (): FuzzTarget => ({ tools: toolsOf(), design: 'stock', append: '' });

  test(`[KRN1] ${NR_CASES} random scenarios are equal, but for those known`, {
    timeout: 4 * MINUTES,
  }, async () => {
    const target = targetOf();
    const queue = [...planBoots(NR_CASES, new Set())];
    const outcomes: FuzzOutcome[] = [];
    const worker = async (): Promise<void> => {
      for (let numbers = queue.shift(); numbers !== undefined; numbers = queue.shift()) {
        outcomes.push(...(await fuzzBoot(SEED, numbers, target)).outcomes);
      }
    };
    await Promise.all(Array.from({ length: JOBS }, worker));
    expect(outcomes.length).toBe(NR_CASES);
    const rest = outcomes.filter((o) => o.verdict !== 'equal');
    const words = rest.map(
      (o) => `${o.words}\n  again: cdmlab kernel fuzz --seed ${SEED} --only ${o.number}`,
    );
    const numbers = rest.map((o) => o.number).sort((a, b) => a - b);
    expect(
      numbers.filter((n) => !KNOWN.includes(n)),
      words.join('\n'),
    ).toEqual([]);
  });

  test('[KRN1] shipped scenarios, findings and shrunk differences are equal', {
    timeout: 4 * MINUTES,
  }, async () => {
    const tools = toolsOf();
    const given = RUNNABLE.map((name) => ({ ...loadScenario(name), design: 'stock', tools }));
    const runs = await kernelRunAll(given, JOBS);
    const isRight = (name: string, { verdict, step, steps }: KernelRun): boolean => {
      if (ON_THE_BRINK.includes(name)) return verdict !== 'not run' && (step ?? steps.length) > 5;
      const isKnown = DIFFERENT.some((file) => name.endsWith(file));
      return verdict === 'equal' || (isKnown && verdict === 'different');
    };
    const wrong: string[] = [];
    for (const [i, name] of RUNNABLE.entries()) {
      if (isRight(name, runs[i] as KernelRun)) continue;
      // [KRN4] A difference counts when it shows again.
      const again = await kernelRun(given[i] as KernelRunInput);
      if (isRight(name, again)) continue;
      const { verdict, words } = again;
      wrong.push(`${name}: ${verdict}, ${words}\n  again: cdmlab kernel run ${name}`);
    }
    expect(wrong).toEqual([]);
    expect(runs.length).toBeGreaterThan(30);
  });
});
