// Naming a machine: presets, files by content, directories, and names that are none.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UserError } from '../base/assert.ts';
import { loadMachine } from './load.ts';
import { findPreset } from './presets/index.ts';
import { machineToJson } from './schema.ts';

let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'cdmlab-load-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};

function errorOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof UserError) return error.format();
    throw error;
  }
  return 'no error';
}

const HARDWARE =
  'available: 1 nodes (0)\nnode 0 cpus: 0 1\nnode 0 size: 4096 MB\n' +
  'node distances:\nnode 0\n 0: 10\n';

describe('loadMachine', () => {
  test('a preset name', () => {
    expect(loadMachine('gh200')).toEqual(findPreset('gh200'));
  });

  test('a machine file, whatever its name', () => {
    const machine = findPreset('cxl');
    const text = machineToJson(machine as NonNullable<typeof machine>);
    expect(loadMachine(file('m.json', text))).toEqual(machine);
    expect(loadMachine(file('m.machine', `\n ${text}`))).toEqual(machine);
  });

  test('the output of numactl -H, whatever its name; options say what the text does not', () => {
    const machine = loadMachine(file('my box.txt', HARDWARE), { arch: 'arm64', pageBytes: 65536 });
    expect([machine.name, machine.arch, machine.pageBytes]).toEqual(['my-box', 'arm64', 65536]);
    expect(loadMachine(file('h.json', HARDWARE)).nodes[0]?.cpus).toEqual([0, 1]);
  });

  test('a directory with a tree of /sys and /proc', () => {
    const node = join(dir, 'tree/sys/devices/system/node/node3');
    mkdirSync(node, { recursive: true });
    writeFileSync(join(node, 'cpulist'), '0-1\n');
    writeFileSync(join(node, 'meminfo'), 'Node 3 MemTotal:  1048576 kB\n');
    const machine = loadMachine(join(dir, 'tree'), { arch: 'x86_64' });
    expect(machine.nodes.map((n) => n.id)).toEqual([3]);
    expect(machine.name).toBe('tree');
  });

  test('an unknown name lists the presets and the near misses', () => {
    expect(errorOf(() => loadMachine('gh20'))).toBe(
      'no machine `gh20`: did you mean gh200? ' +
        'Presets are thread, thread-late, ac922, gh200, gb200, mi300a, cxl, pc; ' +
        'or name a machine file, a text of `numactl -H`, or a directory that holds sys and proc',
    );
    expect(errorOf(() => loadMachine('AC992'))).toContain('did you mean ac922?');
    expect(errorOf(() => loadMachine('/nowhere/x.json'))).toMatch(
      /^\/nowhere\/x\.json: there is no such file or directory; a machine is a preset/,
    );
  });

  test('a file of another kind is refused by content', () => {
    expect(errorOf(() => loadMachine(file('x.txt', 'hello\n')))).toMatch(
      /x\.txt: neither a machine file \(JSON\) nor the output of `numactl -H`$/,
    );
    expect(errorOf(() => loadMachine(file('x.json', 'hello\n')))).toMatch(
      /x\.json:1:1: not valid JSON: expected a value, found `h`$/,
    );
  });
});
