// Random scenarios on random machines, on a real kernel and in the model: many to a boot, several
// boots at a time, and every difference shrunk to the shortest scenario that shows it.
// Holds    KRN3 a case is a function of seed and number alone: how many there are, how many boots
//          run at a time and what ran before change nothing. KRN4 a difference counts only when it
//          shows again in a boot of its own.
import { Prng } from '../base/prng.ts';
import { bootGuest } from '../guest/boot.ts';
import { GIGANTIC_GUEST_MIB, giganticMachine } from '../guest/gigantic_machine.ts';
import { type GuestMachine, guestMachine } from '../guest/guest_machine.ts';
import type { GuestTools } from '../guest/host.ts';
import { guestBootWords } from '../guest/lower.ts';
import { cpusetOf } from '../guest/protocol.ts';
import { randomMachine } from '../guest/random_machine.ts';
import type { Machine } from '../machine/machine.ts';
import { generateScenario, machineNodes } from '../scenario/generate.ts';
import { inPieces } from '../scenario/generate_pieces.ts';
import { FAMILIES, type Family, LARGE_FAMILIES } from '../scenario/generate_weights.ts';
import type { Scenario } from '../scenario/ops.ts';
import { kernelLines } from '../scenario/print.ts';
import { type CaseOutcome, type CaseVerdict, conformCase } from './conform.ts';
import { type GivenCase, recordCase } from './guest_case.ts';
import { deviceWords } from './kernel_run.ts';
import type { OracleCase } from './oracle_case.ts';
import { shrink } from './shrink.ts';

/** Cases that share a boot, and so a machine. */
export const CASES_PER_BOOT = 25;

export interface FuzzTarget {
  readonly tools: GuestTools;
  /** Id of the design that the kernel has. */
  readonly design: string;
  /** Words for the kernel's command line, `{device}` for the device nodes. */
  readonly append: string;
  readonly maxNodes?: number | undefined;
  /** The family of all cases; left out, several take turns. */
  readonly family?: Family | undefined;
}

export interface FuzzCase {
  readonly number: number;
  readonly machine: Machine;
  readonly scenario: Scenario;
  readonly given: GivenCase;
}

/**
 * The boot that a case belongs to. With pages of 1 GiB each has its own, since a pool that was
 * split or has shrunk cannot be made again as boot had made it.
 */
export const bootOf = (number: number, family?: Family): number =>
  family === 'gigantic' ? number : Math.floor(number / CASES_PER_BOOT);

/**
 * Families that need a boot of their kind: a kernel has its cpusets in one hierarchy at a time, and
 * switching it between cases would leave traces.
 */
const APART: readonly Family[] = ['cpuset1'];
/**
 * Families that come up only when a run names them, so that the cases of others stay the same, or
 * because not every kernel can do what they do.
 */
const ON_REQUEST: readonly Family[] = [
  ...([
    'pins',
    'thp',
    'thpswap',
    'ksm',
    'balance',
    'files',
    'memcg',
    'hugetlb',
    'hotplug',
    'faults',
  ] as const),
];
const TOGETHER = FAMILIES.filter((f) => !APART.includes(f) && !ON_REQUEST.includes(f));
/** One boot in so many is of a family that stands apart, each of them in turn. */
const APART_EVERY = 6;

/** Families of the cases of a boot. */
export function familiesOf(boot: number): readonly Family[] {
  const turn = Math.floor(boot / APART_EVERY);
  const isApart = boot % APART_EVERY === APART_EVERY - 1;
  return isApart ? [APART[turn % APART.length] as Family] : TOGETHER;
}

/** Of the cases with huge pages, one in so many begins on memory in pieces. */
const IN_PIECES_EVERY = 3;
/** 94 MiB: most of a device of 128 MiB. */
const PAGES_IN_PIECES = 24_000;

/** Id of the record of a case. */
export const fuzzId = (seed: string, number: number): string => `fuzz/${seed}/${number}`;

/** Families that a run may name. */
export const FUZZED: readonly Family[] = [...FAMILIES, ...LARGE_FAMILIES];

