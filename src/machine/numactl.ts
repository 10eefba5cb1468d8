// Reads the text of `numactl -H` (--hardware) as a machine.
// Models   numactl's output of 2.0.x: `available`, per node `cpus`, `size`, `free`, then distances.
// Omits    `free` (a run starts with all memory free). Sizes are MiB of managed memory, rounded
//          down; addresses are not in the text and are laid out by rule.
// Holds    Nothing is guessed: a part that the text lacks is a UserError that names it.
import { type Place, UserError } from '../base/assert.ts';
import { MAX_NUMNODES } from '../base/ids.ts';
import { parseNodelist } from '../base/nodemask.ts';
import { buildMachine, defaultDistances } from './build.ts';
import { parseCpuList } from './cpu_list.ts';
import { formatPath } from './json_text.ts';
import type { Arch, Machine } from './machine.ts';
import { markDeviceNodes } from './mark_devices.ts';
import { DEFAULT_PAGE_BYTES } from './zones.ts';

export interface NumactlOptions {
  /** Stands in messages; `numactl -H` when left out. */
  readonly fileName?: string | undefined;
  /** Name of the machine; `numactl` when left out. */
  readonly name?: string | undefined;
  /** x86_64 when left out: the text does not tell. */
  readonly arch?: Arch | undefined;
  /** Bytes; the architecture's usual page when left out. */
  readonly pageBytes?: number | undefined;
  /** Ids of nodes whose memory belongs to a device: in ZONE_MOVABLE, with a device each. */
  readonly deviceNodes?: readonly number[] | undefined;
}

const AVAILABLE = /^available: (\d+) nodes?(?: \(([^)]*)\))?$/;
const NODE_LINE = /^node (\d+) (cpus|size|free):(.*)$/;
const MIB = 1024 ** 2;
const UNIT_BYTES: Readonly<Record<string, number>> = { KB: 1024, MB: MIB, GB: 1024 ** 3 };

/** True when a text has the line that every `numactl -H` starts with. */
export const looksLikeNumactl = (text: string): boolean =>
  text.split('\n').some((line) => AVAILABLE.test(line.trim()));

interface Line {
  readonly text: string;
  readonly place: Place;
}

interface NodeText {
  cpus?: readonly number[];
  sizeBytes?: number;
}

/** The lines from `available` on, without blank ones and comments. */
function linesOf(text: string, file: string): readonly Line[] {
  const all = text.split('\n').map((line, i) => ({
    text: line.trim(),
    place: { file, line: i + 1 },
  }));
  const start = all.findIndex((line) => AVAILABLE.test(line.text));
  if (start < 0) {
    throw new UserError('no line `available: N nodes (...)`: not the output of `numactl -H`', {
      file,
    });
  }
  return all.slice(start).filter((line) => line.text !== '' && !line.text.startsWith('#'));
}

/** Node ids of the `available` line, or undefined when it gives only their number. */
function availableNodes(line: Line): readonly number[] | undefined {
  const [, count, list] = AVAILABLE.exec(line.text) as RegExpExecArray;
  if (list === undefined) return undefined;
  const mask = parseNodelist(list);
  if (typeof mask === 'string' || mask.weight !== Number(count)) {
    throw new UserError(`\`(${list})\` is not a list of ${count} nodes`, line.place);
  }
  return mask.toArray();
}

/** Adds what a `node N cpus|size|free` line says. */
function readNodeLine(line: Line, match: RegExpExecArray, nodes: Map<number, NodeText>): void {
  const id = Number(match[1]);
  const value = (match[3] as string).trim();
  if (id >= MAX_NUMNODES) throw new UserError(`node ids are 0..1023, not ${id}`, line.place);
  const node = nodes.get(id) ?? {};
  nodes.set(id, node);
  if (match[2] === 'cpus') {
    const cpus = parseCpuList(value);
    if (cpus === undefined) throw new UserError(`\`${value}\` is not a list of CPUs`, line.place);
    node.cpus = cpus;
  } else if (match[2] === 'size') {
    const size = /^(\d+) (KB|MB|GB)$/.exec(value);
    if (size === null) {
      throw new UserError(`the size of node ${id} is \`${value}\`, not \`N MB\``, line.place);
    }
    node.sizeBytes = Number(size[1]) * (UNIT_BYTES[size[2] as string] as number);
  }
}

