// For the tests of the programs in tools/: a small tree of files in a temporary folder, and a run
// of a program on it.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach } from 'vitest';
import { programThread } from '../../test/support/program_thread.ts';

export type Tree = Readonly<Record<string, string>>;

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

/** Writes the files (path from the root -> text) to a folder that goes away after the test. */
export function plant(tree: Tree): string {
  const root = mkdtempSync(join(tmpdir(), 'cdmlab-tools-'));
  roots.push(root);
  for (const [file, text] of Object.entries(tree)) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  return root;
}

let thread: ReturnType<typeof programThread> | undefined;

/** Runs `tools/NAME` on a planted tree. `lines` are those of standard output. */
export function runTool(
  name: string,
  root: string,
  args: readonly string[] = [],
): { status: number | null; lines: string[] } {
  const program = fileURLToPath(new URL(`../${name}`, import.meta.url));
  thread ??= programThread();
  const { code, out } = thread(program, false, ['--root', root, ...args]);
  return { status: code, lines: out.split('\n').filter((line) => line !== '') };
}
