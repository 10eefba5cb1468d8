// Trees of real machines, which are not part of the project, read by captureMachine; where the
// machine that runs this has lscpu, its reading of the same trees is compared.
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UserError } from '../base/assert.ts';
import { type CaptureOptions, captureMachine } from './capture.ts';
import { parseCpuList } from './cpu_list.ts';
import { type Machine, nodeSizeBytes } from './machine.ts';
import { findPreset } from './presets/index.ts';

const CAPTURES = fileURLToPath(new URL('../../../shared/captures/', import.meta.url));
const TARBALLS = fileURLToPath(new URL('../../../shared/machines/hwloc/', import.meta.url));
const hasCaptures = existsSync(CAPTURES);
const hasTarballs = existsSync(TARBALLS);
if (!hasCaptures) console.warn(`trees of real machines SKIPPED: ${CAPTURES} is not there`);
if (!hasTarballs) console.warn(`trees of hwloc SKIPPED: ${TARBALLS} is not there`);

const unpack = promisify(execFile);
/** Nine tenths of the files, which a capture does not read. */
const UNREAD = [
  '*/cache',
  '*/topology',
  '*/device-tree',
  '*/hugepages',
  '*/sys/class',
  '*/sys/firmware',
  '*/sys/fs',
  '*/sys/block',
  '*/node[0-9]*/cpu[0-9]*',
  '*/cpu/cpu[0-9]*',
  '*/pci[0-9]*',
  '*/LNXSYSTM*',
  '*/sys/bus/cpu',
  '*/sys/bus/memory',
  '*/sys/bus/node',
  '*/virtual',
  '*/cpufreq',
  '*/node[0-9]*/memory[0-9][0-9][0-9]*',
];

const capture = (root: string, options: CaptureOptions = {}): Machine =>
  captureMachine({ sysRoot: join(root, 'sys'), procRoot: join(root, 'proc'), ...options });

const sizesKib = (machine: Machine): readonly number[] =>
  machine.nodes.map((node) => nodeSizeBytes(node) / 1024);

describe.skipIf(!hasCaptures)('captured trees', () => {
  test('nri-plugins/server: six nodes, the last two without CPUs and not taken for devices', () => {
    const machine = capture(join(CAPTURES, 'nri-plugins/server'), { arch: 'x86_64' });
    expect(machine.nodes.map((node) => node.cpus.length)).toEqual([28, 28, 28, 28, 0, 0]);
    expect(machine.nodes[1]?.cpus.slice(0, 3)).toEqual([1, 5, 9]);
    expect(machine.nodes[4]?.device).toBeUndefined();
    expect(machine.distances[5]).toEqual([28, 28, 17, 28, 28, 10]);
    expect(sizesKib(machine)[4]).toBe(130023424);
  });

  test('nri-plugins/4-socket-server-nosnc: four sockets', () => {
    const machine = capture(join(CAPTURES, 'nri-plugins/4-socket-server-nosnc'), {
      arch: 'x86_64',
    });
    expect(machine.nodes.map((node) => node.cpus.length)).toEqual([36, 36, 36, 36]);
    expect(machine.nodes[3]?.cpus[18]).toBe(126);
    expect(machine.distances[0]).toEqual([10, 21, 21, 21]);
  });

  test('node_exporter: no distances, and a zoneinfo of another machine that is not used', () => {
    const machine = capture(join(CAPTURES, 'node_exporter'), { arch: 'x86_64' });
    expect(machine.nodes.map((node) => node.cpus)).toEqual([[0, 1], [2, 3], []]);
    expect(sizesKib(machine)).toEqual([134182340, 134217728, 134217728]);
    expect(machine.distances[0]).toEqual([10, 20, 20]);
    expect(machine.note).toContain('laid out by rule; no distances shown');
  });

  test('pcp/meminfo-root-003: a tree cut down to meminfo does not tell CPUs, and says so', () => {
    expect(() => capture(join(CAPTURES, 'pcp/meminfo-root-003'), { arch: 'x86_64' })).toThrow(
      'neither cpumap nor cpulist',
    );
  });
});

