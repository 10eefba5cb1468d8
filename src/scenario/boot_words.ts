// Words of the kernel's command line: what a scenario asks of boot, and what a recorded one says.
// Models   linux@v6.1 mm/hugetlb.c: hugepagesz_setup, hugepages_setup; mm/huge_memory.c:
//          setup_transparent_hugepage; mm/mempolicy.c: setup_numabalancing; mm/memory_hotplug.c:
//          setup_memhp_default_state.
// Omits    default_hugepagesz=, hugetlb_cma=, and sizes other than 2 MiB and 1 GiB.
// Holds    BOT1 a word that is not known, or says a second time what was said, is refused by name;
//          only a recorded line may have others.
import { UserError } from '../base/assert.ts';
import { type NodeId, nodeId } from '../base/ids.ts';
import { didYouMean } from '../base/suggest.ts';
import type { KernelOptions } from '../kernel/kernel.ts';
import { THP_ENABLED } from '../kernel/thp.ts';
import type { BootPool } from '../mm/boot_pages.ts';
import { AUTO_ONLINE } from '../mm/online_policy.ts';

/** What the words come to. */
export type BootOptions = Pick<
  KernelOptions,
  'bootPool' | 'giganticBootPool' | 'transparentHugepage' | 'numaBalancing' | 'memhpDefaultState'
>;
type Filled = { -readonly [K in keyof BootOptions]: BootOptions[K] };

const MOST_PAGES = 1_000_000;
const NODE_POOL = /^\d+:\d+(?:,\d+:\d+)*$/;
const PAGE_SIZES: Readonly<Record<string, 'bootPool' | 'giganticBootPool'>> = {
  '2M': 'bootPool',
  '2048K': 'bootPool',
  '1G': 'giganticBootPool',
  '1024M': 'giganticBootPool',
  '1048576K': 'giganticBootPool',
};
const BALANCING: Readonly<Record<string, number>> = { enable: 1, disable: 0 };
/** Words that set one option to one of a few values. */
const CHOICES = {
  transparent_hugepage: ['transparentHugepage', THP_ENABLED],
  numa_balancing: ['numaBalancing', Object.keys(BALANCING)],
  memhp_default_state: ['memhpDefaultState', AUTO_ONLINE],
} as const;
const KNOWN = ['hugepagesz', 'hugepages', ...Object.keys(CHOICES)];

/** Words that cannot be taken: what is wrong, and with which of them. */
export interface BootMistake {
  readonly at: number;
  readonly message: string;
}

/** `hugepages=N` or `hugepages=NODE:N,...`; a message when it is neither. */
function poolOf(value: string): BootPool | string {
  const pairs = value.split(',').map((pair) => pair.split(':').map(Number));
  const counts = pairs.map((pair) => pair.at(-1) as number);
  const isOne = /^\d+$/.test(value);
  if (!isOne && !NODE_POOL.test(value)) {
    return `"hugepages=${value}" is no pool; expected hugepages=N or hugepages=NODE:N,NODE:N`;
  }
  if (counts.some((count) => count > MOST_PAGES)) {
    return `"hugepages=${value}" is too large; expected ${MOST_PAGES} pages at most`;
  }
  if (isOne) return Number(value);
  return new Map<NodeId, number>(pairs.map(([nid, count]) => [nodeId(nid ?? 0), count ?? 0]));
}

/** What is wrong with the value of a word that is one of a few, or undefined. */
function choose(options: Filled, key: keyof typeof CHOICES, value: string): string | undefined {
  const [name, values] = CHOICES[key];
  if (!(values as readonly string[]).includes(value)) {
    const hint = didYouMean(value, [...values]);
    return `"${key}=${value}" is not known; expected ${key}= and one of ${values.join(', ')}${hint}`;
  }
  Object.assign(options, { [name]: name === 'numaBalancing' ? BALANCING[value] : value });
  return undefined;
}

/**
 * Reads words of a command line.
 * @param isRecorded a real kernel's whole line: words that are not known here are passed over, and
 *   of those that come twice the last counts.
 */
export function readBootWords(
  words: readonly string[],
  isRecorded = false,
): BootOptions | BootMistake {
  const options: Filled = {};
  const seen = new Set<string>();
  let pool: 'bootPool' | 'giganticBootPool' = 'bootPool';
  for (const [at, word] of words.entries()) {
    const equals = word.indexOf('=');
    const key = equals < 0 ? word : word.slice(0, equals);
    const value = equals < 0 ? '' : word.slice(equals + 1);
    const fail = (message: string): BootMistake => ({ at, message });
    const said = key === 'hugepages' ? `${key} of ${pool}` : key;
    if (key !== 'hugepagesz' && seen.has(said) && !isRecorded) {
      return fail(`"${key}" comes a second time`);
    }
    seen.add(said);
    let wrong: string | undefined;
    if (key === 'hugepagesz') {
      const size = PAGE_SIZES[value];
      if (size !== undefined) pool = size;
      else wrong = `"${word}" is no size of huge pages here; expected hugepagesz=2M or =1G`;
    } else if (key === 'hugepages') {
      const read = poolOf(value);
      if (typeof read === 'string') wrong = read;
      else options[pool] = read;
    } else if (Object.hasOwn(CHOICES, key)) {
      wrong = choose(options, key as keyof typeof CHOICES, value);
    } else {
      const known = KNOWN.map((name) => `${name}=`).join(', ');
      const hint = didYouMean(key, KNOWN);
      wrong = `"${word}" is no word of the command line that is known here; expected ${known}${hint}`;
    }
    if (wrong !== undefined && !isRecorded) return fail(wrong);
  }
  return options;
}

/** What the words of a scenario come to, which the parser has read. */
export function bootOptions(words: readonly string[] = []): BootOptions {
  const read = readBootWords(words);
  if ('message' in read) throw new UserError(read.message);
  return read;
}

/** What a recorded command line comes to. */
export const recordedBootOptions = (cmdline: string): BootOptions =>
  readBootWords(cmdline.trim().split(/\s+/), true) as BootOptions;
