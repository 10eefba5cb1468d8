// What random workloads about services that work by themselves say to them: KSM, NUMA balancing.
import type { Prng } from '../base/prng.ts';
import type { Family } from './generate_weights.ts';
import type { SysAct } from './ops.ts';

const KSM = '/sys/kernel/mm/ksm';
const BALANCING = '/sys/kernel/debug/sched/numa_balancing';

const write = (path: string, value: string): SysAct => ({ verb: 'write', path, value });

/** Switches the service on that a family is about. */
export function beginService(p: Prng, family: Family): SysAct[] {
  if (family === 'balance') {
    const enabled = '/proc/sys/kernel/numa_balancing';
    return [write(`${BALANCING}/scan_period_max_ms`, '200'), write(enabled, '1')];
  }
  if (family !== 'ksm') return [];
  // A look takes all of memory, so that where it begins the next time is no accident.
  const all = write(`${KSM}/pages_to_scan`, '100000');
  return [all, write(`${KSM}/merge_across_nodes`, p.chance(50) ? '0' : '1')];
}

/** Lets KSM look at all of memory several times, and shows what it has merged. */
export const scansOfKsm = (): SysAct[] => [
  write(`${KSM}/run`, '1'),
  { verb: 'ksm_scans', nrScans: 4 },
  write(`${KSM}/run`, '0'),
  { verb: 'read', path: `${KSM}/pages_shared` },
  { verb: 'read', path: `${KSM}/pages_sharing` },
];
