// What must hold of a machine before a kernel can boot on it; every reader ends here.
// Models   the refusals of firmware tables: linux@v6.1 drivers/acpi/numa/srat.c: slit_valid,
//          drivers/base/arch_numa.c: numa_set_distance (10 is local, a distance is a byte).
// Omits    a CPU in two nodes is accepted, because numa=fake shows machines so.
import { MAX_NUMNODES } from '../base/ids.ts';
import { formatSizeBytes } from '../base/units.ts';
import { MAX_CPUS } from './cpu_list.ts';
import type { JsonPath } from './json_text.ts';
import type { Arch, CacheSpec, LinkSpec, Machine, NodeSpec } from './machine.ts';
import { nodeSizeBytes } from './machine.ts';
import { pageSizesOf } from './zones.ts';

/** Reports a mistake at a place of the machine and does not return. */
export type Fail = (path: JsonPath, message: string) => never;

/** The distance of a node to itself. */
export const LOCAL_DISTANCE = 10;
/** The largest distance that fits the firmware's byte; GH200 uses it for "not reachable". */
export const MAX_DISTANCE = 255;
/** Physical addresses have at most 52 bits (x86 five-level paging, arm64 LPA, POWER9). */
export const MAX_ADDRESS = 2 ** 52;
/** Names of machines and devices. */
export const NAME_PATTERN = /^[A-Za-z0-9._-]+$/;

/** Calls `fail` unless Linux can be built with this page size on this architecture. */
export function checkPageBytes(arch: Arch, pageBytes: number, fail: Fail): void {
  const sizes = pageSizesOf(arch);
  if (sizes.includes(pageBytes)) return;
  const known = sizes.map(formatSizeBytes).join(', ');
  fail(['pageBytes'], `${arch} has pages of ${known}, not of ${pageBytes} bytes`);
}

/** Calls `fail` at the first thing that is wrong with `machine`. */
export function checkMachine(machine: Machine, fail: Fail): void {
  if (!NAME_PATTERN.test(machine.name)) {
    fail(['name'], 'expected letters, digits, `-`, `_` or `.`');
  }
  checkPageBytes(machine.arch, machine.pageBytes, fail);
  checkNodes(machine, fail);
  checkOverlaps(machine, fail);
  checkDistances(machine, fail);
  checkDevices(machine, fail);
  machine.links.forEach((link, i) => {
    checkLink(machine, link, ['links', i], fail);
    checkLinkOnce(machine.links, i, fail);
  });
}

function checkNodes(machine: Machine, fail: Fail): void {
  const { nodes } = machine;
  nodes.forEach((node, i) => {
    const at: JsonPath = ['nodes', i];
    if (!Number.isInteger(node.id) || node.id < 0 || node.id >= MAX_NUMNODES) {
      fail([...at, 'id'], `node ids are 0..${MAX_NUMNODES - 1}, not ${node.id}`);
    }
    const before = nodes[i - 1];
    if (nodes.findIndex((other) => other.id === node.id) < i) {
      fail([...at, 'id'], `node ${node.id} is given twice`);
    }
    if (before !== undefined && before.id > node.id) {
      fail([...at, 'id'], `nodes ascend by id, but ${node.id} comes after ${before.id}`);
    }
    checkNode(machine, node, at, fail);
  });
  if (nodes.every((node) => node.cpus.length === 0)) {
    fail(['nodes'], 'no node has CPUs; give at least one node `cpus`');
  }
  const boot = nodes.filter((node) => node.memoryZone === 'boot' && node.ranges.length > 0);
  if (boot.length === 0) {
    fail(['nodes'], 'no node has boot memory, and a kernel cannot start in hot-plugged memory');
  }
  if (boot.every((node) => node.device !== undefined)) {
    fail(
      ['nodes'],
      'all boot memory belongs to devices, so that there is no system memory to keep anybody in; ' +
        'give a node memory without `device`',
    );
  }
}

