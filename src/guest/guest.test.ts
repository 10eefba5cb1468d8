// The pure parts of a guest: machine, command line, initial file system, what it says.
import { describe, expect, test } from 'vitest';
import { UserError } from '../base/assert.ts';
import { buildMachine } from '../machine/build.ts';
import { loadMachine } from '../machine/load.ts';
import type { Machine } from '../machine/machine.ts';
import { parseScenario } from '../scenario/parser.ts';
import { guestMachine } from './guest_machine.ts';
import { initramfs } from './initramfs.ts';
import { guestScenario, usedCpus } from './lower.ts';
import { cpusetOf, opsText, ProtocolReader } from './protocol.ts';
import { kernelCommandLine, qemuArguments } from './qemu.ts';
import { randomMachine } from './random_machine.ts';

/** Nodes as `cpus memoryMiB zone`; every distance is 20. */
function machineOf(...nodes: readonly string[]): Machine {
  const file = {
    name: 'box',
    arch: 'x86_64' as const,
    nodes: nodes.map((text) => {
      const [id = '', cpus = '', memory = '', zone = 'boot'] = text.split(' ');
      return {
        id: Number(id),
        ...(cpus === '-' ? {} : { cpus }),
        ...(memory === '0' ? {} : { memory: `${memory}MiB` }),
        memoryZone: zone === 'movable' ? ('movable' as const) : ('boot' as const),
      };
    }),
  };
  return buildMachine(file, (_, message) => {
    throw new UserError(message);
  });
}

describe('machines for guests', () => {
  test('[GST1] nodes with CPUs come first and all are numbered without gaps', () => {
    const guest = guestMachine(machineOf('1 - 256 movable', '4 0 320', '9 1 256'));
    expect([...guest.nodeOf]).toEqual([
      [4, 0],
      [9, 1],
      [1, 2],
    ]);
    expect(guest.nodes.map((n) => [n.id, n.cpus, n.zone])).toEqual([
      [0, [0], 'normal'],
      [1, [1], 'normal'],
      [2, [], 'movable'],
    ]);
    expect(guest.changes.join()).toContain('node 4 is 0, 9 is 1, 1 is 2');
  });

  test('[GST1] CPUs are numbered in the order of their nodes, those named are kept', () => {
    const guest = guestMachine(machineOf('0 4-7 320', '1 0-3 256'), { usedCpus: new Set([5, 6]) });
    expect([...guest.cpuOf]).toEqual([
      [5, 0],
      [6, 1],
      [0, 2],
    ]);
  });

  test('pages of 64 KiB become as many of 4 KiB', () => {
    const guest = guestMachine(loadMachine('thread'));
    expect(guest.nodes.map((n) => n.memoryMiB)).toEqual([256, 256, 256, 256, 256]);
    expect(guest.changes.join()).toContain('1/16 of the bytes');
  });

  test('a machine too large is cut down, and says so', () => {
    const guest = guestMachine(loadMachine('cxl'), { usedCpus: new Set() });
    expect(guest.nodes.map((n) => n.memoryMiB)).toEqual([512, 512, 512, 512]);
    expect(guest.changes.join()).toContain('at most 512 MiB');
  });

  test('every preset can be a guest', () => {
    for (const name of ['thread', 'ac922', 'gh200', 'gb200', 'mi300a', 'cxl', 'pc']) {
      const guest = guestMachine(loadMachine(name), { usedCpus: new Set([0]) });
      expect(guest.nodes.length, name).toBe(loadMachine(name).nodes.length);
    }
  });

  test('distances that Linux throws away are refused', () => {
    const machine = {
      ...machineOf('0 0 320', '1 1 256'),
      distances: [
        [10, 10],
        [10, 10],
      ],
    };
    expect(() => guestMachine(machine)).toThrow('takes 10 for a node itself');
  });

  test('plugged memory is online or offline, not both', () => {
    const machine = machineOf('0 0 320', '1 - 128 movable', '2 - 128 movable');
    const nodes = machine.nodes.map((n) => (n.id === 2 ? { ...n, offlineAtStart: true } : n));
    expect(() => guestMachine({ ...machine, nodes })).toThrow('all plugged memory online');
  });

  test('[GST6] random machines are equal by seed, need no renumbering, and have a device', () => {
    for (let i = 0; i < 200; i++) {
      const machine = randomMachine(`t/${i}`);
      expect(randomMachine(`t/${i}`)).toEqual(machine);
      const guest = guestMachine(machine);
      expect(guest.changes).toEqual([]);
      expect(guest.nodes.some((n) => n.cdm)).toBe(true);
    }
  });
});

