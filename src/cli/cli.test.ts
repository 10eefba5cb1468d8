// The built command as a person runs it: every verb, exit codes, messages, JSON, help.
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildIfStale, cdmlab, json, launched, ROOT, refused } from '../../test/support/cli.ts';
import { DEFAULT_DESIGNS, DESIGNS, findDesign } from '../designs/index.ts';
import type { Comparison } from '../lab/comparison.ts';
import type { Explanation } from '../lab/explain.ts';
import { shippedScenarios } from '../lab/load_scenario.ts';
import { presets } from '../machine/presets/index.ts';
import { parseMachine } from '../machine/schema.ts';

const SHARED = join(ROOT, '../shared');
const hasShared = existsSync(SHARED);
if (!hasShared) console.warn(`cli.test: ${SHARED} is absent: conform and import are not tested`);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cdmlab-cli-'));
  buildIfStale();
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

/** No line of a table is longer than a terminal of 100 columns. */
const expectFits = (out: string): void => {
  const long = out.split('\n').filter((line) => line.length > 100 && !line.includes('cdmlab '));
  expect(long).toEqual([]);
};

describe('compare', () => {
  test('without arguments shows the thread flow under the ten designs', () => {
    const { code, out, err } = cdmlab('compare');
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain('hybrid-flow');
    expect(out).toContain('pages of 64 KiB');
    for (const design of DEFAULT_DESIGNS) expect(out).toContain(`\n${design.id} `);
    expect(out).not.toContain('\x1b[');
    expectFits(out);
  });

  test('tells who leaks, who refuses, and how to ask why', () => {
    const { code, out } = cdmlab('compare', 'unaware-app', '--designs', 'stock,allocator-gate');
    expect(code).toBe(0);
    expect(out).toMatch(/stock +\d+ page faults under the default policy on node 2/);
    expect(out).toMatch(/allocator-gate\n +step 7 +app touch more -> KILLED at page \d+/);
    expectFits(out);
    const hint = /^ {2}cdmlab (explain .*)$/m.exec(out)?.[1] as string;
    const { code: asked, out: why } = cdmlab(...hint.split(' '));
    expect(asked).toBe(0);
    expect(why).toContain('taken');
    expect(why).toContain('gated');
  });

  test('--json is the whole comparison', () => {
    const c = json<Comparison>('compare', 'bind-device', '--designs', 'stock,zonelist');
    expect(c.outcomes.map((o) => o.design)).toEqual(['stock', 'zonelist']);
    expect(c.machine.pageBytes).toBe(65536);
    expect(c.outcomes[0]?.steps).toHaveLength(16);
  });

  test('--param and --machine change the run', () => {
    const c = json<Comparison>('compare', '--param', 'SIZE=4MiB', '--machine', 'gh200');
    expect(c.parameters).toEqual({ SIZE: '4MiB' });
    expect(c.machine.name).toBe('gh200');
    const { code, out } = cdmlab('compare', '--param', 'SIZE=4MiB', '--machine', 'gh200');
    expect(code).toBe(0);
    expect(out).toMatch(
      /expects what happens on machine thread: on gh200 its [1-9]\d* expectations are not judged\./,
    );
  }, 120_000);

  test('--report writes the page of the comparison, whole', () => {
    const page = join(folder, 'page.html');
    const { code, out } = cdmlab('compare', 'bind-device', '--report', page);
    expect(code).toBe(0);
    expect(out).toContain(`The page is ${page}`);
    const html = readFileSync(page, 'utf8');
    expect(html).toMatch(/^<!doctype html>/i);
    expect(html.trimEnd()).toMatch(/<\/html>$/);
    for (const design of DEFAULT_DESIGNS) expect(html).toContain(design.id);
    const nowhere = cdmlab('compare', 'bind-device', '--report', join(folder, 'no/page.html'));
    expect([nowhere.code, nowhere.out]).toEqual([2, '']);
    expect(nowhere.err).toContain('cannot be written');
  });

  test('a failed expectation is told, and is exit code 1', () => {
    const path = file('wrong.cdm', 'machine thread\ntask app\napp cpu 0\napp cpu 8 -> node 0\n');
    const { code, out } = cdmlab('compare', path, '--designs', 'stock');
    expect(code).toBe(1);
    expect(out).toContain('1 expectation of the scenario failed');
    expect(out).toMatch(/stock +step 2 +app cpu 8: expected node 0, found node 1/);
    expect(cdmlab('compare', path, '--json').code).toBe(1);
  });

  test('bad input is exit code 2 with the place and the way out', () => {
    expect(refused('compare', 'hybrid-flo')).toContain('did you mean hybrid-flow?');
    expect(refused('compare', '--designs', 'stock,gat')).toContain('no design is called "gat"');
    expect(refused('compare', '--designs', 'stock,stock')).toContain('named twice');
    expect(refused('compare', '--designs', 'thread,hmm')).toContain('thread stands alone');
    expect(refused('compare', '--machine', 'gh20')).toContain('did you mean');
    expect(refused('compare', '--param', 'SIZ=1')).toMatch(/no parameter "SIZ".*did you mean/);
    expect(refused('compare', '--param', 'SIZE')).toContain('expected NAME=VALUE');
    const path = file('bad.cdm', 'machine thread\ntask app\napp mmap buf 16 anon\napp tuch buf\n');
    expect(refused('compare', path)).toMatch(/^error: \S+bad\.cdm:4:5: "tuch" is no verb.*touch/);
    expect(refused('compare', file('none.cdm', 'T0 cpu 0\n'))).toContain('names no machine');
    expect(refused('compare', folder)).toContain('a directory');
  });
});

