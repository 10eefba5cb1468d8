// Pages on their way down the tiers of memory.
import { describe, expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import type { Frame, NodeId } from '../base/ids.ts';
import { checkAll } from '../checkers/index.ts';
import { byPage } from '../designs/by_page.ts';
import { stock } from '../designs/stock.ts';
import type { Design } from '../hooks/design.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import { canDemote, demotePages } from './demotion.ts';
import type { Kernel } from './kernel.ts';
import { pteFrame } from './page_table.ts';

/** A node with CPUs, and two of slower memory, the nearer one small and of a device. */
const machine = () =>
  machineFrom({
    name: 'slow',
    arch: 'x86_64',
    nodes: [
      { id: 0, cpus: '0', memory: '256MiB' },
      { id: 1, memory: '4MiB', memoryZone: 'movable', isKmem: true, device: 'gpu0' },
      { id: 2, memory: '128MiB', memoryZone: 'movable', isKmem: true },
    ],
    distances: [
      [10, 20, 40],
      [20, 10, 30],
      [40, 30, 10],
    ],
    devices: [{ name: 'gpu0', kind: 'device', homeNode: 0 }],
  });

function demoted(nrPages: number, design: Design, more = ''): { k: Kernel; left: number } {
  const { kernel: k, session } = play(
    `sys write /sys/kernel/mm/numa/demotion_enabled 1
     T0 mmap R0 ${nrPages} anon
     ${more}
     T0 touch R0`,
    { machine: machine(), design },
  );
  const task = k.tasks[0] as Kernel['tasks'][number];
  const first = session.runner.regionsOf('T0').vpnOf('R0', 0);
  const frames: Frame[] = [];
  for (let i = 0; i < nrPages; i++) frames.push(pteFrame(task.mm.pageTable.get(first + i)));
  const left = demotePages(k, 0 as NodeId, frames, true);
  expect(checkAll(k).filter((f) => !f.startsWith('promise'))).toEqual([]);
  return { k, left: left.length };
}

const moves = (k: Kernel) =>
  k.moves.rows().map(({ cause, from, to, nrPages }) => `${cause} ${from}>${to} ${nrPages}`);

describe('demotion', () => {
  test('[TIR4] to the nearest node of the lower tier', () => {
    const { k, left } = demoted(100, stock);
    expect(left).toBe(0);
    expect(moves(k)).toEqual(['demotion 0>1 100']);
    expect(canDemote(k, 0 as NodeId)).toBe(true);
    expect(canDemote(k, 1 as NodeId)).toBe(false);
  });

  test('[TIR4] and on to another when that one is full', () => {
    const { k, left } = demoted(1500, stock);
    expect(left).toBe(0);
    const [near, far] = k.moves.rows();
    expect(near?.to).toBe(1);
    expect(far?.to).toBe(2);
    expect((near?.nrPages ?? 0) + (far?.nrPages ?? 0)).toBe(1500);
  });

  test('[TIR5] whatever the policy of the area says', () => {
    const { k } = demoted(10, stock, 'T0 mbind R0 0 10 bind 0');
    expect(moves(k)).toEqual(['demotion 0>1 10']);
  });

  test('[TIR4] not onto nodes that the design keeps out', () => {
    const { k, left } = demoted(100, byPage);
    expect(left).toBe(0);
    expect(moves(k)).toEqual(['demotion 0>2 100']);
  });

  test('[TIR4] [TIR5] a bind to a full node goes on, while its pages go down; else it is killed', () => {
    const text = (isOn: number, result: string) => `
      sys write /sys/kernel/mm/numa/demotion_enabled ${isOn}
      T0 mmap R0 280MiB anon
      T0 mbind R0 0 280MiB bind 0
      T0 touch R0 -> ${result}
    `;
    const { kernel } = play(text(1, '0'), { machine: machine() });
    const down = kernel.moves.rows().filter((row) => row.cause === 'demotion');
    expect(down.map((row) => Number(row.to))).toEqual([1, 2]);
    const { stat } = kernel.mem;
    const counted = stat.event(EVENT.pgdemote_kswapd) + stat.event(EVENT.pgdemote_direct);
    expect(counted).toBe(down.reduce((n, row) => n + row.nrPages, 0));
    expect(checkAll(kernel).filter((f) => !f.startsWith('promise'))).toEqual([]);
    play(text(0, 'KILLED'), { machine: machine() });
  });

  test('[TIR4] pages that find no room stay', () => {
    const closed: Design = { ...stock, id: 'closed', answers: { demotionTarget: () => false } };
    const { k, left } = demoted(100, closed);
    expect(left).toBe(100);
    expect(moves(k)).toEqual([]);
  });
});
