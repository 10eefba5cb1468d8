// Cases that ran on real kernels: reading the files, and making the machine that a case ran on.
// Holds    One JSON object a line, gzip or plain. Nothing here knows what a result means.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import { UserError } from '../base/assert.ts';
import { cpuId, nodeId } from '../base/ids.ts';
import { DESIGNS } from '../designs/index.ts';
import type { GuestZone } from '../guest/protocol.ts';
import type { Design } from '../hooks/design.ts';
import type { KernelOptions } from '../kernel/kernel.ts';
import type { Machine } from '../machine/machine.ts';
import { ZONE_NAMES } from '../mm/gfp.ts';
import type { ZoneSnapshot } from '../mm/zone_plan.ts';
import { recordedBootOptions } from '../scenario/boot_words.ts';
import type { OpResult } from '../scenario/ops.ts';

export interface OracleOp {
  readonly op: string;
  readonly result: OpResult;
  readonly variable?: boolean | undefined;
}

/** A record of FORMAT.md, as far as it is used here. */
export interface OracleCase {
  readonly id: string;
  readonly family: string;
  readonly kind: string;
  readonly purpose: string;
  readonly kernel: string;
  /** MAX_NUMNODES of the kernel; by its name when left out. */
  readonly maxNodes?: number | undefined;
  readonly design: string;
  readonly bootCmdline: string;
  readonly machine: {
    readonly name: string;
    readonly note: string;
    readonly nodes: readonly {
      readonly id: number;
      readonly cpus: readonly number[];
      readonly memoryMiB: number;
      readonly zone: string;
      readonly cdm: boolean;
      readonly hotplug?: boolean | undefined;
      readonly offlineAtStart?: boolean | undefined;
    }[];
    readonly distances: readonly (readonly number[])[];
  };
  readonly fallbackOrder?: Readonly<Record<string, readonly number[]>> | undefined;
  readonly nodeStates: Readonly<Record<string, readonly number[]>>;
  readonly zonesAtStart: readonly GuestZone[];
  readonly ops: readonly OracleOp[];
}

/** Reads all cases of a file; UserError names the line that is no case. */
export function readCases(file: string): OracleCase[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch {
    throw new UserError(`cannot read ${file}; give a .jsonl or .jsonl.gz file of cases`);
  }
  const text = textOf(file, bytes);
  const cases: OracleCase[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    let parsed: unknown;
    try {
      parsed = JSON.parse(line);
    } catch {
      throw new UserError('not a JSON object', { file, line: i + 1 });
    }
    const checked = CASE.safeParse(parsed);
    if (!checked.success) {
      const issue = checked.error.issues[0];
      const where = issue === undefined ? '' : ` (${issue.path.join('.')}: ${issue.message})`;
      throw new UserError(`no case: it needs id, design, machine, zonesAtStart and ops${where}`, {
        file,
        line: i + 1,
      });
    }
    cases.push(parsed as OracleCase);
  }
  return cases;
}

function textOf(file: string, bytes: Buffer): string {
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  if (!isGzip) return bytes.toString('utf8');
  try {
    return gunzipSync(bytes).toString('utf8');
  } catch {
    throw new UserError('the compressed file is cut short or damaged; fetch it again', { file });
  }
}

const count = z.number().int().min(0);
const zone = z.looseObject({
  node: count,
  zone: z.enum(ZONE_NAMES),
  spanned: count,
  present: count,
  managed: count,
  free: count,
  pcp: count,
  min: count,
  low: count,
  high: count,
  startPfn: count,
});

