// The verbs: how the words of one operation become an act.
// Holds    Optional parts that a line leaves out are absent from the act, never `undefined`.

import {
  COMPUTE_SHAPES,
  COMPUTE_WORDS,
  DEVICE_ADVICE,
  DEVICE_POLICY_WORDS,
  MADVICE,
  type SysAct,
  type TaskAct,
} from './ops.ts';
import { isFileVerb, readFileAct, readFileSysAct, readKind } from './parse_files.ts';
import { isKernelPagesVerb, readKernelPagesAct } from './parse_kernel_pages.ts';
import type { Reader } from './reader.ts';
import {
  GIGANTIC_PAGE_BYTES,
  GIGANTIC_SUFFIX,
  type HoldVerb,
  HUGE_PAGE_BYTES,
  LOCK_WORDS,
  MBIND_WORDS,
  type SysVerb,
  type TaskVerb,
} from './words.ts';

/** Page sizes in force at a line, in bytes. */
export interface PageSizes {
  /** The machine's. */
  readonly base: number;
  /** Of the region of this name, as it was last mapped; the machine's when it never was. */
  of(region: string): number;
}

/** Bytes of a page of a region of this kind. */
export function pageBytesOfKind(kind: string, pageBytes: number): number {
  if (!kind.includes('hugetlb')) return pageBytes;
  return kind.endsWith(GIGANTIC_SUFFIX) ? GIGANTIC_PAGE_BYTES : HUGE_PAGE_BYTES;
}

interface Range {
  readonly region: string;
  readonly offset: number;
  readonly nrPages: number;
}

function readRange(r: Reader, pages: PageSizes): Range {
  const region = r.name('R', 'R');
  const unit = { pageBytes: pages.of(region) };
  const offset = r.number('OFF, an offset in pages,', unit);
  return { region, offset, nrPages: r.number('PAGES, a number of pages,', unit) };
}

/** VERB R [OFF PAGES]: what most lines are, so no object is made in between. */
function readOnRange<V extends 'munmap' | 'touch' | 'read' | 'where'>(
  r: Reader,
  verb: V,
  pages: PageSizes,
): { verb: V; region: string; offset?: number; nrPages?: number } {
  const region = r.name('R', 'R');
  if (r.done) return { verb, region };
  const unit = { pageBytes: pages.of(region) };
  const offset = r.number('OFF, an offset in pages,', unit);
  return { verb, region, offset, nrPages: r.number('PAGES, a number of pages,', unit) };
}

/** A word that may end a line, as a property that is true or absent. */
const flag = <K extends string>(r: Reader, word: string, key: K): { [P in K]?: true } =>
  (r.trailing([word], []).words.length > 0 ? { [key]: true } : {}) as { [P in K]?: true };

/** An option as a property, absent when it was not given. */
const given = <K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };

function readMmap(r: Reader, pages: PageSizes): TaskAct {
  const region = r.name('R', 'R');
  const fallback = pages.base;
  const unit = { pageBytes: pageBytesOfKind(r.peek(1) ?? '', fallback) };
  const nrPages = r.number('PAGES, a number of pages,', unit);
  const { kind, file } = readKind(r);
  const rest = r.trailing([], file === undefined ? ['shift'] : ['shift', 'at']);
  const shift = r.numberOption(rest, 'shift', unit) ?? 0;
  if (file === undefined) return { verb: 'mmap', region, nrPages, kind, shift };
  const at = r.numberOption(rest, 'at', unit) ?? 0;
  return { verb: 'mmap', region, nrPages, kind, shift, file, at };
}

function readMbind(r: Reader, pages: PageSizes): TaskAct {
  const range = readRange(r, pages);
  const mode = r.mode();
  const nodes = r.nodes('NODES');
  const rest = r.trailing(MBIND_WORDS, ['flags', 'maxnode', 'addroff']);
  return {
    verb: 'mbind',
    ...range,
    mode,
    nodes,
    words: rest.words,
    rawFlags: r.numberOption(rest, 'flags') ?? 0,
    ...given('maxnode', r.numberOption(rest, 'maxnode')),
    addressOffsetBytes: r.numberOption(rest, 'addroff', 'bytes') ?? 0,
  };
}

