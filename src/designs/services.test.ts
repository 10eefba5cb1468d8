// The thread's two ways to keep services off device memory, side by side.
import { describe, expect, test } from 'vitest';
import { bench, play } from '../../test/support/play.ts';
import { checkAll } from '../checkers/index.ts';
import type { Design } from '../hooks/design.ts';
import { allocatorGate } from './allocator_gate.ts';
import { byPage } from './by_page.ts';
import { markedAreas } from './marked_areas.ts';
import { stock } from './stock.ts';

const ON = `
  sys write /proc/sys/kernel/numa_balancing 1
  sys write /sys/kernel/debug/sched/numa_balancing/scan_period_max_ms 200
`;
const KSM = `
  sys write /sys/kernel/mm/ksm/run 1
  sys ksm_scans 3
  sys write /sys/kernel/mm/ksm/run 0
`;

function counts(text: string, design: Design): unknown {
  const played = play(text, { machine: bench(), design });
  expect(checkAll(played.kernel).filter((f) => !f.startsWith('promise'))).toEqual([]);
  return played.last['counts'];
}

describe('NUMA balancing and an area with pages of both kinds', () => {
  /** 16 pages by default policy, 16 that a fault has put on the device. */
  const faulted = `${ON}
    T0 mmap R0 32 anon
    T0 set_mempolicy bind 2
    T0 touch R0 0 16
    T0 set_mempolicy default none
    T0 touch R0 16 16
    T0 move_pages R0 16 16 1
    T0 work R0 0 32 3000
    T0 where R0
  `;
  test('[NBL8] stock and V3 take the device pages back to the CPU', () => {
    expect(counts(faulted, stock)).toEqual({ 0: 32 });
    expect(counts(faulted, allocatorGate)).toEqual({ 0: 32 });
  });
  test('[NBL8] a marked area keeps its device pages, and its others where they were', () => {
    expect(counts(faulted, markedAreas)).toEqual({ 2: 16, 1: 16 });
  });
  test('[NBL8] by page, only the others follow the CPU', () => {
    expect(counts(faulted, byPage)).toEqual({ 2: 16, 0: 16 });
  });
  test('[NBL8] pages that were moved to the device set no mark', () => {
    const moved = `${ON}
      T0 mmap R0 16 anon
      T0 touch R0
      T0 move_pages R0 0 16 2
      T0 work R0 0 16 3000
      T0 where R0
    `;
    expect(counts(moved, markedAreas)).toEqual({ 0: 16 });
    expect(counts(moved, byPage)).toEqual({ 2: 16 });
  });
});

describe('KSM and equal pages on a device and off it', () => {
  const equal = (first: string, then: string) => `
    T0 mmap R0 8 anon
    T0 mmap R1 8 anon
    T0 mbind R1 0 8 bind 2
    T0 madvise R0 0 8 mergeable
    ${first}
    T0 fill R0 0 8 7
    T0 fill R1 0 8 7
    ${then}
    ${KSM}
    T0 where R1
  `;
  const ASK = 'T0 madvise R1 0 8 mergeable';
  test('[NBL8] stock merges the device pages away', () => {
    expect(counts(equal(ASK, ''), stock)).toEqual({ 0: 8 });
  });
  test('[NBL8] a mark that comes after madvise does not undo it', () => {
    expect(counts(equal(ASK, ''), markedAreas)).toEqual({ 0: 8 });
    expect(counts(equal('', ASK), markedAreas)).toEqual({ 2: 8 });
  });
  test('[NBL8] by page, the order does not matter', () => {
    expect(counts(equal(ASK, ''), byPage)).toEqual({ 2: 8 });
    expect(counts(equal('', ASK), byPage)).toEqual({ 2: 8 });
  });
});
