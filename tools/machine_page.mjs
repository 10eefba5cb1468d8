// Writes the tables of fields in docs/MACHINES.md from the schema of the machine file. It uses the
// built command: npm run docs builds it first.
// Usage    node tools/machine_page.mjs
// Holds    src/lab/machine_page.test.ts says when the page is not current.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { withFieldTables } from '../dist/lab/machine_page.js';

const PAGE = fileURLToPath(new URL('../docs/MACHINES.md', import.meta.url));
writeFileSync(PAGE, withFieldTables(readFileSync(PAGE, 'utf8')));
