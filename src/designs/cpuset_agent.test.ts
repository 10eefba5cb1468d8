// An agent in user space with cpusets and policies: what it does, what it keeps off, and where the
// thread's objections to it hold.
// Sources  Mel Gorman, 2017-02-17 and 2017-02-23; Anshuman Khandual, 2017-02-21; all under
//          "Re: [PATCH V3 0/4] Define coherent device memory node".
import { describe, expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import { machineFrom } from '../../test/support/small_machine.ts';
import { checkAll } from '../checkers/index.ts';
import { breaches } from '../checkers/promise.ts';
import type { Design } from '../hooks/design.ts';
import { compareDesigns } from '../lab/compare.ts';
import { loadScenario } from '../lab/load_scenario.ts';
import { cpuset, cpusetV1, makeCpuset } from './cpuset_agent.ts';
import { stock } from './stock.ts';

/** Two nodes with CPUs, and two devices of one memory block each. */
const machine = (isLate: boolean) =>
  machineFrom({
    name: 'agents',
    arch: 'x86_64',
    nodes: [
      { id: 0, cpus: '0-1', memory: '128MiB' },
      { id: 1, cpus: '2-3', memory: '64MiB' },
      ...[2, 3].map((id) => ({
        id,
        memory: '128MiB',
        memoryZone: 'movable' as const,
        device: `gpu${id - 2}`,
        ...(isLate ? { offlineAtStart: true } : {}),
      })),
    ],
    distances: [
      [10, 20, 40, 40],
      [20, 10, 80, 80],
      [40, 80, 10, 80],
      [40, 80, 80, 10],
    ],
    devices: [2, 3].map((id) => ({ name: `gpu${id - 2}`, kind: 'device', homeNode: 0 })),
  });

const run = (text: string, design: Design, isLate = false) => {
  const played = play(text, { machine: machine(isLate), design });
  expect(checkAll(played.kernel)).toEqual([]);
  return played;
};
/** What the agent did, in order, as lines. */
const did = ({ steps }: ReturnType<typeof run>): string[] =>
  steps.flatMap(({ result }) =>
    ((result['agent'] ?? []) as { did: string; ret: number }[]).map((s) => {
      expect(s.ret, s.did).toBe(0);
      return s.did;
    }),
  );

describe('events of the kernel', () => {
  test('[UEV1] each block tells when it goes and when it comes, and nothing else does', () => {
    const { kernel, last } = run(
      `
      sys uevents -> 0
      sys offline_node 2
      sys offline_node 2
      sys online_node 2 MOVABLE
      T0 mmap R0 8 anon
      T0 touch R0
      sys uevents
    `,
      stock,
    );
    expect(last['uevents']).toEqual([
      'offline@/devices/system/memory/memory32',
      'online@/devices/system/memory/memory32',
    ]);
    expect(kernel.uevents.map((e) => e.nid)).toEqual([2, 2]);
  });
});

describe.each([cpuset, cpusetV1])('the agent of $id', (design) => {
  const root = design === cpuset ? '/sys/fs/cgroup' : '/cpuset';

  test('[AGT1] [AGT3] shuts programs in before they run, where a device has memory', () => {
    const played = run('T0 mems_allowed -> nodes 0,1', design);
    expect(
      did(played).filter((line) => !line.includes('.cpus') && !line.includes('migrate')),
    ).toEqual([
      `sys mkdir ${root}/others`,
      `sys write ${root}/others/cpuset.mems 0-1`,
      `sys mkdir ${root}/users`,
      `sys write ${root}/users/cpuset.mems 0-3`,
      `sys move T0 ${root}/others`,
    ]);
  });

  test('[AGT3] a program without a policy that fills all it has does not come to a device', () => {
    const { kernel } = run(
      `
      T0 mmap R0 200MiB anon
      T0 touch R0 -> KILLED
    `,
      design,
    );
    expect(breaches(kernel)).toEqual([]);
    expect(kernel.placements.rows().some((row) => row.nid >= 2)).toBe(false);
  });

  test('[AGT4] a program that is to use a device has it by its areas, and nothing else of it', () => {
    const { kernel } = run(
      `
      fork T0 T1
      T1 get_mempolicy -> mode bind; nodes 0,1
      T1 mems_allowed -> nodes 0,1,2,3
      T1 mmap R0 16 anon
      T1 mbind R0 0 16 bind 2 -> 0
      T1 touch R0
      T1 where R0 -> nodes 2:16
      T1 mmap R1 16 anon
      T1 touch R1
      T1 where R1 -> nodes 0:16
      T1 device_compute gpu0 R1 -> moved 16
      fork T1 T2
      T2 get_mempolicy -> mode bind; nodes 0,1
      T2 touch R0 0 4
      T2 where R0 0 4 -> nodes 2:4
      T0 mems_allowed -> nodes 0,1
    `,
      design,
    );
    expect(breaches(kernel)).toEqual([]);
  });

  test('[AGT2] [AGT5] answers late, and what was lost meanwhile goes back to RAM', () => {
    const { session, kernel } = run(
      `
      T0 mmap R0 180MiB anon
      T0 touch R0 0 39400
      sys online_node 2 MOVABLE -> 0
      T0 mems_allowed -> nodes 0,1,2
      T0 touch R0 39400 2000 -> 0
      T0 mems_allowed -> nodes 0,1,2
      T0 madvise R0 0 4000 dontneed
      T0 mems_allowed -> nodes 0,1
      sys read ${root}/others/cpuset.mems -> value 0-1
      sys online_node 3 MOVABLE -> 0
      T0 mems_allowed -> nodes 0,1
      T0 touch R0 41400 500
      sys sleep 100
      sys read ${root}/users/cpuset.mems -> value 0-3
    `,
      design,
      true,
    );
    const [window] = session.runner.agent?.windows ?? [];
    expect(window?.nrOps).toBe(4);
    expect(window?.nrPages).toBeGreaterThan(100);
    expect(session.runner.agent?.windows).toHaveLength(1);
    expect(breaches(kernel)).toEqual([]);
    const back = kernel.moves.rows().filter((row) => row.cause === 'cpuset');
    expect(back.reduce((n, row) => n + row.nrPages, 0)).toBe(window?.nrPages);
  });
});

describe('what is known against it', () => {
  // Khandual, 2017-02-21: whoever is in a cpuset with the device may have all its areas there,
  // unless each is bound negatively. Gorman, 2017-02-23: let the task's own policy forbid it.
  test('[AGT6] without that policy, what a user does not name spills onto the device, too', () => {
    const text = (policy: string) => `
      fork T0 T1
      ${policy}
      T1 mmap R0 16 anon
      T1 mbind R0 0 16 bind 2
      T1 mmap R1 180MiB anon
      T1 touch R1
    `;
    const spilt = run(text('T1 set_mempolicy default none'), cpuset);
    expect(spilt.last.ret).toBe(0);
    expect(run(text(''), cpuset).last.ret).toBe('KILLED');
  });

  test('[AGT6] the OOM killer then passes the guilty over: mempolicy_in_oom_domain', () => {
    const { last } = run(
      `
      fork T0 T1
      T1 mmap R0 140MiB anon
      T1 mbind R0 0 140MiB bind 2
      T1 touch R0 -> PANIC
      T0 mems_allowed
    `,
      cpuset,
    );
    expect(last.ret).toBe('PANIC');
  });

  test('[AGT6] a task that is taken out of its cpuset is kept off no more', () => {
    const { kernel } = run(
      `
      sys mkdir /sys/fs/cgroup/a
      sys write /sys/fs/cgroup/a/cpuset.mems 0-2
      sys move T0 /sys/fs/cgroup/a
      T0 mmap R0 180MiB anon
      T0 touch R0 -> 0
    `,
      cpuset,
    );
    expect(kernel.placements.rows().some((row) => row.nid === 2 && !row.isAsked)).toBe(true);
  });

  // Linux, Documentation/ABI/testing/sysfs-kernel-mm-numa: demotion "should not be enabled on
  // systems which need strict cpuset location guarantees".
  test('[AGT6] kernel pages and page tables may go where the cpuset may not', () => {
    const inBoot = machineFrom({
      name: 'boot',
      arch: 'ppc64',
      nodes: [
        { id: 0, cpus: '0', memory: '128MiB' },
        { id: 1, memory: '64MiB', device: 'gpu0' },
      ],
      distances: [
        [10, 40],
        [40, 10],
      ],
      devices: [{ name: 'gpu0', kind: 'device', homeNode: 0 }],
    });
    const { kernel } = play(
      `
      T0 mmap R0 8GiB anon
      T0 mmap R1 1440 anon
      T0 touch R1
      T0 tables R0
    `,
      { machine: inBoot, design: cpuset },
    );
    expect(breaches(kernel).map((b) => `${b.purpose} on ${b.nid}`)).toEqual(['page table on 1']);
  });
});

test('[AGT5] an agent that shuts all programs in from boot on has no window', () => {
  const ready = makeCpuset('cpuset', { version: 2, delayOps: 100, isReady: true });
  const { kernel, session } = run(
    `
    T0 mmap R0 180MiB anon
    T0 touch R0 0 31800
    sys online_node 2 MOVABLE -> 0
    T0 mems_allowed -> nodes 0,1
    T0 touch R0 -> KILLED
  `,
    ready,
    true,
  );
  expect(session.runner.agent?.windows).toEqual([]);
  expect(breaches(kernel)).toEqual([]);
});

test('[AGT2] [AGT5] hotadd-agent: the delay of the scenario, and pages lost in the window', () => {
  const { scenario, machine: thread } = loadScenario('hotadd-agent');
  expect(scenario.agent).toEqual({ delayOps: 6, users: [] });
  const designs = [stock, cpuset, cpusetV1];
  const { outcomes } = compareDesigns({ scenario, machine: thread, designs });
  expect(outcomes.map((o) => o.failedExpectations)).toEqual([[], [], []]);
  expect(outcomes.map((o) => o.windows)).toEqual([
    undefined,
    [{ nrOps: 6, nrPages: 16 }],
    [{ nrOps: 6, nrPages: 16 }],
  ]);
  expect(outcomes.map((o) => o.nrOnDeviceAtEnd)).toEqual([32, 0, 0]);
});