describe('run', () => {
  test('shows steps, placement, the hash and how to run it again', () => {
    const { code, out, err } = cdmlab('run', 'preferred-interleave-skip', '--design', 'zonelist');
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/4 +app touch buf 0 32 +0 touched 32 +app buf 2:32/);
    expect(out).toMatch(/10 expectations met, 0 failed; state hash [0-9a-f]{16}/);
    expect(out).toContain('cdmlab run preferred-interleave-skip --design zonelist');
    expectFits(out);
  });

  test('the same run twice prints the same, and another seed another hash', () => {
    const seeded = (seed: string): string =>
      cdmlab('run', 'random-mix', '--param', `SEED=${seed}`, '--param', 'OPS=30').out;
    const hashOf = (out: string): string => /state hash (\w+)/.exec(out)?.[1] as string;
    expect(seeded('5')).toBe(seeded('5'));
    expect(hashOf(seeded('5'))).not.toBe(hashOf(seeded('6')));
  });

  test('a failed expectation is marked, and is exit code 1', () => {
    const path = file(
      'fails.cdm',
      'machine thread\ntask app\napp mmap buf 8 anon\napp touch buf -> EINVAL\n',
    );
    const { code, out } = cdmlab('run', path);
    expect(code).toBe(1);
    expect(out).toMatch(/x +expected EINVAL, found 0/);
  });

  test('what is not modelled is named after the steps before it, exit code 2', () => {
    const path = file(
      'scale.cdm',
      'machine thread\ntask app\napp cpu 0\n' +
        'sys write /proc/sys/vm/watermark_scale_factor 15000\n',
    );
    const { code, out, err } = cdmlab('run', path);
    expect(code).toBe(2);
    expect(out).toContain('app cpu 0');
    expect(err).toMatch(/^not modelled: .*scale.cdm:4: .*watermark_scale_factor/);
    const parsed = JSON.parse(cdmlab('run', path, '--json').out) as { notModelled: string };
    expect(parsed.notModelled).toContain('watermark_scale_factor');
  });

  test('--json holds whole results', () => {
    const run = json<{ steps: { result: { ret: number } }[]; stateHash: string }>(
      'run',
      'bind-device',
    );
    expect(run.steps).toHaveLength(16);
    expect(run.steps[0]?.result.ret).toBe(0);
    expect(run.stateHash).toMatch(/^[0-9a-f]{16}$/);
  });

  test('a design that there is not, or no scenario, is refused', () => {
    expect(refused('run', 'bind-device', '--design', 'nope')).toContain('no design is called');
    expect(refused('run')).toContain("missing required argument 'SCENARIO'");
  });
});