describe.skipIf(!hasTarballs)('trees of hwloc', () => {
  let dir = '';
  const roots = new Map<string, string>();
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'cdmlab-hwloc-'));
    const tarballs = readdirSync(TARBALLS).filter((file) => file.endsWith('.tar.bz2'));
    await Promise.all(
      tarballs.map(async (name) => {
        const into = mkdtempSync(join(dir, 'tree-'));
        const without = UNREAD.map((pattern) => `--exclude=${pattern}`);
        await unpack('tar', ['-xjf', join(TARBALLS, name), '-C', into, ...without]);
        roots.set(name.replace('.tar.bz2', ''), join(into, readdirSync(into)[0] as string));
      }),
    );
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  const root = (name: string): string => {
    const path = roots.get(name);
    if (path === undefined) throw new Error(`no tree ${name}`);
    return path;
  };

  test('nvidiagpunumanodes is the preset ac922, but for CPUs and addresses', () => {
    const machine = capture(root('nvidiagpunumanodes'));
    const preset = findPreset('ac922') as Machine;
    expect([machine.arch, machine.pageBytes]).toEqual(['ppc64', 65536]);
    const facts = (m: Machine) =>
      m.nodes.map((n) => [n.id, nodeSizeBytes(n), n.memoryZone, n.device]);
    expect(facts(machine)).toEqual(facts(preset));
    expect(machine.distances).toEqual(preset.distances);
    const homes = (m: Machine) => m.devices.map((device) => [device.name, device.homeNode]);
    expect(homes(machine)).toEqual(homes(preset));
    expect(machine.nodes.map((n) => n.cpus)).toEqual([
      parseCpuList('0-15'),
      parseCpuList('88-103'),
      [],
      [],
      [],
      [],
      [],
      [],
    ]);
  });

  test('memory blocks that do not say how large they are, and side caches, mislead nobody', () => {
    expect(capture(root('memorysidecaches')).nodes[0]?.cpus.slice(0, 2)).toEqual([0, 4]);
    expect(sizesKib(capture(root('memorysidecaches')))[0]).toBe(388492316);
    expect(sizesKib(capture(root('nvidia-dgx-gb10')))).toEqual([125508468]);
  });

  test('an architecture that is not modelled can be read as another', () => {
    expect(() => capture(root('16ia64-8n2s'))).toThrow('not modelled: architecture ia64');
    const machine = capture(root('16ia64-8n2s'), { arch: 'ppc64', pageBytes: 65536 });
    expect(machine.nodes).toHaveLength(8);
    expect(machine.distances[0]).toEqual([10, 25, 25, 25, 29, 29, 29, 29]);
  });

  test('every node listing every CPU is taken as it is', () => {
    const machine = capture(root('8em64t-2s2ca2c-buggynuma'));
    expect(machine.nodes.map((node) => node.cpus.length)).toEqual([8, 8, 8, 8, 8, 8, 8, 8]);
  });

  test('the page size of POWER7 and the ids 0, 1, 4, 5, 8, 9, 12, 13 are told by the tree', () => {
    const machine = capture(root('256ppc-8n8s4t'));
    expect(machine.pageBytes).toBe(65536);
    expect(machine.nodes.map((node) => node.id)).toEqual([0, 1, 4, 5, 8, 9, 12, 13]);
    expect(machine.distances[3]).toEqual([40, 40, 20, 10, 40, 40, 40, 40]);
  });

  test('every tree is captured, or refused with a word on what to give', () => {
    const refused: string[] = [];
    for (const [name, path] of roots) {
      try {
        capture(path);
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        expect(error.message).toContain('give the architecture');
        refused.push(name);
      }
      expect(capture(path, { arch: 'x86_64' }).nodes.length).toBeGreaterThan(0);
    }
    expect(refused.sort()).toEqual([
      '128ia64-17n4s2c',
      '16ia64-8n2s',
      '20s390-2g6s4c',
      '2i386-2c-nohugepage',
      '4fake-4gr1nu1pu',
      'fakeheterocpunuma',
    ]);
  });

  const hasLscpu = spawnSync('lscpu', ['--version']).status === 0;
  if (!hasLscpu) console.warn('comparison with lscpu SKIPPED: it is not installed');

  test.skipIf(!hasLscpu)('lscpu sees the same CPUs on the same nodes', () => {
    let nrCompared = 0;
    for (const [name, path] of roots) {
      const { stdout } = spawnSync('lscpu', ['--sysroot', path], { encoding: 'utf8' });
      const seen = [...stdout.matchAll(/^NUMA node(\d+) CPU\(s\):\s*(\S*)$/gm)];
      if (seen.length === 0) continue;
      const machine = capture(path, { arch: 'x86_64' });
      expect(
        machine.nodes.map((node) => [node.id, node.cpus]),
        name,
      ).toEqual(seen.map((match) => [Number(match[1]), parseCpuList(match[2] as string)]));
      nrCompared++;
    }
    expect(nrCompared).toBeGreaterThan(5);
  });
});
