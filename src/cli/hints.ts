// What to ask next of a comparison: pages at which designs part, as commands that explain them.
// Holds    HINT1 two designs are named only when they differ at that step, and the one that stopped
//          before it never. HINT2 what a task did not survive comes before all else, and what is
//          alike under all designs comes only when there is nothing else.
import type { Comparison, DesignOutcome, PageName } from '../lab/comparison.ts';
import { FATAL } from '../lab/deaths.ts';
import type { Scenario } from '../scenario/ops.ts';
import { commandText } from './table.ts';
import { sameRun, shellWord } from './words.ts';

/** Explanations offered of one comparison. */
const MOST_HINTS = 3;

/** What a page is worth asking for; the least is asked first. */
const RANK = {
  fatal: 0,
  leak: 1,
  refused: 2,
  placed: 3,
  /** Counts of the region differ; this page may be alike. */
  perhaps: 4,
  alike: 5,
} as const;
type Rank = (typeof RANK)[keyof typeof RANK];

interface Candidate extends PageName {
  readonly step: number;
  /** The design that shows it. */
  readonly shownBy: DesignOutcome;
  readonly rank: Rank;
}

interface Hint extends Candidate {
  /** A design that differs, where there is one. */
  readonly other: DesignOutcome | undefined;
}

/** Commands under a headline; nothing when no page is worth asking about. */
export function hintText(
  { outcomes }: Comparison,
  scenario: Scenario,
  name: string,
  options: Parameters<typeof sameRun>[0],
): string {
  const hints = outcomes
    .flatMap(candidatesOf)
    .map((candidate) => besideAnother(candidate, outcomes))
    .sort((a, b) => a.rank - b.rank);
  const told = new Map<string, string>();
  for (const hint of inTurn(hints)) {
    const key = `${hint.task} ${hint.region} ${hint.step}`;
    if (told.size === MOST_HINTS || told.has(key)) continue;
    if (hint.rank === RANK.alike && told.size > 0) continue;
    const command = `cdmlab explain ${shellWord(name)}${optionsOf(hint, outcomes, scenario)}`;
    told.set(key, commandText(`${command}${sameRun(options)}`, '  '));
  }
  return told.size === 0 ? '' : `Ask why:\n${[...told.values()].join('\n')}`;
}

/** The first of every rank, then the others: one page of each kind tells more than three of one. */
function inTurn(hints: readonly Hint[]): Hint[] {
  const firsts = hints.filter((h, i) => h.rank !== hints[i - 1]?.rank);
  return [...firsts, ...hints.filter((h) => !firsts.includes(h))];
}

function candidatesOf(shownBy: DesignOutcome): Candidate[] {
  const refused = shownBy.refusals.flatMap(({ page, step, ret }) =>
    page === undefined
      ? []
      : [{ ...page, step, shownBy, rank: FATAL.has(ret) ? RANK.fatal : RANK.refused }],
  );
  const deaths = (shownBy.deaths ?? []).flatMap(({ page, step }) =>
    page === undefined ? [] : [{ ...page, step, shownBy, rank: RANK.fatal }],
  );
  const rank = shownBy.nrNotAsked > 0 ? RANK.leak : RANK.placed;
  const placed = (shownBy.examples ?? []).map((e) => ({ ...e, shownBy, rank }));
  return [...refused, ...deaths, ...placed];
}

/** The design to set beside it: one that surely differs there, else one that perhaps does. */
function besideAnother(c: Candidate, outcomes: readonly DesignOutcome[]): Hint {
  const others = outcomes.filter((o) => o !== c.shownBy && o.steps.length > c.step);
  const sure = others.find((o) => differsSurely(c, o));
  if (sure !== undefined) return { ...c, other: sure };
  const own = placementAt(c, c.shownBy);
  const perhaps = others.find((o) => placementAt(c, o) !== own);
  return perhaps === undefined
    ? { ...c, rank: RANK.alike, other: undefined }
    : { ...c, rank: RANK.perhaps, other: perhaps };
}

function differsSurely(c: Candidate, other: DesignOutcome): boolean {
  const [mine, theirs] = [c.shownBy, other].map((o) => ({
    ret: String(o.steps[c.step]?.ret),
    deaths: (o.deaths ?? []).filter((d) => d.step === c.step).map((d) => d.task),
  }));
  if (mine?.ret !== theirs?.ret) return true;
  if (mine?.deaths.join() !== theirs?.deaths.join()) return true;
  const example = c.shownBy.examples?.find((e) => e.step === c.step && e.region === c.region);
  if (example === undefined || example.task !== c.task) return false;
  return !Object.hasOwn(regionAt(c, other)?.byNode ?? {}, example.nid);
}

const regionAt = (c: Candidate, o: DesignOutcome) =>
  o.steps[c.step]?.regions.find((r) => r.task === c.task && r.region === c.region);

const placementAt = (c: Candidate, o: DesignOutcome): string =>
  JSON.stringify(regionAt(c, o)?.byNode ?? {});

function optionsOf(hint: Hint, outcomes: readonly DesignOutcome[], scenario: Scenario): string {
  const designs = outcomes.filter((o) => o === hint.shownBy || o === hint.other);
  const mappers = scenario.ops.flatMap(({ act }) =>
    act.on === 'task' && act.act.verb === 'mmap' && act.act.region === hint.region
      ? [act.task]
      : [],
  );
  const task =
    new Set(mappers).size === 1 && mappers[0] === hint.task ? '' : ` --task ${hint.task}`;
  return (
    ` --page ${hint.region}:${hint.index}${task} --at ${hint.step + 1}` +
    ` --design${designs.length > 1 ? 's' : ''} ${designs.map((o) => o.design).join(',')}`
  );
}
