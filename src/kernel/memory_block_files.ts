// Writing the files of one memory block: it goes offline or comes online.
// Models   linux@v6.1 drivers/base/memory.c: state_store, memory_subsys_online,
//          memory_subsys_offline; drivers/base/core.c: online_store, device_online,
//          device_offline.
// Holds    HOT19 what the files answer.
import { EINVAL, ENOENT } from '../base/errno.ts';
import { memoryBlockBytes } from '../machine/zones.ts';
import type { MemoryBlock } from '../mm/memory_block.ts';
import type { OnlineType } from '../mm/memory_hotplug.ts';
import { followMemory } from './cpuset_hotplug.ts';
import type { Kernel } from './kernel.ts';
import { offlineBlock, onlineBlock } from './memory_hotplug.ts';

const FILE =
  /^\/sys\/devices\/system\/(?:memory|node\/node(\d+))\/memory(\d+)\/(state|online|[a-z_]+)$/;

/** What is written to `state`; each asks for one change. */
const STATES: Readonly<Record<string, OnlineType | 'offline'>> = {
  offline: 'offline',
  online: undefined,
  online_kernel: 'KERNEL',
  online_movable: 'MOVABLE',
};

/** Is the path a file of a memory block that somebody may write? */
export const isBlockFile = (path: string): boolean =>
  /^(?:state|online)$/.test(FILE.exec(path)?.[3] ?? '');

/** The block that a path leads to; of a number that nodes share, the piece of lower addresses. */
function blockAt({ mem, machine }: Kernel, path: string): MemoryBlock | undefined {
  const [, node, number] = FILE.exec(path) ?? [];
  const size = memoryBlockBytes(machine) / mem.pageBytes;
  return [...mem.bootBlocks.all, ...mem.blocks].find(
    ({ nid, startPfn, isThere }) =>
      isThere &&
      Math.floor(startPfn / size) === Number(number) &&
      (node === undefined || nid === Number(node)),
  );
}

/**
 * Writes `state` or `online` of a block.
 * @returns 0; -ENOENT without such a block; -EINVAL for other words, and for a `state` that the
 *   block has already; else what going offline or coming online answers.
 */
export function writeBlockFile(k: Kernel, path: string, text: string): number {
  const block = blockAt(k, path);
  if (block === undefined) return -ENOENT;
  const word = text.replace(/\n$/, '');
  const isState = path.endsWith('/state');
  const wanted = isState ? STATES[word] : switchOf(word);
  if (isState ? !Object.hasOwn(STATES, word) : wanted === 'neither') return -EINVAL;
  const isOffline = block.zone === undefined;
  if ((wanted === 'offline') === isOffline) return isState ? -EINVAL : 0;
  const error =
    wanted === 'offline' ? offlineBlock(k, block) : onlineBlock(k, block, wanted as OnlineType);
  if (!k.defersCpusetWork) followMemory(k);
  return error;
}

/** A truth value as kernels read one (kstrtobool). */
function switchOf(word: string): 'offline' | 'neither' | undefined {
  if (/^(?:[yYtT1]|[oO][nN])/.test(word)) return undefined;
  return /^(?:[nNfF0]|[oO][fF])/.test(word) ? 'offline' : 'neither';
}
