// Memory that breaks under tasks: page by page, and a node at once.
// Machine: nodes 0 and 1 with CPUs, node 2 a device in ZONE_MOVABLE.
import { describe, expect, test } from 'vitest';
import { bootDevice, type PlayInput, play } from '../../test/support/play.ts';
import { checkAll } from '../checkers/index.ts';
import type { Machine } from '../machine/machine.ts';
import { findPreset } from '../machine/presets/index.ts';
import { ZONE_MOVABLE } from '../mm/gfp.ts';
import type { Kernel } from './kernel.ts';

const run = (text: string, input: PlayInput = {}) => {
  const played = play(text, input);
  expect(checkAll(played.kernel)).toEqual([]);
  return played;
};

const TOUCHED = 'T0 mmap R0 8 anon\nT0 touch R0\n';

describe('errors in pages', () => {
  test('[HWP1] a frame that broke is never given to anybody again', () => {
    const { kernel, more } = run(`${TOUCHED}
      T0 madvise R0 0 8 hwpoison -> 0
      T0 munmap R0
      T0 mmap R1 5000 anon
      T0 touch R1 -> 0`);
    expect(kernel.mem.held.nrPoisoned).toBe(8);
    more('T0 munmap R1');
    expect(checkAll(kernel)).toEqual([]);
    expect(kernel.mem.held.nrPoisoned).toBe(8);
  });

  test('[HWP2] a touch of the page is SIGBUS for all who mapped it, until the page is given up', () => {
    run(`${TOUCHED}
      fork T0 T1
      sys poison T0 R0 2 -> 0
      sys poison T0 R0 2 -> EFAULT
      T0 touch R0 -> SIGBUS; touched 2
      T1 read R0 2 1 -> SIGBUS
      fork T1 T2
      T2 read R0 2 1 -> SIGBUS
      T0 where R0 -> nodes 0:7
      T0 madvise R0 2 1 dontneed -> 0
      T0 touch R0 -> 0
      T1 read R0 2 1 -> SIGBUS`);
  });

  test('[HWP2] get_user_pages meets it: EHWPOISON to populate, ENOMEM to mlock, EFAULT elsewhere', () => {
    run(`${TOUCHED}
      T0 madvise R0 2 1 hwpoison -> 0
      T0 madvise R0 0 8 populate_write -> EHWPOISON
      T0 madvise R0 2 1 hwpoison -> EFAULT
      T0 node_at R0 2 -> EFAULT
      T0 pin R0 0 4 -> EFAULT
      T0 mlock R0 0 4 -> ENOMEM`);
  });

  test('[HWP3] a page of shared memory stays where it is and cannot be had until it is removed', () => {
    run(`
      T0 mmap R0 8 shared
      T0 touch R0
      fork T0 T1
      T1 read R0
      T0 madvise R0 1 1 hwpoison -> 0
      T1 read R0 -> SIGBUS; read 1
      T0 madvise R0 1 1 dontneed -> 0
      T0 touch R0 1 1 -> SIGBUS
      T0 madvise R0 1 1 remove -> 0
      T0 touch R0 -> 0
      T1 touch R0 -> SIGBUS; touched 1
      T1 madvise R0 1 1 dontneed -> 0
      T1 touch R0 -> 0`);
  });

  test('[HWP4] the kernel can do nothing about its own pages: the zero page goes on', () => {
    run(`
      T0 mmap R0 4 anon
      T0 madvise R0 0 1 soft_offline -> EIO
      T0 madvise R0 0 1 hwpoison -> EBUSY
      T0 madvise R0 0 1 hwpoison -> EHWPOISON
      T0 madvise R0 0 1 soft_offline -> 0
      T0 read R0 -> 0`);
  });

  test('[HWP4] a pin keeps a broken page of shared memory: EBUSY; of private memory it does not', () => {
    const { kernel } = run(`
      T0 mmap R0 2 shared
      T0 mmap R1 2 anon
      T0 pin R0 0 2 longterm
      T0 pin R1 0 2 longterm
      T0 madvise R0 0 1 hwpoison -> EBUSY
      T0 madvise R1 0 1 hwpoison -> 0
      T0 touch R0 0 1 -> SIGBUS
      T0 touch R1 0 1 -> SIGBUS
      T0 unpin R0 0 2
      T0 unpin R1 0 2`);
    expect(kernel.mem.held.nrPoisoned).toBe(2);
  });

  test('[HWP5] soft offline moves the page within its node first, and loses nothing', () => {
    const { kernel } = run(`
      T0 mmap R0 8 anon
      T0 mbind R0 0 8 bind 2
      T0 touch R0
      T0 madvise R0 0 4 soft_offline -> 0
      T0 touch R0 -> 0
      T0 where R0 -> nodes 2:8
      T0 pin R0 5 1
      T0 madvise R0 5 1 soft_offline -> EBUSY
      T0 madvise R0 7 2 soft_offline -> EFAULT
      T0 where R0 -> nodes 2:8`);
    expect(kernel.mem.held.nrPoisoned).toBe(5);
  });

  test('[HWP5] broken pages do not keep a node; it comes back as if they were sound', () => {
    const { kernel } = run(
      `
      T0 mmap R0 8 anon
      T0 mbind R0 0 8 bind 2
      T0 touch R0
      T0 madvise R0 0 4 hwpoison
      sys offline_node 2 -> 0
      sys online_node 2 MOVABLE -> 0
      T0 touch R0 0 1 -> SIGBUS`,
      { machine: findPreset('thread') as Machine },
    );
    expect(kernel.mem.held.nrPoisoned).toBe(0);
  });
});

const movableFree = (k: Kernel): number => {
  const z = k.mem.zones.find(2, ZONE_MOVABLE);
  return z === undefined ? -1 : (k.mem.zones.free[z] as number) + k.mem.pcp.countOf(z);
};

describe('link failures', () => {
  test('[HWP6] every page of the node is gone at once, free or used', () => {
    const { kernel } = run(`
      T0 mmap R0 8 anon
      T0 mbind R0 0 4 bind 2
      T0 touch R0
      sys link_failure 2 -> 0; free 16380; used 4
      T0 touch R0 4 4 -> 0
      T0 touch R0 0 4 -> SIGBUS
      sys link_failure 7 -> ENODEV`);
    expect(movableFree(kernel)).toBe(0);
    expect(kernel.mem.held.nrPoisoned).toBe(16384);
  });

  test('[HWP7] where the kernel itself had pages, the machine is lost', () => {
    run(
      `
      T0 mmap R0 8 anon
      T0 touch R0
      sys link_failure 2 -> PANIC
      T0 touch R0 -> PANIC
      sys free -> PANIC`,
      { machine: bootDevice() },
    );
  });

  test('[HWP7] likewise where its page tables were', () => {
    run(`
      T0 mmap R0 8 anon
      T0 touch R0
      sys link_failure 0 -> PANIC`);
  });
});
