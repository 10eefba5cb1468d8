// The words of operations on files: their names, ranges, kinds of mapping, and policies of mounts.
// Holds    A name of a file is no name of a region: it is the same in every task.

import {
  FADVICE,
  MMAP_KINDS,
  type MmapKind,
  type MountPolicyArg,
  type SysAct,
  type TaskAct,
} from './ops.ts';
import type { PageSizes } from './parse_act.ts';
import type { Reader } from './reader.ts';
import { fileFault, MODES } from './words.ts';

/** Kinds that name their file behind a colon. */
const FILE_KINDS: readonly MmapKind[] = ['file', 'file-private', 'text', 'device'];

/** KIND of a mapping: `anon`, `file:NAME`. */
export function readKind(r: Reader): { kind: MmapKind; file?: string } {
  const word = r.peek() ?? '';
  const colon = word.indexOf(':');
  const isFileKind = FILE_KINDS.includes((colon < 0 ? word : word.slice(0, colon)) as MmapKind);
  if (!isFileKind) return { kind: r.oneOf('KIND', MMAP_KINDS) };
  const kind = word.slice(0, Math.max(colon, 0)) as MmapKind;
  const what = word.startsWith('device') ? 'device' : 'file';
  if (colon < 0) r.fail(`"${word}" names no ${what}; expected ${word}:NAME`);
  const file = word.slice(colon + 1);
  const fault = kind === 'device' && file !== '' ? undefined : fileFault(file);
  if (fault !== undefined) r.fail(fault);
  r.word('KIND');
  return { kind, file };
}

function readFileName(r: Reader): string {
  const file = r.word('FILE');
  const fault = fileFault(file);
  if (fault !== undefined) r.fail(fault, r.at - 1);
  return file;
}

/** OFF PAGES of a file, which are of the machine's pages. */
function readFileRange(r: Reader, pages: PageSizes): { offset: number; nrPages: number } {
  const unit = { pageBytes: pages.base };
  const offset = r.number('OFF, an offset in pages,', unit);
  return { offset, nrPages: r.number('PAGES, a number of pages,', unit) };
}

/** Verbs of a task that name a file. */
type FileVerb = 'readfile' | 'writefile' | 'fadvise' | 'fsync';

export const isFileVerb = (verb: string): verb is FileVerb =>
  verb === 'readfile' || verb === 'writefile' || verb === 'fadvise' || verb === 'fsync';

/** Operations of a task on a file. */
export function readFileAct(r: Reader, verb: FileVerb, pages: PageSizes): TaskAct {
  const file = readFileName(r);
  if (verb === 'fsync') return { verb, file };
  if (verb === 'fadvise') {
    const range = readFileRange(r, pages);
    return { verb, file, ...range, advice: r.oneOf('ADVICE', FADVICE) };
  }
  return r.done ? { verb, file } : { verb, file, ...readFileRange(r, pages) };
}

/** Operations of the controller on a file. */
export function readFileSysAct(
  r: Reader,
  verb: 'mkfile' | 'rmfile' | 'truncate' | 'cached',
  pages: PageSizes,
): SysAct {
  const file = readFileName(r);
  if (verb === 'rmfile') return { verb, file };
  if (verb === 'cached')
    return r.done ? { verb, file } : { verb, file, ...readFileRange(r, pages) };
  const nrPages = r.number('PAGES, a number of pages,', { pageBytes: pages.base });
  if (verb === 'truncate') return { verb, file, nrPages };
  const rest = r.trailing(['tmpfs'], ['mpol']);
  const isTmpfs = rest.words.length > 0;
  const given = rest.options[0];
  if (given === undefined) return { verb, file, nrPages, isTmpfs };
  if (!isTmpfs) r.fail('mpol= is an option of tmpfs; expected tmpfs mpol=...', given.at);
  return { verb, file, nrPages, isTmpfs, mpol: readMountPolicy(r, given.text, given.at) };
}

/** MODE[+FLAG...][:NODES], as our mode words have it. */
function readMountPolicy(r: Reader, text: string, at: number): MountPolicyArg {
  const [modeText = '', list] = text.split(':');
  const [mode = '', ...flags] = modeText.split('+');
  if (!MODES.includes(mode)) {
    r.fail(`"${mode}" is no policy mode; expected ${MODES.join(', ')}`, at);
  }
  for (const flag of flags) {
    if (flag === 'static' || flag === 'relative') continue;
    r.fail(`"${flag}" is no flag of a mount's policy; expected static or relative`, at);
  }
  if (list === undefined) return { mode: { mode, flags }, nodes: 'none' };
  const nodes: number[] = [];
  for (const part of list.split(',')) {
    const ends = part.split('-').map((end) => r.evaluate(end, 'NODE', 'count', at));
    const [low = 0, high = low] = ends;
    for (let n = low; n <= Math.min(high, 1023); n++) nodes.push(n);
  }
  return { mode: { mode, flags }, nodes };
}
