// /proc and /sys as text, as far as no real kernel is needed to judge it.
import { describe, expect, test } from 'vitest';
import { bench, play } from '../../test/support/play.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { allocatorGate } from '../designs/allocator_gate.ts';
import { stock } from '../designs/stock.ts';
import { zonelist } from '../designs/zonelist.ts';
import type { Design } from '../hooks/design.ts';
import type { Machine } from '../machine/machine.ts';
import { EVENT, NODE_ITEM, VM_EVENTS } from '../mm/vmstat_items.ts';
import { isTextFile, readTextFile, textFiles, View } from './files.ts';
import { maskText } from './nodes.ts';
import { vmstatValue } from './vmstat_text.ts';

const NODE = '/sys/devices/system/node';

/** Two nodes: one to boot from, one whose memory is a device's, two blocks. */
const plugged = (): Machine =>
  machineFrom({
    name: 'plugged',
    arch: 'x86_64',
    nodes: [
      { id: 0, cpus: '0', memory: '256MiB' },
      { id: 1, memory: '256MiB', memoryZone: 'movable', device: 'gpu0' },
    ],
    distances: [
      [10, 40],
      [40, 10],
    ],
    devices: [{ name: 'gpu0', kind: 'device', homeNode: 0 }],
  });

const viewOf = (text: string, design: Design = stock, machine: Machine = bench()): View => {
  const { session } = play(text, { design, machine });
  return new View(session.kernel, session.runner.tasks);
};
const read = (view: View, path: string): string => readTextFile(view, path) as string;
const row = (text: string, name: string): number =>
  Number(new RegExp(`^(?:Node \\d+ )?\\s*${name}:?\\s+(\\d+)`, 'm').exec(text)?.[1]);

const WORK = `
  app mmap a 1000 anon
  app touch a
  app mmap b 300 shared
  app mbind b 0 300 bind 1
  app touch b 0 200
  app mlock a 0 50
`;

describe('counters as text', () => {
  test('[PRC3] meminfo, vmstat, zoneinfo and the files of nodes tell the same', () => {
    const view = viewOf(`task app\n${WORK}`);
    const meminfo = read(view, '/proc/meminfo');
    const vmstat = read(view, '/proc/vmstat');
    const nodes = view.k.states.online.toArray();
    const ofNodes = (file: string, name: string): number =>
      nodes.reduce((n, nid) => n + row(read(view, `${NODE}/node${nid}/${file}`), name), 0);
    for (const [name, item, pages] of [
      ['AnonPages', 'nr_anon_pages', 1001],
      ['Shmem', 'nr_shmem', 200],
      ['Mapped', 'nr_mapped', 200],
      ['Mlocked', 'nr_mlock', 50],
      ['Unevictable', 'nr_unevictable', 50],
      ['Inactive\\(anon\\)', 'nr_inactive_anon', 1151],
    ] as const) {
      expect([name, row(meminfo, name)]).toEqual([name, 4 * pages]);
      expect([name, ofNodes('meminfo', name)]).toEqual([name, 4 * pages]);
      expect([item, row(vmstat, item)]).toEqual([item, pages]);
      expect([item, ofNodes('vmstat', item)]).toEqual([item, pages]);
      expect(vmstatValue(view, item)).toBe(pages);
    }
    expect(row(read(view, `${NODE}/node1/meminfo`), 'FilePages')).toBe(800);
    expect(vmstatValue(view, 'nr_bananas')).toBeUndefined();
  });

  test('[PRC3] pages of two tasks are counted once, and none of those that are gone', () => {
    const view = viewOf(`task app\n${WORK}\nfork app kid\nkid touch a 0 10\nkid read b 0 100`);
    expect(vmstatValue(view, 'nr_anon_pages')).toBe(1001 + 1 + 10);
    expect(vmstatValue(view, 'nr_shmem')).toBe(200);
    const after = viewOf(`task app\n${WORK}\nfork app kid\napp exit\nkid munmap b 0 300\nkid exit`);
    for (const item of ['nr_anon_pages', 'nr_shmem', 'nr_page_table_pages', 'nr_mlock']) {
      expect([item, vmstatValue(after, item)]).toEqual([item, 0]);
    }
  });

  test('[PRC4] a source of its own replaces the census, and what is added comes on top', () => {
    const view = viewOf(`task app\n${WORK}`);
    const { stat } = view.k.mem;
    stat.nodeSource(NODE_ITEM.nr_mapped, (nid) => (nid === 0 ? 7 : 0));
    stat.addNode(NODE_ITEM.nr_file_pages, 1, 11);
    expect(vmstatValue(view, 'nr_mapped')).toBe(7);
    expect(vmstatValue(view, 'nr_file_pages')).toBe(211);
  });

  test('[PRC5] zones without pages have neither counters nor lists of CPUs', () => {
    const text = read(viewOf('task app'), '/proc/zoneinfo');
    const zones = text.split(/^(?=Node \d+, zone)/m);
    const present = zones.filter((zone) => row(zone, 'present') > 0);
    expect(zones.length).toBe(4 * 5);
    expect(present.length).toBe(5);
    for (const zone of zones) {
      const isFilled = present.includes(zone);
      expect(zone.includes('start_pfn')).toBe(isFilled);
      expect(zone.includes('nr_free_pages')).toBe(isFilled);
    }
    expect(text.match(/per-node stats/g)?.length).toBe(3);
  });

  test('[PRC8] what is not modelled reads 0', () => {
    const meminfo = read(viewOf(`task app\n${WORK}`), '/proc/meminfo');
    for (const name of ['Slab', 'KernelStack', 'VmallocUsed', 'Percpu', 'Committed_AS']) {
      expect([name, row(meminfo, name)]).toEqual([name, 0]);
    }
  });

  test('[PRC15] a page that is there makes no fault, whoever comes again', () => {
    const pgfault = (text: string): number =>
      view(text).k.mem.stat.event(EVENT.pgfault) - view('').k.mem.stat.event(EVENT.pgfault);
    const view = (text: string): View => viewOf(`task app\n${text}`);
    const touched = 'app mmap a 100 anon\napp touch a 0 50';
    expect(pgfault(touched)).toBe(50);
    expect(pgfault(`${touched}\napp touch a 0 50\napp read a 0 50\napp mlock a 0 50`)).toBe(50);
    expect(pgfault(`${touched}\napp read a 50 10\napp touch a 50 10`)).toBe(70);
    const shared = 'app mmap b 100 shared\napp read b 0 20';
    expect(pgfault(shared)).toBe(20);
    expect(pgfault(`${shared}\napp touch b 0 20`)).toBe(20);
  });
});

