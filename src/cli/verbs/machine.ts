// `cdmlab machine`: the machines that come with the package, and others: imported or captured.
import { readFileSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import { UserError } from '../../base/assert.ts';
import { formatSizeBytes } from '../../base/units.ts';
import { summarizeMachine } from '../../lab/compare.ts';
import type { MachineSummary } from '../../lab/comparison.ts';
import { addDeviceNode, captureMachine, parseAddDeviceNode } from '../../machine/capture.ts';
import { loadMachine } from '../../machine/load.ts';
import type { Arch, CacheHolds, Machine } from '../../machine/machine.ts';
import { looksLikeNumactl } from '../../machine/numactl.ts';
import { presets } from '../../machine/presets/index.ts';
import { machineToJson, parseMachine } from '../../machine/schema.ts';
import { type Io, printJson, writeWholeFile } from '../io.ts';
import { describe, readArch, readNodeIds, readSize } from '../options.ts';
import { formatTable, paragraph } from '../table.ts';
import { warnOfMachine } from '../warnings.ts';
import { idList, machineWords } from '../words.ts';

interface JsonOption {
  readonly json?: boolean;
}

interface ReadOptions extends JsonOption {
  readonly output?: string;
  readonly name?: string;
  readonly arch?: Arch;
  readonly pageSize?: number;
  readonly deviceNodes?: number[];
  readonly addDeviceNode?: readonly string[];
}

export function addMachine(program: Command, io: Io): void {
  const machine = program.command('machine');
  describe(
    machine,
    [
      'List, show, import or capture machines: nodes, CPUs, distances, memory, devices.',
      'Every verb takes a preset by name, or a file that import or capture wrote.',
    ],
    `cdmlab machine list
     cdmlab machine capture -o here.json`,
  );
  addList(machine, io);
  addShow(machine, io);
  addImport(machine, io);
  addCapture(machine, io);
}

function addList(machine: Command, io: Io): void {
  const list = machine
    .command('list')
    .option('--json', 'as JSON, and nothing else')
    .action((options: JsonOption) => {
      const all = [...presets.values()].map((make) => summarizeMachine(make()));
      if (options.json === true) printJson(io, all);
      else io.out(listText(io, all));
    });
  describe(
    list,
    [
      'List the machines that come with cdmlab.',
      'The notes say what is documented and what chosen.',
    ],
    'cdmlab machine list --json',
  );
}

function addShow(machine: Command, io: Io): void {
  const show = machine
    .command('show')
    .argument('<NAME>', 'preset or file')
    .option('--json', 'as a machine file, and nothing else')
    .action((name: string, options: JsonOption) => {
      const found = loadMachine(name);
      if (options.json !== true) warnOfMachine(io, found);
      io.out(options.json === true ? machineToJson(found).trimEnd() : machineText(io, found));
    });
  describe(
    show,
    ['Show a machine.', 'With --json as a machine file, which can be changed and named instead.'],
    `cdmlab machine show gh200
     cdmlab machine show gh200 --json > mine.json`,
  );
}

/** Options of the verbs that make a machine file. */
function readingOptions(command: Command): Command {
  return command
    .option('-o, --output <OUT.json>', 'write the machine file here instead of printing it')
    .option('--name <NAME>', 'name of the machine')
    .option('--arch <A>', 'x86_64, arm64 or ppc64, where the source does not tell', readArch)
    .option('--page-size <SIZE>', 'size of a page, where the source does not tell', readSize)
    .option('--device-nodes <2,4-7>', 'nodes whose memory belongs to a device', readNodeIds)
    .option(
      '--add-device-node <SIZE,distance=N>',
      'also add a node of device memory: SIZE,distance=N[,node=ID][,name=gpu0]; may be repeated',
      (text: string, before: readonly string[] | undefined) => [...(before ?? []), text],
    )
    .option('--json', 'the machine file on standard output, and nothing else');
}

function addImport(machine: Command, io: Io): void {
  const command = readingOptions(
    machine
      .command('import')
      .argument('<FILE>', 'output of numactl -H, a machine file, or a directory with sys and proc'),
  ).action((file: string, options: ReadOptions) => {
    refuseForMachineFile(file, options);
    const { arch, pageSize: pageBytes, deviceNodes } = options;
    const machine = loadMachine(file, { arch, pageBytes, deviceNodes });
    noteAssumed(io, file, machine, options);
    warnOfMachine(io, machine);
    finish(io, machine, options);
  });
  describe(
    command,
    [
      'Make a machine file of what another machine printed: numactl -H, or a copy of its /sys.',
      'CPU-less nodes are device memory only where you say so with --device-nodes.',
    ],
    `cdmlab machine import numactl.txt --device-nodes 2,3 -o box.json
     cdmlab machine import unpacked/ --name box`,
  );
}

/** numactl -H tells neither architecture nor page size: what was taken for them, and how to say. */
function noteAssumed(io: Io, file: string, machine: Machine, options: ReadOptions): void {
  const isText = statSync(file, { throwIfNoEntry: false })?.isFile() === true;
  if (!isText || presets.has(file) || !looksLikeNumactl(readFileSync(file, 'utf8'))) return;
  const assumed = [
    ...(options.arch === undefined ? [`${machine.arch} (--arch)`] : []),
    ...(options.pageSize === undefined
      ? [`pages of ${formatSizeBytes(machine.pageBytes)} (--page-size)`]
      : []),
  ];
  if (assumed.length === 0) return;
  io.err(`note: numactl -H does not tell, so this is taken for ${assumed.join(' with ')}`);
}

/** A machine file tells all of it itself: options that would be passed over are a mistake. */
function refuseForMachineFile(file: string, options: ReadOptions): void {
  if (!presets.has(file) && statSync(file, { throwIfNoEntry: false }) === undefined) {
    throw new UserError(
      'no such file or directory; import reads a text of `numactl -H`, a machine file, or a ' +
        'directory with sys and proc in it (cdmlab machine list has the presets)',
      { file },
    );
  }
  const given = [
    ...(options.arch === undefined ? [] : ['--arch']),
    ...(options.pageSize === undefined ? [] : ['--page-size']),
    ...(options.deviceNodes === undefined ? [] : ['--device-nodes']),
  ];
  if (given.length === 0) return;
  const isFile = statSync(file, { throwIfNoEntry: false })?.isFile() === true;
  if (presets.has(file) || (isFile && /^\s*\{/.test(readFileSync(file, 'utf8')))) {
    throw new UserError(`a machine file says this itself; leave ${given.join(', ')} out`, { file });
  }
}

function addCapture(machine: Command, io: Io): void {
  const command = readingOptions(machine.command('capture')).action((options: ReadOptions) => {
    const { arch, pageSize: pageBytes, deviceNodes, name } = options;
    finish(io, captureMachine({ arch, pageBytes, deviceNodes, name }), options);
  });
  describe(
    command,
    [
      'Make a machine file of the machine you are at, from /sys and /proc.',
      'With --add-device-node as if it had a device with memory of its own.',
    ],
    `cdmlab machine capture -o here.json
     cdmlab machine capture --add-device-node 16GiB,distance=80,name=gpu0 -o what-if.json`,
  );
}

/** Adds and names what was asked for, checks that it reads back, and hands it over. */
function finish(io: Io, read: Machine, options: ReadOptions): void {
  let machine = options.name === undefined ? read : { ...read, name: options.name };
  for (const text of options.addDeviceNode ?? []) {
    machine = addDeviceNode(machine, parseAddDeviceNode(text));
  }
  const text = machineToJson(machine);
  parseMachine(text, options.output ?? 'the machine');
  if (options.output !== undefined) {
    writeWholeFile(options.output, text);
    const words = `${options.output}: ${machineWords(summarizeMachine(machine))}`;
    if (options.json !== true) io.out(paragraph(words));
  }
  if (options.output === undefined || options.json === true) io.out(text.trimEnd());
}

const sum = (nodes: readonly { readonly sizeBytes: number }[]): string =>
  formatSizeBytes(nodes.reduce((n, node) => n + node.sizeBytes, 0));

function listText(io: Io, all: readonly MachineSummary[]): string {
  const rows = all.map((m) => [
    m.name,
    m.arch,
    formatSizeBytes(m.pageBytes),
    String(m.nodes.length),
    sum(m.nodes.filter((n) => n.device === undefined)),
    sum(m.nodes.filter((n) => n.device !== undefined)),
    m.note,
  ]);
  return formatTable(['machine', 'arch', 'page', 'nodes', 'RAM', 'device', 'what it is'], rows, {
    right: [2, 3, 4, 5],
    head: io.colors.bold,
  });
}

/** What a cache keeps copies of. */
const HELD: Readonly<Record<CacheHolds, string>> = {
  own: 'own memory',
  elsewhere: 'memory elsewhere',
  all: 'all memory',
};

function machineText(io: Io, machine: Machine): string {
  const { bold } = io.colors;
  const summary = summarizeMachine(machine);
  const nodes = summary.nodes.map((n) => [
    String(n.id),
    idList(n.cpus) || 'none',
    formatSizeBytes(n.sizeBytes),
    n.memoryZone === 'movable' ? 'Movable' : 'by address',
    n.device ?? '',
  ]);
  const ids = summary.nodes.map((n) => String(n.id));
  const distances = summary.distances.map((row, i) => [ids[i] as string, ...row.map(String)]);
  const devices = machine.devices.map((d) => [
    d.name,
    d.kind,
    `node ${d.homeNode}`,
    d.cache === undefined ? '' : `${formatSizeBytes(d.cache.sizeBytes)} of ${HELD[d.cache.holds]}`,
    d.cache?.source ?? '',
  ]);
  const links = machine.links.map((l) => [
    `${l.from} to ${l.to}`,
    l.bandwidthBytesPerS === undefined ? '' : `${l.bandwidthBytesPerS / 1e9} GB/s`,
    l.latencyNs === undefined ? '' : `${l.latencyNs} ns`,
    l.source,
  ]);
  const parts = [
    paragraph(machineWords(summary)),
    ...(machine.note === '' ? [] : [paragraph(machine.note)]),
    formatTable(['node', 'CPUs', 'memory', 'zone', 'device'], nodes, { right: [0, 2], head: bold }),
    `Distances, from the row to the column:\n${formatTable(['', ...ids], distances, {
      right: ids.map((_, i) => i + 1),
      flex: 0,
      indent: '  ',
    })}`,
  ];
  if (devices.length > 0) {
    const hasCaches = machine.devices.some((d) => d.cache !== undefined);
    const head = ['device', 'kind', 'hangs on', ...(hasCaches ? ['cache', 'source'] : [])];
    const rows = hasCaches ? devices : devices.map((row) => row.slice(0, 3));
    parts.push(formatTable(head, rows, { flex: hasCaches ? 4 : 1 }));
  }
  if (links.length > 0) parts.push(formatTable(['link', 'bandwidth', 'latency', 'source'], links));
  return parts.join('\n\n');
}
