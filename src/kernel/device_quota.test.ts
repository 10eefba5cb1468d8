// The quota of device pages: who may take how much, what happens beyond, and that what is counted
// is what there is, after every step of random work.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bench, play } from '../../test/support/play.ts';
import { check } from '../../test/support/property.ts';
import { judge } from '../../test/support/workloads.ts';
import { checkNodeCharges } from '../checkers/node_charge.ts';
import { deviceQuota } from '../designs/device_quota.ts';
import { stock } from '../designs/stock.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import { parseScenario } from '../scenario/parser.ts';

const G = '/sys/fs/cgroup';
const KIB = 1024;

/** A group `a` with T0 in it, T1 outside, and a quota of so many pages of node 2. */
const tenant = (nrPages: number) => `
  fork T0 T1
  sys mkdir ${G}/a -> 0
  sys write ${G}/cgroup.subtree_control +dmem -> 0
  sys write ${G}/a/dmem.max "node2 ${nrPages * 4}KiB" -> 0
  sys move T0 ${G}/a -> 0`;

const run = (text: string) => play(text, { machine: bench(), design: deviceQuota });

test('[NCH3] pages beyond the quota go where the policy allows, and count for nobody there', () => {
  const { kernel } = run(`
    ${tenant(100)}
    T0 mmap R0 160 anon
    T0 mbind R0 0 160 preferred 2
    T0 touch R0 -> 0
    T0 where R0 -> nodes 2:100 0:60
    sys read ${G}/a/dmem.current -> value "node2 ${100 * 4 * KIB}"
    T0 mmap R1 40 anon
    T0 mbind R1 0 40 interleave 1,2
    T0 touch R1
    T0 where R1 -> nodes 0:20 1:20
    T1 mmap R0 160 anon
    T1 mbind R0 0 160 bind 2
    T1 touch R0 -> 0
    T1 where R0 -> nodes 2:160
  `);
  expect(kernel.mem.charges?.accounts[1]?.used[2]).toBe(100);
});

test('[NCH3] a bind to the device alone kills in the group, whoever else is larger', () => {
  const { kernel } = run(`
    ${tenant(100)}
    T1 mmap R1 900 anon
    T1 touch R1
    T0 mmap R0 160 anon
    T0 mbind R0 0 160 bind 2
    T0 touch R0 -> KILLED; touched 100
    T1 where R1 -> nodes 0:900
  `);
  expect(kernel.kills).toMatchObject([{ victim: 'T0', asking: 'T0', lack: 'share' }]);
  expect(kernel.mem.charges?.accounts[1]?.used[2]).toBe(0);
});

test('[NCH3] it frees nothing of others for a group that has its share, and nothing of the node', () => {
  const { kernel } = run(`
    ${tenant(100)}
    sys swapon 2000
    T1 mmap R1 900 anon
    T1 mbind R1 0 900 bind 2
    T1 touch R1
    T0 mmap R0 160 anon
    T0 mbind R0 0 160 preferred 2
    T0 touch R0
    T1 where R1 -> nodes 2:900
  `);
  expect(kernel.mem.stat.event(EVENT.pswpout)).toBe(0);
});

test('[NCH1] what is freed, moved away or lost with its task counts no more', () => {
  run(`
    ${tenant(100)}
    T0 mmap R0 90 anon
    T0 mbind R0 0 90 bind 2
    T0 touch R0
    T0 madvise R0 0 10 dontneed
    sys read ${G}/a/dmem.current -> value "node2 ${80 * 4 * KIB}"
    T0 move_pages R0 10 30 0
    sys read ${G}/a/dmem.current -> value "node2 ${50 * 4 * KIB}"
    T0 move_pages R0 10 30 2
    sys read ${G}/a/dmem.current -> value "node2 ${80 * 4 * KIB}"
    T0 exit
    sys read ${G}/a/dmem.current -> value "node2 0"
  `);
});

test('[NCH2] a move is counted for whom the page is, and refused beyond its quota', () => {
  run(`
    ${tenant(20)}
    T0 mmap R0 40 anon
    T0 touch R0
    T1 move_pages R0 0 40 2 pid=T0
    T0 where R0 -> nodes 2:20 0:20
    T0 device_prefetch gpu0 R0 -> 0
    T0 where R0 -> nodes 2:20 0:20
  `);
});

test('[NCH2] the driver makes room for a group with pages of the group, not of others', () => {
  run(`
    ${tenant(512)}
    T1 mmap R1 1024 anon
    T1 touch R1
    T1 device_compute gpu0 R1 -> moved 1024
    T0 mmap R0 1024 anon
    T0 touch R0
    T0 device_compute gpu0 R0 -> moved 1024; evicted 512
    T0 where R0 -> nodes 2:512 0:512
    T1 where R1 -> nodes 2:1024
  `);
});

test('[NCH2] a group is bound by the groups above it too, and charges stay when a task moves', () => {
  run(`
    ${tenant(100)}
    sys move T0 ${G}
    sys write ${G}/a/cgroup.subtree_control +dmem -> 0
    sys mkdir ${G}/a/x
    sys mkdir ${G}/b
    sys write ${G}/a/x/dmem.max "node2 60KiB" -> 0
    sys move T0 ${G}/a/x -> 0
    T0 mmap R0 60 anon
    T0 mbind R0 0 60 preferred 2
    T0 touch R0
    T0 where R0 -> nodes 2:15 0:45
    sys read ${G}/a/dmem.current -> value "node2 ${15 * 4 * KIB}"
    sys write ${G}/a/x/dmem.max "node2 max" -> 0
    sys move T0 ${G}/b -> 0
    T0 madvise R0 0 60 dontneed
    T0 touch R0 0 20
    sys read ${G}/a/x/dmem.current -> value "node2 0"
    sys read ${G}/b/dmem.current -> value "node2 ${20 * 4 * KIB}"
  `);
});

