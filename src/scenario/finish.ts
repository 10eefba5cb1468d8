// The last step of parser, API and generator alike: gives every name its slot and every operation
// its text for a real kernel.
// Holds    Slots depend only on which names there are and in what order they first appear; no two
//          names share a slot.
import { type Place, UserError } from '../base/assert.ts';
import { regionOf, renameInPath, tasksOf } from './acts.ts';
import type { Act, Expectation, Op } from './ops.ts';
import { printAct } from './print.ts';
import { MAX_REGIONS, MAX_TASKS, slotOf } from './words.ts';

/** An operation before its names have slots. */
export interface Draft {
  readonly act: Act;
  readonly expect: readonly Expectation[];
  readonly place?: Place | undefined;
}

export interface Finished {
  readonly tasks: Readonly<Record<string, number>>;
  readonly regions: Readonly<Record<string, number>>;
  readonly ops: readonly Op[];
}

type Names = Map<string, number>;

/** First uses of names, in order; the value is the index of the draft. */
function firstUses(drafts: readonly Draft[]): { tasks: Names; regions: Names } {
  const tasks: Names = new Map();
  const regions: Names = new Map();
  drafts.forEach(({ act }, i) => {
    for (const name of tasksOf(act)) if (!tasks.has(name)) tasks.set(name, i);
    const region = regionOf(act);
    if (region !== undefined && !regions.has(region)) regions.set(region, i);
  });
  return { tasks, regions };
}

/**
 * Slots for names: `fixed` ones as given, `T3` and `R3` slot 3, others the lowest free slot in the
 * order of appearance. `tooMany(i)` is called with the draft that names one too many.
 */
function assignSlots(
  uses: Names,
  fixed: ReadonlyMap<string, number>,
  limit: number,
  tooMany: (draft: number) => never,
): Record<string, number> {
  const taken = new Set(fixed.values());
  for (const name of uses.keys()) if (slotOf(name) >= 0) taken.add(slotOf(name));
  const slots: Record<string, number> = Object.fromEntries(fixed);
  let free = 0;
  for (const [name, draft] of uses) {
    if (Object.hasOwn(slots, name)) continue;
    if (slotOf(name) >= 0) {
      slots[name] = slotOf(name);
      continue;
    }
    while (taken.has(free)) free++;
    if (free >= limit) tooMany(draft);
    taken.add(free);
    slots[name] = free;
  }
  return slots;
}

/**
 * Gives names their slots and operations their texts.
 * @param firstTask the name of the task that exists at the start, `T0` when it has no other.
 * @throws UserError for more names than slots, and for a touch or read of a whole region whose size
 * no earlier line tells.
 */
export function finish(drafts: readonly Draft[], firstTask: string): Finished {
  drafts = drafts.map((draft) => underOneName(draft, firstTask));
  const uses = firstUses(drafts);
  const refuse = (what: string, limit: number) => (draft: number) => {
    const place = drafts[draft]?.place;
    throw new UserError(`one ${what} too many: a run can have ${limit}`, place);
  };
  const first = new Map([[firstTask, 0]]);
  const tasks = assignSlots(uses.tasks, first, MAX_TASKS, refuse('task', MAX_TASKS));
  const regions = assignSlots(uses.regions, new Map(), MAX_REGIONS, refuse('region', MAX_REGIONS));
  const taskTexts = new Map(Object.entries(tasks).map(([name, slot]) => [name, `T${slot}`]));
  const regionTexts = new Map(Object.entries(regions).map(([name, slot]) => [name, `R${slot}`]));
  const spell = {
    task: (name: string) => taskTexts.get(name) as string,
    region: (name: string) => regionTexts.get(name) as string,
  };
  const nrPagesOf = new Map<string, number>();
  const ops = drafts.map(({ act, expect, place }): Op => {
    if (act.on === 'task' && act.act.verb === 'mmap')
      nrPagesOf.set(act.act.region, act.act.nrPages);
    const text = printAct(withRange(act, nrPagesOf, place), spell);
    return place === undefined ? { text, act, expect } : { text, act, expect, place };
  });
  return { tasks, regions, ops };
}

/** The draft with `T0` replaced by the first task's own name, so that a slot has one name. */
export function underOneName(draft: Draft, firstTask: string): Draft {
  const { act } = draft;
  if (firstTask === 'T0' || !tasksOf(act).includes('T0')) return draft;
  const rename = (name: string): string => (name === 'T0' ? firstTask : name);
  if (act.on === 'fork') {
    return { ...draft, act: { ...act, parent: rename(act.parent), child: rename(act.child) } };
  }
  if (act.on === 'sys') {
    if (act.act.verb === 'read') {
      const path = renameInPath(act.act.path, rename);
      return { ...draft, act: { ...act, act: { ...act.act, path } } };
    }
    if (!('task' in act.act)) return draft;
    return { ...draft, act: { ...act, act: { ...act.act, task: rename(act.act.task) } } };
  }
  const inner = act.act;
  const named = 'pid' in inner && inner.pid !== undefined ? { pid: rename(inner.pid) } : {};
  return { ...draft, act: { ...act, task: rename(act.task), act: { ...inner, ...named } } };
}

/** A touch or read of a whole region with its range written out, as a real kernel needs it. */
function withRange(act: Act, nrPagesOf: Names, place: Place | undefined): Act {
  if (act.on !== 'task') return act;
  const inner = act.act;
  if (inner.verb !== 'touch' && inner.verb !== 'read') return act;
  if (inner.offset !== undefined) return act;
  const nrPages = nrPagesOf.get(inner.region);
  if (nrPages === undefined) {
    const why = `no line before tells the size of ${inner.region}`;
    const message = `${inner.verb} ${inner.region} needs OFF PAGES: ${why}`;
    throw new UserError(message, place);
  }
  return { ...act, act: { ...inner, offset: 0, nrPages } };
}
