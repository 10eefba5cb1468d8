// Six requests under four designs: what the rules told in mails and covers lead one to expect, a
// cell each, and a run of the model for every cell. The cells are a reading of those rules, no
// quotations. docs/CLAIMS.md shows the same table.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { machineFrom } from '../../test/support/small_machine.ts';
import { nodeId } from '../base/ids.ts';
import { findDesign } from '../designs/index.ts';
import type { Machine, MemoryZone } from '../machine/machine.ts';
import { __GFP_THISNODE, GFP_HIGHUSER_MOVABLE, GFP_KERNEL } from '../mm/gfp.ts';
import { parseScenario } from '../scenario/parser.ts';
import { Session, type Step } from './session.ts';

const DOC = readFileSync(new URL('../../docs/CLAIMS.md', import.meta.url), 'utf8');
const DESIGNS = ['allocator-gate', 'zonelist', 'limited-node', 'private-node'] as const;
const RAM = nodeId(0);
const DEVICE = nodeId(1);
const DEVICE_PAGES = 512;
/** More pages than boot leaves of RAM (507), and fewer than RAM and device have together. */
const MORE_THAN_RAM = 800;

/** A CPU node of 64 MiB and a device of 32, hot-plugged or there at boot; pages of 64 KiB. */
const machineOf = (memoryZone: MemoryZone): Machine =>
  machineFrom({
    name: 'small',
    note: 'One node of RAM and one device.',
    arch: 'ppc64',
    pageBytes: '64KiB',
    nodes: [
      { id: 0, cpus: '0-1', memory: '64MiB' },
      { id: 1, memory: '32MiB', memoryZone, device: 'gpu0' },
    ],
    distances: [
      [10, 80],
      [80, 10],
    ],
    devices: [{ name: 'gpu0', kind: 'device', homeNode: 0 }],
  });

function ran(design: string, text: string, zone: MemoryZone = 'movable') {
  const machine = machineOf(zone);
  const scenario = parseScenario(`task app\napp cpu 0\n${text}`, {
    file: 'claim.cdm',
    pageBytes: machine.pageBytes,
  });
  const session = new Session({ machine, scenario, design: findDesign(design) });
  return { session, steps: session.finish() };
}

/** Nodes on which pages were placed for a purpose. */
function placedOn(session: Session, purpose: string): string {
  const nodes = session.kernel.placements
    .rows()
    .filter((row) => row.purpose === purpose)
    .map((row) => (Number(row.nid) === Number(RAM) ? 'RAM' : 'device'));
  return [...new Set(nodes)].sort().join(' and ');
}

const retOf = (steps: readonly Step[]): string => String(steps.at(-1)?.result.ret);

/** Node by node, what a kernel caller without a mask gets until there is nothing. */
function kernelMemory(design: string): string {
  const { session } = ran(design, '', 'boot');
  const { kernel } = session;
  kernel.setCurrent(kernel.kthread);
  const seen: string[] = [];
  for (let n = 0; n < 4 * DEVICE_PAGES; n++) {
    if (kernel.allocator.alloc(GFP_KERNEL, 0, RAM, null, 1) === 0) break;
    const nid = kernel.allocator.nidOf(kernel.allocator.out[0] as never);
    const name = Number(nid) === Number(RAM) ? 'RAM' : 'device';
    if (seen.at(-1) !== name) seen.push(name);
  }
  return seen.join(', then ');
}

function thisNode(design: string): string {
  const { kernel } = ran(design, '').session;
  kernel.setCurrent(kernel.kthread);
  const gfp = GFP_HIGHUSER_MOVABLE | __GFP_THISNODE;
  return kernel.allocator.alloc(gfp, 0, DEVICE, null, 1) === 1 ? 'given' : 'refused';
}

function inCpuset(design: string): string {
  const { session, steps } = ran(
    design,
    `sys mkdir /sys/fs/cgroup/both
sys write /sys/fs/cgroup/both/cpuset.mems 0-1
sys move app /sys/fs/cgroup/both
app mmap buf ${MORE_THAN_RAM} anon
app touch buf`,
  );
  return `${placedOn(session, 'page fault')}, ${retOf(steps)}`;
}

function boundToBoth(design: string): string {
  const nr = MORE_THAN_RAM;
  const { session, steps } = ran(
    design,
    `app mmap buf ${nr} anon\napp mbind buf 0 ${nr} bind 0-1\napp touch buf`,
  );
  return `${placedOn(session, 'page fault')}, ${retOf(steps)}`;
}