describe('the command line of QEMU', () => {
  const guest = guestMachine(machineOf('0 0 320', '1 1 256', '2 - 128 movable', '3 - 0'));
  const options = { accel: 'tcg', kernel: 'K', initrd: 'I', append: 'cdm=2' } as const;
  const words = qemuArguments(guest, options).join(' ');

  test('[GST2] it is the same each time', () => {
    expect(qemuArguments(guest, options).join(' ')).toBe(words);
  });

  test('nodes without CPUs have a slot that stays empty', () => {
    expect(words).toContain('-smp cpus=2,maxcpus=4');
    expect(words).toContain('node,nodeid=0,cpus=0,memdev=m0');
    expect(words).toContain('-numa node,nodeid=2,cpus=2 ');
    expect(words).toContain('-numa node,nodeid=3,cpus=3 ');
  });

  test('plugged memory is a DIMM, the rest is there at boot', () => {
    expect(words).toContain('-m 576M,slots=1,maxmem=');
    expect(words).toContain('memory-backend-ram,id=m2,size=128M');
    expect(words).toContain('pc-dimm,id=dimm2,memdev=m2,node=2');
  });

  test('both directions of every distance are given', () => {
    expect(words.match(/dist,/g)?.length).toBe(12);
    expect(words).toContain('dist,src=3,dst=0,val=20');
  });

  test('the kernel onlines what is plugged in as movable, if anything is', () => {
    expect(kernelCommandLine(guest, 'cdm=2')).toMatch(/memhp_default_state=online_movable cdm=2$/);
    expect(kernelCommandLine(guestMachine(machineOf('0 0 320')))).not.toContain('memhp');
  });
});

describe('the initial file system', () => {
  const archive = initramfs({ init: Buffer.from('program'), ops: '#case 0\nT0 exit\n' });

  /** Entries of the archive, read back by the form's own rules. */
  function entries(): Map<string, { mode: number; content: string }> {
    const found = new Map<string, { mode: number; content: string }>();
    for (let at = 0; at < archive.length; ) {
      expect(archive.toString('latin1', at, at + 6)).toBe('070701');
      const field = (i: number): number =>
        Number.parseInt(archive.toString('latin1', at + 6 + 8 * i, at + 14 + 8 * i), 16);
      const nameEnd = at + 110 + field(11);
      const name = archive.toString('latin1', at + 110, nameEnd - 1);
      const start = Math.ceil(nameEnd / 4) * 4;
      found.set(name, {
        mode: field(1),
        content: archive.toString('latin1', start, start + field(6)),
      });
      at = Math.ceil((start + field(6)) / 4) * 4;
    }
    return found;
  }

  test('[GST3] it holds program, operations and console, and ends as the kernel wants it', () => {
    const found = entries();
    expect(found.get('init')).toEqual({ mode: 0o100755, content: 'program' });
    expect(found.get('ops')?.content).toBe('#case 0\nT0 exit\n');
    expect(found.get('dev/console')?.mode).toBe(0o020600);
    expect([...found.keys()].at(-1)).toBe('TRAILER!!!');
    expect(archive.length % 4).toBe(0);
  });
});

