// Moving many pages at a time against moving them one by one.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import { check } from '../../test/support/property.ts';
import type { Frame } from '../base/ids.ts';
import { nodeId } from '../base/ids.ts';
import { checkAll } from '../checkers/index.ts';
import type { Kernel } from './kernel.ts';
import { migrateFrames, type TargetSource, targetOn } from './migrate.ts';
import { pteFrame, pteIsPage } from './page_table.ts';
import { stateHash } from './state_hash.ts';

/** Operations that make pages differ from their neighbours. */
const DISTURB = [
  'T0 touch R0 40 200',
  'T0 madvise R0 60 30 dontneed',
  'T0 pin R0 100 5',
  'T0 mlock R0 200 50',
  'fork T0 T1',
  'T1 touch R0 10 90',
  'T1 exit',
  'T0 migrate_pages 0 1',
  'T0 read R0',
  'sys swapon 64',
  'T0 touch R1',
];

const setUp = (ops: readonly string[]): Kernel =>
  play(['T0 mmap R0 1200 anon', 'T0 mmap R1 64 shared', 'T0 touch R0 0 900', ...ops].join('\n'))
    .kernel;

const ofTask = (k: Kernel): Frame[] => {
  const task = k.liveTasks()[0];
  const frames = new Set<Frame>();
  for (const vma of task?.mm.vmas ?? []) {
    task?.mm.pageTable.walk(vma.startVpn, vma.endVpn, (_vpn, pte) => {
      if (pteIsPage(pte)) frames.add(pteFrame(pte));
    });
  }
  return [...frames];
};

/** Moves all pages of the first task to a node, many at a time or not; what is left behind. */
function moved(ops: readonly string[], nid: number, isMany: boolean) {
  const k = setUp(ops);
  const task = k.liveTasks()[0];
  if (task === undefined) throw new Error('no task');
  const target = targetOn(k, task, nodeId(nid));
  const oneByOne: TargetSource = (old) => target(old);
  const frames = ofTask(k).filter((f) => k.allocator.nidOf(f) !== nid);
  const result = migrateFrames(k, frames, isMany ? target : oneByOne, 'migrate_pages');
  expect(checkAll(k)).toEqual([]);
  return { result, hash: stateHash(k), moves: k.moves.rows(), where: ofTask(k) };
}

test('[MIG8] pages that move many at a time leave behind what they would one by one', () => {
  const given = fc.tuple(
    fc.array(fc.constantFrom(...DISTURB), { maxLength: 6 }),
    fc.constantFrom(0, 1, 2),
  );
  let nrMoved = 0;
  check(given, 40, ([ops, nid]) => {
    const many = moved(ops, nid, true);
    expect(many).toEqual(moved(ops, nid, false));
    nrMoved += many.moves.reduce((n, row) => n + row.nrPages, 0);
  });
  expect(nrMoved).toBeGreaterThan(5000);
});
