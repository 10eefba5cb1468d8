// numactl -H: a small sample with every part cut or bent, and the texts of real machines.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { UserError } from '../base/assert.ts';
import { nodeSizeBytes } from './machine.ts';
import { looksLikeNumactl, type NumactlOptions, parseNumactl } from './numactl.ts';

const TEXTS = fileURLToPath(new URL('../../../shared/captures/numactl-H/', import.meta.url));
const hasTexts = existsSync(TEXTS);
if (!hasTexts) console.warn(`numactl -H of real machines SKIPPED: ${TEXTS} is not there`);

const MIB = 1024 ** 2;

const SAMPLE = `available: 3 nodes (0,8,252)
node 0 cpus: 0 1 2 3
node 0 size: 4096 MB
node 0 free: 4000 MB
node 8 cpus: 4 5
node 8 size: 0 MB
node 8 free: 0 MB
node 252 cpus:
node 252 size: 15360 MB
node 252 free: 15359 MB
node distances:
node   0   8 252
  0:  10  40  80
  8:  40  10  80
252:  80  80  10
`;

const lines = SAMPLE.trimEnd().split('\n');
const without = (n: number): string => lines.filter((_, i) => i !== n).join('\n');
const replaced = (n: number, line: string): string =>
  lines.map((old, i) => (i === n ? line : old)).join('\n');

function errorOf(text: string, options: NumactlOptions = {}): string {
  try {
    parseNumactl(text, { fileName: 'h.txt', ...options });
  } catch (error) {
    if (error instanceof UserError) return error.format();
    throw error;
  }
  return 'no error';
}

interface Recorded {
  readonly name: string;
  readonly nodes: readonly { id: number; cpus: number[]; size_mb: number }[];
  readonly distances: readonly (readonly number[])[] | null;
}

