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
import type { Machine } from '../machine/machine.ts';
import { findPreset } from '../machine/presets/index.ts';
import { Runner } from '../scenario/runner.ts';
import { Device, makeDevices } from './device.ts';
import { DEVICE_POLICIES, Driver } from './driver.ts';

describe('compute', () => {
  test('[DRV2] migrate: pages come to the device and stay there when a CPU uses them', () => {
    play(`
      T0 mmap R0 8 anon
      T0 touch R0 0 4
      T0 device_compute gpu0 R0 -> 0; computed 8; local 8; remote 0; moved 4
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
      T0 touch R0
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
    expect(last['moved']).toBe(0);
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

describe('the driver', () => {
  test('[DRV8] a page that the device is first to use gets its frame there', () => {
    play(`
      T0 mmap R0 8 anon
      T0 touch R0 0 2
      T0 device_policy gpu0 stay
      T0 device_compute gpu0 R0 -> local 6; remote 2; moved 0
      T0 where R0 -> nodes 0:2 2:6
    `);
  });

  test('[DRV9] unless a policy that binds or prefers says otherwise', () => {
    play(`
      T0 mmap R0 8 anon
      T0 mbind R0 0 8 bind 0,1
      T0 device_compute gpu0 R0 -> local 0; remote 8; moved 0
      T0 where R0 -> nodes 0:8
      T0 mmap R1 8 anon
      T0 mbind R1 0 8 preferred_many 1,2
      T0 device_compute gpu0 R1 -> local 8
      T0 mmap R2 8 anon
      T0 mbind R2 0 8 interleave 0,1
      T0 device_compute gpu0 R2 -> local 8
      T0 set_mempolicy bind 0
      T0 mmap R3 8 anon
      T0 device_compute gpu0 R3 -> local 8
    `);
  });

  test('[DRV10] counters: a block comes when the device has reached it often enough', () => {
    play(`
      T0 mmap R0 1024 anon
      T0 touch R0
      T0 device_policy gpu0 counters threshold=256
      T0 device_compute gpu0 R0 0 512 random accesses=1 passes=1 seed=1 -> computed 512
      T0 device_compute gpu0 R0 512 100 accesses=1 -> local 0; remote 100; moved 0
      T0 device_compute gpu0 R0 512 100 accesses=1 -> remote 100; moved 0
      T0 device_compute gpu0 R0 512 100 accesses=1 -> local 100; moved 512
      T0 where R0 512 512 -> nodes 2:512
    `);
  });

  test('[DRV21] counters of 64 KiB bring as much; those of 16 MiB are shared by blocks', () => {
    play(`
      T0 mmap R0 8192 anon
      T0 touch R0
      T0 device_policy gpu0 counters threshold=256 granularity=64KiB
      T0 device_compute gpu0 R0 0 16 accesses=15 -> moved 0
      T0 device_compute gpu0 R0 0 17 accesses=16 -> moved 16
      T0 where R0 0 512 -> nodes 0:496 2:16
      T0 device_policy gpu0 counters granularity=16MiB threshold=300
      T0 device_compute gpu0 R0 4096 100 accesses=1 -> moved 0
      T0 device_compute gpu0 R0 4608 100 accesses=1 -> moved 0
      T0 device_compute gpu0 R0 5120 100 accesses=1 -> local 100; moved 512
      T0 where R0 4096 1536 -> nodes 0:1024 2:512
      T0 device_policy gpu0 counters granularity=2MiB
      T0 device_compute gpu0 R0 6144 150 accesses=1 -> moved 0
      T0 device_compute gpu0 R0 6656 150 accesses=1 -> moved 0
    `);
    expect(() =>
      play('T0 mmap R0 8 anon\nT0 device_policy gpu0 counters granularity=4MiB'),
    ).toThrow('granularity=4194304: expected 64KiB, 2MiB, 16MiB or 16GiB');
  });

  test('[DRV11] without room the block that was used least recently goes to the CPUs', () => {
    const { kernel } = play(`
      T0 mmap R0 12000 anon
      T0 mmap R1 8000 anon
      T0 touch R0
      T0 touch R1
      T0 device_compute gpu0 R0 -> moved 12000
      T0 device_compute gpu0 R1 -> local 8000; moved 8000
      T0 device_compute gpu0 R1 -> moved 0; local 8000
    `);
    const evicted = kernel.moves.rows().find((row) => row.cause === 'device evict');
    expect(evicted).toMatchObject({ from: 2, to: 0 });
    expect(evicted?.nrPages).toBeGreaterThan(3000);
    expect((evicted?.nrPages ?? 0) % 512).toBe(0);
  });

  test('[DRV11] whoever the block belongs to; keep: nothing is sent away', () => {
    play(`
      fork T0 T1
      T0 mmap R0 12000 anon
      T0 device_compute gpu0 R0 -> local 12000
      T1 mmap R1 8000 anon
      T1 device_compute gpu0 R1 -> local 8000; remote 0
      T1 exit
      T0 device_policy gpu0 migrate keep
      T0 mmap R2 20000 anon
      T0 device_compute gpu0 R2 -> moved 0
      T0 where R0 -> nodes 0:4096 2:7904
    `);
  });

  test('[DRV12] a block that comes back three times after evictions stays where it is then', () => {
    const { kernel } = play(`
      T0 mmap R0 20000 anon
      T0 touch R0
      T0 device_compute gpu0 R0 passes=12
    `);
    const moved = kernel.moves.rows().find((row) => row.cause === 'device');
    const thrice = 20000 + 3 * 20000;
    expect(moved?.nrPages).toBeGreaterThan(20000);
    expect(moved?.nrPages).toBeLessThanOrEqual(thrice);
  });

  test('[DRV13] prefetch brings pages whatever the policy, to the device or to the CPU', () => {
    play(`
      T0 mmap R0 8 anon
      T0 touch R0
      T0 device_policy gpu0 stay
      T0 device_prefetch gpu0 R0 0 4 -> 0; moved 4
      T0 where R0 -> nodes 0:4 2:4
      T0 device_prefetch cpu R0 -> moved 4
      T0 where R0 -> nodes 0:8
    `);
  });

  test('[DRV14] advice: cpu keeps pages off the device, device keeps them there', () => {
    play(`
      T0 device_policy gpu0 migrate-back
      T0 mmap R0 1024 anon
      T0 touch R0
      T0 device_advise gpu0 R0 0 512 cpu
      T0 device_advise gpu0 R0 512 512 device
      T0 device_compute gpu0 R0 -> local 512; remote 512; moved 512
      T0 touch R0
      T0 where R0 -> nodes 0:512 2:512
      T0 device_advise gpu0 R0 0 1024 none
      T0 touch R0
      T0 where R0 -> nodes 0:1024
    `);
  });

  test('[DRV15] one device reaches the memory of another like any other node', () => {
    const machine = findPreset('thread') as Machine;
    const { session } = play(
      `
      T0 mmap R0 8 anon
      T0 device_compute gpu0 R0 -> local 8
      T0 device_policy gpu1 stay
      T0 device_compute gpu1 R0 -> local 0; remote 8; moved 0
      T0 device_policy gpu1 migrate
      T0 device_compute gpu1 R0 -> local 8; moved 8
      `,
      { machine },
    );
    const gpu1 = session.runner.devices.get('gpu1');
    expect([...(gpu1?.visits ?? [])].filter((n) => n > 0)).toEqual([8, 8]);
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
      device.driver.policy = policy;
      const { ret, fault, nrLocal, nrRemote } = device.compute(task, startVpn, 240);
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
      device.driver.beforeCpuUse(task, startVpn, 240);
      expect(mapped()).toEqual(before);
      const isExpected = (text: string) => /^promise: .*\(page table, policy: task\)/.test(text);
      expect(checkAll(k).filter((text) => !isExpected(text))).toEqual([]);
    }
  });
});

test('[DRV7] devices are found by the nodes that name them, one driver each', () => {
  const { kernel } = play('T0 get_mempolicy');
  expect(
    [...makeDevices(kernel)].map(([name, d]) => `${name} ${d.driver.nid} ${d.driver.policy}`),
  ).toEqual(['gpu0 2 migrate']);
  expect(new Device(kernel, 'x', new Driver(kernel, nodeId(9), nodeId(0))).name).toBe('x');
  expect(() => play('T0 mmap R0 4 anon\nT0 device_compute nope R0')).toThrow(
    /no device "nope".*gpu0/,
  );
  expect(() => play('T0 device_policy gpu0 sideways')).toThrow(/policy; expected migrate/);
  expect(() => play('T0 device_policy gpu0 countres')).toThrow(/did you mean "counters"/);
  expect(() => play('T0 mmap R0 4 anon\nT0 device_compute gpo0 R0')).toThrow(/mean "gpu0"/);
  expect(() => play('T0 mmap R0 4 anon\nT0 device_prefetch cp R0')).toThrow(/mean "cpu"/);
});
