// The tie between specification and tests can break, and each way of breaking it is found.
import { expect, test } from 'vitest';
import { plant, runTool, type Tree } from './lib/testing.ts';

const SPEC =
  '# Specification\n\n**[ZON1]** A zone is whole.\n- **[DEV-2]** No clock.\n' +
  '\n## Rules without a test\n\n- [DEV-2]: nothing to see.\n\n## Later\n\n**[BUD1]** Aligned.\n';
const TEST =
  "// Tests.\ntest('[ZON1] a zone is whole', () => {});\n" +
  'test(`[BUD1][ZON1] blocks of $' +
  "{size}`, () => {});\n// '[OLD9]' in a comment\n" +
  "const line = 'runs on [CPU0]';\n";
const TREE: Tree = { 'docs/SPEC.md': SPEC, 'src/mm/zone.test.ts': TEST };

const check = (tree: Tree, args = ['--check']) =>
  runTool('spec_check.mjs', plant({ ...TREE, ...tree }), args);

/** Expects one fault before the line of counts. */
function expectFault(tree: Tree, fault: string): void {
  const { status, lines } = check(tree);
  expect(lines.slice(0, -1)).toEqual([fault]);
  expect(status).toBe(1);
}

test('rules that tests name, or that are excused, pass', () => {
  const lines = ['spec_check: 3 rules, 2 with a test, 1 excused'];
  expect(check({})).toEqual({ status: 0, lines });
});

test('a rule without a test is found', () => {
  const spec = SPEC.replace('## Later', '## Later\n\n**[BUD2]** Merged.');
  const fault =
    'docs/SPEC.md:12: rule BUD2 has no test: name it in one, or list it as a rule without a test';
  expectFault({ 'docs/SPEC.md': spec }, fault);
});

test('a test that names an unknown rule is found', () => {
  const extra = "// Fuzz.\n\ntest('[OLD9] it was so', () => {});\n";
  const fault = 'src/mm/a.fuzz.ts:3: names rule OLD9, which docs/SPEC.md does not have';
  expectFault({ 'src/mm/a.fuzz.ts': extra }, fault);
});

test('an excuse that is not needed any more, or for no rule, is found', () => {
  const tested = { 'src/mm/b.test.ts': "// Tests.\ntest('[DEV-2] no clock', () => {});\n" };
  expectFault(tested, 'docs/SPEC.md:8: excuses DEV-2, which has a test now');
  const spec = SPEC.replace('## Later', '- [ZON7]: why not.\n\n## Later');
  expectFault({ 'docs/SPEC.md': spec }, 'docs/SPEC.md:10: excuses ZON7, which is no rule');
});

test('a rule stated twice, or that says nothing, is found', () => {
  const twice = `${SPEC}\n**[ZON1]** Again.\n`;
  expectFault({ 'docs/SPEC.md': twice }, 'docs/SPEC.md:14: rule ZON1 is stated twice');
  const empty = SPEC.replace(' Aligned.', '');
  expectFault({ 'docs/SPEC.md': empty }, 'docs/SPEC.md:12: rule BUD1 says nothing');
});

test('without --check the faults are listed and the exit code is 0', () => {
  const { status, lines } = check({ 'src/mm/zone.test.ts': '// None.\n' }, []);
  expect(lines).toHaveLength(3);
  expect(status).toBe(0);
});

test('a tree without a specification is told so', () => {
  const root = plant({ 'src/mm/zone.test.ts': TEST });
  const lines = ['spec_check: there is no docs/SPEC.md yet; nothing was checked'];
  expect(runTool('spec_check.mjs', root, ['--check'])).toEqual({ status: 0, lines });
});
