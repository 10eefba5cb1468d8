// How fast the model is while every page that comes drives another one out.
import { findDesign } from '../designs/index.ts';
import { touchPages } from '../kernel/fault.ts';
import { Kernel } from '../kernel/kernel.ts';
import { mmap } from '../kernel/mmap.ts';
import { swapOn } from '../kernel/reclaim.ts';
import type { Machine } from '../machine/machine.ts';
import { findPreset } from '../machine/presets/index.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import { type BenchRow, median, timeNs } from './bench_time.ts';

const START_VPN = 1 << 28;
/** Share of all memory that the region has beyond it. */
const EXCESS = 1.25;

/**
 * Touches a region that is a quarter larger than the machine over and over, so that every touch
 * brings a page in from swap and drives one out.
 * @param nrPages touches of a round.
 */
export function benchReclaim(nrPages: number, rounds: number): BenchRow {
  const k = new Kernel(findPreset('thread') as Machine, findDesign('stock'));
  const task = k.newTask('bench');
  const { stat, zones } = k.mem;
  const size = Math.floor(zones.managed.reduce((sum, n) => sum + n, 0) * EXCESS);
  mmap(k, task, {
    startVpn: START_VPN,
    nrPages: size,
    object: null,
    isLocked: false,
    populates: false,
  });
  swapOn(k, size);
  touchPages(k, task, START_VPN, size, true);
  const nrMoved = (): number => stat.event(EVENT.pswpin) + stat.event(EVENT.pswpout);
  const rates: number[] = [];
  let at = 0;
  // On and on through the region, from its start again behind its end: what is touched next is what
  // was touched longest ago, and not in memory.
  const touch = (): void => {
    const n = Math.min(nrPages, size - at);
    touchPages(k, task, START_VPN + at, n, true);
    if (n < nrPages) touchPages(k, task, START_VPN, nrPages - n, true);
    at = (at + nrPages) % size;
  };
  for (let i = 0; i < rounds + 2; i++) {
    const before = nrMoved();
    const ns = timeNs(touch);
    if (i >= 2) rates.push((nrMoved() - before) / ns);
  }
  return {
    name: 'pages swapped in and out, in permanent reclaim',
    value: median(rates) * 1e3,
    unit: 'M/s',
    goal: 'at least 2',
  };
}
