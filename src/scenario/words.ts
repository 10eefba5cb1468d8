// The words of the language: verbs with their usage, modes, names and the slots that names have.
// Holds    A name of the form T<n> or R<n> always means slot n.
import { ERRNO_NAMES } from '../base/errno.ts';

/** Tasks and regions that a run can have, as the test program on a real kernel has them. */
export const MAX_TASKS = 16;
export const MAX_REGIONS = 32;
/** Bytes of a page of a hugetlb region, and of one whose kind ends in -1G. */
export const HUGE_PAGE_BYTES = 2 * 1024 * 1024;
export const GIGANTIC_PAGE_BYTES = 1024 * 1024 * 1024;
export const GIGANTIC_SUFFIX = '-1G';
/** Region k starts k times this many bytes above the first one. */
export const REGION_STRIDE_BYTES = 840 * 5 * HUGE_PAGE_BYTES;
/** The last slot whose place for a region longer than that is in an address space of 47 bits. */
export const LAST_LONG_SLOT = 11;
/** Room for a region that is longer than its slot. */
export const LONG_REGION_BYTES = 2 ** 43;

/** Arguments of each verb on a task, as error messages and the reference show them. */
export const TASK_USAGE = {
  cpu: 'N',
  set_mempolicy: 'MODE[+FLAG...] NODES [maxnode=N]',
  get_mempolicy: '',
  policy_at: 'R OFF',
  node_at: 'R OFF',
  next_node: '',
  mems_allowed: '',
  get_raw: 'FLAGS MAXNODE [R OFF]',
  mmap: 'R PAGES KIND [shift=N] [at=PAGE]',
  munmap: 'R [OFF PAGES]',
  mbind:
    'R OFF PAGES MODE[+FLAG...] NODES [strict] [move] [moveall] [lazy] [flags=N] ' +
    '[maxnode=N] [addroff=BYTES]',
  set_home: 'R OFF PAGES NODE [flags=N] [addroff=BYTES]',
  touch: 'R [OFF PAGES]',
  read: 'R [OFF PAGES]',
  where: 'R [OFF PAGES]',
  work: 'R OFF PAGES MS',
  fill: 'R OFF PAGES VALUE',
  tables: 'R [OFF [PAGES]]',
  move_pages: 'R OFF PAGES NODE[,NODE...] [moveall] [flags=N] [pid=TASK]',
  migrate_pages: 'FROM TO [pid=TASK] [maxnode=N]',
  madvise: 'R OFF PAGES ADVICE',
  mlock: 'R OFF PAGES [onfault]',
  munlock: 'R OFF PAGES',
  mlockall: '[current] [future] [onfault]',
  munlockall: '',
  pin: 'R OFF PAGES [longterm]',
  unpin: 'R OFF PAGES',
  alloc_pages: 'NAME BLOCKS GFP[|GFP...] [order=N] [node=N]',
  free_pages: 'NAME',
  swrite: 'PATH VALUE',
  readfile: 'FILE [OFF PAGES]',
  writefile: 'FILE [OFF PAGES]',
  fadvise: 'FILE OFF PAGES ADVICE',
  fsync: 'FILE',
  exit: '',
  device_compute:
    'DEVICE R [OFF PAGES] [strided] [random] [hot] [reading] [atomic] [shared] [passes=N] ' +
    '[stride=N] [seed=N] [accesses=N]',
  device_policy: 'DEVICE POLICY [evict] [keep] [threshold=N] [granularity=SIZE]',
  device_prefetch: 'DEVICE|cpu R [OFF PAGES]',
  device_advise: 'DEVICE R [OFF PAGES] device|cpu|none',
  device_alloc: 'DEVICE R PAGES',
  alloc_buffer: 'R SIZE',
  cpu_compute: 'R [OFF PAGES]',
  release_buffer: 'R',
} as const;
export type TaskVerb = keyof typeof TASK_USAGE;

/** Verbs that keep pages where they are. */
export type HoldVerb = 'mlock' | 'munlock' | 'mlockall' | 'munlockall' | 'pin' | 'unpin';

/** Arguments of each verb of `sys`. */
export const SYS_USAGE = {
  write: 'PATH VALUE',
  read: 'PATH',
  mkdir: 'PATH',
  rmdir: 'PATH',
  move: 'TASK CGROUP',
  zones: '',
  free: '',
  numastat: '',
  hugetlb: '[1G]',
  states: '',
  fallback: '',
  uevents: '',
  tasks: '',
  drop_caches: '',
  vmstat: 'KEY[,KEY...]',
  offline_node: 'N [BLOCKS]',
  online_node: 'N [KERNEL|MOVABLE] [BLOCKS]',
  add_node: 'N [driver]',
  remove_node: 'N',
  poison: 'TASK R OFF',
  soft_offline: 'TASK R OFF',
  link_failure: 'N',
  swapon: 'PAGES [PRIORITY]',
  sleep: 'MS',
  ksm_scans: 'N',
  mkfile: 'FILE PAGES [tmpfs] [mpol=MODE[+FLAG...][:NODES]]',
  rmfile: 'FILE',
  truncate: 'FILE PAGES',
  cached: 'FILE [OFF PAGES]',
  sync: '',
} as const;
export type SysVerb = keyof typeof SYS_USAGE;