test('[NCH5] files: sizes in whole pages, max, no regions but nodes that count', () => {
  run(`
    sys mkdir ${G}/a
    sys write ${G}/a/dmem.max "node2 max" -> ENOENT
    sys write ${G}/cgroup.subtree_control +dmem -> 0
    sys read ${G}/cgroup.subtree_control -> value "cpuset dmem"
    sys read ${G}/a/dmem.max -> value "node2 max"
    sys write ${G}/a/dmem.max "node2 10000" -> 0
    sys read ${G}/a/dmem.max -> value "node2 8192"
    sys write ${G}/a/dmem.max "node0 10000" -> EINVAL
    sys write ${G}/a/dmem.max "node2" -> EINVAL
    sys write ${G}/a/dmem.max "node2 many" -> EINVAL
    sys write ${G}/a/dmem.current "node2 0" -> EACCES
    sys write ${G}/cgroup.subtree_control -dmem -> 0
    sys read ${G}/a/dmem.max -> ENOENT
  `);
  play(
    `
    sys mkdir ${G}/a
    sys write ${G}/cgroup.subtree_control +dmem -> EINVAL
    sys read ${G}/a/dmem.max -> ENOENT
  `,
    { machine: bench(), design: stock },
  );
});

test('[CGR4] a group that hands dmem on has no tasks of its own', () => {
  run(`
    ${tenant(100)}
    sys write ${G}/a/cgroup.subtree_control +dmem -> EBUSY
    sys mkdir ${G}/b
    sys mkdir ${G}/b/x
    sys write ${G}/b/cgroup.subtree_control +dmem -> 0
    sys move T0 ${G}/b -> EBUSY
    sys move T0 ${G}/b/x -> 0
    sys write ${G}/cgroup.subtree_control -dmem -> EBUSY
  `);
});

test('[NCH1] the judge sees a page that is counted twice', () => {
  const { kernel } = run(`
    ${tenant(100)}
    T0 mmap R0 10 anon
    T0 mbind R0 0 10 bind 2
    T0 touch R0
  `);
  expect(checkNodeCharges(kernel)).toEqual([]);
  const account = kernel.mem.charges?.accounts[1];
  if (account !== undefined) account.used[2] = 11;
  expect(checkNodeCharges(kernel).join()).toContain('is said to have 11 pages and has 10');
});

const task = fc.constantFrom('T0', 'T1', 'T2');
const place = fc
  .tuple(fc.constantFrom('R0', 'R1', 'R2'), fc.nat(500), fc.integer({ min: 1, max: 100 }))
  .map(([r, offset, n]) => `${r} ${offset} ${n}`);
const group = fc.constantFrom('', '/a', '/a/x', '/b');
const line = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(task, place).map(([t, p]) => `${t} touch ${p}`) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(task, place, fc.constantFrom('bind 2', 'preferred 2', 'interleave 0,2'))
      .map(([t, p, m]) => `${t} mbind ${p} ${m}`),
  },
  fc.tuple(task, group).map(([t, g]) => `sys move ${t} ${G}${g}`),
  fc
    .tuple(fc.constantFrom('/a', '/a/x', '/b'), fc.nat(400))
    .map(([g, n]) => `sys write ${G}${g}/dmem.max "node2 ${n * 4}KiB"`),
  fc
    .tuple(task, place, fc.constantFrom('dontneed', 'pageout'))
    .map(([t, p, a]) => `${t} madvise ${p} ${a}`),
  fc.tuple(task, place, fc.nat(2)).map(([t, p, n]) => `${t} move_pages ${p} ${n} moveall`),
  fc.tuple(task, place).map(([t, p]) => `${t} device_compute gpu0 ${p}`),
  fc.tuple(task, place).map(([t, p]) => `${t} munmap ${p}`),
  fc.tuple(task, place).map(([t, p]) => `${t} pin ${p} longterm`),
  fc.tuple(task, place).map(([t, p]) => `${t} madvise ${p} hwpoison`),
  fc.constantFrom('T0 readfile f', 'sys drop_caches', 'sys offline_node 2 1', 'sys online_node 2'),
  fc.constantFrom(`sys rmdir ${G}/a/x`, `sys mkdir ${G}/a/x`, 'T2 exit', 'fork T0 T2'),
);
const FIRST = `
  sys mkdir ${G}/a
  sys mkdir ${G}/a/x
  sys mkdir ${G}/b
  sys write ${G}/cgroup.subtree_control "+dmem +cpuset"
  sys write ${G}/a/cgroup.subtree_control +dmem
  sys mkfile f 80
  sys swapon 4000
  T0 mmap R0 600 anon
  T0 mmap R1 600 shared
  T0 mmap R2 600 hugetlb-noreserve
  fork T0 T1
  fork T0 T2
  sys write ${G}/b/dmem.max "node2 200KiB"
  sys move T0 ${G}/a/x
  sys move T1 ${G}/b
  T0 set_mempolicy preferred 2`;

test('[NCH1] [NCH2] [NCH4] what counts is what there is, after every step of random work', () => {
  check(fc.array(line, { minLength: 1, maxLength: 30 }), 12, (lines) => {
    const text = [...FIRST.trim().split('\n'), ...lines].map((l) => l.trim()).join('\n');
    const scenario = parseScenario(text, { file: 'fuzz.cdm', pageBytes: 4096 });
    const isExpected = (finding: string): boolean => !finding.startsWith('node charges:');
    const input = { machine: bench(), design: deviceQuota, isExpected };
    const found = judge(input, scenario, scenario.ops);
    if (found.length > 0) throw new Error(found.join('\n'));
  });
});
