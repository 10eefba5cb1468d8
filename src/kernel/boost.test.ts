// Marks that are raised since page blocks of different types were mixed, and who answers it; what
// is done about memory in pieces.
import { describe, expect, test } from 'vitest';
import { type PlayInput, play } from '../../test/support/play.ts';
import { nodeId } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import { stock } from '../designs/stock.ts';
import type { Design } from '../hooks/design.ts';
import { buildMachine } from '../machine/build.ts';
import { setBoost } from '../mm/boost.ts';
import {
  __GFP_KSWAPD_RECLAIM,
  GFP_ATOMIC,
  GFP_TRANSHUGE,
  MIGRATE_UNMOVABLE,
  ZONE_MOVABLE,
} from '../mm/gfp.ts';
import { ALLOC_KSWAPD } from '../mm/internal.ts';
import { LRU_ACTIVE_FILE, LRU_INACTIVE_FILE } from '../mm/lru.ts';
import { KIND_KERNEL, NIL } from '../mm/memmap.ts';
import { EVENT } from '../mm/vmstat_items.ts';
import type { Kernel } from './kernel.ts';

const MIB = 1024 ** 2;
const NODE_1 = nodeId(1);
const range = (startMib: number, sizeMib: number) => ({
  start: startMib * MIB,
  size: sizeMib * MIB,
});

/** A node for the kernel, and one of 48 MiB with a CPU. */
const machine = () =>
  buildMachine(
    {
      name: 'tight',
      arch: 'x86_64',
      nodes: [
        { id: 0, cpus: '0-1', ranges: [range(0, 64)] },
        { id: 1, cpus: '2', ranges: [range(8192, 48)] },
      ],
      distances: [
        [10, 20],
        [20, 10],
      ],
    },
    (_path, message) => {
      throw new Error(message);
    },
  );

/** Node 1 nearly full, with pages of a file, and holes of a few pages in a movable area. */
const PIECES = `
  T0 cpu 2
  sys mkfile f 5000
  T0 readfile f 0 5000
  T0 mmap R0 7000 anon
  T0 mbind R0 0 7000 bind 1
  T0 touch R0 0 6200
  ${Array.from({ length: 200 }, (_, i) => `T0 munmap R0 ${i * 30} 7`).join('\n')}`;

const noDaemon: Design = { ...stock, answers: { kswapdRuns: () => false } };
const run = (text: string, input: PlayInput = {}) => play(text, { machine: machine(), ...input });
const zoneOf1 = (k: Kernel) => k.mem.zones.ofNode(1).find((z) => k.mem.zones.isManaged(z)) as never;
const event = (k: Kernel, name: keyof typeof EVENT): number => k.mem.stat.event(EVENT[name]);
const files = (k: Kernel): number =>
  k.mem.lru.count(1, LRU_INACTIVE_FILE) + k.mem.lru.count(1, LRU_ACTIVE_FILE);

/** The kernel takes pages of node 1 for itself, until it has to take a part of a movable block. */
function mixBlocks(k: Kernel, flags: number): void {
  const { buddy, map } = k.mem;
  k.mem.pcp.drainAll();
  for (buddy.boostedZone = NIL; buddy.boostedZone === NIL; ) {
    const f = buddy.alloc(zoneOf1(k), 0, MIGRATE_UNMOVABLE, flags);
    if (f === NIL) break;
    map.claim(f, KIND_KERNEL, 0, 0, 0);
  }
}

