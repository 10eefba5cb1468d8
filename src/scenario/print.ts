// Acts, operations and whole scenarios as text: with names for people and the parser, with slots
// for a real kernel.
// Holds    PRN1 what is printed reads back equal. PRN2 one act prints in one way only.
import { UserError } from '../base/assert.ts';
import { renameInPath } from './acts.ts';
import { printExpectations } from './expect.ts';
import { quoteValue } from './lexer.ts';
import type {
  Act,
  AgentSettings,
  ModeArg,
  NodesArg,
  Op,
  Scenario,
  SysAct,
  TaskAct,
} from './ops.ts';
import { formatFlags } from './quantity.ts';

/** How names are written. */
export interface Spelling {
  task(name: string): string;
  region(name: string): string;
}

const OWN_NAMES: Spelling = { task: (name) => name, region: (name) => name };

const printMode = (mode: ModeArg): string =>
  mode.flags.length === 0 ? mode.mode : `${mode.mode}+${mode.flags.join('+')}`;

const printNodes = (nodes: NodesArg): string =>
  typeof nodes === 'string' ? nodes : nodes.join(',');

/** ` NAME=N`, or nothing where the option is absent. */
const option = (name: string, value: number | undefined): string =>
  value === undefined ? '' : ` ${name}=${value}`;
const flagsOption = (flags: number | undefined): string =>
  flags === undefined ? '' : ` flags=${formatFlags(flags)}`;
const nonZero = (value: number): number | undefined => (value === 0 ? undefined : value);

/** ` OFF PAGES`, ` OFF`, or nothing for the whole region. */
const range = (act: { offset?: number | undefined; nrPages?: number | undefined }): string => {
  if (act.offset === undefined) return '';
  return act.nrPages === undefined ? ` ${act.offset}` : ` ${act.offset} ${act.nrPages}`;
};

function printMbind(act: Extract<TaskAct, { verb: 'mbind' }>, spell: Spelling): string {
  const what = `${spell.region(act.region)} ${act.offset} ${act.nrPages}`;
  const words = act.words.length === 0 ? '' : ` ${act.words.join(' ')}`;
  const options =
    flagsOption(nonZero(act.rawFlags)) +
    option('maxnode', act.maxnode) +
    option('addroff', nonZero(act.addressOffsetBytes));
  return `mbind ${what} ${printMode(act.mode)} ${printNodes(act.nodes)}${words}${options}`;
}

function printMovePages(act: Extract<TaskAct, { verb: 'move_pages' }>, spell: Spelling): string {
  const what = `${spell.region(act.region)} ${act.offset} ${act.nrPages}`;
  const all = act.moveAll ? ' moveall' : '';
  const pid = act.pid === undefined ? '' : ` pid=${spell.task(act.pid)}`;
  return `move_pages ${what} ${act.nodes.join(',')}${all}${flagsOption(act.rawFlags)}${pid}`;
}

type DeviceAct = Extract<TaskAct, { device: string }>;

function printDeviceAct(act: DeviceAct, spell: Spelling): string {
  if (act.verb === 'device_policy') {
    const words = act.words.map((word) => ` ${word}`).join('');
    return `device_policy ${act.device} ${act.policy}${words}${option('threshold', act.threshold)}${option('granularity', act.granularity)}`;
  }
  const what = `${act.verb} ${act.device} ${spell.region(act.region)}${range(act)}`;
  if (act.verb === 'device_prefetch') return what;
  if (act.verb === 'device_advise') return `${what} ${act.advice}`;
  const words = act.words.map((word) => ` ${word}`).join('');
  const options = (['passes', 'stride', 'seed', 'accesses'] as const).map((name) =>
    option(name, act[name]),
  );
  return `${what}${words}${options.join('')}`;
}

function printSetMempolicy(act: Extract<TaskAct, { verb: 'set_mempolicy' }>): string {
  const maxnode = option('maxnode', act.maxnode);
  return `set_mempolicy ${printMode(act.mode)} ${printNodes(act.nodes)}${maxnode}`;
}

function printSetHome(act: Extract<TaskAct, { verb: 'set_home' }>, spell: Spelling): string {
  const options =
    flagsOption(nonZero(act.flags)) + option('addroff', nonZero(act.addressOffsetBytes));
  return `set_home ${spell.region(act.region)}${range(act)} ${act.node}${options}`;
}

function printGetRaw(act: Extract<TaskAct, { verb: 'get_raw' }>, spell: Spelling): string {
  const at = act.region === undefined ? '' : ` ${spell.region(act.region)}${range(act)}`;
  return `get_raw ${act.flags} ${act.maxnode}${at}`;
}

type HoldVerb = 'mlock' | 'munlock' | 'pin' | 'unpin' | 'mlockall' | 'munlockall';