/** What every case has; other fields pass as they are. */
const CASE = z.looseObject({
  id: z.string(),
  family: z.string(),
  kind: z.string(),
  kernel: z.string(),
  design: z.string(),
  bootCmdline: z.string(),
  machine: z.looseObject({
    name: z.string(),
    nodes: z
      .array(z.looseObject({ id: count, cpus: z.array(count), memoryMiB: count, zone: z.string() }))
      .min(1),
    distances: z.array(z.array(count)),
  }),
  fallbackOrder: z.record(z.string(), z.array(count)).optional(),
  nodeStates: z.record(z.string(), z.array(count)),
  zonesAtStart: z.array(zone).min(1),
  ops: z.array(z.looseObject({ op: z.string(), result: z.looseObject({}) })),
});

/** Names that cases give designs. */
const DESIGN_OF_CASE: Readonly<Record<string, string>> = {
  none: 'stock',
  off: 'stock',
  gate: 'allocator-gate',
  zonelist: 'zonelist',
  limited: 'limited-node',
};

/** The design a case ran under, or undefined when it is not among ours. */
export function designOfCase(c: OracleCase): Design | undefined {
  const id = DESIGN_OF_CASE[c.design] ?? c.design;
  return DESIGNS.find((d) => d.id === id);
}

const MIB = 1024 * 1024;

/** Where the emulated machines have their DIMMs: above 4 GiB, one after another. */
const HOTPLUG_START_BYTES = 4096 * MIB;

/** The machine of a case. Memory is described by its zones (caseOptions); ranges only by size. */
export function machineOfCase(c: OracleCase): Machine {
  const nodes = c.machine.nodes;
  const possible = nodes.filter((n) => c.nodeStates.possible?.includes(n.id) !== false);
  const at = possible.map((n) => nodes.indexOf(n));
  let bootEnd = 0;
  let hotplugEnd = HOTPLUG_START_BYTES;
  return {
    name: c.machine.name,
    note: c.machine.note,
    arch: 'x86_64',
    pageBytes: 4096,
    nodes: possible.map((n) => {
      const sizeBytes = n.memoryMiB * MIB;
      const isHotplug = n.zone === 'movable';
      const startBytes = isHotplug ? hotplugEnd : bootEnd;
      const ranges = sizeBytes === 0 ? [] : [{ startBytes, sizeBytes }];
      if (isHotplug) hotplugEnd += sizeBytes;
      else bootEnd += sizeBytes;
      return {
        id: nodeId(n.id),
        cpus: n.cpus.map(cpuId),
        ranges,
        memoryZone: n.zone === 'movable' ? 'movable' : 'boot',
        device: n.cdm ? `device${n.id}` : undefined,
        offlineAtStart: n.offlineAtStart,
      };
    }),
    distances: at.map((i) => at.map((j) => c.machine.distances[i]?.[j] ?? 255)),
    devices: nodes
      .filter((n) => n.cdm)
      .map((n) => ({ name: `device${n.id}`, kind: 'coherent device memory', homeNode: nodeId(0) })),
    links: [],
  };
}

/** Debian's kernels know 1024 nodes, small configurations 64. */
const maxNodesOf = (c: OracleCase): number =>
  c.maxNodes ?? (c.kernel.startsWith('debian') ? 1024 : 64);

/** Starts the model from the free memory that the case started from. */
export function caseOptions(c: OracleCase): KernelOptions {
  const zones: ZoneSnapshot[] = c.zonesAtStart.map((z) => ({
    nid: z.node,
    type: (ZONE_NAMES as readonly string[]).indexOf(z.zone),
    startPfn: z.startPfn,
    spannedPages: z.spanned,
    presentPages: z.present,
    managedPages: z.managed,
    // Counters are read one after another, while pages come and go: the sum may be a little off.
    freePages: Math.min(z.free + z.pcp, z.managed),
    wmarkMin: z.min,
    wmarkLow: z.low,
    wmarkHigh: z.high,
  }));
  const { bootCmdline } = c;
  return {
    zones,
    maxNodes: maxNodesOf(c),
    ...recordedBootOptions(bootCmdline),
    hasMemoryController: !/\bcgroup_disable=\S*\bmemory\b/.test(bootCmdline),
  };
}
