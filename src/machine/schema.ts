// The JSON machine file: its schema, reading and writing.
// Holds    parseMachine(machineToJson(m)) equals m. The committed schema/machine.schema.json is
//          what machineJsonSchema() returns.
import { z } from 'zod';
import { UserError } from '../base/assert.ts';
import { buildMachine } from './build.ts';
import { formatCpuList, MAX_CPUS } from './cpu_list.ts';
import { formatPath, type JsonPath, parseJsonText } from './json_text.ts';
import { layOutMemory } from './layout.ts';
import {
  ARCHES,
  CACHE_HOLDS,
  type DeviceSpec,
  type Machine,
  MEMORY_ZONES,
  type NodeSpec,
  nodeSizeBytes,
} from './machine.ts';
import { nearMisses } from './near_misses.ts';

const BYTES_TEXT = /^(0[xX][0-9a-fA-F]+|\d+(\.\d+)?\s*([kKmMgGtT]([iI]?[bB])?|[bB])?)$/;

const SIZE_EXPECTED = 'expected a size such as "64GiB" (KiB, MiB, GiB, TiB), or a number of bytes';

const bytes = (what: string) =>
  z
    .union(
      [z.int(SIZE_EXPECTED).min(0, SIZE_EXPECTED), z.string().regex(BYTES_TEXT, SIZE_EXPECTED)],
      SIZE_EXPECTED,
    )
    .describe(
      `${what} A number of bytes, or a text: "64GiB", "512MiB", "0x40000000" (powers of 1024).`,
    );

const nodeNumber = z.int().min(0).max(1023);
const name = z.string().regex(/^[A-Za-z0-9._-]+$/, 'expected letters, digits, `-`, `_` or `.`');

const range = z
  .strictObject({
    start: bytes('Physical address; a multiple of the page size.'),
    size: bytes('A positive multiple of the page size.'),
  })
  .describe('A stretch of physical memory.');

const node = z
  .strictObject({
    id: nodeNumber.describe(
      'Node number as Linux shows it. Ids may be sparse: 0, 8, 250-255 is real.',
    ),
    cpus: z
      .union(
        [
          z.string(),
          z.array(
            z
              .int()
              .min(0)
              .max(MAX_CPUS - 1),
          ),
        ],
        {
          error: 'expected a CPU list such as "0-7,16", or an array of CPU numbers',
        },
      )
      .optional()
      .describe(
        'CPUs of the node: "0-79", "0-3,8" or [0, 1, 2]. Left out: none, as for device memory. ' +
          'A CPU listed by several nodes (numa=fake does that) runs on the lowest of them.',
      ),
    memory: bytes(
      'How much memory; addresses are laid out as the architecture usually has them.',
    ).optional(),
    ranges: z
      .array(range)
      .optional()
      .describe(
        'Where the memory is, ascending, instead of `memory`. Neither: a memory-less node.',
      ),
    memoryZone: z
      .enum(MEMORY_ZONES)
      .optional()
      .describe(
        '`boot` (the default): present from the start, in DMA, DMA32 or Normal by address. ' +
          '`movable`: hot-plugged and onlined into ZONE_MOVABLE, as drivers do with device memory.',
      ),
    device: z
      .string()
      .optional()
      .describe('The entry of `devices` that owns the memory. Left out: system memory.'),
    isKmem: z
      .boolean()
      .optional()
      .describe(
        'The (movable) memory is handed to the kernel by the dax/kmem driver: a lower memory tier.',
      ),
    offlineAtStart: z
      .boolean()
      .optional()
      .describe('The (movable) memory exists but is offline when the run starts.'),
  })
  .describe('A NUMA node.');

const cache = z
  .strictObject({
    size: bytes('How much it holds.'),
    holds: z
      .enum(CACHE_HOLDS)
      .describe(
        'Copies of which memory: the `own` of the device, that `elsewhere`, or `all`. One that ' +
          'holds its own only answers nothing that would go over a link.',
      ),
    isCoherent: z
      .boolean()
      .optional()
      .describe(
        'Writes of CPUs and of other devices take copies away. Left out: they do not, and it is ' +
          'emptied before each computation.',
      ),
    isWriteBack: z
      .boolean()
      .optional()
      .describe('What the device writes stays in it. Left out: writes go through to memory.'),
    source: z.string().describe('Where this is from. A cache without a source does not exist.'),
  })
  .describe('What the device keeps copies of.');

const device = z
  .strictObject({
    name: name.describe('A unique name: "gpu0".'),
    kind: z.string().describe('What it is, for people: "NVIDIA V100 on NVLink 2.0".'),
    homeNode: nodeNumber.describe('The node of the CPUs that it hangs on.'),
    cache: cache.optional(),
  })
  .describe('A device that owns memory.');