function readSetHome(r: Reader, pages: PageSizes): TaskAct {
  const range = readRange(r, pages);
  const node = r.signed('NODE');
  const rest = r.trailing([], ['flags', 'addroff']);
  const flags = r.numberOption(rest, 'flags') ?? 0;
  const addressOffsetBytes = r.numberOption(rest, 'addroff', 'bytes') ?? 0;
  return { verb: 'set_home', ...range, node, flags, addressOffsetBytes };
}

function readMovePages(r: Reader, pages: PageSizes): TaskAct {
  const range = readRange(r, pages);
  const nodes = r.signedList('NODE');
  const rest = r.trailing(['moveall'], ['flags', 'pid']);
  return {
    verb: 'move_pages',
    ...range,
    nodes,
    moveAll: rest.words.length > 0,
    ...given('rawFlags', r.numberOption(rest, 'flags')),
    ...given('pid', r.taskOption(rest, 'pid')),
  };
}

function readMigratePages(r: Reader): TaskAct {
  const from = r.nodes('FROM');
  const to = r.nodes('TO');
  const rest = r.trailing([], ['pid', 'maxnode']);
  const pid = given('pid', r.taskOption(rest, 'pid'));
  const maxnode = given('maxnode', r.numberOption(rest, 'maxnode'));
  return { verb: 'migrate_pages', from, to, ...pid, ...maxnode };
}

function readGetRaw(r: Reader, pages: PageSizes): TaskAct {
  const flags = r.number('FLAGS');
  const maxnode = r.number('MAXNODE');
  if (r.done) return { verb: 'get_raw', flags, maxnode };
  const region = r.name('R', 'R');
  const offset = r.number('OFF, an offset in pages,', { pageBytes: pages.of(region) });
  return { verb: 'get_raw', flags, maxnode, region, offset };
}

function readAt(r: Reader, verb: 'policy_at' | 'node_at', pages: PageSizes): TaskAct {
  const region = r.name('R', 'R');
  const unit = { pageBytes: pages.of(region) };
  return { verb, region, offset: r.number('OFF, an offset in pages,', unit) };
}

function readTables(r: Reader, pages: PageSizes): TaskAct {
  const region = r.name('R', 'R');
  if (r.done) return { verb: 'tables', region };
  const unit = { pageBytes: pages.of(region) };
  const offset = r.number('OFF, an offset in pages,', unit);
  if (r.done) return { verb: 'tables', region, offset };
  return { verb: 'tables', region, offset, nrPages: r.number('PAGES, a number of pages,', unit) };
}

function readMadvise(r: Reader, pages: PageSizes): TaskAct {
  const range = readRange(r, pages);
  return { verb: 'madvise', ...range, advice: r.oneOf('ADVICE', MADVICE) };
}

/** `app alloc_buffer buf 64MiB`: an anonymous mapping, as malloc makes one. */
function readAllocBuffer(r: Reader, pages: PageSizes): TaskAct {
  const region = r.name('R', 'R');
  const nrPages = r.number('SIZE', { pageBytes: pages.base });
  return { verb: 'mmap', region, nrPages, kind: 'anon', shift: 0 };
}

/** `app device_alloc gpu0 buf 64MiB`: a mapping of the device's file, which allocates. */
function readDeviceAlloc(r: Reader, pages: PageSizes): TaskAct {
  const file = readFreeWord(r, 'DEVICE');
  const region = r.name('R', 'R');
  const nrPages = r.number('PAGES, a number of pages,', { pageBytes: pages.base });
  return { verb: 'mmap', region, nrPages, kind: 'device', shift: 0, file, at: 0 };
}

/** A word of the person's own: the name of a device or of a driver's policy. */
function readFreeWord(r: Reader, what: string): string {
  const word = r.word(what);
  if (!/^[A-Za-z][A-Za-z0-9_.-]*$/.test(word)) {
    r.fail(
      `"${word}" is no name; expected ${what}, such as ${what === 'DEVICE' ? 'gpu0' : 'eager'}`,
      r.at - 1,
    );
  }
  return word;
}

function readSetMempolicy(r: Reader): TaskAct {
  const mode = r.mode();
  const nodes = r.nodes('NODES');
  const maxnode = r.numberOption(r.trailing([], ['maxnode']), 'maxnode');
  return { verb: 'set_mempolicy', mode, nodes, ...given('maxnode', maxnode) };
}