describe('what a guest says', () => {
  test('[GST4] records come from lines in pieces, between lines of the kernel', () => {
    const reader = new ProtocolReader();
    const text = [
      '[    0.1] booting',
      '@{"probe":1,"kernel":"6.1.0","cmdline":"quiet"}',
      '@{"case":0,"start":{"zonesAtStart":[],"nodeStates":{"online":[0]}}}',
      '[    1.0] noise @{"case":0,"i":0,"result":{"ret":0}}',
      '@{"case":0,"i":1,"result":{"ret":',
      '@{"case":0,"i":2,"error":"no such verb"}',
      '@{"case":0,"end":true,"ms":3}',
      '@{"done":true}',
    ].join('\r\n');
    for (let i = 0; i < text.length; i += 7) reader.push(text.slice(i, i + 7));
    const { kernel, cases, isDone, tail } = reader.finish();
    expect([kernel, isDone]).toEqual(['6.1.0', true]);
    const ran = cases.get(0);
    expect(ran?.results).toEqual([{ ret: 0 }]);
    expect([...(ran?.errors ?? [])]).toEqual([[2, 'no such verb']]);
    expect(ran?.isEnded).toBe(true);
    expect(tail).toEqual(['[    0.1] booting', '@{"case":0,"i":1,"result":{"ret":']);
  });

  test('operations are told case by case, with the hierarchy that they need', () => {
    expect(cpusetOf(['sys mkdir /sys/fs/cgroup/a'])).toBe('v2');
    expect(cpusetOf(['sys mkdir /cpuset/a'])).toBe('v1');
    expect(cpusetOf(['T0 exit'])).toBeUndefined();
    expect(opsText([{ lines: ['T0 exit'] }, { lines: ['sys free'], cpuset: 'v2' }])).toBe(
      '#case 0\nT0 exit\n#case 1 cpuset=v2\nsys free\n',
    );
  });
});

describe('scenarios for guests', () => {
  const machine = machineOf('0 0-1 320', '8 2-3 256', '255 - 256 movable');
  const parse = (text: string) => parseScenario(text, { file: 'x', pageBytes: 4096 });
  const lower = (text: string): string[] => {
    const scenario = parse(text);
    const guest = guestMachine(machine, { usedCpus: usedCpus(scenario) });
    return guestScenario(scenario, guest).ops.map((op) => op.text);
  };

  test('[GST5] CPUs of a cpuset are there as those of a task are', () => {
    expect([
      ...usedCpus(parse('task app\napp cpu 3\nsys write /cpuset/a/cpuset.cpus 0-1\n')),
    ]).toEqual([3, 0, 1]);
    expect(lower('sys write /cpuset/a/cpuset.cpus 1-2\n')).toEqual([
      'sys write /cpuset/a/cpuset.cpus 0,1',
    ]);
  });

  test('[GST5] names become slots, nodes and CPUs become those of the guest', () => {
    expect(
      lower(`task app
app cpu 3
app mmap buf 8 anon
app mbind buf 0 8 bind 8,255
app touch buf
app move_pages buf 0 4 255,0,-1
sys write /sys/fs/cgroup/a/cpuset.mems 0,8-8
sys write /sys/fs/cgroup/a/cpuset.mems ""
app cpu 99`),
    ).toEqual([
      'T0 cpu 1',
      'T0 mmap R0 8 anon',
      'T0 mbind R0 0 8 bind 1,2',
      'T0 touch R0 0 8',
      'T0 move_pages R0 0 4 2,0,-1',
      'sys write /sys/fs/cgroup/a/cpuset.mems 0,1',
      'sys write /sys/fs/cgroup/a/cpuset.mems ""',
      'T0 cpu 101',
    ]);
  });

  test('[GST5] a number that only the guest would have is refused', () => {
    expect(() => lower('T0 set_mempolicy bind 1')).toThrow('names node 1');
    expect(lower('T0 set_mempolicy bind 77')).toEqual(['T0 set_mempolicy bind 77']);
  });

  test('a region is refused that has no room in its slot, or in any', () => {
    expect(lower('T0 mmap R11 2150401 anon')).toHaveLength(1);
    expect(() => lower('T0 mmap R12 2150401 anon')).toThrow('need one up to 11');
    expect(lower('T0 mmap R12 2150400 anon')).toHaveLength(1);
    expect(() => lower('T0 mmap R0 2147483649 anon')).toThrow('longer than the 8 TiB');
  });

  test('operations of a device are refused', () => {
    expect(() => lower('T0 mmap R0 8 anon\nT0 device_compute gpu0 R0')).toThrow('needs a device');
  });
});
