// "Did you mean": the known words that are closest to a mistyped one.

/** Insertions, deletions and replacements that turn `a` into `b` (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(
        Math.min(
          (row[j] as number) + 1,
          (next[j - 1] as number) + 1,
          (row[j - 1] as number) + same,
        ),
      );
    }
    row = next;
  }
  return row[b.length] as number;
}

/**
 * The words of `known` within a third of the length of `word` (at least one edit), or that one
 * of the two begins with, nearest first, at most three. Case does not count.
 */
export function nearMisses(word: string, known: Iterable<string>): readonly string[] {
  const wanted = word.toLowerCase();
  const limit = Math.max(1, Math.floor(word.length / 3));
  return [...known]
    .map((name) => {
      const lower = name.toLowerCase();
      const prefix = wanted.length >= 2 && (lower.startsWith(wanted) || wanted.startsWith(lower));
      return { name, edits: prefix ? 0 : editDistance(wanted, lower) };
    })
    .filter(({ edits }) => edits <= limit)
    .sort((a, b) => a.edits - b.edits || (a.name < b.name ? -1 : 1))
    .slice(0, 3)
    .map(({ name }) => name);
}
