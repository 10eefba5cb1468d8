// Ties docs/SPEC.md to the tests: every numbered rule has a test that names it, and every rule that
// a test names exists.
// Usage    node tools/spec_check.mjs [--check] [--root DIR]; --check exits 1 at a fault.
// Holds    A rule is written `**[ZON1]** text`; a test's name opens with `[ZON1]`, or several such.
//          Rules that have no test stand under the heading "Rules without a test", each as `[ZON1]`
//          with a reason.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { lineAt, scan } from './lib/scan.mjs';
import { filesUnder, report, rootFrom, textOf } from './lib/tree.mjs';

const SPEC = 'docs/SPEC.md';
const ID = '[A-Z]{2,5}-?\\d+[a-z]?';
const DEFINED = new RegExp(`\\*\\*\\[(${ID})\\]\\*\\*[ \\t]*(.*)`, 'g');
const NAMED = new RegExp(`\\[(${ID})\\]`, 'g');
const OPENS_WITH_NAMES = new RegExp(`^(?:\\[${ID}\\]\\s*)+`);
const WITHOUT = /^#+\s+Rules without a test\s*$/im;

// The tests of these programs name rules of specifications that they make up.
const TESTS = /^(?:src|test)\/.*\.(?:test|fuzz)\.ts$/;

/** @typedef {{ file: string, line: number }} Place */

/** The section under "Rules without a test": from its heading to the next of the same rank. */
function sectionWithout(spec) {
  const heading = WITHOUT.exec(spec);
  if (heading === null) return { start: spec.length, end: spec.length };
  const start = heading.index + heading[0].length;
  const rank = /^#+/.exec(heading[0])[0].length;
  const next = new RegExp(`^#{1,${rank}}\\s`, 'm').exec(spec.slice(start));
  return { start, end: next === null ? spec.length : start + next.index };
}

/** Rules, the ids excused from a test, and the faults of the page itself. */
function readSpec(spec) {
  const { start, end } = sectionWithout(spec);
  const rules = new Map();
  const excused = new Map();
  const faults = [];
  const at = (offset) => ({ file: SPEC, line: lineAt(spec, offset) });
  for (const m of spec.matchAll(DEFINED)) {
    if (m.index >= start && m.index < end) continue;
    if (rules.has(m[1])) faults.push({ ...at(m.index), message: `rule ${m[1]} is stated twice` });
    if (m[2].trim() === '') faults.push({ ...at(m.index), message: `rule ${m[1]} says nothing` });
    rules.set(m[1], at(m.index));
  }
  for (const m of spec.slice(start, end).matchAll(NAMED)) excused.set(m[1], at(start + m.index));
  return { rules, excused, faults };
}

/** Where each rule id opens a string of a test. @returns {Map<string, Place[]>} */
function namedInTests(root) {
  const named = new Map();
  for (const file of filesUnder(root).filter((path) => TESTS.test(path))) {
    const text = textOf(root, file) ?? '';
    for (const piece of scan(text).strings) {
      const names = OPENS_WITH_NAMES.exec(piece.text)?.[0] ?? '';
      for (const m of names.matchAll(NAMED)) {
        const places = named.get(m[1]) ?? [];
        places.push({ file, line: lineAt(text, piece.start + m.index) });
        named.set(m[1], places);
      }
    }
  }
  return named;
}

/** @returns {import('./lib/tree.mjs').Finding[]} */
function faultsOf({ rules, excused, faults }, named) {
  const found = [...faults];
  for (const [id, places] of named) {
    if (rules.has(id)) continue;
    const message = `names rule ${id}, which ${SPEC} does not have`;
    found.push(...places.map((place) => ({ ...place, message })));
  }
  for (const [id, place] of rules) {
    if (named.has(id) || excused.has(id)) continue;
    const message = `rule ${id} has no test: name it in one, or list it as a rule without a test`;
    found.push({ ...place, message });
  }
  for (const [id, place] of excused) {
    if (!rules.has(id)) found.push({ ...place, message: `excuses ${id}, which is no rule` });
    else if (named.has(id))
      found.push({ ...place, message: `excuses ${id}, which has a test now` });
  }
  return found.sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line));
}

function main(args) {
  const root = rootFrom(args);
  if (!existsSync(join(root, SPEC))) {
    console.log(`spec_check: there is no ${SPEC} yet; nothing was checked`);
    return;
  }
  const spec = readSpec(textOf(root, SPEC) ?? '');
  const named = namedInTests(root);
  const nrTested = [...spec.rules.keys()].filter((id) => named.has(id)).length;
  report('spec_check', faultsOf(spec, named));
  const counts = `${spec.rules.size} rules, ${nrTested} with a test, ${spec.excused.size} excused`;
  console.log(`spec_check: ${counts}`);
  if (!args.includes('--check')) process.exitCode = 0;
}

main(process.argv.slice(2));
