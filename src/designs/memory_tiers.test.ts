// Memory tiers as a design: nothing is isolated, cold pages go down, and what is near a device may
// count as far.
import { describe, expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { checkAll } from '../checkers/index.ts';
import { distanceOf, memoryTiers } from './memory_tiers.ts';
import { stock } from './stock.ts';

const GB = 1e9;

/** RAM and a device, whose memory CPUs reach with so much latency and bandwidth. */
const machine = (latencyNs?: number, bandwidthBytesPerS?: number) =>
  machineFrom({
    name: 'tiers',
    arch: 'x86_64',
    nodes: [
      { id: 0, cpus: '0', memory: '256MiB' },
      { id: 1, memory: '128MiB', memoryZone: 'movable', device: 'gpu0' },
    ],
    distances: [
      [10, 20],
      [20, 10],
    ],
    devices: [{ name: 'gpu0', kind: 'device', homeNode: 0 }],
    ...(latencyNs === undefined || bandwidthBytesPerS === undefined
      ? {}
      : {
          links: [
            {
              from: 'node:0',
              to: 'node:0',
              latencyNs: 120,
              bandwidthBytesPerS: 400 * GB,
              source: 'chosen',
            },
            { from: 'node:0', to: 'node:1', latencyNs, bandwidthBytesPerS, source: 'chosen' },
          ],
        }),
  });

const tiersOf = (m: ReturnType<typeof machine>, design = memoryTiers): string[] =>
  play('T0 get_mempolicy', { machine: m, design })
    .kernel.tiers.tiers()
    .map(({ id, nodes }) => `${id}: ${nodes}`);

describe('abstract distances', () => {
  test('[TIR6] in proportion to latency, in inverse proportion to bandwidth', () => {
    const dram = { latencyNs: 100, bandwidthBytesPerS: 200 * GB };
    expect(distanceOf(dram, dram)).toBe(576);
    expect(distanceOf({ latencyNs: 200, bandwidthBytesPerS: 200 * GB }, dram)).toBe(1152);
    expect(distanceOf({ latencyNs: 200, bandwidthBytesPerS: 800 * GB }, dram)).toBe(288);
    expect(distanceOf({ latencyNs: 150, bandwidthBytesPerS: 300 * GB }, dram)).toBe(576);
  });

  test('[TIR6] without a description device memory is the slowest; stock knows no tier of it', () => {
    expect(tiersOf(machine())).toEqual(['4: 0', '22: 1']);
    expect(tiersOf(machine(), stock)).toEqual(['4: 0-1']);
  });

  // Alistair Popple saw HBM of a GPU become a lower tier: firmware describes it as CPUs see it,
  // over the link.
  test('[TIR6] HBM over a link counts as slower than DRAM, and only as wide as a CPU sees it', () => {
    expect(tiersOf(machine(600, 375 * GB))).toEqual(['4: 0', '24: 1']);
    expect(tiersOf(machine(110, 3400 * GB))).toEqual(['0: 1', '4: 0']);
  });
});

describe('where pages go', () => {
  test('[TIR7] cold pages of RAM go down to the device, in a cpuset without it, too', () => {
    const played = play(
      `
      sys mkdir /sys/fs/cgroup/ram
      sys write /sys/fs/cgroup/ram/cpuset.mems 0
      T0 mmap R0 200MiB anon
      T0 touch R0
      T0 mbind R0 0 200MiB bind 0
      fork T0 T1
      sys move T1 /sys/fs/cgroup/ram
      T0 mmap R1 60MiB anon
      T0 mbind R1 0 60MiB bind 0
      T0 touch R1 -> 0
      T1 mems_allowed -> nodes 0
      T1 where R0
    `,
      { machine: machine(), design: memoryTiers },
    );
    expect(checkAll(played.kernel)).toEqual([]);
    const down = played.kernel.moves.rows().filter((row) => row.cause === 'demotion');
    expect(down.map(({ from, to }) => `${from}>${to}`)).toEqual(['0>1']);
    // T1 may use node 0 alone, and shares what lies on node 1.
    expect(Object.keys(played.last['counts'] as object)).toEqual(['0', '1']);
  });

  test('[TIR7] nothing keeps a program off the device', () => {
    const { kernel } = play(
      `
      T0 mmap R0 300MiB anon
      T0 touch R0 -> 0
    `,
      { machine: machine(), design: memoryTiers },
    );
    expect(kernel.placements.rows().some((row) => row.nid === 1 && !row.isAsked)).toBe(true);
    expect(checkAll(kernel)).toEqual([]);
  });
});
