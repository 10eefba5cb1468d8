// How fast a device is simulated: visits of pages that stay put, in a stream and at random, and
// pages that its driver moves to and fro.

import { findDesign } from '../designs/index.ts';
import { type Device, makeDevices } from '../drivers/device.ts';
import { Kernel } from '../kernel/kernel.ts';
import { mmap } from '../kernel/mmap.ts';
import type { Machine } from '../machine/machine.ts';
import { findPreset } from '../machine/presets/index.ts';
import { type BenchRow, median, timeNs } from './bench_time.ts';

const START_VPN = 1 << 28;

/** @param nrPages pages of the buffer. */
export function benchDevice(nrPages: number, rounds: number): BenchRow[] {
  const k = new Kernel(findPreset('gh200') as Machine, findDesign('stock'));
  const task = k.newTask('bench');
  mmap(k, task, { startVpn: START_VPN, nrPages, object: null, isLocked: false, populates: false });
  const device = [...makeDevices(k).values()][0] as Device;
  const streams: number[] = [];
  const draws: number[] = [];
  const moves: number[] = [];
  const walk = { passes: 8 };
  device.compute(task, START_VPN, nrPages);
  for (let i = 0; i < rounds + 2; i++) {
    const stream = timeNs(() => device.compute(task, START_VPN, nrPages, walk)) / 8;
    const draw = timeNs(() => device.compute(task, START_VPN, nrPages, { pattern: 'random' }));
    device.prefetchToCpu(task, START_VPN, nrPages);
    const move = timeNs(() => device.prefetch(task, START_VPN, nrPages));
    if (i < 2) continue;
    streams.push(stream / nrPages);
    draws.push(draw / nrPages);
    moves.push(move / nrPages);
  }
  return [
    {
      name: 'device visits of pages that stay put',
      value: 1e3 / median(streams),
      unit: 'M/s',
      goal: 'at least 50',
    },
    { name: 'the same at random', value: 1e3 / median(draws), unit: 'M/s' },
    {
      name: 'pages that a driver moves to its device',
      value: 1e3 / median(moves),
      unit: 'M/s',
      goal: 'at least 5',
    },
  ];
}