const link = z
  .strictObject({
    from: z
      .string()
      .describe('The side that asks: "cpu:0", "node:1" (CPUs of the node), "device:gpu0".'),
    to: z.string().describe('The memory that answers: "node:1".'),
    bandwidthBytesPerS: z
      .number()
      .positive()
      .optional()
      .describe('Bytes per second, one direction.'),
    latencyNs: z.number().positive().optional().describe('Nanoseconds of one access.'),
    source: z
      .string()
      .describe('Where the figure is from. A figure without a source does not exist.'),
  })
  .describe('What an access costs. Give bandwidth, latency or both.');

const machineFile = z
  .strictObject({
    $schema: z.string().optional().describe('For editors; not read.'),
    name: name.describe('Short name: "gh200".'),
    note: z
      .string()
      .optional()
      .describe('One sentence for people: what it is and where it is from.'),
    arch: z
      .enum(ARCHES)
      .describe('Decides page sizes, block orders, low zones and the layout of `memory`.'),
    pageBytes: bytes('Page size. Left out: 4 KiB on x86_64 and arm64, 64 KiB on ppc64.').optional(),
    sizesAre: z
      .enum(['present', 'managed'])
      .optional()
      .describe(
        '`present` (the default): all memory that firmware names, of which boot takes its share. ' +
          '`managed`: what a running kernel reports (MemTotal), with that share taken already.',
      ),
    nodes: z.array(node).min(1).max(1024).describe('The NUMA nodes, ascending by id.'),
    distances: z
      .array(z.array(z.int().min(10).max(255)))
      .optional()
      .describe(
        'Row i, column j: from the i-th to the j-th entry of `nodes` (positions, not ids). ' +
          '10 is local, 255 the largest; the two directions may differ. Left out: 10 and 20.',
      ),
    devices: z.array(device).optional().describe('Devices that own memory.'),
    links: z.array(link).optional().describe('Costs that are known.'),
  })
  .describe('A machine as firmware tells it: nodes, CPUs, distances, memory, devices, links.');

/** What a machine file holds. Presets are written in this form too. */
export type MachineFile = z.infer<typeof machineFile>;

/** The text of schema/machine.schema.json (JSON Schema 2020-12). */
export function machineJsonSchema(): string {
  const schema = z.toJSONSchema(machineFile, { io: 'input', target: 'draft-2020-12' });
  return `${JSON.stringify({ title: 'CDM Lab machine', ...schema }, null, 2)}\n`;
}

/** The field names that an object at this path may have. */
function fieldsAt(path: JsonPath): readonly string[] {
  const shapes: Readonly<Record<string, object>> = {
    '': machineFile.shape,
    nodes: node.shape,
    'nodes.ranges': range.shape,
    devices: device.shape,
    'devices.cache': cache.shape,
    links: link.shape,
  };
  const shape = shapes[path.filter((part) => typeof part === 'string').join('.')];
  return Object.keys(shape ?? {});
}

const TYPE_WORDS: ReadonlyMap<string, string> = new Map([
  ['int', 'a whole number'],
  ['number', 'a number'],
  ['string', 'a text'],
  ['boolean', 'true or false'],
  ['array', 'a list'],
  ['object', 'an object'],
]);

/** A finding of zod in this project's words; messages that the schema itself gives stay. */
function describeIssue(issue: z.core.$ZodIssue): { path: JsonPath; message: string } {
  const path = issue.path as JsonPath;
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0] as string;
    const fields = fieldsAt(path);
    const near = nearMisses(key, fields);
    const hint =
      near.length > 0 ? `did you mean \`${near[0]}\`?` : `fields are ${fields.join(', ')}`;
    return { path: [...path, key], message: `unknown field; ${hint}` };
  }
  if (issue.code === 'invalid_type' && issue.message.startsWith('Invalid')) {
    const expected = TYPE_WORDS.get(issue.expected) ?? issue.expected;
    return { path, message: `expected ${expected}, ${whatItIs(issue.input)}` };
  }
  if (issue.code === 'invalid_value') {
    const values = issue.values.map((value) => JSON.stringify(value)).join(', ');
    return { path, message: `expected one of ${values}, ${whatItIs(issue.input)}` };
  }
  if (
    issue.message.startsWith('Too ') &&
    (issue.code === 'too_big' || issue.code === 'too_small')
  ) {
    const isOpen = issue.inclusive === false;
    const bound =
      issue.code === 'too_big'
        ? `${isOpen ? 'less than' : 'at most'} ${issue.maximum}`
        : `${isOpen ? 'more than' : 'at least'} ${issue.minimum}`;
    const isList = Array.isArray(issue.input);
    return {
      path,
      message: `expected ${bound}${isList ? ' entries' : `, ${whatItIs(issue.input)}`}`,
    };
  }
  return { path, message: issue.message };
}