/** Words that open a line which is not an operation on a task. */
export const STATEMENTS = {
  sys: 'VERB ...',
  fork: 'PARENT CHILD',
  scenario: 'NAME',
  title: 'TEXT',
  source: 'TEXT',
  machine: 'NAME',
  task: 'NAME',
  param: 'NAME = VALUE',
  repeat: 'N [as NAME] {',
  generate: 'seed=N ops=N [family=NAME]',
  boot: 'WORD...',
  agent: '[delay=N] [users=TASK[,TASK...]|none]',
  expects: 'DESIGN[,DESIGN...]',
} as const;
export type Statement = keyof typeof STATEMENTS;

export const isTaskVerb = (word: string): word is TaskVerb => Object.hasOwn(TASK_USAGE, word);
export const isSysVerb = (word: string): word is SysVerb => Object.hasOwn(SYS_USAGE, word);
export const isStatement = (word: string): word is Statement => Object.hasOwn(STATEMENTS, word);

export const MODES: readonly string[] = [
  'default',
  'preferred',
  'bind',
  'interleave',
  'local',
  'preferred_many',
  'weighted_interleave',
];
export const MODE_FLAGS: readonly string[] = ['static', 'relative', 'numa_balancing'];
export const LOCK_WORDS: readonly string[] = ['current', 'future', 'onfault'];
export const MBIND_WORDS: readonly string[] = ['strict', 'move', 'moveall', 'lazy'];

/** Results that are words: errnos, and how a task ended or failed to. */
export const RET_WORDS: readonly string[] = [
  ...ERRNO_NAMES,
  'KILLED',
  'DEAD',
  'LIVELOCK',
  'SIGBUS',
  'SIGSEGV',
  'PANIC',
  'ETIMEOUT',
  'ENOTASK',
];

/** A name of a file, or of who holds pages of the kernel. */
export const NAME = /^[A-Za-z][A-Za-z0-9_]*$/;
const SLOT = /^[TR](?:0|[1-9]\d*)$/;
const SLOT_LIKE = /^[TR]\d+$/;

/** The slot that a name such as `T3` or `R3` means, or -1 for any other name. */
export function slotOf(name: string): number {
  return SLOT.test(name) ? Number(name.slice(1)) : -1;
}

/** What is wrong with a name of a task (`letter` T) or region (R), or undefined. */
export function nameFault(name: string, letter: 'T' | 'R'): string | undefined {
  const what = letter === 'T' ? 'task' : 'region';
  if (!NAME.test(name)) {
    return `"${name}" is no name of a ${what}; expected a letter followed by letters, digits or _`;
  }
  if (SLOT_LIKE.test(name)) {
    const most = (letter === 'T' ? MAX_TASKS : MAX_REGIONS) - 1;
    const slot = slotOf(name);
    if (name[0] !== letter || slot < 0 || slot > most) {
      const expected = `${letter}0..${letter}${most} or a name of your own`;
      return `"${name}" is no name of a ${what}; expected ${expected}`;
    }
  }
  if (letter === 'T' && isStatement(name)) {
    return `"${name}" cannot name a task: it opens a statement`;
  }
  return undefined;
}

/** What is wrong with a name of a file, or undefined. */
export const fileFault = (name: string): string | undefined =>
  NAME.test(name)
    ? undefined
    : `"${name}" is no name of a file; expected a letter followed by letters, digits or _`;

/** Fields of a result that `-> FIELD VALUE` may name, by verb (`sys read` for those of sys). */
export const RESULT_FIELDS: Readonly<Record<string, readonly string[]>> = {
  cpu: ['cpu', 'node'],
  get_mempolicy: ['mode', 'flags', 'nodes'],
  policy_at: ['mode', 'flags', 'nodes'],
  node_at: ['node'],
  next_node: ['node'],
  mems_allowed: ['nodes', 'status'],
  get_raw: ['mode', 'flags', 'nodes', 'node'],
  mmap: ['pageBytes', 'ino', 'evicted'],
  touch: ['touched'],
  read: ['read'],
  work: ['touched'],
  fill: ['touched'],
  readfile: ['read'],
  writefile: ['written'],
  tables: ['zeroPages'],
  exit: ['exit'],
  alloc_pages: ['given'],
  free_pages: ['freed'],
  device_compute: [
    'computed',
    'local',
    'remote',
    'moved',
    'cached',
    'evicted',
    'exclusive',
    'pinned',
    'throttled',
  ],
  device_prefetch: ['moved', 'evicted'],
  fork: ['task'],
  'sys read': ['value'],
  'sys uevents': ['uevents'],
  'sys link_failure': ['free', 'used'],
  'sys mkfile': ['ino'],
  'sys offline_node': ['blocks', 'changed', 'already'],
  'sys online_node': ['blocks', 'changed', 'already'],
  'sys add_node': ['blocks', 'changed'],
  'sys remove_node': ['blocks', 'changed'],
};
/** Fields that any operation may report. */
export const COMMON_FIELDS: readonly string[] = ['killedBy'];
