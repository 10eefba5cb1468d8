// What counts as chance where memory ends, by cases made here: a small machine, no recorded file.
import { expect, test } from 'vitest';
import { nodeId } from '../base/ids.ts';
import type { GuestZone } from '../guest/protocol.ts';
import type { OpResult } from '../scenario/ops.ts';
import { conformCase } from './conform.ts';
import type { OracleCase } from './oracle_case.ts';
import { otherStarts } from './other_starts.ts';

const FREE = 9000;
const DEVICE = 40_000;
const zone = (node: number, name: string, startPfn: number, free: number): GuestZone => ({
  node,
  zone: name,
  startPfn,
  free,
  spanned: Math.max(free, 10_000),
  present: Math.max(free, 10_000),
  managed: Math.max(free, 10_000),
  pcp: 0,
  min: 100,
  low: 125,
  high: 150,
});

/** Two nodes of RAM of 10,000 pages, and a device of 40,000. */
function caseOf(design: string, ops: readonly (readonly [string, OpResult])[]): OracleCase {
  const node = (id: number, isDevice: boolean) => ({
    id,
    cpus: isDevice ? [] : [id],
    memoryMiB: isDevice ? 256 : 40,
    zone: isDevice ? 'movable' : 'normal',
    cdm: isDevice,
    hotplug: isDevice,
  });
  const ids = [0, 1, 2];
  return {
    id: 'exhaust/made',
    family: 'exhaust',
    kind: 'directed',
    purpose: '',
    kernel: 'made',
    design,
    bootCmdline: 'cgroup_disable=memory',
    machine: {
      name: 'made',
      note: '',
      nodes: ids.map((id) => node(id, id === 2)),
      distances: ids.map((i) => ids.map((j) => (i === j ? 10 : i + j < 2 ? 20 : 40))),
    },
    nodeStates: { possible: ids, online: ids },
    zonesAtStart: [
      zone(0, 'DMA32', 4096, FREE),
      zone(1, 'DMA32', 16_384, FREE),
      zone(2, 'Movable', 1_048_576, DEVICE),
    ],
    ops: ops.map(([op, result]) => ({ op, result })),
  };
}

const verdict = (design: string, ops: readonly (readonly [string, OpResult])[]) =>
  conformCase(caseOf(design, ops));

const KERNEL = 'GFP_KERNEL_ACCOUNT|__GFP_ZERO';
const oom = (by: string, gfp: string) => [{ task: 'T0', by, gfp }];
const mmap = (region: string, nrPages: number) =>
  [`T0 mmap ${region} ${nrPages} anon`, { ret: 0 }] as const;
const touch = (nrPages: number, result: Partial<OpResult>) =>
  [`T0 touch R0 0 ${nrPages}`, { ret: 0, touched: nrPages, ...result }] as const;
const killed = { ret: 'KILLED', killedBy: 'SIGKILL', died: ['T0'] };

test('[SPR5] who dies for a page table is judged by page tables, for a page by pages', () => {
  const all = mmap('R0', 57_000);
  const model = verdict('none', [all, touch(57_000, { ret: 'KILLED', touched: 0 })]);
  const at = Number(/model (\d+)/.exec(model.difference ?? '')?.[1]);
  expect(at % 512).toBe(0);
  const died = (touched: number, gfp: string) =>
    verdict('none', [all, touch(57_000, { ...killed, touched, oom: oom('T0', gfp) })]).verdict;
  expect(died(at, KERNEL)).toBe('equal');
  expect(died(at - 5 * 512, KERNEL)).toBe('equal');
  expect(died(at - 5 * 512, 'GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO')).toBe('different');
  expect(verdict('none', [all, touch(57_000, {})]).verdict).toBe('equal');
  // Memory for page tables is far from its end: this is no matter of chance.
  const early = touch(2_000, { ...killed, touched: 512, oom: oom('T0', KERNEL) });
  expect(verdict('none', [mmap('R0', 2_000), early]).verdict).toBe('different');
});

test('[SPR6] the controller kills for itself at the end of memory, and nowhere else', () => {
  const dies: OpResult = { ret: 0, died: ['T0'], oom: oom('probe', 'GFP_KERNEL') };
  const full = [mmap('R0', 20_000), touch(20_000, {})];
  const steps = (end: OpResult) => [...full, ['sys free', end] as const];
  expect(verdict('none', steps(dies))).toMatchObject({ verdict: 'equal', comparedSteps: 2 });
  expect(verdict('none', steps({ ...dies, oom: oom('T1', 'GFP_KERNEL') })).verdict).toBe(
    'different',
  );
  const some = [mmap('R0', 9_000), touch(9_000, {}), ['sys free', dies] as const];
  expect(verdict('none', some).verdict).toBe('different');
});