/** Locks and pins. */
function readHold(r: Reader, verb: HoldVerb, pages: PageSizes): TaskAct {
  switch (verb) {
    case 'mlock':
      return { verb, ...readRange(r, pages), ...flag(r, 'onfault', 'onFault') };
    case 'pin':
      return { verb, ...readRange(r, pages), ...flag(r, 'longterm', 'longterm') };
    case 'mlockall':
      return { verb, words: r.trailing(LOCK_WORDS, []).words };
    case 'munlockall':
      return { verb };
    default:
      return { verb, ...readRange(r, pages) };
  }
}

/** R [OFF PAGES], and words or options may follow: they do not begin with a digit. */
function readOptionalRange(r: Reader, pages: PageSizes): Partial<Range> & { region: string } {
  const isRange = /^[0-9]/.test(r.peek(1) ?? '') && !r.peek(1)?.includes('=');
  return isRange ? readRange(r, pages) : { region: r.name('R', 'R') };
}

function readDeviceCompute(r: Reader, pages: PageSizes): TaskAct {
  const device = readFreeWord(r, 'DEVICE');
  const range = readOptionalRange(r, pages);
  const rest = r.trailing(COMPUTE_WORDS, ['passes', 'stride', 'seed', 'accesses']);
  const { words } = rest;
  if (words.includes('reading') && words.includes('atomic')) {
    r.fail('atomic accesses write: reading or atomic', r.end - 1);
  }
  const shapes = words.filter((word) => COMPUTE_SHAPES.includes(word));
  if (shapes.length > 1) r.fail(`one pattern at a time: ${shapes.join(' or ')}`, r.end - 1);
  return {
    verb: 'device_compute',
    device,
    ...range,
    words: rest.words,
    ...given('passes', r.positiveOption(rest, 'passes')),
    ...given('stride', r.positiveOption(rest, 'stride', { pageBytes: pages.of(range.region) })),
    ...given('seed', r.numberOption(rest, 'seed')),
    ...given('accesses', r.positiveOption(rest, 'accesses')),
  };
}

function readDeviceAdvise(r: Reader, pages: PageSizes): TaskAct {
  const device = readFreeWord(r, 'DEVICE');
  const range = readOptionalRange(r, pages);
  return { verb: 'device_advise', device, ...range, advice: r.oneOf('ADVICE', DEVICE_ADVICE) };
}

function readUse(r: Reader, verb: 'work' | 'fill', pages: PageSizes): TaskAct {
  const range = readRange(r, pages);
  if (verb === 'work') return { verb, ...range, ms: r.number('MS') };
  return { verb, ...range, value: r.number('VALUE') };
}

function readDevicePolicy(r: Reader): TaskAct {
  const device = readFreeWord(r, 'DEVICE');
  const policy = readFreeWord(r, 'POLICY');
  const rest = r.trailing(DEVICE_POLICY_WORDS, ['threshold', 'granularity']);
  const threshold = given('threshold', r.numberOption(rest, 'threshold'));
  const granularity = given('granularity', r.numberOption(rest, 'granularity', 'bytes'));
  return { verb: 'device_policy', device, policy, words: rest.words, ...threshold, ...granularity };
}