describe('explain', () => {
  const SKIP = ['explain', 'preferred-interleave-skip', '--page', 'buf:0'];

  test('one design: request, list, every zone with its verdict', () => {
    const { code, out } = cdmlab(...SKIP, '--design', 'allocator-gate');
    expect(code).toBe(0);
    expect(out).toContain('The page is on node 0.');
    expect(out).toContain('preferred 2 (of the area, by mbind)');
    expect(out).toContain('FALLBACK list of node 2');
    expect(out).toMatch(/node 2 +Movable +\d+ +passed over by the design/);
    expect(out).toMatch(/node 0 +Normal +\d+ +\d+ +taken/);
    expectFits(out);
  });

  test('several designs side by side', () => {
    const { code, out } = cdmlab(...SKIP, '--designs', 'stock,allocator-gate,zonelist');
    expect(code).toBe(0);
    expect(out).toMatch(/node 2 Movable +\(0\) taken +\(0\) gated +\(0\) taken/);
    expectFits(out);
  });

  test('--json is a list of explanations', () => {
    const all = json<Explanation[]>(...SKIP, '--designs', 'stock,allocator-gate');
    expect(all.map((e) => e.nid)).toEqual([2, 0]);
  });

  test('pages, tasks and steps that there are not are told', () => {
    expect(refused('explain', 'bind-device')).toContain("'--page <REGION:INDEX>' not specified");
    expect(refused('explain', 'bind-device', '--page', 'buf')).toContain('expected REGION:INDEX');
    expect(refused('explain', 'bind-device', '--page', 'bug:1')).toContain('did you mean buf?');
    expect(refused('explain', 'bind-device', '--page', 'buf:64')).toContain('0 to 63');
    expect(refused('explain', 'bind-device', '--page', 'buf:0', '--task', 'x')).toContain('app');
    expect(refused('explain', 'bind-device', '--page', 'buf:0', '--at', '17')).toContain('1 to 16');
    expect(refused('explain', 'cpuset-device-only', '--page', 'heap:0')).toContain('name one');
  });
});

describe('machine', () => {
  test('list names every preset', () => {
    const { code, out } = cdmlab('machine', 'list');
    expect(code).toBe(0);
    for (const name of presets.keys()) expect(out).toContain(`\n${name} `);
    expectFits(out);
    expect(json<unknown[]>('machine', 'list')).toHaveLength(presets.size);
  });

  test.each([...presets.keys()])('show %s, for people and as a file that reads back', (name) => {
    const { code, out } = cdmlab('machine', 'show', name);
    expect(code).toBe(0);
    expect(out).toContain('Distances');
    const text = cdmlab('machine', 'show', name, '--json').out;
    expect(parseMachine(text, 'out').name).toBe(name);
  });

  test.skipIf(!hasShared)('import reads numactl -H, and -o writes a file that verbs take', () => {
    const CAPTURES = join(SHARED, 'captures/numactl-H');
    const texts = readdirSync(CAPTURES, { recursive: true })
      .map((name) => join(CAPTURES, String(name)))
      .filter((path) => statSync(path).isFile())
      .filter((path) => /^available: \d+ nodes/m.test(readFileSync(path, 'utf8')));
    expect(texts.length).toBeGreaterThan(0);
    const out = join(folder, 'imported.json');
    const arch = ['--arch', 'x86_64', '--page-size', '4KiB'];
    const ran = cdmlab(
      'machine',
      'import',
      texts[0] as string,
      '--name',
      'box',
      ...arch,
      '-o',
      out,
    );
    expect([ran.code, ran.err]).toEqual([0, '']);
    expect(parseMachine(readFileSync(out, 'utf8'), out).name).toBe('box');
    expect(cdmlab('zonelists', '--machine', out).code).toBe(0);
    expect(readdirSync(folder).filter((name) => name.startsWith('.cdmlab-'))).toEqual([]);
  });

  test('import marks device nodes, and refuses what it cannot use', () => {
    const text = [
      'available: 2 nodes (0-1)',
      'node 0 cpus: 0 1',
      'node 0 size: 1024 MB',
      'node 0 free: 100 MB',
      'node 1 cpus:',
      'node 1 size: 512 MB',
      'node 1 free: 500 MB',
      'node distances:',
      'node   0   1',
      '  0:  10  40',
      '  1:  40  10',
    ].join('\n');
    const path = file('numactl.txt', text);
    const { code, out } = cdmlab('machine', 'import', path, '--device-nodes', '1');
    expect(code).toBe(0);
    expect(parseMachine(out, 'out').nodes[1]?.device).toBe('gpu0');
    expect(refused('machine', 'import', path, '--device-nodes', '0')).toContain('has CPUs');
    expect(refused('machine', 'import', path, '--name', 'a b')).toContain('name');
    const cut = file('cut.txt', text.slice(0, 80));
    expect(refused('machine', 'import', cut)).toMatch(/^error: \S*cut\.txt:\d+: /);
    const machine = file('machine.json', out);
    const again = refused('machine', 'import', machine, '--device-nodes', '1');
    expect(again).toContain('leave --device-nodes out');
    const broken = file('broken.json', '{\n  "name": "x",\n  "arch": 5\n}\n');
    expect(refused('machine', 'show', broken)).toMatch(/^error: \S*broken\.json:\d+:\d+: /);
  });

  test('a file that cannot be written is told, and nothing is left behind', () => {
    const there = join(folder, 'no-such-folder', 'out.json');
    const err = refused('machine', 'import', 'pc', '-o', there);
    expect(err).toContain('cannot be written');
  });

  test.skipIf(!existsSync('/sys/devices/system'))('capture reads this machine', () => {
    const add = '64MiB,distance=80,name=gpu9';
    const { code, out, err } = cdmlab('machine', 'capture', '--add-device-node', add);
    expect([code, err]).toEqual([0, '']);
    expect(parseMachine(out, 'out').devices.map((d) => d.name)).toContain('gpu9');
    expect(refused('machine', 'capture', '--add-device-node', '64MiB')).toContain('distance');
  });
});

