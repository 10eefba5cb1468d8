// Expectations: what may stand after `->`, and that mistakes in it are found before a run.
import { describe, expect, test } from 'vitest';
import { UserError } from '../base/assert.ts';
import type { Expectation } from './ops.ts';
import { parseOpLine } from './parser.ts';
import { printOp } from './print.ts';

const claims = (text: string, verb = 'where R0'): readonly Expectation[] =>
  parseOpLine(`T0 ${verb} -> ${text}`).expect;

const complaint = (text: string): string => {
  try {
    parseOpLine(text);
  } catch (error) {
    if (error instanceof UserError) return error.format();
    throw error;
  }
  throw new Error(`no complaint about ${text}`);
};

describe('forms', () => {
  test.each<[string, Expectation[]]>([
    ['0', [{ kind: 'ret', ret: 0 }]],
    ['16', [{ kind: 'ret', ret: 16 }]],
    ['EINVAL', [{ kind: 'ret', ret: 'EINVAL' }]],
    ['KILLED', [{ kind: 'ret', ret: 'KILLED' }]],
    ['LIVELOCK', [{ kind: 'ret', ret: 'LIVELOCK' }]],
    ['nodes 0:32 2:64', [{ kind: 'nodes', counts: { 0: 32, 2: 64 } }]],
    ['nodes 2:64MiB', [{ kind: 'nodes', counts: { 2: 16384 } }]],
    ['nodes 0:2*8 ENOENT:3', [{ kind: 'nodes', counts: { 0: 16, ENOENT: 3 } }]],
    ['nodes none', [{ kind: 'nodes', counts: {} }]],
    ['[zonelist] 0', [{ kind: 'ret', ret: 0, design: 'zonelist' }]],
    [
      '[allocator-gate, zonelist] nodes 0:4; EIO',
      [
        { kind: 'nodes', counts: { 0: 4 }, design: 'allocator-gate' },
        { kind: 'nodes', counts: { 0: 4 }, design: 'zonelist' },
        { kind: 'ret', ret: 'EIO' },
      ],
    ],
    ['killedBy SIGKILL', [{ kind: 'field', field: 'killedBy', value: 'SIGKILL' }]],
  ])('%s', (text, wanted) => {
    expect(claims(text)).toEqual(wanted);
  });

  test.each<[string, string, string]>([
    ['get_mempolicy', 'mode bind', 'bind'],
    ['get_mempolicy', 'nodes 0-2', '0,1,2'],
    ['get_mempolicy', 'nodes none', ''],
    ['policy_at R0 0', 'flags static', 'static'],
    ['policy_at R0 0', 'flags static+numa_balancing', 'static,numa_balancing'],
    ['mems_allowed', 'status 0,2', '0,2'],
    ['touch R0 0 64', 'touched 64KiB', '16'],
    ['cpu 3', 'node 1', '1'],
    ['device_compute gpu0 R0', 'moved 12', '12'],
  ])('T0 %s -> %s', (verb, text, value) => {
    const field = text.split(' ')[0];
    expect(claims(text, verb)).toEqual([{ kind: 'field', field, value }]);
  });

  test('the value of sys read may be quoted', () => {
    const { expect: list } = parseOpLine('sys read /a -> value "0 1"; 0');
    expect(list[0]).toEqual({ kind: 'field', field: 'value', value: '0 1' });
    expect(list).toHaveLength(2);
  });

  test('several arrows are the same as semicolons', () => {
    expect(claims('0 -> nodes 0:4 -> [stock] nodes 1:4')).toEqual(
      claims('0; nodes 0:4 ; [stock] nodes 1:4'),
    );
  });

  test('print with one arrow, neighbours of the same claim in one bracket', () => {
    const op = parseOpLine('T0 where R0 -> 0 -> [a] nodes 1:2 -> [b] nodes 1:2; [c] nodes none');
    expect(printOp(op)).toBe('T0 where R0 -> 0; [a,b] nodes 1:2; [c] nodes none');
    expect(parseOpLine(printOp(op)).expect).toEqual(op.expect);
  });
});

describe('mistakes', () => {
  test.each([
    ['T0 where R0 ->', '1:15: nothing stands after ->'],
    ['T0 where R0 -> 0 1', '1:18: "1" is one word too many; expected ;'],
    ['T0 where R0 -> EINVALL', '1:16: "EINVALL" is no result of where'],
    ['T0 where R0 -> nodes', '1:21: N:PAGES is missing'],
    ['T0 where R0 -> nodes 3', '1:22: "3" is no count of pages; expected N:PAGES'],
    ['T0 where R0 -> nodes 0:1 0:2', '1:26: node 0 comes a second time'],
    ['T0 where R0 -> nodes 0:6KiB', '1:22: "6KiB" is not a whole number of pages'],
    ['T0 cpu 0 -> nodes 0:1', '1:13: "nodes" is no result of cpu'],
    ['T0 get_mempolicy -> mod bind', '1:21: "mod" is no result of get_mempolicy'],
    ['T0 where R0 -> [zonelist 0', '1:16: this bracket is not closed'],
    ['T0 where R0 -> [Zone] 0', '1:16: "Zone" is no name of a design'],
    ['T0 where R0 -> [a] 0; [b]', '1:26: what must come out is missing'],
    ['sys read /a -> value', '1:21: the value of value is missing'],
  ])('%s', (line, message) => {
    expect(complaint(line)).toContain(`operation:${message}`);
  });

  test('a near miss is named', () => {
    expect(complaint('T0 where R0 -> EINVALL')).toContain('(did you mean "EINVAL"?)');
    expect(complaint('T0 where R0 -> node 0:3')).toContain('(did you mean "nodes"?)');
  });
});
