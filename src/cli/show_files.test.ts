// `cdmlab run --show`, `--at` and `--export`: files of /proc and /sys as a person asks for them.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildIfStale, cdmlab } from '../../test/support/cli.ts';

beforeAll(buildIfStale, 120_000);
const folder = mkdtempSync(join(tmpdir(), 'cdmlab-show-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const scenario = join(folder, 'show.cdm');
writeFileSync(scenario, 'machine thread\ntask app\napp mmap a 32 anon\napp touch a\n');

const NUMA_MAPS = '/proc/app/numa_maps';
const PAGES = 'anon=32 dirty=32 active=0 N0=32 kernelpagesize_kB=64';

test('--show prints a file as it is at the end, --at as it is after a step', () => {
  const end = cdmlab('run', scenario, '--show', NUMA_MAPS);
  expect([end.code, end.err]).toEqual([0, '']);
  expect(end.out).toContain(`==> ${NUMA_MAPS} <==`);
  expect(end.out).toContain(`83400000000 default ${PAGES}`);
  const before = cdmlab('run', scenario, '--show', NUMA_MAPS, '--at', '1');
  expect(before.out).toContain('83400000000 default\n');
  expect(before.out).not.toContain(PAGES);
});

test('--show with a folder prints all below it, and --json gives them by path', () => {
  const node = '/sys/devices/system/node/node2';
  const { code, out } = cdmlab('run', scenario, '--show', node, '--json');
  expect(code).toBe(0);
  const { files } = JSON.parse(out) as { files: Record<string, string> };
  expect(Object.keys(files)).toContain(`${node}/meminfo`);
  expect(Object.keys(files).every((path) => path.startsWith(`${node}/`))).toBe(true);
  expect(files[`${node}/distance`]).toBe('40 80 10 80 80\n');
});

test('a path that is none, and a step that is not, are refused in one line', () => {
  const wrong = cdmlab('run', scenario, '--show', '/proc/zoneinf');
  expect(wrong.code).toBe(2);
  expect(wrong.err).toContain('no file is shown at /proc/zoneinf');
  expect(wrong.err).toContain('did you mean "/proc/zoneinfo"?');
  expect(cdmlab('run', scenario, '--show', NUMA_MAPS, '--at', '9').err).toContain('has 2 steps');
});

test('[PRC12] --export writes a tree that machine import reads back', () => {
  const tree = join(folder, 'tree');
  const { code, err } = cdmlab('run', scenario, '--export', tree);
  expect(code).toBe(0);
  expect(err).toMatch(/^\d+ files of \/proc and \/sys written below /);
  expect(readFileSync(join(tree, NUMA_MAPS), 'utf8')).toContain(PAGES);
  const options = ['--arch', 'ppc64', '--page-size', '64KiB', '--device-nodes', '2,3,4', '--json'];
  const imported = cdmlab('machine', 'import', tree, ...options);
  expect([imported.code, imported.err]).toEqual([0, '']);
  const machine = JSON.parse(imported.out) as { nodes: { id: number; device?: string }[] };
  expect(machine.nodes.map((node) => node.device !== undefined)).toEqual([
    ...[false, false, true, true, true],
  ]);
});
