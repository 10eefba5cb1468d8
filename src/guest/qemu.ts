// The command line of QEMU for a guest, and that of its kernel.
// Notes    Every node without CPUs gets a CPU slot that stays empty: firmware names nodes by their
//          CPU slots first, so all nodes get their numbers in order, and a node without memory is
//          possible too. Plugged memory is a DIMM that is there from the start.
// Holds    GST2 the command line depends on the machine and the options alone.
import type { GuestMachine } from './guest_machine.ts';

export interface QemuOptions {
  /** `kvm` or `tcg`. */
  readonly accel: 'kvm' | 'tcg';
  /** File of the kernel. */
  readonly kernel: string;
  readonly initrd: string;
  /** Words at the end of the kernel's command line. */
  readonly append?: string | undefined;
  /** The kernel keeps account of memory by control group; else it is booted without that. */
  readonly hasMemcg?: boolean | undefined;
  /** File of the guest's disk, if it has one. */
  readonly disk?: string | undefined;
}

/**
 * How processors are made and which they are. An emulated kernel boots a third faster on a plain
 * one than on one that can all that QEMU can, and places its memory alike.
 */
const PROCESSORS = {
  kvm: ['kvm', 'host'],
  tcg: ['tcg,thread=multi', 'Nehalem,+pdpe1gb'],
} as const;

/** Words for every kernel: quiet, quick, without what moves pages by itself. */
const KERNEL_WORDS = [
  'console=ttyS0',
  'loglevel=1',
  'panic=-1',
  'nokaslr',
  'norandmaps',
  'mitigations=off',
  'transparent_hugepage=never',
  'numa_balancing=disable',
  'nowatchdog',
  'audit=0',
  'random.trust_cpu=on',
  'tsc=reliable',
  'swiotlb=noforce',
  'cryptomgr.notests',
];

/** The kernel's command line. */
export function kernelCommandLine(machine: GuestMachine, append = '', hasMemcg = false): string {
  const words = [...KERNEL_WORDS];
  if (!hasMemcg) words.push('cgroup_disable=memory');
  if (machine.nodes.some((node) => node.zone === 'movable' && node.memoryMiB > 0)) {
    const isOffline = machine.nodes.some((node) => node.offlineAtStart);
    words.push(`memhp_default_state=${isOffline ? 'offline' : 'online_movable'}`);
  }
  if (append.trim() !== '') words.push(append.trim());
  return words.join(' ');
}

/** Arguments of QEMU. */
export function qemuArguments(machine: GuestMachine, options: QemuOptions): string[] {
  const { nodes } = machine;
  const nrCpus = nodes.reduce((n, node) => n + node.cpus.length, 0);
  const nrSlots = nrCpus + nodes.filter((node) => node.cpus.length === 0).length;
  const isDimm = (node: (typeof nodes)[number]): boolean =>
    node.zone === 'movable' && node.memoryMiB > 0;
  const bootMiB = nodes.reduce((sum, node) => sum + (isDimm(node) ? 0 : node.memoryMiB), 0);
  const dimms = nodes.filter(isDimm);
  const dimmMiB = dimms.reduce((sum, node) => sum + node.memoryMiB, 0);
  const memory = [`${bootMiB}M`];
  // Each DIMM may be aligned to a GiB.
  if (dimms.length > 0) {
    memory.push(
      `slots=${dimms.length}`,
      `maxmem=${bootMiB + dimmMiB + 1024 * (dimms.length + 1)}M`,
    );
  }
  const [accel, cpu] = PROCESSORS[options.accel];
  return [
    ...['-accel', accel, '-cpu', cpu, '-M', 'q35'],
    ...['-smp', `cpus=${nrCpus},maxcpus=${nrSlots}`, '-m', memory.join(',')],
    ...['-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot'],
    ...numaArguments(machine, nrCpus),
    ...(options.disk === undefined ? [] : diskArguments(options.disk)),
    ...['-kernel', options.kernel, '-initrd', options.initrd],
    ...['-append', kernelCommandLine(machine, options.append, options.hasMemcg)],
  ];
}

/** A disk that every kernel of a distribution has the driver of. */
const diskArguments = (file: string): string[] => [
  ...['-drive', `file=${file},if=none,format=raw,id=disk,cache=unsafe`],
  ...['-device', 'nvme,drive=disk,serial=cdmlab'],
];

function numaArguments({ nodes, distances }: GuestMachine, nrCpus: number): string[] {
  const words: string[] = [];
  let emptySlot = nrCpus;
  for (const { id, cpus, memoryMiB, zone } of nodes) {
    const slots = cpus.length > 0 ? cpus : [emptySlot++];
    const hasBacking = memoryMiB > 0;
    if (hasBacking) words.push('-object', `memory-backend-ram,id=m${id},size=${memoryMiB}M`);
    const memory = hasBacking && zone === 'normal' ? `,memdev=m${id}` : '';
    words.push('-numa', `node,nodeid=${id}${slots.map((s) => `,cpus=${s}`).join('')}${memory}`);
  }
  for (const { id, memoryMiB, zone } of nodes) {
    if (zone !== 'movable' || memoryMiB === 0) continue;
    words.push('-device', `pc-dimm,id=dimm${id},memdev=m${id},node=${id}`);
  }
  for (const [src, row] of distances.entries()) {
    for (const [dst, val] of row.entries()) {
      if (src !== dst) words.push('-numa', `dist,src=${src},dst=${dst},val=${val}`);
    }
  }
  return words;
}

/** A command as a shell takes it. */
export const shellCommand = (program: string, words: readonly string[]): string =>
  [program, ...words]
    .map((w) => (/^[\w./,:=@%+-]+$/.test(w) ? w : `'${w.replaceAll("'", `'\\''`)}'`))
    .join(' ');
