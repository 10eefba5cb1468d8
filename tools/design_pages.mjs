// Writes docs/designs: one page a design, from the designs themselves, from what was said against
// them, and from runs of small scenarios. It uses the built command: npm run docs builds it first.
// Usage    node tools/design_pages.mjs
// Holds    src/lab/design_page.test.ts says when a page is not current.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EVERY_DESIGN } from '../dist/designs/index.js';
import { designIndex, designPage, PAGE_SCENARIOS, pageFile } from '../dist/lab/design_page.js';
import { runMatrix } from '../dist/lab/matrix.js';

const FOLDER = fileURLToPath(new URL('../docs/designs', import.meta.url));

const matrix = runMatrix({ designs: EVERY_DESIGN, scenarios: PAGE_SCENARIOS });
const pages = new Map(EVERY_DESIGN.map((d) => [pageFile(d.id), designPage(d, matrix)]));
pages.set('README.md', designIndex(EVERY_DESIGN, matrix));

mkdirSync(FOLDER, { recursive: true });
for (const file of readdirSync(FOLDER)) if (!pages.has(file)) rmSync(join(FOLDER, file));
for (const [file, text] of pages) writeFileSync(join(FOLDER, file), text);