describe('zonelists and designs', () => {
  test('zonelists in the form of the sample, and the lines of the kernel', () => {
    const { code, out } = cdmlab('zonelists', '--design', 'zonelist');
    expect(code).toBe(0);
    expect(out).toMatch(/^\[NODE \(2\)\] +CDM$/m);
    expect(out).toContain('Fallback order for Node 0: 0 1\n');
    expect(json<{ nodes: unknown[] }>('zonelists').nodes).toHaveLength(5);
    expect(refused('zonelists', '--machine', 'nope')).toContain('no machine');
  });

  test('design list and show', () => {
    const list = cdmlab('design', 'list');
    for (const { id } of DESIGNS) expect(list.out).toContain(`\n${id} `);
    expectFits(list.out);
    for (const { id, sources } of ['stock', 'by-page', 'private-node-v4'].map(findDesign)) {
      const { code, out } = cdmlab('design', 'show', id);
      expect(code).toBe(0);
      expectFits(out);
      if (sources[0] !== undefined) expect(out).toContain(sources[0].date);
    }
    const gate = json<{ answers: string[] }>('design', 'show', 'allocator-gate');
    expect(gate.answers).toContain('zoneGate');
    expect(json<unknown[]>('design', 'list')).toHaveLength(DESIGNS.length);
    expect(refused('design', 'show', 'nope')).toContain('no design is called');
  });
});

describe('scenario', () => {
  test('list names every shipped scenario', () => {
    const { out } = cdmlab('scenario', 'list');
    for (const name of shippedScenarios()) expect(out).toContain(`\n${name} `);
    expectFits(out);
    expect(json<unknown[]>('scenario', 'list')).toHaveLength(shippedScenarios().length);
  });

  test('generate prints a scenario that runs, the same for the same seed', () => {
    const args = ['scenario', 'generate', '--seed', '3', '--ops', '20', '--family', 'shared'];
    const { code, out } = cdmlab(...args);
    expect(code).toBe(0);
    expect(cdmlab(...args).out).toBe(out);
    expect(cdmlab('run', file('generated.cdm', out)).code).toBe(0);
    expect(json<{ ops: unknown[] }>(...args).ops.length).toBeGreaterThanOrEqual(20);
    expect(refused('scenario', 'generate', '--ops', '0')).toContain('out of range');
    expect(refused('scenario', 'generate', '--ops', 'x')).toContain('expected a whole number');
    expect(refused('scenario', 'generate', '--family', 'x')).toContain('expected one of');
  });
});