/** Reads the arguments of a task's verb; the reader stands after the verb. */
export function readTaskAct(r: Reader, verb: TaskVerb, pages: PageSizes): TaskAct {
  if (isFileVerb(verb)) return readFileAct(r, verb, pages);
  if (isKernelPagesVerb(verb)) return readKernelPagesAct(r, verb);
  switch (verb) {
    case 'cpu':
      return { verb, cpu: r.number('N, a CPU,') };
    case 'set_mempolicy':
      return readSetMempolicy(r);
    case 'get_mempolicy':
    case 'next_node':
    case 'mems_allowed':
    case 'exit':
      return { verb };
    case 'policy_at':
    case 'node_at':
      return readAt(r, verb, pages);
    case 'get_raw':
      return readGetRaw(r, pages);
    case 'mmap':
      return readMmap(r, pages);
    case 'munmap':
    case 'touch':
    case 'read':
    case 'where':
      return readOnRange(r, verb, pages);
    case 'work':
    case 'fill':
      return readUse(r, verb, pages);
    case 'tables':
      return readTables(r, pages);
    case 'mbind':
      return readMbind(r, pages);
    case 'set_home':
      return readSetHome(r, pages);
    case 'move_pages':
      return readMovePages(r, pages);
    case 'migrate_pages':
      return readMigratePages(r);
    case 'madvise':
      return readMadvise(r, pages);
    case 'mlock':
    case 'munlock':
    case 'mlockall':
    case 'munlockall':
    case 'pin':
    case 'unpin':
      return readHold(r, verb, pages);
    case 'swrite': {
      const path = r.path();
      return { verb, path, value: r.value() };
    }
    case 'device_compute':
      return readDeviceCompute(r, pages);
    case 'device_policy':
      return readDevicePolicy(r);
    case 'device_prefetch':
      return { verb, device: readFreeWord(r, 'DEVICE'), ...readOptionalRange(r, pages) };
    case 'device_advise':
      return readDeviceAdvise(r, pages);
    case 'device_alloc':
      return readDeviceAlloc(r, pages);
    case 'alloc_buffer':
      return readAllocBuffer(r, pages);
    case 'cpu_compute':
      return readOnRange(r, 'touch', pages);
    case 'release_buffer':
      return { verb: 'munmap', region: r.name('R', 'R') };
  }
}

function readOnlineNode(r: Reader): SysAct {
  const node = r.number('N, a node,');
  let zone: 'KERNEL' | 'MOVABLE' | undefined;
  if (r.peek() !== undefined && !/^[0-9]/.test(r.peek() as string)) {
    zone = r.oneOf('zone', ['KERNEL', 'MOVABLE'] as const);
  }
  const nrBlocks = r.done ? undefined : r.number('BLOCKS');
  const rest = given('nrBlocks', nrBlocks);
  return zone === undefined
    ? { verb: 'online_node', node, ...rest }
    : { verb: 'online_node', node, zone, ...rest };
}

/** Reads the arguments of a verb of `sys`; the reader stands after the verb. */
export function readSysAct(r: Reader, verb: SysVerb, pages: PageSizes): SysAct {
  switch (verb) {
    case 'write': {
      const path = r.path();
      return { verb, path, value: r.value() };
    }
    case 'read':
    case 'mkdir':
    case 'rmdir':
      return { verb, path: r.path() };
    case 'move': {
      const task = r.name('TASK', 'T');
      return { verb, task, cgroup: r.path('CGROUP') };
    }
    case 'zones':
    case 'free':
    case 'numastat':
    case 'states':
    case 'fallback':
    case 'tasks':
    case 'uevents':
    case 'drop_caches':
    case 'sync':
      return { verb };
    case 'hugetlb': {
      if (r.done) return { verb };
      if (r.word('1G') !== '1G') r.fail('the pool is of 2 MiB, or 1G', r.at - 1);
      return { verb, size: '1G' };
    }
    case 'mkfile':
    case 'rmfile':
    case 'truncate':
    case 'cached':
      return readFileSysAct(r, verb, pages);
    case 'vmstat':
      return { verb, keys: r.word('KEY').split(',') };
    case 'offline_node': {
      const node = r.number('N, a node,');
      return { verb, node, ...given('nrBlocks', r.done ? undefined : r.number('BLOCKS')) };
    }
    case 'online_node':
      return readOnlineNode(r);
    case 'poison':
    case 'soft_offline': {
      const task = r.name('TASK', 'T');
      const region = r.name('R', 'R');
      const unit = { pageBytes: pages.of(region) };
      return { verb, task, region, offset: r.number('OFF, an offset in pages,', unit) };
    }
    case 'link_failure':
    case 'remove_node':
      return { verb, node: r.number('N, a node,') };
    case 'add_node': {
      const node = r.number('N, a node,');
      return {
        verb,
        node,
        ...given('isDriver', r.trailing(['driver'], []).words.length > 0 || undefined),
      };
    }
    case 'swapon': {
      const nrPages = r.number('PAGES, a number of pages,', { pageBytes: pages.base });
      return { verb, nrPages, ...given('priority', r.done ? undefined : r.number('PRIORITY')) };
    }
    case 'sleep':
      return { verb, ms: r.number('MS') };
    case 'ksm_scans':
      return { verb, nrScans: r.number('N') };
  }
}
