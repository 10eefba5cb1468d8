// Adds a node of device memory to a machine that has none: what if this machine had a GPU like
// that?
import { UserError } from '../base/assert.ts';
import { MAX_NUMNODES, nodeId } from '../base/ids.ts';
import { parseSizeBytes } from '../base/units.ts';
import { checkMachine, LOCAL_DISTANCE } from './check.ts';
import { formatPath } from './json_text.ts';
import { layOutMemory } from './layout.ts';
import type { Machine, NodeSpec } from './machine.ts';
import { freeDeviceName, nearestCpuNode } from './mark_devices.ts';

export interface DeviceNodeOptions {
  /** A positive multiple of the machine's page size. */
  readonly sizeBytes: number;
  /** To and from every other node, 10..255. */
  readonly distance: number;
  /** 0..1023 and not in use; the highest id plus one when left out. */
  readonly nid?: number | undefined;
  /** Name of the device; the lowest free gpuN when left out. */
  readonly name?: string | undefined;
}

/**
 * The machine with one more CPU-less node in ZONE_MOVABLE, above all other memory, owned by a new
 * device that hangs on the lowest node with CPUs. Throws UserError for options that do not fit.
 */
export function addDeviceNode(machine: Machine, options: DeviceNodeOptions): Machine {
  const { sizeBytes, distance } = options;
  const highest = machine.nodes[machine.nodes.length - 1]?.id ?? -1;
  const nid = options.nid ?? highest + 1;
  const name = options.name ?? freeDeviceName(machine.devices.map((device) => device.name));
  if (!Number.isInteger(nid) || nid < 0 || nid >= MAX_NUMNODES) {
    throw new UserError(`node: ids are 0..${MAX_NUMNODES - 1}, not ${nid}`);
  }
  if (machine.nodes.some((node) => node.id === nid)) {
    throw new UserError(`node: ${nid} is in use; leave \`node=\` out for the next free id`);
  }
  if (sizeBytes <= 0 || sizeBytes % machine.pageBytes !== 0) {
    throw new UserError(
      `size: ${sizeBytes} bytes is not a positive number of ${machine.pageBytes}-byte pages`,
    );
  }
  const ranges = machine.nodes.flatMap((node) => node.ranges);
  const end = Math.max(0, ...ranges.map((range) => range.startBytes + range.sizeBytes));
  const [laidOut] = layOutMemory(
    machine.arch,
    machine.pageBytes,
    [{ sizeBytes, memoryZone: 'movable' }],
    end,
  );
  const node: NodeSpec = {
    id: nodeId(nid),
    cpus: [],
    ranges: laidOut ?? [],
    memoryZone: 'movable',
    device: name,
  };
  const at = machine.nodes.filter((other) => other.id < nid).length;
  const nodes = machine.nodes.toSpliced(at, 0, node);
  const rows = machine.distances.map((row) => row.toSpliced(at, 0, distance));
  const own = nodes.map((other) => (other === node ? LOCAL_DISTANCE : distance));
  const distances = rows.toSpliced(at, 0, own);
  const summaries = nodes.map((other) => ({ id: other.id, hasCpus: other.cpus.length > 0 }));
  const device = {
    name,
    kind: 'device memory that was added to the machine',
    homeNode: nodeId(nearestCpuNode(summaries, distances, at)),
  };
  const result = { ...machine, nodes, distances, devices: [...machine.devices, device] };
  checkMachine(result, (path, message) => {
    throw new UserError(`${formatPath(path)}: ${message}`);
  });
  return result;
}

const FORM = 'SIZE,distance=N[,node=ID][,name=NAME], for example 16GiB,distance=80,name=gpu0';

/** Reads `16GiB,distance=80,node=4,name=gpu0`. Throws UserError that shows the form. */
export function parseAddDeviceNode(text: string): DeviceNodeOptions {
  const fail = (message: string): never => {
    throw new UserError(`${message}; expected ${FORM}`);
  };
  const [size, ...settings] = text.split(',').map((part) => part.trim());
  const sizeBytes = parseSizeBytes(size ?? '');
  if (sizeBytes === undefined || sizeBytes === 0) return fail(`\`${size}\` is not a size`);
  const given = new Map<string, string>();
  for (const setting of settings) {
    const match = /^(distance|node|name)=(.+)$/.exec(setting);
    if (match === null) return fail(`\`${setting}\` is not a setting`);
    if (given.has(match[1] as string)) return fail(`\`${match[1]}\` is given twice`);
    given.set(match[1] as string, match[2] as string);
  }
  const number = (key: string, low: number, high: number): number | undefined => {
    const value = given.get(key);
    if (value === undefined) return undefined;
    const n = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    return n >= low && n <= high ? n : fail(`${key}: \`${value}\` is not a number ${low}..${high}`);
  };
  const distance = number('distance', 10, 255) ?? fail('no distance');
  return { sizeBytes, distance, nid: number('node', 0, 1023), name: given.get('name') };
}
