// Operations on files in random workloads: few files, small against a node, of a disk and of tmpfs.
// Notes    Readers do not interleave: the nodes of a file's tree come from slab caches, whose pages
//          take turns that nothing here knows (NOT_MODELLED).
import type { Prng } from '../base/prng.ts';
import type { MmapKind, ModeArg, MountPolicyArg, SysAct, TaskAct } from './ops.ts';

const MOST_FILES = 4;
/** Most pages that a file has at first. */
const MOST_PAGES = 160;

export interface MadeFile {
  readonly name: string;
  readonly nrPages: number;
}

const MOUNTS = ['bind', 'preferred', 'interleave', 'local', 'preferred_many'];

/** Makes a file; every third in a tmpfs, most of those with a policy. */
function makeFileAct(p: Prng, { name: file, nrPages }: MadeFile, nodes: readonly number[]): SysAct {
  const head = { verb: 'mkfile' as const, file, nrPages };
  if (!p.chance(35)) return { ...head, isTmpfs: false };
  const mode = p.pick(MOUNTS);
  const flags = p.chance(20) ? [p.pick(['static', 'relative'])] : [];
  const named = mode === 'local' ? 'none' : mode === 'preferred' ? nodes.slice(0, 1) : nodes;
  const mpol: MountPolicyArg = { mode: { mode, flags }, nodes: named };
  return p.chance(25) ? { ...head, isTmpfs: true } : { ...head, isTmpfs: true, mpol };
}

/** What a task does with a file; ranges reach past its end now and then. */
function fileAct(p: Prng, { name: file, nrPages: size }: MadeFile): TaskAct {
  const nrPages = p.chance(15) ? size : p.between(1, 40);
  const range = { file, offset: p.chance(30) ? 0 : p.below(size), nrPages };
  const verb = p.pick(['readfile', 'readfile', 'readfile', 'writefile', 'fadvise', 'fsync']);
  if (verb === 'fsync') return { verb, file };
  if (verb !== 'fadvise') return { verb: verb as 'readfile' | 'writefile', ...range };
  return { verb, ...range, advice: p.pick(['dontneed', 'willneed'] as const) };
}

/** What the administrator does with a file. */
function fileSysAct(p: Prng, file: MadeFile): SysAct {
  const verb = p.pick(['cached', 'cached', 'cached', 'drop', 'drop', 'sync', 'truncate', 'all']);
  switch (verb) {
    case 'drop': {
      const value = p.pick(['1', '1', '2', '3']);
      return { verb: 'write', path: '/proc/sys/vm/drop_caches', value };
    }
    case 'sync':
      return { verb };
    case 'all':
      return { verb: 'drop_caches' };
    case 'truncate':
      return { verb, file: file.name, nrPages: p.between(0, MOST_PAGES) };
    default:
      return { verb: 'cached', file: file.name };
  }
}

/** How a file is mapped. */
export function mapFileArgs(p: Prng, file: MadeFile): { kind: MmapKind; file: string; at: number } {
  const kind = p.pick(['file', 'file', 'file-private', 'file-private', 'text'] as const);
  return { kind, file: file.name, at: p.chance(15) ? p.between(1, 8) : 0 };
}

/** One operation about files, of the task or of the administrator; undefined for other actions. */
export function fileStep(
  p: Prng,
  action: string,
  files: MadeFile[],
  someNodes: () => readonly number[],
): { on: 'task'; act: TaskAct } | { on: 'sys'; act: SysAct } | undefined {
  if (action === 'mkfile' && files.length < MOST_FILES) {
    const made = { name: `f${files.length}`, nrPages: p.between(8, MOST_PAGES) };
    files.push(made);
    return { on: 'sys', act: makeFileAct(p, made, someNodes()) };
  }
  if (action === 'file') return { on: 'task', act: fileAct(p, p.pick(files)) };
  if (action !== 'mkfile' && action !== 'filesys') return undefined;
  return { on: 'sys', act: fileSysAct(p, p.pick(files)) };
}

/** Readers of files do not interleave. */
export function withoutTurns<P extends { readonly mode: ModeArg }>(policy: P): P {
  if (policy.mode.mode !== 'interleave') return policy;
  return { ...policy, mode: { ...policy.mode, mode: 'bind' } };
}
