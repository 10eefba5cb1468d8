// docs/MACHINES.md is what the reader of machine files does: its fields, its example, and what it
// says is refused or warned of.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { UserError } from '../base/assert.ts';
import { machineDoubts } from '../machine/doubts.ts';
import { parseMachine } from '../machine/schema.ts';
import { withFieldTables } from './machine_page.ts';

const page = readFileSync(
  fileURLToPath(new URL('../../docs/MACHINES.md', import.meta.url)),
  'utf8',
);
const example = /```json\n([\s\S]*?)```/.exec(page)?.[1] as string;

/** Rows of the table under a heading: a change, and what is said of it. */
function rowsUnder(heading: string): [change: string, words: string][] {
  const section = page.split(`## ${heading}\n`)[1]?.split('\n## ')[0] as string;
  const rows = [...section.matchAll(/^\| `(.+?)` \| (.+) \|$/gm)];
  return rows.map(([, change = '', words = '']) => [change, words]);
}

/** The example with one value set: `nodes[1].cpus = "4-7"`. */
function changed(change: string): string {
  const [path = '', ...value] = change.split(' = ');
  const file = JSON.parse(example) as Record<string, unknown>;
  const keys = path.split(/[.[\]]+/).filter((key) => key !== '');
  const last = keys.pop() as string;
  const at = keys.reduce((o, key) => o[key] as Record<string, unknown>, file);
  at[last] = JSON.parse(value.join(' = '));
  return JSON.stringify(file, null, 2);
}

test('[MPG1] the tables of fields are those of the schema; if not, run: npm run docs', () => {
  expect(withFieldTables(page)).toBe(page);
});

test('the example is a machine, and nothing is odd about it', () => {
  expect(machineDoubts(parseMachine(example, 'm.json'))).toEqual([]);
});

test.each(rowsUnder('What is refused'))('%s is refused, with its place: %s', (change, words) => {
  try {
    parseMachine(changed(change), 'm.json');
  } catch (error) {
    expect((error as UserError).format()).toMatch(/^m\.json:\d+:\d+: /);
    expect((error as UserError).format()).toContain(words);
    expect(error).toBeInstanceOf(UserError);
    return;
  }
  expect.unreachable('it was read');
});

test.each(rowsUnder('What is fine, and told'))(
  '%s is read, with a warning: %s',
  (change, words) => {
    const doubts = machineDoubts(parseMachine(changed(change), 'm.json'));
    expect(doubts.join('; ')).toContain(words);
  },
);