function checkNode(machine: Machine, node: NodeSpec, at: JsonPath, fail: Fail): void {
  node.cpus.forEach((cpu, i) => {
    if (!Number.isInteger(cpu) || cpu < 0 || cpu >= MAX_CPUS) {
      fail([...at, 'cpus'], `CPU numbers are 0..${MAX_CPUS - 1}, not ${cpu}`);
    }
    if (i > 0 && cpu <= (node.cpus[i - 1] as number)) {
      fail([...at, 'cpus'], `CPU ${cpu} is given twice or out of order`);
    }
  });
  node.ranges.forEach((range, i) => {
    const place: JsonPath = [...at, 'ranges', i];
    for (const [field, bytes] of [
      ['start', range.startBytes],
      ['size', range.sizeBytes],
    ] as const) {
      if (!Number.isSafeInteger(bytes) || bytes < 0 || bytes % machine.pageBytes !== 0) {
        fail(
          [...place, field],
          `${bytes} is not a whole number of ${machine.pageBytes}-byte pages`,
        );
      }
    }
    if (range.sizeBytes === 0) fail([...place, 'size'], 'an empty range; leave it out');
    if (range.startBytes + range.sizeBytes > MAX_ADDRESS) {
      fail(place, 'ends above 4096 TiB, the largest physical address (52 bits); give less memory');
    }
  });
  if (node.device !== undefined && node.cpus.length > 0) {
    fail(
      [...at, 'device'],
      `node ${node.id} has CPUs, so its memory is system memory to Linux; leave \`device\` out, or ` +
        'put the memory of the device in a node of its own, without `cpus`',
    );
  }
  if (node.offlineAtStart === true && nodeSizeBytes(node) === 0) {
    fail([...at, 'offlineAtStart'], `node ${node.id} has no memory that could be offline`);
  }
  if (node.isKmem === true && (node.memoryZone === 'boot' || nodeSizeBytes(node) === 0)) {
    fail([...at, 'isKmem'], 'the dax/kmem driver hot-plugs memory; use memoryZone "movable"');
  }
  if (node.offlineAtStart === true && node.memoryZone === 'boot') {
    fail(
      [...at, 'offlineAtStart'],
      'boot memory is online from the start; use memoryZone "movable"',
    );
  }
}

const hex = (bytes: number): string => `0x${bytes.toString(16)}`;

function checkOverlaps(machine: Machine, fail: Fail): void {
  const all = machine.nodes.flatMap((node, n) =>
    node.ranges.map((range, r) => ({ range, node, path: ['nodes', n, 'ranges', r] as JsonPath })),
  );
  for (const { node, path } of all) {
    const r = path[3] as number;
    const before = node.ranges[r - 1];
    if (before !== undefined && before.startBytes > (node.ranges[r]?.startBytes ?? 0)) {
      fail(path, `the ranges of node ${node.id} do not ascend`);
    }
  }
  all.sort((a, b) => a.range.startBytes - b.range.startBytes);
  for (let i = 1; i < all.length; i++) {
    const a = all[i - 1] as (typeof all)[number];
    const b = all[i] as (typeof all)[number];
    const end = a.range.startBytes + a.range.sizeBytes;
    if (b.range.startBytes < end) {
      fail(
        b.path,
        `starts at ${hex(b.range.startBytes)}, inside the memory of node ${a.node.id}, ` +
          `which ends at ${hex(end)}`,
      );
    }
  }
}