describe('watermark boost', () => {
  test('[BST1] a block of another type raises all marks by a page block, up to the factor', () => {
    const { kernel: k } = run(PIECES);
    const { zones } = k.mem;
    const z = zoneOf1(k);
    const high = zones.wmarkHigh[z] as number;
    const low = zones.wmarkLow[z] as number;
    mixBlocks(k, 0);
    expect(zones.watermarkBoost[z]).toBe(512);
    expect(zones.wmarkHigh[z]).toBe(high + 512);
    expect(zones.wmarkLow[z]).toBe(low + 512);
    expect(k.mem.buddy.boostWakes).toBe(false);
    mixBlocks(k, 0);
    const most = Math.max(512, Math.floor(high * 1.5));
    expect(zones.watermarkBoost[z]).toBe(Math.min(1024, most));
    k.mem.buddy.boostFactor = 0;
    mixBlocks(k, 0);
    expect(zones.watermarkBoost[z]).toBe(Math.min(1024, most));
  });

  test('[BST1] an atomic request for one page leaves the boost out of its min mark', () => {
    const { kernel: k } = run(PIECES, { design: noDaemon });
    const { zones } = k.mem;
    const z = zoneOf1(k);
    const boost = 4 * (zones.free[z] as number);
    setBoost(zones, z, boost);
    k.setCurrent(k.kthread);
    const ask = (gfp: number): number => k.allocator.alloc(gfp, 0, NODE_1, Nodemask.of(NODE_1), 1);
    expect(ask(__GFP_KSWAPD_RECLAIM)).toBe(0);
    expect(ask(GFP_ATOMIC)).toBe(1);
    expect(zones.nid[k.allocator.lastZone]).toBe(1);
    k.mem.map.claim(k.allocator.out[0] as never, KIND_KERNEL, 0, 0, 0);
    setBoost(zones, z, 0);
  });

  test('[BST2] kswapd frees as many pages of files, swaps none, and the marks are as before', () => {
    const { kernel: k, more } = run(`sys swapon 8000\n${PIECES}`);
    const { zones } = k.mem;
    const z = zoneOf1(k);
    const [high, nrFiles] = [zones.wmarkHigh[z], files(k)];
    expect(nrFiles).toBeGreaterThan(4096);
    mixBlocks(k, ALLOC_KSWAPD);
    expect(k.mem.buddy.boostedZone).toBe(z);
    more('T0 cpu 2');
    expect(zones.wmarkHigh[z]).toBe(high);
    expect(zones.watermarkBoost[z]).toBe(0);
    expect(event(k, 'pswpout')).toBe(0);
    expect(event(k, 'pageoutrun')).toBe(1);
    expect(nrFiles - files(k)).toBeGreaterThanOrEqual(512);
    expect(nrFiles - files(k)).toBeLessThan(700);
  });

  test('[BST2] a node without kswapd keeps its marks raised, as zoneinfo shows', () => {
    const { kernel: k, more } = run(PIECES, { design: noDaemon });
    mixBlocks(k, ALLOC_KSWAPD);
    more('T0 cpu 2');
    expect(k.mem.zones.watermarkBoost[zoneOf1(k)]).toBe(512);
    expect(String(more('sys read /proc/zoneinfo').value)).toMatch(/boost {4}512\n/);
    more('sys write /proc/sys/vm/min_free_kbytes 2000');
    expect(k.mem.zones.watermarkBoost[zoneOf1(k)]).toBe(0);
  });
});

describe('memory in pieces', () => {
  test('[CPT6] reclaim for a large block frees nothing where a zone is ready to be compacted', () => {
    const { kernel: k } = run(PIECES);
    const z = zoneOf1(k);
    const request = {
      gfp: GFP_TRANSHUGE,
      order: 9,
      highest: ZONE_MOVABLE,
      zones: [z],
      nodemask: null,
      allocFlags: 0,
      cpusetAllows: () => true,
      hasSlab: true,
      resume: () => {},
    };
    const nrFiles = files(k);
    expect(k.reclaim?.reclaim.tryToFree(request)).toBe(1);
    expect(files(k)).toBe(nrFiles);
    expect(k.reclaim?.reclaim.tryToFree({ ...request, order: 3 })).toBeGreaterThanOrEqual(32);
  });

  test('[CPT8] kcompactd that was woken in vain remembers the order, and looks when time passes', () => {
    const { kernel: k, more } = run(PIECES);
    const { core } = k.compaction;
    core.proactiveness = 0;
    mixBlocks(k, 0);
    const { zones } = k.mem;
    const z = zoneOf1(k);
    for (const marks of [zones.wmarkMin, zones.wmarkLow]) marks[z] = zones.free[z] as number;
    core.wake(1, 9, ZONE_MOVABLE);
    more('T0 cpu 2');
    expect(event(k, 'compact_daemon_wake')).toBe(0);
    more('sys sleep 600');
    expect(event(k, 'compact_daemon_wake')).toBe(1);
    more('sys sleep 600');
    expect(event(k, 'compact_daemon_wake')).toBe(1);
  });
});
