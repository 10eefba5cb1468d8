// JSON with places: same values as JSON.parse, and a line and column for every mistake.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UserError } from '../base/assert.ts';
import { formatPath, parseJsonText } from './json_text.ts';

function errorOf(text: string): string {
  try {
    parseJsonText(text, 'm.json');
  } catch (error) {
    if (error instanceof UserError) return error.format();
    throw error;
  }
  return 'no error';
}

describe('parseJsonText', () => {
  test('reads any JSON as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        expect(parseJsonText(text, 'm.json').value).toEqual(JSON.parse(text));
      }),
      { numRuns: 200, seed: 1 },
    );
  });

  test('knows where every value stands', () => {
    const json = parseJsonText('{\n  "a": [1,\n    { "b": true }]\n}', 'm.json');
    expect(json.placeOf(['a', 1, 'b'])).toEqual({ file: 'm.json', line: 3, column: 12 });
    expect(json.placeOf(['a', 0])).toEqual({ file: 'm.json', line: 2, column: 9 });
    expect(json.placeOf([])).toEqual({ file: 'm.json', line: 1, column: 1 });
  });

  test('a place that is not there is that of what encloses it', () => {
    const json = parseJsonText('{\n "a": [1]}', 'm.json');
    expect(json.placeOf(['a', 5, 'x'])).toEqual({ file: 'm.json', line: 2, column: 7 });
  });

  test.each([
    ['', 'm.json:1:1: not valid JSON: expected a value, found the end of the text'],
    ['{"a": 1', 'm.json:1:8: not valid JSON: expected `,` or `}`, found the end of the text'],
    ['{"a": 1,\n}', 'm.json:1:8: not valid JSON: a comma before the closing `}`'],
    ['[1, 2,]', 'm.json:1:6: not valid JSON: a comma before the closing `]`'],
    ['{"a" 1}', 'm.json:1:6: not valid JSON: expected `:`, found `1`'],
    ['{a: 1}', 'm.json:1:2: not valid JSON: expected a name in `"`, found `a`'],
    ["{'a': 1}", 'm.json:1:2: not valid JSON: expected a name in `"`, found `\'`'],
    ['{"a": nul}', 'm.json:1:7: not valid JSON: expected a value, found `n`'],
    ['{"a": "b\n"}', 'm.json:1:7: not valid JSON: a text without its closing `"`'],
    ['["\\q"]', 'm.json:1:2: not valid JSON: a text with a bad escape or a control character'],
    [
      '{\n// why\n"a": 1}',
      'm.json:2:1: not valid JSON: JSON has no comments; use the field `note`',
    ],
    ['{"a": 1}\n x', 'm.json:2:2: not valid JSON: expected the end, found `x`'],
    ['{"a": 1, "a": 2}', 'm.json:1:10: not valid JSON: `a` is given twice'],
    ['[01]', 'm.json:1:3: not valid JSON: expected `,` or `]`, found `1`'],
  ])('%j: the mistake has a line and a column', (text, message) => {
    expect(errorOf(text)).toBe(message);
  });

  test('brackets without end are refused, not recursed into', () => {
    expect(errorOf('['.repeat(100_000))).toContain('more than 64 levels of brackets');
  });

  test('a name `__proto__` is a name like any other', () => {
    const { value } = parseJsonText('{"__proto__": {"x": 1}}', 'm.json');
    expect(Object.keys(value as object)).toEqual(['__proto__']);
    expect((value as { x?: number }).x).toBeUndefined();
  });

  test('a path is printed as it is written in JavaScript', () => {
    expect(formatPath(['nodes', 2, 'ranges', 0, 'start'])).toBe('nodes[2].ranges[0].start');
    expect(formatPath([])).toBe('the file');
  });
});