function checkDistances(machine: Machine, fail: Fail): void {
  const n = machine.nodes.length;
  if (machine.distances.length !== n) {
    fail(['distances'], `${machine.distances.length} rows for ${n} nodes; expected one row a node`);
  }
  machine.distances.forEach((row, i) => {
    const from = machine.nodes[i] as NodeSpec;
    if (row.length !== n) {
      fail(
        ['distances', i],
        `the row of node ${from.id} has ${row.length} columns for ${n} nodes; a column is a ` +
          'position in the list of nodes, not a node id',
      );
    }
    row.forEach((distance, j) => {
      const at: JsonPath = ['distances', i, j];
      if (!Number.isInteger(distance) || distance < LOCAL_DISTANCE || distance > MAX_DISTANCE) {
        fail(at, `distances are ${LOCAL_DISTANCE}..${MAX_DISTANCE}, not ${distance}`);
      }
      if (i === j && distance !== LOCAL_DISTANCE) {
        fail(at, `node ${from.id} to itself is ${LOCAL_DISTANCE}, not ${distance}`);
      }
    });
  });
}

function checkDevices(machine: Machine, fail: Fail): void {
  const names = machine.devices.map((device) => device.name);
  machine.devices.forEach((device, i) => {
    const at: JsonPath = ['devices', i];
    if (!NAME_PATTERN.test(device.name)) {
      fail([...at, 'name'], 'expected letters, digits, `-`, `_` or `.`');
    }
    if (names.indexOf(device.name) < i) fail([...at, 'name'], `${device.name} is given twice`);
    if (!machine.nodes.some((node) => node.id === device.homeNode)) {
      fail([...at, 'homeNode'], `there is no node ${device.homeNode}`);
    }
    if (device.cache !== undefined) checkCache(device.cache, [...at, 'cache'], fail);
  });
  machine.nodes.forEach((node, i) => {
    if (node.device === undefined || names.includes(node.device)) return;
    const known = names.length === 0 ? 'the list is empty' : `there are ${names.join(', ')}`;
    fail(['nodes', i, 'device'], `\`${node.device}\` is not in \`devices\`; ${known}`);
  });
}

function checkCache(cache: CacheSpec, at: JsonPath, fail: Fail): void {
  if (cache.sizeBytes <= 0) fail([...at, 'size'], 'an empty cache; leave it out');
  if (cache.source.trim() === '') fail([...at, 'source'], 'say where this is from');
}

function checkLink(machine: Machine, link: LinkSpec, at: JsonPath, fail: Fail): void {
  const exists = (end: string, kinds: readonly string[]): boolean => {
    const match = /^(cpu|node|device):(.+)$/.exec(end);
    if (match === null || !kinds.includes(match[1] as string)) return false;
    const what = match[2] as string;
    if (match[1] === 'device') return machine.devices.some((device) => device.name === what);
    if (match[1] === 'node') return machine.nodes.some((node) => String(node.id) === what);
    return machine.nodes.some((node) => node.cpus.some((cpu) => String(cpu) === what));
  };
  if (!exists(link.from, ['cpu', 'node', 'device'])) {
    fail(
      [...at, 'from'],
      `\`${link.from}\` is no \`cpu:N\`, \`node:N\` or \`device:NAME\` of this machine`,
    );
  }
  if (!exists(link.to, ['node'])) {
    fail([...at, 'to'], `\`${link.to}\` is no \`node:N\` of this machine`);
  }
  if (link.bandwidthBytesPerS === undefined && link.latencyNs === undefined) {
    fail(at, 'a link states `bandwidthBytesPerS`, `latencyNs` or both');
  }
  if (link.source.trim() === '') fail([...at, 'source'], 'say where the figure is from');
}

/** A figure of one way is given once; bandwidth and latency may stand in two entries. */
function checkLinkOnce(links: readonly LinkSpec[], i: number, fail: Fail): void {
  const link = links[i] as LinkSpec;
  for (const field of ['bandwidthBytesPerS', 'latencyNs'] as const) {
    if (link[field] === undefined) continue;
    const isSame = (other: LinkSpec): boolean =>
      other.from === link.from && other.to === link.to && other[field] !== undefined;
    const before = links.findIndex(isSame);
    if (before === i) continue;
    fail(
      ['links', i, field],
      `from \`${link.from}\` to \`${link.to}\` it is given twice, first in links[${before}]`,
    );
  }
}
