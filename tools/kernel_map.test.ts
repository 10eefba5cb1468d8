// The kernel map is read from the headers: what they cite stands in it, and a stale map is found.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { plant, runTool, type Tree } from './lib/testing.ts';

const TREE: Tree = {
  'src/mm/zone.ts':
    '// Zones of a node. More words.\n' +
    '// Models   linux@v6.1 include/linux/a.h, b.h: struct zone (free, spanned);\n' +
    '//          mm/page_alloc.c: zone_size for boot memory, enum list. 4.10 did: it otherwise.\n' +
    '// Holds    ZON1 all is well. ZON2 so is this.\n' +
    'export const zone = 1;\n',
  'src/kernel/whole.ts':
    '// Counts.\n// Models   linux@v6.1 mm/vmstat.c; mm/rmap.c as far as counts go;\n' +
    '//          kernel/cpuset.c (version 2): attach.\nexport const a = 1;\n',
  'src/drivers/own.ts': '// Ours alone.\nexport const own = 1;\n',
  'src/mm/zone.test.ts': '// Tests.\n// Models   linux@v6.1 mm/never.c: never\n',
};

function mapOf(tree: Tree): string[] {
  const root = plant(tree);
  expect(runTool('kernel_map.mjs', root)).toEqual({ status: 0, lines: [] });
  return readFileSync(join(root, 'docs/KERNEL_MAP.md'), 'utf8').split('\n');
}

test('a citation is listed under its kernel file, with what the header remarks', () => {
  const map = mapOf(TREE);
  const zone = '[mm/zone.ts](../src/mm/zone.ts)';
  const ofHeader = map.indexOf('### include/linux/a.h, include/linux/b.h');
  expect(map[ofHeader + 4]).toBe(`| \`struct zone\` | ${zone} | free, spanned |`);
  const ofSource = map.indexOf('### mm/page_alloc.c');
  expect(map.slice(ofSource + 4, ofSource + 7)).toEqual([
    `| \`enum list\` | ${zone} |  |`,
    `| \`zone_size\` | ${zone} | for boot memory |`,
    '',
  ]);
});

test('a kernel file may be cited as a whole, and with a remark of its own', () => {
  const map = mapOf(TREE);
  const whole = '[kernel/whole.ts](../src/kernel/whole.ts)';
  const rowOf = (path: string) => map[map.indexOf(`### ${path}`) + 4];
  expect(rowOf('mm/vmstat.c')).toBe(`| the file as a whole | ${whole} |  |`);
  expect(rowOf('mm/rmap.c')).toBe(`| the file as a whole | ${whole} | as far as counts go |`);
  expect(rowOf('kernel/cpuset.c')).toBe(`| \`attach\` | ${whole} | version 2 |`);
});

test('a file of ours is listed with its first sentence, its kernel names and its rules', () => {
  const map = mapOf(TREE);
  const names = '`struct zone`, `zone_size`, `enum list`';
  expect(map).toContain(
    `| [mm/zone.ts](../src/mm/zone.ts) | Zones of a node. | ${names} | ZON1 ZON2 |`,
  );
  expect(map).toContain('- [drivers/own.ts](../src/drivers/own.ts): Ours alone.');
  expect(map.join('\n')).not.toContain('never');
});

test('--check passes on a fresh map and fails on a missing or a stale one', () => {
  const root = plant(TREE);
  const stale = 'docs/KERNEL_MAP.md:1: does not say what the file headers say: run `npm run docs`';
  expect(runTool('kernel_map.mjs', root, ['--check'])).toEqual({ status: 1, lines: [stale] });
  runTool('kernel_map.mjs', root);
  expect(runTool('kernel_map.mjs', root, ['--check'])).toEqual({ status: 0, lines: [] });
  const map = readFileSync(join(root, 'docs/KERNEL_MAP.md'), 'utf8');
  const older = plant({ ...TREE, 'docs/KERNEL_MAP.md': map.replace('zone_size', 'zone_count') });
  expect(runTool('kernel_map.mjs', older, ['--check'])).toEqual({ status: 1, lines: [stale] });
});

test('a citation that cannot be read is found, not dropped; words alone are a remark', () => {
  const head = '// A.\n// Models   linux@v6.1 mm/a.c: f; and more; ';
  const bad = { 'src/mm/a.ts': `${head}see also mm/b.c: g\n` };
  const line = 'src/mm/a.ts:2: not of the form "path.c: name, name": see also mm/b.c: g';
  expect(runTool('kernel_map.mjs', plant(bad))).toEqual({ status: 1, lines: [line] });
  const good = { 'src/mm/a.ts': `${head}mm/b.c: g\n` };
  expect(runTool('kernel_map.mjs', plant(good))).toEqual({ status: 0, lines: [] });
});
