// What the programs in tools/ share: the files of the tree, the `--root` flag and the printing of
// findings.
// Holds    Paths are relative to the root, with `/`, in code-point order: the output is stable.
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @typedef {{ file: string, line: number, message: string }} Finding */

const SKIPPED_FOLDERS = new Set(['node_modules', 'dist', '.tested', 'coverage', '.git']);

/** Every file under `root`, without what is installed, built or git's own. @returns {string[]} */
export function filesUnder(root, folder = '') {
  const found = [];
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory() && !SKIPPED_FOLDERS.has(entry.name))
      found.push(...filesUnder(root, path));
    if (entry.isFile() && !SKIPPED_FOLDERS.has(entry.name)) found.push(path);
  }
  return folder === '' ? found.sort() : found;
}

/** The text of a file, or undefined when it is binary. */
export function textOf(root, file) {
  const bytes = readFileSync(join(root, file));
  return bytes.subarray(0, 8192).includes(0) ? undefined : bytes.toString('utf8');
}

/** The root of the tree to look at: `--root DIR`, else the checkout that holds this program. */
export function rootFrom(args) {
  const at = args.indexOf('--root');
  if (at < 0) return fileURLToPath(new URL('../..', import.meta.url));
  if (args[at + 1] === undefined) {
    console.error('--root needs a folder');
    process.exit(2);
  }
  return resolve(args[at + 1]);
}

/** Prints one line a finding and sets the exit code. @param {Finding[]} findings */
export function report(program, findings) {
  for (const { file, line, message } of findings) console.log(`${file}:${line}: ${message}`);
  if (findings.length === 0) return;
  console.error(`${program}: ${findings.length} finding${findings.length === 1 ? '' : 's'}`);
  process.exitCode = 1;
}