/** Reads the distance table that starts at `lines[at]`, its header. */
function readDistances(lines: readonly Line[], at: number, ids: readonly number[]): number[][] {
  const header = lines[at];
  const last = lines[lines.length - 1] as Line;
  if (header === undefined || !/^node\b/.test(header.text)) {
    throw new UserError(
      'the header of the distance table is missing: the text is cut short',
      last.place,
    );
  }
  const columns = header.text.split(/\s+/).slice(1).map(Number);
  if (columns.join() !== ids.join()) {
    throw new UserError(
      `the distance table is of nodes ${columns.join(', ')}, but available are ${ids.join(', ')}`,
      header.place,
    );
  }
  return ids.map((id, i) => {
    const line = lines[at + 1 + i];
    const match = line === undefined ? null : /^(\d+):\s*([\d\s]*)$/.exec(line.text);
    if (line === undefined || match === null || Number(match[1]) !== id) {
      throw new UserError(`the distances from node ${id} are missing`, (line ?? last).place);
    }
    const row = (match[2] as string).split(/\s+/).filter(Boolean).map(Number);
    if (row.length !== ids.length) {
      throw new UserError(
        `the distances from node ${id} are ${row.length} numbers, not ${ids.length}`,
        line.place,
      );
    }
    return row;
  });
}

interface Parsed {
  readonly nodes: ReadonlyMap<number, NodeText>;
  readonly distances: number[][];
}

function parseLines(lines: readonly Line[]): Parsed {
  const first = lines[0] as Line;
  const last = lines[lines.length - 1] as Line;
  const listed = availableNodes(first);
  const nodes = new Map<number, NodeText>();
  let at = 1;
  for (; at < lines.length; at++) {
    const line = lines[at] as Line;
    const match = NODE_LINE.exec(line.text);
    if (match === null) break;
    readNodeLine(line, match, nodes);
  }
  const ids = listed ?? [...nodes.keys()].sort((a, b) => a - b);
  const stray = [...nodes.keys()].find((id) => !ids.includes(id));
  if (stray !== undefined) {
    throw new UserError(`node ${stray} is described but not available`, first.place);
  }
  for (const id of ids) {
    const where = (lines[at] ?? last).place;
    if (nodes.get(id)?.cpus === undefined)
      throw new UserError(`\`node ${id} cpus:\` is missing`, where);
    if (nodes.get(id)?.sizeBytes === undefined)
      throw new UserError(`\`node ${id} size:\` is missing`, where);
  }
  const next = lines[at];
  if (next?.text === 'No distance information available.') {
    return { nodes, distances: defaultDistances(ids.length).map((row) => [...row]) };
  }
  if (next === undefined)
    throw new UserError('the node distances are missing: the text is cut short', last.place);
  if (next.text !== 'node distances:') {
    throw new UserError(
      `expected \`node distances:\`, found \`${next.text.slice(0, 40)}\``,
      next.place,
    );
  }
  return { nodes, distances: readDistances(lines, at + 1, ids) };
}

/** Reads the output of `numactl -H`. Lines before `available`, and after the table, are ignored. */
export function parseNumactl(text: string, options: NumactlOptions = {}): Machine {
  const file = options.fileName ?? 'numactl -H';
  const arch = options.arch ?? 'x86_64';
  const pageBytes = options.pageBytes ?? DEFAULT_PAGE_BYTES[arch];
  const parsed = parseLines(linesOf(text, file));
  const assumed = options.arch === undefined ? ' (taken for x86_64: the text does not tell)' : '';
  const nodes = [...parsed.nodes]
    .sort(([a], [b]) => a - b)
    .map(([id, node]) => ({
      id,
      cpus: [...(node.cpus ?? [])],
      memory: Math.floor((node.sizeBytes ?? 0) / pageBytes) * pageBytes,
    }));
  const machine = markDeviceNodes(
    {
      name: options.name ?? 'numactl',
      note:
        `From numactl -H${assumed}; sizes are what the kernel manages, ` +
        'addresses laid out by rule.',
      arch,
      pageBytes,
      sizesAre: 'managed' as const,
      nodes,
      distances: parsed.distances,
    },
    options.deviceNodes ?? [],
  );
  return buildMachine(machine, (path, message) => {
    throw new UserError(`${formatPath(path)}: ${message}`, { file });
  });
}
