// On whose behalf the daemons of nodes work: kswapd and kcompactd.
// Models   linux@v6.1 mm/vmscan.c: kswapd; mm/compaction.c: kcompactd as far as their CPUs go.
import { type Cpu, cpuId } from '../base/ids.ts';
import type { Kernel } from './kernel.ts';

/** The daemon of a node works on a CPU of that node that is not busy, or on any that is not. */
export function asDaemon(k: Kernel, nid: number, run: () => void): void {
  const { allocator, mem } = k;
  const before = allocator.current;
  const idle = mem.onlineCpus.filter((cpu) => cpu !== before.cpu);
  const cpu = idle.find((c) => mem.nodeOfCpu[c] === nid) ?? idle[0] ?? before.cpu;
  const { memsAllowed, hardwallMems } = k.kthread;
  allocator.current = { cpu: cpuId(cpu) as Cpu, memsAllowed, hardwallMems };
  try {
    run();
  } finally {
    allocator.current = before;
  }
}