function printHoldAct(act: Extract<TaskAct, { verb: HoldVerb }>, spell: Spelling): string {
  if (act.verb === 'munlockall') return act.verb;
  if (act.verb === 'mlockall') return ['mlockall', ...act.words].join(' ');
  const word = act.onFault === true ? ' onfault' : act.longterm === true ? ' longterm' : '';
  return `${act.verb} ${spell.region(act.region)}${range(act)}${word}`;
}

function printKernelPages(act: Extract<TaskAct, { verb: 'alloc_pages' | 'free_pages' }>): string {
  if (act.verb === 'free_pages') return `free_pages ${act.name}`;
  const options = option('order', act.order) + option('node', act.node);
  return `alloc_pages ${act.name} ${act.nrBlocks} ${act.gfp.join('|')}${options}`;
}

function printTaskAct(act: TaskAct, spell: Spelling): string {
  switch (act.verb) {
    case 'cpu':
      return `cpu ${act.cpu}`;
    case 'set_mempolicy':
      return printSetMempolicy(act);
    case 'get_mempolicy':
    case 'next_node':
    case 'mems_allowed':
    case 'exit':
      return act.verb;
    case 'policy_at':
    case 'node_at':
      return `${act.verb} ${spell.region(act.region)} ${act.offset}`;
    case 'get_raw':
      return printGetRaw(act, spell);
    case 'mmap': {
      const shift = option('shift', nonZero(act.shift));
      const kind = act.file === undefined ? act.kind : `${act.kind}:${act.file}`;
      const at = option('at', nonZero(act.at ?? 0));
      return `mmap ${spell.region(act.region)} ${act.nrPages} ${kind}${shift}${at}`;
    }
    case 'mbind':
      return printMbind(act, spell);
    case 'set_home':
      return printSetHome(act, spell);
    case 'munmap':
    case 'touch':
    case 'read':
    case 'where':
    case 'tables':
      return `${act.verb} ${spell.region(act.region)}${range(act)}`;
    case 'mlock':
    case 'munlock':
    case 'pin':
    case 'unpin':
    case 'mlockall':
    case 'munlockall':
      return printHoldAct(act, spell);
    case 'alloc_pages':
    case 'free_pages':
      return printKernelPages(act);
    case 'work':
      return `work ${spell.region(act.region)}${range(act)} ${act.ms}`;
    case 'fill':
      return `fill ${spell.region(act.region)}${range(act)} ${act.value}`;
    case 'move_pages':
      return printMovePages(act, spell);
    case 'migrate_pages': {
      const pid = act.pid === undefined ? '' : ` pid=${spell.task(act.pid)}`;
      const nodes = `${printNodes(act.from)} ${printNodes(act.to)}`;
      return `migrate_pages ${nodes}${pid}${option('maxnode', act.maxnode)}`;
    }
    case 'madvise':
      return `madvise ${spell.region(act.region)}${range(act)} ${act.advice}`;
    case 'readfile':
    case 'writefile':
    case 'fsync':
      return `${act.verb} ${act.file}${act.verb === 'fsync' ? '' : range(act)}`;
    case 'fadvise':
      return `fadvise ${act.file}${range(act)} ${act.advice}`;
    case 'swrite':
      return `swrite ${act.path} ${quoteValue(act.value)}`;
    case 'device_compute':
    case 'device_policy':
    case 'device_prefetch':
    case 'device_advise':
      return printDeviceAct(act, spell);
  }
}

/** ` tmpfs mpol=bind:0,2`, or nothing for a file on a disk. */
function printMount(act: Extract<SysAct, { verb: 'mkfile' }>): string {
  if (!act.isTmpfs) return '';
  if (act.mpol === undefined) return ' tmpfs';
  const nodes = act.mpol.nodes === 'none' ? '' : `:${printNodes(act.mpol.nodes)}`;
  return ` tmpfs mpol=${printMode(act.mpol.mode)}${nodes}`;
}

