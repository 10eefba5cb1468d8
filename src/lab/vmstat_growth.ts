// Lines of /proc/vmstat of the model beside those of a real kernel: compared by how much they grew.
// Notes    What services count starts at zero, so the first look is compared too; there the
//          program that runs the operations adds its own few pages on a real kernel.
import type { OpResult } from '../scenario/ops.ts';

/** Counters of services that nothing but the tasks of a scenario moves. */
const OF_SERVICES =
  /^(?:numa_(?:pte_updates|hint_faults|pages_migrated)|pgdemote|pgpromote|cow_ksm)/;
/** Pages of the program itself that a round may come to. */
const SERVICE_TOLERANCE = 64;
/** Whatever else the machine does between two looks. */
const OTHER_TOLERANCE = 600;

type Rows = Readonly<Record<string, number>>;

export class VmstatGrowth {
  readonly #ours = new Map<string, number>();
  readonly #theirs = new Map<string, number>();

  /** The first counter that grew by another number, in words; undefined when none did. */
  compare(model: OpResult, real: OpResult): string | undefined {
    const ours = model['vmstat'] as Rows | undefined;
    const theirs = real['vmstat'] as Rows | undefined;
    if (theirs === undefined) return undefined;
    let difference: string | undefined;
    for (const [key, value] of Object.entries(theirs)) {
      difference ??= this.#compareKey(key, ours?.[key] ?? 0, value);
    }
    return difference;
  }

  #compareKey(key: string, ours: number, theirs: number): string | undefined {
    const isService = OF_SERVICES.test(key);
    const before = this.#ours.get(key) ?? (isService ? 0 : ours);
    const realBefore = this.#theirs.get(key) ?? (isService ? 0 : theirs);
    this.#ours.set(key, ours);
    this.#theirs.set(key, theirs);
    const grew = ours - before;
    const realGrew = theirs - realBefore;
    if (Math.abs(grew - realGrew) <= (isService ? SERVICE_TOLERANCE : OTHER_TOLERANCE)) {
      return undefined;
    }
    return `vmstat ${key} grew by: model ${grew}, kernel ${realGrew}`;
  }
}
