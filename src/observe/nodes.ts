// The tree /sys/devices/system/node: which nodes are what, their CPUs, their distances.
// Models   linux@v6.1 drivers/base/node.c: node_state_attr, node_read_distance, node_read_cpumap;
//          the file is_cdm_node of the thread's patch 1/4 (Khandual, 2017-02-15), and
//          has_private_memory of "Private Memory NUMA Nodes" (Price, 2026-07-20).
// Omits    power, uevent, compact (which is only written), access classes with their caches and
//          initiators.
// Holds    PRC6 the file of coherent device memory is there where the design marks nodes, and
//          nowhere else.
import type { NodeId } from '../base/ids.ts';
import type { Nodemask } from '../base/nodemask.ts';
import { Nodemask as Nodes } from '../base/nodemask.ts';
import { formatCpuList } from '../machine/cpu_list.ts';
import { type FileKind, fileAt, type View } from './view.ts';

export const NODE_DIR = '/sys/devices/system/node';

/** The node of a number in a path, if it is online: only such have a directory. */
export function onlineNode({ k }: View, id: string | undefined): NodeId | undefined {
  const nid = Number(id);
  return k.states.online.has(nid) ? (nid as NodeId) : undefined;
}

/** The paths of one file in the directory of every node. */
export const pathsOfNodes = ({ k }: View, file: string): string[] =>
  k.states.online.toArray().map((nid) => `${NODE_DIR}/node${nid}/${file}`);

/** Masks of nodes by file name; undefined where the kernel has no such file. */
function stateMask({ k }: View, file: string): Nodemask | undefined {
  const { states } = k;
  switch (file) {
    case 'possible':
      return states.possible;
    case 'online':
      return states.online;
    case 'has_normal_memory':
      return states.normalMemory;
    case 'has_memory':
      return states.memory;
    case 'has_cpu':
      return states.cpu;
    case 'has_generic_initiator':
      return Nodes.EMPTY;
    case 'is_cdm_node':
      return k.design.answers.coherentDevice === undefined ? undefined : states.coherentDevice;
    case 'has_private_memory':
      return k.design.answers.privateMemory === undefined ? undefined : states.privateMemory;
    default:
      return undefined;
  }
}

const STATE_FILES = [
  'possible',
  'online',
  'has_normal_memory',
  'has_memory',
  'has_cpu',
  'has_generic_initiator',
  'is_cdm_node',
  'has_private_memory',
];

const cpusOf = ({ k }: View, nid: number): number[] =>
  k.mem.onlineCpus.filter((cpu) => k.mem.nodeOfCpu[cpu] === nid).sort((a, b) => a - b);

/** A mask as the kernel prints it with %*pb: words of 32 bits, as many digits as CPUs need. */
export function maskText(cpus: readonly number[], nrBits: number): string {
  const words: string[] = [];
  for (let start = 0; start < nrBits; start += 32) {
    const nrDigits = Math.ceil(Math.min(32, nrBits - start) / 4);
    let word = 0;
    for (const cpu of cpus) if (cpu >= start && cpu < start + 32) word += 2 ** (cpu - start);
    words.unshift(word.toString(16).padStart(nrDigits, '0'));
  }
  return words.join(',');
}

const FILES_OF_NODE: Readonly<Record<string, (view: View, nid: NodeId) => string>> = {
  cpulist: (view, nid) => formatCpuList(cpusOf(view, nid)),
  cpumap: (view, nid) => maskText(cpusOf(view, nid), view.k.mem.nrCpus),
  distance: ({ k }, nid) =>
    k.states.online
      .toArray()
      .map((to) => k.mem.distance(nid, to))
      .join(' '),
};

const CPU_DIR = '/sys/devices/system/cpu';

/** CPUs that are online, which are all that the machine has. */
const onlineCpus = ({ k }: View): string =>
  `${formatCpuList([...k.mem.onlineCpus].sort((a, b) => a - b))}\n`;

export const NODE_FILES: readonly FileKind[] = [
  fileAt(`${CPU_DIR}/online`, onlineCpus),
  fileAt(`${CPU_DIR}/present`, onlineCpus),
  {
    pattern: new RegExp(`^${NODE_DIR}/(${STATE_FILES.join('|')})$`),
    read: (view, file) => {
      const mask = stateMask(view, file as string);
      return mask === undefined ? undefined : `${mask}\n`;
    },
    paths: (view) =>
      STATE_FILES.filter((file) => stateMask(view, file) !== undefined).map(
        (file) => `${NODE_DIR}/${file}`,
      ),
  },
  {
    pattern: new RegExp(`^${NODE_DIR}/node(\\d+)/(${Object.keys(FILES_OF_NODE).join('|')})$`),
    read: (view, id, file) => {
      const nid = onlineNode(view, id);
      return nid === undefined ? undefined : `${FILES_OF_NODE[file as string]?.(view, nid)}\n`;
    },
    paths: (view) => Object.keys(FILES_OF_NODE).flatMap((file) => pathsOfNodes(view, file)),
  },
];
