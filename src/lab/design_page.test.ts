// The pages of docs/designs are what the designs and a matrix of small scenarios give now.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { EVERY_DESIGN } from '../designs/index.ts';
import { designIndex, designPage, PAGE_SCENARIOS, pageFile } from './design_page.ts';
import { runMatrix } from './matrix.ts';
import { weaknessesOf } from './weaknesses.ts';

const FOLDER = fileURLToPath(new URL('../../docs/designs/', import.meta.url));
const read = (file: string): string => readFileSync(FOLDER + file, 'utf8');
const matrix = runMatrix({ designs: EVERY_DESIGN, scenarios: PAGE_SCENARIOS });

test('there is a page for every design, and no other', () => {
  const pages = EVERY_DESIGN.map((design) => pageFile(design.id));
  expect(readdirSync(FOLDER).sort()).toEqual(['README.md', ...pages].sort());
});

test.each(EVERY_DESIGN.map((design) => [design.id, design] as const))(
  '[DSP1] the page of %s is current; if not, run: npm run docs',
  (id, design) => {
    expect(read(pageFile(id))).toBe(designPage(design, matrix));
  },
);

test('[DSP1] the list of the pages is current', () => {
  expect(read('README.md')).toBe(designIndex(EVERY_DESIGN, matrix));
});

test('what is said against a design names a mail or document, and a page shows it', () => {
  for (const { id } of EVERY_DESIGN) {
    for (const { source, text } of weaknessesOf(id)) {
      expect(source.date).toMatch(/^20\d\d(?:-\d\d){0,2}$/);
      expect(read(pageFile(id))).toContain(`- ${text} (${source.author}, ${source.date}`);
    }
  }
});
