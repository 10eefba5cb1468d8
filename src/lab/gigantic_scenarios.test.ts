// The scenarios about pages of 1 GiB that were held to a booted kernel (docs/KERNEL_RUNS.md): the
// model still says what both said.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { findDesign } from '../designs/index.ts';
import { loadScenario } from './load_scenario.ts';
import { Session } from './session.ts';

const FOLDER = fileURLToPath(new URL('../../scenarios/gigantic', import.meta.url));
const FILES = readdirSync(FOLDER).filter((file) => file.endsWith('.cdm'));

test.each(FILES)('[HUG14] [HUG15] [HUG16] %s', (file) => {
  const { scenario, machine } = loadScenario(`${FOLDER}/${file}`);
  const session = new Session({ machine, design: findDesign('stock'), scenario });
  const failed = session.finish().flatMap((step) => step.failed);
  expect(failed).toEqual([]);
  expect(scenario.ops.some((op) => op.expect.length > 0)).toBe(true);
});
