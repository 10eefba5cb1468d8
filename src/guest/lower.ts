// A scenario as the lines that the test program in a guest executes: slots instead of names, and
// the guest's numbers of nodes and CPUs instead of the machine's.
// Holds    GST5 a line says to the guest what the operation says to the machine, number by number;
//          a number that the machine does not have stays one that the guest does not have.
import { UserError } from '../base/assert.ts';
import { parseCpuList } from '../machine/cpu_list.ts';
import type { Act, NodesArg, Op, Scenario, SysAct, TaskAct } from '../scenario/ops.ts';
import { pageBytesOfKind } from '../scenario/parse_act.ts';
import { parseOpLine } from '../scenario/parser.ts';
import { kernelLines, printAct } from '../scenario/print.ts';
import {
  GIGANTIC_PAGE_BYTES,
  LAST_LONG_SLOT,
  LONG_REGION_BYTES,
  REGION_STRIDE_BYTES,
} from '../scenario/words.ts';
import type { GuestMachine } from './guest_machine.ts';

/** CPUs that tasks run on and that cpusets are given, as the machine numbers them. */
export function usedCpus(scenario: Scenario): Set<number> {
  const used = new Set<number>();
  for (const { act } of scenario.ops) {
    if (act.on === 'task' && act.act.verb === 'cpu') used.add(act.act.cpu);
    if (act.on === 'sys' && act.act.verb === 'write' && act.act.path.endsWith('/cpuset.cpus')) {
      for (const cpu of parseCpuList(act.act.value) ?? []) used.add(cpu);
    }
  }
  return used;
}

const isIdentity = (map: ReadonlyMap<number, number>): boolean =>
  [...map].every(([from, to]) => from === to);

/**
 * A scenario as a guest runs it, without expectations: each operation's text is the line for the
 * test program.
 * @throws UserError at an operation of a device, at a number that the machine does not have and the
 * guest would, and at a region that an address space has no room for.
 */
export function guestScenario(scenario: Scenario, guest: GuestMachine): Scenario {
  const lines = kernelLines(scenario);
  const isSame = isIdentity(guest.nodeOf) && isIdentity(guest.cpuOf);
  for (const { act } of scenario.ops) {
    if (act.on === 'task' && act.act.verb === 'mmap') checkRoom(scenario, act.act);
  }
  const ops = scenario.ops.map((op, i): Op => {
    const line = lines[i] as string;
    if (isSame) return { ...op, text: line, expect: [] };
    const act = renumbered(op.act, guest, line);
    const text = printAct(renumbered(parseOpLine(line).act, guest, line));
    return { ...op, act, text, expect: [] };
  });
  return { ...scenario, ops };
}

/** The guest's pages have 4 KiB, and the model maps what it cannot. */
function checkRoom(scenario: Scenario, act: Extract<TaskAct, { verb: 'mmap' }>): void {
  const { region, nrPages, kind } = act;
  const pageBytes = pageBytesOfKind(kind, 4096);
  const bytes = (nrPages + (act.shift ?? 0)) * pageBytes;
  const slot = scenario.regions[region] as number;
  if (pageBytes === GIGANTIC_PAGE_BYTES && slot > LAST_LONG_SLOT) {
    throw new UserError(`${region} of ${kind} needs a slot up to ${LAST_LONG_SLOT}`);
  }
  if (bytes <= REGION_STRIDE_BYTES || (slot <= LAST_LONG_SLOT && bytes <= LONG_REGION_BYTES))
    return;
  const size = `${region} with ${nrPages} pages`;
  throw new UserError(
    slot > LAST_LONG_SLOT
      ? `${size} has no room in slot ${slot}: regions longer than 8400 MiB need one up to ${LAST_LONG_SLOT}`
      : `${size} is longer than the 8 TiB that a guest has for it`,
  );
}

/** Words of a scenario's `boot` line with the guest's numbers of nodes. */
export const guestBootWords = ({ boot = [] }: Scenario, guest: GuestMachine): string[] =>
  boot.map((word) => {
    if (!/^hugepages=.*:/.test(word)) return word;
    const pools = word.replace(/^hugepages=/, '').split(',');
    const renamed = pools.map((pool) => {
      const [nid, count] = pool.split(':').map(Number);
      return `${guest.nodeOf.get(nid as number) ?? nid}:${count}`;
    });
    return `hugepages=${renamed.join(',')}`;
  });

type Renumber = (id: number) => number;

function renumbered(act: Act, guest: GuestMachine, line: string): Act {
  const through =
    (map: ReadonlyMap<number, number>, what: string, count: number): Renumber =>
    (id) => {
      const to = map.get(id);
      if (to !== undefined) return to;
      if (id < 0 || id >= count) return id;
      throw new UserError(
        `"${line}" names ${what} ${id}, which the machine does not have and the guest would: ` +
          'its numbers have no gaps',
      );
    };
  const node = through(guest.nodeOf, 'node', guest.nodes.length);
  const cpu = (id: number): number => guest.cpuOf.get(id) ?? id + guest.cpuOf.size;
  if (act.on === 'task') return { ...act, act: taskAct(act.act, node, cpu) };
  return act.on === 'sys' ? { ...act, act: sysAct(act.act, node, cpu) } : act;
}

const ascending = (ids: readonly number[]): number[] => [...ids].sort((a, b) => a - b);

const nodesArg = (nodes: NodesArg, node: Renumber): NodesArg =>
  typeof nodes === 'string' ? nodes : ascending(nodes.map(node));

function taskAct(act: TaskAct, node: Renumber, cpu: Renumber): TaskAct {
  switch (act.verb) {
    case 'cpu':
      return { ...act, cpu: cpu(act.cpu) };
    case 'set_mempolicy':
    case 'mbind':
      return { ...act, nodes: nodesArg(act.nodes, node) };
    case 'set_home':
      return { ...act, node: node(act.node) };
    case 'move_pages':
      return { ...act, nodes: act.nodes.map(node) };
    case 'migrate_pages':
      return { ...act, from: nodesArg(act.from, node), to: nodesArg(act.to, node) };
    default:
      return act;
  }
}

function sysAct(act: SysAct, node: Renumber, cpu: Renumber): SysAct {
  if ('node' in act) return { ...act, node: node(act.node) };
  if (act.verb === 'mkfile') {
    const { mpol } = act;
    if (mpol === undefined) return act;
    return { ...act, mpol: { ...mpol, nodes: nodesArg(mpol.nodes, node) } };
  }
  if (act.verb === 'read') return { ...act, path: pathOfNode(act.path, node) };
  if (act.verb !== 'write') return act;
  const path = pathOfNode(act.path, node);
  if (path !== act.path) return { ...act, path };
  if (act.path.endsWith('.mems')) return { ...act, value: listValue(act.value, node) };
  return act.path.endsWith('.cpus') ? { ...act, value: listValue(act.value, cpu) } : act;
}

/** A path with the guest's number of the node whose directory it goes through. */
const pathOfNode = (path: string, node: Renumber): string =>
  path.replace(/\/node(\d+)(?=\/)/, (_whole, id: string) => `/node${node(Number(id))}`);

/** A list of numbers as the kernel's files take it; anything else as it stands. */
function listValue(value: string, renumber: Renumber): string {
  const ids = value.trim() === '' ? undefined : parseCpuList(value.trim());
  return ids === undefined ? value : ascending(ids.map((id) => renumber(Number(id)))).join(',');
}