describe('files', () => {
  test('[PRC6] marked nodes have their file where a design marks nodes', () => {
    const path = `${NODE}/is_cdm_node`;
    expect(read(viewOf('task app', allocatorGate), path)).toBe('2\n');
    expect(read(viewOf('task app', zonelist), path)).toBe('2\n');
    expect(readTextFile(viewOf('task app'), path)).toBeUndefined();
    const goes = (line: string): string => read(viewOf(line, allocatorGate, plugged()), path);
    expect(goes('sys offline_node 1 1 -> 0')).toBe('1\n');
    expect(goes('sys offline_node 1 -> 0')).toBe('\n');
    play(`task app\nsys read ${path} -> value 2`, { design: allocatorGate });
    play(`task app\nsys read ${path} -> ENOENT`);
  });

  test('[PRC7] there is no file of a node that is not online, a dead task, a block that is not', () => {
    const view = viewOf('task app\nfork app kid\nkid exit');
    for (const path of [
      `${NODE}/node7/meminfo`,
      `${NODE}/node9/numastat`,
      '/proc/kid/numa_maps',
      '/sys/devices/system/memory/memory7/state',
      `${NODE}/node0/memory48/state`,
    ]) {
      expect([path, isTextFile(path), readTextFile(view, path)]).toEqual([path, true, undefined]);
    }
    expect(read(view, `${NODE}/node3/cpulist`)).toBe('4\n');
    expect(textFiles(view).filter((path) => readTextFile(view, path) === undefined)).toEqual([]);
    expect(new Set(textFiles(view)).size).toBe(textFiles(view).length);
  });

  test('[PRC9] [PRC10] numa_maps tells policy, file and pages of every area', () => {
    const view = viewOf(`task app
      app mmap a 100 anon
      app mbind a 0 20 interleave+static 0,1
      app touch a 0 20
      app mbind a 20 10 preferred_many 0-1
      app mbind a 30 10 local none
      app mmap b 40 shared
      app read b 0 8
      app touch b 4 8
      app set_mempolicy preferred 1`);
    const lines = read(view, '/proc/app/numa_maps').split('\n').slice(1, -1);
    expect(lines).toEqual([
      '8340000000 interleave=static:0-1 anon=20 dirty=20 active=0 N0=10 N1=10 kernelpagesize_kB=4',
      '8340014000 prefer (many):0-1',
      '834001e000 local',
      '8340028000 prefer:1',
      '854d000000 prefer:1 file=/dev/zero\\040(deleted) dirty=8 mapped=12 active=0 N0=12 ' +
        'kernelpagesize_kB=4',
    ]);
  });

  test('[PRC11] a block that is offline names the zones that it may go to', () => {
    const memory = '/sys/devices/system/memory';
    const view = viewOf('task app');
    expect(read(view, `${memory}/memory0/valid_zones`)).toBe('none\n');
    expect(read(view, `${memory}/memory40/valid_zones`)).toBe('Normal\n');
    expect(read(view, `${memory}/memory48/valid_zones`)).toBe('Movable\n');
    expect(read(view, `${memory}/block_size_bytes`)).toBe('8000000\n');
    const after = viewOf('sys offline_node 1 1 -> 0', stock, plugged());
    const states = textFiles(after).filter((path) => /^\/sys.*\/memory\/.*state$/.test(path));
    expect(states.map((path) => read(after, path).trim())).toEqual([
      ...['online', 'online', 'online', 'offline'],
    ]);
    const zones = states.map((path) => read(after, path.replace('state', 'valid_zones')).trim());
    expect(zones.slice(1)).toEqual(['DMA32', 'Movable', 'Normal Movable']);
  });

  test('[PRC14] settings read as after boot until somebody writes to them', () => {
    play(`task app
      sys read /proc/sys/vm/swappiness -> value 60
      sys read /proc/sys/vm/zone_reclaim_mode -> value 0
      sys read /proc/sys/vm/page-cluster -> value 3`);
  });

  test('[PRC2] every event of the kernel can be asked for by name', () => {
    const view = viewOf('task app');
    for (const name of VM_EVENTS) expect(vmstatValue(view, name)).toBeTypeOf('number');
    expect(vmstatValue(view, 'nr_unstable')).toBe(0);
  });

  test('a mask of CPUs has as many digits as there may be CPUs', () => {
    expect(maskText([0, 1], 4)).toBe('3');
    expect(maskText([2, 33], 40)).toBe('02,00000004');
    expect(maskText([], 64)).toBe('00000000,00000000');
    expect(maskText([31], 33)).toBe('0,80000000');
  });
});
