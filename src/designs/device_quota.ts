// The access control that the thread asks for and has no answer to: an administrator says how much
// of each device a control group may have. Everything else is stock Linux.
import { Nodemask } from '../base/nodemask.ts';
import type { Design } from '../hooks/design.ts';

export const deviceQuota: Design = {
  id: 'device-quota',
  title: 'A quota of device pages for each control group',
  summary:
    'Pages of device nodes are counted for the control group of the task that takes them, and for ' +
    'the groups above it, up to what dmem.max of each says. For a group that has its share, zones ' +
    'of the node are passed over: policies that allow other nodes go on there, and a bind to that ' +
    'node alone takes a task of that group, never of another. Lists and policies are those of stock ' +
    'Linux.',
  sources: [
    {
      author: 'Michal Hocko',
      date: '2017-02-21',
      title: 'Re: [PATCH V3 0/4] Define coherent device memory node',
    },
    {
      author: 'Michal Hocko',
      date: '2017-02-22',
      title: 'Re: [PATCH V3 0/4] Define coherent device memory node',
    },
  ],
  promise: {
    text: 'No control group has more pages of a device node than its administrator allows.',
    isolated: () => Nodemask.EMPTY,
  },
  decisionPoints: [
    {
      kernelFunction: 'mm/page_alloc.c: get_page_from_freelist, free_unref_page',
      answer: 'nodeCharge',
      change:
        "A zone of a device node is passed over when the pages would exceed a limit of the task's " +
        'group; pages are counted where they are taken and given back, as try_charge_memcg does ' +
        'for memory of any node.',
    },
  ],
  answers: {
    nodeCharge: {
      counted: (view) => view.device,
      room: ({ used, limit }) => Math.max(0, limit - used),
      refusal: "the task's control group has its share of the device (dmem.max)",
    },
  },
};
