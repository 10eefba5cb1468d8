// Counts of pages by node that are kept up to date, against counting everything anew.
import { expect, test } from 'vitest';
import { GPU0, machineFrom } from '../../test/support/small_machine.ts';
import type { Frame } from '../base/ids.ts';
import { findDesign } from '../designs/index.ts';
import { anyFrameOf, pteFrame } from '../kernel/page_table.ts';
import { generateScenario, machineNodes } from '../scenario/generate.ts';
import { parseScenario } from '../scenario/parser.ts';
import { Session } from './session.ts';

const machine = machineFrom({
  name: 'small',
  arch: 'x86_64',
  nodes: [
    { id: 0, cpus: '0', memory: '64MiB' },
    { id: 1, cpus: '1', memory: '16MiB' },
    { id: 2, memory: '32MiB', memoryZone: 'movable', device: 'gpu0' },
  ],
  distances: [
    [10, 20, 40],
    [20, 10, 60],
    [40, 60, 10],
  ],
  devices: [GPU0],
});

const SERVICES = `
sys write /sys/kernel/mm/transparent_hugepage/enabled always
sys write /sys/kernel/mm/ksm/run 1
sys write /proc/sys/kernel/numa_balancing 1
sys swapon 2000`;

const DEVICE = `
T0 mmap R20 1500 anon
T0 touch R20 0 700
T0 device_compute gpu0 R20
T0 touch R20 100 50
T0 madvise R20 0 1500 collapse
T0 munmap R20 200 300
T0 mmap R20 900 anon
T0 touch R20
T0 munmap R20
T0 mmap R20 700 anon shift=10
T0 touch R20 10 600`;

/** Pages of a region by node, looked at one by one. */
function countAnew(session: Session, task: string, region: string): Map<number, number> {
  const { kernel, runner } = session;
  const { startVpn, nrPages } = runner.regionsOf(task).range({ region });
  const counts = new Map<number, number>();
  const add = (f: number, n: number): void => {
    const nid = Number(kernel.allocator.nidOf(f as Frame));
    counts.set(nid, (counts.get(nid) ?? 0) + n);
  };
  const pageTable = runner.tasks.get(task)?.mm.pageTable;
  for (let vpn = startVpn; vpn < startVpn + nrPages; vpn++) {
    const f = anyFrameOf(pageTable?.get(vpn) ?? 0);
    if (f !== -1) add(f, 1);
  }
  for (const [, pte] of pageTable?.hugeIn(startVpn, startVpn + nrPages) ?? []) {
    add(pteFrame(pte), kernel.poolOf(pteFrame(pte)).nrSmall);
  }
  return counts;
}

const FAMILIES = ['mbind', 'thp', 'hugetlb', 'ksm', 'balance', 'pins', 'shared', 'faults'] as const;

test.each(FAMILIES)('[SES2] counts of random work (%s) are what counting anew gives', (family) => {
  for (const [seed, design] of ['stock', 'hmm', 'hmm-coherent'].entries()) {
    const work = generateScenario({ seed, ops: 40, family, ...machineNodes(machine) });
    const input = { file: 'test', pageBytes: machine.pageBytes };
    const ops = [...parseScenario(SERVICES, input).ops, ...work.ops];
    const more = parseScenario(DEVICE, input);
    const regions = { ...work.regions, ...more.regions };
    const scenario = { ...work, regions, ops: [...ops, ...more.ops] };
    const session = new Session({ scenario, machine, design: findDesign(design) });
    for (let step = session.step(); step !== undefined; step = session.step()) {
      for (const { task, region, byNode, nrPages } of session.placements()) {
        const anew = countAnew(session, task, region);
        const sorted = (m: ReadonlyMap<number, number>) => [...m].sort(([a], [b]) => a - b);
        expect(sorted(byNode), `${design}, ${step.op.text}: ${region}`).toEqual(sorted(anew));
        expect(nrPages).toBe([...anew.values()].reduce((n, each) => n + each, 0));
      }
    }
  }
});
