// Which operations come up how often in a random workload of each family. The
// `policy`, `shared` and `cpuset2` families look much as recorded random runs on real kernels do.

/** Kinds of workload; `mixed` has something of all. */
export const FAMILIES = [
  'policy',
  'mbind',
  'shared',
  'cpuset2',
  'cpuset1',
  'mixed',
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
] as const;
/** A kind that needs nodes of some GiB and a pool from boot: `kernel fuzz` has it alone. */
export const LARGE_FAMILIES = ['gigantic'] as const;
export type Family = (typeof FAMILIES)[number] | (typeof LARGE_FAMILIES)[number];

export type Action =
  | 'mmap'
  | 'touch'
  | 'read'
  | 'where'
  | 'look'
  | 'set_mempolicy'
  | 'mbind'
  | 'set_home'
  | 'move_pages'
  | 'migrate_pages'
  | 'madvise'
  | 'lock'
  | 'munmap'
  | 'cpu'
  | 'fork'
  | 'exit'
  | 'mems'
  | 'cgroup'
  | 'flag'
  | 'pin'
  | 'unpin'
  | 'lockall'
  | 'fill'
  | 'merge'
  | 'scans'
  | 'work'
  | 'mkfile'
  | 'file'
  | 'filesys'
  | 'pool'
  | 'plug'
  | 'break';

export type Weights = Readonly<Partial<Record<Action, number>>>;

/** Relative frequencies; an action that is absent never comes up. */
export const WEIGHTS: Readonly<Record<Family, Weights>> = {
  policy: {
    mmap: 5,
    touch: 18,
    read: 2,
    where: 8,
    look: 8,
    set_mempolicy: 10,
    mbind: 8,
    set_home: 2,
    move_pages: 4,
    migrate_pages: 2,
    madvise: 4,
    lock: 1,
    munmap: 2,
    cpu: 5,
    fork: 2,
    exit: 1,
  },
  mbind: {
    mmap: 4,
    touch: 14,
    read: 2,
    where: 10,
    look: 14,
    set_mempolicy: 2,
    mbind: 26,
    set_home: 5,
    move_pages: 3,
    madvise: 3,
    munmap: 4,
    cpu: 5,
    fork: 2,
  },
  shared: {
    mmap: 4,
    touch: 18,
    read: 6,
    where: 12,
    look: 10,
    set_mempolicy: 6,
    mbind: 10,
    move_pages: 4,
    migrate_pages: 2,
    madvise: 6,
    munmap: 1,
    cpu: 6,
    fork: 5,
    exit: 1,
  },
  cpuset2: {
    mmap: 4,
    touch: 14,
    where: 8,
    look: 10,
    set_mempolicy: 9,
    mbind: 7,
    move_pages: 2,
    migrate_pages: 2,
    madvise: 1,
    cpu: 6,
    fork: 2,
    mems: 14,
    cgroup: 8,
  },
  cpuset1: {
    mmap: 4,
    touch: 14,
    where: 8,
    look: 10,
    set_mempolicy: 9,
    mbind: 7,
    move_pages: 2,
    migrate_pages: 2,
    madvise: 1,
    cpu: 6,
    fork: 2,
    mems: 14,
    cgroup: 8,
    flag: 7,
  },
  thp: {
    mmap: 7,
    touch: 22,
    read: 5,
    where: 10,
    look: 5,
    set_mempolicy: 8,
    mbind: 9,
    set_home: 1,
    move_pages: 7,
    migrate_pages: 3,
    madvise: 12,
    lock: 2,
    munmap: 4,
    cpu: 4,
    fork: 4,
    exit: 1,
  },
  ksm: {
    mmap: 5,
    fill: 18,
    touch: 5,
    where: 5,
    merge: 4,
    scans: 8,
    set_mempolicy: 3,
    mbind: 4,
    move_pages: 4,
    migrate_pages: 1,
    madvise: 3,
    munmap: 1,
    cpu: 6,
    fork: 3,
    exit: 1,
  },
  balance: {
    mmap: 2,
    work: 10,
    touch: 3,
    where: 2,
    set_mempolicy: 4,
    mbind: 4,
    move_pages: 8,
    cpu: 10,
    fork: 1,
  },
  files: {
    mmap: 7,
    mkfile: 2,
    file: 18,
    filesys: 12,
    touch: 12,
    read: 10,
    where: 8,
    look: 3,
    set_mempolicy: 8,
    mbind: 8,
    move_pages: 4,
    migrate_pages: 3,
    madvise: 6,
    lock: 1,
    munmap: 3,
    cpu: 4,
    fork: 4,
    exit: 1,
  },
  // What these do is drawn in files of their own, see generate_apart.ts.
  memcg: {},
  thpswap: {},
  gigantic: {},
  mixed: {
    mmap: 5,
    touch: 18,
    read: 3,
    where: 10,
    look: 10,
    set_mempolicy: 8,
    mbind: 10,
    set_home: 2,
    move_pages: 4,
    migrate_pages: 3,
    madvise: 5,
    lock: 1,
    munmap: 2,
    cpu: 5,
    fork: 3,
    exit: 1,
    mems: 5,
    cgroup: 3,
  },
  pins: {
    mmap: 5,
    touch: 14,
    read: 2,
    where: 12,
    look: 4,
    set_mempolicy: 4,
    mbind: 8,
    move_pages: 8,
    migrate_pages: 4,
    madvise: 6,
    lock: 6,
    munmap: 3,
    cpu: 4,
    fork: 4,
    exit: 1,
    pin: 12,
    unpin: 5,
    lockall: 2,
  },
  hugetlb: {
    mmap: 8,
    touch: 16,
    read: 4,
    where: 8,
    look: 4,
    set_mempolicy: 7,
    mbind: 10,
    move_pages: 6,
    migrate_pages: 3,
    madvise: 5,
    munmap: 5,
    cpu: 4,
    fork: 5,
    exit: 1,
    pool: 8,
  },
  hotplug: {
    mmap: 5,
    touch: 16,
    read: 2,
    where: 8,
    look: 8,
    set_mempolicy: 9,
    mbind: 9,
    set_home: 1,
    move_pages: 6,
    migrate_pages: 3,
    madvise: 2,
    munmap: 2,
    cpu: 4,
    fork: 3,
    exit: 1,
    plug: 12,
  },
  faults: {
    mmap: 6,
    mkfile: 1,
    file: 4,
    touch: 16,
    read: 6,
    where: 12,
    look: 4,
    mbind: 6,
    move_pages: 6,
    migrate_pages: 2,
    madvise: 6,
    munmap: 3,
    cpu: 3,
    fork: 5,
    exit: 1,
    pin: 3,
    unpin: 2,
    break: 14,
  },
};
