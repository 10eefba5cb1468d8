// What an administrator would know of a scenario: which programs are to use devices, those that it
// names, or else those of which it has an operation that names a device or a node of one; and which
// hierarchy of cpusets the machine has.
import type { NodesArg, Scenario, TaskAct } from './ops.ts';

const namesAny = (nodes: NodesArg | readonly number[], devices: ReadonlySet<number>): boolean =>
  typeof nodes !== 'string' && nodes.some((nid) => devices.has(nid));

/** Does the act name a device, or a node of one? */
function namesDevice(act: TaskAct, devices: ReadonlySet<number>): boolean {
  switch (act.verb) {
    case 'set_mempolicy':
    case 'mbind':
      return namesAny(act.nodes, devices);
    case 'set_home':
      return devices.has(act.node);
    case 'move_pages':
      return namesAny(act.nodes, devices);
    case 'migrate_pages':
      return namesAny(act.to, devices);
    default:
      return 'device' in act && act.device !== 'cpu';
  }
}

/** The hierarchy that a scenario's own groups are in: the first that it names. */
export function cpusetVersionOf({ ops }: Partial<Pick<Scenario, 'ops'>>): 1 | 2 | undefined {
  for (const { act } of ops ?? []) {
    const { on } = act;
    const path = on === 'fork' ? '' : 'path' in act.act ? act.act.path : '';
    const group = on === 'sys' && act.act.verb === 'move' ? act.act.cgroup : path;
    if (/^\/cpuset(?:\/|$)/.test(group)) return 1;
    if (/^\/sys\/fs\/cgroup(?:\/|$)/.test(group)) return 2;
  }
  return undefined;
}

/**
 * The tasks that are to use devices.
 * @param devices nodes of the machine's devices.
 */
export function deviceUsers(
  { ops, agent }: Partial<Pick<Scenario, 'ops' | 'agent'>>,
  devices: ReadonlySet<number>,
): ReadonlySet<string> {
  if (agent?.users !== undefined) return new Set(agent.users);
  const users = new Set<string>();
  for (const { act } of ops ?? []) {
    if (act.on === 'task' && namesDevice(act.act, devices)) users.add(act.task);
  }
  return users;
}
