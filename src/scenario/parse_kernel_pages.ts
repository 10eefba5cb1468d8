// The words of requests that parts of the kernel make: the name that holds their pages, and flags.
import { didYouMean } from '../base/suggest.ts';
import { REQUESTABLE_GFP } from '../mm/gfp.ts';
import type { TaskAct } from './ops.ts';
import type { Reader } from './reader.ts';
import { NAME } from './words.ts';

/** Verbs of a task about such pages. */
type KernelPagesVerb = 'alloc_pages' | 'free_pages';

export const isKernelPagesVerb = (verb: string): verb is KernelPagesVerb =>
  verb === 'alloc_pages' || verb === 'free_pages';

function readHolder(r: Reader): string {
  const name = r.word('NAME');
  if (NAME.test(name)) return name;
  return r.fail(
    `"${name}" is no name; expected a letter followed by letters, digits or _`,
    r.at - 1,
  );
}

/** `GFP_KERNEL|__GFP_NOFAIL`, as a kernel's source has it. */
function readGfp(r: Reader): readonly string[] {
  const names = r.word('GFP').split('|');
  for (const [i, name] of names.entries()) {
    const at = r.at - 1;
    if (!REQUESTABLE_GFP.includes(name)) {
      const hint = didYouMean(name, REQUESTABLE_GFP);
      r.fail(`"${name}" is no flag${hint}; expected of: ${REQUESTABLE_GFP.join(', ')}`, at);
    }
    if (names.indexOf(name) < i) r.fail(`"${name}" comes a second time`, at);
  }
  return names;
}

/** Operations of a task on pages of the kernel. */
export function readKernelPagesAct(r: Reader, verb: KernelPagesVerb): TaskAct {
  const name = readHolder(r);
  if (verb === 'free_pages') return { verb, name };
  const nrBlocks = r.number('BLOCKS');
  const gfp = readGfp(r);
  const rest = r.trailing([], ['order', 'node']);
  const order = r.numberOption(rest, 'order');
  const node = r.numberOption(rest, 'node');
  return {
    verb,
    name,
    nrBlocks,
    gfp,
    ...(order === undefined ? {} : { order }),
    ...(node === undefined ? {} : { node }),
  };
}