/** Case `number` of a seed; of one family, or of any of the mix. */
export function fuzzCase(seed: string, number: number, only?: Family): FuzzCase {
  const p = new Prng(`kernel-fuzz/${seed}/${number}`);
  const boot = `${seed}/${bootOf(number, only)}`;
  const machine = only === 'gigantic' ? giganticMachine(boot) : randomMachine(boot);
  const picked = p.pick(familiesOf(bootOf(number)));
  const family = only ?? picked;
  const nodes = machineNodes(machine);
  const drawn = generateScenario({
    ...nodes,
    seed: `${seed}/${number}`,
    ops: p.between(10, 40),
    family,
    machine: machine.name,
  });
  const needsBlocks = family === 'thp' || family === 'hugetlb';
  const isInPieces = needsBlocks && number % IN_PIECES_EVERY === IN_PIECES_EVERY - 1;
  const scenario = isInPieces ? inPieces(p, drawn, nodes.memoryNodes, PAGES_IN_PIECES) : drawn;
  const id = fuzzId(seed, number);
  const lines = kernelLines(scenario);
  // Where a group is full, what a kernel charges ahead counts, whatever the family.
  const isLimited = lines.some((line) => line.includes('/memory.max '));
  const given = { id, family: isLimited ? 'memcg' : family, purpose: scenario.title, lines };
  return { number, machine, scenario, given };
}

export interface FuzzOutcome {
  readonly number: number;
  readonly family: string;
  readonly verdict: CaseVerdict | 'not run';
  readonly nrOps: number;
  /** The verdict is of a boot of its own, since the shared one left doubt. */
  readonly isSecond: boolean;
  /** The difference, what is missing, or why it did not run. */
  readonly words?: string | undefined;
}

export interface FuzzBoot {
  readonly boot: number;
  readonly kernel: string | undefined;
  readonly durationMs: number;
  readonly outcomes: readonly FuzzOutcome[];
  readonly records: readonly OracleCase[];
}

interface Judged {
  readonly outcome: CaseOutcome | undefined;
  readonly record: OracleCase | undefined;
  readonly problem: string | undefined;
}

/** Runs cases on one machine in one boot and compares each. */
async function judge(
  guest: GuestMachine,
  cases: readonly GivenCase[],
  target: FuzzTarget,
): Promise<{ judged: Judged[]; kernel: string | undefined; durationMs: number }> {
  const append = deviceWords(target.append, guest);
  const texts = cases.map(({ lines }) => ({ lines, cpuset: cpusetOf(lines) }));
  const boot = await bootGuest({ machine: guest, cases: texts, tools: target.tools, append });
  const { design, maxNodes } = target;
  const judged = cases.map((given, i): Judged => {
    const run = { machine: guest, design, append, maxNodes };
    const { record, problem } = recordCase(boot, i, given, run);
    const outcome = record === undefined ? undefined : conformCase(record);
    return { outcome, record, problem };
  });
  return { judged, kernel: boot.kernel, durationMs: boot.durationMs };
}

/** What the cases of a boot came to, in their order, and how long all guests took. */
interface JudgedAll {
  readonly judged: Judged[];
  readonly second: ReadonlySet<number>;
  readonly kernel: string | undefined;
  readonly durationMs: number;
}

/**
 * Runs cases in one boot. A case that did not come to its end, or that differs, gets a boot of its
 * own, whose answer counts; those behind one that took the guest with it get another boot.
 */
async function judgeAll(
  guest: GuestMachine,
  cases: readonly GivenCase[],
  target: FuzzTarget,
): Promise<JudgedAll> {
  const all: Judged[] = [];
  const second = new Set<number>();
  let kernel: string | undefined;
  let durationMs = 0;
  const boot = async (some: readonly GivenCase[]): Promise<Judged[]> => {
    const ran = await judge(guest, some, target);
    kernel ??= ran.kernel;
    durationMs += ran.durationMs;
    return ran.judged;
  };
  while (all.length < cases.length) {
    const judged = await boot(cases.slice(all.length));
    const broken = judged.findIndex((j) => j.outcome === undefined);
    all.push(...(broken < 0 ? judged : judged.slice(0, broken + 1)));
  }
  for (const [i, { outcome }] of all.entries()) {
    const isSure = outcome !== undefined && outcome.verdict !== 'different';
    // Alone already, but for families whose cases never share a boot: those are asked again.
    if (isSure || (cases.length === 1 && cases[0]?.family !== 'gigantic')) continue;
    all[i] = (await boot([cases[i] as GivenCase]))[0] as Judged;
    second.add(i);
  }
  return { judged: all, second, kernel, durationMs };
}