describe.skipIf(!hasShared)('conform', () => {
  const ORACLE = join(SHARED, 'oracle');
  const fork = join(ORACLE, 'fork.jsonl.gz');

  test('counts cases by family; the last line is the sum', () => {
    const { code, out } = cdmlab('conform', fork);
    const last = /^(\d+) passed, (\d+) failed$/.exec(out.trimEnd().split('\n').at(-1) as string);
    expect(last).not.toBeNull();
    expect(code).toBe(last?.[2] === '0' ? 0 : 1);
    expect(out).toMatch(/^fork +\d+/m);
  });

  test('what is not modelled is named, and a difference is exit code 1', () => {
    const records = gunzipSync(readFileSync(join(ORACLE, 'errno.jsonl.gz'))).toString();
    const record = JSON.parse(records.split('\n')[0] as string) as { ops: unknown[] };
    const op = 'sys write /proc/sys/vm/watermark_scale_factor 15000';
    record.ops.push({ op, result: { ret: 0 } });
    const { code, out } = cdmlab('conform', file('gap.record', `${JSON.stringify(record)}\n`));
    expect(code).toBe(1);
    expect(out).toContain('not modelled: ');
  });

  test('--only, --family and --json choose and show', () => {
    const all = json<{ passed: number; cases: { id: string }[] }>('conform', fork);
    const id = all.cases[0]?.id as string;
    const one = json<{ cases: { id: string }[] }>('conform', fork, '--only', id);
    expect(new Set(one.cases.map((c) => c.id))).toEqual(new Set([id]));
    expect(refused('conform', fork, '--only', 'nope')).toContain('no case has the id');
    expect(refused('conform', fork, '--family', 'nope')).toContain('there are: fork');
    expect(refused('conform', join(folder, 'none'))).toContain('no such file');
    expect(refused('conform', folder)).toContain('no .jsonl');
    const bad = file('bad.jsonl', '{"id":"x"}\n');
    expect(refused('conform', bad)).toMatch(/^error: \S*bad\.jsonl:1: no case/);
  });
});

describe('bench', () => {
  test('--json holds rows with values', () => {
    const { code, out } = cdmlab('bench', '--json');
    expect(code).toBe(0);
    const { rows } = JSON.parse(out) as { rows: { value: number; unit: string }[] };
    expect(rows.length).toBeGreaterThan(3);
    for (const row of rows) expect(Number.isFinite(row.value)).toBe(true);
  }, 120_000);
});

describe('help', () => {
  const VERBS = [
    ['compare'],
    ['run'],
    ['explain'],
    ['zonelists'],
    ['conform'],
    ['bench'],
    ['design'],
    ['design', 'list'],
    ['design', 'show'],
    ['scenario'],
    ['scenario', 'list'],
    ['scenario', 'generate'],
    ['machine'],
    ['machine', 'list'],
    ['machine', 'show'],
    ['machine', 'import'],
    ['machine', 'capture'],
  ];

  test.each(VERBS.map((verb) => [verb.join(' ')]))('%s --help says what and shows how', (verb) => {
    const { code, out, err } = cdmlab(...verb.split(' '), '--help');
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain('Examples:');
    expect(out).toContain(`cdmlab ${verb}`);
    expectFits(out);
  });

  test('the command itself names every verb, its version, and what it does not know', () => {
    const { out } = cdmlab('--help');
    for (const [verb] of VERBS) expect(out).toMatch(new RegExp(`^ {2}${verb} `, 'm'));
    expect(cdmlab('--version').out).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(refused('compar')).toMatch(/unknown command 'compar'\n\(Did you mean compare\?\)/);
    expect(refused('run', 'bind-device', '--desing', 'stock')).toContain("option '--desing'");
    expect(refused('design', 'shw')).toContain("unknown command 'shw'");
    expect(cdmlab().code).toBe(2);
  });

  test('launched by itself says and returns the same', () => {
    const calls = [
      ['--version'],
      ['run', 'home-node', '--design', 'zonelist'],
      ['run', 'hom-node'],
    ];
    for (const args of calls) expect(launched(...args)).toEqual(cdmlab(...args));
  });
});