describe('parseNumactl', () => {
  test('reads sparse ids, CPU-less and memory-less nodes, and takes none for a device', () => {
    const machine = parseNumactl(SAMPLE);
    expect(machine.nodes.map((node) => [node.id, node.cpus, nodeSizeBytes(node) / MIB])).toEqual([
      [0, [0, 1, 2, 3], 4096],
      [8, [4, 5], 0],
      [252, [], 15360],
    ]);
    expect(machine.nodes.map((node) => node.memoryZone)).toEqual(['boot', 'boot', 'boot']);
    expect(machine.devices).toEqual([]);
    expect(machine.distances[0]).toEqual([10, 40, 80]);
    expect(machine.note).toContain('taken for x86_64');
  });

  test('named device nodes come up movable with a device each, at the nearest CPUs', () => {
    const machine = parseNumactl(SAMPLE, {
      name: 'box',
      arch: 'ppc64',
      deviceNodes: [252],
    });
    expect(machine.nodes[2]).toMatchObject({ memoryZone: 'movable', device: 'gpu0' });
    expect(machine.devices).toEqual([
      { name: 'gpu0', kind: 'device memory by request', homeNode: 0 },
    ]);
    expect([machine.name, machine.arch, machine.pageBytes]).toEqual(['box', 'ppc64', 65536]);
    expect(machine.note).not.toContain('taken for');
  });

  test('a prompt before, blanks, carriage returns and text after do no harm', () => {
    const text = `$ numactl -H\r\n\r\n${lines.map((line) => `  ${line} \r`).join('\n')}\n$ exit\n`;
    expect(parseNumactl(text)).toEqual(parseNumactl(SAMPLE));
    expect(looksLikeNumactl(text)).toBe(true);
    expect(looksLikeNumactl('{"name": "available"}')).toBe(false);
  });

  test('one node, and a kernel without distances', () => {
    const one = 'available: 1 nodes (0)\nnode 0 cpus: 0\nnode 0 size: 7957 MB\nnode 0 free: 1 MB\n';
    expect(parseNumactl(`${one}node distances:\nnode   0 \n  0:  10 \n`).distances).toEqual([[10]]);
    expect(parseNumactl(`${one}No distance information available.\n`).distances).toEqual([[10]]);
  });

  test.each([
    ['nothing', '', 'h.txt: no line `available: N nodes (...)`: not the output of `numactl -H`'],
    ['a line of CPUs', without(4), 'h.txt:10: `node 8 cpus:` is missing'],
    ['a line of size', without(8), 'h.txt:10: `node 252 size:` is missing'],
    ['the end of the nodes', lines.slice(0, 5).join('\n'), 'h.txt:5: `node 8 size:` is missing'],
    [
      'all distances',
      lines.slice(0, 10).join('\n'),
      'h.txt:10: the node distances are missing: the text is cut short',
    ],
    [
      'the header',
      lines.slice(0, 11).join('\n'),
      'h.txt:11: the header of the distance table is missing: the text is cut short',
    ],
    [
      'the last row',
      lines.slice(0, 14).join('\n'),
      'h.txt:14: the distances from node 252 are missing',
    ],
    ['a row in the middle', without(13), 'h.txt:14: the distances from node 8 are missing'],
    [
      'a column',
      replaced(13, '  8:  40  10'),
      'h.txt:14: the distances from node 8 are 2 numbers, not 3',
    ],
  ])('%s missing is an error that says so', (_, text, message) => {
    expect(errorOf(text)).toBe(message);
  });

  test.each([
    [
      'a size that is not available',
      replaced(2, 'node 0 size: <not available>'),
      'h.txt:3: the size of node 0 is `<not available>`, not `N MB`',
    ],
    ['CPUs that are none', replaced(1, 'node 0 cpus: 0 x'), 'h.txt:2: `0 x` is not a list of CPUs'],
    [
      'a node that is not available',
      replaced(0, 'available: 2 nodes (0,8)'),
      'h.txt:1: node 252 is described but not available',
    ],
    [
      'a count that is wrong',
      replaced(0, 'available: 4 nodes (0,8,252)'),
      'h.txt:1: `(0,8,252)` is not a list of 4 nodes',
    ],
    [
      'rows left out with dots',
      replaced(13, '...'),
      'h.txt:14: the distances from node 8 are missing',
    ],
    [
      'another table header',
      replaced(11, 'node   0   8'),
      'h.txt:12: the distance table is of nodes 0, 8, but available are 0, 8, 252',
    ],
    ['a stray line', replaced(3, 'hello'), 'h.txt:4: `node 8 cpus:` is missing'],
    [
      'a distance below 10',
      replaced(12, '  0:  10  4  80'),
      'h.txt: distances[0][1]: distances are 10..255, not 4',
    ],
  ])('%s is refused', (_, text, message) => {
    expect(errorOf(text)).toBe(message);
  });

  test('a device node must be there and have no CPUs', () => {
    expect(errorOf(SAMPLE, { deviceNodes: [1] })).toBe(
      'device node 1: the machine has no such node; its nodes are 0, 8, 252',
    );
    expect(errorOf(SAMPLE, { deviceNodes: [8] })).toBe(
      'device node 8: the node has CPUs, so a kernel runs in its memory',
    );
  });
});

const recorded: readonly Recorded[] = hasTexts
  ? (JSON.parse(readFileSync(`${TEXTS}machines.json`, 'utf8')) as Recorded[])
  : [];
const complete = recorded.filter((machine) => machine.distances !== null);
const cut = recorded.filter((machine) => machine.distances === null);

describe.skipIf(!hasTexts)('numactl -H of real machines', () => {
  test('every text is one of the recorded machines', () => {
    const names = readdirSync(TEXTS).filter((file) => file.endsWith('.txt'));
    expect(names.sort()).toEqual(recorded.map((machine) => `${machine.name}.txt`).sort());
    expect(complete.length).toBeGreaterThan(10);
    expect(cut.length).toBeGreaterThan(2);
  });

  test.each(complete.map((machine) => [machine.name, machine] as const))(
    '%s reads as recorded',
    (name, machine) => {
      const read = parseNumactl(readFileSync(`${TEXTS}${name}.txt`, 'utf8'));
      expect(
        read.nodes.map((node) => ({
          id: node.id,
          cpus: node.cpus,
          size_mb: nodeSizeBytes(node) / MIB,
        })),
      ).toEqual(machine.nodes.map(({ id, cpus, size_mb }) => ({ id, cpus, size_mb })));
      expect(read.distances).toEqual(machine.distances);
    },
  );

  test.each(cut.map((machine) => [machine.name] as const))(
    '%s was not printed whole, and the error says what is missing',
    (name) => {
      expect(errorOf(readFileSync(`${TEXTS}${name}.txt`, 'utf8'))).toMatch(
        /^h\.txt:\d+: .*(distances are missing|size:` is missing|the size of node)/,
      );
    },
  );
});
