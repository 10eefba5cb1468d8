// What a person is told of a run: who died and for whom, whole results, what did not run.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildIfStale, cdmlab, cdmlabWith, refused } from '../../test/support/cli.ts';
import type { Comparison } from '../lab/comparison.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cdmlab-told-'));
  buildIfStale();
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

/** With commands that go on in further lines in one, as a shell takes them. */
const joined = (out: string): string => out.replaceAll(/ \\\n +/g, ' ');

const longest = (out: string): number =>
  Math.max(
    ...out
      .split('\n')
      .filter((line) => !line.includes('cdmlab '))
      .map((line) => line.length),
  );

/** `top` touches more than there is beside what `hog` has kept of its parent's pages. */
const KILL = `machine thread
task app
app mmap big 5GiB anon
app touch big
fork app hog
app munmap big
app mmap more 5GiB anon
fork app top
top touch more
hog get_mempolicy
`;

describe('an OOM kill of another task', () => {
  test('run names who died, for whom and in which line', () => {
    const { code, out } = cdmlab('run', file('kill.cdm', KILL), '--design', 'zonelist');
    expect(code).toBe(0);
    expect(out).toMatch(/^ +7 +top touch more +0 touched 81920/m);
    expect(out).toMatch(/^ +! +hog killed by the OOM killer, for memory that top .* in line 9$/m);
    expect(out).toMatch(/^ +8 +hog get_mempolicy +DEAD$/m);
  });

  test('compare does in its table, its JSON and its page, and offers to explain it', () => {
    const path = file('kill.cdm', KILL);
    const page = join(folder, 'kill.html');
    const designs = ['--designs', 'stock,zonelist'];
    const { out } = cdmlab('compare', path, ...designs, '--report', page);
    const [head, ...rows] = out
      .split('\n')
      .filter((line) => /^(?:design|stock|zonelist) /.test(line));
    const at = (head as string).indexOf('survived');
    expect(
      rows.map((row) =>
        row
          .slice(0, at + 8)
          .split(' ')
          .at(-1),
      ),
    ).toEqual(['0', '1']);
    expect(out).toMatch(
      /zonelist\n +step 7 +top touch more \(line 9\): hog killed by the OOM killer/,
    );
    const html = readFileSync(page, 'utf8');
    expect(html).toContain('Not survived');
    expect(html).toContain('hog killed by the OOM killer, for memory that top asked for');
    const { outcomes } = JSON.parse(
      cdmlab('compare', path, ...designs, '--json').out,
    ) as Comparison;
    expect(outcomes.map((o) => o.deaths?.length)).toEqual([0, 1]);
    expect(outcomes[1]?.deaths?.[0]).toMatchObject({
      step: 6,
      line: 9,
      task: 'hog',
      askedBy: 'top',
    });
    const hint = /^ {2}cdmlab (explain .*)$/m.exec(joined(out))?.[1] as string;
    expect(hint).toContain('--at 7');
    expect(cdmlab(...hint.split(' ')).out).toMatch(
      /zonelist +hog killed by the OOM killer: top found no page/,
    );
  });

  test('a task that dies in its own operation is told once', () => {
    const { out } = cdmlab('run', 'mixed-mask', '--design', 'zonelist');
    expect(out).toContain('KILLED touched 64718');
    expect(out).not.toContain('OOM killer');
  });
});

describe('results', () => {
  const LOOKS = `machine thread
task app
app mmap buf 64 anon
app mbind buf 0 64 interleave+static 0,1,2,3,4 move strict
app touch buf
app policy_at buf 0
app move_pages buf 0 64 2,3,200
app device_compute gpu0 buf 0 64
sys free
sys numastat
sys read /sys/fs/cgroup/cpuset.mems.effective
`;

  test.each(['80', '100', '132'])('are whole in a terminal of %s columns', (columns) => {
    const { code, out } = cdmlabWith({ COLUMNS: columns }, 'run', file('looks.cdm', LOOKS));
    expect(code).toBe(0);
    expect(longest(out)).toBeLessThanOrEqual(Number(columns));
    expect(out).not.toContain('...');
    const words = out.replaceAll(/\s+/g, ' ');
    for (const n of [0, 1, 2, 3, 4]) expect(words).toMatch(new RegExp(`node ${n} zone \\w+ free`));
    expect(words).toContain('other_node');
    expect(out).toMatch(/ENODEV status 2:1 3:1/);
  });

  test('of thousands of letters are cut with a word about where the rest is', () => {
    const nodes = Array.from({ length: 40 }, (_, id) => `{"id": ${id}, "memory": "1GiB"}`);
    nodes[0] = '{"id": 0, "cpus": "0-3", "memory": "1GiB"}';
    const machine = `{"name": "many", "arch": "x86_64", "nodes": [${nodes.join(',\n')}]}`;
    file('many.json', machine);
    const path = file('many.cdm', 'machine many.json\nsys zones\n');
    const { code, out } = cdmlab('run', path);
    expect(code).toBe(0);
    expect(out).toMatch(/\.\.\. \d+ more lines: see --json/);
    expect(longest(out)).toBeLessThanOrEqual(100);
  });
});