const guestOf = ({ machine, given }: FuzzCase): GuestMachine =>
  guestMachine(machine, given.family === 'gigantic' ? { mostTotalMiB: GIGANTIC_GUEST_MIB } : {});

/** A target whose kernel is told what a case says of its boot. */
function withBootWords(target: FuzzTarget, { scenario }: FuzzCase, guest: GuestMachine) {
  const append = [target.append, ...guestBootWords(scenario, guest)].join(' ').trim();
  return { ...target, append };
}

/** Runs those cases of `numbers` that share a boot. */
export async function fuzzBoot(
  seed: string,
  numbers: readonly number[],
  target: FuzzTarget,
): Promise<FuzzBoot> {
  const cases = numbers.map((number) => fuzzCase(seed, number, target.family));
  const first = cases[0] as FuzzCase;
  const guest = guestOf(first);
  const given = cases.map((c) => c.given);
  const of = withBootWords(target, first, guest);
  const { judged, second, kernel, durationMs } = await judgeAll(guest, given, of);
  const outcomes = judged.map(({ outcome, problem }, i): FuzzOutcome => {
    const { number, given: g } = cases[i] as FuzzCase;
    const head = { number, family: g.family, nrOps: g.lines.length, isSecond: second.has(i) };
    if (outcome === undefined) return { ...head, verdict: 'not run', words: problem };
    const words = outcome.difference ?? outcome.missing;
    return { ...head, verdict: outcome.verdict, words };
  });
  const records = judged.flatMap(({ record }) => (record === undefined ? [] : [record]));
  return { boot: bootOf(first.number, target.family), kernel, durationMs, outcomes, records };
}

export interface ShrunkDifference {
  readonly number: number;
  readonly machine: Machine;
  /** The shortest lines that show it. */
  readonly lines: readonly string[];
  readonly outcome: CaseOutcome;
  readonly record: OracleCase;
}

/** Candidates that run in one boot: a round of a long scenario has more. */
const CANDIDATES_PER_BOOT = 120;
/** With pages of 1 GiB each has its own. */
const candidatesPerBoot = (family: string): number =>
  family === 'gigantic' ? 1 : CANDIDATES_PER_BOOT;

/**
 * Shrinks the difference of a case; undefined when it does not show in a boot of its own.
 * @param onRound is told how many operations are left.
 */
export async function shrinkCase(
  seed: string,
  number: number,
  target: FuzzTarget,
  onRound?: (nrOps: number) => void,
): Promise<ShrunkDifference | undefined> {
  const fuzzed = fuzzCase(seed, number, target.family);
  const { machine, given } = fuzzed;
  const guest = guestOf(fuzzed);
  const of = withBootWords(target, fuzzed, guest);
  const ofLines = (lines: readonly string[]): GivenCase => ({ ...given, lines });
  const judgeOne = async (lines: readonly string[]): Promise<Judged> => {
    const { judged } = await judge(guest, [ofLines(lines)], of);
    return judged[0] as Judged;
  };
  const alone = await judgeOne(given.lines);
  if (alone.outcome?.verdict !== 'different') return undefined;
  // What comes after the difference has no part in it.
  const upTo = (alone.outcome.step ?? given.lines.length - 1) + 1;
  const lines = await shrink(
    given.lines.slice(0, upTo),
    async (candidates) => {
      const fails: boolean[] = [];
      const step = candidatesPerBoot(given.family);
      for (let i = 0; i < candidates.length; i += step) {
        const some = candidates.slice(i, i + step).map(ofLines);
        const { judged } = await judge(guest, some, of);
        fails.push(...judged.map((j) => j.outcome?.verdict === 'different'));
      }
      return fails;
    },
    { onRound },
  );
  const last = await judgeOne(lines);
  const shown =
    last.outcome?.verdict === 'different' ? { lines, ...last } : { ...alone, lines: given.lines };
  const { outcome, record } = shown;
  if (outcome === undefined || record === undefined) return undefined;
  return { number, machine, lines: shown.lines, outcome, record };
}
