// Says once, before the tests, when the recorded runs of real kernels are not there: the tests that
// compare with them are then skipped, and a green run says less.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The folder beside the checkout that holds recorded runs, captures and traces. */
const SHARED = fileURLToPath(new URL('../../../shared', import.meta.url));

export default function setup(): void {
  if (existsSync(SHARED)) return;
  console.warn(
    `\n!! ${SHARED} is not there: tests that compare with real kernels and captures are SKIPPED\n`,
  );
}
