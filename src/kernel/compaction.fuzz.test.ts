// Random work on a device whose memory is in pieces, judged after every step while compaction runs.
import fc from 'fast-check';
import { describe, test } from 'vitest';
import { check } from '../../test/support/property.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { judge } from '../../test/support/workloads.ts';
import { markedAreas } from '../designs/marked_areas.ts';
import { stock } from '../designs/stock.ts';
import { parseScenario } from '../scenario/parser.ts';

const machine = machineFrom({
  name: 'pieces',
  arch: 'x86_64',
  nodes: [
    { id: 0, cpus: '0-1', memory: '64MiB' },
    { id: 2, memory: '24MiB', memoryZone: 'movable', device: 'gpu0' },
  ],
  distances: [
    [10, 20],
    [20, 10],
  ],
  devices: [{ name: 'gpu0', kind: 'device', homeNode: 0 }],
});

const THP = '/sys/kernel/mm/transparent_hugepage';
const FIRST = `
  sys swapon 1000
  sys write ${THP}/defrag madvise
  sys write ${THP}/enabled madvise
  T0 mmap R0 5000 anon
  T0 mbind R0 0 5000 bind 2
  T0 touch R0 0 5000
  T0 move_pages R0 0 5000 0,2
  T0 mmap R1 2048 anon
  T0 mbind R1 0 2048 preferred 2
  T0 madvise R1 0 2048 hugepage
  T0 mmap R2 600 shared
  T0 mbind R2 0 600 bind 2
`;

const part = fc
  .tuple(fc.nat(4900), fc.integer({ min: 1, max: 700 }))
  .map(([offset, n]) => `R0 ${offset} ${Math.min(n, 5000 - offset)}`);
const line = fc.oneof(
  { weight: 5, arbitrary: fc.nat(3).map((i) => `T0 touch R1 ${i * 512} 512`) },
  { weight: 2, arbitrary: fc.nat(3).map((i) => `T0 madvise R1 ${i * 512 + 100} 300 dontneed`) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(part, fc.constantFrom('0,2', '2,0', '0,0,2'))
      .map(([p, turns]) => `T0 move_pages ${p} ${turns}`),
  },
  { weight: 2, arbitrary: part.map((p) => `T0 madvise ${p} dontneed`) },
  { weight: 2, arbitrary: part.map((p) => `T0 touch ${p}`) },
  { weight: 1, arbitrary: part.map((p) => `T0 mlock ${p}`) },
  { weight: 1, arbitrary: part.map((p) => `T0 pin ${p}`) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...['T0 touch R2', 'fork T0 T1', 'T1 touch R0 0 900', 'T1 exit', 'sys sleep 600'],
      'sys write /sys/devices/system/node/node2/compact 1',
      'sys write /proc/sys/vm/compact_unevictable_allowed 0',
      'sys write /sys/devices/system/node/node2/hugepages/hugepages-2048kB/nr_hugepages 5',
      'sys write /sys/devices/system/node/node2/hugepages/hugepages-2048kB/nr_hugepages 0',
    ),
  },
);

describe.each([stock, markedAreas])('$id', (design) => {
  test('[CPT1] [CPT2] [CPT7] [LRU1] no page is lost or found twice while others move', () => {
    check(fc.array(line, { minLength: 2, maxLength: 12 }), 2, (lines) => {
      const text = [...FIRST.trim().split('\n'), ...lines].map((l) => l.trim()).join('\n');
      const scenario = parseScenario(text, { file: 'fuzz.cdm', pageBytes: 4096 });
      const isExpected = (finding: string): boolean => finding.startsWith('fresh pages:');
      const found = judge({ machine, design, isExpected }, scenario, scenario.ops);
      if (found.length > 0) throw new Error(found.join('\n'));
    });
  });
});
