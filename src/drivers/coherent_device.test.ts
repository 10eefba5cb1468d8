// A device that computes on the pages of a task, and what its driver does about where they are.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { machineOf, machineShape } from '../../test/support/machines.ts';
import { bench, play } from '../../test/support/play.ts';
import { check } from '../../test/support/property.ts';
import { nodeId } from '../base/ids.ts';
import { checkAll } from '../checkers/index.ts';
import { DESIGNS } from '../designs/index.ts';
import { stock } from '../designs/stock.ts';
import { Runner } from '../scenario/runner.ts';
import { CoherentDevice, DEVICE_POLICIES, makeDevices } from './coherent_device.ts';

describe('compute', () => {
  test('[DRV2] migrate: pages come to the device and stay there when a CPU uses them', () => {
    play(`
      T0 mmap R0 8 anon
      T0 touch R0 0 4
      T0 device_compute gpu0 R0 -> 0; computed 8; local 8; remote 0; moved 8
      T0 where R0 -> nodes 2:8
      T0 touch R0
      T0 where R0 -> nodes 2:8
      T0 device_compute gpu0 R0 -> moved 0; local 8
    `);
  });

  test('[DRV3] migrate-back: they go to the node of the CPU when it uses them again', () => {
    const { kernel } = play(`
      T0 device_policy gpu0 migrate-back
      T0 mmap R0 8 anon
      T0 device_compute gpu0 R0 -> moved 8
      T0 read R0 0 2
      T0 where R0 -> nodes 0:2 2:6
      T0 cpu 2
      T0 touch R0 2 2
      T0 where R0 -> nodes 0:2 1:2 2:4
      T0 cpu 4
      T0 touch R0 4 2
      T0 where R0 -> nodes 0:2 1:4 2:2
    `);
    const causes = kernel.moves
      .rows()
      .map((row) => `${row.cause} ${row.from}>${row.to} ${row.nrPages}`);
    expect(causes).toEqual(['device 0>2 8', 'device back 2>0 2', 'device back 2>1 4']);
  });

  test('[DRV4] stay: nothing moves, the device reaches pages where they are', () => {
    play(`
      T0 device_policy gpu0 stay
      T0 mmap R0 8 anon
      T0 touch R0 0 4
      T0 mbind R0 4 4 bind 2
      T0 device_compute gpu0 R0 -> computed 8; local 4; remote 4; moved 0
    `);
  });

  test('[DRV5] pages that others map, and those that find no room, stay and are reached remotely', () => {
    play(`
      T0 mmap R0 8 shared
      T0 touch R0
      fork T0 T1
      T1 read R0 0 2
      T0 device_compute gpu0 R0 -> computed 8; local 0; remote 8; moved 0
      T1 exit
      T0 device_compute gpu0 R0 -> local 8; moved 8
    `);
    const { last } = play(`
      T0 mmap R1 16270 anon
      T0 mbind R1 0 16270 bind 2
      T0 touch R1
      T0 mmap R0 64 anon
      T0 device_compute gpu0 R0
    `);
    expect(last['local']).toBe((last['moved'] as number) ?? -1);
    expect(last['remote']).toBeGreaterThan(0);
    expect((last['local'] as number) + (last['remote'] as number)).toBe(64);
  });

  test('[DRV5] shared objects are moved too, while only this task maps them', () => {
    play(`
      T0 mmap R0 8 shared
      T0 touch R0
      T0 device_compute gpu0 R0 -> moved 8
      T0 where R0 -> nodes 2:8
    `);
  });

  test('[DRV6] a device without memory online answers ENODEV and touches nothing', () => {
    const machine = bench();
    const offline = machine.nodes.map((n) => (n.id === 2 ? { ...n, offlineAtStart: true } : n));
    play(
      `
      T0 mmap R0 4 anon
      T0 device_compute gpu0 R0 -> ENODEV
      T0 where R0 -> nodes EFAULT:4
    `,
      { machine: { ...machine, nodes: offline } },
    );
  });

  test('[DRV6] a range with a hole stops the device where the CPU would stop', () => {
    play(`
      T0 mmap R0 8 anon
      T0 munmap R0 4 1
      T0 device_compute gpu0 R0 0 8 -> SIGSEGV; computed 4
    `);
  });
});

test('[DRV1] compute changes where pages are, never what is mapped, under any design', () => {
  const drawn = fc.record({
    shape: machineShape({ kinds: ['boot', 'device', 'device in boot memory'] }),
    design: fc.nat(DESIGNS.length - 1),
    policy: fc.constantFrom(...DEVICE_POLICIES),
    touched: fc.array(fc.tuple(fc.nat(150), fc.integer({ min: 1, max: 90 })), { maxLength: 4 }),
    isShared: fc.boolean(),
    forks: fc.boolean(),
  });
  check(drawn, 60, ({ shape, design, policy, touched, isShared, forks }) => {
    const machine = machineOf(shape);
    const names = { tasks: { T0: 0, T1: 1 }, regions: { R0: 0 } };
    const runner = new Runner(machine, DESIGNS[design] ?? stock, names);
    const k = runner.kernel;
    const run = (act: Parameters<Runner['run']>[0]['act']) =>
      runner.run({ text: '', expect: [], act });
    const kind = isShared ? 'shared' : 'anon';
    run({
      on: 'task',
      task: 'T0',
      act: { verb: 'mmap', region: 'R0', nrPages: 240, kind, shift: 0 },
    });
    for (const [offset, nrPages] of touched) {
      run({ on: 'task', task: 'T0', act: { verb: 'touch', region: 'R0', offset, nrPages } });
    }
    if (forks) run({ on: 'fork', parent: 'T0', child: 'T1' });
    const task = runner.tasks.get('T0');
    if (task?.isAlive !== true) return;
    const { startVpn } = runner.regionsOf('T0').range({ region: 'R0' });
    for (const device of makeDevices(k).values()) {
      device.policy = policy;
      const { ret, fault, nrLocal, nrRemote } = device.compute(k, task, startVpn, 240);
      if (ret === 0 && fault.fault === 0) expect(nrLocal + nrRemote).toBe(240);
      if (!task.isAlive) break;
      const mapped = (): number[] => {
        const pages: number[] = [];
        task.mm.pageTable.walk(startVpn, startVpn + 240, (vpn) => {
          pages.push(vpn);
        });
        return pages;
      };
      const before = mapped();
      device.beforeCpuUse(k, task, startVpn, 240);
      expect(mapped()).toEqual(before);
      const isExpected = (text: string) => /^promise: .*\(page table, policy: task\)/.test(text);
      expect(checkAll(k).filter((text) => !isExpected(text))).toEqual([]);
    }
  });
});

test('[DRV7] devices are found by the nodes that name them, one driver each', () => {
  const { kernel } = play('T0 get_mempolicy');
  expect([...makeDevices(kernel)].map(([name, d]) => `${name} ${d.nid} ${d.policy}`)).toEqual([
    'gpu0 2 migrate',
  ]);
  expect(new CoherentDevice('x', nodeId(9)).name).toBe('x');
  expect(() => play('T0 mmap R0 4 anon\nT0 device_compute nope R0')).toThrow(
    /no device "nope".*gpu0/,
  );
  expect(() => play('T0 device_policy gpu0 sideways')).toThrow(/policy/);
});