test('[SPR7] a call may lack a slab page where the list of its task has no kernel memory', () => {
  const steps = (nodes: string) => [
    mmap('R0', 16),
    [`T0 set_mempolicy preferred ${nodes}`, { ret: 0 }] as const,
    ['T0 munmap R0', { ret: 'ENOMEM' }] as const,
  ];
  expect(verdict('limited', steps('2'))).toMatchObject({ verdict: 'equal', comparedSteps: 2 });
  expect(verdict('limited', steps('1')).verdict).toBe('different');
  expect(verdict('none', steps('2')).verdict).toBe('different');
});

test('[SPR8] starts differ on one node that has kernel memory, by no more than its tolerance', () => {
  const c = caseOf('none', []);
  const starts = otherStarts(c);
  expect(starts.length).toBe(2 * 4);
  for (const { zones } of starts) {
    const changed = zones.filter((z, i) => z.free !== c.zonesAtStart[i]?.free);
    expect(changed.length).toBe(1);
    expect(changed[0]?.zone).toBe('DMA32');
    expect(Math.abs((changed[0]?.free ?? 0) - FREE)).toBeLessThanOrEqual(512);
  }
  // A move to a node that lacks a few pages there, or none.
  const steps = (nrMoved: number, ret: number | string) => [
    mmap('R0', 8_600),
    ['T0 mbind R0 0 8600 bind 1', { ret: 0 }] as const,
    touch(8_600, {}),
    mmap('R1', nrMoved),
    [`T0 touch R1 0 ${nrMoved}`, { ret: 0, touched: nrMoved }] as const,
    ['T0 migrate_pages 0 1', { ret }] as const,
  ];
  expect(verdict('none', steps(200, 0))).toMatchObject({ verdict: 'equal' });
  expect(verdict('none', steps(200, 0)).start).toBeUndefined();
  expect(verdict('none', steps(200, 'ENOMEM')).start).toMatch(/pages fewer on node 1$/);
  expect(verdict('none', steps(2_000, 0)).verdict).toBe('different');
});

test('[SPR9] a short list lies before a spill or behind it, and nowhere else', () => {
  const steps = (nid: number, nrFull: number) => [
    mmap('R0', nrFull),
    [`T0 mbind R0 0 ${nrFull} preferred 0`, { ret: 0 }] as const,
    touch(nrFull, {}),
    mmap('R1', 100),
    ['T0 touch R1 0 100', { ret: 0, touched: 100 }] as const,
    ['T0 where R1 0 100', { ret: 0, where: [[nid, 100]], counts: { [nid]: 100 } }] as const,
  ];
  expect(verdict('none', steps(1, 9_000)).verdict).toBe('equal');
  expect(verdict('none', steps(0, 9_000)).verdict).toBe('equal');
  expect(verdict('none', steps(0, 2_000)).verdict).toBe('equal');
  expect(verdict('none', steps(1, 2_000)).verdict).toBe('different');
  // A page on a device that the design keeps apart is no matter of spread (SPR3).
  expect(verdict('gate', steps(Number(nodeId(2)), 9_000)).verdict).toBe('different');
});

test('[SPR10] what comes while a killed task gives back its memory may lie anywhere', () => {
  const where: OpResult = { ret: 0, where: [[1, 6_000]], counts: { 1: 6_000 } };
  const steps = (nrHog: number, touched: OpResult): [string, OpResult][] => [
    ['T0 mmap R0 15000 anon', { ret: 0 }],
    ['T0 mbind R0 0 15000 bind 0,1', { ret: 0 }],
    [`T0 touch R0 0 ${nrHog}`, { ret: 0, touched: nrHog }],
    ['fork T0 T1', { ret: 0 }],
    ['T1 munmap R0', { ret: 0 }],
    ['T1 mmap R1 6000 anon', { ret: 0 }],
    ['T1 mbind R1 0 6000 bind 0,1', { ret: 0 }],
    ['T1 touch R1 0 6000', touched],
    ['T1 where R1 0 6000', where],
  ];
  const kills: OpResult = { ret: 0, touched: 6_000, died: ['T0'], oom: oom('T1', 'GFP_USER') };
  const run = verdict('none', steps(15_000, kills));
  expect(run).toMatchObject({ verdict: 'equal', comparedSteps: 8 });
  // Nobody was killed: the pages have their places.
  const spared = verdict('none', steps(1_000, { ret: 0, touched: 6_000 }));
  expect(spared.verdict).toBe('different');
});