const whatItIs = (input: unknown): string =>
  input === undefined ? 'but it is missing' : `not ${JSON.stringify(input)?.slice(0, 40)}`;

/**
 * Reads a machine file.
 *
 * @param fileName stands in the messages of errors.
 * Throws UserError with line, column and the place inside the file.
 */
export function parseMachine(text: string, fileName: string): Machine {
  const json = parseJsonText(text, fileName);
  const fail = (path: JsonPath, message: string): never => {
    throw new UserError(`${formatPath(path)}: ${message}`, json.placeOf(path));
  };
  const parsed = machineFile.safeParse(json.value, { reportInput: true });
  if (!parsed.success) {
    const { path, message } = describeIssue(parsed.error.issues[0] as z.core.$ZodIssue);
    return fail(path, message);
  }
  return buildMachine(parsed.data, fail);
}

const UNITS = [
  ['TiB', 1024 ** 4],
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
] as const;

/** A size without loss: `"15GiB"`, or the bare number where no unit divides it. */
function exactSize(sizeBytes: number): string | number {
  for (const [unit, factor] of UNITS) {
    if (sizeBytes !== 0 && sizeBytes % factor === 0) return `${sizeBytes / factor}${unit}`;
  }
  return sizeBytes;
}

/** True when the ranges are what the layout rule makes of the sizes. */
function followsLayoutRule(machine: Machine): boolean {
  const sizes = machine.nodes.map((n) => ({
    sizeBytes: nodeSizeBytes(n),
    memoryZone: n.memoryZone,
  }));
  const laidOut = layOutMemory(machine.arch, machine.pageBytes, sizes);
  return machine.nodes.every((n, i) => JSON.stringify(n.ranges) === JSON.stringify(laidOut[i]));
}

function nodeToFile(n: NodeSpec, bySize: boolean): MachineFile['nodes'][number] {
  const memory = bySize
    ? { memory: exactSize(nodeSizeBytes(n)) }
    : {
        ranges: n.ranges.map((r) => ({
          start: `0x${r.startBytes.toString(16)}`,
          size: exactSize(r.sizeBytes),
        })),
      };
  return {
    id: n.id,
    ...(n.cpus.length > 0 ? { cpus: formatCpuList(n.cpus) } : {}),
    ...(n.ranges.length > 0 ? memory : {}),
    ...(n.memoryZone === 'boot' ? {} : { memoryZone: n.memoryZone }),
    ...(n.device === undefined ? {} : { device: n.device }),
    ...(n.isKmem === undefined ? {} : { isKmem: n.isKmem }),
    ...(n.offlineAtStart === undefined ? {} : { offlineAtStart: n.offlineAtStart }),
  };
}

function deviceToFile({ cache: spec, ...device }: DeviceSpec): object {
  if (spec === undefined) return device;
  const { sizeBytes, ...rest } = spec;
  return { ...device, cache: { size: exactSize(sizeBytes), ...rest } };
}

/** `{ "a": 1, "b": [2, 3] }` on one line. */
function oneLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(oneLine).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value)
    .filter(([, v]) => v !== undefined)
    .map(([k, v]) => `${JSON.stringify(k)}: ${oneLine(v)}`);
  return `{ ${fields.join(', ')} }`;
}

/** Writes a machine file: one line a node, distance row, device and link. Reads back equal. */
export function machineToJson(machine: Machine): string {
  const bySize = followsLayoutRule(machine);
  const lists = {
    nodes: machine.nodes.map((n) => nodeToFile(n, bySize)),
    distances: machine.distances,
    devices: machine.devices.map(deviceToFile),
    links: machine.links,
  };
  const lines = [
    `  "name": ${JSON.stringify(machine.name)}`,
    `  "note": ${JSON.stringify(machine.note)}`,
    `  "arch": ${JSON.stringify(machine.arch)}`,
    `  "pageBytes": ${JSON.stringify(exactSize(machine.pageBytes))}`,
    ...(machine.sizesAre === undefined
      ? []
      : [`  "sizesAre": ${JSON.stringify(machine.sizesAre)}`]),
  ];
  for (const [field, list] of Object.entries(lists)) {
    if (list.length === 0) continue;
    const items = list.map((item) => `    ${oneLine(item)}`).join(',\n');
    lines.push(`  "${field}": [\n${items}\n  ]`);
  }
  return `{\n${lines.join(',\n')}\n}\n`;
}
