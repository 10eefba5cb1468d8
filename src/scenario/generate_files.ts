// Operations on files in random workloads: few files, small against a node, of a disk and of tmpfs.
// Notes    Readers do not interleave: the nodes of a file's tree come from slab caches, whose pages
//          take turns that nothing here knows (NOT_MODELLED).
import type { Prng } from '../base/prng.ts';
import type { MmapKind, MountPolicyArg, SysAct, TaskAct } from './ops.ts';

/** Most pages that a file has at first. */
const MOST_PAGES = 160;

export interface MadeFile {
  readonly name: string;
  readonly nrPages: number;
}

const MOUNTS = ['bind', 'preferred', 'interleave', 'local', 'preferred_many'];

/** Makes a file; every third in a tmpfs, most of those with a policy. */
export function makeFileAct(p: Prng, name: string, nodes: readonly number[]): SysAct & MadeFile {
  const nrPages = p.between(8, MOST_PAGES);
  const head = { verb: 'mkfile' as const, file: name, name, nrPages };
  if (!p.chance(35)) return { ...head, isTmpfs: false };
  const mode = p.pick(MOUNTS);
  const flags = p.chance(20) ? [p.pick(['static', 'relative'])] : [];
  const named = mode === 'local' ? 'none' : mode === 'preferred' ? nodes.slice(0, 1) : nodes;
  const mpol: MountPolicyArg = { mode: { mode, flags }, nodes: named };
  return p.chance(25) ? { ...head, isTmpfs: true } : { ...head, isTmpfs: true, mpol };
}

/** What a task does with a file; ranges reach past its end now and then. */
export function fileAct(p: Prng, { name: file, nrPages: size }: MadeFile): TaskAct {
  const nrPages = p.chance(15) ? size : p.between(1, 40);
  const range = { file, offset: p.chance(30) ? 0 : p.below(size), nrPages };
  const verb = p.pick(['readfile', 'readfile', 'readfile', 'writefile', 'fadvise', 'fsync']);
  if (verb === 'fsync') return { verb, file };
  if (verb !== 'fadvise') return { verb: verb as 'readfile' | 'writefile', ...range };
  return { verb, ...range, advice: p.pick(['dontneed', 'willneed'] as const) };
}

/** What the administrator does with a file. */
export function fileSysAct(p: Prng, file: MadeFile): SysAct {
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
