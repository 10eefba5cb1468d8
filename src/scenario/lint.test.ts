// The linter: what is allowed and probably not meant.
import { describe, expect, test } from 'vitest';
import { lintScenario } from './lint.ts';
import { parseScenario } from './parser.ts';

const warnings = (text: string, pageBytes?: number): string[] =>
  lintScenario(parseScenario(text, { file: 'x.cdm' }), pageBytes).map(
    ({ place, message }) => `${place?.line}: ${message}`,
  );

describe('lintScenario', () => {
  test('says nothing about a sound scenario', () => {
    const text =
      'task app\napp mmap a 8 anon\nfork app w\nw touch a 4 4\nw munmap a 0 4\nw munmap a\n' +
      'w mmap a 4 anon\nw exit\napp touch a\n';
    expect(warnings(text)).toEqual([]);
  });

  test.each([
    ['T0 mmap R0 8 anon\nT0 touch R0 6 3', ['2: pages 6..8 go past the end of R0, which has 8']],
    ['T0 mmap R0 8 anon\nT0 policy_at R0 8', ['2: pages 8..8 go past the end of R0, which has 8']],
    ['T0 mmap R0 8 anon\nT0 touch R0 6 0', ['2: the range of R0 is empty']],
    ['T0 touch R0 0 1', ['1: R0 is not mapped in T0']],
    ['T0 mmap a 8 anon\nT0 munmap a\nT0 touch a', ['3: a was unmapped before']],
    ['T0 mmap a 8 anon\nT0 mmap a 4 anon', ['2: a is mapped already and is mapped over']],
    ['T1 cpu 0', ['1: task T1 was never forked']],
    ['fork T0 T1\nfork T0 T1', ['2: task T1 is there already']],
    ['fork T0 T1\nT1 exit\nT1 cpu 0', ['3: task T1 has exited before this line']],
    [
      'fork T0 T1\nT1 mmap R0 4 anon\nT0 move_pages R0 0 9 0 pid=T1',
      ['3: pages 0..8 go past the end of R0, which has 4'],
    ],
  ])('%s', (text, wanted) => {
    expect(warnings(text)).toEqual(wanted);
  });

  test('a long region needs one of the lower slots, and the page size says what is long', () => {
    const text = 'T0 mmap R12 2000000 anon';
    expect(warnings(text)).toEqual([]);
    expect(warnings(text, 65536)).toEqual([
      '1: R12 is longer than 8400 MiB: a real kernel has room for that in slots up to 11',
    ]);
    expect(warnings('T0 mmap R11 2000000 anon', 65536)).toEqual([]);
    expect(warnings('T0 mmap R12 4200 hugetlb')).toEqual([]);
    expect(warnings('T0 mmap R12 4201 hugetlb')).toHaveLength(1);
  });

  test('names the operation by its index, also in a loop', () => {
    const text = 'repeat 2 {\nT0 cpu 0\nT0 touch R0 0 1\n}';
    const found = lintScenario(parseScenario(text, { file: 'x.cdm' }));
    expect(found.map((w) => w.op)).toEqual([1, 3]);
  });
});