describe('what is not modelled', () => {
  const GAP = `machine thread
task app
app mmap buf 64 anon
sys mkdir /sys/fs/cgroup/a

sys move app /cpuset/b # the gap: a run has one hierarchy
app touch buf
`;

  test('is told with file, line and the words of the author', () => {
    const path = file('gap.cdm', GAP);
    const { err } = cdmlab('run', path);
    expect(err).toContain(`not modelled: ${path}:6: both cpuset hierarchies in one run`);
    expect(err).toContain('(in "sys move app /cpuset/b")');
    expect(refused('explain', path, '--page', 'buf:0')).toContain(`${path}:6: both`);
  });

  test('stands above the table of compare, which gives no verdict on what did not run', () => {
    const { code, out } = cdmlab('compare', file('gap.cdm', GAP));
    expect(code).toBe(2);
    expect(out).toMatch(
      /Did not run to the end[\s\S]*every design after 2 of 4 steps[\s\S]*zones per/,
    );
    expect(out).toContain('Up to there, no page is on a device that nobody asked for.');
    expect(out).not.toContain('\nNo page is on a device');
  });
});

test('[TBL1] paths of files, tables of /proc, pools and commands are within 80 columns', () => {
  const path = file(
    'a-scenario-with-a-long-name-of-its-own.cdm',
    `machine ac922
task app
sys hugetlb
sys read /proc/buddyinfo
sys write /sys/devices/system/node/node0/hugepages/hugepages-2048kB/no_such_file_at_all 4
app mmap buffer 64 anon
app mbind buffer 0 64 bind 250
app touch buffer
`,
  );
  const narrow = { COLUMNS: '80' };
  const run = cdmlabWith(narrow, 'run', path).out;
  expect(longest(run.replace(/^again.*$/m, ''))).toBeLessThanOrEqual(80);
  expect(run).toMatch(/^ +node 250: nr 0 free 0 surplus 0/m);
  expect(run).toMatch(/^ +Node 0, zone Normal( \d+)+$/m);
  const told = cdmlabWith(narrow, 'compare', path, '--designs', 'stock,hmm').out;
  const [tables = '', commands = ''] = told.split('Ask why:');
  expect(longest(tables)).toBeLessThanOrEqual(80);
  expect(tables).toContain('A wider terminal shows pages there at the end too');
  expect(commands).toMatch(/^ {2}cdmlab explain \S+a-scenario\S+\.cdm \\\n {4}--page buffer:0 /m);
  const wide = cdmlabWith({ COLUMNS: '120' }, 'compare', path, '--designs', 'stock,hmm').out;
  expect(wide).not.toContain('A wider terminal');
});

describe('Ask why', () => {
  /** A refusal that all designs share, before a kill that only some do. */
  const SHARED_REFUSAL = `machine thread
task app
app mmap bad 64 anon
app mbind bad 0 64 bind 99
app mbind bad 0 64 bind 2
app touch bad
app mmap more 9GiB anon
app touch more
`;

  test('[HINT1] [HINT2] kills come first, and two designs are named only where they differ', () => {
    const path = file('shared_refusal.cdm', SHARED_REFUSAL);
    const { out } = cdmlab('compare', path, '--designs', 'stock,zonelist,limited-node');
    const hints = [...joined(out).matchAll(/^ {2}cdmlab (explain .*)$/gm)].map(
      (m) => m[1] as string,
    );
    expect(hints[0]).toMatch(/--page more:\d+ --at 6 --designs stock,zonelist$/);
    for (const hint of hints) {
      const told = JSON.parse(cdmlab(...hint.split(' '), '--json').out) as { nid?: number }[];
      expect(told.length === 1 || told[0]?.nid !== told[1]?.nid, hint).toBe(true);
    }
  });

  test('explain takes --design or --designs, not both', () => {
    const both = ['--design', 'stock', '--designs', 'zonelist'];
    expect(refused('explain', 'bind-device', '--page', 'buf:0', ...both)).toContain('both given');
  });
});