function printSysAct(act: SysAct, spell: Spelling): string {
  switch (act.verb) {
    case 'write':
      return `write ${act.path} ${quoteValue(act.value)}`;
    case 'read':
      return `read ${renameInPath(act.path, spell.task)}`;
    case 'mkdir':
    case 'rmdir':
      return `${act.verb} ${act.path}`;
    case 'move':
      return `move ${spell.task(act.task)} ${act.cgroup}`;
    case 'vmstat':
      return `vmstat ${act.keys.join(',')}`;
    case 'offline_node':
    case 'online_node': {
      const zone = act.verb === 'online_node' && act.zone !== undefined ? ` ${act.zone}` : '';
      const blocks = act.nrBlocks === undefined ? '' : ` ${act.nrBlocks}`;
      return `${act.verb} ${act.node}${zone}${blocks}`;
    }
    case 'poison':
    case 'soft_offline':
      return `${act.verb} ${spell.task(act.task)} ${spell.region(act.region)} ${act.offset}`;
    case 'link_failure':
    case 'remove_node':
      return `${act.verb} ${act.node}`;
    case 'add_node':
      return `add_node ${act.node}${act.isDriver === true ? ' driver' : ''}`;
    case 'swapon':
      return `swapon ${act.nrPages}${act.priority === undefined ? '' : ` ${act.priority}`}`;
    case 'sleep':
      return `sleep ${act.ms}`;
    case 'ksm_scans':
      return `ksm_scans ${act.nrScans}`;
    case 'mkfile':
      return `mkfile ${act.file} ${act.nrPages}${printMount(act)}`;
    case 'rmfile':
      return `rmfile ${act.file}`;
    case 'truncate':
      return `truncate ${act.file} ${act.nrPages}`;
    case 'hugetlb':
      return act.size === undefined ? 'hugetlb' : `hugetlb ${act.size}`;
    case 'cached':
      return `cached ${act.file}${range(act)}`;
    default:
      return act.verb;
  }
}

/** The line of an act in canonical form, without expectations; names as `spell` writes them. */
export function printAct(act: Act, spell: Spelling = OWN_NAMES): string {
  switch (act.on) {
    case 'task':
      return `${spell.task(act.task)} ${printTaskAct(act.act, spell)}`;
    case 'sys':
      return `sys ${printSysAct(act.act, spell)}`;
    case 'fork':
      return `fork ${spell.task(act.parent)} ${spell.task(act.child)}`;
  }
}

/** An operation as a line: its act with the names of the scenario, and what must come out. */
export function printOp(op: Op): string {
  const expected = printExpectations(op.expect);
  const line = printAct(op.act);
  return expected === '' ? line : `${line} -> ${expected}`;
}

/** The name that `task NAME` gave to the first task, or undefined when it has none but T0. */
const firstTaskName = (scenario: Scenario): string | undefined =>
  Object.entries(scenario.tasks).find(([name, slot]) => slot === 0 && name !== 'T0')?.[0];

function printAgent({ delayOps, users }: AgentSettings): string {
  const names = users === undefined ? '' : ` users=${users.join(',') || 'none'}`;
  return `agent${option('delay', delayOps)}${names}`;
}

/** A whole scenario as a text that reads back as the same one, but for the places of its lines. */
export function printScenario(scenario: Scenario): string {
  const lines = [`scenario ${scenario.name}`];
  if (scenario.title !== '') lines.push(`title ${scenario.title}`);
  if (scenario.source !== '') lines.push(`source ${scenario.source}`);
  if (scenario.machine !== undefined) lines.push(`machine ${scenario.machine}`);
  for (const [name, value] of Object.entries(scenario.parameters)) {
    lines.push(`param ${name} = ${value}`);
  }
  const first = firstTaskName(scenario);
  if (first !== undefined) lines.push(`task ${first}`);
  if (scenario.expects !== undefined) lines.push(`expects ${scenario.expects.join(',')}`);
  if (scenario.boot !== undefined) lines.push(`boot ${scenario.boot.join(' ')}`);
  if (scenario.agent !== undefined) lines.push(printAgent(scenario.agent));
  lines.push('');
  for (const op of scenario.ops) lines.push(printOp(op));
  return `${lines.join('\n')}\n`;
}

/**
 * The lines that a test program on a real kernel executes: slots instead of names, no expectations.
 * @throws UserError at an operation of a device, which no kernel of ours can run.
 */
export function kernelLines(scenario: Scenario): string[] {
  return scenario.ops.map((op) => {
    const act = op.act.on === 'task' ? op.act.act : undefined;
    const place = op.place ?? { file: `scenario ${scenario.name}` };
    if (act?.verb === 'pin' && act.longterm !== true) {
      throw new UserError(
        `"${printOp(op)}" needs a driver of its own on a real kernel; it can do "longterm"`,
        place,
      );
    }
    if (act?.verb === 'alloc_pages' || act?.verb === 'free_pages') {
      throw new UserError(
        `"${printOp(op)}" needs a module of its own in a real kernel, and the guest has none`,
        place,
      );
    }
    const sys = op.act.on === 'sys' ? op.act.act.verb : undefined;
    if (sys === 'uevents') {
      throw new UserError(`"${printOp(op)}" needs a listener that the test program has not`, place);
    }
    const isBuffer = act?.verb === 'mmap' && act.kind === 'device';
    const isDevices = sys === 'link_failure' || sys === 'add_node';
    if (isDevices || isBuffer || act?.verb.startsWith('device_') === true) {
      throw new UserError(
        `"${printOp(op)}" needs a device, and a real kernel here has none`,
        place,
      );
    }
    return op.text;
  });
}