function full(design: string): string {
  const nr = DEVICE_PAGES + 64;
  const { session, steps } = ran(
    design,
    `fork app other
other mmap own ${DEVICE_PAGES} anon
other touch own 0 64
app mmap buf ${nr} anon
app mbind buf 0 ${nr} bind 1
app touch buf`,
  );
  const other = session.runner.tasks.get('other')?.isAlive ? 'the other lives' : 'the other dies';
  return `${retOf(steps)}, ${other}`;
}

function pageTables(design: string): string {
  const { session, steps } = ran(
    design,
    `fork app bound
bound set_mempolicy bind 1
bound mmap buf 64 anon
bound touch buf`,
  );
  const ret = retOf(steps);
  return ret === '0' ? placedOn(session, 'page table') : ret;
}

/** A driver that owns the node asks for its pages. */
function owner(design: string): string {
  const { steps } = ran(
    design,
    'app mmap buf 64 anon\napp device_prefetch gpu0 buf\napp where buf',
  );
  return JSON.stringify(steps.at(-1)?.result.counts) === '{"1":64}' ? 'given' : 'refused';
}

interface Row {
  readonly request: string;
  readonly run: (design: string) => string;
  /** As in docs/CLAIMS.md: what the rules say, what the run gives, in the order of DESIGNS. */
  readonly cells: readonly (readonly [claim: string, found: string])[];
}

const ROWS: readonly Row[] = [
  {
    request: 'GFP_KERNEL, no mask',
    run: kernelMemory,
    cells: [
      ['skip', 'RAM'],
      ['unreachable', 'RAM'],
      ['unreachable', 'RAM'],
      ['unreachable', 'RAM'],
    ],
  },
  {
    request: 'THISNODE on the node',
    run: thisNode,
    cells: [
      ['allowed', 'given'],
      ['allowed', 'given'],
      ['allowed', 'given'],
      ['refused unless private zonelist', 'refused'],
    ],
  },
  {
    request: 'the same, by the driver that owns the node',
    run: owner,
    cells: [
      ['allowed', 'given'],
      ['allowed', 'given'],
      ['allowed', 'given'],
      ['private zonelist', 'given'],
    ],
  },
  {
    request: 'no policy, cpuset = {0,CDM}',
    run: inCpuset,
    cells: [
      ['skipped in V3', 'RAM, KILLED'],
      ['not reached', 'RAM, KILLED'],
      ['not reached', 'RAM, KILLED'],
      ['not reached', 'RAM, KILLED'],
    ],
  },
  {
    request: 'BIND{0,CDM} from CPU node 0',
    run: boundToBoth,
    cells: [
      ['allowed, after node 0', 'RAM and device, 0'],
      ['not reached', 'RAM, KILLED'],
      ['not defined publicly', 'RAM, KILLED'],
      ['allowed with USER_NUMA', 'RAM and device, 0'],
    ],
  },
  {
    request: 'node full, BIND{CDM}',
    run: full,
    cells: [
      ['fail/OOM', 'KILLED, the other lives'],
      ['fail/OOM', 'KILLED, the other lives'],
      ['fail/OOM', 'KILLED, the other lives'],
      ['OOM of the bound task', 'KILLED, the other lives'],
    ],
  },
  {
    request: 'page tables under BIND{CDM}, movable-only',
    run: pageTables,
    cells: [
      ['go to RAM', 'RAM'],
      ["CDM node's list, RAM after it", 'RAM'],
      ['no RAM in list = failure', 'LIVELOCK'],
      ['fall to public node', 'RAM'],
    ],
  },
];

describe.each(ROWS)('[CLM1] $request', ({ request, run, cells }) => {
  test.each(DESIGNS.map((design, i) => [design, ...(cells[i] ?? ['', ''])] as const))(
    'under %s: %s, and a run gives: %s',
    (design, _claim, found) => {
      expect(run(design)).toBe(found);
    },
  );

  test('stands in docs/CLAIMS.md as it is here', () => {
    const words = cells.map(([claim, found]) => `${claim}: ${found}`).join(' | ');
    expect(DOC).toContain(`| ${request} | ${words} |`);
  });
});

test('stock gives what the rows ask about, so that a design that keeps it off does something', () => {
  expect(kernelMemory('stock')).toContain('device');
  expect(inCpuset('stock')).toBe('RAM and device, 0');
  expect(boundToBoth('stock')).toBe('RAM and device, 0');
});
