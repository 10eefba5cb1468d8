// Designs of which the same is told, so that it is told once.

/** Ids of designs, and what there is to tell of each of them. */
export interface Alike<T> {
  readonly designs: readonly string[];
  readonly told: T;
}

/** Groups by what is told, which is compared as JSON; in the order of the first of each group. */
export function alike<D extends { readonly design: string }, T>(
  all: readonly D[],
  toldOf: (one: D) => T,
): Alike<T>[] {
  const groups = new Map<string, { designs: string[]; told: T }>();
  for (const one of all) {
    const told = toldOf(one);
    const key = JSON.stringify(told);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { designs: [one.design], told });
    else group.designs.push(one.design);
  }
  return [...groups.values()];
}
