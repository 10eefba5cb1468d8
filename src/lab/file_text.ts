// A file of /proc or /sys as model and kernel show it, compared: which lines there are, in which
// order and form; numbers too where both can know them.
// Holds    PRC13 lists of nodes, states of memory blocks, sizes of pools and the areas that a
//          scenario maps have to be the same; of counters the form has to be, their numbers are
//          compared by how much they grow (`sys vmstat`, `sys numastat`).

/** Files whose text is the same on both sides, whole. */
const EXACT: readonly RegExp[] = [
  /^\/sys\/devices\/system\/node\/(?:possible|online|has_\w+|is_cdm_node)$/,
  /^\/sys\/devices\/system\/node\/node\d+\/(?:distance|cpulist|memory\d+\/\w+)$/,
  /^\/sys\/devices\/system\/(?:memory|cpu)\//,
  /\/hugepages\//,
  /^\/proc\/sys\//,
];

/** Programs on a real kernel have areas of their own below and above those of a scenario. */
const FIRST_ADDRESS = 64 * 840 * 5 * 2 ** 21;
const END_ADDRESS = 0x7f00_0000_0000;

type Compare = (ours: readonly string[], theirs: readonly string[]) => string | undefined;

/** The first difference in words, or undefined. */
export function compareFileText(path: string, ours: string, theirs: string): string | undefined {
  if (EXACT.some((pattern) => pattern.test(path)))
    return ours === theirs ? undefined : words(ours, theirs);
  return compareOf(path)(ours.split('\n'), theirs.split('\n'));
}

function compareOf(path: string): Compare {
  if (/^\/proc\/\w+\/numa_maps$/.test(path)) return (a, b) => sameLines(areasOf(a), areasOf(b));
  if (/^\/proc\/\w+\/maps$/.test(path)) return compareMaps;
  if (/^\/proc\/\w+\/status$/.test(path)) return (a, b) => sameForms(a, b.filter(isNamedIn(a)));
  return /\/smaps_rollup$/.test(path) ? compareRollup : sameForms;
}

const words = (ours: string | undefined, theirs: string | undefined): string =>
  `model ${JSON.stringify(ours)}, kernel ${JSON.stringify(theirs)}`;

/** Lines of the areas that a scenario maps. */
const areasOf = (lines: readonly string[]): string[] =>
  lines.filter((line) => {
    const start = Number.parseInt(line, 16);
    return start >= FIRST_ADDRESS && start < END_ADDRESS;
  });

function sameLines(ours: readonly string[], theirs: readonly string[]): string | undefined {
  for (let i = 0; i < Math.max(ours.length, theirs.length); i++) {
    if (ours[i] !== theirs[i]) return `line ${i + 1}: ${words(ours[i], theirs[i])}`;
  }
  return undefined;
}

/** Areas have to be the same, but for numbers of devices and inodes, which boot decides. */
const compareMaps: Compare = (ours, theirs) => {
  const withoutNumbers = (line: string): string => {
    const name = line.indexOf('/');
    const head = line.replace(/ [0-9a-f]{2}:[0-9a-f]{2} \d+ .*$/, '');
    return name < 0 ? line.trimEnd() : `${head} ... ${name} ${line.slice(name)}`;
  };
  return sameLines(areasOf(ours).map(withoutNumbers), areasOf(theirs).map(withoutNumbers));
};

/** The head names addresses of the program too, but stands in the same columns. */
const compareRollup: Compare = (ours, theirs) => {
  const head = (lines: readonly string[]): string =>
    (lines[0] ?? '').replace(/^[0-9a-f]{8,}-[0-9a-f]{8,}(?= )/, (range) =>
      '#'.repeat(range.length),
    );
  const place = (line: string): string => `${line.replace(/^#+| +/g, ' ')} ${line.indexOf('[')}`;
  return (
    sameLines([place(head(ours))], [place(head(theirs))]) ??
    sameForms(ours.slice(1), theirs.slice(1))
  );
};

const isNamedIn =
  (lines: readonly string[]) =>
  (line: string): boolean =>
    lines.some((other) => other.split(':')[0] === line.split(':')[0]);

/** Line by line the same, but for numbers, which may stand at the right end of equal columns. */
function sameForms(ours: readonly string[], theirs: readonly string[]): string | undefined {
  for (let i = 0; i < Math.max(ours.length, theirs.length); i++) {
    const [a, b] = [ours[i], theirs[i]];
    if (a === undefined || b === undefined || !isSameForm(a, b)) {
      return `line ${i + 1}: ${words(a, b)}`;
    }
  }
  return undefined;
}

/** Numbers with the blanks before them: decimal, and words of masks and addresses. */
const NUMBER = / *\b(?:[0-9a-f]{8,}|\d+)\b/g;

function isSameForm(a: string, b: string): boolean {
  const rest = (line: string): string => line.trimEnd().replace(NUMBER, '#');
  if (rest(a) !== rest(b)) return false;
  const others = b.match(NUMBER) ?? [];
  return (a.match(NUMBER) ?? []).every((number, i) => {
    const other = others[i] as string;
    const blanks = (text: string): number => text.length - text.trimStart().length;
    return number.length === other.length || blanks(number) === blanks(other);
  });
}

/** Counters that stand for what is not modelled, or that no two runs share. */
const UNMODELLED = /^(?:nr_slab_|nr_kernel_|nr_dirty_|direct_map_|slabs_)/;

type Counts = Readonly<Record<string, number>>;

/** Counters as both sides showed them last. */
export interface CountsPair {
  ours: Counts | undefined;
  theirs: Counts | undefined;
}

/** Counters of /proc/vmstat are compared by how much they grew since they were shown last. */
export function compareVmstat(
  ours: Counts | undefined,
  theirs: Counts | undefined,
  pair: CountsPair,
  tolerance: number,
): string | undefined {
  if (ours === undefined || theirs === undefined) return undefined;
  const { ours: was, theirs: realWas } = pair;
  pair.ours = { ...was, ...ours };
  pair.theirs = { ...realWas, ...theirs };
  for (const [name, value] of Object.entries(theirs)) {
    const [before, realBefore] = [was?.[name], realWas?.[name]];
    if (ours[name] === undefined) return `no counter ${name} in the model`;
    if (before === undefined || realBefore === undefined || UNMODELLED.test(name)) continue;
    const grew = (ours[name] as number) - before;
    const realGrew = value - realBefore;
    if (Math.abs(grew - realGrew) > (name.startsWith('thp_') ? 0 : tolerance)) {
      return `${name} grew by: model ${grew}, kernel ${realGrew}`;
    }
  }
  return undefined;
}
