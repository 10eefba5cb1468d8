// No change to the kernel at all: an administrator's agent keeps programs that are not to use
// devices in a cpuset without them, and starts the others with a policy that forbids devices to all
// but the areas that allow them.
import type { Nodemask } from '../base/nodemask.ts';
import type { AgentTask, AgentView, Design, DesignAgent } from '../hooks/design.ts';

/** How such an agent is set up. */
export interface CpusetAgentOptions {
  /** Hierarchy of the cpuset controller, where the machine has not got one already. */
  readonly version: 1 | 2;
  /** Operations of others between an event and the agent's answer. */
  readonly delayOps: number;
  /** Shuts programs in from boot on, on machines that have a device, whether it is there or not. */
  readonly isReady: boolean;
}

const systemNodes = ({ nodes }: AgentView): Nodemask => nodes.memory.andNot(nodes.device);
const hasDevice = ({ nodes }: AgentView): boolean => !nodes.device.isEmpty();
const hasDeviceMemory = ({ nodes }: AgentView): boolean => nodes.memory.intersects(nodes.device);

/** Where groups are, and what a group of that hierarchy needs. */
interface Place {
  readonly version: 1 | 2;
  readonly others: string;
  readonly users: string;
}

/** Makes a group; in version 1 one without CPUs takes no task, and pages stay unless told. */
const make = (place: Place, group: string, mems: Nodemask, cpus: string): readonly string[] => [
  `sys mkdir ${group}`,
  ...(place.version === 1 ? [`sys write ${group}/cpuset.cpus ${cpus}`] : []),
  `sys write ${group}/cpuset.mems ${mems}`,
  ...(place.version === 1 ? [`sys write ${group}/cpuset.memory_migrate 1`] : []),
];

const move = (place: Place, task: AgentTask): string =>
  `sys move ${task.name} ${task.isUser ? place.users : place.others}`;

const areThere = (place: Place, view: AgentView): boolean =>
  view.read(`${place.others}/cpuset.mems`) !== undefined;

const shutIn = (place: Place, view: AgentView): readonly string[] => [
  ...make(place, place.others, systemNodes(view), view.cpus),
  ...make(place, place.users, view.nodes.memory, view.cpus),
  ...view.tasks.map((task) => move(place, task)),
];

/** Lets the groups follow the memory that there is. */
function follow({ others, users }: Place, view: AgentView): readonly string[] {
  const wanted = [
    [others, systemNodes(view)],
    [users, view.nodes.memory],
  ] as const;
  return wanted
    .filter(([group, mems]) => view.read(`${group}/cpuset.mems`) !== mems.toString())
    .map(([group, mems]) => `sys write ${group}/cpuset.mems ${mems}`);
}

/** As numactl does for a program that it starts. */
const forbid = (task: AgentTask, view: AgentView): readonly string[] =>
  task.isUser && hasDevice(view) ? [`${task.name} set_mempolicy bind ${systemNodes(view)}`] : [];

/** The agent: pure functions from what it sees to the operations it does. */
export function makeCpusetAgent(options: CpusetAgentOptions): DesignAgent {
  const { delayOps, isReady } = options;
  const placeOf = ({ cpusetVersion }: AgentView): Place => {
    const version = cpusetVersion ?? options.version;
    const root = version === 1 ? '/cpuset' : '/sys/fs/cgroup';
    return { version, others: `${root}/others`, users: `${root}/users` };
  };
  return {
    delayOps,
    atBoot: (view) => [
      ...view.tasks.flatMap((task) => forbid(task, view)),
      ...(hasDeviceMemory(view) || (isReady && hasDevice(view)) ? shutIn(placeOf(view), view) : []),
    ],
    onEvent: (_event, view) => {
      const place = placeOf(view);
      if (areThere(place, view)) return follow(place, view);
      return hasDeviceMemory(view) ? shutIn(place, view) : [];
    },
    onTask: (task, view) => {
      const place = placeOf(view);
      const isToMove = task.isUser && areThere(place, view);
      return [...forbid(task, view), ...(isToMove ? [move(place, task)] : [])];
    },
    keepsGroup: (path) => path === '/others' || path === '/users',
  };
}

/** The design with an agent that is set up so. */
export function makeCpuset(id: string, options: CpusetAgentOptions): Design {
  return {
    id,
    title: `No kernel change: an agent with cpusets (version ${options.version}) and policies`,
    summary:
      'Stock Linux, and a program of the administrator. It listens for memory that comes online. ' +
      'When a device has some it makes two cpusets, one without device nodes for all programs, one ' +
      'with them for those that are to use a device, which it starts under a policy that forbids ' +
      'devices: areas with a policy of their own may use them. It answers an event after ' +
      `${options.delayOps} operations of others, or when time is let pass.`,
    sources: [
      {
        author: 'Mel Gorman',
        date: '2017-02-17',
        title: 'Re: [PATCH V3 0/4] Define coherent device memory node',
      },
      {
        author: 'Mel Gorman',
        date: '2017-02-23',
        title: 'Re: [PATCH V3 0/4] Define coherent device memory node',
      },
    ],
    promise: {
      text:
        'Once the agent has answered, no page is on a device node that nobody asked for, but of ' +
        'programs that are to use devices, or that somebody took out of its cpusets.',
      isolated: (view) => view.memory.and(view.device),
    },
    decisionPoints: [],
    answers: {},
    agent: makeCpusetAgent(options),
  };
}

/** Operations that pass before udev has told the agent and the agent has done its work. */
const DELAY_OPS = 4;

export const cpuset: Design = makeCpuset('cpuset', {
  version: 2,
  delayOps: DELAY_OPS,
  isReady: false,
});
export const cpusetV1: Design = makeCpuset('cpuset-v1', {
  version: 1,
  delayOps: DELAY_OPS,
  isReady: false,
});
