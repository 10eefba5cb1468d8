// What a person gives: scenarios, machines, options and files, odd or wrong, and what is said.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildIfStale, cdmlab, refused } from '../../test/support/cli.ts';
import type { Comparison } from '../lab/comparison.ts';
import { parseMachine } from '../machine/schema.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cdmlab-given-'));
  buildIfStale();
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, text: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const NUMACTL = `available: 3 nodes (0-2)
node 0 cpus: 0 1
node 0 size: 1024 MB
node 0 free: 100 MB
node 1 cpus:
node 1 size: 512 MB
node 1 free: 500 MB
node 2 cpus:
node 2 size: 512 MB
node 2 free: 500 MB
node distances:
node   0   1   2
  0:  10  40  10
  1:  40  10  40
  2:  10  40  10
`;

describe('a scenario', () => {
  test('without a machine is told by the mistake that it has', () => {
    const typo = file('typo.cdm', 'machin pc\ntask app\napp mmap a 16 anon\n');
    expect(refused('run', typo)).toMatch(/typo\.cdm:1:1: "machin" .*did you mean "machine"/);
    expect(refused('run', file('mail.cdm', 'Dear all,\n'))).toContain('mail.cdm:1');
    expect(refused('run', file('json.cdm', '{"a": 1}\n'))).toContain('this is JSON, no scenario');
    expect(refused('run', file('binary.cdm', 'machine pc\0\n'))).toContain('no text');
    const unknown = file('thred.cdm', '# mine\n  machine thred\ntask app\n');
    expect(refused('run', unknown)).toMatch(
      /thred\.cdm:2:11: no machine `thred`: did you mean thread/,
    );
    const none = refused('run', file('none.cdm', 'task app\napp mmap a 16 anon\n'));
    expect(none).toMatch(/none\.cdm:1: .*add a line "machine NAME"/);
  });

  test('that names a device or a policy that there is not, is told where it does', () => {
    const start = 'machine thread\ntask app\napp mmap a 8 anon\n';
    const told = (line: string): string => refused('run', file('dev.cdm', `${start}${line}\n`));
    expect(told('app device_compute gpuX a')).toMatch(
      /dev\.cdm:4:20: .*no device "gpuX" \(did you mean "gpu0"\?\); it has: gpu0, gpu1, gpu2$/m,
    );
    expect(told('app device_prefetch cup a')).toMatch(/dev\.cdm:4:21: .*"cpu".*gpu2; or cpu$/m);
    expect(told('app device_alloc npu buf 1MiB')).toMatch(/dev\.cdm:4:18: .*no device "npu"/);
    expect(told('app device_policy gpu0 keep')).toMatch(/dev\.cdm:4:24: .*no device policy/);
  });

  test('whose region could not be mapped says so of a touch, and of a page', () => {
    const text = 'machine pc\ntask app\napp mmap a 300 hugetlb\napp touch a\n';
    const path = file('unmapped.cdm', text);
    const never = /app touch a +0 touched 0\n +\(a was never mapped: it has no pages\)/;
    expect(cdmlab('run', path).out).toMatch(never);
    const told = cdmlab('explain', path, '--page', 'a:0').out.replaceAll(/\s+/g, ' ');
    expect(told).toContain('not there: step 1 (app mmap a 300 hugetlb) ended in ENOMEM.');
  });

  test('may open with a byte order mark', () => {
    const bom = '\uFEFFmachine pc\ntask app\napp mmap a 16 anon -> 0\n';
    expect(cdmlab('run', file('bom.cdm', bom)).out).toContain('1 expectation met');
  });

  test('with suspicious lines runs, with a warning a line and the same JSON', () => {
    const path = file('past.cdm', 'machine pc\ntask app\napp mmap a 16 anon\napp touch a 8 16\n');
    const { code, err } = cdmlab('run', path);
    expect(code).toBe(0);
    expect(err).toBe(`warning: ${path}:4: pages 8..23 go past the end of a, which has 16\n`);
    expect(cdmlab('compare', path).err).toContain('warning: ');
    expect(cdmlab('run', path, '--json').err).toBe('');
  });

  test('maps no more than the addresses of a program, and has no number without an end', () => {
    const path = file('big.cdm', 'machine pc\ntask app\napp mmap a 300TiB anon\napp touch a 0 1\n');
    const { out } = cdmlab('run', path);
    expect(out).toMatch(/app mmap a \d+ anon +ENOMEM\n +\(larger than what is left/);
    expect(out).toMatch(/app touch a 0 1 +SIGSEGV/);
    const fits = file('fits.cdm', 'machine pc\ntask app\napp mmap a 1TiB anon -> 0\n');
    expect(cdmlab('run', fits).code).toBe(0);
    const long = file('long.cdm', `machine pc\ntask app\napp mmap a ${'9'.repeat(30)} anon\n`);
    expect(refused('run', long)).toContain('is too large a number');
  });

  test('reads cgroup.subtree_control back', () => {
    const lines = [
      'machine pc',
      'sys mkdir /sys/fs/cgroup/x',
      'sys read /sys/fs/cgroup/x/cgroup.subtree_control -> value ""',
      'sys write /sys/fs/cgroup/x/cgroup.subtree_control "+cpuset" -> 0',
      'sys read /sys/fs/cgroup/x/cgroup.subtree_control -> value cpuset',
    ];
    expect(cdmlab('run', file('subtree.cdm', lines.join('\n'))).out).toContain(
      '3 expectations met',
    );
  });
});

test('generated mixed workloads live under designs long enough to be compared', () => {
  let nrSteps = 0;
  let nrDead = 0;
  for (const seed of ['1', '2', '3', '6', '8']) {
    const { out } = cdmlab('scenario', 'generate', '--seed', seed, '--ops', '60');
    const path = file(`mixed-${seed}.cdm`, out);
    const compared = cdmlab('compare', path, '--designs', 'thread', '--json').out;
    for (const o of (JSON.parse(compared) as Comparison).outcomes) {
      nrSteps += o.steps.length;
      nrDead += o.nrAfterDeath ?? 0;
    }
  }
  expect(nrDead / nrSteps).toBeLessThan(0.1);
}, 120_000);

describe('a machine', () => {
  test('in an archive is to be unpacked first; a directory may hold the tree one level down', () => {
    const archive = file('box.tar.gz', gzipSync('sys/'));
    expect(refused('machine', 'import', archive)).toContain('unpack it first (tar xzf box.tar.gz)');
    const node = join(folder, 'box/inner/sys/devices/system/node/node0');
    mkdirSync(node, { recursive: true });
    writeFileSync(join(node, 'meminfo'), 'Node 0 MemTotal:  1048576 kB\n');
    writeFileSync(join(node, 'cpulist'), '0-3\n');
    writeFileSync(join(node, 'distance'), '10\n');
    const options = ['--arch', 'x86_64', '--page-size', '4KiB', '-o', join(folder, 'box.json')];
    expect(cdmlab('machine', 'import', join(folder, 'box'), ...options).out).toContain(
      'RAM of 1 GiB',
    );
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    expect(refused('machine', 'import', empty)).toContain('neither it nor a directory in it holds');
  });

  test('of numactl -H says what was taken for granted, and takes ranges of device nodes', () => {
    const out = join(folder, 'n.json');
    const text = file('n.txt', NUMACTL);
    const { code, err } = cdmlab('machine', 'import', text, '--device-nodes', '1-2', '-o', out);
    expect(code).toBe(0);
    expect(err).toMatch(/^note: .*x86_64 \(--arch\) with pages of 4 KiB \(--page-size\)/);
    expect(err).toContain('nodes 0 and 2 are at distance 10');
    const { nodes } = parseMachine(readFileSync(out, 'utf8'), out);
    expect(nodes.map((n) => n.device !== undefined)).toEqual([false, true, true]);
    expect(refused('machine', 'import', text, '--device-nodes', '2-')).toContain('2,3 or 2-4');
  });

  test('that cannot be, or is not there, is told with what to do', () => {
    const node = (memory: string) =>
      `{"name": "t", "arch": "x86_64", "nodes": [{"id": 0, "cpus": "0", "memory": "${memory}"}]}`;
    expect(refused('machine', 'show', file('pib.json', node('1PiB')))).toContain(
      'KiB, MiB, GiB, TiB',
    );
    expect(refused('machine', 'show', file('tiny.json', node('4MiB')))).toMatch(/no kernel starts/);
    const more = '}, {"id": 1, "memory": "64MiB", "memoryZone": "movable"}]';
    const plugged = file('plugged.json', node('1GiB').replace('}]', more));
    expect(cdmlab('machine', 'show', plugged).err.replaceAll(/\s+/g, ' ')).toMatch(
      /node 1 has 64 MiB of hot-plugged memory, less than a memory block \(128 MiB on/,
    );
    expect(refused('machine', 'import', 'nix')).toMatch(/^error: nix: no such file or directory/);
  });
});

test('a file that is not there is told as such, of whatever kind it was to be', () => {
  expect(refused('run', 'no.cdm')).toBe('error: no.cdm: there is no such file\n');
  expect(refused('run', 'hybrid-flow.cdm')).toContain('"hybrid-flow" comes along, without .cdm');
  expect(refused('run', 'bind-device', '--cost', 'no.json')).toMatch(/^error: no\.json: .*no such/);
  expect(refused('run', 'bind-device', '--machine', 'own.jsn')).toMatch(
    /^error: own\.jsn: there is no such file or directory; a machine is a preset/,
  );
});

test('a report that cannot be written is told without the draft behind it', () => {
  const nowhere = refused('compare', 'bind-device', '--report', join(folder, 'no/page.html'));
  expect(nowhere).toContain(`cannot be written: there is no directory ${join(folder, 'no')}`);
  expect(nowhere).not.toContain('.cdmlab-');
  expect(refused('compare', 'bind-device', '--report', folder)).toContain('it is a directory');
});
